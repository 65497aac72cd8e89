"""What is fitted to data: a constant under several losses, the best answer under weights, and gradient descent."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lossbook import binary, regression
from lossbook.algebra import Loss
from lossbook.figures.axes import between, prediction_domain, start_within
from lossbook.figures.scene import Control, Panel, Scene, Shape, looks_of, rounded, say, short
from lossbook.figures.slider import named_losses
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["descent", "fit", "rising_root", "weighted"]

BASE = -0.12  # where data lies, below the curves


def rising_root(slope: Callable[[Any], Any], low: Any, high: Any) -> np.ndarray:
    """Where slopes that rise are 0, by 60 halvings of [low, high], as engine.js does it."""
    low, high = np.atleast_1d(np.array(low, float)), np.atleast_1d(np.array(high, float))
    for _ in range(60):
        middle = (low + high) / 2
        above = np.asarray(slope(middle)) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def _numbers(where, data):
    """Data of a figure."""
    found = np.array(short(np.ravel(np.asarray(data, float))))
    if not 1 <= len(found) <= 50 or not np.isfinite(found).all():
        raise ValueError(f"{where}: data must be 1 to 50 finite numbers; got {len(found)}")
    return found


def _observed(where, loss):
    """Refuse what does not compare a number with an observed one."""
    target = loss.declaration.of_target
    prediction_domain(loss)
    if target is None or not target.is_observed:
        raise TypeError(f"{where}: {loss.name} does not compare a prediction with an observed value")


def fit(
    losses: Any,
    data: Sequence[float],
    parameter: str | None = None,
    low: float = 0.1,
    high: float = 5.0,
    start: float = 1.0,
    reach: tuple[float, float] | None = None,
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """Numbers on a line, the last of which can be dragged away, and the constant that each loss fits to them.

    Parameters
    ----------
    losses : dict of str to Loss, or sequence of Loss
        Losses of regression.
    data : sequence of float
        Observed values; an odd number of them has one median. The last one is the outlier.
    parameter : str, optional
        A parameter to drag as well, of those losses that have it.
    low, high, start : float, optional
        The ends of its slider and where it stands at first.
    reach : tuple of float, optional
        (low, high) of the line.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the losses.

    Returns
    -------
    Slider
        The mean of each loss over the constant, divided by its largest value, with its minimum and the data below; and
        the pull of each value on the fitted constant, minus the gradient, as a share of all pull to one side. The
        minimum is where pulls to both sides are equal: found by bisection on the gradient.

    Raises
    ------
    TypeError
        For losses of anything but observed values, or a parameter that none of them has.
    ValueError
        For data that is not finite or out of reach, or a start outside of its ends.

    Examples
    --------
    ::

        fit([regression.squared_error, regression.absolute_error], data=[1, 1.5, 2, 2.5, 8])
        fit([regression.huber], data=[1, 1.5, 2, 2.5, 8], parameter="delta", low=0.1, high=5, start=1)
    """
    named = named_losses(losses)
    for loss in named.values():
        _observed("fit", loss)
    has = [parameter is not None and parameter in loss.declaration.parameters for loss in named.values()]
    if parameter is not None and not any(has):
        raise TypeError(f"fit: none of {', '.join(named)} has a parameter {parameter!r}")
    values = _numbers("fit", data)
    spread = values.max() - values.min() or 1.0
    ends = (
        short(reach) if reach is not None else list(rounded(values.min() - 0.1 * spread, values.max() + 0.1 * spread))
    )
    if len(ends) != 2 or not ends[0] <= values.min() <= values.max() <= ends[1]:
        raise ValueError(f"fit: the data must lie within reach; got {ends}")
    controls = [Control("outlier", ends[0], ends[1], float(values[-1]))]
    if parameter is not None:
        start_within("fit", "start", start, low, high)
        controls.append(Control(parameter, low, high, start))
    grid = between(*ends)
    count = len(values)

    def settings(state, k):
        return {parameter: state[parameter]} if has[k] else {}

    def draw(state):
        seen = np.append(values[:-1], state["outlier"])
        curves, minima, pulls, said = [], [], [], []
        for k, (label, loss) in enumerate(named.items()):

            def of(constants, k=k, loss=loss):
                constants = np.atleast_1d(constants)
                pairs = np.repeat(constants, count), np.tile(seen, len(constants))
                return [
                    part.reshape(-1, count)
                    for part in loss.value_and_grad(*pairs, reduction="none", **settings(state, k))
                ]

            def slope(constants, of=of):
                return of(constants)[1].mean(axis=1)

            best = rising_root(slope, *ends)
            least, slopes = of(best)
            aside = (ends[1] - ends[0]) * 0.012 * (k - (len(named) - 1) / 2)
            curve = of(grid)[0].mean(axis=1)
            curves.append((grid, curve / curve.max()))
            minima.append([(best[0], least.mean() / curve.max())])
            total = np.abs(slopes).sum() / 2 or 1.0
            wide = (ends[1] - ends[0]) * 0.005
            shares = zip(seen + aside, -slopes[0] / total, strict=True)
            pulls.append([(x - wide, 0, x + wide, share) for x, share in shares])
            said.append(f"{label} {say(best[0])}")
        dots = [(x, BASE) for x in values[:-1]]
        zero = [(x, 0) for x in seen]
        shapes = [[*curves, *minima, dots, (state["outlier"], BASE)], [*pulls, zero]]
        return shapes, f"Outlier {say(state['outlier'], 2)}. Fitted constants: {', '.join(said)}."

    looks = looks_of(named)
    left = Panel(
        "The mean loss over the constant, with its minimum, and the data below.", "mean loss (largest: 1)", "constant",
        tuple(ends), (2 * BASE, 1.0),
        (
            *(Shape("line", label, color, dash, ghost=True) for label, color, dash in looks),
            *(Shape("dots", "", color, size=6) for _, color, _ in looks),
            Shape("dots", "data", "#333333", size=4.5), Shape("handle", "outlier", "#333333", drag=("outlier", None)),
        ),
    )  # fmt: skip
    right = Panel(
        "The pull of each value on the fitted constant, as a share of all pull to one side.", "share of the pull",
        "value", tuple(ends), (-1.0, 1.0),
        (*(Shape("bars", label, color) for label, color, _ in looks), Shape("dots", "", "#333333", size=3)),
    )  # fmt: skip
    return staged(
        Scene((left, right), tuple(controls), draw),
        name=checked_name(name, "fit", *named),
        about="Data on a line, with an outlier that can be dragged. ",
        script="fit.js",
        losses=[
            in_javascript(loss, [str(parameter)] if own else []) for loss, own in zip(named.values(), has, strict=True)
        ],
        data={"values": values[:-1], "x": ends, "labels": list(named), "base": BASE},
        question=question,
        printed=[{}, {parameter: float(high)} if parameter else {"outlier": ends[1]}],
    )


def weighted(
    loss: Any = binary.cross_entropy,
    parameter: str = "pos_weight",
    low: float = 1.0,
    high: float = 50.0,
    start: float = 9.0,
    share: float = 0.1,
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """The best constant answer where a share of the labels is 1, under a loss with a weight for them.

    Parameters
    ----------
    loss : Loss, optional
        A loss of probabilities with labels 0 and 1.
    parameter : str, optional
        The parameter to drag.
    low, high, start : float, optional
        The ends of its slider and where it stands at first.
    share : float, optional
        The share of the labels that are 1, at first.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the loss.

    Returns
    -------
    Slider
        The expected loss over the probability, with its minimum; and the best answer over the true share, with the
        line on which it would be the share itself. The minimum is found by bisection on the expected gradient.

    Raises
    ------
    TypeError
        For a loss of anything but probabilities, or without the parameter.
    ValueError
        For a start outside of its ends, or a share out of [0.01, 0.99].

    Examples
    --------
    ::

        weighted(binary.cross_entropy, "pos_weight", 1, 50, start=9, share=0.1)
    """
    if not isinstance(loss, Loss) or not prediction_domain(loss).bounded or loss.declaration.of_target is None:
        raise TypeError(f"weighted: needs a loss of probabilities and labels; got {getattr(loss, 'name', loss)}")
    if parameter not in loss.declaration.parameters:
        raise TypeError(f"weighted: {loss.name} has no parameter {parameter!r}")
    start_within("weighted", "start", start, low, high)
    start_within("weighted", "share", share, 0.01, 0.99)
    controls = (
        Control(parameter, low, high, start),
        Control("share", 0.01, 0.99, share, "share of ones"),
    )
    grid = between(0.005, 0.995)
    many = 0.01 + 0.98 * np.arange(50) / 49

    def of(p, state, share):
        p = np.atleast_1d(np.asarray(p, float))
        ones, zeros = (
            loss.value_and_grad(p, np.full_like(p, y), reduction="none", **{parameter: state[parameter]})
            for y in (1, 0)
        )
        return [share * one + (1 - share) * zero for one, zero in zip(ones, zeros, strict=True)]

    def best(state, share):
        share = np.atleast_1d(share)
        return rising_root(lambda p: of(p, state, share)[1], np.full(len(share), 1e-6), np.full(len(share), 1 - 1e-6))

    def draw(state):
        eta = state["share"]
        (p,) = best(state, eta)
        least = of(p, state, eta)[0][0]
        says = f"With {say(100 * eta, 0)} percent ones, the expected loss is smallest at p = {say(p)}."
        left = [(grid, of(grid, state, eta)[0]), [(p, least)], ([eta, eta], [0, 100])]
        return [left, [(many, best(state, many)), ([0, 1], [0, 1]), [(eta, p)]]], says

    line = of(grid, {parameter: float(start)}, share)[0]
    left = Panel(
        "The expected loss over the probability that is always answered.", "expected loss (nats)", "answer p",
        (0.0, 1.0), rounded(0.0, float(np.max(line[6:-6])) * 1.3),
        (
            Shape("line", "expected loss", COLORS[0], ghost=True), Shape("dots", "minimum", COLORS[0], size=6),
            Shape("line", "share of ones", "#777777", "2 3"),
        ),
    )  # fmt: skip
    right = Panel(
        "The best answer over the share of ones.", "best answer p*", "share of ones", (0.0, 1.0), (0.0, 1.0),
        (
            Shape("line", "best answer", COLORS[0], ghost=True), Shape("line", "the share", "#777777", "2 3"),
            Shape("dots", "", COLORS[0], size=6),
        ),
    )  # fmt: skip
    return staged(
        Scene((left, right), controls, draw),
        name=checked_name(name, "weighted", loss.name, parameter),
        about=f"Sliders for {parameter} and for the share of ones, under {loss.name}. ",
        script="weighted.js",
        losses=[in_javascript(loss, [parameter])],
        data={"parameter": parameter},
        question=question,
        printed=[{parameter: float(low)}, {}],
    )


def descent(
    loss: Any = regression.squared_error,
    data: Sequence[float] = (1.0, 2.0, 6.0),
    step: tuple[float, float, float] = (0.02, 1.2, 0.1),
    start: float = 5.0,
    reach: tuple[float, float] = (-4.0, 10.0),
    steps: int = 12,
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """Gradient descent for one number theta: where it goes, and what the mean loss is after each step.

    Parameters
    ----------
    loss : Loss, optional
        A loss of regression.
    data : sequence of float, optional
        Observed values, which theta is to fit.
    step : tuple of float, optional
        (low, high, start) of the step length.
    start : float, optional
        Where theta starts; it can be dragged.
    reach : tuple of float, optional
        (low, high) of theta.
    steps : int, optional
        How many steps are taken.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the loss.

    Returns
    -------
    Slider
        The mean loss over theta with the way that descent takes, and the mean loss over the number of steps.

    Raises
    ------
    TypeError
        For a loss of anything but observed values.
    ValueError
        For data that is not finite, or a start that is out of reach.

    Examples
    --------
    ::

        descent(regression.squared_error, data=[1, 2, 6], step=(0.02, 1.2, 0.1))
    """
    (loss,) = named_losses(loss).values()
    _observed("descent", loss)
    values, (low, high) = _numbers("descent", data), map(float, reach)
    start_within("descent", "the start of step", step[2], step[0], step[1])
    start_within("descent", "start", start, low, high)
    controls = (
        Control("step", step[0], step[1], step[2], "step length"),
        Control("theta", low, high, start, "theta at the start"),
    )
    grid = between(low, high)

    def of(theta):
        pairs = np.repeat(np.atleast_1d(theta), len(values)), np.tile(values, np.size(theta))
        parts = loss.value_and_grad(*pairs, reduction="none")
        return [part.reshape(-1, len(values)).sum(axis=1) / len(values) for part in parts]

    def draw(state):
        way, costs = [state["theta"]], []
        for _ in range(steps + 1):
            value, slope = (float(part[0]) for part in of(way[-1]))
            costs.append(value)
            way.append(way[-1] - state["step"] * slope)
        way.pop()
        change = costs[1] - costs[0]
        moved = "stays" if abs(change) < 1e-9 * costs[0] else "falls" if change < 0 else "grows"
        says = f"Mean loss {say(costs[0])} at the start, {say(costs[1])} after one step: it {moved}. "
        says += f"After {steps} steps theta is {say(way[-1])}." if abs(way[-1]) < 1000 else "Descent runs away."
        left = [(grid, of(grid)[0]), (way, costs), list(zip(way, costs, strict=True)), base, (way[0], costs[0])]
        return [left, [(range(steps + 1), costs), list(enumerate(costs))]], says

    most = rounded(0.0, float(np.max(of(grid)[0])))[1]
    base = [(x, 0.0) for x in values]
    left = Panel(
        "The mean loss over theta, with the way that descent takes, and the data below.", "mean loss", "theta",
        (low, high), (0.0, most),
        (
            Shape("line", "mean loss", COLORS[0]), Shape("line", "steps", COLORS[1], size=1.5),
            Shape("dots", "", COLORS[1], size=4), Shape("dots", "data", "#333333", size=4.5),
            Shape("handle", "start", COLORS[1], drag=("theta", None)),
        ),
    )  # fmt: skip
    right = Panel(
        "The mean loss over the number of steps.", "mean loss", "steps taken", (0.0, float(steps)), (0.0, most),
        (Shape("line", "", COLORS[1], ghost=True), Shape("dots", "", COLORS[1], size=4)),
    )  # fmt: skip
    return staged(
        Scene((left, right), controls, draw),
        name=checked_name(name, "descent", loss.name),
        about=f"Gradient descent on the mean of {loss.name}. ",
        script="descent.js",
        losses=[in_javascript(loss)],
        data={"values": values, "x": [low, high], "steps": steps},
        question=question,
        printed=[{}, {"step": float(step[1])}],
    )
