"""The losses of this package that a function may be, and what each gives for the probes."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossbook import adversarial, binary, detection, divergence, multiclass, multilabel, regression, segmentation
from lossbook.algebra import Loss
from lossbook.workshop.audit.layouts import OF_SPACE, Layout, layouts

MODULES = (binary, multiclass, multilabel, regression, segmentation, detection, divergence, adversarial)


@dataclass(frozen=True, eq=False)
class Variation:
    """Another way to sum an overlap loss: over the batch, over all classes, over everything."""

    text: str = ""
    shape: str = ""  # the reshape in front of the call, as text
    keywords: dict[str, Any] = field(default_factory=dict)

    def view(self, array: np.ndarray) -> np.ndarray:
        """The array as this variation sees it."""
        if not self.shape:
            return array
        return array.reshape((1, 1, -1) if self.shape == "1, 1, -1" else (len(array), 1, -1))


PLAIN = Variation()
OF_OVERLAP = (
    PLAIN,
    Variation("It adds up the images of a batch before it divides.", keywords={"batch": True}),
    Variation("It adds up all pixels of all images and classes before it divides.", "1, 1, -1"),
    Variation("It adds up the classes of an image before it divides.", "len({}), 1, -1"),
)


@dataclass(frozen=True)
class Candidate:
    """A loss of this package, with fixed options, as something that a function may be."""

    loss: Loss
    text: str  # how it is called
    options: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)  # beside parameters
    variation: Variation = PLAIN
    said: str = ""  # what a report says if it is not the loss that was asked for

    @property
    def variations(self) -> tuple[Variation, ...]:
        """The variations that the loss has."""
        return OF_OVERLAP if self.loss.shape == "overlap" else (PLAIN,)

    def keywords(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """All keywords of a call."""
        return {**self.options, **self.variation.keywords, **parameters}

    def arrays(self, prediction: np.ndarray, target: np.ndarray | None) -> tuple[np.ndarray, ...]:
        """The arrays of a call."""
        view = self.variation.view
        if len(self.loss.declaration.arrays) == 1 or target is None:
            return (view(prediction),)
        return view(prediction), view(target)

    def losses(self, prediction: np.ndarray, target: np.ndarray | None, parameters: dict[str, Any]) -> np.ndarray:
        """One loss per element, row or image."""
        keywords = self.keywords(parameters)
        return np.asarray(self.loss(*self.arrays(prediction, target), reduction="none", **keywords))

    def mean(self, prediction: np.ndarray, target: np.ndarray | None, parameters: dict[str, Any]) -> float:
        """The mean of this package."""
        return float(self.loss(*self.arrays(prediction, target), **self.keywords(parameters)))

    def slopes(self, prediction: np.ndarray, target: np.ndarray | None, parameters: dict[str, Any]) -> np.ndarray:
        """The slope of the sum of the losses along the prediction."""
        arrays = self.arrays(prediction, target)
        slopes = self.loss.grad(*arrays, reduction="sum", **self.keywords(parameters))
        return np.asarray(slopes).reshape(prediction.shape)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts in which functions may take the prediction."""
        return layouts(self.loss)


@functools.cache
def all_losses() -> tuple[tuple[Loss, str], ...]:
    """The losses that can be audited, with how they are called: those of one prediction and at most one target."""
    found = {}
    for module in MODULES:
        for name in module.__all__:
            loss = getattr(module, name)
            if isinstance(loss, Loss) and loss.shape in OF_SPACE:
                found[loss.name] = loss
    return tuple((loss, loss.name) for loss in found.values())


def siblings(loss: Loss) -> Iterator[tuple[Loss, str]]:
    """The same loss of logits, of probabilities, or of log-probabilities, beginning with itself."""
    yield loss, loss.name
    known = {text: one for one, text in all_losses()}
    base = loss.name.removesuffix("_with_logits")
    names = [base, f"{base}_with_logits"]
    if base in ("multiclass.cross_entropy", "multiclass.negative_log_likelihood"):
        names += ["multiclass.cross_entropy", "multiclass.cross_entropy_with_logits"]
    if loss.name == "multiclass.cross_entropy":
        names.append("multiclass.negative_log_likelihood")
    if base in ("binary.cross_entropy", "binary.soft_margin", "multilabel.cross_entropy"):
        names += ["binary.cross_entropy_with_logits", "binary.soft_margin", "binary.cross_entropy"]
    for name in dict.fromkeys(names):
        if name in known and name != loss.name:
            yield known[name], name
    if loss.shape == "overlap" and loss.declaration.of_prediction.holds_probabilities:
        for activation in ("sigmoid", "softmax"):
            yield loss.on_logits(activation), f"{loss.name}.on_logits({activation!r})"  # type: ignore[arg-type]


def candidates(like: Loss, options: dict[str, Any]) -> list[Candidate]:
    """What a function that is meant to be a loss may be, that loss first."""
    return [Candidate(loss, text, options) for loss, text in siblings(like)]


def everything() -> list[Candidate]:
    """What any function may be."""
    found = {one.text: one for loss, _ in all_losses() for one in candidates(loss, {})}
    return list(found.values())


# --- probes ----------------------------------------------------------------------------------------------------------


def probe(
    loss: Loss, shape: tuple[int, ...], seed: int = 0, normalized: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """An ordinary input of a loss: predictions of few binary digits, hard targets."""
    random = np.random.default_rng([seed, *shape])
    declaration = loss.declaration
    prediction = drawn(declaration.of_prediction, loss.shape == "rows" or normalized, shape, random)
    if len(declaration.arrays) == 1:
        return prediction, None
    domain = declaration.of_target
    if domain.components:
        target = drawn(domain, False, shape, random)
        target[::2] = prediction[::2] + np.array([0.5, -0.25, 1.0, 0.75])  # overlaps
        return prediction, np.concatenate([np.minimum(target[:, :2], target[:, 2:] - 0.25), target[:, 2:]], axis=1)
    if loss.name == "multiclass.kullback_leibler" or loss.name.startswith("divergence"):  # of soft targets
        return prediction, drawn(declaration.of_prediction, loss.shape == "rows", shape, random)
    if loss.shape == "rows" and domain.holds_classes:
        return prediction, random.permutation(np.arange(prediction[:, 0].size) % shape[1]).reshape(
            shape[0], *shape[2:])
    if loss.shape == "overlap" and shape[1] > 1:
        classes = random.integers(0, shape[1], (shape[0], *shape[2:]))
        return prediction, np.moveaxis(np.eye(shape[1])[classes], -1, 1)
    if domain.name == "Outcome":
        return prediction, prediction + (2 * random.integers(-16, 16, shape) + 1) / 8
    hard = random.permutation(np.arange(prediction.size) % 2).reshape(shape).astype(float)
    return prediction, 2 * hard - 1 if domain.values else hard


def drawn(domain: Any, rows: bool, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Ordinary predictions of a domain; of a row, probabilities add up to 1."""
    if domain.components:
        corners = random.integers(0, 16, (shape[0], 2)) / 4
        return np.concatenate([corners, corners + random.integers(2, 13, (shape[0], 2)) / 4], axis=1)
    if domain.holds_probabilities or domain.high == 0:
        p = random.integers(1, 16, shape) / 16
        if rows:
            p = p / p.sum(axis=1, keepdims=True)
        return p if domain.high else np.log(p)
    return (2 * random.integers(-13, 13, shape) + 1) / 8
