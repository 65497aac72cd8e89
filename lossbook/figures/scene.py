"""What a figure with sliders shows: panels with shapes, drawn for a state of its controls.

`draw(state)` gives, for each panel, the data of each of its shapes in the units of the axes, and a sentence of what is
to be read off. It is written twice for each figure: in Python, from the package's own numbers, and in JavaScript, from
the formulas that `javascript` prints. Data becomes SVG here, for the state at the start, and in engine.js after that.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from lossbook.figures.axes import JUMP, pen_lifted
from lossbook.figures.style import COLORS

__all__ = [
    "HEIGHT", "WIDTH", "Control", "Panel", "Scene", "Shape", "looks_of", "needed_decimals", "path", "rounded", "say",
    "shared_axes", "short", "svg", "ticks",
]  # fmt: skip

WIDTH, HEIGHT = 300, 190  # of the ground of a panel, in its own units
LEFT, LINE = 48, 18  # the margin for numbers, and a line of text


@dataclass(frozen=True)
class Control:
    """One native range input: a name of the state, its ends, where it stands first, and what its label says."""

    name: str
    low: float
    high: float
    start: float
    label: str = ""
    whole: bool = False  # whole numbers alone

    @property
    def decimals(self) -> int:
        """How many decimals it shows and steps by."""
        return 0 if self.whole else needed_decimals(self.low, self.high, self.start)

    @property
    def said(self) -> str:
        """What it is called."""
        return self.label or self.name


@dataclass(frozen=True)
class Shape:
    """One SVG path: a line (xs, ys), dots (x, y), bars (x0, y0, x1, y1), arrows (x0, y0, x1, y1), or a handle (x, y)
    that is dragged, which sets the controls named in `drag` for x and y.
    """

    kind: str
    label: str = ""  # in the legend, if it has one
    color: str = COLORS[0]
    dash: str = ""
    size: float = 2.5  # of a pen; the radius of a dot
    opacity: float = 1.0
    ghost: bool = False  # that of the start stays behind, faint
    jumps: bool = False  # a function, whose line is left open where it jumps
    drag: tuple[str | None, str | None] = (None, None)
    offset: float = 0.0  # of a handle: x less what its control says


@dataclass(frozen=True)
class Panel:
    """One drawing: what it is, its axes and its shapes, handles last."""

    about: str
    title: str
    along: str
    x: tuple[float, float]
    y: tuple[float, float]
    shapes: tuple[Shape, ...]
    height: int = HEIGHT
    names: tuple[str, ...] = ()  # of what stands at 0, 1, 2, ... along x
    numbers: bool = True  # whether y has a scale


@dataclass(frozen=True)
class Scene:
    """Panels, controls and what is drawn for a state of the controls."""

    panels: tuple[Panel, ...]
    controls: tuple[Control, ...]
    draw: Callable[[Mapping[str, float]], tuple[Sequence[Any], str]] = field(repr=False)

    @property
    def start(self) -> dict[str, float]:
        """The state at first."""
        return {control.name: float(control.start) for control in self.controls}


def looks_of(labels: Iterable[str]) -> list[tuple[str, str, str]]:
    """(label, color, dash) of several lines that are drawn alike."""
    return [(label, COLORS[k % 7], ("", "7 4", "2 3", "9 3 2 3")[k % 4]) for k, label in enumerate(labels)]


def needed_decimals(low: float, high: float, start: float) -> int:
    """How many decimals the slider needs to reach its ends and its start, in 50 steps or more."""
    for decimals in range(7):
        exact = all(abs(round(value, decimals) - value) < 1e-9 for value in (low, high, start))
        if exact and (high - low) * 10**decimals >= 50:
            return decimals
    raise ValueError(f"slider: low and high must be apart by 0.00005 or more; got {low} and {high}")


def ticks(low: float, high: float, within: bool = False) -> list[float]:
    """About five round numbers around low and high, or within them. A last digit more or less changes nothing."""
    rough = float(f"{(high - low) / 5:.6g}")
    power = 10.0 ** np.floor(np.log10(rough) + 1e-9)
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= 0.8 * rough)
    ends = (low / step, high / step)
    first, last = (np.ceil(ends[0] - 1e-6), np.floor(ends[1] + 1e-6)) if within else (
        np.floor(ends[0] + 1e-6), np.ceil(ends[1] - 1e-6)
    )  # fmt: skip
    return [float(f"{k * step:.9g}") for k in range(int(first), int(last) + 1)]


def rounded(low: float, high: float) -> tuple[float, float]:
    """The ends of an axis that holds low and high and ends at round numbers."""
    found = ticks(low, high if high > low else low + 1)
    return found[0], found[-1]


def short(numbers: Any) -> Any:
    """Numbers as a figure stores them, with nine digits, so that they are the same on every machine."""
    if isinstance(numbers, (list, tuple, np.ndarray)):
        return [short(number) for number in numbers]
    return float(f"{float(numbers):.9g}") + 0.0


def say(number: float, digits: int = 3) -> str:
    """A number as text, as engine.js says it. The shift keeps round numbers off the ties."""
    if not np.isfinite(number):
        return "undefined" if np.isnan(number) else "infinity" if number > 0 else "minus infinity"
    text = f"{number + 1.37e-7:.{digits}f}"
    return text[1:] if re.fullmatch(r"-[0.]+", text) else text


def _place(number):
    """A coordinate with two decimals. The shift keeps round numbers off the ties, where a last digit would decide."""
    return f"{number + 0.00137:.2f}"


def _across(panel, x):
    return WIDTH * (np.asarray(x, float) - panel.x[0]) / (panel.x[1] - panel.x[0])


def _down(panel, y):
    y = (panel.y[1] - np.asarray(y, float)) * panel.height / (panel.y[1] - panel.y[0])
    return np.clip(y, -panel.height, 2 * panel.height)


def path(panel: Panel, shape: Shape, data: Any) -> str:
    """The data of a shape as an SVG path, as engine.js writes it."""
    if shape.kind == "line":
        xs, ys = np.asarray(data[0], float), np.asarray(data[1], float)
        with np.errstate(invalid="ignore"):
            lifted = ~np.isfinite(np.append(np.nan, np.diff(ys)))
        if shape.jumps:
            lifted = pen_lifted(ys, *panel.y)
        marks = ["M" if up else " " for up in lifted]
        points = [
            f"{mark}{_place(x)},{_place(y)}"
            for mark, x, y, seen in zip(marks, _across(panel, xs), _down(panel, ys), np.isfinite(ys), strict=True)
            if seen
        ]
        return "".join(points)
    if shape.kind == "dots":
        r = f"{shape.size:g}"
        found = [(_place(_across(panel, x) - shape.size), _place(_down(panel, y))) for x, y in data]
        return "".join(
            f"M{x},{y}a{r},{r} 0 1,0 {2 * shape.size:g},0a{r},{r} 0 1,0 -{2 * shape.size:g},0" for x, y in found
        )
    corners = [
        tuple(map(float, (_across(panel, a), _down(panel, b), _across(panel, c), _down(panel, d))))
        for a, b, c, d in data
    ]
    if shape.kind == "bars":
        return "".join("M{},{}H{}V{}H{}Z".format(*map(_place, (a, b, c, d, a))) for a, b, c, d in corners)
    return "".join(map(_arrow, corners))


def _arrow(ends):
    a, b, c, d = ends
    length = np.hypot(c - a, d - b)
    if not length >= 2:  # too short to have a direction
        return ""
    along, aside = (c - a) / length, (d - b) / length
    head = min(8.0, length / 2)
    sides = [(c - head * (along + turn * aside * 0.6), d - head * (aside - turn * along * 0.6)) for turn in (1, -1)]
    (e, f), (g, h) = sides
    return "M{},{} {},{}M{},{} {},{} {},{}".format(*map(_place, (a, b, c, d, e, f, c, d, g, h)))


def _pen(shape, filled=True):
    """The attributes of a shape that do not change."""
    if shape.kind in ("bars", "dots"):
        return f'fill="{shape.color}"' + f' fill-opacity="{shape.opacity:g}"' * (shape.opacity < 1)
    dash = f' stroke-dasharray="{shape.dash}"' * bool(shape.dash)
    faint = f' stroke-opacity="{shape.opacity:g}"' * (shape.opacity < 1)
    return f'stroke="{shape.color}" stroke-width="{shape.size:g}" fill="none"{dash}{faint}'


def _legend(panel, top):
    """Samples and labels, two to a line where they are short."""
    labeled = [shape for shape in panel.shapes if shape.label and shape.kind != "handle"]
    columns = 2 if all(len(shape.label) <= 17 for shape in labeled) else 1
    parts = []
    for k, shape in enumerate(labeled):
        x, y = LEFT + 156 * (k % columns), top + LINE * (k // columns)
        if shape.kind in ("bars", "dots"):
            round_ = ' rx="6"' * (shape.kind == "dots")
            parts.append(f'<rect x="{x + 10}" y="{y - 10}" width="12" height="12"{round_} {_pen(shape)}/>')
        else:
            parts.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 30}" y2="{y - 4}" {_pen(shape)}/>')
        parts.append(f'<text x="{x + 36}" y="{y}">{escape(shape.label)}</text>')
    return parts, LINE * -(-len(labeled) // columns)


def svg(panel: Panel, data: Sequence[Any], what: str) -> str:
    """One SVG drawing: title, legend, grid, ticks, axis label, and the shapes, cut to its ground."""
    legend, taken = _legend(panel, 18 + LINE)
    top, height = 30 + taken, panel.height
    # What is in an image cannot be reached by those who hear it, and so a drawing with handles is a group.
    held = any(shape.kind == "handle" for shape in panel.shapes)
    role, hidden = ("group", ' aria-hidden="true"') if held else ("img", "")
    parts = [
        f'<svg viewBox="0 0 360 {top + height + 48}" role="{role}" aria-label="{escape(what)}" '
        'style="flex: 1 1 280px; min-width: 0">',
        f'<g{hidden} font-family="sans-serif" font-size="13" fill="#222">',
        f'<text x="{LEFT}" y="18" font-weight="bold">{escape(panel.title)}</text>',
        f'<text x="198" y="{top + height + 42}" text-anchor="middle">{escape(panel.along)}</text>',
        *legend,
    ]
    for tick in ticks(*panel.y, within=True) if panel.numbers else []:
        y = _place(top + float(_down(panel, tick)))
        shade = "#999" if tick == 0 else "#e3e3e3"
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + WIDTH}" y2="{y}" stroke="{shade}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y}" dy="0.35em" text-anchor="end">{tick:g}</text>')
    marks = enumerate(panel.names) if panel.names else [(tick, f"{tick:g}") for tick in ticks(*panel.x, within=True)]
    for at, text in marks:
        x = _place(LEFT + float(_across(panel, at)))
        if not panel.names:
            parts.append(f'<line x1="{x}" y1="{top}" x2="{x}" y2="{top + height}" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{x}" y="{top + height + 20}" text-anchor="middle">{escape(text)}</text>')
    # An inner svg cuts what runs out of the ground, two units beyond it so that no line along its edge is halved.
    parts.append(
        f'</g><svg aria-hidden="true" x="{LEFT}" y="{top - 2}" width="{WIDTH}" height="{height + 4}" '
        f'viewBox="0 -2 {WIDTH} {height + 4}">'
    )
    handles = []
    for shape, each in zip(panel.shapes, data, strict=True):
        if shape.kind == "handle":
            x, y = _place(float(_across(panel, each[0]))), _place(float(_down(panel, each[1])))
            handles.append(
                f'<circle cx="{x}" cy="{y}" r="11" fill="#fff" fill-opacity="0.5" stroke="{shape.color}" '
                'stroke-width="3.5" style="cursor: grab; touch-action: none"/>'
            )
        else:
            ghost = " data-ghost" * shape.ghost
            parts.append(f'<path{ghost} {_pen(shape)} d="{path(panel, shape, each)}"/>')
    parts.append(f'</svg><g transform="translate({LEFT} {top})">{"".join(handles)}</g></svg>')
    return "\n".join(parts) + "\n"


def shared_axes(panel: Panel) -> dict[str, Any]:
    """What engine.js has to know of a panel."""
    shapes = []
    for shape in panel.shapes:
        about: dict[str, Any] = {"kind": shape.kind}
        about |= {"r": shape.size} if shape.kind == "dots" else {}
        about |= {"jump": round(JUMP * panel.height, 6)} if shape.jumps else {}
        about |= {"drag": shape.drag, "label": shape.label, "offset": shape.offset} if shape.kind == "handle" else {}
        shapes.append(about)
    return {"about": panel.about, "x": panel.x, "y": panel.y, "height": panel.height, "shapes": shapes}
