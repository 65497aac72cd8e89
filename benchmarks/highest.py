"""What accuracy="highest" costs: value and gradient of 1 Mi elements, beside the same without it.

python -m benchmarks.highest
"""

from functools import partial
from typing import Any

import numpy as np

import lossbook
from benchmarks.__main__ import take_turns
from benchmarks.results import store, stored
from benchmarks.tasks import MEBI, TASKS
from lossbook import binary, divergence, regression

LOSSES = (
    binary.cross_entropy_with_logits, binary.focal_with_logits, divergence.jensen_shannon, regression.log_cosh,
    regression.squared_error,
)  # fmt: skip


def measured(task: Any, rounds: int) -> dict[str, float]:
    """Milliseconds of a task without and with it, on Numba."""
    arrays = task.arrays((MEBI,), np.random.default_rng(0))
    call = partial(task.loss.value_and_grad, *arrays, backend="numba", out=np.empty_like(arrays[0]))
    times = take_turns({"default": call, "highest": partial(call, accuracy="highest")}, rounds)
    return {name: round(seconds * 1e3, 2) for name, seconds in times.items()}


def main() -> None:
    results, found = stored(), {}
    for loss in LOSSES:
        (task,) = [task for task in TASKS if task.loss is loss]
        found[loss.name] = times = measured(task, 15)
        print(f"{loss.name:35}{times['default']:8.2f} ms, highest {times['highest']:8.2f} ms", flush=True)
    results["highest"] = {"threads": lossbook.get_threads(), "elements": MEBI, "milliseconds": found}
    store(results)


if __name__ == "__main__":
    main()
