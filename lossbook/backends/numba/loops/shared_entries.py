"""Rows whose classes do not compete, where every class has its share of the target.

They are run through in the order of the memory, whichever axis that is.
"""

import numpy as np
from numba import njit
from numba.extending import register_jitable

from .kernel import LABELS, WIDE, allowed, evaluate, real
from .labels import read_labels
from .lanes import fold_lanes
from .sums import present, tally, total_of
from .tiles import hand_out, tile_at, weigh

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# The sum over the classes of a contiguous row, in the order of rows that stand side by side; terms are overwritten.
# The lanes are folded as by `fold_lanes`, written out: its loop over the rows costs more than the sum of one.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def sum_in_lanes(terms, lanes):
    for lane in range(16):
        lanes[lane] = 0
    for some in range(0, terms.size, 256):
        here = terms[some : some + 256]
        whole = here.size // 16 * 16
        for first in range(16, whole, 16):
            for lane in range(16):
                here[lane] += here[first + lane]
        for j in range(max(whole, 16), here.size):
            here[j - whole] += here[j]
        for lane in range(min(16, here.size)):
            lanes[lane] += here[lane]
    for lane in range(8):
        lanes[lane] += lanes[lane + 8]
    for lane in range(4):
        lanes[lane] += lanes[lane + 4]
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])


@njit(nogil=True, error_model="numpy", fastmath={"nsz"})
def loops(
    predictions, targets, kind, weight, class_weight, ignore, parameters, scale, size, values, gradient, sums, first,
    last,
):  # fmt: skip
    outer, classes, inner = predictions.shape
    # Products with weights are rounded once, when they are stored: where there are any, `kind` is float64.
    w, value, factor = np.empty(size, kind.dtype), np.empty(size + -size % 1024, kind.dtype), kind.dtype.type(scale)
    lanes, group = (16, 256) if classes >= WIDE else (1, 16)  # many classes are added in lanes
    part, sums_of = np.empty((lanes, size), value.dtype), np.empty((lanes, size))
    label = np.empty(size if LABELS else 0, np.uint32)  # unsigned, so that none could count from the end
    whole = size * classes if inner == 1 else 0  # of contiguous rows
    w_of, terms, lanes_of_row = np.empty(whole, kind.dtype), np.empty(whole, kind.dtype), np.empty(16)
    shares = np.empty(whole if LABELS else 0, real)
    for block in range(first, last):
        item, start, n = tile_at(block, size, outer, inner)
        first_row = item * inner + start
        broken = weigh(weight, first_row, n, w)
        if LABELS:
            broken += read_labels(targets, ignore, classes, first_row, n, w, label)
        # every class, and its share of the target
        if inner == 1:  # contiguous rows, run through as one
            here = slice(first_row * classes, (first_row + n) * classes)
            entries = predictions.reshape(-1)[here]
            if not LABELS:
                shares = targets.reshape(-1)[here]
            for b in range(n):
                for k in range(classes):
                    of_class = real(1)
                    if class_weight is not None:
                        of_class = class_weight[k]
                    w_of[b * classes + k] = w[b] * of_class
                    if LABELS:
                        shares[b * classes + k] = label[b] == np.uint32(k)
            if gradient is not None:
                slopes = gradient.reshape(-1)[here]
            for i in range(n * classes):
                u, y, w_k = entries[i], shares[i], w_of[i]
                broken = tally(broken, real(0) if allowed(u, y) | (w_k == 0) else real(1))
                value_k, slope_k = evaluate(u, y, real(classes), parameters)
                terms[i] = value_k
                if gradient is not None:
                    slopes[i] = present(w_k, (w_k * factor) * slope_k)
            for b in range(n):
                row, total = terms[b * classes : (b + 1) * classes], 0.0
                if class_weight is not None:
                    for k in range(classes):
                        row[k] = present(class_weight[k], class_weight[k] * row[k])
                if lanes > 1:
                    total = sum_in_lanes(row, lanes_of_row)
                else:
                    for some in range(0, classes, group):
                        of_group = value.dtype.type(0)
                        for k in range(some, min(some + group, classes)):
                            of_group += row[k]
                        total += of_group
                value[b] = present(w[b], w[b] * total)
        else:
            sums_of[:] = 0
            for some in range(0, classes, group):
                part[:] = 0
                for k in range(some, min(some + group, classes)):
                    of_class, part_here = real(1), part[k % lanes]
                    if class_weight is not None:
                        of_class = class_weight[k]
                    for b in range(n):
                        u, w_k = predictions[item, k, start + b], w[b] * of_class
                        if LABELS:
                            y = real(1) if label[b] == np.uint32(k) else real(0)
                        else:
                            y = targets[item, k, start + b]
                        broken = tally(broken, real(0) if allowed(u, y) | (w_k == 0) else real(1))
                        value_k, slope_k = evaluate(u, y, real(classes), parameters)
                        part_here[b] += present(of_class, of_class * value_k)
                        if gradient is not None:
                            gradient[item, k, start + b] = present(w_k, (w_k * factor) * slope_k)
                for lane in range(lanes):
                    for b in range(n):
                        sums_of[lane, b] += part[lane, b]
            fold_lanes(sums_of, n)
            for b in range(n):
                value[b] = present(w[b], w[b] * sums_of[0, b])
        hand_out(value, first_row, n, values)
        sums[block, 0] = total_of(value, n)
        sums[block, 1] = broken
