"""The CuPy backend on a real GPU, where there is one: every loss, every reduction, both dtypes, against NumPy."""

import numpy as np
import pytest
from cases import DTYPES, LOSSES, example, points

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def cupy():
    """CuPy with a device, or a skip that says what is missing."""
    module = pytest.importorskip("cupy", reason="CuPy is not installed")
    try:
        count = module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no CUDA device: {error}")
    if not count:
        pytest.skip("no CUDA device")
    return module


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_the_device_agrees_with_numpy(loss, dtype, cupy):
    """Values, sums and gradients of ordinary and extreme inputs agree with NumPy's to a few ulp of the largest."""
    inputs = [example(loss, dtype, (300, 7, 5, 3)), example(loss, dtype, (40, 700))]
    inputs += [points(loss, dtype)] if loss.shape == "pointwise" else [example(loss, dtype, (40, 700), integer=True)]
    near = 64 * np.finfo(dtype).eps
    for arrays in inputs:
        on_device = [cupy.asarray(array) for array in arrays]
        for reduction in ("none", "sum", "mean"):
            wanted = loss.value_and_grad(*arrays, reduction=reduction)
            got = loss.value_and_grad(*on_device, reduction=reduction)
            again = loss.value_and_grad(*on_device, reduction=reduction)
            for here, there, twice in zip(wanted, got, again, strict=True):
                there, twice = cupy.asnumpy(there), cupy.asnumpy(twice)
                assert there.tobytes() == twice.tobytes(), "the same bits in every run"
                np.testing.assert_allclose(there, here, rtol=near, atol=near * np.max(np.abs(here), initial=0))
