"""Targets and weights made from class labels: one-hot encoding, label smoothing and class weights.

The functions take NumPy and CuPy arrays, and answer with arrays of the same kind. Dask arrays are taken block by
block: `one_hot` and `smooth` stay lazy, `class_weights` counts at once.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, Literal, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike

from lossbook.arrays import WORKING, array_module, is_dask, quiet, to_host
from lossbook.checks import FLOATS, clipped, nearly, parameter, plain, refuse
from lossbook.domains import Domain, Fraction, Label
from lossbook.errors import DomainError, ShapeError
from lossbook.typing import ArrayLike, Number

__all__ = ["class_weights", "one_hot", "smooth"]

PIECE = 1 << 20  # labels that are widened to int64 and counted at a time
MOST = 1 << 31  # classes

Decay = Domain("Decay", "parameter", "in [0, 1)", "a number in [0, 1)", 0.0, math.nextafter(1.0, 0.0))


@quiet()
def one_hot(
    y: ArrayLike,
    classes: SupportsIndex,
    *,
    axis: SupportsIndex = 1,
    ignore_index: SupportsIndex | None = None,
    dtype: DTypeLike = np.float32,
) -> Any:
    """Class indices as a distribution over the classes: 1 at the label, 0 elsewhere.

    Parameters
    ----------
    y : array of int or bool
        Labels of shape (N, *space), each in 0..classes - 1 or equal to ignore_index.
    classes : int
        C, the number of classes.
    axis : int, optional
        Where the result has its class axis: 1 gives (N, C, *space).
    ignore_index : int, optional
        A label that stands for "unknown": its column is 0 for all classes, so losses that are sums over classes of y
        times a cost give 0 there; it may be one of 0..classes - 1 or any other integer.
    dtype : dtype, optional
        Of the result, float32 unless told.

    Returns
    -------
    array
        The distribution, of shape (N, C, *space).

    Raises
    ------
    ShapeError
        For an axis that the result has not.
    DomainError
        For a label that is no class, for y that is no integers, and for a dtype that is not of bools, integers or
        floats.

    Examples
    --------
    >>> from lossbook import labels
    >>> labels.one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    where = "labels.one_hot"
    y = integers(where, y)
    _check_classes(where, classes, ignore_index)
    axis = _check_axis(where, "y", y.shape, y.ndim + 1, axis)
    dtype = dtype_of(where, dtype, lambda found: found.kind in "biuf", "a dtype of bools, integers or floats")
    arguments = int(classes), axis, ignore_index, dtype
    if not is_dask(y):
        return _one_hot(y, *arguments)
    chunks = (*y.chunks[:axis], (int(classes),), *y.chunks[axis:])
    return y.map_blocks(_one_hot, *arguments, new_axis=axis, chunks=chunks, dtype=dtype)


def _one_hot(y, classes, axis, ignore_index, dtype, block_info=None):
    xp = array_module(y)
    live = _live("labels.one_hot", y, classes, ignore_index, _start(block_info))
    column = xp.arange(classes).reshape(-1, *(1,) * (y.ndim - axis))
    hot = xp.expand_dims(y, axis) == column
    if ignore_index is not None:
        hot &= xp.expand_dims(live, axis)
    return hot.astype(dtype, copy=False)


@quiet()
def smooth(targets: ArrayLike, epsilon: Number = 0.1, *, axis: SupportsIndex = 1) -> Any:
    """Label smoothing: (1 - epsilon)*targets + epsilon/C, the targets mixed with the uniform distribution.

    The right class of a one-hot target keeps 1 - epsilon + epsilon/C. Where epsilon is instead shared among the C - 1
    wrong classes alone, epsilon*C/(C - 1) gives the same here. A column of zeros, an ignored label, becomes epsilon/C
    in every class: to go on ignoring it, give the loss a weight of 0 there.

    Parameters
    ----------
    targets : array of float16, float32 or float64
        A distribution over the classes along `axis`, of shape (N, C, *space).
    epsilon : float, optional
        The share of the uniform distribution, in [0, 1].
    axis : int, optional
        Where the classes are.

    Returns
    -------
    array
        The mixture, in the shape and the dtype of the targets (float16 is computed in float32).

    Raises
    ------
    ShapeError
        For an axis that the targets have not.
    DomainError
        For targets or epsilon outside [0, 1], and for targets of another dtype.

    References
    ----------
    Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, CVPR, section 7.

    Examples
    --------
    >>> import numpy as np
    >>> from lossbook import labels
    >>> labels.smooth(np.array([[1.0, 0.0]]), 0.25)
    array([[0.875, 0.125]])
    """
    where = "labels.smooth"
    targets = floats(where, "targets", targets)
    epsilon = parameter(where, "epsilon", epsilon, Fraction)
    axis = _check_axis(where, "targets", targets.shape, targets.ndim, axis)
    if math.isnan(targets.shape[axis]):
        rule = "must have a known number of classes, as after targets.compute_chunk_sizes()"
        raise ShapeError(where, "targets", rule, targets.shape, said=f"shape {targets.shape}")
    arguments = epsilon, epsilon / max(1, targets.shape[axis])
    if not is_dask(targets):
        return _smooth(targets, *arguments)
    return targets.map_blocks(_smooth, *arguments, dtype=targets.dtype)


@quiet()
def _smooth(targets, epsilon, uniform, block_info=None):
    bad = ~Label.holds(targets)
    if bool(bad.any()):
        bad &= ~nearly(Label, targets)
        refuse("labels.smooth", "targets", "must be in [0, 1]", targets, bad, _start(block_info))
        targets = clipped(Label, targets, array_module(targets))
    real = WORKING[targets.dtype.newbyteorder("=")]
    mixed = (1 - epsilon) * targets.astype(real, copy=False)
    mixed += uniform
    return mixed.astype(targets.dtype, copy=False)


@quiet()
def class_weights(
    y: ArrayLike,
    classes: SupportsIndex,
    *,
    method: Literal["inverse", "effective"] = "inverse",
    beta: Number = 0.999,
    ignore_index: SupportsIndex | None = None,
) -> Any:
    """One weight per class, larger for rarer classes, from the labels y: what a loss takes as `class_weight`.

    A class that does not occur has weight 0: its formula says infinity, but no label would ever be multiplied with it,
    and infinity times the 0 of a one-hot target or of an empty sum would turn a whole loss into NaN.

    Parameters
    ----------
    y : array of int or bool
        Labels of any shape, each in 0..classes - 1 or equal to ignore_index.
    classes : int
        C, the number of classes.
    method : {"inverse", "effective"}, optional
        "inverse": N/(C*N_c) for the N_c labels of class c among N, so that the weights of all labels add up to N if
        every class occurs; scikit-learn calls it "balanced". "effective": 1/E_c for the effective number of samples E_c
        = (1 - beta**N_c)/(1 - beta), scaled to add up to C; beta = 0 weighs all classes the same, beta towards 1 comes
        to inverse frequencies.
    beta : float, optional
        In [0, 1), for "effective" alone.
    ignore_index : int, optional
        A label that is not counted.

    Returns
    -------
    array of float64
        The weights, of shape (C,). "inverse" is correctly rounded, "effective" good to a few ulp for any beta.

    Raises
    ------
    DomainError
        For a label that is no class, y that is no integers, another method or a beta outside [0, 1).

    References
    ----------
    King and Zeng 2001, Logistic Regression in Rare Events Data, Political Analysis 9(2), 137-163 (weighting).

    Cui, Jia, Lin, Song and Belongie 2019, Class-Balanced Loss Based on Effective Number of Samples, CVPR, sections 3
    and 4.

    Examples
    --------
    >>> from lossbook import labels
    >>> labels.class_weights([0, 0, 0, 1], 2)
    array([0.66666667, 2.        ])
    """
    where = "labels.class_weights"
    y = integers(where, y)
    _check_classes(where, classes, ignore_index)
    if not isinstance(method, str) or method not in ("inverse", "effective"):
        raise DomainError(where, "method", "must be 'inverse' or 'effective'", method)
    beta = parameter(where, "beta", beta, Decay)
    arguments = int(classes), ignore_index
    if is_dask(y):
        chunks = (*((1,) * blocks for blocks in y.numblocks), (int(classes),))
        counts = y.map_blocks(_count, *arguments, new_axis=y.ndim, chunks=chunks, dtype=np.int64)
        counts = counts.sum(axis=tuple(range(y.ndim))).compute()
    else:
        counts = _count(y, *arguments).reshape(-1)
    counts = to_host(counts)
    occurs = counts > 0
    number = counts[occurs]
    weights = np.zeros(counts.shape)
    if method == "inverse":
        weights[occurs] = number.sum() / (number * counts.size)
    else:
        # expm1 keeps the digits that 1 - beta**N_c would lose for beta near 1; the factor 1 - beta is common to all.
        inverse = -1 / np.expm1(number * (math.log(beta) if beta else -math.inf))
        weights[occurs] = inverse * (counts.size / math.fsum(inverse)) if inverse.size else inverse
    return array_module(y).asarray(weights)


def _count(y, classes, ignore_index, block_info=None):
    """How often each class occurs, with an axis of length 1 for each axis of y."""
    xp = array_module(y)
    live = _live("labels.class_weights", y, classes, ignore_index, _start(block_info)).ravel()
    y, shape = y.ravel(), (*(1,) * y.ndim, classes)
    counts = xp.zeros(classes, dtype=np.int64)
    for first in range(0, y.size, PIECE):
        piece = slice(first, first + PIECE)
        counted = y[piece][live[piece]].astype(np.intp)
        if counted.size:  # CuPy's bincount takes no empty array
            counts += xp.bincount(counted, minlength=classes)
    return counts.reshape(shape)


# --- arguments -----------------------------------------------------------------------------------------------------


def _start(block_info):
    """Where a block begins in its Dask array; nothing for an array that is no block."""
    return tuple(first for first, _ in block_info[0]["array-location"]) if block_info else ()


def integers(where: str, y: Any, kinds: str = "iub") -> Any:
    """An array of labels."""
    y = plain(where, "y", y)
    if y.dtype.kind not in kinds:
        hint = "y.astype(int)" if y.dtype.kind == "f" else ""
        raise DomainError(where, "y", "must hold integers", y.dtype, hint=hint)
    return y


def floats(where: str, name: str, array: Any) -> Any:
    """An array of one of the three dtypes that the package computes with."""
    array = plain(where, name, array)
    if array.dtype.newbyteorder("=") not in WORKING:
        raise DomainError(where, name, FLOATS, array.dtype, hint=f"{name}.astype(np.float32)")
    return array


def dtype_of(where: str, dtype: Any, fits: Callable[[np.dtype], bool], rule: str) -> np.dtype:
    """The dtype that a result shall have, if it fits."""
    try:
        found = None if dtype is None else np.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found is None or not fits(found):
        raise DomainError(where, "dtype", f"must be {rule}", dtype)
    return found


def _is_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _check_classes(where, classes, ignore_index):
    if not _is_integer(classes) or classes < 1:
        raise DomainError(where, "classes", "must be a positive integer", classes)
    if classes > MOST:
        raise DomainError(where, "classes", f"must be at most {MOST}", classes)
    if ignore_index is None:
        return
    if not _is_integer(ignore_index):
        raise DomainError(where, "ignore_index", "must be an integer or None", ignore_index)
    if not -(2**63) <= ignore_index < 2**64:
        raise DomainError(where, "ignore_index", "must be a 64-bit integer", ignore_index)


def _check_axis(where, name, shape, axes, axis):
    """The axis as a number that is not negative, of an array with so many axes."""
    if not axes:
        raise ShapeError(where, name, "must have a class axis", shape, said=f"shape {shape}")
    if not _is_integer(axis) or not -axes <= axis < axes:
        rule = f"must be in {-axes}..{axes - 1} for {name} of shape {shape}"
        raise ShapeError(where, "axis", rule, axis)
    return int(axis) % axes


def _live(where, y, classes, ignore_index, start):
    """Where y is a class that counts; a label that is neither a class nor ignored is refused."""
    xp = array_module(y)  # numbers that may not fit the dtype of y are compared as arrays
    live = (y >= 0) & (y < xp.asarray(classes))
    rule = f"must be a class index in 0..{classes - 1}"
    if ignore_index is None:
        refuse(where, "y", rule, y, ~live, start)
        return live
    counted = y != xp.asarray(ignore_index)
    refuse(where, "y", f"{rule} or ignore_index={ignore_index}", y, counted & ~live, start)
    return live & counted
