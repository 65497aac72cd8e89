"""The standing of a class by its logit minus the largest of the others."""

import math

import numpy as xp

from .words import absolute

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def standing(z):
    """The logit of each class minus the largest of the others; others that tie share its slope."""
    top = xp.amax(z, -1, keepdims=True)
    is_top = z == top
    ties = xp.sum(xp.where(is_top, 1.0, 0.0), -1, keepdims=True)
    second = xp.amax(xp.where(is_top, -math.inf, z), -1, keepdims=True)
    of_ties = (xp.sum(xp.where(is_top, z, 0.0), -1, keepdims=True) - z) / xp.where(ties > 1, ties - 1, 1.0)
    others = xp.where(is_top, xp.where(ties > 1, of_ties, second), top)
    alone = (z == others) & (absolute(z) == math.inf)
    return xp.where(alone, 0.0, xp.where(alone, 0.0, z) - xp.where(alone, 0.0, others))
