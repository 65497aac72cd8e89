"""The end of the loss of a region proposal network."""

import numpy as xp

from .joined import coordinates, ended, kept, ones
from .kernel import PART_1, PART_2
from .torch import floats

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def compute(arrays, parameters, reduction="mean", weight=None):
    """Objectness of the sampled anchors, of label 0 or 1, and boxes of those of label 1, each over its norm."""
    (scores, boxes, labels, targets), (box_weight, cls_norm, box_norm, beta) = arrays, parameters
    dtype, scores, boxes = scores, floats(scores), floats(boxes)
    weight = ones(labels, scores, weight)
    sampled, positive = xp.where(labels >= 0, weight, 0.0), labels == 1
    boxed = coordinates(floats(xp.where(positive, weight, 0.0), boxes))
    of_class = PART_1(scores, floats(positive, scores), weight=sampled, reduction="none")
    of_box = PART_2(boxes, targets, beta=beta, weight=kept(boxed, box_weight), reduction="none")
    if reduction == "none":
        return floats(of_class + box_weight * xp.sum(of_box, -1), dtype)
    count = xp.sum(sampled)
    return floats(ended([(1, of_class, cls_norm or count), (box_weight, of_box, box_norm or count)], reduction), dtype)
