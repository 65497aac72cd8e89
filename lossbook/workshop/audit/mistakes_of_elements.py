"""Mistakes of losses per element: of labels 0 and 1, and of numbers."""

from collections.abc import Callable
from functools import partial

import numpy as np

from lossbook.workshop.audit.cases import GAMMA, Case, Losses, Mistake, sigmoid, softmax

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
    Mistake("log(1 + p)", "It takes log(1 + p) where log(1 - p) belongs.",
            lambda c: c.target * c.ones - (1 - c.target) * np.log1p(c.probabilities)),
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


def with_constant(epsilon: float, case: Case) -> Losses:
    """The losses with a constant added to each probability of the truth."""
    p, y = case.probabilities, case.target
    ones = case.meant(np.minimum(p + epsilon, 1), np.ones_like(y))
    return y * ones + (1 - y) * case.meant(np.maximum(p - epsilon, 0), np.zeros_like(y))


ADDED = tuple(
    Mistake("clamp", f"It adds a constant of about {epsilon:g} to the probability inside the logarithm.",
            partial(with_constant, epsilon), "convention")
    for epsilon in (1e-4, 1e-3, 1e-2)
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
    Mistake(GAMMA, "It multiplies by gamma, where (1 - p_t) is to be raised to the power gamma.",
            lambda c: focal_with(c, lambda p, correct, gamma: gamma * (1 - correct), False)),
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
