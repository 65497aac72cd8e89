"""The standing of a class by its log-odds: its logit, minus the logarithm of the sum of all other exponentials."""

import math

import numpy as xp

from .torch import constant
from .words import absolute

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def exponentials(z):
    """(z - top, its exponentials, where z is the largest, the largest); infinite logits have the limits."""
    top = xp.amax(constant(z), -1, keepdims=True)
    is_top = z == top
    finite = (absolute(z) < math.inf) & (absolute(top) < math.inf)
    apart = xp.where(finite, z, 0.0) - xp.where(finite, top, 0.0)
    apart = xp.where(finite, apart, xp.where(is_top, 0.0, -math.inf))
    apart = xp.where(z == z, apart, z)
    return apart, xp.exp(apart), is_top, top


def rivals(exps, is_top):
    """The sum of the exponentials of all other classes, of which those of the largest are 1."""
    others = xp.sum(xp.where(is_top, 0.0, exps), -1, keepdims=True)
    tops = xp.sum(xp.where(is_top, exps, 0.0), -1, keepdims=True)
    return xp.where(is_top & (tops < 2), others + xp.zeros_like(exps), others + (tops - exps))


def logarithm(x):
    """log(x), whose slope at 0 nothing is multiplied by."""
    return xp.where(x == 0, -math.inf, xp.log(xp.where(x == 0, 1.0, x)))


def standing(z):
    """The log-odds of each class."""
    apart, exps, is_top, _ = exponentials(z)
    return apart - logarithm(rivals(exps, is_top))


def logsumexp(z):
    """The logarithm of the sum of all exponentials."""
    _, exps, is_top, top = exponentials(z)
    beyond = xp.sum(xp.where(is_top, 0.0, exps), -1) + (xp.sum(xp.where(is_top, exps, 0.0), -1) - 1)
    return top[..., 0] + xp.log1p(beyond)


def shares(z):
    """(log-odds, logarithms of the probabilities, probabilities, their complements) of the classes."""
    apart, exps, is_top, _ = exponentials(z)
    rest = rivals(exps, is_top)
    whole = exps + rest
    return apart - logarithm(rest), apart - xp.log(whole), exps / whole, rest / whole
