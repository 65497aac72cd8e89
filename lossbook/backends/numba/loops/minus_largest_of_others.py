"""Rows of logits minus the largest of the others: how far a class is ahead of it."""

import numpy as np
from numba.extending import register_jitable

from .kernel import real
from .sums import present

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# Arrays for a tile: the largest logit, how many tie with it, the largest behind the top, and how many tie with that.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def room_of_rivals(classes, size):
    return np.empty(size, real), np.empty(size, real), np.empty((1, size), real), np.empty((1, size), real)


# What the classes of n rows compete with; exps holds the logits.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def compete(exps, top, ties, second, seconds, n):
    classes, runner_up, runners_up = exps.shape[0], second[0], seconds[0]
    for b in range(n):
        top[b], ties[b], runner_up[b], runners_up[b] = -real(np.inf), real(0), -real(np.inf), real(0)
    for k in range(classes):
        for b in range(n):  # a NaN stays in front
            top[b] = exps[k, b] if (exps[k, b] > top[b]) | (exps[k, b] != exps[k, b]) else top[b]
    for k in range(classes):
        for b in range(n):
            ties[b] += real(1) if exps[k, b] == top[b] else real(0)
            follows = (exps[k, b] < top[b]) & (exps[k, b] > runner_up[b])
            runner_up[b] = exps[k, b] if follows else runner_up[b]
    for k in range(classes):
        for b in range(n):
            runners_up[b] += real(1) if exps[k, b] == runner_up[b] else real(0)
    for b in range(n):
        ties[b] = ties[b] if top[b] == top[b] else top[b]


LOGITS_STAY = True  # whether exps still holds the logits


# The largest among the rivals of a class, and how many tie with it: behind a class alone in front, the second.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def facing(logit, top, ties, runner_up, runners_up):
    largest = logit == top
    alone = largest & (ties == real(1))
    return runner_up if alone else top, runners_up if alone else ties - (real(1) if largest else real(0))


# How many rivals share what a class takes from them.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def rest_of(exps, ties, others, largest):
    return ties


# The logit of a class minus that of the largest rival, which is `own`.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def along(own, rest):
    return own


# With a label: the slope of a class that pulls on its largest rivals by `pull`.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def pulled_by_label(logit, top, pull):
    return real(0) if logit < top else pull


# With a label: the slope of a class, the labeled one or another.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def slope_beside_label(is_label, left, pulled, top):
    return left if is_label & (top == top) else pulled


# With shares: the slope that is left to a class, once all classes have pulled on their rivals.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def slope_left(logit, exps, slope, pull, top, ties, runner_up, of_top, of_rest):
    largest = logit == top
    alone = largest & (ties == real(1))
    in_front = of_rest + present(not alone, of_top - pull)
    taken = in_front if largest else present((ties == real(1)) & (logit == runner_up), of_top)
    return slope - taken if top == top else top
