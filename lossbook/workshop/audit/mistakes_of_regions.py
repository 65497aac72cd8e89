"""Mistakes of losses of masks and of boxes."""

from collections.abc import Callable

import numpy as np

from lossbook.workshop.audit.cases import Case, Losses, Mistake, sigmoid

# --- masks -----------------------------------------------------------------------------------------------------------


def overlap(case: Case) -> tuple[np.ndarray, ...]:
    """(overlap, predicted area, true area, smooth) of every image and class."""
    p, y = case.probabilities, case.hot
    both, predicted, true = (part.reshape(*part.shape[:2], -1).sum(axis=2) for part in (p * y, p, y))
    return both, predicted, true, np.asarray(case.parameter("smooth", 0.0))


def quotient(case: Case, above: Callable[..., np.ndarray], below: Callable[..., np.ndarray]) -> Losses:
    """One minus a quotient of areas."""
    parts = overlap(case)
    return 1 - above(*parts) / below(*parts)


OF_DICE = (
    Mistake("factor 2 missing", "The factor 2 of the overlap is missing: a perfect prediction still costs 1/2.",
            lambda c: quotient(c, lambda i, p, y, s: i + s, lambda i, p, y, s: p + y + s)),
    Mistake("denominator of another loss", "It divides twice the overlap by the union, where the sum of the areas "
            "belongs.",
            lambda c: quotient(c, lambda i, p, y, s: 2 * i + s, lambda i, p, y, s: p + y - i + s)),
    Mistake("smooth below only", "Its constant stands below the bar alone: a perfect prediction does not cost 0.",
            lambda c: quotient(c, lambda i, p, y, s: 2 * i, lambda i, p, y, s: p + y + s)),
    Mistake("smooth above only", "Its constant stands above the bar alone.",
            lambda c: quotient(c, lambda i, p, y, s: 2 * i + s, lambda i, p, y, s: p + y)),
)
OF_JACCARD = (
    Mistake("overlap counted twice", "Its union does not subtract the overlap, which both areas contain.",
            lambda c: quotient(c, lambda i, p, y, s: i + s, lambda i, p, y, s: p + y + s)),
    Mistake("factor 2 too many", "It doubles the overlap, which belongs to Dice.",
            lambda c: quotient(c, lambda i, p, y, s: 2 * i + s, lambda i, p, y, s: p + y - i + s)),
    Mistake("smooth below only", "Its constant stands below the bar alone: a perfect prediction does not cost 0.",
            lambda c: quotient(c, lambda i, p, y, s: i, lambda i, p, y, s: p + y - i + s)),
)
OF_MASKS = (
    Mistake("prediction rounded", "It rounds the prediction to 0 or 1 (argmax or a threshold), so its slope is 0.",
            lambda c: c.meant((c.probabilities > 0.5).astype(float))),
    Mistake("wrong axis", "It sums over the last axis alone, so every line of an image is scored on its own.",
            lambda c: c.meant(lines(c.prediction), lines(c.target))),
    Mistake("wrong axis", "It sums over the classes, not over the pixels.",
            lambda c: c.meant(*(np.moveaxis(part.reshape(*part.shape[:2], -1), 1, 2)
                                for part in (c.prediction, c.target)))),
    Mistake("sigmoid twice", "The sigmoid is applied to probabilities, so no prediction is below 1/2.",
            lambda c: c.meant(sigmoid(c.prediction))),
    Mistake("background counted", "It scores the background: it uses 1 - p and 1 - y.",
            lambda c: c.meant(1 - c.prediction, 1 - c.target)),
    Mistake("target ignored", "It compares the prediction with itself.", lambda c: c.meant(c.prediction, c.prediction)),
)


def lines(array: np.ndarray) -> np.ndarray:
    """The lines of images as images."""
    return array.reshape(len(array), -1, array.shape[-1])

# --- boxes -----------------------------------------------------------------------------------------------------------


def boxes(case: Case, clipped: bool = True, pixel: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(area of the overlap, sum of the areas)"""
    p, t = case.prediction, case.target
    sides = np.minimum(p[:, 2:], t[:, 2:]) - np.maximum(p[:, :2], t[:, :2]) + pixel
    own, true = (np.prod(box[:, 2:] - box[:, :2] + pixel, axis=1) for box in (p, t))
    return np.prod(np.maximum(sides, 0) if clipped else sides, axis=1), own + true


def iou_with(both: np.ndarray, areas: np.ndarray) -> Losses:
    """One minus overlap over union."""
    return 1 - both / (areas - both)


OF_BOXES = (
    Mistake("overlap not clipped", "The sides of the overlap are not kept at 0 or above, so boxes that are apart along "
            "both axes seem to overlap.",
            lambda c: iou_with(*boxes(c, clipped=False))),
    Mistake("overlap counted twice", "The union is the sum of both areas, without subtracting the overlap.",
            lambda c: 1 - boxes(c)[0] / boxes(c)[1]),
    Mistake("boxes of whole pixels", "It adds 1 to every side: it takes corners as whole pixels, both included.",
            lambda c: iou_with(*boxes(c, pixel=1.0)), "convention"),
)
