"""One audit: match, conventions, then everything that may be wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lossbook.algebra import Loss
from lossbook.names import OPTIONS
from lossbook.workshop.audit import checks
from lossbook.workshop.audit import checks_of_labels as labels
from lossbook.workshop.audit.attempts import Attempts
from lossbook.workshop.audit.candidates import Candidate, candidates, everything
from lossbook.workshop.audit.cases import Mistaken
from lossbook.workshop.audit.conventions import conventions
from lossbook.workshop.audit.diagnosis import diagnose, exchanged, first_subject, mistaken
from lossbook.workshop.audit.extremes import extremes
from lossbook.workshop.audit.findings import Finding, in_order
from lossbook.workshop.audit.layouts import OF_SPACE
from lossbook.workshop.audit.match import Match
from lossbook.workshop.audit.report import Report
from lossbook.workshop.audit.search import EFFORTS, best
from lossbook.workshop.audit.slopes import gradient as gradients
from lossbook.workshop.audit.subject import Subject

OF_GRADIENT = ("gradient", "zero gradient", "detached", "detached weight", "alpha held fixed")


def audited(function: Callable[..., Any], like: Any, gradient: Any, parameters: dict[str, Any]) -> Report:
    """The report on a function that is meant to be a loss."""
    given, options = checked(function, like, parameters)
    attempts = Attempts(function, gradient)
    choices = candidates(like, options)
    declared = {**own_parameters(function, like), **given}
    match = best(attempts, choices, declared)
    findings: list[Finding] = []
    if match is not None and match.relation.factor not in (1, -1) and match.cost[1]:
        match = None if simpler_mistake(attempts, choices, declared) else match
    if match is None:
        match = unheeded(attempts, choices, declared, given, findings)
    if match is None:
        diagnosis = diagnose(attempts, choices, declared)
        findings.append(diagnosis.finding)
        match = diagnosis.match
        subject = match.subject if match is not None else first_subject(attempts, choices[0])
        loss = match.candidate.loss if match is not None else like
        if subject is not None:
            findings += of_any(subject, loss, match)
        return Report(name_of(function), like.name, in_order(findings), None)
    findings += conventions(match, like, declared)
    findings += swapped_default(match, like, declared)
    findings += of_match(match)
    return Report(name_of(function), like.name, in_order(findings), match.call)


def identified(function: Callable[..., Any], gradient: Any, parameters: dict[str, Any]) -> Report:
    """The report on a function, compared with the loss that it is."""
    if not callable(function):
        raise TypeError(f"audit.identify: function must be callable; got {type(function).__name__}")
    attempts = Attempts(function, gradient)
    choices = [one for one in everything() if not parameters.keys() - one.loss.declaration.defaults.keys()]
    match = first_of_all(attempts, choices, dict(parameters))
    if match is None:
        text = "No loss of this package gives its numbers, for any parameters, order, reduction or factor tried."
        return Report(name_of(function), "every loss", (Finding("value", "missing", text),), None)
    loss = match.candidate.loss
    findings = [*conventions(match, loss, parameters), *of_match(match)]
    return Report(name_of(function), loss.name, in_order(findings), match.call)


def first_of_all(attempts: Attempts, choices: list[Candidate], fixed: dict[str, Any]) -> Match | None:
    """The match among all losses: with their defaults, then losses of elements, of rows, of masks and of boxes."""
    match = best(attempts, choices, fixed, EFFORTS[:1])
    for efforts in (EFFORTS[1:4], EFFORTS[4:]):
        for shape in OF_SPACE:
            if match is None:
                match = best(attempts, [one for one in choices if one.loss.shape == shape], fixed, efforts)
    return match


def checked(function: Any, like: Any, parameters: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters of the loss, its options), if everything may be audited."""
    if not callable(function):
        raise TypeError(f"audit: function must be callable; got {type(function).__name__}")
    if like is None:
        raise TypeError(
            "audit: like must be the loss that the function is meant to be, as like=binary.focal; "
            "audit.identify(function) looks for it"
        )
    if not isinstance(like, Loss):
        raise TypeError(f"audit: like must be a loss of lossbook, as binary.focal; got {type(like).__name__}")
    if like.shape not in OF_SPACE:
        raise TypeError(f"audit: {like.name} takes several predictions or distances, which cannot be audited")
    options = {name: value for name, value in parameters.items() if name in OPTIONS}
    given = {name: value for name, value in parameters.items() if name not in OPTIONS}
    like.settings(given)  # refuses unknown ones by name
    return {name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
            for name, value in given.items()}, options


def name_of(function: Any) -> str:
    """What a report calls a function."""
    return str(getattr(function, "__name__", None) or type(function).__name__)


def own_parameters(function: Any, like: Loss) -> dict[str, Any]:
    """Parameters of the loss that the function has under the same name, with its defaults, where they are allowed."""
    found = {}
    declaration = like.declaration
    for name, value in Subject(function, None).parameters.items():  # type: ignore[arg-type]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name in declaration.parameters and is_number and declaration.arguments[name].holds(float(value)):
            found[name] = float(value)
    return found


def simpler_mistake(attempts: Attempts, choices: Any, declared: dict[str, Any]) -> bool:
    """Whether one known mistake explains what would else need a factor and other parameters."""
    found = mistaken(attempts, choices, declared, nearly=False)
    return any(match.relation.factor == 1 for _, _, _, match in found)


def unheeded(
    attempts: Attempts, choices: Any, declared: dict[str, Any], given: dict[str, Any], findings: list[Finding]
) -> Match | None:
    """The match for other values of parameters that the function has under the same name; says what they are here.

    That alpha and 1 - alpha, or alpha and beta, have changed places is a mistake, not another meaning of a name.
    """
    own = {name: value for name, value in declared.items() if name not in given}
    match = best(attempts, choices, given) if own else None
    if match is None or exchanged(match.parameters, declared):
        return None
    if match.relation.factor not in (1, -1) and simpler_mistake(attempts, choices, declared):
        return None
    found = match.parameters
    switches = any(isinstance(value, bool) for value in match.subject.parameters.values())
    for name, value in own.items():
        if found.get(name, value) == value:
            continue
        if moves(match, name):
            text = f"Its {name}={value:g} is {name}={found[name]:g} here: the name has another meaning."
            findings.append(Finding("parameter", "convention", text))
        else:
            unless = ", unless another argument switches it on" if switches else ""
            text = f"Its parameter {name} changes nothing{unless}."
            findings.append(Finding("parameter", "convention" if switches else "wrong", text))
    return match


def moves(match: Match, name: str) -> bool:
    """Whether a parameter of the function changes what it gives."""
    prediction, target = checks.small(match.subject, match.candidate.loss)
    few, many = (match.subject.value(prediction, target, **options) for options in ({name: 0.125}, {name: 0.875}))
    return not np.array_equal(few, many)


def swapped_default(match: Match, like: Loss, declared: dict[str, Any]) -> Iterator[Finding]:
    """A weight alpha that is one minus the default: most likely it stands on the wrong class."""
    default, found = like.declaration.defaults.get("alpha"), match.parameters.get("alpha")
    if "beta" in match.parameters or "alpha" in declared or default in (None, 0.5) or found is None:
        return
    if abs(found - (1 - default)) < 1e-9 and abs(match.relation.factor) == 1 and like.shape == "pointwise":
        text = (f"Its alpha weighs the wrong class: label 1 has the weight {found:g} and label 0 {default:g}, the "
                f"reverse of the paper's. If that is meant, say so: audit(..., alpha={found:g}).")
        yield Finding("alpha on the wrong class", "wrong", text, (), found, default)


def of_any(subject: Subject, loss: Loss, match: Match | None) -> Iterator[Finding]:
    """What can be said of a function whatever it computes."""
    plain = None if match is not None and isinstance(match.candidate, Mistaken) else match
    if match is None or not isinstance(match.candidate, Mistaken) or match.candidate.loss.shape in OF_SPACE:
        yield from gradients(subject, loss, plain if match is None else match)
    yield from checks.inputs_kept(subject, loss)
    yield from checks.types(subject, loss)


def of_match(match: Match) -> Iterator[Finding]:
    """What can be said of a function that is a loss of this package."""
    subject, loss = match.subject, match.candidate.loss
    known = list(of_any(subject, loss, match))
    yield from known
    yield from extremes(match, not any(finding.kind in OF_GRADIENT and finding.inputs for finding in known))
    for check in (checks.broadcasting, checks.empty, checks.unchecked, checks.other_shapes, checks.half_precision,
                  labels.soft, labels.ignored, labels.weights, labels.normalized):
        yield from check(match)
    yield from checks.memory(subject, loss)

