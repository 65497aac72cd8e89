"""The words for Numba: accuracy against mpmath, special cases, and loops that are vectorized."""

import functools
import math
import re

import llvmlite.binding
import numba
import numpy as np
import pytest
from mpmath import mp, mpf
from oracle import MEANINGS

from lossbook import accuracy
from lossbook.backends.numba import words as numba_words

REALS = (np.float32, np.float64)
KERNEL = {"nogil": True, "error_model": "numpy", "fastmath": {"nsz"}}


def _p(p, q, d):
    """The exact p: near q it is q + d, for the caller knows d more exactly than p."""
    return q + d if abs(d) <= q / 2 else p


# The meaning of each word for finite arguments, by the number of its arguments.
EXACT = {
    1: {
        "exp": mp.exp,
        "log": mp.log,
        "log1p": mp.log1p,
        "expm1": mp.expm1,
        "sqrt": mp.sqrt,
        "tanh": mp.tanh,
        "square": lambda x: x * x,
        "absolute": abs,
        "sign": mp.sign,
        "reciprocal": lambda b: 1 / b,
        "softplus": lambda x: mp.log1p(mp.exp(x)),
        "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
        "log_cosh": lambda x: mp.log1p(2 * mp.sinh(x / 2) ** 2),
        "arctan": mp.atan,
    },
    2: {
        "maximum": max,
        "minimum": min,
        "less": lambda a, b: mpf(a < b),
        "step": lambda a, b: (mpf(a < b) + mpf(a <= b)) / 2,
        "arctan2": mp.atan2,
        "weighted": lambda w, x: w * x,
        "hypot_minus": lambda x, d: x * x / (mp.sqrt(x * x + d * d) + d),
        "over_hypot": lambda x, d: x / mp.sqrt(x * x + d * d),
        "quotient": lambda a, b: a / b,
        "share": lambda a, b: a / (a + b),
        "power": lambda b, k: b**k,
        "power_slope": lambda b, k: k * b ** (k - 1),
        "sigmoid_power": lambda x, k: mp.exp(-k * mp.log1p(mp.exp(-x))),
        "power1p": lambda x, k: (1 + x) ** k,
        "power1p_slope": lambda x, k: k * (1 + x) ** (k - 1),
        "charbonnier": lambda x, d: d * x * x / (mp.sqrt(x * x + d * d) + d),
        "damped": lambda x, d: x / mp.sqrt(1 + (x / d) ** 2),
        "xlogy": lambda x, y: x * mp.log(y),
        "weighted_softplus": lambda w, x: w * mp.log1p(mp.exp(x)),
        "weighted_sigmoid": lambda w, x: w / (1 + mp.exp(-x)),
        "residual_of_logit": lambda y, x: (
            -mp.tanh(x / 2) / 2 if y == 0.5 else (y - (1 - y) * mp.exp(x)) / (1 + mp.exp(x))  # in which nothing cancels
        ),
    },
    3: {
        "lerp": lambda p, q, a: (1 - a) * p + a * q,
        "difference": lambda p, q, d: d,
        "log_ratio": lambda p, q, d: mp.log(_p(p, q, d) / q),
        "kl_div": lambda p, q, d: _p(p, q, d) * mp.log(_p(p, q, d) / q) - d,
        "weighted_quotient": lambda w, a, b: w * a / b,
        "weighted_sigmoid_power": lambda w, x, k: w * (1 + mp.exp(-x)) ** -k,
        "kl_div_of_logit": MEANINGS["kl_div_of_logit"],
    },
    4: {
        **{name: MEANINGS[name] for name in ("determinant", "shared", "gap", "shared_slope", "gap_slope")},
        "skew_entropy": lambda p, q, a, d: p * mp.log(p / ((1 - a) * p + a * q)) - a * (p - q),
        "skew_log": lambda p, q, a, d: mp.log(p / ((1 - a) * p + a * q)),
        "skew_pull": lambda p, q, a, d: a * (p - q) / ((1 - a) * p + a * q),
    },
}
ARITY = {word: count for count, words in EXACT.items() for word in words}

# The largest error in ulp: measured over millions of points, and a little room for other compilers.  A second number
# is multiplied with abs(log(result)), the size of an exponent whose rounding the exponential magnifies.
BOUNDS = {
    "absolute": 0, "sign": 0, "maximum": 0, "minimum": 0, "less": 0, "step": 0, "difference": 0,
    "determinant": 2, "shared": 0.5, "gap": 0.5, "shared_slope": 0, "gap_slope": 0, "arctan2": 2,
    "sqrt": 0.5, "square": 0.5, "reciprocal": 0.5, "weighted": 0.5, "quotient": 0.5,
    "exp": 1.5, "log": 1, "log1p": 1.75, "expm1": 2.25, "tanh": 2.75, "softplus": 2.75, "sigmoid": 3.25,
    "log_cosh": 2.75, "hypot_minus": 3, "over_hypot": 2.5, "arctan": 1.5, "share": 1.75, "log_ratio": 2.25, "kl_div": 5,
    "lerp": 2, "power": (2, 0.4), "power_slope": (3, 0.4), "sigmoid_power": (3, 1),
    "power1p": (3, 1), "power1p_slope": (4, 1), "charbonnier": 3.5, "damped": 2.5, "xlogy": 1.75,
    "residual_of_logit": 4, "kl_div_of_logit": 3,
    "weighted_softplus": 3.25, "weighted_sigmoid": 3.75, "weighted_sigmoid_power": (3.5, 1),
    "weighted_quotient": 1.5, "skew_entropy": 9, "skew_log": 5, "skew_pull": 4,
}  # fmt: skip

INF, NAN = math.inf, math.nan

# Arguments and the result, for both types.
SPECIAL = {
    "exp": [((0,), 1), ((-INF,), 0), ((INF,), INF), ((-1e30,), 0), ((1e30,), INF)],
    "log": [((0,), -INF), ((-0.0,), -INF), ((1,), 0), ((INF,), INF), ((-1e-40,), NAN), ((-1,), NAN), ((-INF,), NAN)],
    "log1p": [((0,), 0), ((-1,), -INF), ((-1.5,), NAN), ((-INF,), NAN), ((INF,), INF)],
    "expm1": [((0,), 0), ((-INF,), -1), ((INF,), INF), ((-1e30,), -1), ((1e30,), INF)],
    "sqrt": [((0,), 0), ((INF,), INF), ((-1,), NAN)],
    "tanh": [((0,), 0), ((-INF,), -1), ((INF,), 1), ((-1e30,), -1), ((1e30,), 1)],
    "square": [((0,), 0), ((-INF,), INF)],
    "absolute": [((0,), 0), ((-INF,), INF)],
    "sign": [((0,), 0), ((-0.0,), 0), ((-INF,), -1), ((INF,), 1)],
    "reciprocal": [((0,), 0), ((-0.0,), 0), ((INF,), 0), ((-INF,), 0)],
    "softplus": [((-INF,), 0), ((INF,), INF), ((-1e30,), 0)],
    "sigmoid": [((0,), 0.5), ((-INF,), 0), ((INF,), 1), ((-1e30,), 0), ((1e30,), 1)],
    "log_cosh": [((0,), 0), ((-INF,), INF), ((INF,), INF)],
    "maximum": [((1, 2), 2), ((2, 1), 2), ((-INF, 0), 0), ((INF, 0), INF)],
    "minimum": [((1, 2), 1), ((2, 1), 1), ((-INF, 0), -INF), ((INF, 0), 0)],
    "less": [((1, 2), 1), ((2, 1), 0), ((1, 1), 0), ((-INF, INF), 1), ((NAN, 1), 0), ((1, NAN), 0)],
    "step": [((1, 2), 1), ((2, 1), 0), ((1, 1), 0.5), ((-INF, INF), 1), ((INF, INF), 0.5), ((0, -0.0), 0.5)],
    "determinant": [((2, 3, 4, 5), -2), ((0.1, 0.3, 0.1, 0.3), 0), ((0, 0, 0, 0), 0)],
    "difference": [((3, 1, 2), 2), ((INF, 1, 5), 5)],
    "arctan2": [((0, 0), 0), ((0, 3), 0)],
    "shared": [((0, 1, 2, 3), 0), ((0, 2, 2, 3), 0), ((0, 2, 1, 3), 1), ((0, 3, 1, 3), 2), ((1, 2, 0, 3), 1)],
    "gap": [((0, 1, 3, 4), 2), ((3, 4, 0, 1), 2), ((0, 2, 2, 3), 0), ((0, 2, 1, 3), 0)],
    "shared_slope": [
        ((0, 1, 2, 3), 0), ((0, 2, 2, 3), 0.5), ((0, 2, 1, 3), 1), ((0, 3, 1, 3), 0.5), ((0, 3, 3, 3), 0),
        ((2, 2, 2, 3), 1), ((1, 1, 0, 3), 1), ((3, 3, 0, 3), 0), ((4, 5, 0, 3), 0),
    ],
    "gap_slope": [
        ((0, 1, 2, 3), -1), ((0, 2, 2, 3), -0.5), ((0, 2, 1, 3), 0), ((0, 3, 3, 3), -0.5), ((2, 2, 2, 3), 0),
        ((1, 1, 2, 3), -1), ((4, 5, 0, 3), 0),
    ],
    "weighted": [((0, INF), 0), ((0, NAN), NAN), ((-0.0, INF), 0), ((2, INF), INF)],
    "hypot_minus": [((0, 2), 0), ((-INF, 2), INF), ((INF, 1), INF), ((3, 4), 1), ((-1e30, 1e-30), 1e30)],
    "over_hypot": [((0, 2), 0), ((-INF, 2), -1), ((INF, 1), 1), ((3, 4), 0.6), ((-1e30, 1e-30), -1)],
    "arctan": [((0,), 0)],
    "quotient": [((0, 0), 0), ((0, 3), 0), ((0, INF), 0), ((0, NAN), NAN), ((1, 0), INF), ((-1, 0), -INF)],
    "share": [((0, 0), 0), ((0, 1), 0), ((1, 0), 1), ((INF, 1), 1), ((1, INF), 0), ((INF, INF), NAN), ((1, 1), 0.5)],
    "power": [
        ((0, 0), 1), ((INF, 0), 1), ((NAN, 0), 1), ((-1, 0), 1), ((0, 2), 0), ((0, 0.5), 0), ((INF, 0.5), INF),
        ((-1, 2), NAN), ((-1e-40, 0.5), NAN), ((1, 7), 1), ((0.5, INF), 0), ((2, INF), INF),
    ],
    "power_slope": [
        ((0, 0), 0), ((1, 0), 0), ((INF, 0), 0), ((0, 1), 1), ((5, 1), 1), ((INF, 1), 1), ((0, 2), 0), ((0, 1.5), 0),
        ((INF, 2), INF), ((INF, 0.5), 0), ((-1, 1.5), NAN),
    ],
    "sigmoid_power": [
        ((-INF, 0), 1), ((INF, 0), 1), ((3, 0), 1), ((-INF, 2), 0), ((-INF, 1e-3), 0), ((INF, 2), 1), ((0, 1), 0.5),
    ],
    "power1p": [((-1, 0), 1), ((INF, 0), 1), ((-2, 0), 1), ((-1, 2), 0), ((0, 1000), 1), ((-2, 2), NAN), ((1, 3), 8)],
    "power1p_slope": [((-1, 0), 0), ((-1, 1), 1), ((-1, 0.5), 0), ((-1, 2), 0), ((1, 3), 12), ((-2, 1.5), NAN)],
    "charbonnier": [((0, 2), 0), ((-INF, 2), INF), ((3, 4), 4), ((-2, 1.5), 1.5)],
    "damped": [((0, 2), 0), ((-INF, 2), -2), ((3, 4), 2.4), ((-1e-30, 1e30), -1e-30), ((1e30, 1e-30), 1e-30)],
    "xlogy": [((0, 0), 0), ((0, INF), 0), ((-0.0, 0), 0), ((2, 0), -INF), ((2, 1), 0), ((0, NAN), NAN)],
    "residual_of_logit": [((0.5, 0), 0), ((1, 0), 0.5), ((1, INF), 0), ((0, -INF), 0), ((0, INF), -1), ((1, -INF), 1)],
    "kl_div_of_logit": [((0, -1000, 0), 0), ((0.5, 0, 0), 0), ((1, -1000, 1), 999), ((1, -INF, 1), INF)],
    "weighted_softplus": [((0, INF), 0), ((0, -INF), 0), ((2, INF), INF), ((1e30, -INF), 0), ((3, 1e4), 3e4)],
    "weighted_sigmoid": [((0, INF), 0), ((2, INF), 2), ((1e30, -INF), 0), ((3, 0), 1.5)],
    "weighted_sigmoid_power": [((3, -INF, 0), 3), ((0, INF, 2), 0), ((4, 0, 2), 1), ((1e30, -INF, 2), 0)],
    "weighted_quotient": [((0, 1, 0), 0), ((1, 0, 0), 0), ((2, 3, 4), 1.5), ((1, 1, 0), INF), ((2, 0, 5), 0)],
    "skew_entropy": [
        ((0, 0, 0.5, 0), 0), ((1, 0, 1, 1), INF), ((0, 1, 0.5, -1), 0.5), ((0.5, 0.5, 0.3, 0), 0), ((1, 0, 0, 1), 0),
    ],
    "skew_log": [((0, 0, 0.5, 0), 0), ((0, 1, 0.5, -1), -INF), ((0.5, 0.5, 0.3, 0), 0), ((1, 0, 0, 1), 0)],
    "skew_pull": [((0, 0, 0.5, 0), 0), ((0, 1, 0.5, -1), -1), ((1, 0, 0.5, 1), 1), ((1, 0, 0, 1), 0)],
    "lerp": [((3, 5, 0), 3), ((3, 5, 1), 5), ((0, 0, 0.5), 0), ((INF, 1, 0.5), INF), ((1, INF, 0.5), INF)],
    "log_ratio": [
        ((0, 0, 0), 0), ((0, 1, -1), -INF), ((1, 0, 1), INF), ((1, 1, 0), 0), ((INF, 1, INF), INF),
        ((1, INF, -INF), -INF), ((-1, 1, -2), NAN), ((1, -1, 2), NAN),
    ],
    "kl_div": [
        ((0, 0, 0), 0), ((0, 3, -3), 3), ((1, 0, 1), INF), ((1, 1, 0), 0), ((INF, 1, INF), INF), ((1, INF, -INF), INF),
        ((0, INF, -INF), INF), ((-1, 1, -2), NAN), ((1, -1, 2), NAN),
    ],
}  # fmt: skip

every_word = pytest.mark.parametrize("word", ARITY)
every_real = pytest.mark.parametrize("real", REALS, ids=lambda real: real.__name__)


@functools.cache
def loop(word):
    """A loop over a word, compiled as a kernel is."""
    function = getattr(numba_words, word)

    def of_one(a, out):
        for i in range(out.size):
            out[i] = function(a[i])

    def of_two(a, b, out):
        for i in range(out.size):
            out[i] = function(a[i], b[i])

    def of_three(a, b, c, out):
        for i in range(out.size):
            out[i] = function(a[i], b[i], c[i])

    def of_four(a, b, c, d, out):
        for i in range(out.size):
            out[i] = function(a[i], b[i], c[i], d[i])

    return numba.njit(**KERNEL)((of_one, of_two, of_three, of_four)[ARITY[word] - 1])


def applied(word, real, arguments):
    """A word on arrays."""
    arguments = [np.asarray(argument, real) for argument in arguments]
    out = np.empty_like(arguments[0])
    loop(word)(*arguments, out)
    return out


def assembly(function, real):
    """The machine code of a compiled function for one type."""
    name = numba.from_dtype(np.dtype(real)).name
    return next(text for types, text in function.inspect_asm().items() if name in str(types[0]))


def called(text):
    """The names of the C mathematics library in machine code."""
    names = "exp|exp2|expm1|log|log2|log1p|pow|sqrt|tanh|sinh|cosh|fma|fabs|fmax|fmin|copysign|ldexp|frexp|round|floor"
    return set(re.findall(rf"\b_?(?:{names})f?\b(?=$|,|@)", text, re.MULTILINE))


def packed(text, real):
    """The arithmetic of machine code on vectors of a type."""
    features = llvmlite.binding.get_host_cpu_features()
    if not (features.get("avx2") and features.get("fma")):
        pytest.skip("needs a processor with AVX2 and FMA")
    suffix = "ps" if real is np.float32 else "pd"
    pattern = rf"\bv(andps|(?:add|sub|mul|div|sqrt|max|min|cmp\w*|fn?m(?:add|sub)\d+){suffix})\b.*%[yz]mm"
    return re.findall(pattern, text)


# --- accuracy -------------------------------------------------------------------------------------------------------


def exact(word, arguments):
    """The exact results at many points, each from two precisions that agree."""
    meaning = EXACT[ARITY[word]][word]
    points = [tuple(mpf(float(number)) for number in at) for at in zip(*arguments, strict=True)]
    results, open_points = [None] * len(points), range(len(points))
    for digits in (60, 120, 240, 480, 960):
        with mp.workdps(digits):
            tolerance, waiting = mpf(10) ** -25, []
            for i in open_points:
                previous, results[i] = results[i], meaning(*points[i])
                if previous is None or abs(results[i] - previous) > abs(results[i]) * tolerance:
                    waiting.append(i)
        open_points = waiting
    assert not open_points, f"{word}: no two precisions agree at {points[open_points[0]]}"
    return results


def errors(results, wanted):
    """The errors of results in ulp of the exact ones; results below the normal numbers may vanish."""
    off, tiny = accuracy.error_in_ulp(results, np.array(wanted, object)), float(np.finfo(results.dtype).smallest_normal)
    vanishes = [got == 0 and abs(want) < tiny for got, want in zip(results, wanted, strict=True)]
    return np.where(vanishes, 0, off)


def spread(real):
    """Positive numbers of all exponents, subnormal ones, too."""
    info = np.finfo(real)
    exponents = np.unique(np.linspace(info.minexp - info.nmant, info.maxexp - 1, 250).astype(int))
    return np.concatenate([np.ldexp(real(m), exponents) for m in (1, 1.41, 1.99)]).astype(real)


def around(real, center):
    """Numbers at a few and at many ulp from a positive number."""
    steps = np.concatenate([np.arange(5), 3 ** np.arange(2, np.finfo(real).nmant * 3 // 5)])
    steps = np.concatenate([-steps[:0:-1], steps])
    return (real(center) + steps * np.spacing(real(center))).astype(real)


def positive(real):
    """Positive numbers: of all sizes, ordinary, and near one."""
    edges = [around(real, center) for center in (1, math.sqrt(0.5), math.sqrt(2), 2, 0.5)]
    return np.concatenate([spread(real), np.linspace(0, 5, 701)[1:], np.linspace(0.5, 1.5, 700), *edges]).astype(real)


def signed(real):
    """Numbers of both signs: of all sizes, ordinary, and where an exponential over- or underflows or changes course."""
    info = np.finfo(real)
    centers = [math.log(info.max), -math.log(info.smallest_normal), -math.log(info.smallest_subnormal)]
    centers += [center / 2 for center in centers] + [math.log(2) * n / 2 for n in (1, 2, 3, 5)] + [1, 1.3]
    centers += [89, 710] if real is np.float64 else [89]
    edges = np.concatenate([around(real, center) for center in centers])
    ordinary = np.concatenate([np.linspace(0, 1, 301)[1:], np.linspace(1, 30, 300), np.linspace(30, 110, 100)])
    return np.concatenate([sign * part for sign in (-1, 1) for part in (spread(real), ordinary, edges)]).astype(real)


def ratios(real, generator, size):
    """p, q and p - q: near each other, with a difference finer than p; at most a factor 2 apart; and any."""
    q = np.concatenate([generator.uniform(0, 1, 2 * size), generator.choice(spread(real), 2 * size)]).astype(real)
    q = q[(q > 64 * np.finfo(real).smallest_normal) & (q < np.finfo(real).max / 4)]
    t = (generator.choice([-1, 1], q.size) * 2.0 ** generator.uniform(-40, -1.01, q.size)).astype(real)
    near = q + q * t, q, q * t
    other = (q * generator.uniform(0.5, 2, q.size)).astype(real)
    p, others = generator.choice(positive(real), (2, size))
    parts = near, (other, q, other - q), (p, others, p - others)
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def points(word, real):
    """The arguments at which a word is compared."""
    generator = np.random.default_rng(20)
    size = 1500
    up, all_signs = generator.permutation(positive(real)), generator.permutation(signed(real))
    if ARITY[word] == 1:
        if word == "log1p":
            return (np.concatenate([all_signs[all_signs > -1], -np.nextafter(real(1), real(0)) + up[up < 1] / 2]),)
        return (up if word in ("log", "sqrt") else all_signs,)
    if word in ("power", "power_slope", "sigmoid_power"):
        base = generator.choice(all_signs[abs(all_signs) < 1e4] if word == "sigmoid_power" else up, 2 * size)
        if word == "power_slope":
            base = np.maximum(base, np.finfo(real).smallest_normal)
        # Half of the exponents are ordinary; the others make results of all sizes.
        logarithm = np.logaddexp(0, -base, dtype=float) if word == "sigmoid_power" else np.log(base, dtype=float)
        sizes = generator.uniform(0, -np.log(np.finfo(real).smallest_normal, dtype=float), size)
        k = generator.uniform(0, 5, 2 * size)
        k[::2] = np.minimum(sizes / np.maximum(abs(logarithm[::2]), 1e-3), 1e5)
        return base, k.astype(real)
    if word.startswith("power1p"):
        x = np.concatenate([-up[up <= 0.5], all_signs[all_signs > -1]])
        x = generator.choice(x[abs(x) < 1e4], 2 * size)
        return x, generator.uniform(0, 80 / np.maximum(abs(np.log1p(x.astype(float))), 0.08)).astype(real)
    if word.startswith("weighted_s"):  # far out, large weights bring back what would vanish
        x = generator.choice(all_signs[abs(all_signs) < 1e4], size)
        x[::2] = generator.uniform(0, 1.2, x[::2].size) * np.log(np.finfo(real).tiny)
        w, k = 10.0 ** generator.uniform(-3, 30, size), generator.uniform(0, 5, size)
        return tuple(a.astype(real) for a in (w, x, k)[: ARITY[word]])
    if word == "weighted_quotient":
        b = generator.choice(up[up < 1], size)
        return generator.uniform(0, 1, size).astype(real), (b * generator.uniform(0.5, 2, size)).astype(real), b
    if word.startswith("skew"):  # halves, so that differences are exact
        q = generator.choice(up[up < 1], size)
        p = (q * generator.choice([0.5, 1, 1.5, 2], size)).astype(real)
        return p, q, generator.choice([0.25, 0.5, 0.75], size).astype(real), p - q
    if word == "residual_of_logit":
        return generator.choice([0, 0.5, 1], size).astype(real), generator.choice(all_signs, size)
    if word == "kl_div_of_logit":  # far down, where d is p
        p = generator.uniform(0.01, 1, size).astype(real)
        return p, generator.uniform(-1000, -40, size).astype(real), p
    if word == "lerp":
        return (*generator.choice(up[up < 1], (2, size)), generator.uniform(0, 1, size).astype(real))
    if word == "determinant":  # also of products that nearly agree
        a, b, c = generator.uniform(-3, 3, (3, size)).astype(real)
        return a, b, c, np.where(np.arange(size) % 2, b * c / a, generator.uniform(-3, 3, size)).astype(real)
    if ARITY[word] == 4:  # two intervals, half of which have ends in common
        ends = generator.choice(all_signs[abs(all_signs) < 1e30], (2, 2, size))
        ends[..., ::2] = generator.integers(0, 4, (2, 2, size // 2))
        return tuple(np.sort(ends, axis=1).reshape(4, size).astype(real))
    if ARITY[word] == 3:
        return ratios(real, generator, 600)
    if word == "xlogy":
        y = generator.choice(up[(up > 1e-30) & (up < 1e30)], size)
        return generator.choice(all_signs[(abs(all_signs) > 1e-30) & (abs(all_signs) < 1e30)], size), y
    first = generator.choice(up if word == "share" else all_signs, size)
    return first, generator.choice(up, size)


@every_real
@every_word
def test_accuracy(word, real):
    """At thousands of points of all sizes, a word is within its bound of the exact value."""
    arguments = points(word, real)
    fixed, growing = BOUNDS[word] if isinstance(BOUNDS[word], tuple) else (BOUNDS[word], 0)
    wanted = exact(word, arguments)
    off = errors(applied(word, real, arguments), wanted)
    wrong = [
        (float(ulp), *map(float, at))
        for ulp, want, *at in zip(off, wanted, *arguments, strict=True)
        if not (ulp <= fixed or (want and ulp <= fixed + growing * abs(mp.log(want))))
    ]
    assert not wrong, f"{len(wrong)} of {arguments[0].size}, the worst (ulp, arguments): {max(wrong)}"


# --- special cases --------------------------------------------------------------------------------------------------


@every_real
@every_word
def test_special_values(word, real):
    """At zeros, infinities and the edges of the domain, a word has the value of its definition."""
    arguments = zip(*(at for at, _ in SPECIAL[word]), strict=True)
    np.testing.assert_array_equal(applied(word, real, arguments), [real(want) for _, want in SPECIAL[word]])


@every_real
@every_word
def test_nan_stays(word, real):
    """NaN in any argument gives NaN, in vectors and in what is left over; only a comparison with NaN is false."""
    for place in range(ARITY[word]):
        arguments = np.full((ARITY[word], 37), 0.25)
        arguments[place] = NAN
        out = applied(word, real, arguments)
        if word == "less" or word.endswith(("shared_slope", "gap_slope")):
            assert np.isin(out, (-1, -0.5, 0, 0.5, 1)).all()
        elif (word, place) not in (("difference", 0), ("difference", 1)):
            assert np.isnan(out).all()


@every_real
@pytest.mark.parametrize("k", [1e-3, 0.25, 0.999])
def test_power_slope_near_zero(real, k):
    """For k < 1 the slope of a power is 0 at 0, and finite at subnormal numbers."""
    info = np.finfo(real)
    b = np.array([0, info.smallest_subnormal, info.smallest_normal / 3, info.smallest_normal], real)
    slopes = applied("power_slope", real, [b, np.full(b.size, k)])
    assert slopes[0] == 0
    assert np.isfinite(slopes).all()
    assert (slopes[1:] >= slopes[-1]).all()


@every_real
def test_symmetry(real):
    """tanh is odd and log_cosh is even, to the last digit."""
    x = signed(real)
    np.testing.assert_array_equal(applied("tanh", real, [-x]), -applied("tanh", real, [x]))
    np.testing.assert_array_equal(applied("log_cosh", real, [-x]), applied("log_cosh", real, [x]))


def test_all_words_are_tested():
    """This file knows every word that the module offers."""
    assert set(ARITY) == set(SPECIAL) == set(numba_words.__all__)


# --- machine code ---------------------------------------------------------------------------------------------------


@every_real
@every_word
def test_loop_is_vectorized(word, real):
    """A loop over a word works on whole vectors of its own type and calls no mathematics library."""
    applied(word, real, np.full((ARITY[word], 3), 0.25))
    text = assembly(loop(word), real)
    assert not called(text)
    assert packed(text, real) or word == "difference"  # which computes nothing
    if real is np.float32:
        assert set(packed(text, np.float64)) <= {"andps"}  # no literal has promoted float32


@numba.njit(**KERNEL)
def cross_entropy(z, y, gradient, terms):
    """Binary cross entropy with logits, value and gradient."""
    one = y.dtype.type(1)
    for i in range(z.size):
        terms[i] = y[i] * numba_words.softplus(-z[i]) + (one - y[i]) * numba_words.softplus(z[i])
        gradient[i] = (one - y[i]) * numba_words.sigmoid(z[i]) - y[i] * numba_words.sigmoid(-z[i])


@numba.njit(**KERNEL)
def one_cross_entropy(z, y):
    """The same for one element."""
    one = type(y)(1)
    return (
        y * numba_words.softplus(-z) + (one - y) * numba_words.softplus(z),
        (one - y) * numba_words.sigmoid(z) - y * numba_words.sigmoid(-z),
    )


@every_real
def test_cross_entropy_is_vectorized(real):
    """The loop of binary cross entropy divides and multiplies whole vectors and calls no mathematics library."""
    z, y = np.linspace(-3, 3, 37).astype(real), np.linspace(0, 1, 37).astype(real)
    gradient, terms = np.empty_like(z), np.empty_like(z)
    cross_entropy(z, y, gradient, terms)
    np.testing.assert_allclose(terms, np.log1p(np.exp(z)) - y * z, rtol=20 * np.finfo(real).eps)
    text = assembly(cross_entropy, real)
    assert not called(text)
    operations = packed(text, real)
    assert any(operation.startswith("div") for operation in operations)
    assert any(operation.startswith("mul") for operation in operations)
    assert any(operation.startswith("fm") for operation in operations)


@every_real
def test_words_share_their_exponential(real):
    """softplus and sigmoid at z and at -z together divide only twice, so the compiler has merged what they share."""
    one_cross_entropy(real(0.5), real(0.25))
    text = assembly(one_cross_entropy, real)
    packed(text, real)  # skips other processors
    assert len(re.findall(r"\bvdivs[sd]\b", text)) == 2
