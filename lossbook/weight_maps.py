"""Maps of pixel weights, made from masks."""

import importlib

import numpy as np

from lossbook.domains import NonNegative, Positive
from lossbook.errors import BackendError, DomainError, ShapeError
from lossbook.labels import array_module, integers, parameter, refuse, to_host
from lossbook.loss import WORKING

__all__ = ["edge_weights"]


def edge_weights(y, *, w0=10.0, sigma=5.0, class_weight=None, spacing=None, dtype=np.float32):
    """The weight map of U-Net, which makes a network learn the gaps between objects that nearly touch.

        w = w_class + w0*exp(-(d1 + d2)**2/(2*sigma**2))

    d1 and d2 are the Euclidean distances of a pixel to the nearest and the second nearest instance: from center to
    center of pixels, so 0 inside an instance. Images with fewer than two instances have no second term.

    y             integers of shape (N, *space): 0 for background, any other number >= 1 for an instance of that image
    w0            the largest extra weight, >= 0; the paper takes 10
    sigma         the width of the gaps that matter, > 0, in pixels (in the unit of `spacing`); the paper takes about 5
    class_weight  (background, instances), two numbers >= 0; 1 and 1 unless told. `labels.class_weights(y > 0, 2)`
                  balances the two.
    spacing       the distance of neighboring pixels, a number or one per space axis; 1 unless told
    dtype         of the result: float16, float32 or float64; computed in float64

    The result has the shape of y, and is what a loss takes as `weight`. One distance map per instance is computed, of
    which two are kept. NumPy arrays need SciPy; CuPy arrays must have two or three space axes.

    ShapeError for y without a space axis, or lists of another length; DomainError for labels below 0 and numbers out
    of range; BackendError without SciPy. Source: Ronneberger, Fischer and Brox 2015, U-Net: Convolutional Networks for
    Biomedical Image Segmentation, MICCAI, section 3, equation 2.
    """
    where = "segmentation.edge_weights"
    y = integers(where, y, kinds="iu")  # a mask of bools has lost its instances
    xp = array_module(y)
    if y.ndim < 2:
        raise ShapeError(f"{where}: y must have shape (N, *space); got {y.shape}")
    if xp is not np and y.ndim not in (3, 4):
        raise ShapeError(f"{where}: y must have two or three space axes if it is a CuPy array; got shape {y.shape}")
    w0, sigma = parameter(where, "w0", w0, NonNegative), parameter(where, "sigma", sigma, Positive)
    background, instances = (1.0, 1.0) if class_weight is None else _class_weight(where, class_weight)
    sampling = None if spacing is None else _spacing(where, spacing, y.ndim - 1)
    if np.dtype(dtype) not in WORKING:
        raise DomainError(f"{where}: dtype must be float16, float32 or float64; got {dtype!r}")
    refuse(where, "y", "must be >= 0 (0 for background, 1..K for instances)", y, y < 0)
    distance = _distance_transform(where, xp)
    weights = xp.empty(y.shape, dtype)
    for image, weight in zip(y, weights, strict=True):
        first, second = _two_nearest(image, distance, sampling, xp)
        with np.errstate(over="ignore"):  # far from every gap the exponent is minus infinity
            gap = ((first + second) / sigma) ** 2
            weight[...] = xp.where(image > 0, instances, background) + w0 * xp.exp(-gap / 2)
    return weights


def _two_nearest(image, distance, sampling, xp):
    """The distances to the nearest and second nearest instance; infinity where there are not so many."""
    first = second = xp.full(image.shape, np.inf)
    for instance in xp.unique(image).tolist():
        if instance:
            here = distance(image != instance, sampling)
            second = xp.minimum(second, xp.maximum(first, here))
            first = xp.minimum(first, here)
    return first, second


def _distance_transform(where, xp):
    """The exact Euclidean distance to the nearest False, of SciPy or of CuPy."""
    try:
        return importlib.import_module(
            "scipy.ndimage" if xp is np else "cupyx.scipy.ndimage"
        ).distance_transform_edt
    except ImportError as error:
        raise BackendError(f"{where}: needs SciPy (the package scipy), which is not installed") from error


def _class_weight(where, given):
    weight = np.asarray(to_host(given), np.float64)
    if weight.shape != (2,):
        raise ShapeError(
            f"{where}: class_weight must have shape (2,), one for background and one for instances; got {weight.shape}"
        )
    refuse(where, "class_weight", "must be >= 0 and finite", weight, ~((weight >= 0) & (weight < np.inf)))
    return weight.tolist()


def _spacing(where, given, axes):
    spacing = np.asarray(given, np.float64)
    if spacing.shape not in ((), (axes,)):
        raise ShapeError(
            f"{where}: spacing must be a number or have shape ({axes},), one per space axis; got {spacing.shape}"
        )
    refuse(where, "spacing", "must be > 0 and finite", spacing, ~((spacing > 0) & (spacing < np.inf)))
    return tuple(np.broadcast_to(spacing, axes).tolist())
