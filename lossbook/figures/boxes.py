"""Two boxes, one of which is dragged, and anchors around a true box."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lossbook import detection
from lossbook.algebra import Loss
from lossbook.figures.axes import reaching
from lossbook.figures.scene import Control, Panel, Scene, Shape, rounded, say
from lossbook.figures.slider import named_losses
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["anchors", "boxes"]

LOSSES = {"IoU": detection.iou, "GIoU": detection.giou, "DIoU": detection.diou, "CIoU": detection.ciou}


def _corners(where, name, box):
    """Four numbers as the corners of a box."""
    found = tuple(float(number) for number in np.ravel(box))
    if len(found) != 4 or not (found[0] < found[2] and found[1] < found[3]):
        raise ValueError(f"{where}: {name} must be corners (x1, y1, x2, y2) with x1 < x2 and y1 < y2; got {box}")
    return found


def _plane(size, *boxes):
    """The ends of x and of y of a plane from (0, 0), widened where it does not hold the boxes, and its height."""
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    x, y = (min(0.0, *x1), max(float(size[0]), *x2)), (min(0.0, *y1), max(float(size[1]), *y2))
    height = 300 * (y[1] - y[0]) / (x[1] - x[0])
    return x, y, round(min(max(height, 60), 600))  # pixels are squares, unless that is out of proportion


def boxes(
    truth: Sequence[float] = (3, 3, 7, 6),
    start: Sequence[float] = (8, 5, 11, 8),
    losses: Mapping[str, Loss] | Sequence[Loss] = LOSSES,
    size: tuple[float, float] = (15, 10),
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """A true box and a predicted one to drag, with the losses of their overlap and where each of them pulls.

    Parameters
    ----------
    truth, start : sequence of float
        The corners (x1, y1, x2, y2) of the true box, and of the predicted one at first.
    losses : dict of str to Loss, or sequence of Loss, optional
        Losses of boxes.
    size : tuple of float, optional
        Width and height of the plane, which is widened to hold both boxes, as are the sliders.
    question : str, optional
        What to answer before the box is set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the losses.

    Returns
    -------
    Slider
        The plane, with an arrow for each loss along minus its gradient in the position of the box, and the values as
        bars. The box is dragged by mouse, touch or arrow keys; sliders set its center and its sides.

    Raises
    ------
    TypeError
        For a loss that is not about boxes.
    ValueError
        For boxes without area.

    Examples
    --------
    ::

        boxes(truth=(3, 3, 7, 6), start=(8, 5, 11, 8))
    """
    named = named_losses(losses)
    for loss in named.values():
        if not loss.space.corners:
            raise TypeError(f"boxes: {loss.name} is not a loss of boxes")
    true, own = _corners("boxes", "truth", truth), _corners("boxes", "start", start)
    (left, wide), (low, high), pixels = _plane(size, true, own)
    controls = (
        Control("x", *reaching("boxes", "the center x of start", left, wide, (own[0] + own[2]) / 2), "center x"),
        Control("y", *reaching("boxes", "the center y of start", low, high, (own[1] + own[3]) / 2), "center y"),
        Control("width", *reaching("boxes", "the width of start", 1, max(wide / 2, 2), own[2] - own[0])),
        Control("height", *reaching("boxes", "the height of start", 1, max(high / 2, 2), own[3] - own[1])),
    )
    scale, count = wide - left, len(named)

    def draw(state):
        x, y, w, h = (state[name] for name in ("x", "y", "width", "height"))
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        arrows, bars, said = [], [], []
        for k, (label, loss) in enumerate(named.items()):
            value, slope = loss.value_and_grad(np.array([box]), np.array([true]), reduction="none")
            up = y + h * ((k + 1) / (count + 1) - 0.5)
            moved = (x - scale * (slope[0, 0] + slope[0, 2]), up - scale * (slope[0, 1] + slope[0, 3]))
            arrows.append([(x, up, *moved)])
            bars.append([(k - 0.35, 0, k + 0.35, value[0])])
            said.append(f"{label} {say(value[0])}")
        return [[[true], [box], *arrows, (x, y)], bars], f"Losses: {', '.join(said)}."

    colors = [COLORS[k] for k in (0, 2, 3, 6, 4, 5)]
    plane = Panel(
        "A true box, a predicted box, and arrows along minus the gradient of each loss.", "y (pixels)", "x (pixels)",
        (left, wide), (low, high),
        (
            Shape("bars", "truth", "#777777", opacity=0.35), Shape("bars", "prediction", COLORS[1], opacity=0.3),
            *(Shape("arrows", label, colors[k % 6]) for k, label in enumerate(named)),
            Shape("handle", "predicted box", COLORS[1], drag=("x", "y")),
        ),
        height=pixels,
    )  # fmt: skip
    most = max(max(bar[0][3] for bar in draw({**{c.name: c.start for c in controls}, "x": x, "y": y})[0][1])
               for x in (left, wide) for y in (low, high))  # fmt: skip
    values = Panel(
        "Bars for the losses.", "loss", "", (-0.6, count - 0.4), rounded(0.0, max(most, 1.0)),
        tuple(Shape("bars", "", colors[k % 6]) for k in range(count)), names=tuple(named),
        height=max(190, plane.height),
    )  # fmt: skip
    return staged(
        Scene((plane, values), controls, draw),
        name=checked_name(name, "boxes", *named),
        about="Two boxes, one of which can be dragged. ",
        script="boxes.js",
        losses=[in_javascript(loss) for loss in named.values()],
        data={"true": true, "scale": scale, "labels": list(named)},
        question=question,
        printed=[{}, {"x": (true[0] + true[2]) / 2 + 1, "y": (true[1] + true[3]) / 2 + 0.5}],
    )  # fmt: skip


def anchors(
    truth: Sequence[float] = (4, 3, 9, 7),
    anchors: Any = None,
    low: float = 0.3,
    high: float = 0.7,
    size: tuple[float, float] = (15, 10),
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """Anchors around a true box: which ones two thresholds of their overlap make positive, negative or ignored.

    Parameters
    ----------
    truth : sequence of float
        The corners (x1, y1, x2, y2) of the true box, whose center can be dragged.
    anchors : array_like, optional
        Corners of shape (n, 4); if left out, squares and oblongs around a grid of points.
    low, high : float, optional
        Below the first threshold of IoU an anchor is background, from the second one on it is to find the object.
    size : tuple of float, optional
        Width and height of the plane, which is widened to hold the true box.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page.

    Returns
    -------
    Slider
        The plane with the centers of the anchors, the positive anchors as boxes, and the overlap of each, in order.

    Raises
    ------
    ValueError
        For boxes without area, or thresholds out of [0, 1].

    Examples
    --------
    ::

        anchors(truth=(4, 3, 9, 7), low=0.3, high=0.7)
    """
    true = _corners("anchors", "truth", truth)
    (left, wide), (bottom, tall), pixels = _plane(size, true)
    if anchors is None:
        sides = ((4.0, 4.0), (5.0, 3.0), (3.0, 5.0))
        anchors = [
            (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
            for y in (3.0, 5.0, 7.0) for x in (3.0, 5.0, 7.0, 9.0, 11.0) for w, h in sides
        ]  # fmt: skip
    own = np.array([_corners("anchors", "anchors", box) for box in np.asarray(anchors, float).reshape(-1, 4)])
    width, height = true[2] - true[0], true[3] - true[1]
    controls = (
        Control("x", *reaching("anchors", "the center x of truth", left, wide, (true[0] + true[2]) / 2), "center x"),
        Control("y", *reaching("anchors", "the center y of truth", bottom, tall, (true[1] + true[3]) / 2), "center y"),
        Control("low", *reaching("anchors", "low", 0, 1, low, within=(0, 1)), "negative below"),
        Control("high", *reaching("anchors", "high", 0, 1, high, within=(0, 1)), "positive from"),
    )

    def draw(state):
        x, y = state["x"], state["y"]
        box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
        overlap = 1 - detection.iou(own, np.broadcast_to(box, own.shape).copy(), reduction="none")
        positive = overlap >= state["high"] - 1e-9
        negative = (overlap < state["low"] - 1e-9) & ~positive
        kinds = [negative, ~(positive | negative), positive]
        centers = [(own[kind, :2] + own[kind, 2:]) / 2 for kind in kinds]
        order = np.arange(1, len(own) + 1)
        dots = [[(order[i], overlap[i]) for i in np.flatnonzero(kind)] for kind in kinds]
        lines = [([0, len(own) + 1], [state[name]] * 2) for name in ("low", "high")]
        counts = [int(kind.sum()) for kind in kinds]
        says = f"{counts[2]} of {len(own)} anchors are positive, {counts[0]} negative, {counts[1]} ignored; "
        says += f"the best overlap is {say(overlap.max())}."
        return [[[box], own[positive], *centers, (x, y)], [*lines, *dots]], says

    looks = (("negative", "#999999", 3), ("ignored", COLORS[4], 4), ("positive", COLORS[0], 5))
    plane = Panel(
        "A true box and the centers of anchors; positive anchors as boxes.", "y (pixels)", "x (pixels)", (left, wide),
        (bottom, tall),
        (
            Shape("bars", "truth", COLORS[1], opacity=0.35), Shape("bars", "", COLORS[0], opacity=0.15),
            *(Shape("dots", label, color, size=size) for label, color, size in looks),
            Shape("handle", "true box", COLORS[1], drag=("x", "y")),
        ),
        height=pixels,
    )  # fmt: skip
    values = Panel(
        "The overlap of each anchor with the true box, and two thresholds.", "intersection over union", "anchor",
        (0.0, len(own) + 1.0), (0.0, 1.0),
        (
            Shape("line", "negative below", "#777777", "2 3"), Shape("line", "positive from", COLORS[0], "7 4"),
            *(Shape("dots", "", color, size=size) for _, color, size in looks),
        ),
        height=max(190, plane.height),
    )  # fmt: skip
    return staged(
        Scene((plane, values), controls, draw),
        name=checked_name(name, "anchors"),
        about="Anchors around a true box that can be dragged. ",
        script="anchors.js",
        losses=[in_javascript(detection.iou)],
        data={"anchors": own, "width": width, "height": height},
        question=question,
    )
