"""Write tests/data/peer_accuracy.json: the worst errors of losses of other libraries in float32, in ulp.

    KERAS_BACKEND=jax python tests/peers/make_accuracy.py

needs torch, jax, optax, keras, monai and scikit-learn. The table of the book's page on accuracy has these numbers, and
tests/test_peer_accuracy.py compares the two. Values and slopes are measured over scores (or residuals) of both signs
from 1e-6 to 100, the target being 1 (or the residual the score itself), wherever the exact result is above 2**-120:
below it, an intermediate number may be subnormal, which some processors and compilers round to 0. What is exact is
worked out with mpmath.
"""

import importlib.metadata
import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import keras
import mpmath
import numpy as np
import optax
import torch
from monai.losses import FocalLoss
from sklearn._loss import HalfBinomialLoss

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from lossbook import accuracy  # noqa: E402

FILE = ROOT / "tests" / "data" / "peer_accuracy.json"
LIBRARIES = "torch", "jax", "optax", "keras", "monai", "scikit-learn"
SIZES = np.geomspace(1e-6, 100, 2000)
SCORES = np.float32(np.concatenate([SIZES, -SIZES]))
ONES = np.ones_like(SCORES)
TINY = 2.0**-120

mpmath.mp.dps = 60


def by_torch(loss):
    """Values and slopes of a loss of PyTorch, element by element."""
    scores = torch.tensor(SCORES, requires_grad=True)
    values = loss(scores)
    (slopes,) = torch.autograd.grad(values.sum(), scores)
    return values.detach().numpy(), slopes.numpy()


def by_jax(loss):
    """Values and slopes of a loss in JAX, element by element."""
    scores = jnp.asarray(SCORES)
    return np.asarray(loss(scores)), np.asarray(jax.grad(lambda z: loss(z).sum())(scores))


def by_sklearn():
    """The loss of scikit-learn's logistic regression."""
    return HalfBinomialLoss().loss_gradient(ONES, SCORES)


def columns(array, library):
    """Scores of two classes, of which the first is right and the second has 0."""
    return library.stack([array, library.zeros_like(array)], -1)


def rows(array):
    return array.reshape(-1, 1)


def focal_of_keras(z):
    loss = keras.losses.BinaryFocalCrossentropy(from_logits=True, gamma=2.0, reduction="none")
    return loss(jnp.ones((z.size, 1)), rows(z))


PEERS = {
    "log-cosh": {
        "optax": lambda: by_jax(optax.losses.log_cosh),
        "Keras": lambda: by_jax(lambda z: keras.losses.log_cosh(jnp.zeros((z.size, 1)), rows(z))),
    },
    "binary, on logits": {
        "PyTorch": lambda: by_torch(
            lambda z: torch.nn.functional.binary_cross_entropy_with_logits(z, torch.ones_like(z), reduction="none")
        ),
        "optax": lambda: by_jax(lambda z: optax.losses.sigmoid_binary_cross_entropy(z, jnp.ones_like(z))),
        "scikit-learn": by_sklearn,
    },
    "two classes, on logits": {
        "PyTorch": lambda: by_torch(
            lambda z: torch.nn.functional.cross_entropy(
                columns(z, torch), torch.zeros(z.numel(), dtype=int), reduction="none"
            )
        ),
        "optax": lambda: by_jax(
            lambda z: optax.losses.softmax_cross_entropy_with_integer_labels(
                columns(z, jnp), jnp.zeros(z.size, dtype=int)
            )
        ),
    },
    "focal, on logits": {
        "MONAI": lambda: by_torch(
            lambda z: FocalLoss(gamma=2.0, reduction="none")(rows(z), torch.ones(z.numel(), 1))[:, 0]
        ),
        "Keras": lambda: by_jax(focal_of_keras),
        "optax": lambda: by_jax(lambda z: optax.losses.sigmoid_focal_loss(z, jnp.ones_like(z), gamma=2.0)),
    },
}


def exact_log_cosh(z):
    return mpmath.log(mpmath.cosh(z)), mpmath.tanh(z)


def exact_cross_entropy(z):
    return mpmath.log1p(mpmath.exp(-z)), -1 / (1 + mpmath.exp(z))


def exact_focal(z):
    """The focal loss of gamma 2, whose slope is -q**2 * (2*p*cost + q) with p the probability and q = 1 - p."""
    cost, slope = exact_cross_entropy(z)
    wrong = -slope
    return wrong**2 * cost, -(wrong**2) * (2 * (1 - wrong) * cost + wrong)


EXACT = {
    "log-cosh": exact_log_cosh, "binary, on logits": exact_cross_entropy,
    "two classes, on logits": exact_cross_entropy, "focal, on logits": exact_focal,
}  # fmt: skip


def worst(got, exact):
    """The largest error where the exact number is not tiny; infinite for NaN and infinity."""
    large = np.array([abs(number) >= TINY for number in exact])
    got, exact = np.ravel(got)[large], np.array(exact, object)[large]
    errors = np.where(np.isfinite(got), accuracy.error_in_ulp(got, exact), np.inf)
    return float(f"{errors.max():.2g}")


def measured(loss, library):
    value, slope = PEERS[loss][library]()
    assert value.dtype == slope.dtype == np.float32
    exact = [EXACT[loss](mpmath.mpf(float(z))) for z in SCORES]
    return {"value": worst(value, [pair[0] for pair in exact]), "slope": worst(slope, [pair[1] for pair in exact])}


if __name__ == "__main__":
    versions = {name: importlib.metadata.version(name).partition("+")[0] for name in LIBRARIES}
    found = {loss: {library: measured(loss, library) for library in PEERS[loss]} for loss in PEERS}
    FILE.write_text(json.dumps({"versions": versions, "worst": found}, indent=1) + "\n", encoding="utf-8")
