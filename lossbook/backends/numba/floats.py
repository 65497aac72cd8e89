"""Floating-point numbers as the words need them: constants, polynomials, and the bits of exponents and signs.

Everything here is written for the two types at once, and becomes a few instructions where a word is compiled.
"""

from typing import Any

from llvmlite import ir
from numba import extending, types

intrinsic: Any = extending.intrinsic  # by its type, a call would have to give the typing context, too

# All tables: name: (for float32, for float64).
NUMBERS = {
    # log(2) in two pieces; the first has so few digits that its product with any exponent is exact.
    "log2_high": (0.693145751953125, 0.6931471805601177),
    "log2_low": (1.4286068e-06, -1.7239444525614835e-13),
    "minus_inverse_log2": (-1.442695, -1.4426950408889634),
    # Adding this rounds to an integer n and leaves n + bias + 1 in the lowest bits of the sum.
    "rounder": (1.5 * 2.0**23 + 128, 1.5 * 2.0**52 + 1024),
    # exp(limit) overflows and exp(-limit) becomes zero, with exponents that still fit.
    "limit": (89.0, 710.0),
    # For decaying exponentials that a factor may bring back, with exponents that are shifted lest they vanish:
    # the rounder that leaves n + bias + 1 + shift, the size from which on 2**(n + shift) is 0, and 2**-shift.
    "shifted_rounder": (1.5 * 2.0**23 + 254, 1.5 * 2.0**52 + 2046),
    "shifted_limit": (175.9, 1418.0),
    "drop": (2.0**-126, 2.0**-1022),
    # Beyond this, exp(-size) is subnormal or nearly so.
    "normal_limit": (87.0, 708.0),
    "smallest_normal": (2.0**-126, 2.0**-1022),
    "largest": (3.4028234663852886e38, 1.7976931348623157e308),
    # A factor that brings subnormal numbers among the normal ones, and the exponent that it adds.
    "lift": (2.0**24, 2.0**54),
    "lift_exponent": (24.0, 54.0),
    # pi/4 and pi/2, each followed by what its rounding left over.
    "quarter_pi": (0.7853981852531433, 0.7853981633974483),
    "quarter_pi_low": (-2.1855694e-08, 3.061616997868383e-17),
    "half_pi": (1.5707963705062866, 1.5707963267948966),
    "half_pi_low": (-4.371139e-08, 6.123233995736766e-17),
    # Probabilities below this are tiny, and what lifts them and brings them back: mixtures of such might vanish.
    "tiny": (2.0**-32, 2.0**-256),
    "tiny_lift": (2.0**127, 2.0**768),
    "tiny_drop": (2.0**-127, 2.0**-768),
    # From here on 1 + x and x have the same logarithm.
    "one_vanishes": (2.0**30, 2.0**60),
}

# Minimax coefficients, lowest power first.
POLYNOMIALS = {
    # (exp(r) - 1 - r)/(2*r*r) on abs(r) <= log(2)/2; relative error of the resulting exp(r): 2^-27.2 and 2^-56.5.
    "exp": (
        (0.25, 0.08333272, 0.020833142, 0.0041832877, 0.00069732167),
        (0.2500000000000003, 0.08333333333333343, 0.0208333333332871, 0.00416666666665733, 0.0006944444466120251,
         9.920634951450486e-05, 1.2400752287717436e-05, 1.377861402709202e-06, 1.3813142582777456e-07,
         1.2557222787116182e-08),
    ),
    # 2*(atanh(s) - s)/s^3 in s*s on [0, 1/9]; relative error of the resulting atanh(s): 2^-27.0 and 2^-58.5.
    "atanh": (
        (0.6666654, 0.40015072, 0.28099933, 0.27560785),
        (0.6666666666666657, 0.4000000000006041, 0.2857142855981709, 0.2222222324446307, 0.1818176881203037,
         0.15386043966881116, 0.13307564746661968, 0.1205534526444843, 0.08555963468560909, 0.16628792296465977),
    ),
    # (cosh(x) - 1 - x*x/2)/x^4 for abs(x) <= 1.25; relative error of the resulting cosh(x) - 1: 2^-28.0 and 2^-56.9.
    "cosh": (
        (0.041666664, 0.0013888957, 2.47893e-05, 2.842507e-07),
        (0.041666666666666685, 0.0013888888888886448, 2.4801587302845508e-05, 2.755731891722219e-07,
         2.0876796919956188e-09, 1.1467893914147599e-11, 4.884748496914034e-14),
    ),
    # (arctan(t) - t)/t^3 in t*t on [0, 1/4]; interpolated with mpmath at the Chebyshev points, which is nearly minimax;
    # relative error of the resulting arctan(t): 2^-27.7 and 2^-57.6.
    "arctan": (
        (-0.33333334, 0.19999875, -0.142798, 0.110068806, -0.08235506, 0.04225686),
        (-0.3333333333333333, 0.19999999999999488, -0.14285714285599188, 0.11111111100917376, -0.09090908620322523,
         0.07692294712540285, -0.06666435677235948, 0.05879578429582425, -0.05240099507994713, 0.04628024868570153,
         -0.03806653672057366, 0.025006503566489507, -0.009215792047089858),
    ),
}  # fmt: skip

MANTISSA_BITS = {32: 23, 64: 52}
BIAS = {32: 127, 64: 1023}
BITS_OF_SQRT_HALF = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}


@intrinsic(prefer_literal=True)
def number(typing_context, like, name):
    """The entry of NUMBERS called name, in the type of like."""
    value = NUMBERS[name.literal_value][like.bitwidth // 64]

    def generate(context, builder, signature, arguments):
        return context.get_constant(like, value)

    return like(like, name), generate


@intrinsic
def fused(typing_context, first, second, third):
    """first*second + third, rounded once."""

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return first(first, first, first), generate


@intrinsic(prefer_literal=True)
def polynomial(typing_context, x, name):
    """The entry of POLYNOMIALS called name, at x."""
    coefficients = POLYNOMIALS[name.literal_value][x.bitwidth // 64]

    def generate(context, builder, signature, arguments):
        # Pairs low + high*x, then Horner's rule in x*x: half as many steps wait for one another.
        terms = [context.get_constant(x, coefficient) for coefficient in coefficients]
        pairs = [builder.fma(high, arguments[0], low) for low, high in zip(terms[::2], terms[1::2], strict=False)]
        pairs += terms[2 * len(pairs) :]
        square = builder.fmul(arguments[0], arguments[0])
        total = pairs.pop()
        while pairs:
            total = builder.fma(total, square, pairs.pop())
        return total

    return x(x, name), generate


@intrinsic
def power_of_two(typing_context, marker):
    """2**(n + 1) for marker = n + rounder, where n + 1 lies between minus the bias (giving 0) and the bias.

    With the shifted rounder it is 2**(n + 1 + shift).
    """

    def generate(context, builder, signature, arguments):
        word = ir.IntType(marker.bitwidth)
        bits = builder.bitcast(arguments[0], word)
        # The lowest bits are the biased exponent; all bits above them are shifted out.
        shifted = builder.shl(bits, ir.Constant(word, MANTISSA_BITS[marker.bitwidth]))
        return builder.bitcast(shifted, context.get_value_type(marker))

    return marker(marker), generate


@intrinsic
def split(typing_context, x):
    """(m, n, 2**-n) with x = m * 2**n and sqrt(1/2) <= m < sqrt(2), for normal x > 0; 2**-n only for n < bias."""
    width, bias, mantissa_bits = x.bitwidth, BIAS[x.bitwidth], MANTISSA_BITS[x.bitwidth]

    def generate(context, builder, signature, arguments):
        word, real = ir.IntType(width), context.get_value_type(x)
        bits = builder.bitcast(arguments[0], word)
        # Counted from sqrt(1/2), the exponent field is n + bias.
        moved = builder.add(bits, ir.Constant(word, (bias << mantissa_bits) - BITS_OF_SQRT_HALF[width]))
        field = builder.and_(moved, ir.Constant(word, -1 << mantissa_bits))
        m_bits = builder.add(builder.sub(bits, field), ir.Constant(word, bias << mantissa_bits))
        inverse_bits = builder.sub(ir.Constant(word, 2 * bias << mantissa_bits), field)
        # Not every machine converts vectors of 64-bit integers: make the field the lowest digits of 2**mantissa_bits.
        digits = builder.lshr(moved, ir.Constant(word, mantissa_bits))
        digits = builder.or_(digits, ir.Constant(word, bias + mantissa_bits << mantissa_bits))
        n = builder.fsub(builder.bitcast(digits, real), context.get_constant(x, 2.0**mantissa_bits + bias))
        parts = builder.bitcast(m_bits, real), n, builder.bitcast(inverse_bits, real)
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(x, 3)(x), generate


@intrinsic
def by_sign(typing_context, x, negative, positive):
    """negative or positive, by the sign bit of x, which saves the comparison; for results that agree at zero."""

    def generate(context, builder, signature, arguments):
        word = ir.IntType(x.bitwidth)
        is_negative = builder.icmp_signed("<", builder.bitcast(arguments[0], word), ir.Constant(word, 0))
        return builder.select(is_negative, arguments[1], arguments[2])

    return x(x, x, x), generate
