"""Segmentation losses: probabilities of shape (N, C, *space) against masks (section 1.1.3 of the notes)."""

from lossbook.domains import Classes, Flag, NonNegative, Probability
from lossbook.loss import loss
from lossbook.words import let, share, total

__all__ = ["dice"]


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
    overlap = let(overlap=total(p * y))
    errors = let(errors=total((y - p) ** 2) if squared else total(p * (1 - y) + y * (1 - p)))
    return share(errors, 2 * overlap + smooth)
