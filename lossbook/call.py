"""The checked arguments of one call, laid out for a kernel.

Shapes are checked here, once, for every loss; values are checked inside the kernels, where they ride
along at no cost, and only if one is found wrong does `explain` search for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import fsum, prod
from typing import Any

import numpy as np

from lossbook.domains import Domain
from lossbook.errors import DomainError, ShapeError

INDEX = np.dtype(np.int64)
PLAIN = 0x101  # the flags of an array that is C-contiguous and aligned: any other is of another type to Numba
SINGLE = "of a single image of one class give p[None, None] and y[None, None]"
MASK = "with one class y is a mask of 0 and 1; for labels of several classes the prediction needs a channel for each"
ONE_CLASS = "with one channel give a mask as y[:, None] to a loss of elements, or a prediction of two classes"


@dataclass
class Arrays:
    """A piece of a call as contiguous arrays of shape (outer, classes, inner); None where absent."""

    z: Any
    y: Any
    weight: Any
    values: Any
    gradient: Any
    slopes: Any


class Layout:
    """How the shape of a prediction reads as (outer, classes, inner); `axis` is the class axis, None for pointwise."""

    def __init__(self, shape: tuple[int, ...], axis: Any) -> None:
        self.shape, self.axis = shape, axis
        if axis is None:
            self.three, self.without_classes = (1, 1, prod(shape)), shape
        else:
            before, after = shape[:axis], shape[axis + 1 :]
            self.three, self.without_classes = (prod(before), shape[axis], prod(after)), before + after


@dataclass
class Call:
    """One call of a loss on NumPy or CuPy arrays; `xp` is the array module."""

    loss: str
    plan: Any
    xp: Any
    real: type  # the working type: float32 or float64
    layout: Layout
    z: Any
    y: Any
    integer: bool  # the target is class indices
    weight: Any  # broadcast to the rows, elements or pixels; None for 1
    class_weight: Any
    ignore: int | None
    parameters: tuple
    values: Any = None  # output, one per element or row
    gradient: Any = None  # output
    scale: float = 1.0  # of the gradient
    slopes: Any = None  # losses of totals: d loss / d total, shape (images, classes, totals)
    removed: Any = None  # losses of totals: which images and classes have weight 0, and may hold anything
    mask: bool = False  # the target is integers, 0 and 1, of the only class
    left_out: bool = False  # the labels to ignore have weight 0
    given_axis: int | None = None  # where the class axis was, if it had to be moved

    @property
    def rows(self) -> bool:
        """Whether one value belongs to a row of classes, or to the corners of a box."""
        return self.plan.shape in ("rows", "boxes")

    @property
    def overlap(self) -> bool:
        return self.plan.shape == "overlap"

    @property
    def given_shape(self) -> tuple[int, ...]:
        """The shape of the prediction as the user gave it."""
        shape = list(self.layout.shape)
        if self.given_axis is not None:
            shape.insert(self.given_axis, shape.pop(1))
        return tuple(shape)

    def move_classes(self) -> None:
        """Losses of totals run over the images first and the classes second."""
        if self.layout.axis != 1 and self.z.ndim > 1:
            self.given_axis = self.layout.axis
            self.z = self.moved(self.z)
            self.y = self.y if self.integer else self.moved(self.y)
            self.layout = Layout(self.z.shape, 1)

    def leave_out(self, label: int) -> None:
        """Give the pixels of a mask that have this label the weight 0."""
        live = self.y != self.xp.asarray(label)
        self.y, self.left_out = self.y * live, True
        if self.weight is None:
            self.weight = live if self.plan.shape == "pointwise" else live[:, 0]  # distances have one per class
        elif self.weight.ndim < self.z.ndim - 1:
            rule = "must be one per pixel where labels of a mask are ignored"
            raise ShapeError(self.loss, "weight", rule, said="one per image")
        else:
            self.weight = self.xp.where(live if self.weight.ndim == self.z.ndim else live[:, 0], self.weight, 0)

    def moved(self, array: Any) -> Any:
        """An array of the prediction's given shape, with its class axis second."""
        return array if self.given_axis is None else self.xp.moveaxis(array, self.given_axis, 1)

    def to_host(self, array: Any) -> Any:
        """A NumPy array of what may be on the device."""
        return array if self.xp is np else self.xp.asnumpy(array)

    def number(self, value: Any) -> np.floating[Any]:
        """A result in the prediction's dtype."""
        return number(value, self.z.dtype)

    @property
    def item_weights(self) -> bool:
        """Losses of totals: whether the weights are one per image, and act on the mean."""
        return self.weight is not None and self.weight.ndim == 1 and len(self.layout.without_classes) != 1

    def image_weights(self) -> np.ndarray:
        """Losses of totals: the weight of each image and class, or of each class of all images, in float64.

        Weights given one per image leave the pixels and act on the mean. They are checked here.
        """
        each = np.ones((1, self.layout.three[1]))
        if self.class_weight is not None:
            each *= self.to_host(self.class_weight)
        if not self.item_weights:
            return each
        items, self.weight = self.to_host(self.weight).astype(np.float64), None
        self._report("weight", items, (items >= 0) & (items < np.inf), (slice(None),), "must be >= 0 and finite")
        return items[:, None] * each

    def left(self) -> np.ndarray:
        """Losses of totals: where a pixel of an image and class is neither ignored nor of weight 0.

        A few pixels of an image answer mostly; further ones are looked at where all so far are absent.
        """
        outer, classes, inner = self.layout.three
        if self.weight is None and self.ignore is None:
            return np.full((outer, classes), inner > 0)
        by_class = self.weight is not None and self.weight.ndim == self.z.ndim

        def spread(array, whole=False):
            """With axes of images and classes, and at least one of space."""
            array = array if whole else array[:, None] if array.ndim else array[None, None]
            return array if array.ndim > 2 else array[..., None]

        weight: Any = None if self.weight is None else spread(self.weight, by_class)
        labels: Any = None if self.ignore is None else spread(self.y)
        some = labels if weight is None else weight
        found = np.zeros((outer, classes if by_class else 1), bool)
        start, step, line = 0, 1, prod(some.shape[1:2] + some.shape[3:])
        while start < some.shape[2] and not found.all():
            images = np.flatnonzero(~found.all(axis=1))
            part = self.xp.asarray(images), slice(None), slice(start, start + step)
            live: Any = True if weight is None else weight[part] != 0
            if labels is not None:
                live = live & (labels[part] != self.ignore)
            found[images] |= self.to_host(live.any(axis=tuple(range(2, live.ndim))))
            start, step = start + step, max(1, min(8 * step, (1 << 18) // max(1, len(images) * line)))
        return np.broadcast_to(found, (outer, classes))

    def total_weight(self, backend: Any) -> float:
        """sum(w) over the elements or rows, in float64; wrong weights are left for the kernel to find."""
        if self.weight is None and self.class_weight is None and self.ignore is None:
            return float(prod(self.layout.without_classes))
        if self.xp is np:
            with np.errstate(all="ignore"):
                sums = [float(np.sum(self._row_weights(piece))) for piece in cut(self.piece_shape, 1 << 17)]
            return fsum(sums) if np.all(np.isfinite(sums)) else sum(sums)
        if self.class_weight is None and self.ignore is None:
            return float(self.weight.astype(self.real).sum(dtype=np.float64))
        gradient, self.gradient = self.gradient, None  # the device's kernel counts, in a pass without a gradient
        total = backend.run(self.plan, self)[1]
        self.gradient = gradient
        return float(total)

    def _row_weights(self, piece):
        """The weight of each row of a piece in float64: its own, times that of its class or classes."""
        weight = np.float64(1)
        if self.weight is not None:  # in the working type first, as a kernel has it
            weight = np.ascontiguousarray(self.weight[piece], self.real).astype(np.float64)
        if self.class_weight is None and self.ignore is None:
            return weight
        if self.integer:
            y = self.y[piece]
            counts = (y >= 0) & (y < self.layout.three[1])
            if self.ignore is not None:
                counts = counts & (y != self.ignore)
            if self.class_weight is not None:
                weight = weight * self.class_weight[np.where(counts, y, 0)]
            return np.where(counts, weight, 0)
        y = np.ascontiguousarray(np.moveaxis(self.y[self.index(piece)], self.layout.axis, -1), self.real)
        shares = np.sum(np.where(self.class_weight != 0, y * self.class_weight, 0), axis=-1)
        return np.where(weight != 0, shares * weight, 0)

    @property
    def classes_per_piece(self) -> int:
        return 1 if self.layout.axis is None else max(1, self.layout.shape[self.layout.axis])

    @property
    def piece_shape(self) -> tuple[int, ...]:
        return self.layout.without_classes

    @property
    def group_shape(self) -> tuple[int, ...]:
        return self.layout.three[:2] if self.overlap else ()

    @property
    def native(self) -> np.dtype:
        """The dtype that a kernel wants of every array but class indices, which are int64."""
        return np.dtype(self.real)

    def is_native(self) -> bool:
        """Whether every array can be handed to a kernel as it is."""
        real, y = self.native, self.y
        if y is not None and (y.flags.num & PLAIN != PLAIN or y.dtype != (INDEX if self.integer else real)):
            return False
        for array in (self.z, self.weight, self.values, self.gradient):
            if array is not None and (array.flags.num & PLAIN != PLAIN or array.dtype != real):
                return False
        return True

    def whole(self) -> Arrays:
        return self._arrays(self.layout, self.z, self.y, self.weight, self.values, self.gradient, self.slopes)

    def _arrays(self, layout, z, y, weight, values, gradient, slopes):
        outer, _, inner = layout.three
        row = (outer, inner)
        by_class = self.overlap and weight is not None and weight.ndim == z.ndim
        weights = row if self.rows else (outer, layout.three[1] if by_class else 1, inner)
        return Arrays(
            z=z.reshape(layout.three),
            y=None if y is None else y.reshape((outer, 1, inner) if self.overlap else row) if self.integer
            else y.reshape(layout.three),
            weight=None if weight is None else weight.reshape(weights),
            values=None if values is None else values.reshape(row if self.rows else layout.three),
            gradient=None if gradient is None else gradient.reshape(layout.three),
            slopes=None if self.rows else self.slopes_or_scale(np, layout) if slopes is None else slopes,
        )  # fmt: skip

    def slopes_or_scale(self, xp: Any, layout: Layout | None = None) -> Any:
        """The slope of the result along each total: what `finish` gave, or the scale of the gradient."""
        if self.slopes is not None:
            return self.slopes
        if not self.overlap and xp is np:
            return np.float64(self.scale).reshape(1, 1, 1)
        layout = layout or self.layout
        dtype = self.real if self.overlap else np.float64
        return xp.full((*layout.three[:2], len(self.plan.slopes) or 1), self.scale, dtype=dtype)

    def index(self, piece: tuple) -> tuple:
        """The index of a piece into the prediction; pieces never cut the class axis."""
        axis = self.layout.axis
        return piece if axis is None else (*piece[:axis], slice(None), *piece[axis:])

    def piece(self, piece: tuple) -> Arrays:
        """Contiguous copies of a piece in the working type, and room for its outputs."""
        index = self.index(piece)

        def take(array, at):
            dtype = INDEX if array is self.y and self.integer else self.native
            with np.errstate(over="ignore"):  # what is too large for the working type is infinite, and checked as that
                if array is None:
                    return None
                taken = as_indices(array[at]) if dtype is INDEX else np.ascontiguousarray(array[at], dtype)
            return taken if taken.flags.aligned else taken.copy()

        z = take(self.z, index)
        y = None if self.y is None else take(self.y, piece if self.integer else index)
        by_class = self.weight is not None and self.weight.ndim == self.z.ndim and self.overlap
        at = index if by_class else piece
        weight = take(self.weight, at)
        if weight is not None:
            kept = (weight.reshape(self.weight[at].shape) != 0) | (self.weight[at] == 0)
            self._report("weight", self.weight[at], kept, at, f"must be 0 or not vanish in {self.native}")
        values = None if self.values is None else np.empty(self.values[piece].shape, self.real)
        gradient = None if self.gradient is None else np.empty(z.shape, self.real)
        slopes = None if self.slopes is None else self.slopes[piece[:1]]
        layout = Layout(z.shape, self.layout.axis)
        return self._arrays(layout, z, y, weight, values, gradient, slopes)

    def put_back(self, piece: tuple, arrays: Arrays) -> None:
        """Store the outputs of a converted piece."""
        if self.values is not None:
            self.values[piece] = rounded(arrays.values.reshape(self.values[piece].shape), self.values.dtype)
        if self.gradient is not None:
            target = self.gradient[(*self.index(piece), ...)]  # an array even if it has no axes
            target[...] = rounded(arrays.gradient.reshape(target.shape), target.dtype)

    # --- the slow path: something was out of its domain ------------------------------------------------------------

    def explain(self) -> None:
        """Raise the error that names the first value that breaks a rule, as it is in the working type.

        Where rounding alone brought values across the bounds of an interval, the arrays are replaced by ones within.
        """

        def rounded(array):
            with np.errstate(over="ignore"):
                return array.astype(self.real, copy=False)

        host = self.to_host
        for piece in cut(self.piece_shape, 1 << 16):
            index = self.index(piece)
            live = True
            if self.weight is not None:
                by_class = self.overlap and self.weight.ndim == self.z.ndim
                at = index if by_class else piece
                weight = host(self.weight[at])
                good = (rounded(weight) >= 0) & (rounded(weight) < np.inf) | self._absent(piece, by_class)
                self._report("weight", weight, good, at, "must be >= 0 and finite")
                live = weight != 0
            if self.integer:
                y = host(self.y[piece])
                if self.ignore is not None:
                    live = live & (y != self.ignore)
                classes = self.layout.three[1]
                rule = f"must be a class index in 0..{classes - 1}"
                rule += "" if self.ignore is None else f" or ignore_index={self.ignore}"
                good = (y >= 0) & (y < classes) | ~np.broadcast_to(live, y.shape) | self._absent(piece, by_class=False)
                self._report(self.plan.arrays[1], y, good, piece, rule, self._about_label)
                if self.plan.hard and self.class_weight is not None:  # the weight of its class is one of the row
                    live = live & (host(self.class_weight)[np.where(live & (y >= 0) & (y < classes), y, 0)] != 0)
            for name, domain in self.plan.checks:
                array = self.z if name == self.plan.arrays[0] else None if self.integer else self.y
                if array is None:
                    continue
                value = host(array[index])
                if domain.components:
                    good = domain.holds(rounded(np.moveaxis(value, self.layout.axis, 0))) | ~np.asarray(live)
                    value = np.moveaxis(value, self.layout.axis, -1)
                    self._report(name, value, good, piece, f"must be {domain.rule}")
                    continue
                mask = live
                if self.layout.axis is not None and np.ndim(live) == value.ndim - 1:
                    mask = np.expand_dims(live, self.layout.axis)
                if self.rows and self.class_weight is not None:
                    of_class = np.ones(value.ndim, int)
                    of_class[self.layout.axis] = -1
                    mask = mask & (host(self.class_weight).reshape(of_class) != 0)
                good = domain.holds(rounded(value)) | ~np.broadcast_to(mask, value.shape) | self._absent(piece, True)
                hint = MASK if self.mask and array is self.y else ""
                self._report(name, value, good | nearly(domain, value), index, f"must be {domain.rule}", hint)
        if not self._clip():
            raise AssertionError(f"{self.loss}: a kernel refused a value that obeys every rule")

    def _clip(self):
        """Replace arrays that leave their intervals; whether any did."""
        found = False
        for name, domain in self.plan.checks:
            if name == self.plan.arrays[0]:
                z, self.z = self.z, clipped(domain, self.z, self.xp)
                found |= z is not self.z
            elif not self.integer:
                y, self.y = self.y, clipped(domain, self.y, self.xp)
                found |= y is not self.y
        return found

    def _about_label(self, found):
        """What to do about a label that is no class."""
        if self.ignore is None and (found < 0 or found == 255):
            return f"pass ignore_index={found} to leave such labels out"
        return ONE_CLASS if self.layout.three[1] == 1 else ""

    def _absent(self, piece, by_class):
        """Where a piece holds images of weight 0, or images and classes, to broadcast with what it holds."""
        if self.removed is None:
            return False
        removed: Any = np.broadcast_to(self.removed, self.layout.three[:2])
        removed = removed if by_class else removed.all(axis=1, keepdims=True)
        if self.z.ndim == 1:
            return removed[0] if by_class else removed[0, 0]
        removed = removed[piece[0]]
        space = (1,) * (self.z.ndim - 2)
        return removed.reshape(*removed.shape, *space) if by_class else removed.reshape(len(removed), *space)

    def _report(self, name, value, good, at, rule, hint=""):
        """Raise the DomainError that names the first value of a piece that is not good; the piece begins at `at`."""
        name = self.plan.said.get(name, name)
        refuse(self.loss, name, rule, value, ~np.asarray(good), tuple(part.start or 0 for part in at), hint)


def times(array: Any, coefficient: float) -> Any:
    """The array, multiplied in place; in float64, if its own dtype cannot hold the coefficient."""
    real, info = array.dtype.type, np.finfo(array.dtype)
    with np.errstate(all="ignore"):
        if coefficient == 0:
            array[...] = 0  # also of what is infinite
        elif float(info.tiny) <= abs(coefficient) <= float(info.max):
            if coefficient != 1:
                array *= real(coefficient)
        else:
            array[...] = array * np.float64(coefficient)
    return array


def rounded(array: Any, dtype: Any) -> Any:
    """An array in this dtype, rounded once; what is too large for float16 is infinite.

    NumPy takes some fifty times as long for each number that is subnormal in float16 as for others, and the slopes of
    a mean are. A number below 2^-14 is therefore first rounded to what float16 has there, the multiples of 2^-24: these
    are the spacing of float32 around 3/4.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype.itemsize == 2 and array.dtype == np.float32 and isinstance(array, np.ndarray):
            middle = np.float32(0.75)
            array = np.where(np.abs(array) < np.float32(2.0**-14), (array + middle) - middle, array)
        return array.astype(dtype, copy=False)


def number(value: Any, dtype: np.dtype) -> np.floating[Any]:
    """A result as a scalar of this dtype."""
    value = float(value)
    if abs(value) <= 65504:  # the largest float16
        return dtype.type(value + 0.0)  # and never -0.0
    with np.errstate(over="ignore"):
        return dtype.type(value)


def check_same(loss: str, name: str, shape: tuple[int, ...], wanted: tuple[int, ...], of: str) -> None:
    """Shapes never broadcast between prediction and target."""
    if tuple(shape) != tuple(wanted):
        raise ShapeError(loss, name, f"must have shape {tuple(wanted)}, as {of}", tuple(shape))


def refuse(where: str, name: str, rule: str, array: Any, bad: Any, start: tuple[int, ...] = (), hint: str = "") -> None:
    """Raise the DomainError that names the first element (or row) of an array that is bad, and its place, if any is.

    `bad` has the shape of the array, or of its first axes; both begin at the index `start` of the whole array. The
    hint is a text, or a function that makes it of what was found.
    """
    if not bool(bad.any()):
        return
    place = tuple(np.argwhere(to_host(bad))[0].tolist())
    found = array[place].tolist()
    found = tuple(found) if isinstance(found, list) else found
    error = DomainError(where, name, rule, found, place, hint=hint(found) if callable(hint) else hint)
    raise error.shifted(start) if start else error


def nearly(domain: Domain, value: Any) -> Any:
    """Where numbers lie in the interval of a domain, or beyond it by no more than the rounding of a few operations."""
    if domain.components or domain.values or value.dtype.kind != "f":
        return np.False_
    reach = 4 * float(np.finfo(value.dtype).eps)
    return (value >= domain.low - reach) & (value <= domain.high + reach)


def clipped(domain: Domain, array: Any, xp: Any) -> Any:
    """The array with what leaves the interval of a domain on its bounds; itself, where nothing does."""
    if domain.components or domain.values or array.dtype.kind != "f":
        return array
    inside = xp.minimum(xp.maximum(array, array.dtype.type(domain.low)), array.dtype.type(domain.high))
    return inside if bool(((inside != array) & (array == array)).any()) else array


def widened(domain: Domain, array: Any) -> Any:
    """A prediction of float16 in float32, and others as they are.

    Whether a number lies beyond a bound by rounding alone is a question to its own type: such a number is on the bound.
    """
    if array.dtype.itemsize > 2:
        return array
    wide = array.astype(np.float32)
    if domain.checked:
        near = nearly(domain, array) & ~domain.holds(array)
        if bool(near.any()):
            wide[near] = wide[near].clip(domain.low, domain.high)
    return wide


def holds_exactly(real: type, array: Any) -> bool:
    """Whether a type has every number of an array; the first piece that says no ends the search."""
    with quiet():
        for piece in cut(array.shape, 1 << 16):
            part = array[piece]
            if bool(((part.astype(real) != part) & (part == part)).any()):
                return False
    return True


def as_indices(array: Any, xp: Any = np) -> Any:
    """Class indices as int64; those beyond it, of uint64, become the largest, which is neither a class nor ignored."""
    if array.dtype.kind == "u" and array.dtype.itemsize == 8:
        array = xp.minimum(array, array.dtype.type(np.iinfo(np.int64).max))
    return xp.ascontiguousarray(array, dtype=INDEX)


def quiet() -> np.errstate:
    """In this block NumPy says nothing of overflow and its kin, which formulas know how to meet."""
    return np.errstate(all="ignore")


def to_host(array: Any) -> Any:
    """A NumPy array of what may be on the device."""
    return array.get() if type(array).__module__.partition(".")[0] == "cupy" else array


def cut(shape: tuple[int, ...], limit: int) -> Iterator[tuple[slice, ...]]:
    """Index tuples that cut an array of this shape into pieces of at most `limit` elements, in order."""
    rest = prod(shape[1:])
    if not shape or shape[0] * rest <= limit:
        yield (slice(None),) * len(shape)
    elif rest >= limit:
        for first in range(shape[0]):
            for others in cut(shape[1:], limit):
                yield (slice(first, first + 1), *others)
    else:
        step = limit // rest
        for first in range(0, shape[0], step):
            yield (slice(first, first + step), *(slice(None),) * (len(shape) - 1))
