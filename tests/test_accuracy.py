"""The ruler: ulp and error_in_ulp, of numbers and arrays of every type."""

import numpy as np
import pytest
from mpmath import mp, mpf

from lossbook import DomainError, accuracy

DTYPES = (np.float16, np.float32, np.float64)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_an_ulp_is_the_spacing_of_the_floats(dtype):
    """At floats of all sizes, subnormal ones and the largest included, it is what NumPy says."""
    info = np.finfo(dtype)
    sizes = np.ldexp(dtype(1.37), np.arange(info.minexp - info.nmant, info.maxexp)).astype(dtype)
    numbers = np.concatenate([sizes, -sizes, [0, info.tiny, 1, 2, np.nextafter(dtype(2), dtype(0))]]).astype(dtype)
    wanted = np.abs(np.spacing(numbers)).astype(np.float64)
    assert accuracy.ulp(numbers.astype(np.float64), dtype).tolist() == wanted.tolist()
    top = float(info.max) - float(np.nextafter(info.max, dtype(0)))
    assert accuracy.ulp(info.max, dtype) == accuracy.ulp(np.inf, dtype) == top


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_a_neighbor_is_one_ulp_away(dtype):
    """The error of the next float is 1, of half the way 1/2: ordinary, below the normal numbers, and at the top."""
    info = np.finfo(dtype)
    for number in np.array([1.5, info.tiny / 4, info.max, -3.0], dtype):
        exact, step = mpf(float(number)), mpf(float(accuracy.ulp(float(number), dtype)))
        with mp.workdps(400):
            assert accuracy.error_in_ulp(number, exact + step) == 1
            assert accuracy.error_in_ulp(number, exact - step / 4) == 0.25
        assert accuracy.error_in_ulp(number, exact) == 0


def test_numbers_of_mpmath_and_float64_give_the_same():
    """Of float32 results, an exact result may come in either form."""
    random = np.random.default_rng(0)
    exact = random.normal(size=200) * 10.0 ** random.integers(-44, 39, 200)
    with np.errstate(over="ignore"):
        got = (exact * (1 + 1e-7)).astype(np.float32)
    by_mpmath = accuracy.error_in_ulp(got, np.array([mpf(x) for x in exact]))
    np.testing.assert_allclose(accuracy.error_in_ulp(got, exact), by_mpmath, rtol=1e-12)
    assert (by_mpmath > 0.5).any()


@pytest.mark.parametrize("made", [float, mpf], ids=["float64", "mpmath"])
def test_infinity_stands_for_the_power_of_two_beyond_the_largest_number(made):
    """It is right for what is larger, and one ulp from the largest number; NaN is right for NaN alone."""
    infinity, largest = np.float32(np.inf), np.finfo(np.float32).max
    exact = np.array([made(1e300), made(float(largest)), made(2.0**128), made("nan"), made(1.0), made(-1e300)])
    found = accuracy.error_in_ulp(np.array([infinity, infinity, largest, np.nan, np.nan, infinity], np.float32), exact)
    assert found.tolist() == [0, 1, 1, 0, np.inf, 2.0**25]


def test_what_is_no_ruler_is_refused():
    """Results of float64 need more exact numbers than float64, and integers have no ulp."""
    with pytest.raises(DomainError, match=r"exact must be numbers of mpmath for results of float64; got"):
        accuracy.error_in_ulp(np.float64(1), np.float64(1))
    with pytest.raises(DomainError, match=r"exact must be float64 or numbers of mpmath for results of float32; got"):
        accuracy.error_in_ulp(np.float32(1), np.float32(1))
    with pytest.raises(DomainError, match="dtype must be float16, float32 or float64; got"):
        accuracy.ulp(1.0, np.int32)
