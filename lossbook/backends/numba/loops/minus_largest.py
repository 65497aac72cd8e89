"""Rows of logits minus the largest: how far a class is behind it."""

import numpy as np
from numba.extending import register_jitable

from .kernel import real
from .sums import present

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# Arrays for a tile: the largest logit and how many tie with it; nothing else is needed of the other classes.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def room_of_rivals(classes, size):
    none = np.empty((1, size), real)
    return np.empty(size, real), np.empty(size, real), none, none


# What the classes of n rows compete with; exps holds the logits, and then 1 for the largest and 0 for others.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def compete(exps, top, ties, others, more, n):
    classes = exps.shape[0]
    for b in range(n):
        top[b], ties[b] = -real(np.inf), real(0)
    for k in range(classes):
        for b in range(n):  # a NaN stays in front
            top[b] = exps[k, b] if (exps[k, b] > top[b]) | (exps[k, b] != exps[k, b]) else top[b]
    for k in range(classes):
        for b in range(n):
            one = real(1) if exps[k, b] == top[b] else real(0)
            exps[k, b] = one if top[b] == top[b] else top[b]
            ties[b] += exps[k, b]


LOGITS_STAY = False  # whether exps still holds the logits


# The largest among the rivals of a class, and how many tie with it: the class itself counts with them.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def facing(logit, top, ties, others, more):
    return top, ties


# How many rivals share what a class takes from them.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def rest_of(exps, ties, others, largest):
    return ties


# The logit of a class minus the largest, which is `own`.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def along(own, rest):
    return own


# With a label: the slope of a class that pulls on its rivals by `pull`, if they are in front.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def pulled_by_label(exps, top, pull):
    return present(pull, pull * exps)


# With a label: the slope of a class, the labeled one or another; the labeled one may be its own rival.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def slope_beside_label(is_label, left, pulled, top):
    return pulled + (left if is_label else real(0))


# With shares: the slope that is left to a class, once all classes have pulled on their rivals. One alone in front has
# no lead: what it gains as itself, it loses as its own rival.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def slope_left(logit, exps, slope, pull, top, ties, others, of_top, of_rest):
    taken = of_rest + (of_top - pull)
    return slope - pull - taken if logit == top else slope if top == top else top
