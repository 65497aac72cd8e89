"""Losses of boxes, whose corners stand along an axis."""


from .kernel import HARMLESS, element
from .reduce import reduced, weights, without
from .torch import floats, last

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def compute(arrays, parameters, reduction="mean", weight=None, axis=-1):
    """The loss of arrays of boxes: of each box, their sum or their mean."""
    dtype, first = arrays[0], floats(arrays[0])
    weight = weights(weight, first, first.ndim - 1)
    removed = None if weight is None else weight == 0
    corners = [last(floats(array, first), axis)[..., k] for array in arrays for k in range(4)]
    corners = [without(removed, corner, harmless) for corner, harmless in zip(corners, HARMLESS, strict=False)]
    (values,) = element(*corners, *parameters)
    return floats(reduced(values, weight, reduction), dtype)
