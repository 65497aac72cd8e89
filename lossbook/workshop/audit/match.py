"""A match: the call of this package that gives what a function gives."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook.workshop.audit.candidates import Candidate
from lossbook.workshop.audit.relation import Relation
from lossbook.workshop.audit.subject import Subject

EXACT, SINGLE, NEARLY = 1e-9, 3e-5, 1e-4  # relative: of float64, of float32, of a function with a small constant
NEUTRAL = {"pos_weight": 1.0, "smoothing": 0.0, "floor": 0.0, "squared": False}  # parameters that then change nothing


@dataclass(frozen=True)
class Match:
    """A call of this package that gives what the function gives."""

    subject: Subject
    candidate: Candidate
    parameters: dict[str, Any]
    relation: Relation
    error: float  # the tolerance within which it holds

    @property
    def cost(self) -> tuple[int, int]:
        """How far it is from the plain call that was asked for."""
        relation = self.relation
        reduction = {"mean": 0, "none": 0, "sum": 0}.get(relation.reduction, 2)
        factor = 0 if relation.factor == 1 else 1 if abs(relation.factor) == 1 else 3
        defaults = self.candidate.loss.declaration.defaults
        moved = sum(value != defaults[name] for name, value in self.parameters.items())
        return factor + reduction, moved

    def losses(self, prediction: np.ndarray, target: np.ndarray | None) -> np.ndarray:
        """The losses of this package."""
        return self.candidate.losses(prediction, target, self.parameters)

    def expected(self, prediction: np.ndarray, target: np.ndarray | None) -> np.ndarray:
        """What the function has to give, in float64."""
        prediction, target = widened(prediction), widened(target)
        mean = None
        if self.relation.own_mean:
            mean = self.candidate.mean(prediction, target, self.parameters)
        return self.relation.apply(self.losses(prediction, target), classes_of(prediction), mean)

    def slopes(self, prediction: np.ndarray, target: np.ndarray | None) -> np.ndarray:
        """What the slope of the sum of its output has to be, in float64."""
        prediction, target = widened(prediction), widened(target)
        losses, mean = self.losses(prediction, target), None
        if self.relation.own_mean:
            mean = self.candidate.mean(prediction, target, self.parameters)
        divisor = self.relation.divisor(losses, classes_of(prediction), mean)
        return self.relation.factor / divisor * self.candidate.slopes(prediction, target, self.parameters)

    @property
    def call(self) -> str:
        """The call of this package, as text."""
        declaration, variation = self.candidate.loss.declaration, self.candidate.variation
        names = list(declaration.arrays)
        text = self.candidate.text
        if self.candidate.activated and self.candidate.base is not None:
            text = self.candidate.base.name
            names[0] = f"{self.candidate.activation}({names[0]}{', axis=1' * (self.candidate.activation == 'softmax')})"
        if variation.shape:
            names = [f"{name}.reshape({variation.shape.format(array)})"
                     for name, array in zip(names, declaration.arrays, strict=True)]
        reduction, suffix = self.relation.suffix(declaration.arrays[0])
        keywords = {**self.candidate.options, **self.parameters, **variation.keywords}
        said = [f"{name}={round_trip(value)}" for name, value in keywords.items()
                if name not in NEUTRAL or value != NEUTRAL[name]]
        if reduction != "mean":
            said.append(f"reduction={reduction!r}")
        return f"{self.relation.prefix}{text}({', '.join(names + said)}){suffix}"


def round_trip(value: Any) -> str:
    """A keyword's value as text; arrays as lists."""
    return repr(value.tolist()) if isinstance(value, np.ndarray) else repr(value)


def widened(array: np.ndarray | None) -> Any:
    """Floating-point arrays in float64."""
    return array.astype(np.float64) if array is not None and array.dtype.kind == "f" else array


def classes_of(prediction: np.ndarray) -> int:
    """The length of the class axis, if there is one."""
    return prediction.shape[1] if prediction.ndim > 1 else 1
