"""Losses of JAX's arrays: traced, differentiated and mapped; `make test-frameworks`."""

import numpy as np
import pytest
from cases import LOSSES, points
from test_pytorch import every_text, pytestmark, tensors  # noqa: F401 - what PyTorch says of itself

from lossbook import DomainError, binary, detection, multiclass

jax = pytest.importorskip("jax")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy


@every_text
def test_what_jax_traces_is_what_the_kernels_compute(loss):
    """Value, gradient and Hessian in `jit`, against the kernels and against PyTorch."""
    import torch

    z, *others = tensors(loss)
    lent = [jnp.asarray(array.detach().numpy()) for array in (z, *others)]

    def value(z):
        return loss(z, *lent[1:])

    np.testing.assert_allclose(jax.jit(value)(lent[0]), value(lent[0]), rtol=1e-13)
    slopes = jax.jit(jax.grad(value))(lent[0])
    np.testing.assert_allclose(slopes, loss.grad(*lent), rtol=1e-10, atol=1e-14)
    hessian = torch.autograd.functional.hessian(lambda z: loss(z, *others), z.detach())
    np.testing.assert_allclose(jax.jit(jax.hessian(value))(lent[0]), hessian, rtol=1e-9, atol=1e-12)
    # The package's own second derivatives, of arrays and in a trace.
    along = np.random.default_rng(1).normal(size=z.shape)
    product = np.tensordot(hessian.numpy(), along, z.ndim)
    diagonal = np.diagonal(hessian.numpy().reshape(z.numel(), -1)).reshape(z.shape)
    for way in (jax.jit, lambda function: function):
        found = way(lambda z, v: loss.hvp(z, *lent[1:], v, reduction="mean"))(lent[0], jnp.asarray(along))
        np.testing.assert_allclose(found, product, rtol=1e-9, atol=1e-12)
        if loss.shape in ("pointwise", "rows", "boxes") or way is not jax.jit:
            found = way(lambda z: loss.hessian(z, *lent[1:], reduction="mean"))(lent[0])
            np.testing.assert_allclose(found, diagonal, rtol=1e-9, atol=1e-12)
    found = loss.hvp(z, *others, torch.tensor(along), reduction="mean")
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found, product, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(loss.hessian(z, *others, reduction="mean"), diagonal, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss.shape == "pointwise"], ids=lambda loss: loss.name)
def test_what_jax_traces_keeps_its_digits(loss):
    """At inputs chosen to be hard, in float32, but for subnormal numbers, which XLA takes for 0."""
    arrays = points(loss, np.float32)
    usual = np.all([(a == 0) | (abs(a) >= np.finfo(np.float32).tiny) for a in arrays], axis=0)
    arrays = [array[usual] for array in arrays]
    wanted = loss.value_and_grad(*arrays, reduction="none")
    found = jax.jit(lambda *given: loss.value_and_grad(*given, reduction="none"))(*map(jnp.asarray, arrays))
    least = 64 * np.finfo(np.float32).tiny
    # Of a soft label two terms may cancel: then the larger one counts.
    soft = np.where((arrays[-1] > 0) & (arrays[-1] < 1), arrays[-1], 0) if len(arrays) > 1 else 0
    for ours, theirs in zip(wanted, map(np.asarray, found), strict=True):
        with np.errstate(all="ignore"):
            allowed = (16 + 2 * abs(np.log(abs(ours)))) * np.spacing(np.maximum(abs(ours), soft))
            close = (abs(ours - theirs) <= allowed) | (ours == theirs) | (np.fmax(abs(ours), abs(theirs)) < least)
        close |= np.isnan(ours) & np.isnan(theirs)
        wrong = np.flatnonzero(~close)
        assert not wrong.size, [(*(a[k] for a in arrays), ours[k], theirs[k]) for k in wrong[:3]]


def test_outside_of_a_trace_values_are_checked():
    with pytest.raises(DomainError, match=r"p must be in \[0, 1\]; got 2.0 at index 0"):
        binary.cross_entropy(jnp.array([2.0]), jnp.array([1.0]))
    with pytest.raises(DomainError, match="out is for arrays that can be written to"):
        binary.cross_entropy.grad(jnp.array([0.5]), jnp.array([1.0]), out=np.empty(1))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_results_have_the_dtype_of_the_prediction(dtype):
    z, y = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3)), dtype), jnp.array([0, 1, 2, 0, 1, 2, 0, 1])
    loss = multiclass.cross_entropy_with_logits
    for value, gradient in (loss.value_and_grad(z, y), jax.jit(loss.value_and_grad)(z, y)):
        assert value.dtype == gradient.dtype == z.dtype
        assert isinstance(gradient, jax.Array)


def test_a_loss_that_has_no_text_says_so_where_jax_traces():
    with pytest.raises(TypeError, match="neither traced nor compiled"):
        jax.grad(lambda s: detection.detection(s, jnp.zeros((1, 4)), jnp.array([1]), jnp.zeros((1, 4))))(
            jnp.array([[0.5, 0.5]])
        )
