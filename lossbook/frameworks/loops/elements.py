"""Losses of elements."""

from .kernel import HARMLESS, element
from .reduce import reduced, times, weights, without
from .torch import asarray, floats

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def of_classes(numbers, axis, like):
    """One number per class along an axis of an array; a number as it is."""
    if numbers is None or isinstance(numbers, (int, float)):
        return numbers
    shape = [1] * like.ndim
    shape[axis] = -1
    return floats(asarray(numbers, like), like).reshape(shape)


def compute(arrays, parameters, reduction="mean", weight=None, class_weight=None, axis=1):
    """The loss of arrays: of each element, their sum or their mean."""
    dtype, first = arrays[0], floats(arrays[0])
    arrays = [first, *(floats(array, first) for array in arrays[1:])]
    parameters = [of_classes(numbers, axis, first) for numbers in parameters]
    weight = times(of_classes(class_weight, axis, first), weights(weight, first, first.ndim))
    removed = None if weight is None else weight == 0
    arrays = [without(removed, array, harmless) for array, harmless in zip(arrays, HARMLESS, strict=False)]
    (values,) = element(*arrays, *parameters)
    return floats(reduced(values, weight, reduction), dtype)
