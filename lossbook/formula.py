"""The formula of a loss: as it is declared, as one expression, and as another loss's formula may contain it.

A formula is made by calling the function of a declaration with SymPy symbols, once for each setting of its flags.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import sympy

from lossbook import words
from lossbook.declaration import Declaration
from lossbook.domains import Domain, Exponent, NonNegative, Positive
from lossbook.spaces import BOXES, ELEMENTS, ROWS, SETS, Space

NO_NUMBERS = (sympy.oo, -sympy.oo, sympy.zoo, sympy.nan, sympy.I)


@dataclass(frozen=True)
class Formula:
    """A formula as declared: its symbols with their domains, named steps, and the expression that ends it."""

    prediction: sympy.Symbol | tuple[sympy.Symbol, ...]  # several for a vector, such as a box
    target: sympy.Symbol | tuple[sympy.Symbol, ...] | None
    parameters: tuple[sympy.Symbol, ...]
    domains: dict[sympy.Symbol, Domain]
    steps: tuple[tuple[sympy.Symbol, sympy.Expr], ...]
    expression: sympy.Expr

    def __hash__(self) -> int:
        return hash((self.prediction, self.target, self.parameters, self.steps, self.expression))

    @property
    def predictions(self) -> tuple[sympy.Symbol, ...]:
        return self.prediction if isinstance(self.prediction, tuple) else (self.prediction,)

    @property
    def arrays(self) -> tuple[sympy.Symbol, ...]:
        """All symbols of the prediction, then those of the target."""
        target = () if self.target is None else self.target if isinstance(self.target, tuple) else (self.target,)
        return (*self.predictions, *target)

    @cached_property
    def space(self) -> Space:
        """What one value belongs to."""
        if isinstance(self.prediction, tuple):
            return BOXES
        is_row = self.has(words.sum_classes, words.logsumexp)
        return SETS if self.has(words.sum_pixels) else ROWS if is_row else ELEMENTS

    def has(self, *patterns: Any) -> bool:
        """Whether a pattern occurs in a step or in the expression; the formula may be too deep to look through."""
        return any(value.has(*patterns) for value in (self.expression, *(value for _, value in self.steps)))

    @cached_property
    def formula(self) -> Any:
        """One expression, with the named steps put back in."""
        expression = self.expression
        for symbol, value in reversed(self.steps):
            expression = expression.subs(symbol, value)
        return expression

    @cached_property
    def lifting(self) -> frozenset[sympy.Symbol]:
        """The parameters that may be so large as to bring back what vanishes far out."""
        if not self.has(*words.VANISHING):
            return frozenset()
        return frozenset(p for p in self.parameters if self.domains[p] in (NonNegative, Positive))

    @cached_property
    def weights(self) -> frozenset[str]:
        """The names of the parameters of a loss of elements that weigh its terms: it is linear in each of them."""
        if self.space is not ELEMENTS:
            return frozenset()
        return frozenset(p.name for p in self.parameters if self.is_linear_in(p))

    def is_linear_in(self, parameter: sympy.Symbol) -> bool:
        """Whether the loss is, found step by step: as one expression a formula may be too deep to look through."""
        moved = {parameter}
        for symbol, value in (*self.steps, (None, self.expression)):
            inside = value.free_symbols & moved
            if any(sympy.diff(value, a, b) != 0 for a in inside for b in inside):
                return False
            if inside:
                moved.add(symbol)
        return True

    @cached_property
    def exponents(self) -> frozenset[sympy.Symbol]:
        """The parameters that are exponents: of log-odds, a large one would magnify what it has lost by rounding."""
        return frozenset(p for p in self.parameters if self.domains[p] is Exponent)

    @cached_property
    def hard_when_zero(self) -> frozenset[sympy.Symbol] | None:
        """The parameters that must be 0 for a class index to need only its own class; None if that never holds."""
        term = self.formula.args[0] if self.formula.func is words.sum_classes else None
        if term is None:
            return None
        off_target = term.subs(self.target, 0)
        if off_target == 0:
            return frozenset()
        names = frozenset(p for p in self.parameters if off_target.has(p))
        return names if off_target.subs(dict.fromkeys(names, 0)) == 0 else None


class Formulas:
    """The formulas of a loss, one for each setting of its flags; each is made when it is first needed."""

    def __init__(self, count: int, make: Callable[[tuple[bool, ...]], Formula]) -> None:
        self._make = make
        self._made: dict[tuple[bool, ...], Formula] = {}
        self._fingerprints: dict[tuple[bool, ...], str] = {}
        self.settings = tuple(itertools.product((False, True), repeat=count))

    def at(self, setting: tuple[bool, ...]) -> Formula:
        """The formula under a setting of the flags."""
        if setting not in self._made:
            self._made[setting] = self._make(setting)
        return self._made[setting]

    def fingerprint(self, setting: tuple[bool, ...]) -> str:
        """A text by which two formulas are told apart, also in other processes."""
        if setting not in self._fingerprints:
            formula = self.at(setting)
            text = sympy.srepr((formula.arrays, formula.parameters, formula.steps, formula.expression))
            self._fingerprints[setting] = hashlib.sha256(text.encode()).hexdigest()
        return self._fingerprints[setting]

    def same(self, other: "Formulas") -> bool:
        """Whether all formulas are those of the other."""
        if self is other or self.settings != other.settings:
            return self is other
        return all(self.fingerprint(setting) == other.fingerprint(setting) for setting in self.settings)


def declared(function: Callable[..., Any], declaration: Declaration) -> Formulas:
    """The formulas of a function whose arguments are declared."""
    return Formulas(len(declaration.flags), lambda setting: called(function, declaration, setting))


def called(function: Callable[..., Any], declaration: Declaration, setting: tuple[bool, ...]) -> Formula:
    """The formula that a function gives when it is called with symbols, under a setting of its flags."""
    where, arguments = declaration.name, declaration.arguments
    given = {n: d.argument(n) for n, d in arguments.items() if d.role != "flag"}
    domains: dict[sympy.Symbol, Domain] = {}
    for name, symbols in given.items():
        domains |= dict.fromkeys(symbols if isinstance(symbols, tuple) else (symbols,), arguments[name])
    named = dict.fromkeys([*arguments, *(symbol.name for symbol in domains)])
    token = words.steps.set(named)
    try:
        expression = function(
            *(given[name] for name in declaration.arrays),
            **{name: given[name] for name in declaration.parameters},
            **dict(zip(declaration.flags, setting, strict=True)),
        )
        expression = sympy.sympify(expression, strict=True)
    except (TypeError, AttributeError, sympy.SympifyError) as error:
        raise TypeError(f"{where}: the body must return a SymPy expression in words; {error}") from error
    finally:
        words.steps.reset(token)
    steps = {sympy.Symbol(n, real=True): in_words(value) for n, value in named.items() if value is not None}
    expression = in_words(expression)
    known = {*domains, *steps, words.classes}
    for part in (expression, *steps.values()):
        if not isinstance(part, sympy.Expr) or part.is_Matrix or part.has(sympy.Piecewise):
            raise TypeError(f"{where}: the body must return an expression without Piecewise; got {part}")
        if unknown := part.free_symbols - known:
            raise TypeError(f"{where}: the formula has symbols that are not arguments: {unknown}")
        if part.has(*NO_NUMBERS):
            raise TypeError(f"{where}: the numbers of a formula must be real and finite; got {part}")
        if not all(map(fits, part.atoms(sympy.Number))):
            raise TypeError(f"{where}: the numbers of a formula must fit a float64, and one does not")
    return Formula(
        given[declaration.arrays[0]],
        given[declaration.target] if declaration.target else None,
        tuple(given[name] for name in declaration.parameters),
        domains,
        tuple(steps.items()),
        expression,
    )


def fits(number: sympy.Number) -> bool:
    """Whether a SymPy number is one in float64, too: finite, and 0 only if it is 0."""
    try:
        value = float(number)
    except OverflowError:
        return False
    return np.isfinite(value) and (value != 0 or number == 0)


def in_words(expression: Any) -> Any:
    """SymPy's own powers, magnitudes, signs and extremes as words, whose slopes are words again."""
    if not isinstance(expression, sympy.Basic):
        return expression
    expression = expression.replace(sympy.Abs, words.absolute).replace(sympy.sign, words.sign)
    expression = expression.replace(sympy.Max, lambda *parts: reduce(words.maximum, parts))
    expression = expression.replace(sympy.Min, lambda *parts: reduce(words.minimum, parts))
    return expression.replace(lambda e: e.is_Pow and not e.exp.is_number, lambda e: _power(*e.args))


def _power(base, exponent):
    """base**exponent as a word: of 1 + x, x itself has the digits that a large exponent would miss."""
    constant, rest = base.as_coeff_Add()
    return words.power1p(rest, exponent) if constant == 1 and rest != 0 else words.power(base, exponent)


def exactly(default: Any) -> Any:
    """A default as the number that it was written as, for a formula; switches stay switches."""
    return default if isinstance(default, bool) else sympy.nsimplify(default, rational=True)


def slopes(formula: sympy.Expr, symbols: Iterable[sympy.Symbol]) -> sympy.Expr:
    """The slope along a symbol, or a tuple of the slopes along several."""
    found = [sympy.diff(formula, symbol) for symbol in symbols]
    return found[0] if len(found) == 1 else sympy.Tuple(*found)
