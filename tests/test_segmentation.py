"""Numbers for the segmentation losses: the notes' worked example, and conventions for empty masks."""

import numpy as np
import pytest

from lossbook import segmentation

# The worked example of the notes (section 1.1.3): the overlap sums to 7.41.
P = np.array(
    [
        [0.01, 0.03, 0.02, 0.02],
        [0.05, 0.12, 0.09, 0.07],
        [0.89, 0.85, 0.88, 0.91],
        [0.99, 0.97, 0.95, 0.97],
    ]
)[None, None]
Y = np.zeros_like(P)
Y[..., 2:, :] = 1
both = pytest.mark.parametrize("name", ["numpy", "numba"])


@both
def test_the_worked_example_of_the_notes(name):
    """Overlap 7.41, loss 1/15.82 = 0.063211 (also MONAI 1.6.1, Keras 3.15.1), squared 0.006249, smooth=1 0.059453."""
    assert np.sum(P * Y) == pytest.approx(7.41, rel=1e-14)
    assert segmentation.dice(P, Y, smooth=0, backend=name) == pytest.approx(1 / 15.82, rel=1e-13)
    assert segmentation.dice(P, Y, smooth=0, squared=True, backend=name) == pytest.approx(0.0932 / 14.9132, rel=1e-12)
    assert segmentation.dice(P, Y, backend=name) == pytest.approx(0.059453, abs=5e-7)
    slopes = segmentation.dice.grad(P, Y, smooth=0, backend=name)
    assert slopes[0, 0, 3, 0] == pytest.approx(-(2 * 15.82 - 14.82) / 15.82**2, rel=1e-12)
    assert slopes[0, 0, 0, 0] == pytest.approx(14.82 / 15.82**2, rel=1e-12)


@both
@pytest.mark.parametrize("squared", [False, True])
def test_empty_masks(name, squared):
    """Absent and not predicted costs 0 with slope 0; predicted but absent costs 1 with smooth=0; missed costs 1."""
    zero, one = np.zeros((1, 1, 4)), np.ones((1, 1, 4))
    for smooth in (0.0, 1.0):
        value, slope = segmentation.dice.value_and_grad(zero, zero, smooth=smooth, squared=squared, backend=name)
        assert value == 0
        assert np.all(np.isfinite(slope))
    assert not np.any(segmentation.dice.grad(zero, zero, smooth=0.0, squared=squared, backend=name))
    assert segmentation.dice(one, zero, smooth=0.0, squared=squared, backend=name) == 1
    assert segmentation.dice(zero, one, smooth=0.0, squared=squared, backend=name) == 1
    assert segmentation.dice(one, one, smooth=0.0, squared=squared, backend=name) == 0


@both
def test_near_a_perfect_match_no_digit_is_lost(name):
    """float32, 1000 pixels right to 1.8e-7: the loss is 8.94e-8, where 1 - ratio gives 5.96e-8."""
    y = np.ones((1, 1, 1000), np.float32)
    p = y - np.float32(1.8e-7)
    wrong = float(1 - p[0, 0, 0])
    exact = wrong / (2 - wrong)
    assert segmentation.dice(p, y, smooth=0, backend=name) == pytest.approx(exact, rel=1e-6)


@both
def test_squared_dice_is_proper_for_soft_masks(name):
    """For a pixel of truth 1/2 the squared form has its minimum, 0, at p = 1/2; the linear form does not."""
    y = np.full((1, 1, 1), 0.5)
    assert segmentation.dice(y, y, smooth=0, squared=True, backend=name) == 0
    assert segmentation.dice.grad(y, y, smooth=0, squared=True, backend=name) == 0
    assert segmentation.dice.grad(y, y, smooth=0, backend=name) < 0


@both
def test_class_indices_weights_and_ignored_pixels(name):
    """Indices are their one-hot masks; class weights weigh the mean; ignored pixels and pixels of weight 0 vanish."""
    random = np.random.default_rng(0)
    p = random.random((3, 4, 5, 6))
    index = random.integers(0, 4, (3, 5, 6))
    hot = np.moveaxis(np.eye(4)[index], -1, 1)
    assert segmentation.dice(p, index, backend=name) == pytest.approx(
        segmentation.dice(p, hot, backend=name), rel=1e-13
    )
    each = segmentation.dice(p, index, reduction="none", backend=name)
    weight = np.array([1.0, 2.0, 0.0, 5.0])
    by_class = segmentation.dice(p, index, class_weight=weight, backend=name)
    assert by_class == pytest.approx((each * weight).sum() / (3 * weight.sum()), rel=1e-13)
    items = np.array([1.0, 0.0, 3.0])
    assert segmentation.dice(p, index, weight=items, backend=name) == pytest.approx(
        (each * items[:, None]).sum() / 16, rel=1e-13
    )
    spoiled = index.copy()
    spoiled[:, 0] = 255
    got, gradient = segmentation.dice.value_and_grad(p, spoiled, ignore_index=255, backend=name)
    assert got == pytest.approx(segmentation.dice(p[:, :, 1:], index[:, 1:], backend=name), rel=1e-13)
    assert not np.any(gradient[:, :, 0])


@both
def test_batch_sums_over_the_images_first(name):
    """batch=True is the loss of one long image; reduction="none" then has one value per class."""
    random = np.random.default_rng(0)
    p, y = random.random((3, 2, 7)), (random.random((3, 2, 7)) < 0.5).astype(float)
    long = np.concatenate(p, axis=1)[None], np.concatenate(y, axis=1)[None]
    got, gradient = segmentation.dice.value_and_grad(p, y, batch=True, backend=name)
    wanted, slope = segmentation.dice.value_and_grad(*long, backend=name)
    assert got == pytest.approx(wanted, rel=1e-14)
    assert np.concatenate(gradient, axis=1)[None] == pytest.approx(slope, rel=1e-13)
    assert segmentation.dice(p, y, batch=True, reduction="none", backend=name).shape == (2,)


@both
def test_channels_last(name):
    """axis=-1 takes arrays of shape (N, H, W, C)."""
    random = np.random.default_rng(0)
    p, y = random.random((2, 3, 4, 5)), random.integers(0, 3, (2, 4, 5))
    value, gradient = segmentation.dice.value_and_grad(np.moveaxis(p, 1, -1), y, axis=-1, backend=name)
    wanted, slope = segmentation.dice.value_and_grad(p, y, backend=name)
    assert value == pytest.approx(wanted, rel=1e-14)
    assert np.moveaxis(gradient, -1, 1) == pytest.approx(slope, rel=1e-13)
