"""Blocks of elements that follow one another in memory: losses of elements, and the totals of images and classes."""

import numpy as np
from numba import njit
from numba.extending import register_jitable

from .kernel import BLOCK, LABELS, TERMS, TOTALS, allowed, evaluate, real, slopes_of, store
from .sums import present, tally, total_of

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# The loop over the elements of a block stands in a function of its own: there LLVM keeps its constants in registers.
# The slope of a loss of totals needs the totals of all blocks: one pass sums and checks, another one differentiates.
@register_jitable(error_model="numpy", fastmath={"nsz"}, no_cfunc_wrapper=True)
def one_block(predictions, targets, weight, ignore, classes, channel, parameters, factor, d_totals, gradient, terms):
    broken = real(0)
    for i in range(predictions.size):
        z = predictions[i]
        w = real(1)
        if weight is not None:
            w = np.float64(weight[i])
            broken = tally(broken, real(0) if (w >= 0.0) & (w < np.inf) else real(1))
        if targets is None:
            y = None
        elif LABELS:
            index = targets[i]
            if ignore is not None:
                w = present(index != ignore, w)
            valid = (index >= 0) & (index < classes) | (w == 0)
            broken = tally(broken, real(0) if valid else real(1))
            y = real(1) if index == channel else real(0)
        else:
            y = targets[i]
        added, slope = evaluate(z, y, parameters, d_totals)
        if gradient is None or not TOTALS:
            broken = tally(broken, real(0) if allowed(z, y) | (w == 0) else real(1))
            store(terms, i, w, added)
        if gradient is not None:
            gradient[i] = present(w, w * slope if TOTALS else (w * factor) * slope)
    return broken


@njit(nogil=True, error_model="numpy", fastmath={"nsz"})
def loops(predictions, targets, kind, weight, ignore, parameters, slopes, values, gradient, sums, first, last):
    _, classes, inner = predictions.shape
    per_group = (inner + BLOCK - 1) // BLOCK
    terms = np.empty((TERMS, BLOCK), kind.dtype)  # float64 where there are weights, so that products round once
    for block in range(first, last):
        group, start = block // per_group, block % per_group * BLOCK
        item, channel = group // classes, group % classes
        stop = min(start + BLOCK, inner)
        if targets is None:
            targets_here = None
        else:
            targets_here = targets[item, 0 if LABELS else channel, start:stop]
        if weight is None:
            weight_here = None
        else:
            weight_here = weight[item, channel % weight.shape[1], start:stop]
        if gradient is None:
            gradient_here = None
        else:
            gradient_here = gradient[item, channel, start:stop]
        factor = kind.dtype.type(slopes[item, channel, 0])
        sums[block, TERMS] = one_block(
            predictions[item, channel, start:stop], targets_here, weight_here, ignore, classes, channel,
            parameters, factor, slopes_of(slopes[item, channel]), gradient_here, terms,
        )  # fmt: skip
        if values.size > 0:
            values_here = values[item, channel, start:stop]
            for i in range(stop - start):
                values_here[i] = terms[0, i]
        if gradient is None or not TOTALS:
            for j in range(TERMS):  # in float64, and apart, so that the loop above keeps its full vector width
                sums[block, j] = total_of(terms[j], stop - start)
