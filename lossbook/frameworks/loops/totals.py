"""Losses of totals: sums over the pixels of each image and class, and a function of them."""

import numpy as xp

from .kernel import HARMLESS, INPUTS, element, finish
from .reduce import kept, reduced, times, without
from .standing import shares
from .torch import asarray, counting, floats, last

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def compute(
    arrays, parameters, reduction="mean", weight=None, class_weight=None, ignore_index=None, axis=1, batch=False
):
    """The loss of images and classes: of each, their sum or their mean.

    The weights are one per image, one per pixel, or one per pixel and class.
    """
    dtype, z = arrays[0], last(floats(arrays[0]), axis)
    y, classes = arrays[1], z.shape[-1]
    pixel = image = None
    if weight is not None and weight.ndim == 1 and z.ndim != 2:
        image = floats(weight, z)
    elif weight is not None:
        pixel = floats(weight, z)
        pixel = last(pixel, axis) if pixel.ndim == z.ndim else pixel[..., None]
    if y.ndim < z.ndim:
        if ignore_index is not None:
            pixel = times(floats(kept(y, ignore_index), z)[..., None], pixel)
        y = floats(y[..., None] == counting(classes, y), z)
    else:
        y = last(floats(y, z), axis)
    each = None if class_weight is None else floats(asarray(class_weight, z), z)
    each = times(None if image is None else image[:, None], each)
    absent = None if pixel is None else xp.broadcast_to(pixel == 0, z.shape)
    removed = absent
    if each is not None:  # a class or an image of weight 0 may hold anything
        none = (each == 0).reshape(*each.shape[:-1], *(1,) * (z.ndim - 2), each.shape[-1])
        removed = xp.broadcast_to(none, z.shape) if absent is None else absent | none
    y = without(removed, y, 0.0)
    if INPUTS:  # under a softmax, where a pixel that is removed for one class counts for the others
        in_all = None if removed is None else xp.sum(xp.where(removed, 0.0, 1.0), -1, keepdims=True) == 0
        log_odds, log_probability, probability, complement = shares(without(in_all, z, HARMLESS))
        known = {"u": log_odds, "probability": probability, "complement": complement}
        terms = element(log_probability, *(known[name] for name in INPUTS), y, *parameters)
    else:
        terms = element(without(removed, z, HARMLESS), y, *parameters)
    if pixel is not None:
        terms = [xp.where(absent, 0.0, pixel * term) for term in terms]
    space = tuple(range(1, z.ndim - 1))
    over = (0, *space) if batch else space
    totals = [xp.sum(term + xp.zeros_like(z), over) if over else term for term in terms]
    (values,) = finish(*totals, *parameters)
    if absent is not None:
        left = xp.sum(xp.where(absent, 0.0, 1.0), over) if over else xp.where(absent, 0.0, 1.0)
        each = times(xp.where(left > 0, xp.ones_like(values), 0.0), each)
    return floats(reduced(values, each, reduction), dtype)
