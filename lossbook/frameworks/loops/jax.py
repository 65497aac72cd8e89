"""What a text in JAX begins with: a function with slopes of its own, and types."""

import jax
import jax.numpy as xp

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def differentiable(value, slopes, count, arrays):
    """A function of arrays, and then of numbers, with slopes of its own along the first `count` arrays."""

    def function(*inputs):
        traced = [k for k, x in enumerate(inputs) if k < arrays or hasattr(x, "dtype")]

        def whole(given):
            known = dict(zip(traced, given, strict=True))
            return [known.get(k, x) for k, x in enumerate(inputs)]

        @jax.custom_jvp
        def of_arrays(*given):
            return value(*whole(given))

        @of_arrays.defjvp
        def along(given, tangents):
            results = of_arrays(*given)
            units = [tuple(xp.ones_like(r) if j == k else xp.zeros_like(r) for j, r in enumerate(results))
                     for k in range(len(results))]  # fmt: skip
            each = [slopes(*whole(given), unit) for unit in units]
            moved = [sum(d * tangent for d, tangent in zip(found, tangents[:count], strict=False)) for found in each]
            return results, tuple(m.astype(r.dtype) for m, r in zip(moved, results, strict=False))

        return of_arrays(*(inputs[k] for k in traced))

    return function


def floats(x, like=None):
    """The array in the type in which it is computed, or in that of another: float32 or float64."""
    if like is not None:
        return xp.asarray(x, like.dtype)
    return x if x.dtype in (xp.float32, xp.float64) else x.astype(xp.float32)


def asarray(x, like):
    """Numbers as an array beside another; an array as it is."""
    return x if hasattr(x, "dtype") else xp.asarray(x, dtype=like.dtype)


def last(x, axis):
    """The array with an axis moved to the end."""
    return xp.moveaxis(x, axis, -1)


def constant(x):
    """The array, which is not differentiated."""
    return jax.lax.stop_gradient(x)


def taken(x, index):
    """The entries of the last axis at an index for each row."""
    return xp.take_along_axis(x, index[..., None], -1)[..., 0]


def indices(y):
    """Class indices of any integer dtype as an index."""
    return y


def counting(count, like):
    """0, 1, ..., count - 1"""
    return xp.arange(count)
