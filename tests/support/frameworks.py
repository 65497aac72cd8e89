"""Ways to call losses in PyTorch with NumPy's arrays, for the tests of every loss.

    Tensor()     tensors, which the kernels compute
    Text()       the text of a loss, which PyTorch computes and differentiates
"""

import numpy as np
import pytest


class Tensor:
    """Losses called with tensors."""

    name = "tensor"

    @staticmethod
    def up(array):
        import torch

        return torch.from_numpy(array.copy()) if isinstance(array, np.ndarray) else array

    @staticmethod
    def down(result):
        if isinstance(result, tuple):
            return tuple(map(Tensor.down, result))
        return result.detach().numpy() if hasattr(result, "detach") else result

    def call(self, function, *arrays, **keywords):
        """function is a loss or one of its methods."""
        result = function(*map(self.up, arrays), **{name: self.up(value) for name, value in keywords.items()})
        return self.down(result)


class Text:
    """The value by the text of a loss; the gradient as PyTorch finds it.

    A text looks at no values and has no partial sums; its sums are PyTorch's, to the last digits but one.
    """

    name = "torch"

    up = down = staticmethod(lambda array: array)

    def call(self, function, *arrays, **keywords):
        """function is a loss, or its `grad` or `value_and_grad`."""
        loss, method = getattr(function, "__self__", function), getattr(function, "__name__", "")
        if method == "partial" or "out" in keywords:
            pytest.skip("texts have neither partial sums nor an array for the gradient")
        value, gradient = self.value_and_grad(loss, *arrays, **keywords)
        if method == "value_and_grad":
            return value, gradient
        return gradient if method == "grad" else value

    @staticmethod
    def value_and_grad(loss, *arrays, **keywords):
        import torch

        from lossbook.frameworks import generated, pytorch

        z, *others = map(Tensor.up, arrays)
        z.requires_grad_()
        keywords = {name: Tensor.up(given) for name, given in keywords.items()}
        value = generated.value(pytorch, loss, [z, *others], keywords)
        (gradient,) = torch.autograd.grad(value.sum(), z)
        return value.detach().numpy(), gradient.numpy()


WAYS = {"tensor": Tensor, "torch": Text}  # by the names that LOSSBOOK_TEST_BACKENDS knows
