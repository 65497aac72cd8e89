"""The checked arguments of one call, laid out for a kernel.

Shapes are checked here, once, for every loss; values are checked inside the kernels, where they ride
along at no cost, and only if one is found wrong does `explain` search for it.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lossbook.arrays import INDEX, as_indices, number, rounded
from lossbook.checks import refuse
from lossbook.errors import shown

PLAIN = 0x101  # the flags of an array that is C-contiguous and aligned: any other is of another type to Numba


@dataclass
class Arrays:
    """A piece of a call as contiguous arrays of shape (outer, classes, inner); None where absent."""

    z: Any
    y: Any
    weight: Any
    values: Any
    gradient: Any
    slopes: Any
    parameters: Any  # numbers, or of a plan per class also arrays of one number per element


class Layout:
    """How the shape of a prediction reads as (outer, classes, inner); `axis` is the class axis, None for pointwise."""

    def __init__(self, shape: tuple[int, ...], axis: Any) -> None:
        self.shape, self.axis = shape, axis
        if axis is None:
            self.three, self.without_classes = (1, 1, prod(shape)), shape
        else:
            before, after = shape[:axis], shape[axis + 1 :]
            self.three, self.without_classes = (prod(before), shape[axis], prod(after)), before + after

    def spread(self, values: Any) -> Any:
        """Values of elements or rows, or of whole items, with axes of length 1 where the prediction has more axes."""
        if self.axis is not None and values.ndim == len(self.without_classes):
            return values.reshape(*self.shape[: self.axis], 1, *self.shape[self.axis + 1 :])
        return values.reshape(*values.shape, *(1,) * (len(self.shape) - values.ndim))


@dataclass
class Call:
    """One call of a loss on NumPy or CuPy arrays; `xp` is the array module."""

    loss: str
    xp: Any
    real: type  # the working type: float32 or float64
    layout: Layout
    z: Any
    y: Any = None
    plan: Any = None
    integer: bool = False  # the target is class indices
    weight: Any = None  # broadcast to the rows, elements or pixels; None for 1
    class_weight: Any = None
    ignored: tuple[int, ...] = ()  # the labels to ignore
    ignore: int | None = None  # the label that stands for all of them
    parameters: tuple = ()
    values: Any = None  # output, one per element or row
    gradient: Any = None  # output
    scale: float = 1.0  # of the gradient
    divisor: float = 1.0  # of the gradient, whose inverse the scale is
    rounding: Any = None  # how results of float64 become float32, if not as NumPy rounds them
    slopes: Any = None  # losses of totals: d loss / d total, shape (images, classes, totals)
    removed: Any = None  # losses of totals: which images and classes have weight 0, and may hold anything
    mask: bool = False  # the target is integers, 0 and 1, of the only class
    folded: bool = False  # the weights are more than what was given: labels to ignore, weights of classes
    of_classes: Any = None  # losses of elements: the layout of the classes, where an option is one number for each
    given_axis: int | None = None  # where the class axis was, if it had to be moved

    @property
    def rows(self) -> bool:
        """Whether one value belongs to a row of classes, or to the corners of a box."""
        return self.plan.space.by_row

    @property
    def overlap(self) -> bool:
        return self.plan.space.totals

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

    @property
    def said_ignored(self) -> str:
        """The labels to ignore, as an error shows them."""
        return shown(self.ignored[0] if len(self.ignored) == 1 else self.ignored)

    def along_classes(self, numbers: Any) -> Any:
        """Losses of elements: one number per class, with axes of length 1 beside."""
        shape = [1] * self.z.ndim
        shape[self.of_classes.axis] = -1
        return numbers.reshape(shape)

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
        if self.plan.per_class:
            return False
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
            parameters=self.parameters,
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
            self.refuse("weight", self.weight[at], kept, at, f"must be 0 or not vanish in {self.native}")
        values = None if self.values is None else np.empty(self.values[piece].shape, self.real)
        gradient = None if self.gradient is None else np.empty(z.shape, self.real)
        slopes = None if self.slopes is None else self.slopes[piece[:1]]
        layout = Layout(z.shape, self.layout.axis)
        arrays = self._arrays(layout, z, y, weight, values, gradient, slopes)
        if self.plan.per_class:
            arrays.parameters = tuple(
                np.broadcast_to(self.along_classes(numbers), self.z.shape)[piece].ravel() if numbers.ndim else numbers
                for numbers in self.parameters
            )
        return arrays

    def put_back(self, piece: tuple, arrays: Arrays) -> None:
        """Store the outputs of a converted piece."""
        inputs = tuple(array for array in (arrays.z, arrays.y) if array is not None)
        if self.values is not None:
            values = self.narrow(arrays.values, self.values.dtype, inputs, arrays.weight)
            self.values[piece] = values.reshape(self.values[piece].shape)
        if self.gradient is not None:
            target = self.gradient[(*self.index(piece), ...)]  # an array even if it has no axes
            slopes = self.narrow(arrays.gradient, target.dtype, inputs, arrays.weight, is_slope=True)
            target[...] = slopes.reshape(target.shape)

    def narrow(self, wide: Any, dtype: Any, inputs: tuple, weight: Any, is_slope: bool = False) -> Any:
        """Results of the working type in the dtype of the prediction; `inputs` are prediction and target."""
        if self.rounding is None:
            return rounded(wide, dtype)
        return self.rounding(wide, inputs, weight, self.divisor if is_slope else 1.0, is_slope)

    def refuse(self, name: str, value: Any, good: Any, at: tuple, rule: str, hint: Any = "") -> None:
        """Raise the DomainError that names the first value of a piece that is not good; the piece begins at `at`."""
        name = self.plan.said.get(name, name)
        refuse(self.loss, name, rule, value, ~np.asarray(good), tuple(part.start or 0 for part in at), hint)
