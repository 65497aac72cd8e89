"""Formulas as papers and libraries print them: a form that keeps its digits is found, proved and measured."""

import numpy as np
import pytest
import sympy
from cases import LOSSES
from sympy import Abs, IndexedBase, Max, Piecewise, Sum, cosh, exp, log, sqrt, symbols

import lossbook
from lossbook import Classes, Exponent, Label, Logit, Outcome, Positive, Probability, Real, Sign, stable, words
from lossbook.words import log_odds, logsumexp, share, sigmoid, softmax, softplus, sum_classes, sum_pixels

x, y, p, z, d, g, s = symbols("x y p z d g s", real=True)
k, j, C = symbols("k j C", integer=True)
Z, Y, P = IndexedBase("z"), IndexedBase("y"), IndexedBase("p")
probability = 1 / (1 + exp(-x))
BINARY = {x: Logit, y: Label}
SETS = {p: Probability, y: Label, s: Positive}
total = Sum(exp(Z[j]), (j, 1, C))
CROSS_ENTROPY = y * softplus(-x) + (1 - y) * softplus(x)
OF_ROWS = sum_classes(y * softplus(-log_odds(z)))

# (as printed, domains, the form that is found or None if any within the promise will do)
PRINTED = {
    "the definition": (-y * log(probability) - (1 - y) * log(1 - probability), BINARY, CROSS_ENTROPY),
    "two logarithms": (y * log(1 + exp(-x)) + (1 - y) * log(1 + exp(x)), BINARY, CROSS_ENTROPY),
    "multiplied out": (x - x * y + log(1 + exp(-x)), BINARY, CROSS_ENTROPY),
    "one product": ((1 - y) * x + log(1 + exp(-x)), BINARY, CROSS_ENTROPY),
    "a difference": (log(1 + exp(x)) - x * y, BINARY, CROSS_ENTROPY),
    "as in libraries": (Max(x, 0) - x * y + log(1 + exp(-Abs(x))), BINARY, CROSS_ENTROPY),
    "focal loss as in its paper": (
        -y * (1 - probability) ** g * log(probability) - (1 - y) * probability**g * log(1 - probability),
        {**BINARY, g: Exponent}, None,
    ),
    "minus the logarithm of a likelihood": (
        -log(p**y * (1 - p) ** (1 - y)), {p: Probability, y: Label}, -y * log(p) - (1 - y) * words.log1p(-p),
    ),
    "the same of a logit": (
        -log(probability**y * (1 - probability) ** (1 - y)), BINARY, CROSS_ENTROPY,
    ),
    "labels of -1 and 1": (log(1 + exp(-y * x)), {x: Logit, y: Sign}, softplus(-x * y)),
    "squared error of a probability": ((probability - y) ** 2, BINARY, words.residual_of_logit(y, x) ** 2),
    "an exponential near 1": (exp(x) - 1, {x: Real}, None),
    "a hyperbolic sine": ((exp(x) - exp(-x)) / 2, {x: Real}, None),
    "two roots": (sqrt(s + 1) - sqrt(s), {s: Positive}, None),
    "log-odds": (log(p / (1 - p)), {p: Probability}, None),
    "log cosh": (log(cosh(x - y)), {x: Real, y: Outcome}, words.log_cosh(x - y)),
    "log cosh as in libraries": (Abs(x) + log(1 + exp(-2 * Abs(x))) - log(2), {x: Real}, words.log_cosh(x)),
    "pseudo-Huber": (d**2 * (sqrt(1 + ((x - y) / d) ** 2) - 1), {x: Real, y: Outcome, d: Positive}, None),
    "Huber by pieces": (
        Piecewise(((x - y) ** 2 / 2, Abs(x - y) <= d), (d * (Abs(x - y) - d / 2), True)),
        {x: Real, y: Outcome, d: Positive}, None,
    ),
    "a divergence as a difference": (
        y * log(y) - y * log(p) + (1 - y) * log(1 - y) - (1 - y) * log(1 - p), {p: Probability, y: Label},
        words.kl_div(y, p, y - p) + words.kl_div(1 - y, 1 - p, p - y),
    ),
    "cross-entropy of a softmax": (-sum_classes(y * log(softmax(z))), {z: Logit, y: Classes}, OF_ROWS),
    "the logarithm of a sum less a score": (logsumexp(z) - sum_classes(y * z), {z: Logit, y: Classes}, OF_ROWS),
    "the same with indices": (log(total) - Sum(Y[k] * Z[k], (k, 1, C)), {Z: Logit, Y: Classes}, OF_ROWS),
    "Dice": (
        1 - 2 * sum_pixels(p * y) / (sum_pixels(p) + sum_pixels(y)), {p: Probability, y: Label},
        share(sum_pixels(p * (1 - y) + y * (1 - p)), sum_pixels(2 * p * y)),
    ),
    "Jaccard": (
        1 - (sum_pixels(p * y) + s) / (sum_pixels(p) + sum_pixels(y) - sum_pixels(p * y) + s), SETS,
        share(sum_pixels(p * (1 - y) + y * (1 - p)), s + sum_pixels(p * y)),
    ),
    "Dice of squares": (
        1 - (2 * sum_pixels(p * y) + s) / (sum_pixels(p**2) + sum_pixels(y**2) + s), SETS, None,
    ),
}  # fmt: skip
MADE = [loss for loss in LOSSES if hasattr(loss, "formula_at") and loss.shape != "distance"]


@pytest.mark.parametrize("name", PRINTED)
def test_a_printed_form_is_made_stable(name):
    """The form that is found is within the promise of accuracy, and each step to it is proved or agrees."""
    expression, where, wanted = PRINTED[name]
    found = stable(expression, where=where)
    assert found
    assert found.derivation
    assert found.derivation.lines[0].expression == expression
    if wanted is not None:
        names = {symbol: sympy.Symbol(symbol.name) for symbol in (found.formula - wanted).free_symbols}
        assert sympy.expand(found.formula.xreplace(names) - wanted.xreplace(names)) == 0
        assert found.formula.xreplace(names).atoms(words.Word) == wanted.xreplace(names).atoms(words.Word)


@pytest.mark.parametrize("loss", MADE, ids=lambda loss: loss.name)
def test_the_textbook_form_of_a_loss_is_made_stable(loss):
    """From exp, log and arithmetic alone a form within the promise is found for every loss of the package."""
    found = stable(loss.textbook, where=loss.formula_at().domains)
    assert found
    assert found.derivation


@pytest.mark.parametrize("loss", MADE, ids=lambda loss: loss.name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_loss_has_a_certificate(loss, dtype):
    """Value and gradient are within the promise at inputs that are chosen to be hard."""
    certificate = loss.certificate(dtype)
    assert certificate
    assert certificate.count > 10
    assert f"{dtype}, {certificate.count} numbers compared" in str(certificate)


def test_a_certificate_finds_lost_digits():
    """A loss declared in its textbook form is far from the promise, and the certificate says where."""

    @lossbook.loss
    def textbook(z: Logit, y: Label):
        """Cross-entropy, subtracting."""
        return softplus(z) - z * y

    certificate = textbook.certificate("float32")
    assert not certificate
    at = certificate.value.inputs
    got = np.float32(textbook(np.float32([at["z"]]), np.float32([at["y"]])))
    assert got == np.float32(certificate.value.got)
    assert abs(got - certificate.value.want) / np.spacing(np.float32(certificate.value.want)) > 1e4


def test_what_is_lost_before_is_told():
    """The errors before and after, and the inputs where they are, in both types."""
    found = stable(log(1 + exp(x)) - x * y, where=BINARY)
    for dtype in ("float32", "float64"):
        error = found.error(dtype)
        assert error.before.value.ulp == np.inf
        assert error.after.value.ulp < 3
        assert error.before.value.inputs.keys() == {"x", "y"}
    assert "within the promise of accuracy" in str(found)
    with pytest.raises(ValueError, match='stable: dtype must be "float32" or "float64"; got \'half\''):
        found.error("half")


def test_where_nothing_is_found_it_is_said():
    """A form that loses digits is never returned as if it were good."""
    found = stable(exp(x) - 1 - x, where={x: Real})
    assert not found
    assert "NOT within the promise of accuracy" in str(found)
    with pytest.warns(UserWarning, match="bad: no form within the promise of accuracy was found; float32"):

        @lossbook.loss(stable=True)
        def bad(z: Real):
            """A difference that no word can say."""
            return exp(z) - 1 - z


def test_a_declaration_of_a_textbook_formula():
    """`stable=True` rewrites the body, and only it: name, arguments, defaults and words stay."""

    @lossbook.loss(stable=True, source="this test")
    def focal(z: Logit, y: Label, *, gamma: Exponent = 2.0):
        """Focal loss by its definition."""
        q = 1 / (1 + exp(-z))
        return -y * (1 - q) ** gamma * log(q) - (1 - y) * q**gamma * log(1 - q)

    assert focal.__name__ == "focal"
    assert focal.declaration.defaults == {"gamma": 2.0}
    assert focal.summary == "Focal loss by its definition."
    logits, labels = np.array([-800.0, 0.5, 40.0]), np.array([0.0, 1.0, 1.0])
    expected = 2 * lossbook.binary.focal_with_logits(logits, labels, alpha=0.5, reduction="none")
    np.testing.assert_array_max_ulp(focal(logits, labels, reduction="none"), expected, 4)
    with pytest.raises(TypeError, match="named: stable=True rewrites the whole formula, which must have no let"):

        @lossbook.loss(stable=True)
        def named(z: Real):
            """A formula with a step."""
            return lossbook.words.let(step=exp(z)) - 1


@pytest.mark.parametrize(
    ("expression", "where", "message"),
    [
        (x * y * z, {x: Real, y: Real, z: Real}, "stable: a formula has one prediction and one target; got x, y, z"),
        (x * y, {x: Real}, "stable: the symbol y has no domain"),
        ("x", {x: Real}, "stable: expression must be a SymPy expression; got str 'x'"),
        (sympy.Integer(3), {x: Real}, "stable: expression must depend on x; got 3"),
        (x**y, {x: Positive, y: Label}, "stable: an exponent must be a number or a parameter; got y"),
        (sympy.sin(x), {x: Real}, "sin"),
    ],
)
def test_wrong_use(expression, where, message):
    """An error says what is wrong with the call."""
    with pytest.raises(TypeError, match=message):
        stable(expression, where=where)


def test_the_search_is_the_same_every_time():
    """No order of sets decides."""
    first, second = (str(stable(PRINTED["as in libraries"][0], where=BINARY).derivation) for _ in range(2))
    assert first == second
    assert sigmoid(x) not in stable(probability, where={x: Logit}).formula.args
