"""From a formula to its plan: names, rows, totals, guards, and slopes by reverse accumulation.

Gradients are reverse accumulation over the named steps: one line per step, last step first.
Expressions are never simplified here, since rewriting turns stable forms into unstable ones.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from lossbook import words
from lossbook.domains import Domain
from lossbook.formula import Formula
from lossbook.plan.guard import Guard
from lossbook.plan.ir import COMPLEMENT, LOGIT, NO_TARGET, OF_ROW, PROBABILITY, Line, Plan, needed_lines

# The names that plans make themselves, and those of the words, which are called so in every language.
MADE = {"u", "C", "value", NO_TARGET, *(symbol.name for symbol in (PROBABILITY, COMPLEMENT, LOGIT, OF_ROW))}
MADE |= {*words.SPELLED}


def renamed(formula: Formula) -> tuple[Formula, dict[str, str]]:
    """The formula with an underscore at every name that a plan needs for itself, and what was renamed."""
    symbols = {*formula.arrays, *formula.parameters, *(symbol for symbol, _ in formula.steps)}
    kept = {symbol.name for symbol in symbols}
    new = {}
    for symbol in sorted(symbols, key=str):
        made = re.match(r"(d|at|sum|total)_", symbol.name)  # plans and kernels make names that begin so from others
        is_row = formula.space.rows_of_classes
        hidden = symbol.name == "z" and is_row and symbol != formula.prediction  # z is the logit of a row
        if made or hidden or symbol.name in MADE or not symbol.name.isascii():
            ascii_name = re.sub(r"[^\x00-\x7f]", lambda sign: f"u{ord(sign[0]):x}", symbol.name)  # as CUDA wants it
            name = f"_{ascii_name}" if made else f"{ascii_name}_"
            while name in kept or name in MADE:
                name += "_"
            kept.add(name)
            new[symbol] = symbol.func(name, **symbol.assumptions0)
    if not new:
        return formula, {}

    def change(expression):
        return expression.xreplace(new)

    changed = Formula(
        tuple(map(change, formula.prediction)) if isinstance(formula.prediction, tuple) else change(formula.prediction),
        formula.target if formula.target is None or isinstance(formula.target, tuple) else change(formula.target),
        tuple(map(change, formula.parameters)),
        {new.get(symbol, symbol): domain for symbol, domain in formula.domains.items()},
        tuple((change(symbol), change(value)) for symbol, value in formula.steps),
        change(formula.expression),
    )
    return changed, {symbol.name: old.name for old, symbol in new.items()}


@dataclass(frozen=True)
class Body:
    """What is left of a formula when its shape is known: steps, the end, and what slopes are taken along."""

    steps: tuple
    expression: sympy.Expr
    wrt: tuple[sympy.Symbol, ...]
    row: str = ""
    beside: sympy.Expr | None = None  # rows: what is added once per row, a function of its logsumexp
    totals: dict = field(default_factory=dict)  # symbol: what is summed

    @property
    def moved(self) -> dict:
        """The totals on which the prediction has a say."""
        reached = {*self.wrt, *(symbol for symbol, _ in self.steps)}
        return {symbol: value for symbol, value in self.totals.items() if value.free_symbols & reached}


U = sympy.Symbol("u", real=True)  # what the function of one class of a row is a function of


def body_of_row(name: str, formula: Formula, hard: bool) -> Body:
    """The function of one class, of which a row loss is the sum."""
    steps, expression, of_row = formula.steps, formula.expression, None
    if formula.has(words.logsumexp):
        steps, (expression, of_row) = (), part_of_row(name, formula)
    if expression.func is not words.sum_classes:
        raise TypeError(f"{name}: a row loss must end in sum_classes(...); got {expression}")
    row, of_class = ("log_odds", words.log_odds(formula.prediction)) if of_row is not None else row_of(name, formula)
    known = {of_class: U}
    if hard:
        assert formula.hard_when_zero is not None
        known |= {formula.target: sympy.S.One} | dict.fromkeys(formula.hard_when_zero, sympy.S.Zero)
    steps = tuple((symbol, value.subs(known)) for symbol, value in steps)
    expression = expression.args[0].subs(known)
    within = (expression, *(value for _, value in steps))
    if any(part.has(formula.prediction) or part.has(words.sum_classes) for part in within):
        raise TypeError(f"{name}: inside sum_classes(...) the prediction may appear only as {of_class}")
    return Body(steps, expression, (U,), row, of_row)


def body_of_totals(name: str, formula: Formula) -> Body:
    """What a pixel adds to each total, and the function of totals that ends the loss."""
    steps, expression, wrt, row, totals = formula.steps, formula.expression, formula.predictions, "", {}
    if formula.has(words.log_odds):
        row, of_class = row_of(name, formula)
        steps = tuple((symbol, value.subs(of_class, U)) for symbol, value in steps)
        expression, wrt = expression.subs(of_class, U), (U,)
        if any(part.has(formula.prediction) for part in (expression, *(value for _, value in steps))):
            raise TypeError(f"{name}: beside {of_class} the prediction must not appear")
    for symbol, value in steps:
        if value.func is words.sum_pixels:
            totals[symbol] = value.args[0]
    steps = tuple((symbol, value) for symbol, value in steps if symbol not in totals)
    for index, found in enumerate(sorted(expression.atoms(words.sum_pixels), key=str)):
        symbol = sympy.Symbol(f"total_{index}", nonnegative=True)
        totals[symbol] = found.args[0]
        expression = expression.subs(found, symbol)
    if expression.has(*wrt):
        rule = f"{formula.prediction} must stand inside sum_pixels(...)"
        raise TypeError(f"{name}: a set loss is a function of totals; {rule}")
    after = tuple((symbol, value) for symbol, value in steps if value.free_symbols & set(totals))
    for symbol, value in reversed(after):
        expression = expression.subs(symbol, value)
    return Body(tuple(step for step in steps if step not in after), expression, wrt, row, totals=totals)


def arrays_of(formula: Formula) -> dict[str, Domain]:
    """The domains of the arrays of a call, by name."""
    if formula.space.corners:
        several = [symbols for symbols in (formula.prediction, formula.target) if symbols]
        return {symbols[0].name.removesuffix("_x1"): formula.domains[symbols[0]] for symbols in several}
    return {symbol.name: formula.domains[symbol] for symbol in formula.arrays}


def make_plan(
    name: str,
    formula: Formula,
    hard: bool = False,
    lifted: bool = False,
    steep: bool = False,
    per_class: bool = False,
) -> Plan:
    """The plan of a formula.

    `hard` is the variant of a row loss in which only the labeled class enters, `lifted` the one that is exact also
    where a large parameter multiplies what would vanish far out, `steep` that of a large exponent, and `per_class` that
    of parameters that are one number per class.
    """
    formula, said = renamed(formula)
    space = formula.space
    if space.rows_of_classes:
        body = body_of_row(name, formula, hard)
    elif space.totals:
        body = body_of_totals(name, formula)
    else:
        body = Body(formula.steps, formula.expression, formula.predictions)
    domains = arrays_of(formula)
    guard = Guard(formula, body.steps, body.wrt, body.row, lifted)
    forward = tuple((symbol.name, guard(value)) for symbol, value in body.steps)
    slopes, finish = (), None
    if space.totals:
        terms = [(symbol.name, value) for symbol, value in body.totals.items()]
        ends = Guard(formula, (), tuple(body.totals))  # a weight of 0 keeps out even an infinite total
        finish = ends(body.expression)
        slopes = tuple((f"d_{symbol.name}", ends(sympy.diff(body.expression, symbol))) for symbol in body.moved)
        seeds = [(value, sympy.Symbol(f"d_{symbol.name}", real=True)) for symbol, value in body.moved.items()]
    else:
        terms, seeds = [("value", body.expression)], [(body.expression, sympy.S.One)]
    terms = tuple((title, guard(value)) for title, value in terms)
    of_row = ()
    if body.beside is not None:
        once = Guard(formula, (), (OF_ROW,))
        of_row = ("value", once(body.beside)), (f"d_{OF_ROW}", once(sympy.diff(body.beside, OF_ROW)))
    inputs, wrt = tuple(symbol.name for symbol in formula.arrays), body.wrt
    if space.totals and body.row:
        forward, terms = in_shares(forward), in_shares(terms)
        backward = guard.lines(slopes_under_softmax(body.steps, seeds))
        used = set().union(*(value.free_symbols for _, value in (*forward, *terms, *backward)))
        inputs = (*(symbol.name for symbol in (U, PROBABILITY, COMPLEMENT) if symbol in used), *inputs[1:])
        wrt = (LOGIT,)
    else:
        backward = guard.lines(accumulate(body.steps, seeds, wrt))
    magnified = body.row == "log_odds" and (lifted or steep)
    return Plan(
        name=name,
        space=space,
        row=body.row,
        arrays=(*domains, NO_TARGET) if space.rows_of_classes and formula.target is None else tuple(domains),
        inputs=inputs,
        parameters=tuple(symbol.name for symbol in formula.parameters),
        checks=tuple((n, d) for n, d in domains.items() if d.checked),
        forward=forward,
        terms=terms,
        backward=backward,
        wrt=tuple(symbol.name for symbol in wrt),
        finish=finish,
        slopes=slopes,
        of_row=of_row,
        hard=hard,
        wide=magnified or formula.has(words.residual_of_logit, words.kl_div_of_logit),
        per_class=per_class,
        said=said,
        given=tuple(symbol.name for symbol in (*formula.arrays, *formula.parameters, *dict(formula.steps))),
    )


def in_shares(lines: Iterable[tuple[Any, sympy.Expr]]) -> tuple[tuple[Any, sympy.Expr], ...]:
    """The lines with what a softmax gives, a probability and its complement, for sigmoids of the log-odds."""
    known = {words.sigmoid(U): PROBABILITY, words.sigmoid(-U): COMPLEMENT}
    return tuple((title, value.xreplace(known)) for title, value in lines)


def slopes_under_softmax(
    steps: Sequence[tuple[sympy.Symbol, sympy.Expr]], seeds: Sequence[tuple[sympy.Expr, sympy.Expr]]
) -> list[Line]:
    """`accumulate` for totals under a softmax: h = p*dL/dp of each class, from which the slope along a logit is
    h - p*(the sum of h over all classes).
    """
    steps, named = in_shares(steps), in_shares([(symbol, value) for value, symbol in seeds])
    of_u = any(value.has(U) for _, value in (*steps, *named))
    if not of_u:
        seeds = [(value, symbol) for symbol, value in named]
        *lines, (_, slope), (_, other) = accumulate(steps, seeds, (PROBABILITY, COMPLEMENT))
        return [*lines, (f"d_{LOGIT}", PROBABILITY * (slope - other))]
    *lines, (_, slope) = in_shares(accumulate(steps, seeds, (U,)))
    return [*lines, (f"d_{LOGIT}", words.quotient(slope, COMPLEMENT))]


def part_of_row(name: str, formula: Formula) -> tuple[sympy.Expr, sympy.Expr]:
    """(sum over the classes, what stands beside it as a function of the logsumexp), without steps."""
    terms = sympy.Add.make_args(formula.formula)
    sums = [term for term in terms if term.func is words.sum_classes]
    beside = sympy.Add(*(term for term in terms if term not in sums))
    beside = beside.subs(words.logsumexp(formula.prediction), OF_ROW)
    in_sum = sums[0] if sums else words.sum_classes(sympy.S.Zero)
    in_log_odds = in_sum.subs(words.log_odds(formula.prediction), OF_ROW)
    rule = f"logsumexp({formula.prediction}) stands outside sum_classes(...), alone or beside one sum over log-odds"
    if len(sums) > 1 or in_log_odds.has(formula.prediction) or not beside.has(OF_ROW) or beside.has(words.sum_classes):
        raise TypeError(f"{name}: {rule}; other losses can be added to it as losses; got {formula.formula}")
    if beside.has(*formula.arrays):
        raise TypeError(f"{name}: {rule}, and what it stands in is a function of it and of parameters; got {beside}")
    return in_sum, beside


def row_of(name: str, formula: Formula) -> tuple[str, sympy.Expr]:
    """What a row loss is a function of, class by class: ("log_odds", log_odds(z)), ("entry", z) or another of these."""
    z = formula.prediction
    found = [word(z) for word in words.OF_CLASS if formula.has(word(z))]
    if len(found) > 1:
        raise TypeError(f"{name}: a row loss is made of one of {', '.join(map(str, found))}, not of several")
    return (found[0].func.__name__, found[0]) if found else ("entry", z)


def accumulate(
    steps: Sequence[tuple[sympy.Symbol, sympy.Expr]],
    seeds: Sequence[tuple[sympy.Expr, sympy.Expr]],
    wrt: tuple[sympy.Symbol, ...],
) -> list[Line]:
    """Reverse accumulation: the slope of the seeds along each named step, last step first, then along `wrt`."""
    lines: list[Line] = []
    reached = list(seeds)  # (expression, its slope)
    for k, (symbol, value) in reversed(list(enumerate(steps))):
        slope = sum(weight * sympy.diff(expression, symbol) for expression, weight in reached)
        if slope != 0:
            named = sympy.Symbol(f"d_{symbol.name}", real=True)
            if isinstance(value, (words.maximum, words.minimum)):
                for choice, share in zip(value.args, value.slopes(), strict=True):
                    if not vanishes_for(choice, symbol, slope, lines, steps[k + 1 :]):
                        reached.append((choice, named * share))
            else:
                reached.append((value, named))
            lines.append((named.name, slope))
    for symbol in wrt:
        slope = sum(weight * sympy.diff(expression, symbol) for expression, weight in reached)
        lines.append((f"d_{symbol.name}", sympy.sympify(slope)))
    return needed_lines(lines, (f"d_{symbol.name}" for symbol in wrt))  # no slope of what no prediction has a say in


def vanishes_for(
    choice: sympy.Expr,
    symbol: sympy.Symbol,
    slope: sympy.Expr,
    lines: Sequence[Line],
    later: Sequence[tuple[sympy.Symbol, sympy.Expr]],
) -> bool:
    """Whether a slope along the larger or smaller of two is 0 wherever that is this choice, as in Huber's loss.

    There min(far, delta) has the slope far - min(far, delta): it need not be computed where the minimum is far.
    """
    if len(later) > 8:  # formulas made by hand are shorter
        return False
    for title, value in reversed(lines):
        slope = slope.subs(sympy.Symbol(title, real=True), value)
    for name, value in reversed(later):
        slope = slope.subs(name, value)
    return sympy.expand(slope.subs(symbol, choice)) == 0
