"""The arrays that a function takes, and how its own framework differentiates it.

A framework is looked for only among the modules that are loaded: a function of PyTorch has loaded PyTorch.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Function = Callable[..., Any]


class OfNumPy:
    """Functions of NumPy arrays, which nobody differentiates."""

    name = "NumPy"
    differentiates = False

    def array(self, array: Any) -> Any:
        """A copy of an array, as the function takes it."""
        return np.array(array)

    def read(self, result: Any) -> np.ndarray:
        """A NumPy array of what came out."""
        return np.asarray(result)

    def owns(self, result: Any) -> bool:
        """Whether a result is one of this framework."""
        return True

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Within, the function computes in the precision that it is given."""
        yield

    def value_and_slope(self, call: Function, prediction: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """(value, slope of the sum of the value along the prediction or None where the framework has none)."""
        return self.read(call(self.array(prediction))), None

    def held(self) -> int | None:
        """How many arrays are alive, or None where the memory is counted elsewhere."""
        return None


class OfTorch(OfNumPy):
    """Functions of PyTorch tensors."""

    name = "PyTorch"
    differentiates = True

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    def array(self, array: Any) -> Any:
        return self.torch.from_numpy(np.array(array)) if isinstance(array, np.ndarray) else array

    def owns(self, result: Any) -> bool:
        return isinstance(result, self.torch.Tensor)

    def read(self, result: Any) -> np.ndarray:
        return result.detach().cpu().numpy().copy() if self.owns(result) else np.asarray(result)

    def value_and_slope(self, call: Function, prediction: Any) -> tuple[np.ndarray, np.ndarray | None]:
        leaf = self.array(prediction).requires_grad_()
        result = call(leaf)
        if not self.owns(result) or not result.requires_grad:
            return self.read(result), None
        result.sum().backward()
        return self.read(result), None if leaf.grad is None else self.read(leaf.grad)

    def held(self) -> int | None:
        import gc

        gc.collect()
        return sum(issubclass(type(item), self.torch.Tensor) for item in gc.get_objects())


class OfJax(OfNumPy):
    """Functions of JAX arrays."""

    name = "JAX"
    differentiates = True

    def __init__(self, jax: Any) -> None:
        self.jax = jax

    def array(self, array: Any) -> Any:
        return self.jax.numpy.array(array)

    def owns(self, result: Any) -> bool:
        return isinstance(result, self.jax.Array)

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        before = self.jax.config.jax_enable_x64
        self.jax.config.update("jax_enable_x64", True)
        try:
            yield
        finally:
            self.jax.config.update("jax_enable_x64", before)

    def value_and_slope(self, call: Function, prediction: Any) -> tuple[np.ndarray, np.ndarray | None]:
        result, pull = self.jax.vjp(call, self.array(prediction))
        return self.read(result), self.read(pull(self.jax.numpy.ones_like(result))[0])

    def held(self) -> int | None:
        return len(self.jax.live_arrays())


def loaded() -> list[OfNumPy]:
    """The frameworks whose functions may be audited, NumPy first."""
    found = [OfNumPy()]
    if "torch" in sys.modules:
        found.append(OfTorch(sys.modules["torch"]))
    if "jax" in sys.modules:
        found.append(OfJax(sys.modules["jax"]))
    return found


def is_module(function: Any) -> bool:
    """Whether a function is a torch.nn.Module."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(function, torch.nn.Module)
