"""Kernels made before they are needed."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from lossbook import backends
from lossbook.algebra import Loss
from lossbook.documentation import two_values
from lossbook.errors import DomainError
from lossbook.typing import Backend

__all__ = ["warm"]


def warm(
    *losses: Loss,
    dtype: DTypeLike = np.float32,
    backend: Backend = "numba",
    weight: bool = False,
    class_weight: bool = False,
    ignore_index: bool = False,
    indices: bool = True,
    classes: int = 3,
    **parameters: Any,
) -> None:
    """Make the kernels of losses ahead of their first call: those of the value alone, and those with the gradient.

    Numba compiles a kernel for seconds when a loss is first called with another dtype or other options. Compiled
    kernels stay in the cache on disk, so that one call of `warm` serves later processes as well.

    Parameters
    ----------
    *losses : Loss
        One or more losses; sums and losses with several predictions warm what they are made of.
    dtype : dtype, optional
        float16, float32 or float64, of the predictions to come.
    backend : {"numba", "numpy", "cupy"}, optional
        "cupy" needs a device.
    weight, class_weight, ignore_index : bool, optional
        True for calls that will have them. The last two reach the losses that take them.
    indices : bool, optional
        Whether targets of classes will be class indices, or else distributions.
    classes : int, optional
        How many classes there will be; kernels for many differ from those for few.
    **parameters
        Of the losses, where they choose the kernel: `smoothing=0.1`.

    Returns
    -------
    None

    Raises
    ------
    TypeError
        For what is no loss. A call of the losses that is wrong raises what it raises elsewhere.

    Examples
    --------
    >>> import lossbook
    >>> from lossbook import multiclass
    >>> lossbook.warm(multiclass.cross_entropy_with_logits, dtype="float32", backend="numpy", class_weight=True)
    """
    if not losses:
        raise TypeError("lossbook.warm: takes losses by position; got none")
    for loss in losses:
        if not isinstance(loss, Loss):
            raise TypeError(f"lossbook.warm: takes losses; got {type(loss).__name__}")
    for name, value in (("weight", weight), ("class_weight", class_weight), ("ignore_index", ignore_index)):
        if not isinstance(value, (bool, np.bool_)):
            rule = "must be True or False, for calls with or without"
            raise DomainError("lossbook.warm", name, rule, said=type(value).__name__)
    xp = backends.get(backend, "lossbook.warm").xp
    for loss in losses:
        if parts := getattr(loss, "parts", ()):  # several predictions: some of the parts get weights in any case
            loss.settings(parameters)
            for each in (False, True):
                warm(*parts, dtype=dtype, backend=backend, weight=each, indices=indices, classes=classes)
            continue
        arrays = [xp.asarray(array) for array in _example(loss, dtype, indices, classes)]
        options = {"backend": backend, **parameters}
        if weight:
            options["weight"] = xp.ones(len(arrays[0]), arrays[0].dtype)
        if class_weight and "class_weight" in loss.declaration.options and loss.space.classes:
            options["class_weight"] = xp.ones(classes, arrays[0].dtype)
        if ignore_index and "ignore_index" in loss.declaration.options and indices:
            options["ignore_index"] = -1
        loss(*arrays, **options)
        loss.value_and_grad(*arrays, **options)


def _example(loss, dtype, indices, classes):
    """Small arrays that a loss takes."""
    space = loss.space
    pixels = () if space.by_row else (2, 2) if space.maps else (2,)
    shape = (2, classes, *pixels) if space.classes else (2,)
    for name in loss.declaration.arrays:
        domain = loss.declaration.arguments[name]
        if domain.components:
            yield np.tile(np.array([0, 0, 1, 1], dtype), (2, 1))
        elif domain.holds_classes and indices:
            yield np.zeros((shape[0], *shape[2:]), int)
        elif domain.holds_classes:
            yield np.broadcast_to(np.eye(classes)[0].reshape(-1, *(1,) * (len(shape) - 2)), shape).astype(dtype)
        else:
            yield np.full(shape, two_values(domain)[0], dtype)
