"""Sums over many classes, in lanes that are added by halves."""

from numba.extending import register_jitable

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# Adds lane to lane, by halves, for n rows side by side: the sum stands in the first lane.
@register_jitable(error_model="numpy", fastmath={"nsz"}, no_cfunc_wrapper=True)
def fold_lanes(lanes, n):
    half = lanes.shape[0] // 2
    while half > 0:
        for lane in range(half):
            here, there = lanes[lane], lanes[lane + half]
            for b in range(n):
                here[b] += there[b]
        half //= 2
