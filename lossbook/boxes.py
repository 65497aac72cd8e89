"""Boxes as offsets from anchors, and back: the coordinates in which detectors regress boxes.

Boxes and anchors are arrays of shape (..., 4), corners (x1, y1, x2, y2) in pixels; NumPy or CuPy. Offsets ("deltas")
are (t_x, t_y, t_w, t_h), without unit: how far the center lies from the anchor's, in widths and heights of the
anchor, and the logs of the ratios of the sizes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossbook import backends
from lossbook.arrays import is_cupy, quiet
from lossbook.checks import check_same, cure, parameter, plain, refuse
from lossbook.domains import Domain
from lossbook.errors import DomainError, ShapeError
from lossbook.labels import floats
from lossbook.typing import ArrayLike, Number

__all__ = ["decode_boxes", "encode_boxes"]

CLIP = math.log(1000 / 16)
Clip = Domain("Clip", "parameter", ">= 0", "a number that is not negative, or infinity", 0.0)


@quiet()
def encode_boxes(boxes: ArrayLike, anchors: ArrayLike) -> Any:
    """The offsets (t_x, t_y, t_w, t_h) of boxes from their anchors.

        t_x = (x - x_a)/w_a    t_y = (y - y_a)/h_a    t_w = log(w/w_a)    t_h = log(h/h_a)

    with centers x, y, widths w and heights h. Nothing cancels: offsets from an anchor that nearly is the box are good
    to a few ulp, too.

    Parameters
    ----------
    boxes : array of float16, float32 or float64
        Corners (x1, y1, x2, y2) of shape (..., 4).
    anchors : array
        Corners of the same shape, of any real dtype.

    Returns
    -------
    array
        The offsets, in the shape and dtype of the boxes; float16 is computed in float32, and float32 boxes with float64
        (or wide integer) anchors in float64.

    Raises
    ------
    ShapeError
        For shapes that differ, which never broadcast, or do not end in 4.
    DomainError
        For boxes or anchors that are inverted, without area or not finite.

    References
    ----------
    Ren, He, Girshick and Sun 2015, Faster R-CNN, NIPS, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> from lossbook import detection
    >>> detection.encode_boxes(np.array([2.0, 0.0, 6.0, 8.0]), np.array([0.0, 0.0, 4.0, 8.0]))
    array([0.5, 0. , 0. , 0. ])
    """
    where = "detection.encode_boxes"
    boxes, anchors, xp, given = _arguments(where, "boxes", boxes, anchors)
    low, high, size = _corners(where, "boxes", boxes)
    anchor_low, anchor_high, anchor_size = _corners(where, "anchors", anchors)
    offsets = xp.empty(boxes.shape, given)
    with np.errstate(all="ignore"):  # in the branch that is not taken; and a float16 result may overflow
        low, low_rest = _sum(low, -anchor_low)
        high, high_rest = _sum(high, -anchor_high)
        moved, moved_rest = _sum(high, low)
        grown, grown_rest = _sum(high, -low)
        moved += moved_rest + (high_rest + low_rest)  # twice the way of the center
        grown += grown_rest + (high_rest - low_rest)  # the difference of the sizes
        grown /= anchor_size
        near = abs(grown) <= 0.5
        offsets[..., :2] = moved / anchor_size / 2
        offsets[..., 2:] = xp.where(near, xp.log1p(grown), xp.log(size / anchor_size))
    return offsets


@quiet()
def decode_boxes(deltas: ArrayLike, anchors: ArrayLike, *, clip: Number = CLIP) -> Any:
    """The boxes (x1, y1, x2, y2), in pixels, that lie at these offsets from their anchors: `encode_boxes`, undone.

    Offsets of 0 give the anchor back exactly, and x1 <= x2, y1 <= y2 always. Corners are good to a few ulp of the
    largest of the terms: the anchor's corner, w_a*t_x and w_a*(exp(t_w) - 1)/2. A NaN among the offsets gives NaN.

    Parameters
    ----------
    deltas : array of float16, float32 or float64
        Offsets of shape (..., 4).
    anchors : array
        Corners of the same shape, of any real dtype.
    clip : float, optional
        Where t_w and t_h are cut, as is usual: an untrained network could ask for a box of e**100 widths. The default,
        log(1000/16), lets an anchor of 16 pixels grow to 1000; clip=math.inf cuts nothing.

    Returns
    -------
    array
        The boxes, in the shape and dtype of the deltas; float16 is computed in float32.

    Raises
    ------
    ShapeError
        For shapes that differ, which never broadcast, or do not end in 4.
    DomainError
        For anchors that are inverted, without area or not finite, and for a negative clip.

    References
    ----------
    Ren, He, Girshick and Sun 2015, Faster R-CNN, NIPS, equation 2, solved for the box.

    Examples
    --------
    >>> import numpy as np
    >>> from lossbook import detection
    >>> detection.decode_boxes(np.array([0.5, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, 4.0, 8.0]))
    array([2., 0., 6., 8.])
    """
    where = "detection.decode_boxes"
    deltas, anchors, xp, given = _arguments(where, "deltas", deltas, anchors)
    low, high, size = _corners(where, "anchors", anchors)
    clip = parameter(where, "clip", clip, Clip)
    boxes = xp.empty(deltas.shape, given)
    with np.errstate(over="ignore", invalid="ignore"):  # infinite offsets, and results too large for float16
        moved = size * deltas[..., :2]
        grown = size / 2 * xp.expm1(xp.minimum(deltas[..., 2:], clip))
        low = low + (moved - grown)
        boxes[..., :2] = low
        boxes[..., 2:] = xp.maximum(high + (moved + grown), low)  # rounding must not invert a narrow box
    return boxes


def _arguments(where, name, array, anchors):
    """Both arrays in the type to compute in, the array module, and the dtype of the result."""
    array, anchors = floats(where, name, array), plain(where, "anchors", anchors)
    on_device = is_cupy(array) or is_cupy(anchors)
    xp = backends.choose(where, None if on_device else "numpy", (array, anchors)).xp
    if anchors.dtype.kind not in "fiu":
        hint = cure(anchors.dtype, "anchors")
        raise DomainError(where, "anchors", "must hold real numbers", anchors.dtype, hint=hint)
    if array.ndim == 0 or array.shape[-1] != 4:
        raise ShapeError(where, name, "must have shape (..., 4)", array.shape)
    check_same(where, "anchors", anchors.shape, array.shape, f"{name} has")
    real = np.result_type(array.dtype, anchors.dtype, np.float32)
    return array.astype(real, copy=False), anchors.astype(real, copy=False), xp, array.dtype


def _corners(where, name, boxes):
    """(x1, y1), (x2, y2) and (width, height), each of shape (..., 2); boxes without a finite area are refused."""
    low, high = boxes[..., :2], boxes[..., 2:]
    with np.errstate(over="ignore", invalid="ignore"):
        size = high - low
    bad = ~((size > 0) & (size < np.inf)).all(axis=-1)
    refuse(where, name, "must be finite corners (x1, y1, x2, y2) with x1 < x2 and y1 < y2", boxes, bad)
    return low, high, size


def _sum(a, b):
    """The sum of a and b, and what its rounding lost, exactly (Knuth, The Art of Computer Programming 2, 4.2.2)."""
    total = a + b
    seen = total - a
    return total, (a - (total - seen)) + (b - seen)
