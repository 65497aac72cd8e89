"""Points at which two expressions are compared: the simple ones first, since a counterexample is checked by hand."""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import sympy
from sympy.core.function import AppliedUndef

from lossbook.domains import Domain
from lossbook.errors import DomainError
from lossbook.exact.written_out import Sides, added

DIGITS = 50
POINTS = 200
LOOKED_AT = 30  # points at which both sides must be real before a difference is reported
SIGNIFICANT = mpmath.mpf(10) ** -30  # a relative difference that is no rounding
HALVES = (Fraction(1, 2), Fraction(-1, 2), Fraction(1, 4), Fraction(3, 4), Fraction(1, 3))
SIMPLE = (*(Fraction(number) for number in (0, 1, -1, 2, -2, 3, -3)), *HALVES)


def numbers(domain: Domain) -> list[Fraction]:
    """The simple numbers of a domain, the simplest first."""
    if domain.values:
        return [Fraction(value) for value in domain.values]
    return [number for number in SIMPLE if within(domain, number)]


def within(domain: Domain, number: Fraction) -> bool:
    """Whether an exact number obeys the rule of a domain."""
    return (domain.low < number or (domain.low == number and not domain.open_low)) and number <= domain.high


def drawn(domain: Domain, draw: random.Random) -> Fraction:
    """A random number of a domain, exact."""
    if domain.values:
        return Fraction(draw.choice(domain.values))
    if (domain.low, domain.high) == (0, 1):
        return Fraction(draw.randrange(1, 1000), 1000)
    size = Fraction(draw.randrange(1, 5000), 1000)
    return size if domain.low >= 0 or (domain.high > 0 and draw.random() < 0.5) else -size


Point = tuple[Fraction, ...]


def simple_points(domains: Sequence[Domain]) -> list[Point]:
    """Points of a product of domains with simple numbers, the simplest first."""
    each = [numbers(domain) for domain in domains]
    ranks = itertools.islice(itertools.product(*(range(len(some)) for some in each)), 20_000)
    chosen = sorted(ranks, key=lambda rank: (sum(rank), max(rank, default=0)))[:POINTS]
    return [tuple(some[rank] for some, rank in zip(each, point, strict=True)) for point in chosen]


def random_points(domains: Sequence[Domain]) -> Iterator[Point]:
    """Points of a product of domains, always the same."""
    draw = random.Random(0)
    while True:
        yield tuple(drawn(domain, draw) for domain in domains)


@dataclass(frozen=True)
class Table:
    """Expressions in symbols alone: sums and families of symbols written out for a number of classes."""

    sides: Sequence[sympy.Expr]
    domains: Mapping[sympy.Symbol, Domain]
    meaning: Mapping[Any, sympy.Expr]  # what a counterexample shows: symbols, entries, numbers of classes

    def at(self, point: Mapping[sympy.Symbol, Any]) -> dict[Any, Any]:
        """What each symbol, entry and number of classes is at a point."""
        return {name: sympy.sympify(value).subs(point) for name, value in self.meaning.items()}


def tables(written: Sides) -> Iterator[Table]:
    """The sides for two, three and one classes, and for each index; once where nothing is indexed."""
    sides, where = written.sides, written.domains
    integers = {symbol for side in sides for symbol in side.free_symbols if symbol.is_integer}
    limits = [limit for side in sides for found in side.atoms(sympy.Sum) for limit in found.limits]
    counts = {symbol for symbol in integers if any(limit[2].has(symbol) for limit in limits)}
    indices = sorted(integers - counts, key=str)
    start = min((int(low) for _, low, _ in limits if low.is_Integer), default=1)
    for size in (2, 3, 1) if integers or any(side.atoms(sympy.Indexed) for side in sides) else (1,):
        for chosen in itertools.product(range(start, start + size), repeat=len(indices)):
            given = {count: sympy.Integer(size) for count in counts}
            given |= dict(zip(indices, map(sympy.Integer, chosen), strict=True))
            here = [added(side.subs(given).replace(is_undefined, any_function)) for side in sides]
            if any(side.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo) for side in here):
                continue  # such as the logarithm of a sum over the other classes, where there is no other
            yield table(here, where, given, range(start, start + size))


def is_undefined(expression: sympy.Basic) -> bool:
    """Whether an expression is a function f(x) of which nothing is said."""
    return isinstance(expression, AppliedUndef)


def any_function(call: sympy.Expr) -> sympy.Expr:
    """One function for each name, where what is said of a function without a definition has to hold for any."""
    draw = random.Random(call.func.__name__)
    return sympy.Add(*(sympy.Rational(draw.randrange(-9, 10), 7) * x**n for x in call.args for n in range(4)))


def table(
    sides: Sequence[sympy.Expr], where: Mapping[Any, Domain], given: Mapping, classes: range, is_exact: bool = False
) -> Table:
    """The sides in symbols alone, one for each entry of a family.

    Entries of a distribution are divided by their sum, unless their numbers sum to 1 exactly.
    """
    entries = {entry for side in sides for entry in side.atoms(sympy.Indexed)}
    distributions = sorted({entry.base for entry in entries if where[entry.base].holds_classes}, key=str)
    entries |= {family[index] for family in distributions for index in classes}
    domains, meaning = {}, dict(given)
    for entry in sorted(entries, key=str):
        symbol = sympy.Symbol(f"{entry.base}_{'_'.join(map(str, entry.indices))}", real=True)
        domains[symbol], meaning[entry] = where[entry.base], symbol
    for family in [] if is_exact else distributions:
        mine = [entry for entry in entries if entry.base == family]
        total = sympy.Add(*(meaning[entry] for entry in mine))
        meaning |= {entry: meaning[entry] / total for entry in mine}
    replaced = [side.xreplace({entry: meaning[entry] for entry in entries}) for side in sides]
    symbols = {symbol for side in replaced for symbol in side.free_symbols if symbol in where}
    for symbol in sorted(symbols, key=str):
        domains[symbol], meaning[symbol] = where[symbol], symbol
    return Table(replaced, domains, meaning)


def counterexample(written: Sides) -> dict[Any, Any] | None:
    """A point at which two sides differ, as simple as can be found, or None after many at which they agree.

    Raises
    ------
    DomainError
        For a side that is complex somewhere, or sides that are nowhere finite.
    """
    pairs = [Pair(each) for each in tables(written)]
    for pair in pairs:
        found = pair.difference(POINTS // len(pairs) + 1)
        if found is not None:
            return pair.table.at({s: exactly(n) for s, n in zip(pair.symbols, found, strict=True)})
    if not any(pair.agreed for pair in pairs):
        sides = " and ".join(map(str, written.sides))
        raise DomainError("derive", "two lines", "must both be finite at some point of the domain", said=sides)
    return None


def exactly(number: Fraction) -> sympy.Rational:
    """A number for SymPy."""
    return sympy.Rational(number.numerator, number.denominator)


class Pair:
    """Two sides as functions of exact numbers, and where they differ.

    At a jump, where sign and step have a value by convention and a slope has none, nothing is compared.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.symbols = sorted(table.domains, key=str)
        self.domains = [table.domains[symbol] for symbol in self.symbols]
        jumps = {jump.args[0] for side in table.sides for jump in side.atoms(sympy.sign, sympy.Heaviside)}
        functions = [sympy.lambdify(self.symbols, side, "mpmath") for side in (*table.sides, *jumps)]
        self.sides, self.switches = functions[:2], functions[2:]
        self.agreed = 0  # at so many points both sides are finite and equal

    def difference(self, count: int) -> Point | None:
        """A point at which the sides differ, or None after all simple points and `count` others."""
        simple = simple_points(self.domains)
        for point in simple[:LOOKED_AT]:  # a side that is no real number is the graver fault
            self.values(point, DIGITS)
        found = next((point for point in simple if self.differ(point)), None)
        if found is None and self.symbols:
            found = next((point for point in self.others(count) if self.differ(point)), None)
            if found is not None:
                found = self.simplified(found)
        return found

    def others(self, count: int) -> Iterator[Point]:
        """Random points, until at so many the sides are finite; not for ever."""
        before = self.agreed
        for point in itertools.islice(random_points(self.domains), 10 * count):
            if self.agreed - before >= count:
                return
            yield point

    def simplified(self, point: Point) -> Point:
        """A point at which the sides differ as well, with simple numbers in place of others as far as that goes."""
        for index, domain in enumerate(self.domains):
            for number in numbers(domain):
                simpler = (*point[:index], number, *point[index + 1 :])
                if self.differ(simpler):
                    point = simpler
                    break
        return point

    def values(self, point: Point, digits: int) -> list[Any] | None:
        """Both sides at a point, or None where one has no value or a slope none."""
        with mpmath.workdps(digits):
            exact = in_mpmath(point)
            values = [value_at(side, exact) for side in self.sides]
            if any(isinstance(value, mpmath.mpc) for value in values):
                named = ", ".join(f"{symbol} = {number}" for symbol, number in zip(self.symbols, point, strict=True))
                raise DomainError("derive", "a line", "must be real on the domain", said=f"a complex number at {named}")
            is_jump = any(value_at(switch, exact) == 0 for switch in self.switches)
        return None if is_jump or not all(value is not None and mpmath.isfinite(value) for value in values) else values

    def differ(self, point: Point) -> bool:
        """Whether the sides differ at a point: what is left of terms that cancel becomes smaller with more digits."""
        values = self.values(point, DIGITS)
        if values is None:
            return False
        if abs(values[0] - values[1]) > SIGNIFICANT * max(map(abs, values)):
            better = self.values(point, 3 * DIGITS)
            if better is None or not all(map(is_settled, values, better)):
                return False
            if abs(better[0] - better[1]) > abs(values[0] - values[1]) / 2:
                return True
        self.agreed += 1
        return False


def in_mpmath(point: Point) -> list[Any]:
    """The numbers of a point in the working precision."""
    return [mpmath.mpf(number.numerator) / number.denominator for number in point]


def is_settled(value: Any, better: Any) -> bool:
    """Whether a value is the same with more digits; one divided by what is exactly 0 is not."""
    return abs(value - better) <= SIGNIFICANT**0.5 * max(1, abs(value))


def value_at(side: Any, point: Sequence[Any]) -> Any:
    """The value of a side at a point; None where it has none, as at a division by zero."""
    try:
        value = mpmath.mpmathify(side(*point))
    except (ZeroDivisionError, ValueError, TypeError):
        return None
    if isinstance(value, mpmath.mpc) and abs(value.imag) <= SIGNIFICANT * max(1, abs(value)):
        value = value.real
    return value
