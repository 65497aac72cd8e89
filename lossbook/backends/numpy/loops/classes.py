"""Sums over the classes of rows."""

import numpy as np

from lossbook.backends.host import fold, halved

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def sum_classes(value):
    """The sum over the classes: four times by halves as they are, then in float64, so that many round little."""
    for _ in range(4):
        value = halved(value) if len(value) > 1 else value
    return fold(value.astype(np.float64))
