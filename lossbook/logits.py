"""Formulas of probabilities, put on logits: the activation goes into the formula, so that no digit is lost.

A probability p is sigmoid(x), where x is the logit itself, or under a softmax the log-odds of the class.
With that, log(p) is -softplus(-x), 1 - p is sigmoid(-x), and nothing is rounded to 1 on the way.
"""

from dataclasses import replace

import sympy

from lossbook import words
from lossbook.domains import Logit
from lossbook.formula import Formula
from lossbook.typing import Activation


def of_logit(expression: sympy.Expr, p: sympy.Symbol, x: sympy.Expr, in_totals: bool = False) -> sympy.Expr:
    """An expression of the probability p as one of x, for p = sigmoid(x).

    Differences y - p become `residual_of_logit`, which is exact also where p is nearly y; `in_totals`, where many of
    them are added up, the two products of which each is exact.
    """
    if not expression.has(p):
        return expression
    if expression == p:
        return words.sigmoid(x)
    if expression.is_Add:
        slope = expression.coeff(p, 1)
        rest = expression - slope * p
        if slope.is_number and slope != 0 and not rest.has(p):
            ratio = rest / slope
            if ratio == -1:
                return -slope * words.sigmoid(-x)
            if ratio.could_extract_minus_sign():
                return -slope * _residual(-ratio, x, in_totals)
    parts = [of_logit(part, p, x, in_totals) for part in expression.args]
    return _in_softplus(expression.func, parts)


def _residual(y, x, in_totals):
    if in_totals:
        return y * words.sigmoid(-x) - (1 - y) * words.sigmoid(x)
    return words.residual_of_logit(y, x)


def _in_softplus(function, parts):
    """function(*parts), in the word that is exact for a sigmoid where there is one."""
    first = parts[0]
    if function is sympy.log and isinstance(first, words.sigmoid):
        return -words.softplus(-first.args[0])
    if function is words.log1p and isinstance(-first, words.sigmoid):
        return -words.softplus((-first).args[0])
    if function is words.power and isinstance(first, words.sigmoid):
        return words.sigmoid_power(first.args[0], parts[1])
    if function is words.power1p and isinstance(-first, words.sigmoid):
        return words.sigmoid_power(-(-first).args[0], parts[1])
    if function is words.xlogy and isinstance(parts[1], words.sigmoid):
        return -first * words.softplus(-parts[1].args[0])
    if function is words.kl_div and isinstance(parts[1], words.sigmoid):
        return words.kl_div_of_logit(first, parts[1].args[0], parts[2])
    return function(*parts)


def on_logits(formula: Formula, activation: Activation, logit: sympy.Symbol) -> Formula:
    """The formula of a loss of probabilities as that of a loss of the symbol `logit`."""
    p, in_totals = formula.prediction, formula.space.totals
    x = words.log_odds(logit) if activation == "softmax" else logit
    steps: list[tuple[sympy.Symbol, sympy.Expr]] = []
    inlined: dict[sympy.Symbol, sympy.Expr] = {}
    for symbol, value in formula.steps:
        value = of_logit(value.xreplace(inlined), p, x, in_totals)
        if isinstance(value, words.sigmoid):  # its name would hide from the words what it is
            inlined[symbol] = value
        else:
            steps.append((symbol, value))
    domains = {logit if symbol == p else symbol: Logit if symbol == p else d for symbol, d in formula.domains.items()}
    return replace(
        formula,
        prediction=logit,
        domains=domains,
        steps=tuple(steps),
        expression=of_logit(formula.expression.xreplace(inlined), p, x, in_totals),
    )
