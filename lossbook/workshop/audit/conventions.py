"""What a function does otherwise than the loss, without being wrong."""

from collections.abc import Iterator
from typing import Any

from lossbook.algebra import Loss
from lossbook.workshop.audit.findings import Finding, number
from lossbook.workshop.audit.layouts import kinds
from lossbook.workshop.audit.match import Match

PREDICTIONS = {
    "Logit": "raw scores (logits)", "Probability": "probabilities", "LogProbability": "logarithms of probabilities",
    "Real": "numbers", "Box": "boxes",
}


def conventions(match: Match, like: Loss, given: dict[str, Any]) -> Iterator[Finding]:
    """What a report says of a match."""
    subject, relation, loss = match.subject, match.relation, match.candidate.loss

    def convention(kind: str, text: str) -> Finding:
        return Finding(kind, "convention", text)

    if subject.swapped:
        yield convention("order of arguments", "It takes the target first and the prediction second.")
    mine, meant = loss.declaration.of_prediction, like.declaration.of_prediction
    if mine != meant:
        yield convention("prediction", f"It takes {PREDICTIONS[mine.name]}, where {like.name} takes "
                                       f"{PREDICTIONS[meant.name]}.")
    targets = (loss.declaration.of_target, like.declaration.of_target)
    if targets[0] is not None and targets[1] is not None and not targets[0].takes_same(targets[1]):
        yield convention("target", f"Its labels are {targets[0].describes}.")
    if subject.kind != kinds(loss)[0] and subject.kind.text:
        yield convention("target", subject.kind.text)
    if subject.layout.text:
        yield convention("layout", subject.layout.text)
    if match.candidate.variation.text:
        yield convention("sums", match.candidate.variation.text)
    if relation.offset:
        yield convention("sign", "It is a score, one minus the loss: it is to be maximized.")
    elif relation.factor < 0:
        yield convention("sign", "It has the sign of a score, minus the loss: it is to be maximized.")
    if abs(relation.factor) != 1:
        yield convention("factor", f"It is {relation.prefix.rstrip('*').replace('1 + ', '')} times the loss.")
    yield from reduction(match)
    for name, value in match.parameters.items():
        default = like.declaration.defaults.get(name, loss.declaration.defaults[name])
        if name not in given and value != default:
            text = f"Its {name} is {told(value)}; the default of {loss.name} is {told(default)}."
            yield convention("parameter", text)


def told(value: Any) -> str:
    """A parameter for a sentence."""
    return str(value) if isinstance(value, bool) else number(value)


def reduction(match: Match) -> Iterator[Finding]:
    """What it sums over, and what its mean divides by."""
    relation, layout = match.relation, match.subject.layout
    if layout.single or relation.reduction == "mean":
        return
    if relation.reduction == "none":
        text = "It is not reduced: one value for each element, row or image."
    elif relation.reduction == "sum":
        text = "It adds up (reduction 'sum'): it grows with the size of the batch."
    else:
        _, suffix = relation.suffix(match.candidate.loss.declaration.arrays[0])
        text = f"Its reduction is neither a plain sum nor a mean over everything: it ends in {suffix.strip('/')}."
        if relation.per_class:
            text = f"Its mean divides by the number of classes as well: it ends in {suffix.strip('/')}."
        elif relation.weighted and relation.averaged == relation.summed:
            text = f"Its mean divides by {suffix.strip('/')}, whatever the weights; that of this package by their sum."
    yield Finding("reduction", "convention", text)
