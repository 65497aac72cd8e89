"""Figures made from losses: curves, figures with sliders that compute in the reader's browser, and the float32 cliff.

    curves(binary.focal_with_logits, vary={"gamma": [0, 1, 2, 5]})     loss and gradient, side by side
    slider(binary.focal_with_logits, "gamma", 0, 5, start=2)           the same, with one parameter to drag
    cliff(binary.cross_entropy_with_logits, naive)                     errors in float32, in units of the last place

What can be dragged, each with a `question` to answer first:

    answer        a logit                   code_lengths  two probabilities     scores       the scores of classes
    smoothing     the smoothing of labels   fit           an outlier, delta     descent      the step length
    weighted      the weight of a class     threshold     that of a classifier  price        that of a miss
    discs         a mask                    rare_pixels   the share of a class  boxes        a predicted box
    anchors       thresholds of overlap     likelihood    a middle, a spread    bits         those of a number

Each slider reaches its start: where a start lies beyond the ends, they are widened.

Every number comes from the loss itself: Python's from its kernels, the browser's from JavaScript that is printed from
its formula (`javascript` shows it). matplotlib is imported when something is drawn, not before.
"""

# The functions hide the modules of the same names.
from lossbook.figures.answers import answer, code_lengths
from lossbook.figures.bits import bits
from lossbook.figures.boxes import anchors, boxes
from lossbook.figures.cliff import cliff
from lossbook.figures.curves import curves
from lossbook.figures.descent import descent
from lossbook.figures.fits import fit, weighted
from lossbook.figures.likelihood import likelihood
from lossbook.figures.masks import discs, rare_pixels
from lossbook.figures.scores import scores, smoothing
from lossbook.figures.slider import slider
from lossbook.figures.stage import Slider, javascript
from lossbook.figures.style import COLORS, style
from lossbook.figures.thresholds import price, threshold

__all__ = [
    "COLORS", "Slider", "anchors", "answer", "bits", "boxes", "cliff", "code_lengths", "curves", "descent", "discs",
    "fit", "javascript", "likelihood", "price", "rare_pixels", "scores", "slider", "smoothing", "style", "threshold",
    "weighted",
]  # fmt: skip
