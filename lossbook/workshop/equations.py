"""Whether two equations have the same solutions: as p = sigmoid(z) and log(p/(1 - p)) = z."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, pairwise, product
from random import Random
from typing import Any

import mpmath
import sympy

from lossbook.domains import Domain
from lossbook.errors import DomainError
from lossbook.exact.points import (
    DIGITS,
    SIGNIFICANT,
    Point,
    Table,
    drawn,
    exactly,
    in_mpmath,
    simple_points,
    tables,
    value_at,
)
from lossbook.exact.written_out import Sides, written_out
from lossbook.workshop.cases import CHOICES, in_cases, with_choices
from lossbook.workshop.proof import Verdict, in_positive_numbers, is_proved
from lossbook.workshop.quantities import sign_of

SEARCHES = 12  # lines through the domain on which solutions are looked for, for each equation and unknown
STEPS = 24  # numbers on each of them, between which a difference may change its sign


def equivalent(first: sympy.Eq, second: sympy.Eq, where: Mapping[Any, Domain]) -> Verdict:
    """Whether two equations have the same solutions in the domain of their symbols.

    Proved where the differences of their sides are in a ratio that is never 0; or where both differences only grow, or
    only fall, along a symbol for which the second equation is solved, and its solution solves the first.
    """
    written = written_out((first.lhs - first.rhs, second.lhs - second.rhs), where)
    solutions = 0
    for table in tables(written):
        found, count = solved_alone(table)
        if found is not None:
            return Verdict("refuted", None, written.as_written(found))
        solutions += count
    if not solutions:
        raise DomainError("derive", "the equation", "must have a solution in the domain", said=f"{first} and {second}")
    proved = same_zeros(written) or substituted(written, second, where)
    return Verdict("proved" if proved else "agrees")


def solved_alone(sides: Table) -> tuple[dict[Any, Any] | None, int]:
    """(a point at which one difference is 0 and the other is not, or None; how many are solutions of both)."""
    symbols = sorted(sides.domains, key=str)
    domains = [sides.domains[symbol] for symbol in symbols]
    functions = [sympy.lambdify(symbols, side, "mpmath") for side in sides.sides]
    solutions = 0
    with mpmath.workdps(DIGITS):
        for point in chain(simple_points(domains), roots(functions, domains)):
            exact = in_mpmath(point)
            values = [value_at(function, exact) for function in functions]
            if any(value is None or not mpmath.isfinite(value) for value in values):
                continue
            zeros = [abs(value) < SIGNIFICANT for value in values]
            if zeros[0] != zeros[1]:
                shown = zip(symbols, point, strict=True)
                return sides.at({s: as_shown(number) for s, number in shown}), solutions
            solutions += all(zeros)
    return None, solutions


def as_shown(number: Fraction) -> sympy.Expr:
    """A number of a counterexample; one with more digits than a reader would type is rounded."""
    exact = exactly(number)
    return exact if exact.q <= 1000 else sympy.Float(exact, 6)


def roots(functions: Sequence[Any], domains: Sequence[Domain]) -> Iterator[Point]:
    """Points at which one of the functions is 0: others drawn, one found where the sign changes."""
    draw = Random(0)
    for function, index in product(functions, range(len(domains))):
        if domains[index].values:
            continue
        for _ in range(SEARCHES):
            others = [drawn(domain, draw) for domain in domains]
            grid = sorted({drawn(domains[index], draw) for _ in range(STEPS)})
            along = [(*others[:index], number, *others[index + 1 :]) for number in grid]
            for low, high in pairwise(along):
                yield from root_between(function, low, high)


def root_between(function: Any, low: Point, high: Point) -> Iterator[Point]:
    """The point between two at which the function changes its sign, if it does and is 0 there."""

    def value(point: Point) -> Any:
        return value_at(function, in_mpmath(point))

    ends = value(low), value(high)
    if any(end is None or not mpmath.isfinite(end) for end in ends) or ends[0] * ends[1] >= 0:
        return
    for _ in range(4 * DIGITS):
        middle = tuple((one + other) / 2 for one, other in zip(low, high, strict=True))
        here = value(middle)
        if here is None:
            return
        low, high = (middle, high) if here * ends[0] > 0 else (low, middle)
    if abs(value(high)) < SIGNIFICANT:
        yield high


def same_zeros(written: Sides) -> bool:
    """Whether two differences are in a ratio that has one sign on the whole domain, and is nowhere 0."""
    first, second = (with_choices(side) for side in written.sides)
    if first.has(sympy.Piecewise) or second.has(sympy.Piecewise):
        return False
    return all(sign_of(in_positive_numbers(case, written.domains)) for case in in_cases(first / second))


def substituted(written: Sides, second: sympy.Eq, where: Mapping[Any, Domain]) -> bool:
    """Whether the second equation is solved for a symbol, whose solution is that of the first, and the only one."""
    names = {theirs: mine for mine, theirs in written.names.items()}
    symbol, solution = names.get(second.lhs), second.rhs
    if not isinstance(symbol, sympy.Symbol) or solution.has(second.lhs) or where[second.lhs].values:
        return False
    first, difference = written.sides
    slope = first.diff(symbol)
    if slope.has(*CHOICES, sympy.Piecewise) or not sign_of(in_positive_numbers(slope, written.domains)):
        return False
    inserted = first.subs(symbol, symbol - difference)
    return is_proved(Sides((inserted, sympy.S.Zero), written.domains, written.names))
