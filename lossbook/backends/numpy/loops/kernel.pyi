"""What is printed of a formula, above the loops of a kernel: see `lossbook.backends.numpy.source`."""

from typing import Any

BLOCK: int  # elements of a block
TOTALS: bool  # a value is a function (`finish`) of totals
INPUTS: tuple[str, ...]  # totals under a softmax: what `evaluate` takes of a class, beside its target
HARD: bool  # rows: only the labeled class enters

# `element` as the loops call it: (terms, slopes) of the elements of a block, what they add to the totals, and None or
# the slopes.
evaluate: Any

# How many values of a block break a rule; `live` is False where the weight is zero.
broken: Any

# Rows: what is added once per row, and its slope along the logsumexp of the row; None where nothing is.
of_row: Any
