"""accuracy="highest": results of float32 that are rounded correctly.

They are computed in float64 and rounded once. That is the correct rounding unless a border between two roundings, the
middle of two neighboring floats, lies so near to the result that the error of float64 may have carried it across: at
most 8 + |ln(exact)| ulp, as promised, and two more for a weight and a divisor. Such results, about one in ten million,
are compared with the border exactly: those of polynomials in whole numbers, others in mpmath. What a thousand digits
do not tell from the border is taken as lying on it, and goes to the float with the even last bit.

The promise counts the error of a slope whose terms cancel, as those of soft labels do, in ulps of the largest term.
Where little is left of them, next to the zero of the slope, a result may be the neighbor of the nearest float.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy

from lossbook.arrays import array_module, quiet, to_host
from lossbook.domains import Domain
from lossbook.errors import DomainError
from lossbook.evaluation.exact import DIGITS, Dyadic, in_mpmath, in_whole_numbers, slope_at
from lossbook.formula import Formula, slopes

EPSILON = 2.0**-52
FARTHEST = (10 + 745) * EPSILON  # relative: 745 is the most that |ln| of a float64 can be
MOST_DIGITS = 1000


def check_accuracy(name: str, accuracy: Any) -> bool:
    """Whether results are to be rounded correctly."""
    if accuracy is not None and not (isinstance(accuracy, str) and accuracy == "highest"):
        raise DomainError(name, "accuracy", "must be 'highest' or None", accuracy)
    return accuracy is not None


def refuse_other_dtypes(name: str, prediction: str, dtype: np.dtype) -> None:
    """Only float32 can be rounded from float64."""
    if dtype != np.float32:
        hint = "without it, float64 is computed as it is, and float16 in float32"
        raise DomainError(name, prediction, "must be float32 with accuracy='highest'", dtype, hint=hint)


class Rounding:
    """How the values and slopes of a formula with these parameters are rounded to float32."""

    def __init__(self, formula: Formula, parameters: Mapping[str, float]) -> None:
        self.declared, self.parameters = formula, parameters
        self.symbols = formula.arrays

    @property
    def domain(self) -> Domain:
        return self.declared.domains[self.symbols[0]]

    @cached_property
    def formula(self) -> sympy.Expr:
        """The formula with its parameters."""
        known = {symbol: sympy.Rational(self.parameters[symbol.name]) for symbol in self.declared.parameters}
        return self.declared.formula.xreplace(known)

    @cached_property
    def function(self) -> Any:
        """The formula, for numbers of mpmath."""
        return in_mpmath(self.formula, self.symbols)

    @cached_property
    def polynomials(self) -> list[Any]:
        """[formula, slope] for arrays, exact; None for what is no polynomial."""
        both = self.formula, slopes(self.formula, self.symbols[:1])
        return [in_whole_numbers(expression, self.symbols) for expression in both]

    def __call__(self, wide: Any, arrays: tuple[Any, ...], weight: Any, divisor: float, is_slope: bool) -> Any:
        """The float32 next to the exact results of which `wide` has those of float64.

        `arrays` are prediction and target; the results are those of the formula times weight/divisor.
        """
        xp = array_module(wide)
        with quiet():
            result, (low, high) = wide.astype(np.float32), self.between(wide, FARTHEST)
            near = xp.flatnonzero(low != high)
        if not near.size:
            return result
        flat = [to_host(array.reshape(-1)[near]) for array in (wide, *arrays)]
        weights = np.ones(len(flat[0])) if weight is None else to_host(weight.reshape(-1)[near])
        with quiet():
            reach = (10 + np.abs(np.log(np.abs(flat[0] * divisor / weights)))) * EPSILON
            low, high = self.between(flat[0], reach)
        left = low != high
        if left.any():
            given = [array[left] for array in flat[1:]]
            chosen = flat[0].astype(np.float32)
            chosen[left] = self.decided(low[left], high[left], given, weights[left], divisor, is_slope)
            result.reshape(-1)[near] = xp.asarray(chosen)
        return result

    @staticmethod
    def between(wide: Any, reach: Any) -> tuple[Any, Any]:
        """The roundings of what lies a relative distance below and above the results."""
        return (wide * (1 - reach)).astype(np.float32), (wide * (1 + reach)).astype(np.float32)

    def decided(self, low: Any, high: Any, arrays: Any, weight: Any, divisor: float, is_slope: bool) -> np.ndarray:
        """Of two neighboring floats for each, the one that is nearer to the exact result."""
        # Infinity stands for the power of two beyond the largest number.
        ends = [np.clip(end.astype(np.float64), -(2.0**128), 2.0**128) for end in (low, high)]
        border = (ends[0] + ends[1]) / 2
        polynomial = self.polynomials[is_slope]
        if polynomial is not None:
            side = (polynomial(*arrays) * weight).compared(Dyadic.of(border) * divisor)
        else:
            given = zip(border * divisor, weight, *arrays, strict=True)
            side = np.array([self.side(*map(float, each), is_slope=is_slope) for each in given])
        above, below = np.where(border > 0, high, low), np.where(border > 0, low, high)  # `high` is farther from 0
        even = np.where(low.view(np.int32) & 1, high, low)
        return np.where(side > 0, above, np.where(side < 0, below, even))

    def side(self, border: float, weight: float, *arrays: float, is_slope: bool) -> int:
        """On which side of the border the exact result times the weight lies: -1, 1, or 0 for on it."""
        for digits in (DIGITS, MOST_DIGITS):
            with mpmath.workdps(digits):
                place = [mpmath.mpf(number) for number in arrays]
                if is_slope:
                    exact = slope_at(self.function, self.domain, *place, digits=digits)
                else:
                    exact = mpmath.mpf(self.function(*place))
                off = exact * weight - border
                if abs(off) > abs(border) * mpmath.mpf(10) ** (-digits // 4):
                    return int(mpmath.sign(off))
        return 0
