"""Sums of losses, losses of probabilities on logits, losses with other defaults: each is a Loss like any other."""

import copy
import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest
import sympy
from cases import BACKENDS, EVERY_LOSS, Backend, distributions, example, several
from mpmath import mp, mpf
from oracle import exact, slope, value

from lossbook import (
    BackendError,
    DomainError,
    Loss,
    Outcome,
    Real,
    ShapeError,
    adversarial,
    binary,
    detection,
    multiclass,
    regression,
    segmentation,
)
from lossbook import loss as make_loss


@pytest.fixture(params=BACKENDS)
def backend(request):
    with Backend(request.param).ready() as ready:
        yield ready


@pytest.fixture
def maps():
    """Softmax maps of three classes, and integer masks."""
    random = np.random.default_rng(0)
    return distributions((2, 3, 4, 5), np.float64), random.integers(0, 3, (2, 4, 5)), random.normal(size=(2, 3, 4, 5))


MIXED = 0.3 * segmentation.dice + 0.7 * segmentation.cross_entropy
JOINED = [loss for loss in EVERY_LOSS if loss.shape == "joined"]
SUMS = {
    "mixed": MIXED,
    "three": segmentation.jaccard + 2 * segmentation.dice + segmentation.balanced_cross_entropy * 0.5,
}
ON_LOGITS = {
    "dice softmax": segmentation.dice.on_logits("softmax"),
    "dice sigmoid": segmentation.dice.on_logits("sigmoid"),
    "cross-entropy": segmentation.cross_entropy.on_logits("softmax"),
    "sum": MIXED.on_logits("softmax"),
}


# --- sums ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", SUMS)
def test_a_sum_is_the_sum_of_its_parts(name, reduction, maps, backend):
    """Value and gradient are the weighted sums of what the parts give, also with class weights and ignored labels."""
    loss, (p, y, _) = SUMS[name], maps
    for keywords in ({}, {"class_weight": np.array([1.0, 2, 0.5])}, {"ignore_index": 1}):
        got, gradient = backend.call(loss.value_and_grad, p, y, reduction=reduction, **keywords)
        parts = [backend.call(part.value_and_grad, p, y, reduction=reduction, **keywords) for _, part in loss.terms]
        coefficients = [c for c, _ in loss.terms]
        np.testing.assert_allclose(got, sum(c * v for c, (v, _) in zip(coefficients, parts, strict=True)), rtol=1e-14)
        np.testing.assert_allclose(
            gradient, sum(c * g for c, (_, g) in zip(coefficients, parts, strict=True)), rtol=1e-13
        )


def test_a_sum_is_a_loss(maps):
    """It has a name, a formula, its gradient, LaTeX, source, properties, a card, and it pickles."""
    p, y, _ = maps
    assert isinstance(MIXED, Loss)
    assert MIXED.name == "0.3*segmentation.dice + 0.7*segmentation.cross_entropy"
    for text in ("dice", "cross_entropy"):
        assert f"segmentation.{text} on NumPy" in MIXED.source("numpy")
        assert f"segmentation.{text}" in MIXED.source("cupy")
    assert r"\sum" in MIXED.latex
    assert MIXED.latex in MIXED._repr_markdown_()
    again = pickle.loads(pickle.dumps(MIXED))
    assert again(p, y) == MIXED(p, y)
    assert (0.5 * regression.huber + regression.squared_error).properties == {"convex": True}
    assert "smooth" in MIXED.signature.parameters
    assert MIXED(p, y, smooth=0.0) == 0.3 * segmentation.dice(p, y, smooth=0.0) + 0.7 * segmentation.cross_entropy(p, y)


def test_the_formula_of_a_sum_is_its_value():
    """Formula and gradient, evaluated in mpmath, agree with the numbers of the kernels."""
    loss = 0.25 * regression.huber + 3 * regression.log_cosh
    p, y = np.array([2.0, -0.3]), np.array([0.5, 0.1])
    values, slopes = loss.value_and_grad(p, y, reduction="none")
    names = loss.terms[0][1].formula_at()
    for i in range(2):
        symbols = {
            names.prediction: exact(p[i]),
            names.target: exact(y[i]),
            sympy.Symbol("delta", positive=True): mpf(1),
        }
        true = value(loss.formula, symbols)
        assert abs(values[i] - true) <= mpf(2) ** -50 * true
        steep = slope(loss.formula, symbols, names.prediction)
        assert abs(slopes[i] - steep) <= mpf(2) ** -50 * abs(steep)


def test_a_coefficient_of_zero_leaves_its_part_out():
    """0 times an infinite loss adds nothing, to the value and to the gradient."""
    loss = 1.0 * binary.focal + 0 * binary.cross_entropy
    p, y = np.array([0.0]), np.array([1.0])
    both = 0.5 * binary.focal.with_parameters(alpha=0.0) + 0.0 * binary.cross_entropy
    assert both(p, y) == 0
    assert loss.name == "1*binary.focal"
    assert (0 * binary.focal)(np.array([0.5]), y) == 0


def test_partial_sums_of_a_sum_merge(maps):
    """Pieces of the data add up to the whole, pickled or not, and refuse the pieces of another loss."""
    p, y, _ = maps
    parts = pickle.loads(pickle.dumps([MIXED.partial(p[:1], y[:1]), MIXED.partial(p[1:], y[1:])]))
    np.testing.assert_allclose(sum(parts).finish(), MIXED(p, y), rtol=1e-14)
    np.testing.assert_allclose(sum(parts).finish("sum"), MIXED(p, y, reduction="sum"), rtol=1e-14)
    with pytest.raises(ValueError, match="partial sums merge only within one loss"):
        parts[0] + SUMS["three"].partial(p, y)


def test_what_does_not_add(maps):
    """Losses of other arguments, equal names of parameters, values of several shapes, and things that are no loss."""
    p, y, _ = maps
    with pytest.raises(
        TypeError, match=r"take the same arguments; .*dice takes Probability, Classes, .*huber takes Real"
    ):
        segmentation.dice + regression.huber
    for wrong in (lambda: segmentation.dice + 1, lambda: "2" * segmentation.dice, lambda: True * segmentation.dice):
        with pytest.raises(TypeError):
            wrong()
    twice = segmentation.tversky + segmentation.focal_tversky
    with pytest.raises(TypeError, match=r"several parts have a parameter alpha; set it in each: part.with_parameters"):
        twice(p, y, alpha=0.3)
    with pytest.raises(TypeError, match=r"unknown argument 'smoth'; did you mean smooth\?"):
        MIXED(p, y, smoth=1)
    with pytest.raises(ShapeError, match=r"reduction must be 'sum' or 'mean'.*got \(2, 3\) and \(2, 4, 5\)"):
        MIXED(p, y, reduction="none")


def test_the_formula_of_a_sum_has_each_part_s_own_parameters():
    """Parameters that several parts have are those parts' defaults: numbers, not one symbol for all."""
    of_one, of_three = (regression.huber.with_parameters(delta=delta) for delta in (1.0, 3.0))
    loss = 0.5 * of_one + 0.5 * of_three + regression.smooth_l1
    form = regression.huber.formula_at()
    p, y = np.array([2.0, 5.0]), np.array([0.5, 0.1])
    values, slopes = loss.value_and_grad(p, y, reduction="none")
    for i in range(2):
        symbols = {form.prediction: exact(p[i]), form.target: exact(y[i]), sympy.Symbol("beta", positive=True): mpf(1)}
        true = value(loss.formula, symbols)
        assert abs(values[i] - true) <= mpf(2) ** -50 * true
        steep = slope(loss.formula, symbols, form.prediction)
        assert abs(slopes[i] - steep) <= mpf(2) ** -50 * abs(steep)
    for expression in (loss.formula, loss.gradient):
        assert {symbol.name for symbol in expression.free_symbols} == {"p", "y", "beta"}


def test_losses_are_divided_by_numbers_and_summed_up():
    """loss/2 is half of it, and the built-in sum adds a list; there is no sum with another number."""
    parts = [regression.squared_error / 4, regression.absolute_error]
    p, y = np.array([2.0, -0.3]), np.array([0.5, 0.1])
    assert sum(parts).name == "0.25*regression.squared_error + 1*regression.absolute_error"
    assert sum(parts)(p, y) == regression.squared_error(p, y) / 4 + regression.absolute_error(p, y)
    assert sum(parts[1:]) is parts[1]
    for wrong in (
        lambda: 1 + parts[0],
        lambda: False + parts[0],
        lambda: parts[0] / "2",
        lambda: parts[0] / True,
        lambda: 2 / parts[0],
        lambda: parts[0] - 1,
        lambda: 1 - parts[0],
        lambda: 1j * parts[0],
    ):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(ZeroDivisionError):
        parts[0] / 0


def test_losses_are_subtracted():
    """-loss and a - b are sums with negative coefficients; sums of sums are one sum."""
    a, b = regression.squared_error, regression.absolute_error
    p, y = np.array([2.0, -0.3]), np.array([0.5, 0.1])
    assert (-a)(p, y) == -a(p, y)
    assert (a - 2 * b).name == "1*regression.squared_error - 2*regression.absolute_error"
    value, gradient = (a - 2 * b).value_and_grad(p, y)
    assert value == a(p, y) - 2 * b(p, y)
    np.testing.assert_array_equal(gradient, a.grad(p, y) - 2 * b.grad(p, y))
    assert (2 * (a - b)).terms == ((2.0, a), (-2.0, b))
    assert (2 * (a - b)).name == "2*regression.squared_error - 2*regression.absolute_error"


def test_coefficients_are_finite_real_numbers():
    """Of any kind of number, NumPy's among them; the error of another names the loss."""
    loss = regression.squared_error
    for half in (0.5, np.float32(0.5), np.float64(0.5), Fraction(1, 2)):
        assert half * loss == loss * half == loss / 2
    for wrong in (np.nan, np.inf, -np.inf, 10**400, np.float32(np.inf)):
        for made in (lambda: wrong * loss, lambda: loss * wrong):  # noqa: B023
            with pytest.raises(DomainError, match=r"regression.squared_error: a coefficient must be finite"):
                made()
    with pytest.raises(DomainError, match="a coefficient must be finite"):
        1e300 * (1e300 * loss)
    with pytest.raises(DomainError, match="a coefficient must be finite"):
        loss / 1e-320
    for wrong in (True, np.True_, 1j):
        with pytest.raises(TypeError, match=r"regression.squared_error: a coefficient must be a real number; got"):
            wrong * loss


def test_coefficients_of_any_size_keep_their_meaning(backend):
    """The product is rounded once, to the dtype of the prediction, and no warning comes of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        z, y = np.zeros(64, np.float16), np.ones(64)
        assert np.all(backend.call((65536 * binary.cross_entropy_with_logits).grad, z, y) == -512)
        small = 1e-8 * regression.squared_error
        far = np.full(4, 300, np.float16), np.zeros(4)
        for reduction in ("mean", "none"):
            value, gradient = backend.call(small.value_and_grad, *far, reduction=reduction)
            assert np.all(value == np.float16(9e-4))
            assert np.all(gradient == np.float16(6e-6 / (4 if reduction == "mean" else 1)))
        p = np.full(4, 1e18, np.float32), np.zeros(4)
        for coefficient in (1e-50, 1e-40, 1e-30):
            loss = coefficient * regression.squared_error
            value, gradient = backend.call(loss.value_and_grad, *p, reduction="none")
            np.testing.assert_allclose(value, coefficient * 1e36, rtol=3e-7)
            np.testing.assert_allclose(gradient, coefficient * 2e18, rtol=3e-7)
        with np.errstate(all="raise"):
            assert backend.call(1e300 * regression.squared_error, *p) == np.inf


def test_float16_is_rounded_once():
    """Value and gradient of a sum in float16 are those of float32, rounded."""
    random = np.random.default_rng(0)
    z, y = (8 * random.normal(size=(50, 3))).astype(np.float16), random.normal(size=(50, 3))
    loss = 0.3 * regression.squared_error + 1e-3 * regression.absolute_error - 0.1 * regression.huber
    for reduction in ("mean", "sum", "none"):
        half = loss.value_and_grad(z, y, reduction=reduction)
        wide = loss.value_and_grad(z.astype(np.float32), y, reduction=reduction)
        for one, other in zip(half, wide, strict=True):
            np.testing.assert_array_equal(one, np.asarray(other).astype(np.float16))
        out = np.empty_like(z)
        assert loss.grad(z, y, reduction=reduction, out=out) is out
        np.testing.assert_array_equal(out, half[1])
        out = np.empty_like(z, dtype=np.float32)
        assert loss.grad(z, y, reduction=reduction, out=out) is out
        np.testing.assert_array_equal(out, wide[1])


def test_float16_sums_of_several_predictions_do_not_overflow():
    """A term's sum passes 65504 long before its mean does; gradients are those of float32, rounded."""
    count = 100_000
    z, boxes = np.zeros((count, 3), np.float16), np.zeros((count, 4), np.float16)
    assert adversarial.minimax_with_logits(z, z) == np.float16(2 * np.log(2))
    given = np.ones(count, int), np.ones((count, 4))
    assert detection.detection_with_logits(z, boxes, *given) == np.float16(np.log(3) / 2 + 1)
    small = [array[:7] for array in (z, boxes, *given)]
    wide = [array.astype(np.float32) if array.dtype == np.float16 else array for array in small]
    for reduction in ("mean", "sum", "none"):
        half = detection.detection_with_logits.value_and_grad(*small, reduction=reduction)
        value, gradients = detection.detection_with_logits.value_and_grad(*wide, reduction=reduction)
        np.testing.assert_array_equal(half[0], np.asarray(value).astype(np.float16))
        for one, other in zip(half[1], gradients, strict=True):
            np.testing.assert_array_equal(one, other.astype(np.float16))


def test_a_weight_of_zero_removes_from_sums(maps, backend):
    """Images and classes of weight 0 may hold anything, in each part of a sum."""
    p, y, _ = maps
    loss = segmentation.dice.with_parameters(class_weight=[0, 1, 1]) + segmentation.cross_entropy
    spoiled, labels = p.copy(), y.copy()
    spoiled[0], labels[0] = np.nan, 255
    for reduction in ("mean", "sum"):
        options = {"weight": np.array([0.0, 1.0]), "reduction": reduction}
        wanted = backend.call(loss.value_and_grad, p, y, **options)
        got = backend.call(loss.value_and_grad, spoiled, labels, **options)
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("loss", JOINED, ids=lambda loss: loss.name)
def test_a_weight_of_zero_removes_from_losses_of_several_predictions(loss, backend):
    """An item of weight 0 may hold anything, and be of a class that there is not; with nothing left the mean is NaN."""
    arrays, weight = several(loss, np.float32)
    pair = weight if isinstance(weight, tuple) else (weight,)
    for w in pair:
        w[2] = 0
    spoiled = [array.copy() for array in arrays]
    for array in spoiled:
        array[2] = 7 if array.dtype.kind == "i" else np.nan
    calls = [{}, {"cls_norm": None}] if "cls_norm" in loss.declaration.defaults else [{}]
    for keywords in calls:
        for reduction in ("none", "sum", "mean"):
            options = {"reduction": reduction, "weight": weight, **keywords}
            if backend.name == "cupy" and isinstance(weight, tuple):
                options["weight"] = tuple(map(backend.up, weight))
            wanted, slopes = backend.call(loss.value_and_grad, *arrays, **options)
            got, gradients = backend.call(loss.value_and_grad, *spoiled, **options)
            np.testing.assert_equal(tuple(map(backend.down, slopes)), tuple(map(backend.down, gradients)))
            for one, other in zip(*(x if isinstance(x, tuple) else (x,) for x in (got, wanted)), strict=True):
                np.testing.assert_array_equal(backend.down(one), backend.down(other))
            assert not any(np.any(backend.down(g)[2]) for g in gradients)
    if loss.declaration.target is None:
        return
    options = {"cls_norm": None, "box_norm": None} if "cls_norm" in loss.declaration.defaults else {}
    nothing = {"weight": np.zeros_like(weight), **options}
    assert np.isnan(backend.call(loss, *spoiled, **nothing))
    assert backend.call(loss, *spoiled, reduction="sum", **nothing) == 0
    assert not any(np.any(backend.down(g)) for g in backend.call(loss.grad, *spoiled, **nothing))


def test_losses_of_several_predictions_are_neither_scaled_nor_put_on_logits():
    """The errors name the loss and say what to do instead."""
    for wrong in (lambda: 2 * adversarial.minimax, lambda: adversarial.minimax + adversarial.generator):
        with pytest.raises(TypeError, match=r"adversarial.minimax: cannot be .* scale the value and the gradients"):
            wrong()
    with pytest.raises(TypeError, match=r"detection.mask_rcnn: cannot be .* one gradient for each of scores, boxes, m"):
        detection.mask_rcnn / 2
    with pytest.raises(TypeError, match=r"detection.detection: cannot be .* weigh its terms by its alpha, beta"):
        regression.huber + detection.detection
    with pytest.raises(TypeError, match=r"minimax.on_logits: .* use adversarial.minimax_with_logits"):
        adversarial.minimax.on_logits("sigmoid")
    with pytest.raises(TypeError, match="needs a loss of probabilities; real is not one"):
        adversarial.minimax_with_logits.on_logits("sigmoid")


# --- other defaults --------------------------------------------------------------------------------------------------


def test_other_defaults_make_another_loss(maps):
    """with_parameters leaves the loss itself alone, checks its values, shows in the signature, and pickles."""
    p, y, _ = maps
    tversky = segmentation.tversky
    before = tversky(p, y)
    other = tversky.with_parameters(alpha=0.2, beta=0.8)
    assert other(p, y) == tversky(p, y, alpha=0.2, beta=0.8) != before
    assert tversky(p, y) == before
    assert other.signature.parameters["alpha"].default == 0.2
    assert "0.2 if left out" in other.__doc__
    assert other.with_parameters(alpha=0.5, beta=0.5)(p, y) == before
    assert pickle.loads(pickle.dumps(other))(p, y) == other(p, y)
    assert segmentation.dice.with_parameters(squared=True)(p, y) == segmentation.dice(p, y, squared=True)
    with pytest.raises(DomainError, match=r"segmentation.tversky: alpha must be >= 0 and finite; got -1"):
        tversky.with_parameters(alpha=-1)
    both = tversky.with_parameters(alpha=0.2) + segmentation.focal_tversky
    assert both(p, y) == tversky(p, y, alpha=0.2) + segmentation.focal_tversky(p, y)


CHOSEN = {"class_weight": [0, 1, 2], "ignore_index": 2, "axis": 1, "reduction": "sum", "backend": "numpy"}
BY_CLASS = [loss for loss in EVERY_LOSS if loss.declaration.by_class and loss.shape in ("rows", "overlap", "distance")]


@pytest.mark.parametrize("loss", BY_CLASS, ids=lambda loss: loss.name)
def test_options_can_be_given_to_a_loss_for_good(loss):
    """with_parameters takes them as it takes parameters; a call may still give others. It pickles, and says so."""
    p, y = example(loss, np.float64, (2, 3, 4, 5), integer=True)
    chosen = CHOSEN | ({"batch": True} if loss.shape == "overlap" else {})
    other = loss.with_parameters(**chosen)
    wanted = loss.value_and_grad(p, y, **chosen)
    for again in (other, pickle.loads(pickle.dumps(other)), copy.deepcopy(other), other.with_parameters()):
        assert again == other != loss
        assert hash(again) == hash(other)
        for one, two in zip(again.value_and_grad(p, y), wanted, strict=True):
            np.testing.assert_array_equal(one, two)
        assert again.partial(p, y).finish() == pytest.approx(wanted[0], rel=1e-14)
        assert again(p, y, reduction="mean", class_weight=None) == loss(
            p, y, **{**chosen, "reduction": "mean", "class_weight": None}
        )
    assert other.signature.parameters["class_weight"].default == (0.0, 1.0, 2.0)
    assert other.signature.parameters["reduction"].default == "sum"
    assert "ignore_index=2" in repr(other)
    assert "ignore_index=2" in other.name
    assert "ignore_index\n    2 if left out" in other.__doc__
    assert other.source() == loss.source()
    assert loss.signature.parameters["class_weight"].default is None


def test_options_that_a_loss_cannot_be_given_for_good():
    """Weights belong to the data; values are checked when they are given."""
    loss = segmentation.dice
    with pytest.raises(TypeError, match=r"segmentation.dice.with_parameters: weight belongs to the data"):
        loss.with_parameters(weight=[1, 2])
    with pytest.raises(TypeError, match="unknown argument 'batch'"):
        binary.focal.with_parameters(batch=True)
    for wrong in (
        {"class_weight": {0: 1}},
        {"class_weight": [1, -1]},
        {"class_weight": [1, np.nan]},
        {"class_weight": "balanced"},
        {"class_weight": 2.0},
        {"class_weight": [[1, 2]]},
        {"batch": 1},
        {"reduction": "average"},
        {"axis": 1.5},
        {"ignore_index": 2.5},
        {"ignore_index": True},
    ):
        with pytest.raises((DomainError, ShapeError), match=f"segmentation.dice: {next(iter(wrong))} must "):
            loss.with_parameters(**wrong)
    with pytest.raises(BackendError):
        loss.with_parameters(backend="torch")


def test_a_sum_passes_options_on_to_the_parts_that_have_none_of_their_own(maps, backend):
    """Dice without the background, over the batch, plus cross-entropy with class weights is one expression."""
    p, y, z = maps
    dice = segmentation.dice.with_parameters(class_weight=[0, 1, 1], batch=True)
    loss = dice + segmentation.cross_entropy.with_parameters(class_weight=[0.2, 0.3, 0.5])
    apart = [
        backend.call(segmentation.dice.value_and_grad, p, y, class_weight=np.array([0.0, 1, 1]), batch=True),
        backend.call(segmentation.cross_entropy.value_and_grad, p, y, class_weight=np.array([0.2, 0.3, 0.5])),
    ]
    value, gradient = backend.call(loss.value_and_grad, p, y)
    assert value == apart[0][0] + apart[1][0]
    np.testing.assert_array_equal(gradient, apart[0][1] + apart[1][1])
    for name in ("class_weight", "batch"):
        with pytest.raises(TypeError, match=f"every part that takes {name} has its own"):
            loss(p, y, **{name: True})
        assert name not in loss.signature.parameters
    some = dice + segmentation.cross_entropy
    weights = np.array([1.0, 2, 3])
    assert backend.call(some, p, y, class_weight=weights) == backend.call(dice, p, y) + backend.call(
        segmentation.cross_entropy, p, y, class_weight=weights
    )
    assert some.with_parameters(class_weight=weights) == dice + segmentation.cross_entropy.with_parameters(
        class_weight=weights
    )
    summed = segmentation.cross_entropy.with_parameters(reduction="sum") + segmentation.jaccard
    pieces = [backend.call(summed.partial, p[i : i + 1], y[i : i + 1]) for i in (0, 1)]
    assert backend.call(summed, p, y) == pytest.approx(sum(pieces).finish(), rel=1e-14)
    on_logits = dice.on_logits("softmax") + segmentation.cross_entropy_with_logits
    q = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    wanted = backend.call(dice, q, y) + backend.call(segmentation.cross_entropy_with_logits, z, y)
    assert backend.call(on_logits, z, y) == pytest.approx(wanted, rel=1e-13)


def test_equal_losses_are_equal():
    """Losses with the same formula, defaults and options, sums of them and unpickled copies: as keys they are one."""
    tversky = segmentation.tversky
    groups = [
        [tversky],
        [tversky.with_parameters(alpha=0.3), tversky.with_parameters(alpha=np.float64(0.3))],
        [tversky.with_parameters(class_weight=[0, 1]), tversky.with_parameters(class_weight=np.array([0.0, 1.0]))],
        [0.5 * segmentation.dice + segmentation.jaccard, segmentation.dice / 2 + segmentation.jaccard],
        [segmentation.jaccard + 0.5 * segmentation.dice],
        [segmentation.dice.on_logits("softmax"), segmentation.dice.on_logits("softmax")],
        [segmentation.dice.on_logits("sigmoid")],
        [segmentation.dice.with_parameters(smooth=0.0).on_logits("sigmoid")],
        [detection.detection],
        [detection.detection.with_parameters(alpha=0.3), detection.detection.with_parameters(alpha=0.3)],
        [segmentation.hausdorff.with_parameters(alpha=1.0), segmentation.hausdorff.with_parameters(alpha=1)],
    ]
    groups = [[*group, *pickle.loads(pickle.dumps(group))] for group in groups]
    for k, group in enumerate(groups):
        assert len(set(group)) == 1
        for j, other in enumerate(groups):
            assert all((one == two) == (j == k) for one in group for two in other)
    assert segmentation.dice != 1
    assert (segmentation.dice == np.ones(3)) is False


# --- partial sums ----------------------------------------------------------------------------------------------------


def test_partial_sums_merge_only_within_the_same_loss_and_setting(maps):
    """Flags, parameters, class weights, coefficients, options, and the formula itself; the error says what differs."""
    p, y, _ = maps
    dice = segmentation.dice
    weights = [{"class_weight": np.array([1.0, k, 1.0]), "batch": True} for k in (0, 2)]
    different = [
        (dice.partial(p, y), dice.partial(p, y, squared=True), "squared False and True"),
        (dice.partial(p, y), dice.partial(p, y, smooth=2), "smooth 1.0 and 2.0"),
        (dice.partial(p, y), dice.partial(p, y, batch=True), "batch False and True"),
        (dice.partial(p, y, **weights[0]), dice.partial(p, y, **weights[1]), "class_weight .* and "),
        ((0.1000001 * dice).partial(p, y), (0.1 * dice).partial(p, y), "coefficient .* 0.1000001 and 0.1"),
        ((dice * 2).partial(p, y), (dice * 2).partial(p, y, smooth=2), "smooth of part 1, .* 1.0 and 2.0"),
    ]

    def declared(factor):
        def one(p: Real, y: Outcome):
            return factor * (y - p) ** 2

        return make_loss(one)

    z = np.ones(3), np.zeros(3)
    different.append((declared(1).partial(*z), declared(2).partial(*z), "of another formula"))
    for one, other, text in different:
        for a, b in ((one, other), (other, one)):
            with pytest.raises(ValueError, match="partial sums merge only within one loss and one setting; got"):
                a + b
        with pytest.raises(ValueError, match=text):
            one + other
    same = declared(1).partial(*z) + declared(1).partial(*z)
    assert same.finish() == declared(1)(*z)
    ones = dice.partial(p, y, class_weight=np.ones(3)) + dice.partial(p, y)
    assert ones.finish() == pytest.approx(dice(p, y), rel=1e-14)


@pytest.mark.parametrize("loss", [MIXED, segmentation.dice, segmentation.dice.with_parameters(batch=True)])
def test_the_order_of_two_partial_sums_does_not_matter(loss, maps):
    """a + b is b + a, to the bit."""
    p, y, _ = maps
    a, b = (loss.partial(p[i : i + 1], y[i : i + 1]) for i in (0, 1))
    for reduction in ("mean", "sum"):
        assert (a + b).finish(reduction) == (b + a).finish(reduction)


# --- on logits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ON_LOGITS)
def test_on_logits_is_the_loss_of_the_activation(name, dtype, maps, backend):
    """The value is the loss of the activated logits; dtype and shape of the gradient are those of the logits."""
    loss, (_, y, z) = ON_LOGITS[name], maps
    z = z.astype(dtype)
    wide = z.astype(float)
    p = 1 / (1 + np.exp(-wide)) if loss.activation == "sigmoid" else np.exp(wide) / np.exp(wide).sum(1, keepdims=True)
    got, gradient = backend.call(loss.value_and_grad, z, y)
    np.testing.assert_allclose(got, loss.part(p, y), rtol={2: 1e-3, 4: 1e-6, 8: 1e-13}[z.itemsize])
    assert got.dtype == gradient.dtype == dtype
    assert gradient.shape == z.shape
    if dtype == np.float64:
        random = np.random.default_rng(1)
        step = random.normal(size=z.shape) * 1e-6
        difference = (backend.call(loss, z + step, y) - backend.call(loss, z - step, y)) / 2
        np.testing.assert_allclose(np.sum(gradient * step), difference, rtol=1e-6)


def test_on_logits_agrees_with_the_loss_of_logits():
    """Where both exist they agree, for ordinary logits, value and gradient, pointwise and over classes."""
    random = np.random.default_rng(2)
    z, y = random.normal(size=(20, 4)), random.random((20, 4))
    for of_logits, loss in (
        (binary.focal_with_logits, binary.focal.on_logits("sigmoid")),
        (binary.cross_entropy_with_logits, binary.cross_entropy.on_logits("sigmoid")),
        (adversarial.generator_with_logits, adversarial.generator.on_logits("sigmoid")),
    ):
        arrays = [z, y][: len(loss.declaration.arrays)]
        for a, b in zip(of_logits.value_and_grad(*arrays), loss.value_and_grad(*arrays), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-17)
    labels = random.integers(0, 4, 20)
    pair = multiclass.cross_entropy_with_logits, multiclass.cross_entropy.on_logits("softmax")
    for a, b in zip(*(loss.value_and_grad(z, labels, class_weight=np.arange(4.0)) for loss in pair), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-17)


def test_on_logits_of_infinite_and_masked_logits():
    """Infinite logits give the limit of the probabilities, and no NaN in the gradient."""
    loss = multiclass.cross_entropy.on_logits("softmax")
    z = np.array([[-np.inf, 1, 2], [np.inf, 1, 2]])
    values, gradient = loss.value_and_grad(z, np.array([2, 0]), reduction="none")
    np.testing.assert_allclose(values, [np.log1p(np.exp(-1)), 0], rtol=1e-14)
    assert np.all(np.isfinite(gradient))
    assert gradient[0, 0] == 0
    with mp.workdps(30):
        q = float(1 / (1 + mp.exp(1)))
    np.testing.assert_allclose(gradient[0, 1:], [q, -q], rtol=1e-14)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("part", [multiclass.cross_entropy, segmentation.dice, segmentation.tversky])
def test_on_logits_a_weight_of_zero_removes_even_a_nan(part, activation, backend):
    """So does ignore_index, and so do weights that are all 0: the slopes are those of the logits without the NaN."""
    loss = part.on_logits(activation)
    random = np.random.default_rng(3)
    z, y, w = random.normal(size=(2, 3, 5)), random.integers(0, 3, (2, 5)), np.ones((2, 5))
    w[0, 1] = w[1, 4] = 0
    bad = np.where(w[:, None] == 0, np.nan, z)
    bad[0, 0, 1] = np.inf
    for keywords in ({"weight": w}, {"ignore_index": 7}):
        labels = np.where(w == 0, 7, y) if "ignore_index" in keywords else y
        got, gradient = backend.call(loss.value_and_grad, bad, labels, **keywords)
        wanted, without = backend.call(loss.value_and_grad, np.where(w[:, None] == 0, 0.3, z), labels, **keywords)
        assert got == wanted
        np.testing.assert_array_equal(gradient, without)
        assert np.any(gradient)
    nothing = backend.call(loss.grad, bad, y, weight=np.zeros((2, 5)))
    np.testing.assert_array_equal(nothing, np.zeros_like(z))
    assert np.any(np.isnan(backend.call(loss.grad, bad, y)))


def test_on_logits_a_weight_of_zero_removes_a_nan_among_elements(backend):
    """A NaN that counts makes its own slope NaN."""
    z, y = np.array([np.nan, 1.0, -2.0]), np.array([0.0, 1.0, 0.0])
    loss = binary.cross_entropy.on_logits("sigmoid")
    gradient = backend.call(loss.grad, z, y, weight=np.array([0.0, 1.0, 1.0]))
    assert gradient[0] == 0
    np.testing.assert_array_equal(gradient[1:], backend.call(loss.grad, z[1:], y[1:]))
    np.testing.assert_array_equal(np.isnan(backend.call(loss.grad, z, y)), [True, False, False])


def test_the_class_axis_of_logits(maps):
    """Any integer is an axis, a switch is not; an axis without classes is refused in the loss's own name."""
    _, y, z = maps
    for loss in (segmentation.dice.on_logits("softmax"), multiclass.cross_entropy.on_logits("softmax")):
        last = np.moveaxis(z, 1, -1)
        np.testing.assert_allclose(loss(last, y, axis=np.int64(3)), loss(z, y), rtol=1e-14)
        assert loss.grad(last, y, axis=np.int8(-1)).shape == last.shape
        for axis in (True, 1.0, None):
            with pytest.raises(ShapeError, match=f"z must have a class axis {axis}"):
                loss(z, y, axis=axis)
        for activation in ("softmax", "sigmoid"):
            name = f"{loss.part.name}.on_logits\\('{activation}'\\)"
            with pytest.raises(ShapeError, match=f"{name}: z must have at least one class; got shape"):
                loss.part.on_logits(activation)(z[:, :0], y)


def test_on_logits_is_a_loss():
    """Formula, gradient, LaTeX, source, signature and pickling; parameters and options are those of the part."""
    loss = segmentation.dice.on_logits("softmax")
    assert loss.name == "segmentation.dice.on_logits('softmax')"
    assert "softmax" in loss.latex
    assert "softmax" in str(loss.gradient)
    assert "segmentation.dice_of_softmax on NumPy" in loss.source()
    assert list(loss.signature.parameters)[:3] == ["z", "y", "smooth"]
    assert pickle.loads(pickle.dumps(loss)).name == loss.name
    p = binary.focal.on_logits("sigmoid")
    z = sympy.Symbol("z", real=True)
    assert sympy.simplify(p.gradient - sympy.diff(p.formula, z)) == 0


def test_losses_on_logits_add_to_losses_of_logits(maps):
    """Formula, gradient, LaTeX, source and name of a sum of both, and of a sum that is put on logits as a whole."""
    _, y, z = maps
    both = 0.5 * segmentation.dice.on_logits("softmax") + 0.5 * segmentation.cross_entropy_with_logits
    of_sum = MIXED.on_logits("softmax")
    assert both(z, y) == pytest.approx(
        (segmentation.dice.on_logits("softmax")(z, y) + segmentation.cross_entropy_with_logits(z, y)) / 2, rel=1e-15
    )
    assert of_sum.name == f"({MIXED.name}).on_logits('softmax')"
    for loss in (both, of_sum):
        assert {symbol.name for symbol in loss.formula.free_symbols} >= {"z", "y", "smooth"}
        assert "p" not in {symbol.name for symbol in (loss.formula + loss.gradient).free_symbols}
        assert "softmax" in str(loss.gradient)
        assert loss.latex in loss._repr_markdown_()


def test_a_mask_of_one_channel_has_overlap_and_cross_entropy():
    """A distribution over classes and labels of elements are the same array here; class indices are refused."""
    z = np.random.default_rng(0).normal(size=(2, 1, 4, 5))
    y = (z + 1 > 0).astype(float)
    dice = segmentation.dice.on_logits("sigmoid")
    value, gradient = (dice + binary.cross_entropy_with_logits).value_and_grad(z, y)
    assert value == pytest.approx(dice(z, y) + binary.cross_entropy_with_logits(z, y), rel=1e-15)
    np.testing.assert_allclose(gradient, dice.grad(z, y) + binary.cross_entropy_with_logits.grad(z, y), rtol=1e-13)
    with pytest.raises(ShapeError, match=r"binary.cross_entropy_with_logits: y must have shape \(2, 1, 4, 5\)"):
        (dice + binary.cross_entropy_with_logits)(z, np.zeros((2, 4, 5), int))


def test_what_cannot_be_on_logits(maps):
    """Losses that are not of probabilities, softmax without classes, unknown activations, bad arrays."""
    _, y, z = maps
    with pytest.raises(TypeError, match="needs a loss of probabilities; z is not one"):
        binary.focal_with_logits.on_logits("sigmoid")
    with pytest.raises(TypeError, match="softmax needs a loss with a class axis"):
        binary.focal.on_logits("softmax")
    with pytest.raises(DomainError, match="activation must be 'sigmoid' or 'softmax'; got 'tanh'"):
        segmentation.dice.on_logits("tanh")
    loss = segmentation.dice.on_logits("softmax")
    with pytest.raises(
        DomainError, match=r"on_logits\('softmax'\): z must be float16, float32 or float64; got dtype int64"
    ):
        loss(z.astype(int), y)
    with pytest.raises(ShapeError, match="y must have shape"):
        loss(z, y[:1])
    with pytest.raises(ShapeError, match=r"z must have a class axis 7"):
        loss(z, y, axis=7)
    with pytest.raises(DomainError, match="out must not share memory with z"):
        loss.grad(z, y, out=z)
    with pytest.raises(BackendError):
        loss(z, y, backend="torch")
