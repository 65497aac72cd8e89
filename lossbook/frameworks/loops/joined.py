"""What the ends of losses of several predictions are made of."""

import numpy as xp

from .torch import floats

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def scaled(coefficient, values):
    """The values times a number, which removes them if it is 0."""
    return coefficient * values if coefficient else xp.zeros_like(values)


def ended(terms, reduction):
    """The sum of (coefficient, values, divisor), where only a mean divides."""
    sums = [(scaled(coefficient, xp.sum(values)), divisor) for coefficient, values, divisor in terms]
    return sum(value / divisor if reduction == "mean" else value for value, divisor in sums)


def ones(labels, like, weight):
    """The weights of the items, all 1 if there are none."""
    return xp.ones_like(floats(labels, like)) if weight is None else xp.broadcast_to(floats(weight, like), labels.shape)


def coordinates(weight):
    """The weights of items as those of their coordinates."""
    return xp.stack([weight] * 4, -1)
