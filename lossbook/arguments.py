"""The arrays of a call, checked: what each may be, and the error that names it if it is not that."""

import numbers

import numpy as np

from lossbook.call import Call, Layout, check_same, refuse
from lossbook.errors import DomainError, ShapeError, shown

WORKING = {np.dtype(np.float16): np.float32, np.dtype(np.float32): np.float32, np.dtype(np.float64): np.float64}


class Arguments:
    """The part of a Loss that checks and lays out the arrays of a call; `xp` is the array module of its backend."""

    name: str
    shape: str
    _arguments: dict
    _arrays: list[str]
    _target: str | None
    _by_class: bool

    def _array(self, array, name, xp):
        """An array of the backend's kind; what cannot be one is refused by name."""
        if array is None:
            raise DomainError(self.name, name, "must be an array", None)
        if xp is np and type(array) is not np.ndarray:
            if isinstance(array, np.ma.MaskedArray):
                hint = "fill it, and pass weight=~mask"
                raise DomainError(self.name, name, "must be a plain array", said="a masked array", hint=hint)
            try:
                array = np.asarray(array)
            except ValueError as error:  # lists of unequal lengths
                raise ShapeError(self.name, name, "must be an array", array) from error
        if array.dtype.kind not in "fiub":
            raise DomainError(self.name, name, "must hold real numbers", array.dtype)
        return array

    def _prediction(self, array, xp, name=None):
        name = name or self._arrays[0]
        z = self._array(array, name, xp)
        if z.dtype.newbyteorder("=") not in WORKING:
            raise DomainError(self.name, name, "must be float16, float32 or float64", z.dtype)
        return z

    def _lay_out(self, z, target, xp, real, axis):
        """A Call with the shapes checked."""
        layout = Layout(z.shape, None)
        if self.shape != "pointwise":
            is_number = isinstance(axis, numbers.Integral) and not isinstance(axis, bool)
            if not is_number or not -z.ndim <= axis < z.ndim:
                wanted = ("an axis", "(N, 4)") if self.shape == "boxes" else ("a class axis", "(N, C, ...)")
                rule = f"must have {wanted[0]} {shown(axis)}, as in {wanted[1]}"
                raise ShapeError(self.name, self._arrays[0], rule, z.shape, said=f"shape {z.shape}")
            axis = int(axis) % z.ndim
            layout = Layout(z.shape, axis)
            corners = len(self._arguments[self._arrays[0]].components)
            if corners and z.shape[axis] != corners:
                rule = f"must have {corners} numbers (x1, y1, x2, y2) along axis {axis}"
                raise ShapeError(self.name, self._arrays[0], rule, z.shape, said=f"shape {z.shape}")
            if z.shape[axis] == 0:
                rule = "must have at least one class"
                raise ShapeError(self.name, self._arrays[0], rule, z.shape, said=f"shape {z.shape}")
        call = Call(self.name, None, xp, real, layout, z, None, False, None, None, None, ())
        name = self._target
        if name is None:
            return call
        call.y = y = self._array(target, name, xp)
        if self._by_class and y.ndim == z.ndim - 1:
            check_same(self.name, name, y.shape, layout.without_classes, f"{self._arrays[0]} without its class axis")
            if y.dtype.kind == "f":
                raise DomainError(self.name, name, "must be integers when it holds class indices", y.dtype)
            call.integer = True
        elif y.shape != z.shape:
            of = f"{self._arrays[0]} has"
            if self._by_class:
                of += f" (or {layout.without_classes} for class indices)"
            check_same(self.name, name, y.shape, z.shape, of)
        if self.shape == "overlap":
            call.move_classes()
        return call

    def _weight(self, weight, call, xp):
        """The weights, broadcast to the elements, rows or pixels: a number, one per item, or one each."""
        weight = self._array(weight, "weight", xp)
        full = call.layout.without_classes
        if call.overlap and weight.shape == call.given_shape and weight.ndim > 1:
            return call.moved(weight)
        if weight.ndim == 1 and len(full) > 1 and weight.shape == full[:1]:
            if call.overlap:
                return weight
            weight = weight.reshape(-1, *(1,) * (len(full) - 1))
        fits = weight.ndim == len(full) and all(a in (1, b) for a, b in zip(weight.shape, full, strict=True))
        if weight.ndim and not fits:
            each = "pixel" if call.overlap else "row" if call.rows else "element"
            rule = f"must have shape {full} (one per {each}) or {full[:1]} (one per item)"
            raise ShapeError(self.name, "weight", rule, weight.shape)
        return xp.broadcast_to(weight, full) if weight.shape != full else weight

    def _class_weight(self, weight, call, xp):
        if xp is not np and type(weight) is tuple:  # numbers go to the device
            weight = xp.asarray(weight)
        weight = self._array(weight, "class_weight", xp)
        classes = call.layout.three[1]
        if weight.shape != (classes,):
            rule = f"must have shape ({classes},), one per class"
            raise ShapeError(self.name, "class_weight", rule, weight.shape)
        bad = ~((weight >= 0) & (weight < np.inf))
        refuse(self.name, "class_weight", "must be >= 0 and finite", weight, bad)
        return xp.ascontiguousarray(weight, dtype=call.real)

    def _ignore(self, ignore, call):
        if isinstance(ignore, (bool, np.bool_)) or not isinstance(ignore, numbers.Integral):
            raise DomainError(self.name, "ignore_index", "must be an integer or None", ignore)
        if not -(2**63) <= ignore < 2**63:
            raise DomainError(self.name, "ignore_index", "must be a 64-bit integer", ignore)
        if not call.integer:
            said = f"a distribution as {self._target}"
            raise DomainError(self.name, "ignore_index", "is for class indices", said=said)
        return int(ignore)

    def _out(self, out, z, inputs, xp):
        """The array that receives the gradient; it must not overlap `inputs`, the arguments and the weights."""
        if out is None:
            return xp.empty_like(z)
        if xp is np and (not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray)):
            raise DomainError(self.name, "out", "must be a plain array", said=type(out).__name__)
        if out.shape != z.shape:
            raise ShapeError(self.name, "out", f"must have shape {z.shape}, as the prediction has", out.shape)
        if out.dtype != z.dtype:
            raise DomainError(self.name, "out", f"must have dtype {z.dtype}, as the prediction has", out.dtype)
        if xp is np and not out.flags.writeable:
            raise DomainError(self.name, "out", "must be writeable", said="a read-only array")
        if not out.flags.c_contiguous and _overlaps_itself(out):
            raise DomainError(self.name, "out", "must have a place for each element", said=f"strides {out.strides}")
        for name, array in zip((*self._arrays, "weight", "class_weight"), inputs, strict=False):
            if isinstance(array, type(out)) and xp.may_share_memory(out, array):
                rule = f"must not share memory with {name}, since inputs are never modified"
                raise DomainError(self.name, "out", rule)
        return out


def _overlaps_itself(array):
    """Whether elements of a strided array may stand on one another."""
    reach, axes = array.itemsize, zip(map(abs, array.strides), array.shape, strict=True)
    for stride, length in sorted((stride, length) for stride, length in axes if length > 1):
        if stride < reach:
            return array.size > 0
        reach += stride * (length - 1)
    return False
