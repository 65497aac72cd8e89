"""The standing of a class by its log-odds: its logit, minus the logarithm of the sum of all other exponentials."""

import numpy as np

from lossbook.backends.numpy.words import chosen

from .classes import sum_classes

# --- below this line: part of a kernel -------------------------------------------------------------------------------


class Rivals:
    """What a class competes with: all the others, by their exponentials exp(z - top)."""

    def __init__(self, z):
        self.top = np.fmax.reduce(z, axis=0)
        self.is_top = z == self.top
        self.ties = self.is_top.sum(axis=0)
        self.exps = np.exp(chosen(~self.is_top, z - self.top))  # with the limit for infinite logits
        self.others = sum_classes(chosen(~self.is_top, self.exps))  # without the largest

    def of(self, z, at):
        """(u, sum of the rivals' exponentials) of the classes at an index."""
        rest = self.rest_of(at)
        return chosen(~self.is_top[at], z[at] - self.top) - np.log(rest), rest

    def rest_of(self, at):
        """The sum of the rivals' exponentials of the classes at an index; those of the largest are exactly 1."""
        return (self.others + (self.ties - self.exps[at])).astype(self.exps.dtype)

    def pulled(self, at, pull):
        """The slopes of the rivals of one class of each row."""
        slopes = self.exps * pull
        slopes[at] = 0
        return slopes

    def left(self, slope, pull, of_top, of_rest):
        """What rivals leave of the slope of a class: their pulls are summed over those in front and the others."""
        return slope - self.exps * chosen(self.is_top, of_rest + (of_top - pull), of_top + (of_rest - pull))
