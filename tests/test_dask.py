"""Dask arrays: every loss, lazily and block by block, gives what NumPy gives for the whole, on worker processes too."""

import itertools
import os
import pickle
import signal
import subprocess
import sys
import uuid

import dask
import dask.array as da
import fake_cupy
import numpy as np
import pytest
from cases import DTYPES, EVERY_LOSS, example, settings, several
from dask.distributed import Client, LocalCluster

import lossbook
from lossbook import (
    BackendError,
    DomainError,
    Label,
    Logit,
    NonNegative,
    ShapeError,
    backends,
    binary,
    detection,
    multiclass,
    regression,
    segmentation,
    words,
)

PER_CLASS = [(loss, name) for loss in EVERY_LOSS for name in sorted(getattr(loss, "per_class", ()))]
POINTWISE = [loss for loss in EVERY_LOSS if loss.shape == "pointwise"]
JOINED = [loss for loss in EVERY_LOSS if loss.shape == "joined"]
LOSSES = [loss for loss in EVERY_LOSS if loss not in JOINED]
BY_CLASS = [loss for loss in LOSSES if loss.declaration.by_class]
WITH_AXIS = [loss for loss in LOSSES if loss.shape != "pointwise"]
SAMPLE = [  # one of each shape
    binary.focal_with_logits,
    multiclass.cross_entropy_with_logits,
    segmentation.dice,
    detection.giou,
    segmentation.hausdorff,
]
MIXED = 0.3 * segmentation.dice.on_logits("softmax") + 0.7 * segmentation.cross_entropy_with_logits
COMPOSED = {
    "sum": 0.3 * segmentation.dice + 0.7 * segmentation.jaccard,
    "softmax": segmentation.dice.on_logits("softmax"),
    "sigmoid": segmentation.dice.on_logits("sigmoid"),
    "pointwise": binary.focal.on_logits("sigmoid"),
    "mixed": MIXED,
    "of a sum": (0.3 * segmentation.dice + 0.7 * segmentation.cross_entropy).on_logits("softmax"),
    "other defaults": segmentation.tversky.with_parameters(alpha=0.2, beta=0.8),
}
SHAPE = (5, 4, 6, 3)
EPS = np.finfo(np.float64).eps
REDUCTIONS = ("mean", "sum", "none")

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@pytest.fixture(autouse=True)
def _one_thread():
    """Graphs run in this thread unless a test says otherwise."""
    with dask.config.set(scheduler="synchronous"):
        yield


@lossbook.loss(source="this test")
def our_own(z: Logit, y: Label, *, gamma: NonNegative = 2.0):
    """A loss that the package does not have."""
    return words.sigmoid_power(-z, gamma) * y * words.softplus(-z) + (1 - y) * words.softplus(z)


# --- calls, and their arrays in chunks -------------------------------------------------------------------------------


def inputs(loss, dtype=np.float64, integer=False, shape=SHAPE):
    """An ordinary prediction and target; boxes, of shape (6, 5, 4), have their corners along the last axis."""
    if loss.shape != "boxes":
        return example(loss, dtype, shape, integer=integer)
    random = np.random.default_rng(0)
    corners = random.uniform(0, 8, (2, 6, 5, 2))
    return [*np.concatenate([corners, corners + random.uniform(0.1, 6, corners.shape)], axis=-1).astype(dtype)]


def calls(loss, dtype=np.float64):
    """(arrays, keywords): weights of every shape, class weights, ignored labels, other parameters, another axis."""
    random = np.random.default_rng(1)
    arrays = inputs(loss, dtype)
    weight = random.integers(0, 3, len(arrays[0])).astype(dtype)
    other = {"spacing": (1.0, 2.0), "normalize": True} if loss.shape == "distance" else [*settings(loss)][-1]
    yield arrays, {"weight": weight, **other}
    if loss.shape == "boxes":
        yield arrays, {"weight": random.random(arrays[0].shape[:-1])}
    elif loss.shape == "pointwise":
        yield arrays, {"weight": random.random((1, 4, 1, 3))}
    if loss.shape != "pointwise":
        axis = 1 if loss.shape == "boxes" else -1
        moved = [np.ascontiguousarray(np.moveaxis(array, loss.axis, axis)) for array in arrays]
        yield moved, {"axis": axis, "weight": weight}
    if loss.declaration.by_class:
        classes = {"class_weight": np.array([1, 2, 0.5, 0])}
        pixels = random.random((5, 6, 3)) * (random.random((5, 6, 3)) < 0.8)
        yield arrays, {"weight": pixels[:, :1], **classes}
        z, y = inputs(loss, dtype, integer=True)
        y[0, 2, 1] = y[3] = 77
        yield (z, y), {"ignore_index": 77, "weight": pixels, **classes}
        if loss.shape == "overlap":
            yield (z, y), {"ignore_index": 77, "weight": pixels, "batch": True}
            yield arrays, {"weight": random.random(SHAPE), "batch": True, **classes}


def together(loss, arrays, keywords):
    """The axes of the prediction that must not be cut."""
    count = arrays[0].ndim
    if loss.shape == "pointwise":
        return ()
    axis = keywords.get("axis", loss.axis) % count
    return range(1, count) if loss.shape == "distance" else (axis,)


def cut(array, random, whole=()):
    """A Dask array in chunks of random sizes; the axes in `whole` are in one."""
    chunks = []
    for k, n in enumerate(array.shape):
        count = 0 if k in whole or n < 2 else random.integers(0, 2 if k else 3)
        cuts = np.sort(random.choice(np.arange(1, n), count, replace=False)) if count else []
        chunks.append(tuple(int(size) for size in np.diff([0, *cuts, n])))
    return da.from_array(array, chunks=tuple(chunks))


def lazy(loss, arrays, keywords, random):
    """The same call on Dask arrays, each cut in its own way."""
    whole, like = together(loss, arrays, keywords), arrays[0].ndim
    cuts = [cut(array, random, whole if array.ndim == like else ()) for array in arrays]
    return cuts, {k: cut(v, random) if k == "weight" else v for k, v in keywords.items()}


def assert_near(got, wanted, ulps=8, largest=False):
    """Equal in dtype and shape, and to a few ulp: of each entry or, where terms cancel, of the largest entry."""
    assert np.shape(got) == np.shape(wanted)
    assert got.dtype == wanted.dtype
    near = ulps * float(np.finfo(wanted.dtype).eps)
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    np.testing.assert_allclose(got, wanted, rtol=near, atol=near * np.max(np.abs(wanted)) if largest else 0)


def bits(results):
    """The bytes of numbers, of arrays and of what partial sums come to."""
    finished = [(r.finish("sum"), r.finish("mean")) if hasattr(r, "finish") else r for r in results]
    return [np.asarray(result).tobytes() for result in finished]


# --- every loss gives the numbers of the whole array -----------------------------------------------------------------


def assert_agrees(loss, arrays, keywords, random):
    """Value and gradient in one call, and partial sums, are NumPy's of the whole array, for every reduction."""
    for reduction in REDUCTIONS:
        wanted, steep = loss.value_and_grad(*arrays, **keywords, reduction=reduction)
        chunked, options = lazy(loss, arrays, keywords, random)
        value, gradient = loss.value_and_grad(*chunked, **options, reduction=reduction)
        assert isinstance(value, da.Array)
        assert (value.shape, value.dtype) == (np.shape(wanted), wanted.dtype)
        assert (gradient.chunks, gradient.dtype) == (chunked[0].chunks, arrays[0].dtype)
        value, gradient = dask.compute(value, gradient)
        assert_near(value, wanted)
        assert_near(gradient, steep, largest=loss.shape == "overlap")  # pixels cancel in the slopes of totals
        if reduction != "none":
            parts = pickle.loads(pickle.dumps(loss.partial(*chunked, **options).compute()))
            assert_near(arrays[0].dtype.type(parts.finish(reduction)), wanted)


@every_loss
@every_dtype
def test_the_numbers_are_those_of_the_whole_array(loss, dtype):
    """However the arrays are cut: value, gradient, both at once and partial sums, for every reduction."""
    random = np.random.default_rng(0)
    arrays = inputs(loss, dtype)
    assert_agrees(loss, arrays, {}, random)
    for reduction in REDUCTIONS:
        chunked, _ = lazy(loss, arrays, {}, random)
        both = loss.value_and_grad(*chunked, reduction=reduction)
        apart = loss(*chunked, reduction=reduction), loss.grad(*chunked, reduction=reduction)
        assert bits(dask.compute(*both)) == bits(dask.compute(*apart))


@every_loss
def test_weights_ignored_labels_and_other_axes(loss):
    """Weights per item and per pixel, class weights, ignored labels, other parameters, another class axis, `batch`."""
    random = np.random.default_rng(2)
    for arrays, keywords in calls(loss):
        assert_agrees(loss, arrays, keywords, random)


@pytest.mark.parametrize("loss", SAMPLE, ids=lambda loss: loss.name)
def test_numba_runs_on_the_blocks(loss, monkeypatch):
    """With backend="numba", or under use("numba") when the graph is made, Numba's kernels run, and give the same."""
    numba, ran = backends.get("numba"), []
    run = numba.run
    monkeypatch.setattr(numba, "run", lambda *given: ran.append(1) or run(*given))
    arrays, keywords = next(calls(loss))
    wanted, steep = loss.value_and_grad(*arrays, **keywords)
    chunked, options = lazy(loss, arrays, keywords, np.random.default_rng(3))
    with lossbook.use("numba"):
        chosen = loss.value_and_grad(*chunked, **options)
    for results in (chosen, loss.value_and_grad(*chunked, **options, backend="numba")):
        ran.clear()
        value, gradient = dask.compute(*results)
        assert ran
        assert_near(value, wanted, ulps=40)
        assert_near(gradient, steep, ulps=40, largest=True)


@pytest.mark.parametrize("name", COMPOSED)
@every_dtype
def test_composed_losses(name, dtype):
    """Sums, losses on logits, both, and losses with other defaults take Dask arrays as their parts do."""
    loss, random = COMPOSED[name], np.random.default_rng(4)
    arrays = inputs(loss, dtype)
    whole = (1,) if loss.declaration.by_class else ()
    for keywords in ({}, {"weight": random.random(5)}):
        for reduction in REDUCTIONS if loss.shape != "mixed" else REDUCTIONS[:2]:
            chunked = [cut(array, random, whole) for array in arrays]
            options = {name: cut(option, random) for name, option in keywords.items()}
            wanted, steep = loss.value_and_grad(*arrays, **keywords, reduction=reduction)
            value, gradient = loss.value_and_grad(*chunked, **options, reduction=reduction)
            assert gradient.chunks == chunked[0].chunks
            value, gradient = dask.compute(value, gradient)
            assert_near(value, wanted, ulps=40)
            assert_near(gradient, steep, ulps=40, largest=True)
            if reduction != "none":
                parts = pickle.loads(pickle.dumps(loss.partial(*chunked, **options).compute()))
                assert_near(np.float64(parts.finish(reduction)), np.float64(wanted), 40 * np.finfo(dtype).eps / EPS)


def test_float16_and_big_endian_arrays():
    """The prediction's dtype comes out; float16 is computed in float32, and what is too large for it is infinite."""
    for dtype in (np.dtype(np.float16), np.dtype(">f4")):
        for loss in (*SAMPLE[:3], segmentation.dice.on_logits("softmax")):
            arrays = [array.astype(dtype) for array in inputs(loss, np.float32)]
            chunked = [da.from_array(array, chunks=(2, 4, 4, 3)) for array in arrays]
            for reduction in REDUCTIONS:
                value, gradient = dask.compute(*loss.value_and_grad(*chunked, reduction=reduction))
                wanted, steep = loss.value_and_grad(*arrays, reduction=reduction)
                assert_near(value, wanted, ulps=40)
                assert_near(gradient, steep, ulps=40, largest=True)
    large = da.full((4, 3), 6e4, dtype=np.float16, chunks=2)
    for loss in (regression.squared_error, regression.squared_error * 1.0):
        value, gradient = dask.compute(*loss.value_and_grad(large, -large, reduction="none"))
        assert np.all(np.isposinf(value))
        assert np.all(np.isposinf(gradient))
        assert loss(large, 0 * large, reduction="sum").compute() == np.inf
    sure = binary.cross_entropy.on_logits("sigmoid")
    z, y = da.full((8000,), 10, dtype=np.float16, chunks=3000), da.zeros(8000, chunks=3000)
    assert sure(z, y, reduction="sum").compute() == sure(z.compute(), y.compute(), reduction="sum") == np.inf


def test_one_element_and_nothing_at_all():
    """A 0-d array is one element; of an empty array the sum is 0, the mean NaN and the gradient empty."""
    loss = binary.focal_with_logits
    value, gradient = dask.compute(*loss.value_and_grad(da.from_array(np.float64(0.3)), da.from_array(np.float64(1))))
    assert (value, gradient) == loss.value_and_grad(np.float64(0.3), np.float64(1))
    for loss in (binary.focal_with_logits, segmentation.dice, multiclass.cross_entropy_with_logits):
        arrays = [da.from_array(array[:0]) for array in inputs(loss)]
        assert loss(*arrays, reduction="sum").compute() == 0
        value, gradient = dask.compute(*loss.value_and_grad(*arrays))
        assert np.isnan(value)
        assert gradient.shape == (0, *SHAPE[1:])


def test_weights_of_zero_leave_nothing_to_average():
    """The mean is NaN, the sum 0 and the gradient zero, even if a prediction is NaN."""
    for loss in SAMPLE[:3]:
        z, y = inputs(loss)
        z[2] = np.nan
        arrays, weight = [da.from_array(a, chunks=(2, 4, 6, 2)) for a in (z, y)], da.zeros(5, chunks=2)
        value, gradient = dask.compute(*loss.value_and_grad(*arrays, weight=weight))
        assert np.isnan(value)
        assert not np.any(gradient)
        assert loss(*arrays, weight=weight, reduction="sum").compute() == 0


def test_a_block_whose_labels_weigh_nothing_keeps_its_slopes():
    """Only a mean has nothing to average: a class of weight 0 is absent, but the others still are in their rows."""
    loss = multiclass.kullback_leibler
    p, y, weight = np.full((4, 2), 0.5), np.eye(2)[[0, 0, 1, 1]], np.array([1.0, 0.0])
    chunked = [da.from_array(array, chunks=(2, 2)) for array in (p, y)]
    for reduction in REDUCTIONS:
        wanted = loss.grad(p, y, class_weight=weight, reduction=reduction)
        assert np.all(wanted[2:, 0] > 0)
        for gradient in (loss.grad, lambda *given, **keywords: loss.value_and_grad(*given, **keywords)[1]):
            assert_near(gradient(*chunked, class_weight=weight, reduction=reduction).compute(), wanted)


# --- losses of several predictions -----------------------------------------------------------------------------------


def in_chunks(given, random):
    """Arrays, each cut in its own way, along all axes; a pair is cut as a pair."""
    return tuple(cut(array, random) for array in given) if isinstance(given, tuple) else cut(given, random)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("loss", JOINED, ids=lambda loss: loss.name)
def test_losses_of_several_predictions(loss, dtype):
    """Value, a gradient for each prediction in its own chunks, and partial sums, with weights and other parameters."""
    random, (arrays, weight) = np.random.default_rng(3), several(loss, dtype)
    others = [{"cls_norm": None, "box_norm": None, "weight": weight}] if "cls_norm" in loss.declaration.defaults else []
    others += [{"beta": 0.5}] if "beta" in loss.declaration.defaults else []
    for keywords in ({}, {"weight": weight}, *others):
        for reduction in REDUCTIONS:
            wanted, steep = loss.value_and_grad(*arrays, **keywords, reduction=reduction)
            chunked = [in_chunks(array, random) for array in arrays]
            options = {k: in_chunks(v, random) if k == "weight" else v for k, v in keywords.items()}
            value, gradients = loss.value_and_grad(*chunked, **options, reduction=reduction)
            assert [g.chunks for g in gradients] == [z.chunks for z in chunked[: len(gradients)]]
            apart = loss(*chunked, **options, reduction=reduction), loss.grad(*chunked, **options, reduction=reduction)
            assert str(dask.compute(*apart)) == str(dask.compute(value, gradients))
            value, gradients = dask.compute(value, gradients)
            for got, right in zip(gradients, steep, strict=True):
                assert_near(got, right)
            pairs = zip(value, wanted, strict=True) if isinstance(wanted, tuple) else [(value, wanted)]
            for got, right in pairs:
                assert_near(got, right)
            if reduction != "none":
                parts = pickle.loads(pickle.dumps(loss.partial(*chunked, **options).compute()))
                assert_near(arrays[0].dtype.type(parts.finish(reduction)), wanted)


@pytest.mark.parametrize("loss", JOINED, ids=lambda loss: loss.name)
def test_losses_of_several_predictions_have_the_same_bits_on_any_number_of_threads(loss):
    """Blocks are added in their own order; nothing is read before compute."""
    arrays, _ = several(loss)
    files = [Source(array) for array in arrays]
    chunked = [da.from_array(file, chunks=(2, *file.shape[1:]), name=False) for file in files]
    results = loss.value_and_grad(*chunked)
    assert not any(file.reads for file in files)
    runs = [dask.compute(results, scheduler="threads", num_workers=count) for count in (1, 4)]
    assert str(runs[0]) == str(runs[1])


@pytest.mark.parametrize("loss", JOINED, ids=lambda loss: loss.name)
def test_wrong_calls_of_losses_of_several_predictions(loss):
    """Shapes and options are refused at once, values by their place in the whole array, in the words of NumPy."""
    arrays, _ = several(loss)
    chunked = [da.from_array(array, chunks=(2, *array.shape[1:])) for array in arrays]
    wrong = [{"reduction": "average"}, {"bta": 1}, {"backend": "torch"}, {"weight": np.ones((5, 5, 5))}]
    for keywords in wrong:
        expected = refusal(loss, *arrays, **keywords)
        with pytest.raises(expected[0]) as caught:
            loss(*chunked, **keywords)
        assert str(caught.value) == expected[1]
    with pytest.raises(BackendError, match="out must be None, since Dask arrays are never written to"):
        loss.grad(*chunked, out=tuple(arrays[:2]))
    first = loss.declaration.arrays[0]
    with pytest.raises(BackendError, match=f"{loss.name}: {first} must be a Dask array if another is"):
        loss(arrays[0], *chunked[1:])
    for k, name in enumerate(loss.declaration.arrays):
        bad = {"classes": 9, "labels": 9, "true_masks": 2.0}.get(name)
        bad = 2.0 if bad is None and loss.declaration.arguments[name].high == 1.0 else bad
        if bad is None:
            continue
        spoiled = [array.copy() for array in arrays]
        spoiled[k][(3, *(0,) * (spoiled[k].ndim - 1))] = bad
        if name == "true_masks":
            spoiled[3][3] = 1
        elif name == "masks":
            spoiled[k][3] = bad
        chunks = [da.from_array(array, chunks=(2, *array.shape[1:])) for array in spoiled]
        assert refusal(loss, *chunks) == refusal(loss, *spoiled)


def test_options_of_a_loss_s_own_reach_the_blocks():
    """Class weights, batch, axis and reduction that a part has of its own are those of its blocks."""
    random = np.random.default_rng(8)
    p, y = inputs(segmentation.dice, integer=True)
    dice = segmentation.dice.with_parameters(class_weight=[0, 1, 1, 2], batch=True)
    weighted = segmentation.cross_entropy.with_parameters(class_weight=[1, 2, 3, 4], reduction="sum")
    on_logits = dice.on_logits("softmax") - 2 * segmentation.cross_entropy_with_logits
    for loss in (dice, weighted, dice + weighted, on_logits):
        wanted, steep = loss.value_and_grad(p, y)
        chunked = [cut(p, random, (1,)), cut(y, random)]
        value, gradient = dask.compute(*loss.value_and_grad(*chunked))
        assert_near(value, wanted, ulps=40)
        assert_near(gradient, steep, ulps=40, largest=True)
        assert_near(np.float64(loss.partial(*chunked).compute().finish()), wanted, ulps=40)


def test_images_that_are_left_out_do_not_enter_a_mean():
    """Their pixels may lie in several blocks; one of weight 0 may hold anything."""
    p, y = inputs(segmentation.dice, integer=True)
    y[1] = 77
    spoiled, labels = p.copy(), y.copy()
    spoiled[0], labels[0] = np.nan, 255
    weight = np.array([0.0, 1, 2, 1, 1])
    wanted = segmentation.dice.value_and_grad(p[2:], y[2:], weight=weight[2:])
    chunked = [da.from_array(spoiled, chunks=(2, 4, 2, 2)), da.from_array(labels, chunks=(2, 2, 2))]
    value, gradient = dask.compute(
        *segmentation.dice.value_and_grad(*chunked, weight=da.from_array(weight, chunks=2), ignore_index=77)
    )
    assert_near(value, wanted[0])
    assert_near(gradient[2:], wanted[1], largest=True)
    assert not np.any(gradient[:2])
    everything = da.full((5, 6, 3), 77, chunks=(2, 3, 3))
    for batch in (False, True):
        value, gradient = dask.compute(
            *segmentation.dice.value_and_grad(chunked[0], everything, ignore_index=77, batch=batch)
        )
        assert np.isnan(value)
        assert not np.any(gradient)


# --- streams of batches, in NumPy ------------------------------------------------------------------------------------


@every_loss
def test_a_stream_of_batches_gives_the_number_of_one_array(loss):
    """Partial sums of batches split at random, with weights and ignored labels, in any order, pickled or not."""
    random = np.random.default_rng(5)
    for arrays, keywords in [(inputs(loss), {}), *calls(loss)]:
        count, given = len(arrays[0]), keywords.get("weight")
        for _ in range(3):
            edges = [0, *np.sort(random.integers(0, count + 1, random.integers(1, 4))), count]  # empty ones among them
            parts = []
            for first, last in itertools.pairwise(edges):
                batch, options = [array[first:last] for array in arrays], dict(keywords)
                if given is not None and given.shape[0] == count:
                    options["weight"] = given[first:last]
                parts.append(loss.partial(*batch, **options))
            random.shuffle(parts)
            for pieces in (parts, pickle.loads(pickle.dumps(parts))):
                for reduction in ("mean", "sum"):
                    whole = loss(*arrays, **keywords, reduction=reduction)
                    assert_near(np.float64(sum(pieces).finish(reduction)), whole)


# --- what is read, and when ------------------------------------------------------------------------------------------


class Source:
    """An array in a file, so to speak, that counts how often each of its blocks is read."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim
        self.reads = []

    def __getitem__(self, index):
        part = self.array[index]
        if part.size:  # Dask asks for an empty piece to see what kind of array comes
            self.reads.append(str(index))
        return part


def sources(loss, arrays, keywords):
    """(sources, lazy arrays, lazy keywords), with the first axis of all arrays in three chunks."""
    files = [Source(array) for array in (*arrays, *([keywords["weight"]] if "weight" in keywords else ()))]
    chunks = [(2, *file.shape[1:]) for file in files]
    opened = [da.from_array(file, chunks=c, name=False) for file, c in zip(files, chunks, strict=True)]
    return files, opened[: len(arrays)], {**keywords, **({"weight": opened[-1]} if "weight" in keywords else {})}


@every_loss
def test_nothing_is_read_before_compute_and_then_each_block_once(loss):
    """Calls read nothing; value, partial sums and gradient then read each block of every array once."""
    for arrays, keywords in [(inputs(loss), {}), *calls(loss)]:
        if "weight" in keywords and len(keywords["weight"]) == 1:
            continue  # a weight that all blocks share is read with each of them
        for function in (loss, loss.partial, loss.grad, loss.value_and_grad):
            files, opened, options = sources(loss, arrays, keywords)
            results = function(*opened, **options)
            assert not any(file.reads for file in files)
            dask.compute(results)
            for file in files:
                assert len(file.reads) == 3
                assert len(set(file.reads)) == 3


@every_loss
def test_a_block_of_the_gradient_reads_a_block(loss):
    """Without a mean, the gradient of some items is made of these items alone."""
    arrays = inputs(loss)
    files, opened, _ = sources(loss, arrays, {})
    part = loss.grad(*opened, reduction="sum").blocks[1].compute()
    assert [len(file.reads) for file in files] == [1] * len(arrays)
    assert_near(part, loss.grad(*arrays, reduction="sum")[2:4], largest=loss.shape == "overlap")


# --- what is refused -------------------------------------------------------------------------------------------------


def refusal(function, *arrays, **keywords):
    """(type, text) of the error that a call, or its computation, raises."""
    with pytest.raises((DomainError, ShapeError, BackendError, TypeError)) as caught:
        dask.compute(function(*arrays, **keywords))
    return caught.type, str(caught.value)


@pytest.mark.parametrize("loss", WITH_AXIS, ids=lambda loss: loss.name)
def test_what_belongs_together_must_be_in_one_chunk(loss):
    """Classes, corners and, for distances, whole images: the error names the loss, the rule and what to do."""
    what = {"boxes": "all corners of a box", "distance": "whole images"}.get(loss.shape, "all classes")
    axis = 2 if loss.shape == "boxes" else 1
    arrays, whole = inputs(loss), [1, 2, 3] if loss.shape == "distance" else [axis]
    name, advice = loss.declaration.arrays[0], dict.fromkeys(whole, -1)
    for k in whole:
        cuts = tuple(2 if j == k else -1 for j in range(arrays[0].ndim))
        blocks = tuple(-(-n // 2) if j == k else 1 for j, n in enumerate(arrays[0].shape))
        chunked = [da.from_array(array, chunks=cuts) for array in arrays]
        text = f"{loss.name}: {name} must have {what} in one chunk, as after rechunk({advice}); "
        for function in (loss, loss.grad, loss.partial):
            with pytest.raises(ShapeError) as caught:
                function(*chunked)
            assert str(caught.value) == f"{text}got {blocks} chunks along its axes"
        chunked[0] = chunked[0].rechunk(advice)
        assert_near(loss(*chunked).compute(), loss(*arrays))


def test_one_chunk_is_asked_for_in_the_words_of_a_loss_on_logits():
    """The axis that is named is that of the user's own logits, wherever it is."""
    z, y = (da.from_array(np.moveaxis(array, 1, -1), chunks=2) for array in inputs(MIXED))
    text = r"dice.on_logits\('softmax'\): z must have all classes in one chunk, as after rechunk\({3: -1}\); got"
    with pytest.raises(ShapeError, match=text):
        MIXED(z, y, axis=-1)
    with pytest.raises(ShapeError, match=r"dice: p must have shape \(N, C, \*space\); got shape \(3,\)"):
        segmentation.dice(da.ones(3), da.ones(3), axis=0)


def test_kinds_of_arrays_that_do_not_mix():
    """An array to write to, a NumPy prediction with Dask arrays, Dask class weights, chunks of another package."""
    loss, (z, y) = segmentation.dice, inputs(segmentation.dice)
    lazy_z, lazy_y = da.from_array(z), da.from_array(y)
    for of in (loss, loss.on_logits("softmax"), 2 * loss, SAMPLE[0]):
        name = of.declaration.arrays[0]
        for function in (of.grad, of.value_and_grad):
            with pytest.raises(BackendError, match="out must be None, since Dask arrays are never written to"):
                function(lazy_z, lazy_y, out=np.empty_like(z))
        with pytest.raises(BackendError, match=rf": {name} must be a Dask array if another is; got ndarray"):
            of(z, lazy_y)
        with pytest.raises(BackendError, match="must be a Dask array if another is; got ndarray"):
            of(z, y, weight=da.ones(5))
    with pytest.raises(BackendError, match="out must be None"):
        loss.grad(lazy_z, lazy_y, out=lazy_z)
    with pytest.raises(BackendError, match="must be a Dask array if another is; got ndarray"):
        loss.grad(z, y, out=lazy_z)
    with pytest.raises(BackendError, match="dice: class_weight must be a NumPy array, one number per class"):
        loss(lazy_z, lazy_y, class_weight=da.ones(4))
    # What goes with a Dask prediction may be NumPy's.
    assert_near(loss(lazy_z, y, weight=np.ones(5)).compute(), loss(z, y))
    with fake_cupy.install():
        on_device = da.from_array(fake_cupy.asarray(z), asarray=False)
        with pytest.raises(BackendError, match="dice: p must have NumPy arrays in its chunks; got <class 'cupy"):
            loss(on_device, lazy_y)


def test_chunks_of_unknown_sizes_are_refused():
    """After a selection by mask Dask knows no shape; the error says how it comes to know it."""
    z, y = (da.from_array(array, chunks=3) for array in example(binary.focal_with_logits, np.float64, (9,)))
    some = z > -0.5
    text = r"z must have a known shape, as after z.compute_chunk_sizes\(\); got \(nan,\)"
    with pytest.raises(ShapeError, match=f"focal_with_logits: {text}"):
        binary.focal_with_logits(z[some], y[some])
    with pytest.raises(ShapeError, match="focal_with_logits: weight must have a known shape"):
        binary.focal_with_logits(z, y, weight=y[some])
    known = [array[some].compute_chunk_sizes() for array in (z, y)]
    wanted = binary.focal_with_logits(*(array.compute() for array in known))
    assert_near(binary.focal_with_logits(*known).compute(), wanted)


@every_loss
def test_wrong_arguments_are_refused_at_once(loss):
    """What can be known without values is checked when the call is made, in the words of the call on NumPy arrays."""
    arrays = inputs(loss)
    chunked = [da.from_array(array, chunks=(2, *array.shape[1:])) for array in arrays]
    z, *y = chunked
    wrong = [
        ((), {}),
        ((*chunked, z), {}),
        ((z.astype(complex), *y), {}),
        (chunked, {"reduction": "average"}),
        (chunked, {"gama": 2}),
        (chunked, {"backend": "torch"}),
        (chunked, {"weight": da.ones((6, 7))}),
        (chunked, {"weight": da.ones(5, dtype=complex)}),
    ]
    wrong += [((z.astype(int), *y), {})] if "i" not in loss.declaration.of_prediction.other_kinds else []
    wrong += [(chunked, {name: "2"}) for name in loss.declaration.defaults]
    wrong += [((z, y[0][1:]), {}), ((z[:, :1], y[0]), {})] if y else []
    wrong += [(chunked, {"axis": 4})] if loss.shape != "pointwise" else []
    if loss.declaration.by_class:
        wrong += [(chunked, {"class_weight": np.ones(3)}), (chunked, {"class_weight": -np.ones(4)})]
        wrong += [(chunked, {"ignore_index": 3}), (chunked, {"ignore_index": 0.5})]
        wrong += [((z, da.ones((5, 6, 3))), {})]
    for given, keywords in wrong:
        plain = [array.compute() for array in given]
        named = {k: v.compute() if k == "weight" else v for k, v in keywords.items()}
        expected = refusal(loss, *plain, **named)
        for function in (loss, loss.grad):
            if not given:
                continue
            with pytest.raises(expected[0]) as caught:
                function(*given, **keywords)  # not computed
            assert (caught.type, str(caught.value)) == expected
    with pytest.raises(TypeError, match=r"takes .* by position; got 0 arrays"):
        loss(weight=da.ones(3))


@every_loss
def test_wrong_values_are_named_with_their_place_in_the_whole_array(loss):
    """The error of a block is that of the whole array: its text, its value, its index."""
    random, spoiled = np.random.default_rng(6), []
    for position, name in enumerate(loss.declaration.arrays if loss.shape != "boxes" else ()):
        for bad in (bad for bad in (-0.25, 2.0) if not loss.declaration.arguments[name].holds(bad)):
            for axis in (1, -1) if loss.shape != "pointwise" else (None,):
                arrays = inputs(loss)
                arrays[position][3, 2, 4, 1] = bad
                arrays = [array if axis is None else np.moveaxis(array, 1, axis).copy() for array in arrays]
                spoiled.append((arrays, {} if axis is None else {"axis": axis}))
    if loss.shape == "boxes":
        for position in (0, 1):
            arrays = inputs(loss)
            arrays[position][1, 4] = 3, 0, 2, 1
            spoiled.append((arrays, {}))
    if loss.declaration.by_class:
        z, y = inputs(loss, integer=True)
        y[3, 4, 1] = 4
        spoiled += [((z, y), {}), ((z, y), {"ignore_index": 9, "class_weight": np.ones(4)})]
    each = np.ones({"pointwise": SHAPE, "boxes": (6, 5)}.get(loss.shape, (5, 6, 3)))
    each[(1, 3, 2, 0)[: each.ndim]] = np.inf
    spoiled.append((inputs(loss), {"weight": each}))
    for arrays, keywords in spoiled:
        wanted = refusal(loss, *arrays, **keywords)
        assert wanted[0] is DomainError
        for function in (loss, loss.grad, loss.partial):
            chunked, options = lazy(loss, arrays, keywords, random)
            assert refusal(function, *chunked, **options) == wanted
    items = np.array([1, 1, 1, -1.0, 1])
    _, opened, options = sources(loss, [array[:5] for array in inputs(loss)], {"weight": items})
    with pytest.raises(DomainError, match=r"weight must be >= 0 and finite; got -1.0 at index \(?3"):
        loss(*opened, **options).compute()


# --- the same bits, wherever it runs ---------------------------------------------------------------------------------


class Cluster:
    """Two worker processes on this machine, with 256 MiB of memory each, and a client."""

    def __init__(self, folder):
        local = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
        self.limit = 256 << 20
        self.workers = LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit=self.limit, local_directory=str(folder), **local
        )
        self.client = Client(self.workers, set_as_default=False)

    def compute(self, *results, **options):
        """The numbers, from the workers."""
        return [future.result(120) for future in self.client.compute(results, **options)]

    def pids(self):
        """The process of each worker."""
        self.client.wait_for_workers(2, timeout=60)
        return self.client.run(os.getpid)

    def close(self):
        self.client.close()
        self.workers.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("workers"))
    yield made
    made.close()


on_cluster = pytest.mark.xdist_group("dask workers")


def results_of(loss):
    """Value, gradient and partial sums of a loss in 20 blocks, more than are added in one task."""
    arrays = [np.concatenate([array] * 12) for array in inputs(loss)]
    weight = np.random.default_rng(7).random(len(arrays[0]))
    chunked = [da.from_array(array, chunks=(3, *array.shape[1:])) for array in arrays]
    weight = da.from_array(weight, chunks=7)
    return *loss.value_and_grad(*chunked, weight=weight), loss.partial(*chunked, weight=weight)


@on_cluster
@pytest.mark.parametrize("loss", [*SAMPLE, MIXED, our_own], ids=lambda loss: loss.name)
def test_the_bits_do_not_depend_on_the_scheduler(loss, cluster):
    """One thread, several threads, one worker process, two: the same bits, every time. Your own losses run, too."""
    wanted = bits(dask.compute(*results_of(loss)))
    for _ in range(2):
        assert bits(dask.compute(*results_of(loss), scheduler="threads", num_workers=4)) == wanted
    for workers in (list(cluster.pids())[:1], None):
        assert bits(cluster.compute(*results_of(loss), workers=workers)) == wanted


SCRIPT = """
import dask, dask.array as da, numpy as np
from distributed import Client, LocalCluster
import lossbook
from lossbook.words import log_cosh

if __name__ == "__main__":
    @lossbook.loss
    def soft_absolute(p: lossbook.Real, y: lossbook.Outcome, *, width: lossbook.Positive = 1.0):
        "The absolute error, rounded off within `width` of the target."
        return width * log_cosh((p - y) / width)

    p, y = np.linspace(-3, 3, 101), np.zeros(101)
    narrow = 2 * soft_absolute.with_parameters(width=0.5) + lossbook.regression.huber
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as one, Client(one):
        for loss in (soft_absolute, narrow):
            got = loss.grad(da.from_array(p, chunks=20), da.from_array(y, chunks=20)).compute()
            print(np.allclose(got, loss.grad(p, y), rtol=1e-14))
"""


def test_a_loss_of_a_script_reaches_the_workers(tmp_path):
    """They cannot import it by its address; its function travels."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.stdout.split() == ["True", "True"], done.stderr


@on_cluster
def test_the_error_of_a_worker_is_that_of_the_loss(cluster):
    """A DomainError comes back as such, with the place in the whole array."""
    z, y = (da.from_array(array, chunks=(2, 4, 2, 3)) for array in inputs(binary.focal))
    z = da.where(da.arange(5)[:, None, None, None] == 3, 2.0, z)[:, :, 1:2, :1][:, 1:2]
    with pytest.raises(DomainError, match=r"^binary.focal: p must be in \[0, 1\]; got 2.0 at index \(3, 0, 0, 0\)$"):
        cluster.compute(binary.focal(z, y[:, :1, :1, :1]))


def made_up(k, count):
    """A block of logits that is in no file: four kinds take turns."""
    return np.random.default_rng(k % 4).normal(scale=3, size=count)


def far(k, count):
    """Their targets."""
    return np.random.default_rng(4 + k % 4).random(count)


@on_cluster
def test_data_larger_than_the_memory_of_all_workers(cluster):
    """1 GiB of predictions and targets goes through two workers of 256 MiB; none of them is killed for its memory."""
    count, blocks, before = 1 << 19, 128, cluster.pids()
    z, y = (
        da.concatenate(
            [da.from_delayed(dask.delayed(make)(k, count), (count,), dtype=np.float64) for k in range(blocks)]
        )
        for make in (made_up, far)
    )
    assert z.nbytes + y.nbytes == 4 * cluster.limit
    loss = regression.squared_error
    value, gradient = loss.value_and_grad(z, y)
    value, steepest = cluster.compute(value, abs(gradient).max())
    arrays = [np.concatenate([make(k, count) for k in range(4)]) for make in (made_up, far)]
    assert_near(value, loss(*arrays))
    assert_near(steepest * (blocks // 4), np.max(np.abs(loss.grad(*arrays))))
    assert cluster.pids() == before


def read(k, folder, deadly):
    """Block k, of which every reading leaves a file; the first reading of the deadly one kills the worker."""
    folder.joinpath(f"{k}-{uuid.uuid4()}").touch()
    if k == deadly and len(list(folder.glob(f"{k}-*"))) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.random.default_rng(k).random((3, 4, 10))


@on_cluster
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed by a signal")
def test_a_killed_worker_loses_nothing(cluster, tmp_path):
    """A worker dies half-way with the partial sums that it held: Dask makes them again, and the bits are the same."""
    blocks = 24

    def chunked(deadly, name):
        folder = tmp_path / name
        folder.mkdir()
        parts = [dask.delayed(read)(k, folder, deadly) for k in range(blocks)]
        return folder, da.concatenate([da.from_delayed(part, (3, 4, 10), dtype=np.float64) for part in parts])

    target = np.random.default_rng(8).integers(0, 4, (3 * blocks, 10))
    for k, loss in enumerate((segmentation.dice, multiclass.cross_entropy)):
        _, p = chunked(None, f"spared {k}")
        wanted = bits(dask.compute(*loss.value_and_grad(p, target), loss.partial(p, target)))
        folder, p = chunked(blocks // 2, f"killed {k}")
        before = cluster.pids()
        assert bits(cluster.compute(*loss.value_and_grad(p, target), loss.partial(p, target))) == wanted
        assert len(list(folder.glob(f"{blocks // 2}-*"))) > 1
        assert len(set(cluster.pids().values()) - set(before.values())) == 1


BY_NUMBERS = [*PER_CLASS, *((loss, "class_weight") for loss in POINTWISE)]


@pytest.mark.parametrize(("loss", "name"), BY_NUMBERS, ids=lambda given: getattr(given, "name", given))
def test_numbers_of_classes_are_those_of_the_whole(loss, name):
    """Blocks have all classes, and the number of each."""
    arrays = example(loss, np.float64, (5, 3, 4))
    numbers = np.array([0.25, 1.0, 0.5])
    blocks = [da.from_array(array, chunks=(2, 3, 3)) for array in arrays]
    for reduction in REDUCTIONS:
        got = dask.compute(*loss.value_and_grad(*blocks, reduction=reduction, **{name: numbers}))
        wanted = loss.value_and_grad(*arrays, reduction=reduction, **{name: numbers})
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
    partial = loss.partial(*blocks, **{name: numbers}).compute().finish()
    assert partial == pytest.approx(float(loss(*arrays, **{name: numbers})), rel=1e-12)
    with pytest.raises(ShapeError, match="must have all classes in one chunk"):
        loss(blocks[0].rechunk((5, 2, 4)), *blocks[1:], **{name: numbers})


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss.shape == "boxes"], ids=lambda loss: loss.name)
def test_formats_of_boxes_and_integers_are_those_of_the_whole(loss):
    random = np.random.default_rng(0)
    arrays = [random.integers(1, 9, (7, 4)) for _ in range(2)]
    blocks = [da.from_array(array, chunks=(3, 4)) for array in arrays]
    for format, reduction in itertools.product(("xywh", "cxcywh"), REDUCTIONS):
        options = {"format": format, "reduction": reduction}
        got, wanted = dask.compute(*loss.value_and_grad(*blocks, **options)), loss.value_and_grad(*arrays, **options)
        for one, other in zip(got, wanted, strict=True):
            assert one.dtype == np.float64
            np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("loss", [loss for loss in BY_CLASS if loss.shape != "distance"], ids=lambda loss: loss.name)
def test_several_labels_to_ignore_are_those_of_the_whole(loss):
    z = example(loss, np.float64, (5, 3, 4), integer=True)[0]
    y = np.random.default_rng(0).choice([0, 1, 2, 254, 255], (5, 4))
    got = loss.value_and_grad(da.from_array(z, chunks=(2, 3, 3)), da.from_array(y, chunks=4), ignore_index=(254, 255))
    for one, other in zip(dask.compute(*got), loss.value_and_grad(z, y, ignore_index=[255, 254]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
