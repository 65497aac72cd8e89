"""Binary losses: one probability or one logit, and one label, per element (section 1.1.1.2 of the notes)."""

from lossbook.domains import Exponent, Fraction, Label, Logit, NonNegative, Probability, Sign
from lossbook.loss import loss
from lossbook.words import log, log1p, sigmoid, softplus

__all__ = ["cross_entropy", "cross_entropy_with_logits", "focal", "focal_with_logits", "soft_margin"]


@loss(
    source="Cox 1958, Journal of the Royal Statistical Society B 20(2), 215-242: the negative log-likelihood",
    properties={"minimum": 0, "convex": True},
)
def cross_entropy(p: Probability, y: Label, *, pos_weight: NonNegative = 1.0):
    """Cost in nats of the probability p when the truth is y; infinite for a sure mistake.

    `pos_weight` multiplies the cost of the positives; N_negative/N_positive balances the classes.
    """
    return -pos_weight * y * log(p) - (1 - y) * log1p(-p)


@loss(
    source="Cox 1958, Journal of the Royal Statistical Society B 20(2), 215-242, with the sigmoid inside",
    properties={"minimum": 0, "convex": True},
)
def cross_entropy_with_logits(z: Logit, y: Label, *, pos_weight: NonNegative = 1.0):
    """Cost in nats of the probability sigmoid(z) when the truth is y.

    Two terms that are never negative, so nothing cancels: a label of 1 pays softplus(-z), a label of 0 pays
    softplus(z). `pos_weight` multiplies the cost of the positives; N_negative/N_positive balances the classes.
    """
    return pos_weight * y * softplus(-z) + (1 - y) * softplus(z)


@loss(
    source="Lin, Goyal, Girshick, He and Dollar 2017, Focal Loss for Dense Object Detection, ICCV, equation 5",
    properties={"minimum": 0},
)
def focal(p: Probability, y: Label, *, gamma: Exponent = 2.0, alpha: Fraction = 0.25):
    """Cross-entropy with the easy examples turned down: (1 - p)**gamma is small where p is already right.

    gamma = 0 and alpha = 1/2 give half the cross-entropy. For 0 < gamma < 1 the slope at a perfect prediction is its
    limit, 0.
    """
    return -alpha * y * (1 - p) ** gamma * log(p) - (1 - alpha) * (1 - y) * p**gamma * log1p(-p)


@loss(
    source="Lin, Goyal, Girshick, He and Dollar 2017, Focal Loss for Dense Object Detection, ICCV, equation 5",
    properties={"minimum": 0},
)
def focal_with_logits(z: Logit, y: Label, *, gamma: Exponent = 2.0, alpha: Fraction = 0.25):
    """Cross-entropy of sigmoid(z) with the easy examples turned down.

    gamma = 0 and alpha = 1/2 give half the cross-entropy. Soft labels mix the costs of the two answers.
    """
    positive = sigmoid(-z) ** gamma * softplus(-z)
    negative = sigmoid(z) ** gamma * softplus(z)
    return alpha * y * positive + (1 - alpha) * (1 - y) * negative


@loss(
    source="the negative log-likelihood of a logit under labels -1 and 1; PyTorch calls it SoftMarginLoss",
    properties={"minimum": 0, "convex": True},
)
def soft_margin(z: Logit, y: Sign):
    """Cost in nats of the logit z when the label y is -1 or 1: cross-entropy with labels -1 and 1."""
    return softplus(-y * z)
