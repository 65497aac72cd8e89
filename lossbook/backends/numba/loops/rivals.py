"""Rows whose classes compete: what the loops for labels and for shares have in common.

What the classes compete for (log-odds, or a lead over the largest or over the others) stands in a file of its own,
which is chosen.
"""

from numba.extending import register_jitable

from .kernel import real
from .log_odds import facing, rest_of  # or from .minus_largest, or from .minus_largest_of_others

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# The predictions of a tile, with the classes first, so that every inner loop runs along the rows and is vectorized.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def read_tile(predictions, item, start, n, exps):
    _, classes, inner = predictions.shape
    if inner == 1:
        for b in range(n):
            for k in range(classes):
                exps[k, b] = predictions[item + b, k, 0]
    else:
        for k in range(classes):
            logits = predictions[item, k, start : start + n]
            for b in range(n):
                exps[k, b] = logits[b]


# The largest rival of a class, how far its logit is ahead of that, and what its rivals are together.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def standing(logit, exps, top, ties, others, more):
    rival, tied = facing(logit, top, ties, others, more)
    largest = logit == rival
    own = real(0) if largest else logit - rival
    return rival, own, rest_of(exps, tied, others, largest)


# The slope of a class per unit of its rivals' exponentials; a class without slope takes nothing, even from a NaN.
@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)
def pull_of(slope, rest):
    return type(slope)(0) if (rest == real(0)) | (slope == type(slope)(0)) else slope / rest
