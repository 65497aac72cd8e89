"""What libraries of boosting give to a function of the user, as a loss takes it; and which losses they can use."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lossbook.algebra import Loss
from lossbook.errors import DomainError, ShapeError, shown
from lossbook.spaces import ELEMENTS, ROWS

REFUSED = {
    "reduction": "takes no reduction, since boosting needs the gradient of each row, that of the sum; "
    "that of a mean is as many times too small as there are rows",
    "weight": "takes no weight; weights come with the data, as in DMatrix(..., weight=), Dataset(..., weight=) and "
    "fit(..., sample_weight=)",
    "axis": "takes no axis; scores of classes have the shape (N, C)",
    "out": "takes no out",
}


class Given(NamedTuple):
    """What a call of a library gives, and whose call it is."""

    scores: np.ndarray
    labels: np.ndarray
    weight: np.ndarray | None
    native: bool
    lightgbm: bool


def given_by(where: str, first: Any, second: Any, more: tuple[Any, ...], sample_weight: Any) -> Given:
    """The arguments of a call in any of the four ways.

    The interfaces for scikit-learn differ in how they give weights: LightGBM counts the arguments that a function takes
    and gives (labels, scores, weight, group) by position; XGBoost gives two arrays, and weights as sample_weight.
    """
    if hasattr(first, "get_label"):
        raise TypeError(f"{where}: takes (scores, data) or (labels, scores); got {type(first).__name__} first")
    if native := hasattr(second, "get_label"):
        scores, labels, weight = first, second.get_label(), second.get_weight()
        lightgbm = hasattr(second, "get_init_score")
        if labels is None:
            raise DomainError(where, "data", "must have labels")
    else:
        labels, scores, lightgbm = first, second, bool(more)
        weight = more[0] if more else sample_weight
    weight = None if weight is None or np.size(weight) == 0 else np.asarray(weight)
    return Given(np.asarray(scores), np.asarray(labels), weight, native, lightgbm)


class Call(NamedTuple):
    """The arrays as a loss takes them, and the way back to the shape of the scores."""

    z: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    back: Callable[[np.ndarray], np.ndarray]


def arranged(loss: Loss, given: Given) -> Call:
    """Scores as (N,), or (N, C) where there are classes; targets and weights that fit them."""
    scores, labels, weight = given.scores, given.labels, given.weight
    z, back = scores, _same
    if loss.space.classes:
        if scores.ndim == 1 and scores.size > len(labels) > 0:  # as LightGBM before version 4 had it: class by class
            z, back = scores.reshape(-1, len(labels)).T, _flat
        if z.ndim != 2 or z.shape[1] < 2:
            hint = "set num_class; for two classes of one score take a loss of binary"
            raise ShapeError(loss.name, "scores", "must be of two classes or more", scores.shape, hint=hint)
    y = targets(loss, z, labels)
    if weight is not None and not loss.space.classes and z.ndim > 1:
        weight = np.broadcast_to(weight.reshape(len(z), -1), z.shape)
    return Call(z, y, weight, back)


def targets(loss: Loss, z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Labels, which come as float32, as the loss takes them."""
    if labels.size == z.size:
        return labels.reshape(z.shape)
    if not loss.declaration.by_class or labels.size != len(z):
        rule = f"must be as many as the scores, {z.shape}"
        rule += ", or one class for each row" if loss.declaration.by_class else ""
        raise ShapeError(loss.name, "labels", rule, labels.shape)
    return indices(loss.name, labels.reshape(len(z)))


def indices(where: str, labels: np.ndarray) -> np.ndarray:
    """Class indices as integers."""
    if labels.dtype.kind in "biu":
        return labels.astype(np.int64)
    if labels.dtype.kind != "f":
        raise DomainError(where, "labels", "must be the indices of classes", labels.dtype)
    wrong = ~(labels == np.rint(labels))  # a NaN, too
    if wrong.any():
        at = int(np.argmax(wrong))
        raise DomainError(where, "labels", "must be whole numbers, the indices of classes", labels[at].item(), (at,))
    return labels.astype(np.int64)


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _flat(array: np.ndarray) -> np.ndarray:
    return np.ravel(array, order="F")


def suited(where: str, loss: Any, parameters: Mapping[str, Any]) -> Loss:
    """The loss with its parameters, if it has one value for each element or row of one prediction."""
    if not isinstance(loss, Loss):
        raise TypeError(f"{where}: takes a loss; got {shown(loss)}")
    for name, why in REFUSED.items():
        if name in parameters:
            raise TypeError(f"{where}: {why}")
    name, declaration = loss.name, loss.declaration
    if len(declaration.predictions) != 1 or declaration.target is None:
        raise TypeError(f"{where}: takes a loss of one prediction and one target; {name} is one of other arrays")
    if loss.space not in (ELEMENTS, ROWS):
        of = f"each {loss.space.value_of}" if loss.shape != "mixed" else "parts of several kinds"
        raise TypeError(f"{where}: takes a loss with a value for each element or row; {name} has values for {of}")
    return loss.with_parameters(**parameters) if parameters else loss


def refuse_bounded(where: str, loss: Loss) -> None:
    """Refuse losses of what is no raw score: trees add up to any number."""
    domain = loss.declaration.of_prediction
    if not domain.checked:
        return
    hint = "take a loss of logits"
    if domain.holds_probabilities:
        module, _, own = loss.name.rpartition(".")
        activation = "softmax" if loss.space.classes else "sigmoid"
        with_logits = hasattr(sys.modules.get(f"lossbook.{module}"), f"{own}_with_logits")
        hint = f"take {loss.name}_with_logits" if with_logits else f"take {loss.name}.on_logits({activation!r})"
    raise TypeError(
        f"{where}: takes a loss of raw scores, since sums of trees may be any number; "
        f"{loss.name} is one of {domain.describes} ({hint})"
    )
