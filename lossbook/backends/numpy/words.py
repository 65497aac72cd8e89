"""The words on NumPy arrays, for blocks that fit in the cache.

The logistic words of z and of -z share one exp(-abs(z)): a kernel makes `at_z = Logistic(z)` once and asks
it for softplus(z), softplus(-z), sigmoid(z) and the rest. log1p of a number in [0, 1] is written with log,
which NumPy vectorizes, and repaired for the rounding of 1 + e.
"""

import numpy as np
from numpy import absolute, arctan, exp, expm1, log, log1p, maximum, minimum, sign, sqrt, square, tanh

__all__ = [
    "Logistic", "absolute", "arctan", "arctan2", "charbonnier", "damped", "determinant", "difference", "exp", "expm1",
    "gap", "gap_slope", "hypot_minus", "kl_div", "kl_div_of_logit", "lerp", "less", "log", "log1p", "log_cosh",
    "log_ratio", "maximum", "minimum", "over_hypot", "power", "power1p", "power1p_slope", "power_slope", "quotient",
    "reciprocal", "residual_of_logit", "share", "shared", "shared_slope", "sigmoid", "sigmoid_power", "sign",
    "skew_entropy", "skew_log", "skew_pull", "softplus", "sqrt", "square", "step", "tanh", "weighted",
    "weighted_quotient", "weighted_sigmoid", "weighted_sigmoid_power", "weighted_softplus", "xlogy",
]  # fmt: skip


BITS = {np.dtype(np.float16): np.int16, np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}

# 2*(atanh(s) - s)/s**3 as a minimax polynomial in s*s on [0, 1/9], lowest power first.
ATANH = {
    np.dtype(np.float32): (0.6666654, 0.40015072, 0.28099933, 0.27560785),
    np.dtype(np.float64): (
        0.6666666666666657, 0.4000000000006041, 0.2857142855981709, 0.2222222324446307, 0.1818176881203037,
        0.15386043966881116, 0.13307564746661968, 0.1205534526444843, 0.08555963468560909, 0.16628792296465977,
    ),
}  # fmt: skip

# Probabilities that are tiny, and what lifts them: mixtures and differences of such may vanish.
TINY = {np.dtype(np.float32): (2.0**-32, 2.0**127), np.dtype(np.float64): (2.0**-256, 2.0**768)}


def chosen(condition, a, b=0):
    """np.where(condition, a, b), by bits: np.where branches at each element, which is slow where branches alternate."""
    real = np.result_type(a, b)
    bits = BITS[real]
    mask = -np.asarray(condition).astype(bits)
    a = np.asarray(a, real).view(bits)
    if np.ndim(b) == 0 and b == 0:
        return (mask & a).view(real)
    b = np.asarray(b, real).view(bits)
    return (((a ^ b) & mask) ^ b).view(real)


def near_log1p(t):
    """log(1 + t) for -1/2 <= t <= 1: log(u) + (t - (u - 1))/u for the rounded u = 1 + t."""
    u = 1 + t
    lost = u - 1
    lost = np.subtract(t, lost, out=lost)
    lost /= u
    u = np.log(u, out=u)
    u += lost
    return u


def near_power(x, k):
    """(1 + x)**k, repaired for the rounding of u = 1 + x: (1 + lost/u)**k is 1 + k*lost/u, as long as that is small."""
    u = 1 + x
    lost = u - 1
    lost = np.subtract(x, lost, out=lost)
    lost /= np.maximum(u, np.finfo(u.dtype).tiny)  # nothing is lost where u is 0
    lost *= k
    result = np.power(u, k)
    lost *= result
    result += chosen(np.isfinite(lost), lost)
    return result


def exp_product(k, x):
    """exp(k*x) in float64 with what the rounding of k*x loses, by halves of k and x whose products are exact."""
    k_high, x_high = ((np.asarray(a).view(np.int64) & -(1 << 27)).view(np.float64) for a in (k, x))
    k_low, x_low = k - k_high, x - x_high
    product = k * x
    lost = ((k_high * x_high - product) + (k_high * x_low + k_low * x_high)) + k_low * x_low
    result = np.exp(product)
    lost *= result
    result += lost
    return result


def unsigned(x):
    """x, with 0 for -0.0, of numbers that are not negative: seen as integers, -0.0 is the only one below 0."""
    return x if np.min(x.view(BITS[x.dtype]), initial=0) >= 0 else np.absolute(x)


class Logistic:
    """softplus and sigmoid at z and at -z (side = 1 or -1), sharing one exponential."""

    def __init__(self, z):
        self.z = z
        self.decay = np.absolute(z)
        np.negative(self.decay, out=self.decay)
        np.exp(self.decay, out=self.decay)
        self._tail = self._sides = self._wide = self._near = None

    @property
    def near(self):
        """Whether softplus and sigmoid are normal numbers at every z and -z."""
        if self._near is None:
            self._near = np.min(self.decay, initial=1) >= 4 * np.finfo(self.z.dtype).tiny
        return self._near

    @property
    def tail(self):
        """softplus(-abs(z))."""
        if self._tail is None:
            self._tail = near_log1p(self.decay)
        return self._tail

    @property
    def sides(self):
        """sigmoid(z) and sigmoid(-z): one is 1/(1 + decay), the other decay/(1 + decay), by the sign bit of z."""
        if self._sides is None:
            upward = 1 + self.decay
            np.divide(1, upward, out=upward)
            downward = upward * self.decay
            bits = BITS[self.z.dtype]
            swap = self.z.view(bits) >> 8 * self.z.itemsize - 1  # all bits set where z is negative
            upward, downward = upward.view(bits), downward.view(bits)
            swap &= upward ^ downward
            upward ^= swap
            downward ^= swap
            self._sides = upward.view(self.z.dtype), downward.view(self.z.dtype)
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
        if self.z.dtype != np.float64:  # a large k magnifies errors: those of float64 are small enough
            self._wide = Logistic(self.z.astype(np.float64)) if self._wide is None else self._wide
            return np.exp(np.float64(-k) * self._wide.softplus(-side)).astype(self.z.dtype)
        # exp(k*min(x, 0))*(1 + decay)**-k, both with what rounding loses; x below -800/k makes the result vanish.
        fall = np.maximum(np.minimum(side * self.z, 0), -800 / k)
        result = near_power(self.decay, -k)
        result *= exp_product(k, fall)
        return result

    def weighted_softplus(self, side, w, product):
        """product(w, softplus(side*z)), also where softplus alone is subnormal."""
        result = product(w, self.softplus(side))
        return result if self.near else self._far(result, side, w)

    def weighted_sigmoid(self, side, w):
        """w*sigmoid(side*z), also where sigmoid alone is subnormal."""
        result = w * self.sigmoid(side)
        return result if self.near else self._far(result, side, w)

    def weighted_sigmoid_power(self, side, w, k):
        """w*sigmoid(side*z)**k, also where the power alone is subnormal."""
        power, tiny = self.sigmoid_power(side, k), np.finfo(self.z.dtype).tiny
        result = w * power
        if np.min(power, initial=1) >= tiny:
            return result
        root = self.sigmoid_power(side, k / 2)
        return np.where(power < tiny, (w * root) * root, result)

    def _far(self, result, side, w):
        """`result`, but w*exp(side*z) where that exponential, and so softplus or sigmoid, is not a normal number."""
        far = (self.decay < 4 * np.finfo(self.z.dtype).tiny) & (side * self.z < 0)
        root = np.exp(side * self.z / 2)  # the exponential itself may vanish
        return np.where(far, (w * root) * root, result)


def softplus(x):
    return Logistic(x).softplus(1)


def sigmoid(x):
    return Logistic(x).sigmoid(1)


def sigmoid_power(x, k):
    return Logistic(x).sigmoid_power(1, k)


def weighted_softplus(w, x):
    return Logistic(x).weighted_softplus(1, w, weighted)


def weighted_sigmoid(w, x):
    return Logistic(x).weighted_sigmoid(1, w)


def weighted_sigmoid_power(w, x, k):
    return Logistic(x).weighted_sigmoid_power(1, w, k)


def log_cosh(x):
    far = np.absolute(x)
    small = far <= 1
    # log1p(cosh(x) - 1) for small x, else far - log(2) + log1p(exp(-2*far)).
    rest = chosen(small, 2 * square(np.sinh(np.minimum(far, 1) / 2)), exp(-2 * far))
    return chosen(~small, far - far.dtype.type(np.log(2))) + near_log1p(rest)


def _sides(x, d):
    """Each leg of a right triangle, x and d, and its hypotenuse, over the longer leg."""
    size = np.absolute(x)
    ratio = np.minimum(size, d) / np.maximum(size, d)
    return np.maximum(ratio, size >= d), np.maximum(ratio, size < d), sqrt(1 + square(ratio))


def hypot_minus(x, d):
    across, along, root = _sides(x, d)
    return np.absolute(x) * (across / (along + root))


def over_hypot(x, d):
    across, _, root = _sides(x, d)
    return np.copysign(across / root, x)


def charbonnier(x, d):
    _, along, root = _sides(x, d)
    size = np.absolute(x)
    return size * (np.minimum(size, d) / (along + root))


def damped(x, d):
    size = np.absolute(x)
    shorter = np.minimum(size, d)
    return np.copysign(shorter / sqrt(1 + square(shorter / np.maximum(size, d))), x)


def power(b, k):
    if np.ndim(k) == 0 and k in (1, 2):
        return b if k == 1 else np.square(b)
    return np.power(b, k)


def power_slope(b, k):
    if k == 0:
        return np.zeros_like(b)
    if k >= 1:
        return k * power(b, k - 1)
    # Below one half, the rounding of k - 1 would be magnified by log(b), and b**(k - 1) may overflow where k times it
    # does not.
    slope = k * np.power(b, k - 1) if k >= 0.5 else np.where(np.isinf(b), 0, k * np.power(b, k) / b)
    return np.where(b == 0, 0, np.minimum(slope, np.finfo(b.dtype).max))


def power1p(x, k):
    if np.ndim(k) == 0 and k in (1, 2):
        return 1 + x if k == 1 else np.square(1 + x)
    return near_power(x, k)


def power1p_slope(x, k):
    if k == 0:
        return np.zeros_like(x)
    if k >= 1:
        return k * power1p(x, k - 1)
    return np.where(x == -1, 0, k * power1p(x, k - 1))


def weighted(w, x):
    """w*x, and 0 where w is 0 and x infinite; NaN stays NaN."""
    return np.where(np.equal(w, 0) & ~np.isnan(x), 0, w * x)


def xlogy(x, y):
    result = x * log(y)
    return result if np.all(x) else np.where(np.equal(x, 0) & (y == y), 0, result)


def quotient(a, b):
    """a/b, and 0 where both are 0."""
    empty = np.equal(b, 0)
    return a / (np.where(empty & np.equal(a, 0), 1, b) if np.any(empty) else b)


def weighted_quotient(w, a, b):
    """w*(a/b), and 0 where w is 0 or both a and b are."""
    ratio = quotient(a, b)
    result = w * ratio
    if np.all(np.isfinite(result)):
        return result
    return np.where(np.isinf(ratio) & (b != 0), quotient(w * a, b), weighted(w, ratio))


def reciprocal(b):
    empty = np.equal(b, 0)
    return np.where(empty, 0, 1 / b) if np.any(empty) else 1 / b


def share(a, b):
    whole = a + b
    result = a / whole
    if not np.all((whole > 0) & (whole < np.inf)):
        halves = a / 2 / (a / 2 + b / 2)  # the sum of two large numbers may overflow
        result = np.where(np.equal(whole, 0), 0, np.where(np.isinf(whole), halves, result))
        result = np.where(np.isinf(a) & (b < np.inf), 1, result)
    return result


def arctan2(y, x):
    return arctan(quotient(y, x))


def less(a, b):
    return np.less(a, b).astype(np.result_type(a, b))


def step(a, b):
    """1 where a < b, 0.5 where a = b, 0 where a > b, NaN where either is."""
    result = np.sign(np.subtract(b, a))
    result *= result.dtype.type(0.5)
    result += result.dtype.type(0.5)
    if np.isnan(np.add.reduce(result, axis=None)):  # rarely: equal infinities have no difference
        result = np.where(np.equal(a, b), result.dtype.type(0.5), result)
    return result


def determinant(a, b, c, d):
    return a * d - b * c


def difference(p, q, d):
    return d


def lerp(p, q, a):
    return (1 - a) * p + a * q


def log_ratio(p, q, d):
    ratio = p / q
    usual = _is_usual(ratio)
    # Where p is not near q, no digits of d are needed; two large logarithms would cancel, but not their quotient.
    result = chosen(absolute(d) <= q / 2, near_log1p(d / q), log(ratio))
    if not np.all(usual):
        odd = _is_odd(usual, p, q)
        result = np.where(odd, _odd_log_ratio(p, q), result)
    return result


def kl_div(p, q, d):
    t = d / q
    ratio = p / q
    usual = _is_usual(ratio)
    near = (t >= -0.5) & (t <= 1)
    if not np.all(usual):
        odd = _is_odd(usual, p, q)
        ratio = np.maximum(ratio, np.finfo(ratio.dtype).tiny)  # so that p = 0 gives 0*log(ratio) = 0
    far_value = np.log(ratio)
    far_value *= p
    far_value -= d
    # For p near q: d*s + p*(2*atanh(s) - 2*s), where p*log(p/q) = 2*p*atanh(s) and 2*p*s - d = d*s for s = t/(2 + t).
    s = t / (2 + t)
    u = s * s
    *coefficients, highest = map(u.dtype.type, ATANH[u.dtype])
    series = highest * u
    for coefficient in coefficients[:0:-1]:
        series += coefficient
        series *= u
    series += coefficients[0]
    series *= u
    series *= p
    series += d
    series *= s
    result = chosen(near, series, far_value)
    if not np.all(usual):
        result = np.where(odd, weighted(p, _odd_log_ratio(p, q)) - d, result)
    return result


def _mixed(p, q, a, d):
    """p, the mixture m = (1 - a)*p + a*q, p - m = a*d, and None; p, q and d are lifted where p and q are tiny.

    Instead of None then comes what brings results back.
    """
    m = lerp(p, q, a)
    low, lift = TINY[m.dtype]
    if np.min(m, initial=1) >= low:
        return p, m, a * d, None
    factor = np.where((p < low) & (q < low), m.dtype.type(lift), 1)
    p, q, d = p * factor, q * factor, d * factor
    return p, lerp(p, q, a), a * d, 1 / factor


def skew_entropy(p, q, a, d):
    p, m, d, back = _mixed(p, q, a, d)
    result = kl_div(p, m, d)
    return result if back is None else result * back


def skew_log(p, q, a, d):
    p, m, d, _ = _mixed(p, q, a, d)
    return log_ratio(p, m, d)


def skew_pull(p, q, a, d):
    _, m, d, _ = _mixed(p, q, a, d)
    return quotient(d, m)
def residual_of_logit(y, x):
    # With e = exp(-abs(x)) it is (y*(1 + e) - 1)/(1 + e) for x >= 0, and (y*(1 + e) - e)/(1 + e) below; near x = 0,
    # where e is nearly 1, from 2*y - 1, which is exact where the two terms nearly cancel.
    decay_minus_1 = np.expm1(-np.absolute(x))
    decay, up = 1 + decay_minus_1, np.greater_equal(x, 0)
    decay = np.where(decay_minus_1 < -0.5, np.exp(-np.absolute(x)), decay)
    scale = np.where(up, y, y - 1)
    near = (2 * y - 1) + scale * decay_minus_1
    far = np.where(up, y * decay - (1 - y), y - decay * (1 - y))
    return np.where(decay_minus_1 > -0.5, near, far) / (1 + decay)


def kl_div_of_logit(p, x, d):
    far = x < np.log(np.finfo(x.dtype).tiny)  # then sigmoid(x) is exp(x), and has too few digits
    result = kl_div(p, np.where(far, 1, sigmoid(x)), np.where(far, p - 1, d))
    return np.where(far, weighted(p, log(p) - x) - d, result) if np.any(far) else result


def _is_usual(ratio):
    """Where a rounded quotient will do for its logarithm: where it did not overflow, underflow or come from 0/0."""
    return (ratio >= np.finfo(ratio.dtype).tiny) & (ratio < np.inf)


def _is_odd(usual, p, q):
    """Where an unusual quotient is not simply one of a zero and a positive number."""
    return ~usual & (np.equal(p, 0) == np.equal(q, 0))


def _odd_log_ratio(p, q):
    """log(p) - log(q), and 0 where both are 0."""
    return np.where(np.equal(p, 0) & np.equal(q, 0), 0, log(p) - log(q))


def _reach(low, high, other_low, other_high):
    """The length that two intervals share, or minus the gap between them."""
    return np.minimum(high, other_high) - np.maximum(low, other_low)


def shared(low, high, other_low, other_high):
    return np.maximum(_reach(low, high, other_low, other_high), 0)


def gap(low, high, other_low, other_high):
    return np.maximum(-_reach(low, high, other_low, other_high), 0)


def shared_slope(low, high, other_low, other_high):
    reach = _reach(low, high, other_low, other_high)
    return _mean_slope(low, high, other_high, reach >= 0, reach > 0)


def gap_slope(low, high, other_low, other_high):
    reach = _reach(low, high, other_low, other_high)
    return -_mean_slope(low, high, other_high, reach < 0, reach <= 0)


def _mean_slope(low, high, other_high, above, beneath):
    """The mean of the slopes of what high bounds, where it lies above and beneath: only above where low = high."""
    up = np.less(high, other_high)
    up &= above
    down = np.less_equal(high, other_high)
    down &= beneath
    if np.array_equal(up, down):  # no ties
        return up.astype(high.dtype)
    half = high.dtype.type(0.5)
    return half * up + half * np.where(np.less(low, high), down, up)
