"""What a text has declared and defined so far: the meaning of a name, of a family's entry, of f(x) and of |A|."""

from collections.abc import Callable, Sequence
from typing import Any

import sympy

from lossbook.errors import NotationError
from lossbook.workshop.latex.derivatives import is_derivative
from lossbook.workshop.latex.functions import CONSTANTS, FUNCTIONS, put_in
from lossbook.workshop.latex.names import Name, Names
from lossbook.workshop.latex.trees import (
    argument_list,
    combines_sets,
    entries,
    factors,
    is_name,
    is_token,
    is_tree,
    powers,
    spelled,
    tokens_of,
    unbraced,
)

Evaluate = Callable[[Any], sympy.Expr]


class Meanings:
    """The meanings of one text; `error` makes the error that shows a node's place."""

    def __init__(self, names: Names, error: Callable[[Any, str], NotationError]) -> None:
        self.names, self.error = names, error
        self.defined: dict[str, sympy.Expr] = {}  # as it is printed
        self.functions: dict[str, tuple[list[Any], sympy.Expr]] = {}  # of f(x, y): its arguments and what it is
        self.alone: dict[str, sympy.Expr | None] = {}  # of the f of f(x, y), printed alone; None for several such
        self.families: dict[str, tuple[list[Any], sympy.Expr]] = {}  # of p_k: its indices and what it is

    # --- reading ------------------------------------------------------------------------------------------------------

    def function(self, item: Any) -> Callable[..., sympy.Expr] | None:
        """The function that an item names, if it does."""
        base, name = item.children[0], Name.of(item)
        if is_token(base, "FUNCTION"):
            if name.base != base.value:
                raise self.error(item.children[1], f"expected no prime or star of {base.value}")
            return FUNCTIONS[base.value]
        return FUNCTIONS.get(str(name)) if is_token(base, "NAME") and not self.is_value(name) else None

    def is_value(self, name: Name) -> bool:
        """Whether a name stands for a number: one with a domain, one that is defined, or an index."""
        names, places = self.names, self.names.places(name)
        return (
            names.domain(name) is not None
            or str(name) in self.defined.keys() | self.alone.keys()
            or (bool(places) and str(name.without(places)) in self.families)
            or str(name) in names.indices | names.sizes
            or (name.base in CONSTANTS and not name.subscripts)
        )

    def takes_arguments(self, item: Any, inside: Any) -> bool:
        """Whether a name before brackets is that of a function, and not a factor."""
        name = Name.of(item)
        if not self.is_value(name) or str(name) in self.alone:
            return True
        return str(name) in self.defined and are_names(inside)

    def named(self, item: Any, evaluate: Evaluate) -> sympy.Expr:
        """The symbol or the entry of a family that a name stands for, or what it was defined as."""
        names, name = self.names, Name.of(item) if is_tree(item, "item") else Name(spelled(item))
        places, domain = names.places(name), names.domain(name)
        family = str(name.without(places))
        if domain is not None and not places:
            return names.symbol(str(name), domain)
        indices = [evaluate(name.nodes[place]) for place in places]
        for place, index in zip(places, indices, strict=True):
            if not index.is_integer:
                raise self.error(name.nodes[place], f"expected a whole number as an index of {family}")
        if domain is not None:
            return names.symbol(family, domain, family=True)[tuple(indices)]
        if str(name) in self.defined:
            return self.defined[str(name)]
        alone = self.alone.get(str(name))
        if alone is not None:
            return alone
        if places and family in self.families:
            parameters, meaning = self.families[family]
            return put_in(meaning, dict(zip(parameters, indices, strict=True)))
        if str(name) in names.indices | names.sizes:
            return names.integer(str(name))
        if len(places) == 2 and names.is_kronecker_delta(name):
            return sympy.KroneckerDelta(*indices)
        if name.base in CONSTANTS and not name.subscripts:
            return CONSTANTS[name.base]
        hint = f"; did you mean \\{name}?" if f"\\{name}" in FUNCTIONS else ""
        raise self.error(item, f"expected a name with a domain: {name} is neither in where nor defined above{hint}")

    def printed(self, text: str, nodes: Sequence[Any]) -> sympy.Expr | None:
        """What is declared or defined as a whole, as D(x) and |A|; the entry of a family if indices are in it."""
        domain = self.names.declared.get(Name(text))
        if domain is None:
            return self.defined.get(text)
        found = [token.value for node in nodes for token in tokens_of(node) if token.value in self.names.indices]
        indices = tuple(self.names.integer(name) for name in dict.fromkeys(found))
        symbol = self.names.symbol(text, domain, family=bool(indices))
        return symbol[indices] if indices else symbol

    def application(self, item: Any, inside: Any, evaluate: Evaluate) -> sympy.Expr:
        """A name with arguments, f(x): declared as it is printed, or defined above."""
        name = str(Name.of(item))
        printed = f"{name}({spelled(inside)})"
        known = self.printed(printed, [inside])
        if known is not None:
            return known
        if name in self.functions:
            parameters, meaning = self.functions[name]
            if len(entries(inside)) != len(parameters):
                raise self.error(inside, f"expected {len(parameters)} arguments, as where {name} is defined")
            return put_in(meaning, dict(zip(parameters, map(evaluate, entries(inside)), strict=True)))
        if name in self.defined and are_names(inside):
            return self.defined[name]
        raise self.error(item, f"expected what has a domain: neither {name} nor {printed} is in where or defined above")

    # --- defining -----------------------------------------------------------------------------------------------------

    def label(self, side: Any) -> str | None:
        """The name that a side of an equality would define: one without a domain or a meaning yet."""
        parts = factors(side)
        if not parts or not is_tree(parts[0], "item") or powers(parts[0]):
            return None
        item, base, printed = parts[0], parts[0].children[0], "".join(map(spelled, parts))
        if combines_sets(parts) or (is_tree(base, "bars") and combines_sets(factors(base.children[1]))):
            return printed if self.printed(printed, parts) is None else None
        if len(parts) == 2:
            inside = argument_list(parts[1])
            if not is_name(item.children[0]) or inside is None or powers(parts[1]) or self.function(item) is not None:
                return None
            name = str(Name.of(item))
            known = name in self.functions or name in self.defined or not self.takes_arguments(item, inside)
            return None if known or self.printed(f"{name}({spelled(inside)})", [inside]) else printed
        if len(parts) != 1:
            return None
        if is_tree(base, "fraction") and is_derivative(base, self.names):
            upper = factors(base.children[1])[1:]
            unknown = len(upper) == 1 and is_name(upper[0]) and not self.is_value(Name.of(upper[0]))
            return printed if unknown and printed not in self.defined else None
        return printed if is_name(base) and not self.is_value(Name.of(item)) else None

    def define(self, side: Any, meaning: sympy.Expr, evaluate: Evaluate) -> str | None:
        """Give a side its meaning, also for other arguments and indices than the printed ones."""
        printed = self.label(side)
        if printed is None:
            return None
        parts = factors(side)
        name = Name.of(parts[0]) if is_name(parts[0].children[0]) else Name(printed)
        places = self.names.places(name)
        if len(parts) == 2 and are_names(argument_list(parts[1])):
            arguments = entries(argument_list(parts[1]))
            if all(self.is_value(Name.of(factors(argument)[0])) for argument in arguments):
                parameters = list(map(evaluate, arguments))
                if self.depends_on(parameters, meaning):
                    taken = meaning.replace(lambda part: isinstance(part, sympy.Derivative), lambda part: part.doit())
                    self.functions[str(name)] = parameters, taken
            self.alone[str(name)] = None if str(name) in self.alone else meaning
        elif places and all(is_token(name.nodes[place], "NAME") for place in places):
            self.families[str(name.without(places))] = [evaluate(name.nodes[place]) for place in places], meaning
            return printed
        self.defined[printed] = meaning
        return printed

    def depends_on(self, parameters: Sequence[Any], meaning: sympy.Expr) -> bool:
        """Whether an expression is a function of its parameters as it is written, with nothing that hides them."""
        wholes = {symbol for (text, _), symbol in self.names.made.items() if set(text) & set("(|")}
        return not wholes & meaning.free_symbols and all(meaning.has(parameter) for parameter in parameters)


def are_names(inside: Any) -> bool:
    """Whether a list of arguments is one of names."""
    return all(is_name(unbraced(part)) for part in entries(inside))
