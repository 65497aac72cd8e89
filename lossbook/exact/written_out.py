"""Expressions written out for comparison: words by their meanings, sums over classes and pixels with an index."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sympy
from sympy.codegen.cfunctions import expm1

from lossbook import words
from lossbook.domains import Domain

OWN = sympy.Symbol("k", integer=True)  # the class or the pixel that an expression outside all sums speaks of
ANY = sympy.Symbol("j", integer=True)  # every class, one after the other
PIXELS = sympy.Symbol("N", integer=True, positive=True)


class Largest(sympy.Function):
    """The largest value of a function of an index: `Largest(Lambda(k, z[k]), 1, C)` is max_k z_k."""

    nargs = 3

    def doit(self, **hints: Any) -> sympy.Expr:
        """The larger of all values, once the ends are numbers."""
        entry, low, high = self.args
        if not (low.is_Integer and high.is_Integer):
            return self
        return sympy.Max(*(entry(k) for k in range(int(low), int(high) + 1)))

    def _eval_is_extended_real(self) -> bool:
        return True

    def _latex(self, printer: Any) -> str:
        entry, *_ = self.args
        return rf"\max_{{{printer._print(entry.variables[0])}}} {printer._print(entry.expr)}"


def over(index: sympy.Symbol, make: Callable[[sympy.Symbol], sympy.Expr]) -> sympy.Expr:
    """The sum over all classes."""
    return sympy.Sum(make(index), (index, 1, words.classes))


def _rest(z: Callable[[sympy.Symbol], sympy.Expr], own: sympy.Symbol, other: sympy.Symbol) -> sympy.Expr:
    return sympy.log(over(other, lambda j: sympy.exp(z(j))) - sympy.exp(z(own)))


# What each word of a row says of the class `own`, with `z(j)` for its argument at class j and an index to sum over.
OF_ROWS: dict[Any, Callable[[Callable, sympy.Symbol, sympy.Symbol], sympy.Expr]] = {
    words.sum_classes: lambda z, own, other: over(other, z),
    words.sum_pixels: lambda z, own, other: sympy.Sum(z(other), (other, 1, PIXELS)),
    words.logsumexp: lambda z, own, other: sympy.log(over(other, lambda j: sympy.exp(z(j)))),
    words.softmax: lambda z, own, other: sympy.exp(z(own)) / over(other, lambda j: sympy.exp(z(j))),
    words.log_odds: lambda z, own, other: z(own) - _rest(z, own, other),
    words.minus_largest: lambda z, own, other: z(own) - Largest(sympy.Lambda(ANY, z(ANY)), sympy.S.One, words.classes),
}
# Slopes of a class along another's score, and what is not a formula of its arguments.
NOT_HERE = (words.log_odds_slope, words.minus_largest_slope, words.minus_largest_of_others)


@dataclass(frozen=True)
class Sides:
    """Expressions in symbols whose assumptions are those of their domains, and what these are to the user."""

    sides: tuple[sympy.Expr, ...]
    domains: Mapping[Any, Domain]  # of symbols, and of families of symbols
    names: Mapping[Any, Any]  # of each of them, and of indices, what the user wrote

    def as_written(self, point: Mapping[Any, Any]) -> dict[Any, Any]:
        """The numbers of a counterexample by the symbols and entries of the user."""
        return {self.name(symbol): number for symbol, number in point.items()}

    def name(self, symbol: Any) -> Any:
        """What the user wrote for a symbol, or for an entry of a family."""
        if isinstance(symbol, sympy.Indexed):
            return self.names.get(symbol.base, symbol.base)[symbol.indices]
        return self.names.get(symbol, symbol)


def written_out(
    given: Sequence[sympy.Expr], where: Mapping[Any, Domain], sizes: Mapping[sympy.Symbol, int] = MappingProxyType({})
) -> Sides:
    """Expressions in exp, log, powers, sums and choices, all in the same symbols, for any or some numbers of classes.

    Raises
    ------
    TypeError
        For a symbol without a domain, or a word that no derivation can have.
    """
    names = canonical(given, where)
    sides = [without_products(exactly(side.xreplace(names))) for side in given]
    domains = {names[symbol]: domain for symbol, domain in where.items()}
    if any(side.has(*OF_ROWS) for side in sides):
        families = {symbol: sympy.IndexedBase(symbol.name, real=True) for symbol in of_entries(sides, domains)}
        families |= {family.label: family for family in domains if isinstance(family, sympy.IndexedBase)}
        sides = [of_class(side, OWN, families) for side in sides]
        domains |= {family: domains[symbol] for symbol, family in families.items() if symbol in domains}
        names = {family: family for family in families.values()} | names
    sides = [plain(side.subs(sizes)) for side in sides]
    for word in sorted({type(word).__name__ for side in sides for word in side.atoms(words.Word)}):
        raise TypeError(f"derive: {word} is no function that exp, log and powers can say, and cannot be compared")
    return Sides(tuple(sides), domains, {names[symbol]: symbol for symbol in reversed(names)})


def of_entries(sides: Sequence[sympy.Expr], domains: Mapping[Any, Domain]) -> list[sympy.Symbol]:
    """The symbols with a number for each class or pixel: predictions, targets, and what is alone in a word of rows.

    A parameter, such as a weight, is one number where a prediction or a target stands beside it; alone in a word such
    as softmax(log(n)), it must be meant to differ.
    """
    found = {
        symbol: None
        for symbol, domain in domains.items()
        if isinstance(symbol, sympy.Symbol) and domain.role in ("prediction", "target")
    }
    for argument in (word.args[0] for side in sides for word in side.atoms(*OF_ROWS)):
        if not argument.has(sympy.Indexed) and not argument.free_symbols & found.keys():
            found |= dict.fromkeys(sorted(argument.free_symbols & domains.keys(), key=str))
    return list(found)


def domains_of(where: Mapping[Any, Any], by: str = "derive") -> dict[Any, Domain]:
    """The domains of a call of the tool `by`, of which each is given as a domain or as a set of numbers.

    Raises
    ------
    TypeError
        For what is neither, and for the domain of boxes, whose corners are symbols with domains of their own.
    """
    domains = {}
    for symbol, given in where.items():
        if not isinstance(symbol, sympy.Symbol | sympy.IndexedBase):
            raise TypeError(f"{by}: where has domains of symbols and families; got one of {symbol!r}")
        if isinstance(given, set | frozenset) and given and all(isinstance(number, int | float) for number in given):
            values = tuple(sorted(map(float, given)))
            named = ", ".join(f"{value:g}" for value in values)
            given = Domain(f"{{{named}}}", "target", f"one of {named}", named, values[0], values[-1], values=values)
        if not isinstance(given, Domain) or given.components:
            rule = "must be a domain of numbers, such as lossbook.Logit, or a set of numbers"
            raise TypeError(f"{by}: where[{symbol}] {rule}; got {given!r}")
        domains[symbol] = given
    return domains


def canonical(given: Sequence[sympy.Expr], where: Mapping[Any, Domain], by: str = "derive") -> dict[Any, Any]:
    """For each symbol and family one with the assumptions of its domain; indices and the ends of sums are integers."""
    names: dict[Any, Any] = {}
    for symbol, domain in where.items():
        is_family = isinstance(symbol, sympy.IndexedBase)
        names[symbol] = sympy.IndexedBase(str(symbol), real=True) if is_family else domain.symbol(str(symbol))
    by_name = {symbol.name: symbol for symbol in where if isinstance(symbol, sympy.Symbol)}
    families = [symbol for symbol in where if isinstance(symbol, sympy.IndexedBase)]
    names |= {family.label: names[family].label for family in families}
    for side in given:
        sums = side.atoms(sympy.Sum, sympy.Product)
        limits = [limit for found in sums for limit in found.limits]
        ends = {symbol for _, *bounds in limits for end in bounds for symbol in end.free_symbols}
        counted = {index for index, *_ in limits}
        counted |= {s for entry in side.atoms(sympy.Indexed) for index in entry.indices for s in index.free_symbols}
        for symbol in ends | counted:
            if symbol not in where:
                positive = True if symbol in ends else None
                names[symbol] = sympy.Symbol(symbol.name, integer=True, positive=positive)
        for family in side.atoms(sympy.IndexedBase) - where.keys():
            raise TypeError(f"{by}: the family {family} has no domain; give where={{{family}: ...}}")
        free = {symbol for symbol in side.free_symbols if isinstance(symbol, sympy.Symbol)} - names.keys()
        for symbol in sorted(free, key=str):
            if symbol.name in by_name:  # one name is one thing, whatever else is known of the symbol
                names[symbol] = names[by_name[symbol.name]]
            elif symbol.is_integer:  # a number of classes or an index
                names[symbol] = symbol
            else:
                raise TypeError(f"{by}: the symbol {symbol} has no domain; give where={{{symbol}: ...}}")
    return names


def exactly(expression: sympy.Expr) -> sympy.Expr:
    """An expression in which a decimal number is what is printed: 0.1 is one tenth."""
    return expression.xreplace({number: sympy.Rational(str(number)) for number in expression.atoms(sympy.Float)})


def without_products(expression: sympy.Expr) -> sympy.Expr:
    """An expression in which a product over an index is exp of a sum of logarithms: its factors are not 0."""
    return expression.replace(sympy.Product, lambda body, *limits: sympy.exp(sympy.Sum(sympy.log(body), *limits)))


def of_class(expression: sympy.Expr, own: sympy.Symbol, families: Mapping[Any, Any]) -> sympy.Expr:
    """An expression of a row or an image for the class or the pixel `own`, with indices where there were words."""
    if expression in families:
        return families[expression][own]
    if not expression.args or isinstance(expression, sympy.Indexed):
        return expression
    if isinstance(expression, NOT_HERE):
        name = type(expression).__name__
        raise TypeError(f"derive: {name} is a word of kernels; write what it stands for, such as Derivative(...)")
    if expression.func in OF_ROWS:
        other = sympy.Dummy("j", integer=True)
        return OF_ROWS[expression.func](lambda j: of_class(expression.args[0], j, families), own, other)
    return expression.func(*(of_class(argument, own, families) for argument in expression.args))


def from_indices(expression: sympy.Expr, where: Mapping[Any, Domain]) -> tuple[sympy.Expr, dict[Any, Domain]]:
    """An expression in which sums over an index are words: of classes where one family is a distribution or has scores.

    Entries outside of all sums are those of the class or pixel that the expression speaks of.
    """
    indexed = [family for family in where if isinstance(family, sympy.IndexedBase)]
    families = {family: sympy.Symbol(str(family), real=True) for family in indexed}
    of_classes = any(where[family].holds_classes or where[family].holds_logits for family in families)
    word = words.sum_classes if of_classes else words.sum_pixels
    counts = {limit[2] for found in expression.atoms(sympy.Sum) for limit in found.limits}
    expression = expression.replace(sympy.Sum, lambda body, *limits: word(body))
    expression = expression.xreplace({entry: families[entry.base] for entry in expression.atoms(sympy.Indexed)})
    expression = expression.xreplace(dict.fromkeys(counts, words.classes if of_classes else PIXELS))
    return expression, {families.get(symbol, symbol): domain for symbol, domain in where.items()}


def unknowns(expression: sympy.Expr) -> set[Any]:
    """The symbols and the families z of entries z[k] of an expression; integers, which count or number, are none."""
    families = {entry.base for entry in expression.atoms(sympy.Indexed)}
    inside = {symbol for family in families for symbol in (family.label, family)}
    symbols = {symbol for symbol in expression.free_symbols if isinstance(symbol, sympy.Symbol)}
    return {symbol for symbol in symbols - inside if not symbol.is_integer} | families


def plain(expression: sympy.Expr) -> sympy.Expr:
    """An expression in exp, log, powers and choices: derivatives taken, words and hyperbolic functions written out."""
    done = apart(words.plainly(differentiated(expression).replace(expm1, lambda x: sympy.exp(x) - 1)))
    return done.rewrite([sympy.sinh, sympy.cosh, sympy.tanh, sympy.coth], sympy.exp)


def differentiated(expression: sympy.Expr) -> sympy.Expr:
    """An expression whose derivatives are taken. SymPy's doit would look for closed forms of sums, which takes long."""
    return expression.replace(lambda part: isinstance(part, sympy.Derivative), lambda part: part.doit(deep=False))


def added(expression: sympy.Expr) -> sympy.Expr:
    """An expression whose sums, and largest entries, are written out term by term; their ends are numbers."""
    if not expression.args or isinstance(expression, sympy.Indexed):
        return expression
    if isinstance(expression, Largest):
        return expression.doit()
    if not isinstance(expression, sympy.Sum):
        return expression.func(*map(added, expression.args))
    terms = [expression.args[0]]
    for index, low, high in expression.limits:
        terms = [term.subs(index, number) for term in terms for number in range(int(low), int(high) + 1)]
    return sympy.Add(*map(added, terms))


def apart(expression: sympy.Expr) -> sympy.Expr:
    """An expression in which no two sums have the same index, and none that of a free symbol."""
    if not expression.args:
        return expression
    if isinstance(expression, sympy.Sum):
        inner, *limits = expression.args
        inner = apart(inner)
        for index, *bounds in limits:
            fresh = sympy.Dummy(index.name, integer=True)
            inner = sympy.Sum(inner.xreplace({index: fresh}), (fresh, *bounds))
        return inner
    return expression.func(*map(apart, expression.args))
