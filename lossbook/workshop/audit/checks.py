"""How a function treats what it is given: shapes, types, empty and ignored input, weights, soft labels, memory."""

import gc
import tracemalloc
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from lossbook.workshop.audit.candidates import probe
from lossbook.workshop.audit.findings import Finding, number, spelled
from lossbook.workshop.audit.layouts import INDEX
from lossbook.workshop.audit.match import Match
from lossbook.workshop.audit.search import related
from lossbook.workshop.audit.subject import Refused, Subject, quiet

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
        if layout is own or layout.single or own.single or match.candidate.loss.shape not in ("pointwise", "rows"):
            continue
        if layout.turn is not own.turn:
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
        return type(subject.function(*subject.ordered(*fresh(subject, subject.turned(*arrays))))) in (float, int)


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


def unchecked(match: Match) -> Iterator[Finding]:
    """Targets outside their domain that are taken without an error."""
    subject, loss = match.subject, match.candidate.loss
    if subject.unary:
        return
    prediction, target = small(subject, loss)
    assert target is not None
    domain: Any = loss.declaration.of_target
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


def half_precision(match: Match) -> Iterator[Finding]:
    """Whether the sums of a large mask overflow in float16."""
    subject, loss = match.subject, match.candidate.loss
    if loss.shape != "overlap" or subject.kind.name != "masks" or not subject.framework.differentiates:
        return  # in NumPy nobody trains in float16
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
