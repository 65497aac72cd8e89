"""A loss of the user's own: declared in a script or a notebook, and then as good as any of the package."""

import copy
import functools
import pickle

import numpy as np
import oracle
import pytest
import sympy
from cases import BACKENDS, Backend
from mpmath import mp, mpf
from processes import run_python
from sympy import Rational

import lossbook
from lossbook import (
    BackendError,
    Classes,
    DomainError,
    Flag,
    Fraction,
    Logit,
    NonNegative,
    Outcome,
    Positive,
    Probability,
    Real,
    Sign,
    backends,
    loss,
)
from lossbook.words import (
    classes,
    let,
    log_odds,
    maximum,
    reciprocal,
    share,
    sigmoid,
    softplus,
    sum_classes,
    sum_pixels,
)

DECLARED = '''
import lossbook
from lossbook import Label, Logit, Positive
from lossbook.words import softplus

@lossbook.loss(source="a notebook", properties={"minimum": 0})
def tempered(z: Logit, y: Label, *, temperature: Positive = 1.5):
    """Cross-entropy of a logit that is divided by a temperature."""
    return y * softplus(-z / temperature) + (1 - y) * softplus(z / temperature)
'''


def notebook(code):
    """What a notebook's cell leaves: names in a __main__ that has no file."""
    names = {"__name__": "__main__"}
    exec(compile(code, "<cell 1>", "exec"), names)
    return names


def exact(made, arrays, setting):
    """Values and slopes of each element, row, or image and class, from the formula alone."""
    flags, parameters = made.settings(setting)
    form = made.formula_at(**flags)
    fixed = {symbol: oracle.exact(parameters[symbol.name]) for symbol in form.parameters}
    if made.shape == "pointwise":
        values, slopes = np.empty(arrays[0].shape), np.empty(arrays[0].shape)
        for i in np.ndindex(values.shape):
            symbols = fixed | {s: oracle.exact(a[i]) for s, a in zip(form.arrays, arrays, strict=True)}
            values[i] = oracle.value(form.formula, symbols)
            slopes[i] = oracle.slope(form.formula, symbols, form.prediction)
        return values, slopes
    prediction, target = arrays
    if target.ndim < prediction.ndim:
        target = np.eye(prediction.shape[1])[target]
    shape = prediction.shape[: 1 if made.shape == "rows" else 2]
    values, slopes = np.empty(shape), np.empty(prediction.shape)
    for i in np.ndindex(shape):
        symbols = fixed | {classes: mpf(prediction.shape[1])}
        for symbol, array in zip(form.arrays, (prediction, target), strict=True):
            symbols[symbol] = [oracle.exact(x) for x in array[i]]
        values[i] = oracle.value(form.formula, symbols)
        for j in range(prediction.shape[-1]):
            slopes[(*i, j)] = oracle.slope(form.formula, symbols, form.prediction, j)
    return values, slopes


def agrees(made, *arrays, backends=BACKENDS, rtol=1e-12, **setting):
    """Assert that values and slopes on the backends are exact, and slopes the differences of the values."""
    wanted = exact(made, arrays, setting)
    for name in backends:
        with Backend(name).ready() as backend:
            got = backend.call(made.value_and_grad, *arrays, reduction="none", **setting)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14, err_msg=f"{made.name} on {name}")
    direction = np.random.default_rng(0).normal(size=arrays[0].shape)
    with Backend(backends[0]).ready() as backend:
        setting["reduction"] = "sum"
        up, down = (backend.call(made, arrays[0] + h * direction, *arrays[1:], **setting) for h in (1e-6, -1e-6))
        slopes = backend.call(made.grad, *arrays, **setting)
    np.testing.assert_allclose(np.sum(slopes * direction), (up - down) / 2e-6, rtol=1e-5)


X = np.array([-1.3, 0.4, 2.2, 0.9, -0.2])
Y = np.array([0.5, 1.0, -1.5, 0.2, -0.7])
LABELS = np.array([0, 1, 0.25, 1, 0])
ROWS = np.array([[0.3, -1.2, 2.1], [1.4, 0.2, -0.5], [-3.0, 2.5, 0.1]])
SHARES = np.array([[0.2, 0.3, 0.5], [0, 1, 0], [0.9, 0.1, 0]])
PIXELS = np.random.default_rng(8).uniform(0.1, 0.9, (2, 2, 4))
MASK = (np.arange(16).reshape(2, 2, 4) % 3 == 0).astype(float)


@pytest.fixture(autouse=True)
def meanings(monkeypatch):
    """The oracle knows words; here it learns SymPy's own spelling of some, and pi."""
    for name, meaning in {"abs": abs, "max": max, "min": min, "pi": lambda: +mp.pi}.items():
        monkeypatch.setitem(oracle.MEANINGS, name, meaning)


# --- where a loss may be declared ----------------------------------------------------------------------------------


def test_a_loss_of_a_notebook_computes_on_every_backend():
    """A loss without a file gives exact values and slopes on NumPy, Numba and CuPy."""
    agrees(notebook(DECLARED)["tempered"], X, LABELS, temperature=0.7)


def test_a_loss_of_a_notebook_can_be_declared_again():
    """A cell that is run again with another formula gives the other numbers: no kernel of the first is taken."""
    first = notebook(DECLARED)["tempered"]
    second = notebook(DECLARED.replace("y * softplus", "2 * y * softplus"))["tempered"]
    assert first(X, LABELS) == first(X, LABELS)
    agrees(first, X, LABELS, backends=("numpy", "numba"))
    agrees(second, X, LABELS, backends=("numpy", "numba"))
    assert second(X, LABELS) != first(X, LABELS)


def test_a_loss_of_a_notebook_checks_its_domains():
    """The messages name the user's loss, the argument, the rule, the value and its place."""
    made = notebook(DECLARED)["tempered"]
    for name in BACKENDS:
        with Backend(name).ready() as backend:
            with pytest.raises(DomainError, match=r"^tempered: y must be in \[0, 1\]; got 1.5 at index 2$"):
                backend.call(made, X, np.array([0, 1, 1.5, 0, 0]))
            with pytest.raises(DomainError, match=r"^tempered: temperature must be > 0 and finite; got 0$"):
                backend.call(made, X, LABELS, temperature=0)
            with pytest.raises(lossbook.ShapeError, match=r"^tempered: y must have shape \(5,\)"):
                backend.call(made, X, LABELS[:4])


def test_a_loss_of_a_notebook_documents_itself():
    """Name, docstring, formula, LaTeX, gradient, card and sources are there as for any loss of the package."""
    made = notebook(DECLARED)["tempered"]
    assert made.name == made.__name__ == "tempered"
    assert made.__module__ == "__main__"
    assert made.summary == "Cross-entropy of a logit that is divided by a temperature."
    said = "temperature : float, optional\n    A positive number; 1.5 if left out."
    for part in (said, "References\n----------\na notebook.", str(made.formula)):
        assert part in made.__doc__
    assert str(made.signature).startswith("(z, y, /, *, temperature=1.5, reduction='mean'")
    assert r"\operatorname{softplus}" in made.latex
    assert r"\mathrm{temperature}" in made.latex
    card = made._repr_markdown_()
    assert card.startswith("**tempered** · Cross-entropy of a logit")
    assert made.latex in card
    assert r"\sigma" in card
    assert "Source: a notebook" in card
    for name in BACKENDS:
        assert "tempered" in made.source(name)
    assert made.textbook.has(sympy.exp)
    assert made.properties == {"minimum": 0}


def test_a_script_may_declare_a_loss(tmp_path):
    """In a script a loss computes on NumPy and Numba, pickles, and finds its compiled kernels the next time."""
    script = tmp_path / "own.py"
    script.write_text(
        DECLARED
        + """
import pickle
import numpy as np
x, y = np.array([-1.3, 0.4]), np.array([0.0, 1.0])
values = [float(tempered(x, y, backend=name)) for name in ("numpy", "numba")]
again = pickle.loads(pickle.dumps(tempered))
from lossbook import kernels
compiled = [m.loops for m in kernels._modules.values() if hasattr(m.loops, "stats")]
hits = [sum(loops.stats.cache_hits.values()) for loops in compiled]
print((values, again is tempered, tempered.grad(x, y, backend="numba").tolist(), hits))
"""
    )
    results = [run_python(script, LOSSBOOK_CACHE=tmp_path / "cache") for _ in range(2)]
    z, y = np.array([-1.3, 0.4]) / 1.5, np.array([0, 1])
    wanted = np.mean(np.logaddexp(0, (1 - 2 * y) * z))
    slopes = (1 / (1 + np.exp(-z)) - y) / 1.5 / 2
    for values, same, gradient, _ in results:
        assert values == pytest.approx([wanted, wanted], rel=1e-14)
        assert same
        assert gradient == pytest.approx(slopes.tolist(), rel=1e-14)
    ((none,), (some,)) = (hits for *_, hits in results)
    assert none == 0 < some


def test_a_loss_of_a_module_pickles_by_its_address():
    """A loss at the top of a module comes back from a pickle as itself."""
    assert pickle.loads(pickle.dumps(mean_of_powers)) is mean_of_powers


# --- what a formula may be made of ---------------------------------------------------------------------------------


@loss
def mean_of_powers(p: Real, y: Outcome):
    """Rational powers, roots, rational and irrational numbers."""
    far = sympy.Abs(p - y)
    root = sympy.sqrt(1 + far**2) / sympy.pi + (1 + far**2) ** Rational(-1, 3)
    return far ** Rational(3, 2) / 3 + root - Rational(2, 7)


@loss
def exponential(p: Real, y: Sign):
    """exp and log of plain SymPy."""
    return sympy.exp(-p * y) + sympy.log(1 + (p - y) ** 2) + 2**p


@loss
def generalized(p: Real, y: Outcome, *, exponent: Positive = 2.5, unit: Positive = 1.0):
    """A power whose exponent is a parameter."""
    return (sympy.Abs(p - y) / unit) ** exponent / exponent


@loss
def hinge(z: Logit, y: Sign):
    """The larger of two, as a word."""
    return maximum(0, 1 - y * z)


def plain_hinge(z: Logit, y: Sign):
    """The larger of two, as SymPy spells it."""
    return sympy.Max(0, 1 - y * z)


def clipped(p: Real, y: Outcome):
    """The smaller of two, as SymPy spells it."""
    return sympy.Min(1, (p - y) ** 2)


@loss
def with_steps(p: Real, y: Outcome, *, squared: Flag = False, delta: Positive = 1.0):
    """Named steps and a flag that chooses the formula."""
    far = let(far=sympy.Abs(p - y))
    ratio = let(ratio=far / (far + delta))
    return ratio**2 if squared else ratio * sympy.log(1 + far)


@loss
def lonely(p: Probability):
    """A loss without a target."""
    return p * (1 - p)


def test_roots_and_numbers_of_sympy_are_exact():
    """Absolute values, powers, roots and numbers of SymPy's own have exact values and slopes on every backend."""
    agrees(mean_of_powers, X, Y)
    far = np.abs(X - Y)
    plain = far**1.5 / 3 + np.sqrt(1 + far**2) / np.pi + np.cbrt(1 / (1 + far**2)) - 2 / 7
    np.testing.assert_allclose(mean_of_powers(X, Y, reduction="none"), plain, rtol=1e-14)


def test_exponentials_and_logarithms_of_sympy_are_exact():
    """exp, log and a number to the power of the prediction are themselves on every backend."""
    signs = np.array([1.0, -1, 1, 1, -1])
    agrees(exponential, X, signs)
    plain = np.exp(-X * signs) + np.log(1 + (X - signs) ** 2) + 2**X
    np.testing.assert_allclose(exponential(X, signs, reduction="none"), plain, rtol=1e-14)


@pytest.mark.parametrize("setting", [{"exponent": 1.0}, {"exponent": 2.0, "unit": 3.0}, {"exponent": 0.5}], ids=str)
def test_an_exponent_may_be_a_parameter(setting):
    """The power is taken for each value of the parameter, with the same kernel."""
    agrees(generalized, X, Y, **setting)
    plain = (np.abs(X - Y) / setting.get("unit", 1)) ** setting["exponent"] / setting["exponent"]
    np.testing.assert_allclose(generalized(X, Y, reduction="none", **setting), plain, rtol=1e-14)


def test_the_larger_of_two_is_a_word():
    """A hinge of the word `maximum` has the slope of the side it is on."""
    signs = np.array([1.0, -1, 1, 1, -1])
    agrees(hinge, X, signs)
    assert hinge(X, signs, reduction="none").tolist() == np.maximum(0, 1 - signs * X).tolist()


@pytest.mark.parametrize("function", [plain_hinge, clipped], ids=lambda function: function.__name__)
def test_max_and_min_of_sympy_are_words(function):
    """SymPy's Max and Min, too, have values and slopes on every backend."""
    agrees(loss(function), X, np.array([1.0, -1, 1, 1, -1]))


def test_steps_keep_their_names_and_flags_choose():
    """A named step stands under its name in each kernel; each setting of a flag is a formula of its own."""
    for squared in (False, True):
        agrees(with_steps, X, Y, squared=squared, delta=0.7)
    for name in BACKENDS:
        text = with_steps.source(name, squared=True)
        assert "ratio = " in text
        assert "far = " in text
        assert "log" not in text.partition("def element" if name != "cupy" else "element(")[2].partition("return")[0]
    with pytest.raises(DomainError, match="with_steps: squared must be True or False; got 1"):
        with_steps(X, Y, squared=1)


def test_a_loss_needs_no_target():
    """A prediction alone is enough."""
    agrees(lonely, np.array([0.1, 0.5, 0.8]))


@loss
def smooth_rows(z: Logit, y: Classes, *, floor: Fraction = 0.1, gamma: NonNegative = 1.0):
    """A row loss of log-odds: every class is asked for its share of the target."""
    wanted = (1 - floor) * y + floor / classes
    return sum_classes(wanted * sigmoid(-log_odds(z)) ** gamma * softplus(-log_odds(z)))


@loss
def tversky(p: Probability, y: Classes, *, alpha: NonNegative = 0.3, smooth: Positive = 0.5):
    """An overlap loss of three totals, one of which is nameless."""
    overlap = let(overlap=sum_pixels(p * y))
    missed = let(missed=sum_pixels((1 - p) * y))
    return share(alpha * missed + (1 - alpha) * sum_pixels(p * (1 - y)), overlap + smooth)


def test_a_row_loss_of_ones_own():
    """sum_classes and log_odds give a loss of rows for distributions and class indices, on every backend."""
    agrees(smooth_rows, ROWS, SHARES, gamma=1.5, rtol=1e-11)
    agrees(smooth_rows, ROWS, np.array([2, 1, 0]), gamma=1.5, rtol=1e-11)
    agrees(smooth_rows, ROWS, np.array([2, 1, 0]), floor=0.0, rtol=1e-11)
    with pytest.raises(DomainError, match=r"smooth_rows: y must be a class index in 0..2; got 3 at index 1"):
        smooth_rows(ROWS, np.array([0, 3, 1]))


def test_an_overlap_loss_of_ones_own():
    """Totals give a loss of images and classes, on every backend, and batch=True adds up the images first."""
    agrees(tversky, PIXELS, MASK, alpha=0.4, rtol=1e-11)
    missed, wrong, overlap = ((a * b).sum(axis=-1) for a, b in ((1 - PIXELS, MASK), (PIXELS, 1 - MASK), (PIXELS, MASK)))
    errors = 0.3 * missed + 0.7 * wrong
    assert tversky(PIXELS, MASK) == pytest.approx(np.mean(errors / (errors + overlap + 0.5)), rel=1e-14)
    together = tversky(np.concatenate(list(PIXELS), axis=-1)[None], np.concatenate(list(MASK), axis=-1)[None])
    assert tversky(PIXELS, MASK, batch=True) == pytest.approx(together, rel=1e-12)


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["w", "w_", "d_w", "_d_w", "scale", "value", "exp", "backward", "double", "near_2"])
def test_no_name_is_a_trap(name, backend):
    """A parameter may have a name that kernels use themselves, or a keyword of C++, and changes no number."""
    code = f"""
import sympy, lossbook
from lossbook import Outcome, Positive, Real
@lossbook.loss
def named(p: Real, y: Outcome, *, {name}: Positive = 2.0):
    return {name} * sympy.exp(-((p - y) ** 2))
"""
    agrees(notebook(code)["named"], X, Y, backends=(backend,), **{name: 3.0})


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["p", "y", "k", "squared", "w", "w_", "d_r", "at_p", "value", "exp", "C"])
def test_no_name_of_a_step_is_a_trap(name, backend):
    """A step may have the name of an argument or of something in the kernel, and changes no number."""

    @loss
    def named(p: Real, y: Outcome, *, k: Positive = 2.0, squared: Flag = True, w: Positive = 3.0, w_: Positive = 0.5):
        r = let(r=p - y)
        step = let(**{name: k * r})
        return (step**2 if squared else step) * sigmoid(w * p) + w_ * r**2

    wanted = (1.4 * (X - Y)) ** 2 / (1 + np.exp(-3 * X)) + 0.5 * (X - Y) ** 2
    np.testing.assert_allclose(named(X, Y, k=1.4, reduction="none"), wanted, rtol=1e-14)
    agrees(named, X, Y, backends=(backend,), k=1.4)


def apart(p: Real, y: Outcome):
    return lossbook.regression.huber.of(p, y, delta=1) + lossbook.regression.huber.of(p, y, delta=3)


def near_and_near(p: Real, y: Outcome):
    return lossbook.regression.huber.of(p, y) + lossbook.regression.smooth_l1.of(p, y, beta=Rational(1, 2))


def once_more(p: Real, y: Outcome):
    first = let(r=p - y)
    second = let(r=first**2)
    return second + let(r=second**2) + let(r_2=p)


@pytest.mark.parametrize("function", [apart, near_and_near, once_more], ids=lambda function: function.__name__)
def test_a_name_of_a_step_may_come_again(function):
    """Steps of the same name are different steps where their formulas differ."""
    x, y = np.array([0.5, -2, 3]), np.array([0, 1, 1.0])
    far = np.abs(x - y)
    huber, smooth = ((lambda far, d=d: np.where(far < d, far**2 / 2, d * (far - d / 2))) for d in (1, 0.5))
    wanted = {
        "apart": huber(far) + np.where(far < 3, far**2 / 2, 3 * (far - 1.5)),
        "near_and_near": huber(far) + smooth(far) / 0.5,
        "once_more": far**2 + far**4 + x,
    }
    np.testing.assert_allclose(loss(function)(x, y, reduction="none"), wanted[function.__name__], rtol=1e-14)
    agrees(loss(function), x, y)


def test_the_same_step_is_computed_once():
    """A step that is named again with the same formula is one line of the kernel."""

    @loss
    def twice(p: Real, y: Outcome):
        return lossbook.regression.huber.of(p, y) * lossbook.regression.huber.of(p, y, delta=1)

    assert twice.source("numba").count(" near = ") == 1
    assert "near_2" not in twice.source("numba")
    agrees(twice, X, Y)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["z", "C", "Cost", "u"])
def test_no_name_is_a_trap_in_rows(name, backend):
    """Nor in a loss of rows, whose kernels have a logit, a number of classes and a standing of their own."""
    code = f"""
import lossbook
from lossbook import Classes, Logit, Positive
from lossbook.words import log_odds, softplus, sum_classes
@lossbook.loss
def named(p: Logit, y: Classes, *, {name}: Positive = 2.0):
    return sum_classes(y * softplus(-log_odds(p) * {name}))
@lossbook.loss
def target(p: Logit, {name}: Classes):
    return sum_classes({name} * softplus(-log_odds(p)))
"""
    made = notebook(code)
    for y in (SHARES, np.array([2, 1, 0])):
        agrees(made["named"], ROWS, y, backends=(backend,), rtol=1e-11, **{name: 1.5})
        agrees(made["target"], ROWS, y, backends=(backend,), rtol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_name_is_a_trap_in_totals(backend):
    """Nor in a loss of totals, whose kernels have an index of their own where the target holds class indices."""

    @loss
    def named(p: Probability, y: Classes, *, index: Positive = 2.0):
        return share(sum_pixels(index * p**2 * (1 - y)), sum_pixels(p * y) + 1)

    index = np.arange(8).reshape(2, 4) % 2
    shares = np.moveaxis(np.eye(2)[index], -1, 1)
    wanted = (1.5 * np.sum(PIXELS**2 * (1 - shares), axis=-1), np.sum(PIXELS * shares, axis=-1) + 1)
    with Backend(backend).ready() as ready:
        value, slope = ready.call(named.value_and_grad, PIXELS, index, reduction="none", index=1.5)
        same = ready.call(named.grad, PIXELS, shares, reduction="none", index=1.5)
    np.testing.assert_allclose(value, wanted[0] / (wanted[0] + wanted[1]), rtol=1e-13)
    np.testing.assert_allclose(slope, same, rtol=1e-13)


# --- copies --------------------------------------------------------------------------------------------------------


def local_loss():
    @loss
    def local(p: Real, y: Outcome):
        return (p - y) ** 4

    return local


def test_a_copy_of_a_loss_is_the_loss():
    """A loss never changes, so a copy is the loss itself, wherever it was declared."""
    for made in (local_loss(), mean_of_powers, generalized.with_parameters(exponent=3)):
        assert copy.copy(made) is made
        assert copy.deepcopy([made])[0] is made


def test_a_loss_of_a_function_pickles_by_value_or_says_why_not():
    """A loss made inside a function has no address: cloudpickle carries its function, and pickle names it."""
    made = local_loss()
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"local object.*local_loss\.<locals>\.local"):
        pickle.dumps(made)
    again = pickle.loads(pytest.importorskip("cloudpickle").dumps(made))
    assert again(X, Y) == made(X, Y)


# --- errors at the declaration -------------------------------------------------------------------------------------


def test_annotations_that_are_text_are_refused():
    """`from __future__ import annotations` makes text of domains, and text is never evaluated; the message says so."""
    code = "from __future__ import annotations\n" + DECLARED
    with pytest.raises(TypeError, match=r"tempered: z is annotated with text, 'Logit', .* __future__ import"):
        notebook(code)


def test_a_signature_that_says_too_little_is_refused():
    """Missing annotations and defaults, arrays after the star and parameters before it: each has its own message."""

    def no_annotation(p: Real, y):
        return p - y

    def a_type(p: float, y: Outcome):
        return p - y

    def no_default(p: Real, y: Outcome, *, delta: Positive):
        return p - y

    def keyword_prediction(*, p: Real = 1):
        return p

    def positional_parameter(p: Real, delta: Positive = 1.0):
        return p * delta

    def target_first(y: Outcome, p: Real):
        return p - y

    def two_targets(p: Real, y: Outcome, t: Outcome):
        return p - y - t

    def nothing():
        return sympy.S.One

    def gathered(*p: Real):
        return p[0]

    def keywords(p: Real, **k: Positive):
        return p * k["k"]

    rules = {
        no_annotation: "y must be annotated with a domain such as Logit or Label",
        a_type: "p must be annotated with a domain such as Logit or Label",
        no_default: "the parameter delta needs a default",
        keyword_prediction: "p is a prediction, which must be positional",
        positional_parameter: r"delta is a parameter, which must be keyword-only \(after \*\)",
        target_first: r"the arrays must be a prediction and at most one target; got \['target', 'prediction'\]",
        two_targets: "the arrays must be a prediction and at most one target",
        nothing: "the arrays must be a prediction and at most one target",
        gathered: r"the arguments must have names of their own; got \*p",
        keywords: r"the arguments must have names of their own; got \*\*k",
    }
    for function, rule in rules.items():
        with pytest.raises(TypeError, match=f"^{function.__name__}: {rule}"):
            loss(function)


def test_symbols_that_are_not_arguments_are_refused():
    """A formula may use its arguments and nothing else: the message names what is strange."""

    def strange(p: Real, y: Outcome):
        return (p - y) * sympy.Symbol("q")

    def hidden(p: Real, y: Outcome):
        return let(step=(p - y) * sympy.Symbol("q"))

    for function in (strange, hidden):
        with pytest.raises(TypeError, match=rf"{function.__name__}: .*symbols that are not arguments: {{q}}"):
            loss(function)


def gamma_function(p: Real, y: Outcome):
    return sympy.gamma(p - y)


def sine(p: Real, y: Outcome):
    return (sympy.sin(p) - y) ** 2


def in_a_step(p: Real, y: Outcome):
    return let(step=sympy.gamma(p - y)) ** 2


def cases_of_sympy(p: Real, y: Outcome):
    return sympy.Piecewise((p, p > y), (y, True))


@pytest.mark.parametrize(
    ("function", "word"),
    [(gamma_function, "gamma"), (sine, "sin"), (in_a_step, "gamma"), (cases_of_sympy, "Piecewise")],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_a_function_that_is_no_word_is_refused(function, word):
    """At its declaration a formula with a function that no kernel knows is refused; loss and function are named."""
    with pytest.raises(TypeError, match=rf"{function.__name__}: .*\b{word}\b"):
        loss(function)


def infinite(p: Real, y: Outcome):
    return float("inf") * (p - y)


def not_a_number(p: Real, y: Outcome):
    return p - y + let(step=y * float("nan"))


def imaginary(p: Real, y: Outcome):
    return 1j * p - y


@pytest.mark.parametrize("function", [infinite, not_a_number, imaginary], ids=lambda function: function.__name__)
def test_numbers_that_no_kernel_has_are_refused(function):
    """Infinity, NaN and the imaginary unit are no numbers for a formula."""
    with pytest.raises(TypeError, match=f"^{function.__name__}: the numbers of a formula must be real and finite; got"):
        loss(function)


def no_prediction(p: Real, y: Outcome):
    return y * 0 + 1


def target_alone(p: Real, y: Outcome):
    return let(step=y**2) + 1


def zero(p: Real):
    return 0


def only_switched(p: Real, y: Outcome, *, squared: Flag = True, other: Flag = False):
    return (p - y) ** 2 if squared or not other else y**2


@pytest.mark.parametrize(
    ("function", "where"),
    [(no_prediction, ""), (target_alone, ""), (zero, ""), (only_switched, " with squared=False, other=True")],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_a_formula_without_the_prediction_is_refused(function, where):
    """A constant is no loss, not even under one setting of the flags alone."""
    with pytest.raises(TypeError, match=f"^{function.__name__}: the formula must depend on p{where}; got"):
        loss(function)


def test_flags_keep_the_shape():
    """A flag chooses a formula, not whether a value belongs to an element or to a row."""

    def either(p: Probability, y: Classes, *, rows: Flag = False):
        return sum_classes(y * (1 - p)) if rows else y * (1 - p)

    with pytest.raises(TypeError, match=r"^either: flags must not change the shape .*; got pointwise and rows"):
        loss(either)


def test_defaults_are_checked():
    """A default outside its domain is refused where it is written."""

    def cold(p: Real, *, temperature: Positive = 0.0):
        return p**2 / temperature

    def switched(p: Real, *, squared: Flag = 1):
        return p**2 if squared else p

    with pytest.raises(DomainError, match=r"^cold: temperature must be > 0 and finite; got 0.0$"):
        loss(cold)
    with pytest.raises(DomainError, match=r"^switched: squared must be True or False; got 1$"):
        loss(switched)


def test_let_names_one_step():
    """let() with two names, or none, says so."""

    def two(p: Real, y: Outcome):
        return let(a=p - y, b=2)

    def none(p: Real, y: Outcome):
        return let()

    for function, got in ((two, "a, b"), (none, "none")):
        with pytest.raises(TypeError, match=rf"^{function.__name__}: .*let\(\) names one step; got {got}$"):
            loss(function)


def nested(p: Real, y: Outcome):
    for _ in range(300):
        p = sympy.log(1 + p**2)
    return p - y


def nested_by_name(p: Real, y: Outcome):
    for _ in range(300):
        p = let(step=sympy.log(1 + p**2))
    return p - y


def test_a_formula_may_be_deep_if_its_steps_have_names():
    """Three hundred functions of each other are refused with advice, and named they are a loss."""
    with pytest.raises(TypeError, match=r"^nested: the formula is nested too deeply; name parts of it with let\(\)$"):
        loss(nested)
    value, slope = X, 1
    for _ in range(300):
        value, slope = np.log1p(value**2), slope * 2 * value / (1 + value**2)
    for name in ("numpy", "cupy"):
        with Backend(name).ready() as backend:
            got = backend.call(loss(nested_by_name).value_and_grad, X, Y, reduction="none")
        np.testing.assert_allclose(got, [value - Y, slope], rtol=1e-12)


@pytest.mark.parametrize("given", [3, functools.partial(hinge, 1), hinge, str], ids=repr)
def test_what_is_no_function_is_refused(given):
    """A loss is declared by a function, and by nothing else that can be called."""
    with pytest.raises(TypeError, match=r"^loss: a loss is declared by a function; got "):
        loss(given)


def text(p: Real, y: Outcome):
    return "p - y"


def nothing_returned(p: Real, y: Outcome):
    (p - y) ** 2


def comparison(p: Real, y: Outcome):
    return p > y


def of_numpy(p: Real, y: Outcome):
    return np.exp(p - y)


def branch(p: Real, y: Outcome):
    return p if p > y else y


@pytest.mark.parametrize(
    "function", [text, nothing_returned, comparison, of_numpy, branch], ids=lambda function: function.__name__
)
def test_what_is_no_formula_is_refused_by_name(function):
    """A formula that is text, nothing, a comparison, NumPy's or a Python branch is a TypeError that names the loss."""
    with pytest.raises(TypeError, match=f"^{function.__name__}: "):
        loss(function)


def outside_log_odds(z: Logit, y: Classes):
    return sum_classes(y * softplus(-log_odds(z)) + z**2)


def after_sum_classes(z: Logit, y: Classes):
    return 2 * sum_classes(y * softplus(-log_odds(z)))


def outside_sum_pixels(p: Probability, y: Classes):
    return share(sum_pixels(p), sum_pixels(y)) + p


@pytest.mark.parametrize(
    ("function", "rule"),
    [
        (outside_log_odds, r"inside sum_classes\(...\) the prediction may appear only as log_odds\(z\)"),
        (after_sum_classes, r"a row loss must end in sum_classes\(...\)"),
        (outside_sum_pixels, r"p must stand inside sum_pixels\(...\)"),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_a_prediction_in_the_wrong_place_is_refused(function, rule):
    """In a row loss the prediction stands in log-odds, in an overlap loss in totals: else it cannot be declared."""
    with pytest.raises(TypeError, match=f"{function.__name__}: .*{rule}"):
        loss(function)


def test_let_is_for_formulas():
    """let() outside a declaration says where it belongs."""
    with pytest.raises(RuntimeError, match=r"let\(\) is for the body of a function decorated with @loss"):
        let(step=reciprocal(sympy.Symbol("x")))


def test_a_backend_that_lacks_a_space_keeps_no_loss_from_being_declared(monkeypatch):
    """A declaration prints its kernel on every backend; what one of them refuses, the others may have."""

    def source(plan, real=None, integer=False):
        raise BackendError(plan.name, "backend", "computes no such losses", plan.space.name)

    monkeypatch.setattr(backends.get("cupy"), "source", source)

    @loss
    def half(x: Real, y: Outcome):
        """Half the squared error."""
        return (x - y) ** 2 / 2

    assert half([3.0], [1.0]) == 2
    with pytest.raises(BackendError, match="computes no such losses"):
        half.source("cupy")
