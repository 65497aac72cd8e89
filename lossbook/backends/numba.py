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


''')

REST = """\
# The sum of the odds of all classes but one: the largest is left out exactly, never subtracted.
@njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz"}, forceinline=True)
def rest_of_row(others, ties, odds, largest):
    return real(others + (ties - real(1)) if largest else others + (ties - odds))


# What a row's slope takes from each unit of odds; a row without slope takes nothing, even from a NaN.
@njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz"}, forceinline=True)
def pull_of(slope, rest):
    return real(0) if (rest == real(0)) | (slope == real(0)) else slope / rest


"""

LOOPS = '@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})\n'

# The loop over the elements of a block stands in a function of its own: there LLVM keeps its constants in registers.
SWEEP = Template("""\
def one_block(predictions, targets, weight, ignore, classes, channel, $passed gradient, terms):
    broken = real(0)
    for i in range(predictions.size):
        $z = predictions[i]
        w = real(1)
        if weight is not None:
            w = weight[i]
            broken += real(0) if (w >= real(0)) & (w < real(np.inf)) else real(1)
$target$checks        $results = element($call)
$stores        if gradient is not None:
            gradient[i] = weighted(w, $slope)
    return broken


$loops
def loops(predictions, targets, weight, ignore, parameters, slopes, values, gradient, sums, first, last):
$unpack    outer, classes, inner = predictions.shape
    per_group = (inner + BLOCK - 1) // BLOCK
    terms = np.empty(($columns, BLOCK), real)
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
            values[item, channel, start:stop] = terms[0, : stop - start]
$sum_terms""")

# What the loops over rows and boxes share: a tile of rows that follow one another, their weights, what leaves a block.
OVER_ROWS = """\
def loops(
    predictions, targets, weight, class_weight, ignore, parameters, scale, size, values, gradient, sums, first, last
):
"""
TILE = """\
        if inner == 1:
            item, start = block * size, 0
            n = min(size, outer - item)
        else:
            item, start = block // per_item, block % per_item * size
            n = min(size, inner - start)
        broken, total, total_weight = real(0), 0.0, 0.0
"""
ONES = """\
        for b in range(n):
            w[b], value[b] = real(1), real(0)
"""
WEIGHTS = """\
        first_row = item * inner + start
        if weight is not None:
            weight_here = weight.reshape(-1)[first_row : first_row + n]
            for b in range(n):
                w[b] = weight_here[b]
                broken += real(0) if (w[b] >= real(0)) & (w[b] < real(np.inf)) else real(1)
"""
VALUES = """\
        for b in range(n):
            total += value[b]
        if values.size > 0:
            values.reshape(-1)[first_row : first_row + n] = value[:n]
"""
SUMS = """\
        sums[block, 0] = total
        sums[block, 1] = total_weight
        sums[block, 2] = broken
"""

# Rows, with the classes of a tile first, so that every inner loop runs along the rows and is vectorized.
ROWS = Template(f"""\
{OVER_ROWS}$unpack    outer, classes, inner = predictions.shape
    per_item = (inner + size - 1) // size
    odds = np.empty((classes, size), real)  # the predictions of a tile$then
$scratch    w, value = np.empty(size, real), np.empty(size, real)
    for block in range(first, last):
{TILE}{ONES}        if inner == 1:
            for b in range(n):
                for k in range(classes):
                    odds[k, b] = predictions[item + b, k, 0]
        else:
            for k in range(classes):
                logits = predictions[item, k, start : start + n]
                for b in range(n):
                    odds[k, b] = logits[b]
{WEIGHTS}$label$rivals$body{VALUES}{SUMS}""")

BOXES = Template(f"""\
{OVER_ROWS}$unpack    outer, corners, inner = predictions.shape
    per_item = (inner + size - 1) // size
    for block in range(first, last):
{TILE}        for b in range(n):
            i, j = (item + b, 0) if inner == 1 else (item, start + b)
            w = real(1)
            if weight is not None:
                w = weight[i, j]
                broken += real(0) if (w >= real(0)) & (w < real(np.inf)) else real(1)
$load$checks            $results = element($call)
            value = weighted(w, value)
            total += value
            total_weight += w
            if values.size > 0:
                values[i, j] = value
            if gradient is not None:
$store{SUMS}""")

# Rows whose classes do not compete: in the order of the memory, whichever axis that is.
ENTRIES = Template(f"""\
{OVER_ROWS}$unpack    outer, classes, inner = predictions.shape
    per_item = (inner + size - 1) // size
    w, value = np.empty(size, real), np.empty(size, real)
$scratch    for block in range(first, last):
{TILE}{ONES}{WEIGHTS}$label$body{VALUES}{SUMS}""")

HARD_ENTRIES = Template("""\
        # the labeled class
        if inner == 1:
$check_1            for b in range(n):
                own[b] = predictions[item + b, label[b], 0]
        else:
            for k in range(classes):
                entries, this = predictions[item, k, start : start + n], np.uint32(k)
                for b in range(n):
                    $name, other = entries[b], own[b]
                    own[b] = $name if label[b] == this else other
$check_k        if class_weight is not None:
            for b in range(n):
                w[b] *= class_weight[label[b]]
        for b in range(n):
            total_weight += w[b]
        side_by_side(own[:n], w[:n], ${passed}scale, value[:n])
        if gradient is not None:
            if inner == 1:
                for b in range(n):
                    for k in range(classes):
                        gradient[item + b, k, 0] = real(0)
                    gradient[item + b, label[b], 0] = own[b]
            else:
                for k in range(classes):
                    slopes, this = gradient[item, k, start : start + n], np.uint32(k)
                    for b in range(n):
                        left = own[b]
                        slopes[b] = left if label[b] == this else real(0)
""")
CHECK_ENTRIES = Template("""\
            for b in range(n):
                for k in range(classes):
                    $name = predictions[item + b, k, 0]
                    $check
""")
# The labeled classes of a tile, in a function of its own as `one_block`; own becomes the slope.
ENTRIES_SIDE_BY_SIDE = Template("""\
def side_by_side(own, w, ${passed}scale, value):
    for b in range(own.size):
        value_b, slope_b = element($call)
        value[b] = weighted(w[b], value_b)
        own[b] = weighted(w[b], slope_b * scale)


$loops
""")

SOFT_ENTRIES = Template("""\
        # every class, and its share $y of the target; values are added by sixteens, which rounds less
        for b in range(n):
            row_weight[b], part[b] = real(0), real(0)
        if inner == 1:
            for b in range(n):
                sum_b, weight_b = real(0), real(0)
                for k in range(classes):
                    of_class = real(1) if class_weight is None else class_weight[k]
                    u, $y = predictions[item + b, k, 0], $target_0
$checks_0                    value_k, slope_k = element($call)
                    sum_b += weighted(of_class, value_k)
                    weight_b += of_class * $y
                    if gradient is not None:
                        gradient[item + b, k, 0] = weighted(w[b], of_class * slope_k * scale)
                value[b], row_weight[b] = sum_b, weight_b
        else:
            for k in range(classes):
                of_class = real(1) if class_weight is None else class_weight[k]
                for b in range(n):
                    u, $y = predictions[item, k, start + b], $target_1
$checks_1                    value_k, slope_k = element($call)
                    part[b] += weighted(of_class, value_k)
                    row_weight[b] += of_class * $y
                    if gradient is not None:
                        gradient[item, k, start + b] = weighted(w[b], of_class * slope_k * scale)
                if k % 16 == 15 or k == classes - 1:
                    for b in range(n):
                        value[b] += part[b]
                        part[b] = real(0)
        for b in range(n):
            value[b] = weighted(w[b], value[b])
            total_weight += w[b] if class_weight is None else w[b] * row_weight[b]
""")

LABELS = "label = np.empty(size, np.uint32)  # unsigned, so that none could count from the end"
# The label of each row; a row without a valid one must have no weight.
LABEL = """\
        labels_here = targets.reshape(-1)[first_row : first_row + n]
        for b in range(n):
            k = labels_here[b]
            if ignore is not None:
                w[b] = real(0) if k == ignore else w[b]
            valid = (k >= 0) & (k < classes)
            broken += real(0) if valid | (w[b] == real(0)) else real(1)
            w[b] = w[b] if valid else real(0)
            label[b] = k if valid else 0
"""

# The classes that one class competes with, by the kind of row: their odds, their number, their sum.
RIVALS = {
    "margin": """\
        for b in range(n):
            top[b], ties[b], others[b] = -real(np.inf), real(0), 0.0
        for k in range(classes):
            for b in range(n):
                top[b] = odds[k, b] if odds[k, b] > top[b] else top[b]
        for some in range(0, classes, 16):  # sixteen odds at a time, then in float64
            for b in range(n):
                part[b] = real(0)
            for k in range(some, min(some + 16, classes)):
                for b in range(n):
                    largest = odds[k, b] == top[b]  # so that infinite logits give their limit, and NaN stays NaN
                    e = exp(-magnitude(real(0) if largest else odds[k, b] - top[b]))
                    one = real(1) if largest else real(0)
                    odds[k, b] = e
                    ties[b] += one
                    part[b] += real(0) if largest else e  # not e - one: sums may be made in another order
            for b in range(n):
                others[b] += part[b]
""",
    "lead": """\
        for b in range(n):
            top[b], ties[b] = -real(np.inf), real(0)
        for k in range(classes):
            for b in range(n):  # a NaN stays in front
                top[b] = odds[k, b] if (odds[k, b] > top[b]) | (odds[k, b] != odds[k, b]) else top[b]
        for k in range(classes):
            for b in range(n):
                one = real(1) if odds[k, b] == top[b] else real(0)
                odds[k, b] = one if top[b] == top[b] else top[b]
                ties[b] += one
""",
}
THEN = {"margin": ", then exp(logit - largest logit)", "lead": ", then 1 for the largest and 0 for others"}
SCRATCH = {
    "margin": [
        "top, ties, part = np.empty(size, real), np.empty(size, real), np.empty(size, real)",
        "others = np.empty(size)  # the sum of the odds without the largest",
    ],
    "lead": ["top, ties = np.empty(size, real), np.empty(size, real)"],
}
# What the loss of class k of row b is a function of, before the logarithm of the odds of its rivals, `rest`.
LOGIT = ["z = predictions[item + b, k, 0] if inner == 1 else predictions[item, k, start + b]", "largest = z == top[b]"]
OWN = {
    "margin": [
        *LOGIT,
        "own = real(0) if largest else z - top[b]",
        "rest = rest_of_row(others[b], ties[b], odds[k, b], largest)",
    ],
    "lead": [*LOGIT, "own, rest = real(0) if largest else z - top[b], ties[b]"],
}
U = {"margin": "own - log(rest)", "lead": "own"}
# With soft targets: what the rivals of all classes take from their slopes, and the slope that is left to a class.
PULLS = {
    "margin": [
        "pull = pull_of(slope[k, b], rest)",
        "of_top[b] += pull if largest else real(0)",
        "of_rest[b] += real(0) if largest else pull",
    ],
    "lead": ["of_top[b] += pull_of(slope[k, b], rest)"],
}
LEFT = {
    "margin": [
        *OWN["margin"],
        "pull = pull_of(slope[k, b], rest)",
        "pull = of_rest[b] + (of_top[b] - pull) if largest else of_top[b] + (of_rest[b] - pull)",
        "left = slope[k, b] - odds[k, b] * pull",
    ],
    "lead": ["left = slope[k, b] - odds[k, b] * of_top[b]"],
}

HARD_BODY = Template("""\
        # the labeled class: fetched row by row, then worked on side by side
        if inner == 1:
            for b in range(n):
                own[b], rest[b] = predictions[item + b, label[b], 0], odds[label[b], b]
        else:
            for b in range(n):
                rest[b] = odds[label[b], b]
            for k in range(classes):
                logits, this = predictions[item, k, start : start + n], np.uint32(k)
                for b in range(n):
                    z, other = logits[b], own[b]
                    own[b] = z if label[b] == this else other
        if class_weight is not None:
            for b in range(n):
                w[b] *= class_weight[label[b]]
        for b in range(n):
            total_weight += w[b]
        for b in range(n):
            largest = own[b] == top[b]
            own[b] = real(0) if largest else own[b] - top[b]
            rest[b] = $rest
        side_by_side(own[:n], rest[:n], w[:n], ${passed}scale, value[:n])
        if gradient is not None:
            if inner == 1:
                for b in range(n):
                    for k in range(classes):
                        gradient[item + b, k, 0] = weighted(rest[b], odds[k, b])
                    gradient[item + b, label[b], 0] $set own[b]
            else:
                for k in range(classes):
                    slopes, this = gradient[item, k, start : start + n], np.uint32(k)
                    for b in range(n):
                        pulled, left = weighted(rest[b], odds[k, b]), own[b]
                        slopes[b] = $slope
""")

# The labeled classes of a tile, in a function of its own as `one_block`; own becomes the slope of the class's logit,
# and rest what its rivals take from it for each unit of their odds.
SIDE_BY_SIDE = Template("""\
def side_by_side(own, rest, w, ${passed}scale, value):
    for b in range(own.size):
        value_b, slope_b = element($call)
        value[b] = weighted(w[b], value_b)
        own[b] = weighted(w[b], slope_b * scale)
        rest[b] = -pull_of(own[b], rest[b])


$loops
""")

SOFT_BODY = Template("""\
        # every class, and its share $y of the target; values are added by sixteens, which rounds less
        for b in range(n):
            of_top[b], of_rest[b], row_weight[b], part[b] = real(0), real(0), real(0), real(0)
        for k in range(classes):
            of_class = real(1) if class_weight is None else class_weight[k]
            for b in range(n):
                $y = $target
$check$own                value_b, slope_b = element($call)
                part[b] += weighted(of_class, value_b)
                row_weight[b] += of_class * $y
                slope[k, b] = of_class * slope_b
$pulls            if k % 16 == 15 or k == classes - 1:
                for b in range(n):
                    value[b] += part[b]
                    part[b] = real(0)
        for b in range(n):
            value[b] = weighted(w[b], value[b])
            total_weight += w[b] if class_weight is None else w[b] * row_weight[b]
        if gradient is not None:
            for k in range(classes):
                for b in range(n):
$left                    left = weighted(w[b], left * scale)
                    if inner == 1:
                        gradient[item + b, k, 0] = left
                    else:
                        gradient[item, k, start + b] = left
""")

# Long rows, vectorized along their classes.
WIDE_ROWS = Template("""\


# The same for contiguous rows of many classes, vectorized along the classes.
@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})
def wide(
    predictions, targets, weight, class_weight, ignore, parameters, scale, size, values, gradient, sums, first, last
):
$unpack    outer, classes, _ = predictions.shape
    logits, tops = predictions.reshape(outer, classes), np.empty(32, real)
    odds = np.empty((size, classes), real)  # exp(logit - largest logit)
    w, value, own, rest = np.empty(size, real), np.empty(size, real), np.empty(size, real), np.empty(size, real)
    label = np.empty(size, np.uint32)
    for block in range(first, last):
        first_row = block * size
        n = min(size, outer - first_row)
        broken, total, total_weight = real(0), 0.0, 0.0
        for b in range(n):
            row, odds_here = logits[first_row + b], odds[b]
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
            ties, others = 0.0, 0.0
            for some in range(0, classes, 256):  # some odds at a time, then in float64
                part, tied, stop = real(0), real(0), min(some + 256, classes)
                logits_here, odds_there = row[some:stop], odds_here[some:stop]
                for k in range(stop - some):
                    largest = logits_here[k] == top  # so that infinite logits give their limit, and NaN stays NaN
                    e = exp(-magnitude(real(np.inf) if largest else logits_here[k] - top))
                    odds_there[k] = real(1) if largest else e
                    tied += real(largest)
                    part += e
                others += part
                ties += tied
            w_b = real(1)
            if weight is not None:
                w_b = weight[first_row + b, 0]
                broken += real(0) if (w_b >= real(0)) & (w_b < real(np.inf)) else real(1)
            k = targets[first_row + b, 0]
            if ignore is not None:
                w_b = real(0) if k == ignore else w_b
            if k < 0 or k >= classes:
                broken += real(0) if w_b == real(0) else real(1)
                w_b, k = real(0), 0
            if class_weight is not None:
                w_b *= class_weight[k]
            largest = row[k] == top
            own[b] = real(0) if largest else row[k] - top
            rest[b] = rest_of_row(others, real(ties), odds_here[k], largest)
            w[b], label[b] = w_b, k
            total_weight += w_b
        side_by_side(own[:n], rest[:n], w[:n], ${passed}scale, value[:n])
        for b in range(n):
            total += value[b]
        if values.size > 0:
            values.reshape(-1)[first_row : first_row + n] = value[:n]
        if gradient is not None:
            slopes_here = gradient.reshape(outer, classes)[first_row : first_row + n]
            for b in range(n):
                slopes, odds_here, pull = slopes_here[b], odds[b], rest[b]
                for k in range(classes):
                    slopes[k] = weighted(pull, odds_here[k])
                slopes[label[b]] = own[b]
        sums[block, 0] = total
        sums[block, 1] = total_weight
        sums[block, 2] = broken
""")


def owns(array):
    """Numba works on NumPy arrays; it is chosen by name, never by type alone."""
    return isinstance(array, np.ndarray)


def _indent(lines, by):
    return "".join(f"{' ' * by}{line}\n" for line in lines)


def source(plan, real=np.float32, integer=False):
    """The kernel file of a plan for a working type; `integer` if the target holds class indices."""
    spell = Spelling(lambda number: f"real({literal(number)})", known=SPELLED)
    spell.used |= {"weighted"}
    rows = plan.shape == "rows"
    outside = [title for title, _ in plan.slopes]
    y = plan.arrays[1] if len(plan.arrays) > 1 else None
    inputs = ["u", *([] if plan.hard else [y, "C"])] if rows else list(plan.inputs)
    inputs += [*plan.parameters, *outside]
    terms = [title for title, _ in plan.terms]
    results = ", ".join([*terms, *plan.gradients])
    lines = [f"{name} = magnitude({name})" for name in plan.unsigned]  # -0.0 is 0
    spell.used |= {"magnitude"} if lines else set()
    lines += [f"{title} = {spell(value)}" for title, value in (*plan.forward, *plan.terms, *plan.backward)]
    unpack = _indent([f"{', '.join(plan.parameters)}, = parameters"] if plan.parameters else [], 4)
    if rows:
        spell.used |= {"exp", "log", "magnitude"} if plan.row == "margin" else set()
        call = ", ".join("real(classes)" if name == "C" else name for name in inputs)
        text = _rows(plan, unpack, call, y, integer)
    elif plan.shape == "boxes":
        text = _boxes(plan, unpack, ", ".join(inputs), results)
    else:
        text = _sweep(plan, unpack, ", ".join(inputs), y, integer, terms, results)
    head = HEAD.substitute(
        name=plan.name, real=np.dtype(real).name, words=", ".join(sorted(spell.used)), block=BLOCK,
        comment=f"The loss of one {'class' if rows else 'box' if plan.shape == 'boxes' else 'element'} and its "
        f"{'slopes' if plan.shape == 'boxes' else 'slope'}, step by step.",
        inputs=", ".join(inputs), lines=_indent(lines, 4), results=results,
    )  # fmt: skip
    return head + (REST if plan.row in ("margin", "lead") else "") + LOOPS + text


def _check(name, domain, weight="w"):
    rule = domain.condition(name, lambda value: f"real({value!r})")
    return f"broken += real(0) if {rule} | ({weight} == real(0)) else real(1)"


def _sweep(plan, unpack, call, y, integer, terms, results):
    """The loops over blocks of elements."""
    target = []
    if y is not None:
        row = "0" if integer else "channel"
        targets_here = [f"targets_here = targets[item, {row}, start:stop]"]
    else:
        targets_here = ["targets_here = None"]
    if integer:
        target = ["index = targets[i]"]
        target += ["if ignore is not None:", "    w = real(0) if index == ignore else w"]
        target += ["broken += real(0) if (index >= 0) & (index < classes) | (w == real(0)) else real(1)"]
        target += [f"{y} = real(1) if index == channel else real(0)"]
    elif y is not None:
        target = [f"{y} = targets[i]"]
    checks = [_check(name, domain) for name, domain in plan.checks if not (integer and name == y)]
    stores = [f"terms[{j}, i] = weighted(w, {term})" for j, term in enumerate(terms)]
    if plan.slopes:  # a loss of totals first sums and checks, then differentiates
        checks, stores = (
            ["if gradient is None:", *(f"    {line}" for line in lines)] if lines else [] for lines in (checks, stores)
        )
    sum_terms = [
        f"for j in range({len(terms)}):  # in float64, and apart, so that the loop above keeps its full vector width",
        "    total = 0.0",
        "    for i in range(stop - start):",
        "        total += terms[j, i]",
        "    sums[block, j] = total",
    ]
    if plan.slopes:
        sum_terms = ["if gradient is None:", *(f"    {line}" for line in sum_terms)]
    slopes = [title for title, _ in plan.slopes] or ["scale"]
    return SWEEP.substitute(
        unpack=unpack,
        targets_here=_indent(targets_here, 8),
        slopes_here=_indent([f"{s} = slopes[item, channel, {j}]" for j, s in enumerate(slopes)], 8),
        z=plan.prediction,
        target=_indent(target, 8),
        checks=_indent(checks, 8),
        results=results,
        call=call,
        loops=LOOPS.rstrip(),
        passed="".join(f"{name}, " for name in (*plan.parameters, *slopes)).rstrip(),
        stores=_indent(stores, 8),
        sum_terms=_indent(sum_terms, 8),
        slope=plan.gradient if plan.slopes else f"{plan.gradient} * scale",
        columns=len(terms),
    )


def _boxes(plan, unpack, call, results):
    """The loop over boxes."""
    corners = len(plan.gradients)
    load = []
    for array, names in (("predictions", plan.inputs[:corners]), ("targets", plan.inputs[corners:])):
        load += [f"{name} = {array}[i, {k}, j]" for k, name in enumerate(names)]
    store = [f"gradient[i, {k}, j] = weighted(w, {name} * scale)" for k, name in enumerate(plan.gradients)]
    return BOXES.substitute(
        unpack=unpack, load=_indent(load, 12), checks=_indent([_check(*check) for check in plan.checks], 12),
        results=results, call=call, store=_indent(store, 16),
    )  # fmt: skip


def _rows(plan, unpack, call, y, integer):
    """The loops over tiles of rows, and for labels and margins the loops over long rows."""
    if plan.row == "entry":
        return _entries(plan, unpack, call, y, integer)
    kind, before, text = plan.row, "", ""
    label = [LABELS] if integer else []
    if plan.hard:
        scratch = ["own, rest = np.empty(size, real), np.empty(size, real)"]
        u = "own[b] - log(rest[b])" if kind == "margin" else "own[b]"
        rest = "rest_of_row(others[b], ties[b], rest[b], largest)" if kind == "margin" else "ties[b]"
        passed = "".join(f"{name}, " for name in plan.parameters)
        before = SIDE_BY_SIDE.substitute(call=_with_u(call, u), passed=passed, loops=LOOPS.rstrip())
        if kind == "lead":
            to_set = {"set": "+=", "slope": "pulled + (left if label[b] == this else real(0))"}
        else:
            to_set = {"set": "=", "slope": "left if label[b] == this else pulled"}
        body = HARD_BODY.substitute(rest=rest, passed=passed, **to_set)
        text = WIDE_ROWS.substitute(unpack=unpack, passed=passed) if kind == "margin" else ""
    else:
        scratch = ["slope = np.empty((classes, size), real)"]
        scratch += ["of_top, of_rest, row_weight = np.empty(size, real), np.empty(size, real), np.empty(size, real)"]
        scratch += ["part = np.empty(size, real)"] if kind == "lead" else []
        target = "targets[item + b, k, 0] if inner == 1 else targets[item, k, start + b]"
        rule = [] if integer or y not in dict(plan.checks) else [_check(y, dict(plan.checks)[y], "w[b]")]
        body = SOFT_BODY.substitute(
            y=y, target="real(1) if label[b] == k else real(0)" if integer else target, check=_indent(rule, 16),
            own=_indent([*OWN[kind], f"u = {U[kind]}"], 16), call=call, pulls=_indent(PULLS[kind], 16),
            left=_indent(LEFT[kind], 20),
        )  # fmt: skip
    return before + ROWS.substitute(
        unpack=unpack, then=THEN[kind], scratch=_indent([*SCRATCH[kind], *scratch, *label], 4),
        label=LABEL if integer else "", rivals=RIVALS[kind], body=body,
    ) + text  # fmt: skip


def _with_u(call, u):
    """The arguments of `element` with the first of them, u, written out."""
    return re.sub(r"^u\b", u, call)


def _entries(plan, unpack, call, y, integer):
    """The loops over rows whose classes do not compete."""
    before, label = "", [LABELS] if integer else []
    checks = dict(plan.checks)
    if plan.hard:
        name = plan.prediction
        rule = [_check(name, checks[name], "w[b]")] if name in checks else []
        passed = "".join(f"{name}, " for name in plan.parameters)
        before = ENTRIES_SIDE_BY_SIDE.substitute(call=_with_u(call, "own[b]"), passed=passed, loops=LOOPS.rstrip())
        body = HARD_ENTRIES.substitute(
            name=name, passed=passed, check_k=_indent(rule, 20),
            check_1=CHECK_ENTRIES.substitute(name=name, check=rule[0]) if rule else "",
        )  # fmt: skip
        scratch = ["own = np.empty(size, real)", *label]
    else:
        named = [(y if name == y else "u", d) for name, d in checks.items() if name != y or not integer]
        rules = [_check(name, domain, "w[b]") for name, domain in named]
        of_label = "real(1) if label[b] == k else real(0)"
        body = SOFT_ENTRIES.substitute(
            y=y, call=call, checks_0=_indent(rules, 20), checks_1=_indent(rules, 20),
            target_0=of_label if integer else "targets[item + b, k, 0]",
            target_1=of_label if integer else "targets[item, k, start + b]",
        )  # fmt: skip
        scratch = ["row_weight, part = np.empty(size, real), np.empty(size, real)", *label]
    return before + ENTRIES.substitute(
        unpack=unpack, scratch=_indent(scratch, 4), label=LABEL if integer else "", body=body
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

    def flush(self):
        self.files.flush()


@cache
def load(plan, real, integer):
    """The module of a plan, whose functions are compiled when they are first called with arrays of a new kind; None
    where Numba is told to compile nothing (NUMBA_DISABLE_JIT=1).
    """
    needs = f"{plan.name}: backend 'numba' needs the package numba"
    if imported("numba", needs).config.DISABLE_JIT:
        return None
    imported("lossbook.backends.numba_words", needs)
    module = kernels.load(f"{plan.name}_{np.dtype(real).name}", source(plan, real, integer), _depends())
    if folder := kernels.folder_of(module):
        for name in ("loops", "wide"):
            if function := getattr(module, name, None):
                function._cache = _Cache(function, folder)
    else:
        kernels.warn_of_refusal()
    return module


def run(plan, call):
    """Values, sums and gradients of a call (see `host.run`)."""
    module = load(plan, call.real, call.integer)
    if module is None:  # the kernels of NumPy have the same results, and can be stepped through as well
        return numpy_backend.run(plan, call)
    _, classes, inner = call.layout.three
    if plan.hard and plan.row == "margin" and inner == 1 and classes >= WIDE:
        return host.run(host.Kernel(module.wide, BLOCK if classes <= BLOCK // 16 else 1, typed=True), plan, call)
    return host.run(host.Kernel(module.loops, BLOCK, typed=True), plan, call)
