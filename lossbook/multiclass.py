"""Multiclass losses: one row of logits and one class, or one distribution, per row (section 1.1.1.3 of the notes)."""

from lossbook.domains import Classes, Fraction, Logit
from lossbook.loss import loss
from lossbook.words import across, classes, margin, softplus

__all__ = ["cross_entropy_with_logits"]


@loss(
    source="Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, CVPR, section 7",
    properties={"minimum": 0, "convex": True},
)
def cross_entropy_with_logits(z: Logit, y: Classes, *, smoothing: Fraction = 0.0):
    """Cost in nats of the probabilities softmax(z) when the truth is y.

    Every class is a binary question: its margin over all the others is a logit, and softplus(-margin) is its
    cross-entropy. A row that is right and sure keeps all its digits, where logsumexp(z) - z[y] would give 0.
    `smoothing` mixes the target with the uniform distribution. Class weights multiply the cost of each class; the mean
    divides by the sum of the weights of the targets.
    """
    target = (1 - smoothing) * y + smoothing / classes
    return across(target * softplus(-margin(z)))
