"""The ruler: how far a computed number is from the exact one, in units of the last place (ulp).

This is the one definition, for the tests, the benchmarks and the book:

* An ulp at an exact number x is the distance of the floats of a type around x: 2**(e - t) for 2**e <= abs(x) < 2**(e+1)
  and t bits behind the leading one. Below the smallest normal number the distance no longer shrinks, and beyond the
  largest it no longer grows.
* What lies beyond the largest number counts as the next power of two, whether it was computed or is exact: infinity is
  right for every exact number from there on.
* NaN is right where the exact result is NaN, and infinitely wrong elsewhere.
"""

from typing import Any

import mpmath
import numpy as np

from lossbook.arrays import quiet
from lossbook.errors import DomainError

__all__ = ["error_in_ulp", "ulp"]

DIGITS = 1000  # of differences of numbers of mpmath
EXPONENT = 0x7FF0000000000000  # where the bits of a float64 hold its exponent


def ulp(exact: Any, dtype: Any = np.float32) -> Any:
    """The unit of the last place of a type at exact numbers.

    Parameters
    ----------
    exact : float or array
        Numbers of Python, NumPy or mpmath.
    dtype : dtype, optional
        float16, float32 or float64.

    Returns
    -------
    float64 or array of float64

    Raises
    ------
    DomainError
        For another dtype.

    Examples
    --------
    >>> from lossbook import accuracy
    >>> float(accuracy.ulp(1.0)) == 2.0**-23
    True
    >>> accuracy.ulp([0.0, 1e300]).tolist() == [2.0**-149, 2.0**104]
    True
    """
    tiny, largest, spacing = limits(dtype)
    return step(np.asarray(exact).astype(np.float64), tiny, largest, spacing)[()]


def error_in_ulp(got: Any, exact: Any) -> Any:
    """The errors of floats in ulp of their own type at the exact numbers.

    Parameters
    ----------
    got : float or array
        Computed numbers; their dtype chooses the unit.
    exact : float or array
        The exact numbers, in float64 for results of float32 or float16, or as numbers of mpmath.

    Returns
    -------
    float64 or array of float64

    Raises
    ------
    DomainError
        For exact numbers that are no more exact than the computed ones.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> from lossbook import accuracy
    >>> print(f"{accuracy.error_in_ulp(np.float32(math.pi), math.pi):.2f}")
    0.37
    >>> accuracy.error_in_ulp(np.float32([np.inf, 0]), np.array([1e39, 1e-45])).round(2).tolist()
    [0.0, 0.71]
    """
    got, exact = np.asarray(got), np.asarray(exact)
    tiny, largest, spacing = limits(got.dtype)
    if exact.dtype != object and exact.dtype.itemsize <= got.dtype.itemsize:
        rule = f"must be float64 or numbers of mpmath for results of {got.dtype}"
        rule = "must be numbers of mpmath for results of float64" if got.dtype.itemsize == 8 else rule
        raise DomainError("accuracy.error_in_ulp", "exact", rule, exact.dtype)
    if exact.dtype != object:
        with quiet():
            off = distance(got.astype(np.float64), exact.astype(np.float64), tiny, largest, spacing)
        return np.where(np.isnan(off), np.where(np.isnan(got) & np.isnan(exact), 0.0, np.inf), off)[()]
    beyond = mpmath.mpf(largest) + mpmath.mpf(float(ulp(largest, got.dtype)))

    def between(number: Any, true: Any) -> float:
        if mpmath.isnan(true) or np.isnan(number):
            return 0.0 if mpmath.isnan(true) and np.isnan(number) else np.inf
        number, true = (min(max(mpmath.mpf(x), -beyond), beyond) for x in (float(number), true))
        return float(abs(number - true) / mpmath.mpf(float(step(np.float64(true), tiny, largest, spacing))))

    with mpmath.workdps(DIGITS):
        return np.asarray(np.frompyfunc(between, 2, 1)(got, exact)).astype(np.float64)[()]


def limits(dtype: Any) -> tuple[float, float, float]:
    """(the smallest normal number, the largest number, the ulp at 1) of a dtype."""
    found = np.dtype(dtype)
    if found.kind != "f" or found.itemsize > 8:
        raise DomainError("accuracy", "dtype", "must be float16, float32 or float64", found)
    info = np.finfo(found)
    return float(info.smallest_normal), float(info.max), float(info.eps)


# What follows takes numbers or arrays of float64, in Python or compiled.


def step(exact: Any, tiny: float, largest: float, spacing: float) -> Any:
    """The ulp at exact numbers, of a type with these limits."""
    size = np.minimum(np.maximum(np.abs(exact), tiny), largest)
    return np.int64(np.float64(size).view(np.int64) & EXPONENT).view(np.float64) * spacing


def distance(got: Any, exact: Any, tiny: float, largest: float, spacing: float) -> Any:
    """The errors in ulp of results narrower than float64, of a type with these limits."""
    beyond = largest + step(np.float64(largest), tiny, largest, spacing)
    got = np.minimum(np.maximum(got, -beyond), beyond)
    true = np.minimum(np.maximum(exact, -beyond), beyond)
    return np.abs(got - true) / step(exact, tiny, largest, spacing)
