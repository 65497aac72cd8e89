"""Rows whose classes do not compete, where only the labeled class enters."""

import numpy as np
from numba import njit
from numba.extending import register_jitable

from .kernel import allowed, evaluate, is_usual, real
from .labels import read_labels, weigh_labels
from .sums import present, tally, total_of
from .tiles import hand_out, tile_at, weigh

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# The labeled classes of a tile, in a function of its own: there LLVM keeps its constants in registers. Own becomes the
# slope.
@register_jitable(error_model="numpy", fastmath={"nsz"}, no_cfunc_wrapper=True)
def side_by_side(own, lost, w, parameters, factor, value):
    for b in range(own.size):
        value_b, slope_b = evaluate(own[b], parameters)
        value_b = value_b if lost[b] == real(0) else real(np.nan)
        value[b] = present(w[b], w[b] * value_b)
        own[b] = present(w[b], (w[b] * factor) * slope_b)


@njit(nogil=True, error_model="numpy", fastmath={"nsz"})
def loops(
    predictions, targets, kind, weight, class_weight, ignore, parameters, scale, size, values, gradient, sums, first,
    last,
):  # fmt: skip
    outer, classes, inner = predictions.shape
    # Products with weights are rounded once, when they are stored: where there are any, `kind` is float64.
    w, value, factor = np.empty(size, kind.dtype), np.empty(size + -size % 1024, kind.dtype), kind.dtype.type(scale)
    own, lost, label = np.empty(size, real), np.empty(size, real), np.empty(size, np.uint32)
    in_rows = predictions.reshape(outer * inner, classes)
    for block in range(first, last):
        item, start, n = tile_at(block, size, outer, inner)
        first_row = item * inner + start
        broken = weigh(weight, first_row, n, w)
        broken += read_labels(targets, ignore, classes, first_row, n, w, label)
        weigh_labels(class_weight, label, n, w)
        # the labeled class, and how many entries of a row are NaN
        if inner == 1:
            for b in range(n):
                odd, row, w_b = real(0), in_rows[item + b], w[b]
                for k in range(classes):
                    odd = tally(odd, real(0) if is_usual(row[k]) else real(1))
                lost[b] = 0
                if odd > 0:
                    for k in range(classes):
                        entry, of_class = row[k], class_weight[k] if class_weight.size > 0 else 1.0
                        lost[b] += real(0) if (entry == entry) | (of_class == 0) else real(1)
                        broken = tally(broken, real(0) if allowed(entry) | (w_b * of_class == 0) else real(1))
                own[b] = row[label[b]]
        else:
            lost[:] = 0
            for k in range(classes):
                entries, this = predictions[item, k, start : start + n], np.uint32(k)
                of_class = kind.dtype.type(class_weight[k] if class_weight.size > 0 else 1.0)
                for b in range(n):
                    entry, other, w_b = entries[b], own[b], w[b]
                    own[b] = entry if label[b] == this else other
                    lost[b] += real(0) if (entry == entry) | (of_class == 0) else real(1)
                    broken = tally(broken, real(0) if allowed(entry) | (w_b * of_class == 0) else real(1))
        side_by_side(own[:n], lost[:n], w[:n], parameters, factor, value[:n])
        if gradient is not None:
            if inner == 1:
                slopes_of = gradient.reshape(outer * inner, classes)
                for b in range(n):
                    slopes, row = slopes_of[item + b], in_rows[item + b]
                    for k in range(classes):
                        slopes[k] = real(0)
                    if lost[b] > 0 and w[b] != 0:
                        for k in range(classes):
                            of_class = class_weight[k] if class_weight.size > 0 else 1.0
                            slopes[k] = real(0) if (row[k] == row[k]) | (of_class == 0) else row[k]
                    slopes[label[b]] = own[b]
            else:
                for k in range(classes):
                    slopes, this = gradient[item, k, start : start + n], np.uint32(k)
                    entries = predictions[item, k, start : start + n]
                    of_class = kind.dtype.type(class_weight[k] if class_weight.size > 0 else 1.0)
                    for b in range(n):
                        left, entry = own[b], entries[b]
                        zero = real(0) if (entry == entry) | (w[b] * of_class == 0) else entry
                        slopes[b] = left if label[b] == this else zero
        hand_out(value, first_row, n, values)
        sums[block, 0] = total_of(value, n)
        sums[block, 1] = broken
