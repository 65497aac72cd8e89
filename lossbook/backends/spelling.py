"""Expressions as kernel text: what Python, CUDA C++ and JavaScript have in common."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence

import sympy

from lossbook import words
from lossbook.plan.ir import Line

COLUMNS = 120  # of a line of a kernel


class Spelling:
    """Prints expressions as kernel text. `real` wraps a literal, `word` names a function of the backend.

    In the lines of a function what occurs again gets a name. The expression itself stays as it is: with a symbol
    in it SymPy would put it in another order, which has other bits.
    """

    def __init__(
        self, real: Callable[[sympy.Number], str], word: Callable[[str], str] = str, known: Collection[str] = ()
    ) -> None:
        self.real, self.word, self.known = real, word, known
        self.used: set[str] = set()
        self.shared: dict[sympy.Expr, str | None] = {}  # what occurs again -> the line that sets it, if one does
        self.names: dict[sympy.Expr, str] = {}  # of what was set
        self.taken: set[str] = set()  # names in use
        self.before: list[tuple[str, str]] = []  # lines that the one in print needs

    def lines(self, lines: Iterable[Line]) -> list[tuple[str, str]]:
        """The lines of a function as text; what occurs again in them is named before the first line that needs it."""
        lines = tuple(lines)
        self.names = {}
        self.shared = {part: title for part, title in occurring_again(lines).items() if self.takes_name(part)}
        self.taken = {*words.SPELLED, *(title for title, _ in lines)}
        self.taken |= {symbol.name for _, value in lines for symbol in value.free_symbols}
        texts: list[tuple[str, str]] = []
        for title, value in lines:
            text = self.sum(value) if self.shared.get(value) == title else self(value)
            if self.shared.get(value) == title:
                self.names[value] = title
            texts += [*self.before, (title, text)]
            self.before.clear()
        return texts

    def takes_name(self, expression: sympy.Expr) -> bool:
        """Whether an expression is to have a name where it occurs again."""
        return True

    def name_of(self, expression: sympy.Expr) -> str | None:
        """The name of an expression that has one; a line that sets it is put before the one in print."""
        if expression not in self.shared:
            return None
        if expression not in self.names:
            text = self.sum(expression)
            self.names[expression] = name_for(expression, self.taken)
            self.taken.add(self.names[expression])
            self.before.append((self.names[expression], text))
        return self.names[expression]

    def call(self, name: str, *texts: str) -> str:
        if name not in self.known:
            known = ", ".join(sorted({*self.known} & {*words.__all__}))
            raise TypeError(f"the function {name} has no spelling here; the words are {known}")
        self.used.add(name)
        return f"{self.word(name)}({', '.join(texts)})"

    def __call__(self, expression: sympy.Expr) -> str:
        return self.add(expression)

    def add(self, expression: sympy.Expr) -> str:
        return self.name_of(expression) or self.sum(expression)

    def sum(self, expression: sympy.Expr) -> str:
        if not expression.is_Add:
            return self.product(expression)
        terms = [self.multiply(term) for term in expression.as_ordered_terms()]
        terms.sort(key=lambda text: text.startswith("-"))  # a kernel reads better with its positive terms first
        return terms[0] + "".join(f" - {text[1:]}" if text.startswith("-") else f" + {text}" for text in terms[1:])

    def multiply(self, expression: sympy.Expr) -> str:
        return self.name_of(expression) or self.product(expression)

    def product(self, expression: sympy.Expr) -> str:
        if not (expression.is_Mul or expression.is_Pow or expression.is_Rational):
            return self.single(expression)
        if negative(expression) and -expression in self.shared:
            return f"-{self.name_of(-expression)}"
        coefficient, factors = expression.as_coeff_mul()
        sign, coefficient = ("-", -coefficient) if coefficient.is_negative else ("", coefficient)
        above, below = [], []
        for factor in factors:
            base, exponent = factor.as_base_exp()
            if factor.is_Pow and exponent.is_Integer and exponent < 0:
                below.append(self.raised(base, -exponent))
            else:
                above.append(self.atom(factor) if expression.is_Mul else self.single(factor))
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
        return self.name_of(base**exponent) or self.power(base, exponent)

    def power(self, base: sympy.Expr, exponent: int) -> str:
        if exponent % 2:
            return f"{self.atom(base)}*{self.raised(base, exponent - 1)}"
        inner = self.add(base) if exponent == 2 else self.raised(base, exponent // 2)
        return self.call("square", inner)

    def atom(self, expression: sympy.Expr) -> str:
        return self.name_of(expression) or self.single(expression)

    def single(self, expression: sympy.Expr) -> str:
        if expression.is_Symbol:
            return expression.name
        if expression.is_Pow and expression.func is sympy.Pow:
            base, exponent = expression.args
            if exponent.is_Integer and exponent > 0:
                return self.power(base, exponent)
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
        return f"({self.sum(expression)})"

    def function(self, expression: sympy.Expr) -> str:
        return self.call(expression.func.__name__, *map(self.add, expression.args))


def negative(expression: sympy.Expr) -> bool:
    """Whether an expression is printed as minus a product."""
    return expression.is_Mul and bool(expression.as_coeff_Mul()[0].is_negative)


def below_line(expression: sympy.Expr) -> bool:
    """Whether an expression is printed below the line of a quotient."""
    return expression.is_Pow and expression.func is sympy.Pow and expression.exp.is_Integer and expression.exp < 0


def parts(expression: sympy.Expr) -> Sequence[sympy.Expr]:
    """What an expression is printed of."""
    return expression.as_coeff_mul()[1] if expression.is_Mul else expression.args


def occurring_again(lines: Sequence[Line]) -> dict[sympy.Expr, str | None]:
    """What occurs again in lines, and the line that is nothing else, if there it occurs first."""
    first: dict[sympy.Expr, str | None] = {}
    again: dict[sympy.Expr, str | None] = {}

    def visit(expression: sympy.Expr, title: str | None) -> None:
        if expression.is_number or expression.is_Symbol:
            return
        if negative(expression):
            visit(-expression, None)
        elif below_line(expression):
            visit(1 / expression, None)
        elif expression in first:
            again[expression] = first[expression]
        else:
            first[expression] = title
            for part in parts(expression):
                visit(part, None)

    for title, value in lines:
        visit(value, title)
    return again


def name_for(expression: sympy.Expr, used: Collection[str]) -> str:
    """A name that says what an expression is, as `log_p` or `one_minus_y` do, and is none of those in use."""
    is_square = expression.is_Pow and expression.exp == 2
    if expression.is_Function or is_square:
        name, (argument, *others) = "square" if is_square else expression.func.__name__, expression.args
        others = [] if is_square else others
        of, symbol = ("_minus", -argument) if negative(argument) else ("", argument)
        name += f"{of}_{symbol}" if symbol.is_Symbol and not others else ""
    elif expression.is_Add and len(expression.args) == 2:
        first, second = sorted(expression.as_ordered_terms(), key=negative)
        sign, other = ("minus", -second) if negative(second) else ("plus", second)
        simple = (first.is_Symbol or first == 1) and other.is_Symbol
        name = f"{'one' if first == 1 else first}_{sign}_{other}" if simple else "sum"
    else:
        name = "sum" if expression.is_Add else "ratio" if any(map(below_line, parts(expression))) else "product"
    count, numbered = 1, name
    while numbered in used or numbered in ("sum", "product", "ratio"):
        numbered = f"{name}_{count}"
        count += 1
    return numbered


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
