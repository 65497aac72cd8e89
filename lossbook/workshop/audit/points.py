"""Single inputs at which implementations fail: far out, at the edges of a domain, empty, perfect."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lossbook.workshop.audit.layouts import MASK
from lossbook.workshop.audit.match import Match

Point = tuple[np.ndarray, np.ndarray | None]

LOGITS = (0.0, 1e-3, 0.5, 3.0, 8.0, 17.0, 20.0, 40.0, 60.0, 87.0, 100.0, 200.0, 800.0, 1e4)
PROBABILITIES = (0.0, 1e-30, 1e-10, 1e-7, 1e-4, 0.01, 0.5, 0.99, 1 - 2.0**-14, 1 - 2.0**-24, 1.0)
RESIDUALS = (0.0, 1e-12, 1e-6, 1e-3, 0.1, 2.0, 30.0, 100.0, 800.0, 1e5, 1e15)


def points(match: Match, dtype: Any) -> Iterator[Point]:
    """The inputs, each as small as the layout allows, in a type."""
    loss, least = match.candidate.loss, match.subject.layout.least
    declaration: Any = loss.declaration
    if loss.shape == "pointwise" or (loss.shape == "rows" and not declaration.of_target.holds_classes):
        shape = tuple(2 if length == -1 else length for length in least)
        for value, label in elements(declaration):
            target = None if label is None else np.full(shape, label, dtype)
            yield np.full(shape, value, dtype), target
    elif loss.shape == "rows":
        yield from rows(declaration, least, match.subject.layout.shapes[0][1], dtype)
    elif loss.shape == "overlap":
        yield from masks(match, declaration, least, dtype)
    else:
        for p, t in zip(*boxes(), strict=True):
            yield np.array([p], dtype), np.array([t], dtype)


def elements(declaration: Any) -> Iterator[tuple[float, float | None]]:
    """(prediction, label) of pointwise losses."""
    domain, of_target = declaration.of_prediction, declaration.of_target
    values = PROBABILITIES if domain.high == 1 else (*LOGITS, *(-z for z in LOGITS[1:]))
    if of_target is None:
        yield from ((value, None) for value in values)
    elif of_target.name == "Outcome":
        for r in RESIDUALS:
            yield r, 0.0
            yield -r, 0.0
        yield 1.0, 1.0
    else:
        labels = of_target.values or (0.0, 1.0)
        yield from ((value, label) for label in labels for value in values)


def rows(declaration: Any, least: tuple[int, ...], classes: int, dtype: Any) -> Iterator[Point]:
    """One row of a few classes: sure and right, sure and wrong, equal."""
    ends = least[2:]
    for value in PROBABILITIES if declaration.of_prediction.high == 1 else LOGITS:
        if declaration.of_prediction.high == 1:
            row = np.array([value] + [(1 - value) / (classes - 1)] * (classes - 1))
        elif declaration.of_prediction.high == 0:
            row = -np.array([value, value / 2] + [1.0] * (classes - 2))
        else:
            row = np.array([value, 0.0] + [-0.5] * (classes - 2))
        for label in (0, 1):
            yield row.reshape(1, classes, *ends).astype(dtype), np.full((1, *ends), label)


def masks(match: Match, declaration: Any, least: tuple[int, ...], dtype: Any) -> Iterator[Point]:
    """Images of one pixel row: empty and full masks, perfect and wrong predictions."""
    classes, shape = least[1], (*least[:-1], 4)
    low, high = (0.0, 1.0) if declaration.of_prediction.high == 1 else (-200.0, 200.0)
    first = np.zeros(shape, dtype)
    first[:, 0] = 1
    if classes == 1:
        half = np.array([1, 1, 0, 0], dtype).reshape(shape)
        targets = [np.zeros(shape, dtype), np.ones(shape, dtype), half]
    else:
        half = first.copy()
        half[:, 0, ..., :2], half[:, 1, ..., :2] = 0, 1
        targets = [first, half]
        if match.subject.kind is MASK and not match.subject.layout.normalized:
            targets.append(np.zeros(shape, dtype))
    for target in targets:
        for right in (target, 1 - target, np.zeros_like(target), np.ones_like(target)):
            yield np.where(right == 1, high, low).astype(dtype), target
        yield np.full(shape, 0.5 if low == 0 else 0.0, dtype), target


def boxes() -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """(predicted, true): overlapping, the same, apart, one inside the other, without area, small, far away."""
    true = (1.0, 1.0, 3.0, 4.0)
    predicted = [
        (0.5, 2.0, 2.5, 5.0), true, (5.0, 6.0, 8.0, 7.0), (5.0, 1.0, 8.0, 4.0), (1.5, 2.0, 2.0, 3.0),
        (2.0, 2.0, 2.0, 2.0), (5.0, 5.0, 5.0, 5.0), (1.0, 1.0, 3.001, 4.0), (1000.0, 1000.0, 1001.0, 1001.0),
    ]
    point, line = (2.0, 2.0, 2.0, 2.0), (2.0, 2.0, 3.0, 2.0)
    return [*predicted, point, true], [*[true] * len(predicted), point, line]
