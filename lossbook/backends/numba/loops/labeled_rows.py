"""Rows whose classes compete, where only the labeled class enters."""

import numpy as np
from numba import njit
from numba.extending import register_jitable

from .kernel import evaluate, real
from .labels import read_labels, weigh_labels
from .log_odds import (  # or from .minus_largest, or from .minus_largest_of_others
    along,
    compete,
    pulled_by_label,
    room_of_rivals,
    slope_beside_label,
)
from .rivals import pull_of, read_tile, standing
from .sums import present, total_of
from .tiles import hand_out, tile_at, weigh

# --- below this line: part of a kernel -------------------------------------------------------------------------------


# The labeled classes of a tile, in a function of its own: there LLVM keeps its constants in registers. Own becomes the
# slope of the class's logit, and rest what its rivals take from it for each unit of their exponentials.
@register_jitable(error_model="numpy", fastmath={"nsz"}, no_cfunc_wrapper=True)
def side_by_side(own, rest, w, parameters, factor, value):
    for b in range(own.size):
        value_b, slope_b = evaluate(along(own[b], rest[b]), parameters)
        value[b] = present(w[b], w[b] * value_b)
        own[b] = present(w[b], (w[b] * factor) * slope_b)
        rest[b] = -pull_of(own[b], rest[b])


@njit(nogil=True, error_model="numpy", fastmath={"nsz"})
def loops(
    predictions, targets, kind, weight, class_weight, ignore, parameters, scale, size, values, gradient, sums, first,
    last,
):  # fmt: skip
    outer, classes, inner = predictions.shape
    # Products with weights are rounded once, when they are stored: where there are any, `kind` is float64.
    w, value, factor = np.empty(size, kind.dtype), np.empty(size + -size % 1024, kind.dtype), kind.dtype.type(scale)
    exps = np.empty((classes, size), real)
    top, ties, of_others, of_more = room_of_rivals(classes, size)
    others, more = of_others[0], of_more[0]
    own, rest, label = np.empty(size, real), np.empty(size, real), np.empty(size, np.uint32)
    for block in range(first, last):
        item, start, n = tile_at(block, size, outer, inner)
        first_row = item * inner + start
        read_tile(predictions, item, start, n, exps)
        broken = weigh(weight, first_row, n, w)
        broken += read_labels(targets, ignore, classes, first_row, n, w, label)
        weigh_labels(class_weight, label, n, w)
        compete(exps, top, ties, of_others, of_more, n)
        # the labeled class: fetched row by row, then worked on side by side
        if inner == 1:
            for b in range(n):
                own[b], rest[b] = predictions[item + b, label[b], 0], exps[label[b], b]
        else:
            for b in range(n):
                rest[b] = exps[label[b], b]
            for k in range(classes):
                logits, this = predictions[item, k, start : start + n], np.uint32(k)
                for b in range(n):
                    z, other = logits[b], own[b]
                    own[b] = z if label[b] == this else other
        for b in range(n):
            top[b], own[b], rest[b] = standing(own[b], rest[b], top[b], ties[b], others[b], more[b])
        side_by_side(own[:n], rest[:n], w[:n], parameters, factor, value[:n])
        if gradient is not None:
            if inner == 1:
                for b in range(n):
                    for k in range(classes):
                        gradient[item + b, k, 0] = pulled_by_label(exps[k, b], top[b], rest[b])
                    pulled = gradient[item + b, label[b], 0]
                    gradient[item + b, label[b], 0] = slope_beside_label(True, own[b], pulled, top[b])
            else:
                for k in range(classes):
                    slopes, this = gradient[item, k, start : start + n], np.uint32(k)
                    for b in range(n):
                        pulled, left = pulled_by_label(exps[k, b], top[b], rest[b]), own[b]
                        slopes[b] = slope_beside_label(label[b] == this, left, pulled, top[b])
        hand_out(value, first_row, n, values)
        sums[block, 0] = total_of(value, n)
        sums[block, 1] = broken
