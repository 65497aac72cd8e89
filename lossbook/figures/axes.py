"""What a loss says about the axes that it is drawn on, and what of its values is in sight."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy

from lossbook.algebra import Loss
from lossbook.domains import Domain

__all__ = [
    "JUMP", "POINTS", "assignments", "axis_labels", "axis_limits", "between", "evaluate", "needs_a_logit_and_a_label",
    "pen_lifted", "prediction_domain", "reaching", "sigmoid", "usual_range", "usual_target",
]  # fmt: skip

# Where neighbors are further apart than this share of an axis, a line of so many points jumps.
JUMP, POINTS = 0.121, 120


def prediction_domain(loss: Loss) -> Domain:
    """The domain of a loss's prediction; what cannot be drawn over one number is refused."""
    if not isinstance(loss, Loss):
        raise TypeError(f"figures draw losses of lossbook; got {type(loss).__name__}")
    if loss.space.axis is not None:
        of = "a row of classes" if loss.space.rows_of_classes else "a whole image"
        raise TypeError(
            f"{loss.name}: only pointwise losses can be drawn over one number; a value of this one is about {of}"
        )
    return loss.declaration.of_prediction


def needs_a_logit_and_a_label(where: str, loss: Any) -> None:
    """Refuse what does not compare one logit with a label, in the name of a figure."""
    if not isinstance(loss, Loss) or not prediction_domain(loss).holds_logits or loss.declaration.of_target is None:
        raise TypeError(f"{where}: needs a loss of a logit and a label; got {getattr(loss, 'name', loss)}")


def reaching(
    where: str, argument: str, low: float, high: float, start: float, within: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float, float]:
    """The ends of a slider, widened where they do not hold its start, and that start, with at most six decimals.

    What no slider can show is refused in the name of the figure, and so is what lies outside `within`.
    """
    if not low < high:
        raise ValueError(f"{where}: {argument} needs ends with low < high; got {low:g} and {high:g}")
    if not np.isfinite(start):
        raise ValueError(f"{where}: {argument} must be finite; got {start:g}")
    if not within[0] <= start <= within[1]:
        raise ValueError(f"{where}: {argument} must be in [{within[0]:g}, {within[1]:g}]; got {start:g}")
    low, high, start = (round(n if isinstance(n, int) else float(n), 6) + 0 for n in (low, high, start))
    return min(low, start), max(high, start), start


def sigmoid(x: Any) -> np.ndarray:
    """The probability that a logit means, for logits of any size."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(x, float)))


def between(low: float, high: float) -> np.ndarray:
    """The places at which a line is drawn, from low to high."""
    return low + (high - low) * np.arange(POINTS + 1) / POINTS


def usual_target(loss: Loss) -> float | None:
    """The target of a figure that is told none: 0 for observed values, 1 for labels; None without a target."""
    return None if loss.declaration.of_target is None else 0.0 if loss.declaration.of_target.is_observed else 1.0


def usual_range(losses: Sequence[Loss], target: float) -> tuple[float, float]:
    """(low, high) of the predictions that a figure shows if it is not told."""
    domains = [prediction_domain(loss) for loss in losses]
    if len({(d.low, d.high) for d in domains}) > 1:
        names = ", ".join(f"{loss.name} takes {d.name}" for loss, d in zip(losses, domains, strict=True))
        raise ValueError(f"these losses have no common axis ({names}); draw them in two figures")
    if domains[0].bounded:
        return domains[0].low, domains[0].high
    if any(domain.holds_logits for domain in domains):
        return -6.0, 6.0
    return target - 3.0, target + 3.0


def axis_labels(losses: Sequence[Loss]) -> tuple[str, str, str]:
    """The labels of the prediction, of the loss and of the gradient."""
    kinds = {prediction_domain(loss).name for loss in losses}
    names = {loss.declaration.arrays[0] for loss in losses}
    words: dict[tuple[str, ...], str] = {("Logit",): "logit", ("Probability",): "probability"}
    word, name = words.get(tuple(kinds), "prediction"), names.pop() if len(names) == 1 else ""
    # Logarithms of probabilities are measured in nats; log_cosh of a residual is not.
    domains = [prediction_domain(loss) for loss in losses]
    has_logarithms = all(loss.textbook.has(sympy.log) for loss in losses)
    nats = has_logarithms and not any(domain.holds_numbers_of_the_target for domain in domains)
    return f"{word} {name}".strip(), f"loss{' (nats)' if nats else ''}", f"d loss / d {name or word}"


def evaluate(loss: Loss, x: Any, target: float | None, parameters: Mapping[str, Any]) -> tuple[Any, Any]:
    """(values, gradient) of a loss, one per prediction, for one target."""
    arrays = (x,) if target is None else (x, np.full_like(x, target))
    return loss.value_and_grad(*arrays, reduction="none", **parameters)


def axis_limits(curves: Any) -> tuple[float, float]:
    """(low, high) of an axis: all values, or on a side that goes to infinity those of the middle four fifths."""
    values = np.asarray(curves)
    tenth = values.shape[1] // 10

    def finite(infinity):
        kept = values[:, tenth:-tenth] if tenth and np.any(values == infinity) else values
        return kept[np.isfinite(kept)]

    low, high = float(finite(-np.inf).min(initial=np.inf)), float(finite(np.inf).max(initial=-np.inf))
    if not np.isfinite(high - low):
        return 0.0, 1.0
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def pen_lifted(line: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where the pen is lifted before a point: after infinity, and across a jump that is in sight."""
    slack = 1e-5 * (high - low)  # a last digit does not put a point out of sight
    side = (line > high + slack).astype(int) - (line < low - slack)  # 1 above what is in sight, -1 below
    with np.errstate(invalid="ignore"):
        step = np.abs(np.diff(line))
    far = step > JUMP * max(1, POINTS / len(line)) * (high - low)
    return np.append(True, ~np.isfinite(step) | far & (side[1:] + side[:-1] == 0))


def assignments(settings: Mapping[str, Any]) -> str:
    """ "gamma = 2, alpha = 0.25"; what is None is left out."""
    given = [(name, value) for name, value in settings.items() if value is not None]
    return ", ".join(f"{name} = {value if isinstance(value, bool) else format(value, 'g')}" for name, value in given)
