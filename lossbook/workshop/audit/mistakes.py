"""Which mistakes a function for a loss may make, and what else it may be instead."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lossbook.workshop.audit.attempts import is_divergence
from lossbook.workshop.audit.candidates import Candidate, all_losses
from lossbook.workshop.audit.cases import GAMMA, Mistake
from lossbook.workshop.audit.mistakes_of_elements import ADDED, OF_BENDS, OF_FOCAL, OF_LABELS, OF_NUMBERS
from lossbook.workshop.audit.mistakes_of_regions import OF_BOXES, OF_DICE, OF_JACCARD, OF_MASKS
from lossbook.workshop.audit.mistakes_of_rows import OF_CLASSES, PER_CLASS

REVERSED = Mistake(
    "arguments exchanged", "It takes the divergence the other way round: D(p || y), where D(y || p) is meant.",
    lambda c: c.meant(c.target, c.prediction),
)


def mistakes(candidate: Candidate) -> Iterator[Mistake]:
    """The mistakes that functions for this loss may make."""
    loss = candidate.loss
    declaration = loss.declaration
    if declaration.of_target is None:
        return
    if is_divergence(loss):
        yield REVERSED
    elif loss.shape == "pointwise" and declaration.of_target.may_be_smoothed:
        yield from OF_LABELS
        if declaration.of_prediction.holds_probabilities:
            yield from ADDED
        if "gamma" in declaration.parameters:
            yield from OF_FOCAL
    elif loss.shape == "pointwise" and declaration.of_target.name == "Outcome":
        yield from OF_NUMBERS
        if loss.name in ("regression.huber", "regression.smooth_l1"):
            yield from OF_BENDS
    elif loss.shape == "rows" and declaration.of_target.holds_classes and not is_divergence(loss):
        focal = "gamma" in declaration.parameters
        yield from (one for one in OF_CLASSES if focal or one.name not in ("alpha by class", GAMMA))
        yield PER_CLASS
    elif loss.shape == "overlap":
        yield from {"segmentation.dice": OF_DICE, "segmentation.jaccard": OF_JACCARD}.get(loss.name, ())
        yield from OF_MASKS
    elif loss.shape == "boxes":
        yield from OF_BOXES


def others(candidate: Candidate) -> Iterator[Candidate]:
    """Other losses of this package for the same arrays: what the function may be instead."""
    mine = candidate.loss
    for loss, text in all_losses():
        one, two = loss.declaration, mine.declaration
        if loss.name == mine.name or loss.shape != mine.shape or len(one.arrays) != len(two.arrays):
            continue
        if one.of_prediction.low <= two.of_prediction.low and one.of_prediction.high >= two.of_prediction.high:
            yield Candidate(loss, text)


# --- what is done to the value afterwards ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Outer:
    """Something done to the whole value: the name, the sentence, and what undoes it."""

    name: str
    text: str
    undo: Callable[[np.ndarray], np.ndarray]
    score: bool = False  # it is done to the score 1 - loss


OUTER = (
    Outer("root", "It takes the square root of the value.", lambda value: value**2),
    Outer("logarithm of the score", "It takes minus the logarithm of the score.", lambda value: 1 - np.exp(-value)),
    Outer("logarithm of the loss", "It takes the logarithm of the value.", np.exp),
    Outer("logarithm of the loss", "It takes log(1 + loss).", np.expm1),
    Outer("exponential of the loss", "It takes the exponential of the value.", np.log),
    Outer("inverse", "It takes one over the value.", lambda value: 1 / value),
)
