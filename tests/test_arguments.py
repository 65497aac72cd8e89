"""What every loss takes and refuses: properties over all losses, and the words of single errors."""

import array
import itertools
import warnings

import numpy as np
import pytest
from cases import BACKENDS, EVERY_LOSS, LOSSES, example

import lossbook
from lossbook import (
    Classes,
    DomainError,
    Logit,
    ShapeError,
    adversarial,
    binary,
    detection,
    labels,
    multiclass,
    multilabel,
    regression,
    segmentation,
)

OVERLAP = [loss for loss in LOSSES if loss.shape == "overlap"]
INTERVALS = {"Probability", "LogProbability", "Label", "Classes"}
BOUNDED = [loss for loss in LOSSES if {loss.declaration.arguments[n].name for n in loss.declaration.arrays} & INTERVALS]
HOST = [name for name in BACKENDS if name != "cupy"]


def by_name(losses):
    return pytest.mark.parametrize("loss", losses, ids=lambda loss: loss.name)


def message(call, *arguments, **keywords):
    """The text of the error of a wrong call, which must be one of lossbook's, or a TypeError that names the loss."""
    with pytest.raises((ShapeError, DomainError, TypeError)) as caught:
        call(*arguments, **keywords)
    text = str(caught.value)
    assert len(text) < 400
    assert "\n" not in text
    return text


# --- rounding at the bounds ------------------------------------------------------------------------------------------


@by_name(BOUNDED)
def test_a_few_ulp_beyond_a_bound_are_the_bound(loss):
    """Value and gradient are those at the bound; what lies farther is refused."""
    compiled = [(np.float32, "numba")] if loss in (binary.cross_entropy, segmentation.dice) else []
    for dtype, backend in ((np.float16, "numpy"), (np.float32, "numpy"), *compiled, (np.float64, "numpy")):
        beyond, inside = example(loss, dtype), example(loss, dtype)
        for name, out, at in zip(loss.declaration.arrays, beyond, inside, strict=True):
            domain, step = loss.declaration.arguments[name], 4 * np.finfo(dtype).eps
            if domain.name not in INTERVALS:
                continue
            first, last = (0, 0), (-1, -1)
            at[first], out[first] = domain.high, domain.high + step
            if domain.low == 0:
                at[last], out[last] = 0, -1e-7 if dtype is np.float32 else -step
        got = loss.value_and_grad(*beyond, backend=backend)
        want = loss.value_and_grad(*inside, backend=backend)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])
        np.testing.assert_array_equal(
            loss(*beyond, backend=backend, reduction="none"), loss(*inside, backend=backend, reduction="none")
        )
    name = next(name for name in loss.declaration.arrays if loss.declaration.arguments[name].name in INTERVALS)
    beyond[loss.declaration.arrays.index(name)][0, 0] += 1e-3
    assert f"{loss.name}: {name} must be {loss.declaration.arguments[name].rule}; got" in message(loss, *beyond)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_few_ulp_beyond_a_bound_in_composed_losses(dtype):
    """In sums and losses with several predictions, for which float16 is computed in float32, the dtype is its own."""
    beyond, inside = np.array([1 + 2 * np.finfo(dtype).eps, 0.5], dtype), np.array([1, 0.5], dtype)
    mixed = 0.5 * binary.cross_entropy + binary.focal
    assert mixed(beyond, [1, 1]) == mixed(inside, [1, 1])
    assert adversarial.minimax(beyond, inside) == adversarial.minimax(inside, inside)
    assert segmentation.hausdorff_distance(beyond[None, None], inside[None, None]) == 0


# --- NumPy's warnings ------------------------------------------------------------------------------------------------


@by_name(EVERY_LOSS)
def test_no_warning_of_numpy_leaves_a_loss(loss):
    """Whatever np.seterr says: extreme numbers, weights and parameters, in all dtypes."""
    if loss.shape not in ("pointwise", "rows", "overlap"):
        pytest.skip("see the tests of boxes, distances and several predictions")
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for dtype in (np.float16, np.float32, np.float64):
            big = float(np.finfo(dtype).max)
            shape = (3, 4, 2) if loss.shape == "overlap" else (6, 4)
            arrays = example(loss, dtype, shape)
            kind = loss.declaration.of_prediction.name
            ends = {"Probability": (0, 1, 1e-7), "LogProbability": (-np.inf, -big, 0)}
            for value, weight in itertools.product(
                ends.get(kind, (big, -big, np.inf, np.nan, float(np.finfo(dtype).tiny))), (1e-30, 1e30)
            ):
                arrays[0][0] = value
                for reduction in ("none", "mean"):
                    loss.value_and_grad(*arrays, weight=[weight, 1, 0] * (shape[0] // 3), reduction=reduction)


def test_no_warning_of_numpy_leaves_a_helper_thread():
    """Pieces that are converted in threads of their own."""
    z = np.full((1 << 19, 1), np.finfo(np.float16).max, np.float16)[::2]
    wide = np.full(z.shape, 1e308)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for backend in HOST:
            binary.cross_entropy_with_logits.value_and_grad(z, z > 0, backend=backend)
            regression.squared_error.value_and_grad(z, -wide, backend=backend)
            multiclass.focal_with_logits.value_and_grad(wide.reshape(-1, 2), z[::2, 0] > 1, backend=backend)
        labels.smooth(np.float16([[0, 1]]))
        labels.class_weights([0, 1, 1], 3, method="effective", beta=0.0)


def test_no_warning_of_numpy_leaves_a_composed_loss():
    """Boxes, distances, several predictions, sums, partial sums and what is made of labels, at their extremes."""
    spacious = pytest.importorskip("scipy.ndimage") is not None
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        for dtype in (np.float16, np.float32, np.float64):
            big = float(np.finfo(dtype).max)
            boxes = np.array([[0, 0, big, big], [-big, -big, big, big], [1, 1, 1, 1], [0, 0, 1e-7, 1e-7]], dtype)
            for loss in (detection.iou, detection.giou, detection.diou, detection.ciou):
                loss.value_and_grad(boxes, 0 * boxes)
                loss.value_and_grad(boxes * np.nan, boxes)
            scores, corners = np.array([[1, 0], [0, 1], [0.5, 0.5]], dtype), np.full((3, 4), big, dtype)
            weight, masks = [1e30, 1e-30, 1], np.ones((3, 2, 2, 2), dtype)
            detection.detection.value_and_grad(scores, corners, [1, 0, 1], -corners, weight=weight)
            detection.faster_rcnn.value_and_grad(scores[:, 0], corners, [1, 0, -1], -corners, weight=weight)
            detection.mask_rcnn.value_and_grad(scores, corners, masks, [1, 0, 1], -corners, masks[:, 0] * 0)
            adversarial.minimax_with_logits.value_and_grad(corners, -corners)
            (1e30 * binary.cross_entropy_with_logits).value_and_grad(corners, 0 * corners)
            steep, labels_of = np.full((1, 2, 3, 3), big, dtype), np.zeros((1, 3, 3), int)
            segmentation.dice.on_logits("softmax").value_and_grad(steep, labels_of)
            segmentation.dice.partial(steep / steep / 3, labels_of).finish()
            binary.focal.partial(scores * 0, scores * 0).finish()
            detection.encode_boxes(boxes[:1], np.array([[0, 0, 1e-4, 1e-4]], dtype))
            detection.decode_boxes(boxes[:1], np.array([[0, 0, 1e-4, 1e-4]], dtype))
            if spacious:
                segmentation.boundary.value_and_grad(steep / steep / 3, labels_of)
                segmentation.edge_weights(np.eye(5, dtype=int)[None], sigma=1e-300, w0=1e300, dtype=dtype)


# --- shapes that mean the same ---------------------------------------------------------------------------------------


@by_name([loss for loss in LOSSES if loss.shape != "boxes"])
def test_weights_that_mean_the_same_are_taken_alike(loss):
    """A number, one per item, per pixel (with or without an axis for the classes), and one each."""
    arrays = example(loss, np.float64, (3, 4, 2, 5))
    pixels = np.random.default_rng(0).random((3, 2, 5))
    want = loss.value_and_grad(*arrays, weight=pixels)
    for weight in (pixels[:, None], np.broadcast_to(pixels[:, None], (3, 4, 2, 5))):
        if weight.shape[1] == 1 or loss.shape != "rows":
            got = loss.value_and_grad(*arrays, weight=weight)
            np.testing.assert_allclose(got[0], want[0], rtol=1e-14)
            np.testing.assert_allclose(got[1], want[1], rtol=1e-13, atol=1e-300)
    want = loss(*arrays, weight=np.full((3, 2, 5), 2.0))
    for weight in (2.0, *([] if loss.shape == "overlap" else [np.full(3, 2.0)])):  # those of images act on the mean
        np.testing.assert_allclose(loss(*arrays, weight=weight), want, rtol=1e-14)


@by_name([loss for loss in LOSSES if loss.declaration.by_class])
def test_masks_of_labels_with_an_axis_of_length_one(loss):
    """As MONAI gives them."""
    z, y = example(loss, np.float32, (3, 4, 2, 5), integer=True)
    got, want = (loss.value_and_grad(z, target) for target in (y[:, None], y))
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1], want[1])


@by_name(OVERLAP)
def test_one_channel_and_a_mask(loss):
    """Integers and bools are a mask of 0 and 1; labels that are to be ignored have weight 0 there."""
    p = np.random.default_rng(0).random((3, 1, 2, 5), np.float32)
    mask = np.random.default_rng(1).integers(0, 2, (3, 2, 5))
    want = loss.value_and_grad(p, mask[:, None].astype(np.float32))
    for target in (mask, mask > 0, mask[:, None], mask[:, None] > 0, mask.astype(np.uint8)):
        got = loss.value_and_grad(p, target)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])
    some = np.where(mask == 1, 255, 0)
    some[0, 0, 0] = 1
    for weight in (None, np.random.default_rng(2).random((3, 2, 5))):
        got = loss.value_and_grad(p, some, ignore_index=255, weight=weight)
        each = (some != 255) * (1 if weight is None else weight)
        want = loss.value_and_grad(p, (some == 1)[:, None], weight=each)
        np.testing.assert_allclose(got[0], want[0], rtol=1e-6)
        np.testing.assert_allclose(got[1], want[1], rtol=1e-5)
    assert "a channel for each" in message(loss, p, mask * 2)


@by_name(OVERLAP)
def test_images_without_axes_of_items_and_classes_are_refused(loss):
    """Rows of an image would be taken for classes."""
    p = np.full((4, 5), 0.5, np.float32)
    assert "give p[None, None]" in message(loss, p, p)
    assert "give p[None, None]" in message(loss, p[0], p[0])


def test_one_class_under_a_softmax_is_refused():
    """It would always be sure of it."""
    z, y = np.zeros((3, 1), np.float32), np.zeros(3, int)
    for loss in (multiclass.cross_entropy_with_logits, multiclass.focal_with_logits, multiclass.perceptron):
        assert "at least two classes" in message(loss, z, y)
    assert "at least two classes" in message(segmentation.dice.on_logits("softmax"), z[..., None], y[:, None])


# --- out -------------------------------------------------------------------------------------------------------------


class Lent(np.ndarray):
    """A class of one's own."""


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_out_that_shares_memory_is_refused_and_what_lies_beside_is_taken(tmp_path):
    """Arrays, subclasses, memory maps and buffers; of inputs, targets and weights."""
    loss = multiclass.cross_entropy_with_logits
    y, ones = np.array([0, 1, 2]), np.ones(3)
    store = np.memmap(tmp_path / "z", dtype=float, shape=(3, 3), mode="w+")
    lent = array.array("d", [0.0] * 9)
    for z in (store, store.view(Lent), lent, memoryview(lent)):
        out = np.asarray(z).reshape(3, 3)
        assert "out must not share memory with z" in message(loss.grad, np.asarray(z).reshape(3, 3), y, out=out)
        assert "out must not share memory with weight" in message(
            loss.grad, np.zeros((3, 3)), y, out=out, weight=out[:, 0].view(Lent)
        )
        assert "with class_weight" in message(loss.grad, np.zeros((3, 3)), y, out=out, class_weight=out[0])
    assert "with p" in message(regression.squared_error.grad, lent, np.zeros(9), out=np.asarray(lent))
    assert "with y" in message(regression.squared_error.grad, np.zeros(9), memoryview(lent), out=np.asarray(lent))
    both = np.zeros((3, 6))
    want = loss.grad(np.zeros((3, 3)), y)
    for out in (both[:, 1::2], np.zeros((3, 3)).view(Lent), store, np.matrix(np.zeros((3, 3)))):
        assert loss.grad(both[:, ::2], y, out=out, weight=ones) is out
        np.testing.assert_array_equal(np.asarray(out), want)
    for out in ([[0.0] * 3] * 3, np.ma.zeros((3, 3)), memoryview(lent)):
        assert "out must be a plain array" in message(loss.grad, both[:, ::2], y, out=out)


@by_name(LOSSES)
def test_the_gradient_of_float16_may_go_to_float32(loss):
    """It is rounded once less."""
    arrays = example(loss, np.float16, (3, 4, 2))
    out = np.empty(arrays[0].shape, np.float32)
    got = loss.grad(*arrays, out=out)
    assert got is out
    np.testing.assert_allclose(out, loss.grad(*arrays), rtol=1e-3, atol=1e-7)
    np.testing.assert_array_equal(out.astype(np.float16), loss.grad(*arrays))


# --- targets of a wider type -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", HOST)
def test_targets_are_not_rounded_before_the_difference(backend):
    """Integers beyond 2**24, and float64 targets next to float32 predictions."""
    p = np.float32([16777216, 1])
    for y in (np.array([16777217, 1]), np.array([16777217.0, 1.0]), np.array([16777217, 1], np.uint32)):
        value, slope = regression.squared_error.value_and_grad(p, y, backend=backend, reduction="sum")
        assert (value, value.dtype, slope.dtype) == (1, np.float32, np.float32)
        assert slope.tolist() == [-2, 0]


# --- words -----------------------------------------------------------------------------------------------------------


@by_name(EVERY_LOSS)
def test_words_of_other_packages_are_understood(loss):
    """A keyword that is none says what is meant, or what there is."""
    for wrong, meant in (("sample_weight", "did you mean weight?"), ("wieght", "did you mean weight?"),
                         ("y_true", "is given by position"), ("input", "is given by position"),
                         ("from_logits", "logits"), ("size_average", "reduction='mean'")):  # fmt: skip
        assert meant in message(loss, **{wrong: 1})
    if loss.declaration.arguments[loss.declaration.arrays[-1]].name in ("Label", "Classes"):
        assert "smoothing?" in (found := message(loss, label_smoothing=1)) or "a smoothed target" in found
    assert "did you mean 'mean'?" in message(loss, *[[0.5]] * len(loss.declaration.arrays), reduction="batchmean")
    assert "did you mean 'none'?" in message(loss, *[[0.5]] * len(loss.declaration.arrays), reduction=None)


def test_words_of_single_errors():
    """Each says what to do."""
    z, y = np.zeros((3, 4), np.float32), np.array([0, 1, 2])
    loss = multiclass.cross_entropy_with_logits
    assert "did you mean smoothing?" in message(loss, z, y, label_smoothing=0.1)
    assert "did you mean ignore_index?" in message(loss, z, y, ignore_label=0)
    assert "did you mean class_weight?" in message(loss, z, y, class_weights=[1])
    assert "pass ignore_index=-100" in message(loss, z, np.array([0, -100, 1]))
    assert "are class_weight" in message(loss, z, y, weight=np.ones(4))
    assert "are class_weight" in message(multilabel.focal_with_logits, z, z, weight=np.ones(4))
    assert "a dict" in message(loss, z, y, class_weight={0: 1.0})
    assert "labels.class_weights(y, 4)" in message(loss, z, y, class_weight="balanced")
    assert "y.astype(int)" in message(loss, z, y.astype(float))
    assert "prediction stands first" in message(binary.focal, np.array([0, 1]), np.array([0.2, 0.3]))
    assert "got an array of shape (450,)" in message(regression.huber, z, z, delta=np.ones(450))
    assert regression.huber(z, z, delta=np.array(2.0)) == 0
    assert "an integer of 1329 bits" in message(lambda: 10**400 * loss)
    assert "18446744073709551615" in message(loss, z, np.array([0, 1, 2**64 - 1], np.uint64), ignore_index=-1)
    for axis in (True, 1.0, 2, "1", np.ones(450)):
        assert "z must have a class axis" in message(loss, z, y, axis=axis)
    for ignored in (2**70, 1.5, True, "1", np.ones(450)):
        assert "ignore_index must be" in message(loss, z, y, ignore_index=ignored)

    class Series(list):
        index = ("b", "a", "c", "d")

    assert "in the order of the classes" in message(loss, z, y, class_weight=Series([1, 2, 3, 4]))
    Series.index = range(4)
    assert loss(z, y, class_weight=Series([1, 2, 3, 4])) > 0


def test_arrays_of_other_kinds_are_refused_with_their_cure():
    """What cannot be computed with, as prediction, target and weight."""
    sparse = pytest.importorskip("scipy.sparse")
    good, loss = np.full((2, 2), 0.5), binary.cross_entropy
    for bad, said in (
        (None, "must be an array; got None"),
        (sparse.csr_array(good), "toarray()"),
        (np.array([[1j, 0], [0, 0]]), ".real"),
        (np.array([["a", "b"], ["c", "d"]]), "astype(np.float32)"),
        (np.array([[None, 1.0], [1.0, 1.0]]), "astype(np.float32)"),
        ([[1.0], [1.0, 2.0]], "equal lengths"),
        (np.ma.array(good), "a masked array"),
        ({1: 2}, "a dict"),
    ):
        for arrays, weight in (((bad, good), None), ((good, bad), None), ((good, good), bad)):
            if bad is not None or weight is not bad:
                assert said in message(loss, *arrays, weight=weight)


def test_a_loss_of_elements_may_take_a_distribution():
    """It has no class axis, and no labels."""

    @lossbook.loss
    def elements(z: Logit, y: Classes):
        """A loss of elements."""
        return binary.cross_entropy_with_logits.of(z, y)

    z = np.zeros((1, 1, 2, 2))
    assert elements(z, z) == pytest.approx(np.log(2))
    assert "y must have shape (1, 1, 2, 2)" in message(elements, z, z[0])
