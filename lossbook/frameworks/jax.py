"""Losses of JAX's arrays: kernels where the numbers are there, the text of the loss where JAX traces.

Outside of `jit`, `grad`, `vmap` and their kin an array on a processor is lent to the kernels of NumPy and Numba without
a copy, and its values are checked. Inside, values are not known: JAX gets the text, which it differentiates as often as
asked. Targets and weights are constants.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as xp
import numpy as np

from lossbook.arrays import quiet, several
from lossbook.checks import widened
from lossbook.errors import DomainError
from lossbook.evaluation.request import Request
from lossbook.frameworks import generated
from lossbook.frameworks.generated import Sizes
from lossbook.spaces import ELEMENTS

HALVES = (np.dtype("float16"), np.dtype(xp.bfloat16))


def answer(loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
    """(value or None, gradient or None) as arrays of JAX."""
    if request.out is not None:
        rule = "is for arrays that can be written to, which arrays of JAX are not"
        raise DomainError(loss.name, "out", rule, said=type(request.out).__name__)
    domains = zip(loss.declaration.predictions, arrays, strict=False)
    floats = [in_floats(loss.declaration.arguments[name], array) for name, array in domains]
    arrays = [*floats, *arrays[len(floats) :]]
    every = [part for value in (*arrays, *keywords.values()) for part in several(value)]
    given = [value for value in every if isinstance(value, jax.Array)]
    if not any(isinstance(array, jax.core.Tracer) for array in given) and all(map(is_on_host, given)):
        return evaluated(loss, arrays, keywords, request)
    if request.partial:
        raise TypeError(f"{loss.name}.partial: sums that merge are numbers, which are not known while JAX traces")

    def value_of(prediction):
        return generated.value(sys.modules[__name__], loss, [prediction, *arrays[1:]], keywords)

    if not request.gradient:
        return value_of(arrays[0]), None
    if request.order == 2:
        return None, second_order(loss, value_of, xp.asarray(arrays[0]), request.direction, keywords)
    value, pull = jax.vjp(value_of, xp.asarray(arrays[0]))
    return (value if request.value else None), *pull(xp.ones_like(value))


def in_floats(domain: Any, array: Any) -> Any:
    """A prediction of integers or bools, if these may be taken for what it should hold, in JAX's widest floats."""
    if isinstance(array, jax.Array) and array.dtype.kind in domain.other_kinds:
        return array.astype(float)
    return array


def second_order(loss: Any, value_of: Any, z: jax.Array, direction: Any, keywords: Mapping[str, Any]) -> jax.Array:
    """The diagonal of the Hessian, or its product with a direction, while JAX traces.

    Where values belong to elements or rows, one product gives the diagonal of all rows along one class.
    """
    slopes = jax.grad(lambda z: xp.sum(value_of(z)))

    def product(v):
        return jax.jvp(slopes, (z,), (xp.asarray(v, z.dtype),))[1]

    if direction is not None:
        return product(direction)
    axis = keywords.get("axis", loss.axis) if loss.space.by_row else None
    if axis is None and loss.space is not ELEMENTS:
        raise TypeError(f"{loss.name}.hessian: while JAX traces, use jax.hessian of the loss, or its hvp")
    if axis is None:
        return product(xp.ones_like(z))
    places = xp.arange(z.shape[axis]).reshape(-1, *(1,) * (z.ndim - 1 - axis % z.ndim))
    each = jax.vmap(lambda k: xp.where(places == k, product(xp.where(places == k, xp.ones_like(z), 0)), 0))
    return xp.sum(each(xp.arange(z.shape[axis])), 0)


def is_on_host(array: jax.Array) -> bool:
    """Whether NumPy can read an array where it is."""
    return all(device.platform == "cpu" for device in array.devices())


def evaluated(loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
    """What the kernels give for arrays whose numbers are there."""
    names, count = loss.declaration.arrays, len(loss.declaration.predictions)
    dtypes = [array.dtype for array in arrays[:count] if isinstance(array, jax.Array)]
    given = [on_host(array) for array in arrays]
    for k, array in enumerate(arrays[:count]):
        if isinstance(array, jax.Array) and array.dtype in HALVES:
            eps = float(xp.finfo(array.dtype).eps)
            given[k] = widened(loss.declaration.arguments[names[k]], np.asarray(array, np.float32), eps)
    if request.direction is not None:
        request = replace(request, direction=on_host(request.direction))
    with quiet():
        value, gradient = loss.evaluate(given, {name: on_host(option) for name, option in keywords.items()}, request)
    if request.partial:
        return value, None
    return back(value, dtypes), back(gradient, dtypes)


def on_host(value: Any) -> Any:
    """An array of JAX as one of NumPy; others as they are."""
    if type(value) is tuple:
        return tuple(map(on_host, value))
    if not isinstance(value, jax.Array):
        return value
    return np.asarray(value, np.float32) if value.dtype == xp.bfloat16 else np.asarray(value)


def back(result: Any, dtypes: Sequence[Any]) -> Any:
    """Results of NumPy as arrays of JAX, in the dtypes of the predictions."""
    if result is None:
        return None
    if type(result) is tuple:
        dtypes = [*dtypes, *[None] * (len(result) - len(dtypes))]
        return tuple(xp.asarray(one, dtype) for one, dtype in zip(result, dtypes, strict=False))
    return xp.asarray(result, dtypes[0] if dtypes else None)


def spec(value: Any, sizes: Sizes) -> Any:
    """The shape and dtype of an array, in NumPy's terms; others as they are."""
    if not isinstance(value, jax.Array):
        return value
    dtype = np.dtype(np.float32 if value.dtype in HALVES else value.dtype)
    return generated.Spec(sizes.out(value.shape), dtype)


def prepared(loss: Any, arrays: Sequence[Any], keywords: Sequence[tuple[str, Any]]) -> tuple[Any, ...]:
    """`generated.prepared` for what `spec` gave."""
    return generated.prepared("jax", loss, arrays, dict(keywords))


def number(value: Any, sizes: Sizes) -> Any:
    """An array without axes as a number, which parameters are, and what `spec` gives of one with axes."""
    return value.item() if isinstance(value, jax.Array) and not value.ndim else spec(value, sizes)


def in_float64(array: jax.Array) -> jax.Array:
    """The array in float64, where JAX is told to have it (`jax_enable_x64`)."""
    return array.astype(xp.float64) if jax.config.jax_enable_x64 else array


def cast(array: jax.Array, dtype: Any) -> jax.Array:
    """The array in another dtype."""
    return array.astype(dtype)


def asarray(value: Any, like: jax.Array | None) -> jax.Array:
    """Numbers as an array beside another; an array as it is."""
    if isinstance(value, jax.Array):
        return value
    return xp.asarray(value, None if like is None else like.dtype)
