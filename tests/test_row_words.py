"""The words of a row, in losses that other libraries have: slopes and values against mpmath, on every backend."""

import math
import sys

import numpy as np
import nvrtc
import pytest
from cases import BACKENDS, DTYPES, Backend
from mpmath import mp, mpf
from oracle import check, check_between, exact, sides, value
from test_every_loss import exact_row, symbols_of

from lossbook import Classes, DomainError, Logit, Positive, Probability, ShapeError, loss, multiclass, words
from lossbook.backends import cupy
from lossbook.words import (
    classes,
    let,
    log_odds,
    logsumexp,
    maximum,
    minus_largest,
    minus_largest_of_others,
    sigmoid,
    softplus,
    sum_classes,
    sum_pixels,
)

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@loss
def multiclass_hinge(z: Logit, y: Classes):
    """Crammer and Singer: the truth should be a unit ahead of all others."""
    return sum_classes(y * maximum(1 - minus_largest_of_others(z), 0))


@loss
def squared_hinge(z: Logit, y: Classes, *, ahead: Positive = 1.0):
    """Its square."""
    return sum_classes(y * maximum(ahead - minus_largest_of_others(z), 0) ** 2)


@loss
def every_lead(z: Logit, y: Classes):
    """A loss in which every class has a say, whatever the target."""
    return sum_classes((y - minus_largest_of_others(z)) ** 2)


@loss
def z_loss(z: Logit, *, scale: Positive = 1e-4):
    """The square of the normalizer, of scores that have no target."""
    return scale * logsumexp(z) ** 2


@loss
def cross_entropy_with_z_loss(z: Logit, y: Classes, *, scale: Positive = 0.25):
    """Cross-entropy and the square of the normalizer."""
    return sum_classes(y * softplus(-log_odds(z))) + scale * logsumexp(z) ** 2


@loss
def per_class(z: Logit, y: Classes, *, scale: Positive = 0.25):
    """The same in other words, with steps and the number of classes."""
    normalizer = let(normalizer=logsumexp(z))
    each = let(each=softplus(-log_odds(z)))
    return scale * normalizer**2 / classes + sum_classes(y * each)


HINGES = [multiclass_hinge, squared_hinge, every_lead]
OF_ROWS = [z_loss, cross_entropy_with_z_loss, per_class]
each_declared = pytest.mark.parametrize("made", HINGES + OF_ROWS, ids=lambda made: made.name)
each_hinge = pytest.mark.parametrize("hinge", HINGES, ids=lambda hinge: hinge.name)


def on_all_backends(function, *arrays, **keywords):
    """{backend: the result of a call}."""
    results = {}
    for name in BACKENDS:
        with Backend(name).ready() as backend:
            results[name] = backend.call(function, *arrays, **keywords)
    return results


def targets(count, classes, dtype):
    """Class indices, and distributions in which several classes may have a share."""
    random = np.random.default_rng(classes)
    shares = random.random((count, classes)) * (random.random((count, classes)) < 0.5)
    return [random.integers(0, classes, count), shares.astype(dtype)]


def spread(y, classes, dtype):
    """The distribution that a target is."""
    return np.eye(classes, dtype=dtype)[y] if y.ndim == 1 else y


@each_hinge
@each_dtype
@pytest.mark.parametrize("classes", [2, 3, 40, 1000])
def test_leads_over_the_others_are_exact(hinge, dtype, classes):
    """Values and slopes of rows of few and of many classes, with and without ties, agree with mpmath."""
    random = np.random.default_rng(classes)
    z = (4 * random.normal(size=(6 if classes < 9 else 2, classes))).astype(dtype)
    z[1] = np.round(z[1])  # some of its scores tie
    z[0, :2] = 9, 9
    for y in targets(*z.shape, dtype):
        results = on_all_backends(hinge.value_and_grad, z, y, reduction="none")
        for i in range(len(z)):
            if (classes > 9 and hinge is every_lead) or (classes > 99 and y.ndim > 1):
                continue  # mpmath takes long; that the backends agree is tested below
            true, slopes, largest, _ = exact_row(hinge, {}, z[i], spread(y, classes, dtype)[i])
            for name, (values, gradient) in results.items():
                check(values[i], true, dtype, what=f"value {i} on {name}")
                for j in range(classes):
                    check(gradient[i, j], slopes[j], dtype, max(largest), what=f"slope {j} of row {i} on {name}")
        for got in results.values():
            for one, other in zip(got, results["numpy"], strict=True):
                near = 40 * np.finfo(dtype).eps
                np.testing.assert_allclose(one, other, rtol=near, atol=near * np.abs(other).max())


@each_hinge
def test_others_that_tie_share_the_slope(hinge):
    """Two or all classes in front, or behind, alike: slopes lie between those of the two sides, and add up to 0."""
    rows = [[1, 1, 0], [2, 2, 2], [0, 0, 3], [1, 3, 3], [-1, -1, -1], [0, 0, 1], [2, 1, 1], [0, -0.5, -0.5]]
    z = np.repeat(rows, 3, axis=0).astype(float)
    shares = np.tile([[1, 0, 0], [0, 0.5, 0.5], [0.25, 0.25, 0.5]], (len(rows), 1))
    for y in (shares, np.tile(np.arange(3), len(rows))):
        results = on_all_backends(hinge.value_and_grad, z, y, reduction="none")
        form, fixed = symbols_of(hinge, {}, (), ())
        fixed[words.classes] = mpf(3)
        for i, j in np.ndindex(z.shape):
            here = {**fixed, form.prediction: list(map(exact, z[i]))}
            here[form.target] = list(map(exact, spread(y, 3, float)[i]))
            slopes = sides(form.formula, here, form.prediction, j, digits=200)
            for name, (values, got) in results.items():
                check(values[i], value(form.formula, here), np.float64, what=f"{z[i]}, {y[i]} on {name}")
                check_between(got[i, j], slopes, np.float64, mpf(4), what=f"{z[i]}, {y[i]} on {name}")
                assert abs(math.fsum(got[i])) < 1e-14
    z, y = np.array([[0.0, 0, 0, -9], [2, 1, 1, -9], [2, 2, 1, -9]]), np.array([3, 0, 0])
    thirds = [[1 / 3, 1 / 3, 1 / 3, -1], [0.0, 0, 0, 0], [-1, 1, 0, 0]]
    for _, got in on_all_backends(multiclass_hinge.value_and_grad, z, y, reduction="none").values():
        np.testing.assert_allclose(got[[0, 2]], np.array(thirds)[[0, 2]], rtol=1e-15)
        np.testing.assert_allclose(got[1], [-0.5, 0.25, 0.25, 0])


@each_dtype
def test_infinite_scores_give_the_limit_and_nan_stays(dtype):
    """A class that is infinitely ahead costs nothing, one infinitely behind moves the front and itself alone."""
    inf, nan = np.inf, np.nan
    z = np.array([[1, -inf, -inf], [inf, 0, 1], [-inf, 0, 1], [0, inf, inf], [-inf] * 3, [0, nan, 1], [nan] * 3], dtype)
    values = [[0, inf], [0, inf], [inf, 0], [inf, 1], [1, 1], [nan, nan], [nan, nan]]
    for label in (0, 2):
        for y in (np.full(7, label), np.eye(3, dtype=dtype)[np.full(7, label)]):
            for name, (got, slopes) in on_all_backends(squared_hinge.value_and_grad, z, y, reduction="none").items():
                np.testing.assert_array_equal(got, np.array(values)[:, label // 2], err_msg=name)
                assert np.isnan(slopes[5:]).all(), name
                if label == 0:
                    np.testing.assert_array_equal(slopes[:3], [[0, 0, 0], [0, 0, 0], [-inf, 0, inf]], err_msg=name)
                    np.testing.assert_array_equal(slopes[3:5], [[-inf, inf, inf], [-2, 1, 1]], err_msg=name)


@each_declared
@each_dtype
@pytest.mark.skipif(sys.platform == "darwin", reason="NVIDIA has no compiler for macOS")
def test_nvrtc_compiles_every_kernel(made, dtype):
    """The CUDA compiler accepts the kernels of class indices and of distributions."""
    for integer in (True, False) if made.declaration.by_class else (False,):
        plan = made.evaluation.plan(*made.settings({}), integer=integer)
        assert nvrtc.nvrtc_compile(cupy.text(plan, dtype, integer), "sm_80", ("--std=c++17",))


def test_what_cannot_be_compared_is_refused():
    """One class has no others, and a row is compared in one way."""
    with pytest.raises(ShapeError, match="multiclass_hinge: z must have at least two classes"):
        multiclass_hinge(np.zeros((3, 1)), np.zeros(3, int))

    def two_ways(z: Logit, y: Classes):
        return sum_classes(y * minus_largest(z) + minus_largest_of_others(z))

    rule = r"two_ways: a row loss is made of one of minus_largest\(z\), minus_largest_of_others\(z\)"
    with pytest.raises(TypeError, match=rule):
        loss(two_ways)


@each_hinge
@pytest.mark.parametrize("shape", [(40, 5), (40, 50), (4, 5, 10), (2, 50, 20)])
def test_weights_and_ignored_labels(hinge, shape):
    """Weights of rows and classes and ignored labels act as on the losses of single rows."""
    random = np.random.default_rng(0)
    z, labels = random.normal(size=shape), random.integers(0, shape[1], (shape[0], *shape[2:]))
    weight, class_weight = random.random(labels.shape), random.random(shape[1])
    weight.flat[3] = class_weight[1] = 0
    shares = np.moveaxis(np.eye(shape[1])[labels], -1, 1)
    wanted = hinge.value_and_grad(z, shares, weight=weight * (labels != 2), class_weight=class_weight)
    for y, ignored in ((labels, {"ignore_index": 2}), (shares, {})):
        given = weight if ignored else weight * (labels != 2)
        for got in on_all_backends(
            hinge.value_and_grad, z, y, weight=given, class_weight=class_weight, **ignored
        ).values():
            if hinge is not every_lead or not ignored:
                for one, other in zip(got, wanted, strict=True):
                    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


# --- the logsumexp of a row ------------------------------------------------------------------------------------------


def exact_sum(made, z, y):
    """(value, slopes, largest terms) of a row of OF_ROWS, in mpmath."""
    with mp.workdps(60):
        z, y = list(map(exact, z)), list(map(exact, y)) if made.declaration.by_class else [mpf(0)] * len(z)
        scale = mpf(made.declaration.defaults["scale"]) / (len(z) if made is per_class else 1)
        normalizer, asked = mp.log(mp.fsum(map(mp.exp, z))), mp.fsum(y)
        p = [mp.exp(score - normalizer) for score in z]
        terms = [(asked * share, -wanted, 2 * scale * normalizer * share) for share, wanted in zip(p, y, strict=True)]
        true = mp.fsum(wanted * (normalizer - score) for score, wanted in zip(z, y, strict=True))
        return true + scale * normalizer**2, list(map(mp.fsum, terms)), [max(map(abs, term)) for term in terms]


# That with steps is tested in one type, since each compiles several kernels.
KINDS = [(made, dtype) for made in OF_ROWS for dtype in DTYPES if made is not per_class or dtype is np.float64]


@pytest.mark.parametrize(("made", "dtype"), KINDS, ids=lambda given: getattr(given, "name", ""))
@pytest.mark.parametrize("classes", [2, 3, 40, 1000])
def test_logsumexp_is_exact(made, dtype, classes):
    """Values and slopes of rows of few and of many classes agree with mpmath, alone and beside cross-entropy."""
    random = np.random.default_rng(classes)
    z = (4 * random.normal(size=(5, classes))).astype(dtype)
    z[0], z[1, :2], z[2, 1], z[3] = 0, 30, 1000, z[3] - 1e4
    z[4, 0], z[4, 1:] = 0, -14  # its sum is little more than 1
    made = made.with_parameters(scale=float(dtype(made.declaration.defaults["scale"]))) if made is z_loss else made
    for y in targets(*z.shape, dtype):
        results = on_all_backends(made.value_and_grad, z, *([y] if made.declaration.by_class else []), reduction="none")
        for i in range(len(z)):
            true, slopes, largest = exact_sum(made, z[i], spread(y, classes, dtype)[i])
            for name, (values, gradient) in results.items():
                check(values[i], true, dtype, what=f"value {i} on {name}")
                for j in range(classes):
                    check(gradient[i, j], slopes[j], dtype, largest[j], what=f"slope {j} of row {i} on {name}")


@each_dtype
def test_logsumexp_of_infinite_scores_and_nan(dtype):
    """Classes infinitely far behind have no share; a row that is infinite is as the limit; NaN stays."""
    inf, nan = np.inf, np.nan
    z = np.array([[1, -inf, 1 - inf], [inf, 0, 1], [inf, inf, 0], [-inf] * 3, [0, nan, -inf], [nan] * 3], dtype)
    values = [1, inf, inf, inf, nan, nan]
    slopes = [[2, 0, 0], [inf, 0, 0], [inf, inf, 0], [-inf] * 3, [nan] * 3, [nan] * 3]
    for got in on_all_backends(z_loss.value_and_grad, z, scale=1.0, reduction="none").values():
        np.testing.assert_array_equal(got[0], values)
        np.testing.assert_array_equal(got[1], slopes)


@pytest.mark.parametrize("shape", [(40, 5), (40, 50), (4, 5, 10), (2, 50, 20)])
def test_logsumexp_is_weighed_as_its_row(shape):
    """The term enters once per row, times the weight of the row; the weights of classes are those of the other term."""
    random = np.random.default_rng(0)
    z, labels = random.normal(size=shape), random.integers(0, shape[1], (shape[0], *shape[2:]))
    weight, class_weight = random.random(labels.shape), random.random(shape[1])
    z[0, 0], weight[0], class_weight[1] = np.nan, 0, 0
    plain, options = cross_entropy_with_z_loss, {"class_weight": class_weight, "reduction": "sum"}
    both = weight * (labels != 2)
    parts = [
        multiclass.cross_entropy_with_logits.value_and_grad(z, labels, weight=both, **options),
        z_loss.value_and_grad(z, weight=both, scale=0.25, reduction="sum"),
    ]
    wanted = [sum(part) for part in zip(*parts, strict=True)]
    shares = np.moveaxis(np.eye(shape[1])[labels], -1, 1)
    calls = [((z, labels), {"weight": weight, "ignore_index": 2}), ((z, shares), {"weight": both})]
    for arrays, keywords in calls:
        for got in on_all_backends(plain.value_and_grad, *arrays, **keywords, **options).values():
            for one, other in zip(got, wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    mean = z_loss(np.moveaxis(z, 1, -1), weight=weight, axis=-1)
    assert mean == pytest.approx(z_loss(z, weight=weight, reduction="sum") / weight.sum())


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("classes", [3, 200])
def test_predictions_obey_their_rule_in_rows_of_any_width(classes, name):
    """Log-odds may be those of probabilities, and of many classes too a number above 1 is none."""

    @loss
    def of_probabilities(p: Probability, y: Classes):
        """Cross-entropy of what is no logit."""
        return sum_classes(y * softplus(-log_odds(p)))

    p, y = np.full((2, classes), 0.5), np.zeros(2, int)
    p[1, 2] = 3
    with Backend(name).ready() as backend, pytest.raises(DomainError, match=r"p must be in \[0, 1\]; got 3.0 at index"):
        backend.call(of_probabilities, p, y)


def test_what_is_no_function_of_a_row_is_refused():
    """A logsumexp inside a sum, beside anything but log-odds, or with the target, is no loss."""

    def inside(z: Logit, y: Classes):
        return sum_classes(y * (logsumexp(z) - z))

    def beside_scores(z: Logit, y: Classes):
        return logsumexp(z) - sum_classes(y * z)

    def with_score(z: Logit, y: Classes):
        return logsumexp(z) * z

    def of_others(z: Logit, y: Classes):
        return logsumexp(2 * z)

    def in_totals(z: Logit, y: Classes):
        return sum_pixels(sigmoid(z) * logsumexp(z))

    for function in (inside, beside_scores, with_score, of_others, in_totals):
        with pytest.raises(TypeError, match=rf"^{function.__name__}: .*logsumexp"):
            loss(function)
