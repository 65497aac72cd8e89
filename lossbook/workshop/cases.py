"""Cases of an expression: where |a| is a and where it is -a, which of two is larger, which piece of it holds."""

from collections.abc import Callable, Iterator
from typing import Any

import sympy
from sympy.core.relational import Relational

CHOICES = (sympy.Abs, sympy.Max, sympy.Min, sympy.sign, sympy.Heaviside)


def edges(first: sympy.Expr, second: sympy.Expr) -> Iterator[tuple[sympy.Expr, sympy.Expr]]:
    """The two expressions where pieces of their definitions meet, as at x = delta of x <= delta and x > delta.

    Raises
    ------
    ValueError
        For pieces that meet where no symbol can be told from the others.
    """
    pieces = first.atoms(sympy.Piecewise) | second.atoms(sympy.Piecewise)
    conditions = {found for piece in pieces for _, condition in piece.args for found in condition.atoms(Relational)}
    for condition in sorted(conditions, key=str):
        symbol, edge = solved(condition.lhs - condition.rhs)
        jumps = first.atoms(sympy.sign, sympy.Heaviside) | second.atoms(sympy.sign, sympy.Heaviside)
        if any(jump.args[0].subs(symbol, edge).is_zero for jump in jumps):  # a slope has no value there
            continue
        at_edge = tuple(side.subs(symbol, edge) for side in (first, second))
        if not any(side.has(sympy.nan, sympy.zoo) for side in at_edge):  # elsewhere nothing is defined to be equal
            yield at_edge
            yield from edges(*at_edge)


def solved(switch: sympy.Expr) -> tuple[sympy.Symbol, sympy.Expr]:
    """A symbol, and what it is where a switch is 0."""
    for symbol in sorted(switch.free_symbols, key=str):
        slope = switch.diff(symbol)
        if slope.is_number and slope != 0:
            return symbol, symbol - switch / slope
    raise ValueError(switch)


def in_cases(expression: sympy.Expr, known: tuple[sympy.Expr, ...] = ()) -> Iterator[sympy.Expr]:
    """The expression in each case of its choices (of |a|, the larger, the smaller, a piece), which stand no more in it.

    Where two cases meet both are right, since what is chosen there is equal. `known` are positive in this case.
    """
    choices = expression.atoms(*CHOICES)
    if not choices:
        yield expression
        return
    choice = min(choices, key=lambda found: (sympy.count_ops(found), str(found)))
    switch = switch_of(choice)
    for sign in (1, -1):
        here = (*known, sign * switch)
        if not any((here[-1] + other).expand().is_nonpositive for other in here):  # both positive, and not their sum
            yield from in_cases(decided(expression.xreplace({choice: value_of(choice, sign)}), switch, sign), here)


def switch_of(choice: sympy.Expr) -> sympy.Expr:
    """What a choice depends on the sign of."""
    if isinstance(choice, sympy.Max | sympy.Min):
        first, *others = choice.args
        return first - choice.func(*others)
    return choice.args[0]


def value_of(choice: sympy.Expr, sign: int) -> sympy.Expr:
    """What a choice is where its switch is positive (sign 1) or negative (-1)."""
    if isinstance(choice, sympy.Max | sympy.Min):
        first, *others = choice.args
        return first if (sign > 0) == isinstance(choice, sympy.Max) else choice.func(*others)
    if isinstance(choice, sympy.Abs):
        return sign * choice.args[0]
    return sympy.Integer(sign if isinstance(choice, sympy.sign) else (1 + sign) // 2)


def decided(expression: sympy.Expr, switch: sympy.Expr, sign: int) -> sympy.Expr:
    """The expression where a switch is known to be positive (sign 1) or negative (-1)."""
    for choice in expression.atoms(*CHOICES):
        ratio = sympy.cancel(switch_of(choice) / switch)
        if ratio.is_positive or ratio.is_negative:
            expression = expression.xreplace({choice: value_of(choice, sign if ratio.is_positive else -sign)})
    return expression


def with_choices(expression: sympy.Expr) -> sympy.Expr:
    """An expression whose pieces, as of a function defined by cases, are chosen by Heaviside's step.

    Where two sides are equal, cases meet and either will do; single points, as of an equation, are for `edges`.
    """
    if not expression.args:
        return expression
    if isinstance(expression, sympy.Piecewise):
        return with_choices(as_factors(expression, lambda high, low, strict: sympy.Heaviside(high - low)))
    return expression.func(*map(with_choices, expression.args))


Above = Callable[[sympy.Expr, sympy.Expr, bool], sympy.Expr]  # 1 where the first is above the second, strictly or not


def as_factors(pieces: sympy.Piecewise, above: Above) -> sympy.Expr:
    """The pieces of a definition, each times 1 where its condition is the first to hold, and 0 elsewhere."""
    total, rest = sympy.S.Zero, sympy.S.One
    for value, condition in pieces.args:
        here = truth(condition, above)
        total, rest = total + rest * here * value, rest * (1 - here)
    return total


def truth(condition: Any, above: Above) -> sympy.Expr:
    """1 where a condition holds and 0 elsewhere; an equation holds at single points, and counts as false."""
    if condition == True:  # noqa: E712 - a SymPy truth
        return sympy.S.One
    if isinstance(condition, sympy.And):
        return sympy.Mul(*(truth(part, above) for part in condition.args))
    if isinstance(condition, sympy.Or):
        return 1 - sympy.Mul(*(1 - truth(part, above) for part in condition.args))
    if isinstance(condition, sympy.Not):
        return 1 - truth(condition.args[0], above)
    if isinstance(condition, sympy.Eq | sympy.Ne):
        return sympy.Integer(isinstance(condition, sympy.Ne))
    if isinstance(condition, sympy.StrictGreaterThan | sympy.GreaterThan):
        return above(condition.lhs, condition.rhs, isinstance(condition, sympy.StrictGreaterThan))
    if isinstance(condition, sympy.StrictLessThan | sympy.LessThan):
        return above(condition.rhs, condition.lhs, isinstance(condition, sympy.StrictLessThan))
    raise TypeError(f"derive: a piece needs a condition of <, <=, > or >=; got {condition}")
