"""Rows of which each class has a value, and all others enter by it, as its rivals."""

import numpy as np

from lossbook.backends.numpy.words import chosen

from .classes import sum_classes
from .distributions import value_and_slopes
from .kernel import of_row
from .log_odds import Rivals

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def of_block(z, y, of_class, parameters, backward):
    """(gradient, value) of the columns of z, shape (classes, rows)."""
    rivals = Rivals(z)
    u, rest = rivals.of(z, ...)
    value, slope = value_and_slopes(u, y, of_class, parameters, backward)
    pull_of_row = 0
    if of_row is not None:
        beyond = rivals.others + (rivals.ties - 1)  # all exponentials but one of the largest, which are 1
        logsumexp = (rivals.top + np.log1p(beyond)).astype(z.dtype)
        more, pull_of_row = of_row(logsumexp, len(z), *parameters)
        value, pull_of_row = value + more, pull_of_row / (1 + beyond)
    if not backward:
        return None, value
    pull = chosen((rest != 0) & (slope != 0), slope / rest)
    of_rest = sum_classes(chosen(~rivals.is_top, pull)).astype(pull.dtype)
    of_top = sum_classes(chosen(rivals.is_top, pull)).astype(pull.dtype)
    d = rivals.left(slope, pull, of_top, of_rest)
    if of_row is not None:
        d = d + chosen((rivals.exps != 0) | (pull_of_row != pull_of_row), pull_of_row * rivals.exps)
    return d, value
