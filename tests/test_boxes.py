"""Boxes as offsets from anchors, and back: numbers by hand, the round trip, accuracy in ulp, what is refused."""

import math

import fake_cupy
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from oracle import exact

from lossbook import BackendError, DomainError, ShapeError
from lossbook.accuracy import ulp
from lossbook.boxes import decode_boxes, encode_boxes

DTYPES = (np.float16, np.float32, np.float64)
WORKING = {np.float16: np.float32, np.float32: np.float32, np.float64: np.float64}
ANCHOR, BOX = [0.0, 0.0, 10.0, 20.0], [5.0, 5.0, 25.0, 15.0]
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
both = pytest.mark.parametrize("function", [encode_boxes, decode_boxes])
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


def encoded(box, anchor):
    """The offsets of one box, exactly: (t_x, t_y, t_w, t_h)."""
    box, anchor = [exact(x) for x in box], [exact(x) for x in anchor]
    sizes, anchor_sizes = ([b[k + 2] - b[k] for k in (0, 1)] for b in (box, anchor))
    centers, anchor_centers = ([(b[k + 2] + b[k]) / 2 for k in (0, 1)] for b in (box, anchor))
    moved = [(centers[k] - anchor_centers[k]) / anchor_sizes[k] for k in (0, 1)]
    return moved + [mp.log(sizes[k] / anchor_sizes[k]) for k in (0, 1)]


def decoded(deltas, anchor, clip):
    """The corners of one box, exactly, and the largest term of each."""
    deltas, anchor = [exact(x) for x in deltas], [exact(x) for x in anchor]
    corners, terms = [], []
    for k in range(4):
        low, high = anchor[k % 2], anchor[k % 2 + 2]
        size = high - low
        way, growth = size * deltas[k % 2], size * mp.expm1(min(deltas[k % 2 + 2], clip)) / 2
        corners.append(anchor[k] + way + (growth if k > 1 else -growth))
        terms.append(max(abs(anchor[k]), abs(way), abs(growth)))
    return corners, terms


def boxes(dtype, size=8192.0):
    """Boxes up to 8192 pixels wide, at most as far from the origin: half of them on whole pixels."""
    info = np.finfo(dtype)
    number = st.floats(-size, size, width=info.bits) | st.integers(-int(size), int(size)).map(float)

    def ordered(corners):
        x1, y1, x2, y2 = np.array(corners, dtype)
        return np.array([min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)], dtype)

    wide_enough = float(info.tiny) * 2**20
    return st.tuples(*[number] * 4).map(ordered).filter(lambda box: np.all(box[2:] - box[:2] > wide_enough))


# --- numbers -------------------------------------------------------------------------------------------------------


@every_dtype
def test_offsets_by_hand(dtype):
    """Twice as wide and half as high as the anchor, its center one width to the right: (1, 0, log 2, -log 2)."""
    deltas = encode_boxes(np.array([BOX], dtype), np.array([ANCHOR], dtype))
    assert deltas.dtype == dtype
    assert deltas.tolist() == np.array([[1, 0, math.log(2), -math.log(2)]]).astype(dtype).tolist()
    assert decode_boxes(deltas, np.array([ANCHOR], dtype)) == pytest.approx(np.array([BOX]), rel=2e-3)


def test_widths_are_differences_of_corners():
    """A box from 0 to 9 is 9 pixels wide, not 10, as where corners are the indices of pixels inside it."""
    assert encode_boxes(np.array([0.0, 0, 9, 9]), np.array([0.0, 0, 1, 1]))[2] == pytest.approx(math.log(9), rel=1e-15)


def test_the_growth_of_a_box_is_cut():
    """An anchor of 16 pixels grows to 1000 at most, about its center; clip=inf lets it grow, clip=0 forbids it."""
    anchor = np.array([-8.0, -8.0, 8.0, 8.0])
    deltas = np.array([0.0, 0.0, 50.0, math.log(2)])
    assert decode_boxes(deltas, anchor) == pytest.approx([-500, -16, 500, 16], rel=1e-15)
    assert decode_boxes(deltas, anchor, clip=math.inf)[2] == pytest.approx(8 * math.exp(50), rel=1e-14)
    assert decode_boxes(deltas, anchor, clip=0).tolist() == anchor.tolist()


def test_infinite_offsets():
    """A NaN gives NaN on its axis alone, a width of exp(-inf) is none, and an endless box has infinite corners."""
    anchor = np.array([[2.0, 2.0, 4.0, 4.0]] * 3)
    deltas = np.array([[math.nan, 0, 0, 0], [0, 0, -math.inf, 0], [0, 0, math.inf, 1000.0]])
    nan, point, endless = decode_boxes(deltas, anchor, clip=math.inf).tolist()
    assert math.isnan(nan[0])
    assert math.isnan(nan[2])
    assert nan[1::2] == [2, 4]
    assert point == [3, 2, 3, 4]
    assert endless == [-math.inf, -math.inf, math.inf, math.inf]


# --- accuracy ------------------------------------------------------------------------------------------------------


@every_dtype
@untimed
@given(data=st.data())
def test_encoding_is_exact(dtype, data):
    """Each offset is within 8 ulp, of itself or of eps times the largest coordinate in units of the anchor."""
    given_boxes, anchors = data.draw(boxes(dtype)), data.draw(boxes(dtype))
    deltas = encode_boxes(given_boxes, anchors)
    assert deltas.dtype == dtype
    real = WORKING[dtype]
    largest = exact(max(np.max(np.abs(given_boxes)), np.max(np.abs(anchors))))
    with mp.workdps(60):
        for k, true in enumerate(encoded(given_boxes, anchors)):
            lost = exact(np.finfo(real).eps) * largest / exact(float(anchors[k % 2 + 2]) - float(anchors[k % 2]))
            if abs(true) > exact(np.finfo(dtype).max):
                assert abs(deltas[k]) == math.inf
                continue
            assert abs(exact(deltas[k]) - true) <= 8 * ulp(max(abs(true), lost), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def test_offsets_from_a_box_that_nearly_is_the_anchor(dtype):
    """Corners one or two floats away from the anchor's: centers and ratios of sizes would cancel to nothing."""
    anchor = np.array([1000.1, 2000.3, 1100.7, 2050.9], dtype)
    step = np.spacing(anchor)
    for moves in ([1, 0, 0, 0], [1, 2, 1, 1], [-1, 1, 1, -2], [0, 0, -1, 2]):
        box = anchor + np.array(moves, dtype) * step
        with mp.workdps(60):
            for got, true in zip(encode_boxes(box, anchor), encoded(box, anchor), strict=True):
                assert abs(exact(got) - true) <= 4 * ulp(true, dtype) * (true != 0)


@every_dtype
@untimed
@given(data=st.data())
def test_decoding_is_exact(dtype, data):
    """Each corner is within 8 ulp of the largest of its terms, and no box is inverted."""
    anchors = data.draw(boxes(dtype))
    number = st.floats(-8, 8, width=np.finfo(dtype).bits)
    deltas = np.array(data.draw(st.tuples(*[number] * 4)), dtype)
    got = decode_boxes(deltas, anchors)
    assert got.dtype == dtype
    assert got[0] <= got[2]
    assert got[1] <= got[3]
    clip = exact(math.log(1000 / 16))
    with mp.workdps(60):
        for corner, true, term in zip(got, *decoded(deltas, anchors, clip), strict=True):
            if max(abs(true), term) <= exact(np.finfo(dtype).max):
                assert abs(exact(corner) - true) <= 8 * ulp(max(abs(true), term), dtype)


@every_dtype
@untimed
@given(data=st.data())
def test_the_round_trip(dtype, data):
    """A box comes back to a few ulp of the largest coordinate; in float16, to what the rounded offsets still tell."""
    given_boxes, anchors = data.draw(boxes(dtype, 1024.0)), data.draw(boxes(dtype, 1024.0))
    if np.max(given_boxes[2:] - given_boxes[:2]) < 1e-3 or np.min(anchors[2:] - anchors[:2]) < 1:
        return
    back = decode_boxes(encode_boxes(given_boxes, anchors), anchors, clip=math.inf)
    size = max(1.0, float(np.max(np.abs(given_boxes))), float(np.max(np.abs(anchors))))
    assert np.max(np.abs(back - given_boxes)) <= 32 * size * float(np.finfo(dtype).eps)


@untimed
@given(boxes(np.float64))
def test_no_offset_is_the_anchor_itself(anchors):
    """Offsets of 0 give every corner back, bit for bit, and encode that box to 0."""
    assert decode_boxes(np.zeros(4), anchors).tolist() == anchors.tolist()
    assert encode_boxes(anchors, anchors).tolist() == [0, 0, 0, 0]


@untimed
@given(boxes(np.float32), st.floats(-4, 4, width=32))
@example(np.float32([1000.1, 0.3, 1016.4, 9.7]), -0.7)
def test_a_narrow_box_is_not_inverted(anchors, move):
    """A width of e**-30 widths of the anchor rounds to nothing or to an ulp, never to less."""
    x1, y1, x2, y2 = decode_boxes(np.float32([move, -move, -30, -30]), anchors)
    assert x1 <= x2
    assert y1 <= y2


# --- arrays --------------------------------------------------------------------------------------------------------


def some(dtype=np.float32, shape=(6, 5)):
    """Boxes and anchors of shape (*shape, 4)."""
    rng = np.random.default_rng(0)
    low, size = rng.uniform(0, 100, (2, *shape, 2)), rng.uniform(1, 50, (2, *shape, 2))
    return np.concatenate([low, low + size], axis=-1).astype(dtype)


@every_dtype
@both
def test_layouts_do_not_matter_and_inputs_stay(function, dtype):
    """Read-only, strided, Fortran-ordered, big-endian and empty arrays give the same; none is written to."""
    array, anchors = some(dtype)
    wanted = function(array, anchors)
    before = array.copy(), anchors.copy()
    array.flags.writeable = anchors.flags.writeable = False
    assert np.array_equal(function(array, anchors), wanted)
    assert np.array_equal(function(np.repeat(array, 2, 0)[::2], np.repeat(anchors, 2, -1)[..., ::2]), wanted)
    assert np.array_equal(function(np.asfortranarray(array), np.asfortranarray(anchors)), wanted)
    swapped = function(array.astype(array.dtype.newbyteorder(">")), anchors)
    assert swapped.dtype == array.dtype.newbyteorder(">")
    assert np.array_equal(swapped, wanted)
    assert np.array_equal(function(array[2, 3], anchors[2, 3]), wanted[2, 3])
    assert function(array[:0], anchors[:0]).shape == (0, 5, 4)
    assert np.array_equal(array, before[0])
    assert np.array_equal(anchors, before[1])


def test_anchors_of_another_dtype():
    """Whole pixels and float64 anchors are computed with as they are; the result keeps the dtype of the boxes."""
    box, anchor = np.float32([0.1, 0.2, 16.3, 15.8]), [0, 0, 16, 16]
    near = np.float64([0.1, 0.2, 16.3, 15.8])
    for anchors in (anchor, np.int16(anchor), np.uint8(anchor), near):
        deltas = encode_boxes(box, anchors)
        assert deltas.dtype == np.float32
        with mp.workdps(60):
            for got, true in zip(deltas, encoded(box, anchors), strict=True):
                assert abs(exact(got) - true) <= 2 * ulp(true, np.float32)


def test_float16_is_computed_in_float32():
    """Each offset is the float16 next to the exact one, or its neighbor where two roundings meet."""
    array, anchors = some(np.float16)
    deltas = encode_boxes(array, anchors)
    for index in np.ndindex(array.shape[:-1]):
        with mp.workdps(60):
            for got, true in zip(deltas[index], encoded(array[index], anchors[index]), strict=True):
                assert abs(exact(got) - true) <= mpf("0.51") * ulp(true, np.float16)


@every_dtype
@both
def test_cupy_arrays_stay_on_the_device(function, dtype, cupy):
    """CuPy arrays give CuPy arrays with the same numbers; errors name the place, too."""
    array, anchors = some(dtype)
    up = cupy.asarray(array), cupy.asarray(anchors)
    got = function(*up)
    assert type(got) is cupy.ndarray
    assert got.dtype == dtype
    assert np.array_equal(got.get(), function(array, anchors))
    assert np.array_equal(up[0].get(), array)
    assert np.array_equal(up[1].get(), anchors)
    where, rule = f"detection.{function.__name__}: ", "must be finite corners (x1, y1, x2, y2) with x1 < x2 and y1 < y2"
    text = f"{where}anchors {rule}; got (1.0, 2.0, 1.0, 4.0) at index 1"
    wrong = cupy.asarray(np.array([[0, 0, 1, 1], [1, 2, 1, 4]], dtype))
    refused(DomainError, text, function, cupy.ones((2, 4), dtype) * wrong[0], wrong)
    for mixed in ((array, up[1]), (up[0], anchors)):
        with pytest.raises(BackendError, match=where + "arrays must all be of one kind"):
            function(*mixed)


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        [2.0, 1.0, 2.0, 5.0],
        [2.0, 5.0, 3.0, 5.0],
        [3.0, 1.0, 2.0, 5.0],
        [0.0, 5.0, 1.0, 1.0],
        [math.nan, 0.0, 1.0, 1.0],
        [0.0, 0.0, math.inf, 1.0],
        [-math.inf, 0.0, math.inf, 1.0],
    ],
)
def test_boxes_without_area_are_refused(wrong):
    """Zero width, zero height, inverted corners, NaN and infinity; boxes and anchors alike, with row and place."""
    good = np.array([[ANCHOR, ANCHOR], [ANCHOR, ANCHOR]])
    bad = good.copy()
    bad[1, 0] = wrong
    rule = f"must be finite corners (x1, y1, x2, y2) with x1 < x2 and y1 < y2; got {tuple(wrong)}"
    refused(DomainError, f"detection.encode_boxes: boxes {rule} at index (1, 0)", encode_boxes, bad, good)
    refused(DomainError, f"detection.encode_boxes: anchors {rule} at index (1, 0)", encode_boxes, good, bad)
    refused(DomainError, f"detection.decode_boxes: anchors {rule}", decode_boxes, good[1, 0], bad[1, 0])


@pytest.mark.parametrize(("function", "name"), [(encode_boxes, "boxes"), (decode_boxes, "deltas")])
def test_shapes_and_dtypes_are_refused(function, name):
    """Nothing broadcasts, the last axis has four corners, and what is computed in is a float."""
    where = f"detection.{function.__name__}: "
    array, anchors = some()
    rule = f"anchors must have shape (6, 5, 4), as {name} has; got "
    refused(ShapeError, where + rule + "(5, 4)", function, array, anchors[0])
    refused(ShapeError, where + rule + "(6, 1, 4)", function, array, anchors[:, :1])
    refused(ShapeError, where + f"{name} must have shape (..., 4); got (3, 5)", function, np.zeros((3, 5)), anchors)
    refused(ShapeError, where + f"{name} must have shape (..., 4); got ()", function, 1.0, 1.0)
    rule = f"{name} must be float16, float32 or float64; got dtype int64"
    refused(DomainError, where + rule, function, array.astype(int), anchors)
    refused(DomainError, where + "anchors must hold real numbers; got dtype bool", function, array, anchors > 0)
    rule = "anchors must be a plain array; got a masked array"
    refused(DomainError, where + rule, function, array, np.ma.array(anchors))


def test_clips_are_refused():
    """A clip is a number that is not negative."""
    for clip in (-1.0, math.nan):
        text = f"detection.decode_boxes: clip must be >= 0; got {clip!r}"
        refused(DomainError, text, decode_boxes, np.zeros(4), np.array(ANCHOR), clip=clip)
    text = "detection.decode_boxes: clip must be a number >= 0; got None"
    refused(DomainError, text, decode_boxes, np.zeros(4), np.array(ANCHOR), clip=None)
