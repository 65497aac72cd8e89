"""The losses of this package that a function may be, and what each gives for the probes."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lossbook import adversarial, binary, detection, divergence, multiclass, multilabel, regression, segmentation
from lossbook.algebra import Loss
from lossbook.typing import Activation
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
    activation: str = ""  # of a loss on logits: what turns them into the probabilities of `base`
    base: Loss | None = None

    @property
    def variations(self) -> tuple[Variation, ...]:
        """The variations that the loss has."""
        return OF_OVERLAP if self.loss.shape == "overlap" else (PLAIN,)

    def keywords(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """All keywords of a call."""
        return {**self.options, **self.variation.keywords, **parameters}

    @property
    def activated(self) -> bool:
        """Whether logits become probabilities before they are reshaped, which a loss on logits could not do."""
        return bool(self.variation.shape and self.activation)

    @property
    def called(self) -> Loss:
        """The loss that is called."""
        return self.base if self.activated and self.base is not None else self.loss

    def arrays(self, prediction: np.ndarray, target: np.ndarray | None) -> tuple[np.ndarray, ...]:
        """The arrays of a call."""
        view = self.variation.view
        if self.activated:
            return view(activated(prediction, self.activation)), view(np.asarray(target))
        if len(self.loss.declaration.arrays) == 1 or target is None:
            return (view(prediction),)
        return view(prediction), view(target)

    def losses(self, prediction: np.ndarray, target: np.ndarray | None, parameters: dict[str, Any]) -> np.ndarray:
        """One loss per element, row or image."""
        keywords = self.keywords(parameters)
        return np.asarray(self.called(*self.arrays(prediction, target), reduction="none", **keywords))

    def mean(self, prediction: np.ndarray, target: np.ndarray | None, parameters: dict[str, Any]) -> float:
        """The mean of this package."""
        return float(self.called(*self.arrays(prediction, target), **self.keywords(parameters)))

    def slopes(self, prediction: np.ndarray, target: np.ndarray | None, parameters: dict[str, Any]) -> np.ndarray:
        """The slope of the sum of the losses along the prediction."""
        arrays = self.arrays(prediction, target)
        slopes = np.asarray(self.called.grad(*arrays, reduction="sum", **self.keywords(parameters)))
        slopes = slopes.reshape(prediction.shape)
        return along_logits(slopes, prediction, self.activation) if self.activated else slopes

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts in which functions may take the prediction, with as many classes as there are weights."""
        weights = self.options.get("class_weight")
        if weights is None:
            return layouts(self.loss)
        count = len(weights)
        return tuple(replace(one, shapes=tuple((shape[0], count, *shape[2:]) for shape in one.shapes))
                     for one in layouts(self.loss))


def activated(logits: np.ndarray, activation: str) -> np.ndarray:
    """The probabilities of logits, of their type."""
    with np.errstate(over="ignore"):
        if activation == "sigmoid":
            return (1 / (1 + np.exp(-logits))).astype(logits.dtype)
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).astype(logits.dtype)


def along_logits(slopes: np.ndarray, logits: np.ndarray, activation: str) -> np.ndarray:
    """Slopes along the probabilities as slopes along the logits."""
    p = activated(logits, activation)
    if activation == "sigmoid":
        return slopes * p * (1 - p)
    return p * (slopes - (slopes * p).sum(axis=1, keepdims=True))


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


def siblings(loss: Loss) -> Iterator[tuple[Loss, str, str]]:
    """(loss, name, activation) of the same loss of logits, probabilities or log-probabilities, itself first."""
    yield loss, loss.name, ""
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
            yield known[name], name, ""
    if loss.shape == "overlap" and loss.declaration.of_prediction.holds_probabilities:
        activations: tuple[Activation, ...] = ("sigmoid", "softmax")
        for activation in activations:
            yield loss.on_logits(activation), f"{loss.name}.on_logits({activation!r})", activation


def candidates(like: Loss, options: dict[str, Any]) -> list[Candidate]:
    """What a function that is meant to be a loss may be, that loss first."""
    return [Candidate(loss, text, options, PLAIN, activation, like) for loss, text, activation in siblings(like)]


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
    domain: Any = declaration.of_target
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
