"""Sums of numbers that nearly cancel."""

from numba.extending import register_jitable

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# Adds x to high + low, which together have twice the digits of a float64.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def plus(high, low, x):
    total = high + x
    back = total - high
    return total, low + ((high - (total - back)) + (x - back))


# The sum itself; low is NaN where the sum is infinite.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def settled(high, low):
    return high + low if low == low else high
