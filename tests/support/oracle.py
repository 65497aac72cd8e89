"""Exact values and slopes of a loss, from its formula alone, in mpmath.

Nothing here uses the package's derivatives, plans or kernels. A word is evaluated by its definition, at two
precisions that must agree; a slope is a central difference so fine, at a precision so high, that its error is far
below the last digit of a double (one-sided at the edge of a domain). Numbers that were found once are stored
(`stored.py`), under a key that holds the text of all definitions here that they follow from.
"""

import functools
import math

import mpmath
import numpy as np
import sympy
from mpmath import mp, mpf
from stored import stored

from lossbook import accuracy, words

DIGITS = (720, 1000)
STEP = mpf(10) ** -320  # below the smallest number that a test uses, so that no step leaves a domain


def exact(number):
    """A float as an exact mpf."""
    return mpf(float(number))


def _log(x):
    return mpf("-inf") if x == 0 else mp.log(x)


def _xlogy(a, b):
    return mpf(0) if a == 0 else a * _log(b)


def _ratio(a, b):
    return mpf(0) if a == 0 else mpf("inf") if b == 0 else a / b


def _reach(low, high, other_low, other_high):
    return min(high, other_high) - max(low, other_low)


def _at_high(length):
    """The slope of a length along the end `high` of the first interval: the mean of its differences to either side."""

    def mean(low, high, *other):
        with mp.workdps(max(DIGITS)):
            up, down = ((length(low, high + step, *other) - length(low, high, *other)) / step for step in (STEP, -STEP))
            return (up + (down if low < high else up)) / 2

    return mean


MEANINGS = {
    "exp": mp.exp,
    "log": _log,
    "log1p": lambda x: _log(1 + x),
    "softplus": lambda x: mp.log(1 + mp.exp(x)) if mp.isfinite(x) else max(x, mpf(0)),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)) if mp.isfinite(x) else mpf(x > 0),
    "sigmoid_power": lambda x, k: mpf(1) if k == 0 else (1 / (1 + mp.exp(-x))) ** k if mp.isfinite(x) else mpf(x > 0),
    "log_cosh": lambda x: mp.log(mp.cosh(x)) if mp.isfinite(x) else abs(x),
    "tanh": mp.tanh,
    "sqrt": mp.sqrt,
    "power": lambda b, k: mpf(1) if k == 0 else mpf(0) if b == 0 else b**k,
    "power_slope": lambda b, k: mpf(0) if k == 0 or (b == 0 and k != 1) else mpf(k) if k == 1 else k * b ** (k - 1),
    "power1p": lambda x, k: MEANINGS["power"](1 + x, k),
    "power1p_slope": lambda x, k: MEANINGS["power_slope"](1 + x, k),
    "reciprocal": lambda b: mpf(0) if b == 0 else 1 / b,
    "share": lambda a, b: mpf(0) if a + b == 0 else a / (a + b),
    "lerp": lambda p, q, a: (1 - a) * p + a * q,
    "log_ratio": lambda p, q, d: mpf(0) if p == q else _log(p) - _log(q),
    "kl_div": lambda p, q, d: _xlogy(p, p) - _xlogy(p, q) - d,
    "skew_entropy": lambda p, q, a, d: _xlogy(p, p) - _xlogy(p, (1 - a) * p + a * q) - a * d,
    "skew_log": lambda p, q, a, d: mpf(0) if a * d == 0 else _log(p) - _log((1 - a) * p + a * q),
    "skew_pull": lambda p, q, a, d: _ratio(a * d, (1 - a) * p + a * q),
    "charbonnier": lambda x, d: d * (mp.sqrt(x * x + d * d) - d),
    "damped": lambda x, d: x / mp.sqrt(1 + (x / d) ** 2) if mp.isfinite(x) else mp.sign(x) * d,
    "xlogy": _xlogy,
    "residual_of_logit": lambda y, x: y - 1 / (1 + mp.exp(-x)),
    "kl_div_of_logit": lambda p, x, d: _xlogy(p, p) + p * mp.log(1 + mp.exp(-x)) - d,
    "hypot_minus": lambda x, d: mp.sqrt(x * x + d * d) - d,
    "over_hypot": lambda x, d: x / mp.sqrt(x * x + d * d) if mp.isfinite(x) else mp.sign(x),
    "arctan": mp.atan,
    "arctan2": lambda y, x: mpf(0) if y == 0 else mp.atan2(y, x),
    "determinant": lambda a, b, c, d: a * d - b * c,
    "difference": lambda p, q, d: p - q,
    "shared": lambda *ends: max(_reach(*ends), mpf(0)),
    "gap": lambda *ends: max(-_reach(*ends), mpf(0)),
    "shared_slope": _at_high(lambda *ends: max(_reach(*ends), mpf(0))),
    "gap_slope": _at_high(lambda *ends: max(-_reach(*ends), mpf(0))),
    "step": lambda a, b: (mpf(a < b) + mpf(a <= b)) / 2,
    "quotient": _ratio,
    "weighted": lambda w, x: mpf(0) if w == 0 else w * x,
    "absolute": abs,
    "sign": mp.sign,
    "less": lambda a, b: mpf(a < b),
    "maximum": max,
    "minimum": min,
}


class Evaluator:
    """A formula at one place: `symbols` maps symbols to mpf, or to lists over the classes or elements."""

    def __init__(self, symbols, index=None):
        self.symbols, self.index, self.known = symbols, index, {}

    def at(self, index):
        return Evaluator(self.symbols, index)

    def __call__(self, e):
        """The value of an expression, whose parts are each found once, in the working precision."""
        key = mp.prec, e
        if key not in self.known:
            self.known[key] = self.evaluated(e)
        return self.known[key]

    def evaluated(self, e):
        if e.is_Symbol:
            value = self.symbols[e]
            return value[self.index] if isinstance(value, list) else value
        if e.is_NumberSymbol:
            return {"Pi": mp.pi, "Exp1": mp.e}[type(e).__name__] * 1
        if e.is_Number:
            return mpf(e.p) / e.q if e.is_Rational else mpf(str(e))
        if e.is_Add:
            return mp.fsum(map(self, e.args))
        if e.is_Mul:
            factors = [self(factor) for factor in e.args]
            return mpf(0) if 0 in factors else mp.fprod(factors)
        if e.is_Pow:
            base, exponent = map(self, e.args)
            return mpf("inf") if base == 0 and exponent < 0 else base**exponent
        if isinstance(e, (words.sum_pixels, words.sum_classes)):
            return mp.fsum(self.at(index)(e.args[0]) for index in range(self.length))
        if isinstance(e, words.log_odds):
            z = self.symbols[e.args[0]]
            rest = [value for j, value in enumerate(z) if j != self.index]
            return z[self.index] - _log(mp.fsum(map(mp.exp, rest)))
        if isinstance(e, words.minus_largest):
            return self.symbols[e.args[0]][self.index] - max(self.symbols[e.args[0]])
        if isinstance(e, words.logsumexp):
            return mp.log(mp.fsum(map(mp.exp, self.symbols[e.args[0]])))
        if isinstance(e, words.minus_largest_of_others):
            z = self.symbols[e.args[0]]
            return z[self.index] - max(value for j, value in enumerate(z) if j != self.index)
        return MEANINGS[e.func.__name__.lower()](*map(self, e.args))

    @property
    def length(self):
        return max(len(value) for value in self.symbols.values() if isinstance(value, list))


def agreed(function):
    """function() at two precisions; they must agree to 25 digits."""
    results = []
    for digits in DIGITS:
        with mp.workdps(digits):
            results.append(function())
    low, high = results
    if mp.isfinite(high) and high != 0 and abs(low - high) > abs(high) * mpf(10) ** -25:
        raise AssertionError(f"the oracle disagrees with itself: {mp.nstr(low, 20)} and {mp.nstr(high, 20)}")
    return high


@stored
def value(expression, symbols):
    """The exact value."""
    return agreed(lambda: Evaluator(symbols)(expression))


@stored
def slope(expression, symbols, wrt, index=None, low=-math.inf, high=math.inf):
    """The exact slope along the symbol `wrt` (one entry of it, if it is a list)."""

    def moved(step):
        new = dict(symbols)
        if index is None:
            new[wrt] = symbols[wrt] + step
        else:
            new[wrt] = [x + step if j == index else x for j, x in enumerate(symbols[wrt])]
        return Evaluator(new)(expression)

    here = symbols[wrt] if index is None else symbols[wrt][index]

    def difference(step):
        up, down = (mpf(0) if here >= high else step), (mpf(0) if here <= low else step)
        return (moved(up) - moved(-down)) / (up + down)

    def difference_or_infinity():
        """At the edge of a domain, a slope that grows as the step shrinks is infinite, one that shrinks is 0."""
        result = difference(STEP)
        if low < here < high or not mp.isfinite(result):
            return result
        coarse = abs(difference(mp.sqrt(STEP)))
        if abs(result) < coarse * mpf(10) ** -30:
            return mpf(0)
        grows = abs(result) > mpf("1.5") * coarse and abs(result) > 100
        return mp.sign(result) * mpf("inf") if grows else result

    results = []
    for digits in DIGITS:
        with mp.workdps(digits):
            results.append(difference_or_infinity())
    low_digits, high_digits = results
    if mp.isfinite(high_digits) and abs(high_digits) > mpf(10) ** -300:
        assert abs(low_digits - high_digits) <= abs(high_digits) * mpf(10) ** -25
    return high_digits


@stored
def sides(expression, symbols, wrt, index=None, low=-math.inf, high=math.inf, digits=DIGITS[-1]):
    """The slopes downwards and upwards along `wrt`, of which one is left at the edge of a domain.

    Where the expression jumps or a slope is infinite, the slope is larger than any number of the tests.
    """
    with mp.workdps(digits):
        step, slopes = mpf(10) ** (-digits * 8 // 25), []  # a third of the digits for the step, a third for its effect
        here, at_rest = symbols[wrt] if index is None else symbols[wrt][index], Evaluator(symbols)(expression)
        for move, possible in ((-step, here > low), (step, here < high)):
            if possible:
                moved = here + move
                if index is not None:
                    moved = [moved if j == index else x for j, x in enumerate(symbols[wrt])]
                there = Evaluator({**symbols, wrt: moved})(expression)
                slopes.append((there - at_rest) / move)
    return slopes


def is_kink(expression, symbols):
    """Whether the slopes of the two sides of a place may differ: pieces of the expression meet there."""
    with mp.workdps(60):
        here = Evaluator(symbols)
        for found in expression.atoms(words.absolute, words.maximum, words.minimum):
            numbers = [here(argument) for argument in found.args]
            if (found.func is words.absolute and numbers[0] == 0) or (len(numbers) == 2 and numbers[0] == numbers[1]):
                return True
    return False


@stored
def element(expression, symbols, wrt, low, high):
    """(value, largest term of the slope, slope) of an element; at a kink, the slopes of both sides and a last 1."""
    true, largest = value(expression, symbols), largest_term(gradient(expression, wrt), symbols)
    if is_kink(expression, symbols):
        return [true, largest, *sides(expression, symbols, wrt, low=low, high=high), mpf(1)]
    return [true, largest, slope(expression, symbols, wrt, low=low, high=high)]


@stored
def pixels(expression, symbols, wrt, places):
    """(value, slopes along some places of a list, largest terms of the slopes) of a class of an image."""
    slopes = [slope(expression, symbols, wrt, i, 0.0, 1.0) for i in places]
    return [value(expression, symbols), *slopes, *(largest_term(gradient(expression, wrt), symbols, i) for i in places)]


@stored
def row(expression, symbols, wrt, target, low, high):
    """(value, slopes, largest terms, whether each class is at rest) of one row, which symbols[wrt] is.

    Only the slope of the scalar function of a class's standing is taken by a difference.
    """
    u = sympy.Symbol("u", real=True)
    z, y = symbols[wrt], symbols[target]
    fixed = {symbol: number for symbol, number in symbols.items() if not isinstance(number, list)}
    term = expression.args[0].subs({word(wrt): u for word in words.OF_CLASS}).subs(wrt, u)
    without = term.subs(target, 0).subs({symbol: 0 for symbol, number in fixed.items() if number == 0})
    total, parts, sizes, rest = [], [[] for _ in z], [[mpf(0)] for _ in z], [mpf(0)] * len(z)
    with mp.workdps(max(DIGITS) + 20):
        odds = list(map(mp.exp, z)) if expression.has(words.log_odds) else []
    for k in range(len(z)):
        if y[k] == 0 and without == 0:
            continue
        with mp.workdps(60):
            number, slopes = standing(expression, z, k, odds)
        here = {**fixed, target: y[k], u: number}
        total.append(value(term, here))
        pull = slope(term, here, u, low=low, high=high)
        size = max(abs(pull), largest_term(gradient(term, u), here)) if mp.isfinite(pull) else abs(pull)
        rest[k] = mpf(total[-1] == 0 and z[k] in (low, high))
        with mp.workdps(60):
            for j, part in slopes.items():
                parts[j].append(pull * part)
                sizes[j].append(size * abs(part))
    with mp.workdps(60):
        return [mp.fsum(total), *map(mp.fsum, parts), *map(max, sizes), *rest]


def standing(expression, z, k, odds):
    """What the loss of class k is a function of, and that number's slopes along the predictions z of the row.

    The log-odds of class k are z_k - log(sum of exp(z_j), j != k): their slope along z_j is 1 for j = k, else minus a
    softmax without k. Minus the largest it is z_k - max(z_j), whose slope all share that are at the top; minus the
    largest of the others it is the same with j != k. Else it is z_k itself.
    """
    if expression.has(words.log_odds):
        with mp.workdps(max(DIGITS) + 20):
            rest = mp.fsum(odds[:k] + odds[k + 1 :])
            number = z[k] - mp.log(rest) if rest else mp.inf
        return number, {j: mpf(1) if j == k else -odds[j] / rest for j in range(len(z))}
    if expression.has(words.minus_largest, words.minus_largest_of_others):
        rivals = [j for j in range(len(z)) if j != k or expression.has(words.minus_largest)]
        front = max(z[j] for j in rivals)
        top = [j for j in rivals if z[j] == front]
        with mp.workdps(max(DIGITS) + 20):
            return z[k] - front, {j: mpf(j == k) - mpf(j in top) / len(top) for j in {k, *top}}
    return z[k], {k: mpf(1)}


gradient = functools.cache(sympy.diff)


def check_between(got, slopes, dtype, largest=None, what=""):
    """Assert that a slope lies between those of the two sides, to within what is promised of each."""
    assert not math.isnan(got), f"{what}: got NaN"
    nearest = min(max(exact(got), min(slopes)), max(slopes))
    check(got, nearest, dtype, largest, what=f"{what}, between {', '.join(mp.nstr(s, 17) for s in slopes)}")


@functools.cache
def terms(expression):
    """The terms that an expression adds up, with its products multiplied out."""
    return sympy.Add.make_args(sympy.expand_mul(expression))


def largest_term(expression, symbols, index=None):
    """The largest of the terms that a gradient adds up, in magnitude: what its rounding is measured against."""
    with mp.workdps(60):
        here = Evaluator(symbols, index)
        return max(abs(here(term)) for term in terms(expression))


def largest_product(expression, symbols):
    """The same, found without multiplying out: of a long expression the products are too many to write down."""
    with mp.workdps(60):
        here = Evaluator(symbols)

        @functools.cache
        def largest(part):
            if part.is_Add:
                return max(map(largest, part.args))
            if part.is_Mul:
                return mp.fprod(map(largest, part.args))
            if part.is_Pow and part.exp.is_Integer and part.exp > 0:
                return largest(part.base) ** int(part.exp)
            return abs(here(part))

        return largest(expression)


def check(got, true, dtype, largest=None, what=""):
    """Assert that `got` is within 8 + |ln(exact)| ulp of `true` (of the largest term, if terms cancel)."""
    info = np.finfo(dtype)
    size = abs(true) if largest is None else max(abs(true), largest)
    if mp.isnan(true):
        assert math.isnan(got), f"{what}: got {got!r}, exact NaN"
        return
    if abs(true) > mpf(float(info.max)):
        assert (got if true > 0 else -got) >= float(info.max) / 2, f"{what}: got {got!r}, exact {true}"
        return
    if size < mpf(float(info.smallest_subnormal)):
        assert abs(got) <= 4 * float(info.smallest_subnormal), f"{what}: got {got!r}, exact {mp.nstr(true, 5)}"
        return
    if size > mpf(float(info.max)):
        return
    error = abs(exact(got) - true) / accuracy.ulp(size, dtype)
    if error <= 8:
        return
    allowed = 8 + abs(mpmath.log(size))
    assert error <= allowed, (
        f"{what}: got {got!r}, exact {mp.nstr(true, 17)}: {mp.nstr(error, 4)} ulp, allowed {mp.nstr(allowed, 4)}"
    )
