"""The figures draw the losses' own numbers, in Python and in the browser, and can be read by everybody."""

import importlib
import inspect
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from html.parser import HTMLParser
from typing import get_type_hints

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

import lossbook
from lossbook import (
    Label,
    Logit,
    Loss,
    Outcome,
    Positive,
    Real,
    binary,
    detection,
    divergence,
    figures,
    multiclass,
    regression,
    segmentation,
)  # fmt: skip
from lossbook.backends import javascript
from lossbook.backends.numpy import words as numpy_words
from lossbook.figures.scene import needed_decimals, path, say
from lossbook.figures.style import load_matplotlib, rc_parameters
from lossbook.words import absolute, let, log_cosh, sigmoid, softplus


def every_pointwise_loss():
    """The pointwise losses that the modules of the package declare, by name."""
    found = {}
    for module in pkgutil.iter_modules(lossbook.__path__):
        for value in vars(importlib.import_module(f"lossbook.{module.name}")).values():
            if isinstance(value, Loss) and value.shape == "pointwise":
                found[value.name] = value
    return found


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


def in_browser_with_arrays(loss, rows, **settings):
    """(value, gradient) of each row (prediction, target) of arrays, from the JavaScript of a loss."""
    flags, parameters = loss.settings(settings)
    given = [[np.asarray(p).tolist(), np.asarray(t).tolist(), *parameters.values()] for p, t in rows]
    script = figures.javascript(loss, **flags)
    script += f"for (const row of {json.dumps(given)}) console.log(JSON.stringify(element(...row)));"
    return [json.loads(line) for line in run_in_node(script).splitlines()]


BOXES = [(0, 0, 4, 4), (2, 1, 6, 5), (4, 0, 8, 4), (9, 9, 12, 10), (1, 1, 2, 3)]


@pytest.mark.parametrize("loss", [detection.iou, detection.giou, detection.diou, detection.ciou], ids=lambda l: l.name)
def test_the_browser_computes_losses_of_boxes(loss):
    """Values and the slopes of all corners, for boxes that agree, overlap, touch and are apart."""
    found = in_browser_with_arrays(loss, [(BOXES[0], box) for box in BOXES])
    own, true = np.array([BOXES[0]] * len(BOXES), float), np.array(BOXES, float)
    expected, slopes = loss.value_and_grad(own, true, reduction="none")
    np.testing.assert_allclose([value for value, _ in found], expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose([slope for _, slope in found], slopes, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "loss",
    [
        multiclass.cross_entropy_with_logits, multiclass.focal_with_logits, multiclass.cross_entropy,
        multiclass.kullback_leibler, multiclass.perceptron,
    ],
    ids=lambda l: l.name,
)  # fmt: skip
def test_the_browser_computes_losses_of_rows(loss):
    """Values and slopes of all classes, for labels and for distributions."""
    scores = 3 * np.random.default_rng(0).normal(size=(5, 3))
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0.5, 0.3], [1, 0, 0]])
    if not loss.declaration.of_prediction.holds_logits:
        scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = in_browser_with_arrays(loss, zip(scores, truth, strict=True))
    expected, slopes = loss.value_and_grad(scores, truth, reduction="none")
    np.testing.assert_allclose([value for value, _ in found], expected, rtol=1e-12)
    np.testing.assert_allclose([slope for _, slope in found], slopes, rtol=1e-11, atol=1e-13)


SETS = ["dice", "jaccard", "tversky", "focal_tversky", "balanced_cross_entropy", "sensitivity_specificity"]


@pytest.mark.parametrize("name", SETS)
def test_the_browser_computes_losses_of_totals(name):
    """The value of an image and the slope of each of its pixels."""
    loss, random = getattr(segmentation, name), np.random.default_rng(0)
    p, y = random.random(12), (random.random(12) > 0.5).astype(float)
    ((value, slopes),) = in_browser_with_arrays(loss, [(p, y)])
    expected, wanted = loss.value_and_grad(p[None, None], y[None, None], reduction="none")
    np.testing.assert_allclose(value, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(slopes, wanted[0, 0], rtol=1e-12, atol=1e-15)


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


@lossbook.loss
def gauss(p: Real, y: Outcome, *, sigma: Positive = 2.0):
    """Minus the logarithm of a Gaussian density."""
    return (y - p) ** 2 / (2 * sigma**2) + sp.log(sigma) + sp.log(2 * sp.pi) / 2


@lossbook.loss
def brier(z: Logit, y: Label):
    """The squared error of a probability, for labels 0 and 1."""
    return y * sigmoid(-z) ** 2 + (1 - y) * sigmoid(z) ** 2


z = sp.Symbol("z")
TYPED = sp.log(1 + sp.exp(-z))
FITTED = (1, 1.5, 2, 2.5, 8)


def boundary_of(p, y):
    """A loss that has no formula of one pixel."""
    return segmentation.boundary(p[None, None], y[None, None])


SLIDERS = {
    "focal_with_logits": lambda: figures.slider(binary.focal_with_logits, "gamma", 0, 5, start=2, alpha=0.5),
    "focal": lambda: figures.slider(binary.focal, "gamma", 0, 5, start=2, target=0, name="focal-of-probabilities"),
    "huber": lambda: figures.slider(regression.huber, "delta", 0.25, 3, start=1, target=2),
    "kullback": lambda: figures.slider(divergence.alpha_kullback_leibler, "alpha", 0, 1, start=0.5, target=0.25),
    "deviation": lambda: figures.slider(deviation, "scale", 1, 3, start=1),
    "parabola": lambda: figures.slider(parabola, "scale", 0.5, 4, start=2),
    "focal over the truth": lambda: figures.slider(
        binary.focal_with_logits, "gamma", 0, 5, start=2, alpha=0.5, of_truth=True, question="Which lose <most>?",
        beside={"cross-entropy": binary.cross_entropy_with_logits}, name="focal-truth",
    ),
    "focal of rows": lambda: figures.slider(
        multiclass.focal_with_logits, "gamma", 0, 5, start=2, alpha=1, of_truth=True,
        beside=[multiclass.cross_entropy_with_logits],
    ),
    "answer": lambda: figures.answer(question="Where does it go?"),
    "code_lengths": figures.code_lengths,
    "threshold": lambda: figures.threshold([0.1, 0.4, 0.35, 0.8, 0.8, 0.6], [0, 0, 1, 1, 0, 1]),
    "scores": lambda: figures.scores([2, 1, -1], labels=["cat", "dog", "owl"], question="Which way?"),
    "smoothing": figures.smoothing,
    "mean and median": lambda: figures.fit([regression.squared_error, regression.absolute_error], FITTED),
    "fit delta": lambda: figures.fit({"Huber": regression.huber, "smooth": regression.pseudo_huber}, FITTED, "delta"),
    "weighted": figures.weighted,
    "descent": figures.descent,
    "descent of a logit": lambda: figures.descent(
        {"cross-entropy": binary.cross_entropy_with_logits, "squared": brier}, [1], (0.1, 8, 1), -4, (-6, 6), 40,
        question="How many steps?",
    ),
    "descent of two": lambda: figures.descent([regression.huber, regression.squared_error]),
    "price": lambda: figures.price([0.1, 0.4, 0.35, 0.8, 0.8, 0.6], [0, 0, 1, 1, 0, 1], miss=3),
    "likelihood": lambda: figures.likelihood(
        {"Gauss": gauss, "deviation": deviation}, FITTED, 2, "sigma", 0.5, 5, start=1.5
    ),
    "bits": lambda: figures.bits(TYPED, binary.cross_entropy_with_logits),
    "bits of a probability": lambda: figures.bits(
        -sp.log(1 - z), binary.cross_entropy, target=0, count=11, start=0.25, reach=(0.001, 0.99)
    ),
    "discs": lambda: figures.discs(smooth=0),
    "discs of tables": lambda: figures.discs({"boundary": boundary_of, "Tversky": segmentation.tversky}, alpha=0.3),
    "rare_pixels": figures.rare_pixels,
    "boxes": lambda: figures.boxes(question="Which of them pull?"),
    "a wide and flat box": lambda: figures.boxes(start=(0, 0, 15, 0.5)),
    "anchors": figures.anchors,
}  # fmt: skip
each_slider = pytest.mark.parametrize("make", SLIDERS.values(), ids=SLIDERS)


@each_slider
def test_a_slider_is_whole_and_can_be_read_aloud(make):
    """Tags are closed, ids occur once, each input has its label and its bounds, and both drawings have a text."""
    shown = make()
    page = Reader(shown.html)
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    controls = page.all("input")
    assert len(ids) == len(set(ids)) == 1 + len(controls) == 1 + len(shown.scene.controls)
    for control in controls:
        assert control["type"] == "range"
        assert "disabled" in control
        assert float(control["min"]) <= float(control["value"]) <= float(control["max"])
    names = [control["id"] for control in controls]
    assert [label["for"] for label in page.all("label")] == [output["for"] for output in page.all("output")] == names
    drawings = page.all("svg")
    assert [drawing.get("aria-hidden") for drawing in drawings] == [None, "true", None, "true"]
    assert all(len(drawing["aria-label"]) > 40 for drawing in drawings[::2])
    held = [any(shape.kind == "handle" for shape in panel.shapes) for panel in shown.scene.panels]
    assert [drawing["role"] for drawing in drawings[::2]] == ["group" if handles else "img" for handles in held]
    assert [attributes["aria-live"] for attributes in page.all("p") if "aria-live" in attributes] == ["polite"]


@each_slider
def test_a_slider_loads_nothing(make):
    """There is no address in it, not even that of a name space."""
    html = make().html
    assert re.search(r"//\w|url\(|@import|xmlns|src=|href=", html) is None
    assert len(Reader(html).script) < 30_000


@each_slider
def test_a_slider_is_the_same_twice_and_with_other_last_digits(make, monkeypatch):
    """Stored outputs are compared letter by letter, on machines whose libraries round differently."""
    html, sentence = make().html, make().sentence
    exact, call, random = Loss.value_and_grad, Loss.__call__, np.random.default_rng(0)

    def blurred(value):
        return value * (1 + 4e-16 * random.integers(-1, 2, np.shape(value)))

    monkeypatch.setattr(Loss, "value_and_grad", lambda *a, **k: tuple(map(blurred, exact(*a, **k))))
    monkeypatch.setattr(Loss, "__call__", lambda *a, **k: blurred(call(*a, **k)))
    for _ in range(3):
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


# As much of a page as the script of a figure touches. `pieces` are the elements, by the selector that finds them.
PAGE = """
const made = (tag, attributes) => ({
  tag, ...attributes, listeners: {}, hidden: "hidden" in attributes, disabled: "disabled" in attributes,
  setAttribute(name, value) { this[name] = String(value); }, hasAttribute(name) { return name in this; },
  addEventListener(kind, listener) { this.listeners[kind] = listener; }, cloneNode() { return made(tag, {}); },
  before(other) { faint.push(other); }, focus() { focused = this; },
});
const faint = [], all = tags.map(([tag, attributes]) => made(tag, attributes));
let focused = null;
const matches = {
  "svg[role]": e => e.tag === "svg" && e.role, "path, circle": e => e.tag === "path" || e.tag === "circle",
  "[aria-live]": e => "aria-live" in e,
};
const root = {
  querySelectorAll: name => all.filter(matches[name] || (e => e.tag === name)),
  querySelector: name => all.find(matches[name] || (e => e.tag === name)) || null,
};
globalThis.document = {getElementById: id => root};
"""
LOOK = """
const look = state => {
  all.filter(e => e.tag === "input").forEach((e, k) => { e.value = String(state[k]); });
  all.find(e => e.tag === "input").listeners.input();
  const drawn = all.filter(matches["path, circle"]).map(e => e.tag === "path" ? e.d : `${e.cx},${e.cy}`);
  console.log(JSON.stringify([drawn, root.querySelector("[aria-live]").textContent]));
};
"""


def page_for_node(page):
    """The elements of a figure, for node."""
    return f"const tags = {json.dumps(page.tags)};{PAGE}"


def states_of(scene):
    """The start, and each control at both ends and in between."""
    yield scene.start
    for control in scene.controls:
        middle = round(0.7 * control.low + 0.3 * control.high, control.decimals)
        for value in (control.low, middle, control.high):
            yield scene.start | {control.name: float(value)}


@each_slider
def test_dragging_draws_what_python_draws(make):
    """Shapes and sentences of the script are those of Python's numbers, wherever the controls stand."""
    shown = make()
    page, scene = Reader(shown.html), shown.scene
    states = list(states_of(scene))
    click = 'const button = root.querySelector("button"); if (button) button.listeners.click();'
    looks = "".join(f"look({json.dumps(list(state.values()))});\n" for state in states)
    lines = run_in_node(f"{page_for_node(page)}{page.script}{click}{LOOK}{looks}").splitlines()
    first = [a["d"] if tag == "path" else f"{a['cx']},{a['cy']}" for tag, a in page.tags if tag in ("path", "circle")]
    seen = set()
    for state, line in zip(states, map(json.loads, lines), strict=True):
        drawn, says = scene.draw(state)
        expected = [
            f"{path_of_handle(panel, each)}" if shape.kind == "handle" else path(panel, shape, each)
            for panel, data in zip(scene.panels, drawn, strict=True)
            for shape, each in zip(panel.shapes, data, strict=True)
        ]
        found, said = line
        assert said == says
        seen.add(tuple(found))
        for ours, theirs in zip(expected, found, strict=True):
            assert re.sub(r"-?[\d.]+", "#", ours) == re.sub(r"-?[\d.]+", "#", theirs)
            numbers = [np.array(re.findall(r"-?[\d.]+", text), float) for text in (ours, theirs)]
            np.testing.assert_allclose(*numbers, rtol=1e-9, atol=0.0101)
        if state == scene.start:
            assert expected == first
    assert len(seen) > len(scene.controls)


def path_of_handle(panel, at):
    """Where a handle is drawn."""
    x = 300 * (at[0] - panel.x[0]) / (panel.x[1] - panel.x[0])
    y = panel.height * (panel.y[1] - at[1]) / (panel.y[1] - panel.y[0])
    return f"{x + 0.00137:.2f},{y + 0.00137:.2f}"


def test_a_question_comes_first():
    """The controls wait for the button, which the script shows; without a question they are free at once."""
    look = "console.log(all.filter(e => e.tag === 'input').map(e => e.disabled), button ? button.hidden : null);"
    for name, expected in (("answer", "[ true, true ] false"), ("rare_pixels", "[ false, false, false ] null")):
        page = Reader(SLIDERS[name]().html)
        head = f"{page_for_node(page)}{page.script}const button = root.querySelector('button');"
        assert run_in_node(f"{head}{look}").strip() == expected
        if name == "answer":
            pressed = f"{head}button.listeners.click();{look}console.log(focused.tag);"
            assert run_in_node(pressed).split("\n")[:2] == ["[ false, false ] true", "input"]
    assert "Which lose &lt;most&gt;?" in SLIDERS["focal over the truth"]().html


def test_a_handle_is_moved_by_arrow_keys_and_by_pointers():
    """Both set the native inputs, so that all is drawn and said from there."""
    page = Reader(SLIDERS["boxes"]().html)
    drag = """
    globalThis.DOMPoint = class {
      constructor(x, y) { Object.assign(this, {x, y}); }
      matrixTransform() { return this; }
    };
    const handle = root.querySelectorAll("path, circle").find(e => e.tag === "circle");
    Object.assign(handle, {setPointerCapture() {}, hasPointerCapture: () => true});
    handle.getScreenCTM = () => ({inverse() {}});
    const event = rest => ({preventDefault() {}, ...rest});
    root.querySelector("button").listeners.click();
    handle.listeners.pointerdown(event({pointerId: 1}));
    handle.listeners.pointermove(event({pointerId: 1, clientX: 150, clientY: 50}));
    console.log(handle["aria-valuetext"]);
    handle.listeners.keydown(event({key: "ArrowUp"}));
    console.log(handle["aria-valuetext"], handle.role, handle.tabindex);
    """
    lines = run_in_node(f"{page_for_node(page)}{page.script}{drag}").splitlines()
    assert lines == ["center x 7.5, center y 7.5", "center x 7.5, center y 7.75 slider 0"]


def test_numbers_are_said_without_a_last_digit_that_differs():
    """Ties go up on every machine, and there is no minus zero."""
    said = [say(0.0005), say(-0.0001), say(0.125, 2), say(np.inf), say(-np.inf), say(np.nan)]
    assert said == ["0.001", "0.000", "0.13", "infinity", "minus infinity", "undefined"]


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
    assert [needed_decimals(*each) for each in ends] == [1, 2, 0, 3]
    assert figures.slider(binary.focal, "gamma", 0, 5, start=1 / 3).scene.start == {"gamma": 0.333333}
    with pytest.raises(ValueError, match=r"must be apart by 0.00005 or more; got 0 and 1e-05"):
        figures.slider(binary.focal, "gamma", 0, 1e-5, start=0)


@pytest.mark.parametrize(("count", "kind"), [(11, np.float16), (24, np.float32)])
def test_bits_are_those_of_the_floating_types(count, kind):
    """A formula whose steps are rounded to so many bits becomes 0 where it does in the type that has them."""
    scene = figures.bits(TYPED, binary.cross_entropy_with_logits, reach=(0, 30)).scene
    grid, heights = scene.draw({"bits": count, "z": 1.0})[0][0][1]
    typed = np.log(1 + np.exp(-grid.astype(kind)))
    np.testing.assert_array_equal(np.isneginf(heights), typed == 0)
    assert 0 < np.isneginf(heights).sum() < len(grid)


def test_a_likelihood_is_largest_at_the_mean_or_at_the_median():
    """The mean of minus the logarithm is that of the density, with the normalizing constants."""
    scene = figures.likelihood({"Gauss": gauss, "deviation": deviation}, FITTED, 2, "sigma", reach=(0, 10)).scene
    (left, right), _ = scene.draw({"middle": 2.0, "sigma": 2.0})
    lowest = [xs[np.argmin(ys)] for xs, ys in right[:2]]
    np.testing.assert_allclose(lowest, [np.mean(FITTED), np.median(FITTED)], atol=0.05)
    xs, ys = left[0]
    np.testing.assert_allclose(ys, np.exp(-((xs - 2) ** 2) / 8) / np.sqrt(8 * np.pi), rtol=1e-12)


def test_the_cheapest_threshold_of_honest_scores_is_minus_the_logarithm_of_the_price():
    """Scores that are logits of the truth: the threshold on the chance is 1 / (1 + price)."""
    chance = (np.arange(400) + 0.5) / 400
    labels = (np.cumsum(chance) % 1 < chance).astype(int)  # ones as often as the chance says, evenly
    scene = figures.price(np.log(chance / (1 - chance)), labels, miss=1).scene
    for miss in (1.0, 4.0, 9.0):
        (((cheapest, _),),) = [scene.draw({"threshold": 0.0, "miss": miss})[0][1][3]]
        assert abs(1 / (1 + np.exp(-cheapest)) - 1 / (1 + miss)) < 0.06  # the cost is flat there


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
        (lambda: figures.javascript(segmentation.boundary), TypeError, "depends on the mask around a pixel"),
        (lambda: figures.javascript(binary.focal + binary.cross_entropy), TypeError, "for a sum of losses"),
        (lambda: figures.javascript(np.exp), TypeError, "figures draw losses of lossbook; got ufunc"),
        (lambda: figures.slider(binary.focal, "gamma", 0, 1, 0, of_truth=True), TypeError, "of_truth draws losses of"),
        (lambda: figures.slider(binary.focal, "gamma", 0, 1, 0, beside=[np.exp]), TypeError, "losses of lossbook; got"),
        (lambda: figures.answer(loss=binary.cross_entropy), TypeError, "answer: needs a loss of a logit and a label"),
        (lambda: figures.threshold([1, 2], [0]), ValueError, "must be 2 to 500 numbers; got 2 and 1"),
        (lambda: figures.threshold([1, 2], [0, 0]), ValueError, "labels must be 0 and 1, both"),
        (lambda: figures.scores(loss=binary.focal), TypeError, "needs a loss of a row of logits; got binary.focal"),
        (lambda: figures.scores([1]), ValueError, "start must be two to six scores; got 1"),
        (lambda: figures.scores([1, 2], truth=2), ValueError, r"truth must be in 0..1; got 2"),
        (lambda: figures.scores([1, 2], labels=["a"]), ValueError, "labels must be 2 texts; got 1"),
        (lambda: figures.smoothing(loss=multiclass.focal_with_logits), TypeError, "has no parameter smoothing"),
        (lambda: figures.smoothing(classes=1), ValueError, r"classes must be in 2..1000; got 1"),
        (
            lambda: figures.fit([binary.focal], [1, 2]),
            TypeError,
            "does not compare a prediction with an observed value",
        ),
        (lambda: figures.fit([regression.huber], [1, 2], "alpha"), TypeError, "none of huber has a parameter 'alpha'"),
        (lambda: figures.fit([regression.huber], [1, np.inf]), ValueError, "1 to 50 finite numbers"),
        (lambda: figures.likelihood([regression.huber], [1, 2], 1, "alpha"), TypeError, "none of huber has a param"),
        (lambda: figures.likelihood([binary.focal], [1, 2], 1), TypeError, "does not compare a prediction with"),
        (lambda: figures.price([1, 2], [0]), ValueError, "price: scores and labels must be 2 to 500 numbers"),
        (lambda: figures.bits(sp.sin(z), binary.soft_margin), TypeError, r"exp, log, abs, .* is needed; got sin\(z\)"),
        (lambda: figures.bits(z * sp.Symbol("y"), binary.soft_margin), TypeError, "must be one of one symbol; got y"),
        (lambda: figures.bits(z, multiclass.perceptron), TypeError, "only pointwise losses"),
        (lambda: figures.weighted(regression.huber), TypeError, "needs a loss of probabilities and labels"),
        (lambda: figures.weighted(parameter="gamma"), TypeError, "has no parameter 'gamma'"),
        (lambda: figures.descent(binary.focal), TypeError, "does not compare a prediction with an observed value"),
        (lambda: figures.discs({"x": binary.focal}), TypeError, "binary.focal is not a loss of overlap"),
        (lambda: figures.discs({"x": 3}), TypeError, "x must be a loss or a function of two masks; got int"),
        (lambda: figures.discs(gamma=2), TypeError, "no loss has a parameter 'gamma'"),
        (lambda: figures.discs(sizes=(1, 90)), ValueError, "sizes must be two radii, rising, from above 0 to 50"),
        (lambda: figures.rare_pixels(loss=binary.focal), TypeError, "needs a loss of a logit and a label"),
        (lambda: figures.boxes(losses=[binary.focal]), TypeError, "binary.focal is not a loss of boxes"),
        (lambda: figures.boxes(truth=(3, 3, 3, 6)), ValueError, "truth must be corners"),
        (
            lambda: figures.slider(binary.focal, "beta", 0, 1, 0),
            TypeError,
            "no parameter 'beta' to set; it has gamma, alpha",
        ),
        (lambda: figures.slider(binary.focal, "gamma", 0, 1, 0, beta=1), TypeError, "no parameter 'beta' to set"),
        (lambda: figures.slider(binary.focal, "gamma", 0, 1, 1, gamma=1), TypeError, "gamma is set by its slider"),
        (lambda: figures.slider(binary.focal, "gamma", 1, 1, start=1), ValueError, "start needs ends with low < high"),
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


# (what makes a figure of a start, the argument as an error names it, the control, what it may be)
ANY, SHARE = (-1e4, 1e4), (0, 1)
STARTS = {
    "slider": [(lambda v: figures.slider(binary.focal, "gamma", 0, 5, start=v), "start", "gamma", (0, 1000))],
    "answer": [
        (lambda v: figures.answer(start=v), "start", "z", ANY),
        (lambda v: figures.answer(label=v), "label", "y", SHARE),
    ],
    "code_lengths": [
        (lambda v: figures.code_lengths(p=v), "p", "p", SHARE), (lambda v: figures.code_lengths(q=v), "q", "q", SHARE),
    ],
    "threshold": [(lambda v: figures.threshold([0, 0.5, 1], [0, 1, 1], start=v), "start", "threshold", ANY)],
    "price": [
        (lambda v: figures.price([0, 0.5, 1], [0, 1, 1], start=v), "start", "threshold", ANY),
        (lambda v: figures.price([0, 0.5, 1], [0, 1, 1], miss=v), "miss", "miss", (0, 1e4)),
    ],
    "scores": [(lambda v: figures.scores([1, v]), "start[1]", "z1", ANY)],
    "smoothing": [(lambda v: figures.smoothing(start=v), "start", "smoothing", SHARE)],
    "fit": [
        (lambda v: figures.fit([regression.huber], [1, 2, 3], "delta", 1, 4, start=v), "start", "delta", (0.001, 1e4)),
        (lambda v: figures.fit([regression.huber], [1, 2, v], reach=(0, 5)), "data", "outlier", ANY),
    ],
    "weighted": [
        (lambda v: figures.weighted(start=v), "start", "pos_weight", (0, 1e4)),
        (lambda v: figures.weighted(share=v), "share", "share", SHARE),
    ],
    "descent": [
        (lambda v: figures.descent(step=(0.1, 1, v)), "the start of step", "step", ANY),
        (lambda v: figures.descent(start=v), "start", "theta", ANY),
        (lambda v: figures.descent(brier, [1], start=v), "start", "theta", ANY),
    ],
    "likelihood": [
        (lambda v: figures.likelihood([gauss], FITTED, v), "middle", "middle", ANY),
        (lambda v: figures.likelihood([gauss], FITTED, 2, "sigma", start=v), "start", "sigma", (0.001, 1e4)),
    ],
    "bits": [
        (lambda v: figures.bits(TYPED, binary.cross_entropy_with_logits, start=v), "start", "z", ANY),
        (lambda v: figures.bits(TYPED, binary.cross_entropy_with_logits, count=v), "count", "bits", (2, 30)),
    ],
    "discs": [
        (lambda v: figures.discs(start=v), "start", "shift", (-100, 100)),
        (lambda v: figures.discs(radius=v), "radius", "radius", (0, 50)),
    ],
    "rare_pixels": [
        (lambda v: figures.rare_pixels(share=v), "share", "share", SHARE),
        (lambda v: figures.rare_pixels(weight=v), "weight", "weight", (0, 1e4)),
        (lambda v: figures.rare_pixels(p=v), "p", "p", SHARE),
    ],
    "boxes": [
        (lambda v: figures.boxes(start=(v - 1, 3, v + 1, 7)), "start", "x", ANY),
        (lambda v: figures.boxes(start=(3, v - 1, 7, v + 1)), "start", "y", ANY),
        (lambda v: figures.boxes(start=(1, 2, 1 + v, 7)), "start", "width", (0.001, 1e4)),
    ],
    "anchors": [
        (lambda v: figures.anchors(truth=(v - 1, 3, v + 1, 7)), "truth", "x", ANY),
        (lambda v: figures.anchors(truth=(3, v - 1, 7, v + 1)), "truth", "y", ANY),
        (lambda v: figures.anchors(low=v), "low", "low", SHARE),
        (lambda v: figures.anchors(high=v), "high", "high", SHARE),
    ],
}  # fmt: skip
EVERY_START = [
    pytest.param(figure, *row, id=f"{figure}-{row[2]}-{k}") for figure in STARTS for k, row in enumerate(STARTS[figure])
]


def test_every_figure_with_sliders_has_its_starts_in_the_list():
    functions = [name for name in figures.__all__ if inspect.isfunction(getattr(figures, name))]
    makers = {name for name in functions if get_type_hints(getattr(figures, name)).get("return") is figures.Slider}
    assert makers == set(STARTS)


@pytest.mark.parametrize(("figure", "make", "argument", "name", "within"), EVERY_START)
def test_a_slider_is_widened_to_hold_its_start(figure, make, argument, name, within):
    """Whatever number a reader writes, as long as it means something: the slider stands there, and all is drawn."""

    @how(max_examples=5, deadline=None)
    @given(st.floats(*map(float, within)))
    def holds(value):
        shown = make(value)
        (control,) = [control for control in shown.scene.controls if control.name == name]
        assert control.low <= control.start <= control.high
        assert abs(control.start - value) <= (0.5 if control.whole else 1e-5)
        for end in (control.low, control.high):
            shown.scene.draw(shown.scene.start | {name: float(end)})
        for panel, data in zip(shown.scene.panels, shown.scene.draw(shown.scene.start)[0], strict=True):
            for shape, at in zip(panel.shapes, data, strict=True):
                if shape.kind == "handle":  # it can be seen, and dragged
                    assert panel.x[0] - 1e-6 <= at[0] <= panel.x[1] + 1e-6
        assert "nan" not in shown.html.partition("<script>")[0].replace("undefined", "")

    holds()
    for end in within:
        assert isinstance(make(end), figures.Slider)


@pytest.mark.parametrize(("figure", "make", "argument", "name", "within"), EVERY_START)
def test_a_start_that_means_nothing_is_refused_in_words(figure, make, argument, name, within):
    """What is not finite, or outside of the domain, gets an error that says so and names the figure or the loss."""
    outside = [] if within == ANY else [within[0] - 1] + [within[1] + 1] * (within[1] < 1e4)
    for value in (np.nan, np.inf, -np.inf, *outside):
        with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=r" must be ") as refused:
            make(value)
        assert re.match(rf"{figure}: |(binary|regression|multiclass)\.\w+: |gauss: ", str(refused.value))


FAR = {
    "answer": lambda: figures.answer(start=9), "discs": lambda: figures.discs(start=-3, radius=9),
    "rare pixels": lambda: figures.rare_pixels(share=0.8, weight=0.5, p=1),
    "descent": lambda: figures.descent(start=40),
    "price": lambda: figures.price([0, 0.5, 1], [0, 1, 1], start=7, miss=70), "scores": lambda: figures.scores([9, 1]),
    "code lengths": lambda: figures.code_lengths(p=1, q=0), "boxes": lambda: figures.boxes(start=(-3, 8, 20, 12)),
    "anchors": lambda: figures.anchors(truth=(14, -2, 19, 2), low=0.8),
}  # fmt: skip


@pytest.mark.parametrize("make", FAR.values(), ids=FAR)
def test_a_widened_slider_draws_in_the_browser_what_python_draws(make):
    test_dragging_draws_what_python_draws(make)


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
