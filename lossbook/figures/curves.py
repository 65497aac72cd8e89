"""Loss and gradient of losses, side by side."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from lossbook.algebra import Loss
from lossbook.figures.axes import (
    assignments,
    axis_labels,
    axis_limits,
    evaluate,
    pen_lifted,
    prediction_domain,
    usual_range,
    usual_target,
)
from lossbook.figures.style import load_matplotlib, new_figure, rc_parameters

__all__ = ["curves"]


def curves(
    *losses: Loss,
    vary: Mapping[str, Sequence[Any]] | None = None,
    target: Any = None,
    x: Any = None,
    labels: Sequence[str] | None = None,
    **parameters: Any,
) -> Any:
    """Loss and gradient of pointwise losses, side by side along the prediction.

    Parameters
    ----------
    *losses : Loss
        Pointwise losses over one kind of axis. One line each for every target and every setting of `vary`.
    vary : dict of str to sequence of float, optional
        The values that a parameter takes; a loss without that parameter is drawn once.
    target : float or sequence of float, optional
        If left out, 0 for observed values and 1 for labels.
    x : tuple of float or array_like, optional
        (low, high), or the predictions themselves; if left out, logits from -6 to 6, probabilities from 0 to 1, other
        predictions 3 to each side of the target.
    labels : sequence of str, optional
        The texts of the legend, one per line.
    **parameters
        Values that hold for every loss that has the parameter.

    Returns
    -------
    matplotlib.figure.Figure
        Two axes; a cell that ends with it shows it. Its lines hold the numbers of the losses, NaN where they are
        infinite, and one NaN more at each jump, so that both are left open. An axis on which something is infinite
        shows what lies over the middle four fifths of the predictions.

    Raises
    ------
    TypeError
        For a loss that is not pointwise or a parameter that no loss has.
    ValueError
        For losses without a common axis or a wrong number of labels.
    DomainError
        For values outside a domain.

    Examples
    --------
    ::

        curves(binary.focal_with_logits, vary={"gamma": [0, 1, 2, 5]}, target=1, alpha=0.5)
        curves(regression.squared_error, regression.huber, delta=2)
        curves(binary.cross_entropy, target=[1, 0])
    """
    vary = vary or {}
    if not losses:
        raise TypeError("curves: give at least one loss")
    for loss in losses:
        prediction_domain(loss)
    for name in (*vary, *parameters):
        if not any(name in loss.declaration.defaults for loss in losses):
            known = "; ".join(f"{loss.name} has {', '.join(loss.declaration.defaults) or 'none'}" for loss in losses)
            raise TypeError(f"curves: unknown parameter {name!r}; {known}")
        if name in vary and (name in parameters or np.ndim(vary[name]) != 1 or not len(vary[name])):
            raise TypeError(f"curves: vary needs a list of values of {name}, and {name} nowhere else")
    targets = None if target is None else [float(value) for value in np.atleast_1d(target)]
    reach = x if x is not None else usual_range(losses, targets[0] if targets else usual_target(losses[0]) or 0.0)
    x = np.linspace(float(reach[0]), float(reach[1]), 601) if len(reach) == 2 else np.asarray(reach, np.float64)

    lines, names = [], []
    for loss in losses:
        own = {name: value for name, value in parameters.items() if name in loss.declaration.defaults}
        varied = [name for name in vary if name in loss.declaration.defaults]
        each_target: Sequence[float | None] = (
            [None] if loss.declaration.target is None else targets or [usual_target(loss)]
        )
        for *setting, goal in product(*(vary[name] for name in varied), each_target):
            setting = dict(zip(varied, setting, strict=True))
            lines.append(evaluate(loss, x, goal, own | setting))
            parts = [loss.name] * (len(losses) > 1) + [assignments(setting)] * bool(setting)
            parts += [assignments({loss.declaration.target: goal})] * (len(each_target) > 1)
            names.append(", ".join(parts) or loss.name)
    if labels is not None and len(labels) != len(names):
        raise ValueError(f"curves: labels must be {len(names)} texts ({'; '.join(names)}); got {len(labels)}")
    labels = names if labels is None else list(labels)

    along, *titles = axis_labels(losses)
    of = f" of {losses[0].name}" if len(losses) == 1 and labels != [losses[0].name] else ""
    sentence = f"Loss and gradient{of} over the {along}: {'; '.join(labels)}."
    with load_matplotlib().rc_context(rc_parameters()):
        figure, axes = new_figure(sentence, 2, (6.6, 3.6))
        for which, (axis, title) in enumerate(zip(axes, titles, strict=True)):
            low, high = axis_limits([line[which] for line in lines])
            for line, label in zip(lines, labels, strict=True):
                values = np.where(np.isfinite(line[which]), line[which], np.nan)
                jumps = np.isfinite(values) & np.isfinite(np.roll(values, 1)) & pen_lifted(line[which], low, high)
                gaps = np.flatnonzero(jumps[1:]) + 1
                axis.plot(np.insert(x, gaps, x[gaps]), np.insert(values, gaps, np.nan), label=label)
            axis.set(xlabel=along, ylabel=title, xlim=(x.min(), x.max()))
            axis.set_ylim(low - 0.04 * (high - low), high + 0.04 * (high - low))
        handles = axes[0].get_lines()
        longest = max(map(len, labels))
        columns = 1 if longest > 32 else 2 if longest > 14 else 4
        figure.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(labels)))
    return figure
