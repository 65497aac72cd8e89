"""The end of the loss of a discriminator."""

from .kernel import PART_1, PART_2
from .torch import floats

# --- below this line: part of a kernel -------------------------------------------------------------------------------


def compute(arrays, parameters, reduction="mean", weight=None):
    """The cost of real data, and minus what the generator wants of made data; `weight` is a pair, or None."""
    (real, fake), (of_real, of_fake) = arrays, (None, None) if weight is None else weight
    costs = PART_1(floats(real), weight=of_real, reduction=reduction)
    gains = PART_2(floats(fake), weight=of_fake, reduction=reduction)
    return (floats(costs, real), floats(-gains, fake)) if reduction == "none" else floats(costs - gains, real)
