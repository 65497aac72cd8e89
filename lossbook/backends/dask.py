"""Dask: losses of arrays in chunks, lazily; the kernels of NumPy or Numba run on each block.

    binary.focal_with_logits(z, y).compute()

What can be known without values (shapes, dtypes, options) is checked at once, by the code that checks NumPy arrays, on
stand-ins that take no memory; values are checked by the kernels when a block runs. The target and the weights take the
chunks of the prediction. Each of its blocks gives a `Partial`, and these add up as a tree in the order of the blocks: the
bits of a result depend neither on the scheduler and the number of workers, nor on what had to be run again.

The value reads each block of the prediction once. So does the gradient, after a pass over the weights where a mean needs
their sum; but that of a loss of totals reads twice, since the slope of a pixel depends on all pixels of its image.
"""

import functools
import math
import operator
import re
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np

from lossbook import backends
from lossbook.call import Call, number
from lossbook.compose import activate, chain
from lossbook.errors import BackendError, DomainError, ShapeError
from lossbook.loss import WORKING, Loss

TOGETHER = 16  # partial sums that one task adds
NONE = (None, None)  # an array that is absent, and its axes
FIRST, SECOND = operator.itemgetter(0), operator.itemgetter(1)


def evaluate(loss, arrays, keywords, value, gradient, out=None, partial=False):
    """What `Loss._evaluate` gives, as Dask arrays; in the place of a Partial a Delayed."""
    blocks = lay_out(loss, arrays, keywords, out)
    result, slope = (blocks.overlap if blocks.call.overlap else blocks.summed)(value, gradient)
    if partial:
        return result.to_delayed().item(), None
    if value and blocks.reduction != "none":
        dtype = blocks.z.dtype
        result = result.map_blocks(_number, blocks.reduction, dtype, dtype=dtype, meta=_meta(0, dtype))
    return result, slope


def on_logits(loss, arrays, keywords, value, gradient, out=None, partial=False):
    """What `OnLogits._evaluate` gives; the chain rule makes the probabilities of a block again, so that none are kept."""
    check(loss, arrays, keywords, out)
    z, axis = arrays[0], keywords.get("axis", loss._axis)
    loss._check_logits(_stand_in(z), axis, np)
    real, how = np.dtype(WORKING[z.dtype.newbyteorder("=")]), {"activation": loss.activation, "axis": axis}
    p = z.map_blocks(_probabilities, **how, dtype=real, meta=_meta(z.ndim, real))
    result, g = loss._of_part((p, *arrays[1:]), keywords, value, gradient, partial)
    if value and not partial:
        result = result.astype(z.dtype)
    if gradient:
        g = da.map_blocks(_through, z, g, **how, dtype=z.dtype, meta=_meta(z.ndim, z.dtype))
    return result, g


# --- arguments -------------------------------------------------------------------------------------------------------


def check(loss, arrays, keywords, out):
    """Refuse what is not a call on Dask arrays that hold NumPy arrays of known shapes."""
    named = dict(zip((*loss._arrays, "weight"), (*arrays, keywords.get("weight")), strict=False))
    first = loss._arrays[0]
    if not backends.is_dask(named[first]):
        raise BackendError(f"{loss.name}: {first} must be a Dask array if another is; got {type(named[first]).__name__}")
    for name in ("class_weight", "out"):
        if backends.is_dask({**keywords, "out": out}.get(name)):
            raise BackendError(f"{loss.name}: {name} must not be a Dask array, which is not known before it is computed")
    if out is not None:
        raise BackendError(f"{loss.name}: out must be None, since Dask arrays are not written to; got an array")
    for name, array in named.items():
        if backends.is_dask(array) and not isinstance(array._meta, np.ndarray):
            raise BackendError(f"{loss.name}: {name} must have NumPy arrays in its chunks; got {type(array._meta)}")
        if backends.is_dask(array) and math.isnan(sum(array.shape)):
            raise ShapeError(
                f"{loss.name}: {name} must have chunks of known sizes, as after {name}.compute_chunk_sizes(); "
                f"got shape {array.shape}"
            )


def lay_out(loss, arrays, keywords, out):
    """The Blocks of a call, checked in all but values."""
    check(loss, arrays, keywords, out)
    z, weight = arrays[0], keywords.get("weight")
    given = {**keywords, "weight": _stand_in(weight)}
    backend, call, _, (reduction, batch, *_) = loss._prepare([_stand_in(array) for array in arrays], given)
    options = {name: option for name, option in keywords.items() if name != "weight"}
    options |= {"reduction": "none" if reduction == "none" else "sum", "backend": backend.__name__.rpartition(".")[2]}
    axis, moved = call.layout.axis, call.given_axis
    if axis is not None:
        options["axis"] = axis
        _check_chunks(loss, z, axis if moved is None else moved)
    blocks = Blocks(loss, call, options, reduction, batch, z if moved is None else da.moveaxis(z, moved, 1), axis)
    blocks.y = blocks.aligned(arrays[1]) if len(arrays) > 1 else NONE
    blocks.weight = blocks.aligned(weight)
    return blocks


def _check_chunks(loss, z, axis):
    """What belongs together must be in one chunk."""
    name, whole = loss._arrays[0], [axis]
    what = {"boxes": "the corners of a box", "distance": "whole images"}.get(loss.shape, "all classes")
    if loss.shape == "distance":
        whole = sorted({axis, *[k for k in range(z.ndim) if k != axis][1:]})
    if any(z.numblocks[k] > 1 for k in whole):
        raise ShapeError(
            f"{loss.name}: {name} must have {what} in one chunk, as after "
            f"{name}.rechunk({dict.fromkeys(whole, -1)}); got {z.numblocks} chunks along its axes"
        )
    if loss.shape == "overlap" and z.ndim == 1:
        raise ShapeError(f"{loss.name}: {name} must have an axis of images if it is a Dask array; got shape {z.shape}")


# --- blocks ----------------------------------------------------------------------------------------------------------


@dataclass
class Blocks:
    """A call cut into the chunks of the prediction. Every array goes with the axes of the prediction that it has."""

    loss: Loss
    call: Call  # of stand-ins
    options: dict[str, Any]  # the keywords of a block's call
    reduction: str
    batch: bool
    z: Any  # losses of totals: with the images first, the classes second
    axis: int | None  # of the classes
    y: tuple[Any, Any] = NONE
    weight: tuple[Any, Any] = NONE

    @property
    def every(self):
        return tuple(range(self.z.ndim))

    def aligned(self, array):
        """(array, its axes), in the chunks of the prediction; axes of length 1 stay as they are."""
        if array is None:
            return NONE
        array = da.asarray(array)
        axes = tuple(k for k in self.every if k != self.axis)  # one per row, pixel or item, or a number
        if array.ndim == self.z.ndim:
            axes = self.every
            array = array if self.call.given_axis is None else da.moveaxis(array, self.call.given_axis, 1)
        sizes = zip(axes, array.shape, strict=False)
        chunks = tuple(self.z.chunks[k] if size == self.z.shape[k] else (size,) for k, size in sizes)
        return array.rechunk(chunks), axes[: array.ndim]

    def map(self, do, arrays, axes, dtype, sizes=None, images=False, **constants):
        """do(blocks of the arrays) for every block; `sizes` are lengths of the results along axes that change."""
        sizes = sizes or {}
        starts = [(da.from_array(np.cumsum((0, *sizes[:-1])), chunks=1), (k,)) for k, sizes in enumerate(self.z.chunks)]
        arrays = [*arrays, *(starts[:1] if images else starts)]
        ...
