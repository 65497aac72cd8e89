"""Exact values and slopes of a pointwise loss, from its formula alone: no derivative, plan or kernel of the package."""

from collections.abc import Mapping
from typing import Any

import mpmath
import sympy

DIGITS = 160
STEP = mpmath.mpf(10) ** -40  # relative: a central difference over it is right to about 70 digits


def logarithm(x: Any) -> Any:
    """log(x), minus infinity at 0."""
    return mpmath.log(x) if x else -mpmath.inf


def x_log_y(x: Any, y: Any) -> Any:
    """x*log(y), 0 where x is 0."""
    return x * logarithm(y) if x else mpmath.mpf(0)


# The words of which the plain meaning has 0*log(0).
AT_ZERO = {
    "kl_div": lambda p, q, d: x_log_y(p, p) - x_log_y(p, q) - d,
    "skew_entropy": lambda p, q, a, d: x_log_y(p, p) - x_log_y(p, (1 - a) * p + a * q) - a * d,
    "xlogy": x_log_y,
    "log": logarithm,
}


class Exact:
    """A loss with a target and parameters, as a function of the prediction, in numbers of mpmath."""

    def __init__(self, loss: Any, target: float | None, parameters: Mapping[str, float]) -> None:
        (self.symbol,), targets = loss.array_symbols
        given = {**loss.declaration.defaults, **parameters, **{symbol.name: target for symbol in targets}}
        flags = {name: given[name] for name in loss.declaration.flags}
        formula = loss.formula_for(flags)
        known = {s: sympy.Rational(given[s.name]) for s in formula.free_symbols if s is not self.symbol}
        self.function = sympy.lambdify(self.symbol, written_out(formula.xreplace(known)), [AT_ZERO, "mpmath"])
        self.domain = loss.declaration.of_prediction

    def value(self, x: float) -> Any:
        """The value at a prediction."""
        with mpmath.workdps(DIGITS):
            return mpmath.mpf(self.function(mpmath.mpf(x)))

    def slope(self, x: float) -> Any:
        """The slope at a prediction, by differences: to both sides, or to one at an edge of the domain."""
        with mpmath.workdps(DIGITS):
            here = mpmath.mpf(x)
            step = (abs(here) or mpmath.mpf(2) ** -149) * STEP
            up = here + step if x < self.domain.high else here
            down = here - step if x > self.domain.low else here
            return (mpmath.mpf(self.function(up)) - mpmath.mpf(self.function(down))) / (up - down)


def written_out(expression: sympy.Expr) -> sympy.Expr:
    """The expression in exp, log and arithmetic, but for words that know what 0*log(0) is."""
    if not expression.args:
        return expression
    made = expression.func(*map(written_out, expression.args))
    plain = getattr(made, "plain", None)
    return made if plain is None or type(made).__name__ in AT_ZERO else plain()
