"""Where boosting should begin: the constant score whose loss is least."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lossbook.algebra import Loss
from lossbook.boosting.calls import indices, refuse_bounded, suited
from lossbook.errors import DomainError, ShapeError


def initial_score(
    loss: Loss, y: ArrayLike, /, *, weight: ArrayLike | None = None, **parameters: Any
) -> float | np.ndarray:
    """The constant score whose loss is least: where boosting should begin.

    With an objective of one's own the libraries begin at a constant that knows nothing of the labels, and the first
    trees are spent on the way to it. `xgboost.train` and `XGBRegressor` take a number as `base_score`, `XGBClassifier`
    the sigmoid of it. LightGBM takes it for each row as `init_score` of the data, and leaves it out of what it
    predicts. Scores of classes go there as an array of shape (N, C), and into XGBoost's `base_margin`.

    Parameters
    ----------
    loss : Loss
        As `objective` takes it.
    y : array
        Labels.
    weight : array, optional
        Of each label.
    **parameters
        Of the loss.

    Returns
    -------
    float or array
        One number, in float64; for a loss of rows one for each class up to the largest of the labels, with the mean 0.
        Of a loss that is not convex it is a constant at which the slope vanishes.

    Raises
    ------
    TypeError
        As `objective` does.
    DomainError
        For labels whose best score is infinite, as where all are 1, or where a class is absent.

    Examples
    --------
    >>> from lossbook import binary, regression
    >>> from lossbook.boosting import initial_score
    >>> round(initial_score(binary.cross_entropy_with_logits, [1, 1, 1, 0]), 4)  # log of 3 to 1
    1.0986
    >>> initial_score(regression.squared_error, [1.0, 2.0, 6.0])
    3.0
    """
    where = "lossbook.boosting.initial_score"
    loss = suited(where, loss, parameters)
    refuse_bounded(where, loss)
    labels = np.asarray(y, np.float64).ravel()
    weights = np.ones(len(labels)) if weight is None else np.asarray(weight, np.float64).ravel()
    if len(weights) != len(labels):
        raise ShapeError(where, "weight", f"must have shape {labels.shape}, as y has", weights.shape)
    labels, weights = labels[weights > 0], weights[weights > 0]
    if not len(labels):
        raise ShapeError(where, "y", "must have labels of positive weight", np.shape(y))
    labels, place = np.unique(labels, return_inverse=True)
    weights = np.bincount(place, weights)
    if not loss.space.classes:
        return _turning_point(where, loss, labels, weights)
    if not loss.declaration.by_class:
        raise TypeError(f"{where}: takes a loss of elements or of class indices; {loss.name} is neither")
    return _lowest_row(where, loss, indices(where, labels), weights)


def _turning_point(where: str, loss: Loss, labels: np.ndarray, weights: np.ndarray) -> float:
    """Where the slope of the loss along a common score turns from negative to positive, by halving an interval."""

    def slope(score: float) -> float:
        return float(loss.grad(np.full(len(labels), score), labels, reduction="sum", weight=weights).sum())

    if loss.declaration.of_prediction.holds_numbers_of_the_target:
        low, high = float(labels.min()), float(labels.max())
    else:
        low, high = -1.0, 1.0
        while slope(low) >= 0 or slope(high) <= 0:
            low, high = 2 * low, 2 * high
            if high > 1e6:
                raise DomainError(where, "y", "must be labels whose best score is finite", labels.tolist())
    while low < (middle := low + (high - low) / 2) < high:
        found = slope(middle)
        if found == 0:
            return middle
        low, high = (middle, high) if found < 0 else (low, middle)
    return high


def _lowest_row(where: str, loss: Loss, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The scores of all classes, by steps of gradient over twice the Hessian, halved where the loss would rise."""
    classes = int(labels.max()) + 1
    absent = sorted({*range(classes)} - {*labels.tolist()})
    if absent or classes < 2:
        raise DomainError(where, "y", "must have every class, and two or more", said=f"{len(labels)} of {classes}")
    z, total = np.zeros(classes), weights.sum()

    def results(z: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        rows = np.tile(z, (len(labels), 1))
        value, *slopes = loss.value_grad_and_hessian(rows, labels, reduction="sum", weight=weights)
        gradient, hessian = (slope.sum(axis=0) for slope in slopes)
        return float(value), gradient, hessian

    value, gradient, hessian = results(z)
    for _ in range(1000):
        if abs(gradient).max() < 1e-13 * total:
            break
        step, factor = gradient / np.maximum(2 * hessian, 1e-6 * total), 1.0
        while (found := results(z - factor * step))[0] > value + 1e-12 * abs(value) and factor > 1e-6:
            factor /= 2
        z, (value, gradient, hessian) = z - factor * step, found
    return z - z.mean()
