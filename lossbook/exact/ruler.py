"""How many digits a formula keeps: its value and slope beside exact ones, at inputs where digits are lost.

Exact numbers come from the textbook form, at two precisions that must agree. What is measured counts in units in the
last place (ulp) of the exact number, wherever this is a normal number; for a slope, of the largest of its terms.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import mpmath
import numpy as np
import sympy

from lossbook import accuracy, words
from lossbook.domains import Domain
from lossbook.exact.points import table, value_at
from lossbook.exact.written_out import OWN, PIXELS, added, written_out

CLASSES = 3  # of the rows that are tried, and pixels of the images
ROWS = 60  # rows or images
DIGITS = {"float32": (110, 220), "float64": (360, 720)}  # beyond the smallest normal number
ROUGH = 30  # digits that tell how large a term is
POINTS = 300  # pairs of a prediction and a target that are tried
PARAMETERS = {"Exponent": (2.0, 0.5), "Fraction": (0.25, 0.75), "NonNegative": (0.1, 0.0), "Positive": (1.0, 0.3)}


@dataclass(frozen=True)
class Worst:
    """The largest error that was found."""

    ulp: float = 0.0
    inputs: Mapping[str, Any] = field(default_factory=dict)  # what every symbol was there
    got: float = 0.0
    want: float = 0.0
    share: float = 0.0  # of what the package promises: 8 + |ln| of the number that the ulp is of

    @property
    def is_promised(self) -> bool:
        """Whether the error is within the promise of the package."""
        return self.share <= 1


@dataclass(frozen=True)
class Certificate:
    """The largest errors of value and gradient, in ulp, over inputs that were chosen to be hard."""

    dtype: str
    value: Worst
    gradient: Worst
    count: int  # of numbers that were compared

    def __bool__(self) -> bool:
        return self.value.is_promised and self.gradient.is_promised

    def __str__(self) -> str:
        rows = [f"{self.dtype}, {self.count} numbers compared"]
        for name in ("value", "gradient"):
            found: Worst = getattr(self, name)
            at = ", ".join(f"{name} = {as_text(number)}" for name, number in found.inputs.items())
            rows.append(f"{name:9}at most {shown_ulp(found.ulp)} ulp" + (f", at {at}" if found.ulp >= 0.5 else ""))
        return "\n".join(rows)

    __repr__ = __str__


def as_text(number: Any) -> str:
    """A number, or the numbers of a row, of an input."""
    return f"[{', '.join(map(as_text, number))}]" if isinstance(number, list) else f"{number:.9g}"


def shown_ulp(ulp: float) -> str:
    """A number of ulp as one reads it."""
    return "infinitely many" if math.isinf(ulp) else f"{ulp:.1f}" if ulp < 100 else f"{ulp:.1e}"


def hard(domain: Domain, dtype: str) -> list[float]:
    """Numbers of a domain at which formulas lose digits: ordinary ones, ends, next to ends, far out."""
    info = np.finfo(dtype)
    if domain.values:
        return list(domain.values)
    if (domain.low, domain.high) == (0, 1):
        near = [16 * float(info.tiny), 1e-10, 1e-4, 0.5 + float(info.eps), 1 - float(info.epsneg)]
        return [0.0, *near, 0.25, 0.5, 0.7, 0.999, 1.0]
    if domain.role == "parameter":
        return list(PARAMETERS[domain.name])
    far = [0.0, 1e-30, 1e-7, 1e-3, 0.4, 1.0, 3.0, 16.7, 37.0, 80.0, 200.0, 700.0, 1e4, 1e15]
    every = {float(np.dtype(dtype).type(sign * number)) for number in far for sign in (1, -1)}
    return sorted(number for number in every if domain.holds(number))


Measured = Callable[[Mapping[str, float], Mapping[str, np.ndarray]], tuple[Any, Any]]


def checked(name: str, dtype: Any) -> str:
    """A type that can be measured."""
    if dtype not in DIGITS:
        raise ValueError(f'{name}: dtype must be "float32" or "float64"; got {dtype!r}')
    return dtype


def certified(loss: Any, dtype: Any) -> Certificate:
    """The largest errors of a loss, beside its textbook form."""
    ruler = Ruler(loss.textbook, [loss.formula], in_order(loss), checked(loss.name, dtype))
    return ruler.measure(calls(loss))


def in_order(loss: Any) -> dict[sympy.Symbol, Domain]:
    """The domains of the symbols of a loss, that of the prediction first.

    Raises
    ------
    TypeError
        For a loss that is no formula of numbers: of boxes, of distances, of several predictions, or a sum.
    """
    domains = dict(loss.formula_at().domains) if hasattr(loss, "formula_at") else {}
    is_of_numbers = domains and not any(domain.components for domain in domains.values())
    if not is_of_numbers or loss.shape == "distance" or (loss.shape == "overlap" and loss.formula.has(words.softmax)):
        raise TypeError(f"{loss.name}: a certificate needs one formula of numbers of an element, a row or an image")
    return domains


def calls(loss: Any) -> Measured:
    """Values and slopes of a loss for a setting of its parameters."""

    def function(setting: Mapping[str, float], arrays: Mapping[str, np.ndarray]) -> tuple[Any, Any]:
        given = [arrays[name] for name in loss.declaration.arrays]
        if loss.shape == "overlap":
            given = [array[:, None] for array in given]
        parameters: dict[str, Any] = {name: setting[name] for name in loss.declaration.parameters}
        if "batch" in loss.declaration.every_option:
            parameters["batch"] = False
        return loss.value_and_grad(*given, reduction="none", **parameters)

    return function


largest_of = sympy.Function("largest_of")


@lru_cache(maxsize=64)
def in_symbols(expression: sympy.Expr, where: tuple[tuple[Any, Domain], ...]) -> tuple[sympy.Expr, ...]:
    """An expression and its slopes along the first symbol, in symbols alone: entries of z are z_1, z_2, ..."""
    along, domain = where[0]
    found = written_out((expression,), dict(where), {words.classes: CLASSES, PIXELS: CLASSES, OWN: 1})
    value, wrt = found.sides[0], [domain.symbol(str(along))]
    if value.atoms(sympy.Indexed):
        places = range(1, CLASSES + 1)
        value = table([added(value)], found.domains, {}, places, is_exact=True).sides[0]
        wrt = [sympy.Symbol(f"{along}_{place}", real=True) for place in places]
    return value, *(value.diff(symbol) for symbol in wrt)


def size(expression: sympy.Expr) -> sympy.Expr:
    """The size of the largest term of a slope: sums in its factors are as large as their largest terms."""
    if expression.is_Add:
        return largest_of(*map(size, expression.args))
    if expression.is_Mul:
        return sympy.Mul(*map(size, expression.args))
    return sympy.Abs(expression)


class Ruler:
    """Exact values and slopes of an expression at inputs of one floating-point type.

    Parameters
    ----------
    expression : Expr
        The exact meaning.
    forms : sequence of Expr
        Forms of it. A slope is measured in the largest of its terms, in the form where this is smallest.
    where : dict
        The domain of each symbol, the one along which slopes are taken first.
    dtype : str
        "float32" or "float64".
    """

    def __init__(
        self, expression: sympy.Expr, forms: Sequence[sympy.Expr], where: Mapping[Any, Domain], dtype: str
    ) -> None:
        self.where, self.dtype = dict(where), dtype
        self.along = next(iter(where))
        self.sides = self.written(expression)
        self.is_row = len(self.sides) > 2
        self.sizes = [list(map(size, self.written(form)[1:])) for form in (expression, *forms)]

    def written(self, expression: sympy.Expr) -> list[sympy.Expr]:
        """The value, and the slope or those of a row, in symbols alone: entries of z are z_1, z_2, ..."""
        return list(in_symbols(expression, tuple(self.where.items())))

    @cached_property
    def settings(self) -> list[dict[str, float]]:
        """Some values of the parameters."""
        parameters = [symbol for symbol, domain in self.where.items() if domain.role == "parameter"]
        values = zip(*(PARAMETERS[self.where[symbol].name] for symbol in parameters), strict=True)
        return [dict(zip(map(str, parameters), setting, strict=True)) for setting in values] or [{}]

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The inputs: an array for each symbol that is no parameter, with an axis of classes in rows."""
        symbols = [symbol for symbol, domain in self.where.items() if domain.role != "parameter"]
        if self.is_row:
            rows = {str(symbol): self.rows(self.where[symbol], seed) for seed, symbol in enumerate(symbols)}
            if len(symbols) == 2 and self.where[symbols[0]].holds_probabilities:  # a fifth nearly agree
                prediction, target = rows.values()
                prediction[::5] = target[::5] * (1 - 1000 * np.finfo(self.dtype).eps)
            return rows
        columns = [hard(self.where[symbol], self.dtype) for symbol in symbols]
        points = list(itertools.product(*columns))
        if len(symbols) == 2 and not self.where[symbols[1]].values:  # numbers that nearly agree
            eps = float(np.finfo(self.dtype).eps)
            near = [(y * factor, y) for y in columns[1] for factor in (1, 1 + eps, 1 - eps, 1 + 1000 * eps)]
            points += [point for point in near if self.where[symbols[0]].holds(point[0])]
        kept = np.random.default_rng(0).permutation(len(points))[:POINTS]
        table = np.array(points, self.dtype)[np.sort(kept)].T
        return {str(symbol): np.ascontiguousarray(column) for symbol, column in zip(symbols, table, strict=True)}

    def rows(self, domain: Domain, seed: int) -> np.ndarray:
        """Rows and images: hard numbers side by side; of targets some are soft, and these sum to 1 exactly."""
        random = np.random.default_rng(seed)
        if domain.holds_classes:
            rows = random.multinomial(64, np.full(CLASSES, 1 / CLASSES), ROWS) / 64
            rows[::2] = np.eye(CLASSES)[random.integers(0, CLASSES, len(rows[::2]))]
        elif domain.role == "target":
            rows = random.integers(0, 2, (ROWS, CLASSES)).astype(float)
            rows[::3] = random.random((len(rows[::3]), CLASSES))
        else:
            rows = random.choice(hard(domain, self.dtype), (ROWS, CLASSES))
        return rows.astype(self.dtype)

    @cached_property
    def exact(self) -> list[list[list[tuple[Any, Any] | None]]]:
        """For each setting and input, for the value and each slope: (exact number, what its ulp is of), or None."""
        symbols = sorted({symbol for side in self.sides for symbol in side.free_symbols}, key=str)
        jumps = {jump.args[0] for side in self.sides for jump in side.atoms(sympy.sign, sympy.Heaviside)}
        sides = [sympy.lambdify(symbols, side, "mpmath", cse=True) for side in self.sides]
        switches = [sympy.lambdify(symbols, switch, "mpmath") for switch in jumps]
        modules = [{"largest_of": lambda *sizes: max(sizes)}, "mpmath"]
        sizes = [[sympy.lambdify(symbols, side, modules, cse=True) for side in form] for form in self.sizes]
        count = len(next(iter(self.arrays.values())))
        return [
            [self.at(self.point(symbols, setting, index), sides, switches, sizes) for index in range(count)]
            for setting in self.settings
        ]

    def point(self, symbols: Sequence[sympy.Symbol], setting: Mapping[str, float], index: int) -> list[float]:
        """What symbols are at an input."""
        here = {**setting}
        for name, array in self.arrays.items():
            here |= {f"{name}_{k + 1}": x for k, x in enumerate(array[index])} if self.is_row else {name: array[index]}
        return [float(here[symbol.name]) for symbol in symbols]

    def at(self, point: Sequence[float], sides: Any, switches: Any, sizes: Any) -> list[tuple[Any, Any] | None]:
        """The exact numbers at one input."""
        low, high = DIGITS[self.dtype]
        with mpmath.workdps(high):
            exact = list(map(mpmath.mpf, point))
            better = [value_at(side, exact) for side in sides]
            at_jump = any(value_at(switch, exact) == 0 for switch in switches)
        with mpmath.workdps(low):
            found: list[tuple[Any, Any] | None] = []
            for place, (side, value) in enumerate(zip(sides, better, strict=True)):
                coarse = value_at(side, exact)
                if value is None or coarse is None or not mpmath.isfinite(value) or (place and at_jump):
                    found.append(None)
                elif abs(coarse - value) > abs(value) * mpmath.mpf(10) ** -25:
                    found.append(None)  # more digits cancel than there are
                else:
                    with mpmath.workdps(ROUGH):
                        terms = [value_at(form[place - 1], exact) for form in sizes] if place else []
                    finite = [term for term in terms if term is not None and mpmath.isfinite(term)]
                    found.append((value, max(abs(value), min(finite, default=0))))
        return found

    def measure(self, function: Measured) -> Certificate:
        """The largest errors of a function of a setting and arrays that gives values and slopes."""
        worst = [Worst(), Worst()]
        count = 0
        for setting, expected in zip(self.settings, self.exact, strict=True):
            with np.errstate(all="ignore"):
                values, slopes = function(setting, self.arrays)
            got = np.column_stack([np.reshape(values, len(expected)), np.reshape(slopes, (len(expected), -1))])
            for index, row in enumerate(expected):
                for place, known in enumerate(row):
                    if known is None:
                        continue
                    count += 1
                    ulp = self.error(float(got[index, place]), *known)
                    share = ulp / (8 + abs(float(mpmath.log(known[1])))) if known[1] else ulp
                    if share > worst[place > 0].share:
                        inputs = setting | {name: array[index].tolist() for name, array in self.arrays.items()}
                        worst[place > 0] = Worst(ulp, inputs, float(got[index, place]), float(known[0]), share)
        value, gradient = worst
        return Certificate(self.dtype, value, gradient, count)

    def error(self, got: float, want: Any, size: Any) -> float:
        """The error of one number in ulp; 0 where no number of the type could be nearer than a few of the smallest."""
        info = np.finfo(self.dtype)
        tiny, top = float(info.tiny), float(info.max)
        if abs(want) > top or size > top:
            return 0.0
        if not math.isfinite(got):
            return math.inf
        difference = abs(mpmath.mpf(got) - want)
        if size < tiny:
            return 0.0 if difference < tiny else math.inf
        return float(difference / float(accuracy.ulp(float(size), self.dtype)))
