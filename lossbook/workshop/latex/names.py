"""The names of a printed derivation: which have a domain, which subscripts number the entries of a family, and how far.

A subscript is an index where a sum runs over it, and where a name has one in the place of such an index: with
`\\sum_k e^{z_k}` printed somewhere, the i of `z_i` is an index as well. All other subscripts belong to the name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from lossbook.domains import Domain
from lossbook.workshop.latex.functions import AT_MOST, EQUALITIES, UNEQUAL
from lossbook.workshop.latex.trees import (
    base_of,
    entries,
    factors,
    is_name,
    is_token,
    is_tree,
    letters,
    printed_name,
    spelled,
    subscripts_of,
)


@dataclass(frozen=True)
class Name:
    """A printed name: its letter with accents, stars and primes, and its subscripts."""

    base: str
    subscripts: tuple[str, ...] = ()
    nodes: tuple[Any, ...] = field(default=(), compare=False)  # of the subscripts, to be evaluated if they are indices

    @classmethod
    def of(cls, item: Any) -> "Name":
        """The name that an item prints, exponents left out."""
        nodes = subscripts_of(item)
        return cls(base_of(item), tuple(map(spelled, nodes)), tuple(nodes))

    def __str__(self) -> str:
        return printed_name(self.base, self.nodes)

    def without(self, positions: Iterable[int]) -> "Name":
        """The name without some of its subscripts."""
        left = [k for k in range(len(self.subscripts)) if k not in set(positions)]
        return Name(self.base, tuple(self.subscripts[k] for k in left), tuple(self.nodes[k] for k in left))


@dataclass(frozen=True)
class Bound:
    """An index that a sum runs over, with its ends where they are printed, and the value it leaves out."""

    index: str
    low: Any = None
    high: Any = None
    without: Any = None


def bounds(big: Any) -> list[Bound]:
    """The indices of a sum, product or maximum; empty for what is no list of them."""
    found = listed_bounds(big)
    return found if all(bound.index.isalpha() or bound.index[0] == "\\" for bound in found) else []


def listed_bounds(big: Any) -> list[Bound]:
    """What is listed below a sum, product or maximum, whether names or not."""
    lower: list[Any] = []
    upper: list[Any] = []
    for script in big.children[1:]:
        if is_tree(script, "script"):
            target = lower if is_token(script.children[0], "SUB") else upper
            inside = script.children[1]
            target += entries(inside.children[0]) if is_tree(inside, "braces") else [inside]
    found: list[Bound] = []
    if any(relation_of(part) in AT_MOST for part in lower):  # 1 <= i, j <= m
        sides = [side for part in lower for side in entries(part)]
        return [Bound(spelled(side), sides[0], sides[-1]) for side in sides[1:-1]]
    for part in lower:
        relation = relation_of(part)
        if relation == "":
            high = upper[0] if upper else None
            found += [Bound(spelled(name), None, high) for name in ([part] if is_token(part) else factors(part))]
        elif relation in EQUALITIES:
            high = upper.pop(0) if len(upper) > 1 else upper[0] if upper else None
            found.append(Bound(spelled(part.children[0]), part.children[2], high))
        elif relation in UNEQUAL:
            index = spelled(part.children[0])
            same = [bound for bound in found if bound.index == index] or [Bound(index)]
            found = [bound for bound in found if bound.index != index]
            found.append(Bound(index, same[0].low, same[0].high, part.children[2]))
        else:
            return []
    return found


def relation_of(part: Any) -> str | None:
    """The relation in an entry below a sum; "" without one, None for several."""
    if is_token(part) or len(part.children) == 1:
        return ""
    sides, relations = part.children[::2], part.children[1::2]
    if len(sides) == len(relations) or not all(map(is_token, relations)) or any(map(is_token, sides)):
        return None
    alike = len(relations) == 1 or {relation.value for relation in relations} <= set(AT_MOST)
    return relations[0].value if alike else None


class Names:
    """What the names of a text mean.

    Attributes: `made`, the symbols of names, each an "integer", a "number" or a "family"; `where`, their domains;
    `indices` and `sizes`, the names of whole numbers; `ends`, where sums begin and end whose ends are not printed.
    """

    def __init__(self, declared: Mapping[Name, Domain], tree: Any) -> None:
        self.declared = declared
        self.made: dict[tuple[str, str], Any] = {}
        self.where: dict[Any, Domain] = {}
        found = [bound for big in tree.find_data("big") for bound in bounds(big)]
        functions = [item for item in tree.find_data("item") if item.children[0] in (r"\max", r"\min")]
        found += [bound for item in functions for bound in bounds(item)]
        self.indices = {bound.index for bound in found}
        self.indices |= {name for bound in found if bound.without is not None for name in letters(bound.without)}
        self.used = {Name.of(item) for item in tree.find_data("item") if is_name(item.children[0])}
        self.positions: dict[tuple[str, int], set[int]] = {}
        self.find_positions()
        highs = [bound.high for bound in found if bound.high is not None]
        self.sizes = {str(name) for high in highs for name in names_in(high)} - self.indices
        self.ends: dict[str, tuple[Any, Any]] = {}
        self.find_ends(found)

    def find_positions(self) -> None:
        """Which subscripts of which names are indices; names in their places are indices too."""
        before = None
        while before != (before := (sum(map(len, self.positions.values())), len(self.indices))):
            for name in self.used:
                here = self.positions.setdefault((name.base, len(name.subscripts)), set())
                here |= {k for k, node in enumerate(name.nodes) if letters(node) & self.indices}
                if here and self.is_kronecker_delta(name):
                    here |= {0, 1}
                self.indices |= {name.subscripts[k] for k in here if is_token(name.nodes[k], "NAME")}

    def is_kronecker_delta(self, name: Name) -> bool:
        """Whether a name is that of Kronecker's delta: of two indices, and without a domain."""
        return name.base == r"\delta" and len(name.subscripts) == 2 and self.domain(name) is None

    def find_ends(self, found: Sequence[Bound]) -> None:
        """The ends of sums that print none: of a sum over the same entries that does, or else a number of their own."""
        taken = {*self.sizes, *(name.base for name in self.declared)}
        for group in self.groups():
            here = [bound for bound in found if bound.index in group]
            printed = {(spelled(b.low), spelled(b.high)): (b.low, b.high) for b in here if b.low is not None and b.high}
            if len(printed) == 1:
                self.ends |= dict.fromkeys(group, *printed.values())
            elif here and not printed:
                size = "N" if group <= {"i", "n"} else "C"
                size = size if size not in taken else f"{size}_{min(group)}"
                taken.add(size)
                self.sizes.add(size)
                self.ends |= dict.fromkeys(group, (sympy.S.One, self.integer(size)))

    def groups(self) -> list[set[str]]:
        """The indices, those together that number the same entries."""
        groups = [{index} for index in sorted(self.indices)]
        for (base, count), places in self.positions.items():
            for place in places:
                same = {n.subscripts[place] for n in self.used if (n.base, len(n.subscripts)) == (base, count)}
                joined = [group for group in groups if group & same]
                groups = [group for group in groups if not group & same] + [set().union(*joined)]
        return [group for group in groups if group]

    def integer(self, name: str) -> sympy.Symbol:
        """The symbol of an index, or of a number of terms."""
        key = (name, "integer")
        if key not in self.made:
            self.made[key] = sympy.Symbol(self.new(plain(name)), integer=True, positive=name in self.sizes or None)
        return self.made[key]

    def new(self, name: str) -> str:
        """The name for a symbol, changed if another symbol has it."""
        return self.new(f"{name}_") if name in {str(symbol) for symbol in self.made.values()} else name

    def domain(self, name: Name) -> Domain | None:
        """The domain of a name: its own, that of its family, or that of the name without subscripts."""
        for known in (name, Name(name.base)):
            if known in self.declared:
                return self.declared[known]
        return next((domain for known, domain in self.declared.items() if self.are_alike(known, name)), None)

    def are_alike(self, one: Name, other: Name) -> bool:
        """Whether two names are entries of the same family."""
        places = self.places(other)
        same = (one.base, len(one.subscripts)) == (other.base, len(other.subscripts))
        return same and bool(places) and one.without(places) == other.without(places)

    def places(self, name: Name) -> list[int]:
        """Which subscripts of a name are indices."""
        return sorted(self.positions.get((name.base, len(name.subscripts)), ()))

    def symbol(self, printed: str, domain: Domain, family: bool = False) -> Any:
        """The symbol of a name, or the family whose entries have it."""
        key = (printed, "family" if family else "number")
        if key not in self.made:
            grants = domain.symbol("t") if isinstance(domain, Domain) else sympy.Symbol("t", real=True)
            assumed = {key: True for key in ("positive", "nonnegative", "real") if getattr(grants, f"is_{key}")}
            make = sympy.IndexedBase if family else sympy.Symbol
            self.made[key] = make(self.new(plain(printed)), **assumed)
        self.where[self.made[key]] = domain
        return self.made[key]


def names_in(node: Any) -> list[Name]:
    """The names in an end of a sum."""
    if is_token(node):
        return [Name(node.value)] if is_token(node, "NAME") else []
    return [Name.of(item) for item in node.find_data("item") if is_name(item.children[0])]


def plain(printed: str) -> str:
    """A printed name as the name of a SymPy symbol, which SymPy prints as it was: `\\hat{y}_{i}` as `yhat_i`."""
    text = re.sub(r"\\(?:math)?(hat|tilde|bar|dot|vec|cal)\{([^{}]*)\}", r"\2\1", printed)
    words = {"^{*}": "__*", "'": "prime", "\\": "", "{": "", "}": "", "^": "__", ",": "_", " ": "_"}
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text
