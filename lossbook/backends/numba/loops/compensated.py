"""Sums of numbers that nearly cancel."""

from numba import njit

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# Adds x to high + low, which together have twice the digits of a float64.
@njit(nogil=True, error_model="numpy", fastmath={"nsz"}, forceinline=True)
def plus(high, low, x):
    total = high + x
    back = total - high
    return total, low + ((high - (total - back)) + (x - back))


# The sum itself; low is NaN where the sum is infinite.
@njit(nogil=True, error_model="numpy", fastmath={"nsz"}, forceinline=True)
def settled(high, low):
    return high + low if low == low else high
