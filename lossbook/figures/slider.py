"""A slider for one parameter of a loss, which computes in the reader's browser."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lossbook.algebra import Loss
from lossbook.figures.axes import (
    POINTS,
    assignments,
    axis_labels,
    axis_limits,
    between,
    evaluate,
    prediction_domain,
    reaching,
    usual_range,
    usual_target,
)
from lossbook.figures.scene import Control, Panel, Scene, Shape, rounded, say
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["named_losses", "slider"]

PROBES = (0.1, 0.5, 0.9)  # probabilities of the truth that a figure tells of


def named_losses(losses: Any) -> dict[str, Loss]:
    """Losses by the labels of their lines: given so, or by their own names without the module."""
    losses = [losses] if isinstance(losses, Loss) else losses
    for loss in losses.values() if isinstance(losses, Mapping) else losses:
        if not isinstance(loss, Loss):
            raise TypeError(f"figures draw losses of lossbook; got {type(loss).__name__}")
    if isinstance(losses, Mapping):
        return dict(losses)
    return {loss.name.split(".")[-1].replace("_", " "): loss for loss in losses}


def slider(
    loss: Any,
    parameter: str,
    low: float,
    high: float,
    start: float,
    target: float | None = None,
    x: tuple[float, float] | None = None,
    name: str | None = None,
    beside: Mapping[str, Loss] | Sequence[Loss] = (),
    of_truth: bool = False,
    question: str | None = None,
    **fixed: Any,
) -> Slider:
    """Loss and gradient of a loss with a slider for one parameter, which works without a kernel.

    Parameters
    ----------
    loss : Loss
        A pointwise loss.
    parameter : str
        The name of the parameter to drag.
    low, high, start : float
        The ends of the slider and where it stands at first. The slider is widened to hold its start.
    target : float, optional
        If left out, 0 for observed values and 1 for labels.
    x : tuple of float, optional
        (low, high) of the predictions, as in `curves`.
    name : str, optional
        The name of the figure, unique on its page, like "focal-gamma"; if left out, made from the loss and the
        parameter.
    beside : dict of str to Loss, or sequence of Loss, optional
        Losses whose lines stay where they are, to compare with.
    of_truth : bool, optional
        Draw a loss of logits, of one or of a row, over the probability of the truth instead: the probability that its
        sigmoid or softmax gives to what is true.
    question : str, optional
        What to answer before the slider is set free, by a button.
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
        For a loss that is not pointwise, an unknown parameter, or one that is set twice.
    ValueError
        For a start that is not finite, or ends that are not low < high.
    DomainError
        For values outside a domain.

    Examples
    --------
    ::

        slider(binary.focal_with_logits, "gamma", 0, 5, start=2, target=1, alpha=0.5)
        slider(binary.focal_with_logits, "gamma", 0, 5, start=2, beside=[binary.cross_entropy_with_logits],
               of_truth=True, question="Which answers does gamma turn down most?")
    """
    others = named_losses(beside)
    for each in (loss, *others.values()):
        if of_truth:
            _of_truth(each)
        else:
            prediction_domain(each)
    for given in (parameter, *fixed):
        if given not in loss.declaration.parameters and (given == parameter or given not in loss.declaration.defaults):
            raise TypeError(
                f"slider: {loss.name} has no parameter {given!r} to set; "
                f"it has {', '.join(loss.declaration.parameters) or 'none'}"
            )
    name = checked_name(name, loss.name, parameter)
    if parameter in fixed:
        raise TypeError(f"slider: {parameter} is set by its slider, which starts at start, and nowhere else")
    low, high, start = reaching("slider", "start", low, high, start)
    control = Control(parameter, low, high, start)
    if loss.space.rows_of_classes:
        target = 1.0
    else:
        target = usual_target(loss) if target is None or loss.declaration.target is None else float(target)
    usual_x = (0.005, 0.995) if of_truth else usual_range([loss, *others.values()], target or 0.0)
    reach = tuple(map(float, x if x is not None else usual_x))
    if len(reach) != 2 or not reach[0] < reach[1]:
        raise ValueError(f"slider: x must be (low, high); got {reach}")
    decimals = control.decimals  # refuses numbers that it cannot show
    grid = between(*reach)
    curves = _Curves([loss, *others.values()], target, grid, of_truth)

    # The axes are those of the start value, widened by what the slider can bring.
    drawn = [curves.of(0, fixed | {parameter: value}) for value in (float(start), *np.linspace(low, high, 9))]
    drawn += [curves.of(k, {}) for k in range(1, 1 + len(others))]
    shown = [rounded(*axis_limits([line[which] for line in drawn])) for which in (0, 1)]
    along, *titles = (
        axis_labels([loss]) if not of_truth else ("probability of the truth", "loss (nats)", "d loss / d logit")
    )
    given = assignments({loss.declaration.target: target, **fixed} if not loss.space.rows_of_classes else fixed)
    given = f"{f' for {given}' if given else ''}, drawn for {assignments({parameter: start})}"
    where = "p" if of_truth else loss.declaration.arrays[0]
    panels = []
    for which, title in enumerate(titles):
        own = f"{loss.name.split('.')[-1].replace('_', ' ')}" if others else ""
        shapes = [Shape("line", own, COLORS[which], "7 4" * which, ghost=True, jumps=not of_truth)]
        shapes += [
            Shape("line", label, COLORS[2 + k], ("2 3", "9 3 2 3", "12 3")[k % 3], size=2, jumps=not of_truth)
            for k, label in enumerate(others)
        ]
        what = f"{('Loss', 'Gradient')[which]} of {loss.name} over the {along}{given}:"
        ends = (0.0, 1.0) if of_truth and x is None else reach
        panels.append(Panel(what, title, along, ends, shown[which], tuple(shapes)))

    probed = _Curves([loss], target, np.array(PROBES), of_truth)

    def draw(state):
        lines = [curves.of(0, fixed | {parameter: state[parameter]}), *drawn[10:]]
        shapes = [[(grid, line[w]) for line in lines] for w in (0, 1)]
        if of_truth:
            values, slopes = probed.of(0, fixed | {parameter: state[parameter]})
            parts = [
                f"at p = {p:g} the loss is {say(value)}, the gradient {say(slope)}"
                for p, value, slope in zip(PROBES, values, slopes, strict=True)
            ]
            return shapes, f"A{'; '.join(parts)[1:]}."
        parts = [
            f"the {('loss', 'gradient')[w]} goes from {say(lines[0][w][0])} at {where} = {reach[0]:g} to "
            f"{say(lines[0][w][-1])} at {reach[1]:g}"
            for w in (0, 1)
        ]
        return shapes, f"T{', '.join(parts)[1:]}."

    about = f"A slider for {parameter} from {low:g} to {high:g}; {loss.name} over the {along}{given}: "
    return staged(
        Scene(tuple(panels), (control,), draw),
        name=name,
        about=about,
        script="slider.js",
        losses=[in_javascript(loss, [parameter], **fixed), *(in_javascript(each) for each in others.values())],
        data={
            "x": reach, "points": POINTS, "target": target, "truth": of_truth, "where": where, "decimals": decimals,
            "rows": [each.space.rows_of_classes for each in (loss, *others.values())],
            "ends": [f"{end:g}" for end in reach], "probes": PROBES,
        },
        question=question,
        printed=[{parameter: float(value)} for value in sorted({low, start, high})],
        overlay=True,
    )  # fmt: skip


def _of_truth(loss):
    """Refuse what has no logit."""
    if not isinstance(loss, Loss) or not loss.declaration.of_prediction.holds_logits or loss.space.totals:
        raise TypeError(f"slider: of_truth draws losses of logits; got {getattr(loss, 'name', type(loss).__name__)}")


class _Curves:
    """(values, slopes) of losses along a grid, of predictions or of the probability of the truth."""

    def __init__(self, losses, target, grid, of_truth):
        self.losses, self.target, self.grid, self.of_truth = losses, target, grid, of_truth

    def of(self, which, settings):
        loss = self.losses[which]
        if not self.of_truth:
            return evaluate(loss, self.grid, self.target, settings)
        logit = np.log(self.grid) - np.log1p(-self.grid)
        if not loss.space.rows_of_classes:
            return evaluate(loss, logit if self.target else -logit, self.target, settings)
        rows = np.stack([logit, np.zeros_like(logit)], axis=1)
        truth = np.zeros(len(rows), np.int64)
        values, slopes = loss.value_and_grad(rows, truth, reduction="none", **settings)
        return values, slopes[:, 0]
