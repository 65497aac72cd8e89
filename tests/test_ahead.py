"""`lossbook.warm` makes the kernels of losses before they are needed."""

import sys

import numpy as np
import pytest
from cases import EVERY_LOSS

import lossbook
from lossbook import binary, divergence, kernels, multiclass, regression, segmentation

COMPOSED = [
    segmentation.dice + segmentation.cross_entropy,
    2 * regression.huber,
    binary.focal.on_logits("sigmoid"),
    segmentation.dice.on_logits("softmax"),
]


@pytest.mark.parametrize("loss", [*EVERY_LOSS, *COMPOSED], ids=lambda loss: loss.name)
def test_every_loss_can_be_warmed(loss):
    """All losses, composed ones too, with and without all options, take the small arrays that they are called with."""
    lossbook.warm(loss, backend="numpy")
    lossbook.warm(loss, backend="numpy", weight=True, class_weight=True, ignore_index=True, dtype="float16")
    lossbook.warm(loss, backend="numpy", indices=False, dtype=np.float64, classes=5)


def signatures():
    """How many kernels this process has compiled or loaded, by module."""
    modules = {name: module for name, module in sys.modules.items() if name.startswith("lossbook.kernels.")}
    found = {(name, f): getattr(module, f, None) for name, module in modules.items() for f in ("loops", "wide")}
    return {key: len(function.signatures) for key, function in found.items() if hasattr(function, "signatures")}


def test_what_is_warm_compiles_nothing_more(tmp_path, monkeypatch):
    """After `warm` calls of that dtype and with those options find their kernels, in this process and on disk."""
    monkeypatch.setenv("LOSSBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels, "_directory", None)
    rows, entropy = multiclass.cross_entropy_with_logits, divergence.entropy
    lossbook.warm(rows, class_weight=True, weight=True)
    lossbook.warm(rows, classes=100)
    lossbook.warm(entropy, dtype="float64")
    warm = signatures()
    z, y = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32), np.arange(50) % 7
    options = {"class_weight": np.ones(7), "weight": np.ones(50), "backend": "numba"}
    rows(z, y, **options), rows.value_and_grad(z, y, **options), rows.grad(z, y, reduction="sum", **options)
    many = z.repeat(20, axis=1)
    rows.grad(many, y, backend="numba"), rows(many, y, reduction="none", backend="numba")
    entropy(np.full(5, 0.5), backend="numba"), entropy.grad(np.full((2, 5), 0.5), backend="numba")
    assert signatures() == warm


def test_what_cannot_be_warmed_is_named():
    """No loss, and options that are data, are refused by name."""
    with pytest.raises(TypeError, match=r"^lossbook.warm: takes losses by position; got none$"):
        lossbook.warm()
    with pytest.raises(TypeError, match=r"^lossbook.warm: takes losses; got module$"):
        lossbook.warm(binary)
    with pytest.raises(lossbook.DomainError, match=r"^lossbook.warm: weight must be True or False"):
        lossbook.warm(binary.focal, weight=np.ones(3))
    with pytest.raises(lossbook.BackendError, match=r"^lossbook.warm: backend must be one of"):
        lossbook.warm(binary.focal, backend="torch")
    with pytest.raises(TypeError, match="unknown argument 'gama'"):
        lossbook.warm(binary.focal, backend="numpy", gama=2)
