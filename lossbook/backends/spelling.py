"""Expressions as kernel text: what Python, CUDA C++ and JavaScript have in common."""

import re
from collections.abc import Callable, Collection

import sympy

from lossbook import words

COLUMNS = 120  # of a line of a kernel


class Spelling:
    """Prints an expression as kernel text. `real` wraps a literal, `word` names a function of the backend."""

    def __init__(
        self, real: Callable[[sympy.Number], str], word: Callable[[str], str] = str, known: Collection[str] = ()
    ) -> None:
        self.real, self.word, self.known = real, word, known
        self.used: set[str] = set()

    def call(self, name: str, *texts: str) -> str:
        if name not in self.known:
            known = ", ".join(sorted({*self.known} & {*words.__all__}))
            raise TypeError(f"the function {name} has no spelling here; the words are {known}")
        self.used.add(name)
        return f"{self.word(name)}({', '.join(texts)})"

    def __call__(self, expression: sympy.Expr) -> str:
        return self.add(expression)

    def add(self, expression: sympy.Expr) -> str:
        if not expression.is_Add:
            return self.multiply(expression)
        terms = [self.multiply(term) for term in expression.as_ordered_terms()]
        terms.sort(key=lambda text: text.startswith("-"))  # a kernel reads better with its positive terms first
        return terms[0] + "".join(f" - {text[1:]}" if text.startswith("-") else f" + {text}" for text in terms[1:])

    def multiply(self, expression: sympy.Expr) -> str:
        if not (expression.is_Mul or expression.is_Pow or expression.is_Rational):
            return self.atom(expression)
        coefficient, factors = expression.as_coeff_mul()
        sign, coefficient = ("-", -coefficient) if coefficient.is_negative else ("", coefficient)
        above, below = [], []
        for factor in factors:
            base, exponent = factor.as_base_exp()
            if factor.is_Pow and exponent.is_Integer and exponent < 0:
                below.append(self.raised(base, -exponent))
            else:
                above.append(self.atom(factor))
        if coefficient != 1 or not above:
            above.insert(0, self.real(coefficient))
        text = "*".join(above)
        if below:
            text = (
                f"{text}/{below[0]}"
                if len(below) == 1 and not self.is_product(below[0])
                else f"{text}/({'*'.join(below)})"
            )
        return sign + text

    @staticmethod
    def is_product(text: str) -> bool:
        """Whether kernel text has a product outside every bracket."""
        depth = 0
        for character in text:
            depth += (character == "(") - (character == ")")
            if character == "*" and depth == 0:
                return True
        return False

    def raised(self, base: sympy.Expr, exponent: int) -> str:
        """base**exponent for a positive integer, as squares and products."""
        if exponent == 1:
            return self.atom(base)
        if exponent % 2:
            return f"{self.atom(base)}*{self.raised(base, exponent - 1)}"
        inner = self.add(base) if exponent == 2 else self.raised(base, exponent // 2)
        return self.call("square", inner)

    def atom(self, expression: sympy.Expr) -> str:
        if expression.is_Symbol:
            return expression.name
        if expression.is_Pow and expression.func is sympy.Pow:
            base, exponent = expression.args
            if exponent.is_Integer and exponent > 0:
                return self.raised(base, exponent)
            if exponent == sympy.Rational(1, 2):
                return self.call("sqrt", self.add(base))
            if exponent == sympy.Rational(-1, 2):
                return f"({self.real(sympy.S.One)}/{self.call('sqrt', self.add(base))})"
            if not (exponent.is_Integer):
                return self.call("power", self.add(base), self.add(exponent))
        if expression.is_number and not expression.is_Function:
            return self.real(expression) if not expression.is_negative else f"(-{self.real(-expression)})"
        if expression.is_Function:
            return self.function(expression)
        if not (expression.is_Add or expression.is_Mul or expression.is_Pow or expression.is_Rational):
            raise TypeError(f"{type(expression).__name__} has no spelling here, as it is neither arithmetic nor a word")
        return f"({self.add(expression)})"

    def function(self, expression: sympy.Expr) -> str:
        return self.call(expression.func.__name__, *map(self.add, expression.args))


def literal(number: sympy.Number) -> str:
    """A SymPy number as the shortest text that gives it back: 1, 0.5, 0.1."""
    return str(int(number)) if number.is_Integer else repr(float(number))


def broken(line: str, indent: int) -> list[str]:
    """A line of a kernel as lines that are not too long, broken after commas or before signs, in few brackets.

    Of Python, all of it must stand in brackets.
    """
    lines = []
    while len(line) > COLUMNS:
        depth, breaks = 0, []
        for at, sign in enumerate(line):
            depth += (sign in "([{") - (sign in ")]}")
            if sign == " " and at > indent and (line[at - 1] == "," or re.match(r"[+-] |&& |\|\| ", line[at + 1 :])):
                breaks.append((at > COLUMNS, depth, -at if at <= COLUMNS else at))
        if not breaks:  # names may be long, and a product is not broken
            break
        at = abs(min(breaks)[-1])
        lines.append(line[:at])
        line = " " * indent + line[at + 1 :]
    return [*lines, line]


def bracketed(before: str, text: str, indent: int = 0) -> str:
    """A line of Python that ends in `text`, or several with brackets around it."""
    line = f"{' ' * indent}{before}{text}"
    if len(line) <= COLUMNS:
        return f"{line}\n"
    inner = broken(f"{' ' * (indent + 4)}{text}", indent + 4)
    return "\n".join([f"{' ' * indent}{before}(", *inner, f"{' ' * indent})", ""])
