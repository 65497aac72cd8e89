"""What is asked of a loss in one call."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """Which results are wanted; the answer is (value or None, gradient or None)."""

    value: bool = True
    gradient: bool = False
    partial: bool = False  # the value as sums that merge
    out: Any = None  # receives the gradient
    known: Any = None  # what a pass over other blocks has found: the totals of whole images, the divisors of terms
    upstream: Any = None  # numbers in the shape of the values of reduction="none", by which their slopes are multiplied


VALUE, GRADIENT, BOTH = Request(), Request(value=False, gradient=True), Request(gradient=True)
PARTIAL = Request(partial=True)
