"""A slider for one parameter of a loss, which computes in the reader's browser.

What it computes is printed from the formula (`javascript` shows it); how it draws stands in slider.js, which is put
behind that, and behind the constants `curve` and `my`, which it uses.
"""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from lossbook.backends import javascript as browser
from lossbook.figures.axes import (
    JUMP,
    POINTS,
    assignments,
    axis_labels,
    axis_limits,
    evaluate,
    pen_lifted,
    prediction_domain,
    usual_range,
    usual_target,
)
from lossbook.figures.curves import curves
from lossbook.figures.style import COLORS, png

__all__ = ["Slider", "javascript", "needed_decimals", "slider"]

WIDTH, HEIGHT = 300, 190  # of the ground of a panel, in its own units


def javascript(loss: Any, **parameters: Any) -> str:
    """A pointwise loss in JavaScript: `element(prediction, target, ...parameters)` gives [value, gradient].

    Printed from the formula, with only the words that it uses.

    Parameters
    ----------
    loss : Loss
        A pointwise loss.
    **parameters
        Values of its parameters, which matter for flags alone.

    Returns
    -------
    str
        The source.

    Raises
    ------
    TypeError
        For a loss that is not pointwise, or whose formula has a word without a JavaScript spelling.
    """
    prediction_domain(loss)
    return browser.source(loss.evaluation.plan(*loss.settings(parameters)))


@cache
def _script():
    """What runs when the page is loaded, and when the slider is dragged."""
    return files("lossbook.figures").joinpath("slider.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Slider:
    """What `slider` returns: shown by notebooks as HTML, in print as PNG, elsewhere as a sentence."""

    html: str = field(repr=False)
    sentence: str
    figure: Any = field(repr=False)  # the matplotlib twin

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self.html, "image/png": png(self.figure), "text/plain": self.sentence}


def slider(
    loss: Any,
    parameter: str,
    low: float,
    high: float,
    start: float,
    target: float | None = None,
    x: tuple[float, float] | None = None,
    name: str | None = None,
    **fixed: Any,
) -> Slider:
    """Loss and gradient of a pointwise loss with a slider for one parameter, which works without a kernel.

    Parameters
    ----------
    loss : Loss
        A pointwise loss.
    parameter : str
        The name of the parameter to drag.
    low, high, start : float
        The ends of the slider and where it stands at first.
    target : float, optional
        If left out, 0 for observed values and 1 for labels.
    x : tuple of float, optional
        (low, high) of the predictions, as in `curves`.
    name : str, optional
        The name of the figure, unique on its page, like "focal-gamma"; if left out, made from the loss and the
        parameter.
    **fixed
        Values of other parameters.

    Returns
    -------
    Slider
        Two SVG panels drawn for the start value, a native range input, and the loss in JavaScript. The PNG, for print,
        shows the curves for `low`, `start` and `high`.

    Raises
    ------
    TypeError
        For a loss that is not pointwise or an unknown parameter.
    ValueError
        For a start outside the ends, or a number with more than 6 decimals.
    DomainError
        For values outside a domain.

    Examples
    --------
    ::

        slider(binary.focal_with_logits, "gamma", 0, 5, start=2, target=1, alpha=0.5)
    """
    prediction_domain(loss)
    for given in (parameter, *fixed):
        if given not in loss.declaration.parameters and (given == parameter or given not in loss.declaration.defaults):
            raise TypeError(
                f"slider: {loss.name} has no parameter {given!r} to set; "
                f"it has {', '.join(loss.declaration.parameters) or 'none'}"
            )
    name = name or f"{loss.name}-{parameter}".replace(".", "-").replace("_", "-").lower()
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"slider: name must be lowercase letters, digits and hyphens; got {name!r}")
    if parameter in fixed or not low <= start <= high or not low < high:
        raise ValueError(f"slider: {parameter} must start between its ends, once; got {low}, {start}, {high}")
    decimals = needed_decimals(low, high, start)
    target = usual_target(loss) if target is None or loss.declaration.target is None else float(target)
    reach = tuple(map(float, x if x is not None else usual_range([loss], target or 0.0)))
    if len(reach) != 2 or not reach[0] < reach[1]:
        raise ValueError(f"slider: x must be (low, high); got {reach}")

    # The axes are those of the start value, widened by what the slider can bring.
    grid = reach[0] + (reach[1] - reach[0]) * np.arange(POINTS + 1) / POINTS
    settings = [float(start), *np.linspace(low, high, 9)]
    drawn = [evaluate(loss, grid, target, fixed | {parameter: value}) for value in settings]
    shown = [_ticks(*axis_limits([line[which] for line in drawn])) for which in (0, 1)]
    along, *titles = axis_labels([loss])
    given = assignments({loss.declaration.target: target, **fixed})
    given = f"{f' for {given}' if given else ''}, drawn for {assignments({parameter: start})}"
    panels, parts = [], []
    for which, (title, ticks) in enumerate(zip(titles, shown, strict=True)):
        line = drawn[0][which]
        name = loss.declaration.arrays[0]
        ends = f"from {_say(line[0])} at {name} = {reach[0]:g} to {_say(line[-1])} at {reach[1]:g}"
        what = f"{('Loss', 'Gradient')[which]} of {loss.name} over the {along}{given}: {ends}."
        panels.append(_panel(which, title, what, along, _ticks(*reach, within=True), ticks, line, reach))
        parts.append(f"the {('loss', 'gradient')[which]} goes {ends}")
    sentence = f"A slider for {parameter} from {low:g} to {high:g}; {loss.name} over the {along}{given}: "
    sentence += f"{', '.join(parts)}."

    flags, values = loss.settings(fixed)
    constants = [json.dumps(target)] * (target is not None)
    constants += ["parameter" if own == parameter else json.dumps(value) for own, value in values.items()]
    my = {
        "id": f"slider-{name}", "decimals": decimals, "x": reach, "shown": [(t[0], t[-1]) for t in shown],
        "points": POINTS, "width": WIDTH, "height": HEIGHT, "jump": JUMP * HEIGHT,
    }  # fmt: skip
    script = (
        f"{javascript(loss, **flags)}const curve = (prediction, parameter) => element(prediction, "
        f"{', '.join(constants)});\nconst my = {json.dumps(my)};\n{_script()}"
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


def needed_decimals(low: float, high: float, start: float) -> int:
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
    path, lifted = "", pen_lifted(line, low, high)
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


def _say(number):
    return ("infinity" if number > 0 else "minus infinity") if np.isinf(number) else f"{number + 0.0:.3g}"
