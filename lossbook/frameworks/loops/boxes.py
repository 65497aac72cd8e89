"""Losses of boxes, whose corners stand along an axis."""


from .kernel import HARMLESS, element
from .reduce import reduced, weights, without
from .torch import floats, last

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def corners_of(boxes, format):
    """The corners of boxes, whose numbers stand along the last axis."""
    a, b, c, d = (boxes[..., k] for k in range(4))
    if format == "xyxy":
        return [a, b, c, d]
    return [a, b, a + c, b + d] if format == "xywh" else [a - c / 2, b - d / 2, a + c / 2, b + d / 2]


def compute(arrays, parameters, reduction="mean", weight=None, axis=-1, format="xyxy"):
    """The loss of arrays of boxes: of each box, their sum or their mean."""
    dtype, first = arrays[0], floats(arrays[0])
    weight = weights(weight, first, first.ndim - 1)
    removed = None if weight is None else weight == 0
    corners = [corner for array in arrays for corner in corners_of(last(floats(array, first), axis), format)]
    corners = [without(removed, corner, harmless) for corner, harmless in zip(corners, HARMLESS, strict=False)]
    (values,) = element(*corners, *parameters)
    return floats(reduced(values, weight, reduction), dtype)
