"""Maps of pixel weights, made from masks, and what all that measures distances in images shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from lossbook import backends
from lossbook.arrays import WORKING, is_cupy, quiet, to_host
from lossbook.checks import parameter, plain, refuse
from lossbook.domains import NonNegative, Positive
from lossbook.errors import DomainError, ShapeError
from lossbook.labels import dtype_of, integers
from lossbook.typing import ArrayLike, Number

__all__ = ["edge_weights"]

Spacing = replace(
    Positive, several=True, describes="the distance of neighboring pixels, one number or one per space axis, > 0"
)


@quiet()
def edge_weights(
    y: ArrayLike,
    *,
    w0: Number = 10.0,
    sigma: Number = 5.0,
    class_weight: ArrayLike | None = None,
    spacing: Number | Sequence[Number] | None = None,
    dtype: DTypeLike = np.float32,
) -> Any:
    """The weight map of U-Net, which makes a network learn the gaps between objects that nearly touch.

        w = w_class + w0*exp(-(d1 + d2)**2/(2*sigma**2))

    d1 and d2 are the Euclidean distances of a pixel to the nearest and the second nearest instance: from center to
    center of pixels, so 0 inside an instance. Images with fewer than two instances have no second term. One distance
    map per instance is computed, of which two are kept. NumPy arrays need SciPy; CuPy arrays must have two or three
    space axes.

    Parameters
    ----------
    y : array of int
        Of shape (N, *space): 0 for background, any other number >= 1 for an instance of that image.
    w0 : float, optional
        The largest extra weight, >= 0; the paper takes 10.
    sigma : float, optional
        The width of the gaps that matter, > 0, in pixels (in the unit of `spacing`); the paper takes about 5.
    class_weight : two floats, optional
        (background, instances), two numbers >= 0; 1 and 1 unless told. `labels.class_weights(y > 0, 2)` balances the
        two.
    spacing : float or sequence of float, optional
        The distance of neighboring pixels, a number or one per space axis; 1 unless told.
    dtype : dtype, optional
        Of the result: float16, float32 or float64; computed in float64.

    Returns
    -------
    array
        The weights, in the shape of y: what a loss takes as `weight`.

    Raises
    ------
    ShapeError
        For y without a space axis, or lists of another length.
    DomainError
        For labels below 0 and numbers out of range.
    BackendError
        Without SciPy, and for Dask arrays.

    References
    ----------
    Ronneberger, Fischer and Brox 2015, U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI, section
    3, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> from lossbook import segmentation
    >>> y = np.array([[1, 0, 0, 2]])
    >>> segmentation.edge_weights(y, w0=10, sigma=2).round(2)
    array([[4.25, 4.25, 4.25, 4.25]], dtype=float32)
    """
    where = "segmentation.edge_weights"
    y = integers(where, y, kinds="iu")  # a mask of bools has lost its instances
    xp = backends.choose(where, None if is_cupy(y) else "numpy", (y,)).xp
    if y.ndim < 2:
        raise ShapeError(where, "y", "must have shape (N, *space)", y.shape)
    if xp is not np and y.ndim not in (3, 4):
        rule = "must have two or three space axes if it is a CuPy array"
        raise ShapeError(where, "y", rule, y.shape, said=f"shape {y.shape}")
    w0, sigma = parameter(where, "w0", w0, NonNegative), parameter(where, "sigma", sigma, Positive)
    background, instances = (1.0, 1.0) if class_weight is None else _class_weight(where, class_weight)
    spacing = parameter(where, "spacing", 1.0 if spacing is None else spacing, Spacing)
    steps = per_axis(where, spacing, y.shape[1:], np.float64)
    dtype = dtype_of(where, dtype, WORKING.__contains__, "float16, float32 or float64")
    refuse(where, "y", "must be >= 0 (0 for background, 1..K for instances)", y, y < 0)
    distance = distance_transform(where, xp)
    weights = xp.empty(y.shape, dtype)
    for image, weight in zip(y, weights, strict=True):
        first, second = _two_nearest(image, distance, steps, xp)
        with np.errstate(over="ignore"):  # far from gaps the exponent is minus infinity; a float16 result may overflow
            gap = ((first + second) / sigma) ** 2
            weight[...] = xp.where(image > 0, instances, background) + w0 * xp.exp(-gap / 2)
    return weights


def _two_nearest(image, distance, steps, xp):
    """The distances to the nearest and second nearest instance; infinity where there are not so many."""
    first = second = xp.full(image.shape, np.inf)
    for instance in xp.unique(image).tolist():
        if instance:
            here = distance(image != instance, steps)
            second = xp.minimum(second, xp.maximum(first, here))
            first = xp.minimum(first, here)
    return first, second


def _class_weight(where, given):
    weight = np.asarray(to_host(plain(where, "class_weight", given)))
    if weight.dtype.kind not in "fiub":
        raise DomainError(where, "class_weight", "must hold real numbers", weight.dtype)
    if weight.shape != (2,):
        rule = "must have shape (2,), one for background and one for instances"
        raise ShapeError(where, "class_weight", rule, weight.shape)
    with np.errstate(over="ignore"):
        weight = weight.astype(np.float64)
    refuse(where, "class_weight", "must be >= 0 and finite", weight, ~((weight >= 0) & (weight < np.inf)))
    return weight.tolist()


# --- distances -------------------------------------------------------------------------------------------------------


def distance_transform(where: str, xp: Any) -> Callable[..., Any]:
    """The exact Euclidean distance to the nearest False, of SciPy or of CuPy."""
    module = "scipy.ndimage" if xp is np else "cupyx.scipy.ndimage"
    return backends.imported(module, where, "needs SciPy (the package scipy)").distance_transform_edt


def per_axis(where: str, spacing: float | tuple[float, ...], shape: Sequence[int], real: Any) -> tuple[float, ...]:
    """The spacing of each axis; squares of distances must neither overflow nor underflow in the working type."""
    steps = spacing if isinstance(spacing, tuple) else (spacing,) * len(shape)
    if len(steps) != len(shape):
        rule = f"must be a number or have shape ({len(shape)},), one per space axis"
        raise ShapeError(where, "spacing", rule, (len(steps),))
    info = np.finfo(real)
    low, high = math.sqrt(info.tiny), math.sqrt(info.max)
    if min(steps) < low or diagonal(shape, steps) > high:
        rule = f"must keep all distances between {low:.1e} and {high:.1e} in {info.dtype}"
        raise DomainError(where, "spacing", rule, spacing)
    return steps


def diagonal(shape: Sequence[int], steps: Sequence[float]) -> float:
    """From corner to corner of an image: farther than the centers of any two pixels, and never 0."""
    return math.hypot(*(size * step for size, step in zip(shape, steps, strict=True)))
