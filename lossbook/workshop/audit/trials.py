"""What a function gives far out, beside what it has to give."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook.workshop.audit.findings import number
from lossbook.workshop.audit.layouts import LOGARITHMS
from lossbook.workshop.audit.match import Match
from lossbook.workshop.audit.points import Point, points
from lossbook.workshop.audit.subject import Refused


@dataclass(frozen=True)
class Trial:
    """What a function gave at a point, and what it had to give."""

    point: Point
    got: np.ndarray | None
    want: np.ndarray
    slope: np.ndarray | None
    exact: np.ndarray
    error: str = ""


def trials(match: Match, dtype: Any) -> Iterator[Trial]:
    """The function at every point."""
    # What is added to all slopes of a row, as by a division by the sum of the row, is nothing to a softmax in front.
    up_to_a_constant = match.candidate.loss.shape == "rows" and match.candidate.loss.declaration.of_prediction.high == 1
    for point in points(match, dtype):
        if match.subject.layout is LOGARITHMS and not point[0].all():
            continue  # which has no logarithm
        try:
            want, exact = match.expected(*point), match.slopes(*point)
        except ValueError:
            continue
        try:
            value, slope = match.subject.value_and_slope(*point)
            if up_to_a_constant and slope is not None and slope.shape == exact.shape:
                with np.errstate(invalid="ignore"):  # of infinite slopes
                    slope, exact = (part - part.mean(axis=1, keepdims=True) for part in (slope, exact))
            yield Trial(point, value, want, slope, exact)
        except Refused as error:
            yield Trial(point, None, want, None, exact, str(error))


def turned(match: Match, trial: Trial) -> tuple[np.ndarray, ...]:
    """The inputs of a trial, as the function takes them."""
    return match.subject.turned(*trial.point)


def at(match: Match, trial: Trial) -> str:
    """Where a trial was made, for a sentence."""
    return place(match, trial) + (" in float32" if trial.point[0].dtype == np.float32 else "")


def place(match: Match, trial: Trial) -> str:
    """The prediction and the target of a trial."""
    prediction, target = trial.point
    first = prediction.ravel()
    if match.candidate.loss.shape in ("overlap", "boxes") or (first != first[0]).any():
        where = "[" + ", ".join(map(number, first)) + "]"
    else:
        where = number(first[0])
    if target is None:
        return f"prediction {where}"
    labels = target.ravel()
    if match.candidate.loss.shape in ("overlap", "boxes"):
        return f"prediction {where}, target [" + ", ".join(map(number, labels)) + "]"
    return f"prediction {where}, target {number(labels[0])}"
