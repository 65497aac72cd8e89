"""The weight map of U-Net: numbers by hand, distances by brute force, conventions, memory, what is refused."""

import math
import sys
import tracemalloc

import dask.array as da
import fake_cupy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from mpmath import mp
from oracle import exact
from processes import child

from lossbook import BackendError, DomainError, ShapeError, segmentation
from lossbook.accuracy import ulp
from lossbook.labels import class_weights
from lossbook.weight_maps import edge_weights

some_masks = arrays(np.int64, array_shapes(min_dims=2, max_dims=4, max_side=4), elements=st.integers(0, 3))
untimed = settings(deadline=None)


@pytest.fixture
def cupy():
    """CuPy, played by NumPy."""
    with fake_cupy.install() as module:
        yield module


def refused(error, text, *arguments, **options):
    """Assert that a call is refused with this very text, and perhaps a hint."""
    with pytest.raises(error) as caught:
        edge_weights(*arguments, **options)
    assert str(caught.value.changed(hint="")) == f"segmentation.edge_weights: {text}"


def expected(image, w0, sigma, weights, spacing):
    """The weights of one image, exactly, from the distances of all pairs of pixels."""
    places = {k: np.argwhere(image == k).tolist() for k in np.unique(image).tolist() if k}
    for here in np.ndindex(image.shape):
        squares = [
            min(
                mp.fsum(((a - b) * exact(s)) ** 2 for a, b, s in zip(here, one, spacing, strict=True)) for one in pixels
            )
            for pixels in places.values()
        ]
        first_two = [mp.sqrt(square) for square in sorted(squares)[:2]]
        gap = w0 * mp.exp(-(mp.fsum(first_two) ** 2) / (2 * exact(sigma) ** 2)) if len(first_two) == 2 else 0
        yield here, exact(weights[int(image[here] > 0)]) + gap


# --- numbers -------------------------------------------------------------------------------------------------------


def test_a_triangle_by_hand():
    """A pixel 3 from one instance and 5 from the other (3, 4, 5) has d1 + d2 = 8: 1 + 10*exp(-64/50)."""
    y = np.zeros((1, 4, 5), int)
    y[0, 0, 0], y[0, 0, 4] = 1, 2
    weights = edge_weights(y, dtype=np.float64)
    assert weights[0, 3, 0] == pytest.approx(1 + 10 * math.exp(-64 / 50), rel=1e-15)
    assert weights[0, 0, 1] == pytest.approx(1 + 10 * math.exp(-16 / 50), rel=1e-15)  # 1 from one, 3 from the other
    assert weights[0, 0, 0] == weights[0, 0, 1]  # inside one, 4 from the other
    assert edge_weights(y, w0=3, sigma=2, dtype=np.float64)[0, 3, 0] == pytest.approx(1 + 3 * math.exp(-8), rel=1e-15)


def test_the_two_nearest_of_many_instances_count():
    """Four instances on a line, met in any order: each pixel sees the sum of its two smallest distances."""
    for order in ([1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3]):
        y = np.zeros((1, 12), int)
        y[0, [0, 3, 7, 11]] = order
        sums = [3] * 4 + [4] * 8
        assert edge_weights(y, dtype=np.float64)[0] == pytest.approx(1 + 10 * np.exp(-np.square(sums) / 50), rel=1e-15)


def test_images_know_nothing_of_each_other():
    """The same number in two images is two instances; an image with one or none has no second term."""
    y = np.zeros((4, 1, 6), int)
    y[0, 0, 0], y[0, 0, 3], y[1, 0, 3] = 7, 9, 7
    y[3] = 2
    weights = edge_weights(y, class_weight=(0.25, 3), dtype=np.float64)
    assert np.all(weights[0] > 0.25)
    assert weights[1].tolist() == [[0.25, 0.25, 0.25, 3, 0.25, 0.25]]
    assert np.all(weights[2] == 0.25)
    assert np.all(weights[3] == 3)


@untimed
@given(some_masks, st.sampled_from([1e-3, 1.5, 5.0, 1e9]), st.sampled_from([0.0, 2.0]))
def test_weights_are_those_of_all_pairs_of_pixels(y, sigma, background):
    """Equation 2 in mpmath, from the distances of all pairs of pixels: 8 + 8*|ln| ulp, with unequal spacing, too."""
    spacing = (0.5, 2.25, 3.0)[: y.ndim - 1]
    got = edge_weights(y, w0=10, sigma=sigma, class_weight=(background, 0.5), spacing=spacing, dtype=np.float64)
    with mp.workdps(60):
        for image, weight in zip(y, got, strict=True):
            for here, true in expected(image, 10, sigma, (background, 0.5), spacing):
                if true > exact(np.finfo(float).tiny):
                    assert abs(exact(weight[here]) - true) <= (8 + 8 * abs(mp.log(true))) * ulp(true, np.float64)
                else:
                    assert weight[here] <= 4 * np.finfo(float).tiny


@untimed
@given(some_masks)
def test_names_of_instances_do_not_matter(y):
    """Renamed instances, in any unsigned or signed integers, give the same bits."""
    names = np.array([0, 200, 3, 100])
    for dtype in (np.uint8, np.uint64, ">i4"):
        assert np.array_equal(edge_weights(names[y].astype(dtype)), edge_weights(y))


def test_spacing_is_the_unit_of_sigma():
    """Pixels of 2 units with sigma = 10 units are pixels of 1 with sigma = 5; one number stands for all axes."""
    y = np.zeros((1, 3, 4), int)
    y[0, 0, 0], y[0, 2, 3] = 1, 2
    wanted = edge_weights(y)
    assert np.array_equal(edge_weights(y, spacing=2, sigma=10), wanted)
    assert np.array_equal(edge_weights(y, spacing=[2, 2], sigma=10), wanted)
    assert not np.array_equal(edge_weights(y, spacing=(2, 1)), edge_weights(y, spacing=(1, 2)))


def test_gaps_of_no_width_and_of_any_width():
    """The least sigma leaves the weights of the classes alone; the largest gives w0 to every pixel of two instances."""
    y = np.array([[[1, 0, 2]], [[1, 0, 0]]])
    assert edge_weights(y, sigma=5e-324).tolist() == [[[1, 1, 1]], [[1, 1, 1]]]
    assert edge_weights(y, sigma=1e308).tolist() == [[[11, 11, 11]], [[1, 1, 1]]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_are_rounded_once(dtype):
    """float32 unless told; the other dtypes hold the float64 weights, rounded."""
    y = np.array([[[1, 0, 0, 2, 0, 3]]])
    assert edge_weights(y).dtype == np.float32
    assert edge_weights(y, dtype=dtype).dtype == dtype
    assert np.array_equal(edge_weights(y, dtype=dtype), edge_weights(y, dtype=np.float64).astype(dtype))


def test_a_loss_takes_the_map():
    """The map weighs the pixels of a cross-entropy; class_weights of background and foreground balance its floor."""
    y = np.array([[[1, 0, 0, 2], [0, 0, 0, 0]]])
    balance = class_weights(y > 0, 2)
    weight = edge_weights(y, class_weight=balance, dtype=np.float64)
    p = np.random.default_rng(0).uniform(0.1, 0.9, (1, 2, 2, 4))
    costs = segmentation.cross_entropy(p, (y > 0).astype(int), reduction="none")
    got = segmentation.cross_entropy(p, (y > 0).astype(int), weight=weight)
    assert got == pytest.approx(np.sum(weight * costs) / np.sum(weight), rel=1e-14)
    assert edge_weights(y, w0=0, class_weight=balance, dtype=float)[0, 0, :2].tolist() == balance[[1, 0]].tolist()


# --- arrays --------------------------------------------------------------------------------------------------------


def test_layouts_do_not_matter_and_inputs_stay():
    """Read-only, strided, Fortran-ordered and empty arrays, and lists; none is written to."""
    y = np.random.default_rng(1).integers(0, 4, (3, 6, 5))
    wanted, before = edge_weights(y), y.copy()
    y.flags.writeable = False
    for same in (y, np.repeat(y, 2, -1)[..., ::2], np.asfortranarray(y), y[::-1].copy()[::-1], y.tolist()):
        assert np.array_equal(edge_weights(same), wanted)
    assert np.array_equal(y, before)
    assert edge_weights(y[:0]).shape == (0, 6, 5)
    assert edge_weights(y[:, :0]).shape == (3, 0, 5)


def test_memory_does_not_grow_with_the_instances():
    """A hundred instances take no more than three: two distance maps are kept, not one per instance."""

    def peak(instances):
        y = np.zeros((1, 64, 64), int)
        y.reshape(-1)[: 40 * instances : 40] = np.arange(1, instances + 1)
        tracemalloc.start()
        try:
            edge_weights(y)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)  # the first call imports
    assert peak(100) < peak(3) + 64 * 64 * 8


def test_cupy_arrays_stay_on_the_device(cupy):
    """CuPy masks give CuPy weights with the same numbers, in two and three dimensions, which are all CuPy has."""
    for shape in ((2, 6, 5), (2, 3, 4, 5)):
        y = np.random.default_rng(2).integers(0, 4, shape).astype(np.uint8)
        up, balance = cupy.asarray(y), cupy.asarray([0.5, 2.0])
        got = edge_weights(up, class_weight=balance, spacing=0.5)
        assert type(got) is cupy.ndarray
        assert np.array_equal(got.get(), edge_weights(y, class_weight=(0.5, 2), spacing=0.5))
        assert got.dtype == np.float32
        assert np.array_equal(up.get(), y)
    rule = "y must have two or three space axes if it is a CuPy array; got shape (2, 3)"
    refused(ShapeError, rule, cupy.asarray([[0, 1, 2], [0, 0, 0]]))
    rule = "y must be >= 0 (0 for background, 1..K for instances); got -3 at index (0, 1, 0)"
    refused(DomainError, rule, cupy.asarray([[[0], [-3]]]))


# --- what is refused, and what is missing --------------------------------------------------------------------------


def test_masks_are_refused():
    """Negative labels, floats, bools (whose instances are lost), and masks without a space axis."""
    rule = "y must be >= 0 (0 for background, 1..K for instances); got -1 at index (0, 1)"
    refused(DomainError, rule, [[0, -1]])
    refused(DomainError, "y must hold integers; got dtype float64", [[0.0, 1.0]])
    refused(DomainError, "y must hold integers; got dtype bool", np.array([[True, False]]))
    refused(DomainError, "y must be a plain array; got a masked array", np.ma.array([[1]]))
    refused(ShapeError, "y must have shape (N, *space); got (3,)", [0, 1, 2])


def test_numbers_are_refused():
    """Each number out of range is named, with what came."""
    y = np.array([[[1, 0, 2]]])
    refused(DomainError, "w0 must be >= 0 and finite; got -1.0", y, w0=-1.0)
    refused(DomainError, "sigma must be > 0 and finite; got 0.0", y, sigma=0.0)
    refused(DomainError, "sigma must be a number > 0 and finite; got None", y, sigma=None)
    refused(DomainError, "class_weight must be >= 0 and finite; got nan at index 1", y, class_weight=(1, math.nan))
    rule = "class_weight must have shape (2,), one for background and one for instances; got (3,)"
    refused(ShapeError, rule, y, class_weight=(1, 2, 3))
    refused(DomainError, "spacing must be > 0 and finite; got 0", y, spacing=(1, 0))
    refused(DomainError, "spacing must be > 0 and finite; got inf", y, spacing=math.inf)
    rule = "spacing must be a number or have shape (2,), one per space axis; got (3,)"
    refused(ShapeError, rule, y, spacing=(1, 1, 1))
    for dtype in ("int32", "foo", None, 5, [1]):
        refused(DomainError, f"dtype must be float16, float32 or float64; got {dtype!r}", y, dtype=dtype)


def test_what_is_no_number_is_refused():
    """Strings, complex numbers, lists of unequal lengths and integers that no float holds."""
    y = np.array([[[1, 0, 2]]])
    for bad, dtype in ((["a", "b"], "<U1"), (["1", "2"], "<U1"), ([1j, 2], "complex128"), ([10**400, 1], "object")):
        refused(DomainError, f"class_weight must hold real numbers; got dtype {dtype}", y, class_weight=bad)
    refused(DomainError, "class_weight must be a plain array; got a masked array", y, class_weight=np.ma.array([1, 2]))
    ragged = [[1], [1, 2]]
    refused(ShapeError, f"class_weight must be an array; got {ragged}", y, class_weight=ragged)
    for bad, named in (("12", "'12'"), (["1", "2"], "'1'"), (1j, "1j"), (ragged, "[1]"), ([[1, 1], [1, 1]], "[1, 1]")):
        refused(DomainError, f"spacing must be a number > 0 and finite; got {named}", y, spacing=bad)
    refused(DomainError, "spacing must fit a float64; got an integer of 1329 bits", y, spacing=10**400)
    refused(ShapeError, f"y must be an array; got {ragged}", ragged)
    refused(BackendError, "takes NumPy and CuPy arrays; got a Dask array", da.from_array(y))


def test_spacing_keeps_squares_of_distances_in_range():
    """Distances whose squares overflow or vanish are refused, not rounded to infinity or 0."""
    y = np.array([[[1, 0, 2]]])
    for bad in (1e200, 1e-200, (1.0, 1e200)):
        rule = f"spacing must keep all distances between 1.5e-154 and 1.3e+154 in float64; got {bad}"
        refused(DomainError, rule, y, spacing=bad)


def test_narrow_numbers_and_results():
    """float16 arguments are numbers like others; in a float16 map what is too large is infinite."""
    y = np.array([[[1, 0, 2]]])
    half = {"w0": np.float16(2), "sigma": np.float16(0.5), "class_weight": np.float16([0.5, 2])}
    assert np.array_equal(edge_weights(y, **half), edge_weights(y, w0=2, sigma=0.5, class_weight=(0.5, 2)))
    assert np.all(edge_weights(y, w0=1e5, sigma=1e9, dtype=np.float16) == np.inf)


def test_a_missing_scipy_is_named(monkeypatch):
    """Without SciPy the error, an ImportError, says what is needed."""
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(BackendError, match=r"edge_weights: needs SciPy .*, which cannot be imported"):
        edge_weights(np.array([[0, 1]]))


def test_importing_loads_nothing_heavy():
    """The modules of labels, boxes and weight maps load no optional package, not even when NumPy arrays are used."""
    code = """
import sys
import lossbook.labels, lossbook.boxes, lossbook.weight_maps
lossbook.labels.class_weights([0, 1], 2), lossbook.labels.smooth(lossbook.labels.one_hot([0, 1], 2))
lossbook.boxes.encode_boxes([0.0, 0, 1, 1], [0, 0, 1, 1])
print(sorted({"numba", "cupy", "dask", "scipy"} & set(sys.modules)))
"""
    assert child(code) == []
