"""Known mistakes: what a function would give that makes one of them, so that each is found by its numbers.

A mistake gives losses for the same arrays as the loss that is meant; the search then compares them with what the
function gives, as it compares those of the loss itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook.workshop.audit.candidates import Candidate, Variation, all_losses
from lossbook.workshop.audit.layouts import one_hot

Losses = np.ndarray


@dataclass(frozen=True)
class Case:
    """The arrays of a probe, and the loss that is meant."""

    candidate: Candidate
    prediction: np.ndarray
    target: np.ndarray
    parameters: dict[str, Any]

    def meant(self, prediction: np.ndarray | None = None, target: np.ndarray | None = None, **changed: Any) -> Losses:
        """The losses that are meant, with another prediction, target or parameter."""
        return self.candidate.losses(
            self.prediction if prediction is None else prediction,
            self.target if target is None else target, {**self.parameters, **changed},
        )

    @property
    def probabilities(self) -> np.ndarray:
        """The probabilities that the prediction stands for."""
        x, declaration = self.prediction, self.candidate.loss.declaration
        if declaration.of_prediction.holds_probabilities:
            return x
        if declaration.of_prediction.high == 0:
            return np.exp(x)
        return softmax(x, 1) if self.candidate.loss.shape == "rows" else sigmoid(x)

    @property
    def hot(self) -> np.ndarray:
        """The target with a class axis."""
        return one_hot(self.target, self.prediction)

    @property
    def ones(self) -> Losses:
        """What every element costs if its label is 1."""
        return self.meant(target=np.ones_like(self.prediction))

    @property
    def zeros(self) -> Losses:
        """What every element costs if its label is 0."""
        return self.meant(target=np.zeros_like(self.prediction))

    @property
    def residual(self) -> np.ndarray:
        """Prediction less target."""
        return self.prediction - self.target

    def parameter(self, name: str, default: float = 1.0) -> float:
        """A parameter of the loss that is meant."""
        return self.parameters.get(name, default)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """The probability of a logit."""
    return 1 / (1 + np.exp(-z))


def softmax(z: np.ndarray, axis: Any) -> np.ndarray:
    """The probabilities of scores."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@dataclass(frozen=True)
class Mistake:
    """A mistake: its name, what a report says of it, and the losses that come of it."""

    name: str
    text: str
    losses: Callable[[Case], Losses]
    severity: str = "wrong"


@dataclass(frozen=True)
class Mistaken(Candidate):
    """A candidate whose losses have a mistake."""

    mistake: Mistake | None = None

    def losses(self, prediction: np.ndarray, target: np.ndarray | None, parameters: dict[str, Any]) -> Losses:
        """The losses that come of the mistake."""
        assert self.mistake is not None
        assert target is not None
        plain = Candidate(self.called, self.text, self.options, Variation(keywords=self.variation.keywords))
        prediction, target = self.arrays(prediction, target)
        with np.errstate(all="ignore"):
            return np.asarray(self.mistake.losses(Case(plain, prediction, target, parameters)), float)


# --- labels 0 and 1 --------------------------------------------------------------------------------------------------

OF_LABELS = (
    Mistake("labels exchanged", "It uses p where 1 - p belongs: it costs most where the prediction is right.",
            lambda c: c.target * c.zeros + (1 - c.target) * c.ones),
    Mistake("one class only", "The term of the label 0 is missing: only elements of label 1 cost anything.",
            lambda c: c.target * c.ones),
    Mistake("one class only", "The term of the label 1 is missing: only elements of label 0 cost anything.",
            lambda c: (1 - c.target) * c.zeros),
    Mistake("label ignored", "It ignores the label: every element is scored as if its label were 1.",
            lambda c: c.ones),
    Mistake("sign of a term", "One of its two terms has the wrong sign: the labels 0 and 1 pull in opposite ways.",
            lambda c: c.target * c.ones - (1 - c.target) * c.zeros),
    Mistake("factor y missing", "The factor y of the first term is missing: label 0 pays both terms.",
            lambda c: c.ones + (1 - c.target) * c.zeros),
    Mistake("factor 1 - y missing", "The factor 1 - y of the second term is missing: label 1 pays both terms.",
            lambda c: c.target * c.ones + c.zeros),
    Mistake("both terms always", "Every element pays both terms, whatever its label.", lambda c: c.ones + c.zeros),
    Mistake("logarithm missing", "The logarithm is missing: it averages the probability of the true label.",
            lambda c: -np.abs(1 - c.target - c.probabilities)),
    Mistake("logarithm missing", "The logarithm is missing: it averages one minus the probability of the true label.",
            lambda c: np.abs(c.target - c.probabilities)),
    Mistake("log1p", "It takes log(1 + p) where log(p) belongs.",
            lambda c: -np.log1p(np.abs(1 - c.target - c.probabilities))),
    Mistake("prediction rounded", "It rounds the prediction to 0 or 1 and counts mistakes (argmax or a threshold), so "
            "its slope is 0 wherever it has one.",
            lambda c: ((c.probabilities > 0.5) != c.target).astype(float)),
    Mistake("label inside the logarithm", "It takes the logarithm of y*p + (1 - y) alone, or of a product, instead of "
            "adding two logarithms.",
            lambda c: -np.log(c.target * c.probabilities + (1 - c.target))),
    Mistake("sigmoid twice", "The sigmoid is applied twice: to logits that are already probabilities.",
            lambda c: c.meant(sigmoid(c.prediction))),
    Mistake("softmax for sigmoid", "It takes a softmax over the last axis, where every element needs a sigmoid.",
            lambda c: binary_of(c, softmax(c.prediction, -1))),
    Mistake("softmax for sigmoid", "It takes a softmax over all elements, where every element needs a sigmoid.",
            lambda c: binary_of(c, softmax(c.prediction, None))),
)


def binary_of(case: Case, p: np.ndarray) -> Losses:
    """The losses of other probabilities."""
    domain = case.candidate.loss.declaration.of_prediction
    return case.meant(p if domain.holds_probabilities else np.log(p) - np.log1p(-p))


def focal_with(case: Case, factor: Callable[..., np.ndarray], positives_only: bool) -> Losses:
    """A focal loss with another modulating factor, or with alpha on the positives alone."""
    p, y, gamma, alpha = case.probabilities, case.target, case.parameter("gamma"), case.parameter("alpha")
    correct = np.abs(1 - y - p)
    weight = y * alpha + (1 - y) * (1.0 if positives_only else 1 - alpha)
    return -weight * factor(p, correct, gamma) * np.log(correct)


GAMMA = "gamma on the wrong factor"
OF_FOCAL = (
    Mistake(GAMMA, "The power gamma stands on the probability of the truth, p_t, where 1 - p_t "
            "belongs: the easy elements weigh most.",
            lambda c: focal_with(c, lambda p, correct, gamma: correct**gamma, False)),
    Mistake("one factor for both labels", "It uses (1 - p)**gamma for both labels; label 0 needs p**gamma.",
            lambda c: focal_with(c, lambda p, correct, gamma: (1 - p) ** gamma, False)),
    Mistake("one factor for both labels", "It uses p**gamma for both labels; label 1 needs (1 - p)**gamma.",
            lambda c: focal_with(c, lambda p, correct, gamma: p**gamma, False)),
    Mistake("1 - alpha missing", "Label 0 has no weight: alpha multiplies label 1 alone, and 1 - alpha is missing.",
            lambda c: focal_with(c, lambda p, correct, gamma: (1 - correct) ** gamma, True)),
    Mistake(GAMMA, "The power gamma stands on the logarithm, where the factor 1 - p_t needs it.",
            lambda c: focal_with(c, lambda p, right, gamma: (1 - right) * (-np.log(right)) ** (gamma - 1), False)),
    Mistake(GAMMA, "It forms 1 - p_t**gamma, where (1 - p_t)**gamma belongs.",
            lambda c: focal_with(c, lambda p, correct, gamma: 1 - correct**gamma, False)),
)

# --- numbers ---------------------------------------------------------------------------------------------------------


def bent(case: Case, near: Callable[..., np.ndarray], far: Callable[..., np.ndarray], signed: bool = False) -> Losses:
    """A loss of Huber's kind with other parts."""
    r, bend = case.residual, case.parameter("delta", case.parameter("beta"))
    return np.where((r if signed else np.abs(r)) <= bend, near(np.abs(r), bend), far(np.abs(r), bend))


def scale(case: Case) -> float:
    """What Huber's loss is divided by."""
    return case.parameter("beta")


OF_NUMBERS = (
    Mistake("not squared", "It adds up p - y itself: errors of opposite signs cancel.", lambda c: c.residual),
    Mistake("sign of the residual", "It adds p and y where it has to subtract them.",
            lambda c: c.meant(c.prediction, -c.target)),
    Mistake("predictions rounded", "It rounds the prediction first.", lambda c: c.meant(np.round(c.prediction))),
    Mistake("predictions rounded", "It cuts the prediction down to a whole number first.",
            lambda c: c.meant(np.trunc(c.prediction))),
    Mistake("averaged first", "It averages the errors before the loss is taken of them: opposite signs cancel.",
            lambda c: np.full(c.prediction.shape, c.meant(*(np.atleast_1d(part.mean()) for part in
                                                            (c.prediction, c.target))))),
    Mistake("target scaled", "It divides the error by the target: a relative error.",
            lambda c: c.meant(c.prediction / c.target, np.ones_like(c.target))),
)
OF_BENDS = (
    Mistake("jump at the bend", "The straight part lacks its constant, so the loss jumps where the parts meet.",
            lambda c: bent(c, lambda r, d: r * r / 2, lambda r, d: d * r) / scale(c)),
    Mistake("factor 1/2 missing", "The parabola lacks its factor 1/2, so the loss jumps where the parts meet.",
            lambda c: bent(c, lambda r, d: r * r, lambda r, d: d * (r - d / 2)) / scale(c)),
    Mistake("slope of the line", "The straight part lacks the factor delta, so the parts do not meet.",
            lambda c: bent(c, lambda r, d: r * r / 2, lambda r, d: r - d / 2) / scale(c)),
    Mistake("slope of the line", "The straight part lacks the factor delta in its constant, so the parts do not meet.",
            lambda c: bent(c, lambda r, d: r * r / 2, lambda r, d: d * r - d / 2) / scale(c)),
    Mistake("parts exchanged", "The parabola and the straight line are exchanged: large errors are squared.",
            lambda c: bent(c, lambda r, d: d * (r - d / 2), lambda r, d: r * r / 2) / scale(c)),
    Mistake("absolute value missing", "It compares p - y with the bend, not its absolute value: errors of one sign are "
            "always squared.",
            lambda c: bent(c, lambda r, d: r * r / 2, lambda r, d: d * (r - d / 2), True) / scale(c)),
    Mistake("absolute value missing", "It compares y - p with the bend, not its absolute value: errors of one sign are "
            "always squared.",
            lambda c: np.where(-c.residual <= c.parameter("delta", scale(c)), c.residual**2 / 2, c.meant() * scale(c))
            / scale(c)),
    Mistake("divided by beta", "The parabola is not divided by beta, so the loss jumps where the parts meet.",
            lambda c: bent(c, lambda r, d: r * r / 2, lambda r, d: r - d / 2)),
)

# --- rows of classes -------------------------------------------------------------------------------------------------


def of_label(case: Case, per_class: np.ndarray, shift: int = 0) -> Losses:
    """The entries of the labels, or of labels a step away."""
    labels = (case.target + shift) % case.prediction.shape[1]
    return np.take_along_axis(per_class, labels[:, None], axis=1)[:, 0]


def focused(case: Case, q: np.ndarray) -> np.ndarray:
    """The cost of probabilities of the truth: minus their logarithm, turned down as the loss does."""
    if "gamma" not in case.parameters:
        return -np.log(q)
    return -case.parameter("alpha") * (1 - q) ** case.parameter("gamma") * np.log(q)


OF_CLASSES = (
    Mistake("softmax twice", "The softmax is applied twice: to scores that are already probabilities.",
            lambda c: of_label(c, focused(c, softmax(softmax(c.prediction, 1), 1)))),
    Mistake("softmax twice", "It takes a softmax of probabilities, which needs logits.",
            lambda c: of_label(c, focused(c, softmax(c.probabilities, 1)))),
    Mistake("wrong axis", "The softmax goes over the batch (axis 0), not over the classes.",
            lambda c: of_label(c, focused(c, softmax(c.prediction, 0)))),
    Mistake("wrong axis", "The softmax goes over the whole array, not over the classes of each row.",
            lambda c: of_label(c, focused(c, softmax(c.prediction, None)))),
    Mistake("sigmoid for softmax", "It takes the sigmoid of the true class's score, where a softmax belongs.",
            lambda c: of_label(c, focused(c, sigmoid(c.prediction)))),
    Mistake("sigmoid for softmax", "It asks every class a yes-or-no question with a sigmoid, where a softmax belongs.",
            lambda c: (np.logaddexp(0, c.prediction) - c.hot * c.prediction).sum(axis=1)),
    Mistake("sigmoid for softmax", "It asks every class a yes-or-no question with a focal loss of its own, where a "
            "softmax belongs.",
            lambda c: yes_or_no(c).sum(axis=1)),
    Mistake("label off by one", "It takes the class after the true one: labels count from 0, not from 1.",
            lambda c: of_label(c, focused(c, c.probabilities), 1)),
    Mistake("label off by one", "It takes the class before the true one: labels count from 0, not from 1.",
            lambda c: of_label(c, focused(c, c.probabilities), -1)),
    Mistake("normalizer missing", "It averages minus the score of the true class: the logarithm of the softmax is "
            "missing.",
            lambda c: of_label(c, -c.prediction)),
    Mistake("logarithm missing", "The logarithm is missing: it averages minus the probability of the true class.",
            lambda c: of_label(c, -c.probabilities)),
    Mistake("logarithm missing", "The logarithm is missing: it averages one minus the probability of the true class.",
            lambda c: of_label(c, 1 - c.probabilities)),
    Mistake("1 - p for p", "It uses 1 - p where p belongs: it costs most where the prediction is right.",
            lambda c: of_label(c, focused(c, 1 - c.probabilities))),
    Mistake("label ignored", "It ignores the label: it adds up minus log(p) of all classes.",
            lambda c: focused(c, c.probabilities).sum(axis=1)),
    Mistake("label ignored", "It ignores the label: it takes the entropy of the prediction.",
            lambda c: -(c.probabilities * np.log(c.probabilities)).sum(axis=1)),
    Mistake("argmax", "It scores the class with the largest score (argmax) instead of the true one.",
            lambda c: focused(c, c.probabilities).min(axis=1)),
    Mistake("argmax", "It counts the rows whose largest score (argmax) is not the true class: its slope is 0.",
            lambda c: (c.prediction.argmax(axis=1) != c.target).astype(float)),
    Mistake("wrong classes too", "It adds log(1 - p) of the other classes: a yes-or-no question for every class.",
            lambda c: -(c.hot * np.log(c.probabilities) + (1 - c.hot) * np.log1p(-c.probabilities)).sum(axis=1)),
    Mistake("probability in front", "It multiplies the logarithm by the probability, p*log(p), where log(p) belongs.",
            lambda c: of_label(c, -c.probabilities * np.log(c.probabilities))),
    Mistake("smoothing over other classes", "Its smoothing spreads over the other classes alone, s/(C - 1) each: that "
            "is smoothing=s*C/(C - 1) here.",
            lambda c: smoothed(c, c.parameter("smoothing", 0.1) or 0.1), "convention"),
    Mistake("alpha by class", "Its alpha is the weight of all classes but the first, which has 1 - alpha: say "
            "alpha=1.0, class_weight=[1 - alpha, alpha, ...] here.", lambda c: by_class(c), "convention"),
    Mistake(GAMMA, "The power gamma stands on the probability of the truth, p_t, where 1 - p_t "
            "belongs: the easy rows weigh most.",
            lambda c: of_label(c, c.probabilities ** c.parameter("gamma", 2.0) * -np.log(c.probabilities))),
)


def by_class(case: Case) -> Losses:
    """Focal losses of classes that are weighted with alpha, but the first with 1 - alpha."""
    alpha = case.parameter("alpha", 0.25)
    return case.meant(alpha=1.0) * np.where(case.target == 0, 1 - alpha, alpha)


def yes_or_no(case: Case) -> np.ndarray:
    """Binary focal losses, without alpha, of every class on its own."""
    right = np.abs(1 - case.hot - sigmoid(case.prediction))
    return (1 - right) ** case.parameter("gamma", 0.0) * -np.log(right)


def smoothed(case: Case, amount: float) -> Losses:
    """Cross-entropy with a target smoothed over the other classes."""
    cost = -np.log(case.probabilities)
    target = (1 - amount) * case.hot + amount / (case.prediction.shape[1] - 1) * (1 - case.hot)
    return (target * cost).sum(axis=1)


PER_CLASS = Mistake(
    "classes not summed", "It does not add up the classes of a row: there is one number for each class.",
    lambda c: c.hot * focused(c, c.probabilities),
)

# --- masks -----------------------------------------------------------------------------------------------------------


def overlap(case: Case) -> tuple[np.ndarray, ...]:
    """(overlap, predicted area, true area, smooth) of every image and class."""
    p, y = case.probabilities, case.hot
    both, predicted, true = (part.reshape(*part.shape[:2], -1).sum(axis=2) for part in (p * y, p, y))
    return both, predicted, true, np.asarray(case.parameter("smooth", 0.0))


def quotient(case: Case, above: Callable[..., np.ndarray], below: Callable[..., np.ndarray]) -> Losses:
    """One minus a quotient of areas."""
    parts = overlap(case)
    return 1 - above(*parts) / below(*parts)


OF_DICE = (
    Mistake("factor 2 missing", "The factor 2 of the overlap is missing: a perfect prediction still costs 1/2.",
            lambda c: quotient(c, lambda i, p, y, s: i + s, lambda i, p, y, s: p + y + s)),
    Mistake("denominator of another loss", "It divides twice the overlap by the union, where the sum of the areas "
            "belongs.",
            lambda c: quotient(c, lambda i, p, y, s: 2 * i + s, lambda i, p, y, s: p + y - i + s)),
    Mistake("smooth below only", "Its constant stands below the bar alone: a perfect prediction does not cost 0.",
            lambda c: quotient(c, lambda i, p, y, s: 2 * i, lambda i, p, y, s: p + y + s)),
    Mistake("smooth above only", "Its constant stands above the bar alone.",
            lambda c: quotient(c, lambda i, p, y, s: 2 * i + s, lambda i, p, y, s: p + y)),
)
OF_JACCARD = (
    Mistake("overlap counted twice", "Its union does not subtract the overlap, which both areas contain.",
            lambda c: quotient(c, lambda i, p, y, s: i + s, lambda i, p, y, s: p + y + s)),
    Mistake("factor 2 too many", "It doubles the overlap, which belongs to Dice.",
            lambda c: quotient(c, lambda i, p, y, s: 2 * i + s, lambda i, p, y, s: p + y - i + s)),
    Mistake("smooth below only", "Its constant stands below the bar alone: a perfect prediction does not cost 0.",
            lambda c: quotient(c, lambda i, p, y, s: i, lambda i, p, y, s: p + y - i + s)),
)
OF_MASKS = (
    Mistake("prediction rounded", "It rounds the prediction to 0 or 1 (argmax or a threshold), so its slope is 0.",
            lambda c: c.meant((c.probabilities > 0.5).astype(float))),
    Mistake("wrong axis", "It sums over the last axis alone, so every line of an image is scored on its own.",
            lambda c: c.meant(lines(c.prediction), lines(c.target))),
    Mistake("wrong axis", "It sums over the classes, not over the pixels.",
            lambda c: c.meant(*(np.moveaxis(part.reshape(*part.shape[:2], -1), 1, 2)
                                for part in (c.prediction, c.target)))),
    Mistake("sigmoid twice", "The sigmoid is applied to probabilities, so no prediction is below 1/2.",
            lambda c: c.meant(sigmoid(c.prediction))),
    Mistake("background counted", "It scores the background: it uses 1 - p and 1 - y.",
            lambda c: c.meant(1 - c.prediction, 1 - c.target)),
    Mistake("target ignored", "It compares the prediction with itself.", lambda c: c.meant(c.prediction, c.prediction)),
)


def lines(array: np.ndarray) -> np.ndarray:
    """The lines of images as images."""
    return array.reshape(len(array), -1, array.shape[-1])


# --- boxes -----------------------------------------------------------------------------------------------------------


def boxes(case: Case, clipped: bool = True, pixel: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(area of the overlap, sum of the areas)"""
    p, t = case.prediction, case.target
    sides = np.minimum(p[:, 2:], t[:, 2:]) - np.maximum(p[:, :2], t[:, :2]) + pixel
    own, true = (np.prod(box[:, 2:] - box[:, :2] + pixel, axis=1) for box in (p, t))
    return np.prod(np.maximum(sides, 0) if clipped else sides, axis=1), own + true


def iou_with(both: np.ndarray, areas: np.ndarray) -> Losses:
    """One minus overlap over union."""
    return 1 - both / (areas - both)


OF_BOXES = (
    Mistake("overlap not clipped", "The sides of the overlap are not kept at 0 or above, so boxes that are apart along "
            "both axes seem to overlap.",
            lambda c: iou_with(*boxes(c, clipped=False))),
    Mistake("overlap counted twice", "The union is the sum of both areas, without subtracting the overlap.",
            lambda c: 1 - boxes(c)[0] / boxes(c)[1]),
    Mistake("boxes of whole pixels", "It adds 1 to every side: it takes corners as whole pixels, both included.",
            lambda c: iou_with(*boxes(c, pixel=1.0)), "convention"),
)


def mistakes(candidate: Candidate) -> Iterator[Mistake]:
    """The mistakes that functions for this loss may make."""
    loss = candidate.loss
    declaration = loss.declaration
    if declaration.of_target is None:
        return
    if loss.shape == "pointwise" and declaration.of_target.may_be_smoothed and not loss.name.startswith("divergence"):
        yield from OF_LABELS
        if "gamma" in declaration.parameters:
            yield from OF_FOCAL
    elif loss.shape == "pointwise" and declaration.of_target.name == "Outcome":
        yield from OF_NUMBERS
        if loss.name in ("regression.huber", "regression.smooth_l1"):
            yield from OF_BENDS
    elif loss.shape == "rows" and declaration.of_target.holds_classes and not loss.name.endswith("kullback_leibler"):
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
