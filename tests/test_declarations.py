"""Whatever a declaration accepts runs, with the same numbers on every backend; what it cannot run, it refuses itself.

Formulas are templates, which meet every domain of a prediction and every kind of target. NumPy runs all of them; each
template is compiled for Numba and CUDA once, since compiling costs more than all else here.
"""

import itertools

import numpy as np
import pytest
import sympy
from cases import Backend

from lossbook import (
    Classes,
    Flag,
    Fraction,
    Label,
    Logit,
    LogProbability,
    Outcome,
    Positive,
    Probability,
    Real,
    Sign,
    loss,
)
from lossbook.words import (
    absolute,
    arctan,
    classes,
    exp,
    let,
    log,
    log1p,
    log_odds,
    logsumexp,
    maximum,
    minimum,
    minus_largest,
    minus_largest_of_others,
    power,
    sigmoid,
    softplus,
    sum_classes,
    sum_pixels,
    tanh,
    xlogy,
)

PREDICTIONS = (Logit, Probability, LogProbability, Real)
TARGETS = (None, Label, Sign, Outcome, Classes)


def _let(name, value, then):
    """A formula with a named step."""
    return then(let(**{name: value}))


# Formulas of a prediction p, a target y (or a number) and a positive parameter a.
ANY_SHAPE = {
    "square": lambda p, y, a: (p - y) ** 2 * a,
    "step": lambda p, y, a: _let("s", p - y, lambda s: s**2 * a + s),
    "steps with names of kernels": lambda p, y, a: _let("block", p - y, lambda s: _let("w", s**2 + a, lambda w: s * w)),
    "constants": lambda p, y, a: sympy.pi * (p - y) ** 2 + sympy.E * a,
    "rational powers": lambda p, y, a: ((p - y) ** 2 + 1) ** sympy.Rational(3, 2) + sympy.cbrt((p - y) ** 2 + a),
    "quotients": lambda p, y, a: ((p - y) ** 2 + 1) ** -2 * a / (1 + p**2),
    "roots": lambda p, y, a: sympy.sqrt((p - y) ** 2 + a),
    "large powers": lambda p, y, a: a * p**7 - 3 * p,
    "functions of SymPy": lambda p, y, a: sympy.exp(-((p - y) ** 2) * a) + sympy.log(p**2 + a) + sympy.Abs(p - a),
    "exponents": lambda p, y, a: (1 + sympy.Abs(p - y)) ** a + 2 ** (p - y) + a**p,
    "nested words": lambda p, y, a: log1p(exp(-absolute(p - y))) * maximum(a, minimum(p, y + 0.3)),
    "sigmoids": lambda p, y, a: sigmoid(p * a - y) ** 2 + tanh(p - y) ** 2 + a * arctan(p - y),
    "many terms": lambda p, y, a: sum((p - y) ** k * a for k in range(2, 12)),
    "xlogy": lambda p, y, a: xlogy(y, 1 + (p - y) ** 2) * a,
}
TOTALS = {
    "sum_pixels": lambda p, y, a: sum_pixels((p - y) ** 2) * a,
    "totals": lambda p, y, a: sum_pixels(p * y + 1) / (sum_pixels(p**2) + a),
    "a named sum of pixels": lambda p, y, a: _let("s", sum_pixels((p - y) ** 2), lambda s: s**2 * a),
    "a power of a sum of pixels": lambda p, y, a: power(sum_pixels((p - y) ** 2) + 1, a),
}
ROWS = {
    "sum_classes": lambda p, y, a: sum_classes(y * (p - a) ** 2),
    "sum_classes of all": lambda p, y, a: sum_classes((p - y) ** 2 * a / classes),
    "log_odds": lambda p, y, a: sum_classes(y * softplus(-log_odds(p)) * a),
    "log_odds of all": lambda p, y, a: sum_classes((y + a / classes) * softplus(-log_odds(p))),
    "minus_largest": lambda p, y, a: sum_classes(-y * minus_largest(p) * a),
    "logsumexp": lambda p, y, a: sum_classes(y * softplus(-log_odds(p))) + a * logsumexp(p) ** 2,
    "logsumexp alone": lambda p, y, a: a * logsumexp(p) ** 2,
    "minus_largest_of_others": lambda p, y, a: sum_classes(y * maximum(a - minus_largest_of_others(p), 0) ** 2),
}
EVERY = {**ANY_SHAPE, **TOTALS, **ROWS}


def declared(formula, prediction, target):
    """A loss of a formula; without a target, y is a number."""
    if target is None:

        def made(p: prediction, *, a: Positive = 0.5):
            return formula(p, sympy.Rational(1, 4), a)

    else:

        def made(p: prediction, y: target, *, a: Positive = 0.5):
            return formula(p, y, a)

    return loss(made)


def arrays(prediction, target, dtype):
    """A prediction and a target of four classes, away from kinks."""
    p = np.linspace(0.21, 0.83, 24).reshape(3, 4, 2)[:, [2, 0, 3, 1]]
    p = -p if prediction is LogProbability else p
    y = np.eye(4)[[[0, 2], [1, 1], [3, 0]]].swapaxes(1, 2)
    y = {Sign: 2 * y - 1, Outcome: y * 1.7 - 0.4}.get(target, y)
    return [a.astype(dtype) for a in ((p,) if target is None else (p, y))]


def combinations(name):
    """The domains that a formula meets."""
    targets = (Label, Classes) if name in ROWS else TARGETS
    return list(itertools.product(PREDICTIONS, targets))


def differences(made, z, *y):
    """Central differences of the sum of the loss, element by element."""
    slopes = np.empty_like(z)
    for at in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[at], down[at] = z[at] + 1e-5, z[at] - 1e-5
        slopes[at] = (made(up, *y, reduction="sum") - made(down, *y, reduction="sum")) / 2e-5
    return slopes


@pytest.mark.parametrize("name", EVERY)
def test_every_declaration_runs_and_its_slope_is_that_of_its_value(name):
    """NumPy runs every formula with every domain; the slope is the difference of values; kernels are whole texts."""
    for prediction, target in combinations(name):
        made = declared(EVERY[name], prediction, target)
        given = arrays(prediction, target, np.float64)
        values, slopes = made.value_and_grad(*given, reduction="none")
        assert np.isfinite(values).all()
        few = [a[:1] for a in given]
        np.testing.assert_allclose(slopes[:1], differences(made, *few), rtol=2e-5, atol=1e-7 * np.abs(slopes).max())
        narrow = made(*arrays(prediction, target, np.float32), reduction="none")
        np.testing.assert_allclose(narrow, values, rtol=3e-5, atol=1e-5 * np.abs(values).max())
        compile(made.source("numba"), name, "exec")
        assert "element" in made.source("cupy")


@pytest.mark.parametrize("name", EVERY)
def test_every_kind_of_declaration_gives_the_same_numbers_on_every_backend(name):
    """Numba in float64 and CUDA in float32 agree with NumPy, for class indices as well."""
    choices = combinations(name)
    prediction, target = choices[list(EVERY).index(name) % len(choices)]
    made = declared(EVERY[name], prediction, target)
    for backend, dtype, near in (("numba", np.float64, 1e-11), ("cupy", np.float32, 2e-5)):
        given = arrays(prediction, target, dtype)
        if target is Classes and made.shape != "pointwise" and backend == "cupy":
            given[1] = np.argmax(given[1], axis=1)
        with Backend(backend).ready() as ready:
            got = ready.call(made.value_and_grad, *given, reduction="none", a=0.75)
        for one, other in zip(got, made.value_and_grad(*given, reduction="none", a=0.75), strict=True):
            np.testing.assert_allclose(one, other, rtol=near, atol=near * np.abs(other).max())


REFUSED = {
    "a number beyond float64": lambda p, y, a: p * 10**400 + a,
    "a number with more digits than Python prints": lambda p, y, a: p * sympy.Integer(10) ** 5000,
    "a float beyond float64": lambda p, y, a: p * sympy.Float("1e500"),
    "a number that vanishes": lambda p, y, a: p * sympy.Float("1e-500"),
    "a matrix": lambda p, y, a: sympy.Matrix([[p - y]]),
    "a list": lambda p, y, a: [p],
    "a dict": lambda p, y, a: {p: 1},
    "an equation": lambda p, y, a: sympy.Eq(p, a),
    "a relation": lambda p, y, a: p < y,
    "a derivative": lambda p, y, a: sympy.Derivative(p**2, p),
    "an integral": lambda p, y, a: sympy.Integral(p**2 * a, (a, 0, 1)),
    "a sum": lambda p, y, a: sympy.Sum(p, (sympy.Symbol("i"), 0, 3)),
    "a lambda": lambda p, y, a: sympy.Lambda(p, p**2),
    "an unknown function": lambda p, y, a: sympy.Function("f")(p),
    "floor": lambda p, y, a: sympy.floor(p) * p,
    "a remainder": lambda p, y, a: sympy.Mod(p, 2),
    "a gamma function": lambda p, y, a: sympy.loggamma(p + 1),
    "an imaginary number": lambda p, y, a: p * sympy.I,
    "a root of a negative number": lambda p, y, a: p * sympy.sqrt(-2),
    "a division by zero": lambda p, y, a: p / sympy.Integer(0),
    "sum_pixels inside sum_pixels": lambda p, y, a: sum_pixels(sum_pixels(p) * p),
    "log_odds outside a row": lambda p, y, a: log_odds(p) * a,
    "two rows": lambda p, y, a: sum_classes(p * y) + sum_classes(p),
    "an array": lambda p, y, a: np.array([p, y]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_run_is_refused_by_the_declaration(name):
    """A TypeError that names the loss, and no error of SymPy, NumPy or Python."""
    for target in (None, Outcome):
        with pytest.raises(TypeError, match=r"^made: "):
            declared(REFUSED[name], Real, target)


# --- losses that other libraries have --------------------------------------------------------------------------------


def cosine(p: Real, y: Outcome):
    return 1 - sum_pixels(p * y) / sympy.sqrt(sum_pixels(p**2) * sum_pixels(y**2))


def hinge(z: Logit, y: Sign):
    return maximum(0, 1 - y * z)


def squared_hinge(z: Logit, y: Sign):
    return maximum(0, 1 - y * z) ** 2


def pinball(p: Real, y: Outcome, *, level: Fraction = 0.9):
    return maximum(level * (y - p), (level - 1) * (y - p))


def poisson(z: Real, y: Outcome):
    return exp(z) - y * z


def gamma(z: Real, y: Outcome):
    return z + y * exp(-z)


def tweedie(z: Real, y: Outcome, *, rho: Positive = 1.5):
    return exp((2 - rho) * z) / (2 - rho) - y * exp((1 - rho) * z) / (1 - rho)


def epsilon_insensitive(p: Real, y: Outcome, *, epsilon: Positive = 0.1):
    return maximum(absolute(p - y) - epsilon, 0)


def exponential(z: Logit, y: Sign):
    return exp(-y * z)


def percentage(p: Real, y: Outcome):
    return absolute(p - y) / absolute(y)


def generalized_cross_entropy(p: Probability, y: Classes, *, q: Positive = 0.7):
    return sum_classes(y * (1 - p**q) / q)


def poly(p: Probability, y: Classes, *, epsilon: Positive = 1.0):
    return sum_classes(y * (epsilon * (1 - p) - log(p)))


def gaussian(p: Real, y: Outcome, *, variance: Positive = 0.3, full: Flag = True):
    return (p - y) ** 2 / (2 * variance) + (log(2 * sympy.pi * variance) / 2 if full else 0)


def generalized_kullback_leibler(p: Probability, y: Label):
    return xlogy(y, y) - xlogy(y, p) + p - y


PEERS = {
    cosine: lambda p, y: 1 - (p * y).sum(-1) / np.sqrt((p**2).sum(-1) * (y**2).sum(-1)),
    hinge: lambda z, y: np.maximum(0, 1 - y * z),
    squared_hinge: lambda z, y: np.maximum(0, 1 - y * z) ** 2,
    pinball: lambda p, y: np.where(y > p, 0.9 * (y - p), 0.1 * (p - y)),
    poisson: lambda z, y: np.exp(z) - y * z,
    gamma: lambda z, y: z + y * np.exp(-z),
    tweedie: lambda z, y: np.exp(z / 2) * 2 + 2 * y * np.exp(-z / 2),
    epsilon_insensitive: lambda p, y: np.maximum(np.abs(p - y) - 0.1, 0),
    exponential: lambda z, y: np.exp(-y * z),
    percentage: lambda p, y: np.abs(p - y) / np.abs(y),
    generalized_cross_entropy: lambda p, y: (y * (1 - p**0.7) / 0.7).sum(1),
    poly: lambda p, y: (y * (1 - p - np.log(p))).sum(1),
    gaussian: lambda p, y: (p - y) ** 2 / 0.6 + np.log(0.6 * np.pi) / 2,
    generalized_kullback_leibler: lambda p, y: np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / p), 0) + p - y,
}


@pytest.mark.parametrize("function", PEERS, ids=lambda function: function.__name__)
def test_losses_of_other_libraries_can_be_declared(function):
    """Each is one line, and has its textbook values on all backends."""
    made, reference = loss(function), PEERS[function]
    for backend, dtype, near in (
        ("numpy", np.float64, 1e-12),
        ("numba", np.float64, 1e-12),
        ("cupy", np.float32, 3e-5),
    ):
        domains = [made.declaration.arguments[name] for name in made.declaration.arrays]
        given = arrays(domains[0], domains[1], dtype)
        with Backend(backend).ready() as ready:
            values, slopes = ready.call(made.value_and_grad, *given, reduction="none")
        np.testing.assert_allclose(values, reference(*given), rtol=near, atol=near)
        if backend == "numpy":
            np.testing.assert_allclose(slopes, differences(made, *given), rtol=1e-6, atol=1e-8)
