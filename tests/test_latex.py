"""Printed derivations are read as they are meant, and what has no one meaning is refused with its place."""

import pickle
import sys

import hypothesis.strategies as st
import mpmath
import pytest
import sympy
from hypothesis import given, settings

import lossbook
from lossbook import Classes, Exponent, Fraction, Label, Logit, Positive, Probability, Real
from lossbook.documentation import print_latex
from lossbook.errors import NotationError
from lossbook.exact.written_out import Largest
from lossbook.words import log_cosh, plainly, sigmoid, softplus
from lossbook.workshop import latex
from lossbook.workshop.latex.functions import largest

WHERE = {
    "x": Logit, "y": Label, "p": Probability, "q": Probability, r"\hat{y}": Probability, "z": Logit, "a": Positive,
    "b": Positive, r"\delta": Positive, r"\alpha": Fraction, r"\gamma": Exponent, "t": Classes,
}  # fmt: skip
X = sympy.Symbol("x", real=True)
Y, P, GAMMA, HAT = sympy.symbols("y p gamma yhat", nonnegative=True)
A, B, DELTA = sympy.symbols("a b delta", positive=True)
I, J, K = sympy.symbols("i j k", integer=True)
N, C = sympy.symbols("N C", integer=True, positive=True)
Z = sympy.IndexedBase("z", real=True)


def one(text, where=WHERE):
    """The only expression of a text."""
    (line,) = latex.read(text, where).lines
    (side,) = line.sides
    return side.expression


def same(first, second):
    """Whether two expressions are one after sums and products were put in order."""
    return sympy.expand(first - second) == 0


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (r"\log x y", sympy.log(X * Y)),
        (r"y \log p + (1-y) \log(1-p)", Y * sympy.log(P) + (1 - Y) * sympy.log(1 - P)),
        (r"\log\frac ab \cdot x", sympy.log(A / B) * X),
        (r"-\log(x)y", -sympy.log(X) * Y),
        (r"\log{\left(x \right)}^{2}", sympy.log(X) ** 2),
        (r"\log x^2", sympy.log(X**2)),
        (r"\tanh^2 x", sympy.tanh(X) ** 2),
        (r"\log_2 a", sympy.log(A) / sympy.log(2)),
        (r"\frac12 x^2y", X**2 * Y / 2),
        (r"x^23", 3 * X**2),
        (r"2x^{-1}", 2 / X),
        (r"-x^2", -(X**2)),
        (r"a/b/2", A / B / 2),
        (r"\sqrt[3]{a} \sqrt b", A ** sympy.Rational(1, 3) * sympy.sqrt(B)),
        (r"e^{-x} \exp(x)^2", sympy.exp(X)),
        (r"|x|y|x - 1|", sympy.Abs(X) * Y * sympy.Abs(X - 1)),
        (r"\left|\lvert x \rvert - 1\right|", sympy.Abs(sympy.Abs(X) - 1)),
        (r"\lVert x \rVert^2", X**2),
        (r"\max\{x, 0\} \min(x, a)", sympy.Max(X, 0) * sympy.Min(X, A)),
        (r"\sigma(-x) \operatorname{softplus}(x)", sigmoid(-X) * softplus(X)),
        (r"\hat y (1 - \hat{y})^\gamma", HAT * (1 - HAT) ** GAMMA),
        (r"\hat{y_i} - \hat{y}_i", sympy.S.Zero),
        (r"y(1-y)", Y * (1 - Y)),
        (r"xy", X * Y),
        (r"0.5\,x \times 2", X),
        (r"\mathbf{x} + \mathrm{x}", 2 * X),
        (r"[x > 0]", sympy.Piecewise((1, X > 0), (0, True))),
        (r"\mathbb{1}_{x > 0}", sympy.Piecewise((1, X > 0), (0, True))),
        (r"\frac{d}{dx}(x^2) + 1", sympy.Derivative(X**2, X) + 1),
        (r"\frac{\partial^2}{\partial x^2} x^3 y", sympy.Derivative(X**3 * Y, (X, 2))),
        (r"-\sum_{k=1}^{C} z_k y + a", -sympy.Sum(Z[K] * Y, (K, 1, C)) + A),
        (r"\frac1N \sum_i z_i", sympy.Sum(Z[I], (I, 1, N)) / N),
        (r"\sum_{k} - z_k^2", sympy.Sum(-(Z[K] ** 2), (K, 1, C))),
        (r"-\log\sum_{j \ne i} e^{z_j}", -sympy.log(sympy.Sum(sympy.exp(Z[J]), (J, 1, C)) - sympy.exp(Z[I]))),
        (r"\sum_{1 \le i, j \le 3} z_i z_j", sympy.Sum(Z[I] * Z[J], (J, 1, 3), (I, 1, 3))),
        (r"\sum_{k=0}^{C-1} (z_k - \max_j z_j)", sympy.Sum(Z[K] - largest(Z[J], (J, 0, C - 1)), (K, 0, C - 1))),
        (r"\sum_k z_k (\delta_{ik} - 1)", sympy.Sum(Z[K] * (sympy.KroneckerDelta(I, K) - 1), (K, 1, C))),
    ],
)
def test_what_a_formula_means(text, meaning):
    """Products, functions without brackets, powers, bars, names, sums and derivatives have their usual meaning."""
    where = {name: domain for name, domain in WHERE.items() if name != r"\delta"} if "_{ik}" in text else WHERE
    assert same(one(text, where), meaning)


@pytest.mark.parametrize(
    "text",
    [
        r"f = \begin{cases} \frac12 x^2 & |x| \le \delta \\ \delta|x| - \frac12\delta^2 & \text{otherwise} \end{cases}",
        r"""f = \left\{\begin{array}{ll}
            0.5x^2, & \text{if } |x| \leq \delta, \\
            \delta|x| - \delta^2/2 & \text{else}.
            \end{array}\right.""",
    ],
)
def test_a_function_by_cases(text):
    """Each case has its condition, in either environment."""
    found, otherwise = one(text).args
    assert found.args[0] == X**2 / 2
    assert found.args[1].canonical == sympy.Le(sympy.Abs(X), DELTA).canonical
    assert otherwise.args == (DELTA * sympy.Abs(X) - DELTA**2 / 2, True)


def shape_of(text):
    """Of each line what it defines, the relations before its sides, its condition and its reason."""
    lines = latex.read(text, WHERE).lines
    return [(line.defines, [side.relation for side in line.sides], str(line.condition), line.reason) for line in lines]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (r"\begin{aligned} L &= x = \\ &= x + 0 \end{aligned}", [(("L",), [""], "True", ""), ((), ["="], "True", "")]),
        (r"x \\ &= x \quad (\text{since } e^x > 0)", [((), [""], "True", ""), ((), ["="], "True", "since e^x > 0")]),
        (r"L = x \quad \text{by definition}, x", [(("L",), [""], "True", "by definition, x")]),
        (r"L = a, x \le 0", [(("L",), [""], "x <= 0", "")]),
        (r"L = a \quad \text{for } x > 0, y = 1", [(("L",), [""], "x > 0", ""), ((), ["", "="], "True", "")]),
        (r"\text{for } y = 1 \Rightarrow L = a", [(("L",), [""], "Eq(y, 1)", "")]),
        (r"L = a \\ \quad + b", [(("L",), [""], "True", "")]),
        (r"L = a, \quad M = b", [(("L",), [""], "True", ""), (("M",), [""], "True", "")]),
        (r"x \approx y \le a = b", [((), ["", r"\approx", r"\le", "="], "True", "")]),
        (r"err = L_i = x \rightarrow \min", [(("err", "L_{i}"), [""], "True", r"\rightarrow \min")]),
    ],
)
def test_the_shape_of_lines(text, shape):
    """Rows are chains of relations, go on over line ends, and have conditions and reasons."""
    assert shape_of(text) == shape


def test_a_name_on_the_left_is_defined():
    """A later line that uses the name means what it was defined as, also for other arguments and indices."""
    text = r"""
        L(x, y) = x^2 y \\ L(a, 1) = a^2 \\ \frac{\partial L}{\partial x} = 2xy \\
        p_j = \frac{e^{z_j}}{\sum_k e^{z_k}} \\ \frac{\partial p_j}{\partial z_i} = p_j(\delta_{ij} - p_i)"""
    lines = latex.read(text, {"x": Logit, "y": Label, "a": Positive, "z": Logit}).lines
    assert [line.defines for line in lines] == [("L(x,y)",), (), (), ("p_{j}",), ()]
    assert lines[1].sides[0].expression == A**2
    assert lines[2].sides[0].expression.doit() == 2 * X * Y
    slope, product = (side.expression for side in lines[4].sides)
    assert slope.args[1][0] == Z[I]
    values = {Z[1]: 0.5, Z[2]: -1.0, Z[3]: 2.0}
    for i, j in ((1, 1), (1, 2), (3, 2)):
        at = {I: i, J: j, C: 3}
        numbers = [expression.doit().subs(at).doit().subs(values).evalf() for expression in (slope, product)]
        assert mpmath.almosteq(*numbers, rel_eps=1e-12)


def test_a_definition_that_hides_its_argument_holds_as_printed_alone():
    """|A| says nothing of how it depends on A, so that f(B) is not known from f(A) = |A|."""
    where = {"A": Real, "B": Real, r"|A \cap B|": Positive}
    with pytest.raises(NotationError, match=r"neither f nor f\(B\)"):
        latex.read(r"f(A) = |A \cap B| \\ 1 = f(B)", where)


def test_names_and_domains():
    """A printed name has its own domain, that of its family, or that of the name without subscript."""
    printed = latex.read(r"\hat{y}_{ic} + w_{i} + v_1 + \sum_{c=1}^C \hat{y}_{ic} = x^*", {
        r"\hat{y}": Probability, "w_i": Positive, "v": Real, "x^*": Real,
    })  # fmt: skip
    assert {str(symbol): domain for symbol, domain in printed.where.items()} == {
        "yhat_i": Probability, "w_i": Positive, "v_1": Real, "x__*": Real,
    }  # fmt: skip
    assert set(printed.symbols) == {"c", "C", r"\hat{y}_{i}", "w_{i}", "v_{1}", "x^{*}"}


@pytest.mark.parametrize(
    ("text", "line", "column", "rule"),
    [
        (r"\log(1 + x", 1, 11, r"expected \); got the end"),
        ("x\n + \\foo y", 2, 4, r"got \\foo"),
        (r"x + foo", 1, 5, "foo is neither in where nor defined above"),
        (r"\log x (1-y)", 1, 8, "may end before this bracket or behind it"),
        (r"a/b x", 1, 5, "write .frac or brackets"),
        (r"1/2 x", 1, 5, "write .frac or brackets"),
        (r"1\,000 x", 1, 4, "between two numbers"),
        (r"2\frac12", 1, 2, "between two numbers"),
        (r"L = 0,5", 1, 7, "compared with nothing"),
        (r"L = a \\ b", 1, 10, "compared with nothing"),
        (r"L =", 1, 1, "a right side"),
        (r"\sum_k z_k + z_k", 1, 14, "behind the end of the sum over k"),
        (r"\sum_n y", 1, 1, "terms that depend on n"),
        (r"\sum_k^C z_k", 1, 1, "both ends of k"),
        (r"\sum_{k=1}^a z_k", 1, 1, "whole numbers as ends"),
        (r"\max_x (x)", 1, 1, "an index without a domain"),
        (r"\max(a)", 1, 1, "two numbers"),
        (r"\sigma x", 1, 8, r"brackets behind \\sigma"),
        (r"\exp -x", 1, 1, "an argument behind"),
        (r"\tanh^{-1} x", 1, 1, "a power or the inverse"),
        (r"z_y + \sum_k z_k", 1, 3, "a whole number"),
        (r"x \cap y", 1, 3, r"x \\cap y is neither in where"),
        (r"x \odot y", 1, 3, "no meaning for them"),
        (r"(x, y)", 1, 3, "without a relation or a comma"),
        (r"\frac{\partial L}{\partial x} + x", 1, 16, "L is neither in where"),
        (r"(x + y)_1", 1, 8, "they belong to names"),
        ("", 1, 1, "expected a formula"),
        ("(" * 400 + "x" + ")" * 400, 1, 1, "fewer brackets"),
    ],
)
def test_what_cannot_be_read_is_shown_with_its_place(text, line, column, rule):
    """The message has the line, a mark under the place, and what was expected there."""
    with pytest.raises(NotationError, match=rule) as caught:
        latex.read(text, WHERE)
    assert (caught.value.line, caught.value.column) == (line, column)
    _, printed, mark = str(caught.value).split("\n")
    assert printed.strip() == text.split("\n")[line - 1].strip()
    assert mark.index("^") == 4 + column - 1
    assert isinstance(caught.value, ValueError)
    assert caught.value.__context__ is None  # other packages pickle it as well
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_key_of_where_is_a_name():
    """What is no name cannot have a domain."""
    with pytest.raises(NotationError, match="expected a name"):
        latex.read("x", {"x + y": Real})


def test_a_condition_limits_what_is_compared():
    """What must be equal is put in; where an inequality fails, both sides count as 0."""
    (line,) = latex.read(r"\text{for } 1 = y, x > 0 \Rightarrow a = x y", WHERE).lines
    assert line.under_condition(X * Y).subs(X, 2) == 2
    assert line.under_condition(X * Y).subs(X, -2) == 0
    (line,) = latex.read(r"L = a, x \le 0", WHERE).lines
    assert line.under_condition(X).subs(X, -2) == -2
    assert line.under_condition(X).subs(X, 2) == 0
    (line,) = latex.read(r"y = 1 \Rightarrow L = a", WHERE).lines
    assert line.under_condition(X * Y) == X


def test_without_lark_it_is_said_what_to_install(monkeypatch):
    """The parser is a package of its own, which is imported on the first use."""
    monkeypatch.setitem(sys.modules, "lark", None)
    latex.grammar.cache_clear()
    with pytest.raises(ImportError, match=r"needs the package lark: pip install 'lossbook\[derive\]'"):
        latex.read("x", WHERE)
    monkeypatch.undo()
    latex.grammar.cache_clear()


# --- what the package and SymPy print --------------------------------------------------------------------------------


def value_at(expression, numbers):
    """The value of an expression at numbers, given by the names of symbols; families have values by their index."""
    expression = plainly(expression.subs({s: numbers[s.name] for s in expression.free_symbols if s.name == "C"}).doit())
    entries = {entry: numbers["z"] * (1 + entry.indices[0]) for entry in expression.atoms(sympy.Indexed)}
    expression = expression.xreplace(entries)
    return expression.subs({s: numbers[s.name] for s in expression.free_symbols}).evalf(40)


LOSSES = {
    loss.name: loss
    for module in (lossbook.adversarial, lossbook.binary, lossbook.divergence, lossbook.multilabel, lossbook.regression)
    for loss in vars(module).values()
    if isinstance(loss, lossbook.Loss) and not loss.formula.has(lossbook.words.sum_classes)
}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_print_of_a_loss_is_read_as_its_formula(name):
    """The LaTeX of every loss of single elements says what the loss computes."""
    formula = LOSSES[name].formula
    symbols = sorted(formula.free_symbols, key=str)
    read = one(LOSSES[name].latex, {print_latex(symbol): Real for symbol in symbols})
    for at in (sympy.Rational(1, 7), sympy.Rational(3, 7)):
        numbers = {symbol.name: at + sympy.Rational(k, 11) for k, symbol in enumerate(symbols)}
        wanted, found = value_at(formula, numbers), value_at(read, numbers)
        assert mpmath.almosteq(mpmath.mpmathify(found), mpmath.mpmathify(wanted), rel_eps=1e-25)


def test_a_sum_whose_terms_have_no_index_is_refused():
    """The package prints sums over classes and pixels without an index, which is not enough to read them."""
    loss = lossbook.multiclass.cross_entropy
    with pytest.raises(NotationError, match="expected terms that depend on k"):
        latex.read(loss.latex, {print_latex(symbol): Real for symbol in loss.formula.free_symbols})


LEAVES = st.sampled_from([X, A, HAT, sympy.Integer(2), sympy.Rational(1, 3), sympy.Integer(-1), sympy.Float("0.5")])


def larger(terms):
    """Expressions made of smaller ones, finite and real wherever these are."""
    one_of = [
        lambda e: sympy.exp(-(e**2)), lambda e: sympy.log(1 + e**2), sympy.Abs, sympy.tanh, sigmoid, softplus, log_cosh,
        lambda e: sympy.sqrt(1 + e**2), lambda e: 1 / (1 + e**2), lambda e: -e, lambda e: (1 + e**2) ** GAMMA,
        lambda e: sympy.log(1 + sympy.Sum(e**2 * sympy.exp(Z[K]), (K, 1, C))),
        lambda e: sympy.Piecewise((e, X < A), (e**2, True)),
    ]  # fmt: skip
    two = [lambda e, f: e + f, lambda e, f: e * f, lambda e, f: e / (2 + sympy.Abs(f))]
    chosen = [  # SymPy does not compare words of numbers alone
        lambda e, f, make=make: make(e, f) if e.free_symbols and f.free_symbols else e - f
        for make in (sympy.Max, sympy.Min)
    ]
    return st.one_of(
        st.builds(lambda make, e: make(e), st.sampled_from(one_of), terms),
        st.builds(lambda make, e, f: make(e, f), st.sampled_from([*two, *chosen]), terms, terms),
    )


@settings(max_examples=60, deadline=None)
@given(st.recursive(LEAVES, larger, max_leaves=8))
def test_what_sympy_prints_is_read_as_what_it_printed(expression):
    """Of any expression of the supported functions, print and reading give the same values back."""
    read = one(sympy.latex(expression), WHERE)
    for x in (sympy.Rational(-13, 7), sympy.Rational(5, 9)):
        numbers = {"x": x, "a": sympy.Rational(4, 3), "yhat": sympy.Rational(2, 7), "gamma": sympy.Rational(3, 2)}
        numbers |= {"C": 3, "z": sympy.Rational(1, 5)}
        wanted, found = value_at(expression, numbers), value_at(read, numbers)
        assert mpmath.almosteq(mpmath.mpmathify(found), mpmath.mpmathify(wanted), rel_eps=1e-12, abs_eps=0)


def test_an_index_of_a_sum_catches_nothing_that_is_put_in():
    """A definition with a sum over k, used for an entry k, keeps the two apart by name."""
    found = latex.read(r"f_j = \sum_{k=1}^3 z_k z_j \\ g = f_k", {"z": Logit}).lines[1].sides[0].expression
    names = {symbol.name for symbol in found.atoms(sympy.Symbol)}
    assert {"k", "k'"} <= names
    assert same(found.doit().subs(K, 2), Z[1] * Z[2] + Z[2] ** 2 + Z[2] * Z[3])
    (highest,) = latex.read(r"\max_j z_j + \sum_{j=1}^C z_j", {"z": Logit}).lines[0].sides[0].expression.atoms(Largest)
    assert highest.subs(C, 2).doit() == sympy.Max(Z[1], Z[2])
