"""The standing of a class by its logit minus the largest."""

import math

import numpy as xp

from .words import absolute

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def standing(z):
    """The logit of each class minus the largest; classes that tie share the slope of the largest."""
    top = xp.amax(z, -1, keepdims=True)
    is_top = z == top
    ties = xp.sum(xp.where(is_top, 1.0, 0.0), -1, keepdims=True)
    alone = is_top & ((ties == 1) | (absolute(z) == math.inf))  # what such a class gains, it loses as its own rival
    return xp.where(alone, 0.0, xp.where(alone, 0.0, z) - top)
