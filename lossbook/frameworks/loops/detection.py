"""The end of the loss of classes and boxes of proposals."""

import numpy as xp

from .joined import coordinates, ended, kept, ones
from .kernel import PART_1, PART_2
from .torch import floats

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def compute(arrays, parameters, reduction="mean", weight=None):
    """alpha times the cost of the class plus 1 - alpha times that of the box, which counts where there is an object."""
    (scores, boxes, classes, targets), (alpha, beta) = arrays, parameters
    dtype, scores, boxes = scores, floats(scores), floats(boxes)
    weight = ones(classes, scores, weight)
    boxed = coordinates(floats(xp.where(classes > 0, weight, 0.0), boxes))
    of_class = PART_1(scores, classes, weight=kept(weight, alpha), reduction="none")
    of_box = PART_2(boxes, targets, beta=beta, weight=kept(boxed, 1 - alpha), reduction="none")
    if reduction == "none":
        return floats(alpha * of_class + (1 - alpha) * xp.sum(of_box, -1), dtype)
    count = xp.sum(weight)
    return floats(ended([(alpha, of_class, count), (1 - alpha, of_box, count)], reduction), dtype)
