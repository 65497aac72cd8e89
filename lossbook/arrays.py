"""Arrays of whatever package: whose they are, what they are computed in, and how results are rounded."""

import sys
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

# The dtype in which predictions of a dtype are computed.
WORKING = {np.dtype(np.float16): np.float32, np.dtype(np.float32): np.float32, np.dtype(np.float64): np.float64}
INDEX = np.dtype(np.int64)  # of class indices


def is_cupy(array: Any) -> bool:
    """Whether an array is CuPy's."""
    return type(array).__module__.partition(".")[0] == "cupy"


def is_dask(*arrays: Any) -> bool:
    """Whether any array is Dask's; a package that is not loaded owns no array, so Dask is not imported to find out."""
    if "dask.array" not in sys.modules:
        return False
    owned = getattr(sys.modules["dask.array"], "Array", ())  # absent while another thread imports it
    return any(isinstance(array, owned) for array in arrays)


def several(given: Any) -> tuple[Any, ...]:
    """What was given for several predictions, or for all of them at once, as a tuple."""
    return given if isinstance(given, tuple) else (given,)


def array_module(array: Any) -> Any:
    """cupy for CuPy arrays, which then is loaded already; numpy for all others."""
    return sys.modules["cupy"] if is_cupy(array) else np


def times(array: Any, coefficient: float) -> Any:
    """The array, multiplied in place; in float64, if its own dtype cannot hold the coefficient."""
    real, info = array.dtype.type, np.finfo(array.dtype)
    with np.errstate(all="ignore"):
        if coefficient == 0:
            array[...] = 0  # also of what is infinite
        elif float(info.tiny) <= abs(coefficient) <= float(info.max):
            if coefficient != 1:
                array *= real(coefficient)
        else:
            array[...] = array * np.float64(coefficient)
    return array


def rounded(array: Any, dtype: Any) -> Any:
    """An array in this dtype, rounded once; what is too large for float16 is infinite.

    NumPy takes some fifty times as long for each number that is subnormal in float16 as for others, and the slopes of
    a mean are. A number below 2^-14 is therefore first rounded to what float16 has there, the multiples of 2^-24: these
    are the spacing of float32 around 3/4.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype.itemsize == 2 and array.dtype == np.float32 and isinstance(array, np.ndarray):
            middle = np.float32(0.75)
            array = np.where(np.abs(array) < np.float32(2.0**-14), (array + middle) - middle, array)
        return array.astype(dtype, copy=False)


def number(value: Any, dtype: np.dtype) -> np.floating[Any]:
    """A result as a scalar of this dtype."""
    value = float(value)
    if abs(value) <= 65504:  # the largest float16
        return dtype.type(value + 0.0)  # and never -0.0
    with np.errstate(over="ignore"):
        return dtype.type(value)


def holds_exactly(real: type, array: Any) -> bool:
    """Whether a type has every number of an array; the first piece that says no ends the search."""
    with quiet():
        for piece in cut(array.shape, 1 << 16):
            part = array[piece]
            if bool(((part.astype(real) != part) & (part == part)).any()):
                return False
    return True


def bounds_of(dtype: np.dtype) -> tuple[int, int]:
    """The smallest integer or bool of a dtype, and what follows the largest."""
    if dtype.kind == "b":
        return 0, 2
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max) + 1


def as_indices(array: Any, xp: Any = np) -> Any:
    """Class indices as int64; those beyond it, of uint64, become the largest, which is neither a class nor ignored."""
    if array.dtype.kind == "u" and array.dtype.itemsize == 8:
        array = xp.minimum(array, array.dtype.type(np.iinfo(np.int64).max))
    return xp.ascontiguousarray(array, dtype=INDEX)


def quiet() -> np.errstate:
    """In this block NumPy says nothing of overflow and its kin, which formulas know how to meet."""
    return np.errstate(all="ignore")


def to_host(array: Any) -> Any:
    """A NumPy array of what may be on the device."""
    return array.get() if type(array).__module__.partition(".")[0] == "cupy" else array


def cut(shape: tuple[int, ...], limit: int) -> Iterator[tuple[slice, ...]]:
    """Index tuples that cut an array of this shape into pieces of at most `limit` elements, in order."""
    rest = prod(shape[1:])
    if not shape or shape[0] * rest <= limit:
        yield (slice(None),) * len(shape)
    elif rest >= limit:
        for first in range(shape[0]):
            for others in cut(shape[1:], limit):
                yield (slice(first, first + 1), *others)
    else:
        step = limit // rest
        for first in range(0, shape[0], step):
            yield (slice(first, first + step), *(slice(None),) * (len(shape) - 1))
