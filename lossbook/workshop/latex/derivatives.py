"""Derivatives, printed as fractions of differentials."""

from collections.abc import Sequence
from typing import Any

import sympy

from lossbook.workshop.latex.names import Name, Names
from lossbook.workshop.latex.trees import argument_list, factors, is_token, powers


def is_derivative(fraction: Any, names: Names) -> bool:
    """Whether a fraction is one of differentials."""
    sides = [factors(node) for node in fraction.children[1:]]
    return all(side and is_differential(side[0], names) for side in sides)


def is_differential(item: Any, names: Names) -> bool:
    """Whether an item is the d of a derivative."""
    base = item.children[0]
    return is_token(base, "PARTIAL") or (base == "d" and Name("d") not in names.declared)


def derivative(terms: Any, parts: Sequence[Any], place: int) -> tuple[sympy.Expr, int]:
    """The derivative of what stands above, or else of the brackets or the rest of the term behind it; and what follows.

    `terms` reads what is differentiated.
    """
    item = parts[place]
    _, upper, lower = item.children[0].children
    place += 1
    if factors(upper)[1:]:
        value = terms.term(factors(upper)[1:])
    elif place == len(parts):
        raise terms.error(item, "expected what is differentiated")
    elif argument_list(parts[place]) is not None:
        value, place = terms.factor(parts, place)
    else:
        value, place = terms.term(parts[place:]), len(parts)
    along = []
    for variable in factors(lower):
        if not is_differential(variable, terms.names):
            base = terms.value(variable)
            if not isinstance(base, sympy.Symbol | sympy.Indexed):
                raise terms.error(variable, "expected a name with a domain: a derivative is taken along one")
            along.append((base, sympy.prod(map(terms.argument, powers(variable)))))
    return terms.raised(sympy.Derivative(value, *along), powers(item)), place
