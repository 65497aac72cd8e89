"""Regression losses: one predicted and one observed number per element (section 1.1.2 of the notes)."""

from lossbook.domains import Outcome, Positive, Real
from lossbook.loss import loss
from lossbook.words import let, magnitude, smaller

__all__ = ["huber", "squared_error"]


@loss(
    source="Legendre 1805 and Gauss 1809, the method of least squares",
    properties={"minimum": 0, "convex": True, "symmetric": True},
)
def squared_error(p: Real, y: Outcome):
    """The squared difference, with no half in front, in the squared unit of the target."""
    return (y - p) ** 2


@loss(
    source="Huber 1964, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35(1), 73-101",
    properties={"minimum": 0, "convex": True, "symmetric": True},
)
def huber(p: Real, y: Outcome, *, delta: Positive = 1.0):
    """Half the square up to delta, a straight line of slope delta beyond.

    Written as m*(|r| - m/2) with m the smaller of |r| and delta: one expression without a branch, in which no square
    overflows. The slope is continuous: the residual, clipped to [-delta, delta].
    """
    far = magnitude(y - p)
    near = let(near=smaller(far, delta))
    return near * (far - near / 2)
