"""Whether two expressions are the same function on a domain: proved, refuted by a counterexample, or in agreement.

A proof takes the domain apart into pieces on which every symbol is a function of positive numbers (a probability is
t/(1 + t), a logit log(t)), and writes both sides as fractions of a few quantities (logarithms of factors, powers) that
are equal as fractions. Nothing that was only tried at points is called proved.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy

from lossbook.domains import Domain
from lossbook.exact.points import counterexample
from lossbook.exact.written_out import Sides, differentiated, unknowns, written_out
from lossbook.workshop.cases import edges, in_cases, with_choices
from lossbook.workshop.quantities import DISTRIBUTION, is_zero

LARGEST = 600  # operations in a difference, beyond which a proof takes minutes


@dataclass(frozen=True)
class Verdict:
    """What was found about two expressions."""

    kind: str  # "proved", "agrees" or "refuted"
    difference: sympy.Expr | None = None  # of a refuted one, simplified
    counterexample: Mapping[Any, Any] = field(default_factory=dict)  # a number for each symbol


def same(first: sympy.Expr, second: sympy.Expr, where: Mapping[Any, Domain]) -> Verdict:
    """Whether two expressions are the same function of symbols on their domains.

    Parameters
    ----------
    first, second : Expr
        In exp, log, powers, Abs, Max, Min, Piecewise and words.
    where : dict
        The domain of each symbol.

    Returns
    -------
    Verdict

    Raises
    ------
    TypeError
        For a symbol without a domain.
    DomainError
        For sides that are nowhere finite, or not real.
    """
    written = written_out((first, second), where)
    found = counterexample(written)
    if found is not None:
        return Verdict("refuted", shortest(first - second), written.as_written(found))
    return Verdict("proved" if is_proved(written) else "agrees")


def shortest(expression: sympy.Expr) -> sympy.Expr:
    """A difference as one looks at it."""
    expression = differentiated(expression)
    candidates = [expression, sympy.expand(expression), sympy.factor(expression)]
    if sympy.count_ops(expression) < 80 and not expression.has(sympy.Sum):
        candidates.append(sympy.simplify(expression))
    return min(candidates, key=sympy.count_ops)


def is_proved(written: Sides) -> bool:
    """Whether two sides are equal on every piece of the domain, and where pieces meet."""
    for chosen in in_values(written):
        try:
            places = [chosen, *edges(*chosen)]
        except ValueError:
            return False
        for first, second in places:
            difference = with_choices(first) - with_choices(second)
            if sympy.count_ops(difference) > LARGEST:
                return False
            if not all(is_zero(in_positive_numbers(case, written.domains)) for case in in_cases(difference)):
                return False
    return True


def in_values(written: Sides) -> Iterator[tuple[sympy.Expr, sympy.Expr]]:
    """The sides for each value of the symbols that have but a few, such as labels of -1 and 1."""
    first, second = written.sides
    symbols = (symbol for symbol in unknowns(first - second) if isinstance(symbol, sympy.Symbol))
    few = [symbol for symbol in symbols if written.domains[symbol].values]  # families have too many values
    for values in itertools.product(*(written.domains[symbol].values for symbol in few)):
        given = {symbol: sympy.nsimplify(value) for symbol, value in zip(few, values, strict=True)}
        yield first.subs(given), second.subs(given)


def in_positive_numbers(expression: sympy.Expr, where: Mapping[Any, Domain]) -> sympy.Expr:
    """The expression as a function of positive numbers."""
    families = {}
    for family in {entry.base for entry in expression.atoms(sympy.Indexed)}:
        name = DISTRIBUTION if where[family].holds_classes else f"t_{family}"
        families[family] = sympy.IndexedBase(sympy.Dummy(name, positive=True), positive=True)

    def positive(entry: sympy.Indexed) -> sympy.Expr:
        domain, one = where[entry.base], families[entry.base][entry.indices]
        return one if domain.holds_classes else in_positive(domain, one)

    expression = expression.replace(lambda part: isinstance(part, sympy.Indexed) and part.base in families, positive)
    symbols = [symbol for symbol in unknowns(expression) if symbol in where]
    setting = {symbol: in_positive(where[symbol], sympy.Dummy(f"t_{symbol}", positive=True)) for symbol in symbols}
    return expression.subs(setting, simultaneous=True)


def in_positive(domain: Domain, t: sympy.Expr) -> sympy.Expr:
    """A number of a domain as a function of a positive one; the ends of an interval follow as limits."""
    if (domain.low, domain.high) == (0, 1):
        return t / (1 + t)
    if domain.low >= 0:
        return t
    return sympy.log(t) if domain.high > 0 else -t
