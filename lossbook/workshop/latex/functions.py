"""What the names of functions, constants and relations in print stand for."""

from collections.abc import Callable
from typing import Any

import sympy
from sympy.concrete.expr_with_limits import ExprWithLimits

from lossbook import words

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


class Largest(ExprWithLimits):
    """The largest value of an expression over an index: max_k z_k."""

    def __new__(cls, body: sympy.Expr, *limits: Any, **assumptions: Any) -> "Largest":
        return ExprWithLimits.__new__(cls, body, *limits, **assumptions)

    def doit(self, **hints: Any) -> sympy.Expr:
        """The larger of all values, once the ends are numbers."""
        body, *limits = self.args
        values = [body.doit(**hints)]
        for index, low, high in limits:
            if not (low.is_Integer and high.is_Integer):
                return self
            values = [value.subs(index, k) for value in values for k in range(int(low), int(high) + 1)]
        return sympy.Max(*values)

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _latex(self, printer: Any) -> str:
        body, (index, *_) = self.args
        return rf"\max_{{{printer._print(index)}}} {printer._print(body)}"


def with_fresh_indices(expression: sympy.Expr) -> sympy.Expr:
    """An expression whose sums have indices that nothing else has, so that another index may be put into it."""
    if not expression.args:
        return expression
    parts = [with_fresh_indices(part) for part in expression.args]
    if isinstance(expression, ExprWithLimits):
        fresh = {limit[0]: sympy.Dummy(limit[0].name, integer=True) for limit in expression.limits}
        parts = [part.xreplace(fresh) for part in parts]
    return expression.func(*parts)
