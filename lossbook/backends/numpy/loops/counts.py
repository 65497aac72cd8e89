"""Blocks are looked through: for values that break a rule, and for values that are not finite."""

import numpy as np

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def within(block, low, high):
    """Whether all values lie between two bounds; of a NaN it is False."""
    least = np.minimum.reduce(block, axis=None, initial=np.inf)
    return low <= least and np.maximum.reduce(block, axis=None, initial=-np.inf) <= high


def counted(wrong, live, axis=None):
    """How many are wrong, of those that are live."""
    return np.count_nonzero(wrong if live is None else wrong & live, axis=axis)


def all_finite(*arrays):
    """Whether all elements are finite."""
    return all(array is None or np.all(np.isfinite(array)) for array in arrays)
