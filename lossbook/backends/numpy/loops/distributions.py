"""Rows of which each class has a value, by its share of the target."""

import numpy as np

from lossbook.backends.numpy.words import chosen

from .classes import sum_classes
from .kernel import evaluate

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def value_and_slopes(u, y, of_class, parameters, backward):
    """(values of the rows, slopes of their classes); `of_class` are the weights of the classes."""
    classes = len(u)
    spread = (np.arange(classes)[:, None] == y).astype(u.dtype) if y.dtype.kind in "iu" else y
    (value,), slope = evaluate(u, spread, classes, *parameters, backward)
    if of_class is not None:
        value = chosen(of_class != 0, value * of_class)
        slope = chosen(of_class != 0, slope * of_class) if backward else None
    value = sum_classes(np.broadcast_to(value, u.shape))
    return value, np.broadcast_to(slope, u.shape) if backward else None
