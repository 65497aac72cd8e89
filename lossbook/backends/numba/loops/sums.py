"""What every loop adds with: counts, sums, and what weighs nothing."""

import numpy as np
from numba.extending import register_jitable

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# Adds to a count, or to a part of a longer sum: all that may be added in another order than the one written.
@register_jitable(error_model="numpy", fastmath={"reassoc", "nsz"}, forceinline=True, no_cfunc_wrapper=True)
def tally(count, more):
    return count + more


# x, and 0 where the weight w is 0: what weighs nothing is not there, even if it is NaN.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def present(w, x):
    return type(x)(0) if w == 0 else x


# The sum of the first n numbers in float64; of numbers that are float64 themselves by 1024, which rounds little: for
# these, if n is more, there is room for a multiple.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def total_of(values, n):
    whole = 0.0
    if (values.itemsize < 8) | (n <= 1024):
        for i in range(n):
            whole = tally(whole, np.float64(values[i]))
        return whole
    count = (n + 1023) // 1024
    for i in range(n, 1024 * count):
        values[i] = 0
    pieces = values.reshape(values.size // 1024, 1024)
    for some in range(count):
        total = 0.0
        for i in range(1024):
            total = tally(total, np.float64(pieces[some, i]))
        whole += total
    return whole
