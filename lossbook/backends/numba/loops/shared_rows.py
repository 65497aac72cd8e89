"""Rows whose classes compete, where every class has its share of the target."""

import numpy as np
from numba import njit

from .compensated import plus, settled
from .kernel import LABELS, OF_ROW, allowed, evaluate, of_row, real
from .labels import read_labels
from .log_odds import (
    LOGITS_STAY,
    along,
    compete,
    room_of_rivals,
    slope_left,
)  # or from .minus_largest, or from .minus_largest_of_others
from .rivals import pull_of, read_tile, standing
from .sums import present, tally, total_of
from .tiles import hand_out, tile_at, weigh

# --- below this line: part of a kernel -------------------------------------------------------------------------------


@njit(nogil=True, error_model="numpy", fastmath={"nsz"})
def loops(
    predictions, targets, kind, weight, class_weight, ignore, parameters, scale, size, values, gradient, sums, first,
    last,
):  # fmt: skip
    outer, classes, inner = predictions.shape
    # Products with weights are rounded once, when they are stored: where there are any, `kind` is float64.
    w, value, factor = np.empty(size, kind.dtype), np.empty(size + -size % 1024, kind.dtype), kind.dtype.type(scale)
    exps = np.empty((classes, size), real)
    top, ties, of_others, of_more = room_of_rivals(classes, size)
    others, more = of_others[0], of_more[0]
    slope = np.empty((classes, size), value.dtype)
    of_top, of_rest = np.empty(size, value.dtype), np.empty(size, value.dtype)
    part_of, sums_of = np.empty((3, size), value.dtype), np.empty((3, 2, size))
    part_of_value, part_of_top, part_of_rest = part_of[0], part_of[1], part_of[2]
    label = np.empty(size if LABELS else 0, np.uint32)  # unsigned, so that none could count from the end
    for block in range(first, last):
        item, start, n = tile_at(block, size, outer, inner)
        first_row = item * inner + start
        read_tile(predictions, item, start, n, exps)
        broken = weigh(weight, first_row, n, w)
        if LABELS:
            broken += read_labels(targets, ignore, classes, first_row, n, w, label)
        compete(exps, top, ties, of_others, of_more, n)
        # every class, and its share of the target; by sixteens, then compensated in float64
        sums_of[:] = 0
        for some in range(0, classes, 16):
            part_of[:] = 0
            for k in range(some, min(some + 16, classes)):
                of_class = real(1)
                if class_weight is not None:
                    of_class = class_weight[k]
                for b in range(n):
                    w_b = w[b]
                    if LABELS:
                        y = real(1) if label[b] == k else real(0)
                    else:
                        y = targets[item + b, k, 0] if inner == 1 else targets[item, k, start + b]
                        broken = tally(broken, real(0) if allowed(y) | (w_b * of_class == 0) else real(1))
                    if LOGITS_STAY:
                        z = exps[k, b]
                    else:
                        z = predictions[item + b, k, 0] if inner == 1 else predictions[item, k, start + b]
                    largest = z == top[b]
                    _, own, rest = standing(z, exps[k, b], top[b], ties[b], others[b], more[b])
                    value_b, slope_b = evaluate(along(own, rest), y, real(classes), parameters)
                    part_of_value[b] += present(of_class, of_class * value_b)
                    slope[k, b] = present(of_class, of_class * slope_b)
                    pull = pull_of(slope[k, b], rest)
                    part_of_top[b] += present(largest, pull)
                    part_of_rest[b] += present(not largest, pull)
            for j in range(3):
                high, low, part_here = sums_of[j, 0], sums_of[j, 1], part_of[j]
                for b in range(n):
                    high[b], low[b] = plus(high[b], low[b], part_here[b])
        for b in range(n):
            value[b] = present(w[b], w[b] * settled(sums_of[0, 0, b], sums_of[0, 1, b]))
            of_top[b] = settled(sums_of[1, 0, b], sums_of[1, 1, b])
            of_rest[b] = settled(sums_of[2, 0, b], sums_of[2, 1, b])
        if gradient is not None:
            for k in range(classes):
                for b in range(n):
                    if LOGITS_STAY:
                        z = exps[k, b]
                    else:
                        z = predictions[item + b, k, 0] if inner == 1 else predictions[item, k, start + b]
                    _, own, rest = standing(z, exps[k, b], top[b], ties[b], others[b], more[b])
                    pull = pull_of(slope[k, b], rest)
                    left = slope_left(
                        z, exps[k, b], slope[k, b], pull, top[b], ties[b], others[b], of_top[b], of_rest[b]
                    )
                    left = present(w[b], (w[b] * factor) * left)
                    if inner == 1:
                        gradient[item + b, k, 0] = left
                    else:
                        gradient[item, k, start + b] = left
        if OF_ROW:  # what is added once per row
            for b in range(n):
                beyond = others[b] + (np.float64(ties[b]) - 1.0)  # the exponentials of all but one of the largest
                value_b, slope_b = of_row(real(np.float64(top[b]) + np.log1p(beyond)), real(classes), parameters)
                value[b] += present(w[b], w[b] * value_b)
                of_top[b] = present(w[b], (w[b] * factor) * slope_b / (1.0 + beyond))
            if gradient is not None:
                for k in range(classes):
                    for b in range(n):
                        none = (exps[k, b] == real(0)) & (of_top[b] == of_top[b])  # also where a slope is infinite
                        add = real(0) if none | (of_top[b] == 0) else real(of_top[b] * exps[k, b])
                        if inner == 1:
                            gradient[item + b, k, 0] += add
                        else:
                            gradient[item, k, start + b] += add
        hand_out(value, first_row, n, values)
        sums[block, 0] = total_of(value, n)
        sums[block, 1] = broken
