"""Multilabel losses: one yes-or-no question per class, several of which may be true (section 1.1.1.3 of the notes)."""

from lossbook import binary
from lossbook.domains import Exponent, Fraction, Label, Logit, NonNegative
from lossbook.loss import loss
from lossbook.words import classes, sum_classes

__all__ = ["cross_entropy_with_logits", "focal_with_logits", "soft_margin"]


@loss(source="binary.cross_entropy_with_logits, once per class", properties={"minimum": 0, "convex": True})
def cross_entropy_with_logits(z: Logit, y: Label, *, pos_weight: NonNegative = 1.0):
    """Binary cross-entropy of every class on its own; the mean is over classes and rows alike."""
    return binary.cross_entropy_with_logits.of(z, y, pos_weight=pos_weight)


@loss(source="binary.focal_with_logits, once per class", properties={"minimum": 0})
def focal_with_logits(z: Logit, y: Label, *, gamma: Exponent = 2.0, alpha: Fraction = 0.25):
    """Binary focal loss of every class on its own; the mean is over classes and rows alike."""
    return binary.focal_with_logits.of(z, y, gamma=gamma, alpha=alpha)


@loss(source="PyTorch calls it MultiLabelSoftMarginLoss", properties={"minimum": 0, "convex": True})
def soft_margin(z: Logit, y: Label):
    """Binary cross-entropy averaged over the classes of a row: one value per row."""
    return sum_classes(binary.cross_entropy_with_logits.of(z, y, pos_weight=1) / classes)
