"""Mistakes of losses of rows of classes."""

import numpy as np

from lossbook.workshop.audit.cases import GAMMA, Case, Losses, Mistake, sigmoid, softmax


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
    Mistake("label ignored", "It ignores the label: it averages the logarithm of the sum of the exponentials alone.",
            lambda c: np.logaddexp.reduce(c.prediction, axis=1)),
    Mistake("sign of the score", "It adds the score of the true class, which it has to subtract.",
            lambda c: np.logaddexp.reduce(c.prediction, axis=1) + of_label(c, c.prediction)),
    Mistake("smoothing not shared", "Its smoothing adds s to every class, where each has a share s/C.",
            lambda c: smoothed_by(c, *[c.parameter("smoothing", 0.1) or 0.1] * 2)),
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
    share = amount / (case.prediction.shape[1] - 1)
    return smoothed_by(case, amount + share, share)


def smoothed_by(case: Case, taken: float, given: float) -> Losses:
    """Cross-entropy with a target that loses one share at the true class and gains another everywhere."""
    target = (1 - taken) * case.hot + given
    return (target * -np.log(case.probabilities)).sum(axis=1)


PER_CLASS = Mistake(
    "classes not summed", "It does not add up the classes of a row: there is one number for each class.",
    lambda c: c.hot * focused(c, c.probabilities),
)
