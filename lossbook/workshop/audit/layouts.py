"""Layouts: the shapes in which functions want a prediction, and the kinds in which they want a target.

Probes are drawn as this package's losses take them; a layout turns them into what a function takes, and turns its
slopes back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Turn = Callable[[np.ndarray], np.ndarray]
Back = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of slopes and the prediction


def same(array: np.ndarray) -> np.ndarray:
    """The array itself."""
    return array


def kept(slopes: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The slopes themselves."""
    return slopes


@dataclass(frozen=True)
class Layout:
    """One way to arrange a prediction."""

    name: str
    shapes: tuple[tuple[int, ...], ...]  # of the probes, no two lengths of an axis alike
    least: tuple[int, ...]  # the shape of the smallest input, with -1 for what has a length of its own
    text: str = ""  # what a report says of it, if it is not the ordinary one
    turn: Turn = same
    back: Back = kept  # slopes along what was turned, as slopes along the prediction
    turn_target: Turn | None = None  # of targets with a class axis; as predictions if None
    normalized: bool = False  # predictions add up to 1 over the classes, which the function asks for
    fallback: bool = False  # it is tried after all others, since it does not show all of a function
    single: bool = False  # the function takes one element, row or box at a time


def first_last(array: np.ndarray) -> np.ndarray:
    """The class axis moved to the end."""
    return np.moveaxis(array, 1, -1)


def last_first(slopes: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The class axis moved back."""
    return np.moveaxis(slopes, -1, 1)


def only(array: np.ndarray) -> np.ndarray:
    """The single mask of an image of one class."""
    return array[0, 0] if array.ndim > 2 else array


def alone(slopes: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """A mask as an image of one class."""
    return slopes.reshape(prediction.shape)


def along_probabilities(slopes: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Slopes along logarithms of the prediction."""
    return slopes / prediction


TO_CENTER = np.array([[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [-1, 0, 1, 0], [0, -1, 0, 1]])
TO_SIDES = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [-1, 0, 1, 0], [0, -1, 0, 1]])


def linear(matrix: np.ndarray) -> tuple[Turn, Back]:
    """(boxes times a matrix, their slopes turned back)"""
    return lambda boxes: (boxes @ matrix.T).astype(boxes.dtype), lambda slopes, boxes: slopes @ matrix


POINTWISE = (
    Layout("table", ((5, 3), (2, 4)), (1, 1)),
    Layout("vector", ((7,), (4,)), (1,), fallback=True),
    Layout("image", ((3, 1, 4, 2), (2, 1, 3, 5)), (1, 1, 1, 1), "It takes images of shape (N, 1, H, W).",
           fallback=True),
    Layout("single", ((7,),), (1,), "It takes one number at a time.", single=True, fallback=True),
)
ROWS = (
    Layout("table", ((6, 3), (5, 4)), (1, -1)),
    Layout("image", ((5, 3, 2, 4), (2, 4, 3, 5)), (1, -1, 1, 1), "It takes images of shape (N, C, H, W).",
           fallback=True),
    Layout("class axis last", ((5, 2, 4, 3), (2, 3, 5, 4)), (1, -1, 1, 1),
           "Its class axis is the last one, as in (N, H, W, C), not axis 1.", first_last, last_first, fallback=True),
    Layout("single", ((6, 3), (5, 4)), (1, -1), "It takes one row at a time.", single=True, fallback=True),
)
OVERLAP = (
    Layout("image", ((5, 3, 2, 4), (3, 2, 4, 5)), (1, 2, 1, -1)),
    Layout("one class", ((3, 1, 2, 4), (2, 1, 5, 3)), (1, 1, 1, -1), "It takes one class, as in (N, 1, H, W).",
           fallback=True),
    Layout("class axis last", ((5, 2, 4, 3), (3, 4, 5, 2)), (1, 2, 1, -1),
           "Its class axis is the last one, as in (N, H, W, C), not axis 1.", first_last, last_first),
    Layout("distribution", ((5, 3, 2, 4), (3, 2, 4, 5)), (1, 2, 1, -1),
           "Its predictions have to add up to 1 over the classes.",
           normalized=True, fallback=True),
    Layout("distribution, class axis last", ((5, 2, 4, 3), (3, 4, 5, 2)), (1, 2, 1, -1),
           "Its predictions have to add up to 1 over the last axis, which is its class axis.", first_last, last_first,
           normalized=True, fallback=True),
    Layout("mask", ((1, 1, 3, 4), (1, 1, 2, 5)), (1, 1, 1, -1), "It takes one mask at a time.",
           only, alone, fallback=True),
)
BOXES = (
    Layout("corners", ((6, 4), (5, 4)), (1, 4)),
    Layout("single", ((6, 4), (5, 4)), (1, 4), "It takes one box at a time.", single=True, fallback=True),
    Layout("center", ((6, 4), (5, 4)), (1, 4), "Its boxes are (center x, center y, width, height).",
           *linear(TO_CENTER)),
    Layout("sides", ((6, 4), (5, 4)), (1, 4), "Its boxes are (x, y, width, height).", *linear(TO_SIDES)),
)
LOGARITHMS = Layout("logarithms", ((6, 3), (5, 4)), (1, -1), "It takes the logarithms of the probabilities.",
                    np.log, along_probabilities, same)
OF_SPACE = {"pointwise": POINTWISE, "rows": ROWS, "overlap": OVERLAP, "boxes": BOXES}


@dataclass(frozen=True)
class Kind:
    """One way to write a target."""

    name: str
    write: Callable[[np.ndarray, np.ndarray], np.ndarray]  # from the target and the prediction, as we take them
    text: str = ""


def one_hot(labels: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The labels as a distribution with the class axis of the prediction."""
    if labels.ndim == prediction.ndim:
        return labels.astype(prediction.dtype)
    hot = labels[:, None] == np.arange(prediction.shape[1]).reshape(-1, *[1] * (labels.ndim - 1))
    return hot.astype(prediction.dtype)


def index(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The labels of a mask, or the labels themselves."""
    return target.argmax(axis=1) if target.ndim == prediction.ndim else target


def as_floats(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The target in the type of the prediction."""
    return target.astype(prediction.dtype)


def as_integers(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The target as integers."""
    return target.astype(np.int64)


FLOATS = Kind("floats", as_floats)
INTEGERS = Kind("integers", as_integers, "Its labels must be integers.")
INDEX = Kind("class indices", lambda target, p: index(target, p).astype(np.int64))
ONE_HOT = Kind("one-hot", one_hot, "Its targets are one-hot, with the class axis, not class indices.")
DISTRIBUTION = Kind("distributions", one_hot)
MASK = Kind("masks", one_hot)
OF_MASK = Kind("class indices", lambda target, p: index(target, p).astype(np.int64),
               "Its targets are class indices without the class axis, not masks.")
COLUMN = Kind("indices in a column", lambda target, p: index(target, p)[:, None].astype(np.int64),
              "Its class indices have a class axis of length 1, as in (N, 1, H, W).")
KINDS = {
    "pointwise": (FLOATS, INTEGERS),
    "rows": (INDEX, ONE_HOT, COLUMN),
    "overlap": (MASK, OF_MASK, COLUMN),
    "boxes": (FLOATS,),
}


def layouts(loss: Any) -> tuple[Layout, ...]:
    """The layouts in which functions of such a loss may take the prediction."""
    if loss.name.endswith("kullback_leibler") and loss.shape == "rows":
        return (*OF_SPACE[loss.shape], LOGARITHMS)  # which no loss of this package takes for a divergence
    return OF_SPACE[loss.shape]


def kinds(loss: Any) -> tuple[Kind, ...]:
    """The kinds of targets that functions of such a loss may take."""
    if loss.shape == "rows" and not loss.declaration.of_target.holds_classes:
        return (FLOATS, INTEGERS)
    if loss.name == "multiclass.kullback_leibler":
        return (DISTRIBUTION,)
    return KINDS[loss.shape]
