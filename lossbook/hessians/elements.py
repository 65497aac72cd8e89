"""The slope of a loss of elements as a loss: its gradient is the second derivative, on every backend.

Where a formula has a kink its second derivative is that of a piece beside it: of an absolute value the sign is 1 at 0,
so that a square of the sign is 1 there, and Huber's loss has the second derivative 1 where prediction and target meet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy

from lossbook import words
from lossbook.declaration import Declaration
from lossbook.domains import Domain, Label, Positive
from lossbook.evaluation.evaluate import Evaluation
from lossbook.evaluation.request import BOTH, GRADIENT
from lossbook.formula import Formula, Formulas
from lossbook.plan.ir import Plan, needed_lines
from lossbook.plan.lower import U, accumulate
from lossbook.plan.variants import Plans
from lossbook.spaces import ELEMENTS, Space

Steps = Sequence[tuple[sympy.Symbol, sympy.Expr]]


def slope_of(formula: Formula, symbol: sympy.Symbol) -> Formula:
    """The formula of the slope along a symbol, with a step for each slope that reverse accumulation names."""
    used = {s.name for s in (*formula.arrays, *formula.parameters, *dict(formula.steps))}
    *lines, (_, expression) = accumulate(formula.steps, [(formula.expression, sympy.S.One)], (symbol,))
    names = {}
    for title, _ in lines:
        name = title.replace("d_", "slope_", 1)
        while name in used:
            name += "_"
        used.add(name)
        names[sympy.Symbol(title, real=True)] = sympy.Symbol(name, real=True)
    steps = [*formula.steps, *((names[sympy.Symbol(t, real=True)], value.xreplace(names)) for t, value in lines)]
    return replace(formula, steps=needed(steps, expression.xreplace(names)), expression=expression.xreplace(names))


def bent(formula: Formula, symbol: sympy.Symbol) -> Formula:
    """The formula of the slope along a symbol, for its own slope alone."""
    slope = slope_of(formula, symbol)
    return slope if slope.steps else replace(slope, expression=in_partial_fractions(slope.expression, symbol))


def in_partial_fractions(expression: sympy.Expr, symbol: sympy.Symbol) -> sympy.Expr:
    """A slope whose fractions in the prediction are apart, so that nothing cancels in its own slope: (p - q)/q, whose
    slope is -1/q - (p - q)/q**2, is p/q - 1.
    """
    terms = sympy.Add.make_args(expression)
    fractions = [term for term in terms if not term.has(sympy.Function) and term.is_rational_function(symbol)]
    others = [term for term in terms if term not in fractions]
    return sympy.Add(*others, *(sympy.apart(term, symbol) for term in fractions))


def needed(steps: Steps, expression: sympy.Expr) -> tuple[tuple[sympy.Symbol, sympy.Expr], ...]:
    """The steps without those that the expression does not need."""
    return tuple(needed_lines(steps, (symbol.name for symbol in expression.free_symbols)))


def is_linear(formula: Formula) -> bool:
    """Whether the second derivatives of a loss whose slope this is are 0 everywhere."""
    lines = accumulate(formula.steps, [(formula.expression, sympy.S.One)], formula.predictions)
    return all(value == 0 for title, value in lines if title in {f"d_{s.name}" for s in formula.predictions})


class SlopePlans(Plans):
    """The plans of a slope, in which the sign of an absolute value is never 0."""

    def make(self, *settings: Any) -> Plan:
        plan = super().make(*settings)
        backward = tuple((title, value.replace(words.sign, side)) for title, value in plan.backward)
        return replace(plan, backward=backward)


def side(x: sympy.Expr) -> sympy.Expr:
    """-1 below 0, else 1."""
    return 1 - 2 * words.less(x, 0)


@dataclass(frozen=True, eq=False)
class Function:
    """A function of elements or of boxes, with what `Evaluation` asks of a loss."""

    declaration: Declaration
    plans: Plans
    space: Space
    per_class: frozenset[str] = frozenset()

    @property
    def axis(self) -> int | None:
        """Where the corners of boxes are, or the classes of elements, unless a call says otherwise."""
        return self.declaration.own.get("axis", self.space.usual_axis)


def along_each(evaluation: Evaluation) -> list[Evaluation]:
    """How the slope along each prediction (each corner of a box) is computed, and with it the second derivatives."""
    formulas, count = evaluation.plans.formulas, len(evaluation.formula({}).predictions)

    def of_slope(k: int) -> Formulas:
        return Formulas(
            len(evaluation.declaration.flags),
            lambda setting: bent(formulas.at(setting), formulas.at(setting).predictions[k]),
        )

    names = [f"{evaluation.plans.name}_slope{'' if count == 1 else f'_{k}'}" for k in range(count)]
    plans = [SlopePlans(name, of_slope(k)) for k, name in enumerate(names)]
    old = evaluation.loss
    return [Evaluation(Function(old.declaration, each, old.space, old.per_class), evaluation.fixed) for each in plans]


class Element:
    """A function of one number u and a target, for its first and second derivative: f(u, y).

    `alone` says that the second derivative is all that is asked for.
    """

    def __init__(
        self, name: str, formula: Formula, domain: Domain, steps: Steps, expression: sympy.Expr, alone: bool = False
    ) -> None:
        known = {words.classes: Positive.symbol("C")}
        steps = [(symbol, value.xreplace(known)) for symbol, value in steps]
        expression = expression.xreplace(known)
        read = expression.free_symbols.union(*(value.free_symbols for _, value in needed(steps, expression)))
        targets = [s for s in formula.arrays[1:] if s in read]
        parameters = (*formula.parameters, known[words.classes])
        domains = {U: domain, **{s: Label if formula.domains[s].holds_classes else formula.domains[s] for s in targets}}
        domains |= {s: formula.domains.get(s, Positive) for s in parameters}
        target = targets[0] if targets else None
        whole = Formula(U, target, parameters, domains, needed(steps, expression), expression)
        arguments = {symbol.name: domain for symbol, domain in domains.items()}
        defaults = {s.name: 1.0 for s in parameters}
        declaration = Declaration(name, arguments, defaults, lambda: ("reduction", "weight", "backend"))
        self.names, self.targets = [s.name for s in parameters], targets
        slope = bent(whole, U) if alone else slope_of(whole, U)
        plans = Plans(name, Formulas(0, lambda _: whole)), SlopePlans(f"{name}_slope", Formulas(0, lambda _: slope))
        self.value, along = (Evaluation(Function(declaration, plan, ELEMENTS)) for plan in plans)
        self.slope = None if is_linear(slope) else along

    def derivatives(self, xp: Any, u: Any, y: Any, parameters: Sequence[float], backend: str) -> tuple[Any, Any]:
        """(first, second) at each u, in float64; the number of classes is the last of the parameters."""
        options: Mapping[str, Any] = {**dict(zip(self.names, parameters, strict=True)), "backend": backend}
        arrays = (u, y) if self.targets else (u,)
        if self.slope is None:
            _, first = self.value(arrays, {**options, "reduction": "none"}, GRADIENT)
            return first, xp.zeros_like(first)
        return self.slope(arrays, {**options, "reduction": "none"}, BOTH)
