"""What a function is that is not the loss that is meant: each known mistake is tried, by its numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossbook.workshop.audit.attempts import Attempts
from lossbook.workshop.audit.candidates import Candidate, probe
from lossbook.workshop.audit.cases import Mistaken
from lossbook.workshop.audit.findings import Finding, number
from lossbook.workshop.audit.layouts import kinds
from lossbook.workshop.audit.match import Match
from lossbook.workshop.audit.mistakes import OUTER, Outer, mistakes, others
from lossbook.workshop.audit.search import DEFAULTS, SINGLY, best, comparable, evaluated, matches, related, tolerance_of
from lossbook.workshop.audit.subject import Refused, Subject


@dataclass(frozen=True)
class Diagnosis:
    """The statement, and the match that it rests on, if one was found."""

    finding: Finding
    match: Match | None = None


def diagnose(attempts: Attempts, choices: Sequence[Candidate], declared: dict[str, Any]) -> Diagnosis:
    """What is wrong with a function that no call of this package equals."""
    found = next(hypotheses(attempts, choices, declared), None)
    if found is not None:
        kind, severity, text, match = found
        return Diagnosis(shown(match.subject, choices[0], kind, severity, text, declared), match)
    subject = first_subject(attempts, choices[0])
    if subject is None:
        own = [error for error in attempts.errors if "numpy.ndarray" not in error and "Tensor" not in error]
        said = (own or attempts.errors or ["it gives no numbers"])[0]
        text = f"It could not be called with the arrays of {choices[0].text}: {said}."
        return Diagnosis(Finding("call", "wrong", text))
    text = f"Its values are not those of {choices[0].text}, and no known mistake explains them."
    value = subject.value(*probe(choices[0].loss, subject.layout.shapes[0]))
    if not np.isfinite(value).all():
        text = f"It gives {number(value[~np.isfinite(value)].flat[0])} at ordinary inputs of {choices[0].text}."
        return Diagnosis(shown(subject, choices[0], "not a number", "wrong", text, declared))
    return Diagnosis(shown(subject, choices[0], "value", "wrong", text, declared))


def hypotheses(
    attempts: Attempts, choices: Sequence[Candidate], declared: dict[str, Any]
) -> Iterator[tuple[str, str, str, Match]]:
    """(kind, severity, sentence, match) for what explains the values, the likeliest first."""
    yield from unheeded_options(attempts, choices, declared)
    exact = list(mistaken(attempts, choices, declared, nearly=False))
    yield from (found for found in exact if abs(found[3].relation.factor) == 1)
    moved = best(attempts, choices, turned_round(declared)) if "alpha" in declared else None
    moved = moved or (best(attempts, choices, {}) if declared else None)
    if moved is not None and abs(moved.relation.factor) == 1:
        yield "parameter", "wrong", other_parameters(moved, declared), moved
    yield from exact
    if moved is not None:
        yield "parameter", "wrong", other_parameters(moved, declared), moved
    yield from of_other_losses(attempts, choices[0], plain=True)
    yield from mistaken(attempts, choices, declared, nearly=True)
    for text, match in divided(attempts, choices, declared):
        yield "divisor", "wrong", text, match
    for outer, match in transformed(attempts, choices, declared):
        text = f"{outer.text} What stands inside equals {match.call}."
        yield outer.name, "wrong", text, match
    yield from of_other_losses(attempts, choices[0], plain=False)
    whole = whole_numbers(attempts, choices, declared)
    if whole is not None:
        text = "It divides whole numbers (//) or rounds its result: only the whole part of the value is left."
        yield "integer division", "wrong", text, whole


def unheeded_options(
    attempts: Attempts, choices: Sequence[Candidate], declared: dict[str, Any]
) -> Iterator[tuple[str, str, str, Match]]:
    """What `hypotheses` gives of a function that was to have class weights, or to ignore a label, and does not."""
    for name, value in choices[0].options.items():
        without = [replace(one, options={n: v for n, v in one.options.items() if n != name}) for one in choices]
        match = best(replace(attempts, known={}), without, declared)  # what is known is of candidates with the option
        if match is not None and match.relation.factor == 1:
            yield name, "wrong", f"It takes no heed of {name}={value}: it equals {match.call}.", match


def mistaken(
    attempts: Attempts, choices: Sequence[Candidate], declared: dict[str, Any], nearly: bool
) -> Iterator[tuple[str, str, str, Match]]:
    """What `hypotheses` gives of the known mistakes."""
    for candidate in choices:
        fixed = {**candidate.loss.declaration.defaults, **known(candidate, declared)}
        for mistake in mistakes(candidate):
            tried = Mistaken(candidate.loss, candidate.text, candidate.options, mistake=mistake)
            for match in matches(attempts, tried, fixed, DEFAULTS, nearly):
                if match.subject.swapped and not match.subject.target_is_first:
                    continue  # with labels in the place of the prediction, much looks like a mistake
                yield mistake.name, mistake.severity, mistake.text, match


def of_other_losses(
    attempts: Attempts, candidate: Candidate, plain: bool
) -> Iterator[tuple[str, str, str, Match]]:
    """What `hypotheses` gives of losses that were not meant, with their defaults if `plain`."""
    for other in others(candidate):
        for match in matches(attempts, other, {}, DEFAULTS if plain else SINGLY):
            yield "another loss", "wrong", f"It is another loss: it equals {match.call}.", match


def known(candidate: Candidate, declared: dict[str, Any]) -> dict[str, Any]:
    """Those of the parameters that the loss has."""
    return {name: value for name, value in declared.items() if name in candidate.loss.declaration.parameters}


def other_parameters(match: Match, declared: dict[str, Any]) -> str:
    """What a report says of parameters that are not those that were asked for."""
    found, parts = match.parameters, []
    for name, value in declared.items():
        if name in found and found[name] != value:
            parts.append(f"{name}={number(value)} has the effect of {name}={number(found[name])}")
    text = f"Its parameters do not do what their names say: {', '.join(parts) or 'they do nothing'}."
    if exchanged(found, declared):
        text += (" Alpha and beta are exchanged: alpha weighs false positives, beta false negatives." if "beta" in found
                 else " It weighs the wrong class: alpha belongs to label 1, 1 - alpha to label 0.")
    return text


def turned_round(declared: dict[str, Any]) -> dict[str, Any]:
    """The parameters with alpha and beta, or alpha and 1 - alpha, in each other's place."""
    alpha = declared["alpha"]
    if "beta" in declared:
        return {**declared, "alpha": declared["beta"], "beta": alpha}
    return {**declared, "alpha": 1 - alpha}


def exchanged(found: dict[str, Any], declared: dict[str, Any]) -> bool:
    """Whether alpha and beta, or alpha and 1 - alpha, have changed places."""
    alpha, meant = found.get("alpha"), declared.get("alpha")
    if alpha is None or meant is None or alpha == meant:
        return False
    other = declared.get("beta", alpha) if "beta" in found else 1 - meant
    return bool(np.isclose(alpha, other)) and np.isclose(found.get("beta", meant), meant)


DIVISORS: tuple[tuple[str, Any], ...] = (
    ("It divides by the number of elements twice.", lambda count: count),
    ("It divides by N - 1, where a mean divides by N.", lambda count: (count - 1) / count),
    ("It divides by N + 1, where a mean divides by N.", lambda count: (count + 1) / count),
)


def divided(
    attempts: Attempts, choices: Sequence[Candidate], declared: dict[str, Any]
) -> Iterator[tuple[str, Match]]:
    """Means that are divided by another number, of elements or of rows."""
    for candidate in choices:
        parameters = {**candidate.loss.declaration.defaults, **known(candidate, declared)}
        for subject, probes, outputs in attempts.subjects(candidate.loss, candidate.layouts[0]):
            found = evaluated(candidate, probes, parameters, {})
            if not comparable(outputs) or found is None or any(output.ndim for output in outputs):
                continue
            for rows in (False, True):
                counts = [len(loss) if rows else loss.size for loss in found[0]]
                for text, factor in DIVISORS:
                    whole = [np.asarray(output * factor(n)) for output, n in zip(outputs, counts, strict=True)]
                    relation = related(whole, candidate, probes, parameters, tolerance_of(outputs), {})
                    if relation is not None and relation.factor == 1 and relation.reduction == "mean":
                        yield text, Match(subject, candidate, parameters, relation, tolerance_of(outputs))


def transformed(
    attempts: Attempts, choices: Sequence[Candidate], declared: dict[str, Any]
) -> Iterator[tuple[Outer, Match]]:
    """What was done to the whole value, and the match of what stands inside."""
    for candidate in choices:
        for layout in candidate.layouts:
            for subject, probes, outputs in attempts.subjects(candidate.loss, layout):
                if not comparable(outputs):
                    continue
                parameters = {**candidate.loss.declaration.defaults, **known(candidate, declared)}
                for outer in OUTER:
                    with np.errstate(all="ignore"):
                        inside = [np.asarray(outer.undo(output.astype(float))) for output in outputs]
                    relation = related(inside, candidate, probes, parameters, 1e-6, {}) if comparable(inside) else None
                    if relation is not None and relation.reduction in ("mean", "sum"):
                        yield outer, Match(subject, candidate, parameters, relation, tolerance_of(outputs))


def whole_numbers(attempts: Attempts, choices: Sequence[Candidate], declared: dict[str, Any]) -> Match | None:
    """The match of a function whose outputs are the whole parts of what they should be."""
    for candidate in choices:
        parameters = {**candidate.loss.declaration.defaults, **known(candidate, declared)}
        for layout in candidate.layouts:
            for subject, probes, outputs in attempts.subjects(candidate.loss, layout):
                if not comparable(outputs):
                    continue
                found = evaluated(candidate, probes, parameters, {})
                losses = found[0] if found is not None else []
                for reduce in (np.mean, np.sum, np.asarray):
                    wanted = [np.asarray(reduce(loss)) for loss in losses]
                    if losses and all(want.shape == output.shape and np.isin(output - np.floor(want), (0, 1)).all()
                           for want, output in zip(wanted, outputs, strict=True)):
                        relation = related(wanted, candidate, probes, parameters, 1e-9, {})
                        if relation is not None:
                            return Match(subject, candidate, parameters, relation, 1.0)
    return None


def first_subject(attempts: Attempts, candidate: Candidate) -> Subject | None:
    """The plainest way in which the function can be called at all."""
    for layout in candidate.layouts:
        for subject, _, outputs in attempts.subjects(candidate.loss, layout):
            if comparable(outputs):
                return subject
    for layout in candidate.layouts:
        for subject, _, _ in attempts.subjects(candidate.loss, layout):
            return subject
    return None


SIMPLE = {True: (0.5, 0.25, 0.75), False: (1.0, 0.0, -1.0, 2.0, 0.5)}


def simple_inputs(candidate: Candidate, subject: Subject) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Inputs of few small numbers, the smallest first."""
    loss = candidate.loss
    declaration: Any = loss.declaration
    if loss.shape == "pointwise":
        shape = subject.layout.least
        labels = (1.0, 0.0) if declaration.of_target is None or declaration.of_target.low >= 0 else (1.0, -1.0)
        labels = (0.0, 2.0) if declaration.of_target is not None and declaration.of_target.high > 1 else labels
        for label in labels:
            for value in SIMPLE[declaration.of_prediction.high == 1]:
                yield np.full(shape, value), None if declaration.of_target is None else np.full(shape, label)
    elif loss.shape == "rows" and declaration.of_target.holds_classes:
        rows = ((0.5, 0.25, 0.25), (0.25, 0.5, 0.25)) if declaration.of_prediction.high == 1 else ((1, 0, 0), (0, 1, 2))
        for row in rows:
            p = np.array(row, float).reshape(1, 3, *subject.layout.least[2:])
            p = np.log(p) if declaration.of_prediction.high == 0 and np.min(p) > 0 else p
            yield p, np.zeros((1, *subject.layout.least[2:]), int)
    for shape in subject.layout.shapes:
        yield probe(loss, shape)


def shown(
    subject: Subject, candidate: Candidate, kind: str, severity: str, text: str, declared: dict[str, Any]
) -> Finding:
    """The finding with the simplest input that shows it."""
    parameters = {**candidate.loss.declaration.defaults, **known(candidate, declared)}
    if subject.kind not in kinds(candidate.loss) or subject.layout not in candidate.layouts:
        return Finding(kind, severity, text)
    for arrays in simple_inputs(candidate, subject):
        try:
            got = subject.value(*arrays)
            losses = candidate.losses(*arrays, parameters)
        except (Refused, ValueError):
            continue
        want = losses if got.shape == losses.shape and got.ndim else losses.mean()
        if not np.allclose(got, want, rtol=1e-6, atol=0):
            return Finding(kind, severity, text, subject.turned(*arrays), got, np.asarray(want))
    return Finding(kind, severity, text)
