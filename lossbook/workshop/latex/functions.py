"""What the names of functions, constants and relations in print stand for."""

from collections.abc import Callable, Mapping
from typing import Any

import sympy
from sympy.concrete.expr_with_limits import ExprWithLimits

from lossbook import words
from lossbook.exact.written_out import Largest

SYMPY = {"log": sympy.log, "ln": sympy.log, "exp": sympy.exp, "max": sympy.Max, "min": sympy.Min, "abs": sympy.Abs}
SYMPY |= {name: getattr(sympy, name) for name in ("sinh", "cosh", "tanh", "sqrt", "sign")}
FUNCTIONS: dict[str, Callable[..., sympy.Expr]] = {
    **{name: getattr(words, name) for name in words.SPELLED if hasattr(words, name)},
    **SYMPY,
    **{f"\\{name}": function for name, function in SYMPY.items()},
    r"\arctan": words.arctan,
    r"\sigma": words.sigmoid,
    "logit": lambda p: sympy.log(p / (1 - p)),
}
CONSTANTS = {"e": sympy.E, r"\pi": sympy.pi, r"\infty": sympy.oo}
EQUALITIES = ("=", ":=", r"\equiv", r"\coloneqq", r"\triangleq")
AT_MOST, AT_LEAST, UNEQUAL = (r"\le", r"\leq", r"\leqslant"), (r"\ge", r"\geq", r"\geqslant"), (r"\ne", r"\neq")
RELATIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(EQUALITIES, sympy.Eq),
    **dict.fromkeys(UNEQUAL, sympy.Ne),
    **dict.fromkeys(AT_MOST, sympy.Le),
    **dict.fromkeys(AT_LEAST, sympy.Ge),
    "<": sympy.Lt,
    ">": sympy.Gt,
}


def largest(body: sympy.Expr, limits: tuple[sympy.Symbol, sympy.Expr, sympy.Expr]) -> sympy.Expr:
    """The largest value of an expression over an index, which is named so that no other is taken for it."""
    index, low, high = limits
    own = fresh(index, body)
    return Largest(sympy.Lambda(own, body.xreplace({index: own})), low, high)


def fresh(index: sympy.Symbol, *expressions: Any) -> sympy.Symbol:
    """An index with so many primes that no expression has one of its name."""
    taken = {symbol.name for expression in expressions for symbol in expression.atoms(sympy.Symbol)}
    name = f"{index.name}'"
    while name in taken:
        name += "'"
    return sympy.Symbol(name, integer=True)


def put_in(meaning: sympy.Expr, given: Mapping[Any, sympy.Expr]) -> sympy.Expr:
    """An expression with others in place of its symbols and entries, none of which an index of a sum catches."""
    return with_fresh_indices(meaning, tuple(given.values())).xreplace(given)


def with_fresh_indices(expression: Any, others: tuple[sympy.Expr, ...]) -> Any:
    """An expression whose sums have indices that neither it nor the others have."""
    if not expression.args:
        return expression
    parts = [with_fresh_indices(part, others) for part in expression.args]
    bound = [limit[0] for limit in expression.limits] if isinstance(expression, ExprWithLimits) else []
    bound += list(expression.variables) if isinstance(expression, sympy.Lambda) else []
    for index in bound:
        own = fresh(index, *parts, *others)
        parts = [part.xreplace({index: own}) for part in parts]
    return expression.func(*parts)
