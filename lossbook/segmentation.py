"""Segmentation losses: probabilities of shape (N, C, *space) against masks (section 1.1.3 of the notes)."""

from lossbook import multiclass
from lossbook.distance import boundary, hausdorff, hausdorff_distance
from lossbook.domains import Classes, Flag, Fraction, Logit, NonNegative, Positive, Probability
from lossbook.loss import loss
from lossbook.weight_maps import edge_weights
from lossbook.words import less, let, log, log1p, maximum, minimum, power, reciprocal, share, sum_pixels

__all__ = [
    "balanced_cross_entropy", "boundary", "cross_entropy", "cross_entropy_with_logits", "dice", "edge_weights",
    "focal_tversky", "hausdorff", "hausdorff_distance", "jaccard", "sensitivity_specificity", "tversky",
]  # fmt: skip


# --- one loss per pixel --------------------------------------------------------------------------------------------


@loss(
    source="Long et al. 2015, Fully Convolutional Networks, CVPR; weights: Ronneberger et al. 2015, U-Net, MICCAI",
    properties={"minimum": 0},
)
def cross_entropy(p: Probability, y: Classes):
    """Cost in nats of the probabilities of a pixel's classes; `weight` is a map of pixel weights."""
    return multiclass.cross_entropy.of(p, y)


@loss(
    source="Long et al. 2015, Fully Convolutional Networks, CVPR; weights: Ronneberger et al. 2015, U-Net, MICCAI",
    properties={"minimum": 0, "convex": True},
)
def cross_entropy_with_logits(z: Logit, y: Classes, *, smoothing: Fraction = 0.0):
    """Cost in nats of softmax(z) over the classes of a pixel; `weight` is a map of pixel weights."""
    return multiclass.cross_entropy_with_logits.of(z, y, smoothing=smoothing)


# --- one loss per image and class ----------------------------------------------------------------------------------


@loss(
    source="Xie and Tu 2015, Holistically-Nested Edge Detection, ICCV, equation 2, averaged over the pixels",
    properties={"minimum": 0},
)
def balanced_cross_entropy(p: Probability, y: Classes, *, floor: Fraction = 0.0):
    """Binary cross-entropy in which foreground and background weigh the same, whatever their areas.

    The foreground is weighted with the share of the background in its image and class, and the reverse. An empty mask
    therefore costs nothing whatever is predicted; `floor` keeps both weights in [floor, 1 - floor], for floor <= 1/2.
    """
    positives, negatives = let(positives=sum_pixels(y)), let(negatives=sum_pixels(1 - y))
    missed, invented = let(missed=sum_pixels(-y * log(p))), let(invented=sum_pixels(-(1 - y) * log1p(-p)))
    pixels = positives + negatives
    balance = let(balance=minimum(maximum(share(negatives, positives), floor), 1 - floor))
    counter = let(counter=minimum(maximum(share(positives, negatives), floor), 1 - floor))
    return (balance * missed + counter * invented) * reciprocal(pixels)


def _overlap(p, y, alpha=1, beta=1, squared=False):
    """(errors, overlap): alpha*FP + beta*FN, and TP, as sums of terms that are never negative."""
    errors = let(errors=sum_pixels((y - p) ** 2 if squared else alpha * p * (1 - y) + beta * y * (1 - p)))
    return errors, let(overlap=sum_pixels(p * y))


@loss(
    source="Milletari, Navab and Ahmadi 2016, V-Net, 3DV, section 3 (squared=True); linear sums are the usual variant",
    properties={"minimum": 0},
)
def dice(p: Probability, y: Classes, *, smooth: NonNegative = 1.0, squared: Flag = False):
    """One minus the Dice overlap of each image and class, written as errors/(errors + 2*overlap + smooth).

    Nothing is subtracted, so digits survive near a perfect match. A class that is absent and not predicted costs 0; one
    that is predicted but absent costs 1 if smooth is 0. `squared` takes the sum of squared differences as the errors,
    which makes p = y the only minimum for soft labels, too.
    """
    errors, overlap = _overlap(p, y, squared=squared)
    return share(errors, 2 * overlap + smooth)


@loss(
    source="Jaccard 1901; as a loss: Rahman and Wang 2016, Optimizing Intersection-Over-Union, ISVC",
    properties={"minimum": 0},
)
def jaccard(p: Probability, y: Classes, *, smooth: NonNegative = 1.0):
    """One minus intersection over union of each image and class, written as errors/(errors + overlap + smooth)."""
    errors, overlap = _overlap(p, y)
    return share(errors, overlap + smooth)


@loss(
    source="Tversky 1977; as a loss: Salehi, Erdogmus and Gholipour 2017, MLMI, arXiv:1706.05721",
    properties={"minimum": 0},
)
def tversky(
    p: Probability, y: Classes, *, alpha: NonNegative = 0.5, beta: NonNegative = 0.5, smooth: NonNegative = 1.0
):
    """One minus the Tversky index: alpha weights the false positives, beta the false negatives.

    alpha = beta = 1/2 is Dice (with half its smooth), alpha = beta = 1 is Jaccard.
    """
    errors, overlap = _overlap(p, y, alpha, beta)
    return share(errors, overlap + smooth)


@loss(
    source="Abraham and Khan 2019, A Novel Focal Tversky Loss Function, ISBI, equation 4",
    properties={"minimum": 0},
)
def focal_tversky(
    p: Probability, y: Classes, *,
    alpha: NonNegative = 0.3, beta: NonNegative = 0.7, gamma: Positive = 4 / 3, smooth: NonNegative = 1.0,
):  # fmt: skip
    """The Tversky loss of each image and class, raised to the power 1/gamma.

    alpha weights the false positives, beta the false negatives. gamma above 1 steepens the slope of what is nearly
    solved; at a perfect match, where that slope would be infinite, it is 0.
    """
    errors, overlap = _overlap(p, y, alpha, beta)
    return power(share(errors, overlap + smooth), 1 / gamma)


@loss(
    source="Brosch, Yoo, Tang, Li, Traboulsee and Tam 2015, Deep Convolutional Encoder Networks, MICCAI, equation 3",
    properties={"minimum": 0},
)
def sensitivity_specificity(p: Probability, y: Classes, *, ratio: Fraction = 0.05):
    """Mean squared error on the foreground, weighted with ratio, plus that on the background, with 1 - ratio.

    Where an image has no foreground (or no background) of a class, the other term counts alone.
    """
    positives, negatives = let(positives=sum_pixels(y)), let(negatives=sum_pixels(1 - y))
    missed, invented = let(missed=sum_pixels(y * (y - p) ** 2)), let(invented=sum_pixels((1 - y) * (y - p) ** 2))
    first, second = ratio * less(0, positives), (1 - ratio) * less(0, negatives)
    both = first * missed * reciprocal(positives) + second * invented * reciprocal(negatives)
    return both * reciprocal(first + second)
