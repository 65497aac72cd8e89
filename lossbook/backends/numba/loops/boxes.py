"""Boxes: a value for each pair of a predicted and a true box, with their four corners along the class axis."""

import numpy as np
from numba import njit
from numba.extending import register_jitable

from .kernel import allowed, evaluate, real
from .sums import present, tally, total_of
from .tiles import hand_out, tile_at, weigh

# --- below this line: part of a kernel -------------------------------------------------------------------------------


@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def box_at(boxes, i, j):
    return boxes[i, 0, j], boxes[i, 1, j], boxes[i, 2, j], boxes[i, 3, j]


@njit(nogil=True, error_model="numpy", fastmath={"nsz"})
def loops(
    predictions, targets, kind, weight, class_weight, ignore, parameters, scale, size, values, gradient, sums, first,
    last,
):  # fmt: skip
    outer, _, inner = predictions.shape
    # Products with weights are rounded once, when they are stored: where there are any, `kind` is float64.
    w, value, factor = np.empty(size, kind.dtype), np.empty(size + -size % 1024, kind.dtype), kind.dtype.type(scale)
    for block in range(first, last):
        item, start, n = tile_at(block, size, outer, inner)
        first_row = item * inner + start
        broken = weigh(weight, first_row, n, w)
        for b in range(n):
            i, j = (item + b, 0) if inner == 1 else (item, start + b)
            w_b, predicted, true = w[b], box_at(predictions, i, j), box_at(targets, i, j)
            broken = tally(broken, real(0) if allowed(predicted, true) | (w_b == 0) else real(1))
            value_b, slope = evaluate(predicted, true, parameters)
            value[b] = present(w_b, w_b * value_b)
            if gradient is not None:
                gradient[i, 0, j] = present(w_b, (w_b * factor) * slope[0])
                gradient[i, 1, j] = present(w_b, (w_b * factor) * slope[1])
                gradient[i, 2, j] = present(w_b, (w_b * factor) * slope[2])
                gradient[i, 3, j] = present(w_b, (w_b * factor) * slope[3])
        hand_out(value, first_row, n, values)
        sums[block, 0] = total_of(value, n)
        sums[block, 1] = broken
