"""Rows of which a loss reads one entry alone, that of the label."""

import numpy as np

from .kernel import evaluate

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def of_block(z, y, of_class, parameters, backward):
    """(gradient, value) of the columns of z, shape (classes, rows); of weights of classes only counts which are 0."""
    classes, count = z.shape
    row = np.arange(count)
    (value,), slope = evaluate(z[y, row], None, classes, *parameters, backward)
    lost = None
    if np.isnan(np.minimum.reduce(z, axis=None, initial=np.inf)):
        lost = np.isnan(z)  # entries that the loss does not read, and which it must not hide
        lost &= True if of_class is None else of_class != 0
        value = np.where(np.any(lost, axis=0), np.nan, value)
    if not backward:
        return None, value
    d = np.zeros_like(z) if lost is None else np.where(lost, z, 0)
    d[y, row] += slope
    return d, value
