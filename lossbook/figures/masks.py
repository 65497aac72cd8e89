"""Masks on a small grid: discs that are moved, and pixels of which few are rare."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lossbook import binary, segmentation
from lossbook.algebra import Loss
from lossbook.figures.axes import needs_a_logit_and_a_label, start_within
from lossbook.figures.fits import rising_root
from lossbook.figures.scene import Control, Panel, Scene, Shape, looks_of, rounded, say, short
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["discs", "rare_pixels"]

GRID = (30, 16)  # pixels across and down
OVERLAPS = {"Dice": segmentation.dice, "Jaccard": segmentation.jaccard}


def _disc(x, y, radius):
    """The pixels whose centers lie in a disc, 1 or 0, row by row."""
    across, down = np.meshgrid(np.arange(GRID[0]) + 0.5 - x, np.arange(GRID[1]) + 0.5 - y)
    return (across**2 + down**2 <= radius**2).astype(float)


def _runs(mask):
    """The pixels of a mask as rectangles, one for each run of a row."""
    runs = []
    for row, line in enumerate(mask):
        change = np.flatnonzero(np.diff(np.concatenate([[0.0], line, [0.0]])))
        runs += [(int(a), row, int(b), row + 1) for a, b in change.reshape(-1, 2)]
    return runs


def discs(
    losses: Mapping[str, Loss | Callable[[Any, Any], float]] = OVERLAPS,
    radius: float = 4.0,
    start: float = 6.0,
    sizes: tuple[float, float] = (1.0, 7.0),
    question: str | None = None,
    name: str | None = None,
    **fixed: Any,
) -> Slider:
    """A true disc and a predicted one to move, and what losses say of every place that it could have.

    Parameters
    ----------
    losses : dict of str to Loss or callable
        Losses of overlap, computed in the browser; or functions of two masks, the prediction and the truth, computed
        here for every place.
    radius : float, optional
        The radius of both discs, in pixels; that of the prediction can be changed if all losses are computed in the
        browser.
    start : float, optional
        How far the prediction is moved at first.
    sizes : tuple of float, optional
        The ends of the radius of the prediction.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the losses.
    **fixed
        Values of parameters, of those losses that have them.

    Returns
    -------
    Slider
        The masks, of which the predicted one is dragged, and each loss over the way that it is moved.

    Raises
    ------
    TypeError
        For a loss of anything but overlap, or a parameter that no loss has.
    ValueError
        For discs that do not fit into the picture of 30 by 16 pixels.

    Examples
    --------
    ::

        discs({"Dice": segmentation.dice, "Jaccard": segmentation.jaccard}, smooth=0)
        discs({"Dice": lambda p, y: segmentation.dice(p[None, None], y[None, None])})
    """
    named = dict(losses)
    for label, loss in named.items():
        if isinstance(loss, Loss) and not loss.space.totals:
            raise TypeError(f"discs: {loss.name} is not a loss of overlap; give a function of two masks instead")
        if not callable(loss):
            raise TypeError(f"discs: {label} must be a loss or a function of two masks; got {type(loss).__name__}")
    for parameter in fixed:
        if not any(isinstance(loss, Loss) and parameter in loss.declaration.defaults for loss in named.values()):
            raise TypeError(f"discs: no loss has a parameter {parameter!r}")
    if not 1 <= sizes[0] < sizes[1] <= 7:
        raise ValueError(f"discs: sizes must be two radii, rising, from 1 to 7; got {sizes}")
    start_within("discs", "radius", radius, *sizes)
    start_within("discs", "start", start, 0, 18)
    if start != int(start):
        raise ValueError(f"discs: start must be a whole number; got {start:g}")
    center, down = 8.0, GRID[1] / 2
    truth = _disc(center, down, radius)
    shifts = np.arange(19)
    resized = all(isinstance(loss, Loss) for loss in named.values())
    own = [
        {n: v for n, v in fixed.items() if n in loss.declaration.defaults} if isinstance(loss, Loss) else {}
        for loss in named.values()
    ]
    tables = {
        label: short([float(np.mean(loss(_disc(center + shift, down, radius), truth))) for shift in shifts])
        for label, loss in named.items()
        if not isinstance(loss, Loss)
    }
    controls = [Control("shift", 0, 18, start, "moved by", whole=True)]
    if resized:
        controls.append(Control("radius", sizes[0], sizes[1], radius))

    def curve(label, loss, settings, size):
        if label in tables:
            return tables[label]
        masks = np.stack([_disc(center + shift, down, size) for shift in shifts])[:, None]
        target = np.broadcast_to(truth, masks.shape).copy()
        return np.ravel(loss(masks, target, reduction="none", **settings))

    def draw(state):
        size, shift = state.get("radius", radius), int(state["shift"])
        lines = [curve(label, loss, settings, size) for (label, loss), settings in zip(named.items(), own, strict=True)]
        said = ", ".join(f"{label} {say(line[shift])}" for label, line in zip(named, lines, strict=True))
        moved = _runs(_disc(center + shift, down, size))
        dots = [[(shift, line[shift])] for line in lines]
        right = [*((shifts, line) for line in lines), *dots]
        return [[_runs(truth), moved, (center + shift, down)], right], f"Moved by {shift} pixels: {said}."

    ends = [draw({"shift": 0.0, "radius": size})[0][1][: len(named)] for size in (sizes[0], radius, sizes[1])]
    every = [value for lines in ends for _, line in lines for value in line]
    left = Panel(
        "A true disc and a predicted one.", "pixels", "", (0.0, float(GRID[0])), (0.0, float(GRID[1])),
        (
            Shape("bars", "truth", COLORS[0], opacity=0.5), Shape("bars", "prediction", COLORS[1], opacity=0.5),
            Shape("handle", "predicted disc", COLORS[1], drag=("shift", None), offset=center),
        ),
        height=160,
    )  # fmt: skip
    looks = looks_of(named)
    right = Panel(
        "Each loss over the way that the prediction is moved.", "loss", "moved by (pixels)", (0.0, 18.0),
        rounded(min(0.0, *every), max(every)),
        (
            *(Shape("line", label, color, dash, ghost=resized) for label, color, dash in looks),
            *(Shape("dots", "", color, size=6) for _, color, _ in looks),
        ),
    )  # fmt: skip
    return staged(
        Scene((left, right), tuple(controls), draw),
        name=checked_name(name, "discs", *named),
        about="A true disc and a predicted one that can be moved. ",
        script="discs.js",
        losses=[
            "null" if label in tables else in_javascript(loss, **settings)
            for (label, loss), settings in zip(named.items(), own, strict=True)
        ],
        data={
            "labels": list(named), "tables": tables, "grid": list(GRID), "center": center, "down": down,
            "radius": float(radius), "truth": truth.ravel().astype(int).tolist(),
        },
        question=question,
        printed=[{"shift": 2.0}, {"shift": 14.0}],
    )  # fmt: skip


def rare_pixels(
    share: float = 0.05,
    weight: float = 1.0,
    p: float = 0.5,
    loss: Any = binary.cross_entropy_with_logits,
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """An image of which few pixels are foreground: how the gradient of the mean loss splits between both kinds.

    Parameters
    ----------
    share : float
        The share of the foreground at first.
    weight : float, optional
        The weight of its pixels at first.
    p : float, optional
        The probability of foreground that the network gives to every pixel, at first.
    loss : Loss, optional
        A loss of one logit and one label per pixel.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the loss.

    Returns
    -------
    Slider
        The image, and how strongly its two kinds of pixels pull the common logit up and down, in the mean over the
        pixels.

    Raises
    ------
    TypeError
        For a loss of anything but logits and labels.
    ValueError
        For a share, weight or probability out of range.

    Examples
    --------
    ::

        rare_pixels(share=0.05)
    """
    needs_a_logit_and_a_label("rare_pixels", loss)
    for argument, value, low, high in (("share", share, 0.01, 0.5), ("weight", weight, 1, 50), ("p", p, 0.01, 0.99)):
        start_within("rare_pixels", argument, value, low, high)
    controls = (
        Control("share", 0.01, 0.5, share, "share of foreground"),
        Control("weight", 1, 50, weight, "weight of foreground"),
        Control("p", 0.01, 0.99, p, "probability everywhere"),
    )  # fmt: skip
    wide, tall = 32, 20

    def slopes(z):
        z = np.atleast_1d(np.asarray(z, float))
        return [loss.value_and_grad(z, np.full_like(z, y), reduction="none")[1] for y in (1, 0)]

    def draw(state):
        share, weight = state["share"], state["weight"]
        z = np.log(state["p"]) - np.log1p(-state["p"])
        up, down = slopes(z)
        up, down = -share * weight * up[0], (1 - share) * down[0]
        best = rising_root(lambda z: share * weight * slopes(z)[0] + (1 - share) * slopes(z)[1], -20.0, 20.0)[0]
        rare = int(np.floor(share * wide * tall + 0.5 + 1e-9))
        side = int(np.ceil(np.sqrt(rare) - 1e-9))
        filled = [min(side, rare - row * side) for row in range(side) if rare > row * side]
        rows = [(6, tall - 2 - row, 6 + count, tall - 1 - row) for row, count in enumerate(filled)]
        says = f"Foreground pulls up with {say(up)}, background down with {say(down)}. "
        says += f"They balance where every pixel is given the probability {say(1 / (1 + np.exp(-best)))}."
        return [[[(0, 0, wide, tall)], rows], [[(-0.35, 0, 0.35, up)], [(0.65, 0, 1.35, down)]]], says

    image = Panel(
        "An image of 640 pixels; those of the foreground are darker.", "image", "pixels", (0.0, float(wide)),
        (0.0, float(tall)),
        (Shape("bars", "background", COLORS[5], opacity=0.4), Shape("bars", "foreground", COLORS[1])),
        numbers=False,
    )  # fmt: skip
    pulls = Panel(
        "How strongly foreground and background pull.", "pull on the logit", "", (-0.6, 1.6), (0.0, 1.0),
        (Shape("bars", "", COLORS[1]), Shape("bars", "", COLORS[5])), names=("foreground, up", "background, down"),
    )  # fmt: skip
    return staged(
        Scene((image, pulls), controls, draw),
        name=checked_name(name, "rare-pixels", loss.name),
        about="An image with few pixels of foreground. ",
        script="rare_pixels.js",
        losses=[in_javascript(loss)],
        data={"wide": wide, "tall": tall},
        words=["sigmoid"],
        question=question,
        printed=[{}, {"weight": float(min(50, round(1 / share) - 1))}],
    )
