"""Figures made from losses: curves, a slider that computes in the reader's browser, and the float32 cliff.

    curves(binary.focal_with_logits, vary={"gamma": [0, 1, 2, 5]})     loss and gradient, side by side
    slider(binary.focal_with_logits, "gamma", 0, 5, start=2)           the same, with one parameter to drag
    cliff(binary.cross_entropy_with_logits, naive)                     errors in float32, in units of the last place

Every number comes from the loss itself: Python's from its kernels, the browser's from JavaScript that is printed from
its formula (`javascript` shows it). matplotlib is imported when something is drawn, not before.
"""

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from functools import cache
from html import escape
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import sympy

from lossbook.backends import javascript as browser
from lossbook.loss import Loss

__all__ = ["Slider", "cliff", "curves", "javascript", "slider", "style"]

# The colors of Okabe and Ito that show on white; the line styles tell curves apart where colors cannot.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (9, 3)), (0, (2, 1)))

# Where neighbors are further apart than this share of an axis, a line of so many points jumps.
JUMP, POINTS = 0.121, 120


# --- matplotlib ------------------------------------------------------------------------------------------------------


@cache
def _matplotlib():
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError as error:
        raise ImportError("lossbook.figures draws with matplotlib, which is not installed") from error
    return matplotlib


@cache
def _style():
    cycle = _matplotlib().cycler(color=COLORS) + _matplotlib().cycler(linestyle=LINES)
    return {
        "figure.figsize": (6.4, 3.8), "figure.dpi": 120, "savefig.dpi": "figure", "figure.constrained_layout.use": True,
        "figure.facecolor": "white", "savefig.facecolor": "white", "axes.facecolor": "white",
        "font.family": "DejaVu Sans", "font.size": 11, "axes.labelsize": 11, "legend.fontsize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#E3E3E3",
        "axes.axisbelow": True, "legend.frameon": False, "legend.handlelength": 3, "lines.linewidth": 2,
        "axes.prop_cycle": cycle, "svg.hashsalt": "lossbook", "svg.fonttype": "path",
    }  # fmt: skip


def style():
    """Give every matplotlib figure that follows the look of the book; call it once, in a chapter's first cell.

    Opaque white ground, lines of width 2 in colors that color-blind readers tell apart, a line style of its own for
    each color (gray print), no frame on the right and on top, and fixed ids in SVG files.
    """
    _matplotlib().rcParams.update(_style())


@cache
def _drawing():
    class Drawing(_matplotlib().figure.Figure):
        """A Figure that notebooks show by itself, as PNG and as a sentence, with no state kept in pyplot."""

        sentence = ""

        def _repr_mimebundle_(self, include=None, exclude=None):
            return {"image/png": _png(self), "text/plain": self.sentence}

    return Drawing


def _panels(sentence, columns, size):
    """A new figure with `columns` axes."""
    figure = _drawing()(figsize=size)
    figure.sentence = sentence
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _png(figure):
    """The figure as PNG in base64, without the name and version of the program that drew it."""
    with _matplotlib().rc_context(_style()):
        figure.savefig(file := BytesIO(), format="png", metadata={"Software": None})
    return b64encode(file.getvalue()).decode()


# --- what losses say about their axes --------------------------------------------------------------------------------


def _domain(loss):
    """The domain of a loss's prediction; what cannot be drawn over one number is refused."""
    if not isinstance(loss, Loss):
        raise TypeError(f"figures draw losses of lossbook; got {type(loss).__name__}")
    if loss.shape != "pointwise":
        of = "a row of classes" if loss.shape == "rows" else "a whole image"
        raise TypeError(
            f"{loss.name}: only pointwise losses can be drawn over one number; a value of this one is about {of}"
        )
    return loss._arguments[loss._arrays[0]]


def _usual_target(loss):
    return None if loss._target is None else 0.0 if loss._arguments[loss._target].name == "Outcome" else 1.0


def _reach(losses, target):
    """(low, high) of the predictions that a figure shows if it is not told."""
    domains = [_domain(loss) for loss in losses]
    if len({(d.low, d.high) for d in domains}) > 1:
        names = ", ".join(f"{loss.name} takes {d.name}" for loss, d in zip(losses, domains, strict=True))
        raise ValueError(f"these losses have no common axis ({names}); draw them in two figures")
    if domains[0].bounded:
        return domains[0].low, domains[0].high
    if any(domain.name == "Logit" for domain in domains):
        return -6.0, 6.0
    return target - 3.0, target + 3.0


def _axis_labels(losses):
    """The labels of the prediction, of the loss and of the gradient."""
    kinds = {_domain(loss).name for loss in losses}
    names = {loss._arrays[0] for loss in losses}
    words = {("Logit",): "logit", ("Probability",): "probability"}
    word, name = words.get(tuple(kinds), "prediction"), names.pop() if len(names) == 1 else ""
    # Logarithms of probabilities are measured in nats; log_cosh of a residual is not.
    nats = all(_domain(loss).name != "Real" and loss.textbook.has(sympy.log) for loss in losses)
    return f"{word} {name}".strip(), f"loss{' (nats)' if nats else ''}", f"d loss / d {name or word}"


def _values(loss, x, target, parameters):
    """(values, gradient) of a loss, one per prediction, for one target."""
    arrays = (x,) if target is None else (x, np.full_like(x, target))
    return loss.value_and_grad(*arrays, reduction="none", **parameters)


def _limits(curves):
    """(low, high) of an axis: all values, or on a side that goes to infinity those of the middle four fifths."""
    values = np.asarray(curves)
    tenth = values.shape[1] // 10

    def finite(infinity):
        kept = values[:, tenth:-tenth] if tenth and np.any(values == infinity) else values
        return kept[np.isfinite(kept)]

    low, high = float(finite(-np.inf).min(initial=np.inf)), float(finite(np.inf).max(initial=-np.inf))
    if not np.isfinite(high - low):
        return 0.0, 1.0
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _lifted(line, low, high):
    """Where the pen is lifted before a point: after infinity, and across a jump that is in sight."""
    slack = 1e-5 * (high - low)  # a last digit does not put a point out of sight
    side = (line > high + slack).astype(int) - (line < low - slack)  # 1 above what is in sight, -1 below
    with np.errstate(invalid="ignore"):
        step = np.abs(np.diff(line))
    far = step > JUMP * max(1, POINTS / len(line)) * (high - low)
    return np.append(True, ~np.isfinite(step) | far & (side[1:] + side[:-1] == 0))


def _say(number):
    return ("infinity" if number > 0 else "minus infinity") if np.isinf(number) else f"{number + 0.0:.3g}"


def _assign(settings):
    """ "gamma = 2, alpha = 0.25"; what is None is left out."""
    given = [(name, value) for name, value in settings.items() if value is not None]
    return ", ".join(f"{name} = {value if isinstance(value, bool) else format(value, 'g')}" for name, value in given)


# --- curves ----------------------------------------------------------------------------------------------------------


def curves(*losses, vary=None, target=None, x=None, labels=None, **parameters):
    """Loss and gradient of pointwise losses, side by side along the prediction.

        curves(binary.focal_with_logits, vary={"gamma": [0, 1, 2, 5]}, target=1, alpha=0.5)
        curves(regression.squared_error, regression.huber, delta=2)
        curves(binary.cross_entropy, target=[1, 0])

    Arguments:
    - losses: pointwise losses over one kind of axis. One line each for every target and every setting of `vary`.
    - vary: parameter name -> list of values; a loss without that parameter is drawn once.
    - target: a number, or several; if left out, 0 for observed values and 1 for labels.
    - x: (low, high), or an array of predictions; if left out, logits from -6 to 6, probabilities from 0 to 1, other
      predictions 3 to each side of the target.
    - labels: the texts of the legend, one per line.
    - parameters: values that hold for every loss that has the parameter.

    Returns a matplotlib Figure with two axes; a cell that ends with it shows it. Its lines hold the numbers of the
    losses, NaN where they are infinite, and one NaN more at each jump, so that both are left open. An axis on which
    something is infinite shows what lies over the middle four fifths of the predictions.
    Raises TypeError for a loss that is not pointwise or a parameter that no loss has, ValueError for losses without a
    common axis or a wrong number of labels, DomainError for values outside a domain.
    """
    vary = vary or {}
    if not losses:
        raise TypeError("curves: give at least one loss")
    for loss in losses:
        _domain(loss)
    for name in (*vary, *parameters):
        if not any(name in loss._defaults for loss in losses):
            known = "; ".join(f"{loss.name} has {', '.join(loss._defaults) or 'none'}" for loss in losses)
            raise TypeError(f"curves: unknown parameter {name!r}; {known}")
        if name in vary and (name in parameters or np.ndim(vary[name]) != 1 or not len(vary[name])):
            raise TypeError(f"curves: vary needs a list of values of {name}, and {name} nowhere else")
    targets = None if target is None else [float(value) for value in np.atleast_1d(target)]
    reach = x if x is not None else _reach(losses, targets[0] if targets else _usual_target(losses[0]) or 0.0)
    x = np.linspace(*map(float, reach), 601) if len(reach) == 2 else np.asarray(reach, np.float64)

    lines, names = [], []
    for loss in losses:
        own = {name: value for name, value in parameters.items() if name in loss._defaults}
        varied = [name for name in vary if name in loss._defaults]
        each_target = [None] if loss._target is None else targets or [_usual_target(loss)]
        for *setting, goal in product(*(vary[name] for name in varied), each_target):
            setting = dict(zip(varied, setting, strict=True))
            lines.append(_values(loss, x, goal, own | setting))
            parts = [loss.name] * (len(losses) > 1) + [_assign(setting)] * bool(setting)
            parts += [_assign({loss._target: goal})] * (len(each_target) > 1)
            names.append(", ".join(parts) or loss.name)
    if labels is not None and len(labels) != len(names):
        raise ValueError(f"curves: labels must be {len(names)} texts ({'; '.join(names)}); got {len(labels)}")
    labels = names if labels is None else list(labels)

    along, *titles = _axis_labels(losses)
    of = f" of {losses[0].name}" if len(losses) == 1 and labels != [losses[0].name] else ""
    sentence = f"Loss and gradient{of} over the {along}: {'; '.join(labels)}."
    with _matplotlib().rc_context(_style()):
        figure, axes = _panels(sentence, 2, (9, 3.9))
        for which, (axis, title) in enumerate(zip(axes, titles, strict=True)):
            low, high = _limits([line[which] for line in lines])
            for line, label in zip(lines, labels, strict=True):
                values = np.where(np.isfinite(line[which]), line[which], np.nan)
                jumps = np.isfinite(values) & np.isfinite(np.roll(values, 1)) & _lifted(line[which], low, high)
                gaps = np.flatnonzero(jumps[1:]) + 1
                axis.plot(np.insert(x, gaps, x[gaps]), np.insert(values, gaps, np.nan), label=label)
            axis.set(xlabel=along, ylabel=title, xlim=(x.min(), x.max()))
            axis.set_ylim(low - 0.04 * (high - low), high + 0.04 * (high - low))
        handles = axes[0].get_lines()
        columns = 1 if max(map(len, labels)) > 45 else 2 if max(map(len, labels)) > 22 else 4
        figure.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(labels)))
    return figure


def javascript(loss, **parameters):
    """A pointwise loss in JavaScript: `element(prediction, target, ...parameters)` gives [value, gradient].

    Printed from the formula, with only the words that it uses. `parameters` matter for flags alone. Raises TypeError
    for a loss that is not pointwise, or whose formula has a word without a JavaScript spelling.
    """
    _domain(loss)
    return browser.source(loss._plan(*loss._settings(parameters), integer=False))


# --- slider ----------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT = 300, 190  # of the ground of a panel, in its own units
SCRIPT = """const root = document.getElementById(my.id), input = root.querySelector("input");
const lines = [...root.querySelectorAll("path")];
for (const line of lines) {  // the curve of the start value stays behind, faint
  const faint = line.cloneNode();
  faint.setAttribute("opacity", "0.35");
  line.before(faint);
}
input.disabled = root.querySelector("small").hidden = false;
input.addEventListener("input", () => {
  root.querySelector("output").textContent = Number(input.value).toFixed(my.decimals);
  lines.forEach((line, which) => {
    const [low, high] = my.shown[which];
    const side = y => (y > (1 + 1e-5)*my.height) - (y < -1e-5*my.height);  // 0 in sight
    let path = "", last = NaN;
    for (let i = 0; i <= my.points; i++) {
      const x = my.x[0] + (my.x[1] - my.x[0])*i/my.points;
      const y = (high - curve(x, Number(input.value))[which])*my.height/(high - low);
      const joined = Number.isFinite(y - last) && (Math.abs(y - last) <= my.jump || side(y) + side(last) !== 0);
      const at = Math.min(Math.max(y, -my.height), 2*my.height).toFixed(2);
      if (Number.isFinite(y)) path += (joined ? " " : "M") + my.width*i/my.points + "," + at;
      last = y;
    }
    line.setAttribute("d", path);
  });
});
"""


@dataclass(frozen=True)
class Slider:
    """What `slider` returns: shown by notebooks as HTML, in print as PNG, elsewhere as a sentence."""

    html: str = field(repr=False)
    sentence: str
    figure: Any = field(repr=False)  # the matplotlib twin

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": self.html, "image/png": _png(self.figure), "text/plain": self.sentence}


def slider(loss, parameter, low, high, start, target=None, x=None, name=None, **fixed):
    """Loss and gradient of a pointwise loss with a slider for one parameter, which works without a kernel.

        slider(binary.focal_with_logits, "gamma", 0, 5, start=2, target=1, alpha=0.5)

    Arguments:
    - parameter: its name; `low`, `high` and `start` are the ends of the slider and where it stands at first.
    - target: one number; if left out, 0 for observed values and 1 for labels.
    - x: (low, high) of the predictions, as in `curves`.
    - name: of the figure, unique on its page, like "focal-gamma"; if left out, made from the loss and the parameter.
    - fixed: values of other parameters.

    Returns a Slider: two SVG panels drawn for the start value, a native range input, and the loss in JavaScript. The
    PNG, for print, shows the curves for `low`, `start` and `high`.
    Raises TypeError for a loss that is not pointwise or an unknown parameter, ValueError for a start outside the ends
    or with more than 6 decimals, DomainError for values outside a domain.
    """
    _domain(loss)
    for given in (parameter, *fixed):
        if given not in loss._parameters and (given == parameter or given not in loss._defaults):
            raise TypeError(
                f"slider: {loss.name} has no parameter {given!r} to set; it has {', '.join(loss._parameters) or 'none'}"
            )
    name = name or f"{loss.name}-{parameter}".replace(".", "-").replace("_", "-").lower()
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"slider: name must be lowercase letters, digits and hyphens; got {name!r}")
    if parameter in fixed or not low <= start <= high or not low < high:
        raise ValueError(f"slider: {parameter} must start between its ends, once; got {low}, {start}, {high}")
    decimals = _decimals(low, high, start)
    target = _usual_target(loss) if target is None or loss._target is None else float(target)
    reach = tuple(map(float, x if x is not None else _reach([loss], target or 0.0)))
    if len(reach) != 2 or not reach[0] < reach[1]:
        raise ValueError(f"slider: x must be (low, high); got {reach}")

    # The axes are those of the start value, widened by what the slider can bring.
    grid = reach[0] + (reach[1] - reach[0]) * np.arange(POINTS + 1) / POINTS
    settings = [float(start), *np.linspace(low, high, 9)]
    drawn = [_values(loss, grid, target, fixed | {parameter: value}) for value in settings]
    shown = [_ticks(*_limits([line[which] for line in drawn])) for which in (0, 1)]
    along, *titles = _axis_labels([loss])
    given = _assign({loss._target: target, **fixed})
    given = f"{f' for {given}' if given else ''}, drawn for {_assign({parameter: start})}"
    panels, parts = [], []
    for which, (title, ticks) in enumerate(zip(titles, shown, strict=True)):
        line = drawn[0][which]
        ends = f"from {_say(line[0])} at {loss._arrays[0]} = {reach[0]:g} to {_say(line[-1])} at {reach[1]:g}"
        what = f"{('Loss', 'Gradient')[which]} of {loss.name} over the {along}{given}: {ends}."
        panels.append(_panel(which, title, what, along, _ticks(*reach, within=True), ticks, line, reach))
        parts.append(f"the {('loss', 'gradient')[which]} goes {ends}")
    sentence = f"A slider for {parameter} from {low:g} to {high:g}; {loss.name} over the {along}{given}: "
    sentence += f"{', '.join(parts)}."

    flags, values = loss._settings(fixed)
    constants = [json.dumps(target)] * (target is not None)
    constants += ["parameter" if own == parameter else json.dumps(value) for own, value in values.items()]
    my = {
        "id": f"slider-{name}", "decimals": decimals, "x": reach, "shown": [(t[0], t[-1]) for t in shown],
        "points": POINTS, "width": WIDTH, "height": HEIGHT, "jump": JUMP * HEIGHT,
    }  # fmt: skip
    script = (
        f"{javascript(loss, **flags)}const curve = (prediction, parameter) => element(prediction, "
        f"{', '.join(constants)});\nconst my = {json.dumps(my)};\n{SCRIPT}"
    )
    html = (
        f'<div id="slider-{name}" style="box-sizing: border-box; max-width: 46rem; padding: 0.75rem; background: #fff; '
        f'color: #222; color-scheme: light; border: 1px solid #ccc; border-radius: 6px; font: 1rem sans-serif">\n'
        f'<div style="display: flex; flex-wrap: wrap; gap: 0.5rem">\n{"".join(panels)}</div>\n'
        f'<div style="display: flex; flex-wrap: wrap; gap: 0.75rem; align-items: center">\n'
        f'<label for="slider-{name}-input">{escape(parameter)} = '
        f'<output for="slider-{name}-input">{start:.{decimals}f}</output></label>\n'
        f"<small hidden>(faint: {start:.{decimals}f})</small>\n"
        f'<input id="slider-{name}-input" type="range" min="{low:.{decimals}f}" max="{high:.{decimals}f}" '
        f'step="{10.0**-decimals:.{decimals}f}" value="{start:.{decimals}f}" autocomplete="off" disabled '
        f'style="flex: 1 1 12rem; min-width: 0; accent-color: {COLORS[0]}">\n</div>\n'
        f"<script>\n(() => {{\n{script}}})();\n</script>\n</div>"
    )
    twin = curves(loss, vary={parameter: sorted({low, start, high})}, target=target, x=reach, **fixed)
    return Slider(html, sentence, twin)


def _decimals(low, high, start):
    """How many decimals the slider needs to reach its ends and its start, in 50 steps or more."""
    for decimals in range(7):
        exact = all(abs(round(value, decimals) - value) < 1e-9 for value in (low, high, start))
        if exact and (high - low) * 10**decimals >= 50:
            return decimals
    raise ValueError(f"slider: low, high and start must have at most 6 decimals; got {low}, {high}, {start}")


def _ticks(low, high, within=False):
    """About five round numbers around low and high, or within them. A last digit more or less changes nothing."""
    rough = float(f"{(high - low) / 5:.6g}")
    power = 10.0 ** np.floor(np.log10(rough) + 1e-9)
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= 0.8 * rough)
    ends = (low / step, high / step)
    first, last = (np.ceil(ends[0] - 1e-6), np.floor(ends[1] + 1e-6)) if within else (
        np.floor(ends[0] + 1e-6), np.ceil(ends[1] - 1e-6)
    )  # fmt: skip
    return [float(f"{k * step:.9g}") for k in range(int(first), int(last) + 1)]


def _place(number):
    """A coordinate with two decimals. The shift keeps round numbers off the ties, where a last digit would decide."""
    return f"{number + 0.00137:.2f}"


def _path(line, low, high):
    """The curve as an SVG path, as the script draws it."""
    path, lifted = "", _lifted(line, low, high)
    for i, y in enumerate((high - line) * HEIGHT / (high - low)):
        if np.isfinite(y):
            at = _place(min(max(y, -HEIGHT), 2 * HEIGHT))
            path += f"{'M' if lifted[i] else ' '}{WIDTH * i / POINTS:g},{at}"
    return path


def _panel(which, title, what, along, across, up, line, reach):
    """One SVG drawing: the sample of its line, grid, ticks, axis label, and the curve, cut to its ground."""
    stroke = f'stroke="{COLORS[which]}" stroke-width="2.5" fill="none"' + ' stroke-dasharray="7 4"' * which
    parts = [
        f'<svg viewBox="0 0 360 270" role="img" aria-label="{escape(what)}" style="flex: 1 1 280px; min-width: 0">',
        f'<g font-family="sans-serif" font-size="13" fill="#222"><line x1="48" y1="14" x2="82" y2="14" {stroke}/>',
        f'<text x="90" y="18">{escape(title)}</text><text x="198" y="264" text-anchor="middle">{escape(along)}</text>',
    ]
    for tick in up:
        y = _place(32 + HEIGHT * (up[-1] - tick) / (up[-1] - up[0]))
        parts.append(f'<line x1="48" y1="{y}" x2="348" y2="{y}" stroke="{"#999" if tick == 0 else "#e3e3e3"}"/>')
        parts.append(f'<text x="42" y="{y}" dy="0.35em" text-anchor="end">{tick:g}</text>')
    for tick in across:
        x = _place(48 + WIDTH * (tick - reach[0]) / (reach[1] - reach[0]))
        parts.append(f'<line x1="{x}" y1="32" x2="{x}" y2="222" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{x}" y="242" text-anchor="middle">{tick:g}</text>')
    # An inner svg cuts what runs out of the ground, two units beyond it so that no line along its edge is halved.
    parts.append(f'</g><svg aria-hidden="true" x="48" y="30" width="{WIDTH}" height="{HEIGHT + 4}" ')
    parts[-1] += f'viewBox="0 -2 {WIDTH} {HEIGHT + 4}"><path {stroke} d="{_path(line, up[0], up[-1])}"/></svg></svg>'
    return "\n".join(parts) + "\n"


# --- the float32 cliff -----------------------------------------------------------------------------------------------


def cliff(loss, naive, x=None, target=None, label="plain form", **parameters):
    """How many units of the last place a plain float32 form is off, and how many the loss is.

        figure, errors = cliff(binary.cross_entropy_with_logits, lambda z, y: -np.log(1/(1 + np.exp(-z))))

    Arguments:
    - naive: a function of float32 arrays (prediction, target), or (prediction,) for a loss without target.
    - x: (low, high), or an array of predictions; if left out, logits from -100 to 100, else as in `curves`.
    - label: what the legend calls the plain form.
    - target, parameters: as in `curves`, with one target.

    The exact value is `loss.textbook` at the same float32 numbers, worked out by mpmath with as many digits as the
    largest prediction asks for. One unit of the last place is the distance between two float32 numbers at the exact
    value; from 2**23 = 8388608 units on no digit is right.
    Returns (figure, errors), where `errors` maps "x", "exact", "plain" and "lossbook" to float64 arrays; the last two
    are in units of the last place, infinite where the result is infinite or not a number, and NaN where the exact value
    is not a normal float32 number. Raises as `curves` does, and ValueError for predictions beyond 1e4.
    """
    try:
        import mpmath
    except ImportError as error:
        raise ImportError("lossbook.figures.cliff needs exact values from mpmath, which is not installed") from error
    domain = _domain(loss)
    target = _usual_target(loss) if target is None or loss._target is None else float(target)
    reach = x if x is not None else (-100, 100) if domain.name == "Logit" else _reach([loss], target or 0.0)
    x = np.linspace(*map(float, reach), 401).astype(np.float32) if len(reach) == 2 else np.asarray(reach, np.float32)
    if not np.all(np.abs(x) <= 1e4):
        raise ValueError("cliff: predictions must be at most 1e4 in magnitude, since exp(x) is worked out in full")
    arrays = (x,) if target is None else (x, np.full_like(x, target))
    flags, values = loss._settings(parameters)
    form = loss._form(flags)
    with mpmath.workdps(50 + int(2 * np.abs(x).max())):
        known = [mpmath.mpf(float(np.float32(values[symbol.name]))) for symbol in form.parameters]
        exactly = sympy.lambdify((*form.arrays, *form.parameters), form.formula.rewrite(sympy.exp), "mpmath")
        exact = []
        for at in zip(*arrays, strict=True):
            try:
                exact.append(exactly(*(mpmath.mpf(float(number)) for number in at), *known))
            except ZeroDivisionError:  # an end of [0, 1]: the textbook form has no value there
                exact.append(mpmath.nan)
        numbers = np.array([float(value) for value in exact])
        tiny, largest = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
        units = np.spacing(np.clip(np.abs(numbers), tiny, 2.0**127).astype(np.float32))

        def distance(found):
            pairs = zip(found, exact, units, strict=True)
            off = np.array([float(abs(float(f) - e) / float(u)) if np.isfinite(f) else np.inf for f, e, u in pairs])
            return np.where((np.abs(numbers) >= tiny) & (np.abs(numbers) <= largest), off, np.nan)

        with np.errstate(all="ignore"):
            plain = distance(np.broadcast_to(naive(*arrays), x.shape))
        ours = distance(loss(*arrays, reduction="none", **parameters))
    errors = {"x": x.astype(np.float64), "exact": numbers, "plain": plain, "lossbook": ours}

    along = _axis_labels([loss])[0]
    sentence = f"Float32 error of {label} and of {loss.name} over the {along}, in units of the last place."
    with _matplotlib().rc_context(_style()):
        figure, (axis,) = _panels(sentence, 1, (6.4, 3.8))
        axis.axhline(2.0**23, color="#888888", linewidth=1, linestyle="-")
        note = {"xytext": (-4, 3), "textcoords": "offset points", "ha": "right", "fontsize": 9}
        axis.annotate("no digit is right", (x.max(), 2.0**23), **note)
        for which, (name, title) in enumerate((("lossbook", loss.name), ("plain", label))):
            # A perfect result has no logarithm, and an infinite one no place: they are drawn along the edges.
            axis.plot(x, np.clip(errors[name], 0.1, 1e9), label=title, color=COLORS[which], linestyle=LINES[which])
        axis.set(xlabel=along, ylabel="error (units of the last place)", yscale="log", ylim=(0.08, 1.5e9))
        axis.set_xlim(x.min(), x.max())
        figure.legend(handles=axis.get_lines()[1:], loc="outside lower center", ncols=2)
    return figure, errors
