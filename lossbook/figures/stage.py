"""From a scene to what a notebook shows: HTML that computes in the reader's browser, a PNG for print, a sentence."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from lossbook.algebra import Loss
from lossbook.backends import javascript as browser
from lossbook.figures.axes import assignments, pen_lifted
from lossbook.figures.scene import HEIGHT, WIDTH, Panel, Scene, Shape, shared_axes, short, svg
from lossbook.figures.style import COLORS, LINES, load_matplotlib, new_drawing, png, rc_parameters
from lossbook.spaces import MIXED

__all__ = ["Slider", "checked_name", "in_javascript", "javascript", "staged"]


@dataclass(frozen=True)
class Slider:
    """A figure with sliders: shown by notebooks as HTML, in print as PNG, elsewhere as a sentence."""

    html: str = field(repr=False)
    sentence: str
    scene: Scene = field(repr=False)
    printed: tuple[Mapping[str, float], ...] = field(repr=False)  # the states that the twin shows
    overlay: bool = field(repr=False)  # over each other

    @cached_property
    def figure(self) -> Any:
        """The same by matplotlib, for print."""
        return _twin(self.scene, self.printed, self.sentence, self.overlay)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/html": self.html, "image/png": png(self.figure), "text/plain": self.sentence}


def javascript(loss: Any, **parameters: Any) -> str:
    """A loss in JavaScript: `element(prediction, target, ...parameters)` gives [value, gradient].

    Printed from the formula, with only the words that it uses. Prediction and target are what one value of the loss
    belongs to: numbers, the classes of a row, the corners of a box, or all pixels of an image and class.

    Parameters
    ----------
    loss : Loss
        A loss.
    **parameters
        Values of its parameters, which matter for flags alone.

    Returns
    -------
    str
        The source.

    Raises
    ------
    TypeError
        For a loss that has no such formula, or one with a word without a JavaScript spelling.
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"figures draw losses of lossbook; got {type(loss).__name__}")
    if loss.space.maps or loss.space is MIXED:
        raise TypeError(f"{loss.name}: there is no JavaScript for a loss that depends on the mask around a pixel")
    evaluation: Any = getattr(loss, "evaluation", None)
    if not hasattr(evaluation, "plan"):
        raise TypeError(f"{loss.name}: there is no JavaScript for a sum of losses; draw its parts")
    return browser.source(evaluation.plan(*loss.settings(parameters)))


def in_javascript(loss: Any, moved: Sequence[str] = (), **fixed: Any) -> str:
    """A loss as one JavaScript function (prediction, target, state); parameters in `moved` are read from the state."""
    flags, values = loss.settings(fixed)
    taken = ["prediction"] + ["target"] * (loss.declaration.target is not None)
    taken += [f"state.{name}" if name in moved else json.dumps(value) for name, value in values.items()]
    made = f"{javascript(loss, **flags)}return (prediction, target, state) => element({', '.join(taken)});\n"
    return f"(() => {{\n{made}}})()"


def checked_name(name: str | None, *parts: str) -> str:
    """The name of a figure, which becomes an id; made from the parts if there is none."""
    name = name or re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"slider: name must be lowercase letters, digits and hyphens; got {name!r}")
    return name


@cache
def _script(name):
    """A JavaScript file of the figures."""
    return files("lossbook.figures").joinpath(name).read_text(encoding="utf-8")


def _as_json(value):
    return json.dumps(value).replace("</", "<\\/")


def staged(
    scene: Scene,
    *,
    name: str,
    about: str,
    script: str,
    losses: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
    words: Sequence[str] = (),
    question: str | None = None,
    printed: Sequence[Mapping[str, float]] = (),
    overlay: bool = False,
) -> Slider:
    """A scene as a `Slider`.

    `script` is the file that has its `draw` in JavaScript, which finds the functions `losses`, the numbers `data` and
    `my`, which is what Python says of the axes. `printed` holds the states that the PNG shows, as what changes from the
    start; without it, the start is shown. With `overlay` they are drawn over each other.
    """
    shown, says = scene.draw(scene.start)
    own = {
        "id": f"slider-{name}",
        "panels": [shared_axes(panel) for panel in scene.panels],
        "controls": [
            {"name": c.name, "said": c.said, "low": c.low, "high": c.high, "decimals": c.decimals}
            for c in scene.controls
        ],
    }
    code = (
        f"{browser.words(*words)}const losses = [{', '.join(losses)}];\nconst my = {_as_json(own)};\n"
        f"const data = {_as_json(_short_tree(data or {}))};\n"
        f"{''.join(map(_script, ('engine.js', script, 'start.js')))}"
    )
    drawings = "".join(svg(p, each, f"{p.about} {says}") for p, each in zip(scene.panels, shown, strict=True))
    root = f"slider-{name}"
    asked = ""
    if question is not None:
        asked = (
            f'<p style="margin: 0 0 0.75rem"><strong>Before you move it:</strong> {escape(question)} '
            f'<button type="button" hidden style="font: inherit; padding: 0.25rem 0.75rem; border: 1px solid '
            f'{COLORS[0]}; border-radius: 4px; background: {COLORS[0]}; color: #fff; cursor: pointer">Move it</button>'
            "</p>\n"
        )
    faint = "<small hidden>(faint: at the start)</small>\n" * any(s.ghost for p in scene.panels for s in p.shapes)
    html = (
        f'<div id="{root}" style="box-sizing: border-box; max-width: 46rem; padding: 0.75rem; background: #fff; '
        f"color: #222; color-scheme: light; border: 1px solid #ccc; border-radius: 6px; font: 1rem sans-serif; "
        f'text-align: left">\n'
        f"<style>#{root} :focus-visible {{outline: 3px solid {COLORS[1]}; outline-offset: 2px}}</style>\n{asked}"
        f'<div style="display: flex; flex-wrap: wrap; gap: 0.5rem">\n{drawings}</div>\n'
        f"{''.join(_control(root, control) for control in scene.controls)}"
        f'<p aria-live="polite" style="margin: 0.5rem 0 0">{escape(says)}</p>\n{faint}'
        f"<script>\n(() => {{\n{code}}})();\n</script>\n</div>"
    )
    sentence = f"{about}{says}"
    states = tuple({**scene.start, **change} for change in printed or [{}])
    return Slider(html, sentence, scene, states, overlay)


def _control(root, control):
    """One range input with its label."""
    low, high, start = (f"{value:.{control.decimals}f}" for value in (control.low, control.high, control.start))
    step = f"{10.0**-control.decimals:.{control.decimals}f}"
    at = f"{root}-{control.name}".replace("_", "-")
    return (
        f'<div style="display: flex; flex-wrap: wrap; gap: 0.3rem 0.75rem; align-items: center; padding: 0.2rem 0">\n'
        f'<label for="{at}" style="min-width: 9rem">{escape(control.said)} = <output for="{at}">{start}</output>'
        f'</label>\n<input id="{at}" type="range" min="{low}" max="{high}" step="{step}" value="{start}" '
        f'autocomplete="off" disabled '
        f'style="flex: 1 1 12rem; min-width: 0; accent-color: {COLORS[0]}">\n</div>\n'
    )


def _short_tree(value: Any) -> Any:
    """Data for JavaScript, its numbers with nine digits; whole numbers, names and truth values as they are."""
    if isinstance(value, Mapping):
        return {name: _short_tree(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return _short_tree(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_short_tree(part) for part in value]
    return short(value) if isinstance(value, float) else value


# --- the picture for print -------------------------------------------------------------------------------------------


def _twin(scene: Scene, states: Sequence[Mapping[str, float]], sentence: str, overlay: bool) -> Any:
    """The same drawings by matplotlib: one row for each state, or all of them in one."""
    rows = 1 if overlay else len(states)
    columns = len(scene.panels)
    labels = max(sum(bool(shape.label) for shape in panel.shapes) for panel in scene.panels)
    tall = max(panel.height for panel in scene.panels) + 12 * labels
    with load_matplotlib().rc_context(rc_parameters()):
        figure = new_drawing(sentence, (4.5 * columns, (1.6 + tall / 80) * rows))
        axes = figure.subplots(rows, columns, squeeze=False)
        for row in range(rows):
            drawn = [scene.draw(state)[0] for state in (states if overlay else [states[row]])]
            for which, panel in enumerate(scene.panels):
                axis = axes[row, which]
                _axis(axis, panel)
                _shapes(axis, panel, [each[which] for each in drawn], states if overlay else [])
                if rows > 1 and which == 0:
                    moved = [c for c in scene.controls if len({state[c.name] for state in states}) > 1]
                    title = assignments({c.said: states[row][c.name] for c in moved})
                    axis.set_title(title, loc="left", fontsize=11)
                if row == rows - 1 and axis.get_legend_handles_labels()[0]:
                    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22 * 190 / panel.height), ncols=2)
    return figure


def _axis(axis, panel: Panel):
    slack = 0.02 * (panel.y[1] - panel.y[0])
    axis.set(xlabel=panel.along, ylabel=panel.title, xlim=panel.x, ylim=(panel.y[0] - slack, panel.y[1] + slack))
    if panel.names:
        axis.set_xticks(range(len(panel.names)), panel.names)
        axis.grid(False, axis="x")
    if not panel.numbers:
        axis.set_yticks([])
    if panel.height != HEIGHT:
        axis.set_box_aspect(panel.height / WIDTH)


def _shapes(axis, panel: Panel, drawn, states):
    """The shapes of one panel; those that move once for each state."""
    for k, shape in enumerate(panel.shapes):
        moving = bool(states) and shape.ghost
        for i, each in enumerate(drawn if moving else drawn[:1]):
            changed = {
                name: v for name, v in (states[i] if states else {}).items() if len({s[name] for s in states}) > 1
            }
            label = assignments(changed) if moving else shape.label or None
            color = COLORS[i % len(COLORS)] if moving else shape.color
            line = LINES[i] if moving else (0, tuple(map(float, shape.dash.split()))) if shape.dash else "-"
            _draw(axis, shape, each[k], label=label, color=color, linestyle=line)


def _draw(axis, shape: Shape, data, label, color, linestyle):
    if shape.kind == "line":
        xs, ys = np.asarray(data[0], float), np.asarray(data[1], float)
        ys = np.where(np.isfinite(ys), ys, np.nan)
        if shape.jumps:
            gaps = np.flatnonzero(pen_lifted(ys, *axis.get_ylim())[1:] & np.isfinite(np.diff(ys))) + 1
            xs, ys = np.insert(xs, gaps, xs[gaps]), np.insert(ys, gaps, np.nan)
        axis.plot(
            xs, ys, label=label, color=color, linestyle=linestyle, linewidth=shape.size * 0.8, alpha=shape.opacity
        )
    elif shape.kind in ("dots", "handle"):
        points = np.reshape(np.array([data] if shape.kind == "handle" else data, float), (-1, 2))
        face = "white" if shape.kind == "handle" else color
        axis.plot(
            *points.T, "o", color=color, markerfacecolor=face, markersize=8 if face == "white" else shape.size * 1.5,
            label=label if shape.kind == "dots" else None, zorder=3,
        )  # fmt: skip
    elif shape.kind == "bars":
        rectangle = load_matplotlib().patches.Rectangle
        low, high = axis.get_ylim()
        for i, (a, b, c, d) in enumerate(data):
            b, d = np.clip((b, d), 2 * low - high, 2 * high - low)  # infinite ones, too
            axis.add_patch(
                rectangle(
                    (a, b), c - a, d - b, color=color, alpha=shape.opacity, linewidth=0, label=label if not i else None
                )
            )
    else:
        for i, (a, b, c, d) in enumerate(data):
            axis.annotate(
                "", (c, d), (a, b), arrowprops={"arrowstyle": "->", "color": color, "lw": 2, "shrinkA": 0, "shrinkB": 0}
            )
            if not i and label:
                axis.plot([], [], color=color, linestyle=linestyle, label=label)
