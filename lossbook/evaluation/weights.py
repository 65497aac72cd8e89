"""The weights of a call, what options make of them, and their sums, by which a mean divides."""

from math import fsum, prod
from typing import Any

import numpy as np

from lossbook.arrays import bounds_of, cut, quiet
from lossbook.backends.call import Call
from lossbook.errors import ShapeError


def ignore_labels(call: Call, labels: tuple[int, ...]) -> None:
    """Ignore labels: kernels know of one alone, which takes the place of the others."""
    call.ignored = labels
    possible = [label for label in labels if label in range(*bounds_of(call.y.dtype))]
    call.ignore = next(iter(possible or labels), None)
    for label in possible[1:]:
        call.y = call.xp.where(call.y == label, call.y.dtype.type(call.ignore), call.y)


def leave_out(call: Call, labels: tuple[int, ...]) -> None:
    """Give the pixels of a mask that have one of these labels the weight 0."""
    live = call.y == call.y
    for label in labels:
        live = live & (call.y != call.xp.asarray(label))
    call.y, call.folded = call.y * live, True
    if call.weight is None:
        call.weight = live if call.plan.space.axis is None else live[:, 0]  # distances have one per class
    elif call.weight.ndim < call.z.ndim - 1:
        rule = "must be one per pixel where labels of a mask are ignored"
        raise ShapeError(call.loss, "weight", rule, said="one per image")
    else:
        call.weight = call.xp.where(live if call.weight.ndim == call.z.ndim else live[:, 0], call.weight, 0)


def weigh_classes(call: Call, weights: Any) -> None:
    """Losses of elements: multiply the weights by those of classes."""
    each, call.folded = call.along_classes(weights), True
    call.weight = call.xp.broadcast_to(each, call.z.shape) if call.weight is None else call.weight * each


def image_weights(call: Call) -> np.ndarray:
    """Losses of totals: the weight of each image and class, or of each class of all images, in float64.

    Weights given one per image leave the pixels and act on the mean. They are checked here.
    """
    each = np.ones((1, call.layout.three[1]))
    if call.class_weight is not None:
        each *= call.to_host(call.class_weight)
    if not call.item_weights:
        return each
    items, call.weight = call.to_host(call.weight).astype(np.float64), None
    call.refuse("weight", items, (items >= 0) & (items < np.inf), (slice(None),), "must be >= 0 and finite")
    return items[:, None] * each


def left(call: Call) -> np.ndarray:
    """Losses of totals: where a pixel of an image and class is neither ignored nor of weight 0.

    A few pixels of an image answer mostly; further ones are looked at where all so far are absent.
    """
    outer, classes, inner = call.layout.three
    if call.weight is None and call.ignore is None:
        return np.full((outer, classes), inner > 0)
    by_class = call.weight is not None and call.weight.ndim == call.z.ndim

    def spread(array, whole=False):
        """With axes of images and classes, and at least one of space."""
        array = array if whole else array[:, None] if array.ndim else array[None, None]
        return array if array.ndim > 2 else array[..., None]

    weight = None if call.weight is None else spread(call.weight, by_class)
    labels = None if call.ignore is None else spread(call.y)
    some: Any = labels if weight is None else weight
    found = np.zeros((outer, classes if by_class else 1), bool)
    start, step, line = 0, 1, prod(some.shape[1:2] + some.shape[3:])
    while start < some.shape[2] and not found.all():
        images = np.flatnonzero(~found.all(axis=1))
        part = call.xp.asarray(images), slice(None), slice(start, start + step)
        live: Any = True if weight is None else weight[part] != 0
        if labels is not None:
            live = live & (labels[part] != call.ignore)
        found[images] |= call.to_host(live.any(axis=tuple(range(2, live.ndim))))
        start, step = start + step, max(1, min(8 * step, (1 << 18) // max(1, len(images) * line)))
    return np.broadcast_to(found, (outer, classes))


def weighs_on_host(call: Call) -> bool:
    """Whether `total_weight` can tell the sum of the weights; on a device a kernel counts those of classes."""
    return call.xp is np or (call.class_weight is None and call.ignore is None)


def total_weight(call: Call) -> float:
    """sum(w) over the elements or rows, in float64; wrong weights are left for the kernel to find."""
    if call.weight is None and call.class_weight is None and call.ignore is None:
        return float(prod(call.layout.without_classes))
    if call.xp is not np:
        return float(call.weight.astype(call.real).sum(dtype=np.float64))
    with quiet():
        sums = [float(np.sum(row_weights(call, piece))) for piece in cut(call.piece_shape, 1 << 17)]
    return fsum(sums) if np.all(np.isfinite(sums)) else sum(sums)


def row_weights(call: Call, piece: tuple[slice, ...]) -> Any:
    """The weight of each row of a piece in float64: its own, times that of its class or classes."""
    weight = np.float64(1)
    if call.weight is not None:  # in the working type first, as a kernel has it
        weight = np.ascontiguousarray(call.weight[piece], call.real).astype(np.float64)
    if call.class_weight is None and call.ignore is None:
        return weight
    if call.integer:
        y = call.y[piece]
        counts = (y >= 0) & (y < call.layout.three[1])
        if call.ignore is not None:
            counts = counts & (y != call.ignore)
        if call.class_weight is not None:
            weight = weight * call.class_weight[np.where(counts, y, 0)]
        return np.where(counts, weight, 0)
    y = np.ascontiguousarray(np.moveaxis(call.y[call.index(piece)], call.layout.axis, -1), call.real)
    shares = np.sum(np.where(call.class_weight != 0, y * call.class_weight, 0), axis=-1)
    return np.where(weight != 0, shares * weight, 0)
