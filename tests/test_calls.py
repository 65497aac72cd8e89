"""Calls at the edges: what is legal though unusual, and what is refused with the name of the argument and the rule."""

import numpy as np
import pytest
from cases import BACKENDS, Backend

from lossbook import DomainError, ShapeError, binary, detection, divergence, multiclass, regression, segmentation
from lossbook.arrays import rounded

Z, Y = np.array([[0.5, -2.0, 3.0], [1.0, 0.0, -1.0]]), np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
P = np.abs(np.tanh(Z))
SOFT = Y / Y.sum(axis=1, keepdims=True)


@pytest.fixture(params=BACKENDS)
def backend(request):
    with Backend(request.param).ready() as ready:
        yield ready


# --- legal -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [2.0, np.float32(2), np.array(2.0)])
def test_one_number_may_weigh_everything(weight, backend):
    """A sum doubles; a mean stays, since the weights divide it."""
    for loss, arrays in (
        (binary.cross_entropy_with_logits, (Z, Y)),
        (multiclass.cross_entropy_with_logits, (Z, SOFT)),
        (segmentation.cross_entropy, (P, SOFT)),
        (detection.iou, (np.array([[0.0, 0, 2, 1]]), np.array([[0.0, 0, 1, 1]]))),
    ):
        weight = np.asarray(weight) if backend.name == "cupy" and isinstance(weight, (float, np.generic)) else weight
        plain = backend.call(loss, *arrays, reduction="sum")
        assert backend.call(loss, *arrays, reduction="sum", weight=weight) == pytest.approx(2 * plain, rel=1e-14)
        assert backend.call(loss, *arrays, weight=weight) == pytest.approx(backend.call(loss, *arrays), rel=1e-14)


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_one_number_may_be_all_the_data(name):
    """Python floats, float16, another dtype of the target and another byte order: a gradient without axes."""
    wanted = binary.cross_entropy.grad(np.array([0.5]), np.array([1.0]))[0]
    for p, y in ((0.5, 1), (np.float16(0.5), 1.0), (np.float64(0.5), np.float32(1)), (np.array(0.5, ">f8"), 1.0)):
        slope = binary.cross_entropy.grad(p, y, backend=name)
        assert slope.shape == ()
        assert slope == wanted


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_one_image_of_one_class_may_need_conversion(name):
    """In float16, or with a target of another dtype."""
    p, y = np.array([[[0.25, 0.5]]]), np.array([[[0.0, 1.0]]])
    value, slope = segmentation.dice.value_and_grad(p, y)
    for prediction, target in ((p.astype(np.float32), y), (p.astype(np.float16), y), (p, y.astype(int))):
        got, gradient = segmentation.dice.value_and_grad(prediction, target, backend=name)
        assert got == pytest.approx(value, rel=1e-3)
        np.testing.assert_allclose(gradient, slope, rtol=1e-3)


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, True, 1.0, "1", 3, -4])
def test_the_class_axis_is_an_axis(axis, backend):
    for loss, arrays in ((multiclass.cross_entropy_with_logits, (Z, SOFT)), (segmentation.dice, (P, SOFT))):
        with pytest.raises(ShapeError, match=rf"{loss.name}: . must have a class axis {axis!r}"):
            backend.call(loss, *(array[..., None] for array in arrays), axis=axis)
    with pytest.raises(ShapeError, match=rf"detection.iou: p must have an axis {axis!r}"):
        backend.call(detection.iou, np.ones((3, 4)), np.ones((3, 4)), axis=axis)


def test_no_classes_are_refused(backend):
    """Of no classes there is no softmax."""
    for loss in (multiclass.cross_entropy_with_logits, multiclass.cross_entropy, segmentation.dice):
        with pytest.raises(ShapeError, match=r"must have at least one class; got shape \(2, 0, 3\)"):
            backend.call(loss, np.ones((2, 0, 3)), np.ones((2, 0, 3)))


def test_no_target_is_no_array(backend):
    with pytest.raises(DomainError, match=r"binary.focal: y must be an array; got None"):
        backend.call(binary.focal, P, None)


def test_what_is_no_array_is_refused():
    with pytest.raises(ShapeError, match=r"binary.focal: p must be an array; got \[\[0.1\], \[0.2, 0.3\]\]"):
        binary.focal([[0.1], [0.2, 0.3]], P)


def test_the_gradient_needs_a_place_of_its_own():
    """`out` may share nothing with any array of the call, nor its elements with one another."""
    z, weights = Z.copy(), np.ones(3)
    with pytest.raises(DomainError, match="out must not share memory with class_weight"):
        multiclass.cross_entropy_with_logits.grad(z[:1], SOFT[:1], class_weight=weights, out=weights[None])
    with pytest.raises(DomainError, match="out must not share memory with weight"):
        divergence.entropy.grad(P, weight=z, out=z)
    shared = np.lib.stride_tricks.as_strided(np.zeros(3), (2, 3), (0, 8))
    with pytest.raises(DomainError, match=r"out must have a place for each element; got strides \(0, 8\)"):
        binary.cross_entropy_with_logits.grad(z, Y, out=shared)
    with pytest.raises(DomainError, match="out must be a plain array; got MaskedArray"):
        binary.cross_entropy_with_logits.grad(z, Y, out=np.ma.array(np.zeros((2, 3))))
    for strided in (np.zeros((4, 3))[::2], np.zeros((3, 2)).T, np.zeros((2, 3))[:, ::-1]):
        assert binary.cross_entropy_with_logits.grad(z, Y, out=strided) is strided


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_rules_hold_in_the_working_type(name):
    """What becomes 0 or infinite in float32 breaks a rule there, though it obeys it in float64."""
    z, y = Z.astype(np.float32), Y.astype(np.float32)
    for value, printed in ((1e-60, "1e-60"), (1e39, r"1e\+39")):
        with pytest.raises(DomainError, match=f"beta must be > 0 and finite, also in float32; got {printed}"):
            regression.smooth_l1(z, y, beta=value, backend=name)
    with pytest.raises(DomainError, match=r"weight must be >= 0 and finite; got 1e\+39 at index \(1, 2\)"):
        binary.cross_entropy_with_logits(z, y, weight=np.where(Z == -1, 1e39, 1), backend=name)
    with pytest.raises(DomainError, match=r"weight must be 0 or not vanish in float32; got 1e-50 at index \(0, 1\)"):
        binary.cross_entropy_with_logits(z, y, weight=np.where(Z == -2, 1e-50, 1), backend=name)


def test_options_of_the_wrong_kind_are_refused():
    for keyword in ("reduction", "batch"):
        with pytest.raises(DomainError, match=rf"segmentation.dice: {keyword} must be"):
            segmentation.dice(P, SOFT, **{keyword: np.ones(2)})
    with pytest.raises(DomainError, match="ignore_index must be a 64-bit integer"):
        multiclass.cross_entropy_with_logits(Z, np.array([0, 1]), ignore_index=2**70)
    with pytest.raises(DomainError, match="delta must fit a float64"):
        regression.huber(Z, Y, delta=10**400)
    with pytest.raises(DomainError, match="dtype must be float16, float32 or float64; got 'int32'"):
        regression.huber.source("numba", "int32")


# --- rounding to float16 ---------------------------------------------------------------------------------------------


def test_what_is_rounded_to_float16_is_rounded_as_numpy_rounds():
    """Also among the numbers that are subnormal there, at ties, at the ends, and of infinities and NaN."""
    patterns = [np.arange(0, 0x7F800000, 9973, np.uint32), np.arange(0x32FFF000, 0x39000000, 4096, np.uint32)]
    patterns.append(np.array([0x7F800000, 0x7FC00000], np.uint32))
    numbers = np.concatenate(patterns).view(np.float32)
    numbers = np.concatenate([numbers, -numbers])
    with np.errstate(all="ignore"):
        wanted = numbers.astype(np.float16)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(rounded(numbers, wanted.dtype), wanted)
