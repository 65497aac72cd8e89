"""Derivations: what is equal is proved, what is not is refuted by numbers that a reader can check."""

import html
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import sympy
from cases import LOSSES
from sympy import Abs, Derivative, Eq, IndexedBase, KroneckerDelta, Max, Piecewise, Sum, exp, log, sqrt, symbols

import lossbook
from lossbook import Classes, Label, Logit, Positive, Probability, derive
from lossbook.errors import DomainError
from lossbook.words import log_odds, logsumexp, sigmoid, softmax, softplus, sum_pixels

x, y, p, q, z, w, a = symbols("x y p q z w a", real=True)
L, u = symbols("L u")
i, j, k = symbols("i j k", integer=True)
C = sympy.Symbol("C", integer=True, positive=True)
Z, Y = IndexedBase("z"), IndexedBase("y")
DOMAINS = {x: Logit, y: Label, p: Probability, q: Probability, z: Logit, w: Positive, a: Positive}
ROWS = {Z: Logit, Y: Classes}
total = Sum(exp(Z[k]), (k, 1, C))

# Six forms of binary cross-entropy on a logit, as the notes print them one after the other.
CROSS_ENTROPY = (
    -y * log(1 / (1 + exp(-x))) - (1 - y) * log(1 - 1 / (1 + exp(-x))),
    y * log(1 + exp(-x)) + (1 - y) * log(1 + exp(x)),
    x - x * y + log(1 + exp(-x)),
    log(1 + exp(x)) - x * y,
    Max(x, 0) - x * y + log(1 + exp(-Abs(x))),
    y * softplus(-x) + (1 - y) * softplus(x),
)

TRUE = {
    "every form of cross-entropy on logits": CROSS_ENTROPY,
    "its slope": (Derivative(CROSS_ENTROPY[0], x), sigmoid(x) - y),
    "a power that is no number": (
        Derivative(-((1 - p) ** a) * log(p), p), a * (1 - p) ** (a - 1) * log(p) - (1 - p) ** a / p,
    ),
    "roots": (sqrt(x**2 + a**2) - a, x**2 / (sqrt(x**2 + a**2) + a)),
    "a root of a number": (log(a / sqrt(sympy.pi) / sqrt(5)), log(a) - log(5 * sympy.pi) / 2),
    "pieces": (
        Piecewise((x**2 / 2, Abs(x) <= a), (a * (Abs(x) - a / 2), True)),
        Piecewise((x**2 / 2, Abs(x) < a), (a * Abs(x) - a**2 / 2, x > 0), (-a * x - a**2 / 2, True)),
    ),
    "the slope of pieces": (Derivative(Abs(x), x), Piecewise((1, x > 0), (-1, True))),
    "a density of Gauss": (
        -log(exp(-((y - x) ** 2) / (2 * a**2)) / (a * sqrt(2 * sympy.pi))),
        (y - x) ** 2 / (2 * a**2) + log(a) + log(2 * sympy.pi) / 2,
    ),
    "a density of Student": (-log((1 + x**2 / a) ** (-(a + 1) / 2)), (a + 1) / 2 * log(1 + x**2 / a)),
    "roots of numbers": (log(a * sqrt(6) / sqrt(sympy.pi)), log(a) + log(2) / 2 + log(3) / 2 - log(sympy.pi) / 2),
    "a decimal is what is printed": (0.1 * x, x / 10),
    "the slope of logsumexp": (Derivative(logsumexp(z), z), softmax(z)),
    "sums over pixels": (sum_pixels(p * y), sum_pixels(p) - sum_pixels(p * (1 - y))),
    "Dice and its slope": (
        Derivative(2 * sum_pixels(p * y) / (sum_pixels(p) + sum_pixels(y)), p),
        2 * y / (sum_pixels(p) + sum_pixels(y)) - 2 * sum_pixels(p * y) / (sum_pixels(p) + sum_pixels(y)) ** 2,
    ),
}  # fmt: skip
TRUE_OF_ROWS = {
    "the slopes of the softmax": (
        Derivative(exp(Z[j]) / total, Z[i]), exp(Z[j]) / total * (KroneckerDelta(i, j) - exp(Z[i]) / total),
    ),
    "the slope of cross-entropy for any number of classes": (
        Derivative(-Sum(Y[j] * log(exp(Z[j]) / total), (j, 1, C)), Z[i]), exp(Z[i]) / total - Y[i],
    ),
    "a number added to all scores": (log(Sum(exp(Z[k] - a), (k, 1, C))) + a, log(total)),
    "a distribution sums to one": (Sum(a * Y[k] + 1, (k, 1, C)), a + C),
}  # fmt: skip


def check_counterexample(first, second, found):
    """The two sides differ at the numbers, by SymPy's own arithmetic."""
    sides = [side.doit().subs(found).doit().rewrite(exp) for side in (first, second)]
    difference = sympy.N(sides[0] - sides[1], 30)
    assert difference.is_number
    assert abs(difference) > 1e-9


@pytest.mark.parametrize("name", TRUE)
def test_what_is_equal_is_proved(name):
    """Each line follows from the one before."""
    derivation = derive(*TRUE[name], where=DOMAINS)
    assert derivation
    assert [line.verdict for line in derivation.lines[1:]] == ["proved"] * (len(derivation.lines) - 1)


@pytest.mark.parametrize("name", TRUE_OF_ROWS)
def test_sums_keep_their_number_of_terms(name):
    """What holds for any number of classes is proved for any number."""
    assert derive(*TRUE_OF_ROWS[name], where={**ROWS, a: Positive}).lines[1].verdict == "proved"


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if hasattr(loss, "formula_at")], ids=lambda loss: loss.name)
def test_a_loss_is_its_textbook_form_and_its_slope(loss):
    """The tool agrees with each formula of the package, and finds a factor that is put in."""
    where = loss.formula_at().domains
    pairs = [(loss.textbook, loss.formula)]
    if loss.shape == "pointwise":
        pairs.append((Derivative(loss.textbook, loss.array_symbols[0][0]), loss.gradient))
    for first, second in pairs:
        derivation = derive(first, second, where=where)
        assert derivation
        if loss.name not in AGREE:
            assert derivation.lines[1].verdict == "proved"
    wrong = derive(first, second * sympy.Rational(8, 7), where=where).wrong
    assert wrong is not None
    assert wrong.counterexample


# Pieces and the larger of two with sums in what decides between them.
AGREE = ("segmentation.balanced_cross_entropy", "segmentation.sensitivity_specificity")


@pytest.mark.parametrize("name", TRUE)
def test_a_slip_is_refuted_where_it_is(name):
    """A sign, a factor, a term too many: the line is named, and its numbers are a counterexample."""
    first, second = TRUE[name][:2]
    for slip in (-second, 2 * second, second + 1, second * (1 + p) if first.has(p) else second * (1 + x)):
        derivation = derive(first, slip, (slip, "the same again"), where=DOMAINS)
        assert not derivation
        assert derivation.wrong is derivation.lines[1]
        assert derivation.lines[2].verdict == "proved"
        if not first.has(sum_pixels, logsumexp):
            check_counterexample(first, slip, derivation.wrong.counterexample)


def test_counterexamples_are_simple():
    """Small whole numbers before halves before others."""
    wrong = derive(x * y, x + y, where=DOMAINS).wrong
    assert dict(wrong.counterexample) == {x: 0, y: 1}
    assert wrong.difference == x * y - x - y
    assert dict(derive(p**2, p, where=DOMAINS).wrong.counterexample) == {p: sympy.Rational(1, 2)}
    rows = derive(Derivative(log(total), Z[i]), exp(Z[i]), where=ROWS).wrong.counterexample
    assert dict(rows) == {C: 2, i: 1, Z[1]: 0, Z[2]: 0}


def test_a_difference_at_single_points():
    """Two definitions by cases that differ where the cases meet are not the same; where both jump is a convention."""
    one, other = Piecewise((1, x > 0), (0, True)), Piecewise((1, x >= 0), (0, True))
    assert dict(derive(one, other, where=DOMAINS).wrong.counterexample) == {x: 0}
    seventh = sympy.Rational(3, 7)  # a place at which no point is tried: not refuted, and not proved
    one, other = Piecewise((1, x > seventh), (0, True)), Piecewise((1, x >= seventh), (0, True))
    assert derive(one, other, where=DOMAINS).lines[1].verdict == "agrees"


def test_labels_of_two_values():
    """What holds for labels 0 and 1 need not hold between them."""
    by_cases = Piecewise((p, Eq(y, 1)), (1 - p, True))
    product = p**y * (1 - p) ** (1 - y)
    assert derive(by_cases, product, where={p: Probability, y: {0, 1}}).lines[1].verdict == "proved"
    assert derive(by_cases, product, where={p: Probability, y: Label}).wrong.counterexample[y] == sympy.Rational(1, 2)


def test_equations_are_compared_by_their_solutions():
    """Solving for a symbol is proved; dividing by what may be 0, and a wrong solution, are found."""
    solved = derive(
        Eq(-w * q / p + (1 - q) / (1 - p), 0), (Eq(p, w * q / (w * q + 1 - q)), "solved for p"), where=DOMAINS
    )
    assert [line.verdict for line in solved.lines] == ["start", "proved"]
    assert derive(Eq(log(p / (1 - p)), z), Eq(p, sigmoid(z)), where=DOMAINS).lines[1].verdict == "proved"
    divided = derive(Eq(x * y, z * x), Eq(y, z), where=DOMAINS)
    assert divided.wrong.counterexample[x] == 0
    wrong = derive(Eq(log(p / (1 - p)), z), Eq(p, sigmoid(2 * z)), where=DOMAINS).wrong
    assert wrong.counterexample.keys() == {p, z}
    squared = derive(Eq(x, a), Eq(x**2, a**2), where=DOMAINS).wrong
    assert squared.counterexample[x] == -squared.counterexample[a]


def test_names():
    """An equation with a new symbol at its left gives a name, which the lines after it may use."""
    derivation = derive(
        Eq(u, sigmoid(x)), Eq(L, -y * log(u) - (1 - y) * log(1 - u)), (softplus(x) - x * y, "in words"),
        Eq(L, -x * y + softplus(x)), where=DOMAINS,
    )  # fmt: skip
    assert [line.verdict for line in derivation.lines] == ["start", "start", "proved", "proved"]
    assert [line.name for line in derivation.lines] == [u, L, None, None]
    assert derive(Eq(L, x), (Derivative(L**2, x), ""), where=DOMAINS).wrong.difference == -x
    assert derive(Eq(u, x**2), Eq(L, Derivative(u * x, x)), (3 * x**2, ""), where=DOMAINS).lines[2].verdict == "proved"
    chain = derive(x * y + x, Eq(x * (y + 1), x + x * y), where=DOMAINS)
    assert [line.verdict for line in chain.lines] == ["start", "proved", "proved"]


@pytest.mark.parametrize(
    ("lines", "kind", "message"),
    [
        ((x, L), TypeError, "derive: the symbol L has no domain"),
        ((x, Z[1]), TypeError, "derive: the family z has no domain"),
        ((x, "x"), TypeError, "derive: line 2 must be a SymPy expression or an equation; got str x"),
        ((x, x == y), TypeError, "derive: line 2 must be a SymPy expression .*sympy.Eq"),
        ((x, (x, 3)), TypeError, "derive: the reason of line 2 must be a text; got int 3"),
        ((x, x, 1 / (p - p)), DomainError, "derive: line 3 must be finite; got zoo .*divided by 0"),
        ((a, x, log(x)), DomainError, "derive: line 3 must be real on the domain; got a complex number at x = -1"),
        ((log(-w), x), DomainError, "derive: line 2 must be real on the domain"),
        ((1 / (sigmoid(x) + sigmoid(-x) - 1), x), DomainError, "derive: line 2 must .*be finite at some point"),
        ((Derivative(log_odds(z), z), lossbook.words.log_odds_slope(z)), TypeError, "a word of kernels"),
        ((lossbook.segmentation.boundary.formula, p), TypeError, "signed_distance is no function"),
    ],
)  # fmt: skip
def test_wrong_use(lines, kind, message):
    """An error says which line it was and what would be right."""
    with pytest.raises(kind, match=message):
        derive(*lines, where=DOMAINS)


@pytest.mark.parametrize("given", [3, {1, "a"}, lossbook.Box, set()])
def test_domains(given):
    """Each symbol has a domain of numbers, or a set of them."""
    with pytest.raises(TypeError, match=re.escape("derive: where[x] must be a domain of numbers")):
        derive(x, x, where={x: given})


@pytest.mark.parametrize(("text", "where"), [(3, {"x": Logit}), ("x = x", {x: Logit})])
def test_what_is_printed_is_text(text, where):
    """Names stand in `where` as they are printed."""
    with pytest.raises(TypeError, match=r"derive.latex: the derivation and the names of where must be text"):
        derive.latex(text, where=where)


def shown():
    """A derivation with all verdicts but agreement."""
    return derive(Eq(L, softplus(x) - x * y), (y * softplus(-x) + (1 - y) * softplus(x), "a & b"), x, where=DOMAINS)


def test_in_a_terminal():
    """Lines under one another, reasons and verdicts at the right, numbers below a wrong one."""
    assert str(shown()) == (
        "L = -x*y + softplus(x)\n"
        "  = y*softplus(-x) + (1 - y)*softplus(x)    a & b (proved)\n"
        "  = x                                       (wrong)\n"
        "        off by -x + y*softplus(-x) + (1 - y)*softplus(x)\n"
        "        as for x = 0, y = 0"
    )


def test_in_a_notebook_and_in_print():
    """Every reason and verdict stands in words; the formulas are well-formed MathML, and TeX without raw marks."""
    bundle = shown()._repr_mimebundle_()
    page = bundle["text/html"]
    assert page.count('<div class="line') == 3
    assert '<div class="line refuted">' in page
    words_only = html.unescape(re.sub(r"<style>.*?</style>|<math.*?</math>|<[^>]*>", " ", page, flags=re.S))
    assert words_only.split() == ["a", "&", "b", "proved", "wrong", "off", "by", "as", "for", "=", ",", "="]
    tree = ElementTree.fromstring(f"<page>{page}</page>")
    assert len(list(tree.iter("{http://www.w3.org/1998/Math/MathML}math"))) == 4 + 5
    assert r"\text{a \& b; proved}" in bundle["text/latex"]
    assert bundle["text/plain"] == str(shown())
    mu, theta_1 = symbols("mu theta_1")
    greek = derive(mu * theta_1, where={mu: Logit, theta_1: Logit})._repr_mimebundle_()["text/latex"]
    assert r"\mu \theta_{1}" in greek


def test_the_same_on_every_run():
    """What is shown depends on no order of sets."""
    program = (
        "import sympy, lossbook as lb\n"
        "x, y, p, w = sympy.symbols('x y p w')\n"
        "print(lb.derive(x*p*w + y, x*w + p*y, where={x: lb.Real, y: lb.Label, p: lb.Probability, w: lb.Positive}))\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1


def test_what_one_class_alone_would_make_infinite_is_compared_for_more():
    """The rest of the classes is empty where there is but one."""
    z, index, own = IndexedBase("z"), sympy.Symbol("j", integer=True), sympy.Symbol("k", integer=True)
    classes = sympy.Symbol("C", integer=True, positive=True)
    rest = log(Sum(exp(z[index]), (index, 1, classes)) - exp(z[own]))
    assert derive(rest, log(exp(rest)), where={z: Logit}).lines[1].verdict == "proved"
    assert not derive(rest, 2 * rest, where={z: Logit})


def test_a_product_over_an_index_is_read():
    p, index = IndexedBase("p"), sympy.Symbol("i", integer=True)
    count = sympy.Symbol("N", integer=True, positive=True)
    likelihood = sympy.Product(p[index], (index, 1, count))
    cost = Sum(-log(p[index]), (index, 1, count))
    where = {p: Probability}
    assert derive(-log(likelihood), cost, where=where).lines[1].verdict == "proved"
    assert not derive(-log(likelihood), 2 * cost, where=where)


def test_a_parameter_alone_under_a_sum_differs_from_pixel_to_pixel():
    """Beside a prediction or a target it is one number; alone it must be meant to differ."""
    p, y = symbols("p y")
    assert not derive(sum_pixels(p**2), sum_pixels(p) ** 2 / sum_pixels(p / p), where={p: Positive})
    slope = derive(Derivative(1 / sum_pixels(p), p), -1 / sum_pixels(p) ** 2, where={p: Positive})
    assert slope.lines[1].verdict == "proved"
    weighted = derive(sum_pixels(p * y), p * sum_pixels(y), where={p: Positive, y: Label})
    assert weighted.lines[1].verdict == "proved"


def test_labels_of_two_values_may_stand_under_a_sum():
    p, y = symbols("p y")
    found = derive(
        sum_pixels((p - y) ** 2), sum_pixels(p**2 - 2 * p * y + y**2), where={p: lossbook.domains.Real, y: {0, 1}}
    )
    assert found
    assert not derive(sum_pixels(y), sum_pixels(y) / 2, where={y: {0, 1}})
