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
    order: int = 1  # 2 puts the diagonal of the Hessian in the place of the gradient
    direction: Any = None  # with order 2: puts the product of the Hessian with it there


VALUE, GRADIENT, BOTH = Request(), Request(value=False, gradient=True), Request(gradient=True)
PARTIAL = Request(partial=True)
HESSIAN = Request(value=False, gradient=True, order=2)
