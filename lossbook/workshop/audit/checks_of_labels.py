"""What a function makes of labels: soft ones, ignored ones, weighted ones, and of probabilities that do not add up."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lossbook.errors import DomainError, ShapeError
from lossbook.workshop.audit.checks import small
from lossbook.workshop.audit.findings import Finding, number
from lossbook.workshop.audit.layouts import INDEX, ONE_HOT
from lossbook.workshop.audit.match import Match, classes_of
from lossbook.workshop.audit.subject import Refused

WEIGHTS = ("weight", "weights", "sample_weight", "sample_weights", "class_weight", "class_weights", "pos_weight")
IGNORED = (-100, -1, 255)


def normalized(match: Match) -> Iterator[Finding]:
    """Whether probabilities of a row are divided by their sum."""
    subject, loss = match.subject, match.candidate.loss
    if loss.shape != "rows" or loss.declaration.of_prediction.high != 1:
        return
    prediction, target = small(subject, loss)
    try:
        once, half = (subject.value(part, target) for part in (prediction, prediction / 2))
    except Refused:
        return
    if np.allclose(once, half, rtol=1e-4):
        text = "It divides the probabilities of a row by their sum first; here they are taken as they are."
        yield Finding("normalization", "convention", text, subject.turned(prediction / 2, target), half)


def soft(match: Match) -> Iterator[Finding]:
    """What it makes of soft labels."""
    subject, loss = match.subject, match.candidate.loss
    domain: Any = loss.declaration.of_target
    if subject.unary or not domain.may_be_smoothed or loss.name.startswith("divergence"):
        return
    prediction, target = small(subject, loss)
    assert target is not None
    if loss.shape == "rows" and domain.holds_classes:
        if subject.kind is not ONE_HOT or target.ndim == prediction.ndim:
            return
        target = np.moveaxis(np.eye(prediction.shape[1])[target], -1, 1) * 0.75
        target += 0.25 / prediction.shape[1]
    elif subject.kind.name not in ("floats", "masks"):
        yield Finding("soft labels", "missing", "It takes no soft labels.")
        return
    else:
        target = target * 0.5 + 0.25
    try:
        got = subject.value(prediction, target)
    except Refused as error:
        yield Finding("soft labels", "missing", f"It refuses soft labels: {error}.", subject.turned(prediction, target))
        return
    try:
        want = match.expected(prediction, target)
    except (DomainError, ShapeError):
        return
    if got.size != np.size(want) or np.allclose(got.ravel(), np.ravel(want), rtol=max(1e-6, 10 * match.error)):
        return
    text = "With soft labels it gives other numbers than this package, which mixes the costs of the two answers."
    if "gamma" in match.parameters and np.allclose(got, interpolated(match, prediction, target), rtol=1e-4):
        text = ("With soft labels it forms the probability of the truth p_t = y*p + (1 - y)*(1 - p) first, where this "
                "package mixes the costs of the two answers.")
    yield Finding("soft labels", "convention", text, subject.turned(prediction, target), got, want)


def interpolated(match: Match, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A focal loss of soft labels by p_t between the labels, times cross-entropy."""
    p = prediction if match.candidate.loss.declaration.of_prediction.high == 1 else 1 / (1 + np.exp(-prediction))
    if p.shape != target.shape:
        return np.full(1, np.nan)
    gamma, alpha = match.parameters["gamma"], match.parameters["alpha"]
    right = target * p + (1 - target) * (1 - p)
    weight = target * alpha + (1 - target) * (1 - alpha)
    losses = -weight * (1 - right) ** gamma * (target * np.log(p) + (1 - target) * np.log1p(-p))
    return match.relation.apply(losses, classes_of(prediction))


def ignored(match: Match) -> Iterator[Finding]:
    """Which label it leaves out, and what comes of a batch in which no label counts."""
    subject, loss = match.subject, match.candidate.loss
    if loss.shape != "rows" or subject.kind is not INDEX or subject.layout.single:
        return
    prediction, target = small(subject, loss)
    assert target is not None
    flat = target.copy()
    flat.ravel()[::2] = -7
    said = [getattr(subject.function, name, subject.parameters.get(name)) for name in ("ignore_index", "ignore_class")]
    own = next((label for label in said if isinstance(label, int)), None)
    labels = dict.fromkeys(IGNORED if own is None else (own, *IGNORED))
    share = prediction.shape[1] if match.relation.per_class else 1
    for label in labels:
        marked = np.where(flat == -7, label, flat)
        try:
            got = subject.value(prediction, marked)
            want = loss(prediction, marked, ignore_index=label, reduction="none", **match.candidate.keywords(
                match.parameters))
        except (Refused, ValueError, TypeError):
            continue
        counted = int((marked != label).sum())
        for divisor, what in ((counted, "the labels that count"), (marked.size, "all labels, the ignored ones too")):
            mean = match.relation.factor * want.sum() / divisor / share
            if got.ndim == 0 and np.isclose(float(got), mean, rtol=1e-4):
                text = f"It leaves out the label {label}, and its mean divides by the number of {what}."
                yield Finding("ignored labels", "convention", text, subject.turned(prediction, marked), got, None)
                yield from all_ignored(match, label, prediction, marked)
                return
    if own is not None:
        yield Finding("ignored labels", "missing", f"Its ignore_index={own} leaves out no label.")


def all_ignored(match: Match, label: int, prediction: np.ndarray, target: np.ndarray) -> Iterator[Finding]:
    """What comes of a batch in which every label is ignored."""
    subject, nothing = match.subject, np.full_like(target, label)
    try:
        got = subject.value(prediction, nothing)
    except Refused as error:
        text = f"It raises an error if all labels are ignored: {error}."
        yield Finding("all ignored", "missing", text, subject.turned(prediction, nothing))
        return
    text = f"If all labels are ignored its value is {number(got)}" + (", as here." if np.isnan(got) else ", not NaN.")
    yield Finding("all ignored", "convention", text, subject.turned(prediction, nothing), got, np.nan)


def weights(match: Match) -> Iterator[Finding]:
    """What its mean divides by when there are weights."""
    subject, loss = match.subject, match.candidate.loss
    if subject.layout.single or match.relation.reduction != "mean":
        return
    prediction, target = small(subject, loss)
    losses = match.losses(prediction, target)
    weight = np.linspace(0.5, 2.0, losses.size).reshape(losses.shape)
    for name in WEIGHTS:
        if name not in subject.parameters:
            continue
        try:
            got = subject.value(prediction, target, **{name: weight})
        except Refused:
            continue
        if got.ndim == 0 and float(got) == float(subject.value(prediction, target)):
            yield Finding("weights", "missing", f"Its {name}= changes nothing.")
            return
        total = match.relation.factor * float((weight * losses).sum())
        for divisor, what in ((weight.sum(), "the sum of the weights, as here"),
                              (weight.size, "the number of elements, whatever the weights")):
            if got.ndim == 0 and np.isclose(float(got), total / divisor, rtol=1e-4):
                text = f"With {name}= its mean divides by {what}."
                yield Finding("weights", "convention", text, (*subject.turned(prediction, target), weight), got,
                              total / float(weight.sum()))
                return
