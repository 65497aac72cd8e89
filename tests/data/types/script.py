"""A user's script, which `mypy --strict` must accept: losses of every kind, own ones, and what is made of them."""

from typing import Any, Literal, assert_type

import numpy as np
from numpy.typing import NDArray

import lossbook
from lossbook import Partial, adversarial, binary, detection, divergence, labels, multiclass, multilabel, regression
from lossbook import segmentation as seg
from lossbook.domains import Expression, Label, Logit, Positive
from lossbook.typing import ArrayLike, Backend, Reduction
from lossbook.words import let, sigmoid, softplus, sum_classes

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# --- elements: values, gradients, reductions -------------------------------------------------------------------------

z = np.array([20.0, -3.0, 0.5], np.float32)
y = np.array([1.0, 0.0, 1.0], np.float32)
p = np.array([0.9, 0.2, 0.6], np.float64)

assert_type(binary.focal(p, y), np.float64)
assert_type(binary.focal_with_logits(z, y, gamma=1.5, alpha=np.float32(0.5)), np.float32)
assert_type(binary.focal(p, y, reduction="sum", weight=[1, 0, 2]), np.float64)
assert_type(binary.focal(p, y, reduction="none"), Float64)
print(f"{binary.cross_entropy(p, y):.3f}", float(binary.cross_entropy(p, y)) < 1, binary.cross_entropy(p, y) + 1)


def descend(z: Float32, y: Float32, steps: int = 3) -> Float32:
    """A gradient is an array like its prediction."""
    slope = np.empty_like(z)
    for _ in range(steps):
        value, _ = binary.cross_entropy_with_logits.value_and_grad(z, y, out=slope, weight=np.ones(3))
        print(value.dtype, value.item())
        z = z - slope
    return binary.cross_entropy_with_logits.grad(z, y)


def by_name(reduction: Reduction, backend: Backend | None = None) -> np.float64 | Float64:
    """Options may be variables."""
    return regression.huber(p, y, delta=2, reduction=reduction, backend=backend)


descend(z, y)
print(by_name("none"), by_name("mean", "numpy"))
values, slopes = divergence.alpha_jensen_shannon.value_and_grad(p, y, alpha=0.3, reduction="none")
assert_type(values, Float64)
assert_type(slopes, Float64)
print(values + slopes, divergence.entropy(p))

# What NumPy can read is an array as well, and a number.
print(binary.focal([0.5, 0.2], [1, 0]), binary.soft_margin(0.5, 1), binary.focal.grad(p.tolist(), y.tolist()))
print(regression.squared_error(((1.0, 2.0), (3.0, 4.0)), np.ones((2, 2))))

# --- rows and classes ------------------------------------------------------------------------------------------------

scores = np.array([[0.1, 2.0, -1.0], [0.0, 0.0, 1.0]], np.float32)
classes = np.array([1, 2])
balance = labels.class_weights(classes, 3, method="effective", beta=0.9)
print(multiclass.cross_entropy_with_logits(scores, classes, smoothing=0.1, class_weight=balance, ignore_index=-1))
soft = labels.smooth(labels.one_hot(classes, 3, axis=1, dtype=np.float32), 0.2)
print(multiclass.focal_with_logits.grad(scores, soft, gamma=1, axis=-1).shape)
print(multilabel.soft_margin(scores, soft, axis=1), multiclass.perceptron(scores, classes, reduction="none").sum())

# --- images ----------------------------------------------------------------------------------------------------------

images = np.full((1, 2, 4, 4), 0.5, np.float64)
masks = np.zeros((1, 4, 4), int)
print(seg.dice(images, masks, smooth=1, squared=True, batch=True, class_weight=(0, 1)))
assert_type(seg.cross_entropy(images, masks, reduction="none"), Float64)
print(seg.focal_tversky.value_and_grad(images, masks, alpha=0.3, beta=0.7)[1].max())
both = 0.3 * seg.dice + 0.7 * seg.cross_entropy - seg.jaccard / 2
print(both(images, masks), both.grad(images, masks), -both, both.formula, both.textbook, both.latex)
total: lossbook.Loss | Literal[0] = sum([seg.dice, seg.jaccard])
on_logits = seg.dice.on_logits("softmax")
assert_type(on_logits(images, masks, smooth=0.5), np.float64)
assert_type(seg.tversky.with_parameters(alpha=0.3, beta=0.7)(images, masks, smooth=2.0), np.float64)
print(seg.dice.with_parameters(class_weight=[0, 1], batch=True).on_logits("sigmoid").name)
each: Any = seg.dice.with_parameters(reduction="none")(images, masks)
print(total, each, seg.dice.source("numba", smooth=2.0), seg.dice.gradient, seg.dice.reference, seg.dice.properties)

first = seg.dice.partial(images, masks, batch=True)
assert_type(first, Partial)
print((first + first).finish("sum") + sum([first, first], start=first).finish())

# --- several predictions, boxes, adversarial -------------------------------------------------------------------------

boxes = np.array([[0.0, 0.0, 2.0, 2.0]], np.float32)
offsets: Float32 = detection.encode_boxes(boxes, boxes + 1)
print(detection.giou(boxes, boxes + 1), detection.decode_boxes(offsets, boxes, clip=4.0))
objects, kinds = np.array([[0.2, 0.8]], np.float64), np.array([1])
value, (of_scores, of_boxes) = detection.detection.value_and_grad(objects, offsets, kinds, offsets, alpha=0.4)
assert_type(value, np.float64)
assert_type(of_boxes, Float32)
anchors = np.zeros((3, 4))
print(of_scores + 1, of_boxes.dtype, detection.faster_rcnn.grad(p, anchors, [1, 0, 1], anchors, cls_norm=None))
pair = adversarial.minimax(p, z.astype(np.float64) * 0 + 0.5, reduction="none", weight=(None, [1, 1, 1]))
assert_type(pair[1], Float64)
print(pair[0].mean() + pair[1].mean(), adversarial.generator(p))

# --- own losses ------------------------------------------------------------------------------------------------------


@lossbook.loss
def tempered(z: Logit, y: Label, *, temperature: Positive = 1.0) -> Expression:
    """Cross-entropy of a logit that is divided by a temperature."""
    scaled = let(scaled=z / temperature)
    return y * softplus(-scaled) + (1 - y) * softplus(scaled)


@lossbook.loss(source="nobody 2020", properties={"minimum": 0})
def squares(z: lossbook.Logit, y: lossbook.Classes, *, signed: lossbook.Flag = False) -> lossbook.Expression:
    """The sum of squares, over the classes."""
    return sum_classes((y - sigmoid(z)) ** 2) if signed else sum_classes((sigmoid(z) - y) ** 2)


@lossbook.loss
def halved(z: Logit, y: Label) -> Expression:
    """A formula may be made of those of other losses."""
    return tempered.of(z, y, temperature=2) / 2


def report(loss: lossbook.Loss, prediction: ArrayLike, target: ArrayLike) -> str:
    """A function of any loss."""
    value, slope = loss.value_and_grad(prediction, target, reduction="sum")
    return f"{loss.name}: {value} {slope} {loss.formula} {loss.source('numpy')} {loss.reference} {loss.signature}"


print(report(tempered, z, y), report(squares, scores, classes), report(binary.focal, p, y), report(both, images, masks))
print(tempered(z, y, temperature=2.0), halved(z, y), tempered.with_parameters(temperature=2.0).grad(z, y))
print((0.5 * tempered + tempered).partial(z, y).finish())

# --- the package -----------------------------------------------------------------------------------------------------

with lossbook.use("numpy"):
    print(binary.focal(p, y))
lossbook.use("numpy")
lossbook.warm(binary.focal, both, dtype=np.float32, backend="numpy", weight=True)
lossbook.set_threads(lossbook.get_threads())
print(seg.hausdorff_distance(images, masks, percentile=95, spacing=(1.0, 2.0)).max(), seg.hausdorff(images, masks))
print(seg.boundary(images, masks, spacing=[1.0, 2.0], normalize=True), seg.edge_weights(masks, w0=5).dtype)
try:
    binary.focal(p, y, gamma=-1)
except lossbook.DomainError as error:
    print(error.loss, error.argument, error.rule, error.index, error.hint)
