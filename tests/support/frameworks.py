"""Ways to call losses in PyTorch and JAX with NumPy's arrays, for the tests of every loss; imported when they are used.

    Tensor()        tensors of PyTorch, which the kernels compute
    Text("torch")   the text of a loss, which the framework computes and differentiates
"""

import functools

import numpy as np
import pytest

TEXTS = ("torch", "jax")


class Tensor:
    """Losses called with PyTorch's tensors, and gradients from `backward`."""

    name = "tensor"

    @staticmethod
    def up(array):
        import torch

        return torch.from_numpy(array.copy()) if isinstance(array, np.ndarray) else array

    @staticmethod
    def down(result):
        return result.detach().numpy() if hasattr(result, "detach") else result

    def call(self, function, *arrays, **keywords):
        """function is a loss or one of its methods."""
        result = function(*map(self.up, arrays), **{name: self.up(value) for name, value in keywords.items()})
        return tuple(map(self.down, result)) if isinstance(result, tuple) else self.down(result)


class Text:
    """The value by the text of a loss; the gradient as the framework finds it, inside `jit` in JAX.

    A text looks at no values and has no partial sums; its sums are those of the framework, to the last digits but one.
    """

    up = down = staticmethod(lambda array: array)

    def __init__(self, name):
        self.name = name

    def call(self, function, *arrays, **keywords):
        """function is a loss, or its `grad` or `value_and_grad`."""
        loss, method = getattr(function, "__self__", function), getattr(function, "__name__", "")
        if method == "partial" or "out" in keywords:
            pytest.skip("texts have neither partial sums nor an array for the gradient")
        value, gradient = getattr(self, self.name)(loss, *arrays, **keywords)
        if method == "value_and_grad":
            return value, gradient
        return gradient if method == "grad" else value

    @staticmethod
    def torch(loss, *arrays, **keywords):
        import torch

        from lossbook.frameworks import generated, pytorch

        z, *others = map(Tensor.up, arrays)
        z.requires_grad_()
        keywords = {name: Tensor.up(given) for name, given in keywords.items()}
        value = generated.value(pytorch, loss, [z, *others], keywords)
        (gradient,) = torch.autograd.grad(value.sum(), z)
        return value.detach().numpy(), gradient.numpy()

    @staticmethod
    def jax(loss, *arrays, **keywords):
        import jax

        jax.config.update("jax_enable_x64", True)
        lent = {name: given for name, given in keywords.items() if isinstance(given, np.ndarray)}
        fixed = {name: given for name, given in keywords.items() if name not in lent}

        @functools.partial(jax.jit)
        def both(z, others, lent):
            value, pull = jax.vjp(lambda z: loss(z, *others, **fixed, **lent), z)
            return value, pull(jax.numpy.ones_like(value))[0]

        value, gradient = both(arrays[0], list(arrays[1:]), lent)
        return np.asarray(value), np.asarray(gradient)
