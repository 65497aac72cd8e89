"""Dask arrays: every loss, lazily and block by block, gives what NumPy gives for the whole; on worker processes, too."""

import itertools
import os
import pickle
import re
import signal
import uuid

import dask
import dask.array as da
import fake_cupy
import numpy as np
import pytest
from cases import DTYPES, EVERY_LOSS, example, settings
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

JOINED = [loss for loss in EVERY_LOSS if loss.shape == "joined"]
LOSSES = [loss for loss in EVERY_LOSS if loss not in JOINED]
BY_CLASS = [loss for loss in LOSSES if loss._by_class]
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
    """An ordinary prediction and target; boxes have four numbers along the last axis."""
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
        moved = [np.ascontiguousarray(np.moveaxis(array, loss._axis, axis)) for array in arrays]
        yield moved, {"axis": axis, "weight": weight}
    if loss._by_class:
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
    axis = keywords.get("axis", loss._axis) % count
    return range(1, count) if loss.shape == "distance" else (axis,)


def cut(array, random, whole=()):
    """A Dask array in chunks of random sizes; the axes in `whole` are in one."""
    chunks = []
    for k, n in enumerate(array.shape):
        count = 0 if k in whole or n < 2 else random.integers(0, min(n, 3))
        cuts = np.sort(random.choice(np.arange(1, n), count, replace=False)) if count else []
        chunks.append(tuple(int(size) for size in np.diff([0, *cuts, n])))
    return da.from_array(array, chunks=tuple(chunks))


def lazy(loss, arrays, keywords, random):
    """The same call on Dask arrays, each cut in its own way."""
    whole, like = together(loss, arrays, keywords), arrays[0].ndim
    cuts = [cut(array, random, whole if array.ndim == like else ()) for array in arrays]
    return cuts, {k: cut(v, random) if k == "weight" else v for k, v in keywords.items()}


def assert_near(got, wanted, largest=False):
    """Equal in dtype and shape, and to 8 ulp; where terms cancel, to 8 ulp of the largest entry."""
    assert np.shape(got) == np.shape(wanted)
    assert got.dtype == wanted.dtype
    near = 8 * np.finfo(wanted.dtype).eps
    np.testing.assert_allclose(got, wanted, rtol=near, atol=near * np.max(np.abs(wanted)) if largest else 0)


def bits(results):
    """The bytes of numbers, arrays and partial sums."""
    return [pickle.dumps(result) if hasattr(result, "finish") else np.asarray(result).tobytes() for result in results]


# --- every loss gives the numbers of the whole array -----------------------------------------------------------------


def assert_agrees(loss, arrays, keywords, random, backend="numpy"):
    """Value and gradient in one call, and partial sums, are NumPy's of the whole array, for every reduction."""
    for reduction in REDUCTIONS:
        wanted, steep = loss.value_and_grad(*arrays, **keywords, reduction=reduction)
        chunked, options = lazy(loss, arrays, keywords, random)
        value, gradient = loss.value_and_grad(*chunked, **options, reduction=reduction, backend=backend)
        assert isinstance(value, da.Array)
        assert (value.shape, value.dtype) == (np.shape(wanted), wanted.dtype)
        assert (gradient.chunks, gradient.dtype) == (chunked[0].chunks, arrays[0].dtype)
        value, gradient = dask.compute(value, gradient)
        assert_near(value, wanted)
        assert_near(gradient, steep, largest=loss.shape in ("overlap", "mixed"))
        if reduction != "none":
            parts = loss.partial(*chunked, **options, backend=backend).compute()
            got = pickle.loads(pickle.dumps(parts)).finish(reduction)
            assert_near(arrays[0].dtype.type(got), wanted)


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
    random = np.random.default_rng(3)
    for arrays, keywords in ((inputs(loss), {}), next(calls(loss))):
        assert_agrees(loss, arrays, keywords, random, "numba")
    chunked, _ = lazy(loss, arrays, {}, random)
    with lossbook.use("numba"):
        value = loss(*chunked)
    numba, ran = backends.get("numba"), []
    run = numba.run
    monkeypatch.setattr(numba, "run", lambda *given: ran.append(1) or run(*given))
    assert_near(value.compute(), loss(*arrays))
    assert ran


@pytest.mark.parametrize("name", COMPOSED)
@every_dtype
def test_composed_losses(name, dtype):
    """Sums, losses on logits, both, and losses with other defaults take Dask arrays as their parts do."""
    loss, random = COMPOSED[name], np.random.default_rng(4)
    arrays = inputs(loss, dtype)
    whole = (1,) if loss._by_class else ()
    near = 64 * np.finfo(dtype).eps
    for keywords in ({}, {"weight": random.random(5)}):
        for reduction in REDUCTIONS if loss.shape != "mixed" else REDUCTIONS[:2]:
            chunked = [cut(array, random, whole) for array in arrays]
            options = {k: cut(v, random) for k, v in keywords.items()}
            wanted = loss.value_and_grad(*arrays, **keywords, reduction=reduction)
            results = loss.value_and_grad(*chunked, **options, reduction=reduction)
            assert results[1].chunks == chunked[0].chunks
            for got, true in zip(dask.compute(*results), wanted, strict=True):
                assert (got.shape, got.dtype) == (true.shape, true.dtype)
                np.testing.assert_allclose(got, true, rtol=near, atol=near * np.max(np.abs(true)))
            if reduction != "none":
                parts = loss.partial(*chunked, **options).compute()
                np.testing.assert_allclose(parts.finish(reduction), float(wanted[0]), rtol=near)


def test_float16_and_big_endian_arrays():
    """The prediction's dtype comes out; float16 is computed in float32, as NumPy's is."""
    for dtype in (np.dtype(np.float16), np.dtype(">f4")):
        for loss in (*SAMPLE[:3], segmentation.dice.on_logits("softmax")):
            arrays = [array.astype(dtype) for array in inputs(loss, np.float32)]
            chunked = [da.from_array(array, chunks=(2, 4, 4, 3)) for array in arrays]
            for got, wanted in zip(
                dask.compute(*loss.value_and_grad(*chunked)), loss.value_and_grad(*arrays), strict=True
            ):
                assert got.dtype == wanted.dtype
                np.testing.assert_allclose(got.astype(float), wanted.astype(float), rtol=2 * np.finfo(dtype).eps)


def test_one_element_and_nothing_at_all():
    """A 0-d array is one element; of an empty array the sum is 0, the mean NaN and the gradient empty."""
    loss = binary.focal_with_logits
    value, gradient = dask.compute(*loss.value_and_grad(da.from_array(np.float64(0.3)), da.from_array(np.float64(1))))
    assert (value, gradient) == loss.value_and_grad(np.float64(0.3), np.float64(1))
    for loss in (loss, segmentation.dice, multiclass.cross_entropy_with_logits):
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
    """Value and partial sums are one pass over every array; the gradient reads the prediction of an element once."""
    for arrays, keywords in [(inputs(loss), {}), *calls(loss)]:
        if keywords.get("axis") == -1 and loss.shape == "distance":
            continue
        for function in (loss, loss.partial, loss.grad, loss.value_and_grad):
            files, opened, options = sources(loss, arrays, keywords)
            results = function(*opened, **options)
            assert not any(file.reads for file in files)
            dask.compute(results)
            for file in files:
                print(loss.name, function, keywords.keys(), file.shape, len(file.reads), len(set(file.reads)))
