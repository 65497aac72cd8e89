"""Formats of boxes: their corners from other numbers, and the chain rule back to those."""

from typing import Any

import numpy as np

from lossbook.arrays import quiet
from lossbook.typing import Format

COMPONENTS = {"xyxy": ("x1", "y1", "x2", "y2"), "xywh": ("x", "y", "w", "h"), "cxcywh": ("cx", "cy", "w", "h")}


def to_corners(xp: Any, boxes: Any, axis: int, format: Format) -> Any:
    """The corners of boxes along an axis, in float64."""
    result = boxes.astype(np.float64)
    numbers = xp.moveaxis(result, axis, -1)
    place, size = numbers[..., :2].copy(), numbers[..., 2:].copy()
    with quiet():
        low = place if format == "xywh" else place - size / 2
        numbers[..., :2] = low
        numbers[..., 2:] = place + (size if format == "xywh" else size / 2)
    return result


def along_format(xp: Any, slopes: Any, axis: int, format: Format) -> Any:
    """The slopes along the numbers of boxes, in place of those along their corners."""
    numbers = xp.moveaxis(slopes, axis, -1)
    low, high = numbers[..., :2].copy(), numbers[..., 2:].copy()
    with quiet():
        numbers[..., :2] = low + high
        numbers[..., 2:] = high if format == "xywh" else (high - low) / 2
    return slopes
