"""The words on arrays of a framework, whose module is `xp`: each is made of functions that PyTorch and JAX both have.

Each is exact, and so is what a framework finds when it differentiates it once more: where a formula is made of pieces,
the piece that does not apply gets numbers at which it and its slope are finite. Parameters are Python's numbers. A
generated text holds the words that it needs.
"""

import math

import numpy as xp

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def maximum(a, b):
    return xp.where((a > b) | (a != a), a, b)


def minimum(a, b):
    return xp.where((a < b) | (a != a), a, b)


def absolute(x):
    return xp.where(x < 0, -x, x + 0.0)


def sign(x):
    return xp.where(x == x, xp.sign(x), x)


def square(x):
    return x * x


def sqrt(x):
    return xp.sqrt(x)


def less(a, b):
    return xp.where(a < b, xp.ones_like(b if hasattr(b, "shape") else a), 0.0)


def step(a, b):
    return xp.where((a != a) | (b != b), math.nan, xp.where(a == b, 0.5, less(a, b)))


def weighted(w, x):
    """w*x, and 0 where w is 0 and x infinite."""
    return w * xp.where((w == 0) & ((x == math.inf) | (x == -math.inf)), 0.0, x)


def quotient(a, b):
    """a/b, and 0 where both are 0."""
    return a / xp.where((a == 0) & (b == 0), 1.0, b)


def weighted_quotient(w, a, b):
    """w*(a/b), also where a/b alone overflows; 0 where w is 0 or both a and b are."""
    large = (quotient(a, b) == math.inf) & (b != 0)
    of_others = weighted(w, quotient(xp.where(large, 0.0, a), b))
    return xp.where(large, quotient(w * a, xp.where(large, b, 1.0)), of_others)


def reciprocal(b):
    """1/b, and 0 where b is 0."""
    return xp.where(b == 0, 0.0, 1 / xp.where(b == 0, 1.0, b))


def share(a, b):
    """a/(a + b), and 0 where both are 0: by halves, since the sum of two large numbers may overflow."""
    whole = a / 2 + b / 2
    result = xp.where(whole == 0, 0.0, a / 2 / xp.where(whole == 0, 1.0, whole))
    return xp.where((a == math.inf) & (b < math.inf), 1.0, result)


def xlogy(x, y):
    removed = (x == 0) & (y == y)
    return xp.where(removed, 0.0, x * xp.log(xp.where(removed, 1.0, y)))


def softplus(x):
    return xp.logaddexp(x, xp.zeros_like(x))


def sigmoid(x):
    low, high = xp.where(x < 0, x, 0.0), xp.where(x < 0, 0.0, x)
    decay = xp.exp(low)
    return xp.where(x < 0, decay / (1 + decay), 1 / (1 + xp.exp(-high)))


def sigmoid_power(x, k):
    if k == 0:
        return xp.ones_like(x)
    return sigmoid(x) ** k if k in (1, 2, 3, 4) else xp.exp(-k * softplus(-x))


def weighted_softplus(w, x):
    """w*softplus(x), also where softplus alone vanishes."""
    far, near = _far(x)
    root = xp.exp(far / 2)
    return xp.where(far < 0, (w * root) * root, weighted(w, softplus(near)))


def weighted_sigmoid(w, x):
    far, near = _far(x)
    root = xp.exp(far / 2)
    return xp.where(far < 0, (w * root) * root, w * sigmoid(near))


def weighted_sigmoid_power(w, x, k):
    root = sigmoid_power(x, k / 2)
    return (w * root) * root


def _far(x):
    """(x where the exponential of x is all that is left of softplus and sigmoid, else 0; x elsewhere, there 0)"""
    is_far = x < math.log(xp.finfo(x.dtype).tiny)
    return xp.where(is_far, x, 0.0), xp.where(is_far, 0.0, x)


def residual_of_logit(y, x):
    # With e = exp(-abs(x)) it is (y*(1 + e) - 1)/(1 + e) for x >= 0, and (y*(1 + e) - e)/(1 + e) below; near x = 0,
    # where e is nearly 1, from 2*y - 1, which is exact where the two terms nearly cancel.
    low = xp.where(x < 0, x, -x)
    decay_minus_1, decay = xp.expm1(low), xp.exp(low)
    near = (2 * y - 1) + xp.where(x < 0, y - 1, y) * decay_minus_1
    far = xp.where(x < 0, y - decay * (1 - y), y * decay - (1 - y))
    return xp.where(decay_minus_1 > -0.5, near, far) / (1 + decay)


def log_cosh(x):
    far = absolute(x)
    half = xp.sinh(minimum(far, 1.0) / 2)
    return xp.where(far <= 1, xp.log1p(2 * square(half)), far - math.log(2) + xp.log1p(xp.exp(-2 * far)))


def _sides(x, d):
    """Each leg of a right triangle, x and d, and its hypotenuse, over the longer leg."""
    size = absolute(x)
    ratio = minimum(size, d) / maximum(size, d)
    return xp.where(size >= d, 1.0, ratio), xp.where(size < d, 1.0, ratio), xp.sqrt(1 + square(ratio))


def hypot_minus(x, d):
    across, along, root = _sides(x, d)
    return absolute(x) * (across / (along + root))


def over_hypot(x, d):
    if isinstance(x, (int, float)):  # of a parameter, and d is the array
        _, along, root = _sides(d, x)
        return along / root
    across, _, root = _sides(x, d)
    return xp.where(x < 0, -across, across) / root


def charbonnier(x, d):
    _, along, root = _sides(x, d)
    size = absolute(x)
    return size * (minimum(size, d) / (along + root))


def damped(x, d):
    size = absolute(x)
    shorter = minimum(size, d)
    return xp.where(x < 0, -shorter, shorter) / xp.sqrt(1 + square(shorter / maximum(size, d)))


def arctan(x):
    return xp.arctan(x)


def arctan2(y, x):
    return xp.arctan(quotient(y, x))


def power(b, k):
    if k == 0:
        return b * 0.0 + 1.0
    if k < 0.5:  # powers of subnormal numbers have few digits in PyTorch
        return xp.where(b == 0, 0.0, xp.exp(k * xp.log(xp.where(b == 0, 1.0, b))))
    return b if k == 1 else square(b) if k == 2 else b**k


def power_slope(b, k):
    """k*b**(k - 1); 0 for k = 0, and for k < 1 at b = 0."""
    if k == 0:
        return b * 0.0
    if k >= 1:
        return k * power(b, k - 1)
    # Below one half b**(k - 1) may overflow where k times it does not.
    some = xp.where(b == 0, 1.0, b)
    slope = k * some ** (k - 1) if k >= 0.5 else k * power(some, k) / some
    largest = xp.finfo(b.dtype).max
    return xp.where(b == 0, 0.0, xp.where(slope > largest, largest, slope))


def power1p(x, k):
    """(1 + x)**k"""
    if k == 0:
        return xp.ones_like(x)
    if k in (1, 2):
        return 1 + x if k == 1 else square(1 + x)
    return xp.where(x == -1, 0.0, xp.exp(k * xp.log1p(xp.where(x == -1, 0.0, x))))


def power1p_slope(x, k):
    if k == 0:
        return xp.zeros_like(x)
    if k >= 1:
        return k * power1p(x, k - 1)
    return xp.where(x == -1, 0.0, k * xp.exp((k - 1) * xp.log1p(xp.where(x == -1, 0.0, x))))


def determinant(a, b, c, d):
    return a * d - b * c


def difference(p, q, d):
    return d


def lerp(p, q, a):
    return (1 - a) * p + a * q


def log_ratio(p, q, d):
    """log(p/q) for d = p - q, and 0 where both are 0."""
    near = (absolute(d) <= q / 2) & (q > 0)
    empty = (p == 0) & (q == 0)
    ratio = p / xp.where(q == 0, 1.0, q)  # which may have too few digits, or none
    tiny = (ratio < xp.finfo(p.dtype).tiny) | (ratio == math.inf) | (q == 0)
    close = xp.log1p(xp.where(near, d, 0.0) / xp.where(near, q, 1.0))
    above, below = xp.where(empty | near, 1.0, p), xp.where(empty | near, 1.0, q)
    apart = xp.where(tiny, xp.log(above) - xp.log(below), xp.log(above / xp.where(tiny, 1.0, below)))
    return xp.where(near, close, apart)


def kl_div(p, q, d):
    """p*log(p/q) - d for d = p - q."""
    inner = (d >= -q / 2) & (d <= q) & (q > 0)
    # With s = t/(2 + t), t = d/q: d*s + p*(2*atanh(s) - 2*s), where p*log(p/q) = 2*p*atanh(s) and 2*p*s - d = d*s.
    t = xp.where(inner, d, 0.0) / xp.where(inner, q, 1.0)
    s = t / (2 + t)
    u = s * s
    series = 0.0
    for coefficient in (
        0.16628792296465977, 0.08555963468560909, 0.1205534526444843, 0.13307564746661968, 0.15386043966881116,
        0.1818176881203037, 0.2222222324446307, 0.2857142855981709, 0.4000000000006041, 0.6666666666666657,
    ):  # fmt: skip
        series = series * u + coefficient
    removed = inner | (p == 0)
    ratio = log_ratio(xp.where(removed, 1.0, p), xp.where(removed, 1.0, q), xp.where(removed, 0.0, d))
    far = xp.where(removed, 0.0, p * ratio) - d
    return xp.where(inner, s * (d + p * (u * series)), far)


def kl_div_of_logit(p, x, d):
    is_far = x < math.log(xp.finfo(x.dtype).tiny)  # then sigmoid(x) is exp(x), and has too few digits
    removed = ~is_far | (p == 0)
    far = xp.where(removed, 0.0, p * (xp.log(xp.where(removed, 1.0, p)) - xp.where(removed, 0.0, x))) - d
    return xp.where(is_far, far, kl_div(p, xp.where(is_far, 1.0, sigmoid(x)), xp.where(is_far, p - 1, d)))


def _lifted(p, q, a, d):
    """p, the mixture m = (1 - a)*p + a*q, p - m = a*d, and by what they were multiplied: p and q may be tiny."""
    low, lift = (2.0**-32, 2.0**127) if xp.finfo(p.dtype).bits == 32 else (2.0**-256, 2.0**768)
    factor = xp.where((p < low) & (q < low), lift, xp.ones_like(p))
    p, q, d = p * factor, q * factor, d * factor
    return p, lerp(p, q, a), a * d, factor


def skew_entropy(p, q, a, d):
    p, m, d, factor = _lifted(p, q, a, d)
    return kl_div(p, m, d) / factor


def skew_log(p, q, a, d):
    p, m, d, _ = _lifted(p, q, a, d)
    return log_ratio(p, m, d)


def skew_pull(p, q, a, d):
    _, m, d, _ = _lifted(p, q, a, d)
    return quotient(d, m)


def _reach(low, high, other_low, other_high):
    """The length that two intervals share, or minus the gap between them."""
    return minimum(high, other_high) - maximum(low, other_low)


def shared(low, high, other_low, other_high):
    return maximum(_reach(low, high, other_low, other_high), 0.0)


def gap(low, high, other_low, other_high):
    return maximum(-_reach(low, high, other_low, other_high), 0.0)


def _mean_slope(low, high, other_high, above, beneath):
    """The mean of the slopes of what high bounds, where it lies above and beneath: only above where low = high."""
    half = xp.ones_like(high) / 2
    up = xp.where((high < other_high) & above, half, 0.0)
    down = xp.where((high <= other_high) & beneath, half, 0.0)
    return up + xp.where(low < high, down, up)


def shared_slope(low, high, other_low, other_high):
    reach = _reach(low, high, other_low, other_high)
    return _mean_slope(low, high, other_high, reach >= 0, reach > 0)


def gap_slope(low, high, other_low, other_high):
    reach = _reach(low, high, other_low, other_high)
    return -_mean_slope(low, high, other_high, reach < 0, reach <= 0)
