"""Values that break a rule are looked for and counted."""

import numpy as np

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def within(block, low, high):
    """Whether all values lie between two bounds; of a NaN it is False."""
    least = np.minimum.reduce(block, axis=None, initial=np.inf)
    return low <= least and np.maximum.reduce(block, axis=None, initial=-np.inf) <= high


def counted(wrong, live, axis=None):
    """How many are wrong, of those that are live."""
    return np.count_nonzero(wrong if live is None else wrong & live, axis=axis)
