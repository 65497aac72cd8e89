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

    def may_take(self, function: Any) -> bool:
        """Whether the function may take such arrays."""
        torch = sys.modules.get("torch")
        return torch is None or not isinstance(function, torch.nn.Module)

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

    def value(self, function: Function, arguments: list[Any], options: dict[str, Any]) -> Any:
        """What the function gives."""
        return function(*arguments, **options)

    def value_and_slope(
        self, function: Function, arguments: list[Any], place: int, options: dict[str, Any]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(value, slope of the sum of the value along the argument at a place, None where the framework has none)."""
        return self.read(function(*arguments, **options)), None

    def held(self) -> int | None:
        """How many arrays are alive, or None where the memory is counted elsewhere."""
        return None


class OfTorch(OfNumPy):
    """Functions of PyTorch tensors."""

    name = "PyTorch"
    differentiates = True

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    def may_take(self, function: Any) -> bool:
        return True

    def array(self, array: Any) -> Any:
        return self.torch.from_numpy(np.array(array)) if isinstance(array, np.ndarray) else array

    def owns(self, result: Any) -> bool:
        return isinstance(result, self.torch.Tensor)

    def read(self, result: Any) -> np.ndarray:
        return result.detach().cpu().numpy().copy() if self.owns(result) else np.asarray(result)

    def value_and_slope(
        self, function: Function, arguments: list[Any], place: int, options: dict[str, Any]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        leaf = arguments[place].requires_grad_()
        result = function(*arguments, **options)
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
        self.kept: dict[Any, Any] = {}

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

    def value(self, function: Function, arguments: list[Any], options: dict[str, Any]) -> Any:
        return self.compiled(function, "value", lambda *given, **named: function(*given, **named))(
            *arguments, **options)

    def value_and_slope(
        self, function: Function, arguments: list[Any], place: int, options: dict[str, Any]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        def both(*given: Any, **named: Any) -> tuple[Any, Any]:
            before, after = given[:place], given[place + 1 :]
            result, pull = self.jax.vjp(lambda leaf: function(*before, leaf, *after, **named), given[place])
            return result, pull(self.jax.numpy.ones_like(result))[0]

        result, slope = self.compiled(function, place, both)(*arguments, **options)
        return self.read(result), self.read(slope)

    def compiled(self, function: Function, what: Any, made: Function) -> Function:
        """A function compiled once, or as it is where it asks for values, which compiling does not have."""
        key = (id(function), what)
        if key not in self.kept:
            self.kept[key] = function, self.jax.jit(made)  # the function is held, so that no other takes its id

        def run(*arguments: Any, **options: Any) -> Any:
            try:
                return self.kept[key][1](*arguments, **options)
            except self.jax.errors.JAXTypeError:
                return made(*arguments, **options)

        return run

    def held(self) -> int | None:
        return len(self.jax.live_arrays())


def loaded(function: Any) -> list[OfNumPy]:
    """The frameworks whose arrays a function may take, NumPy first."""
    found = [OfNumPy()]
    if "torch" in sys.modules:
        found.append(OfTorch(sys.modules["torch"]))
    if "jax" in sys.modules:
        found.append(OfJax(sys.modules["jax"]))
    return [framework for framework in found if framework.may_take(function)]
