"""Formats of boxes: their corners from other numbers, and the chain rule back to those."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossbook.arrays import quiet, rounded
from lossbook.errors import DomainError
from lossbook.evaluation.request import Request
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


def of_format(
    evaluation: Any, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request
) -> tuple[Any, Any]:
    """What the evaluation of a loss of boxes gives for those in another format: from their corners, in float64."""
    _, call, slope, setting = evaluation.prepare(arrays, keywords, request)
    xp, axis = call.xp, call.layout.axis
    corners = [to_corners(xp, array, axis, setting.format) for array in (call.z, call.y) if array is not None]
    try:
        result, g = evaluation(corners, {**keywords, "format": "xyxy"}, replace(request, out=None))
    except DomainError as error:
        named: dict[Any, Any] = dict(zip(evaluation.arguments.names, (call.z, call.y), strict=False))
        given = named.get(error.argument)
        if given is None:
            raise
        box = call.to_host(xp.moveaxis(given, axis, -1)[error.index]).tolist()
        rule = f"must be a box ({', '.join(COMPONENTS[setting.format])}) with w >= 0 and h >= 0"
        raise error.changed(rule=rule, found=tuple(box), said=str(tuple(box))) from None
    if slope is not None:
        slope[...] = rounded(along_format(xp, g, axis, setting.format), slope.dtype)
    if request.value and not request.partial:
        result = rounded(result, call.z.dtype) if setting.reduction == "none" else call.number(result)
    return result, slope
