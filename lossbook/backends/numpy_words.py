"""The words on NumPy arrays, for blocks that fit in the cache.

The logistic words of z and of -z share one exp(-abs(z)): a kernel makes `at_z = Logistic(z)` once and asks
it for softplus(z), softplus(-z), sigmoid(z) and the rest. log1p of a number in [0, 1] is written with log,
which NumPy vectorizes, and repaired for the rounding of 1 + e.
"""

import numpy as np
from numpy import absolute as magnitude
from numpy import arctan, exp, expm1, log, log1p, sign, sqrt, square, tanh
from numpy import maximum as larger
from numpy import minimum as smaller

__all__ = [
    "Logistic", "arctan", "below", "excess", "exp", "expm1", "larger", "log", "log1p", "log_cosh", "log_ratio",
    "magnitude", "mixture", "power", "power_slope", "quotient", "reciprocal", "relative_entropy", "share", "sigmoid",
    "sigmoid_power", "sign", "slant", "smaller", "softplus", "sqrt", "square", "tanh", "weighted",
]  # fmt: skip


def log1p_of_fraction(e):
    """log(1 + e) for 0 <= e <= 1: log(u) + (e - (u - 1))/u for the rounded u = 1 + e."""
    u = 1 + e
    lost = u - 1
    np.subtract(e, lost, out=lost)
    lost /= u
    np.log(u, out=u)
    u += lost
    return u


class Logistic:
    """softplus and sigmoid at z and at -z (side = 1 or -1), sharing one exponential."""

    def __init__(self, z):
        self.z = z
        self.decay = np.absolute(z)
        np.negative(self.decay, out=self.decay)
        np.exp(self.decay, out=self.decay)
        self._tail = self._sides = None

    @property
    def tail(self):
        """softplus(-abs(z))."""
        if self._tail is None:
            self._tail = log1p_of_fraction(self.decay)
        return self._tail

    @property
    def sides(self):
        """sigmoid(z) and sigmoid(-z): one is 1/(1 + decay), the other decay/(1 + decay).

        The smaller is exact on its side; the larger is reached from it by adding the gap, which costs half an ulp
        and is far quicker than selecting.
        """
        if self._sides is None:
            gap = 1 + self.decay
            np.divide(1, gap, out=gap)
            smaller_one = gap * self.decay
            gap -= smaller_one
            upward = np.greater_equal(self.z, 0).astype(gap.dtype)
            upward *= gap
            gap -= upward
            upward += smaller_one
            gap += smaller_one
            self._sides = upward, gap
        return self._sides

    def softplus(self, side):
        """softplus(side*z)."""
        if side > 0:
            result = np.maximum(self.z, 0)
            result += self.tail
            return result
        result = np.minimum(self.z, 0)
        return np.subtract(self.tail, result, out=result)

    def sigmoid(self, side):
        """sigmoid(side*z)."""
        return self.sides[0 if side > 0 else 1]

    def sigmoid_power(self, side, k):
        """sigmoid(side*z)**k."""
        if k == 2:  # the usual focal exponent: a square costs less than an exponential
            return np.square(self.sigmoid(side))
        if k == 0:
            return np.ones_like(self.z)
        return np.exp(-k * self.softplus(-side))


def softplus(x):
    return Logistic(x).softplus(1)


def sigmoid(x):
    return Logistic(x).sigmoid(1)


def sigmoid_power(x, k):
    return Logistic(x).sigmoid_power(1, k)


def log_cosh(x):
    far = np.absolute(x)
    near = np.minimum(far, 1)
    small = log1p(2 * square(np.sinh(near / 2)))
    return np.where(far <= 1, small, far - np.log(far.dtype.type(2)) + log1p(exp(-2 * far)))


def _sides(x, d):
    """(large, ratio, root) of a right triangle with legs x and d: the hypotenuse is the longer leg times root."""
    size = np.absolute(x)
    large = size >= d
    ratio = np.minimum(size, d) / np.maximum(size, d)
    return large, ratio, sqrt(1 + square(ratio))


def excess(x, d):
    large, ratio, root = _sides(x, d)
    return np.absolute(x) * (np.where(large, 1, ratio) / (np.where(large, ratio, 1) + root))


def slant(x, d):
    large, ratio, root = _sides(x, d)
    return np.copysign(np.where(large, 1, ratio) / root, x)


def power(b, k):
    return np.power(b, k)


def power_slope(b, k):
    if k == 0:
        return np.zeros_like(b)
    if k >= 1:
        return k * np.power(b, k - 1)
    return np.where(b == 0, 0, k * np.power(np.maximum(b, np.finfo(b.dtype).tiny), k - 1))


def weighted(w, x):
    """w*x, and 0 where w is 0."""
    return np.where(np.equal(w, 0), 0, w * x)


def quotient(a, b):
    """a/b, and 0 where both are 0."""
    return a / np.where(np.equal(a, 0) & np.equal(b, 0), 1, b)


def reciprocal(b):
    return np.where(np.equal(b, 0), 0, 1 / b)


def share(a, b):
    return np.where(np.equal(a + b, 0), 0, a / (a + b))


def below(a, b):
    return np.less(a, b).astype(np.result_type(a, b))


def mixture(p, q, a):
    return (1 - a) * p + a * q


def log_ratio(p, q, d):
    near = magnitude(d) <= q / 2
    t = np.where(near, weighted(d, 1 / q), 0)
    result = log1p(t)
    far = np.flatnonzero(~near)
    if far.size:
        np.put(result, far, _far_log_ratio(*(np.take(np.broadcast_to(a, t.shape), far) for a in (p, q))))
    return result


def _far_log_ratio(p, q):
    """log(p/q) where the ratio is not near 1: two large logarithms would cancel, where the quotient does not."""
    result = p / q
    unusual = np.flatnonzero(~((result >= np.finfo(p.dtype).tiny) & (result < np.inf)))
    np.log(result, out=result)
    if unusual.size:
        result[unusual] = log(p[unusual]) - log(q[unusual])
    return result


def relative_entropy(p, q, d):
    p, q, d = np.broadcast_arrays(p, q, d)
    t = np.where(d == 0, 0, d / q)
    near = (t >= -0.5) & (t <= 1)
    far = np.flatnonzero(~near)
    np.copyto(t, 0, where=~near)
    s = t / (2 + t)
    u = s * s
    series = np.zeros_like(u)
    for k in range(37 if p.dtype == np.float64 else 17, 1, -2):  # 1/3 + u/5 + u**2/7 + ..., u at most 1/9
        series *= u
        series += p.dtype.type(1 / k)
    series *= u
    series *= 2 * (1 + t)
    series += t
    series *= s
    series *= q
    if far.size:
        p, q, d = (np.take(a, far) for a in (p, q, d))
        np.put(series, far, weighted(p, _far_log_ratio(p, q)) - d)
    return series
