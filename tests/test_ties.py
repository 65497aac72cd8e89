"""Ties: where the pieces of a loss meet, its slope lies between its own slopes on the two sides.

The slopes of the two sides are differences of the formula in mpmath. Where they agree, the slope is theirs. Losses of
pixels have no kinks in their predictions and are tested at all points elsewhere.
"""

import itertools
import math
import re

import numpy as np
import pytest
import sympy
from cases import BACKENDS, DTYPES, EVERY_LOSS, Backend, column, row_kind, settings
from mpmath import mpf
from oracle import check, check_between, exact, gradient, is_kink, largest_product, largest_term, sides, value
from test_every_loss import POINTWISE, ROWS, symbols_of

from lossbook import DomainError, detection, loss, regression, words
from lossbook.domains import Outcome, Positive, Real
from lossbook.words import absolute, maximum, minimum

BOXES = [loss for loss in EVERY_LOSS if loss.shape == "boxes"]
each_box_loss = pytest.mark.parametrize("loss", BOXES, ids=lambda loss: loss.name)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
JUMP = mpf(10) ** 40  # a slope beyond it is a jump, or infinite


def on_all_backends(function, *arrays, **keywords):
    """{backend: the result of a call}."""
    results = {}
    for name in BACKENDS:
        with Backend(name).ready() as backend:
            results[name] = backend.call(function, *arrays, **keywords)
    return results


# --- elements --------------------------------------------------------------------------------------------------------


@loss
def hinge(p: Real, y: Outcome):
    """Zero beyond the margin."""
    return maximum(0, 1 - y * p)


@loss
def pinball(p: Real, y: Outcome):
    """A slope for each sign of the residual."""
    return maximum(0.25 * (y - p), -0.75 * (y - p))


@loss
def insensitive(p: Real, y: Outcome, *, width: Positive = 1.0):
    """Zero near the target."""
    return maximum(absolute(y - p) - width, 0)


@loss
def pieces_of_a_line(p: Real, y: Outcome):
    """The residual, put together from its two halves: smooth, though neither half is."""
    return maximum(p - y, 0) + minimum(p - y, 0) + maximum(p, 1) + minimum(1, p)


DECLARED = [hinge, pinball, insensitive, pieces_of_a_line]


@pytest.mark.parametrize("loss", POINTWISE + DECLARED, ids=lambda loss: loss.name)
@each_dtype
def test_slopes_of_elements_at_kinks(loss, dtype):
    """Residuals of 0 and residuals equal to a parameter, on a grid of numbers that are exact in every type."""
    domains = [loss.declaration.arguments[name] for name in loss.declaration.arrays]
    grid = np.array([-8, -2, -1, -0.5, 0, 0.25, 0.5, 1, 1.5, 8.0])
    columns = [column(d, dtype) if d.values else grid[(grid >= d.low) & (grid <= d.high)] for d in domains]
    arrays = [np.array(part, dtype) for part in zip(*itertools.product(*columns), strict=True)]
    count = 0
    for setting in settings(loss):
        results = None
        for i in range(arrays[0].size):
            form, symbols = symbols_of(loss, setting, arrays, i)
            if not is_kink(form.formula, symbols):
                continue
            results = results or on_all_backends(loss.grad, *arrays, reduction="none", **setting)
            domain, count = form.domains[form.prediction], count + 1
            slopes = sides(form.formula, symbols, form.prediction, None, domain.low, domain.high, digits=200)
            largest = largest_term(gradient(form.formula, form.prediction), symbols)
            for name, got in results.items():
                what = f"{loss.name}{setting} at {[float(a[i]) for a in arrays]} ({dtype.__name__}) on {name}"
                check_between(got[i], slopes, dtype, largest, what=what)
    has_kinks = loss.formula.has(words.absolute, words.maximum, words.minimum)
    assert (count > 0) == has_kinks


def test_slopes_of_sums_of_losses_at_kinks():
    """A sum of losses has the sum of their slopes, at kinks of any of them."""
    parts = [(2.0, regression.absolute_error), (0.5, regression.huber), (3.0, regression.smooth_l1)]
    both = 2.0 * regression.absolute_error + 0.5 * regression.huber + 3.0 * regression.smooth_l1
    p, y = np.array([0.0, 1, -1, 2, 0.5]), np.array([0.0, 0, 0, 2, 1.5])
    for name, got in on_all_backends(both.grad, p, y, reduction="none").items():
        for i in range(p.size):
            slopes = [mpf(0), mpf(0)]
            for coefficient, part in parts:
                form, symbols = symbols_of(part, {}, (p, y), i)
                of_part = sides(form.formula, symbols, form.prediction, digits=200)
                slopes = [total + mpf(coefficient) * slope for total, slope in zip(slopes, of_part, strict=True)]
            check_between(got[i], slopes, np.float64, mpf(5), what=f"{p[i]}, {y[i]} on {name}")


# --- rows ------------------------------------------------------------------------------------------------------------


WITH_KINKS = [loss for loss in ROWS if row_kind(loss) == "minus_largest"]


@pytest.mark.parametrize("loss", WITH_KINKS, ids=lambda loss: loss.name)
def test_slopes_of_rows_with_equal_scores(loss):
    """Two or all classes in front, or behind, alike; of class indices and of soft targets. Log-odds have no kinks."""
    dtype = np.float64
    rows = np.array([[1, 1, 0], [2, 2, 2], [0, 0, 3], [1, 3, 3], [-1, -1, -1], [0, 0, 0.0]])
    z = np.repeat(rows, 3, axis=0).astype(dtype)
    targets = [np.tile(np.array([[1, 0, 0], [0, 0.5, 0.5], [0.25, 0.25, 0.5]]), (len(rows), 1)).astype(dtype)]
    if loss.declaration.by_class:
        targets.append(np.tile(np.arange(3), len(rows)))
    for y in targets:
        spread = np.eye(3, dtype=dtype)[y] if y.ndim == 1 else y
        results = on_all_backends(loss.value_and_grad, z, y, reduction="none")
        form, fixed = symbols_of(loss, {}, (), ())
        fixed[words.classes] = mpf(3)
        for i in range(len(z)):
            here = {**fixed, form.prediction: list(map(exact, z[i])), form.target: list(map(exact, spread[i]))}
            for j in range(3):
                slopes = sides(form.formula, here, form.prediction, j, digits=200)
                for name, (values, got) in results.items():
                    where = f"{loss.name} at {z[i]}, {spread[i]} on {name}"
                    check(values[i], value(form.formula, here), dtype, what=where)
                    check_between(got[i, j], slopes, dtype, mpf(2), what=f"slope {j} of {where}")


# --- boxes -----------------------------------------------------------------------------------------------------------


def corners_of_integers():
    """All pairs of boxes with corners 0, 1, 2 and 3, boxes without area among them."""
    ends = [(low, high) for low in range(4) for high in range(low, 4)]
    boxes = np.array([(left, top, right, bottom) for left, right in ends for top, bottom in ends], float)
    return np.repeat(boxes, len(boxes), axis=0), np.tile(boxes, (len(boxes), 1))


def edges_of(form, symbols, k):
    """How far the corner k of the prediction may move: as far as the corner across."""
    across = symbols[form.predictions[(k + 2) % 4]]
    return (-math.inf, across) if k < 2 else (across, math.inf)


@each_box_loss
def test_slopes_of_boxes_whose_edges_meet(loss):
    """Boxes that touch, coincide, contain each other with an edge in common, or have no area, in each type.

    A slope lies between those of the two sides, and is their mean; that of a side of length 0 is the one on which
    the side grows. Where the loss jumps, all is finite.
    """
    p, t = corners_of_integers()
    some = np.random.default_rng(8).permutation(len(p))[:50]
    form, gradients = loss.formula_at(), loss.gradient
    results = {dtype: on_all_backends(loss.grad, p[some].astype(dtype), t[some].astype(dtype), reduction="none")
               for dtype in DTYPES}  # fmt: skip
    for i, n in enumerate(some):
        symbols = dict(zip(form.arrays, map(exact, (*p[n], *t[n])), strict=True))
        for k in range(4):
            low, high = edges_of(form, symbols, k)
            slopes = sides(form.formula, symbols, form.predictions[k], None, low, high, digits=150)
            largest = largest_product(gradients[k], symbols)
            for dtype, by_backend in results.items():
                for name, got in by_backend.items():
                    what = f"slope {k} of {loss.name} at {p[n]}, {t[n]} ({dtype.__name__}) on {name}"
                    assert np.isfinite(got[i, k]), what
                    if all(abs(slope) < JUMP for slope in slopes):
                        check(got[i, k], sum(slopes) / len(slopes), dtype, largest, what=what)


@each_box_loss
def test_slopes_of_all_boxes_whose_edges_meet(loss):
    """The same at all 10,000 pairs of boxes, by differences of the loss itself in float64."""
    p, t = corners_of_integers()
    step = 2.0**-24
    for name in ("numpy", "numba"):
        values, slopes = loss.value_and_grad(p, t, reduction="none", backend=name)
        for k in range(4):
            found = []
            for move in (-step, step):
                moved = p.copy()
                moved[:, k] += move
                live = ((moved[:, 2:] >= moved[:, :2]).all(axis=1)).astype(float)
                there = loss(moved, t, weight=live, reduction="none", backend=name)
                found.append(np.where(live > 0, (there - values) / move, np.nan))
            found = np.array(found)
            smooth = ~(np.abs(found) > 100).any(axis=0)
            np.testing.assert_allclose(slopes[smooth, k], np.nanmean(found, axis=0)[smooth], atol=1e-6)
            assert np.count_nonzero(smooth) > 8900  # the others jump: both boxes without area, a point in CIoU


def test_slopes_where_the_loss_jumps():
    """Two boxes without area cost 1 or nothing, whatever is next to them: the overlap gives no slope."""
    lines = np.array([[0, 0, 0, 3], [0, 0, 2, 0], [1, 1, 1, 1.0]])
    for box_loss in BOXES:
        for name, (values, slopes) in on_all_backends(box_loss.value_and_grad, lines, lines, reduction="none").items():
            assert not np.any(values), name
            assert not np.any(slopes), name
    assert not np.any(detection.iou.grad(lines, lines[[1, 2, 0]]))
    # The diagonals of lines that cross make a right angle: v = 1 and alpha = 1/2, beside centers at distance 0.
    assert detection.ciou(np.array([[0, 2, 4, 2.0]]), np.array([[2, 0, 2, 4.0]])) == 1 + 1 / 2
    # A point has no diagonal, wherever it is.
    point, large = np.array([[100.1, 100.2, 100.1, 100.2]]), np.array([[0.3, 0.1, 777.7, 555.5]])
    assert detection.ciou(point, large) == detection.diou(point, large)


# --- the order of operations -----------------------------------------------------------------------------------------


@each_box_loss
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_box_against_itself_costs_nothing_wherever_it_is(loss, dtype):
    """Value and slopes are exactly 0: near the origin, at 10^5 pixels, on a map, at negative coordinates."""
    random = np.random.default_rng(3)
    places = np.array([0, 1e3, 1e5, 1e7, 4e6 + 0.3, -1e5, -7.7, 0.1])[:, None, None]
    low = places + random.uniform(-1, 1, (len(places), 60, 2))
    p = np.concatenate([low, low + 10.0 ** random.uniform(-1, 3, low.shape)], axis=-1).reshape(-1, 4)
    p = p[np.abs(p).max(axis=1) < np.finfo(dtype).max].astype(dtype)
    for values, slopes in on_all_backends(loss.value_and_grad, p, p.copy(), reduction="none").values():
        assert not np.any(values)
        assert not np.any(slopes)


@each_box_loss
@pytest.mark.parametrize("place", [0, 1e3, 1e5, 1e7])
def test_neighboring_boxes_keep_their_digits_far_from_the_origin(loss, place):
    """Boxes of 1 to 1000 pixels that nearly agree, touch, or lie apart, at coordinates of up to 10^7 pixels."""
    random = np.random.default_rng(int(place) % 97)
    count = 14
    size = 10.0 ** random.uniform(0, 3, (count, 2))
    low = place + random.uniform(0, 100, (count, 2))
    t = np.concatenate([low, low + size], axis=1)
    p = t + random.normal(size=(count, 4)) * np.tile(size, 2) * 10.0 ** random.uniform(-3, -0.5, (count, 1))
    p[-2:] += np.tile(size[-2:], 2)
    p[0, 2:] = p[0, :2] + size[0] / 500  # a small one in a large one
    p, t = (np.concatenate([np.sort(a[:, ::2]), np.sort(a[:, 1::2])], axis=1)[:, [0, 2, 1, 3]] for a in (p, t))
    p, t = p.astype(np.float32), t.astype(np.float32)
    results = on_all_backends(loss.value_and_grad, p, t, reduction="none")
    form, gradients = loss.formula_at(), loss.gradient
    for i in range(count):
        symbols = dict(zip(form.arrays, map(exact, (*p[i], *t[i])), strict=True))
        true, where = value(form.formula, symbols), f"{loss.name} at {p[i]}, {t[i]}"
        for name, (values, _) in results.items():
            check(values[i], true, np.float32, what=f"{where} on {name}")
        for k in range(4):
            slopes = sides(form.formula, symbols, form.predictions[k], None, *edges_of(form, symbols, k), digits=150)
            largest = largest_product(gradients[k], symbols)
            for name, (_, got) in results.items():
                if all(abs(slope) < JUMP for slope in slopes):
                    what = f"slope {k} of {where} on {name}"
                    check(got[i, k], sum(slopes) / len(slopes), np.float32, largest, what=what)


@each_box_loss
def test_no_kernel_adds_more_than_two_coordinates_at_once(loss):
    """SymPy sorts the terms of a sum: of a difference of differences the large coordinates would be added first."""
    plan = loss.evaluation.plan(*loss.settings({}), integer=False)
    corners = set(plan.inputs)
    for title, expression in (*plan.forward, *plan.terms, *plan.backward):
        for part in expression.atoms(sympy.Add):
            added = [term for term in part.args if {symbol.name for symbol in term.free_symbols} & corners]
            plain = [term for term in added if term.is_Symbol or (term.is_Mul and len(term.free_symbols) == 1)]
            assert len(plain) <= 2, f"{title} = {expression}"
    (options,) = re.findall(r"^@register_jitable\((.*)\)\ndef element", loss.source("numba"), re.MULTILINE)
    assert 'fastmath={"nsz"}' in options  # no sum in another order


# --- zeros, NaN ------------------------------------------------------------------------------------------------------


@each_box_loss
@each_dtype
def test_minus_zero_is_zero_in_boxes(loss, dtype):
    """A coordinate of -0.0 is one of 0.0: same values, same slopes."""
    p, t = (a[::7].astype(dtype) for a in corners_of_integers())
    minus = [np.where(a == 0, dtype(-0.0), a) for a in (p, t)]
    for name, wanted in on_all_backends(loss.value_and_grad, p, t, reduction="none").items():
        for pair in ((minus[0], t), (p, minus[1]), minus):
            with Backend(name).ready() as backend:
                got = backend.call(loss.value_and_grad, *pair, reduction="none")
            assert all(map(np.array_equal, got, wanted))


@each_box_loss
def test_nan_in_a_corner_gives_nan(loss):
    """The value of the box and all its slopes are NaN, the other boxes are what they were; weight 0 takes it out."""
    p, t = (np.repeat([box], 5, axis=0) for box in ((0, 0, 2, 3.0), (1, 1, 4, 2.0)))
    for k in range(4):
        p[k, k] = np.nan
    live = np.array([0, 0, 0, 0, 1.0])
    for name, (values, slopes) in on_all_backends(loss.value_and_grad, p, t, reduction="none").items():
        assert np.isnan(values[:4]).all(), name
        assert np.isnan(slopes[:4]).all(), name
        assert np.isfinite(values[4])
        assert np.isfinite(slopes[4]).all()
    for mean, slopes in on_all_backends(loss.value_and_grad, p, t, weight=live).values():
        assert np.isfinite(mean)
        assert np.isfinite(slopes).all()
        assert not np.any(slopes[:4])
    for name in BACKENDS:
        with Backend(name).ready() as backend, pytest.raises(DomainError, match="t must be a box"):
            backend.call(loss, p[4:], p[:1])
