"""Blocks of elements of which each has parameters of its own, those of its class."""

import numpy as np
from numba import njit
from numba.extending import register_jitable

from .kernel import BLOCK, allowed, evaluate, numbers_of, real
from .sums import present, tally, total_of

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# The loop over the elements of a block stands in a function of its own: there LLVM keeps its constants in registers.
@register_jitable(error_model="numpy", fastmath={"nsz"}, no_cfunc_wrapper=True)
def one_block(predictions, targets, weight, parameters, factor, gradient, value):
    broken = real(0)
    for i in range(predictions.size):
        z = predictions[i]
        w = real(1)
        if weight is not None:
            w = np.float64(weight[i])
            broken = tally(broken, real(0) if (w >= 0.0) & (w < np.inf) else real(1))
        if targets is None:
            y = None
        else:
            y = targets[i]
        value_i, slope = evaluate(z, y, parameters, i)
        broken = tally(broken, real(0) if allowed(z, y) | (w == 0) else real(1))
        value[i] = present(w, w * value_i)
        if gradient is not None:
            gradient[i] = present(w, (w * factor) * slope)
    return broken


@njit(nogil=True, error_model="numpy", fastmath={"nsz"})
def loops(predictions, targets, kind, weight, ignore, parameters, slopes, values, gradient, sums, first, last):
    _, _, inner = predictions.shape
    value = np.empty(BLOCK, kind.dtype)  # float64 where there are weights, so that products round once
    factor = kind.dtype.type(slopes[0, 0, 0])
    for block in range(first, last):
        start = block * BLOCK
        stop = min(start + BLOCK, inner)
        if targets is None:
            targets_here = None
        else:
            targets_here = targets[0, 0, start:stop]
        if weight is None:
            weight_here = None
        else:
            weight_here = weight[0, 0, start:stop]
        if gradient is None:
            gradient_here = None
        else:
            gradient_here = gradient[0, 0, start:stop]
        sums[block, 1] = one_block(
            predictions[0, 0, start:stop], targets_here, weight_here, numbers_of(parameters, start, stop), factor,
            gradient_here, value,
        )  # fmt: skip
        if values.size > 0:
            for i in range(stop - start):
                values[0, 0, start + i] = value[i]
        sums[block, 0] = total_of(value, stop - start)
