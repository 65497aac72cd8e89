"""What an argument of a loss may be.

A domain is the annotation of an argument. It gives the check, the wording of the error, the row of
the docstring, the assumption of the SymPy symbol and the range that the tests draw from, so that none
of these can disagree.

    def focal(p: Probability, y: Label, *, gamma: Exponent = 2.0): ...
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias

import sympy

__all__ = [
    "Box", "Classes", "Domain", "Exponent", "Expression", "Flag", "Fraction", "Label", "LogProbability", "Logit",
    "NonNegative", "Outcome", "Positive", "Probability", "Real", "Sign", "TrueBox",
]  # fmt: skip


@dataclass(frozen=True)
class Domain:
    """An interval (or a set of values), the role of the argument, and how to speak of it."""

    name: str
    role: str  # "prediction", "target", "parameter" or "flag"
    rule: str  # completes the sentence "y must be ..."
    describes: str  # what the argument is, with its unit
    low: float = -inf
    high: float = inf
    open_low: bool = False
    values: tuple[float, ...] = ()
    components: tuple[str, ...] = ()  # the argument is a vector of these: a box of corners
    optional: bool = False  # a parameter that may be None
    several: bool = False  # a parameter that may be several numbers

    @property
    def holds_classes(self) -> bool:
        """Whether arrays of this domain may be class indices."""
        return self.name == "Classes"

    @property
    def holds_probabilities(self) -> bool:
        """Whether arrays of this domain are predicted probabilities."""
        return self.name == "Probability"

    @property
    def holds_logits(self) -> bool:
        """Whether arrays of this domain are raw scores."""
        return self.name == "Logit"

    @property
    def holds_numbers_of_the_target(self) -> bool:
        """Whether predictions have the unit of what was observed."""
        return self.name == "Real"

    @property
    def other_kinds(self) -> str:
        """The kinds of dtypes, beside floats, that a prediction may have: of probabilities bools, of values and boxes
        integers. They are computed in float64. Class indices are no scores.
        """
        of_numbers = self.role == "prediction" and (self.holds_numbers_of_the_target or bool(self.components))
        return "iu" if of_numbers else "b" if self.role == "prediction" and self.holds_probabilities else ""

    @property
    def is_observed(self) -> bool:
        """Whether a target has numbers of its own unit, which must not be rounded before a difference is taken."""
        return self.role == "target" and self.name in ("Outcome", "TrueBox")

    @property
    def may_be_smoothed(self) -> bool:
        """Whether arrays of this domain are labels or distributions, which smoothing may soften."""
        return self.role == "target" and self.name in ("Label", "Classes")

    def takes_same(self, other: "Domain") -> bool:
        """Whether arrays of one domain can be those of the other.

        A mask is a distribution over classes to one loss and an array of labels to another.
        """
        names = ["Label" if domain.holds_classes else domain.name for domain in (self, other)]
        return names[0] == names[1]

    @property
    def bounded(self) -> bool:
        """Whether every value that obeys the rule lies between two finite bounds."""
        return self.low > -inf and self.high < inf

    @property
    def checked(self) -> bool:
        """Whether any number of the working type can break the rule."""
        return self.low > -inf or self.high < inf or bool(self.components)

    def holds(self, value: Any) -> Any:
        """Elementwise truth of the rule; a NaN breaks the rule of a target, and passes through a prediction.

        Of a box, whose corners stand along the first axis, the truth is one for all four.
        """
        if self.components:
            x1, y1, x2, y2 = value
            if self.role == "prediction":
                return ~((x1 > x2) | (y1 > y2))
            return (x1 <= x2) & (y1 <= y2)
        if self.values:
            result = value == self.values[0]
            for other in self.values[1:]:
                result = result | (value == other)
            return result
        result = ((value > self.low) if self.open_low else (value >= self.low)) & (value <= self.high)
        return result | (value != value) if self.role == "prediction" else result

    def condition(self, name: str, real: Callable[[float], str], both: str = "&", either: str = "|") -> str:
        """The rule as kernel text for the element `name`; `real` wraps a literal, `both` and `either` join truths."""
        if not self.checked:
            return ""
        if self.components:
            x1, y1, x2, y2 = (f"{name}_{component}" for component in self.components)
            sides = [f"({low} <= {high})" for low, high in ((x1, x2), (y1, y2))]
            if self.role == "prediction":  # a NaN passes, and hides no inversion along the other axis
                nans = [f"({low} != {low}) {either} ({high} != {high})" for low, high in ((x1, x2), (y1, y2))]
                sides = [f"({side} {either} {nan})" for side, nan in zip(sides, nans, strict=True)]
            return f" {both} ".join(sides)
        if self.values:
            return f" {either} ".join(f"({name} == {real(value)})" for value in self.values)
        bounds = [f"({name} {'>' if self.open_low else '>='} {real(self.low)})"] if self.low > -inf else []
        bounds += [f"({name} <= {real(self.high)})"] if self.high < inf else []
        rule = f" {both} ".join(bounds)
        return f"{rule} {either} ({name} != {name})" if self.role == "prediction" else rule

    def symbol(self, name: str) -> sympy.Symbol:
        """The symbol of the argument, with the assumption that its domain grants."""
        if self.open_low:
            return sympy.Symbol(name, positive=True)
        return sympy.Symbol(name, nonnegative=True) if self.low >= 0 else sympy.Symbol(name, real=True)

    def argument(self, name: str) -> sympy.Symbol | tuple[sympy.Symbol, ...]:
        """What a declaration is called with: the symbol, or the symbols of a vector."""
        if not self.components:
            return self.symbol(name)
        return tuple(sympy.Symbol(f"{name}_{component}", real=True) for component in self.components)

    def __repr__(self) -> str:
        return self.name


# To a type checker a domain is the type of the symbols that a formula is called with, of which anything may be asked;
# `Expression` is that of what it returns.
if TYPE_CHECKING:
    Logit: TypeAlias = Any
    Probability: TypeAlias = Any
    LogProbability: TypeAlias = Any
    Real: TypeAlias = Any
    Label: TypeAlias = Any
    Sign: TypeAlias = Any
    Outcome: TypeAlias = Any
    Classes: TypeAlias = Any
    Box: TypeAlias = Any
    TrueBox: TypeAlias = Any
    Positive: TypeAlias = Any
    NonNegative: TypeAlias = Any
    Exponent: TypeAlias = Any
    Fraction: TypeAlias = Any
    Flag: TypeAlias = Any
    Expression: TypeAlias = Any
else:
    Logit = Domain("Logit", "prediction", "a real number", "raw scores (logits), any real number")
    Probability = Domain("Probability", "prediction", "in [0, 1]", "predicted probabilities", 0.0, 1.0)
    LogProbability = Domain("LogProbability", "prediction", "<= 0", "logarithms of predicted probabilities", high=0.0)
    Real = Domain("Real", "prediction", "a real number", "predicted values, in the unit of the target")

    Label = Domain(
        "Label", "target", "in [0, 1]", "target probabilities: labels 0 and 1, or soft labels between", 0.0, 1.0
    )
    Sign = Domain("Sign", "target", "-1 or 1", "labels -1 and 1", -1.0, 1.0, values=(-1.0, 1.0))
    Outcome = Domain("Outcome", "target", "a real number", "observed values")
    Classes = Domain(
        "Classes",
        "target",
        "in [0, 1]",
        "class indices (integers, without the class axis), or a distribution over the classes (with it)",
        0.0,
        1.0,
    )

    CORNERS, IN_ORDER = ("x1", "y1", "x2", "y2"), "a box with x1 <= x2 and y1 <= y2"
    Box = Domain("Box", "prediction", IN_ORDER, "predicted boxes (x1, y1, x2, y2), in pixels", components=CORNERS)
    TrueBox = Domain("TrueBox", "target", IN_ORDER, "true boxes (x1, y1, x2, y2), in pixels", components=CORNERS)

    Positive = Domain("Positive", "parameter", "> 0 and finite", "a positive number", 0.0, 1.7e308, open_low=True)
    NonNegative = Domain("NonNegative", "parameter", ">= 0 and finite", "a number that is not negative", 0.0, 1.7e308)
    Exponent = Domain(
        "Exponent",
        "parameter",
        "in [0, 1000], since a larger exponent would magnify the rounding of its base",
        "an exponent, from 0 to 1000",
        0.0,
        1000.0,
    )
    Fraction = Domain("Fraction", "parameter", "in [0, 1]", "a number in [0, 1]", 0.0, 1.0)
    Flag = Domain("Flag", "flag", "True or False", "a switch", 0.0, 1.0)

    Expression = sympy.Expr
