"""The plan of a kernel: what is computed, in order, in no language yet.

A plan is what every backend prints in its own language. Its shape is that of the loss (`lossbook.spaces`):

- pointwise: one value per element; its sum is the only total.
- rows: a sum over the classes of a row, `sum_classes(f(y, u))`. A kernel needs only the scalar function f and its
  slope in u; the rest of the row is the same for all such losses. u is the log-odds of the class, its logit minus
  the largest or minus the largest of the others, or simply the prediction for that class (`row` = "log_odds",
  "minus_largest", "minus_largest_of_others" or "entry"). Beside a sum over log-odds, or alone, may stand a function of
  the row's logsumexp (`of_row`): it is added once per row, and its slope is shared among the classes as their softmax.
- boxes: one value per box; a function of its four corners and of those of the true box.
- overlap: a function (`finish`) of totals over the pixels of each image and class. Under a softmax (`row` = "log_odds")
  a pixel enters the totals of a class by the class's log-odds, its probability and that of all others together.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import sympy

from lossbook.domains import Domain
from lossbook.spaces import Space
from lossbook.words import weighted

Line = tuple[str, sympy.Expr]
T = TypeVar("T", str, sympy.Symbol)

# What totals under a softmax know of a class beside its log-odds: its probability, and that of all other classes.
PROBABILITY, COMPLEMENT, LOGIT = sympy.symbols("probability complement logit", real=True)
NO_TARGET = "no_target"  # what the kernel of a row loss without a target calls the array that it gets in its place
ORDINARY = {"x", "z", "y", "p", "q"}  # predictions and targets: kernels use these names for nothing else
OF_ROW = sympy.Symbol("logsumexp", real=True)  # the logsumexp of a row


def needed_lines(lines: Iterable[tuple[T, sympy.Expr]], results: Iterable[str]) -> list[tuple[T, sympy.Expr]]:
    """The lines without those that no result needs."""
    needed, kept = {*results}, []
    for title, value in reversed([*lines]):
        if str(title) in needed:
            needed |= {symbol.name for symbol in value.free_symbols}
            kept.append((title, value))
    return kept[::-1]


@dataclass(frozen=True, eq=False)
class Plan:
    """What a kernel computes, in order. Names are text, expressions are SymPy."""

    name: str
    space: Space
    row: str  # rows, and totals under a softmax: what the function of one class is a function of
    arrays: tuple[str, ...]  # of the call, prediction first
    inputs: tuple[str, ...]  # of the formula of one element: the arrays, the corners of a box, or what a softmax gives
    parameters: tuple[str, ...]
    checks: tuple[tuple[str, Domain], ...]  # arrays whose values must obey a rule
    forward: tuple[Line, ...]
    terms: tuple[Line, ...]  # what each element (row) adds to the totals
    backward: tuple[Line, ...]  # the last line is the slope along `wrt`
    wrt: tuple[str, ...]  # the prediction, the log-odds in a row, the corners of a box
    finish: sympy.Expr | None = None
    slopes: tuple[Line, ...] = ()
    of_row: tuple[Line, ...] = ()  # rows: what is added once per row, and its slope along the logsumexp of the row
    hard: bool = False  # rows: only the labeled class enters
    wide: bool = False  # float32 is computed in float64: what its numbers lose by rounding, the formula would magnify
    per_class: bool = False  # elements: parameters are one number per element, that of its class
    said: dict[str, str] = field(default_factory=dict)  # names that had to change in kernels -> as the user wrote them

    given: tuple[str, ...] = ()  # the names that come from the declaration: of arrays, corners, parameters and steps

    def avoiding(self, reserved: Iterable[str]) -> "Plan":
        """The same plan, with an underscore at every name of the declaration that a language or its kernels need."""
        reserved = {*reserved} - ORDINARY
        kept, new = {*self.given, *reserved}, {}
        for name in self.given:
            if name in reserved:
                other = f"{name}_"
                while other in kept:
                    other += "_"
                kept.add(other)
                new[name] = other
        if not new:
            return self

        def change(expression):
            found = {s: s.func(new[s.name], **s.assumptions0) for s in expression.free_symbols if s.name in new}
            return expression.xreplace(found)

        def names(given):
            return tuple(new.get(name, name) for name in given)

        def lines(given):
            return tuple((new.get(title, title), change(value)) for title, value in given)

        return replace(
            self,
            arrays=names(self.arrays),
            inputs=names(self.inputs),
            parameters=names(self.parameters),
            checks=tuple((new.get(name, name), domain) for name, domain in self.checks),
            forward=lines(self.forward),
            terms=lines(self.terms),
            backward=lines(self.backward),
            wrt=names(self.wrt),
            finish=None if self.finish is None else change(self.finish),
            slopes=lines(self.slopes),
            of_row=lines(self.of_row),
            given=names(self.given),
        )

    @property
    def shape(self) -> str:
        """The name of the space."""
        return self.space.name

    @property
    def prediction(self) -> str:
        """The name of the prediction."""
        return self.arrays[0]

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines of `element`, in order."""
        return (*self.forward, *self.terms, *self.backward)

    def taken(self, names: Iterable[str]) -> list[str]:
        """Those of the names that `element` takes: what its lines name."""
        read = {symbol.name for _, value in self.lines for symbol in value.free_symbols} | {*self.unsigned}
        return [name for name in names if name in read]

    @property
    def unsigned(self) -> tuple[str, ...]:
        """The inputs of `element`, never negative, of which a function or a division sees whether a zero is -0.0."""
        rows = self.space.rows_of_classes
        names = {name: "u" if rows and name == self.prediction else name for name, d in self.checks if d.low == 0}
        if rows and self.row != "entry":
            names.pop(self.prediction, None)
        if self.hard:
            names.pop(self.arrays[1], None)
        seen: set[str] = set()
        for _, value in self.lines:
            for part in value.atoms(sympy.Function, sympy.Pow):
                harmless = part.func is weighted if part.is_Function else part.exp.is_Integer and part.exp > 0
                if not harmless:
                    seen.update(symbol.name for symbol in part.free_symbols)
        return tuple(name for name in names.values() if name in seen)

    @cached_property
    def checks_prediction(self) -> bool:
        """Whether a kernel checks the values of the prediction; scores may be any."""
        return any(name == self.prediction for name, _ in self.checks)

    @property
    def gradients(self) -> tuple[str, ...]:
        """The names of the slopes."""
        return tuple(f"d_{name}" for name in self.wrt)

    @property
    def gradient(self) -> Any:
        (name,) = self.gradients
        return name
