"""The words of lossbook for Numba: scalar functions that a compiled loop inlines and vectorizes.

Each word takes float32 or float64 scalars, all of one type, and returns that type.  Nothing here calls the C
mathematics library, whose scalar functions would keep the loop from being vectorized: exponentials and logarithms are
polynomials after a range reduction, and every choice between two values is a plain selection.

The words share their work, so that the compiler merges what a kernel computes twice.  All exponentials start from
-abs(x) = n*log(2) + r with an integer n and abs(r) <= log(2)/2.  All logarithms use log(2**n * (1 + f)) =
n*log(2) + log1p(f), where log1p(f) = 2*atanh(s) = 2*s + tail(s) = f - s*f + tail(s) with s = f/(2 + f).

A value that needs more digits than its type has is carried as high + low.  That arithmetic relies on the order of the
operations, so the words let the compiler contract products and ignore the sign of zero, and nothing else.
Literals in comparisons may be bare if float32 holds them exactly; others, and those in arithmetic, are typed, as
real(2), lest float32 become float64.
"""

import math
from math import sqrt
from typing import Any

from numba.extending import register_jitable

from lossbook.backends.numba.floats import by_sign, fused, number, polynomial, power_of_two, split

__all__ = [
    "absolute", "arctan", "arctan2", "charbonnier", "damped", "determinant", "difference", "exp", "expm1", "gap",
    "gap_slope", "hypot_minus", "kl_div", "kl_div_of_logit", "lerp", "less", "log", "log1p", "log_cosh", "log_ratio",
    "maximum", "minimum", "over_hypot", "power", "power1p", "power1p_slope", "power_slope", "quotient", "reciprocal",
    "residual_of_logit", "share", "shared", "shared_slope", "sigmoid", "sigmoid_power", "sign", "skew_entropy",
    "skew_log", "skew_pull", "softplus", "sqrt", "square", "step", "tanh", "weighted", "weighted_quotient",
    "weighted_sigmoid", "weighted_sigmoid_power", "weighted_softplus", "xlogy",
]  # fmt: skip

absolute = abs
# Nothing but compiled code calls a word: a way in from Python and one from C would take half of its compilation.
_word: Any = register_jitable(
    error_model="numpy", fastmath={"contract", "nsz"}, forceinline=True, no_cfunc_wrapper=True
)


# --- exponentials ----------------------------------------------------------------------------------------------------


@_word
def _reduced(size, limit, rounder):
    """(n + rounder, r) with -size = n*log(2) + r, for size >= 0; sizes beyond the limit count as the limit."""
    size = limit if limit < size else size  # NaN stays
    marker = fused(size, number(size, "minus_inverse_log2"), rounder)
    n = marker - rounder
    rest = fused(n, -number(size, "log2_high"), -size)
    return marker, fused(n, -number(size, "log2_low"), rest)


@_word
def _half_exp(rest):
    """exp(r)/2; the half leaves room for exponents one beyond the largest and the smallest."""
    half = type(rest)(0.5)
    return fused(polynomial(rest, "exp"), rest * rest, fused(half, rest, half))


@_word
def _weighted_decay(w, size, low):
    """(exp(-size - low), the product with w), which need not vanish with the exponential; but w must not be tiny."""
    marker, rest = _reduced(size, number(size, "shifted_limit"), number(size, "shifted_rounder"))
    shifted = _half_exp(rest - low) * power_of_two(marker)
    return shifted * number(size, "drop"), shifted * (w * number(size, "drop"))


@_word
def _decay(size, low):
    """exp(-size - low) for size >= 0 and low far smaller than 1: what softplus and sigmoid of x and -x share.

    It is computed with a shifted exponent, so that subnormal results keep the digits that they can have.
    """
    return _weighted_decay(type(size)(1), size, low)[0]


@_word
def _signed(x):
    """(marker, r, factor) such that exp(x) = _half_exp(r) * power_of_two(marker) * factor."""
    real = type(x)
    limit = number(x, "limit") if x > 0 else number(x, "shifted_limit")
    falling, rest = _reduced(abs(x), limit, number(x, "shifted_rounder"))
    # For x > 0 the exponent changes its sign; a factor 4 is taken out, for the largest power would overflow.
    rising = (number(x, "rounder") + number(x, "shifted_rounder") - real(2)) - falling
    factor = real(4) if x > 0 else number(x, "drop")
    return rising if x > 0 else falling, -rest if x > 0 else rest, factor


@_word
def _growth(x, low):
    """exp(x + low), where low is far smaller than 1."""
    marker, rest, factor = _signed(x)
    return _half_exp(rest + low) * power_of_two(marker) * factor


@_word
def _product(k, high, low, extra):
    """k * (high + low) + extra as high + low, for an exponent: beyond the limit low is 0, as it might be NaN."""
    product = k * high
    error = fused(k, high, -product) + fused(k, low, extra)
    return product, error if abs(product) < number(k, "shifted_limit") else type(k)(0)


@_word
def exp(x):
    """e**x."""
    return _growth(x, type(x)(0))


@_word
def expm1(x):
    """exp(x) - 1."""
    real = type(x)
    marker, rest, factor = _signed(x)
    # The leading r/2 is exact, so that small results keep their relative accuracy.
    half = fused(polynomial(rest, "exp"), rest * rest, real(0.5) * rest)
    scale, inverse_factor = power_of_two(marker), real(0.25) if x > 0 else real(1) / number(x, "drop")
    return fused(half, scale, fused(real(0.5), scale, -inverse_factor)) * factor


@_word
def tanh(x):
    """The hyperbolic tangent."""
    real = type(x)
    falling = expm1(real(-2) * abs(x))
    size = -falling / (real(2) + falling)
    return -size if x < 0 else size


# --- logarithms ------------------------------------------------------------------------------------------------------


@_word
def _tail(s):
    """2*(atanh(s) - s) for abs(s) <= 1/3."""
    square = s * s
    return s * square * polynomial(square, "atanh")


@_word
def _normalized(high, low):
    """high + low again as two numbers, where high now is the rounded sum, for abs(low) <= abs(high)."""
    total = high + low
    return total, low - (total - high)


@_word
def _with_exponent(n, high, low):
    """n*log(2) + high + low as high + low, for an integer n and abs(low) <= abs(high) < log(2)."""
    whole = n * number(n, "log2_high")  # exact
    total = whole + high
    return _normalized(total, high - (total - whole) + fused(n, number(n, "log2_low"), low))


@_word
def _split_any(x):
    """(m, n) as from split, for subnormal x, too."""
    real = type(x)
    small = x < number(x, "smallest_normal")
    m, n, _ = split(x * number(x, "lift") if small else x)
    return m, n - (number(x, "lift_exponent") if small else real(0))


@_word
def _at_edges(x, inside):
    """inside where x is positive and finite, else the logarithm of x."""
    real = type(x)
    outside = real(-math.inf) if x == 0 else (x if x > 0 else real(math.nan))
    return inside if (x > 0) & (x < math.inf) else outside


@_word
def _log_parts(x):
    """log(x) as high + low."""
    real = type(x)
    m, n = _split_any(x)
    f = m - real(1)
    s = f / (real(2) + f)
    high, low = _with_exponent(n, f, fused(-s, f, _tail(s)))
    return _at_edges(x, high), low


@_word
def log(x):
    """The natural logarithm."""
    return _log_parts(x)[0]


@_word
def _log1p_parts(x):
    """log(1 + x) as high + low."""
    real = type(x)
    m, n, inverse = split(real(1) + x)
    # (1 + x)/2**n - 1 from x itself, rounded once: what 1 + x rounds away is not lost.
    f = m - real(1) if x > number(x, "one_vanishes") else fused(x, inverse, inverse - real(1))
    s = f / (real(2) + f)
    high, low = _with_exponent(n, f, fused(-s, f, _tail(s)))
    return _at_edges(real(1) + x, high), low


@_word
def log1p(x):
    """log(1 + x)."""
    return _log1p_parts(x)[0]


@_word
def _raised(high, low, k):
    """b**k of the b whose logarithm is high + low; 1 for k = 0."""
    real = type(k)
    exponent, error = _product(k, high, low, real(0))
    return real(1) if k == 0 else _growth(exponent, error)


@_word
def _raised_slope(b, high, low, k):
    """k * b**(k - 1) of the b whose logarithm is high + low; 0 for k = 0 and, for k < 1, at b = 0."""
    real = type(b)
    k_minus_1 = k - real(1)
    k_minus_1_low = k - (k_minus_1 + real(1))
    # A power may vanish or overflow where k times it does not: take its square root, twice.
    far = abs(k_minus_1 * high) > real(0.5) * number(k, "limit")
    scale = real(0.5) if far else real(1)
    exponent, error = _product(scale * k_minus_1, high, low, scale * k_minus_1_low * high)
    root = _growth(exponent, error)
    root = real(1) if (k_minus_1 == 0) & (b == b) else root
    slope = k * root * (root if far else real(1))
    slope = number(b, "largest") if (k < 1) & (slope > number(b, "largest")) else slope
    return real(0) if (k == 0) | ((k < 1) & (b == 0)) else slope


@_word
def power(b, k):
    """b**k for b >= 0; 1 for k = 0 and any b."""
    high, low = _log_parts(b)
    return _raised(high, low, k)


@_word
def power_slope(b, k):
    """k * b**(k - 1); 0 for k = 0 and, for k < 1, at b = 0; for k < 1 at most the largest number."""
    high, low = _log_parts(b)
    return _raised_slope(b, high, low, k)


@_word
def power1p(x, k):
    """(1 + x)**k for x >= -1; 1 for k = 0 and any x."""
    high, low = _log1p_parts(x)
    return _raised(high, low, k)


@_word
def power1p_slope(x, k):
    """k * (1 + x)**(k - 1); 0 for k = 0 and, for k < 1, at x = -1."""
    high, low = _log1p_parts(x)
    return _raised_slope(type(x)(1) + x, high, low, k)


@_word
def log_cosh(x):
    """log(cosh(x))."""
    real = type(x)
    size = abs(x)
    # log1p(cosh(x) - 1) for small x, else size - log(2) + log1p(exp(-2*size)).
    small = size < 1.25
    square = x * x
    cosh_less_one = fused(square * square, polynomial(square, "cosh"), real(0.5) * square)
    f = cosh_less_one if small else _decay(real(2) * size, real(0))
    s = f / (real(2) + f)
    return (real(0) if small else size - real(math.log(2.0))) + (f + fused(-s, f, _tail(s)))


@_word
def arctan(x):
    """The angle, in radians, whose tangent is x."""
    real = type(x)
    size = abs(x)
    # arctan(size) = pi/4 + arctan((size - 1)/(size + 1)) = pi/2 + arctan(-1/size): abs(t) is at most 1/2.
    middle, far = size > 0.5, size > 2
    above = real(-1) if far else (size - real(1) if middle else size)
    below_it = size if far else (size + real(1) if middle else real(1))
    t = above / below_it
    high = number(x, "half_pi") if far else (number(x, "quarter_pi") if middle else real(0))
    low = number(x, "half_pi_low") if far else (number(x, "quarter_pi_low") if middle else real(0))
    square = t * t
    angle = high + (t + fused(t * square, polynomial(square, "arctan"), low))
    return -angle if x < 0 else angle


@_word
def arctan2(y, x):
    """The angle, in radians, whose tangent is y/x, for x >= 0; 0 for y = x = 0."""
    return arctan(y / (type(y)(1) if (y == 0) & (x == 0) else x))


@_word
def _sides(x, d):
    """Whether x is the longer leg, the ratio of the legs, and the hypotenuse in units of the longer leg."""
    real = type(x)
    size = abs(x)
    large = size >= d
    ratio = (d if large else size) / (size if large else d)
    return large, ratio, sqrt(real(1) + ratio * ratio)


@_word
def hypot_minus(x, d):
    """sqrt(x**2 + d**2) - d for d > 0."""
    real = type(x)
    large, ratio, root = _sides(x, d)
    return abs(x) * ((real(1) if large else ratio) / ((ratio if large else real(1)) + root))


@_word
def over_hypot(x, d):
    """x/sqrt(x**2 + d**2) for d > 0."""
    real = type(x)
    large, ratio, root = _sides(x, d)
    size = (real(1) if large else ratio) / root
    return -size if x < 0 else size


@_word
def charbonnier(x, d):
    """d*(sqrt(x**2 + d**2) - d) for d > 0."""
    real = type(x)
    size = abs(x)
    large, ratio, root = _sides(x, d)
    return size * ((d if large else size) / ((ratio if large else real(1)) + root))


@_word
def damped(x, d):
    """x/sqrt(1 + (x/d)**2) for d > 0."""
    large, _, root = _sides(x, d)
    size = (d if large else abs(x)) / root
    return -size if x < 0 else size


# --- the logistic family ---------------------------------------------------------------------------------------------


@_word
def _softplus_of(x, e):
    """softplus(x), given e = exp(-abs(x))."""
    real = type(x)
    s = e / (real(2) + e)
    return (x if x > 0 else real(0)) + (fused(-s, e, e) + _tail(s))


@_word
def softplus(x):
    """log(1 + exp(x))."""
    return _softplus_of(x, _decay(abs(x), type(x)(0)))


@_word
def _sigmoid_of(x, e):
    """sigmoid(x), given e = exp(-abs(x))."""
    real = type(x)
    # One reciprocal serves sigmoid(x) and sigmoid(-x).
    inverse = real(1) / (real(1) + e)
    return by_sign(x, e * inverse, inverse)


@_word
def sigmoid(x):
    """1/(1 + exp(-x))."""
    return _sigmoid_of(x, _decay(abs(x), type(x)(0)))


@_word
def _softplus_parts(x):
    """softplus(x) as high + low."""
    real = type(x)
    # The same steps as in _decay, so that the compiler makes them once for both.
    marker, rest = _reduced(abs(x), number(x, "shifted_limit"), number(x, "shifted_rounder"))
    half, scale = _half_exp(rest), power_of_two(marker)
    # What the rounding of exp(r)/2 = 1/2 + r/2 + ... and then that of s = e/(2 + e) left over.
    half_low = fused(polynomial(rest, "exp"), rest * rest, real(0.5) * rest - (half - real(0.5)))
    e, e_low = half * scale * number(x, "drop"), half_low * scale * number(x, "drop")
    s = e / (real(2) + e)
    below_s = fused(-s, real(2) + e, e) - s * (e - ((real(2) + e) - real(2))) + e_low * (real(1) - s)
    high, low = _normalized(s + s, below_s * (real(1) - s) + _tail(s))
    linear = x if x > 0 else real(0)
    total = linear + high
    return total, (linear - total) + high + low


@_word
def sigmoid_power(x, k):
    """sigmoid(x)**k for k >= 0; 1 for k = 0 and any x."""
    real = type(x)
    high, low = _softplus_parts(-x)
    exponent, error = _product(k, high, low, real(0))
    return real(1) if k == 0 else _decay(exponent, error)


@_word
def weighted_softplus(w, x):
    """w * softplus(x), also where softplus(x) alone is subnormal; 0 for w = 0 and an infinite x."""
    e, far = _weighted_decay(w, abs(x), type(x)(0))
    usual = weighted(w, _softplus_of(x, e))
    return far if x < -number(x, "normal_limit") else usual


@_word
def weighted_sigmoid(w, x):
    """w * sigmoid(x), also where sigmoid(x) alone is subnormal."""
    e, far = _weighted_decay(w, abs(x), type(x)(0))
    usual = w * _sigmoid_of(x, e)
    return far if x < -number(x, "normal_limit") else usual


@_word
def weighted_sigmoid_power(w, x, k):
    """w * sigmoid(x)**k, also where the power alone is subnormal."""
    high, low = _softplus_parts(-x)
    exponent, error = _product(k, high, low, type(x)(0))
    e, far = _weighted_decay(w, exponent, error)
    value = far if exponent > number(x, "normal_limit") else w * e
    return w if k == 0 else value


# --- two distributions -----------------------------------------------------------------------------------------------


@_word
def share(a, b):
    """a/(a + b) for a, b >= 0; 0 for a = b = 0."""
    real = type(a)
    # Halves keep the sum of large numbers finite; what a small number beside a large one loses does not matter.
    scale = real(0.5) if (a > 1) | (b > 1) else real(1)
    total = a * scale + b * scale
    value = real(0) if total == 0 else a * scale / total
    return real(1) if (a == math.inf) & (b < math.inf) else value


@_word
def _log_ratio_parts(p, q, d):
    """log(p/q) as high + low, given d = p - q, unless p = q = 0."""
    real = type(p)
    p_m, p_n = _split_any(p)
    q_m, q_n = _split_any(q)
    # For p near q log1p(t), else n*log(2) + log(p_m/q_m) with s = (p_m - q_m)/(p_m + q_m).
    near = abs(d) < real(0.5) * q  # false for infinite q
    t = d / q if near else real(0)
    s = (t if near else p_m - q_m) / (real(2) + t if near else p_m + q_m)
    n = real(0) if near else p_n - q_n
    high, low = _with_exponent(n, t if near else s + s, fused(-s, t, _tail(s)))
    return -_at_edges(q, -_at_edges(p, high)), low


@_word
def log_ratio(p, q, d):
    """log(p/q), given d = p - q; 0 for p = q = 0."""
    rounded, _ = _log_ratio_parts(p, q, d)
    rounded = type(p)(0) if (p == 0) & (q == 0) else rounded
    return rounded if d == d else d


@_word
def kl_div(p, q, d):
    """p * log(p/q) - d, given d = p - q; -d for p = 0."""
    real = type(p)
    t = d / q
    inverse = real(1) / (real(2) + t)
    # p*(2*s + tail(s)) - d, where 2*p*s - d = d*d/(2*q + d).
    near_value = fused(p, _tail(t * inverse), d * inverse * t)
    high, low = _log_ratio_parts(p, q, d)
    far_value = fused(p, high, -d) + p * low
    far_value = real(math.inf) if (q == 0) | (abs(d) == math.inf) else far_value
    value = near_value if (t >= -0.5) & (t <= 1) else far_value
    return -d if p == 0 else value


@_word
def _mixed(p, q, a, d):
    """p, the mixture (1 - a)*p + a*q and a*d, all lifted where p and q are tiny, and what brings results back."""
    tiny = (p < number(p, "tiny")) & (q < number(p, "tiny"))
    lift = number(p, "tiny_lift") if tiny else type(p)(1)
    return p * lift, lerp(p * lift, q * lift, a), a * (d * lift), number(p, "tiny_drop") if tiny else type(p)(1)


@_word
def skew_entropy(p, q, a, d):
    """p * log(p/m) - a*d for the mixture m = (1 - a)*p + a*q, given d = p - q."""
    p, m, d, back = _mixed(p, q, a, d)
    return kl_div(p, m, d) * back


@_word
def skew_log(p, q, a, d):
    """log(p/m) for the mixture m = (1 - a)*p + a*q, given d = p - q; 0 for p = m = 0."""
    p, m, d, _ = _mixed(p, q, a, d)
    return log_ratio(p, m, d)


@_word
def skew_pull(p, q, a, d):
    """a*d/m for the mixture m = (1 - a)*p + a*q, given d = p - q; 0 for a*d = m = 0."""
    _, m, d, _ = _mixed(p, q, a, d)
    return quotient(d, m)


@_word
def residual_of_logit(y, x):
    """y - sigmoid(x)."""
    real = type(x)
    size = abs(x)
    # With e = exp(-abs(x)) it is (y*(1 + e) - 1)/(1 + e) for x >= 0, and (y*(1 + e) - e)/(1 + e) below; near x = 0,
    # where e is nearly 1, from 2*y - 1, which is exact where the two terms nearly cancel.
    decay_minus_1, decay = expm1(-size), _decay(size, real(0))
    near = fused(y if x >= 0 else y - real(1), decay_minus_1, y + y - real(1))
    far = fused(y, decay, y - real(1)) if x >= 0 else fused(y - real(1), decay, y)
    return (near if decay_minus_1 > -0.5 else far) / (real(1) + decay)


@_word
def kl_div_of_logit(p, x, d):
    """p * log(p/sigmoid(x)) - d, given d = p - sigmoid(x)."""
    real = type(p)
    inside = kl_div(p, sigmoid(x), d)
    below_it = fused(p, log(p) - x, -d) if p > 0 else -d
    return below_it if x < -number(x, "limit") + real(2) else inside


# --- products, quotients and comparisons -----------------------------------------------------------------------------


@_word
def quotient(a, b):
    """a/b; 0 for a = b = 0."""
    return a / (type(a)(1) if (a == 0) & (b == 0) else b)


@_word
def weighted_quotient(w, a, b):
    """w * (a/b); 0 for w = 0 and for a = b = 0."""
    # A subnormal b would overflow the ratio, where a small w may bring it back.
    lift = number(b, "lift") if abs(b) < number(b, "smallest_normal") else type(b)(1)
    return weighted(w * lift, quotient(a, b * lift))


@_word
def reciprocal(b):
    """1/b; 0 for b = 0."""
    return type(b)(0) if b == 0 else type(b)(1) / b


@_word
def square(x):
    """x * x."""
    return x * x


@_word
def weighted(w, x):
    """w * x; 0 for w = 0 and an infinite x. NaN stays NaN."""
    return type(w)(0) if (w == 0) & (x == x) else w * x


@_word
def xlogy(x, y):
    """x * log(y); 0 for x = 0, unless y is NaN."""
    return type(x)(0) if (x == 0) & (y == y) else x * log(y)


@_word
def lerp(p, q, a):
    """(1 - a)*p + a*q."""
    return (type(a)(1) - a) * p + a * q


@_word
def maximum(a, b):
    """The larger of two numbers, NaN if either is."""
    return a if (a > b) | (a != a) else b


@_word
def minimum(a, b):
    """The smaller of two numbers, NaN if either is."""
    return a if (a < b) | (a != a) else b


@_word
def less(a, b):
    """1 if a < b, else 0."""
    return type(a)(1) if a < b else type(a)(0)


@_word
def step(a, b):
    """1 if a < b, 0.5 if a = b, 0 if a > b, NaN if either is."""
    real = type(a)
    unequal = real(1) if a < b else (real(0) if b < a else a + b)
    return real(0.5) if a == b else unequal


@_word
def determinant(a, b, c, d):
    """a*d - b*c (W. Kahan's algorithm: what the rounding of one product lost is added)."""
    product = b * c
    return fused(a, d, -product) + fused(-b, c, product)


@_word
def difference(p, q, d):
    """p - q, which is d."""
    return d


@_word
def sign(x):
    """-1, 0 or 1; NaN stays."""
    return type(x)(1) if x > 0 else (type(x)(-1) if x < 0 else x)


# --- two intervals ---------------------------------------------------------------------------------------------------


@_word
def _reach(low, high, other_low, other_high):
    """The length that two intervals share, or minus the gap between them."""
    return minimum(high, other_high) - maximum(low, other_low)


@_word
def shared(low, high, other_low, other_high):
    """The length that two intervals share."""
    return maximum(_reach(low, high, other_low, other_high), type(low)(0))


@_word
def gap(low, high, other_low, other_high):
    """The length between two intervals."""
    return maximum(-_reach(low, high, other_low, other_high), type(low)(0))


@_word
def shared_slope(low, high, other_low, other_high):
    """The slope of shared along high: the mean of the slopes upwards and, if low < high, downwards."""
    half, zero = type(low)(0.5), type(low)(0)
    reach = _reach(low, high, other_low, other_high)
    up = half if (high < other_high) & (reach >= 0) else zero
    down = half if (high <= other_high) & (reach > 0) else zero
    return up + (down if low < high else up)


@_word
def gap_slope(low, high, other_low, other_high):
    """The slope of gap along high: the mean of the slopes upwards and, if low < high, downwards."""
    half, zero = type(low)(0.5), type(low)(0)
    reach = _reach(low, high, other_low, other_high)
    up = half if (high < other_high) & (reach < 0) else zero
    down = half if (high <= other_high) & (reach <= 0) else zero
    return -(up + (down if low < high else up))
