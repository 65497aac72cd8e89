"""What the ends of losses of several predictions are made of."""

import numpy as xp

from .torch import floats

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def ended(terms, reduction):
    """The sum of (coefficient, values, divisor), where only a mean divides."""
    return sum(c * xp.sum(values) / (divisor if reduction == "mean" else 1) for c, values, divisor in terms)


def kept(weight, coefficient):
    """The weights of a term, which a coefficient of 0 removes, whatever it holds."""
    return weight if coefficient else xp.zeros_like(weight)


def ones(labels, like, weight):
    """The weights of the items, all 1 if there are none."""
    return xp.ones_like(floats(labels, like)) if weight is None else xp.broadcast_to(floats(weight, like), labels.shape)


def coordinates(weight):
    """The weights of items as those of their coordinates."""
    return xp.stack([weight] * 4, -1)
