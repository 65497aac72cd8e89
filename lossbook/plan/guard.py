"""Products of a plan made safe: 0 times infinity, 0/0, and what vanishes beside what brings it back."""

from collections.abc import Sequence

import sympy

from lossbook import words
from lossbook.formula import Formula
from lossbook.plan.ir import Line
from lossbook.words import VANISHING, quotient, weighted, weighted_quotient


class Guard:
    """Turns products that could read 0*infinity into `weighted(bounded part, unbounded part)`, 0/0 into `quotient`."""

    def __init__(
        self,
        form: Formula,
        steps: Sequence[tuple[sympy.Symbol, sympy.Expr]],
        wrt: tuple[sympy.Symbol, ...],
        row: str = "",
        lifted: bool = False,
    ) -> None:
        self.inputs = set(form.arrays)
        self.bounded = {s for s in form.arrays if form.domains[s].bounded}
        if row == "entry" and form.prediction in self.bounded:
            self.bounded.update(wrt)
        self.varying = {*form.arrays, *wrt}
        self.lifting = form.lifting if lifted else frozenset()
        for symbol, value in steps:
            self.learn(symbol, value)

    def learn(self, symbol: sympy.Symbol, value: sympy.Expr) -> None:
        """Take note of a named step: does it vary with the data, and can it be infinite."""
        if value.free_symbols & self.varying:
            self.varying.add(symbol)
            if self.is_bounded(value):
                self.bounded.add(symbol)

    def lines(self, lines: Sequence[Line]) -> tuple[Line, ...]:
        """Guarded lines, each of which may use the ones before it."""
        guarded = []
        for title, value in lines:
            guarded.append((title, self(value)))
            self.learn(sympy.Symbol(title, real=True), value)
        return tuple(guarded)

    def is_bounded(self, expression: sympy.Expr) -> bool:
        """Whether the expression stays finite whatever the prediction is."""
        if not expression.free_symbols & self.varying:
            return True
        if expression.is_Symbol:
            return expression in self.bounded
        if expression.is_Pow and not (expression.exp.is_Integer and expression.exp > 0):
            return False
        if isinstance(expression, words.Word) and expression.bounded is not None:
            return expression.bounded
        return not isinstance(expression, (sympy.log,)) and all(map(self.is_bounded, expression.args))

    def vanishes(self, factor: sympy.Expr) -> bool:
        """Whether a factor may be too small for a float where a large parameter brings it back."""
        return factor.func in VANISHING and bool(factor.free_symbols & self.varying)

    def __call__(self, expression: sympy.Expr) -> sympy.Expr:
        if not expression.args:
            return expression
        if not expression.is_Mul:
            return expression.func(*map(self, expression.args))
        constant, bounded, unbounded = [], [], []
        for factor in expression.args:
            if factor.is_number or (factor.is_positive and not factor.free_symbols & self.varying):
                constant.append(factor)
            elif self.is_bounded(factor):
                bounded.append(self(factor))
            else:
                unbounded.append(self(factor))
        if self.lifting:
            factors = sorted(filter(self.vanishes, expression.args), key=lambda factor: not self.is_bounded(factor))
            others = [factor for factor in expression.args if factor not in factors]
            if factors and all(map(self.is_bounded, others)):
                sign, product = sympy.Mul(*others).as_coeff_Mul()
                product = self(product)
                for factor in factors:
                    product = VANISHING[factor.func](product, *factor.args)
                return sign * product
        if bounded and len(unbounded) == 1 and unbounded[0].is_Pow and unbounded[0].exp in (-1, -2):
            inputs = [factor for factor in bounded if factor in self.inputs] or bounded
            others, base = [factor for factor in bounded if factor not in inputs], unbounded[0].base
            again = unbounded[0].exp == -2  # a square of a tiny base would vanish
            if not others:  # a power of a tiny parameter would vanish before it divides: one factor of it must do
                powers = [f for f in inputs if f.is_Pow and f.exp.is_Integer and not f.free_symbols & self.varying]
                constant += [power.base ** (power.exp - 1) for power in powers]
                inputs = [factor.base if factor in powers else factor for factor in inputs]
            if others:
                found = weighted_quotient(sympy.Mul(*others), sympy.Mul(*inputs), base)
            else:
                found = quotient(sympy.Mul(*inputs), base)
            return sympy.Mul(*constant, quotient(found, base) if again else found)
        if bounded and unbounded:
            return sympy.Mul(*constant, weighted(sympy.Mul(*bounded), sympy.Mul(*unbounded)))
        return sympy.Mul(*constant, *bounded, *unbounded)
