"""What the loops over rows and over boxes share: a tile of rows that follow one another, and their weights."""

import numpy as np
from numba.extending import register_jitable

from .kernel import real
from .sums import tally

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# Where a tile begins, and how many rows it has; contiguous rows (inner == 1) follow one another along the first axis.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def tile_at(block, size, outer, inner):
    if inner == 1:
        item = block * size
        return item, 0, min(size, outer - item)
    per_item = (inner + size - 1) // size
    start = block % per_item * size
    return block // per_item, start, min(size, inner - start)


# The weights of n rows, 1 if there are none, and how many of them break the rule.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def weigh(weight, first_row, n, w):
    broken = real(0)
    w[:] = 1
    if weight.size > 0:
        weight_here = weight.reshape(-1)[first_row : first_row + n]
        for b in range(n):
            w[b] = weight_here[b]
            broken = tally(broken, real(0) if (w[b] >= 0.0) & (w[b] < np.inf) else real(1))
    return broken


# Hands out the values of n rows, if anyone wants them.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def hand_out(value, first_row, n, values):
    if values.size > 0:
        values_here = values.reshape(-1)[first_row : first_row + n]
        for b in range(n):
            values_here[b] = value[b]
