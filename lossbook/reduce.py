"""Sums that merge: the one mechanism behind `sum`, `mean`, streams of batches, threads and clusters.

A mean is itself a quotient of two totals, sum(w*l)/sum(w), so a loss over a piece of the data is known
from a few sums, and the sums of two pieces add.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

REDUCTIONS = ("none", "sum", "mean")


@dataclass(frozen=True)
class Partial:
    """What a piece of the data adds to a loss: `(a + b).finish()` is the loss of both pieces together.

    `sums` holds sum(w*l) and sum(w), or, for a loss of totals taken over the whole batch, the totals of each class.
    Partials pickle, and an empty piece is the zero of the addition.
    """

    loss: str
    parameters: tuple[tuple[str, Any], ...]
    sums: np.ndarray
    finisher: Any = None  # for batch totals: from totals to [sum(w*l), sum(w)]

    def __add__(self, other):
        if not isinstance(other, Partial):
            return NotImplemented
        if (self.loss, self.parameters) != (other.loss, other.parameters):
            raise ValueError(
                f"{self.loss}: partial sums merge only within one loss and one setting; "
                f"got {self.loss}{dict(self.parameters)} and {other.loss}{dict(other.parameters)}"
            )
        if self.sums.shape != other.sums.shape:
            raise ValueError(f"{self.loss}: partial sums merge only for equal class counts")
        return Partial(self.loss, self.parameters, self.sums + other.sums, self.finisher)

    def __radd__(self, other):
        """So that `sum(partials)` works."""
        return self if other == 0 else NotImplemented

    def finish(self, reduction="mean"):
        """The loss of all that was added up, as a Python float: "mean" (the default) or "sum"."""
        if reduction not in REDUCTIONS[1:]:
            raise ValueError(f"{self.loss}: reduction of partial sums must be 'sum' or 'mean'; got {reduction!r}")
        value, weight = self.sums if self.finisher is None else self.finisher(self.sums)
        return float(reduced(value, weight, reduction))


def reduced(value, weight, reduction):
    """sum(w*l), or sum(w*l)/sum(w), which is NaN where there is nothing to average."""
    if reduction == "sum":
        return value
    return value / weight if weight != 0 else np.nan
