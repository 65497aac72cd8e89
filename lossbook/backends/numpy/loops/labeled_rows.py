"""Rows of which the label's class alone has a value; all others enter by it, as its rivals."""

import numpy as np

from lossbook.backends.numpy.words import chosen

from .kernel import evaluate
from .log_odds import Rivals

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def of_block(z, y, of_class, parameters, backward):
    """(gradient, value) of the columns of z, shape (classes, rows); weights of classes act later, as those of rows."""
    classes, count = z.shape
    row = np.arange(count)
    rivals = Rivals(z)
    u, rest = rivals.of(z, (y, row))
    (value,), slope = evaluate(u, None, classes, *parameters, backward)
    if not backward:
        return None, value
    d = rivals.pulled((y, row), chosen(rest != 0, -slope / rest))
    d[y, row] += slope
    return d, value
