"""Gradient descent for one number, under one loss or several."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lossbook import regression
from lossbook.figures.axes import between, needs_a_logit_and_a_label, prediction_domain, reaching, sigmoid
from lossbook.figures.fits import numbers, observed
from lossbook.figures.scene import Control, Panel, Scene, Shape, looks_of, rounded, say
from lossbook.figures.slider import named_losses
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["descent"]

FAR = 1e6  # where a descent that runs away is given up


def descent(
    losses: Any = regression.squared_error,
    data: Sequence[float] = (1.0, 2.0, 6.0),
    step: tuple[float, float, float] = (0.02, 1.2, 0.1),
    start: float = 5.0,
    reach: tuple[float, float] = (-4.0, 10.0),
    steps: int = 12,
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """Gradient descent for one number theta: where it goes, and what each step brings.

    Parameters
    ----------
    losses : Loss, dict of str to Loss, or sequence of Loss, optional
        One loss or several, which walk with the same steps: of regression, or all of a logit and a label.
    data : sequence of float, optional
        Observed values, which theta is to fit; or labels, whose logit theta is.
    step : tuple of float, optional
        (low, high, start) of the step length.
    start : float, optional
        Where theta starts; it can be dragged.
    reach : tuple of float, optional
        (low, high) of theta. Both sliders are widened to hold their starts.
    steps : int, optional
        How many steps are taken.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the losses.

    Returns
    -------
    Slider
        The mean loss over theta with the way that descent takes, and over the number of steps the mean loss; for a
        logit the probability that is its sigmoid.

    Raises
    ------
    TypeError
        For losses of anything but observed values, or of logits and labels.
    ValueError
        For data or a start that are not finite.

    Examples
    --------
    ::

        descent(regression.squared_error, data=[1, 2, 6], step=(0.02, 1.2, 0.1))
        descent(binary.cross_entropy_with_logits, data=[1], start=-4, reach=(-6, 6), step=(0.1, 4, 1))
    """
    named = named_losses(losses)
    logits = all(prediction_domain(loss).holds_logits for loss in named.values())
    for loss in named.values():
        if logits:
            needs_a_logit_and_a_label("descent", loss)
        else:
            observed("descent", loss)
    values = numbers("descent", data)
    low, high, start = reaching("descent", "start", float(reach[0]), float(reach[1]), start)
    controls = (
        Control("step", *reaching("descent", "the start of step", *step), "step length"),
        Control("theta", low, high, start, "theta at the start"),
    )
    grid = between(low, high)

    def of(loss, theta):
        pairs = np.repeat(np.atleast_1d(theta), len(values)), np.tile(values, np.size(theta))
        parts = loss.value_and_grad(*pairs, reduction="none")
        return [part.reshape(-1, len(values)).sum(axis=1) / len(values) for part in parts]

    curves = [(grid, of(loss, grid)[0]) for loss in named.values()]

    def walk(loss, state):
        way = [state["theta"]]
        while len(way) <= steps and (len(way) == 1 or abs(way[-1]) < FAR):
            way.append(way[-1] - state["step"] * float(of(loss, way[-1])[1][0]))
        return way, of(loss, way)[0]

    def tell(label, way, costs):
        change = costs[1] - costs[0]
        moved = "stays" if abs(change) < 1e-9 * costs[0] else "falls" if change < 0 else "grows"
        says = f"{f'Under {label}: mean' if len(named) > 1 else 'Mean'} loss {say(costs[0])} at the start, "
        says += f"{say(costs[1])} after one step: it {moved}. "
        if not abs(way[-1]) < 1000:
            return f"{says}Descent runs away."
        end = f"p is {say(float(sigmoid(way[-1])))}" if logits else f"theta is {say(way[-1])}"
        return f"{says}After {steps} steps {end}."

    def draw(state):
        walks = [walk(loss, state) for loss in named.values()]
        gains = [sigmoid(way) if logits else costs for way, costs in walks]
        says = " ".join(tell(label, *each) for label, each in zip(named, walks, strict=True))
        left = [*curves, *walks, *(list(zip(*each, strict=True)) for each in walks), base]
        lines = [(range(len(gain)), gain) for gain in gains]
        right = [*lines, *(list(enumerate(gain)) for gain in gains)]
        return [[*left, (state["theta"], walks[0][1][0])], right], says

    most = rounded(0.0, max(float(np.max(curve)) for _, curve in curves))[1]
    base = [] if logits else [(x, 0.0) for x in values]
    looks = looks_of(named) if len(named) > 1 else [("mean loss", COLORS[0], "")]
    walked = [color for _, color, _ in looks] if len(named) > 1 else [COLORS[1]]
    left = Panel(
        f"The mean loss over theta, with the way that descent takes{'' if logits else ', and the data below'}.",
        "mean loss", "theta", (low, high), (0.0, most),
        (
            *(Shape("line", label, color, dash) for label, color, dash in looks),
            *(Shape("line", "" if len(named) > 1 else "steps", color, size=1.5) for color in walked),
            *(Shape("dots", "", color, size=4) for color in walked),
            Shape("dots", "" if logits else "data", "#333333", size=4.5),
            Shape("handle", "start", COLORS[1] if len(named) == 1 else "#333333", drag=("theta", None)),
        ),
    )  # fmt: skip
    right = Panel(
        f"The {'probability' if logits else 'mean loss'} over the number of steps.",
        "probability p" if logits else "mean loss", "steps taken", (0.0, float(steps)), (0.0, 1.0 if logits else most),
        (
            *(
                Shape("line", label if len(named) > 1 else "", color, dash, ghost=True)
                for (label, _, dash), color in zip(looks, walked, strict=True)
            ),
            *(Shape("dots", "", color, size=4 if steps <= 20 else 2) for color in walked),
        ),
    )  # fmt: skip
    return staged(
        Scene((left, right), controls, draw),
        name=checked_name(name, "descent", *(loss.name for loss in named.values())),
        about=f"Gradient descent on the mean of {', '.join(loss.name for loss in named.values())}. ",
        script="descent.js",
        losses=[in_javascript(loss) for loss in named.values()],
        data={
            "values": values, "x": [low, high], "steps": steps, "far": FAR, "logits": logits,
            "labels": list(named) if len(named) > 1 else [], "base": base,
        },
        words=["sigmoid"] * logits,
        question=question,
        printed=[{}, {"step": float(step[1])}],
    )  # fmt: skip
