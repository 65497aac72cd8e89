"""Derivations whose every line is compared with the one before: `lossbook.derive`.

    >>> import lossbook, sympy
    >>> from lossbook.words import softplus
    >>> x, y = sympy.symbols("x y")
    >>> lossbook.derive(
    ...     y * softplus(-x) + (1 - y) * softplus(x),
    ...     (softplus(x) - x * y, "softplus(-x) = softplus(x) - x"),
    ...     where={x: lossbook.Logit, y: lossbook.Label},
    ... )
      y*softplus(-x) + (1 - y)*softplus(x)
    = -x*y + softplus(x)                      softplus(-x) = softplus(x) - x (proved)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from lossbook.domains import Domain
from lossbook.errors import DomainError
from lossbook.exact.written_out import domains_of
from lossbook.workshop import display
from lossbook.workshop.equations import equivalent
from lossbook.workshop.proof import Verdict, same

START = Verdict("start")


@dataclass(frozen=True)
class Line:
    """A line of a derivation, and what was found of it beside the line before."""

    expression: Any  # a SymPy expression, or an equation where equations follow from one another
    reason: str = ""
    verdict: str = "start"  # "start", "proved", "agrees" or "refuted"
    difference: sympy.Expr | None = None  # of a refuted line: the line before minus this one
    counterexample: Mapping[Any, Any] = field(default_factory=dict)  # of a refuted line: a number for each symbol
    name: Any = None  # the name that the line gives to its expression
    relation: str = "="  # what stands between the line and the one before
    printed: str = ""  # the line as LaTeX, if it was read


@dataclass(frozen=True)
class Derivation:
    """Lines that are to be equal, one after the other; true if no line was refuted.

    In a notebook it is shown as the lines one under the other, with reasons and verdicts beside them; `str` shows it in
    a terminal.
    """

    lines: tuple[Line, ...]

    @property
    def wrong(self) -> Line | None:
        """The first line that was refuted, or None."""
        return next((line for line in self.lines if line.verdict == "refuted"), None)

    def __bool__(self) -> bool:
        return self.wrong is None

    def __str__(self) -> str:
        return display.text(self.lines)

    __repr__ = __str__

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return display.bundle(self.lines)


class Derive:
    """Find out which line of a derivation is wrong, if one is.

    `lossbook.derive(first, (second, "reason"), ..., where=...)` compares lines in SymPy;
    `lossbook.derive.latex(text, where=...)` reads them as they are printed.
    """

    def __call__(self, first: Any, *lines: Any, where: Mapping[Any, Any]) -> Derivation:
        """Compare each line of a derivation with the one before.

        A line is proved where both are the same function: derivatives are taken, words are replaced by their
        meanings, signs and pieces are taken case by case, and what remains is compared as fractions of logarithms and
        powers; sums keep a number of terms that is a symbol. Where no proof is found, and both agree to 50 digits at
        200 points, it agrees. Otherwise it is refuted, with a point at which the two differ.

        Parameters
        ----------
        first : Expr or Eq
            Where the derivation begins. `Eq(L, expression)`, with an `L` without a domain, gives the name L to it.
        *lines : Expr, Eq or (Expr or Eq, str)
            The lines that follow, each with a reason if there is one. `Eq(a, b)` after an expression goes on with a
            and then b; `Eq(u, expression)`, with a new `u`, gives a name that the lines after it may use. Where all
            lines are equations, each is to have the same solutions as the one before.
        where : dict
            The domain of each symbol, and of each family of symbols (`IndexedBase`): a domain such as
            `lossbook.Logit`, or a set of numbers. A family in the domain `Classes` is a distribution: it sums to 1.
            Symbols in words of rows, such as `softmax(z)`, stand for families. Indices, and the numbers of classes
            that sums run to, need none.

        Returns
        -------
        Derivation

        Raises
        ------
        TypeError
            For a symbol without a domain, or a line that is no expression.
        DomainError
            For lines that are not real, or nowhere finite, on the domain.

        Examples
        --------
        >>> import lossbook, sympy
        >>> p = sympy.Symbol("p")
        >>> d = lossbook.derive(sympy.log(p**2), (2 * sympy.log(p), "a power of p"), where={p: lossbook.Probability})
        >>> bool(d), d.lines[1].verdict
        (True, 'proved')
        >>> d = lossbook.derive(sympy.log(2 * p), 2 * sympy.log(p), where={p: lossbook.Probability})
        >>> bool(d), d.wrong.counterexample[p]
        (False, 1)
        """
        domains = domains_of(where)
        given = [statement(line, number) for number, line in enumerate((first, *lines), 1)]
        if is_about_solutions(given, domains):
            return of_equations(given, domains)
        derivation = Chain(domains)
        for number, (content, reason) in enumerate(given, 1):
            derivation.add(content, reason, number)
        return Derivation(tuple(derivation.lines))

    def latex(self, text: str, *, where: Mapping[str, Any]) -> Derivation:
        r"""Compare the lines of a printed derivation, each with the one before.

        Parameters
        ----------
        text : str
            LaTeX: rows that end in a double backslash, in aligned, cases and other environments or bare. It is parsed,
            and never evaluated. What the grammar takes is told in `lossbook.workshop.latex`.
        where : dict
            The domain of each name as it is printed, such as "x", r"\hat{y}" or "z_k".

        Returns
        -------
        Derivation
            What stands behind another relation than = is shown and not compared.

        Raises
        ------
        NotationError
            Where the text cannot be read, with the place; a ValueError.
        ImportError
            If the package lark is not installed.
        TypeError, DomainError
            As for lines in SymPy.

        Examples
        --------
        >>> import lossbook
        >>> text = r"L &= -\log \sigma(x) \\ &= \log(1 + e^{x})"
        >>> found = lossbook.derive.latex(text, where={"x": lossbook.Logit})
        >>> found.wrong.counterexample
        {x: 1}
        """
        from lossbook.workshop.latex import read

        if not isinstance(text, str) or not all(isinstance(name, str) for name in where):
            raise TypeError("derive.latex: the derivation and the names of where must be text, as they are printed")
        printed = read(text, where)
        domains = domains_of(printed.where)
        lines: list[Line] = []
        before: sympy.Expr | None = None
        for line in printed.lines:
            for side in line.sides:
                found = START
                if side.relation == "=" and before is not None:
                    first, second = (line.under_condition(part) for part in (before, side.expression))
                    found = at_line(line.row, same, first, second, domains)
                is_first, is_last = side is line.sides[0], side is line.sides[-1]
                name = sympy.Symbol(", ".join(line.defines)) if is_first and line.defines else None
                lines.append(Line(
                    side.expression, line.reason if is_last else "", found.kind, found.difference, found.counterexample,
                    name, "=" if name is not None else side.relation, side.source,
                ))  # fmt: skip
                before = side.expression
        return Derivation(tuple(lines))


derive = Derive()


def statement(given: Any, number: int) -> tuple[Any, str]:
    """(the expression or equation of a line, its reason)."""
    content, reason = given if isinstance(given, tuple) and len(given) == 2 else (given, "")
    if isinstance(content, int | float) and not isinstance(content, bool):
        content = sympy.sympify(content)
    if not isinstance(content, sympy.Expr | sympy.Eq):
        kind = type(content).__name__
        hint = ""
        if content in (True, False):
            hint = "; an equation is written sympy.Eq(a, b), and one of equal sides sympy.Eq(a, b, evaluate=False)"
        raise TypeError(f"derive: line {number} must be a SymPy expression or an equation; got {kind} {content}{hint}")
    if not isinstance(reason, str):
        raise TypeError(f"derive: the reason of line {number} must be a text; got {type(reason).__name__} {reason}")
    if content.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
        hint = "somewhere before, it was divided by 0" if content.has(sympy.zoo, sympy.nan) else ""
        raise DomainError("derive", f"line {number}", "must be finite", said=str(content), hint=hint)
    return content, reason


def is_about_solutions(given: Sequence[tuple[Any, str]], where: Mapping[Any, Domain]) -> bool:
    """Whether all lines are equations that hold for some numbers and not for all."""
    if len(given) < 2 or not all(isinstance(content, sympy.Eq) for content, _ in given):
        return False
    first = given[0][0]
    return not is_name(first.lhs, where) and same(first.lhs, first.rhs, where).kind == "refuted"


def is_name(symbol: Any, where: Mapping[Any, Domain]) -> bool:
    """Whether the left side of an equation is a name that the equation gives."""
    return isinstance(symbol, sympy.Symbol) and symbol not in where


def of_equations(given: Sequence[tuple[Any, str]], where: Mapping[Any, Domain]) -> Derivation:
    """Equations each of which is to have the solutions of the one before."""
    lines = [Line(given[0][0], given[0][1])]
    for number, (content, reason) in enumerate(given[1:], 2):
        found = at_line(number, equivalent, lines[-1].expression, content, where)
        lines.append(Line(content, reason, found.kind, None, found.counterexample))
    return Derivation(tuple(lines))


class Chain:
    """The lines of a chain of equal expressions, as they are added."""

    def __init__(self, where: Mapping[Any, Domain]) -> None:
        self.where = where
        self.lines: list[Line] = []
        self.names: dict[sympy.Symbol, sympy.Expr] = {}
        self.last: sympy.Expr | None = None  # without names

    def add(self, content: Any, reason: str, number: int) -> None:
        """A line: an expression, an equation of two, or an equation that gives a name."""
        if isinstance(content, sympy.Expr):
            self.compare(content, reason, number)
        elif is_name(content.lhs, self.where) and content.lhs not in self.names:
            self.names[content.lhs] = content.rhs.xreplace(self.names)  # subs would differentiate first
            self.lines.append(Line(content.rhs, reason, name=content.lhs))
            if all(line.name is not None for line in self.lines):  # the chain begins with the last of the first names
                self.last = self.names[content.lhs]
        else:
            is_said = content.lhs in self.names or content.lhs == self.last  # the chain speaks of it already
            if not is_said:
                self.compare(content.lhs, "", number)
            self.compare(content.rhs, reason, number)

    def compare(self, expression: sympy.Expr, reason: str, number: int) -> None:
        """A line beside the one before."""
        before, self.last = self.last, expression.xreplace(self.names)
        found = START if before is None else at_line(number, same, before, self.last, self.where)
        self.lines.append(Line(expression, reason, found.kind, found.difference, found.counterexample))


def at_line(number: int, compare: Any, before: Any, after: Any, where: Mapping[Any, Domain]) -> Verdict:
    """What is found of a line beside the one before; an error says which line it was."""
    try:
        return compare(before, after, where)
    except DomainError as error:
        raise error.changed(argument=f"line {number}") from None
