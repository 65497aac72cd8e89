"""The search: in which order and layout, and for which parameters, a function gives the numbers of a loss."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossbook.errors import DomainError, ShapeError
from lossbook.workshop.audit.attempts import Attempts
from lossbook.workshop.audit.candidates import Candidate
from lossbook.workshop.audit.findings import snapped
from lossbook.workshop.audit.match import EXACT, NEARLY, SINGLE, Match, classes_of
from lossbook.workshop.audit.relation import Relation, relate
from lossbook.workshop.audit.subject import Subject

USUAL = {  # values that implementations use, the most common first
    "Exponent": (2.0, 0.0, 1.0, 3.0, 0.5, 1.5, 4.0, 5.0, 4 / 3, 0.75),
    "Fraction": (0.25, 0.5, 0.75, 0.0, 0.1, 0.2, 0.3, 0.7, 0.8, 0.9, 1.0, 0.05),
    "NonNegative": (1.0, 0.0, 1e-5, 1e-6, 1e-7, 0.5, 0.25, 0.75, 2.0, 1e-3, 3.0, 1e-8, 10.0, 100.0),
    "Positive": (1.0, 0.5, 2.0, 0.25, 1.5, 0.1, 1 / 9, 3.0, 10.0),
    "Flag": (False, True),
}
DEFAULTS, SINGLY, TOGETHER, FITTED = range(4)  # how many parameters are tried
EFFORTS = (False, DEFAULTS), (False, SINGLY), (True, DEFAULTS), (False, FITTED), (True, SINGLY)  # (nearly, effort)
NEAR = 0.1  # how far off, relative to the largest output, parameters may be from which a fit starts
MANY = 150  # combinations of parameters that are tried




# --- parameters ------------------------------------------------------------------------------------------------------


def grid(candidate: Candidate, fixed: dict[str, Any], effort: int) -> list[dict[str, Any]]:
    """Parameters to try: the defaults, then others one at a time, then together; those that are fixed stay."""
    declaration = candidate.loss.declaration
    defaults = {name: fixed.get(name, value) for name, value in declaration.defaults.items()}
    free = {}
    for name, default in defaults.items():
        if name not in fixed and name in declaration.arguments:
            usual = USUAL.get(declaration.arguments[name].name, ())
            free[name] = tuple(dict.fromkeys((default, *usual)))
    found = [defaults]
    if effort >= SINGLY:
        found += [{**defaults, name: value} for name, values in free.items() for value in values[1:]]
    if effort >= TOGETHER and len(free) > 1:
        several = itertools.product(*(values[:9] for values in free.values()))
        found += [{**defaults, **dict(zip(free, values, strict=True))} for values in several][:MANY]
    return found


def evaluated(
    candidate: Candidate, probes: Sequence[Any], parameters: dict[str, Any], known: dict[Any, Any]
) -> tuple[list[np.ndarray], list[float | None]] | None:
    """(losses of the probes, their means if they are weighted), or None outside the domain; `known` keeps them."""
    key = (*parameters.values(), len(probes))
    if key not in known:
        try:
            losses = [candidate.losses(p, t, parameters) for p, t in probes]
            weighted = any(name in candidate.options for name in ("class_weight", "ignore_index"))
            known[key] = losses, [candidate.mean(p, t, parameters) if weighted else None
                                  for p, t in probes]
        except (DomainError, ShapeError, TypeError):
            known[key] = None
    return known[key]


def related(
    outputs: Sequence[np.ndarray], candidate: Candidate, probes: Sequence[Any], parameters: dict[str, Any],
    tolerance: float, known: dict[Any, Any],
) -> Relation | None:
    """The relation between outputs and losses for these parameters, which the first two probes must have."""
    scores = candidate.loss.shape in ("overlap", "boxes")
    relation = None
    for count in (2, len(probes)):
        found = evaluated(candidate, probes[:count], parameters, known)
        if found is None:
            return None
        classes = [classes_of(prediction) for prediction, _ in probes[:count]]
        relation = relate(outputs[:count], found[0], classes, found[1], tolerance, scores)
        if relation is None:
            return None
    return relation


def tolerance_of(outputs: Sequence[np.ndarray]) -> float:
    """How far equal numbers may be apart, by the type of the outputs."""
    return EXACT if all(output.dtype.itemsize >= 8 for output in outputs) else SINGLE


def comparable(outputs: Sequence[np.ndarray]) -> bool:
    """Whether outputs are finite numbers, not all the same."""
    numbers = np.concatenate([np.ravel(output) for output in outputs])
    return bool(numbers.size and np.isfinite(numbers).all() and np.ptp(numbers.astype(float)))


def matches(
    attempts: Attempts, candidate: Candidate, fixed: dict[str, Any], effort: int, nearly: bool = False,
    fallback: bool | None = None,
) -> Iterator[Match]:
    """The ways in which the function is the candidate, exactly or, if `nearly`, but for a small constant.

    `effort` says which parameters are tried, and `fallback` which layouts, both if it is None.
    """
    shape = candidate.loss.shape
    for layout in candidate.layouts:
        if fallback is not None and layout.fallback != fallback:
            continue
        if layout.fallback and shape in attempts.ordinary and (shape == "pointwise" or layout.normalized):
            continue  # these are for functions that refuse ordinary arrays
        for variation in candidate.variations[: 1 if layout.name == "mask" else None]:
            varied = replace(candidate, variation=variation)
            known = attempts.known.setdefault((varied, layout.name), {})
            for subject, probes, outputs in attempts.subjects(candidate.loss, layout):
                if not comparable(outputs):
                    continue
                if not layout.fallback:
                    attempts.ordinary.add(shape)
                tolerance = NEARLY if nearly else tolerance_of(outputs)
                found = match_of(subject, varied, probes, outputs, fixed, effort, tolerance, known)
                if found is not None:
                    yield found


def mixed(outputs: Sequence[np.ndarray]) -> bool:
    """Whether some outputs are clearly negative and some positive."""
    numbers = np.concatenate([np.ravel(output) for output in outputs])
    return bool(numbers.min() < -1e-6 and numbers.max() > 1e-6)


def match_of(
    subject: Subject, candidate: Candidate, probes: Sequence[Any], outputs: Sequence[np.ndarray],
    fixed: dict[str, Any], effort: int, tolerance: float, known: dict[Any, Any],
) -> Match | None:
    """The plainest match of one way of calling the function."""
    found: list[Match] = []
    if candidate.loss.shape == "overlap" and mixed(outputs):
        return None  # neither such a loss nor its score has both signs
    for level in range(effort + 1):
        if level == FITTED:
            if not found and tolerance != NEARLY:
                tried = grid(candidate, fixed, effort)
                found = list(fitted(subject, candidate, probes, outputs, tried, fixed, tolerance, known))
            break
        for parameters in grid(candidate, fixed, level):
            relation = related(outputs, candidate, probes, parameters, tolerance, known)
            if relation is not None:
                found.append(Match(subject, candidate, parameters, relation, tolerance))
                if relation.factor == 1:
                    return found[-1]
    if found and effort == DEFAULTS:  # a factor may stand for another value of a parameter
        return match_of(subject, candidate, probes, outputs, fixed, SINGLY, tolerance, known)
    return min(found, key=lambda match: match.cost, default=None)


def best(
    attempts: Attempts, choices: Sequence[Candidate], fixed: dict[str, Any],
    order: Sequence[tuple[bool, int]] = EFFORTS,
) -> Match | None:
    """The plainest call of the first loss that the function is, with little effort first."""
    for nearly, effort in order:
        for fallback in (False, True):
            for candidate in choices:
                for match in matches(attempts, candidate, fixed, effort, nearly, fallback):
                    return match
    return None


def fitted(
    subject: Subject, candidate: Candidate, probes: Sequence[Any], outputs: Sequence[np.ndarray],
    tried: Sequence[dict[str, Any]], fixed: dict[str, Any], tolerance: float,
    known: dict[Any, Any],
) -> Iterator[Match]:
    """Matches for parameters between those of the grid, found by Newton's method on a smooth fit."""
    names = [name for name, value in tried[0].items() if name not in fixed and not isinstance(value, bool)]
    if not names:
        return
    start = min(tried, key=lambda parameters: misfit(candidate, probes[:2], outputs[:2], parameters, known))
    if misfit(candidate, probes, outputs, start, known) > NEAR:
        return
    point = np.array([start[name] for name in names], float)
    for _ in range(12):
        parameters = {**start, **dict(zip(names, point.tolist(), strict=True))}
        here = residual(candidate, probes, outputs, parameters, known)
        if here is None:
            return
        columns = []
        for index, name in enumerate(names):
            step = 1e-6 * max(abs(point[index]), 1e-3)
            there = residual(candidate, probes, outputs, {**parameters, name: point[index] + step}, known)
            if there is None:
                return
            columns.append((there - here) / step)
        move = np.linalg.lstsq(np.stack(columns, axis=1), -here, rcond=1e-9)[0]
        point = np.maximum(point + np.clip(move, -2, 2), 0.0)
        if np.abs(move).max() < 1e-13 * np.abs(point).max():
            break
    parameters = {**start, **{name: snapped(value) for name, value in zip(names, point.tolist(), strict=True)}}
    relation = related(outputs, candidate, probes, parameters, max(10 * tolerance, 1e-8), known)
    if relation is not None:
        yield Match(subject, candidate, parameters, relation, tolerance)


def residual(
    candidate: Candidate, probes: Sequence[Any], outputs: Sequence[np.ndarray], parameters: dict[str, Any],
    known: dict[Any, Any],
) -> np.ndarray | None:
    """Outputs less losses, reduced alike and times the best factor; None if they have no such shape."""
    found = evaluated(candidate, probes, parameters, known)
    if found is None:
        return None
    got = np.concatenate([output.ravel() for output in outputs]).astype(float)
    for reduce in (np.mean, np.sum, np.asarray):
        sums = [np.asarray(reduce(loss)) for loss in found[0]]
        if all(one.size == output.size for one, output in zip(sums, outputs, strict=True)):
            want = np.concatenate([one.ravel() for one in sums])
            if not np.isfinite(want).all() or not want.any():
                return None
            if got.size > 1:
                want = want * (got @ want) / (want @ want)
            return (got - want) / np.abs(got).max()
    return None


def misfit(
    candidate: Candidate, probes: Sequence[Any], outputs: Sequence[np.ndarray], parameters: dict[str, Any],
    known: dict[Any, Any],
) -> float:
    """The size of the residual."""
    found = residual(candidate, probes, outputs, parameters, known)
    return np.inf if found is None else float(np.linalg.norm(found))
