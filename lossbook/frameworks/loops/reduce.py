"""Weights and reductions, the same for all losses."""

import numpy as xp

from .torch import floats

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def reduced(values, weight, reduction):
    """The values, weighed, or their sum, or that over the sum of the weights; a weight of 0 removes even a NaN."""
    if weight is not None:
        weight = xp.broadcast_to(weight, values.shape)
        values = xp.where(weight == 0, 0.0, weight * values)
    if reduction == "none":
        return values
    total = xp.sum(values)
    if reduction == "sum":
        return total
    count = xp.sum(xp.ones_like(values) if weight is None else weight)
    return total / count


def weights(weight, like, axes):
    """The weights in the type of an array, one per item or per pixel with axes of length 1 for what it belongs to."""
    if weight is None:
        return None
    weight = floats(weight, like)
    if weight.ndim == 1 < axes:
        return weight.reshape(-1, *(1,) * (axes - 1))
    return weight[:, None] if weight.ndim == axes - 1 > 1 else weight


def kept(y, labels):
    """Where no label is one to ignore, of which there are one or several."""
    found = y == y
    for label in labels if hasattr(labels, "__iter__") else (labels,):
        found = found & (y != label)
    return found


def without(removed, x, harmless):
    """The array with harmless numbers where something is removed, whatever stood there."""
    return x if removed is None else xp.where(removed, harmless, x)


def times(a, b):
    """The product of two weights, of which either may be None."""
    return a if b is None else b if a is None else a * b
