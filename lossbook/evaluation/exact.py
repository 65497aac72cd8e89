"""Exact values of a formula of one element, from the formula alone: in numbers of mpmath, or in whole numbers."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy

from lossbook import words
from lossbook.domains import Domain

DIGITS = 160  # of values; of differences, a half
TINIEST = mpmath.mpf(2) ** -149


def _log(x: Any) -> Any:
    return mpmath.log(x) if x else -mpmath.inf


def _x_log_y(x: Any, y: Any) -> Any:
    return x * _log(y) if x else mpmath.mpf(0)


# The words whose plain meaning has 0*log(0) or 0/0.
AT_ZERO = {
    "log": _log,
    "xlogy": _x_log_y,
    "kl_div": lambda p, q, d: _x_log_y(p, p) - _x_log_y(p, q) - d,
    "kl_div_of_logit": lambda p, x, d: _x_log_y(p, p) + p * mpmath.log(1 + mpmath.exp(-x)) - d,
    "skew_entropy": lambda p, q, a, d: _x_log_y(p, p) - _x_log_y(p, (1 - a) * p + a * q) - a * d,
    "reciprocal": lambda b: 1 / b if b else mpmath.mpf(0),
    "share": lambda a, b: a / (a + b) if a + b else mpmath.mpf(0),
}


def _written_out(expression: sympy.Expr) -> sympy.Expr:
    """The expression in exp, log and arithmetic, but for the words of `AT_ZERO`."""
    if not expression.args:
        return expression
    made = expression.func(*map(_written_out, expression.args))
    return made.plain() if isinstance(made, words.Word) and type(made).__name__ not in AT_ZERO else made


def in_mpmath(expression: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> Callable[..., Any]:
    """The function that gives the value of an expression in words for numbers of mpmath, in the working precision."""
    return sympy.lambdify(symbols, _written_out(expression), [AT_ZERO, "mpmath"])


def slope_at(function: Callable[..., Any], domain: Domain, x: Any, *rest: Any, digits: int = DIGITS) -> Any:
    """The slope of a function along its first argument, by differences: to both sides, or to one at an edge.

    A quarter of the digits is for the step, as much is lost by it, and as much again stays right.
    """
    with mpmath.workdps(digits):
        step = (abs(x) or TINIEST) * mpmath.mpf(10) ** (-digits // 4)
        up = x + step if x < domain.high else x
        down = x - step if x > domain.low else x
        return (mpmath.mpf(function(up, *rest)) - mpmath.mpf(function(down, *rest))) / (up - down)


# --- in whole numbers -------------------------------------------------------------------------------------------------


class Dyadic:
    """An array of whole numbers times a power of two, in which sums and products are exact.

    The numbers are int64 as long as they fit, which is much faster, and then Python's.
    """

    __array_ufunc__ = None

    def __init__(self, numbers: Any, exponent: int) -> None:
        self.numbers, self.exponent = np.asarray(numbers), exponent

    @classmethod
    def of(cls, number: Any) -> "Dyadic":
        """The same as floats."""
        if isinstance(number, Dyadic):
            return number
        fractions, exponents = np.frexp(np.asarray(number, np.float64))
        whole = np.ldexp(fractions, 53).astype(np.int64)
        common = int(np.bitwise_or.reduce(whole, axis=None))  # its lowest bit is the lowest of any
        spare = max((common & -common).bit_length() - 1, 0)
        least = int(np.min(exponents, initial=2**20))
        powers = exponents - least
        short = cls(whole >> spare, least - 53 + spare)
        numbers = short.with_room(int(np.max(powers, initial=0)))
        return cls(numbers * 2 ** powers.astype(numbers.dtype), short.exponent)

    def bits(self) -> int:
        """How many bits the largest number has."""
        return int(np.max(np.abs(self.numbers), initial=0)).bit_length()

    def with_room(self, bits: int) -> Any:
        """The numbers, as integers that can have so many bits more."""
        fits = self.numbers.dtype == object or self.bits() + bits < 63
        return self.numbers if fits else self.numbers.astype(object)

    def _aligned(self, other: Any) -> tuple[Any, Any, int]:
        """(numbers, other numbers, exponent)"""
        other = Dyadic.of(other)
        low = min(self.exponent, other.exponent)
        up, up_other = self.exponent - low, other.exponent - low
        return self.with_room(up + 1) * 2**up, other.with_room(up_other + 1) * 2**up_other, low

    def __add__(self, other: Any) -> "Dyadic":
        mine, others, exponent = self._aligned(other)
        return Dyadic(mine + others, exponent)

    def __mul__(self, other: Any) -> "Dyadic":
        other = Dyadic.of(other)
        return Dyadic(self.with_room(other.bits()) * other.with_room(self.bits()), self.exponent + other.exponent)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Dyadic":
        return Dyadic(-self.numbers, self.exponent)

    def __sub__(self, other: Any) -> "Dyadic":
        return self + -Dyadic.of(other)

    def __rsub__(self, other: Any) -> "Dyadic":
        return -self + other

    def __pow__(self, power: int) -> "Dyadic":
        return Dyadic(self.with_room(self.bits() * (power - 1)) ** power, self.exponent * power)

    def __abs__(self) -> "Dyadic":
        return Dyadic(abs(self.numbers), self.exponent)

    def compared(self, other: Any) -> np.ndarray:
        """-1 where the other is larger, 0 where both are equal, 1 elsewhere."""
        mine, others, _ = self._aligned(other)
        return np.asarray(mine > others, np.int64) - np.asarray(mine < others, np.int64)

    def chosen(self, other: Any, which: int) -> "Dyadic":
        """The larger of both for which=1, the smaller for which=-1."""
        mine, others, exponent = self._aligned(other)
        return Dyadic((np.maximum if which > 0 else np.minimum)(mine, others), exponent)


# What polynomials with kinks are made of, beside whole powers; each of them is exact.
OF_POLYNOMIALS: dict[str, Callable[..., Any]] = {
    "Add": lambda *terms: functools.reduce(operator.add, terms),
    "Mul": lambda *factors: functools.reduce(operator.mul, factors),
    "absolute": abs,
    "sign": lambda x: Dyadic.of(Dyadic.of(x).compared(0.0)),
    "step": lambda a, b: Dyadic.of((Dyadic.of(b).compared(a) + 1) / 2),
    "less": lambda a, b: Dyadic.of(np.maximum(Dyadic.of(b).compared(a), 0)),
    "minimum": lambda a, b: Dyadic.of(a).chosen(b, -1),
    "maximum": lambda a, b: Dyadic.of(a).chosen(b, 1),
}


class NoPolynomial(Exception):
    """An expression has a part that whole numbers cannot be made of."""


def in_whole_numbers(expression: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> Callable[..., Dyadic] | None:
    """The function that gives exact values of a polynomial with kinks for arrays of floats; None for others."""

    def built(e: sympy.Expr) -> Callable[..., Any]:
        if e in symbols:
            place = list(symbols).index(e)
            return lambda *arrays: Dyadic.of(arrays[place])
        if e.is_Rational and e.q & (e.q - 1) == 0:
            constant = Dyadic(np.array(int(e.p), object), 1 - int(e.q).bit_length())
            return lambda *arrays: constant
        if e.is_Pow and e.exp.is_Integer and e.exp > 0:
            base, power = built(e.base), int(e.exp)
            return lambda *arrays: base(*arrays) ** power
        if type(e).__name__ not in OF_POLYNOMIALS:
            raise NoPolynomial
        joined, parts = OF_POLYNOMIALS[type(e).__name__], [built(part) for part in e.args]
        return lambda *arrays: joined(*(part(*arrays) for part in parts))

    try:
        return built(expression)
    except NoPolynomial:
        return None
