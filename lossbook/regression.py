"""Regression losses: one predicted and one observed number per element (section 1.1.2 of the notes)."""

from lossbook.domains import Outcome, Positive, Real
from lossbook.loss import loss
from lossbook.words import absolute, charbonnier, let, minimum
from lossbook.words import log_cosh as log_of_cosh

__all__ = ["absolute_error", "huber", "log_cosh", "pseudo_huber", "smooth_l1", "squared_error"]


def _parabola_then_line(residual, bend):
    """m and |r| - m/2, with m the smaller of |r| and the bend: half the square up to there, then its tangent."""
    far = let(far=absolute(residual))
    near = let(near=minimum(far, bend))
    return near, far - near / 2


@loss(
    source="Legendre 1805 and Gauss 1809, the method of least squares",
    properties={"minimum": 0, "convex": True, "symmetric": True},
)
def squared_error(p: Real, y: Outcome):
    """The squared difference, with no half in front, in the squared unit of the target; the mean minimizes it."""
    residual = let(residual=p - y)  # a name of its own, since 2*p - 2*y may overflow where 2*(p - y) does not
    return residual**2


@loss(
    source="Boscovich 1757 and Laplace 1793, the method of least absolute deviations",
    properties={"minimum": 0, "convex": True, "symmetric": True},
)
def absolute_error(p: Real, y: Outcome):
    """The absolute difference, in the unit of the target; the median minimizes it. The slope at 0 is 0."""
    return absolute(y - p)


@loss(
    source="Huber 1964, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35(1), 73-101",
    properties={"minimum": 0, "convex": True, "symmetric": True},
)
def huber(p: Real, y: Outcome, *, delta: Positive = 1.0):
    """Half the square up to delta, a straight line of slope delta beyond.

    One expression without a branch, in which no square overflows. The slope is continuous: the residual, clipped to
    [-delta, delta].
    """
    near, rest = _parabola_then_line(y - p, delta)
    return near * rest


@loss(
    source="Girshick 2015, Fast R-CNN, ICCV, equation 3 (beta = 1)",
    properties={"minimum": 0, "convex": True, "symmetric": True},
)
def smooth_l1(p: Real, y: Outcome, *, beta: Positive = 1.0):
    """Huber's loss with delta = beta, divided by beta: the slope of the straight part is 1 whatever beta is."""
    near, rest = _parabola_then_line(y - p, beta)
    return let(fraction=near / beta) * rest  # the product may overflow before it is divided


@loss(
    source="Green 1990, IEEE Transactions on Medical Imaging 9(1), 84-93: log cosh as a potential between pixels",
    properties={"minimum": 0, "convex": True, "symmetric": True},
)
def log_cosh(p: Real, y: Outcome):
    """The logarithm of cosh(y - p): half the square near zero, the absolute difference less log 2 far away."""
    return log_of_cosh(y - p)


@loss(
    source="Charbonnier et al. 1997, IEEE Transactions on Image Processing 6(2), 298-311",
    properties={"minimum": 0, "convex": True, "symmetric": True},
)
def pseudo_huber(p: Real, y: Outcome, *, delta: Positive = 1.0):
    """delta**2*(sqrt(1 + (r/delta)**2) - 1) of the residual r: as Huber's loss at both ends, and smooth everywhere."""
    return charbonnier(y - p, delta)
