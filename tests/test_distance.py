"""Losses of distance maps and the Hausdorff distance: numbers by hand, brute force, conventions, what is refused."""

import inspect
import itertools
import math
import pickle
import sys
import tracemalloc

import fake_cupy
import numpy as np
import pytest
import sympy
from cases import BACKENDS, DTYPES, Backend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from mpmath import mp
from oracle import check, exact, slope, value
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.spatial.distance import directed_hausdorff
from skimage.metrics import hausdorff_distance as hausdorff_of_skimage

from lossbook import BackendError, DomainError, ShapeError
from lossbook.distance import distance, signed_distance
from lossbook.regression import squared_error
from lossbook.segmentation import boundary, dice, hausdorff, hausdorff_distance

LOSSES = (hausdorff, boundary)
SETTINGS = {
    hausdorff: ({}, {"alpha": 1.0}, {"alpha": 0.5, "spacing": (2.0, 0.5)}, {"normalize": True}, {"alpha": 0.0}),
    boundary: ({}, {"spacing": (2.0, 0.5)}, {"normalize": True}),
}

# One image of 4 x 5 pixels: the mask is a square in the corner, the prediction misses one of its pixels and sees
# another one far away.
P = np.array([
    [0.9, 0.8, 0.1, 0.0, 0.0],
    [0.7, 0.2, 0.0, 0.0, 0.6],
    [0.1, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 0.0, 0.3],
])[None, None]  # fmt: skip
Y = np.zeros_like(P)
Y[..., :2, :2] = 1

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
masks = st.shared(array_shapes(min_dims=1, max_dims=3, max_side=5), key="space").flatmap(lambda s: arrays(bool, s))
untimed = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend in turn; CuPy's kernels run on the host."""
    with Backend(request.param).ready() as ready:
        yield ready


def example(dtype=np.float64, shape=(3, 2, 5, 6), seed=0):
    """Predictions and masks in which each of the two is right in most places."""
    random = np.random.default_rng(seed)
    y = (random.random(shape) < 0.4).astype(dtype)
    return (0.7 * y + 0.3 * random.random(shape)).astype(dtype), y


def exact_maps(mask, spacing, normalize=False):
    """The exact distance of each pixel to the nearest of the other kind, from all pairs of pixels."""
    steps = [exact(step) for step in spacing]

    def length(move):
        return mp.sqrt(mp.fsum((count * step) ** 2 for count, step in zip(move, steps, strict=True)))

    result = np.empty(mask.shape, object)
    with mp.workdps(60):
        diagonal = length(mask.shape)
        for here in np.ndindex(mask.shape):
            others = np.argwhere(mask != mask[here]) - here
            result[here] = min(map(length, others.tolist()), default=diagonal)
        return result / diagonal if normalize else result


def symbols_of(loss, setting, p, y):
    """The formula with a symbol for each map, and for each pixel what the symbols are."""
    form = loss.formula_at()
    setting = {name: setting.get(name, default) for name, default in loss.declaration.defaults.items()}
    spacing = setting["spacing"] if isinstance(setting["spacing"], tuple) else (setting["spacing"],) * p.ndim
    words = {word: sympy.Symbol(f"map_of_{word.args[0]}", real=True) for word in loss.formula.atoms(distance)}
    maps = {}
    for word, symbol in words.items():
        mask = np.asarray(p if word.args[0] == form.prediction else y) > 0.5
        maps[symbol] = exact_maps(mask, spacing, setting["normalize"])
        if isinstance(word, signed_distance):
            maps[symbol] = np.where(mask, -maps[symbol], maps[symbol])
    fixed = {s: exact(setting[s.name]) for s in form.parameters if s.name != "spacing"}

    def at(index):
        here = {form.prediction: exact(p[index]), form.target: exact(y[index])}
        return here | {symbol: map_[index] for symbol, map_ in maps.items()} | fixed

    return loss.formula.xreplace(words), form.prediction, at


# --- numbers -------------------------------------------------------------------------------------------------------


def test_the_map_of_one_pixel_by_hand(backend):
    """The boundary loss of a prediction of ones is the signed map: here of one pixel in 3 x 4."""
    y = np.zeros((1, 1, 3, 4))
    y[0, 0, 1, 1] = 1
    ones = np.ones_like(y)
    root2, root5 = math.sqrt(2), math.sqrt(5)
    wanted = [[root2, 1, root2, root5], [1, -1, 1, 2], [root2, 1, root2, root5]]
    assert backend.call(boundary, ones, y, reduction="none")[0, 0].tolist() == wanted
    # Pixels of 3 x 4 units: the diagonal neighbor is 5 away, the nearest outside the mask 3.
    wanted = [[5, 3, 5, math.sqrt(73)], [4, -3, 4, 8], [5, 3, 5, math.sqrt(73)]]
    assert backend.call(boundary, ones, y, reduction="none", spacing=(3, 4))[0, 0].tolist() == wanted
    by_diagonal = backend.call(boundary, ones, y, reduction="none", spacing=(4, 4), normalize=True)  # 4*hypot(3, 4)
    assert by_diagonal[0, 0, 1].tolist() == [0.2, -0.2, 0.2, 0.4]


def test_a_volume_by_hand():
    """In 3-D, with slices 2.5 apart and pixels of 1 x 1, the nearest pixel of the other kind lies in the slice."""
    y = np.zeros((1, 1, 3, 3, 3))
    y[0, 0, 1, 1, 1] = 1
    found = boundary(np.ones_like(y), y, reduction="none", spacing=(2.5, 1, 1))[0, 0]
    assert found[1, 1, 1] == -1
    assert found[0, 1, 1] == 2.5
    assert found[0, 0, 0] == math.sqrt(2.5**2 + 2)
    assert found[2, 1, 0] == math.sqrt(2.5**2 + 1)


def test_an_image_by_hand(backend):
    """P and Y of this file: the sum over the pixels that are wrong, each with its squared distances to both masks."""
    wrong = [  # (p - y)**2 in hundredths, squared distances to the predicted and to the true boundary
        (1, 2, 4), (4, 1, 1), (1, 1, 1),  # the first row
        (9, 1, 1), (64, 1, 1), (36, 1, 9),  # the second: the missed pixel, then the invented one
        (1, 1, 1), (9, 4, 13),
    ]  # fmt: skip
    total = sum(error * (to_predicted + to_true) for error, to_predicted, to_true in wrong) / 100
    assert backend.call(hausdorff, P, Y, reduction="sum") == pytest.approx(total, rel=1e-14)
    assert backend.call(hausdorff, P, Y) == pytest.approx(total / 20, rel=1e-14)
    assert backend.call(hausdorff, P, Y, spacing=3) == pytest.approx(9 * total / 20, rel=1e-14)


def test_the_image_in_monai():
    """MONAI 1.6.1 on P and Y: HausdorffDTLoss, BoundaryLoss (whose distances inside are less by 1), and its metric."""
    assert hausdorff(P, Y) == pytest.approx(0.3385, rel=1e-12)
    assert hausdorff(P, Y, alpha=1.0) == pytest.approx(0.17793208742141725, rel=1e-8)  # maps in float32
    assert boundary(P, Y) + np.mean(P * Y) == pytest.approx(0.10908326864242553, rel=1e-8)
    assert hausdorff_distance(P, Y) == 3
    assert hausdorff_distance(P, Y, spacing=(2, 0.5)) == 1.5
    assert hausdorff_distance(P, Y, percentile=95) == pytest.approx(2.549999713897705, rel=2e-7)
    far = hausdorff_distance(P, Y, percentile=95, spacing=(2, 0.5))
    assert far == pytest.approx(1.2749998569488525, rel=2e-7)


@every_loss
@every_dtype
def test_values_and_slopes_are_exact_to_the_promised_ulp(loss, dtype, backend):
    """From the distances of all pairs of pixels, in mpmath; the slope is a difference with the maps held fixed."""
    random = np.random.default_rng(2)
    p, y = example(dtype, (2, 2, 4, 5))
    y[1, 0] = random.random(y[1, 0].shape)  # soft labels
    y[1, 1], p[1, 0, 0] = 1, [0, 1, 0.5, 1e-7, np.nextafter(dtype(1), dtype(0))]
    for setting in SETTINGS[loss]:
        values, slopes = backend.call(loss.value_and_grad, p, y, reduction="none", **setting)
        for n, c in np.ndindex(2, 2):
            expression, wrt, at = symbols_of(loss, setting, p[n, c], y[n, c])
            for place in np.ndindex(4, 5):
                where = f"{loss.name}{setting} at {(n, c, *place)} ({dtype.__name__})"
                here = at(place)
                check(values[n, c][place], value(expression, here), dtype, what=f"value of {where}")
                largest = here[wrt] if loss is hausdorff else None  # 2*p less 2*y
                check(slopes[n, c][place], slope(expression, here, wrt), dtype, largest, what=f"slope of {where}")


@every_loss
@untimed
@given(mask=masks)
def test_maps_are_those_of_all_pairs_of_pixels(loss, mask):
    """Any mask in one to three dimensions, with unequal spacing: the maps agree with brute force."""
    spacing = (0.5, 2.25, 3.0)[: mask.ndim]
    y = mask[None, None].astype(float)
    if loss is boundary:
        found = boundary(np.ones_like(y), y, reduction="none", spacing=spacing)[0, 0]
        wanted = np.where(mask, -1, 1) * exact_maps(mask, spacing).astype(float)
    else:  # two predictions of the same mask that differ by 1/4 in every pixel
        p, soft = np.where(mask, 0.75, 0.25)[None, None], np.where(mask, 1.0, 0.5)[None, None]
        found = hausdorff(p, soft, alpha=1.0, reduction="none", spacing=spacing)[0, 0]
        wanted = exact_maps(mask, spacing).astype(float) / 8
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


@every_loss
def test_slopes_are_finite_differences_of_values(loss, backend):
    """Where no prediction is near 1/2 the masks stay as they are, and the package's own values have these slopes."""
    p, y = example()
    p[np.abs(p - 0.5) < 0.01] = 0.2
    p, h = np.clip(p, 0.01, 0.99), 1e-6
    up, down = (backend.call(loss, p + step, y, reduction="none") for step in (h, -h))
    np.testing.assert_allclose(backend.call(loss.grad, p, y, reduction="none"), (up - down) / (2 * h), rtol=1e-7)
    mean = backend.call(loss.grad, p, y)
    np.testing.assert_allclose(mean * p.size, backend.call(loss.grad, p, y, reduction="sum"), rtol=1e-14)


# --- masks without a boundary --------------------------------------------------------------------------------------


def test_hausdorff_of_empty_and_full_masks(backend):
    """Right costs 0 and all wrong the most, twice the squared diagonal per pixel, where MONAI has 0 for both."""
    empty, full = np.zeros((1, 1, 3, 4)), np.ones((1, 1, 3, 4))
    assert backend.call(hausdorff, empty, empty) == 0
    assert backend.call(hausdorff, full, full) == 0
    for p, y in ((empty, full), (full, empty)):
        assert backend.call(hausdorff, p, y) == 2 * 25
        assert backend.call(hausdorff, p, y, spacing=(2, 1)) == pytest.approx(2 * (36 + 16), rel=1e-15)
        assert backend.call(hausdorff, p, y, spacing=7, normalize=True) == 2
        assert np.all(backend.call(hausdorff.grad, p, y, reduction="sum") == np.where(y, -4 * 25, 4 * 25))
    one = empty.copy()
    one[0, 0, 0, 0] = 1  # a single false pixel in an empty image is 1 from the predicted boundary, 5 from any true one
    assert backend.call(hausdorff, one, empty, reduction="sum") == 1 + 25
    assert backend.call(hausdorff, one, full, reduction="none").max() < 2 * 25


def test_boundary_of_empty_and_full_masks(backend):
    """With an empty target all that is predicted costs the diagonal, with a full one it earns that."""
    empty, full = np.zeros((1, 1, 3, 4)), np.ones((1, 1, 3, 4))
    p = np.full((1, 1, 3, 4), 0.25)
    assert backend.call(boundary, p, empty) == 5 / 4
    assert backend.call(boundary, p, full) == -5 / 4
    assert backend.call(boundary, empty, empty) == backend.call(boundary, empty, full) == 0
    assert backend.call(boundary, p, empty, spacing=9, normalize=True) == 1 / 4
    assert np.all(backend.call(boundary.grad, p, full, reduction="none") == -5)


def test_one_pixel_has_a_diagonal():
    """Even in images of one pixel a mistake costs something."""
    one = np.ones((1, 1, 1, 1))
    assert hausdorff(one, 0 * one) == pytest.approx(4)
    assert hausdorff(one, one) == 0
    assert boundary(one, 0 * one) == pytest.approx(math.sqrt(2))


# --- properties ----------------------------------------------------------------------------------------------------


def test_hausdorff_is_symmetric():
    """Prediction and target may be exchanged."""
    random = np.random.default_rng(1)
    p, y = random.random((2, 3, 2, 5, 6))
    for setting in SETTINGS[hausdorff]:
        assert hausdorff(p, y, **setting) == hausdorff(y, p, **setting)


def test_moving_both_masks_moves_the_values():
    """A prediction and a mask that keep clear of the border may lie anywhere in the image."""
    random = np.random.default_rng(3)
    p, y = np.zeros((2, 1, 1, 12, 14))
    p[..., 2:6, 3:8], y[..., 2:6, 3:8] = random.random((4, 5)), random.random((4, 5)) < 0.5
    wanted = hausdorff(p, y, reduction="none")
    for move in ((3, 0), (0, 4), (5, -2)):
        moved = hausdorff(*(np.roll(a, move, (2, 3)) for a in (p, y)), reduction="none")
        assert np.array_equal(moved, np.roll(wanted, move, (2, 3)))
    assert wanted.sum() > 0


def test_farther_mistakes_cost_more():
    """The cost of one invented pixel grows with its distance; in the other loss, with its power."""
    y = np.zeros((1, 1, 1, 12))
    y[..., :2] = 1
    costs = {}
    for loss, alpha in ((boundary, None), (hausdorff, 1.0), (hausdorff, 2.0)):
        setting = {} if alpha is None else {"alpha": alpha}
        right = loss(y, y, reduction="sum", **setting)
        invented = [np.where(np.arange(12) == at, 1.0, y) for at in (4, 6, 8, 10)]
        costs[loss, alpha] = [loss(p, y, reduction="sum", **setting) - right for p in invented]
    assert costs[boundary, None] == [3, 5, 7, 9]
    assert costs[hausdorff, 1.0] == [4, 6, 8, 10]  # the invented pixel is 1 from the predicted boundary
    assert costs[hausdorff, 2.0] == [10, 26, 50, 82]


def test_the_mask_itself_is_the_least_boundary_loss():
    """No other prediction costs less, the loss is linear in it, and the complement of a mask turns its sign."""
    p, y = example()
    least = boundary(y, y)
    for other in (p, 1 - y, 0 * y, 0 * y + 1):
        assert boundary(other, y) > least
    assert boundary(p, 1 - y) == -boundary(p, y)
    assert boundary((p + y) / 2, y) == pytest.approx((boundary(p, y) + least) / 2, rel=1e-14)
    assert hausdorff(y, y) == 0


def test_alpha_zero_is_twice_the_squared_error(backend):
    """Without the distances there is the squared error, once for each map."""
    p, y = example()
    assert backend.call(hausdorff, p, y, alpha=0) == pytest.approx(2 * squared_error(p, y), rel=1e-14)


def test_units():
    """Twice the spacing is 2**alpha times the loss; divided by the diagonal, distances have no unit."""
    p, y = example()
    for alpha in (0.5, 1.0, 2.0, 3.0):
        assert hausdorff(p, y, alpha=alpha, spacing=2) == pytest.approx(
            2**alpha * hausdorff(p, y, alpha=alpha), rel=1e-14
        )
        by_diagonal = hausdorff(p, y, alpha=alpha, normalize=True)
        assert by_diagonal == pytest.approx(hausdorff(p, y, alpha=alpha) / math.hypot(5, 6) ** alpha, rel=1e-14)
        assert hausdorff(p, y, alpha=alpha, normalize=True, spacing=7) == pytest.approx(by_diagonal, rel=1e-14)
    assert boundary(p, y, spacing=(2, 2)) == 2 * boundary(p, y)
    assert boundary(p, y, spacing=(2, 1)) != boundary(p, y, spacing=(1, 2))


def test_predictions_of_one_half_are_background():
    """The mask is what is above 1/2: a prediction of 1/2 everywhere has no boundary, the next float above has one."""
    p, y = np.full((1, 1, 1, 3), 0.5), np.array([[[[1.0, 0.0, 0.0]]]])
    squared_diagonal = 1 + 9
    wanted = [(d + squared_diagonal) / 4 for d in (1, 1, 4)]
    assert hausdorff(p, y, reduction="none")[0, 0, 0] == pytest.approx(wanted, rel=1e-15)
    p[..., 0] = np.nextafter(0.5, 1)
    assert hausdorff(p, y, reduction="none")[0, 0, 0, 1:].tolist() == [(1 + 1) / 4, (4 + 4) / 4]


# --- reductions, weights, classes ----------------------------------------------------------------------------------


@every_loss
def test_reductions(loss, backend):
    """None gives a value per pixel and class; the mean is sum(w*l)/sum(w); both calls at once give the same bits."""
    p, y = example()
    random = np.random.default_rng(4)
    for weight in (None, random.random(3), random.random((3, 5, 6)), random.random(p.shape), np.array(3.0)):
        spread = np.ones(1) if weight is None else np.asarray(weight, float)
        spread = spread[:, None, None, None] if spread.shape == (3,) else spread
        spread = np.broadcast_to(spread[:, None] if spread.ndim == 3 else spread, p.shape)
        plain, steep = backend.call(loss.value_and_grad, p, y, reduction="none")
        values, slopes = backend.call(loss.value_and_grad, p, y, weight=weight, reduction="none")
        np.testing.assert_allclose(values, plain * spread, rtol=1e-14)
        np.testing.assert_allclose(slopes, steep * spread, rtol=1e-13)
        total = np.sum(values)
        assert backend.call(loss, p, y, weight=weight, reduction="sum") == pytest.approx(total, rel=1e-12)
        mean, gradient = backend.call(loss.value_and_grad, p, y, weight=weight)
        assert mean == pytest.approx(total / np.sum(spread), rel=1e-12)
        np.testing.assert_allclose(gradient, slopes / np.sum(spread), rtol=1e-13)
        assert np.array_equal(mean, backend.call(loss, p, y, weight=weight))
        assert np.array_equal(gradient, backend.call(loss.grad, p, y, weight=weight))


@every_loss
def test_what_has_weight_zero_is_not_there(loss, backend):
    """Neither prediction nor target there changes anything, not even the maps; a NaN may stand there."""
    p, y = example()
    weight = (np.random.default_rng(5).random((3, 5, 6)) < 0.7).astype(float)
    weight[1], weight[2, 0, 0] = 0, 1
    gone = np.broadcast_to(weight[:, None] == 0, p.shape)
    for reduction in ("none", "sum", "mean"):
        wanted = backend.call(loss.value_and_grad, p, y, weight=weight, reduction=reduction)
        for junk in (np.nan, 2.0, 1.0, 0.0):
            dirty = [np.where(gone, junk, array) for array in (p, y)]
            got = backend.call(loss.value_and_grad, *dirty, weight=weight, reduction=reduction)
            assert np.array_equal(got[0], wanted[0])
            assert np.array_equal(got[1], wanted[1])
    assert not np.any(wanted[1][gone])


@every_loss
def test_nothing_to_average(loss, backend):
    """Without weight, or without images: NaN, 0 as a sum, and a gradient of zeros."""
    p, y = example(np.float32)
    got, gradient = backend.call(loss.value_and_grad, p, y, weight=np.zeros(3))
    assert np.isnan(got)
    assert not np.any(gradient)
    assert backend.call(loss, p, y, weight=np.zeros(3), reduction="sum") == 0
    got, gradient = backend.call(loss.value_and_grad, p[:0], y[:0])
    assert np.isnan(got)
    assert gradient.shape == (0, 2, 5, 6)
    assert np.isnan(backend.call(loss, p[..., :0], y[..., :0]))


@every_loss
def test_class_indices(loss, backend):
    """Indices are their one-hot masks; class weights weigh the classes; what is ignored has weight 0."""
    random = np.random.default_rng(6)
    p, y = random.random((2, 3, 4, 5)), random.integers(0, 3, (2, 4, 5))
    hot = np.moveaxis(np.eye(3)[y], -1, 1)
    for reduction in ("none", "sum", "mean"):
        for got, wanted in zip(
            backend.call(loss.value_and_grad, p, y.astype(np.uint8), reduction=reduction),
            backend.call(loss.value_and_grad, p, hot, reduction=reduction),
            strict=True,
        ):
            assert np.array_equal(got, wanted)
    each = backend.call(loss, p, y, reduction="none")
    weights = np.array([0.0, 1.0, 5.0])
    by_class = backend.call(loss, p, y, class_weight=weights)
    assert by_class == pytest.approx(np.sum(each * weights[:, None, None]) / (2 * 20 * 6), rel=1e-13)
    spoiled = np.where(y == 2, 255, y)
    got, gradient = backend.call(loss.value_and_grad, p, spoiled, ignore_index=255)
    live = (y != 2).astype(float)
    wanted, slopes = backend.call(loss.value_and_grad, p, hot, weight=live)
    assert got == wanted
    assert np.array_equal(gradient, slopes)


@every_loss
def test_channels_last(loss, backend):
    """axis=-1 takes arrays of shape (N, H, W, C), and gives values and gradients of that shape."""
    p, y = example()
    weight = np.random.default_rng(7).random(p.shape)
    last = [np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (p, y, weight)]
    values, gradient = backend.call(loss.value_and_grad, *last[:2], weight=last[2], reduction="none", axis=-1)
    wanted, slopes = backend.call(loss.value_and_grad, p, y, weight=weight, reduction="none")
    assert np.array_equal(np.moveaxis(values, -1, 1), wanted)
    assert np.array_equal(np.moveaxis(gradient, -1, 1), slopes)
    indices = np.argmax(y, axis=1)
    assert backend.call(loss, last[0], indices, axis=3) == backend.call(loss, p, indices)


@every_loss
def test_partial_sums_merge(loss, backend):
    """The sums of images add to those of the batch, in any order; no image is the zero; they know their setting."""
    p, y = example(shape=(5, 2, 4, 6))
    weight = np.random.default_rng(8).random((5, 4, 6))
    setting = {"spacing": (2.0, 1.0), "normalize": True}
    pieces = [slice(0, 2), slice(2, 4), slice(4, 5), slice(5, 5)]
    parts = [backend.call(loss.partial, p[i], y[i], weight=weight[i], **setting) for i in pieces]
    for reduction in ("sum", "mean"):
        whole = backend.call(loss, p, y, weight=weight, reduction=reduction, **setting)
        for order in (parts, parts[::-1]):
            assert sum(order).finish(reduction) == pytest.approx(float(whole), rel=1e-13)
        assert pickle.loads(pickle.dumps(sum(parts))).finish(reduction) == sum(parts).finish(reduction)
    with pytest.raises(ValueError, match="merge only within one loss and one setting"):
        parts[0] + backend.call(loss.partial, p, y, spacing=(1.0, 2.0), normalize=True)
    one, both = (loss.partial(p, y, spacing=spacing) for spacing in (2, [2, 2]))
    assert (one + both).finish() == pytest.approx(one.finish(), rel=1e-15)


# --- arrays --------------------------------------------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtypes(loss, dtype, backend):
    """The prediction's dtype comes out; float16 is computed in float32; labels may be integers or bools."""
    p, y = example(dtype)
    got, gradient = backend.call(loss.value_and_grad, p, y)
    assert got.dtype == gradient.dtype == dtype
    for other in (bool, np.uint8, np.int64, np.float64):
        assert backend.call(loss, p, y.astype(other)) == got
    if dtype == np.float16:
        wide, slopes = backend.call(loss.value_and_grad, p.astype(np.float32), y)
        assert got == np.float16(wide)
        assert np.array_equal(gradient, slopes.astype(np.float16))


def test_large_images_in_float16():
    """Squared distances beyond the largest float16, 65504, are no harm to a mean and its gradient."""
    p, y = np.zeros((1, 1, 4, 400), np.float16), np.zeros((1, 1, 4, 400))
    p[..., 0], y[..., -1] = 1, 1
    value, gradient = hausdorff.value_and_grad(p, y)
    wide, slopes = hausdorff.value_and_grad(p.astype(np.float32), y)
    assert value == np.float16(wide)
    assert np.isfinite(value)
    assert np.array_equal(gradient, slopes.astype(np.float16))
    assert np.max(hausdorff(p.astype(np.float32), y, reduction="none")) > 65504


@every_loss
@pytest.mark.parametrize("name", ["numpy", "numba"])  # a device casts without warnings, and its stand-in does not
def test_values_beyond_float16_are_infinite(loss, name):
    """Large spacing overflows float16 in values and slopes, without a warning; signs stay."""
    p, y = example(np.float16)
    for reduction in ("none", "sum", "mean"):
        options = {"spacing": 1e6, "reduction": reduction, "backend": name}
        got = loss.value_and_grad(p, y, **options)
        wide = loss.value_and_grad(p.astype(np.float32), y, **options)
        for narrow, exact_one in zip(got, wide, strict=True):
            large = abs(exact_one) > 65520
            assert np.array_equal(np.isinf(narrow), large)
            assert np.array_equal(np.sign(narrow)[large], np.sign(exact_one)[large])
    assert np.all(hausdorff_distance(p, y, spacing=np.float16(60000)) >= 0)


@every_loss
def test_backends_agree(loss, backend):
    """Every backend gives NumPy's numbers, to a few ulp, in 2-D and 3-D."""
    for shape in ((2, 3, 7, 5), (2, 1, 3, 4, 5)):
        p, y = example(np.float32, shape)
        for reduction in ("none", "sum", "mean"):
            for got, wanted in zip(
                backend.call(loss.value_and_grad, p, y, reduction=reduction),
                loss.value_and_grad(p, y, reduction=reduction),
                strict=True,
            ):
                np.testing.assert_allclose(got, wanted, rtol=3e-6)


def test_cupy_arrays_stay_on_the_device():
    """CuPy arrays give CuPy arrays, and go to CuPy's distance transform."""
    p, y = example(np.float32)
    with fake_cupy.install() as cupy:
        values, gradient = hausdorff.value_and_grad(cupy.asarray(p), cupy.asarray(y), reduction="none")
        assert type(values) is type(gradient) is cupy.ndarray
        far = hausdorff_distance(cupy.asarray(p), cupy.asarray(y), percentile=95)
        assert type(far) is cupy.ndarray
        assert np.array_equal(far.get(), hausdorff_distance(p, y, percentile=95))
        rule = r"p must have two or three space axes if it is a CuPy array; got shape \(3, 2, 30\)"
        flat = [cupy.asarray(a.reshape(3, 2, 30)) for a in (p, y)]
        for function in (*LOSSES, hausdorff_distance):
            with pytest.raises(ShapeError, match=rule):
                function(*flat)
            with pytest.raises(BackendError, match="NumPy and CuPy"):
                function(cupy.asarray(p), y)


@every_loss
def test_layouts_and_out(loss, backend):
    """Strided, Fortran-ordered, reversed and read-only arrays do; `out` receives the gradient; inputs stay."""
    p, y = example(np.float32)
    wanted = backend.call(loss.grad, p, y)
    copies = p.copy(), y.copy()
    for change in (np.asfortranarray, lambda a: np.repeat(a, 2, -1)[..., ::2], lambda a: a[::-1].copy()[::-1]):
        arrays = [change(a) for a in (p, y)]
        for array in arrays:
            array.flags.writeable = False
        np.testing.assert_allclose(backend.call(loss.grad, *arrays), wanted, rtol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip((p, y), copies, strict=True))
    for make in (np.empty_like, lambda a: np.empty((*a.shape, 2), a.dtype)[..., 0]):
        held = backend.up(make(p))
        options = {"backend": "numba"} if backend.name == "numba" else {}
        assert loss.grad(backend.up(p), backend.up(y), out=held, **options) is held
        np.testing.assert_allclose(backend.down(held), wanted, rtol=1e-6)


@every_loss
def test_memory_does_not_grow_with_the_images(loss):
    """Of eight times as many images no more is kept than their gradient, although each needs maps of its own."""

    def peak(images):
        p, y = example(np.float32, (images, 1, 64, 64))
        tracemalloc.start()
        try:
            loss.value_and_grad(p, y)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)  # the first call builds kernels
    assert peak(16) < peak(2) + (16 - 2) * 64 * 64 * 4 + 64 * 64 * 8


# --- NaN, overflow, underflow --------------------------------------------------------------------------------------


@every_loss
def test_a_nan_stays_and_is_background(loss, backend):
    """Its own value and slope are NaN (but not a slope that is the same everywhere); the others see background."""
    p, y = example(np.float32)
    p[1, 1, 2, 3] = 0
    wanted, steep = backend.call(loss.value_and_grad, p, y, reduction="none")
    p[1, 1, 2, 3] = np.nan
    values, slopes = backend.call(loss.value_and_grad, p, y, reduction="none")
    assert np.isnan(values[1, 1, 2, 3])
    assert np.isnan(slopes[1, 1, 2, 3]) == (loss is hausdorff)
    values[1, 1, 2, 3], slopes[1, 1, 2, 3] = wanted[1, 1, 2, 3], steep[1, 1, 2, 3]
    assert np.array_equal(values, wanted)
    assert np.array_equal(slopes, steep)
    assert np.isnan(backend.call(loss, p, y))


def test_powers_beyond_the_working_type(backend):
    """An alpha whose powers overflow is refused; powers that underflow are 0, but a NaN there stays NaN."""
    p, y = example(np.float32, (1, 1, 3, 40))
    far = np.zeros_like(y)
    far[..., 0] = 1
    with pytest.raises(DomainError, match=r"hausdorff: alpha must leave the powers .* in float32, .*; got 90\.0"):
        backend.call(hausdorff, p, far, alpha=90.0)
    assert np.isfinite(backend.call(hausdorff, p.astype(float), far, alpha=90.0))
    assert backend.call(hausdorff, p, y, alpha=90.0, normalize=True) <= 4e-38
    p[0, 0, 0, 0] = np.nan
    assert np.isnan(backend.call(hausdorff, p, y, alpha=90.0, normalize=True))


# --- what is refused, and what is missing --------------------------------------------------------------------------


@every_loss
def test_values_out_of_range_are_refused(loss, backend):
    """Predictions, targets, weights and class indices, each with its place in the batch."""
    for position, name in enumerate(("p", "y")):
        for bad in (-0.25, 2.0):
            arrays = example(np.float32)
            arrays[position][2, 1, 3, 4] = bad
            with pytest.raises(DomainError) as caught:
                backend.call(loss, *arrays)
            assert str(caught.value) == f"{loss.name}: {name} must be in [0, 1]; got {bad} at index (2, 1, 3, 4)"
    p, y = example(np.float32)
    with pytest.raises(DomainError, match=rf"{loss.name}: y must be in \[0, 1\]; got nan at index \(0, 0, 0, 0\)"):
        backend.call(loss, p, np.full_like(y, np.nan))
    weight = np.ones((3, 5, 6))
    for bad in (-1.0, np.nan, np.inf):
        weight[1, 2, 3] = bad
        with pytest.raises(DomainError) as caught:
            backend.call(loss, p, y, weight=weight)
        assert str(caught.value) == f"{loss.name}: weight must be >= 0 and finite; got {bad} at index (1, 2, 3)"
    index = np.zeros((3, 5, 6), int)
    for bad in (-1, 2):
        index[1, 2, 3] = bad
        with pytest.raises(DomainError) as caught:
            backend.call(loss, p, index)
        assert str(caught.value) == f"{loss.name}: y must be a class index in 0..1; got {bad} at index (1, 2, 3)"
        with pytest.raises(DomainError, match=r"0\.\.1 or ignore_index=7; got"):
            backend.call(loss, p, index, ignore_index=7)
        assert np.isfinite(backend.call(loss, p, index, weight=(index == 0).astype(np.float32)))
    with pytest.raises(DomainError, match=f"{loss.name}: y must be integers when it holds class indices; got dtype"):
        backend.call(loss, p, index.astype(float))


@every_loss
def test_weights_are_checked_in_the_working_type(loss, backend):
    """A weight that float32 cannot hold, being too large or too small, is refused with its place."""
    p, y = example(np.float32)
    weight = np.ones((3, 5, 6))
    for bad, rule in ((1e300, "be >= 0 and finite"), (1e-300, "be 0 or not vanish in float32")):
        weight[1, 2, 3] = bad
        with pytest.raises(DomainError) as caught:
            backend.call(loss, p, y, weight=weight)
        assert str(caught.value) == f"{loss.name}: weight must {rule}; got {bad} at index (1, 2, 3)"
        assert np.isfinite(backend.call(loss, p.astype(float), y, weight=weight))


@every_loss
def test_only_the_ratios_of_weights_matter_to_a_mean(loss, backend):
    """Products of weights and class weights may be larger or smaller than any float32."""
    p, index = example(np.float32)[0], np.zeros((3, 5, 6), int)
    wanted, slopes = backend.call(loss.value_and_grad, p, index, class_weight=np.float32([1, 2]))
    for size in (1e-30, 1e-38, 1e30, 1e38):
        by_class = np.float32([1, 2]) * np.float32(min(size, 1e30))
        options = {"weight": np.full(3, size, np.float32), "class_weight": by_class}
        got, gradient = backend.call(loss.value_and_grad, p, index, **options)
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-6)


@every_loss
def test_shapes_that_do_not_fit_are_refused(loss):
    """Nothing broadcasts, a space axis is needed, weights are per item, pixel, or pixel and class."""
    p, y = example()
    for wrong in (y[:1], y[:, :1], y[..., :1], y.reshape(-1)):
        with pytest.raises(ShapeError, match=f"{loss.name}: y must have shape"):
            loss(p, wrong)
    with pytest.raises(ShapeError, match=rf"{loss.name}: p must have shape \(N, C, \*space\), .*; got \(3, 2\)"):
        loss(p[..., 0, 0], y[..., 0, 0])
    for shape in ((2,), (3, 2), (3, 5, 5), (3, 2, 5, 5), (1, 3, 2, 5, 6)):
        with pytest.raises(ShapeError) as caught:
            loss(p, y, weight=np.ones(shape))
        assert str(caught.value) == (
            f"{loss.name}: weight must have shape (3, 2, 5, 6) (one per pixel and class), (3, 5, 6) (one per pixel) or "
            f"(3,) (one per item); got {shape}"
        )
    with pytest.raises(ShapeError, match="class_weight must have shape"):
        loss(p, y, class_weight=np.ones(3))
    with pytest.raises(ShapeError, match=f"{loss.name}: p must have a class axis 4, as in"):
        loss(p, y, axis=4)


@pytest.mark.parametrize("function", [*LOSSES, hausdorff_distance], ids=lambda function: function.__name__)
def test_spacing_is_checked(function):
    """Positive numbers, one or one per axis, whose squares the working type can hold."""
    p, y = example(np.float32)
    where = f"segmentation.{function.__name__}"
    for bad in (0, -1.0, np.inf, np.nan, (1, 0), [1, -2], np.array([1, np.inf])):
        with pytest.raises(DomainError, match=f"{where}: spacing must be > 0 and finite; got"):
            function(p, y, spacing=bad)
    nested = [[1, 1], [1, 1]], np.ones((2, 2)), [[1], [1, 2]], (1, (1, 1))
    for bad in (None, "2", True, (1, "2"), *nested):
        with pytest.raises(DomainError, match=f"{where}: spacing must be a number > 0 and finite; got"):
            function(p, y, spacing=bad)
    for bad in ((1,), (1, 1, 1), ()):
        with pytest.raises(ShapeError, match=rf"{where}: spacing must .* shape \(2,\), .*; got \({len(bad)},\)"):
            function(p, y, spacing=bad)
    for bad in (1e-160, 1e160, (1e160, 1)):
        with pytest.raises(DomainError, match=f"{where}: spacing must keep all distances between .*; got "):
            function(p, y, spacing=bad)
    several = (3, 3), [3.0, 3], np.array([3, 3]), np.float16([3, 3])
    for good in (3, np.float32(3), np.float16(3), np.array(3.0), *several):
        assert np.array_equal(function(p, y, spacing=good), function(p, y, spacing=3.0))


@every_loss
def test_options_are_checked(loss):
    """Unknown names, wrong switches, wrong reductions and outputs."""
    p, y = example()
    with pytest.raises(TypeError, match=r"unknown argument 'batch'; the parameters are .*spacing, normalize"):
        loss(p, y, batch=True)
    with pytest.raises(DomainError, match="normalize must be True or False; got 1"):
        loss(p, y, normalize=1)
    with pytest.raises(DomainError, match="reduction must be"):
        loss(p, y, reduction="max")
    with pytest.raises(DomainError, match="out must not share memory with p"):
        loss.grad(p, y, out=p)
    with pytest.raises(DomainError, match="p must be float16, float32 or float64; got dtype int64"):
        loss(p.astype(int), y)
    with pytest.raises(DomainError, match="ignore_index is for class indices"):
        loss(p, y, ignore_index=3)
    if loss is hausdorff:
        with pytest.raises(DomainError, match="alpha must be >= 0 and finite; got -1"):
            loss(p, y, alpha=-1)


@pytest.mark.parametrize("function", [*LOSSES, hausdorff_distance], ids=lambda function: function.__name__)
def test_a_missing_scipy_is_named(function, monkeypatch):
    """Without SciPy the error, an ImportError, says what is needed."""
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(BackendError, match=f"{function.__name__}: needs SciPy .*, which cannot be imported"):
        function(P, Y)


# --- formulas ------------------------------------------------------------------------------------------------------


def test_distance_is_a_word_without_slope():
    """A mask does not change with a small step of the prediction: to the gradient, distances are constants."""
    p, y, alpha = (hausdorff.formula_at().domains and s for s in sympy.symbols("p y alpha", nonnegative=True))
    assert distance(p).diff(p) == signed_distance(p).diff(p) == 0
    assert hausdorff.formula.free_symbols == {p, y, alpha}
    slope = hausdorff.gradient.rewrite(sympy.exp) - 2 * (p - y) * (distance(p) ** alpha + distance(y) ** alpha)
    assert sympy.expand(slope) == 0
    assert boundary.gradient == signed_distance(y)
    assert boundary.formula == p * signed_distance(y)
    assert hausdorff.latex == r"\left(- p + y\right)^{2} \left(d_{p}^{\alpha} + d_{y}^{\alpha}\right)"
    assert boundary.latex == r"p \phi_{y}"
    assert sympy.latex(distance(p) ** 2) == "d_{p}^{2}"


@every_loss
def test_the_loss_documents_itself(loss):
    """Name, address, docstring, card, sources."""
    assert loss.name == f"segmentation.{loss.__name__}"
    assert pickle.loads(pickle.dumps(loss)) is loss
    text = inspect.getdoc(loss)
    for part in (str(loss.formula), loss.reference, "Parameters", "Returns", "Raises", "spacing : ", "normalize : "):
        assert part in text
    assert inspect.getdoc(type(loss)).startswith("A loss of pixels")
    assert loss.latex in loss._repr_markdown_()
    assert str(inspect.signature(loss)) == str(loss.signature)
    assert list(loss.signature.parameters)[:2] == ["p", "y"]
    for name, dtype in itertools.product(BACKENDS, ("float32", "float64")):
        source = loss.source(name, dtype)
        assert source.count(loss.name) == (2 if loss is hausdorff else 1)
        assert ("power" in source) == (loss is hausdorff)


def test_losses_with_other_defaults_sums_and_logits(backend):
    """with_parameters, sums with other losses, and losses on logits work as for all losses."""
    p, y = example()
    other = hausdorff.with_parameters(alpha=1.0, spacing=(2.0, 1.0))
    assert backend.call(other, p, y) == backend.call(hausdorff, p, y, alpha=1.0, spacing=(2.0, 1.0))
    both = 0.25 * dice + 0.75 * other
    wanted = 0.25 * backend.call(dice, p, y) + 0.75 * backend.call(other, p, y)
    assert backend.call(both, p, y) == pytest.approx(wanted, rel=1e-14)
    for loss, activation in itertools.product(LOSSES, ("sigmoid", "softmax")):
        q = p if activation == "sigmoid" else p / p.sum(axis=1, keepdims=True)
        z = np.log(q / (1 - q)) if activation == "sigmoid" else np.log(q)
        value, slopes = loss.on_logits(activation).value_and_grad(z, y)
        assert value == pytest.approx(loss(q, y), rel=1e-13)
        gradient = loss.grad(q, y)
        rest = (1 - q) * gradient if activation == "sigmoid" else gradient - np.sum(q * gradient, axis=1, keepdims=True)
        np.testing.assert_allclose(slopes, q * rest, rtol=1e-9, atol=1e-12 * np.max(np.abs(gradient)))


# --- the metric ----------------------------------------------------------------------------------------------------


def edge_points(mask, spacing):
    """The places of the boundary pixels, by SciPy's erosion."""
    inner = binary_erosion(mask, generate_binary_structure(mask.ndim, 1))
    return np.argwhere(mask & ~inner) * np.asarray(spacing)


def test_the_metric_by_hand():
    """The sets {0} and {0, 10}: 0 in one direction, 10 in the other, so 10, and not its square; pixels are 2.5 wide."""
    p, y = np.zeros((2, 1, 1, 11))
    p[..., 0], y[..., [0, 10]] = 1, 1
    assert hausdorff_distance(p, y) == hausdorff_distance(y, p) == 10
    assert hausdorff_distance(p, y, spacing=2.5) == 25
    assert hausdorff_distance(p, y, percentile=50) == 5  # of the distances 0 and 10, interpolated
    assert hausdorff_distance(p, y, percentile=0) == 0
    assert hausdorff_distance(y, y) == 0


@untimed
@given(mask=masks, other=masks)
def test_the_metric_is_scipys_of_the_boundaries(mask, other):
    """directed_hausdorff of the boundary pixels, both ways, with unequal spacing, in one to three dimensions."""
    spacing = (0.5, 2.25, 3.0)[: mask.ndim]
    a, b = (edge_points(one, spacing) for one in (mask, other))
    (got,) = hausdorff_distance(mask[None, None], other[None, None].astype(float), spacing=spacing)[0]
    if not len(a) or not len(b):
        assert got == (math.inf if len(a) or len(b) else 0)
        return
    assert got == pytest.approx(max(directed_hausdorff(a, b)[0], directed_hausdorff(b, a)[0]), rel=1e-15)
    distances = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    for percentile in (95, 30.5):
        ways = [np.percentile(distances.min(axis), percentile) for axis in (0, 1)]
        (got,) = hausdorff_distance(mask[None, None], other[None, None], spacing=spacing, percentile=percentile)[0]
        assert got == pytest.approx(max(ways), rel=1e-14, abs=1e-15 * distances.max())


def test_the_metric_of_boundaries_and_of_whole_masks():
    """A hole is a boundary, too: scikit-image compares whole masks, in which the center of a disk is near a ring."""
    disk, ring = np.zeros((2, 9, 9), bool)
    disk[1:8, 1:8] = ring[1:8, 1:8] = True
    ring[4, 4] = False
    assert hausdorff_of_skimage(disk, ring) == 1
    assert hausdorff_distance(disk[None, None], ring[None, None]) == 2
    thin = np.eye(9, dtype=bool)
    assert hausdorff_distance(thin[None, None], thin[::-1][None, None]) == hausdorff_of_skimage(thin, thin[::-1])


@pytest.mark.parametrize("percentile", [100, 95, 0])
def test_the_metric_of_empty_masks(percentile):
    """Two empty masks agree; an empty and another are infinitely far apart, whatever the percentile."""
    empty, one, full = np.zeros((3, 1, 1, 4, 5))
    one[..., 2, 2], full[...] = 1, 1
    assert hausdorff_distance(empty, empty, percentile=percentile) == 0
    for other in (one, full):
        assert hausdorff_distance(empty, other, percentile=percentile) == math.inf
        assert hausdorff_distance(other, empty, percentile=percentile) == math.inf
    assert hausdorff_distance(full, full, percentile=percentile) == 0
    assert hausdorff_of_skimage(empty[0, 0], empty[0, 0]) == 0
    assert hausdorff_of_skimage(empty[0, 0], one[0, 0]) == math.inf


def test_arguments_of_the_metric():
    """Probabilities, masks of any dtype, class indices; the threshold is that of the prediction; NaN is background."""
    p, y = example(np.float32)
    wanted = hausdorff_distance(p, y)
    assert wanted.shape == (3, 2)
    assert wanted.dtype == np.float64
    for dtype in (bool, np.int8, np.float16):
        assert np.array_equal(hausdorff_distance((p > 0.5).astype(dtype), y.astype(dtype)), wanted)
    index = np.random.default_rng(9).integers(0, 2, (3, 5, 6))
    hot = np.moveaxis(np.eye(2)[index], -1, 1)
    assert np.array_equal(hausdorff_distance(p, index), hausdorff_distance(p, hot))
    assert np.array_equal(hausdorff_distance(p, y, threshold=0.25), hausdorff_distance(p > 0.25, y))
    holes = np.where(p > 0.9, np.nan, p)
    assert np.array_equal(hausdorff_distance(holes, y), hausdorff_distance((p > 0.5) & (p <= 0.9), y))
    assert hausdorff_distance(p[:0], y[:0]).shape == (0, 2)
    assert hausdorff_distance(p.tolist(), y.tolist()).tolist() == wanted.tolist()


def refused(error, text, *arguments, **options):
    """Assert that the metric refuses a call with this very text, and perhaps a hint."""
    with pytest.raises(error) as caught:
        hausdorff_distance(*arguments, **options)
    assert str(caught.value.changed(hint="")) == f"segmentation.hausdorff_distance: {text}"


def test_what_the_metric_refuses():
    """Shapes, dtypes, numbers out of range, each with what came."""
    p, y = example(np.float32)
    refused(ShapeError, "p must have shape (N, C, *space), with a space axis; got (5, 6)", p[0, 0], y[0, 0])
    rule = "y must have shape (3, 2, 5, 6), as p has (or (3, 5, 6) for class indices); got (2, 2, 5, 6)"
    refused(ShapeError, rule, p, y[:2])
    rule = "y must have shape (3, 5, 6), as p without its class axis; got (2, 5, 6)"
    refused(ShapeError, rule, p, y[:2, 0])
    refused(DomainError, "y must hold integers when it holds class indices; got dtype float32", p, y[:, 0])
    refused(DomainError, "p must hold real numbers; got dtype complex64", p.astype(np.complex64), y)
    refused(DomainError, "p must be a plain array; got a masked array", np.ma.array(p), y)
    for position, name in enumerate("py"):
        arrays = [p.copy(), y.copy()]
        arrays[position][2, 1, 3, 4] = 2
        refused(DomainError, f"{name} must be in [0, 1]; got 2.0 at index (2, 1, 3, 4)", *arrays)
    index = np.zeros((3, 5, 6), int)
    index[2, 3, 4] = 2
    refused(DomainError, "y must be a class index in 0..1; got 2 at index (2, 3, 4)", p, index)
    for bad in (-1, 101, math.nan):
        refused(DomainError, f"percentile must be in [0, 100]; got {bad}", p, y, percentile=bad)
    refused(DomainError, "percentile must be a number in [0, 100]; got '95'", p, y, percentile="95")
    refused(DomainError, "threshold must be in [0, 1]; got 2", p, y, threshold=2)
