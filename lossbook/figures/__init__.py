"""Figures made from losses: curves, a slider that computes in the reader's browser, and the float32 cliff.

    curves(binary.focal_with_logits, vary={"gamma": [0, 1, 2, 5]})     loss and gradient, side by side
    slider(binary.focal_with_logits, "gamma", 0, 5, start=2)           the same, with one parameter to drag
    cliff(binary.cross_entropy_with_logits, naive)                     errors in float32, in units of the last place

Every number comes from the loss itself: Python's from its kernels, the browser's from JavaScript that is printed from
its formula (`javascript` shows it). matplotlib is imported when something is drawn, not before.
"""

# The functions hide the modules of the same names.
from lossbook.figures.cliff import cliff
from lossbook.figures.curves import curves
from lossbook.figures.slider import Slider, javascript, slider
from lossbook.figures.style import COLORS, style

__all__ = ["COLORS", "Slider", "cliff", "curves", "javascript", "slider", "style"]
