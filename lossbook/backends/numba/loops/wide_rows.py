"""Contiguous rows of log-odds with many classes, where only the labeled class enters: vectorized along the classes."""

import numpy as np
from numba import njit
from numba.extending import register_jitable

from ..words import absolute, exp
from .compensated import plus, settled
from .kernel import real
from .labeled_rows import side_by_side
from .log_odds import rest_of
from .sums import present, tally, total_of
from .tiles import hand_out

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# The largest number of a contiguous row, with room for thirty-two.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def largest_of(row, tops):
    for lane in range(32):
        tops[lane] = -real(np.inf)
    for some in range(0, row.size - 31, 32):  # thirty-two maxima side by side, since one would be found in turn
        logits_here = row[some : some + 32]
        for lane in range(32):
            tops[lane] = logits_here[lane] if logits_here[lane] > tops[lane] else tops[lane]
    for k in range(row.size - row.size % 32, row.size):
        tops[0] = row[k] if row[k] > tops[0] else tops[0]
    for lane in range(16):
        tops[lane] = tops[lane + 16] if tops[lane + 16] > tops[lane] else tops[lane]
    for lane in range(8):
        tops[lane] = tops[lane + 8] if tops[lane + 8] > tops[lane] else tops[lane]
    top = tops[0]
    for lane in range(8):
        top = tops[lane] if tops[lane] > top else top
    return top


@njit(nogil=True, error_model="numpy", fastmath={"nsz"})
def wide(
    predictions, targets, kind, weight, class_weight, ignore, parameters, scale, size, values, gradient, sums, first,
    last,
):  # fmt: skip
    outer, classes, _ = predictions.shape
    logits, tops = predictions.reshape(outer, classes), np.empty(32, real)
    exps = np.empty((size, classes), real)  # exp(logit - largest logit)
    # Products with weights are rounded once, when they are stored: where there are any, `kind` is float64.
    w, value, factor = np.empty(size, kind.dtype), np.empty(size + -size % 1024, kind.dtype), kind.dtype.type(scale)
    own, rest, label = np.empty(size, real), np.empty(size, real), np.empty(size, np.uint32)
    for block in range(first, last):
        first_row = block * size
        n = min(size, outer - first_row)
        broken = real(0)
        for b in range(n):
            row, exps_here = logits[first_row + b], exps[b]
            top = largest_of(row, tops)
            ties, others, low = 0.0, 0.0, 0.0
            for some in range(0, classes, 256):  # some exponentials at a time, then in float64
                part, tied, stop = real(0), real(0), min(some + 256, classes)
                logits_here, exps_there = row[some:stop], exps_here[some:stop]
                for k in range(stop - some):
                    largest = logits_here[k] == top  # so that infinite logits give their limit, and NaN stays NaN
                    e = exp(-absolute(real(np.inf) if largest else logits_here[k] - top))
                    exps_there[k] = real(1) if largest else e
                    tied = tally(tied, real(1) if largest else real(0))
                    part = tally(part, e)
                others, low = plus(others, low, part)
                ties += tied
            w[b] = 1
            if weight.size > 0:
                w[b] = weight[first_row + b, 0]
                broken += real(0) if (w[b] >= 0.0) & (w[b] < np.inf) else real(1)
            k = targets[first_row + b, 0]
            if ignore.size > 0:
                w[b] = present(k != ignore[0], w[b])
            if k < 0 or k >= classes:
                broken += real(0) if w[b] == 0 else real(1)
                w[b], k = 0, 0
            if class_weight.size > 0:
                w[b] *= class_weight[k]
            largest = row[k] == top
            own[b] = real(0) if largest else row[k] - top
            rest[b] = rest_of(exps_here[k], real(ties), settled(others, low), largest)
            label[b] = k
        side_by_side(own[:n], rest[:n], w[:n], parameters, factor, value[:n])
        hand_out(value, first_row, n, values)
        if gradient is not None:
            slopes_here = gradient.reshape(outer, classes)[first_row : first_row + n]
            for b in range(n):
                slopes, exps_here, pull = slopes_here[b], exps[b], rest[b]
                for k in range(classes):
                    slopes[k] = present(pull, pull * exps_here[k])
                slopes[label[b]] = own[b]
        sums[block, 0] = total_of(value, n)
        sums[block, 1] = broken
