"""The largest errors of every pointwise loss in float32, value and gradient, over all 2**32 predictions.

    python -m benchmarks.exhaustive                     everything, about an hour on two idle cores
    python -m benchmarks.exhaustive --stride 1021       every 1021st prediction, in some minutes
    python -m benchmarks.exhaustive --only focal

Every float32 that a loss takes is given to its Numba kernel in float32, and to the one in float64, which is the ruler.
The ruler is proven with mpmath, from the formula alone: on a sample, at the place of each largest error, and at every
result of float64 so near to a border between two roundings to float32 that an error of 8 + |ln(exact)| ulp of float64,
as the package promises, would let it fall on the wrong side. What was found stands in benchmarks/exhaustive.json after
each case, so that the program may be stopped; what it finds there, by the same stride or a finer one, it keeps. After a
change of kernels, remove the file.
"""

import argparse
import importlib
import itertools
import math
import pkgutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import mpmath
import numpy as np
import sympy

import lossbook
from benchmarks.results import store, stored
from lossbook import accuracy
from lossbook.algebra import Loss
from lossbook.evaluation.exact import DIGITS, in_mpmath, slope_at

CHUNK = 1 << 16  # predictions that are computed at once: their results stay in the cache
BINS = 41  # of the histogram: half an ulp each, the last one open
PIECES = 64  # that a range of predictions is cut into, for the threads
TINY, LARGEST, SPACING = accuracy.limits(np.float32)
EPSILON = 2.0**-52  # an ulp of float64, at 1
ZONE = (8 + math.log(2.0**150)) * EPSILON  # what the promise grants results of float64 that float32 has a number for
SAMPLE = 400  # places of each case at which the ruler is compared with mpmath
DECIDED = 20_000  # results of each case on a border that are decided by mpmath, at most; of more, so many evenly

# What a target and a parameter are set to, by their domains; all are numbers of float32. The defaults come first.
TARGETS = {"Label": (1.0, 0.0, 0.25), "Sign": (1.0, -1.0), "Outcome": (0.0, float(np.float32(0.1)))}
PARAMETERS = {"Exponent": 1.5, "Fraction": 0.75, "NonNegative": 3.0, "Positive": 0.5}


@dataclass(frozen=True)
class Case:
    """A loss with one target for all predictions."""

    loss: Any
    target: float | None
    parameters: dict

    @property
    def key(self) -> str:
        """The case, in words."""
        said = [] if self.target is None else [f"{self.loss.declaration.target} = {self.target:g}"]
        return ", ".join([*said, *(f"{name} = {value:g}" for name, value in self.parameters.items())]) or "all"

    def compute(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values and slopes."""
        arrays = [z] if self.target is None else [z, targets(self.target, z.dtype, CHUNK)[: z.size]]
        return self.loss.value_and_grad(*arrays, reduction="none", backend="numba", **self.parameters)

    @property
    def ranges(self) -> list[range]:
        """The bit patterns of the predictions: finite, and in the domain."""
        domain, found = self.loss.declaration.of_prediction, []
        for sign, low, high in ((0, domain.low, domain.high), (1 << 31, -domain.high, -domain.low)):
            if high >= 0:
                ends = [int(np.float32(abs(min(max(end, 0.0), LARGEST))).view(np.uint32)) for end in (low, high)]
                found.append(range(sign + ends[0], sign + ends[1] + 1))
        return found


class Exact:
    """A case as a function of the prediction, in numbers of mpmath, from the formula alone."""

    def __init__(self, loss: Any, target: float | None, parameters: dict) -> None:
        symbols, of_targets = loss.array_symbols
        given = {**loss.declaration.defaults, **parameters, **{symbol.name: target for symbol in of_targets}}
        formula = loss.formula_for({name: given[name] for name in loss.declaration.flags})
        known = {s: sympy.Rational(given[s.name]) for s in formula.free_symbols if s not in symbols}
        self.function = in_mpmath(formula.xreplace(known), symbols)
        self.domain = loss.declaration.of_prediction

    def value(self, x: float) -> Any:
        """The value at a prediction."""
        with mpmath.workdps(DIGITS):
            return mpmath.mpf(self.function(mpmath.mpf(x)))

    def slope(self, x: float) -> Any:
        """The slope at a prediction, by differences."""
        return slope_at(self.function, self.domain, mpmath.mpf(x))


@cache
def targets(number: float, dtype: Any, count: int) -> np.ndarray:
    """An array of one number."""
    return np.full(count, number, dtype)


def of_shapes(*shapes: str) -> list[Any]:
    """All losses of the package of these shapes, by name."""
    found = {}
    for module in pkgutil.iter_modules(lossbook.__path__):
        for item in vars(importlib.import_module(f"lossbook.{module.name}")).values():
            if isinstance(item, Loss) and item.shape in shapes:
                found[item.name] = item
    return [found[name] for name in sorted(found)]


def pointwise() -> list[Any]:
    """All pointwise losses of the package, by name."""
    return of_shapes("pointwise")


def cases(loss: Any) -> Iterator[Case]:
    """The targets of a loss with its defaults, and then each parameter moved once, under the first target."""
    declaration = loss.declaration
    every = (None,) if declaration.target is None else TARGETS[declaration.arguments[declaration.target].name]
    for target in every:
        yield Case(loss, target, {})
    for name, default in declaration.defaults.items():
        moved = PARAMETERS[declaration.arguments[name].name]
        if moved != default:
            yield Case(loss, every[0], {name: moved})


# --- the ruler --------------------------------------------------------------------------------------------------------


@cache
def compiled() -> tuple[Any, Any]:
    """The loops that measure results of float32 by those of float64, with the one definition of an ulp."""
    from numba import njit
    from numba.extending import register_jitable

    register_jitable(accuracy.step)
    distance = register_jitable(accuracy.distance)

    @njit(nogil=True, error_model="numpy")
    def measure(got, exact, tiny, largest, spacing, zone, off, near):
        """Errors, and whether a result of float64 lies near a border between two roundings."""
        for i in range(got.size):
            off[i] = distance(np.float64(got[i]), exact[i], tiny, largest, spacing)
        for i in range(got.size):
            near[i] = np.float32(exact[i] * (1 + zone)) != np.float32(exact[i] * (1 - zone))

    @njit(nogil=True, error_model="numpy")
    def count(off, got, exact, tiny, bins, worst):
        """Count errors into bins[0], where the exact result is normal, or bins[1]; worst: the largest, its index."""
        last = float(bins.shape[1] - 1)
        for i in range(off.size):
            error = off[i]
            if error != error:
                error = 0.0 if got[i] != got[i] and exact[i] != exact[i] else np.inf
            small = np.int64(not abs(exact[i]) >= tiny)
            bins[small, np.int64(min(max(math.ceil(2 * error) - 1, 0.0), last))] += 1
            if error > worst[small, 0]:
                worst[small, 0], worst[small, 1] = error, i

    return measure, count


@dataclass
class Found:
    """What was found of the values, or of the slopes, of a case."""

    bins: np.ndarray = field(default_factory=lambda: np.zeros((2, BINS), np.int64))
    largest: list = field(default_factory=lambda: [(-1.0, 0), (-1.0, 0)])  # (error, bits): normal results, and below
    near: list = field(default_factory=list)  # (bits, result in float64) near a border
    borders: int = 0  # how many there are, of which `near` may have only some

    def add(self, bits: np.ndarray, got: np.ndarray, exact: np.ndarray) -> None:
        """Look at some results."""
        measure, count = compiled()
        off, near, worst = np.empty(got.size), np.empty(got.size, np.bool_), np.full((2, 2), -1.0)
        measure(got, exact, TINY, LARGEST, SPACING, ZONE, off, near)
        count(off, got, exact, TINY, self.bins, worst)
        for place in range(2):
            if worst[place, 0] > self.largest[place][0]:
                self.largest[place] = float(worst[place, 0]), int(bits[int(worst[place, 1])])
        if near.any():
            found = np.flatnonzero(near)
            found = found[is_near(exact[found])]
            self.borders += found.size
            self.near += [(int(bits[i]), float(exact[i])) for i in found[:: max(1, found.size // 4)]]

    def merge(self, other: "Found") -> None:
        """Add what was found elsewhere."""
        self.bins += other.bins
        self.largest = [max(pair) for pair in zip(self.largest, other.largest, strict=True)]
        self.near += other.near
        self.borders += other.borders


def is_near(exact: np.ndarray) -> np.ndarray:
    """Where an error that is promised of these results would let them be rounded to another float32."""
    with np.errstate(all="ignore"):
        reach = (8 + np.abs(np.log(np.abs(exact)))) * EPSILON
        return (exact * (1 + reach)).astype(np.float32) != (exact * (1 - reach)).astype(np.float32)


def sweep(case: Case, stride: int, threads: int) -> tuple[Found, Found]:
    """(values, slopes) of every `stride`-th prediction."""

    def part(patterns: range) -> tuple[Found, Found]:
        mine = Found(), Found()
        for start in range(patterns.start, patterns.stop, CHUNK * stride):
            bits = np.arange(start, min(start + CHUNK * stride, patterns.stop), stride, np.uint32)
            z = bits.view(np.float32)
            for found, got, exact in zip(mine, case.compute(z), case.compute(z.astype(np.float64)), strict=True):
                found.add(bits, got, exact)
        return mine

    total = Found(), Found()
    with ThreadPoolExecutor(threads) as pool:
        for both in pool.map(part, itertools.chain.from_iterable(cut(whole, stride) for whole in case.ranges)):
            for mine, found in zip(total, both, strict=True):
                mine.merge(found)
    return total


def cut(whole: range, stride: int) -> Iterator[range]:
    """A range of bit patterns in pieces, each of which begins at a multiple of the stride."""
    size = max(1, math.ceil(len(whole) / PIECES / stride)) * stride
    for start in range(whole.start, whole.stop, size):
        yield range(start, min(start + size, whole.stop))


# --- the proof --------------------------------------------------------------------------------------------------------


def number(bits: int) -> float:
    """The float32 of these bits."""
    return float(np.uint32(bits).view(np.float32))


def rounded(exact: Any) -> np.float32:
    """The float32 next to an exact number, of two the even one; what 70 digits do not tell from a tie is one."""
    with mpmath.workdps(70):
        unit = float(accuracy.ulp(exact))
        steps = mpmath.nint(exact / unit)
    with np.errstate(over="ignore"):
        return np.float32(float(steps) * unit)


def report(case: Case, exactly: Any, found: Found, computed: Any, stride: int) -> dict[str, Any]:
    """What was found of the values or slopes of a case, as it is stored; `computed` gives those of both types."""
    (error, bits), (error_below, bits_below) = found.largest
    chosen = found.near[:: max(1, len(found.near) // DECIDED)]
    turned = [place for place, result in chosen if np.float32(result) != rounded(exactly(number(place)))]
    step = (stride * max(1, sum(map(len, case.ranges)) // stride // SAMPLE)) | 1
    places = [*itertools.chain.from_iterable(whole[::step] for whole in case.ranges), bits]
    at = np.array(places, np.uint32).view(np.float32)
    single, double = computed(at), computed(at.astype(np.float64))
    true = np.array([exactly(float(x)) for x in at])
    largest = float(accuracy.error_in_ulp(single[-1], true[-1])) if np.isfinite(double[-1]) else error
    assert error == largest or math.isclose(error, largest, rel_tol=1e-3), (case, number(bits), error, largest)
    normal = (np.abs(double) >= TINY) & np.isfinite(double)
    off = accuracy.error_in_ulp(double[normal], true[normal])
    result = {
        "largest": largest, "at": number(bits), "result": float(double[-1]),
        "histogram": np.trim_zeros(found.bins[0], "b").tolist(),
        "borders": {"near": found.borders, "decided": len(chosen), "turned": len(turned)},
        "reference": {"places": int(normal.sum()), "largest": float(off.max(initial=0))},
    }  # fmt: skip
    if error_below >= 0:
        result["below normal"] = {"number": int(found.bins[1].sum()), "largest": error_below, "at": number(bits_below)}
    return result


def run(case: Case, stride: int, threads: int) -> dict[str, Any]:
    """All that is stored of a case."""
    start = time.perf_counter()
    both, exact = sweep(case, stride, threads), Exact(case.loss, case.target, case.parameters)
    reports = [
        report(case, function, found, lambda z, k=k: case.compute(z)[k], stride)
        for k, (function, found) in enumerate(zip((exact.value, exact.slope), both, strict=True))
    ]
    return {
        "target": case.target, "parameters": case.parameters, "stride": stride, "predictions": int(both[0].bins.sum()),
        "seconds": round(time.perf_counter() - start, 1), "value": reports[0], "gradient": reports[1],
    }  # fmt: skip


# --- the program ------------------------------------------------------------------------------------------------------


def pairs(loss: Any) -> Iterator[tuple[Any, Case]]:
    """The loss with each of its cases."""
    return ((loss, case) for case in cases(loss))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exhaustive", description=__doc__.partition("\n")[0])
    parser.add_argument("--stride", type=int, default=1, help="every how many predictions; odd, or bits are favored")
    parser.add_argument("--only", default="", help="losses whose name contains this")
    parser.add_argument("--threads", type=int, default=lossbook.get_threads())
    options = parser.parse_args()
    lossbook.set_threads(1)  # the threads are those of `sweep`
    results = stored()
    losses = [loss for loss in pointwise() if options.only in loss.name]
    # The first cases of all losses come first: what is stopped has seen the labels and the defaults.
    for loss, case in filter(None, itertools.chain(*itertools.zip_longest(*(pairs(loss) for loss in losses)))):
        known = results["losses"].setdefault(loss.name, {})
        if case.key in known and known[case.key]["stride"] <= options.stride:
            continue
        twins = [other.name for other in losses if other.formula == loss.formula]
        same = [results["losses"].get(name, {}).get(case.key) for name in twins]
        found = next((one for one in same if one and one["stride"] <= options.stride), None)
        known[case.key] = found = found or run(case, options.stride, options.threads)
        store(results)
        texts = (f"{what} {found[what]['largest']:.2f} ulp at {found[what]['at']!r}" for what in ("value", "gradient"))
        print(f"{loss.name}, {case.key}: {', '.join(texts)}; {found['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
