"""What a mistake is: the losses that come of it for the same arrays as the loss that is meant.

The search compares them with what a function gives, as it compares those of the loss itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook.workshop.audit.candidates import Candidate, Variation
from lossbook.workshop.audit.layouts import one_hot

Losses = np.ndarray
GAMMA = "gamma on the wrong factor"


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
