"""Losses of rows of classes: the sum over the classes of a function of one class."""

import numpy as xp

from .kernel import HARD, HARMLESS, element, of_row
from .reduce import kept, reduced, times, weights, without
from .standing import logsumexp, standing
from .torch import asarray, counting, floats, indices, last, taken

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def compute(arrays, parameters, reduction="mean", weight=None, class_weight=None, ignore_index=None, axis=1):
    """The loss of rows of classes along an axis: of each row, their sum or their mean."""
    dtype, z = arrays[0], last(floats(arrays[0]), axis)
    classes = z.shape[-1]
    y = arrays[1] if len(arrays) > 1 else None
    labeled = y is not None and y.ndim < z.ndim
    weight = weights(weight, z, z.ndim - 1)
    class_weight = None if class_weight is None else floats(asarray(class_weight, z), z)
    if labeled:
        if ignore_index is not None:
            weight = times(floats(kept(y, ignore_index), z), weight)
        y = indices(without(None if weight is None else weight == 0, y, 0))
    removed = None if weight is None else weight == 0
    z = without(None if removed is None else removed[..., None], z, HARMLESS)
    of_label = None if class_weight is None or not labeled else class_weight[y]
    u = standing(z)
    if HARD:
        (values,) = element(taken(u, y), *parameters, classes)
        weight = times(of_label, weight)
    else:
        if labeled:
            shares = floats(y[..., None] == counting(classes, y), z)
        elif y is not None:
            shares = without(None if removed is None else removed[..., None], last(floats(y, z), axis), 0.0)
        else:
            shares = xp.zeros_like(u)
        (values,) = element(u, shares, *parameters, classes)
        if class_weight is not None:
            values = xp.where(class_weight == 0, 0.0, class_weight * values)
        values = xp.sum(values, -1)
    if of_row is not None:
        values = values + of_row(logsumexp(z), *parameters, classes)[0]
    if HARD or class_weight is None:
        return floats(reduced(values, weight, reduction), dtype)
    # The values have the weights of their classes; a mean divides by what they weigh.
    total = of_label if labeled else xp.sum(xp.where(class_weight == 0, 0.0, shares * class_weight), -1)
    if reduction != "mean":
        return floats(reduced(values, weight, reduction), dtype)
    return floats(reduced(values, weight, "sum") / reduced(total, weight, "sum"), dtype)
