"""Dask: losses of arrays in chunks, lazily; the kernels of NumPy or Numba run on each block.

    binary.focal_with_logits(z, y).compute()

What can be known without values (shapes, dtypes, options) is checked at once, by the code that checks NumPy arrays, on
stand-ins that take no memory; values are checked by the kernels when a block runs. The target and the weights take the
chunks of the prediction. Each of its blocks gives a `Partial`, and these add up as a tree in the order of the blocks:
the bits of a result depend neither on the scheduler and the number of workers, nor on what had to be run again.

The value is one pass over the blocks. So is the gradient, after a pass over the weights (and over the labels, if some
are ignored) where a mean needs their sum; but that of a loss of totals takes two, since the slope of a pixel depends on
all pixels of its image. What two passes need is read once and held in between, by workers short of memory on disk.
"""

import contextlib
import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.core import flatten

from lossbook import backends
from lossbook.arrays import WORKING, is_dask, number, quiet, rounded, several, times
from lossbook.checks import widened
from lossbook.errors import BackendError, DomainError, ShapeError
from lossbook.evaluation.activations import activate, chain
from lossbook.evaluation.reduce import Partial
from lossbook.evaluation.reduce import weighted_sum as sum_of_partials
from lossbook.evaluation.request import VALUE, Request
from lossbook.evaluation.sums import check_shapes
from lossbook.evaluation.weights import image_weights

TOGETHER = 16  # partial sums that one task adds
ABSENT = (None, None)  # an array that is not there, and its axes


def evaluate(
    loss: Any,
    arrays: Sequence[Any],
    keywords: Mapping[str, Any],
    request: Request,
    named: tuple[Any, str] | None = None,
) -> tuple[Any, Any]:
    """What the evaluation of a loss of one formula gives, as Dask arrays; in the place of a Partial, a Delayed.

    `named` is (loss with several predictions, name of one), if in its words the errors of the blocks are to speak.
    """
    first: Any
    first, *others = arrays or (None,)
    if is_dask(first):
        arrays = floats_of(loss.declaration.of_prediction, first), *others
    blocks = Blocks(loss, arrays, keywords, request.out, named)
    result, slope = (blocks.overlap if blocks.call.overlap else blocks.summed)(request.value, request.gradient)
    if request.partial:
        return result.to_delayed().item(), None
    if request.value and blocks.reduction != "none":
        dtype = blocks.z.dtype
        result = result.map_blocks(_number, blocks.reduction, dtype, dtype=dtype, meta=_meta((), dtype))
    return result, slope


def floats_of(domain: Any, array: Any) -> Any:
    """A prediction as an array of floats, if what it holds may be taken for that."""
    return array.astype(np.float64) if array.dtype.kind in domain.other_kinds else array


def on_logits(loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
    """What `DistanceOnLogits.evaluate` gives; the chain rule makes a block's probabilities again: none are kept."""
    check(loss, arrays, keywords, request.out)
    z, axis = arrays[0], keywords.get("axis", loss.axis)
    loss.check_logits(_stand_in(z), axis, np)
    real, how = np.dtype(WORKING[z.dtype.newbyteorder("=")]), {"activation": loss.activation, "axis": axis}
    p = z.map_blocks(_probabilities, **how, dtype=real, meta=_meta(z.shape, real))
    result, g = loss.of_part((p, *arrays[1:]), keywords, request)
    if request.value and not request.partial:
        result = result.map_blocks(rounded, z.dtype, dtype=z.dtype, meta=_meta(result.shape, z.dtype))
    if request.gradient:
        g = da.map_blocks(_slope_of_logits, z, g, **how, dtype=z.dtype, meta=_meta(z.shape, z.dtype))
    return result, g


def weighted_sum(loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
    """What the evaluation of a sum gives: numbers in float64, arrays at least in float32, and rounded once."""
    check(loss, arrays, keywords, request.out)
    z, results, slopes = floats_of(loss.declaration.of_prediction, arrays[0]), [], []
    wide = (_wide(loss.declaration.of_prediction, z), *arrays[1:])
    for coefficient, part in loss.terms:
        mine = loss.keywords_of(part, keywords) | ({"reduction": "sum"} if request.partial else {})
        result, slope = part.evaluate(wide, mine, request)
        results.append(result)
        slopes.append(_multiplied(slope, coefficient) if request.gradient else None)
    slope = rounded_blocks(functools.reduce(operator.add, slopes), z.dtype) if request.gradient else None
    coefficients = [coefficient for coefficient, _ in loss.terms]
    if not request.value or request.partial:
        joined = dask.delayed(sum_of_partials)(loss.name, coefficients, results) if request.partial else None
        return joined, slope
    check_shapes(loss.name, results)
    if results[0].ndim == 0 and z.ndim:  # numbers
        results = [result.astype(np.float64) for result in results]
    terms = [_multiplied(result, c) for result, c in zip(results, coefficients, strict=True)]
    return rounded_blocks(functools.reduce(operator.add, terms), z.dtype), slope


def joined(loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
    """What `Joined.evaluate` gives, with a tuple of Dask arrays as the gradients."""
    options = {name: option for name, option in keywords.items() if name != "weight"}
    reduction, _, name = loss.read(options)
    predictions = loss.declaration.predictions
    weight, count = keywords.get("weight"), len(predictions)
    for argument, array in zip(predictions, arrays, strict=False):
        if not is_dask(array):
            raise BackendError(loss.name, argument, "must be a Dask array if another is", said=type(array).__name__)
    domains = [loss.declaration.arguments[name] for name in predictions]
    arrays = [*(floats_of(d, z) for d, z in zip(domains, arrays, strict=False)), *arrays[count:]]
    if request.out is not None:
        raise BackendError(loss.name, "out", "must be None, since Dask arrays are never written to", said="an array")
    named = [*zip(loss.declaration.arrays, arrays, strict=True), *(("weight", one) for one in several(weight))]
    for argument, array in named:
        _check_kind(loss, argument, array)
    stand_ins = loss.checked([_stand_in(array) for array in arrays], np)
    options |= {"backend": backends.name_of(backends.choose(loss.name, name, stand_ins))}
    if loss.declaration.target is None:
        return _apart(loss, arrays, weight, reduction, options, request)
    weight = None if weight is None else da.asarray(weight)
    if weight is not None:
        loss.arguments_of_call.array(_stand_in(weight), "weight", np)
    loss.fit([array.shape for array in stand_ins], None if weight is None else weight.shape)
    # The items of all arrays are cut as those of the first prediction are; what belongs to an item is in one chunk.
    z = arrays[0]
    items = z.chunks[:1]
    aligned: list[Any] = [
        None if array is None else array if array.ndim == 0 else array.rechunk((*items, *array.shape[1:]))
        for array in (*(da.asarray(array) for array in arrays), weight)
    ]
    starts = [da.from_array(np.cumsum((0, *sizes[:-1])), chunks=1) for sizes in items]

    def tasks(do, arrays, dtype, **constants):
        """do(blocks of the arrays) for every chunk of items."""
        pairs, free = [], 1
        for array in (*arrays, *starts):
            axes = () if array is None else (*range(min(1, array.ndim)), *range(free, free + max(0, array.ndim - 1)))
            pairs += [array, None if array is None else axes]
            free += len(axes)
        more = {"concatenate": True, "align_arrays": False, "dtype": dtype, "meta": _meta(items, dtype)}
        axes = tuple(range(len(items)))
        return da.blockwise(
            _joined_task, axes, *pairs, do=do, given=len(arrays), loss=loss, **more, **constants,
            adjust_chunks=dict.fromkeys(axes, 1),
        )  # fmt: skip

    divisors = None
    if request.gradient and reduction == "mean":
        shadows = [da.broadcast_to(da.zeros((), a.dtype), a.shape, chunks=a.chunks) for a in aligned[:count]]
        counted = tasks(_count_terms, [*shadows, *aligned[count:]], object, options=options)
        divisors = da.from_delayed(
            dask.delayed(_sums)(_added(counted).to_delayed().item()), (len(loss.parts),), np.float64
        )
    options["reduction"] = "none" if reduction == "none" else "mean" if divisors is not None else "sum"
    wanted = {"value": request.value, "gradient": request.gradient}
    both = tasks(_run_joined, [*aligned, divisors], object, options=options, **wanted)
    result = slopes = None
    if request.gradient:
        slopes = tuple(
            _piece(both, (1, k), array, aligned_one).rechunk(array.chunks)
            for k, (array, aligned_one) in enumerate(zip(arrays[:count], aligned, strict=False))
        )
    if request.value and reduction == "none":
        labels = aligned[count]
        result = _piece(both, (0,), z, labels)
    elif request.value:
        result = _added(_pick(both, 0, object))
        if request.partial:
            return result.to_delayed().item(), None
        result = result.map_blocks(_number, reduction, z.dtype, dtype=z.dtype, meta=_meta((), z.dtype))
    return result, slopes


def _apart(loss, arrays, weight, reduction, options, request):
    """The same, where each prediction has a loss of its own and no target."""
    results, slopes = [], []
    for k, (part, array, w) in enumerate(zip(loss.parts, arrays, loss.pair(weight), strict=True)):
        name = loss.declaration.predictions[k]
        wide = _wide(loss.declaration.arguments[name], array)
        how = "sum" if request.partial else reduction
        mine = {"weight": w, "reduction": how, "backend": options["backend"]}
        with loss.named(part, name):
            result, slope = evaluate(part, (wide,), mine, request, named=(loss, name))
        results.append(result)
        slopes.append(rounded_blocks(_multiplied(slope, loss.signs[k]), array.dtype) if request.gradient else None)
    slopes = tuple(slopes) if request.gradient else None
    if request.partial:
        return dask.delayed(_pair_of_partials)(loss, results), None
    if not request.value:
        return None, slopes
    terms = [_multiplied(result, sign) for result, sign in zip(results, loss.signs, strict=True)]
    if reduction == "none":
        return tuple(rounded_blocks(term, a.dtype) for term, a in zip(terms, arrays, strict=True)), slopes
    total = terms[0].astype(np.float64) + terms[1].astype(np.float64)
    return rounded_blocks(total, arrays[0].dtype), slopes


def _piece(both, path, array, like):
    """One of the results of each block of items: an array in the chunks of another."""
    options = {"dtype": array.dtype, "meta": _meta(like.shape, array.dtype)}
    new = list(range(both.ndim, like.ndim))
    return both.map_blocks(_found, path, chunks=like.chunks, new_axis=new or None, **options)


def _multiplied(array, coefficient):
    return array if coefficient == 1 else array.map_blocks(_product, coefficient, dtype=array.dtype, meta=array._meta)


def rounded_blocks(array: Any, dtype: Any) -> Any:
    """An array in this dtype, block by block."""
    if array.dtype == dtype:
        return array
    return array.map_blocks(rounded, dtype, dtype=dtype, meta=_meta(array.shape, dtype))


def check(loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any], out: Any) -> None:
    """Refuse what is not a call on Dask arrays made of NumPy arrays of known shapes."""
    named = dict(zip((*loss.declaration.arrays, "weight"), (*arrays, keywords.get("weight")), strict=False))
    name, first = next(iter(named.items()))
    if not is_dask(first):
        raise BackendError(loss.name, name, "must be a Dask array if another is", said=type(first).__name__)
    if out is not None:
        raise BackendError(loss.name, "out", "must be None, since Dask arrays are never written to", said="an array")
    if is_dask(keywords.get("class_weight")):
        rule = "must be a NumPy array, one number per class"
        raise BackendError(loss.name, "class_weight", rule, said="a Dask array")
    for name, array in named.items():
        _check_kind(loss, name, array)


def _check_kind(loss, name, array):
    """A Dask array must have NumPy arrays in it, and a shape."""
    if is_dask(array) and not isinstance(array._meta, np.ndarray):
        raise BackendError(loss.name, name, "must have NumPy arrays in its chunks", said=str(type(array._meta)))
    if is_dask(array) and math.isnan(sum(array.shape)):
        rule = f"must have a known shape, as after {name}.compute_chunk_sizes()"
        raise ShapeError(loss.name, name, rule, array.shape)


class Blocks:
    """A call, cut into the chunks of the prediction. Every array goes with the axes of the prediction that it has."""

    def __init__(
        self,
        loss: Any,
        arrays: Sequence[Any],
        keywords: Mapping[str, Any],
        out: Any,
        named: tuple[Any, str] | None = None,
    ) -> None:
        check(loss, arrays, keywords, out)
        weight = keywords.get("weight")
        given = {**keywords, "weight": _stand_in(weight)}
        backend, call, _, setting = loss.evaluation.prepare([_stand_in(array) for array in arrays], given, VALUE)
        z = arrays[0]
        self.loss, self.call, self.reduction, self.batch = loss, call, setting.reduction, setting.batch
        self.named = named
        self.axis = call.layout.axis  # of the classes; losses of totals run over the images first, the classes second
        self.options = {name: option for name, option in keywords.items() if name != "weight"}
        self.options["reduction"] = "none" if setting.reduction == "none" else "sum"
        self.options["backend"] = backends.name_of(backend)
        if self.axis is not None:
            self.options["axis"] = self.axis
            _check_chunks(loss, z, self.axis if call.given_axis is None else call.given_axis)
        elif call.of_classes is not None:
            _check_chunks(loss, z, call.of_classes.axis)
        self.z, self.every = self.moved(z), tuple(range(z.ndim))
        self.y = self.aligned(arrays[1]) if len(arrays) > 1 else ABSENT
        self.weight = self.aligned(weight)

    def moved(self, array: Any, back: bool = False) -> Any:
        """An array of the prediction's shape with its class axis where a block's call has it, or back where it was."""
        axes = (self.call.given_axis, 1)[:: -1 if back else 1]
        return array if self.call.given_axis is None else da.moveaxis(array, *axes)

    def aligned(self, array: Any) -> tuple[Any, Any]:
        """(array, its axes) in the chunks of the prediction; axes of length 1 stay as they are."""
        if array is None:
            return ABSENT
        array = da.asarray(array)
        if array.ndim == self.z.ndim:
            array, axes = self.moved(array), self.every
        else:  # one per row, pixel or item, or a number
            axes = tuple(k for k in self.every if k != (1 if self.axis is None else self.axis))[: array.ndim]
        sizes = zip(axes, array.shape, strict=True)
        return array.rechunk(tuple(self.z.chunks[k] if n == self.z.shape[k] else (n,) for k, n in sizes)), axes

    def map(
        self,
        do: Callable[..., Any],
        arrays: Sequence[tuple[Any, Any]],
        axes: tuple[int, ...],
        dtype: Any,
        sizes: Mapping[int, int] | None = None,
        **constants: Any,
    ) -> Any:
        """do(blocks of the arrays) for every block, a Dask array with `axes`; `sizes` says how long its blocks are."""
        sizes = sizes or {}
        chunks: dict[int, tuple[int, ...]] = {}
        for array, of in arrays:
            for k, cut in zip(of, array.chunks, strict=True) if of else ():
                chunks[k] = max(cut, chunks.get(k, ()), key=len)
        starts = [np.cumsum((0, *chunks[k][:-1])) for k in self.every if k in chunks]
        starts = [(da.from_array(start, chunks=1), (k,)) for k, start in enumerate(starts)]
        return da.blockwise(
            _task,
            axes,
            *(part for pair in (*arrays, *starts) for part in pair),
            new_axes={k: n for k, n in sizes.items() if k not in self.every},
            adjust_chunks={k: n for k, n in sizes.items() if k in self.every},
            concatenate=True,
            align_arrays=False,
            dtype=dtype,
            meta=_meta(axes, dtype),
            do=do,
            given=len(arrays),
            loss=self.loss,
            axis=self.axis,
            options=self.options,
            named=self.named,
            **constants,
        )

    def summed(self, value: bool, gradient: bool) -> tuple[Any, Any]:
        """(sum of Partials or values, gradient) of a loss of elements, rows, boxes or distances."""
        return self.run(value, gradient, self.count() if gradient and self.reduction == "mean" else ABSENT)

    def run(
        self, value: bool, gradient: bool, count: tuple[Any, Any], totals: tuple[Any, Any] = ABSENT
    ) -> tuple[Any, Any]:
        """(sum of Partials or values, gradient), in one pass over the blocks."""
        arrays = [(self.z, self.every), self.y, self.weight, count, totals]
        both = self.map(_run, arrays, self.every, self.z.dtype, value=value, gradient=gradient)
        result = slope = None
        if gradient:
            slope = self.moved(_pick(both, 1, both.dtype), back=True)
        if value and self.reduction != "none":
            result = _added(_pick(both, 0, object))
        elif value and self.call.rows:
            chunks = [(1,) if k == self.axis else sizes for k, sizes in enumerate(both.chunks)]
            result = _pick(both, 0, both.dtype, chunks).squeeze(self.axis)
        elif value:
            result = self.moved(_pick(both, 0, both.dtype), back=True)
        return result, slope

    def count(self) -> tuple[Any, Any]:
        """(sum(w), its axes): a number, or where it depends on targets and weights a Dask array without axes."""
        call, target = self.call, self.y
        if call.class_weight is None and call.ignore is None and not call.folded:
            if self.weight is ABSENT:
                shape = call.layout.shape if self.loss.space.maps else call.layout.without_classes
                return float(math.prod(shape)), None
            target = ABSENT
        shadow = da.broadcast_to(da.zeros((), dtype=self.z.dtype), self.z.shape, chunks=self.z.chunks)
        sizes = dict.fromkeys(self.every, 1)
        counts = self.map(_count, [(shadow, self.every), target, self.weight], self.every, np.float64, sizes)
        return counts.sum(split_every=TOGETHER), ()

    def overlap(self, value: bool, gradient: bool) -> tuple[Any, Any]:
        """The same for a loss of totals: those of each image are added over its blocks before they are finished."""
        new, space, batch = self.z.ndim, self.every[2:], self.batch
        sizes = {**dict.fromkeys(space, 1), new: len(self.call.plan.terms) + 1}
        totals = self.map(_totals, [(self.z, self.every), self.y, self.weight], (*self.every, new), np.float64, sizes)
        totals = totals.sum(axis=space, split_every=TOGETHER) if space else totals
        totals = totals.sum(axis=0, keepdims=True, split_every=TOGETHER) if batch else totals
        arrays = [(totals, (0, 1, new)), self.weight if self.call.item_weights else ABSENT]
        result = slope = None
        if value and self.reduction != "none":
            result = _added(self.map(_finish, arrays, (0,), object, {0: 1}, real=self.z.dtype))
        elif value:
            result = self.map(_finish, arrays, (1,) if batch else (0, 1), self.z.dtype, real=self.z.dtype)
        if gradient:
            count = ABSENT
            if self.reduction == "mean":
                counts = self.map(_count_images, arrays, (0,), np.float64, {0: 1})
                count = counts.sum(split_every=TOGETHER), ()
            slope = self.run(False, True, count, arrays[0])[1]
        return result, slope


def _check_chunks(loss, z, axis):
    """What belongs together must be in one chunk."""
    name, whole, space = loss.declaration.arrays[0], {axis}, loss.space
    what = "all corners of a box" if space.corners else "whole images" if space.maps else "all classes"
    if space.maps:
        whole |= set([k for k in range(z.ndim) if k != axis][1:])
    if any(z.numblocks[k] > 1 for k in whole):
        rule = f"must have {what} in one chunk, as after rechunk({dict.fromkeys(sorted(whole), -1)})"
        raise ShapeError(loss.name, name, rule, said=f"{z.numblocks} chunks along its axes")
    if space.totals and z.ndim == 1:
        rule = "must have an axis of images if it is a Dask array"
        raise ShapeError(loss.name, name, rule, said=f"shape {z.shape}")


def _stand_in(array):
    """A NumPy array of the shape and dtype of a Dask array, in no memory; what is no Dask array is itself."""
    return np.broadcast_to(np.zeros((), array.dtype), array.shape) if is_dask(array) else array


def _meta(axes, dtype):
    """An empty array, which tells Dask what to expect."""
    return np.empty((0,) * len(axes), dtype)


def _pick(tuples, position, dtype, chunks=None):
    """One of the results of each block."""
    return tuples.map_blocks(operator.itemgetter(position), chunks=chunks, dtype=dtype, meta=_meta(tuples.shape, dtype))


def _added(partials):
    """The sum of an array of Partials, one in each block, as an array without axes."""
    if partials.ndim == 0:
        return partials
    options = {"concatenate": False, "split_every": TOGETHER, "dtype": object, "meta": _meta((), object)}
    return da.reduction(partials, lambda partial, **_: partial, _add, **options)


# --- tasks: what is done to blocks -----------------------------------------------------------------------------------


def _task(*blocks, do, given, axis, loss, named, **constants):
    """do(the blocks given); its errors count from the start of the whole array. The starts follow those blocks."""
    try:
        with quiet(), named[0].named(loss, named[1]) if named else contextlib.nullcontext():
            return do(*blocks[:given], loss=loss, **constants)
    except DomainError as error:
        start = [int(first.item()) for first in blocks[given:]]
        if error.index and len(error.index) < len(start) and axis is not None:
            del start[axis]
        raise error.shifted(start[: len(error.index or ())]) from None  # weights of items have the first axis alone


def _run(z, y, weight, count, totals, *, loss, options, value, gradient):
    """(Partial or values, gradient)"""
    arrays = widened(loss.declaration.of_prediction, z), y
    partial = value and options["reduction"] != "none"
    # Where results are rounded correctly, slopes are divided before.
    known = count if options.get("accuracy") is not None else totals
    keywords, request = {**options, "weight": weight}, Request(value, gradient, partial, known=known)
    result, slope = loss.evaluate(arrays[: len(loss.declaration.arrays)], keywords, request)
    if count is not None and gradient and known is not count:
        slope = slope * slope.dtype.type(1 / count) if count else np.zeros_like(slope)
    if value and not partial:
        result = rounded(result, z.dtype)
        result = result if result.ndim == z.ndim else np.expand_dims(result, options["axis"])
    return result, rounded(slope, z.dtype) if gradient else None


def _widened(block, domain):
    return widened(domain, block)


def _wide(domain, z):
    """A Dask array of float16 in float32."""
    return z if z.dtype.itemsize > 2 else z.map_blocks(_widened, domain=domain, dtype=np.float32)


def _count(z, y, weight, *, loss, options):
    """sum(w)"""
    if y is None:
        y, options = z, {name: option for name, option in options.items() if name != "ignore_index"}
    evaluation, arrays = loss.evaluation, (z, y)[: len(loss.declaration.arrays)]
    backend, call, *_ = evaluation.prepare(arrays, {**options, "weight": weight}, VALUE)
    return np.full((1,) * z.ndim, evaluation.count(backend, call))


def _totals(z, y, weight, *, loss, options):
    """The totals of each image and class, with an axis of length 1 for each of space."""
    backend, call, *_ = loss.evaluation.prepare((z, y), {**options, "weight": weight}, VALUE)
    totals = loss.evaluation.totals(backend, call, image_weights(call))
    return totals.reshape(*totals.shape[:2], *(1,) * (z.ndim - 2), totals.shape[2])


def _count_images(totals, items, *, loss, options):
    """sum(w) over the images and classes in which a pixel is left."""
    partial = _finish(totals, items, loss=loss, options={**options, "batch": False}, real=np.float32)
    return np.full(1, partial.sums[1])


def _finish(totals, items, *, loss, options, real):
    """The Partial or the losses of images, from their totals."""
    nothing = np.broadcast_to(np.zeros((), real), (*totals.shape[:2], 1))
    keywords = {**options, "weight": items, "ignore_index": None}
    request = Request(partial=options["reduction"] != "none", known=totals)
    return loss.evaluate((nothing, nothing), keywords, request)[0]


def _add(partials, **_):
    """The sum of Partials, in nested lists, from the first to the last."""
    return functools.reduce(operator.add, flatten(partials) if isinstance(partials, list) else [partials])


def _joined_task(*blocks, do, given, loss, **constants):
    """do(the blocks given), with errors in which the items count from the first of all."""
    try:
        return do(*blocks[:given], loss=loss, **constants)
    except DomainError as error:
        start = [int(first.item()) for first in blocks[given:]]
        raise error.shifted([*start, *(0,) * (len(error.index or ()) - len(start))]) from None


def _count_terms(*arrays, loss, options):
    """A Partial that counts: what each term of a block divides by."""
    *arrays, weight = arrays
    arrays = loss.checked(arrays, np)
    terms = loss.terms(arrays, weight, loss.read(options)[1], np)
    return Partial(loss.name, (), np.array([term.divisor for term in terms]))


def _sums(partial):
    return partial.sums


def _run_joined(*arrays, loss, options, value, gradient):
    """(Partial or values, gradients)"""
    *arrays, weight, divisors = arrays
    partial = value and options["reduction"] != "none"
    return loss.evaluate(arrays, {**options, "weight": weight}, Request(value, gradient, partial, known=divisors))


def _pair_of_partials(loss, partials):
    """The Partial of a loss with several predictions, each of which has a loss of its own."""
    sums = [[sign * part.sums[0], part.sums[1]] for sign, part in zip(loss.signs, partials, strict=True)]
    return loss.partial_of_terms(np.array(sums), (None, None), {})


def _found(results, path):
    """What stands at a path in nested tuples."""
    return functools.reduce(operator.getitem, path, results)


def _product(array, coefficient):
    return times(np.array(array), coefficient)


def _number(partial, reduction, dtype):
    return number(partial.finish(reduction), dtype)


def _probabilities(z, activation, axis):
    return activate(np, activation, z.astype(WORKING[z.dtype.newbyteorder("=")]), axis)[0]


def _slope_of_logits(z, g, activation, axis):
    p, rest = activate(np, activation, z.astype(WORKING[z.dtype.newbyteorder("=")]), axis)
    return rounded(chain(np, activation, p, rest, g, axis), z.dtype)
