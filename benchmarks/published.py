"""Binary cross-entropy of a logit as others publish it, in float32, under the ruler of benchmarks/exhaustive.py.

    python -m benchmarks.published

Each form is computed step by step in NumPy's float32, so that what is measured is the form, not somebody's exponential.
The sources: Herbie, bench/mathematics/logistic-regression.fpcore, "Logistic regression 2", the answer that it is given
to compare with; PyTorch, binary_cross_entropy_with_logits in aten/src/ATen/native/Loss.cpp; optax,
sigmoid_binary_cross_entropy in optax/losses/_classification.py, and the same of Keras on JAX; Keras on TensorFlow,
which calls tf.nn.sigmoid_cross_entropy_with_logits; Keras without from_logits, which clips probabilities by 1e-7.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.exhaustive import CHUNK, TINY, Case
from benchmarks.results import store, stored
from lossbook import accuracy, binary

STRIDE = 1021
ONE, ZERO = np.float32(1), np.float32(0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1/(1 + exp(-x)), whose exponential never overflows."""
    decay = np.exp(-np.abs(x))
    return np.where(x < 0, decay, ONE) / (ONE + decay)


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    """log(sigmoid(x)), as PyTorch and JAX have it."""
    return np.minimum(x, ZERO) - np.log1p(np.exp(-np.abs(x)))


def herbie(x: np.ndarray, y: np.float32) -> np.ndarray:
    """log(1 + e^x) - x*y for x <= 0, and log(1 + e^-x) - (-x)*(1 - y) for others."""
    return np.where(x <= 0, np.log(ONE + np.exp(x)) - x * y, np.log(ONE + np.exp(-x)) - (-x) * (ONE - y))


def pytorch(x: np.ndarray, y: np.float32) -> np.ndarray:
    """(1 - y)*x - log_sigmoid(x)."""
    return (ONE - y) * x - log_sigmoid(x)


def jax(x: np.ndarray, y: np.float32) -> np.ndarray:
    """-y*log_sigmoid(x) - (1 - y)*log_sigmoid(-x)."""
    return -y * log_sigmoid(x) - (ONE - y) * log_sigmoid(-x)


def tensorflow(x: np.ndarray, y: np.float32) -> np.ndarray:
    """max(x, 0) - x*y + log1p(e^-|x|)."""
    return np.maximum(x, ZERO) - x * y + np.log1p(np.exp(-np.abs(x)))


def clipped(x: np.ndarray, y: np.float32) -> np.ndarray:
    """-y*log(p) - (1 - y)*log(1 - p), of the probability p, clipped to [1e-7, 1 - 1e-7]."""
    p = np.clip(sigmoid(x), np.float32(1e-7), ONE - np.float32(1e-7))
    return -(y * np.log(p) + (ONE - y) * np.log(ONE - p))


FORMS: dict[str, Callable[[np.ndarray, np.float32], np.ndarray]] = {
    "Herbie": herbie, "PyTorch": pytorch, "JAX (optax), Keras on JAX": jax, "Keras on TensorFlow": tensorflow,
    "Keras, of probabilities": clipped,
}  # fmt: skip
TARGETS = (1.0, 0.0, 0.25)


def measured(target: float, stride: int = STRIDE) -> dict[str, Any]:
    """The largest error of each form, and of the package, over every so many logits, and at which logit."""
    case, found = Case(binary.cross_entropy_with_logits, target, {}), dict.fromkeys((*FORMS, "lossbook"), (-1.0, 0.0))
    for whole in case.ranges:
        for start in range(whole.start, whole.stop, CHUNK * stride):
            bits = np.arange(start, min(start + CHUNK * stride, whole.stop), stride, np.uint32)
            x = bits.view(np.float32)
            exact = case.compute(x.astype(np.float64))[0]
            with np.errstate(all="ignore"):
                results = {name: form(x, np.float32(target)) for name, form in FORMS.items()}
            for name, got in (results | {"lossbook": case.compute(x)[0]}).items():
                off = np.where(np.abs(exact) >= TINY, accuracy.error_in_ulp(got, exact), 0)
                worst = int(np.argmax(off))
                found[name] = max(found[name], (float(off[worst]), float(x[worst])))
    return {name: {"largest": error, "at": place} for name, (error, place) in found.items()}


def main() -> None:
    results = stored()
    results["published"] = {"stride": STRIDE} | {f"y = {target:g}": measured(target) for target in TARGETS}
    store(results)
    for target in TARGETS:
        for name, one in results["published"][f"y = {target:g}"].items():
            print(f"y = {target:<5g}{name:28}{one['largest']:.3g} ulp at {one['at']!r}")


if __name__ == "__main__":
    main()
