"""One-hot targets, label smoothing, class weights: numbers by hand and from papers, exactness, arrays of all kinds."""

import math
from fractions import Fraction

import dask.array as da
import fake_cupy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from mpmath import mp, mpf
from oracle import exact

from lossbook import DomainError, Positive, Real, ShapeError, accuracy, labels, multiclass
from lossbook.labels import class_weights, one_hot, smooth

DTYPES = (np.float16, np.float32, np.float64)
CLASSES = 5
some_labels = arrays(np.int64, array_shapes(max_dims=3, max_side=4), elements=st.integers(-1, CLASSES - 1))
untimed = settings(deadline=None)


@pytest.fixture
def cupy():
    """CuPy, played by NumPy."""
    with fake_cupy.install() as module:
        yield module


def refused(error, text, function, *arguments, **options):
    """Assert that a call is refused with this very text, and perhaps a hint."""
    with pytest.raises(error) as caught:
        function(*arguments, **options)
    assert str(caught.value.changed(hint="")) == text


# --- one_hot -------------------------------------------------------------------------------------------------------


def test_one_hot_by_hand():
    """A row has its 1 at the label; the class axis is the second, and the dtype is float32, unless told."""
    hot = one_hot([2, 0], 3)
    assert hot.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert hot.dtype == np.float32
    image = np.array([[[0, 1], [1, 2]]])
    assert one_hot(image, 3).tolist() == [[[[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]]]
    assert one_hot(image, 3, axis=-1)[0, 1, 1].tolist() == [0, 0, 1]
    assert one_hot([2, 0], 3, axis=0).tolist() == [[0, 1], [0, 0], [1, 0]]
    assert one_hot(1, 3, axis=0).tolist() == [0, 1, 0]
    assert one_hot(np.array([True, False]), 2).tolist() == [[0, 1], [1, 0]]
    assert one_hot(np.zeros((0, 4), int), 3).shape == (0, 3, 4)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float16, np.float64, ">f4"])
def test_one_hot_has_the_dtype_that_is_asked_for(dtype):
    """Any dtype that holds 0 and 1 will do."""
    hot = one_hot([1, 0], 2, dtype=dtype)
    assert hot.dtype == np.dtype(dtype)
    assert hot.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("y", "ignored"),
    [
        (np.int64([1, -100, 2]), -100),
        (np.uint8([1, 255, 2]), 255),
        (np.int8([1, 0, 2]), 0),
        (np.uint64([1, 2**64 - 1, 2]), 2**64 - 1),
    ],
)
def test_an_ignored_label_gives_zeros(y, ignored):
    """Whether the ignored label is a class or not, its column is 0."""
    assert one_hot(y, 3, ignore_index=ignored).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_an_ignored_label_need_not_fit_the_dtype():
    """-100 is no uint8, and 300 classes are more than a uint8 can name; neither is an error."""
    hot = one_hot(np.uint8([1, 255]), 300, ignore_index=-100)
    assert hot.shape == (2, 300)
    assert hot.argmax(axis=1).tolist() == [1, 255]


@untimed
@given(some_labels, st.integers(0, 3))
def test_one_hot_undone(y, axis):
    """The class axis sums to 1, argmax gives the label back, and an ignored label sums to 0."""
    axis = min(axis, y.ndim)
    hot = one_hot(y, CLASSES, axis=axis, ignore_index=-1)
    assert np.array_equal(hot.sum(axis=axis), y >= 0)
    assert np.array_equal(hot.argmax(axis=axis), np.maximum(y, 0))


def test_a_loss_takes_either():
    """Integer labels, ignored ones included, and their one-hot targets cost the same."""
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(6, CLASSES, 3)), rng.integers(0, CLASSES, (6, 3))
    y[2, 1] = 255
    integer = multiclass.cross_entropy_with_logits(z, y, ignore_index=255, reduction="sum", smoothing=0.1)
    target = smooth(one_hot(y, CLASSES, ignore_index=255, dtype=float), 0.1)
    soft = multiclass.cross_entropy_with_logits(z, target, reduction="sum", weight=(y != 255).astype(float))
    assert soft == pytest.approx(integer, rel=1e-14)


def test_one_hot_refuses():
    """Labels that are no class, arrays that are no labels, and axes that are none, each with what came."""
    y = np.array([[0, 1, 2, 7]])
    where = "labels.one_hot: "
    refused(DomainError, where + "y must be a class index in 0..2; got 7 at index (0, 3)", one_hot, y, 3)
    rule = "y must be a class index in 0..2 or ignore_index=255; got 7 at index (0, 3)"
    refused(DomainError, where + rule, one_hot, y, 3, ignore_index=255)
    refused(DomainError, where + "y must be a class index in 0..2; got -1 at index 1", one_hot, [0, -1], 3)
    refused(DomainError, where + "y must be a class index in 0..2; got 3", one_hot, 3, 3, axis=0)
    refused(DomainError, where + "y must hold integers; got dtype float64", one_hot, [0.0], 3)
    refused(DomainError, where + "y must be a plain array; got a masked array", one_hot, np.ma.array([1]), 3)
    for classes in (0, -2, 2.0, True, "3"):
        refused(DomainError, f"{where}classes must be a positive integer; got {classes!r}", one_hot, y, classes)
    rule = "ignore_index must be an integer or None; got 1.0"
    refused(DomainError, where + rule, one_hot, y, 8, ignore_index=1.0)
    rule = "axis must be in -3..2 for y of shape (1, 4); got "
    for axis in (3, -4, 1.0):
        refused(ShapeError, where + rule + repr(axis), one_hot, y, 8, axis=axis)
    refused(ShapeError, where + "axis must be in -1..0 for y of shape (); got 1", one_hot, 0, 8)
    refused(DomainError, f"{where}classes must be at most {2**31}; got {2**70}", one_hot, y, 2**70)
    rule = "ignore_index must be a 64-bit integer; got "
    for ignored in (2**64, -(2**63) - 1):
        refused(DomainError, f"{where}{rule}{ignored}", one_hot, y, 8, ignore_index=ignored)
    ragged = [[0], [1, 2]]
    refused(ShapeError, f"{where}y must be an array; got {ragged}", one_hot, ragged, 3)
    for dtype in ("foo", None, 5, "U3", "M8[s]", object, "f4,f4"):
        rule = f"dtype must be a dtype of bools, integers or floats; got {dtype!r}"
        refused(DomainError, where + rule, one_hot, y, 8, dtype=dtype)


# --- smooth --------------------------------------------------------------------------------------------------------


def test_smoothing_of_the_paper():
    """Szegedy et al. 2016, section 7: 1000 classes, epsilon = 0.1; 0.9001 at the label and 0.0001 elsewhere."""
    target = smooth(one_hot([3], 1000, dtype=float))
    assert target[0, 3] == pytest.approx(0.9001, rel=1e-15)
    assert target[0, 4] == pytest.approx(0.0001, rel=1e-15)
    assert math.fsum(target[0]) == pytest.approx(1, rel=1e-15)


def test_smooth_at_its_ends():
    """epsilon = 0 changes nothing, epsilon = 1 leaves nothing; no array is handed back as it came."""
    target = np.array([[0.25, 0.75]])
    same = smooth(target, 0)
    assert same.tolist() == target.tolist()
    assert not np.shares_memory(same, target)
    assert smooth(target, 1).tolist() == [[0.5, 0.5]]
    assert smooth(np.zeros((2, 0)), 0.5).shape == (2, 0)


@untimed
@given(st.data(), st.sampled_from(DTYPES), st.floats(0, 1), st.integers(0, 2))
def test_smooth_is_exact(data, dtype, epsilon, axis):
    """Within 2 ulp of (1 - epsilon)*t + epsilon/C in rational numbers, along any axis; float16 is rounded once."""
    shape = data.draw(array_shapes(min_dims=3, max_dims=3, max_side=3))
    width = np.finfo(dtype).bits
    target = data.draw(arrays(dtype, shape, elements=st.floats(0, 1, width=width)))
    got = smooth(target, epsilon, axis=axis)
    assert got.dtype == dtype
    assert got.shape == shape
    share = Fraction(epsilon)
    for value, here in zip(target.ravel().tolist(), got.ravel().tolist(), strict=True):
        true = (1 - share) * Fraction(value) + share / shape[axis]
        size = max(true, Fraction(float(np.finfo(dtype).tiny)))
        spacing = Fraction(float(accuracy.ulp(float(size), dtype)))
        assert abs(Fraction(here) - true) <= (Fraction("0.51") if dtype == np.float16 else 2) * spacing


def test_smooth_refuses():
    """Targets that are no distribution, shares that are none, and other dtypes."""
    target = np.array([[0.5, 1.5], [np.nan, 0.0]])
    where = "labels.smooth: "
    refused(DomainError, where + "targets must be in [0, 1]; got 1.5 at index (0, 1)", smooth, target)
    refused(DomainError, where + "targets must be in [0, 1]; got nan at index 0", smooth, target[1], axis=0)
    refused(DomainError, where + "targets must be float16, float32 or float64; got dtype int64", smooth, [[1, 0]])
    target = np.zeros((2, 3))
    for epsilon in (-0.1, 1.5, math.nan):
        refused(DomainError, f"{where}epsilon must be in [0, 1]; got {epsilon!r}", smooth, target, epsilon)
    refused(DomainError, where + "epsilon must be a number in [0, 1]; got '0'", smooth, target, "0")
    refused(ShapeError, where + "axis must be in -2..1 for targets of shape (2, 3); got 2", smooth, target, axis=2)
    refused(ShapeError, where + "targets must have a class axis; got shape ()", smooth, np.float32(1))
    rule = "epsilon must fit a float64; got an integer of 1329 bits"
    refused(DomainError, where + rule, smooth, target, 10**400)
    ragged = [[0.5], [0.5, 0.5]]
    refused(ShapeError, f"{where}targets must be an array; got {ragged}", smooth, ragged)


@pytest.mark.parametrize("number", [10**400, -(10**400), Fraction(10**400), 10**5000], ids=range(4))
def test_a_number_beyond_float64_is_refused_by_name(number):
    """Where a rule has no upper bound of its own, it still has to be a float64."""
    with pytest.raises(DomainError, match=r"^here: limit must fit a float64; got ") as caught:
        labels.parameter("here", "limit", number, Real)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_parameters_may_be_narrow_floats(dtype):
    """A float16 is compared with bounds that it could not hold."""
    assert labels.parameter("here", "limit", dtype(0.5), Positive) == 0.5
    with pytest.raises(DomainError, match=r"limit must be > 0 and finite; got .*inf"):
        labels.parameter("here", "limit", dtype(np.inf), Positive)


# --- class_weights -------------------------------------------------------------------------------------------------


def test_inverse_frequencies_by_hand():
    """90 and 10 labels weigh 5/9 and 5, as in scikit-learn 1.9.1 (class_weight="balanced")."""
    weights = class_weights(np.repeat([0, 1], [90, 10]), 2)
    assert weights.tolist() == [5 / 9, 5.0]
    assert weights.dtype == np.float64


@untimed
@given(some_labels)
def test_inverse_frequencies_are_exact(y):
    """Each is the float next to N/(C*N_c), 0 for a class that does not occur; ignored labels do not count."""
    counts = [int((y == c).sum()) for c in range(CLASSES)]
    wanted = [float(Fraction(sum(counts), CLASSES * count)) if count else 0.0 for count in counts]
    assert class_weights(y, CLASSES, ignore_index=-1).tolist() == wanted


def test_effective_numbers_by_hand():
    """beta = 1/2: one label has E = 1, two have E = 3/2; the weights 1 and 2/3 are scaled to add up to 2."""
    weights = class_weights([0, 1, 1], 2, method="effective", beta=0.5)
    assert weights == pytest.approx([1.2, 0.8], rel=1e-15)


@pytest.mark.parametrize("beta", [0.0, 1e-300, 1e-9, 0.3, 0.5, 0.9, 0.999, 0.9999, 1 - 1e-9, 1 - 2**-53])
def test_effective_numbers_are_exact(beta):
    """Within 8 ulp of 1/E_c scaled to add up to C, in 400 digits, from 1 label to a million, for beta near 1."""
    counts = [1, 2, 3, 10, 0, 999, 10**6]
    weights = class_weights(np.repeat(np.arange(7), counts), 7, method="effective", beta=beta)
    with mp.workdps(400):
        inverse = [(1 - exact(beta)) / (1 - exact(beta) ** count) if count else mpf(0) for count in counts]
        for got, one in zip(weights, inverse, strict=True):
            true = 7 * one / mp.fsum(inverse)
            assert abs(exact(got) - true) <= 8 * accuracy.ulp(true, np.float64)
    assert math.fsum(weights) == pytest.approx(7, rel=4e-15)


def test_effective_numbers_lie_between_equal_and_inverse_weights():
    """beta = 0 weighs the classes the same; beta next to 1 gives inverse frequencies."""
    y = np.repeat([0, 1, 2], [1, 10, 100])
    assert class_weights(y, 3, method="effective", beta=0).tolist() == [1, 1, 1]
    inverse = class_weights(y, 3)
    near = class_weights(y, 3, method="effective", beta=math.nextafter(1, 0))
    assert near / near.sum() == pytest.approx(inverse / inverse.sum(), rel=1e-13)


@pytest.mark.parametrize("method", ["inverse", "effective"])
def test_a_class_that_does_not_occur(method):
    """Its weight is 0, a loss stays finite with it, and without any label all weights are 0."""
    y = np.array([0, 0, 2])
    weights = class_weights(y, 3, method=method)
    assert weights[1] == 0
    assert np.all(weights[[0, 2]] > 0)
    for target in (y, one_hot(y, 3, dtype=float)):
        assert math.isfinite(multiclass.cross_entropy_with_logits(np.eye(3), target, class_weight=weights))
    assert class_weights([4, 4], 3, method=method, ignore_index=4).tolist() == [0, 0, 0]
    assert class_weights(np.zeros((2, 0), int), 3, method=method).tolist() == [0, 0, 0]


def test_labels_are_counted_piece_by_piece(monkeypatch):
    """The size of a piece does not change the count."""
    y = np.random.default_rng(1).integers(0, 4, (7, 5))
    whole = class_weights(y, 4, ignore_index=3)
    monkeypatch.setattr(labels, "PIECE", 4)
    assert class_weights(y, 4, ignore_index=3).tolist() == whole.tolist()


def test_class_weights_refuses():
    """Labels that are no class, and options that are none."""
    where = "labels.class_weights: "
    refused(DomainError, where + "y must be a class index in 0..1; got 2 at index (1, 0)", class_weights, [[0], [2]], 2)
    refused(DomainError, where + "y must hold integers; got dtype float64", class_weights, [], 2)
    refused(DomainError, where + "classes must be a positive integer; got 0", class_weights, [0], 0)
    rule = "method must be 'inverse' or 'effective'; got 'balanced'"
    refused(DomainError, where + rule, class_weights, [0], 2, method="balanced")
    methods = np.array(["inverse", "effective"])
    rule = "method must be 'inverse' or 'effective'; got an array of shape (2,)"
    refused(DomainError, where + rule, class_weights, [0], 2, method=methods)
    refused(DomainError, f"{where}classes must be at most {2**31}; got {2**62}", class_weights, [0], 2**62)
    for beta in (1.0, -0.1, math.nan):
        refused(DomainError, f"{where}beta must be in [0, 1); got {beta!r}", class_weights, [0], 2, beta=beta)


# --- arrays of all kinds -------------------------------------------------------------------------------------------


def layouts(array):
    """The same array, laid out in other ways."""
    wide = np.repeat(array, 2, axis=-1)
    read_only = array.copy()
    read_only.flags.writeable = False
    yield from (read_only, wide[..., ::2], np.asfortranarray(array), array[::-1].copy()[::-1])
    yield array.astype(array.dtype.newbyteorder(">"))


def test_layouts_do_not_matter_and_inputs_stay():
    """Read-only, strided, Fortran-ordered, reversed and big-endian arrays give the same; none is written to."""
    y = np.random.default_rng(2).integers(0, CLASSES, (4, 3, 6))
    target = one_hot(y, CLASSES)
    for given_y in layouts(y):
        assert np.array_equal(one_hot(given_y, CLASSES), target)
        assert np.array_equal(class_weights(given_y, CLASSES), class_weights(y, CLASSES))
        assert np.array_equal(given_y, y)
    for given_target in layouts(target):
        smoothed = smooth(given_target)
        assert np.array_equal(smoothed, smooth(target))
        assert smoothed.dtype == given_target.dtype
        assert np.array_equal(given_target, one_hot(y, CLASSES))


def test_cupy_arrays_stay_on_the_device(cupy):
    """Each function gives a CuPy array, with the same numbers, from CuPy arrays; errors name the place, too."""
    y = np.random.default_rng(3).integers(0, CLASSES, (4, 3, 2)).astype(np.uint8)
    y[1, 2, 0] = 255
    on_device = cupy.asarray(y)
    hot, target = one_hot(on_device, CLASSES, ignore_index=255), one_hot(y, CLASSES, ignore_index=255)
    pairs = [(hot, target), (smooth(hot, 0.2), smooth(target, 0.2))]
    for method in ("inverse", "effective"):
        options = {"method": method, "ignore_index": 255}
        pairs.append((class_weights(on_device, CLASSES, **options), class_weights(y, CLASSES, **options)))
    for got, wanted in pairs:
        assert type(got) is cupy.ndarray
        assert got.dtype == wanted.dtype
        assert np.array_equal(got.get(), wanted)
    assert class_weights(cupy.asarray([4, 4]), 3, ignore_index=4).tolist() == [0, 0, 0]
    rule = "labels.one_hot: y must be a class index in 0..4; got 255 at index (1, 2, 0)"
    refused(DomainError, rule, one_hot, on_device, CLASSES)
    assert np.array_equal(on_device.get(), y)


def test_dask_arrays_are_taken_block_by_block():
    """one_hot and smooth stay lazy, the class axis may be cut; the weights of all blocks are those of the whole."""
    y = np.random.default_rng(4).integers(0, CLASSES, (6, 4, 2))
    y[5, 3, 1] = 255
    lazy = da.from_array(y, chunks=(4, 3, 1))
    for axis in (0, 1, -1):
        hot, target = (one_hot(array, CLASSES, axis=axis, ignore_index=255) for array in (lazy, y))
        smoothed = smooth(hot.rechunk(2), 0.2, axis=axis)
        for got, wanted in ((hot, target), (smoothed, smooth(target, 0.2, axis=axis))):
            assert isinstance(got, da.Array)
            assert got.dtype == wanted.dtype
            assert got.shape == wanted.shape
            assert np.array_equal(got.compute(), wanted)
    for method in ("inverse", "effective"):
        options = {"method": method, "ignore_index": 255}
        assert np.array_equal(class_weights(lazy, CLASSES, **options), class_weights(y, CLASSES, **options))


def test_dask_arrays_of_unknown_shape():
    """How many labels there are need not be known, but how many classes; a Delayed is no array."""
    y = da.from_array(np.array([0, 1, 1, 0, 2]), chunks=2)
    hot = one_hot(y[y > 0], 3)
    assert hot.compute().tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert np.array_equal(smooth(hot).compute(), smooth(hot.compute()))
    assert class_weights(y[y > 0], 3).tolist() == [0, 0.5, 1]
    refused(DomainError, "labels.one_hot: y must be a class index in 0..1; got 2", one_hot(y[y > 0], 2).compute)
    some = hot[:, da.from_array(np.array([True, True, False]))]
    known = "targets must have a known number of classes, as after targets.compute_chunk_sizes(); got shape (nan, nan)"
    refused(ShapeError, f"labels.smooth: {known}", smooth, some)
    refused(DomainError, "labels.one_hot: y must hold integers; got dtype object", one_hot, y.to_delayed()[0], 2)


def test_an_error_in_a_block_names_the_place_in_the_whole():
    """The index that a Dask array's error gives counts from the start of the array, not of the block."""
    y = np.zeros((6, 4), int)
    y[5, 3] = 7
    lazy = da.from_array(y, chunks=(4, 3))
    rule = "y must be a class index in 0..2; got 7 at index (5, 3)"
    refused(DomainError, f"labels.one_hot: {rule}", one_hot(lazy, 3).compute)
    refused(DomainError, f"labels.class_weights: {rule}", class_weights, lazy, 3)
    rule = "labels.smooth: targets must be in [0, 1]; got 7.0 at index (5, 3)"
    refused(DomainError, rule, smooth(lazy.astype(float)).compute)
