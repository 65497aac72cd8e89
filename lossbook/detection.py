"""Detection losses: boxes, their overlap, and the sums that detectors train on (section 1.1.4 of the notes).

Boxes are (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2, in pixels, along the last axis. The losses of their overlap
multiply lengths, so that sides and distances must lie between bounds: outside of them areas overflow or underflow,
and values and slopes are wrong, infinite or NaN. Sides of 0 are allowed.

                   float16 and float32         float64
    iou, giou      1e-18 to 1e18 pixels        1e-150 to 1e150 pixels
    diou, ciou     1e-9 to 1e9 pixels          1e-75 to 1e75 pixels
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import sympy

from lossbook import binary, multiclass, regression
from lossbook.boxes import decode_boxes, encode_boxes
from lossbook.checks import check_same, refuse
from lossbook.domains import (
    Box,
    Classes,
    Fraction,
    Label,
    Logit,
    NonNegative,
    Outcome,
    Positive,
    Probability,
    Real,
    TrueBox,
)
from lossbook.errors import DomainError, ShapeError
from lossbook.joined import Joined, Term
from lossbook.loss import loss
from lossbook.words import arctan2, determinant, difference, gap, less, let, maximum, minimum, reciprocal, share, shared

__all__ = [
    "ciou", "decode_boxes", "detection", "detection_with_logits", "diou", "encode_boxes", "faster_rcnn",
    "faster_rcnn_with_logits", "giou", "iou", "mask_rcnn", "mask_rcnn_with_logits",
]  # fmt: skip


# --- overlap of boxes ------------------------------------------------------------------------------------------------
# One minus a ratio of areas is written as the area of what is wrong over the area of everything, from lengths that are
# never negative, so that nothing cancels for boxes that nearly agree. Differences of coordinates are steps of their
# own: SymPy would sort a sum of such differences, and large coordinates would cancel with their digits lost.
#
# The losses have kinks only where edges coincide or touch, that is in the lengths `shared` and `gap`, whose slopes
# there are the means of those on either side; all else is smooth. So the slope of a loss along a coordinate is the
# mean of its own slopes on either side (the one within the domain, where a side is 0).


@dataclass(frozen=True)
class Side:
    """Two intervals, one of each box: the lengths of which all areas are made."""

    name: str
    own: sympy.Expr  # length of the predicted interval
    true: sympy.Expr
    low: sympy.Expr  # how far the lower end of the prediction lies above the true one
    high: sympy.Expr  # the same for the upper end
    both: sympy.Expr  # what they share
    only_own: sympy.Expr
    only_true: sympy.Expr
    gap: sympy.Expr  # between them, if they are apart

    @property
    def covered(self) -> sympy.Expr:
        """What one of them covers."""
        return self.both + self.only_own + self.only_true

    @property
    def apart(self) -> sympy.Expr:
        """0 if and only if the intervals are the same."""
        return self.only_own + self.only_true + self.gap

    @property
    def around(self) -> sympy.Expr:
        """The length of the shortest interval that holds both."""
        return let(**{f"around_{self.name}": self.covered + self.gap})


def _side(name, low, high, true_low, true_high):
    def named(what, length):
        return let(**{f"{what}_{name}": length})

    own, true = named("side", high - low), named("true", true_high - true_low)
    low_shift, high_shift = named("low", low - true_low), named("high", high - true_high)
    both = named("both", shared(low, high, true_low, true_high))
    only_own = minimum(own, maximum(high_shift, 0) + maximum(-low_shift, 0))
    only_true = minimum(true, maximum(-high_shift, 0) + maximum(low_shift, 0))
    return Side(
        name, own, true, low_shift, high_shift, both,
        named("only_own", difference(own, both, only_own)),
        named("only_true", difference(true, both, only_true)),
        named("gap", gap(low, high, true_low, true_high)),
    )  # fmt: skip


def _overlap(p, t):
    """(sides x and y, area of the union, the Jaccard distance: one minus intersection over union)."""
    x, y = _side("x", p[0], p[2], t[0], t[2]), _side("y", p[1], p[3], t[1], t[3])
    overlap = let(overlap=x.both * y.both)
    errors = let(errors=x.only_own * y.own + x.both * y.only_own + x.only_true * y.true + x.both * y.only_true)
    union = let(union=errors + overlap)
    without_area = let(without_area=(1 - less(0, union)) * less(0, let(apart=x.apart + y.apart)))
    return x, y, union, share(errors, overlap) + without_area


@loss(source="Jaccard 1901; as a loss, with a logarithm: Yu et al. 2016, UnitBox", properties={"minimum": 0})
def iou(p: Box, t: TrueBox):
    """One minus intersection over union: 1 for boxes that are apart, and for boxes that differ and have no area.

    Where edges meet, a slope is the mean of those on either side; a side of 0 can only grow. Where the loss jumps, with
    two boxes without area, the slopes are 0.

    Sides and distances lie between 1e-18 and 1e18 pixels in float32, 1e-150 and 1e150 in float64; sides may be 0.
    """
    return _overlap(p, t)[-1]


@loss(
    source="Rezatofighi et al. 2019, Generalized Intersection over Union, CVPR, algorithm 1",
    properties={"minimum": 0},
)
def giou(p: Box, t: TrueBox):
    """One minus IoU, plus the share of the enclosing box that neither box covers: boxes that are apart attract.

    Where edges meet, a slope is the mean of those on either side; a side of 0 can only grow. Where the loss jumps, with
    two boxes without area, the part that jumps adds nothing to the slopes.

    Sides and distances lie between 1e-18 and 1e18 pixels in float32, 1e-150 and 1e150 in float64; sides may be 0.
    """
    x, y, union, distance = _overlap(p, t)
    spare = x.only_own * y.only_true + x.only_true * y.only_own + x.gap * y.around + y.gap * x.covered
    return distance + share(let(spare=spare), union)


def _center_distance(x, y):
    """The squared distance of the centers in units of the squared diagonal of the enclosing box."""
    across, down = let(across=x.low + x.high), let(down=y.low + y.high)  # twice the distance along each axis
    centers = let(centers=(across**2 + down**2) / 4)
    return centers * reciprocal(let(diagonal=x.around**2 + y.around**2))


@loss(source="Zheng et al. 2020, Distance-IoU Loss, AAAI, equation 7", properties={"minimum": 0})
def diou(p: Box, t: TrueBox):
    """One minus IoU, plus the squared distance of the centers over the squared diagonal of the enclosing box.

    Where edges meet, a slope is the mean of those on either side; a side of 0 can only grow. Where the loss jumps, with
    two boxes without area, the part that jumps adds nothing to the slopes.

    Sides and distances lie between 1e-9 and 1e9 pixels in float32, 1e-75 and 1e75 in float64; sides may be 0.
    """
    x, y, _, distance = _overlap(p, t)
    return distance + _center_distance(x, y)


@loss(source="Zheng et al. 2020, Distance-IoU Loss, AAAI, equations 8 to 11", properties={"minimum": 0})
def ciou(p: Box, t: TrueBox):
    """The DIoU loss plus alpha*v, where v compares the aspect ratios and alpha = v/(1 - IoU + v).

    v is 4/pi**2 times the square of the angle between the diagonals, found by one arctangent, so that flat boxes are
    no exception; a point has no diagonal, and its angle counts as 0. The gradient is that of this formula; the authors'
    code holds alpha fixed in it.

    Where edges meet, a slope is the mean of those on either side; a side of 0 can only grow. Where the loss jumps, with
    two boxes without area or a predicted point, the part that jumps adds nothing to the slopes.

    Sides and distances lie between 1e-9 and 1e9 pixels in float32, 1e-75 and 1e75 in float64; sides may be 0.
    """
    x, y, _, distance = _overlap(p, t)
    jaccard = let(jaccard=distance)
    cross, dot = let(cross=determinant(x.true, y.true, x.own, y.own)), let(dot=x.true * x.own + y.true * y.own)
    angle = let(angle=arctan2(cross, dot))
    v = let(v=4 / sympy.pi**2 * angle**2)
    return jaccard + _center_distance(x, y) + v * share(v, jaccard)


# --- losses of several predictions -----------------------------------------------------------------------------------


def _fit_weight(loss, weight, shape):
    if weight not in (None, (), shape):
        raise ShapeError(loss.name, "weight", f"must have shape {shape}, one per item", weight)


def _item_weights(loss, weight, labels, low, high, xp):
    """The weights of the items as an array, all 1 if there are none, and their sum.

    Refuses labels that are no whole numbers, and those out of range that count.
    """
    shape, name = labels.shape, loss.declaration.target
    if weight is None:
        given, total = xp.ones(shape), float(labels.size)
    else:
        refuse(loss.name, "weight", "must be >= 0 and finite", weight, ~((weight >= 0) & (weight < np.inf)))
        total = float(weight.sum(dtype=np.float64)) * (labels.size // max(weight.size, 1))
        given = xp.broadcast_to(weight, shape)
    if labels.size and labels.dtype.kind not in "iu":
        raise DomainError(loss.name, name, "must be integers", labels.dtype)
    if labels.size:
        refuse(loss.name, name, f"must be in {low}..{high}", labels, ((labels < low) | (labels > high)) & (given != 0))
    return given, total


class Detection(Joined):
    """alpha times the cost of the class plus 1 - alpha times that of the box, averaged over the proposals.

    scores: class probabilities of shape (N, C), class 0 the background. boxes: (N, 4), encoded (`encode_boxes`).
    classes: integers (N,). targets: (N, 4), encoded. A box counts only where its class is not the background; its cost
    is the sum of smooth L1 over the four coordinates. reduction="none" gives one value per proposal; `weight` is one
    per proposal. Returns a gradient for scores and one for boxes, in order.
    Raises ShapeError, DomainError (both ValueErrors) or BackendError (an ImportError).
    """

    arguments: ClassVar = {
        "scores": Probability, "boxes": Real, "classes": Classes, "targets": Outcome,
        "alpha": Fraction, "beta": Positive,
    }  # fmt: skip
    defaults: ClassVar = {"alpha": 0.5, "beta": 1.0}
    parts = (multiclass.cross_entropy, regression.smooth_l1)
    end = "detection"

    def fit(self, shapes: Sequence[tuple[int, ...]], weight: tuple[int, ...] | None) -> None:
        scores, boxes, classes, targets = shapes
        if len(scores) != 2:
            raise ShapeError(self.name, "scores", "must have shape (N, C)", scores)
        check_same(self.name, "boxes", boxes, (scores[0], 4), "scores have N rows")
        check_same(self.name, "classes", classes, scores[:1], "scores have rows")
        check_same(self.name, "targets", targets, boxes, "boxes has")
        _fit_weight(self, weight, classes)

    def terms(self, arrays: Sequence[Any], weight: Any, parameters: Mapping[str, Any], xp: Any) -> Sequence[Term]:
        scores, _, classes, targets = arrays
        w, count = _item_weights(self, weight, classes, 0, scores.shape[1] - 1, xp)
        of_class, of_box = self.parts
        box = of_box.with_parameters(beta=parameters["beta"])
        alpha = parameters["alpha"]
        return [
            Term(of_class, 0, classes, w, alpha, count),
            Term(box, 1, targets, _spread(w * (classes > 0), 4), 1 - alpha, count),
        ]

    def combined(self, values: Sequence[Any]) -> Any:
        return values[0] + values[1].sum(axis=1)

    @property
    def formula(self) -> Any:
        s = self.symbols()
        foreground = less(0, s["classes"])
        of_class = self.parts[0].formula_of(s["scores"], s["classes"])
        of_box = self.parts[1].formula_of(s["boxes"], s["targets"], beta=s["beta"])
        return s["alpha"] * of_class + (1 - s["alpha"]) * foreground * of_box


class DetectionWithLogits(Detection):
    __doc__ = (Detection.__doc__ or "").replace("class probabilities", "class logits")
    arguments: ClassVar = {**Detection.arguments, "scores": Logit}
    parts = (multiclass.cross_entropy_with_logits, regression.smooth_l1)


def _spread(weight, count):
    """One weight per item as one for each of its coordinates."""
    return weight[..., None].repeat(count, axis=-1)


Norm = replace(Positive, optional=True)


class FasterRCNN(Joined):
    """The loss of a region proposal network: objectness of all sampled anchors, boxes of the positive ones.

    1/cls_norm times the sum of binary cross-entropy, plus box_weight/box_norm times the sum of smooth L1 over the four
    coordinates of the anchors with label 1. scores: probabilities that an anchor holds an object, of any shape. boxes:
    (..., 4), encoded (`encode_boxes`). labels: 1 object, 0 background, -1 not sampled. targets: (..., 4), encoded.
    The defaults are the paper's: cls_norm 256 (the mini-batch), box_norm 2400 (the anchor locations), box_weight 10.
    None as a norm counts the sampled anchors. The authors' released code has box_norm=256, box_weight=1, beta=1/9.

    reduction="mean" is this formula, "sum" leaves the norms out, "none" gives each anchor's part of the sum. `weight`
    is one per anchor. Returns a gradient for scores and one for boxes, in order.
    Raises ShapeError, DomainError (both ValueErrors) or BackendError (an ImportError).
    """

    arguments: ClassVar = {
        "scores": Probability, "boxes": Real, "labels": Label, "targets": Outcome,
        "box_weight": NonNegative, "cls_norm": Norm, "box_norm": Norm, "beta": Positive,
    }  # fmt: skip
    defaults: ClassVar = {"box_weight": 10.0, "cls_norm": 256.0, "box_norm": 2400.0, "beta": 1.0}
    parts = (binary.cross_entropy, regression.smooth_l1)
    end = "faster_rcnn"

    def fit(self, shapes: Sequence[tuple[int, ...]], weight: tuple[int, ...] | None) -> None:
        scores, boxes, labels, targets = shapes
        check_same(self.name, "labels", labels, scores, "scores has")
        check_same(self.name, "boxes", boxes, (*scores, 4), "scores has, and four coordinates")
        check_same(self.name, "targets", targets, boxes, "boxes has")
        _fit_weight(self, weight, labels)

    def terms(self, arrays: Sequence[Any], weight: Any, parameters: Mapping[str, Any], xp: Any) -> Sequence[Term]:
        scores, _, labels, targets = arrays
        w, _ = _item_weights(self, weight, labels, -1, 1, xp)
        sampled, positive = w * (labels >= 0), labels == 1
        count = float(sampled.sum(dtype=np.float64))
        of_class, of_box = self.parts
        box = of_box.with_parameters(beta=parameters["beta"])
        cls_norm, box_norm = parameters["cls_norm"], parameters["box_norm"]
        target = positive.astype(scores.dtype)
        return [
            Term(of_class, 0, target, sampled, 1.0, cls_norm or count, counted=cls_norm is None),
            Term(
                box, 1, targets, _spread(w * positive, 4), parameters["box_weight"], box_norm or count,
                counted=box_norm is None,
            ),
        ]  # fmt: skip

    def combined(self, values: Sequence[Any]) -> Any:
        return values[0] + values[1].sum(axis=-1)

    @property
    def formula(self) -> Any:
        s = self.symbols()
        of_class = self.parts[0].formula_of(s["scores"], s["labels"])
        of_box = self.parts[1].formula_of(s["boxes"], s["targets"], beta=s["beta"])
        return of_class / s["cls_norm"] + s["box_weight"] / s["box_norm"] * s["labels"] * of_box


class FasterRCNNWithLogits(FasterRCNN):
    __doc__ = (FasterRCNN.__doc__ or "").replace("scores: probabilities that", "scores: logits of the claim that")
    arguments: ClassVar = {**FasterRCNN.arguments, "scores": Logit}
    parts = (binary.cross_entropy_with_logits, regression.smooth_l1)


class MaskRCNN(Joined):
    """The loss of a region of interest: class, box and mask, averaged over the regions.

    scores: class probabilities (N, C), class 0 the background. boxes: (N, 4), encoded (`encode_boxes`). masks:
    probabilities (N, C, m, m), one mask per class, of which only that of the true class counts. classes: integers (N,).
    targets: (N, 4), encoded. true_masks: (N, m, m) in [0, 1]. The mask's cost is binary cross-entropy averaged over the
    m x m grid; box and mask count only where the class is not the background. reduction="none" gives one value per
    region; `weight` is one per region. Returns a gradient for scores, boxes and masks, in order.
    Raises ShapeError, DomainError (both ValueErrors) or BackendError (an ImportError).
    """

    arguments: ClassVar = {
        "scores": Probability, "boxes": Real, "masks": Probability,
        "classes": Classes, "targets": Outcome, "true_masks": Label, "beta": Positive,
    }  # fmt: skip
    defaults: ClassVar = {"beta": 1.0}
    parts = (multiclass.cross_entropy, regression.smooth_l1, binary.cross_entropy)
    end = "mask_rcnn"

    def fit(self, shapes: Sequence[tuple[int, ...]], weight: tuple[int, ...] | None) -> None:
        scores, boxes, masks, classes, targets, true_masks = shapes
        if len(scores) != 2:
            raise ShapeError(self.name, "scores", "must have shape (N, C)", scores)
        if len(masks) != 4 or masks[:2] != scores:
            raise ShapeError(self.name, "masks", f"must have shape {(*scores, 'm', 'm')}", masks)
        check_same(self.name, "boxes", boxes, (scores[0], 4), "scores have N rows")
        check_same(self.name, "classes", classes, scores[:1], "scores have rows")
        check_same(self.name, "targets", targets, boxes, "boxes has")
        check_same(self.name, "true_masks", true_masks, (scores[0], *masks[2:]), "masks has")
        _fit_weight(self, weight, classes)

    def terms(self, arrays: Sequence[Any], weight: Any, parameters: Mapping[str, Any], xp: Any) -> Sequence[Term]:
        scores, _, masks, classes, targets, true_masks = arrays
        grid = masks.shape[2] * masks.shape[3]
        w, count = _item_weights(self, weight, classes, 0, scores.shape[1] - 1, xp)
        of_class, of_box, of_mask = self.parts
        box = of_box.with_parameters(beta=parameters["beta"])
        foreground = w * (classes > 0)
        pixels = _spread(foreground, grid).reshape(true_masks.shape)
        true = xp.arange(len(classes)), xp.where(foreground != 0, classes, 0)  # one of weight 0 may be no class at all
        return [
            Term(of_class, 0, classes, w, 1.0, count),
            Term(box, 1, targets, _spread(foreground, 4), 1.0, count),
            Term(of_mask, 2, true_masks, pixels, 1.0 / grid if grid else 0.0, count, part=true),
        ]

    def combined(self, values: Sequence[Any]) -> Any:
        of_class, of_box, of_mask = values
        return of_class + of_box.sum(axis=1) + of_mask.sum(axis=(1, 2))

    @property
    def formula(self) -> Any:
        s = self.symbols()
        of_class = self.parts[0].formula_of(s["scores"], s["classes"])
        of_box = self.parts[1].formula_of(s["boxes"], s["targets"], beta=s["beta"])
        of_mask = self.parts[2].formula_of(s["masks"], s["true_masks"])
        return of_class + less(0, s["classes"]) * (of_box + of_mask)


class MaskRCNNWithLogits(MaskRCNN):
    __doc__ = (MaskRCNN.__doc__ or "").replace("class probabilities", "class logits")
    __doc__ = __doc__.replace("probabilities (N", "logits (N")
    arguments: ClassVar = {**MaskRCNN.arguments, "scores": Logit, "masks": Logit}
    parts = (multiclass.cross_entropy_with_logits, regression.smooth_l1, binary.cross_entropy_with_logits)


GIRSHICK = "Girshick 2015, Fast R-CNN, ICCV, equation 1, as a convex combination"
REN = "Ren, He, Girshick and Sun 2015, Faster R-CNN, NeurIPS, equation 1"
HE = "He, Gkioxari, Dollar and Girshick 2017, Mask R-CNN, ICCV, section 3"
detection = Detection("detection.detection", GIRSHICK, {"minimum": 0})
detection_with_logits = DetectionWithLogits("detection.detection_with_logits", GIRSHICK, {"minimum": 0})
faster_rcnn = FasterRCNN("detection.faster_rcnn", REN, {"minimum": 0})
faster_rcnn_with_logits = FasterRCNNWithLogits("detection.faster_rcnn_with_logits", REN, {"minimum": 0})
mask_rcnn = MaskRCNN("detection.mask_rcnn", HE, {"minimum": 0})
mask_rcnn_with_logits = MaskRCNNWithLogits("detection.mask_rcnn_with_logits", HE, {"minimum": 0})
