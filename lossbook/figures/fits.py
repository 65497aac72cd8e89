"""What is fitted to data: a constant under several losses, and the best answer under weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lossbook import binary
from lossbook.algebra import Loss
from lossbook.figures.axes import between, prediction_domain, reaching
from lossbook.figures.scene import Control, Panel, Scene, Shape, looks_of, rounded, say, short
from lossbook.figures.slider import named_losses
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["fit", "moved_by", "numbers", "observed", "rising_root", "weighted"]

BASE = -0.12  # where data lies, below the curves


def rising_root(slope: Callable[[Any], Any], low: Any, high: Any) -> np.ndarray:
    """Where slopes that rise are 0, by 60 halvings of [low, high], as engine.js does it."""
    low, high = np.atleast_1d(np.array(low, float)), np.atleast_1d(np.array(high, float))
    for _ in range(60):
        middle = (low + high) / 2
        above = np.asarray(slope(middle)) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def numbers(where: str, data: Sequence[float]) -> np.ndarray:
    """Data of a figure."""
    found = np.array(short(np.ravel(np.asarray(data, float))))
    if not 1 <= len(found) <= 50 or not np.isfinite(found).all():
        raise ValueError(f"{where}: data must be 1 to 50 finite numbers; got {len(found)}")
    return found


def observed(where: str, loss: Loss) -> None:
    """Refuse what does not compare a number with an observed one."""
    target = loss.declaration.of_target
    prediction_domain(loss)
    if target is None or not target.is_observed:
        raise TypeError(f"{where}: {loss.name} does not compare a prediction with an observed value")


def moved_by(where: str, named: Mapping[str, Loss], parameter: str | None) -> list[list[str]]:
    """The parameter that a slider moves, for each loss of observed values; nothing for one that does not have it."""
    for loss in named.values():
        observed(where, loss)
    moved = [[name for name in loss.declaration.parameters if name == parameter] for loss in named.values()]
    if parameter is not None and not any(moved):
        raise TypeError(f"{where}: none of {', '.join(named)} has a parameter {parameter!r}")
    return moved


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
        The ends of its slider and where it stands at first. The slider is widened to hold its start.
    reach : tuple of float, optional
        (low, high) of the line, which is widened to hold the data.
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
        For data or a start that are not finite.

    Examples
    --------
    ::

        fit([regression.squared_error, regression.absolute_error], data=[1, 1.5, 2, 2.5, 8])
        fit([regression.huber], data=[1, 1.5, 2, 2.5, 8], parameter="delta", low=0.1, high=5, start=1)
    """
    named = named_losses(losses)
    moved = moved_by("fit", named, parameter)
    values = numbers("fit", data)
    spread = values.max() - values.min() or 1.0
    if reach is None:
        reach = rounded(values.min() - 0.1 * spread, values.max() + 0.1 * spread)
    left, right = short(reach)
    left, right, outlier = reaching("fit", "the outlier", min(left, *values), max(right, *values), float(values[-1]))
    ends, controls = (left, right), [Control("outlier", left, right, outlier)]
    if parameter is not None:
        controls.append(Control(parameter, *reaching("fit", "start", low, high, start)))
    grid = between(*ends)
    count = len(values)

    def settings(state, k):
        return {name: state[name] for name in moved[k]}

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
        ends, (2 * BASE, 1.0),
        (
            *(Shape("line", label, color, dash, ghost=True) for label, color, dash in looks),
            *(Shape("dots", "", color, size=6) for _, color, _ in looks),
            Shape("dots", "data", "#333333", size=4.5), Shape("handle", "outlier", "#333333", drag=("outlier", None)),
        ),
    )  # fmt: skip
    right = Panel(
        "The pull of each value on the fitted constant, as a share of all pull to one side.", "share of the pull",
        "value", ends, (-1.0, 1.0),
        (*(Shape("bars", label, color) for label, color, _ in looks), Shape("dots", "", "#333333", size=3)),
    )  # fmt: skip
    return staged(
        Scene((left, right), tuple(controls), draw),
        name=checked_name(name, "fit", *named),
        about="Data on a line, with an outlier that can be dragged. ",
        script="fit.js",
        losses=[in_javascript(loss, own) for loss, own in zip(named.values(), moved, strict=True)],
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
        The ends of its slider and where it stands at first. The slider is widened to hold its start.
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
        For a start that is not finite, or a share out of [0, 1].

    Examples
    --------
    ::

        weighted(binary.cross_entropy, "pos_weight", 1, 50, start=9, share=0.1)
    """
    if not isinstance(loss, Loss) or not prediction_domain(loss).bounded or loss.declaration.of_target is None:
        raise TypeError(f"weighted: needs a loss of probabilities and labels; got {getattr(loss, 'name', loss)}")
    if parameter not in loss.declaration.parameters:
        raise TypeError(f"weighted: {loss.name} has no parameter {parameter!r}")
    controls = (
        Control(parameter, *reaching("weighted", "start", low, high, start)),
        Control("share", *reaching("weighted", "share", 0.01, 0.99, share, within=(0, 1)), "share of ones"),
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
