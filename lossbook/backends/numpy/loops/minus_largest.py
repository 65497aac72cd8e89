"""The standing of a class by its logit minus the largest."""

import numpy as np

from lossbook.backends.numpy.words import chosen

# --- below this line: part of a kernel -------------------------------------------------------------------------------


class Rivals:
    """What a class competes with: the largest, itself included; those that tie share alike."""

    def __init__(self, z):
        self.top = np.maximum.reduce(z, axis=0)
        self.is_top = z == self.top
        self.ties = self.is_top.sum(axis=0).astype(z.dtype)
        self.exps = np.where(self.top == self.top, self.is_top, self.top)  # NaN stays NaN

    def of(self, z, at):
        return chosen(~self.is_top[at], z[at] - self.top), self.ties

    def pulled(self, at, pull):
        return self.exps * pull

    def left(self, slope, pull, of_top, of_rest):
        """Of a class alone in front it is 0: what it gains as itself, it loses as its own rival."""
        left = chosen(self.is_top, slope - pull - (of_rest + (of_top - pull)), slope)
        return chosen(self.top == self.top, left, self.top)
