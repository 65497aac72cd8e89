"""The parsed terms of a derivation as SymPy expressions."""

from collections.abc import Callable, Sequence
from typing import Any

import sympy

from lossbook.workshop.latex.applications import applied
from lossbook.workshop.latex.conditions import condition, indicator
from lossbook.workshop.latex.derivatives import derivative, is_derivative
from lossbook.workshop.latex.meanings import Meanings
from lossbook.workshop.latex.names import Name, bounds
from lossbook.workshop.latex.trees import (
    argument_list,
    combines_sets,
    entries,
    is_name,
    is_token,
    is_tree,
    powers,
    spelled,
    unbraced,
)

Value = tuple[sympy.Expr, int]  # of factors of a term: what they are, and the place behind them


class Terms:
    """Reads sums, products and what stands in them."""

    def __init__(self, meanings: Meanings) -> None:
        self.meanings, self.names, self.error = meanings, meanings.names, meanings.error

    def sum(self, node: Any) -> sympy.Expr:
        """Terms and the signs between them."""
        total, sign = sympy.S.Zero, 1
        over: set[sympy.Symbol] = set()  # the indices of sums that end with a term before
        for part in node.children:
            if is_token(part):
                sign = -1 if part == "-" else 1
                continue
            value = self.term(part.children)
            for index in over & value.free_symbols:
                raise self.error(part, f"expected no {index} behind the end of the sum over {index}; use brackets")
            over |= {self.names.integer(b.index) for big in part.children if is_tree(big, "big") for b in bounds(big)}
            total, sign = total + sign * value, 1
        return total

    def term(self, parts: Sequence[Any]) -> sympy.Expr:
        """Factors side by side."""
        if combines_sets(parts):
            printed = "".join(map(spelled, parts))
            known = self.meanings.printed(printed, parts)
            if known is None:
                raise self.error(parts[1], f"expected numbers: {printed} is neither in where nor defined above")
            return known
        value, place = sympy.S.One, 0
        while place < len(parts):
            operator = parts[place]
            if not is_token(operator):
                if place and is_number(parts[place - 1]) and is_number(operator):
                    raise self.error(operator, r"expected + or - or \cdot between two numbers")
                factor, place = self.factor(parts, place)
                value *= factor
            elif operator.value in (r"\cdot", r"\times", "*"):
                place += 1
            elif operator.value in ("/", r"\div"):
                divisor, place = self.factor(parts, place + 1)
                self.check_divisor(parts, place)
                value /= divisor
            else:
                raise self.error(operator, f"expected a product of numbers: {operator.value} has no meaning for them")
        return value

    def check_divisor(self, parts: Sequence[Any], place: int) -> None:
        """What follows a divisor must not be able to belong to it."""
        if place == len(parts) or is_token(parts[place]) or is_tree(parts[place], "big"):
            return
        rule = r"expected + or - or \cdot: a/b c may be (a/b)c or a/(bc); write \frac or brackets"
        raise self.error(parts[place], rule)

    def factor(self, parts: Sequence[Any], place: int) -> Value:
        """The factor at a place of a term."""
        item = parts[place]
        if is_tree(item, "big"):
            return self.big(item, parts[place + 1 :]), len(parts)
        base = item.children[0]
        if is_token(base, "PARTIAL"):
            raise self.error(base, r"expected \frac{\partial ...}{\partial ...}: a \partial has no meaning of its own")
        if is_tree(base, "fraction") and is_derivative(base, self.names):
            return derivative(self, parts, place)
        function = self.meanings.function(item)
        if function is not None:
            return applied(self, function, parts, place)
        inside = argument_list(parts[place + 1]) if place + 1 < len(parts) else None
        if base == r"\mathbb{1}" and is_tree(item.children[-1], "script"):
            below = item.children[-1].children[-1]
            return indicator(self, below.children[0] if is_tree(below, "braces") else below), place + 1
        if base == r"\mathbb{1}" and inside is not None:
            return indicator(self, inside), place + 2
        if inside is not None and is_name(base) and self.meanings.takes_arguments(item, inside):
            value = self.meanings.application(item, inside, self.argument)
            return self.raised(value, [*powers(item), *powers(parts[place + 1])]), place + 2
        return self.raised(self.value(item), powers(item)), place + 1

    def raised(self, value: sympy.Expr, exponents: Sequence[Any]) -> sympy.Expr:
        """A value to the power of its superscripts."""
        for exponent in exponents:
            value = value ** self.argument(exponent)
        return value

    # --- over an index ------------------------------------------------------------------------------------------------

    def big(self, node: Any, parts: Sequence[Any]) -> sympy.Expr:
        """A sum or product over indices, of all that follows in its term."""
        if not parts:
            raise self.error(node, "expected what is summed behind the sum")
        value = self.term(parts)
        value = -value if node.children[-1] == "-" else value
        return self.over(sympy.Product if node.children[0].startswith(r"\prod") else sympy.Sum, node, value)

    def over(self, make: Callable[..., sympy.Expr], node: Any, value: sympy.Expr) -> sympy.Expr:
        """Something of all values of an expression: their sum, product or maximum."""
        found = bounds(node)
        if not found:
            raise self.error(node, r"expected an index below, as in \sum_{k=1}^{C} or \sum_k")
        for bound in reversed(found):
            if Name(bound.index) in self.names.declared:
                raise self.error(node, f"expected an index without a domain; {bound.index} has one")
            index = self.names.integer(bound.index)
            low, high = bound.low, bound.high
            if low is None and high is None:
                low, high = self.names.ends.get(bound.index, (None, None))
            if low is None or high is None:
                raise self.error(node, f"expected both ends of {bound.index}: other sums have several or none")
            if bound.low is None and not value.has(index):
                raise self.error(node, f"expected terms that depend on {bound.index}, or the ends of the sum")
            low, high = (end if isinstance(end, sympy.Expr) else self.argument(end) for end in (low, high))
            if not (low.is_integer and high.is_integer):
                raise self.error(node, f"expected whole numbers as ends of {bound.index}; what counts has no domain")
            whole = make(value, (index, low, high))
            if bound.without is not None:
                if make is not sympy.Sum:
                    raise self.error(node, r"expected no \ne here: it is read below a sum alone")
                whole -= value.subs(index, self.argument(bound.without))
            value = whole
        return value

    # --- single things ------------------------------------------------------------------------------------------------

    def argument(self, node: Any) -> sympy.Expr:
        """The one expression that a token, braces, or an entry of a list is."""
        if is_token(node, "NUMBER"):
            return sympy.Rational(node.value)
        if is_token(node, "NAME"):
            return self.meanings.named(node, self.argument)
        if is_tree(node, "sum"):
            return self.sum(node)
        if is_tree(node, "braces", "list", "chain"):
            if len(node.children) > 1:
                raise self.error(node.children[1], "expected one expression, without a relation or a comma")
            return self.argument(node.children[0])
        raise self.error(node, "expected an expression")

    def value(self, item: Any) -> sympy.Expr:
        """The value of an item, its exponents left out."""
        base = item.children[0]
        if is_name(base):
            return self.meanings.named(item, self.argument)
        if len(item.children) > 1 + len(powers(item)):
            raise self.error(item.children[1], "expected no subscript, star or prime here: they belong to names")
        if is_token(base):
            return self.argument(base)
        if is_tree(base, "fraction"):
            return self.argument(base.children[1]) / self.argument(base.children[2])
        if is_tree(base, "root"):
            degree = self.argument(base.children[1]) if len(base.children) > 2 else sympy.Integer(2)
            return self.argument(base.children[-1]) ** (1 / degree)
        if is_tree(base, "bars"):
            known = self.meanings.printed(spelled(base), [base])
            return sympy.Abs(self.sum(base.children[1])) if known is None else known
        if is_tree(base, "cases"):
            pieces = [piece.children for piece in base.children if is_tree(piece, "piece")]
            return sympy.Piecewise(*((self.sum(piece[0]), condition(self, piece[-1])) for piece in pieces))
        inside = next(part for part in base.children if is_tree(part, "list"))
        if is_tree(base, "square") and any(len(chain.children) > 1 for chain in entries(inside)):
            return indicator(self, inside)
        return self.argument(inside)


def is_number(item: Any) -> bool:
    """Whether an item is a number, or a fraction of numbers."""
    if not is_tree(item, "item") or len(item.children) > 1:
        return False
    base = item.children[0]
    parts = base.children[1:] if is_tree(base, "fraction") else [base]
    return all(is_token(unbraced(part), "NUMBER") for part in parts)
