"""Which value was wrong: what is done when a kernel has counted values that break a rule.

Kernels count and do not say where, at no cost; here the arrays are searched, piece by piece.
"""

from typing import Any

import numpy as np

from lossbook.arrays import cut
from lossbook.backends.call import Call
from lossbook.checks import MASK, ONE_CLASS, clipped, nearly


def explain(call: Call) -> None:
    """Raise the error that names the first value that breaks a rule, as it is in the working type.

    Where rounding alone brought values across the bounds of an interval, the arrays are replaced by ones within.
    """

    def rounded(array):
        with np.errstate(over="ignore"):
            return array.astype(call.real, copy=False)

    host = call.to_host
    for piece in cut(call.piece_shape, 1 << 16):
        index = call.index(piece)
        live = True
        if call.weight is not None:
            by_class = call.overlap and call.weight.ndim == call.z.ndim
            at = index if by_class else piece
            weight = host(call.weight[at])
            good = (rounded(weight) >= 0) & (rounded(weight) < np.inf) | absent(call, piece, by_class)
            call.refuse("weight", weight, good, at, "must be >= 0 and finite")
            live = weight != 0
        if call.integer:
            y = host(call.y[piece])
            if call.ignore is not None:
                live = live & (y != call.ignore)
            classes = call.layout.three[1]
            rule = f"must be a class index in 0..{classes - 1}"
            rule += f" or ignore_index={call.said_ignored}" if call.ignored else ""
            good = (y >= 0) & (y < classes) | ~np.broadcast_to(live, y.shape) | absent(call, piece, by_class=False)
            call.refuse(call.plan.arrays[1], y, good, piece, rule, lambda found: about_label(call, found))
            if call.plan.hard and call.class_weight is not None:  # the weight of its class is one of the row
                live = live & (host(call.class_weight)[np.where(live & (y >= 0) & (y < classes), y, 0)] != 0)
        for name, domain in call.plan.checks:
            array = call.z if name == call.plan.arrays[0] else None if call.integer else call.y
            if array is None:
                continue
            value = host(array[index])
            if domain.components:
                good = domain.holds(rounded(np.moveaxis(value, call.layout.axis, 0))) | ~np.asarray(live)
                value = np.moveaxis(value, call.layout.axis, -1)
                call.refuse(name, value, good, piece, f"must be {domain.rule}")
                continue
            mask = live
            if call.layout.axis is not None and np.ndim(live) == value.ndim - 1:
                mask = np.expand_dims(live, call.layout.axis)
            if call.rows and call.class_weight is not None:
                of_class = np.ones(value.ndim, int)
                of_class[call.layout.axis] = -1
                mask = mask & (host(call.class_weight).reshape(of_class) != 0)
            good = domain.holds(rounded(value)) | ~np.broadcast_to(mask, value.shape) | absent(call, piece, True)
            hint = MASK if call.mask and array is call.y else ""
            call.refuse(name, value, good | nearly(domain, value), index, f"must be {domain.rule}", hint)
    if not clip(call):
        raise AssertionError(f"{call.loss}: a kernel refused a value that obeys every rule")


def clip(call: Call) -> bool:
    """Replace arrays that leave their intervals; whether any did."""
    found = False
    for name, domain in call.plan.checks:
        if name == call.plan.arrays[0]:
            z, call.z = call.z, clipped(domain, call.z, call.xp)
            found |= z is not call.z
        elif not call.integer:
            y, call.y = call.y, clipped(domain, call.y, call.xp)
            found |= y is not call.y
    return found


def about_label(call: Call, found: Any) -> str:
    """What to do about a label that is no class."""
    if call.ignore is None and (found < 0 or found == 255):
        return f"pass ignore_index={found} to leave such labels out"
    return ONE_CLASS if call.layout.three[1] == 1 else ""


def absent(call: Call, piece: tuple[slice, ...], by_class: bool) -> Any:
    """Where a piece holds images of weight 0, or images and classes, to broadcast with what it holds."""
    if call.removed is None:
        return False
    removed: Any = np.broadcast_to(call.removed, call.layout.three[:2])
    removed = removed if by_class else removed.all(axis=1, keepdims=True)
    if call.z.ndim == 1:
        return removed[0] if by_class else removed[0, 0]
    removed = removed[piece[0]]
    space = (1,) * (call.z.ndim - 2)
    return removed.reshape(*removed.shape, *space) if by_class else removed.reshape(len(removed), *space)
