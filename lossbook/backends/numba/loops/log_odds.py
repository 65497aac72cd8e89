"""Rows of log-odds: how far a class is ahead of all others together."""

import numpy as np
from numba.extending import register_jitable

from ..words import absolute, exp, log
from .kernel import WIDE, real
from .lanes import fold_lanes
from .sums import present

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# Arrays for a tile: the largest logit, how many tie with it, the sum of all other exponentials, and parts of that sum.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def room_of_rivals(classes, size):
    lanes = 16 if classes >= WIDE else 1  # many classes are added in lanes
    return np.empty(size, real), np.empty(size, real), np.empty((lanes, size)), np.empty((lanes, size), real)


# What the classes of n rows compete with; exps holds the logits, and then exp(logit - largest logit).
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def compete(exps, top, ties, others_of, part, n):
    classes, lanes = exps.shape[0], part.shape[0]
    group = 256 if classes >= WIDE else 16
    for b in range(n):
        top[b], ties[b] = -real(np.inf), real(0)
    for k in range(classes):
        for b in range(n):
            top[b] = exps[k, b] if exps[k, b] > top[b] else top[b]
    others_of[:] = 0
    for some in range(0, classes, group):  # sixteen exponentials at a time in each lane, then in float64
        part[:] = 0
        for k in range(some, min(some + group, classes)):
            part_here = part[k % lanes]
            for b in range(n):
                largest = exps[k, b] == top[b]  # so that infinite logits give their limit, and NaN stays NaN
                e = exp(-absolute(real(0) if largest else exps[k, b] - top[b]))
                one = real(1) if largest else real(0)
                exps[k, b] = e
                ties[b] += one
                part_here[b] += real(0) if largest else e
        for lane in range(lanes):
            others_here, part_here = others_of[lane], part[lane]
            for b in range(n):
                others_here[b] += part_here[b]
    fold_lanes(others_of, n)


LOGITS_STAY = False  # whether exps still holds the logits


# The largest among the rivals of a class, and how many tie with it: the class itself counts with them.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def facing(logit, top, ties, others, part):
    return top, ties


# The sum of the exponentials of all classes but one: the largest is left out exactly, never subtracted.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def rest_of(exps, ties, others, largest):
    return real(others + (ties - real(1)) if largest else others + (ties - exps))


# The log-odds of a class, whose logit is `own` ahead of the largest.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def along(own, rest):
    return own - log(rest)


# With a label: the slope of a class that pulls on its rivals by `pull` for each unit of their exponentials.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def pulled_by_label(exps, top, pull):
    return present(pull, pull * exps)


# With a label: the slope of a class, the labeled one or another.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def slope_beside_label(is_label, left, pulled, top):
    return left if is_label else pulled


# With shares: the slope that is left to a class, once all classes have pulled on their rivals.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def slope_left(logit, exps, slope, pull, top, ties, others, of_top, of_rest):
    pull = of_rest + (of_top - pull) if logit == top else of_top + (of_rest - pull)
    return slope - exps * pull
