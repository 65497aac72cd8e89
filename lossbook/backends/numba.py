"""Numba: one fused pass, compiled and vectorized, for value and gradient.

    print(source(plan, np.float32))      the file that runs, readable from top to bottom

A kernel holds no lock, so the threads of `host` run it on ranges of blocks. Weights and gradients that a call
does without are None, which Numba takes for another type and compiles away.
"""

import hashlib
import importlib.util
import re
import sys
import types
from dataclasses import replace
from functools import cache
from string import Template

import numpy as np

from lossbook import kernels
from lossbook.backends import host, imported
from lossbook.backends import numpy as numpy_backend
from lossbook.backends.spelling import Spelling, literal
from lossbook.words import SPELLED

xp = np
BLOCK = 1 << 12  # elements of a block, and of the scratch tile of a row loss: small enough for the first cache
WIDE = 32  # from this many classes on, contiguous rows are vectorized along themselves

HEAD = Template('''\
"""$name on Numba, $real. Written by lossbook from the formula: change that, not this file."""

import numpy as np
from numba import njit
from numpy import $real as real

from lossbook.backends.numba_words import $words

BLOCK = $block  # each block has sums of its own, so that the number of threads cannot change the result


# $comment
# Products and sums are not contracted here, so that a value has the same bits with and without the gradient.
@njit(nogil=True, error_model="numpy", fastmath={"nsz"}, forceinline=True)
def element($inputs):
$lines    return $results


# Adds to a count, or to a part of a longer sum: all that may be added in another order than the one written.
@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "nsz"}, forceinline=True)
def tally(count, more):
    return count + more


# x, and 0 where the weight w is 0: what weighs nothing is not there, even if it is NaN.
@njit(nogil=True, error_model="numpy", fastmath={"nsz"}, forceinline=True)
def present(w, x):
    return type(x)(0) if w == 0 else x


# The sum of the first n numbers in float64; of numbers that are float64 themselves by 1024, which rounds little: for
# these, if n is more, there is room for a multiple.
@njit(nogil=True, error_model="numpy", fastmath={"nsz"}, forceinline=True)
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


''')

COMPENSATED = """\
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


"""
FOLD_LANES = """\
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


"""

# The lanes are folded in the order of FOLD_LANES, written out: its loop over the rows costs more than the sum of one.
LONG_ROW = """\
# The sum over the classes of a contiguous row, in the order of rows that stand side by side; terms are overwritten.
@njit(nogil=True, error_model="numpy", fastmath={"nsz"}, forceinline=True)
def sum_in_lanes(terms, lanes):
    for lane in range(16):
        lanes[lane] = 0
    for some in range(0, terms.size, 256):
        here = terms[some : some + 256]
        whole = here.size // 16 * 16
        for first in range(16, whole, 16):
            for lane in range(16):
                here[lane] += here[first + lane]
        for j in range(max(whole, 16), here.size):
            here[j - whole] += here[j]
        for lane in range(min(16, here.size)):
            lanes[lane] += here[lane]
    for lane in range(8):
        lanes[lane] += lanes[lane + 8]
    for lane in range(4):
        lanes[lane] += lanes[lane + 4]
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])


"""

OF_ROW = Template("""\
# What is added once per row and its slope along the logsumexp of the row.
@njit(nogil=True, error_model="numpy", fastmath={"nsz"}, forceinline=True)
def of_row($inputs):
$lines    return $results


""")

REST = """\
# The sum of the exponentials of all classes but one: the largest is left out exactly, never subtracted.
@njit(nogil=True, error_model="numpy", fastmath={"nsz"}, forceinline=True)
def rest_of_row(others, ties, exps, largest):
    return real(others + (ties - real(1)) if largest else others + (ties - exps))


# The slope of a class per unit of its rivals' exponentials; a class without slope takes nothing, even from a NaN.
@njit(nogil=True, error_model="numpy", fastmath={"nsz"}, forceinline=True)
def pull_of(slope, rest):
    return type(slope)(0) if (rest == real(0)) | (slope == type(slope)(0)) else slope / rest


"""

LOOPS = '@njit(nogil=True, error_model="numpy", fastmath={"nsz"})\n'

# The loop over the elements of a block stands in a function of its own: there LLVM keeps its constants in registers.
SWEEP = Template("""\
def one_block(predictions, targets, weight, ignore, classes, channel, $passed gradient, terms):
    broken = real(0)
    for i in range(predictions.size):
        $z = predictions[i]
        w = real(1)
        if weight is not None:
            w = np.float64(weight[i])
            broken = tally(broken, real(0) if (w >= 0.0) & (w < np.inf) else real(1))
$target$checks        $results = element($call)
$stores        if gradient is not None:
            gradient[i] = present(w, $slope)
    return broken


$loops
def loops(predictions, targets, kind, weight, ignore, parameters, slopes, values, gradient, sums, first, last):
$unpack    outer, classes, inner = predictions.shape
    per_group = (inner + BLOCK - 1) // BLOCK
    terms = np.empty(($columns, BLOCK), kind.dtype)  # float64 where there are weights, so that products round once
    for block in range(first, last):
        group, start = block // per_group, block % per_group * BLOCK
        item, channel = group // classes, group % classes
        stop = min(start + BLOCK, inner)
$targets_here        if weight is None:
            weight_here = None
        else:
            weight_here = weight[item, channel % weight.shape[1], start:stop]
        if gradient is None:
            gradient_here = None
        else:
            gradient_here = gradient[item, channel, start:stop]
$slopes_here        sums[block, $columns] = one_block(
            predictions[item, channel, start:stop], targets_here, weight_here, ignore, classes, channel,
            $passed gradient_here, terms,
        )
        if values.size > 0:
            values_here = values[item, channel, start:stop]
            for i in range(stop - start):
                values_here[i] = terms[0, i]
$sum_terms""")

# The loop over pixels under a softmax: tiles of pixels with all their classes. Each step is a short loop over few
# arrays, since LLVM gives up on a loop with many that might overlap.
SOFTMAX_SWEEP = Template("""\
def one_class(exps, rest, inverse, $of_log_odds targets, weight, ignore, classes, channel, $passed h, terms):
    broken = real(0)
    for i in range(exps.size):
        w = real(1)
        if weight is not None:
            w = np.float64(weight[i])
            broken = tally(broken, real(0) if (w >= 0.0) & (w < np.inf) else real(1))
$target        probability, complement = exps[i] * inverse[i], rest[i] * inverse[i]
$standing        $results = element($call)
        if h is None:
$stores        else:
            h[i] = present(w, w * $slope)
    return broken


# The slope along a logit: h - p*(the sum of h). Of a class in front, alone, where this would cancel, it is what the
# slopes of all others lack to 0.
$loops
def slope_of_class(h, exps, inverse, total, logits, top, slope, others):
    for i in range(logits.size):
        slope[i] = h[i] - present(total[i], total[i] * (exps[i] * inverse[i]))
    for i in range(logits.size):
        others[i] += real(0) if logits[i] == top[i] else slope[i]


$loops
def slope_in_front(logits, top, ties, others, slope):
    for i in range(logits.size):
        slope[i] = -others[i] if (logits[i] == top[i]) & (ties[i] == real(1)) else slope[i]


$loops
def loops(predictions, targets, kind, weight, ignore, parameters, slopes, size, values, gradient, sums, first, last):
$unpack    outer, classes, inner = predictions.shape
    per_item = (inner + size - 1) // size
    exps = np.empty((classes, size), real)  # the predictions of a tile, then exp(logit - largest logit)
    top, ties, others = np.empty(size, real), np.empty(size, real), np.empty(size)
    below, inverse, rest = np.empty(size, real), np.empty(size, real), np.empty(size, real)
    h, total, of_others = np.empty((classes, size), kind.dtype), np.empty(size, kind.dtype), np.empty(size, kind.dtype)
    terms = np.empty(($columns, size + -size % 1024), kind.dtype)  # float64 where there are weights
    for block in range(first, last):
        item, tile = block // per_item, block % per_item
        start = tile * size
        n = min(size, inner - start)
        for b in range(n):
            top[b], ties[b], below[b], others[b] = -real(np.inf), real(0), real(0), 0.0
        for k in range(classes):
            logits = predictions[item, k, start : start + n]
            for b in range(n):
                exps[k, b] = logits[b]
                top[b] = logits[b] if logits[b] > top[b] else top[b]
        for k in range(classes):
            for b in range(n):
                largest = exps[k, b] == top[b]  # so that infinite logits give their limit, and NaN stays NaN
                e = exp(-absolute(real(0) if largest else exps[k, b] - top[b]))
                exps[k, b] = e
                ties[b] += real(1) if largest else real(0)
                below[b] += real(0) if largest else e
            if classes > 16 and (k % 16 == 15 or k == classes - 1):  # sixteen exponentials at a time, then in float64
                for b in range(n):
                    others[b] += below[b]
                for b in range(n):
                    below[b] = real(others[b]) if k == classes - 1 else real(0)
        for b in range(n):
            inverse[b] = real(1) / (below[b] + ties[b])
        for b in range(n):
            total[b], of_others[b] = 0, 0
        for k in range(classes):
            for b in range(n):  # the exponentials of those in front are 1, so that in this order nothing cancels
                rest[b] = below[b] + (ties[b] - exps[k, b])
            if weight is None:
                weight_here = None
            else:
                weight_here = weight[item, k % weight.shape[1], start : start + n]
            if gradient is None:
                h_here = None
            else:
                h_here = h[k, :n]
            logits = predictions[item, k, start : start + n]
$slopes_here            sums[item, k, tile, $columns] = one_class(
                exps[k, :n], rest, inverse, $of_log_odds targets[item, $row, start : start + n], weight_here,
                ignore, classes, k, $passed h_here, terms,
            )
            if gradient is None:
                for j in range($columns):
                    sums[item, k, tile, j] = total_of(terms[j], n)
            else:
                for b in range(n):
                    total[b] += h[k, b]
        if gradient is not None:
            for k in range(classes):
                slope_of_class(
                    h[k], exps[k], inverse, total, predictions[item, k, start : start + n], top,
                    gradient[item, k, start : start + n], of_others,
                )
            for k in range(classes):
                slope_in_front(
                    predictions[item, k, start : start + n], top, ties, of_others, gradient[item, k, start : start + n]
                )
""")

# What the loops over rows and boxes share: a tile of rows that follow one another, their weights, what leaves a block.
OVER_ROWS = """\
def loops(
    predictions, targets, kind, weight, class_weight, ignore, parameters, scale, size, values, gradient, sums, first,
    last,
):
"""
# Where there are weights, `kind` is an array of float64: products with them are rounded once, when they are stored.
WEIGHTED = """\
    room = size + -size % 1024
    w, value, factor = np.empty(size, kind.dtype), np.empty(room, kind.dtype), kind.dtype.type(scale)
"""
TILE = """\
        if inner == 1:
            item, start = block * size, 0
            n = min(size, outer - item)
        else:
            item, start = block // per_item, block % per_item * size
            n = min(size, inner - start)
        broken = real(0)
"""
WEIGHTS = """\
        first_row = item * inner + start
        w[:] = 1
        if weight is not None:
            weight_here = weight.reshape(-1)[first_row : first_row + n]
            for b in range(n):
                w[b] = weight_here[b]
                broken = tally(broken, real(0) if (w[b] >= 0.0) & (w[b] < np.inf) else real(1))
"""
VALUES = """\
        if values.size > 0:
            values_here = values.reshape(-1)[first_row : first_row + n]
            for b in range(n):
                values_here[b] = value[b]
"""
SUMS = """\
        sums[block, 0] = total_of(value, n)
        sums[block, 1] = broken
"""

# Rows, with the classes of a tile first, so that every inner loop runs along the rows and is vectorized.
ROWS = Template(f"""\
{OVER_ROWS}$unpack    outer, classes, inner = predictions.shape
    per_item = (inner + size - 1) // size
{WEIGHTED}    exps = np.empty((classes, size), real)  # the predictions of a tile$then
$scratch    for block in range(first, last):
{TILE}        if inner == 1:
            for b in range(n):
                for k in range(classes):
                    exps[k, b] = predictions[item + b, k, 0]
        else:
            for k in range(classes):
                logits = predictions[item, k, start : start + n]
                for b in range(n):
                    exps[k, b] = logits[b]
{WEIGHTS}$label$rivals$body{VALUES}{SUMS}""")

BOXES = Template(f"""\
{OVER_ROWS}$unpack    outer, corners, inner = predictions.shape
    per_item = (inner + size - 1) // size
{WEIGHTED}    for block in range(first, last):
{TILE}{WEIGHTS}        for b in range(n):
            i, j = (item + b, 0) if inner == 1 else (item, start + b)
            w_b = w[b]
$load$checks            $results = element($call)
            value[b] = present(w_b, w_b * value_b)
            if gradient is not None:
$store{VALUES}{SUMS}""")

# Rows whose classes do not compete: in the order of the memory, whichever axis that is.
ENTRIES = Template(f"""\
{OVER_ROWS}$unpack    outer, classes, inner = predictions.shape
    per_item = (inner + size - 1) // size
{WEIGHTED}$scratch    for block in range(first, last):
{TILE}{WEIGHTS}$label$body{VALUES}{SUMS}""")

HARD_ENTRIES = Template("""\
        # the labeled class, and how many entries of a row are NaN
        if inner == 1:
            for b in range(n):
                odd, row, w_b = real(0), in_rows[item + b], w[b]
                for k in range(classes):
                    $name = row[k]
                    odd = tally(odd, real(0) if $usual else real(1))
                lost[b] = 0
                if odd > 0:
                    for k in range(classes):
                        $name, of_class = row[k], real(1)
                        if class_weight is not None:
                            of_class = class_weight[k]
                        lost[b] += real(0) if ($name == $name) | (of_class == 0) else real(1)
$check_1                own[b] = row[label[b]]
        else:
            lost[:] = 0
            for k in range(classes):
                entries, this, of_class = predictions[item, k, start : start + n], np.uint32(k), real(1)
                if class_weight is not None:
                    of_class = class_weight[k]
                for b in range(n):
                    $name, other, w_b = entries[b], own[b], w[b]
                    own[b] = $name if label[b] == this else other
                    lost[b] += real(0) if ($name == $name) | (of_class == 0) else real(1)
$check_k        side_by_side(own[:n], lost[:n], w[:n], ${passed}factor, value[:n])
        if gradient is not None:
            if inner == 1:
                slopes_of = gradient.reshape(outer * inner, classes)
                for b in range(n):
                    slopes, row = slopes_of[item + b], in_rows[item + b]
                    for k in range(classes):
                        slopes[k] = real(0)
                    if lost[b] > 0 and w[b] != 0:
                        for k in range(classes):
                            of_class = real(1)
                            if class_weight is not None:
                                of_class = class_weight[k]
                            slopes[k] = real(0) if (row[k] == row[k]) | (of_class == 0) else row[k]
                    slopes[label[b]] = own[b]
            else:
                for k in range(classes):
                    slopes, this = gradient[item, k, start : start + n], np.uint32(k)
                    entries, of_class = predictions[item, k, start : start + n], real(1)
                    if class_weight is not None:
                        of_class = class_weight[k]
                    for b in range(n):
                        left, entry = own[b], entries[b]
                        zero = real(0) if (entry == entry) | (w[b] * of_class == 0) else entry
                        slopes[b] = left if label[b] == this else zero
""")
# The labeled classes of a tile, in a function of its own as `one_block`; own becomes the slope.
ENTRIES_SIDE_BY_SIDE = Template("""\
def side_by_side(own, lost, w, ${passed}factor, value):
    for b in range(own.size):
        value_b, slope_b = element($call)
        value_b = value_b if lost[b] == real(0) else real(np.nan)
        value[b] = present(w[b], w[b] * value_b)
        own[b] = present(w[b], (w[b] * factor) * slope_b)


$loops
""")

SOFT_ENTRIES = Template("""\
        # every class, and its share $y of the target
        if inner == 1:  # contiguous rows, run through as one
            here = slice(first_row * classes, (first_row + n) * classes)
            entries = predictions.reshape(-1)[here]
$shares_of_rows            for b in range(n):
                for k in range(classes):
                    of_class = real(1)
                    if class_weight is not None:
                        of_class = class_weight[k]
                    w_of[b * classes + k] = w[b] * of_class
$share_of_label            if gradient is not None:
                slopes = gradient.reshape(-1)[here]
            for i in range(n * classes):
                u, $y, w_k = entries[i], shares[i], w_of[i]
$checks_0                value_k, slope_k = element($call)
                terms[i] = value_k
                if gradient is not None:
                    slopes[i] = present(w_k, (w_k * factor) * slope_k)
            for b in range(n):
                row, total = terms[b * classes : (b + 1) * classes], 0.0
                if class_weight is not None:
                    for k in range(classes):
                        row[k] = present(class_weight[k], class_weight[k] * row[k])
                if lanes > 1:
                    total = sum_in_lanes(row, lanes_of_row)
                else:
                    for some in range(0, classes, group):
                        of_group = value.dtype.type(0)
                        for k in range(some, min(some + group, classes)):
                            of_group += row[k]
                        total += of_group
                value[b] = present(w[b], w[b] * total)
        else:
            sums_of[:] = 0
            for some in range(0, classes, group):
                part[:] = 0
                for k in range(some, min(some + group, classes)):
                    of_class, part_here = real(1), part[k % lanes]
                    if class_weight is not None:
                        of_class = class_weight[k]
                    for b in range(n):
                        u, $y, w_k = predictions[item, k, start + b], $target_1, w[b] * of_class
$checks_1                        value_k, slope_k = element($call)
                        part_here[b] += present(of_class, of_class * value_k)
                        if gradient is not None:
                            gradient[item, k, start + b] = present(w_k, (w_k * factor) * slope_k)
                for lane in range(lanes):
                    for b in range(n):
                        sums_of[lane, b] += part[lane, b]
            fold_lanes(sums_of, n)
            for b in range(n):
                value[b] = present(w[b], w[b] * sums_of[0, b])
""")

LABELS = "label = np.empty(size, np.uint32)  # unsigned, so that none could count from the end"
# The label of each row; a row without a valid one must have no weight.
LABEL = """\
        labels_here = targets.reshape(-1)[first_row : first_row + n]
        for b in range(n):
            k = labels_here[b]
            if ignore is not None:
                w[b] = present(k != ignore, w[b])
            valid = (k >= 0) & (k < classes)
            broken = tally(broken, real(0) if valid | (w[b] == 0) else real(1))
            w[b] = present(valid, w[b])
            label[b] = k if valid else 0
"""
# Where only the labeled class enters, its weight is one of the row.
WEIGHT_OF_LABEL = """\
        if class_weight is not None:
            for b in range(n):
                w[b] *= class_weight[label[b]]
"""

# The classes that one class competes with, by the kind of row: their exponentials, their number, their sum.
RIVALS = {
    "log_odds": """\
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
""",
    "minus_largest": """\
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
""",
    "minus_largest_of_others": """\
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
""",
}
THEN = {
    "log_odds": ", then exp(logit - largest logit)",
    "minus_largest": ", then 1 for the largest and 0 for others",
    "minus_largest_of_others": "",
}
LANES = f"lanes, group = (16, 256) if classes >= {WIDE} else (1, 16)  # many classes are added in lanes"
SCRATCH = {
    "log_odds": [
        "top, ties = np.empty(size, real), np.empty(size, real)",
        LANES,
        "part, others_of = np.empty((lanes, size), real), np.empty((lanes, size))",
        "others = others_of[0]  # the sum of the exponentials without the largest",
    ],
    "minus_largest": ["top, ties = np.empty(size, real), np.empty(size, real)"],
    "minus_largest_of_others": [
        "top, ties = np.empty(size, real), np.empty(size, real)",
        "runner_up, runners_up = np.empty(size, real), np.empty(size, real)  # the largest behind the top, how many",
    ],
}
# What the loss of class k of row b is a function of, before the logarithm of its rivals' exponentials, `rest`.
LOGIT = ["z = predictions[item + b, k, 0] if inner == 1 else predictions[item, k, start + b]", "largest = z == top[b]"]
OWN = {
    "log_odds": [
        *LOGIT,
        "own = real(0) if largest else z - top[b]",
        "rest = rest_of_row(others[b], ties[b], exps[k, b], largest)",
    ],
    "minus_largest": [*LOGIT, "own, rest = real(0) if largest else z - top[b], ties[b]"],
    "minus_largest_of_others": [
        "z = exps[k, b]",
        "largest = z == top[b]",
        "alone = largest & (ties[b] == real(1))",
        "own = z - runner_up[b] if alone else real(0) if largest else z - top[b]",
        "rest = runners_up[b] if alone else ties[b] - (real(1) if largest else real(0))",
    ],
}
U = {"log_odds": "own - log(rest)", "minus_largest": "own", "minus_largest_of_others": "own"}
# With soft targets: what the rivals of all classes take from their slopes, and the slope that is left to a class.
PULLS = {
    "log_odds": [
        "pull = pull_of(slope[k, b], rest)",
        "part_of_top[b] += present(largest, pull)",
        "part_of_rest[b] += present(not largest, pull)",
    ],
}
PULLS["minus_largest"] = PULLS["minus_largest_of_others"] = PULLS["log_odds"]
LEFT = {
    "log_odds": [
        *OWN["log_odds"],
        "pull = pull_of(slope[k, b], rest)",
        "pull = of_rest[b] + (of_top[b] - pull) if largest else of_top[b] + (of_rest[b] - pull)",
        "left = slope[k, b] - exps[k, b] * pull",
    ],
    "minus_largest": [  # of a class alone in front this is 0: what it gains as itself, it loses as its own rival
        *OWN["minus_largest"],
        "pull = pull_of(slope[k, b], rest)",
        "taken = of_rest[b] + (of_top[b] - pull)",
        "left = slope[k, b] - pull - taken if largest else slope[k, b] if top[b] == top[b] else top[b]",
    ],
    "minus_largest_of_others": [
        *OWN["minus_largest_of_others"],
        "pull = pull_of(slope[k, b], rest)",
        "in_front = of_rest[b] + present(not alone, of_top[b] - pull)",
        "taken = in_front if largest else present((ties[b] == real(1)) & (z == runner_up[b]), of_top[b])",
        "left = slope[k, b] - taken if top[b] == top[b] else top[b]",
    ],
}
# What a labeled class competes with, once its logit is known, and what a rival takes from its slope.
OF_LABEL = {
    "log_odds": "",
    "minus_largest": "",
    "minus_largest_of_others": """\
        for b in range(n):
            largest = own[b] == top[b]
            alone = largest & (ties[b] == real(1))
            ties[b] = runners_up[b] if alone else ties[b] - (real(1) if largest else real(0))
            top[b] = runner_up[b] if alone else top[b]
""",
}
PULLED = {
    "log_odds": "present(rest[b], rest[b] * exps[k, b])",
    "minus_largest": "present(rest[b], rest[b] * exps[k, b])",
    "minus_largest_of_others": "real(0) if exps[k, b] < top[b] else rest[b]",
}
SET = {  # the slope of the labeled class, alone and where all classes are run through
    "log_odds": {"set": "= own[b]", "slope": "left if label[b] == this else pulled"},
    "minus_largest": {"set": "+= own[b]", "slope": "pulled + (left if label[b] == this else real(0))"},
    "minus_largest_of_others": {
        "set": "= own[b] if top[b] == top[b] else rest[b]",
        "slope": "left if (label[b] == this) & (top[b] == top[b]) else pulled",
    },
}

HARD_BODY = Template("""\
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
$of_label        for b in range(n):
            largest = own[b] == top[b]
            own[b] = real(0) if largest else own[b] - top[b]
            rest[b] = $rest
        side_by_side(own[:n], rest[:n], w[:n], ${passed}factor, value[:n])
        if gradient is not None:
            if inner == 1:
                for b in range(n):
                    for k in range(classes):
                        gradient[item + b, k, 0] = $pulled
                    gradient[item + b, label[b], 0] $set
            else:
                for k in range(classes):
                    slopes, this = gradient[item, k, start : start + n], np.uint32(k)
                    for b in range(n):
                        pulled, left = $pulled, own[b]
                        slopes[b] = $slope
""")

# The labeled classes of a tile, in a function of its own as `one_block`; own becomes the slope of the class's logit,
# and rest what its rivals take from it for each unit of their exponentials.
SIDE_BY_SIDE = Template("""\
def side_by_side(own, rest, w, ${passed}factor, value):
    for b in range(own.size):
        value_b, slope_b = element($call)
        value[b] = present(w[b], w[b] * value_b)
        own[b] = present(w[b], (w[b] * factor) * slope_b)
        rest[b] = -pull_of(own[b], rest[b])


$loops
""")

SOFT_BODY = Template("""\
        # every class, and its share $y of the target; by sixteens, then compensated in float64
        sums_of[:] = 0
        for some in range(0, classes, 16):
            part_of[:] = 0
            for k in range(some, min(some + 16, classes)):
                of_class = real(1)
                if class_weight is not None:
                    of_class = class_weight[k]
                for b in range(n):
                    $y, w_b = $target, w[b]
$check$own                    value_b, slope_b = element($call)
                    part_of_value[b] += present(of_class, of_class * value_b)
                    slope[k, b] = present(of_class, of_class * slope_b)
$pulls            for j in range(3):
                high, low, part_here = sums_of[j, 0], sums_of[j, 1], part_of[j]
                for b in range(n):
                    high[b], low[b] = plus(high[b], low[b], part_here[b])
        for b in range(n):
            value[b] = present(w[b], w[b] * settled(sums_of[0, 0, b], sums_of[0, 1, b]))
            of_top[b] = settled(sums_of[1, 0, b], sums_of[1, 1, b])
            of_rest[b] = settled(sums_of[2, 0, b], sums_of[2, 1, b])
        if gradient is not None:
            for k in range(classes):
                for b in range(n):
$left                    left = present(w[b], (w[b] * factor) * left)
                    if inner == 1:
                        gradient[item + b, k, 0] = left
                    else:
                        gradient[item, k, start + b] = left
""")

# What is added once per row, a function of its logsumexp; then of_top is its slope per unit of the exponentials.
BESIDE = Template("""\
        # what is added once per row
        for b in range(n):
            beyond = others[b] + (np.float64(ties[b]) - 1.0)  # the exponentials of all but one of the largest
            value_b, slope_b = of_row(real(np.float64(top[b]) + np.log1p(beyond)), $call)
            value[b] += present(w[b], w[b] * value_b)
            of_top[b] = present(w[b], (w[b] * factor) * slope_b / (1.0 + beyond))
        if gradient is not None:
            for k in range(classes):
                for b in range(n):
                    none = (exps[k, b] == real(0)) & (of_top[b] == of_top[b])  # also where a slope is infinite
                    more = real(0) if none | (of_top[b] == 0) else real(of_top[b] * exps[k, b])
                    if inner == 1:
                        gradient[item + b, k, 0] += more
                    else:
                        gradient[item, k, start + b] += more
""")

# Long rows, vectorized along their classes.
WIDE_ROWS = Template(f"""\


# The same for contiguous rows of many classes, vectorized along the classes.
{LOOPS}def wide(
    predictions, targets, kind, weight, class_weight, ignore, parameters, scale, size, values, gradient, sums, first,
    last,
):
$unpack    outer, classes, _ = predictions.shape
    logits, tops = predictions.reshape(outer, classes), np.empty(32, real)
    exps = np.empty((size, classes), real)  # exp(logit - largest logit)
{WEIGHTED}    own, rest, label = np.empty(size, real), np.empty(size, real), np.empty(size, np.uint32)
    for block in range(first, last):
        first_row = block * size
        n = min(size, outer - first_row)
        broken = real(0)
        for b in range(n):
            row, exps_here = logits[first_row + b], exps[b]
            for lane in range(32):
                tops[lane] = -real(np.inf)
            for some in range(0, classes - 31, 32):  # thirty-two maxima side by side, since one would be found in turn
                logits_here = row[some : some + 32]
                for lane in range(32):
                    tops[lane] = logits_here[lane] if logits_here[lane] > tops[lane] else tops[lane]
            for k in range(classes - classes % 32, classes):
                tops[0] = row[k] if row[k] > tops[0] else tops[0]
            for lane in range(16):
                tops[lane] = tops[lane + 16] if tops[lane + 16] > tops[lane] else tops[lane]
            for lane in range(8):
                tops[lane] = tops[lane + 8] if tops[lane + 8] > tops[lane] else tops[lane]
            top = tops[0]
            for lane in range(8):
                top = tops[lane] if tops[lane] > top else top
            ties, others, low = 0.0, 0.0, 0.0
            for some in range(0, classes, 256):  # some exponentials at a time, then in float64
                part, tied, stop = real(0), real(0), min(some + 256, classes)
                logits_here, exps_there = row[some:stop], exps_here[some:stop]
                for k in range(stop - some):
                    largest = logits_here[k] == top  # so that infinite logits give their limit, and NaN stays NaN
                    e = exp(-absolute(real(np.inf) if largest else logits_here[k] - top))
                    exps_there[k] = real(1) if largest else e
                    tied = tally(tied, real(1) if largest else real(0))
                    part = tally(part, e)
                others, low = plus(others, low, part)
                ties += tied
            w[b] = 1
            if weight is not None:
                w[b] = weight[first_row + b, 0]
                broken += real(0) if (w[b] >= 0.0) & (w[b] < np.inf) else real(1)
            k = targets[first_row + b, 0]
            if ignore is not None:
                w[b] = present(k != ignore, w[b])
            if k < 0 or k >= classes:
                broken += real(0) if w[b] == 0 else real(1)
                w[b], k = 0, 0
            if class_weight is not None:
                w[b] *= class_weight[k]
            largest = row[k] == top
            own[b] = real(0) if largest else row[k] - top
            rest[b] = rest_of_row(settled(others, low), real(ties), exps_here[k], largest)
            label[b] = k
        side_by_side(own[:n], rest[:n], w[:n], ${{passed}}factor, value[:n])
{VALUES}        if gradient is not None:
            slopes_here = gradient.reshape(outer, classes)[first_row : first_row + n]
            for b in range(n):
                slopes, exps_here, pull = slopes_here[b], exps[b], rest[b]
                for k in range(classes):
                    slopes[k] = present(pull, pull * exps_here[k])
                slopes[label[b]] = own[b]
{SUMS}""")


def _indent(lines, by):
    return "".join(f"{' ' * by}{line}\n" for line in lines)


@cache
def reserved():
    """The names that kernels use themselves."""
    texts = [v.template if isinstance(v, Template) else v for v in globals().values()]
    text = "\n".join(text for text in texts if isinstance(text, str) and text.count("\n") > 3)
    return frozenset(re.findall(r"[A-Za-z_]\w*", re.sub(r"#.*|//.*|\$\w+|\"\"\".*?\"\"\"", "", text)))


def source(plan, real=np.float32, integer=False):
    """The kernel file of a plan for a working type; `integer` if the target holds class indices."""
    plan = plan.avoiding(reserved())
    spell = Spelling(lambda number: f"real({literal(number)})", known=SPELLED)
    spell.used |= {"weighted"}
    rows = plan.shape == "rows"
    outside = [title for title, _ in plan.slopes]
    y = plan.arrays[1] if len(plan.arrays) > 1 else None
    inputs = ["u", *([] if plan.hard else [y, "C"])] if rows else list(plan.inputs)
    inputs += [*plan.parameters, *outside]
    terms = [title for title, _ in plan.terms]
    results = ", ".join([*terms, *plan.gradients])
    lines = [f"{name} = absolute({name})" for name in plan.unsigned]  # -0.0 is 0
    spell.used |= {"absolute"} if lines else set()
    lines += [f"{title} = {spell(value)}" for title, value in (*plan.forward, *plan.terms, *plan.backward)]
    of_row = [f"{title} = {spell(value)}" for title, value in plan.of_row]
    unpack = _indent([f"{', '.join(plan.parameters)}, = parameters"] if plan.parameters else [], 4)
    spell.used |= {"exp", "log", "absolute"} if plan.row == "log_odds" else set()
    if rows:
        call = ", ".join("real(classes)" if name == "C" else name for name in inputs)
        text = _rows(plan, unpack, call, y, integer)
    elif plan.shape == "boxes":
        text = _boxes(plan, unpack, ", ".join(inputs), ", ".join(["value_b", *plan.gradients]))
    else:
        text = (_softmax_sweep if plan.row else _sweep)(plan, unpack, ", ".join(inputs), y, integer, terms, results)
    head = HEAD.substitute(
        name=plan.name, real=np.dtype(real).name, words=", ".join(sorted(spell.used)), block=BLOCK,
        comment=f"The loss of one {'class' if rows else 'box' if plan.shape == 'boxes' else 'element'} and its "
        f"{'slopes' if plan.shape == 'boxes' else 'slope'}, step by step.",
        inputs=", ".join(inputs), lines=_indent(lines, 4), results=results,
    )  # fmt: skip
    if plan.of_row:
        head += OF_ROW.substitute(
            inputs=", ".join(["logsumexp", "C", *plan.parameters]),
            results=", ".join(title for title, _ in plan.of_row), lines=_indent(of_row, 4),
        )  # fmt: skip
    if plan.shape == "rows":
        if plan.row in RIVALS:
            head += COMPENSATED + FOLD_LANES + REST
        elif not plan.hard:
            head += FOLD_LANES + LONG_ROW
    return head + LOOPS + text


def _wrapped(value):
    return f"real({value!r})"


def _check(name, domain, weight="w"):
    rule = domain.condition(name, _wrapped)
    return f"broken = tally(broken, real(0) if {rule} | ({weight} == 0) else real(1))"


def _sweep(plan, unpack, call, y, integer, terms, results):
    """The loops over blocks of elements."""
    target = []
    if y is not None:
        row = "0" if integer else "channel"
        targets_here = [f"targets_here = targets[item, {row}, start:stop]"]
    else:
        targets_here = ["targets_here = None"]
    if y is not None:
        target = _target(y, integer)
    checks = [_check(name, domain) for name, domain in plan.checks if not (integer and name == y)]
    stores = [f"terms[{j}, i] = present(w, w * {term})" for j, term in enumerate(terms)]
    if plan.slopes:  # a loss of totals first sums and checks, then differentiates
        checks, stores = (
            ["if gradient is None:", *(f"    {line}" for line in lines)] if lines else [] for lines in (checks, stores)
        )
    sum_terms = [
        f"for j in range({len(terms)}):  # in float64, and apart, so that the loop above keeps its full vector width",
        "    sums[block, j] = total_of(terms[j], stop - start)",
    ]
    if plan.slopes:
        sum_terms = ["if gradient is None:", *(f"    {line}" for line in sum_terms)]
    slopes = [title for title, _ in plan.slopes] or ["factor"]
    slopes_here = [f"{s} = slopes[item, channel, {j}]" for j, s in enumerate(slopes)]
    if not plan.slopes:
        slopes_here = ["factor = kind.dtype.type(slopes[item, channel, 0])"]
    return SWEEP.substitute(
        unpack=unpack,
        targets_here=_indent(targets_here, 8),
        slopes_here=_indent(slopes_here, 8),
        z=plan.prediction,
        target=_indent(target, 8),
        checks=_indent(checks, 8),
        results=results,
        call=call,
        loops=LOOPS.rstrip(),
        passed="".join(f"{name}, " for name in (*plan.parameters, *slopes)).rstrip(),
        stores=_indent(stores, 8),
        sum_terms=_indent(sum_terms, 8),
        slope=f"w * {plan.gradient}" if plan.slopes else f"(w * factor) * {plan.gradient}",
        columns=len(terms),
    )


def _softmax_sweep(plan, unpack, call, y, integer, terms, results):
    """The loop over pixels under a softmax."""
    standing, of_log_odds = [], ""
    if "u" in plan.inputs:
        standing = ["u = (real(0) if logits[i] == top[i] else logits[i] - top[i]) - log(rest[i])"]
        of_log_odds = "logits, top,"
    slopes = [title for title, _ in plan.slopes]
    checks = [_check(name, domain) for name, domain in plan.checks if not integer]
    stores = [f"terms[{j}, i] = present(w, w * {term})" for j, term in enumerate(terms)]
    return SOFTMAX_SWEEP.substitute(
        unpack=unpack, loops=LOOPS.rstrip(), columns=len(terms), results=results, call=call, slope=plan.gradient,
        passed="".join(f"{name}, " for name in (*plan.parameters, *slopes)).rstrip(),
        target=_indent(_target(y, integer), 8), standing=_indent(standing, 8), stores=_indent([*checks, *stores], 12),
        of_log_odds=of_log_odds,
        row="0" if integer else "k",
        slopes_here=_indent([f"{s} = slopes[item, k, {j}]" for j, s in enumerate(slopes)], 12),
    )  # fmt: skip


def _target(y, integer):
    """The lines that fetch the target of a pixel."""
    if not integer:
        return [f"{y} = targets[i]"]
    return [
        "index = targets[i]",
        "if ignore is not None:",
        "    w = present(index != ignore, w)",
        "valid = (index >= 0) & (index < classes) | (w == 0)",
        "broken = tally(broken, real(0) if valid else real(1))",
        f"{y} = real(1) if index == channel else real(0)",
    ]


def _boxes(plan, unpack, call, results):
    """The loop over boxes."""
    corners = len(plan.gradients)
    load = []
    for array, names in (("predictions", plan.inputs[:corners]), ("targets", plan.inputs[corners:])):
        load += [f"{name} = {array}[i, {k}, j]" for k, name in enumerate(names)]
    store = [f"gradient[i, {k}, j] = present(w_b, (w_b * factor) * {name})" for k, name in enumerate(plan.gradients)]
    return BOXES.substitute(
        unpack=unpack, load=_indent(load, 12), checks=_indent([_check(*check, "w_b") for check in plan.checks], 12),
        results=results, call=call, store=_indent(store, 16),
    )  # fmt: skip


def _rows(plan, unpack, call, y, integer):
    """The loops over tiles of rows, and for labels and log-odds the loops over long rows."""
    if plan.row == "entry":
        return _entries(plan, unpack, call, y, integer)
    kind, before, text = plan.row, "", ""
    label = [LABELS] if integer else []
    if plan.hard:
        scratch = ["own, rest = np.empty(size, real), np.empty(size, real)"]
        u = "own[b] - log(rest[b])" if kind == "log_odds" else "own[b]"
        rest = "rest_of_row(others[b], ties[b], rest[b], largest)" if kind == "log_odds" else "ties[b]"
        passed = "".join(f"{name}, " for name in plan.parameters)
        before = SIDE_BY_SIDE.substitute(call=_with_u(call, u), passed=passed, loops=LOOPS.rstrip())
        body = HARD_BODY.substitute(
            rest=rest, passed=passed, of_label=OF_LABEL[kind], pulled=PULLED[kind], **SET[kind]
        )  # fmt: skip
        text = WIDE_ROWS.substitute(unpack=unpack, passed=passed) if kind == "log_odds" else ""
    else:
        scratch = ["slope = np.empty((classes, size), value.dtype)"]
        scratch += ["of_top, of_rest = np.empty(size, value.dtype), np.empty(size, value.dtype)"]
        scratch += ["part_of, sums_of = np.empty((3, size), value.dtype), np.empty((3, 2, size))"]
        scratch += ["part_of_value, part_of_top, part_of_rest = part_of[0], part_of[1], part_of[2]"]
        target = "targets[item + b, k, 0] if inner == 1 else targets[item, k, start + b]"
        rule = [] if integer or y not in dict(plan.checks) else [_check(y, dict(plan.checks)[y], "w_b * of_class")]
        body = SOFT_BODY.substitute(
            y=y, target="real(1) if label[b] == k else real(0)" if integer else target, check=_indent(rule, 20),
            own=_indent([*OWN[kind], f"u = {U[kind]}"], 20), call=call, pulls=_indent(PULLS[kind], 20),
            left=_indent(LEFT[kind], 20),
        )  # fmt: skip
        body += BESIDE.substitute(call=", ".join(["real(classes)", *plan.parameters])) if plan.of_row else ""
    return before + ROWS.substitute(
        unpack=unpack, then=THEN[kind], scratch=_indent([*SCRATCH[kind], *scratch, *label], 4),
        label=_label(plan, integer), rivals=RIVALS[kind], body=body,
    ) + text  # fmt: skip


def _label(plan, integer):
    """The lines that fetch the labels, if the target holds class indices."""
    return (LABEL + (WEIGHT_OF_LABEL if plan.hard else "")) if integer else ""


def _with_u(call, u):
    """The arguments of `element` with the first of them, u, written out."""
    return re.sub(r"^u\b", u, call)


def _entries(plan, unpack, call, y, integer):
    """The loops over rows whose classes do not compete."""
    before, label = "", [LABELS] if integer else []
    checks = dict(plan.checks)
    if plan.hard:
        name = plan.prediction
        rule = [_check(name, checks[name], "w_b * of_class")] if name in checks else []
        usual = f"{name} == {name}"
        if rule:  # the rule as for a target, which NaN breaks
            usual = replace(checks[name], role="target").condition(name, _wrapped)
        passed = "".join(f"{name}, " for name in plan.parameters)
        before = ENTRIES_SIDE_BY_SIDE.substitute(call=_with_u(call, "own[b]"), passed=passed, loops=LOOPS.rstrip())
        body = HARD_ENTRIES.substitute(
            name=name, passed=passed, usual=usual, check_1=_indent(rule, 24), check_k=_indent(rule, 20)
        )
        scratch = ["own, lost = np.empty(size, real), np.empty(size, real)", *label]
        scratch += ["in_rows = predictions.reshape(outer * inner, classes)"]
    else:
        named = [(y if name == y else "u", d) for name, d in checks.items() if name != y or not integer]
        rules = [_check(name, domain, "w_k") for name, domain in named]
        body = SOFT_ENTRIES.substitute(
            y=y, call=call, checks_0=_indent(rules, 16), checks_1=_indent(rules, 24),
            shares_of_rows="" if integer else _indent(["shares = targets.reshape(-1)[here]"], 12),
            share_of_label=_indent(["shares[b * classes + k] = label[b] == np.uint32(k)"], 20) if integer else "",
            target_1="real(1) if label[b] == np.uint32(k) else real(0)" if integer else "targets[item, k, start + b]",
        )  # fmt: skip
        scratch = [LANES, "part, sums_of = np.empty((lanes, size), value.dtype), np.empty((lanes, size))", *label]
        scratch += ["whole = size * classes if inner == 1 else 0  # of contiguous rows"]
        scratch += ["w_of, terms = np.empty(whole, kind.dtype), np.empty(whole, kind.dtype)"]
        scratch += ["lanes_of_row = np.empty(16)"]
        scratch += ["shares = np.empty(whole, real)"] if integer else []
    return before + ENTRIES.substitute(
        unpack=unpack, scratch=_indent(scratch, 4), label=_label(plan, integer), body=body
    )  # fmt: skip


@cache
def _depends():
    """What machine code depends on beside the text: the words, Numba and LLVM."""
    import llvmlite
    import numba

    # The code of the words is there in whatever form they come: as a file, in an archive, compiled or frozen.
    words = importlib.util.find_spec("lossbook.backends.numba_words").loader.get_code("lossbook.backends.numba_words")
    return " ".join([_digest(words), numba.__version__, llvmlite.__version__, np.__version__])


def _digest(code):
    """A hash of what a code object does, the same in every process."""
    constants = [_digest(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    parts = (code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, constants)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class _Cache:
    """The machine code of one function for Numba, which asks here before it compiles: see `kernels.MachineCode`."""

    def __init__(self, function, folder):
        from numba.core import compiler, serialize

        name = f"{function.__name__}.{sys.implementation.cache_tag}"
        self.files, self.cache_path = kernels.MachineCode(folder, name, serialize.dumps), str(folder)
        self.rebuild = compiler.CompileResult._rebuild

    @staticmethod
    def key(signature, target):
        """What tells kernels of a function apart: the types of the arguments, the processor."""
        return signature, target.codegen().magic_tuple()

    def load_overload(self, signature, target):
        target.refresh()
        found = self.files.load(self.key(signature, target))
        return None if found is None else self.rebuild(target, *found)

    def save_overload(self, signature, result):
        self.files.save(self.key(signature, result.target_context), result._reduce())

    def flush(self) -> None:
        self.files.flush()


@cache
def load(plan, real, integer):
    """The module of a plan, whose functions are compiled when they are first called with arrays of a new kind; None
    where Numba is told to compile nothing (NUMBA_DISABLE_JIT=1).
    """
    needs = (plan.name, "'numba' needs the package numba", "backend")
    if imported("numba", *needs).config.DISABLE_JIT:
        return None
    imported("lossbook.backends.numba_words", *needs)
    module = kernels.load(f"{plan.name}_{np.dtype(real).name}", source(plan, real, integer), _depends())
    if folder := kernels.folder_of(module):
        for name in ("loops", "wide"):
            if function := getattr(module, name, None):
                function._cache = _Cache(function, folder)
    else:
        kernels.warn_of_refusal()
    return module


def require(loss):
    """Raise the BackendError that says what is missing."""
    imported("numba", loss, "'numba' needs the package numba", "backend")


def run(plan, call):
    """Values, sums and gradients of a call (see `host.run`)."""
    module = load(plan, call.real, call.integer)
    if module is None:  # the kernels of NumPy have the same results, and can be stepped through as well
        return numpy_backend.run(plan, call)
    _, classes, inner = call.layout.three
    if plan.hard and plan.row == "log_odds" and inner == 1 and classes >= WIDE:
        return host.run(host.Kernel(module.wide, BLOCK if classes <= BLOCK // 16 else 1, typed=True), plan, call)
    # A softmax in totals has so many arrays in a tile that only half of one fits into the first cache.
    block = BLOCK // 2 if plan.shape == "overlap" and plan.row else BLOCK
    if plan.row == "entry" and not plan.hard and inner == 1:  # contiguous rows are run through as one
        block = max(1, BLOCK // classes)
    return host.run(host.Kernel(module.loops, block, typed=True), plan, call)
