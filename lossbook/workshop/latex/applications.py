"""Functions that have a name of their own, applied to what follows them; `terms` reads their arguments."""

from collections.abc import Callable, Sequence
from typing import Any

import sympy

from lossbook.workshop.latex.functions import largest
from lossbook.workshop.latex.trees import argument_list, entries, is_token, is_tree, powers, spelled

Function = Callable[..., sympy.Expr]


def applied(terms: Any, function: Function, parts: Sequence[Any], place: int) -> tuple[sympy.Expr, int]:
    """A function, of the brackets that follow or of the factors up to the next function; and what follows."""
    item, name, exponents = parts[place], parts[place].children[0].value, powers(parts[place])
    place += 1
    if place == len(parts) or is_token(parts[place]):
        raise terms.error(item, f"expected an argument behind {name}")
    if any(spelled(node).startswith("-") for node in exponents):
        raise terms.error(item, f"expected no negative exponent of {name}: it may be a power or the inverse")
    following = parts[place]
    inside = argument_list(following)
    if is_tree(following, "item") and is_tree(following.children[0], "braces") and len(following.children) == 1:
        inside = inside or following.children[0].children[0]
    if inside is None and is_token(item.children[0], "NAME"):
        raise terms.error(following, f"expected brackets behind {name}")
    if inside is None:
        argument, place = bare_argument(terms, name, parts, place)
        arguments = [argument]
    else:
        arguments = list(map(terms.argument, entries(inside)))
        exponents = [*exponents, *powers(following)]
        place += 1
    return terms.raised(called(terms, function, item, arguments), exponents), place


def called(terms: Any, function: Function, item: Any, arguments: Sequence[sympy.Expr]) -> sympy.Expr:
    """A function of its arguments, with what stands below its name: a base, or the index of a maximum."""
    below = [script.children[1] for script in item.children[1:] if is_token(script.children[0], "SUB")]
    if function in (sympy.Max, sympy.Min) and len(arguments) == 1:
        if not below:
            raise terms.error(item, r"expected two numbers, as in \max(x, 0), or an index, as in \max_k z_k")
        sign = 1 if function is sympy.Max else -1
        return sign * terms.over(largest, item, sign * arguments[0])
    if function is sympy.log and below and len(arguments) == 1:
        return sympy.log(arguments[0]) / sympy.log(terms.argument(below[0]))
    if below:
        raise terms.error(item, f"expected no subscript of {item.children[0].value}")
    try:
        return function(*arguments)
    except (TypeError, ValueError) as refused:  # another number of arguments, or some that SymPy cannot compare
        raise terms.error(item, f"expected other arguments: {' '.join(str(refused).split())}") from None


def bare_argument(terms: Any, name: str, parts: Sequence[Any], place: int) -> tuple[sympy.Expr, int]:
    """The argument of a function without brackets: a function or sum, or names, numbers and fractions in a row."""
    if is_tree(parts[place], "big") or terms.meanings.function(parts[place]) is not None:
        return terms.factor(parts, place)
    value = sympy.S.One
    while place < len(parts) and is_tree(parts[place], "item") and terms.meanings.function(parts[place]) is None:
        if argument_list(parts[place]) is not None:
            rule = f"expected + or - or \\cdot: the argument of {name} may end before this bracket or behind it"
            raise terms.error(parts[place], f"{rule}; put it in brackets")
        factor, place = terms.factor(parts, place)
        value *= factor
    return value, place
