"""The vocabulary in which losses are written.

A word is a SymPy function with one exact meaning, one derivative made of words again, an exact
rewriting into exp and log (for proofs and for print), and one stable spelling per backend
(`backends/*/words.*`, the only hand-written numerics of the package). Formulas are sums and
products of words; nothing in a formula should cancel.

    >>> import sympy
    >>> z = sympy.Symbol("z", real=True)
    >>> softplus(z).diff(z)
    sigmoid(z)
    >>> softplus(z).rewrite(sympy.exp)
    log(exp(z) + 1)

`sum_pixels` and `sum_classes` are the sums over the pixels of an image and over the classes of a row. `log_odds`,
`minus_largest` and `minus_largest_of_others` compare a class with the others of its row; `logsumexp` is a number of
the row as a whole. `let` names a step, and the name survives in the generated kernel.
"""

import warnings
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import sympy
from sympy import exp, log
from sympy.core.function import ArgumentIndexError

from lossbook.names import check_name

__all__ = [
    "Word", "absolute", "arctan", "arctan2", "charbonnier", "classes", "damped", "determinant", "difference", "exp",
    "gap", "gap_slope", "hypot_minus", "kl_div", "kl_div_of_logit", "lerp", "less", "let", "log", "log1p", "log_cosh",
    "log_odds", "log_ratio", "logsumexp", "maximum", "minimum", "minus_largest", "minus_largest_of_others",
    "over_hypot", "power", "power1p", "power1p_slope", "power_slope", "reciprocal", "residual_of_logit", "share",
    "shared", "shared_slope", "sigmoid", "sigmoid_power", "sign", "skew_entropy", "skew_log", "skew_pull", "softmax",
    "softplus", "step", "sum_classes", "sum_pixels", "tanh", "xlogy",
]  # fmt: skip

# What a kernel may call: the words, and the functions of SymPy that every backend spells as well.
SPELLED = (
    "absolute", "arctan", "arctan2", "charbonnier", "damped", "determinant", "difference", "exp", "expm1", "gap",
    "gap_slope", "hypot_minus", "kl_div", "kl_div_of_logit", "lerp", "less", "log", "log1p", "log_cosh", "log_ratio",
    "maximum", "minimum", "over_hypot", "power", "power1p", "power1p_slope", "power_slope", "quotient", "reciprocal",
    "residual_of_logit", "share", "shared", "shared_slope", "sigmoid", "sigmoid_power", "sign", "skew_entropy",
    "skew_log", "skew_pull", "softplus", "sqrt", "square", "step", "tanh", "weighted", "weighted_quotient",
    "weighted_sigmoid", "weighted_sigmoid_power", "weighted_softplus", "xlogy",
)  # fmt: skip


class Word(sympy.Function):
    """A function of the vocabulary: `slopes` are its partial derivatives, `plain` its exact meaning."""

    bounded: bool | None = None  # True or False, or None: as bounded as its arguments are
    symbol = ""  # LaTeX of the function's name; empty prints the name upright

    def slopes(self) -> tuple[sympy.Expr, ...]:
        """The partial derivatives, one per argument, in words."""
        raise ArgumentIndexError(self, 1)

    def plain(self) -> sympy.Expr:
        """The meaning in exp, log and arithmetic, exact but not stable."""
        return self

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return self.slopes()[argindex - 1]

    def _eval_rewrite(self, rule, args, **hints):
        return self.func(*args).plain() if rule is exp else None

    def _latex(self, printer, exp=None):
        name = self.symbol or rf"\operatorname{{{self.func.__name__.replace('_', chr(92) + '_')}}}"
        arguments = ", ".join(printer._print(argument) for argument in self.args)
        return f"{name}{'' if exp is None else f'^{{{exp}}}'}\\left({arguments}\\right)"

    def _eval_is_extended_real(self):
        return True


def plainly(expression: sympy.Expr) -> sympy.Expr:
    """An expression with every word replaced by its meaning, and nothing else changed."""
    if not expression.args:
        return expression
    result = expression.func(*map(plainly, expression.args))
    return result.plain() if isinstance(result, Word) else result


# --- the logistic family -------------------------------------------------------------------------------------------


class softplus(Word):
    """log(1 + exp(x)): the cost in nats of the logit x for the answer no."""

    nargs = 1

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (sigmoid(self.args[0]),)

    def plain(self) -> sympy.Expr:
        return log(1 + exp(self.args[0]))


class sigmoid(Word):
    """1/(1 + exp(-x)): the probability whose logit is x."""

    nargs = 1
    bounded = True
    symbol = r"\sigma"

    def slopes(self) -> tuple[sympy.Expr, ...]:
        (x,) = self.args
        return (sigmoid(x) * sigmoid(-x),)

    def plain(self) -> sympy.Expr:
        return 1 / (1 + exp(-self.args[0]))

    def _eval_power(self, exponent):
        """sigmoid(x)**gamma stays accurate where sigmoid(x) underflows."""
        return None if exponent.is_Number else sigmoid_power(self.args[0], exponent)


class sigmoid_power(Word):
    """sigmoid(x)**k, computed as exp(-k*softplus(-x))."""

    nargs = 2
    bounded = True

    @classmethod
    def eval(cls, x: sympy.Expr, k: sympy.Expr) -> sympy.Expr | None:
        return sympy.S.One if k == 0 else sigmoid(x) if k == 1 else None

    def slopes(self) -> tuple[sympy.Expr, ...]:
        x, k = self.args
        return (k * sigmoid_power(x, k) * sigmoid(-x), -sigmoid_power(x, k) * softplus(-x))

    def plain(self) -> sympy.Expr:
        x, k = self.args
        return (1 + exp(-x)) ** (-k)

    def _latex(self, printer, exp=None):
        x, k = (printer._print(argument) for argument in self.args)
        k = k if exp is None else f"{exp} {k}"
        return rf"\sigma^{{{k}}}\left({x}\right)"


class residual_of_logit(Word):
    """y - sigmoid(x): what the label y has beyond the probability whose logit is x, exact where it is small."""

    nargs = 2
    bounded = True

    def slopes(self) -> tuple[sympy.Expr, ...]:
        _, x = self.args
        return (sympy.S.One, -sigmoid(x) * sigmoid(-x))

    def plain(self) -> sympy.Expr:
        y, x = self.args
        return y - sigmoid(x).plain()

    def _latex(self, printer, exp=None):
        y, x = self.args
        text = rf"\left({printer._print(y)} - {printer._print(sigmoid(x))}\right)"
        return text if exp is None else f"{text}^{{{exp}}}"


class log1p(Word):
    """log(1 + x), accurate where x is small."""

    nargs = 1
    bounded = False

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (1 / (1 + self.args[0]),)

    def plain(self) -> sympy.Expr:
        return log(1 + self.args[0])

    def _latex(self, printer, exp=None):
        text = rf"\log\left({printer._print(1 + self.args[0])}\right)"
        return text if exp is None else f"{text}^{{{exp}}}"


class log_cosh(Word):
    """log(cosh(x)): half the square near zero, the magnitude less log 2 far away."""

    nargs = 1

    @classmethod
    def eval(cls, x: sympy.Expr) -> sympy.Expr | None:
        return cls(-x) if x.could_extract_minus_sign() else None

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (tanh(self.args[0]),)

    def plain(self) -> sympy.Expr:
        (x,) = self.args
        return log((exp(x) + exp(-x)) / 2)


class tanh(Word):
    """The hyperbolic tangent."""

    nargs = 1
    bounded = True
    symbol = r"\tanh"

    def slopes(self) -> tuple[sympy.Expr, ...]:
        (x,) = self.args
        return (4 * sigmoid(2 * x) * sigmoid(-2 * x),)

    def plain(self) -> sympy.Expr:
        (x,) = self.args
        return (exp(x) - exp(-x)) / (exp(x) + exp(-x))


class hypot_minus(Word):
    """sqrt(x**2 + d**2) - d for d > 0, with nothing subtracted: a parabola near zero, the magnitude far away."""

    nargs = 2
    bounded = False

    def slopes(self) -> tuple[sympy.Expr, ...]:
        x, d = self.args
        return (over_hypot(x, d), over_hypot(d, x) - 1)

    def plain(self) -> sympy.Expr:
        x, d = self.args
        return sympy.sqrt(x**2 + d**2) - d

    def _latex(self, printer, exp=None):
        x, d = self.args
        text = rf"\left(\sqrt{{{printer._print(x**2 + d**2)}}} - {printer._print(d)}\right)"
        return text if exp is None else f"{text}^{{{exp}}}"


class over_hypot(Word):
    """x/sqrt(x**2 + d**2): the sine of the angle whose tangent is x/d."""

    nargs = 2
    bounded = True

    def slopes(self) -> tuple[sympy.Expr, ...]:
        x, d = self.args
        cube = sympy.sqrt(x**2 + d**2) ** 3
        return (d**2 / cube, -x * d / cube)

    def plain(self) -> sympy.Expr:
        x, d = self.args
        return x / sympy.sqrt(x**2 + d**2)

    def _latex(self, printer, exp=None):
        x, d = self.args
        text = rf"\frac{{{printer._print(x)}}}{{\sqrt{{{printer._print(x**2 + d**2)}}}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class charbonnier(Word):
    """d*(sqrt(x**2 + d**2) - d) for d > 0: half the square of x near zero, the magnitude of d*x far away."""

    nargs = 2
    bounded = False

    def slopes(self) -> tuple[sympy.Expr, ...]:
        x, d = self.args
        return (damped(x, d), hypot_minus(x, d) + d * (over_hypot(d, x) - 1))

    def plain(self) -> sympy.Expr:
        x, d = self.args
        return d * (sympy.sqrt(x**2 + d**2) - d)

    def _latex(self, printer, exp=None):
        x, d = self.args
        factor, d = printer.parenthesize(d, 50, strict=True), printer._print(d)
        text = rf"{factor} \left(\sqrt{{{printer._print(x**2 + self.args[1] ** 2)}}} - {d}\right)"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class damped(Word):
    """x/sqrt(1 + (x/d)**2) for d > 0: x near zero, d or -d far away."""

    nargs = 2

    def slopes(self) -> tuple[sympy.Expr, ...]:
        x, d = self.args
        return (over_hypot(d, x) ** 3, over_hypot(x, d) ** 3)

    def plain(self) -> sympy.Expr:
        x, d = self.args
        return x / sympy.sqrt(1 + (x / d) ** 2)

    def _latex(self, printer, exp=None):
        x, d = self.args
        text = rf"\frac{{{printer._print(x)}}}{{\sqrt{{{printer._print(1 + (x / d) ** 2)}}}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class arctan(Word):
    """The angle, in radians, whose tangent is x."""

    nargs = 1
    bounded = True
    symbol = r"\arctan"

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (reciprocal(1 + self.args[0] ** 2),)

    def plain(self) -> sympy.Expr:
        return sympy.atan(self.args[0])


class arctan2(Word):
    """The angle, in radians, whose tangent is y/x, for x >= 0; a right angle where x is 0, and 0 where both are."""

    nargs = 2
    bounded = True
    symbol = r"\operatorname{arctan2}"

    def slopes(self) -> tuple[sympy.Expr, ...]:
        y, x = self.args
        return (x * reciprocal(x**2 + y**2), -y * reciprocal(x**2 + y**2))

    def plain(self) -> sympy.Expr:
        return sympy.atan2(*self.args)


# --- powers, quotients and relative entropy ------------------------------------------------------------------------


class power(Word):
    """b**k for b >= 0."""

    nargs = 2

    @classmethod
    def eval(cls, b: sympy.Expr, k: sympy.Expr) -> sympy.Expr | None:
        return sympy.S.One if k == 0 else b if k == 1 else None

    def slopes(self) -> tuple[sympy.Expr, ...]:
        b, k = self.args
        return (power_slope(b, k), power(b, k) * log(b))

    def plain(self) -> sympy.Expr:
        return sympy.Pow(*self.args)

    def _latex(self, printer, exp=None):
        b, k = self.args
        base = printer.parenthesize(b, 1000, strict=True)
        return f"{base}^{{{printer._print(k) if exp is None else exp + printer._print(k)}}}"


class power_slope(Word):
    """k*b**(k - 1), the slope of b**k; 0 for k = 0, and for k < 1 at b = 0, where the true slope is infinite."""

    nargs = 2

    def slopes(self) -> tuple[sympy.Expr, ...]:
        b, k = self.args
        return (weighted(k, power_slope(b, k - 1)), power_slope(b, k) * log(b) + power(b, k - 1))  # 0 for k = 0

    def plain(self) -> sympy.Expr:
        b, k = self.args
        return k * b ** (k - 1)

    def _latex(self, printer, exp=None):
        b, k = self.args
        base, factor = printer.parenthesize(b, 1000, strict=True), printer.parenthesize(k, 50, strict=True)
        text = f"{factor} {base}^{{{printer._print(k - 1)}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class power1p(Word):
    """(1 + x)**k for x >= -1, accurate where x is small: a large k would magnify the rounding of 1 + x.

    A formula may simply say (1 - p)**k: a power of one plus something becomes this word.
    """

    nargs = 2

    @classmethod
    def eval(cls, x: sympy.Expr, k: sympy.Expr) -> sympy.Expr | None:
        return sympy.S.One if k == 0 else 1 + x if k == 1 else None

    def slopes(self) -> tuple[sympy.Expr, ...]:
        x, k = self.args
        return (power1p_slope(x, k), power1p(x, k) * log1p(x))

    def plain(self) -> sympy.Expr:
        x, k = self.args
        return (1 + x) ** k

    def _latex(self, printer, exp=None):
        x, k = self.args
        exponent = printer._print(k) if exp is None else exp + printer._print(k)
        return rf"\left({printer._print(1 + x)}\right)^{{{exponent}}}"


class power1p_slope(Word):
    """k*(1 + x)**(k - 1), the slope of (1 + x)**k; 0 for k = 0, and for k < 1 at x = -1 as `power_slope`."""

    nargs = 2

    def slopes(self) -> tuple[sympy.Expr, ...]:
        x, k = self.args
        return (weighted(k, power1p_slope(x, k - 1)), power1p_slope(x, k) * log1p(x) + power1p(x, k - 1))

    def plain(self) -> sympy.Expr:
        x, k = self.args
        return k * (1 + x) ** (k - 1)

    def _latex(self, printer, exp=None):
        x, k = self.args
        factor = printer.parenthesize(k, 50, strict=True)
        text = rf"{factor} \left({printer._print(1 + x)}\right)^{{{printer._print(k - 1)}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class xlogy(Word):
    """x*log(y), and 0 where x is 0, also for y = 0."""

    nargs = 2
    bounded = False

    def slopes(self) -> tuple[sympy.Expr, ...]:
        x, y = self.args
        return (log(y), x / y)

    def plain(self) -> sympy.Expr:
        x, y = self.args
        return x * log(y)

    def _latex(self, printer, exp=None):
        x, y = self.args
        text = rf"{printer.parenthesize(x, 50, strict=True)} \log\left({printer._print(y)}\right)"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class reciprocal(Word):
    """1/b, and 0 where b is 0."""

    nargs = 1
    bounded = False

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (-(reciprocal(self.args[0]) ** 2),)

    def plain(self) -> sympy.Expr:
        return 1 / self.args[0]

    def _latex(self, printer, exp=None):
        text = rf"\frac{{1}}{{{printer._print(self.args[0])}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class share(Word):
    """a/(a + b) for a, b >= 0, and 0 where both are 0: the share of a in the whole, with nothing subtracted."""

    nargs = 2
    bounded = True

    def slopes(self) -> tuple[sympy.Expr, ...]:
        a, b = self.args
        return (share(b, a) * reciprocal(a + b), -share(a, b) * reciprocal(a + b))

    def plain(self) -> sympy.Expr:
        a, b = self.args
        return a / (a + b)

    def _latex(self, printer, exp=None):
        a, b = self.args
        text = rf"\frac{{{printer._print(a)}}}{{{printer._print(a + b)}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class determinant(Word):
    """a*d - b*c, exactly 0 where the products are equal, also where a compiler fuses products and sums."""

    nargs = 4

    def slopes(self) -> tuple[sympy.Expr, ...]:
        a, b, c, d = self.args
        return (d, -c, -b, a)

    def plain(self) -> sympy.Expr:
        a, b, c, d = self.args
        return a * d - b * c

    def _latex(self, printer, exp=None):
        text = rf"\left({printer._print(self.plain())}\right)"
        return text if exp is None else f"{text}^{{{exp}}}"


class difference(Word):
    """p - q, given also this difference d, which the caller knows more exactly: its value is d, its slopes 1 and -1."""

    nargs = 3

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (sympy.S.One, sympy.S.NegativeOne, sympy.S.Zero)

    def plain(self) -> sympy.Expr:
        p, q, _ = self.args
        return p - q

    def _latex(self, printer, exp=None):
        text = rf"\left({printer._print(self.args[0])} - {printer.parenthesize(self.args[1], 45)}\right)"
        return text if exp is None else f"{text}^{{{exp}}}"


class lerp(Word):
    """(1 - a)*p + a*q, in this order: in a mixture of complements, 1 - p is exact where it is small."""

    nargs = 3

    def slopes(self) -> tuple[sympy.Expr, ...]:
        p, q, a = self.args
        return (1 - a, a, q - p)

    def plain(self) -> sympy.Expr:
        p, q, a = self.args
        return (1 - a) * p + a * q

    def _latex(self, printer, exp=None):
        p, q, a = (printer.parenthesize(argument, 50, strict=True) for argument in self.args)
        rest = printer.parenthesize(1 - self.args[2], 50, strict=True)
        return rf"\left({rest} {p} + {a} {q}\right)" + ("" if exp is None else f"^{{{exp}}}")


class log_ratio(Word):
    """log(p/q), given also the difference d = p - q, which the caller knows more exactly than rounding would."""

    nargs = 3
    bounded = False

    def slopes(self) -> tuple[sympy.Expr, ...]:
        p, q, _ = self.args
        return (1 / p, -1 / q, sympy.S.Zero)

    def plain(self) -> sympy.Expr:
        p, q, _ = self.args
        return log(p / q)

    def _latex(self, printer, exp=None):
        p, q, _ = self.args
        text = rf"\log\frac{{{printer._print(p)}}}{{{printer._print(q)}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class kl_div(Word):
    """p*log(p/q) - d, never negative, given the difference d = p - q: one outcome's part of a divergence.

    The differences of all outcomes add up to zero, so a sum of these is a Kullback-Leibler divergence in
    which nothing cancels. Slopes are taken along p and q, with d following, and are 0 where all three are 0.
    """

    nargs = 3
    bounded = False

    def slopes(self) -> tuple[sympy.Expr, ...]:
        p, q, d = self.args
        quotient = -((-d) / q) if d.could_extract_minus_sign() else d / q  # one spelling, so that opposites cancel
        return (log_ratio(p, q, d), -quotient, sympy.S.Zero)

    def plain(self) -> sympy.Expr:
        p, q, d = self.args
        return p * log(p / q) - d

    def _latex(self, printer, exp=None):
        p, q, d = self.args
        ratio = rf"\log\frac{{{printer._print(p)}}}{{{printer._print(q)}}}"
        text = rf"\left[{printer.parenthesize(p, 50, strict=True)} {ratio} - \left({printer._print(d)}\right)\right]"
        return text if exp is None else f"{text}^{{{exp}}}"


class _Skew(Word):
    """A word of p, q, the share a of q in the mixture m = (1 - a)*p + a*q, and the difference d = p - q.

    The caller knows d more exactly than rounding would. Slopes are taken along p and q, with d following.
    """

    nargs = 4
    bounded = False

    @property
    def mixed(self) -> sympy.Expr:
        p, q, a, _ = self.args
        return (1 - a) * p + a * q


class skew_entropy(_Skew):
    """p*log(p/m) - a*d, never negative: one outcome's part of the divergence from p to the mixture m with q.

    In a word of its own, tiny p and q need not vanish in the mixture.
    """

    def slopes(self) -> tuple[sympy.Expr, ...]:
        a = self.args[2]
        pull = skew_pull(*self.args)
        return (skew_log(*self.args) - (1 - a) * pull, -a * pull, sympy.S.Zero, sympy.S.Zero)

    def plain(self) -> sympy.Expr:
        p, _, a, d = self.args
        return p * log(p / self.mixed) - a * d

    def _latex(self, printer, exp=None):
        p, _, a, d = (printer.parenthesize(argument, 50, strict=True) for argument in self.args)
        ratio = rf"\log\frac{{{printer._print(self.args[0])}}}{{{printer._print(self.mixed)}}}"
        text = rf"\left[{p} {ratio} - {a} {d}\right]"
        return text if exp is None else f"{text}^{{{exp}}}"


class skew_log(_Skew):
    """log(p/m), and 0 where both are 0."""

    def slopes(self) -> tuple[sympy.Expr, ...]:
        p, _, a, _ = self.args
        return (1 / p - (1 - a) / self.mixed, -a / self.mixed, sympy.S.Zero, sympy.S.Zero)

    def plain(self) -> sympy.Expr:
        return log(self.args[0] / self.mixed)

    def _latex(self, printer, exp=None):
        text = rf"\log\frac{{{printer._print(self.args[0])}}}{{{printer._print(self.mixed)}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class skew_pull(_Skew):
    """a*d/m, and 0 where both are 0; along d it has a slope of its own, as -d stands there where both signs occur."""

    @classmethod
    def eval(cls, p: sympy.Expr, q: sympy.Expr, a: sympy.Expr, d: sympy.Expr) -> sympy.Expr | None:
        return -cls(p, q, a, -d) if d.could_extract_minus_sign() else None

    def slopes(self) -> tuple[sympy.Expr, ...]:
        a, each = self.args[2], quotient(self, self.mixed)
        return (-(1 - a) * each, -a * each, sympy.S.Zero, quotient(a, self.mixed))

    def plain(self) -> sympy.Expr:
        _, _, a, d = self.args
        return a * d / self.mixed

    def _latex(self, printer, exp=None):
        _, _, a, d = self.args
        text = rf"\frac{{{printer._print(a * d)}}}{{{printer._print(self.mixed)}}}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class kl_div_of_logit(Word):
    """p*log(p/q) - d for the probability q = sigmoid(x) of a logit x, given d = p - q: `kl_div` that stays
    finite where q is too small for a float.
    """

    nargs = 3
    bounded = False

    def slopes(self) -> tuple[sympy.Expr, ...]:
        p, x, d = self.args
        return (log(p) + softplus(-x), -d * sigmoid(-x), sympy.S.Zero)

    def plain(self) -> sympy.Expr:
        p, x, d = self.args
        return p * (log(p) + softplus(-x).plain()) - d

    def _latex(self, printer, exp=None):
        p, x, d = self.args
        return kl_div(p, sigmoid(x), d)._latex(printer, exp)


# --- pieces with a kink --------------------------------------------------------------------------------------------


class absolute(Word):
    """The absolute value; its slope at 0 is 0."""

    nargs = 1

    @classmethod
    def eval(cls, x: sympy.Expr) -> sympy.Expr | None:
        return cls(-x) if x.could_extract_minus_sign() else None

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (sign(self.args[0]),)

    def plain(self) -> sympy.Expr:
        return sympy.Abs(self.args[0])

    def _latex(self, printer, exp=None):
        text = rf"\left|{printer._print(self.args[0])}\right|"
        return text if exp is None else f"{text}^{{{exp}}}"


class sign(Word):
    """-1, 0 or 1."""

    nargs = 1
    bounded = True

    @classmethod
    def eval(cls, x: sympy.Expr) -> sympy.Expr | None:
        return -cls(-x) if x.could_extract_minus_sign() else None

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (sympy.S.Zero,)

    def plain(self) -> sympy.Expr:
        return sympy.sign(self.args[0])


class less(Word):
    """1 where a < b, else 0."""

    nargs = 2
    bounded = True

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (sympy.S.Zero, sympy.S.Zero)

    def plain(self) -> sympy.Expr:
        a, b = self.args
        return sympy.Piecewise((1, a < b), (0, True))

    def _latex(self, printer, exp=None):
        a, b = (printer._print(argument) for argument in self.args)
        return rf"\left[{a} < {b}\right]"


class step(Word):
    """1 where a < b, one half where they are equal, else 0: the mean of the slopes of maximum(a, b) along b."""

    nargs = 2
    bounded = True

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (sympy.S.Zero, sympy.S.Zero)

    def plain(self) -> sympy.Expr:
        a, b = self.args
        return sympy.Piecewise((1, a < b), (sympy.S.Half, sympy.Eq(a, b)), (0, True))

    def _latex(self, printer, exp=None):
        a, b = (printer._print(argument) for argument in self.args)
        text = rf"\left([{a} < {b}] + \tfrac{{1}}{{2}}[{a} = {b}]\right)"
        return text if exp is None else f"{text}^{{{exp}}}"


class maximum(Word):
    """The larger of two; where they are equal, each has half the slope: the mean of its slopes on either side.

    So a sum of extremes has the mean of its own two slopes. Of an extreme of extremes that tie at once, take the
    parts: each halves the slope.
    """

    nargs = 2
    symbol = r"\max"

    def slopes(self) -> tuple[sympy.Expr, ...]:
        a, b = self.args
        return (step(b, a), step(a, b))

    def plain(self) -> sympy.Expr:
        return sympy.Max(*self.args)


class minimum(Word):
    """The smaller of two; where they are equal, each has half the slope, the mean of what it has on either side."""

    nargs = 2
    symbol = r"\min"

    def slopes(self) -> tuple[sympy.Expr, ...]:
        a, b = self.args
        return (step(a, b), step(b, a))

    def plain(self) -> sympy.Expr:
        return sympy.Min(*self.args)


# --- two intervals -------------------------------------------------------------------------------------------------

# An interval is its ends, low <= high. At a tie, where ends coincide or touch, a slope along an end is the mean of the
# slopes on either side; where low = high, an end can only move outwards, and its slope is the one on that side.


class _OfIntervals(Word):
    """A length made of two intervals (low, high, other_low, other_high), the same if they change places."""

    nargs = 4

    def slopes(self) -> tuple[sympy.Expr, ...]:
        low, high, other_low, other_high = self.args
        along = self.along_high
        return (
            -along(-high, -low, -other_high, -other_low),
            along(low, high, other_low, other_high),
            -along(-other_high, -other_low, -high, -low),
            along(other_low, other_high, low, high),
        )

    def reach(self) -> sympy.Expr:
        """The length that the intervals share, or minus the gap between them."""
        low, high, other_low, other_high = self.args
        return sympy.Min(high, other_high) - sympy.Max(low, other_low)

    def _latex(self, printer, exp=None):
        text = printer._print(self.plain())
        return text if exp is None else rf"{text}^{{{exp}}}"


class shared(_OfIntervals):
    """The length that two intervals share."""

    along_high = property(lambda self: shared_slope)

    def plain(self) -> sympy.Expr:
        return sympy.Max(self.reach(), 0)


class gap(_OfIntervals):
    """The length between two intervals, 0 unless they are apart."""

    along_high = property(lambda self: gap_slope)

    def plain(self) -> sympy.Expr:
        return sympy.Max(-self.reach(), 0)


class _SlopeOfIntervals(Word):
    """A slope of a length made of two intervals: a number that changes only where their ends meet."""

    nargs = 4
    bounded = True

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (sympy.S.Zero,) * 4


class shared_slope(_SlopeOfIntervals):
    """The slope of shared(low, high, other_low, other_high) along high."""


class gap_slope(_SlopeOfIntervals):
    """The slope of gap(low, high, other_low, other_high) along high."""


# --- words of shape ------------------------------------------------------------------------------------------------

classes = sympy.Symbol("C", positive=True, integer=True)  # the number of classes of a row


class sum_pixels(sympy.Function):
    """A sum over the pixels of one image and class; what a set loss such as Dice is made of."""

    nargs = 1

    def _eval_derivative(self, symbol):
        """The slope along one element."""
        return self.args[0].diff(symbol)

    def _latex(self, printer, exp=None):
        text = rf"\sum_n {printer.parenthesize(self.args[0], 45)}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class sum_classes(sympy.Function):
    """A sum over the classes of one row."""

    nargs = 1

    def _eval_derivative(self, symbol):
        return sum_classes(self.args[0].diff(symbol))

    def _latex(self, printer, exp=None):
        text = rf"\sum_{{k}} {printer.parenthesize(self.args[0], 45)}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


class log_odds(sympy.Function):
    """z_k - log of the sum of exp(z_j) over the other classes j, which is log(p_k/(1 - p_k)) for p = softmax(z)."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return log_odds_slope(self.args[0])

    def _latex(self, printer, exp=None):
        z = printer._print(self.args[0])
        text = rf"\Bigl({z}_k - \log\sum_{{j\ne k}} e^{{{z}_j}}\Bigr)"
        return text if exp is None else f"{text}^{{{exp}}}"


class minus_largest(sympy.Function):
    """z_k less the largest z_j: 0 for the class in front, negative for the others."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return minus_largest_slope(self.args[0])

    def _latex(self, printer, exp=None):
        z = printer._print(self.args[0])
        text = rf"\Bigl({z}_k - \max_j {z}_j\Bigr)"
        return text if exp is None else f"{text}^{{{exp}}}"


class minus_largest_slope(sympy.Function):
    """Its slope for class k along the logit of class j; classes that share the front share the slope."""

    nargs = 1

    def _latex(self, printer, exp=None):
        z = printer._print(self.args[0])
        return rf"\Bigl(\delta_{{jk}} - \frac{{[{z}_j=\max_i {z}_i]}}{{\#\{{i: {z}_i=\max_h {z}_h\}}}}\Bigr)"


class minus_largest_of_others(sympy.Function):
    """z_k less the largest of the other z_j: positive for the class in front, 0 for those that share the front."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return minus_largest_of_others_slope(self.args[0])

    def _latex(self, printer, exp=None):
        z = printer._print(self.args[0])
        text = rf"\Bigl({z}_k - \max_{{j\ne k}} {z}_j\Bigr)"
        return text if exp is None else f"{text}^{{{exp}}}"


class minus_largest_of_others_slope(sympy.Function):
    """Its slope for class k along the logit of class j; others that tie for the largest share the slope."""

    nargs = 1

    def _latex(self, printer, exp=None):
        z = printer._print(self.args[0])
        largest = rf"{z}_j=\max_{{i\ne k}} {z}_i"
        count = rf"\#\{{i\ne k: {z}_i=\max_{{h\ne k}} {z}_h\}}"
        return rf"\Bigl(\delta_{{jk}} - [j\ne k]\,\frac{{[{largest}]}}{{{count}}}\Bigr)"


class logsumexp(sympy.Function):
    """log of the sum of exp(z_j) over the classes j: one number per row, which stands outside `sum_classes`.

    It is the largest z_j plus the log of the sum of exp(z_j - largest), exact to the rounding of these two numbers.
    """

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return softmax(self.args[0])

    def _latex(self, printer, exp=None):
        z = printer._print(self.args[0])
        text = rf"\Bigl(\log\sum_j e^{{{z}_j}}\Bigr)"
        return text if exp is None else f"{text}^{{{exp}}}"


class softmax(sympy.Function):
    """exp(z_k) over the sum of exp(z_j): the probabilities of the classes of a row."""

    nargs = 1

    def _latex(self, printer, exp=None):
        text = rf"\operatorname{{softmax}}\left({printer._print(self.args[0])}\right)_k"
        return text if exp is None else f"{text}^{{{exp}}}"


class log_odds_slope(sympy.Function):
    """The slope of the log-odds of class k along the logit of class j: 1 for j = k, else minus a softmax without k."""

    nargs = 1

    def _latex(self, printer, exp=None):
        z = printer._print(self.args[0])
        return rf"\Bigl(\delta_{{jk}} - [j\ne k]\,\frac{{e^{{{z}_j}}}}{{\sum_{{i\ne k}} e^{{{z}_i}}}}\Bigr)"


OF_CLASS = (log_odds, minus_largest, minus_largest_of_others)  # what compares a class with the others of its row

# --- words of kernels -----------------------------------------------------------------------------------------------
# Products and quotients that know their limits. A plan puts them where a formula has plain ones.


class weighted(Word):
    """w*x for a bounded w, and 0 where w is 0 however large x is: an infinite logit gives the limit; NaN stays NaN."""

    nargs = 2

    def plain(self) -> sympy.Expr:
        w, x = self.args
        return w * x


class quotient(Word):
    """a/b for a bounded a, and 0 where both are 0."""

    nargs = 2

    def plain(self) -> sympy.Expr:
        a, b = self.args
        return a / b


class weighted_quotient(Word):
    """w*(a/b) for bounded w and an input a of the call: tiny a and b do not vanish in a product before they divide."""

    nargs = 3


class weighted_softplus(Word):
    """w*softplus(x) for a w that may be so large that the product is a normal number where softplus(x) is not."""

    nargs = 2


class weighted_sigmoid(Word):
    """The same of sigmoid(x)."""

    nargs = 2


class weighted_sigmoid_power(Word):
    """The same of sigmoid(x)**k."""

    nargs = 3


# Factors that vanish far out, and what they become beside a factor that may bring them back.
VANISHING = {
    softplus: weighted_softplus,
    sigmoid: weighted_sigmoid,
    sigmoid_power: weighted_sigmoid_power,
}

# --- named steps ---------------------------------------------------------------------------------------------------

# The names of the formula being declared: those of steps with their formulas, those of arguments with None.
steps: ContextVar[dict | None] = ContextVar("steps", default=None)


def let(**named: Any) -> Any:
    """Name a step of a formula: `t = let(t=1 - p)`. The name survives in the kernel and in the gradient.

    A name may cut a formula only where the slope of what follows is finite: prefer to name a whole factor.
    The same step named again, as by two losses' `of`, is shared; another step of that name, or one with the name
    of an argument, gets a number: `t_2`.

    Parameters
    ----------
    **named : Expr
        One step, by its name.

    Returns
    -------
    Symbol
        What stands for the step in the rest of the formula.

    Raises
    ------
    RuntimeError
        Outside the body of a function decorated with `lossbook.loss`.
    TypeError
        For more than one step, or a name that cannot be one in a kernel.

    Examples
    --------
    >>> from lossbook import Outcome, Real, loss
    >>> @loss
    ... def fourth_power(x: Real, y: Outcome):
    ...     square = let(square=(x - y) ** 2)
    ...     return square**2
    >>> print(fourth_power([3.0], [1.0]))
    16.0
    """
    recorded = steps.get()
    if recorded is None:
        raise RuntimeError("let() is for the body of a function decorated with @loss")
    if len(named) != 1:
        raise TypeError(f"let() names one step; got {', '.join(named) or 'none'}")
    ((wanted, expression),) = named.items()
    check_name(wanted, "the name of a step", "let")
    expression = sympy.sympify(expression, strict=True)
    name, count = wanted, 1
    while recorded.get(name, expression) != expression:
        count += 1
        name = f"{wanted}_{count}"
    recorded[name] = expression
    return sympy.Symbol(name, real=True)


# --- names of earlier versions ---------------------------------------------------------------------------------------

RENAMED = {
    "across": "sum_classes",
    "below": "less",
    "excess": "hypot_minus",
    "larger": "maximum",
    "lead": "minus_largest",
    "lead_over_others": "minus_largest_of_others",
    "magnitude": "absolute",
    "margin": "log_odds",
    "mixture": "lerp",
    "relative_entropy": "kl_div",
    "relative_entropy_of_logit": "kl_div_of_logit",
    "slant": "over_hypot",
    "smaller": "minimum",
    "total": "sum_pixels",
}

if not TYPE_CHECKING:  # a type checker would take every name for one of this module

    def __getattr__(name: str) -> Any:
        """A word under the name that it had before."""
        if name in RENAMED:
            text = f"the word {name} of {__name__} is now called {RENAMED[name]}"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            return globals()[RENAMED[name]]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
