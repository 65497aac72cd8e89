"""Masks on a small grid: discs that are moved, and pixels of which few are rare."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lossbook import binary, segmentation
from lossbook.algebra import Loss
from lossbook.figures.axes import needs_a_logit_and_a_label, reaching
from lossbook.figures.fits import rising_root
from lossbook.figures.scene import Control, Panel, Scene, Shape, looks_of, rounded, say, short
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["discs", "rare_pixels"]

MOST = 50  # pixels of a radius, and twice as many of a way: a browser draws every place
OVERLAPS = {"Dice": segmentation.dice, "Jaccard": segmentation.jaccard}


def _disc(grid, x, y, radius):
    """The pixels of a grid whose centers lie in a disc, 1 or 0, row by row."""
    across, down = np.meshgrid(np.arange(grid[0]) + 0.5 - x, np.arange(grid[1]) + 0.5 - y)
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
        How far the prediction is moved at first, in whole pixels.
    sizes : tuple of float, optional
        The ends of the radius of the prediction. Both sliders, and the picture, are widened to hold their starts.
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
        For radii above 50 pixels or ways above 100, which are too many to draw, and for those that are not finite.

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
    if not 0 < sizes[0] < sizes[1] <= MOST:
        raise ValueError(f"discs: sizes must be two radii, rising, from above 0 to {MOST}; got {sizes}")
    small, large, radius = reaching("discs", "radius", *sizes, radius, within=(0, MOST))
    first, last, start = map(round, reaching("discs", "start", 0, 18, start, within=(-2 * MOST, 2 * MOST)))
    # One pixel stays free around the true disc, wherever the other is moved from there.
    center, down = float(np.ceil(large)) + 1 - first, float(max(8, np.ceil(large) + 1))
    grid = (int(center) + last + 4, int(2 * down))
    shifts = np.arange(first, last + 1)

    def disc(shift, size):
        return _disc(grid, center + shift, down, size)

    truth = disc(0, radius)
    resized = all(isinstance(loss, Loss) for loss in named.values())
    own = [
        {n: v for n, v in fixed.items() if n in loss.declaration.defaults} if isinstance(loss, Loss) else {}
        for loss in named.values()
    ]
    tables = {
        label: short([float(np.mean(loss(disc(shift, radius), truth))) for shift in shifts])
        for label, loss in named.items()
        if not isinstance(loss, Loss)
    }
    controls = [Control("shift", first, last, start, "moved by", whole=True)]
    if resized:
        controls.append(Control("radius", small, large, radius))

    def curve(label, loss, settings, size):
        if label in tables:
            return tables[label]
        masks = np.stack([disc(shift, size) for shift in shifts])[:, None]
        target = np.broadcast_to(truth, masks.shape).copy()
        return np.ravel(loss(masks, target, reduction="none", **settings))

    def draw(state):
        size, shift = state.get("radius", radius), int(state["shift"])
        lines = [curve(label, loss, settings, size) for (label, loss), settings in zip(named.items(), own, strict=True)]
        said = ", ".join(f"{label} {say(line[shift - first])}" for label, line in zip(named, lines, strict=True))
        moved = _runs(disc(shift, size))
        dots = [[(shift, line[shift - first])] for line in lines]
        right = [*((shifts, line) for line in lines), *dots]
        return [[_runs(truth), moved, (center + shift, down)], right], f"Moved by {shift} pixels: {said}."

    ends = [draw({"shift": float(start), "radius": size})[0][1][: len(named)] for size in (small, radius, large)]
    every = [value for lines in ends for _, line in lines for value in line]
    left = Panel(
        "A true disc and a predicted one.", "pixels", "", (0.0, float(grid[0])), (0.0, float(grid[1])),
        (
            Shape("bars", "truth", COLORS[0], opacity=0.5), Shape("bars", "prediction", COLORS[1], opacity=0.5),
            Shape("handle", "predicted disc", COLORS[1], drag=("shift", None), offset=center),
        ),
        height=round(300 * grid[1] / grid[0]),
    )  # fmt: skip
    looks = looks_of(named)
    right = Panel(
        "Each loss over the way that the prediction is moved.", "loss", "moved by (pixels)",
        (float(first), float(last)), rounded(min(0.0, *every), max(every)),
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
            "labels": list(named), "tables": tables, "grid": list(grid), "center": center, "down": down,
            "radius": float(radius), "truth": truth.ravel().astype(int).tolist(), "shifts": [first, last],
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
        The weight of its pixels at first. The sliders are widened to hold their starts.
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
        For a share or probability out of [0, 1], or a weight that is negative or not finite.

    Examples
    --------
    ::

        rare_pixels(share=0.05)
    """
    needs_a_logit_and_a_label("rare_pixels", loss)
    controls = (
        Control("share", *reaching("rare_pixels", "share", 0.01, 0.5, share, within=(0, 1)), "share of foreground"),
        Control(
            "weight", *reaching("rare_pixels", "weight", 1, 50, weight, within=(0, np.inf)), "weight of foreground"
        ),
        Control("p", *reaching("rare_pixels", "p", 0.01, 0.99, p, within=(0, 1)), "probability everywhere"),
    )
    wide, tall = 32, 20

    def slopes(z):
        z = np.atleast_1d(np.asarray(z, float))
        return [loss.value_and_grad(z, np.full_like(z, y), reduction="none")[1] for y in (1, 0)]

    def draw(state):
        share, weight = state["share"], state["weight"]
        with np.errstate(divide="ignore"):
            z = np.log(state["p"]) - np.log1p(-state["p"])
        up, down = slopes(z)
        up, down = -share * weight * up[0], (1 - share) * down[0]
        best = rising_root(lambda z: share * weight * slopes(z)[0] + (1 - share) * slopes(z)[1], -20.0, 20.0)[0]
        rare = int(np.floor(share * wide * tall + 0.5 + 1e-9))
        side = max(int(np.ceil(np.sqrt(rare) - 1e-9)), -(-rare // tall))
        filled = [min(side, rare - row * side) for row in range(side) if rare > row * side]
        left, top = min(6, wide - side), tall - (len(filled) < tall)
        rows = [(left, top - 1 - row, left + count, top - row) for row, count in enumerate(filled)]
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
        printed=[{}, {"weight": float(round(min(50.0, 1 / max(share, 0.02) - 1)))}],
    )
