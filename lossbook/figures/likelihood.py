"""Observations on a line, and the densities that are to explain them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lossbook.figures.axes import between, reaching
from lossbook.figures.fits import moved_by, numbers
from lossbook.figures.scene import Control, Panel, Scene, Shape, looks_of, rounded, say, short
from lossbook.figures.slider import named_losses
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged

__all__ = ["likelihood"]


def likelihood(
    losses: Any,
    data: Sequence[float],
    middle: float,
    parameter: str | None = None,
    low: float = 0.5,
    high: float = 5.0,
    start: float = 1.0,
    reach: tuple[float, float] | None = None,
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """Observations on a line, densities around a middle that is dragged, and minus the logarithm over the middle.

    Parameters
    ----------
    losses : dict of str to Loss, or sequence of Loss
        Losses of regression, each minus the logarithm of a density of the target around the prediction, with all its
        constants.
    data : sequence of float
        Observed values.
    middle : float
        Where the densities have their middle at first.
    parameter : str, optional
        A parameter to drag as well, of those losses that have it, such as a spread.
    low, high, start : float, optional
        The ends of its slider and where it stands at first. The slider is widened to hold its start.
    reach : tuple of float, optional
        (low, high) of the line, which is widened to hold data and middle.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the losses.

    Returns
    -------
    Slider
        The densities with their heights at the observations; and the mean of minus their logarithms over the middle,
        with points that move along.

    Raises
    ------
    TypeError
        For losses of anything but observed values, or a parameter that none of them has.
    ValueError
        For data, a middle or a start that are not finite.

    Examples
    --------
    ::

        likelihood({"Gauss": gauss, "Laplace": laplace}, data=[9, 10, 10, 11, 25], middle=10,
                   parameter="sigma", low=1, high=12, start=3)
    """
    named = named_losses(losses)
    moved = moved_by("likelihood", named, parameter)
    values = numbers("likelihood", data)
    spread = values.max() - values.min() or 1.0
    left, right = reach or rounded(values.min() - 0.2 * spread, values.max() + 0.2 * spread)
    left, right = short([min(left, *values), max(right, *values)])
    ends = reaching("likelihood", "middle", left, right, middle)
    controls = [Control("middle", *ends, "middle")]
    if parameter is not None:
        controls.append(Control(parameter, *reaching("likelihood", "start", low, high, start)))
    left, right, _ = ends
    middles = between(left, right)

    def minus_log(k, loss, middle, y, state):
        """Of each of the middles the numbers for each y."""
        pairs = np.repeat(np.atleast_1d(middle).astype(float), len(y)), np.tile(y, np.size(middle))
        return loss(*pairs, reduction="none", **{name: state[name] for name in moved[k]}).reshape(-1, len(y))

    def draw(state):
        middle = state["middle"]
        line = np.concatenate([between(left, middle), between(middle, right)])  # with the peak, wherever it is
        densities, heights, curves, points, said = [], [], [], [], []
        for k, (label, loss) in enumerate(named.items()):
            densities.append((line, np.exp(-minus_log(k, loss, middle, line, state)[0])))
            seen = minus_log(k, loss, middle, values, state)[0]
            heights.append(list(zip(values, np.exp(-seen), strict=True)))
            cost = seen.sum() / len(values)
            curves.append((middles, minus_log(k, loss, middles, values, state).sum(axis=1) / len(values)))
            points.append([(middle, cost)])
            said.append(f"{label} {say(cost)}")
        says = f"Middle {say(middle, 2)}. Mean of minus the logarithm: {', '.join(said)}."
        return [[*densities, *heights, [(y, 0) for y in values], (middle, 0)], [*curves, *points]], says

    first = draw({c.name: c.start for c in controls})[0]
    heights, costs = ([line[1] for line in each[: len(named)]] for each in first)
    top = rounded(0.0, 1.5 * float(np.max(heights)))[1]
    looks = looks_of(named)
    densities = Panel(
        "Densities around the middle, with their heights at the observations.", "density", "observation",
        (left, right), (-0.06 * top, top),
        (
            *(Shape("line", label, color, dash, ghost=True) for label, color, dash in looks),
            *(Shape("dots", "", color, size=4.5) for _, color, _ in looks),
            Shape("dots", "observations", "#333333", size=4.5),
            Shape("handle", "middle", "#333333", drag=("middle", None)),
        ),
    )  # fmt: skip
    over = Panel(
        "The mean of minus the logarithm of each density over the middle.", "mean of minus the log", "middle",
        (left, right), rounded(float(np.min(costs)), float(np.max(costs))),
        (
            *(Shape("line", label, color, dash, ghost=True) for label, color, dash in looks),
            *(Shape("dots", "", color, size=6) for _, color, _ in looks),
        ),
    )  # fmt: skip
    return staged(
        Scene((densities, over), tuple(controls), draw),
        name=checked_name(name, "likelihood", *named),
        about="Observations on a line, and densities around a middle that can be dragged. ",
        script="likelihood.js",
        losses=[in_javascript(loss, own) for loss, own in zip(named.values(), moved, strict=True)],
        data={"values": values, "x": [left, right], "points": len(middles) - 1, "labels": list(named)},
        question=question,
        printed=[{}, {"middle": float(short(values.sum() / len(values)))}],
    )
