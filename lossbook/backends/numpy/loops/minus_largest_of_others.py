"""The standing of a class by its logit minus the largest of the others."""

import numpy as np

from lossbook.backends.numpy.words import chosen

# --- below this line: part of a kernel -------------------------------------------------------------------------------


class Rivals:
    """What a class competes with: the largest of the others, which is the runner-up where a class is alone in front."""

    def __init__(self, z):
        self.z, self.top = z, np.maximum.reduce(z, axis=0)
        self.is_top = z == self.top
        ties = self.is_top.sum(axis=0).astype(z.dtype)
        self.ties = np.where(self.top == self.top, ties, self.top)  # NaN stays NaN
        self.runner_up = np.maximum.reduce(np.where(self.is_top, -np.inf, z), axis=0)
        self.is_alone = self.is_top & (self.ties == 1)
        self.follows = (self.ties == 1) & (z == self.runner_up) & ~self.is_top
        self.runners_up = self.follows.sum(axis=0).astype(z.dtype)

    def front_of(self, at):
        """The largest of the others."""
        return np.where(self.is_alone[at], self.runner_up, self.top)

    def of(self, z, at):
        front = self.front_of(at)
        rest = np.where(self.is_alone[at], self.runners_up, self.ties - self.is_top[at])
        return chosen(z[at] != front, z[at] - front), rest

    def pulled(self, at, pull):
        front = self.front_of(at)
        slopes = chosen(~(self.z < front), pull)  # infinite pulls move the rivals alone
        slopes[at] = chosen(front != front, front)
        return slopes

    def left(self, slope, pull, of_top, of_rest):
        in_front = of_rest + chosen(~self.is_alone, of_top - pull)
        taken = chosen(self.is_top, in_front, chosen(self.follows, of_top))
        return chosen(self.top == self.top, slope - taken, self.top)
