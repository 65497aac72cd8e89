"""Blocks of boxes, whose corners stand along the first axis."""

import numpy as np

from .finite import all_finite
from .kernel import evaluate

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def of_block(z, y, of_class, parameters, backward):
    """(gradient, value) of boxes; they have no classes."""
    inputs = (*z, *y, *parameters, backward)
    (value,), slopes = evaluate(*inputs, weighted=np.multiply)
    if not all_finite(value, *(slopes or ())):
        (value,), slopes = evaluate(*inputs)
    return None if slopes is None else np.stack(np.broadcast_arrays(*slopes)), value
