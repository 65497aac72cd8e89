"""The end of the loss of regions: of their class, box and mask."""

import numpy as xp

from .joined import coordinates, ended, ones
from .kernel import PART_1, PART_2, PART_3
from .torch import counting, floats

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def compute(arrays, parameters, reduction="mean", weight=None):
    """The costs of the class, and where there is an object of the box and of the mask of the true class."""
    (scores, boxes, masks, classes, targets, true_masks), (beta,) = arrays, parameters
    dtype, scores, boxes, masks = scores, floats(scores), floats(boxes), floats(masks)
    weight = ones(classes, scores, weight)
    there = xp.where(classes > 0, weight, 0.0)
    true = masks[counting(len(classes), classes), xp.where(there != 0, classes, 0)]
    grid = max(masks.shape[2] * masks.shape[3], 1)
    pixels = xp.broadcast_to(floats(there, masks)[:, None, None], true.shape)
    of_class = PART_1(scores, classes, weight=weight, reduction="none")
    of_box = PART_2(boxes, targets, beta=beta, weight=coordinates(floats(there, boxes)), reduction="none")
    of_mask = PART_3(true, floats(true_masks, masks), weight=pixels, reduction="none")
    if reduction == "none":
        return floats(of_class + xp.sum(of_box, -1) + xp.sum(of_mask, (1, 2)) / grid, dtype)
    count = xp.sum(weight)
    return floats(ended([(1, of_class, count), (1, of_box, count), (1 / grid, of_mask, count)], reduction), dtype)
