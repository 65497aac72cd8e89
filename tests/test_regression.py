"""Numbers for the regression losses from other libraries, with their provenance."""

import numpy as np
import pytest

from lossbook import regression


def test_huber_agrees_with_pytorch():
    """PyTorch 2.13.0, huber_loss(p, 0, delta=0.5, reduction="none") on (0.2, 2, -3)."""
    p, y = np.array([0.2, 2.0, -3.0]), np.zeros(3)
    assert regression.huber(p, y, delta=0.5, reduction="none") == pytest.approx([0.02, 0.875, 1.375], rel=1e-15)
    assert regression.huber.grad(p, y, delta=0.5, reduction="none") == pytest.approx([0.2, 0.5, -0.5], rel=1e-15)


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_huber_has_no_overflowing_branch(name):
    """float32, residual 1e20: the loss is 1e20, though half its square is infinite; the slope at the knee is delta."""
    value, slope = regression.huber.value_and_grad(np.float32([1e20]), np.float32([0]), backend=name)
    assert value == np.float32(1e20)
    assert slope == 1
    at_knee = regression.huber.grad(np.float32([1, -1, 0]), np.zeros(3, np.float32), reduction="none", backend=name)
    assert list(at_knee) == [1, -1, 0]


def test_squared_error_has_no_half():
    """(y - p)**2 with slope 2*(p - y); the residual is taken first, so 1e8 + 1 against 1e8 is exact."""
    assert regression.squared_error(np.array([3.0, -1.0]), np.array([1.0, 1.0]), reduction="none") == pytest.approx(
        [4, 4]
    )
    assert regression.squared_error.grad(np.array([3.0]), np.array([1.0])) == pytest.approx([4])
    assert regression.squared_error(np.array([1e8 + 1]), np.array([1e8])) == 1


def test_the_slope_of_a_perfect_huge_prediction_is_zero():
    """2*p - 2*y would be infinity less infinity here; 2*(p - y) is 0."""
    huge = np.float32([3e38])
    for backend in ("numpy", "numba"):
        value, gradient = regression.squared_error.value_and_grad(huge, huge, backend=backend)
        assert value == 0
        assert gradient == 0


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_what_is_too_large_for_float16_is_infinite_without_a_warning(name):
    """60000 against -60000: the float32 result 1.44e10 and the slope 240000 are both above 65504."""
    far = np.full(1, 60000, np.float16)
    value, slope = regression.squared_error.value_and_grad(far, -far, reduction="none", backend=name)
    assert value == slope == np.inf
    assert value.dtype == slope.dtype == np.float16
