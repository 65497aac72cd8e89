"""Losses of probabilities on logits: one kernel with the losses of logits, and no digit lost."""

import sys

import numpy as np
import pytest
import sympy
from cases import BACKENDS, LOSSES, Backend, example
from mpmath import mp, mpf
from oracle import DIGITS, Evaluator, check, exact, largest_term, slope

import lossbook
from lossbook import BackendError, binary, divergence, multiclass, segmentation, words
from lossbook.logits import of_logit

OF_PROBABILITIES = [loss for loss in LOSSES if loss.declaration.of_prediction.name == "Probability"]
PAIRS = [
    (loss, activation, twin)
    for loss in OF_PROBABILITIES
    for activation in ("sigmoid", "softmax")
    if (twin := getattr(sys.modules[loss.__module__], f"{loss.__name__}_with_logits", None)) is not None
    and (loss.shape == "rows") == (activation == "softmax")
]
POINTWISE = [loss for loss in OF_PROBABILITIES if loss.shape == "pointwise"]
BY_CLASS = [loss for loss in OF_PROBABILITIES if loss.shape in ("rows", "overlap")]

SURE = (0.0, 1e-3, 0.4, 1.0, 3.0, 17.0, 40.0, 87.0, 104.0, 700.0)
LABELS = (0.0, 1e-3, 0.3, 0.5, 1.0)


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend in turn; CuPy's kernels run on the host."""
    with Backend(request.param).ready() as ready:
        yield ready


def probability(logit):
    """The probability of an exact logit, to all the digits that the oracle wants."""
    with mp.workdps(max(DIGITS) + 20):
        return 1 / (1 + mp.exp(-logit))


def value_and_slope(part, z, y):
    """The exact value of a loss of the probability of the logit z, its slope along z, and the largest term of that."""
    form = part.formula_at()
    symbols = {symbol: exact(part.declaration.defaults[symbol.name]) for symbol in form.parameters}
    symbols |= dict(zip(form.arrays, (probability(exact(z)), exact(y)), strict=False))
    p = symbols[form.prediction]
    with mp.workdps(60):
        chain = p * probability(-exact(z))
    true = Evaluator(symbols)
    with mp.workdps(max(DIGITS)):
        value = true(form.formula)
    along = slope(form.formula, symbols, form.prediction) * chain
    with mp.workdps(60):
        largest = max(abs(along), largest_term(sympy.diff(form.formula, form.prediction), symbols) * chain)
    return value, along, largest


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("part", POINTWISE, ids=lambda part: part.name)
def test_values_and_slopes_keep_their_digits_for_any_logit(part, dtype):
    """Each element agrees with mpmath within 8 + |ln(exact)| ulp, also where the probability rounds to 0 or 1."""
    loss = part.on_logits("sigmoid")
    column = [sign * size for size in SURE for sign in (1, -1)]
    pairs = [(z, y) for z in column for y in (LABELS if len(part.declaration.arrays) > 1 else (0.0,))]
    arrays = [np.array(each, dtype) for each in zip(*pairs, strict=True)][: len(part.declaration.arrays)]
    results = {}
    for name in BACKENDS:
        with Backend(name).ready() as backend:
            results[name] = backend.call(loss.value_and_grad, *arrays, reduction="none")
    for i in range(arrays[0].size):
        z, y = arrays[0][i], arrays[-1][i]
        value, along, largest = value_and_slope(part, z, y)
        for name, (values, slopes) in results.items():
            what = f"of {loss.name} at z = {z}, y = {y} ({dtype.__name__}) on {name}"
            check(values[i], value, dtype, what=f"value {what}")
            if mp.isfinite(value):
                check(slopes[i], along, dtype, largest, what=f"slope {what}")


def shares(z):
    """The softmax of a row of exact logits."""
    with mp.workdps(max(DIGITS) + 20):
        odds = [mp.exp(number - max(z)) for number in z]
        return [each / mp.fsum(odds) for each in odds]


def exact_on_softmax(part, z, y):
    """(value, slopes, largest term of slopes) of a loss of one row, or of one pixel with all its classes.

    The slopes are differences of exact softmaxes.
    """
    form = part.formula_at()
    fixed = {symbol: exact(part.declaration.defaults[symbol.name]) for symbol in form.parameters}
    fixed[words.classes] = mpf(len(z))

    def value(z):
        p = shares(z)
        if part.shape == "rows":
            return Evaluator(fixed | {form.prediction: p, form.target: y})(form.formula)
        each = [Evaluator(fixed | {form.prediction: [p[k]], form.target: [y[k]]})(form.formula) for k in range(len(z))]
        return mp.fsum(each)

    def alone(k):
        """The slope along a logit that has no rivals, of which that under a softmax is a difference."""
        symbols, p = fixed | {form.target: [y[k]]}, shares(z)[k]
        return p * slope(form.formula, symbols | {form.prediction: [p]}, form.prediction, 0, 0.0, 1.0)

    step = mpf(10) ** -350
    with mp.workdps(max(DIGITS)):
        slopes = []
        for k in range(len(z)):
            moved = [[x + sign * step if j == k else x for j, x in enumerate(z)] for sign in (1, -1)]
            slopes.append((value(moved[0]) - value(moved[1])) / (2 * step))
        largest = max(map(abs, slopes))
        if part.shape == "overlap":
            largest = max(largest, *(abs(alone(k)) for k in range(len(z))))
        return value(z), slopes, largest


ROWS = np.array(
    [[1, -1, 2], [17, 0, 0], [0, 40, -3], [-40, 0, 1], [88, 0, 0], [1e8, 1e8, 0], [2, 2, 2], [0, -700, 3], [-5, -6, 6]],
    float,
)
TARGETS = np.array(
    [[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [0.25, 0.5, 0.25], [0.3, 0.3, 0.4]]
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("part", BY_CLASS, ids=lambda part: part.name)
def test_values_and_slopes_keep_their_digits_under_a_softmax(part, dtype):
    """Rows and pixels agree with mpmath, also those that are sure; slopes to the largest of their row."""
    loss = part.on_logits("softmax")
    z, y = ROWS.astype(dtype), TARGETS.astype(dtype)
    if part.shape == "overlap":
        z, y = z[..., None], y[..., None]
    for name in BACKENDS:
        with Backend(name).ready() as backend:
            values, slopes = backend.call(loss.value_and_grad, z, y, reduction="none")
        for i in range(len(z)):
            exact_z, exact_y = ([exact(number) for number in array[i].ravel()] for array in (z, y))
            value, along, largest = exact_on_softmax(part, exact_z, exact_y)
            what = f"of {loss.name} at {ROWS[i]}, {TARGETS[i]} ({dtype.__name__}) on {name}"
            check(dtype(np.sum(values[i].astype(float))), value, dtype, what=f"value {what}")
            for k in range(3):
                check(slopes[i].ravel()[k], along[k], dtype, largest, what=f"slope {k} {what}")


@pytest.mark.parametrize(("part", "activation", "twin"), PAIRS, ids=lambda given: getattr(given, "name", given))
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_loss_on_logits_is_the_loss_of_logits_to_the_bit(part, activation, twin, dtype, backend):
    """Where both exist they have one kernel: the same source, and the same bits for every reduction and target."""
    loss = part.on_logits(activation)
    assert loss.source(backend.name) == twin.source(backend.name)
    for integer in {False, twin.declaration.by_class}:
        arrays = example(twin, dtype, (5, 4, 3), integer=integer)
        arrays[0] = arrays[0] * dtype(5)
        for reduction in ("none", "sum", "mean"):
            got, slopes = backend.call(loss.value_and_grad, *arrays, reduction=reduction)
            wanted, along = backend.call(twin.value_and_grad, *arrays, reduction=reduction)
            np.testing.assert_array_equal(got, wanted)
            np.testing.assert_array_equal(slopes, along)
    assert loss.partial(*example(twin, dtype)).finish() == twin.partial(*example(twin, dtype)).finish()


def test_the_famous_losses_have_pairs():
    """The discovery above finds what it should."""
    found = {twin.name for _, _, twin in PAIRS}
    assert found >= {
        "binary.cross_entropy_with_logits", "binary.focal_with_logits", "multiclass.cross_entropy_with_logits",
        "multiclass.focal_with_logits", "segmentation.cross_entropy_with_logits", "adversarial.generator_with_logits",
    }  # fmt: skip


def test_every_pattern_of_a_probability_becomes_a_stable_word():
    """What authors write with p: logarithms, complements, powers, differences; with or without names of steps."""
    p, y, z = sympy.symbols("p y z", real=True)
    for written, stable in (
        (-sympy.log(p), words.softplus(-z)),
        (-sympy.log(1 - p), words.softplus(z)),
        (-words.log1p(-p), words.softplus(z)),
        (1 - p, words.sigmoid(-z)),
        (2 - 2 * p, 2 * words.sigmoid(-z)),
        (words.power(1 - p, y), words.sigmoid_power(-z, y)),
        (p - y, -words.residual_of_logit(y, z)),
        (y / 2 - p / 2, words.residual_of_logit(y, z) / 2),
        (p + 1, words.sigmoid(z) + 1),
    ):
        assert sympy.expand(of_logit(written, p, z) - stable) == 0, written

    @lossbook.loss
    def named(p: lossbook.Probability, y: lossbook.Label):
        """A cost with a name for the complement."""
        other = words.let(other=1 - p)
        return -y * sympy.log(p) - (1 - y) * sympy.log(other)

    arrays = np.array([40.0, -40.0], np.float32), np.array([0.0, 1.0], np.float32)
    np.testing.assert_array_equal(
        named.on_logits("sigmoid").value_and_grad(*arrays)[1], binary.cross_entropy_with_logits.grad(*arrays)
    )


def test_totals_may_be_declared_of_log_odds_and_softmaxes(backend):
    """A loss of totals may speak of a class's log-odds; it is the same as a loss of probabilities on logits."""

    @lossbook.loss
    def overlap_of_log_odds(z: lossbook.Logit, y: lossbook.Classes):
        """Jaccard of a softmax."""
        p, q = words.sigmoid(words.log_odds(z)), words.sigmoid(-words.log_odds(z))
        errors = words.let(errors=words.sum_pixels(p * (1 - y) + y * q))
        return words.share(errors, words.let(overlap=words.sum_pixels(p * y)) + 1)

    random = np.random.default_rng(0)
    z, y = random.normal(size=(2, 3, 50)), random.integers(0, 3, (2, 50))
    wanted = backend.call(segmentation.jaccard.on_logits("softmax").value_and_grad, z, y)
    for got, right in zip(backend.call(overlap_of_log_odds.value_and_grad, z, y), wanted, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-12)


@pytest.mark.parametrize("part", BY_CLASS, ids=lambda part: part.name)
@pytest.mark.parametrize("classes", [2, 3, 17, 40])
def test_totals_under_a_softmax_for_any_number_of_classes(part, classes, backend):
    """Values and slopes are those of the loss of probabilities with the chain rule, over several tiles of pixels."""
    loss, random = part.on_logits("softmax"), np.random.default_rng(classes)
    z, y = random.normal(size=(2, classes, 500)), random.integers(0, classes, (2, 500))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    value, g = part.value_and_grad(p, y)
    got, slopes = backend.call(loss.value_and_grad, z, y)
    np.testing.assert_allclose(got, value, rtol=1e-12)
    wanted = p * (g - np.sum(p * g, axis=1, keepdims=True))
    if part.name != "multiclass.kullback_leibler":  # whose slope of probabilities is that of unnormalized rows
        np.testing.assert_allclose(slopes, wanted, rtol=1e-9, atol=1e-12 * np.abs(wanted).max())


def test_a_class_of_weight_zero_still_moves_the_others_under_a_softmax(backend):
    """Its own loss is left out, but its logit stays in the softmax of the others; an image of weight 0 is out."""
    random = np.random.default_rng(0)
    z, y = random.normal(size=(2, 3, 20)), random.integers(0, 3, (2, 20))
    loss = segmentation.dice.on_logits("softmax")
    slopes = backend.call(loss.grad, z, y, class_weight=np.array([0.0, 1, 1]))
    assert np.all(slopes[:, 0] != 0)
    np.testing.assert_allclose(slopes.sum(axis=1), 0, atol=1e-15)
    bad = np.where(np.arange(2)[:, None, None] == 0, np.nan, z)
    slopes = backend.call(loss.grad, bad, y, weight=np.array([0.0, 1.0]))
    assert np.all(slopes[0] == 0)
    assert np.all(np.isfinite(slopes[1]))


def test_divergences_of_float32_logits_are_computed_in_float64():
    """Their terms are differences of nearly equal numbers, which a float32 sigmoid would not know."""
    z = np.float32([0.84729785])
    got = divergence.kullback_leibler.on_logits("sigmoid")(z, np.float32([0.7]))
    with mp.workdps(50):
        q, p = 1 / (1 + mp.exp(-exact(z[0]))), exact(np.float32(0.7))
        true = p * mp.log(p / q) + (1 - p) * mp.log((1 - p) / (1 - q))
    check(got, true, np.float32)


def test_unknown_backends_are_refused():
    with pytest.raises(BackendError):
        multiclass.cross_entropy.on_logits("softmax")(np.zeros((2, 3)), np.array([0, 1]), backend="torch")
