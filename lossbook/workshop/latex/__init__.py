"""Printed derivations: LaTeX as SymPy expressions, line by line.

The text is parsed by a grammar (`latex.lark`); nothing of it is evaluated as code. The grammar takes

- environments (align, aligned, equation, gather, gathered, split, multline, eqnarray, array) or bare text, with rows
  that end in a double backslash; alignment, spacing and the sizes of brackets make no difference;
- in a row one chain, `L = a = b`, or several behind commas; a row that begins with a relation goes on with the chain
  of the row before, and one that begins with a sign and has no relation goes on with its expression;
- sums, products (side by side, with cdot or times), quotients, fractions, roots, powers, decimals, brackets of three
  kinds, absolute values (the norm of a number is one), functions defined by cases, and [condition] as 1 or 0;
- `log`, `exp`, `max`, `min`, the hyperbolic functions, `sigma`, and the words of `lossbook.words` as upright names;
- sums and products over an index, whose body is all that follows in their term; without ends they run from 1 to C
  (to N, if the index is i or n alone), or as another sum over the same entries does;
- derivatives as fractions of d or partial, of what stands above, or of the brackets or the rest of the term behind.

A function without brackets takes the names, numbers and fractions that follow, up to the next function, sign, dot or
end: `log x y` is log(xy). Where a bracket follows them, where the argument ends is a matter of taste, and the text is
refused; so is `a/b c`.

A name of `where` stands for a number, and so does an index; before brackets it is a factor, as in `y(1 - p)`. It has
its own meaning with each subscript, unless the subscript is an index. `e`, `pi` and the Kronecker delta need no domain.
Any other name is defined by the first equality whose left side it is: what stands on the right of it is what the name
means from there on, also where that equality has a condition. `L(y, p) = ...` defines both L(y, p) and, for other
arguments, L; `p_k = ...` defines every entry of p if k is an index. Nothing is read from a definition further below.
"""

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

import sympy

from lossbook.domains import Domain
from lossbook.errors import NotationError
from lossbook.workshop.latex.conditions import condition
from lossbook.workshop.latex.functions import EQUALITIES, FUNCTIONS
from lossbook.workshop.latex.meanings import Meanings
from lossbook.workshop.latex.names import Name, Names
from lossbook.workshop.latex.terms import Terms
from lossbook.workshop.latex.tokens import prepared
from lossbook.workshop.latex.trees import factors, is_name, is_token, is_tree, spelled

__all__ = ["Printed", "PrintedLine", "Side", "read"]

READABLE = {  # what the parser may expect, in words
    "NAME": "a name", "NUMBER": "a number", "RPAR": ")", "RSQB": "]", "RBRACE": "}", "RIGHT_SET": r"\}", "LPAR": "(",
    "BAR_CLOSE": "|", "SIGN": "+ or -", "RELATION": "=", "END_CASES": r"\end{cases}", "AMP": "&", "LBRACE": "{",
}  # fmt: skip


@dataclass(frozen=True)
class Side:
    """A side of a chain of relations."""

    relation: str  # what stands before it: "" at the begin of a chain, "=", or another relation as it is printed
    expression: sympy.Expr
    source: str  # as printed


@dataclass(frozen=True)
class PrintedLine:
    """A chain of relations that stands on one row, or the part of one that does."""

    row: int  # counted from 1
    source: str  # the row as printed
    defines: tuple[str, ...]  # the names on the left that get a meaning here
    sides: tuple[Side, ...]
    condition: Any = sympy.true  # under which the relations hold
    reason: str = ""

    def under_condition(self, expression: sympy.Expr) -> sympy.Expr:
        """An expression as far as the condition lets it matter: what must be equal is put in, and it is 0 elsewhere."""
        parts = sympy.And.make_args(self.condition)
        equal = [part for part in parts if isinstance(part, sympy.Eq)]
        other = sympy.And(*(part for part in parts if part not in equal))
        for part in equal:
            name = part.lhs if isinstance(part.lhs, sympy.Symbol | sympy.Indexed) else part.rhs
            expression = expression.subs(name, part.lhs + part.rhs - name)
        return expression if other == sympy.true else sympy.Piecewise((expression, other), (sympy.S.Zero, sympy.true))


@dataclass(frozen=True)
class Printed:
    """What a text says."""

    lines: tuple[PrintedLine, ...]
    symbols: Mapping[str, Any]  # the printed names, and the symbols, families and indices that they became
    where: Mapping[Any, Domain]  # the domains of symbols and families


def read(text: str, where: Mapping[str, Domain]) -> Printed:
    r"""Read the lines of a printed derivation.

    Parameters
    ----------
    text : str
        LaTeX.
    where : dict
        The domain of each name, as it is printed: `"x"`, `r"\hat{y}"`, `r"\alpha"`, `"z_k"`. A name without its
        subscript, `"z"`, gives a domain to all that have one. `"D(x)"` gives one to an application as a whole. What is
        no domain, such as a set of numbers, is handed on as it is.

    Returns
    -------
    Printed

    Raises
    ------
    NotationError
        Where the text cannot be read, with the place; a ValueError.
    ImportError
        If the package lark is not installed.

    Examples
    --------
    >>> from lossbook import Logit
    >>> printed = read(r"L &= \log(1 + e^{-x}) \\ &= \log\frac{1 + e^x}{e^x} \quad \text{one fraction}", {"x": Logit})
    >>> [(line.defines, [side.expression for side in line.sides], line.reason) for line in printed.lines]
    [(('L',), [log(1 + exp(-x))], ''), ((), [log((exp(x) + 1)*exp(-x))], 'one fraction')]
    """
    declared = {name_of(key): domain for key, domain in where.items()}
    tree = parsed(text, {name.base for name in declared})

    def error(node: Any, rule: str) -> NotationError:
        place = node if is_token(node) else node.meta
        return NotationError(text, place.line, place.column, rule)

    if not any(True for _ in tree.find_data("chain")):
        raise NotationError(text, 1, 1, "expected a formula")
    names = Names(declared, tree)
    lines = Lines(text, Terms(Meanings(names, error)))
    found = None
    with contextlib.suppress(RecursionError):
        found = [line for number, row in enumerate(tree.children[::2], 1) for line in lines.of_row(row, number)]
    if found is None:  # raised here, the error has no other behind it, which might not travel between processes
        raise NotationError(text, 1, 1, "expected fewer brackets inside one another")
    lines.check_last()
    return Printed(tuple(found), {printed: symbol for (printed, _), symbol in names.made.items()}, names.where)


@cache
def grammar() -> Any:
    """The parser."""
    try:
        from lark import Lark
    except ImportError as missing:
        raise ImportError("derive.latex needs the package lark: pip install 'lossbook[derive]'") from missing
    text = files(__name__).joinpath("latex.lark").read_text(encoding="utf-8")
    options = {"propagate_positions": True, "maybe_placeholders": False}
    return Lark(text, parser="lalr", lexer="basic", start=["start", "raw"], **options)


def parsed(text: str, names: Collection[str]) -> Any:
    """The tree of a text."""
    parser = grammar().parse_interactive("", start="start")
    from lark import UnexpectedToken

    token = None
    try:
        for token in prepared(grammar().lex(text), text, {*names, *FUNCTIONS}):
            parser.feed_token(token)
        return parser.feed_eof(token)
    except UnexpectedToken as error:
        unexpected = error.token
    # Raised here, the error has none of the parser behind it, which could not travel between processes.
    expected = sorted({READABLE[kind] for kind in parser.accepts() if kind in READABLE})
    at_end = unexpected.type == "$END"
    got = "the end" if at_end else unexpected.value
    rule = f"expected {', '.join(expected) or 'something else'}; got {got}"
    line = (unexpected.end_line if at_end else unexpected.line) or 1
    column = (unexpected.end_column if at_end else unexpected.column) or 1
    raise NotationError(text, line, column, rule)


@cache
def name_of(key: str) -> Name:
    """The name that a key of `where` prints."""
    tree = parsed(key, set(re.findall("[a-zA-Z]+", key)))
    parts = factors(tree.children[0].children[0]) if tree.children[0].children else []
    if len(parts) == 1 and is_tree(parts[0], "item") and is_name(parts[0].children[0]):
        return Name.of(parts[0])
    if parts and is_tree(parts[0], "item"):  # |A|, D(x), or A and B joined
        return Name("".join(map(spelled, parts)))
    raise NotationError(key, 1, 1, "expected a name with its subscripts, or a name with arguments")


class Lines:
    """Reads the rows of one text, one after the other."""

    def __init__(self, text: str, terms: Terms) -> None:
        self.text, self.terms = text, terms
        self.pending = ""  # the relation that ends the row before
        self.waiting: list[Any] = []  # left sides whose right side is on a later row
        self.bare: Any = None  # the chain before, if it has neither a relation nor one behind it
        self.chains = 0

    def of_row(self, row: Any, number: int) -> Iterator[PrintedLine]:
        """The statements of a row."""
        reason = next((part.value for part in row.children if is_token(part, "REASON")), "")
        parts = [part for part in row.children if not is_token(part, "REASON")]
        chains, separators = parts[::2], ["", *(part.value for part in parts[1::2]), ""]
        holds: Any = sympy.true
        lines: list[PrintedLine] = []
        for place, (chain, before) in enumerate(zip(chains, separators, strict=False)):
            implies = "if" in separators[place + 1 :]
            relations = {part.value for part in chain.children if is_token(part, "RELATION")}
            if implies or before == "for" or (before == "," and relations and not relations & set(EQUALITIES)):
                found = condition(self.terms, chain)
                for part in found.atoms(sympy.Eq):
                    if not any(isinstance(side, sympy.Symbol | sympy.Indexed) for side in part.args):
                        raise self.terms.error(chain, "expected a name on one side of what must be equal")
                if implies or not lines:
                    holds = sympy.And(holds, found)
                else:
                    lines[-1] = replace(lines[-1], condition=sympy.And(lines[-1].condition, found))
            else:
                lines.append(replace(self.of_chain(chain, number), condition=holds, reason=reason))
        return iter(line for line in lines if line.sides)

    def of_chain(self, chain: Any, number: int) -> PrintedLine:
        """A chain of relations, with its left sides defined."""
        first = chain.children[0]
        relation, defined = self.pending, []
        goes_on = bool(relation) or is_token(first, "RELATION")
        if not goes_on:
            self.check_compared()
        sides: list[Side] = []
        for part, after in pairwise([*chain.children, None]):
            if is_token(part, "RELATION"):
                relation = part.value
            elif self.defines(part, after) and (not relation or relation in EQUALITIES):
                self.waiting.append(part)  # also in the midst of a chain, as in a = H(p) = b
            else:
                expression = self.terms.sum(part)
                begins = not sides and bool(self.waiting)
                meaning = sides[-1].expression if sides else expression
                defined += [label for node in self.waiting if (label := self.define(node, meaning))]
                self.waiting = []
                sides.append(Side("" if begins else relation, expression, self.source(part)))
        self.pending = relation if is_token(chain.children[-1], "RELATION") else ""
        self.bare = None if goes_on or len(chain.children) > 1 else chain
        self.chains += 1
        return PrintedLine(number, self.source(chain), tuple(defined), tuple(sides))

    def check_compared(self) -> None:
        """The chain before must have been part of something to compare."""
        if self.bare is not None:
            raise self.terms.error(self.bare, "expected a relation: this is compared with nothing")

    def check_last(self) -> None:
        """At the end of the text nothing may be left open."""
        if self.chains > 1:
            self.check_compared()
        if self.waiting:
            raise self.terms.error(self.waiting[0], "expected a right side of this equality")

    def defines(self, part: Any, after: Any) -> bool:
        """Whether a side is a name that is defined by what is equal to it."""
        return is_token(after, "RELATION") and after.value in EQUALITIES and self.terms.meanings.label(part) is not None

    def define(self, side: Any, meaning: sympy.Expr) -> str | None:
        """Give a left side its meaning; its name, if it had none."""
        return self.terms.meanings.define(side, meaning, self.terms.argument)

    def source(self, node: Any) -> str:
        """A part of the text as printed."""
        return self.text[node.meta.start_pos : node.meta.end_pos]
