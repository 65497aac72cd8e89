"""Sums over many classes, in lanes that are added by halves."""

from numba import njit

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# Adds lane to lane, by halves, for n rows side by side: the sum stands in the first lane.
@njit(nogil=True, error_model="numpy", fastmath={"nsz"})
def fold_lanes(lanes, n):
    half = lanes.shape[0] // 2
    while half > 0:
        for lane in range(half):
            here, there = lanes[lane], lanes[lane + half]
            for b in range(n):
                here[b] += there[b]
        half //= 2
