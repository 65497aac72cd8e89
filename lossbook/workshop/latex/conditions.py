"""Conditions: of a function's cases, of a line, and in brackets as 1 or 0."""

from typing import Any

import sympy

from lossbook.workshop.latex.functions import RELATIONS
from lossbook.workshop.latex.trees import entries, is_token, is_tree


def condition(terms: Any, node: Any) -> Any:
    """The conditions of a list, all of which are to hold; `terms` reads their sides."""
    if is_token(node, "OTHERWISE"):
        return sympy.true
    if is_token(node):
        raise terms.error(node, r"expected a condition, as x \ge 0")
    found = []
    for chain in [node] if is_tree(node, "chain") else entries(node):
        sides, relations = chain.children[::2], chain.children[1::2]
        if not relations or not all(is_tree(side, "sum") for side in sides):
            raise terms.error(chain, r"expected a condition, as x \ge 0")
        values = list(map(terms.sum, sides))
        for relation, one, other in zip(relations, values, values[1:], strict=False):
            if relation.value not in RELATIONS:
                raise terms.error(relation, r"expected =, <, >, \le, \ge or \ne in a condition")
            found.append(RELATIONS[relation.value](one, other))
    return sympy.And(*found)


def indicator(terms: Any, inside: Any) -> sympy.Expr:
    """1 where a condition holds and 0 elsewhere."""
    holds = condition(terms, inside)
    if isinstance(holds, sympy.Eq) and all(side.is_integer for side in holds.args):
        return sympy.KroneckerDelta(*holds.args)
    return sympy.Piecewise((sympy.S.One, holds), (sympy.S.Zero, sympy.true))
