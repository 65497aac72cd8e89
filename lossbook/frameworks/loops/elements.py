"""Losses of elements."""

from .kernel import HARMLESS, element
from .reduce import reduced, weights, without
from .torch import floats

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def compute(arrays, parameters, reduction="mean", weight=None):
    """The loss of arrays: of each element, their sum or their mean."""
    dtype, first = arrays[0], floats(arrays[0])
    arrays = [first, *(floats(array, first) for array in arrays[1:])]
    weight = weights(weight, first, first.ndim)
    removed = None if weight is None else weight == 0
    arrays = [without(removed, array, harmless) for array, harmless in zip(arrays, HARMLESS, strict=False)]
    (values,) = element(*arrays, *parameters)
    return floats(reduced(values, weight, reduction), dtype)
