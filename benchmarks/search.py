"""A search for the largest errors in float32 of losses of rows, images and boxes, whose inputs are too many to try all.

    python -m benchmarks.search

Inputs that gave large errors are varied a little, again and again, and those that give larger ones are kept. What is
found is a lower bound of the largest error, never a proof; it stands in benchmarks/exhaustive.json under "sampled".
Slopes are measured in ulp of the largest slope of their row or image. Those of boxes are sums of large terms that
cancel, for which this is no measure, so that their values alone are searched.
"""

from typing import Any

import numpy as np

from benchmarks.exhaustive import of_shapes
from benchmarks.results import store, stored
from lossbook import accuracy

ITEMS, PARENTS, ROUNDS = 2048, 128, 40
CLASSES, PIXELS = 5, 6


def searched() -> list[Any]:
    """All losses of rows, images and boxes of the package, by name."""
    return of_shapes("rows", "overlap", "boxes")


def item_shape(loss: Any) -> tuple[int, ...]:
    """What an item of the prediction has beside its own axis."""
    return {"rows": (CLASSES,), "overlap": (1, PIXELS), "boxes": (4,)}[loss.shape]


def decoded(domain: Any, genes: np.ndarray) -> np.ndarray:
    """float32 inputs of a domain, from any numbers; small changes of these are small changes of the inputs."""
    with np.errstate(over="ignore"):
        wide = np.sinh(1.5 * genes)
        if domain.components:
            sides = np.exp(genes[:, 2:])
            return np.concatenate([genes[:, :2], genes[:, :2] + sides], axis=1).astype(np.float32)
        if domain.holds_classes or (domain.role == "target" and domain.bounded):
            return (genes > 0).astype(np.float32)
        if domain.bounded:
            return (1 / (1 + np.exp(-wide))).astype(np.float32)
        return (-np.logaddexp(0, wide) if domain.high == 0 else wide).astype(np.float32)


def targets(loss: Any, genes: np.ndarray) -> np.ndarray:
    """The targets: of rows class 0, or where a loss takes distributions alone, or questions, those of the genes."""
    domain = loss.declaration.arguments[loss.declaration.target]
    if loss.shape == "rows" and loss.declaration.by_class:
        return np.zeros(len(genes), int)
    if loss.shape == "rows" and domain.holds_classes:
        shares = np.exp(genes - genes.max(axis=1, keepdims=True))
        return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    return decoded(domain, genes)


def errors(loss: Any, genes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(errors of the values, of the slopes in ulp of the largest slope of the item, exact values) of each item."""
    z, y = decoded(loss.declaration.of_prediction, genes[0]), targets(loss, genes[1])
    got = loss.value_and_grad(z, y, reduction="none", backend="numba")
    wide = y if y.dtype.kind == "i" else y.astype(np.float64)
    exact = loss.value_and_grad(z.astype(np.float64), wide, reduction="none", backend="numba")
    values, true = (array.reshape(len(z), -1) for array in (got[0], exact[0]))
    slopes, steep = (array.reshape(len(z), -1) for array in (got[1], exact[1]))
    largest = np.abs(steep).max(axis=1)
    with np.errstate(all="ignore"):
        off = accuracy.error_in_ulp(values, true).max(axis=1)
        of_slopes = np.abs(slopes - steep).max(axis=1) / accuracy.ulp(largest)
    normal = (np.abs(true).max(axis=1) >= accuracy.limits(np.float32)[0]) & (np.abs(true).max(axis=1) < 1e38)
    ordinary = (largest >= accuracy.limits(np.float32)[0]) & (largest < 1e38)
    return np.where(normal, off, 0), np.where(ordinary, of_slopes, 0), true.max(axis=1)


def search(loss: Any, rounds: int = ROUNDS) -> dict[str, Any]:
    """The largest errors that were found, of value and slope, and the exact value where that of the value was."""
    found: dict[str, Any] = {"inputs": rounds * ITEMS}
    for which, what in enumerate(("value",) if loss.space.corners else ("value", "gradient")):
        random = np.random.default_rng(which)
        genes = random.normal(scale=1.5, size=(2, ITEMS, *item_shape(loss)))
        worst = -1.0
        for _ in range(rounds):
            result = errors(loss, genes)
            order = np.argsort(result[which])
            if result[which][order[-1]] > worst:
                worst = float(result[which][order[-1]])
                found[what] = {"largest": worst, "result": float(result[2][order[-1]])}
            parents = genes[:, order[-PARENTS:]]
            genes = parents[:, random.integers(0, PARENTS, ITEMS)]
            # Changes of all sizes, of some of the numbers; the parents stay.
            size = 10.0 ** random.uniform(-8, 0, (1, ITEMS, *[1] * len(item_shape(loss))))
            change = random.normal(size=genes.shape) * size * (random.random(genes.shape) < 0.4)
            genes = np.concatenate([parents, (genes + change)[:, PARENTS:]], axis=1)
    return found


def main() -> None:
    results = stored()
    sampled = results.setdefault("sampled", {})
    for loss in searched():
        sampled[loss.name] = found = search(loss)
        store(results)
        print(loss.name, *(f"{what} {found[what]['largest']:.2f}" for what in ("value", "gradient") if what in found))


if __name__ == "__main__":
    main()
