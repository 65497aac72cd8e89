"""The figures draw the losses' own numbers, in Python and in the browser, and can be read by everybody."""

import importlib
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest

import lossbook
from lossbook import Logit, Loss, Outcome, Positive, Real, binary, divergence, figures, multiclass, regression
from lossbook.backends import javascript
from lossbook.backends.numpy import words as numpy_words
from lossbook.figures.style import load_matplotlib, rc_parameters
from lossbook.words import absolute, let, log_cosh, softplus


def every_pointwise_loss():
    """The pointwise losses that the modules of the package declare, by name."""
    found = {}
    for module in pkgutil.iter_modules(lossbook.__path__):
        for value in vars(importlib.import_module(f"lossbook.{module.name}")).values():
            if isinstance(value, Loss) and value.shape == "pointwise":
                found[value.name] = value
    return found


# The module: the function of the same name hides it.
slider_module = importlib.import_module("lossbook.figures.slider")

POINTWISE = every_pointwise_loss()
PREDICTIONS = {
    "Logit": [*np.linspace(-40, 40, 161), -1000, 1000, -np.inf, np.inf],
    "Probability": [*np.linspace(0, 1, 81), 1e-300, 1e-9, 1 - 2.0**-40],
    "Real": [*np.linspace(-8, 8, 161), -1e9, 1e9, 1e-9],
}
TARGETS = {"Label": (0, 1, 0.3), "Sign": (-1, 1), "Outcome": (0.5, -2)}
OTHER = {"NonNegative": 1.7, "Exponent": 1.7, "Positive": 2.25, "Fraction": 0.875, "Flag": True}


def run_in_node(script):
    """What node prints for a script."""
    node = shutil.which("node")
    if node is None and os.environ.get("CI"):
        pytest.fail("node is missing: the JavaScript of the sliders must be run wherever CI is set")
    if node is None:
        pytest.skip("node is not installed")
    done = subprocess.run([node, "-"], input=script, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_browser(loss, rows, **flags):
    """[value, gradient] of each row (prediction, target, parameters) from the JavaScript of a loss."""
    script = figures.javascript(loss, **flags)
    script += f"for (const row of {json.dumps(rows)}) console.log(...element(...row).map(String));"
    return np.array([line.split() for line in run_in_node(script).splitlines()]).astype(float).T


# The JavaScript.


@pytest.mark.parametrize("changed", [False, True], ids=["defaults", "others"])
@pytest.mark.parametrize("loss", POINTWISE.values(), ids=POINTWISE)
def test_the_browser_computes_what_the_package_computes(loss, changed):
    """Value and gradient agree to 1e-12 for every pointwise loss, at infinite logits and at both ends of [0, 1] too."""
    declaration = loss.declaration
    settings = {name: OTHER[declaration.arguments[name].name] for name in declaration.defaults} if changed else {}
    flags, parameters = loss.settings(settings)
    x = np.array(PREDICTIONS[loss.declaration.of_prediction.name])
    for target in (None,) if loss.declaration.target is None else TARGETS[loss.declaration.of_target.name]:
        arrays = (x,) if target is None else (x, np.full_like(x, target))
        given = list(parameters.values()) if target is None else [float(target), *parameters.values()]
        value, gradient = in_browser(loss, [[at, *given] for at in x.tolist()], **flags)
        expected, slope = loss.value_and_grad(*arrays, reduction="none", **settings)
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-300)
        # The terms of a soft label's gradient may cancel; what is left has the error of the terms.
        np.testing.assert_allclose(gradient, slope, rtol=1e-12, atol=1e-300 if target in (0, 1, -1) else 1e-14)


def test_every_word_has_a_javascript_spelling():
    """A word that NumPy can compute, the browser can compute too."""
    assert set(numpy_words.__all__) - {"Logistic"} - {*javascript.NATIVE, *javascript.WORDS} == set()


def test_words_mean_the_same_in_the_browser():
    """Every word agrees with NumPy's spelling of it, near zero, at zero and far away."""
    x = np.array([0, 1e-300, 1e-9, 0.25, 0.5, 1, 3, 20, 700])
    signed = np.concatenate([-x[::-1], x])
    script, expected = "", []
    for name, text in javascript.WORDS.items():
        script += f"const {name} = {text};\n"
    for name, text in {**javascript.NATIVE, **javascript.WORDS}.items():
        count = text.partition("=>")[0].count(",") + 1 if "=>" in text else 2 if name in ("maximum", "minimum") else 1
        word = getattr(numpy_words, name)
        upward = ("log", "log1p", "sqrt", "power", "power_slope", "share", "reciprocal", "power1p", "power1p_slope")
        first = x if name in upward else signed
        if count == 4 and not name.startswith("skew"):  # two intervals
            rows = [(*own, *other) for own in ((0, 1), (0, 2), (1, 1), (0, 3)) for other in ((0, 2), (1, 1), (2, 3))]
        elif count == 1:
            rows = [(value,) for value in first]
        elif count == 2:
            rows = [(a, b) for a in first for b in (0, 0.5, 1, 2, 2.5)]
        elif name == "kl_div_of_logit":  # p, a logit, and how far p is from its probability
            rows = [(p, z, numpy_words.residual_of_logit(p, np.array([z])).item()) for p in x[:6] for z in (-3.0, 0.5)]
        elif name == "weighted_sigmoid_power":
            rows = [(w, z, k) for w in x for z in (-3.0, 0.0, 0.5) for k in (0.5, 2.0)]
        else:  # p, q and their difference
            rows = [(p, q, *[0.25] * (count - 3), p - q) for p in x[:6] for q in x[1:6]]
        with np.errstate(all="ignore"):
            expected += [word(*(np.array([float(value)]) for value in row)).item() for row in rows]
        call = f"{javascript.NATIVE.get(name, name)}(...row)"
        script += (
            f"for (const row of {json.dumps([list(map(float, row)) for row in rows])}) console.log(String({call}));\n"
        )
    np.testing.assert_allclose(np.array(run_in_node(script).split(), float), expected, rtol=2e-13, atol=1e-300)


def test_only_the_words_in_use_are_sent_to_the_browser():
    """Cross-entropy needs no power and a divergence brings the words of its words."""
    script = figures.javascript(binary.cross_entropy_with_logits)
    assert re.findall(r"^const (\w+)", script, re.MULTILINE) == ["weighted", "softplus", "sigmoid", "element"]
    script = figures.javascript(divergence.kullback_leibler)
    assert re.findall(r"^const (\w+)", script, re.MULTILINE) == [
        "weighted",
        "quotient",
        "log_ratio",
        "kl_div",
        "element",
    ]


@lossbook.loss
def awkward(z: Logit, *, function: Positive = 3.0, softplus_: Positive = 1.0, less: Positive = 0.5):
    """A loss whose parameters are words of JavaScript and of the vocabulary."""
    new = let(new=function * softplus(z))
    return new * less * softplus_


def test_names_of_parameters_do_not_clash_with_javascript():
    """A parameter or a step may be called function, new or less."""
    value, gradient = in_browser(awkward, [[0.5, 3.0, 1.0, 0.5]])
    expected, slope = awkward.value_and_grad(np.array([0.5]), reduction="none")
    np.testing.assert_allclose([value, gradient], [expected, slope], rtol=1e-15)


# The slider.


class Reader(HTMLParser):
    """The tags of a piece of HTML with their attributes, and its script."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.script, self.open = [], "", []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag != "input":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.script += data * (self.open[-1:] == ["script"])

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@lossbook.loss
def deviation(p: Real, y: Outcome, *, scale: Positive = 1.0):
    """A loss with a kink, whose gradient jumps."""
    return scale * absolute(y - p)


@lossbook.loss
def parabola(p: Real, y: Outcome, *, scale: Positive = 1.0):
    """A loss whose values at round predictions are round."""
    return scale * (y - p) ** 2


@lossbook.loss
def smooth(p: Real, y: Outcome):
    """A loss of residuals with a logarithm, which does not make its unit the nat."""
    return log_cosh(y - p)


SLIDERS = {
    "focal_with_logits": lambda: figures.slider(binary.focal_with_logits, "gamma", 0, 5, start=2, alpha=0.5),
    "focal": lambda: figures.slider(binary.focal, "gamma", 0, 5, start=2, target=0, name="focal-of-probabilities"),
    "huber": lambda: figures.slider(regression.huber, "delta", 0.25, 3, start=1, target=2),
    "kullback": lambda: figures.slider(divergence.alpha_kullback_leibler, "alpha", 0, 1, start=0.5, target=0.25),
    "deviation": lambda: figures.slider(deviation, "scale", 1, 3, start=1),
    "parabola": lambda: figures.slider(parabola, "scale", 0.5, 4, start=2),
}
each_slider = pytest.mark.parametrize("make", SLIDERS.values(), ids=SLIDERS)


@each_slider
def test_a_slider_is_whole_and_can_be_read_aloud(make):
    """Tags are closed, ids occur once, the input has its label and its bounds, and both drawings have a text."""
    page = Reader(make().html)
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) == 2
    (control,) = page.all("input")
    assert control["type"] == "range"
    assert float(control["min"]) <= float(control["value"]) <= float(control["max"])
    assert [label["for"] for label in page.all("label")] == [control["id"]]
    assert [output["for"] for output in page.all("output")] == [control["id"]]
    drawings = page.all("svg")
    assert [drawing.get("aria-hidden") for drawing in drawings] == [None, "true", None, "true"]
    assert all(d["role"] == "img" and len(d["aria-label"]) > 40 for d in drawings[::2])


@each_slider
def test_a_slider_loads_nothing(make):
    """There is no address in it, not even that of a name space."""
    html = make().html
    assert re.search(r"//\w|url\(|@import|xmlns|src=|href=", html) is None
    assert len(Reader(html).script) < 4500


@each_slider
def test_a_slider_is_the_same_twice_and_with_other_last_digits(make, monkeypatch):
    """Stored outputs are compared letter by letter, on machines whose libraries round differently."""
    html, sentence = make().html, make().sentence
    evaluate, random = slider_module.evaluate, np.random.default_rng(0)
    for _ in range(3):

        def blurred(*arguments):
            return [line * (1 + 4e-16 * random.integers(-1, 2, line.shape)) for line in evaluate(*arguments)]

        monkeypatch.setattr(slider_module, "evaluate", blurred)
        assert (make().html, make().sentence) == (html, sentence)


def test_a_slider_does_not_depend_on_the_order_of_sets():
    """Another Python process, with other hashes, writes the same bytes."""
    code = (
        "from lossbook import binary, figures\n"
        "print(figures.slider(binary.focal_with_logits, 'gamma', 0, 5, start=2, alpha=0.5).html)"
    )
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == SLIDERS["focal_with_logits"]().html + "\n"


PAGE = """
const listeners = {}, output = {textContent: ""}, input = {value: "", disabled: true}, small = {hidden: true};
input.addEventListener = (kind, listener) => { listeners[kind] = listener; };
const faint = [], paths = [0, 1].map(() => ({
  d: "", setAttribute(name, value) { this[name] = value; }, before(other) { faint.push(other); },
  cloneNode() { return {setAttribute(name, value) { this[name] = value; }}; },
}));
const root = {querySelector: name => ({input, output, small})[name], querySelectorAll: () => paths};
globalThis.document = {getElementById: id => root};
"""


@each_slider
def test_dragging_draws_what_python_draws(make):
    """The script enables the input, leaves the first curve behind, and draws other values as Python would."""
    page = Reader(make().html)
    (control,) = page.all("input")
    drawn = [attributes["d"] for attributes in page.all("path")]
    at = [control["value"], control["max"]]
    look = "listeners.input(); console.log(output.textContent, ...paths.map(path => path.d));"
    drag = "".join(f'input.value = "{value}"; {look}\n' for value in at)
    lines = run_in_node(f"{PAGE}{page.script}{drag}console.log(input.disabled, faint.length);").splitlines()
    assert lines[-1] == "false 2"
    assert [line.split(" ", 1)[0] for line in lines[:-1]] == at
    again, other = (re.findall(r"[M ]?([-\d.]+),([-\d.]+)", line.split(" ", 1)[1]) for line in lines[:-1])
    first = [point for path in drawn for point in re.findall(r"([-\d.]+),([-\d.]+)", path)]
    np.testing.assert_allclose(np.array(again, float), np.array(first, float), atol=0.0101)
    assert lines[0].count("M") == sum(path.count("M") for path in drawn)
    assert other != again


def test_a_slider_shows_itself_in_html_png_and_words():
    """A notebook stores all three; print takes the PNG, which shows both ends of the slider and its start."""
    shown = SLIDERS["focal_with_logits"]()
    bundle = shown._repr_mimebundle_()
    assert list(bundle) == ["text/html", "image/png", "text/plain"]
    assert bundle["text/html"] == shown.html
    assert b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    says = "A slider for gamma from 0 to 5; binary.focal_with_logits over the logit z for y = 1, alpha = 0.5, drawn for"
    assert bundle["text/plain"].startswith(says)
    assert [line.get_label() for line in shown.figure.axes[0].get_lines()] == ["gamma = 0", "gamma = 2", "gamma = 5"]


def test_a_slider_reaches_its_start():
    """The step is fine enough for ends and start, and coarse enough to be pleasant."""
    ends = [(0, 5, 2), (0, 1, 0.25), (0, 100, 7), (0.125, 3, 1)]
    assert [slider_module.needed_decimals(*each) for each in ends] == [1, 2, 0, 3]
    with pytest.raises(ValueError, match="at most 6 decimals"):
        figures.slider(binary.focal, "gamma", 0, 5, start=1 / 3)


# Curves.


def test_curves_draw_the_numbers_of_the_loss():
    """One line for each setting, loss on the left and gradient on the right, equal to the last bit."""
    figure = figures.curves(binary.focal_with_logits, vary={"gamma": [0, 2]}, target=1, alpha=0.5)
    x = np.linspace(-6, 6, 601)
    for which, gamma in enumerate((0, 2)):
        expected = binary.focal_with_logits.value_and_grad(x, np.ones(601), gamma=gamma, alpha=0.5, reduction="none")
        for axis, values in zip(figure.axes, expected, strict=True):
            line = axis.get_lines()[which]
            np.testing.assert_array_equal(line.get_xdata(), x)
            np.testing.assert_array_equal(line.get_ydata(), values)
            assert line.get_label() == f"gamma = {gamma}"


@pytest.mark.parametrize(
    ("make", "labels"),
    [
        (lambda: figures.curves(binary.cross_entropy), ("probability p", "loss (nats)", "d loss / d p")),
        (lambda: figures.curves(binary.soft_margin), ("logit z", "loss (nats)", "d loss / d z")),
        (lambda: figures.curves(smooth), ("prediction p", "loss", "d loss / d p")),
        (lambda: figures.curves(binary.soft_margin, regression.huber), ("prediction", "loss", "d loss / d prediction")),
        (lambda: figures.curves(divergence.entropy), ("probability q", "loss (nats)", "d loss / d q")),
    ],
)
def test_curves_name_their_axes(make, labels):
    """The axes say what they show, in nats only where that is the unit; nothing is written above them."""
    left, right = make().axes
    assert (left.get_xlabel(), left.get_ylabel(), right.get_ylabel()) == labels
    assert left.get_xlabel() == right.get_xlabel()
    assert left.get_title() == right.get_title() == ""


def test_curves_take_targets_labels_and_ranges():
    """Targets multiply the lines, labels rename them, x sets the range or the very points."""
    lines = figures.curves(binary.cross_entropy, target=[1, 0], x=(0.25, 0.75)).axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["y = 1", "y = 0"]
    assert (lines[0].get_xdata()[0], lines[0].get_xdata()[-1]) == (0.25, 0.75)
    points = [-1.0, 0.0, 2.0]
    figure = figures.curves(regression.huber, regression.squared_error, x=points, labels=["Huber", "square"], delta=2)
    assert [line.get_label() for line in figure.axes[0].get_lines()] == ["Huber", "square"]
    np.testing.assert_array_equal(figure.axes[0].get_lines()[0].get_ydata(), [0.5, 0, 2])
    assert figure._repr_mimebundle_()["text/plain"] == "Loss and gradient over the prediction p: Huber; square."


def test_curves_leave_jumps_and_infinities_open():
    """No line joins the two sides of a jump or runs into infinity, and an infinite end does not flatten the rest."""
    slope = figures.curves(deviation).axes[1].get_lines()[0].get_ydata()
    assert np.isnan(slope).sum() == 2
    assert set(slope[~np.isnan(slope)]) == {-1.0, 0.0, 1.0}
    left, right = figures.curves(binary.cross_entropy).axes
    assert np.flatnonzero(np.isnan(left.get_lines()[0].get_ydata())).tolist() == [0]
    assert len(right.get_lines()[0].get_ydata()) == 601
    assert 2 < left.get_ylim()[1] < 3
    assert -12 < right.get_ylim()[0] < -9


def test_figures_are_the_same_twice_and_say_nothing_of_the_program():
    """The PNG of a figure is the same bytes each time, without texts inside, on opaque white."""
    first, second = (figures.curves(binary.soft_margin)._repr_mimebundle_()["image/png"] for _ in range(2))
    assert first == second
    raw = b64decode(first)
    assert b"tEXt" not in raw
    assert b"Software" not in raw
    assert figures.curves(binary.soft_margin).get_facecolor() == (1, 1, 1, 1)


def test_style_holds_for_figures_that_follow():
    """Wide lines, a line style for each color, no frame above and on the right."""
    import matplotlib

    with matplotlib.rc_context():
        figures.style()
        assert matplotlib.rcParams["lines.linewidth"] == 2
        assert not matplotlib.rcParams["axes.spines.top"]
        cycle = list(matplotlib.rcParams["axes.prop_cycle"])
    assert len({str(entry["color"]) for entry in cycle}) == len({str(entry["linestyle"]) for entry in cycle}) == 7


# The cliff.


def naive(z, y):
    """Cross-entropy as textbooks print it."""
    return -np.log(1 / (1 + np.exp(-z)))


def test_the_cliff_shows_where_a_plain_form_falls():
    """The plain form loses all digits beyond 17 and overflows below -89; the loss stays within two units."""
    figure, errors = figures.cliff(binary.cross_entropy_with_logits, naive)
    x, plain, ours = errors["x"], errors["plain"], errors["lossbook"]
    assert np.all(np.isinf(plain[x < -89]))
    assert np.all(plain[(x > 18) & (x < 87)] > 2**22)
    assert np.all(plain[(x > -80) & (x < -2)] < 1)
    normal = ~np.isnan(ours)
    assert np.all(x[~normal] > 87)
    assert np.all(ours[normal] <= 8 + np.abs(np.log(errors["exact"][normal])))
    np.testing.assert_allclose(errors["exact"], np.logaddexp(0, -x), rtol=1e-12)
    (axis,) = figure.axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("logit z", "error (units of the last place)")
    assert [line.get_label() for line in axis.get_lines()[1:]] == ["binary.cross_entropy_with_logits", "plain form"]
    assert "Float32 error" in figure._repr_mimebundle_()["text/plain"]


def test_the_cliff_takes_parameters_as_float32_sees_them():
    """A parameter that float32 cannot hold is rounded before the exact value is computed, as it is in the kernel."""
    errors = figures.cliff(binary.focal, lambda p, y: p, x=(0.01, 0.99), target=0, gamma=10.1)[1]
    assert np.nanmax(errors["lossbook"]) < 12


def test_the_cliff_leaves_out_what_has_no_exact_value():
    """At the ends of [0, 1] a divergence in quotients and logarithms has none; elsewhere it has."""
    errors = figures.cliff(divergence.kullback_leibler, lambda q, p: q, target=0.25)[1]
    assert np.flatnonzero(np.isnan(errors["lossbook"])).tolist() == [0, 100, 400]
    assert np.nanmax(errors["lossbook"]) < 20


def test_the_cliff_refuses_predictions_without_end():
    """exp(1e30) cannot be worked out in full."""
    with pytest.raises(ValueError, match="at most 1e4 in magnitude"):
        figures.cliff(binary.cross_entropy_with_logits, naive, x=[0, 1e30, 2])


# Wrong input.


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: figures.curves(), TypeError, "at least one loss"),
        (lambda: figures.curves(np.exp), TypeError, "figures draw losses of lossbook; got ufunc"),
        (
            lambda: figures.curves(multiclass.cross_entropy_with_logits),
            TypeError,
            "multiclass.cross_entropy_with_logits: only pointwise losses .* about a row of classes",
        ),
        (lambda: figures.curves(lossbook.segmentation.dice), TypeError, "segmentation.dice: .* about a whole image"),
        (
            lambda: figures.curves(binary.focal, beta=2),
            TypeError,
            "unknown parameter 'beta'; binary.focal has gamma, alpha",
        ),
        (lambda: figures.curves(binary.focal, vary={"beta": [1]}), TypeError, "unknown parameter 'beta'"),
        (lambda: figures.curves(binary.focal, vary={"gamma": 2}), TypeError, "vary needs a list of values of gamma"),
        (lambda: figures.curves(binary.focal, vary={"gamma": [2]}, gamma=1), TypeError, "and gamma nowhere else"),
        (lambda: figures.curves(binary.focal, vary={"gamma": [-1]}), ValueError, r"gamma must be in \[0, 1000\]"),
        (lambda: figures.curves(binary.focal, target=2), ValueError, "y must be in"),
        (lambda: figures.curves(binary.focal, labels=["a", "b"]), ValueError, "labels must be 1 texts"),
        (lambda: figures.curves(binary.focal, binary.soft_margin), ValueError, "binary.focal takes Probability"),
        (lambda: figures.javascript(multiclass.cross_entropy_with_logits), TypeError, "only pointwise losses"),
        (
            lambda: figures.slider(binary.focal, "beta", 0, 1, 0),
            TypeError,
            "no parameter 'beta' to set; it has gamma, alpha",
        ),
        (lambda: figures.slider(binary.focal, "gamma", 0, 1, 0, beta=1), TypeError, "no parameter 'beta' to set"),
        (lambda: figures.slider(binary.focal, "gamma", 0, 1, start=2), ValueError, "gamma must start between its ends"),
        (lambda: figures.slider(binary.focal, "gamma", 0, 1, start=1, gamma=1), ValueError, "between its ends, once"),
        (lambda: figures.slider(binary.focal, "alpha", 0, 2, start=1), ValueError, "alpha must be in"),
        (
            lambda: figures.slider(binary.focal, "gamma", 0, 1, 0, name="My figure"),
            ValueError,
            "name must be lowercase",
        ),
        (lambda: figures.slider(binary.focal, "gamma", 0, 1, 0, x=[0, 0.5, 1]), ValueError, r"x must be \(low, high\)"),
        (lambda: figures.cliff(multiclass.cross_entropy_with_logits, naive), TypeError, "only pointwise losses"),
    ],
)
def test_wrong_input_is_refused_in_words(make, error, message):
    """Each mistake gets an error that names the loss, the argument and what is possible."""
    with pytest.raises(error, match=message):
        make()


def test_a_word_without_a_javascript_spelling_is_named(monkeypatch):
    """The error says which function the browser would not know."""

    @lossbook.loss
    def unknown(z: Logit):
        """A loss in a word that the browser lacks."""
        return log_cosh(z)

    monkeypatch.delitem(javascript.WORDS, "log_cosh")
    with pytest.raises(TypeError, match="the function log_cosh has no spelling here"):
        figures.javascript(unknown)


# What is imported.


def test_a_slider_can_be_made_from_a_zip_file(tmp_path):
    """The script is read as a part of the package, which need not be a folder."""
    package = os.path.dirname(lossbook.__path__[0])
    archive = shutil.make_archive(str(tmp_path / "lossbook"), "zip", package, "lossbook")
    code = "from lossbook import figures, regression; print(figures.__file__, len(figures.slider("
    code += "regression.huber, 'delta', 0.25, 3, start=1, target=2).html))"
    environment = os.environ | {"PYTHONPATH": archive}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    place, length = done.stdout.split()
    assert place.startswith(archive)
    assert int(length) == len(SLIDERS["huber"]().html)


def test_importing_lossbook_does_not_import_matplotlib():
    """Neither does importing the figures: only drawing does."""
    code = "import sys, lossbook, lossbook.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("missing", ["matplotlib", "mpmath"])
def test_a_missing_library_is_named(missing, monkeypatch):
    """Without matplotlib or mpmath the error says what is missing and who wants it."""
    monkeypatch.setitem(sys.modules, missing, None)
    load_matplotlib.cache_clear()
    rc_parameters.cache_clear()
    with pytest.raises(ImportError, match=rf"lossbook\.figures.* {missing}, which is not installed"):
        figures.cliff(binary.cross_entropy_with_logits, naive, x=[0.0, 1.0, 2.0])
    load_matplotlib.cache_clear()
