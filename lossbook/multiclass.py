"""Multiclass losses: one row of scores and one class, or one distribution, per row (section 1.1.1.3 of the notes)."""

from lossbook import binary
from lossbook.domains import Classes, Exponent, Fraction, Logit, LogProbability, NonNegative, Probability
from lossbook.loss import loss
from lossbook.words import classes, kl_div, log, log_odds, minus_largest, sum_classes

__all__ = [
    "cross_entropy", "cross_entropy_with_logits", "focal", "focal_with_logits", "kullback_leibler",
    "negative_log_likelihood", "perceptron",
]  # fmt: skip


@loss(source="Fisher 1922, On the Mathematical Foundations of Theoretical Statistics", properties={"minimum": 0})
def negative_log_likelihood(x: LogProbability, y: Classes):
    """Minus the log-probability of the truth; class weights multiply it, and divide the mean."""
    return sum_classes(-y * x)


@loss(
    source="Shannon 1948, A Mathematical Theory of Communication, section 6, as a cost per class",
    properties={"minimum": 0, "convex": True},
)
def cross_entropy(p: Probability, y: Classes):
    """Cost in nats of the probabilities p of a row when the truth is y; infinite for a sure mistake.

    The rows of p should sum to 1; that is not checked, and nothing is renormalized or clipped.
    """
    return sum_classes(-y * log(p))


@loss(
    source="Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, CVPR, section 7",
    properties={"minimum": 0, "convex": True},
)
def cross_entropy_with_logits(z: Logit, y: Classes, *, smoothing: Fraction = 0.0):
    """Cost in nats of the probabilities softmax(z) when the truth is y.

    Every class is a binary question: its log-odds are a logit, and softplus(-log_odds(z)) is its cross-entropy. A row
    that is right and sure keeps all its digits, where logsumexp(z) - z[y] would give 0.
    `smoothing` mixes the target with the uniform distribution. Class weights multiply the cost of each class; the mean
    divides by the sum of the weights of the targets.
    """
    target = (1 - smoothing) * y + smoothing / classes
    return sum_classes(target * binary.cross_entropy_with_logits.of(log_odds(z), 1))


@loss(
    source="Kullback and Leibler 1951, On Information and Sufficiency, Annals of Mathematical Statistics 22(1), 79-86",
    properties={"minimum": 0, "convex": True},
)
def kullback_leibler(p: Probability, y: Classes):
    """D(y || p): the sum of y*log(y/p) - y + p, whose terms are never negative, so that nothing cancels near y = p.

    The rows of p and y should sum to 1; then -y + p adds up to 0 and the slope along p is that of y*log(y/p) but for a
    constant, which a softmax in front does not see.
    """
    return sum_classes(kl_div(y, p, y - p))


@loss(
    source="Lin, Goyal, Girshick, He and Dollar 2017, Focal Loss for Dense Object Detection, ICCV, equation 5",
    properties={"minimum": 0},
)
def focal(p: Probability, y: Classes, *, gamma: Exponent = 2.0, alpha: NonNegative = 0.25):
    """Cross-entropy of probabilities with the easy rows turned down: (1 - p)**gamma is small where p is right.

    alpha scales all classes alike; weights per class are `class_weight`.
    """
    return sum_classes(y * binary.focal.of(p, 1, gamma=gamma, alpha=alpha))


@loss(
    source="Lin, Goyal, Girshick, He and Dollar 2017, Focal Loss for Dense Object Detection, ICCV, equation 5",
    properties={"minimum": 0},
)
def focal_with_logits(z: Logit, y: Classes, *, gamma: Exponent = 2.0, alpha: NonNegative = 0.25):
    """Cross-entropy of softmax(z) with the easy rows turned down: the binary focal loss of the log-odds.

    alpha scales all classes alike; weights per class are `class_weight`. A large gamma or alpha magnifies the rounding
    of the log-odds: with gamma above 10 or alpha above 1, float32 is computed in float64, and float64 may err by up to
    4 times the promise.
    """
    return sum_classes(y * binary.focal_with_logits.of(log_odds(z), 1, gamma=gamma, alpha=alpha))


@loss(
    source="Crammer and Singer 2003, Ultraconservative Online Algorithms for Multiclass Problems, "
    "JMLR 3, 951-991; for two classes Rosenblatt 1958",
    properties={"minimum": 0, "convex": True},
)
def perceptron(z: Logit, y: Classes):
    """The largest score less that of the truth: what remains of cross-entropy without its normalizer.

    Equal scores cost nothing whatever the truth, so it does not replace cross-entropy. Its slope is 1 at the largest
    score (shared equally by scores that tie) less the truth.
    """
    return sum_classes(-y * minus_largest(z))
