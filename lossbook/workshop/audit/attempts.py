"""The calls of a function that the search has tried, each made once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lossbook.algebra import Loss
from lossbook.workshop.audit.candidates import probe
from lossbook.workshop.audit.frameworks import OfNumPy, loaded
from lossbook.workshop.audit.layouts import Kind, Layout, kinds
from lossbook.workshop.audit.subject import Refused, Subject, quiet

SEEDS = 3  # probes of each shape: enough that no wrong parameters fit them


@dataclass
class Attempts:
    """The function's outputs for all ways of calling it, each computed once."""

    function: Any
    gradient: Any
    outputs: dict[Any, Any] = field(default_factory=dict)
    ordinary: set[str] = field(default_factory=set)  # shapes of losses whose ordinary arrays the function takes
    framework: OfNumPy | None = None  # that of the function, once a call has told it
    errors: list[str] = field(default_factory=list)
    known: dict[Any, dict[Any, Any]] = field(default_factory=dict)  # losses of candidates, by layout and parameters

    def subjects(self, loss: Loss, layout: Layout) -> Iterator[tuple[Subject, list[Any], list[np.ndarray]]]:
        """(subject, probes, outputs) of every way in which a call gives numbers."""
        probes = [probe(loss, shape, seed, layout.normalized) for seed in range(SEEDS) for shape in layout.shapes]
        unary = len(loss.declaration.arrays) == 1
        for kind in kinds(loss)[: 1 if unary else None]:
            for swapped in self.orders(loss):
                found = self.outcome(loss, layout, kind, swapped, probes)
                if found is not None:
                    yield found[0], probes, found[1]

    def orders(self, loss: Loss) -> tuple[bool, ...]:
        """Whether to try (target, prediction), after or before (prediction, target).

        Numbers tell the order only where prediction and target have different ranges; elsewhere names do.
        """
        if len(loss.declaration.arrays) == 1:
            return (False,)
        if loss.shape == "overlap" or loss.declaration.of_prediction.holds_numbers_of_the_target or is_divergence(loss):
            return (Subject(self.function, OfNumPy()).target_is_first,)
        return (False, True)

    def outcome(
        self, loss: Loss, layout: Layout, kind: Kind, swapped: bool, probes: Sequence[Any]
    ) -> tuple[Subject, list[np.ndarray]] | None:
        """(subject, outputs for the probes), or None if the function refuses them."""
        key = tuple((p.tobytes(), None if t is None else t.tobytes()) for p, t in probes), layout, kind, swapped
        if key not in self.outputs:
            self.outputs[key] = self.called(loss, layout, kind, swapped, probes)
        return self.outputs[key]

    def called(
        self, loss: Loss, layout: Layout, kind: Kind, swapped: bool, probes: Sequence[Any]
    ) -> tuple[Subject, list[np.ndarray]] | None:
        """What `outcome` gives, from calls."""
        unary = len(loss.declaration.arrays) == 1
        for framework in loaded(self.function) if self.framework is None else [self.framework]:
            subject = Subject(self.function, framework, self.gradient, swapped, layout, kind, unary)
            try:
                if self.framework is None:
                    subject.value(*probes[0])
                    self.framework = framework if layout.single else own_framework(subject, subject.turned(*probes[0]))
                    subject = replace(subject, framework=self.framework)
                return subject, [subject.value(*one) for one in probes]
            except Refused as error:
                self.errors.append(str(error))
        return None


def is_divergence(loss: Loss) -> bool:
    """Whether prediction and target are both distributions."""
    return loss.name.startswith("divergence") or loss.name == "multiclass.kullback_leibler"


def own_framework(subject: Subject, arrays: tuple[np.ndarray, ...]) -> OfNumPy:
    """The framework that differentiates the function, if it takes the arrays of one and gives them back."""
    for framework in loaded(subject.function):
        if type(framework) is OfNumPy:
            continue
        for one in (framework, subject.framework):  # some make their own arrays of NumPy's
            try:
                with quiet(), framework.ready():
                    given = [one.array(part) for part in arrays]
                    raw = subject.function(*subject.ordered(given[0], given[1:]))
            except Exception:  # it does not take them
                continue
            if framework.owns(raw):
                return framework
    return subject.framework
