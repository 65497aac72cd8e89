"""Small constants that keep probabilities from 0 and 1, found by what they do to values."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook.workshop.audit.findings import Finding, number
from lossbook.workshop.audit.match import NEARLY, Match
from lossbook.workshop.audit.points import Point
from lossbook.workshop.audit.subject import Refused
from lossbook.workshop.audit.trials import Trial


@dataclass(frozen=True)
class Clamp:
    """A small constant that keeps probabilities from 0 and 1."""

    epsilon: float
    added: bool
    point: Point
    got: float
    want: float

    def near(self, point: Point, logits: bool) -> bool:
        """Whether the constant is felt at a point."""
        x = np.abs(point[0])
        if logits:
            return bool((np.exp(-x) < 1e5 * self.epsilon).any())
        return bool((np.minimum(x, np.abs(1 - x)) < 1e5 * self.epsilon).any())


def first(array: Any) -> float:
    """The first number of an array."""
    return float(np.ravel(array)[0])


def clamped(match: Match, tried: list[Trial]) -> Clamp | None:
    """The constant that keeps the value finite where a sure mistake costs infinitely much, or that stops its growth."""
    domain, loss = match.candidate.loss.declaration.of_prediction, match.candidate.loss
    if loss.shape not in ("pointwise", "rows") or domain.holds_numbers_of_the_target or match.relation.offset:
        return None
    found = []
    for trial in tried:
        if trial.got is None or trial.got.size != np.size(trial.want) or not np.isfinite(trial.got).all():
            continue
        got, want = (first(part) / match.relation.factor for part in (trial.got, trial.want))
        if want == np.inf or (want > 190 and got < 0.9 * want):
            found.append((got, want, trial))
    if not found or (len(found) > 1 and max(got for got, _, _ in found) > 1.5 * abs(found[0][0]) + 60):
        return None
    got, want, trial = min(found, key=lambda one: abs(float(one[2].point[0].ravel()[0])))  # near 0, if there is one
    epsilon = behaves_as(match, trial)
    if epsilon is None:
        return None
    return Clamp(epsilon, adds(match, trial, epsilon), trial.point, first(trial.got), first(trial.want))


def adds(match: Match, trial: Trial, epsilon: float) -> bool:
    """Whether the constant is added to a probability that is larger than it, and not only the least that it may be."""
    prediction, target = trial.point
    if match.candidate.loss.declaration.of_prediction.high != 1 or prediction.ravel()[0] > 0.5 or epsilon < 1e-30:
        return match.error == NEARLY
    near, added = (np.where(prediction == prediction.ravel()[0], size * epsilon, prediction) for size in (3, 4))
    try:
        got = float(np.ravel(match.subject.value(near, target))[0])
    except Refused:
        return False
    clipped, moved = (float(np.ravel(match.expected(one, target))[0]) for one in (near, added))
    return abs(got - moved) < abs(got - clipped)


def behaves_as(match: Match, trial: Trial) -> float | None:
    """The probability of the truth that would cost what the function gives, found by bisection."""
    prediction, target = trial.point
    domain, shape = match.candidate.loss.declaration.of_prediction, match.candidate.loss.shape

    def with_probability(log_p: float) -> np.ndarray:
        p = math.exp(log_p)
        if shape == "rows":
            labels = np.ravel(np.asarray(target))[0] if target is not None else 0
            row = np.full(prediction.shape[1], (1 - p) / (prediction.shape[1] - 1))
            row[int(labels)] = p
            row = row if domain.high == 1 else np.log(np.maximum(row, 1e-300))
            return np.broadcast_to(row.reshape(1, -1, *[1] * (prediction.ndim - 2)), prediction.shape).copy()
        if domain.high > 1:
            far = -(log_p - math.log1p(-p))
            return np.full(prediction.shape, -far if prediction.ravel()[0] < 0 else far)
        return np.full(prediction.shape, p if prediction.ravel()[0] < 0.5 else 1 - p)

    low, high = -700.0, -0.7
    if prediction.ravel()[0] >= 0.5 and domain.high == 1 and shape == "pointwise":
        low = -36.0  # nearer to 1 there is no number
    goal = first(trial.got)
    sign = match.relation.factor
    for _ in range(60):
        middle = (low + high) / 2
        value = float(np.ravel(match.expected(with_probability(middle), target))[0])
        if value / sign > goal / sign:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2) if -699 < (low + high) / 2 < -0.71 else None


def of_clamp(match: Match, clamp: Clamp) -> Finding:
    """The statement about a clamp."""
    near = float(f"{clamp.epsilon:.2g}")
    value = near if abs(near - clamp.epsilon) <= 0.02 * near else clamp.epsilon
    how = "adds to" if clamp.added else "keeps as the least of"
    if clamp.epsilon < 1e-30:
        text = (f"It stops the logarithm: the cost of a sure mistake is {number(clamp.got)}, as if the probability of "
                f"the truth were {value:.3g}, where it is {number(clamp.want)}.")
    else:
        text = (f"It has a small constant, about {value:.2g}, which it {how} a probability: a sure mistake costs "
                f"{number(clamp.got)}, not {number(clamp.want)}.")
    return Finding("clamp", "convention", text, match.subject.turned(*clamp.point), clamp.got, clamp.want)
