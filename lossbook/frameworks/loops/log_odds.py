"""The standing of a class by its log-odds: its logit, minus the logarithm of the sum of all other exponentials."""

import math

import numpy as xp

from .torch import constant

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def exponentials(z):
    """(z - top, its exponentials, where z is the largest, the largest); infinite logits have the limits."""
    top = xp.amax(constant(z), -1, keepdims=True)
    is_top = z == top
    finite = (absolute(z) < math.inf) & (absolute(top) < math.inf)
    apart = xp.where(finite, xp.where(finite, z, 0.0) - xp.where(finite, top, 0.0), xp.where(is_top, 0.0, -math.inf))
    apart = xp.where(z == z, apart, z)
    return apart, xp.exp(apart), is_top, top


def standing(z):
    """The log-odds of each class."""
    apart, exps, is_top, _ = exponentials(z)
    rest = xp.sum(xp.where(is_top, 0.0, exps), -1, keepdims=True)
    rest = rest + (xp.sum(xp.where(is_top, exps, 0.0), -1, keepdims=True) - exps)
    return apart - xp.log(rest)


def logsumexp(z):
    """The logarithm of the sum of all exponentials."""
    _, exps, is_top, top = exponentials(z)
    beyond = xp.sum(xp.where(is_top, 0.0, exps), -1) + (xp.sum(xp.where(is_top, exps, 0.0), -1) - 1)
    return top[..., 0] + xp.log1p(beyond)


def shares(z):
    """(log-odds, logarithms of the probabilities, probabilities, their complements) of the classes."""
    apart, exps, is_top, _ = exponentials(z)
    rest = xp.sum(xp.where(is_top, 0.0, exps), -1, keepdims=True)
    rest = rest + (xp.sum(xp.where(is_top, exps, 0.0), -1, keepdims=True) - exps)
    whole = exps + rest
    return apart - xp.log(rest), apart - xp.log(whole), exps / whole, rest / whole
