"""The arrays of a call, checked: what each may be, and the error that names it if it is not that."""

import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lossbook.arrays import WORKING, holds_exactly, quiet
from lossbook.backends.call import Call, Layout
from lossbook.checks import (
    FLOATS,
    ONE_CHANNEL,
    SINGLE,
    TWO_CLASSES,
    check_same,
    cure,
    overlaps_itself,
    plain,
    real_numbers,
    refuse,
    shares_memory,
)
from lossbook.declaration import Declaration
from lossbook.errors import DomainError, ShapeError, shown
from lossbook.spaces import ELEMENTS, Space

SMALLEST, LARGEST = ({r: float(getattr(np.finfo(r), e)) for r in (np.float32, np.float64)} for e in ("tiny", "max"))
IN_ORDER = "must be a list of one number per class, in the order of the classes"


class Arguments:
    """Checks and lays out the arrays of a call of a loss; `xp` is the array module of the backend."""

    def __init__(
        self, declaration: Declaration, space: Space, compares_classes: Callable[[], bool] = lambda: False
    ) -> None:
        self.name, self.space = declaration.name, space
        self.domains, self.names, self.target = declaration.arguments, declaration.arrays, declaration.target
        self.by_class, self.compares_classes = declaration.by_class, compares_classes

    @property
    def pixels(self) -> bool:
        """Whether a value depends on the pixels of an image, which then may be a mask of one class."""
        return self.space.totals or self.space.maps

    def array(self, array: Any, name: str, xp: Any) -> Any:
        """An array of the backend's kind that holds numbers; what cannot be one is refused by name."""
        if type(array) is not np.ndarray:
            array = plain(self.name, name, array)
        return array if array.dtype.kind in "fiub" else real_numbers(self.name, name, array)

    def prediction(self, array: Any, xp: Any, name: str | None = None, target: Any = None) -> Any:
        """The prediction; a mask of bools is one of probabilities, and integers are values or corners: in float64."""
        name = name or self.names[0]
        z = plain(self.name, name, array) if type(array) is not np.ndarray else array
        if z.dtype.newbyteorder("=") not in WORKING:
            if z.dtype.kind in self.domains[name].other_kinds:
                return z.astype(np.float64)
            hint = f"{name}.astype(np.float32)" if z.dtype.kind in "iub" else cure(z.dtype, name)
            if z.dtype.kind in "iub" and getattr(getattr(target, "dtype", None), "kind", "") == "f":
                hint = f"the prediction stands first: ({', '.join(self.names)})"
            raise DomainError(self.name, name, FLOATS, z.dtype, hint=hint)
        return z

    def lay_out(self, z: Any, target: Any, xp: Any, real: type, axis: Any) -> Call:
        """A Call with the shapes checked."""
        layout = Layout(z.shape, None) if self.space.axis is None else self.class_axis(z, axis)
        call = Call(self.name, xp, real, layout, z)
        name = self.target
        if name is None:
            call.y = z if self.space.rows_of_classes else None  # the kernel of a row wants one, if only not to read it
            return call
        call.y = y = self.array(target, name, xp)
        if y.shape != z.shape or self.by_class:
            y = call.y = self._by_label(y, call)
        if y.dtype.itemsize > 2 and y.dtype != real and self.domains[name].is_observed:
            call.real = real if holds_exactly(real, y) else np.float64  # a target is not rounded before the difference
        if self.space.totals:
            call.move_classes()
        return call

    def class_axis(self, z: Any, axis: Any) -> Layout:
        """The layout of a prediction with an axis of classes, or of corners."""
        name, said = self.names[0], f"shape {z.shape}"
        if self.space.totals and self.by_class and z.ndim < 3:
            raise ShapeError(self.name, name, "must have shape (N, C, *space)", z.shape, said=said, hint=SINGLE)
        is_number = isinstance(axis, numbers.Integral) and not isinstance(axis, bool)
        if not is_number or not -z.ndim <= axis < z.ndim:
            wanted = ("an axis", "(N, 4)") if self.space.corners else ("a class axis", "(N, C, ...)")
            rule = f"must have {wanted[0]} {shown(axis)}, as in {wanted[1]}"
            raise ShapeError(self.name, name, rule, z.shape, said=said)
        axis = int(axis) % z.ndim
        corners, classes = len(self.domains[name].components), z.shape[axis]
        if corners and classes != corners:
            rule = f"must have {corners} numbers (x1, y1, x2, y2) along axis {axis}"
            raise ShapeError(self.name, name, rule, z.shape, said=said)
        if classes == 0:
            raise ShapeError(self.name, name, "must have at least one class", z.shape, said=said)
        if classes == 1 and self.compares_classes():
            raise ShapeError(self.name, name, TWO_CLASSES, z.shape, said=said, hint=ONE_CHANNEL)
        return Layout(z.shape, axis)

    def _by_label(self, y, call):
        """A target that need not have the shape of the prediction: labels, or a mask of the only class.

        Labels stand without the class axis, or with one of length 1. Where there is one class alone, integers are no
        labels, of which there would be one, but a mask.
        """
        name, first, layout = self.target, self.names[0], call.layout
        if not self.by_class or layout.axis is None:  # a loss of elements may take a distribution, too
            check_same(self.name, name, y.shape, layout.shape, f"{first} has")
            return y
        axis, whole = layout.axis, y.dtype.kind in "iub"
        classes = layout.shape[axis]
        if whole and classes > 1 and y.shape == (*layout.shape[:axis], 1, *layout.shape[axis + 1 :]):
            y = y.squeeze(axis)
        if y.ndim == len(layout.shape) - 1:
            check_same(self.name, name, y.shape, layout.without_classes, f"{first} without its class axis")
            if not whole:
                rule, hint = "must be integers when it holds class indices", f"{name}.astype(int)"
                raise DomainError(self.name, name, rule, y.dtype, hint=hint)
            if classes == 1 and self.pixels:
                call.mask = True
                return call.xp.expand_dims(y, axis)
            call.integer = True
            return y
        of = f"{first} has (or {layout.without_classes} for class indices)"
        check_same(self.name, name, y.shape, layout.shape, of)
        call.mask = whole and classes == 1 and self.pixels
        return y

    def weight(self, weight: Any, call: Call, xp: Any) -> Any:
        """The weights, broadcast to the elements, rows or pixels: a number, one per item, or one each.

        One per pixel may have an axis of length 1 where the prediction has its classes, or may be without.
        """
        return self.per_value(self.array(weight, "weight", xp), call, xp)

    def per_value(self, weight: Any, call: Call, xp: Any) -> Any:
        """The same for an array of any framework."""
        given, full, axes = tuple(weight.shape), call.layout.without_classes, call.z.ndim
        if call.overlap and given == call.given_shape and weight.ndim > 1:
            return call.moved(weight)
        at = call.layout.axis if call.given_axis is None else call.given_axis
        if at is not None and weight.ndim == axes > 1 and given[at] == 1:
            weight = weight.reshape(*given[:at], *given[at + 1 :])
        if at is None and weight.ndim == axes - 1 > 1:
            weight = weight.reshape(given[0], 1, *given[1:])
        shape = tuple(weight.shape)
        if weight.ndim == 1 and len(full) > 1 and shape == full[:1]:
            if call.overlap:
                return weight
            shape = (*shape, *(1,) * (len(full) - 1))
            weight = weight.reshape(*shape)
        fits = weight.ndim == len(full) and all(a in (1, b) for a, b in zip(shape, full, strict=True))
        if weight.ndim and not fits:
            each = "pixel" if call.overlap else "row" if call.rows else "element"
            rule = f"must have shape {full} (one per {each})"
            rule += f" or {full[:1]} (one per item)" if len(full) > 1 else ""
            raise ShapeError(self.name, "weight", rule, given, hint=self._about_weights(given, call))
        return xp.broadcast_to(weight, full) if shape != full else weight

    def _about_weights(self, shape, call):
        """What to do about weights that may be one per class."""
        if self.by_class:
            return "weights per class are class_weight" if shape == (call.layout.three[1],) else ""
        is_per_class = self.space is ELEMENTS and shape == call.z.shape[1:2] != ()
        return "weights per class are class_weight" if is_per_class else ""

    def class_weight(self, weight: Any, classes: int, xp: Any) -> Any:
        if xp is not np and type(weight) is tuple:  # numbers go to the device
            weight = xp.asarray(weight)
        return xp.ascontiguousarray(self.one_per_class(weight, classes, xp), dtype=np.float64)

    def one_per_class(self, weight: Any, classes: Any, xp: Any) -> Any:
        """Class weights, checked; `classes` is how many there must be, or "C"."""
        if isinstance(weight, (dict, str)):
            said = "a dict" if isinstance(weight, dict) else ""
            hint = f"labels.class_weights({self.target}, {classes}) balances the classes"
            hint = f"such as [weights[k] for k in range({classes})]" if said else hint
            raise DomainError(self.name, "class_weight", IN_ORDER, weight, said=said, hint=hint)
        _check_index(self.name, weight)
        weight = self.array(weight, "class_weight", xp)
        if weight.ndim != 1 or classes not in ("C", len(weight)):
            rule = f"must have shape ({classes},), one per class"
            raise ShapeError(self.name, "class_weight", rule, weight.shape)
        bad = ~((weight >= 0) & (weight < np.inf))
        refuse(self.name, "class_weight", "must be >= 0 and finite", weight, bad)
        return weight

    def ignore(self, ignore: Any, call: Call) -> tuple[int, ...]:
        labels = labels_to_ignore(self.name, ignore)
        if not (call.integer or call.mask):
            said = f"a distribution as {self.target}"
            raise DomainError(self.name, "ignore_index", "is for class indices", said=said)
        return labels

    def rounded(self, name: str, value: Any, real: Any) -> Any:
        """A parameter in the working type, where its rule must hold as well."""
        if isinstance(value, tuple):
            return tuple(self.rounded(name, number, real) for number in value)
        if value == 0 or SMALLEST[real] <= value <= LARGEST[real]:
            return real(value)
        with quiet():
            number = real(value)
        domain = self.domains[name]
        if not domain.holds(float(number)):
            raise DomainError(self.name, name, f"must be {domain.rule}, also in {np.dtype(real)}", value)
        return number

    def out(self, out: Any, z: Any, inputs: Sequence[Any], xp: Any) -> Any:
        """The array that receives the gradient; it must not overlap `inputs`, the arguments and the weights."""
        if out is None:
            return xp.empty_like(z)
        if xp is np and (not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray)):
            raise DomainError(self.name, "out", "must be a plain array", said=type(out).__name__)
        if out.shape != z.shape:
            raise ShapeError(self.name, "out", f"must have shape {z.shape}, as the prediction has", out.shape)
        if out.dtype != z.dtype and out.dtype != WORKING[z.dtype.newbyteorder("=")]:
            rule = f"must have dtype {z.dtype}, as the prediction has"
            raise DomainError(self.name, "out", rule, out.dtype)
        if xp is np and not out.flags.writeable:
            raise DomainError(self.name, "out", "must be writeable", said="a read-only array")
        if not out.flags.c_contiguous and overlaps_itself(out):
            raise DomainError(self.name, "out", "must have a place for each element", said=f"strides {out.strides}")
        for name, array in zip((*self.names, "weight", "class_weight"), inputs, strict=False):
            if array is not None and shares_memory(out, array, xp):
                rule = f"must not share memory with {name}, since inputs are never modified"
                raise DomainError(self.name, "out", rule)
        return out


def labels_to_ignore(loss: str, ignore: Any) -> tuple[int, ...]:
    """The labels to ignore, of which one or several are given."""
    several = isinstance(ignore, (tuple, list, set, frozenset)) or (isinstance(ignore, np.ndarray) and ignore.ndim > 0)
    for label in ignore if several else (ignore,):
        if isinstance(label, (bool, np.bool_)) or not isinstance(label, numbers.Integral):
            raise DomainError(loss, "ignore_index", "must be an integer, several of them or None", label)
        if not -(2**63) <= int(label) < 2**63:
            raise DomainError(loss, "ignore_index", "must be a 64-bit integer", label)
    return tuple(dict.fromkeys(map(int, ignore))) if several else (int(ignore),)


def numbers_of_classes(call: Call, parameters: dict[str, Any], highest: bool) -> tuple[Any, ...]:
    """The parameters as arrays of the working type, those that are one number per class of that length."""
    classes = call.of_classes.three[1]
    for name, given in parameters.items():
        if isinstance(given, tuple) and highest:
            rule, said = "must be a number with accuracy='highest'", "one number per class"
            raise DomainError(call.loss, name, rule, said=said)
        if isinstance(given, tuple) and len(given) != classes:
            rule = f"must be a number or have shape ({classes},), one per class along axis {call.of_classes.axis}"
            raise ShapeError(call.loss, name, rule, (len(given),))
    return tuple(np.array(given, call.real) for given in parameters.values())


def _check_index(loss, weight):
    """Class weights are taken in their order; a label that says otherwise must not be lost in silence."""
    index = getattr(weight, "index", None)  # of pandas
    if index is None or callable(index):
        indexes: Any = getattr(weight, "indexes", None)  # of xarray
        index = next(iter(indexes.values()), None) if hasattr(indexes, "values") else None
    if index is None or list(index) == list(range(len(index))):
        return
    said = f"a {type(weight).__name__} with the index {shown(list(index))}"
    hint = "put it in the order of the classes and give its to_numpy()"
    raise DomainError(loss, "class_weight", IN_ORDER, said=said, hint=hint)
