"""How a function treats what it is given: shapes, types, empty and ignored input, weights, soft labels, memory."""

import gc
import tracemalloc
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from lossbook.errors import DomainError, ShapeError
from lossbook.workshop.audit.candidates import probe
from lossbook.workshop.audit.findings import Finding, number, spelled
from lossbook.workshop.audit.layouts import INDEX, ONE_HOT
from lossbook.workshop.audit.search import Match, classes_of, related
from lossbook.workshop.audit.subject import Refused, Subject, quiet

WEIGHTS = ("weight", "weights", "sample_weight", "sample_weights", "class_weight", "class_weights", "pos_weight")
IGNORED = (-100, -1, 255)
CALLS = 30  # whose memory is counted


def small(subject: Subject, loss: Any, dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray | None]:
    """A small ordinary input."""
    prediction, target = probe(loss, subject.layout.shapes[-1], 11, subject.layout.normalized)
    if target is not None and target.dtype.kind == "f":
        target = target.astype(dtype)
    return prediction.astype(dtype), target


def other_shapes(match: Match) -> Iterator[Finding]:
    """Whether arrays of more axes are reduced otherwise."""
    for layout in match.candidate.layouts:
        own = match.subject.layout
        if layout is own or layout.single or layout.normalized or own.single or match.candidate.loss.shape == "overlap":
            continue
        subject = replace(match.subject, layout=layout)
        probes = [probe(match.candidate.loss, shape, seed) for seed in range(2) for shape in layout.shapes]
        try:
            outputs = [subject.value(*one) for one in probes]
        except Refused:
            continue
        relation = related(outputs, match.candidate, probes, match.parameters, match.error, {})
        if relation is None or (relation.reduction in (match.relation.reduction, "other") and not relation.averaged):
            continue
        if relation.reduction != match.relation.reduction:
            array = match.candidate.loss.declaration.arrays[0]
            reduction, suffix = relation.suffix(array)
            text = (f"With shape {probes[0][0].shape} it is reduced otherwise than with shape "
                    f"{match.subject.layout.shapes[0]}: as reduction={reduction!r}{suffix and ', then ' + suffix}.")
            yield Finding("reduction", "convention", text)
            return


def inputs_kept(subject: Subject, loss: Any) -> Iterator[Finding]:
    """Whether the arrays are as before, and a second call gives the same."""
    if subject.layout.single:
        return
    arrays = subject.turned(*small(subject, loss))
    framework = subject.framework
    with quiet(), framework.ready():
        try:
            given = [framework.array(part) for part in arrays]
            first = framework.read(subject.function(*subject.ordered(given[0], given[1:])))
            after = [framework.read(part) for part in given]
            second = framework.read(subject.function(*subject.ordered(*fresh(subject, arrays))))
        except Exception:  # a function that returns pairs, or fails when called again, is judged elsewhere
            return
    for name, before, now in zip(("prediction", "target"), arrays, after, strict=False):
        if not np.array_equal(before, now, equal_nan=True):
            text = f"It changes its {name}: the array that it was given holds other numbers afterwards."
            yield Finding("inputs modified", "wrong", text, arrays, now, before)
    if not np.array_equal(first, second, equal_nan=True):
        text = "A second call with the same arrays gives another value: it is random, or remembers the first call."
        yield Finding("not repeatable", "wrong", text, arrays, second, first)


def fresh(subject: Subject, arrays: tuple[np.ndarray, ...]) -> tuple[Any, list[Any]]:
    """The arrays anew in the framework's type."""
    given = [subject.framework.array(part) for part in arrays]
    return given[0], given[1:]


def types(subject: Subject, loss: Any) -> Iterator[Finding]:
    """Whether float32 in gives float32 out, and float64 in float64 out."""
    for dtype in (np.float32, np.float64):
        arrays = small(subject, loss, dtype)
        try:
            value, slope = subject.value_and_slope(*arrays)
        except Refused:
            continue
        for what, array in (("value", value), ("gradient", slope)):
            if array is None or array.dtype == dtype or (what == "value" and python_number(subject, arrays)):
                continue
            text = f"{np.dtype(dtype)} goes in, and its {what} comes out as {array.dtype}: the dtype is changed."
            lost = array.dtype.itemsize < np.dtype(dtype).itemsize
            severity, got, want = "inaccurate" if lost else "convention", str(array.dtype), str(np.dtype(dtype))
            yield Finding("dtype", severity, text, subject.turned(*arrays), got, want)
            break


def python_number(subject: Subject, arrays: tuple[np.ndarray, np.ndarray | None]) -> bool:
    """Whether a result is a number of Python, which has one type alone."""
    if subject.layout.single:
        return True
    with quiet(), subject.framework.ready():
        return isinstance(subject.function(*subject.ordered(*fresh(subject, subject.turned(*arrays)))), (float, int))


def broadcasting(match: Match) -> Iterator[Finding]:
    """Whether a prediction of shape (N, 1) meets a target of shape (N,) in silence."""
    subject, loss = match.subject, match.candidate.loss
    if loss.shape != "pointwise" or subject.layout.single or subject.layout.name == "image" or subject.unary:
        return
    prediction, target = probe(loss, (4,), 5)
    assert target is not None
    framework = subject.framework
    for shapes in (((4, 1), (4,)), ((4,), (4, 1))):
        arrays = [prediction.reshape(shapes[0]), subject.kind.write(target, prediction).reshape(shapes[1])]
        with warnings.catch_warnings(record=True) as said, np.errstate(all="ignore"), framework.ready():
            warnings.simplefilter("always")
            try:
                got, _ = subject.raw(tuple(arrays), slope=False)
            except Exception:  # refused, as it should be
                continue
        want = match.losses(prediction, target)
        if got.size == 1:
            want = want.mean() if match.relation.reduction != "sum" else want.sum()
        if got.size == want.size and np.allclose(got.ravel() / match.relation.factor, np.ravel(want), rtol=1e-4):
            text = f"It takes a prediction of shape {shapes[0]} with a target of shape {shapes[1]}, pair by pair."
            yield Finding("broadcasting", "convention", text, tuple(arrays), got, want)
            return
        warned = " with no more than a warning" if said else ""
        text = (f"It takes a prediction of shape {shapes[0]} with a target of shape {shapes[1]}{warned}, and "
                "broadcasts them to (4, 4): every prediction is compared with every target.")
        yield Finding("broadcasting", "wrong", text, tuple(arrays), got, want)
        return


def empty(match: Match) -> Iterator[Finding]:
    """What a batch of no elements gives."""
    subject, loss = match.subject, match.candidate.loss
    if subject.layout.single or subject.layout.name == "mask":
        return
    prediction, target = small(subject, loss)
    none = prediction[:0], None if target is None else target[:0]
    try:
        got = subject.value(*none)
    except Refused as error:
        text = f"It raises an error for an empty batch: {error}."
        yield Finding("empty input", "missing", text, subject.turned(*none))
        return
    want = 0.0 if match.relation.reduction == "sum" else np.nan
    if got.size and not np.array_equal(np.ravel(got)[0], want, equal_nan=True) and got.ndim == 0:
        text = f"An empty batch gives {number(got)}, where a {match.relation.reduction} of nothing is {number(want)}."
        yield Finding("empty input", "convention", text, subject.turned(*none), got, want)


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


def unchecked(match: Match) -> Iterator[Finding]:
    """Targets outside their domain that are taken without an error."""
    subject, loss = match.subject, match.candidate.loss
    if subject.unary:
        return
    prediction, target = small(subject, loss)
    assert target is not None
    domain = loss.declaration.of_target
    if loss.shape == "boxes":
        turned, said = prediction[:, [2, 3, 0, 1]].copy(), "a box with x1 > x2 and y1 > y2"
        target = prediction
        prediction = turned
    elif subject.kind is INDEX and loss.shape == "rows":
        target, said = target.copy(), f"the class {prediction.shape[1]} of {prediction.shape[1]} (they count from 0)"
        target.ravel()[0] = prediction.shape[1]
    elif domain.high <= 1 and loss.shape == "pointwise":
        target, said = target.copy(), "a target of 2"
        target.ravel()[0] = 2
    else:
        return
    try:
        got = subject.value(prediction, target)
    except Refused:
        return
    result = "NaN" if np.isnan(got).any() else number(np.ravel(got)[0]) if got.size else "nothing"
    text = f"It takes {said} without an error, and gives {result}."
    yield Finding("targets unchecked", "missing", text, subject.turned(prediction, target), got, None)


def soft(match: Match) -> Iterator[Finding]:
    """What it makes of soft labels."""
    subject, loss = match.subject, match.candidate.loss
    domain = loss.declaration.of_target
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
    own = getattr(subject.function, "ignore_index", subject.parameters.get("ignore_index"))
    labels = dict.fromkeys((own, *IGNORED) if isinstance(own, int) else IGNORED)
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
            if got.ndim == 0 and np.isclose(float(got), match.relation.factor * want.sum() / divisor, rtol=1e-4):
                text = f"It leaves out the label {label}, and its mean divides by the number of {what}."
                yield Finding("ignored labels", "convention", text, subject.turned(prediction, marked), got, None)
                yield from all_ignored(match, label, prediction, marked)
                return
    if isinstance(own, int):
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
        total = match.relation.factor * float((weight * losses).sum())
        for divisor, what in ((weight.sum(), "the sum of the weights, as here"),
                              (weight.size, "the number of elements, whatever the weights")):
            if got.ndim == 0 and np.isclose(float(got), total / divisor, rtol=1e-4):
                text = f"With {name}= its mean divides by {what}."
                yield Finding("weights", "convention", text, (*subject.turned(prediction, target), weight), got,
                              total / float(weight.sum()))
                return


def half_precision(match: Match) -> Iterator[Finding]:
    """Whether the sums of a large mask overflow in float16."""
    subject, loss = match.subject, match.candidate.loss
    if loss.shape != "overlap" or subject.kind.name != "masks":
        return
    shape = (1, 1 if subject.layout.least[1] == 1 else 2, 512, 512)
    target = np.zeros(shape, np.float16)
    target[:, 0] = 1
    prediction = np.full(shape, 0.5, np.float16)
    try:
        got = subject.value(prediction, target)
    except Refused:
        return
    if not np.isfinite(got).all():
        text = f"In float16 a mask of {shape[2]} by {shape[3]} pixels gives {number(got.ravel()[0])}."
        yield Finding("float16", "inaccurate", text, (), got, match.expected(prediction, target))


def memory(subject: Subject, loss: Any) -> Iterator[Finding]:
    """Whether every call leaves something behind."""
    if subject.layout.single or subject.layout.name == "mask":
        return
    prediction, target = small(subject, loss)
    copies = 4096 // max(prediction.size, 1) + 1
    large = np.concatenate([prediction] * copies), None if target is None else np.concatenate([target] * copies)
    try:
        for _ in range(3):
            subject.value(*large)
        held = subject.framework.held()
        tracemalloc.start()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(CALLS):
            subject.value(*large)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        more = subject.framework.held()
    except Refused:
        return
    finally:
        tracemalloc.stop()
    lasting = held is not None and more is not None and more - held >= CALLS
    if grown > CALLS * large[0].nbytes // 2 or lasting:
        text = f"Its memory grows: after {CALLS} calls with arrays of shape {large[0].shape} it still holds "
        text += f"{more - held} of its results or arrays." if lasting else "what every one of them made."  # type: ignore[operator]
        yield Finding("memory grows", "wrong", text, (), spelled(grown // CALLS) + " bytes a call", "0 bytes a call")
