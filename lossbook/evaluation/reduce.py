"""Sums that merge: the one mechanism behind `sum`, `mean`, streams of batches, threads and clusters.

A mean is itself a quotient of two totals, sum(w*l)/sum(w), so a loss over a piece of the data is known
from a few sums, and the sums of two pieces add.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal, NoReturn

import numpy as np

from lossbook.checks import REDUCTIONS
from lossbook.errors import DomainError


@dataclass(frozen=True, eq=False)
class Partial:
    """What a piece of the data adds to a loss: `(a + b).finish()` is the loss of both pieces together.

    Partials pickle, and an empty piece is the zero of the addition.

    Parameters
    ----------
    loss : str
        The name of the loss.
    setting : tuple
        All that two pieces must have in common: the formula, the parameters, the class weights.
    sums : array
        sum(w*l) and sum(w); for a loss of totals taken over the whole batch the totals of each class; for a loss that
        is made of others what its parts hold.
    finisher : callable, optional
        From (sums, reduction) to the loss, where sums are not sum(w*l) and sum(w).
    reduction : str, optional
        Of `finish`, where the loss has one of its own.

    Raises
    ------
    DomainError
        Where partial sums of another loss or another setting are added.

    Examples
    --------
    >>> from lossbook import regression
    >>> pieces = regression.squared_error.partial([3.0], [1.0]), regression.squared_error.partial([2.0], [2.0])
    >>> sum(pieces).finish()
    2.0
    """

    loss: str
    setting: tuple[tuple[str, Any], ...]
    sums: np.ndarray
    finisher: Any = None  # from (sums, reduction) to the loss, where sums are not sum(w*l) and sum(w)
    reduction: str | None = None  # of finish(), where the loss has one of its own

    def __add__(self, other: "Partial") -> "Partial":
        if not isinstance(other, Partial):
            return NotImplemented
        if self.loss != other.loss:
            self._refuse(f"{self.loss} and {other.loss}")
        mine, others = dict(self.setting), dict(other.setting)
        for name in sorted({**mine, **others}, key=lambda name: (name.startswith("formula"), name)):
            if (one := mine.get(name)) != (two := others.get(name)):
                self._refuse("two of another formula" if name.startswith("formula") else f"{name} {one} and {two}")
        if self.sums.shape != other.sums.shape:
            raise DomainError(self.loss, "partial sums", "merge only for equal class counts")
        return replace(self, sums=self.sums + other.sums)

    def _refuse(self, found: str) -> NoReturn:
        raise DomainError(self.loss, "partial sums", "merge only within one loss and one setting", said=found)

    def __radd__(self, other: int) -> "Partial":
        """So that `sum(partials)` works."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def finish(self, reduction: Literal["mean", "sum"] | None = None) -> float:
        """The loss of all that was added up.

        Parameters
        ----------
        reduction : {"mean", "sum"}, optional
            If left out, the loss's own, if it has one, else "mean".

        Returns
        -------
        float
            The loss, as a Python float.

        Raises
        ------
        DomainError
            For another reduction.

        Examples
        --------
        >>> from lossbook import regression
        >>> regression.squared_error.partial([3.0, 2.0], [1.0, 2.0]).finish("sum")
        4.0
        """
        if reduction is None:
            reduction = self.reduction if self.reduction in REDUCTIONS[1:] else "mean"
        if reduction not in REDUCTIONS[1:]:
            raise DomainError(self.loss, "reduction", "of partial sums must be 'sum' or 'mean'", reduction)
        return float(finished(self.sums, self.finisher, reduction))


@dataclass(frozen=True)
class Weighted:
    """The end of a weighted sum of losses, from the sums of its parts, one after the other."""

    parts: tuple  # (coefficient, shape of the sums, finisher, own reduction) of each

    def __call__(self, sums: np.ndarray, reduction: str) -> float:
        total, start = 0.0, 0
        for coefficient, shape, finisher, own in self.parts:
            stop = start + prod(shape)
            value = finished(sums[start:stop].reshape(shape), finisher, own or reduction)
            total += coefficient * value if coefficient else 0.0  # 0 times an infinite loss is NaN
            start = stop
        return total


def weighted_sum(loss: str, coefficients: Sequence[float], partials: Sequence[Partial]) -> Partial:
    """The Partial of a weighted sum of losses, from those of its parts."""
    names = [f"of part {k}, {partial.loss}" for k, partial in enumerate(partials, 1)]
    setting = [(f"coefficient {name}", c) for name, c in zip(names, coefficients, strict=True)]
    setting += [(f"{key} {n}", value) for n, part in zip(names, partials, strict=True) for key, value in part.setting]
    parts = zip(coefficients, partials, strict=True)
    end = Weighted(tuple((c, part.sums.shape, part.finisher, part.reduction) for c, part in parts))
    return Partial(loss, tuple(setting), np.concatenate([part.sums.ravel() for part in partials]), end)


def finished(sums: np.ndarray, finisher: Any, reduction: str) -> float:
    """The loss, from its sums."""
    if finisher is not None:
        return finisher(sums, reduction)
    value, weight = sums
    return reduced(value, weight, reduction)


def reduced(value: float, weight: float | None, reduction: str) -> float:
    """sum(w*l), or sum(w*l)/sum(w), which is NaN where there is nothing to average; only a mean needs sum(w)."""
    if reduction == "sum":
        return value
    assert weight is not None
    return float(value) / float(weight) if weight != 0 else np.nan  # of numbers of NumPy, infinities warn
