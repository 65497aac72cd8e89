"""Totals under a softmax: tiles of pixels with all their classes.

Each step is a short loop over few arrays, since LLVM gives up on a loop with many that might overlap. Weights and
labels are read here as in elements.py: in a function for both they would cost a third of a weighted value under a
softmax.
"""

import numpy as np
from numba import njit
from numba.extending import register_jitable

from ..words import absolute, exp, log
from .kernel import LABELS, OF_LOG_ODDS, TERMS, allowed, evaluate, real, slopes_of, store
from .sums import present, tally, total_of

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# The pixels of one class: what they add to its totals, or else h, from which the slopes of all classes are made.
@register_jitable(error_model="numpy", fastmath={"nsz"}, no_cfunc_wrapper=True)
def one_class(
    exps, rest, inverse, logits, top, targets, weight, ignore, classes, channel, parameters, d_totals, h, terms
):
    broken = real(0)
    for i in range(exps.size):
        w = real(1)
        if weight is not None:
            w = np.float64(weight[i])
            broken = tally(broken, real(0) if (w >= 0.0) & (w < np.inf) else real(1))
        if LABELS:
            index = targets[i]
            if ignore is not None:
                w = present(index != ignore, w)
            valid = (index >= 0) & (index < classes) | (w == 0)
            broken = tally(broken, real(0) if valid else real(1))
            y = real(1) if index == channel else real(0)
        else:
            y = targets[i]
        probability, complement = exps[i] * inverse[i], rest[i] * inverse[i]
        u = real(0)
        if OF_LOG_ODDS:
            u = (real(0) if logits[i] == top[i] else logits[i] - top[i]) - log(rest[i])
        added, slope = evaluate(u, probability, complement, y, parameters, d_totals)
        if h is None:
            broken = tally(broken, real(0) if allowed(y) | (w == 0) else real(1))
            store(terms, i, w, added)
        else:
            h[i] = present(w, w * slope)
    return broken


# The slope along a logit: h - p*(the sum of h). Of a class in front, alone, where this would cancel, it is what the
# slopes of all others lack to 0.
@register_jitable(error_model="numpy", fastmath={"nsz"}, no_cfunc_wrapper=True)
def slope_of_class(h, exps, inverse, total, logits, top, slope, others):
    for i in range(logits.size):
        slope[i] = h[i] - present(total[i], total[i] * (exps[i] * inverse[i]))
    for i in range(logits.size):
        others[i] += real(0) if logits[i] == top[i] else slope[i]


@register_jitable(error_model="numpy", fastmath={"nsz"}, no_cfunc_wrapper=True)
def slope_in_front(logits, top, ties, others, slope):
    for i in range(logits.size):
        slope[i] = -others[i] if (logits[i] == top[i]) & (ties[i] == real(1)) else slope[i]


@njit(nogil=True, error_model="numpy", fastmath={"nsz"})
def loops(predictions, targets, kind, weight, ignore, parameters, slopes, size, values, gradient, sums, first, last):
    _, classes, inner = predictions.shape
    per_item = (inner + size - 1) // size
    exps = np.empty((classes, size), real)  # the predictions of a tile, then exp(logit - largest logit)
    top, ties, others = np.empty(size, real), np.empty(size, real), np.empty(size)
    below, inverse, rest = np.empty(size, real), np.empty(size, real), np.empty(size, real)
    h, total, of_others = np.empty((classes, size), kind.dtype), np.empty(size, kind.dtype), np.empty(size, kind.dtype)
    terms = np.empty((TERMS, size + -size % 1024), kind.dtype)  # float64 where there are weights
    for block in range(first, last):
        item, tile = block // per_item, block % per_item
        start = tile * size
        n = min(size, inner - start)
        for b in range(n):
            top[b], ties[b], below[b], others[b] = -real(np.inf), real(0), real(0), 0.0
        for k in range(classes):
            logits = predictions[item, k, start : start + n]
            for b in range(n):
                exps[k, b] = logits[b]
                top[b] = logits[b] if logits[b] > top[b] else top[b]
        for k in range(classes):
            for b in range(n):
                largest = exps[k, b] == top[b]  # so that infinite logits give their limit, and NaN stays NaN
                e = exp(-absolute(real(0) if largest else exps[k, b] - top[b]))
                exps[k, b] = e
                ties[b] += real(1) if largest else real(0)
                below[b] += real(0) if largest else e
            if classes > 16 and (k % 16 == 15 or k == classes - 1):  # sixteen exponentials at a time, then in float64
                for b in range(n):
                    others[b] += below[b]
                for b in range(n):
                    below[b] = real(others[b]) if k == classes - 1 else real(0)
        for b in range(n):
            inverse[b] = real(1) / (below[b] + ties[b])
        for b in range(n):
            total[b], of_others[b] = 0, 0
        for k in range(classes):
            for b in range(n):  # the exponentials of those in front are 1, so that in this order nothing cancels
                rest[b] = below[b] + (ties[b] - exps[k, b])
            if weight is None:
                weight_here = None
            else:
                weight_here = weight[item, k % weight.shape[1], start : start + n]
            if gradient is None:
                h_here = None
            else:
                h_here = h[k, :n]
            sums[item, k, tile, TERMS] = one_class(
                exps[k, :n], rest, inverse, predictions[item, k, start : start + n], top,
                targets[item, 0 if LABELS else k, start : start + n], weight_here, ignore, classes, k,
                parameters, slopes_of(slopes[item, k]), h_here, terms,
            )  # fmt: skip
            if gradient is None:
                for j in range(TERMS):
                    sums[item, k, tile, j] = total_of(terms[j], n)
            else:
                for b in range(n):
                    total[b] += h[k, b]
        if gradient is not None:
            for k in range(classes):
                slope_of_class(
                    h[k], exps[k], inverse, total, predictions[item, k, start : start + n], top,
                    gradient[item, k, start : start + n], of_others,
                )  # fmt: skip
            for k in range(classes):
                slope_in_front(
                    predictions[item, k, start : start + n], top, ties, of_others, gradient[item, k, start : start + n]
                )
