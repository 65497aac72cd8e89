"""How the output of a function follows from a loss per element: axes summed, divisor, factor."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lossbook.workshop.audit.findings import number, snapped

NAMED = {-1.0: "-", 1.0: "", 1 / np.log(2): "1/log(2)*", 1 / np.log(10): "1/log(10)*", -1 / np.log(2): "-1/log(2)*"}


@dataclass(frozen=True)
class Relation:
    """output = offset + factor * (sum of the losses over `summed`) / (the lengths of `averaged`, and of the classes)"""

    dimensions: int
    summed: tuple[int, ...]
    averaged: tuple[int, ...]
    factor: float
    offset: float = 0.0
    per_class: bool = False  # divided by the number of classes as well
    own_mean: bool = False  # divided by the sum of the weights, as the mean of this package
    weighted: bool = False  # the losses have weights, so that to divide by their number is no mean of this package

    @property
    def reduction(self) -> str:
        """ "none", "sum" or "mean", if it is one of these, else "other"."""
        every = tuple(range(self.dimensions))
        if self.own_mean:
            return "mean"
        if self.per_class:
            return "other"
        if not self.summed:
            return "none"
        if self.summed == every and self.averaged == every:
            return "other" if self.weighted else "mean"
        return "sum" if self.summed == every and not self.averaged else "other"

    def divisor(self, losses: np.ndarray, classes: int, mean: float | None) -> float:
        """What the sum is divided by."""
        if self.own_mean:
            total = float(losses.sum())
            return total / mean if mean else float(losses.size)
        count = float(math.prod(losses.shape[axis] for axis in self.averaged))
        return count * classes if self.per_class else count

    def apply(self, losses: np.ndarray, classes: int, mean: float | None = None) -> np.ndarray:
        """The output that belongs to these losses."""
        return self.offset + self.factor * losses.sum(axis=self.summed) / self.divisor(losses, classes, mean)

    @property
    def prefix(self) -> str:
        """What stands before the call: "", "-", "2*", "1 - "."""
        if self.offset:
            return f"{number(self.offset)} - " if self.factor == -1 else f"{number(self.offset)} + {self.factor!r}*"
        for value, text in NAMED.items():
            if np.isclose(self.factor, value, rtol=1e-9):
                return text
        return f"{number(self.factor)}*"

    def suffix(self, array: str) -> tuple[str, str]:
        """(the reduction to call with, what stands behind the call)"""
        if self.reduction != "other":
            return self.reduction, ""
        every = tuple(range(self.dimensions))
        lengths = [f"{array}.shape[{axis}]" for axis in self.averaged]
        if self.per_class:
            lengths.append(f"{array}.shape[1]")
        if self.summed == every:
            if self.averaged == every and not self.weighted:
                return "mean", f"/{lengths[-1]}"
            return "sum", "".join(f"/{length}" for length in lengths)
        axes = self.summed[0] if len(self.summed) == 1 else self.summed
        if not self.summed:
            return "none", f"/{lengths[0]}"
        if self.averaged == self.summed and not self.per_class:
            return "none", f".mean(axis={axes})"
        return "none", f".sum(axis={axes})" + "".join(f"/{length}" for length in lengths)


def relate(
    outputs: Sequence[np.ndarray], losses: Sequence[np.ndarray], classes: Sequence[int], means: Sequence[float | None],
    tolerance: float, scores: bool = False,
) -> Relation | None:
    """The relation that holds for all probes, the plainest first; None where there is none."""
    dimensions = losses[0].ndim
    subsets = [axes for count in range(dimensions + 1) for axes in itertools.combinations(range(dimensions), count)]
    whole = all(output.ndim == 0 for output in outputs)
    subsets.sort(key=lambda axes: (len(axes) not in (0, dimensions), len(axes)))
    subsets = [tuple(range(dimensions))] if whole else subsets
    for offset in (0.0, 1.0) if scores else (0.0,):
        for summed in subsets:
            found = with_axes([output - offset for output in outputs], losses, classes, means, summed, tolerance)
            if found is not None and (not offset or found.factor < 0):
                return Relation(dimensions, summed, found.averaged, found.factor, offset, found.per_class,
                                found.own_mean, found.weighted)
    return None


def with_axes(
    outputs: Sequence[np.ndarray], losses: Sequence[np.ndarray], classes: Sequence[int], means: Sequence[float | None],
    summed: tuple[int, ...], tolerance: float,
) -> Relation | None:
    """The relation that sums these axes, if one does."""
    ratios = []
    for output, loss in zip(outputs, losses, strict=True):
        sums = loss.sum(axis=summed)
        if output.squeeze().shape != sums.squeeze().shape:
            return None
        got, sums = output.squeeze().astype(np.float64), sums.squeeze()
        size = float((sums * sums).sum())
        if not np.isfinite(got).all() or not np.isfinite(size) or size == 0:
            return None
        ratio = float((got * sums).sum()) / size
        largest = float(np.abs(ratio * sums).max())
        off = np.abs(got - ratio * sums)
        if not (off <= tolerance * np.maximum(np.abs(ratio * sums), 1e-3 * largest)).all() or ratio == 0:
            return None
        ratios.append(ratio)
    dimensions = losses[0].ndim
    divided = [(axes, per_class, False) for per_class in (False, True)
               for count in (len(summed), *range(len(summed)))
               for axes in itertools.combinations(summed, count)]
    weighted = len(summed) == dimensions and None not in means
    if weighted:
        divided.insert(0, ((), False, True))
    fitting = []
    for averaged, per_class, own_mean in divided:
        trial = Relation(dimensions, summed, averaged, 1.0, 0.0, per_class, own_mean, weighted)
        counts = [trial.divisor(loss, count, mean) for loss, count, mean in zip(losses, classes, means, strict=True)]
        factors = [ratio * count for ratio, count in zip(ratios, counts, strict=True)]
        if max(factors) - min(factors) > 6 * tolerance * abs(factors[0]):
            continue
        factor = snapped(sum(factors) / len(factors), max(tolerance, 1e-9))
        for value in NAMED:
            if abs(value - factor) <= 1e-5 * abs(value):
                factor = value
        if all(abs(one - factor) <= 3 * tolerance * abs(factor) for one in factors):
            fitting.append(Relation(dimensions, summed, averaged, factor, 0.0, per_class, own_mean, weighted))
    plain = [one for one in fitting if abs(one.factor) == 1]
    return next(iter(plain or fitting), None)
