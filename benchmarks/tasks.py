"""The tasks: a loss of lossbook, inputs of a given size, and the same computation in PyTorch where it has one."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook import binary, detection, divergence, multiclass, multilabel, regression, segmentation

MEBI = 1 << 20


@dataclass(frozen=True)
class Task:
    """Value and gradient of `loss` on arrays of `shape`; `torch` maps (torch, tensors) to the same scalar."""

    loss: Any
    shape: tuple[int, ...]
    arrays: Callable
    torch: Callable
    goal: float  # how many times faster than PyTorch eager Numba is meant to be

    @property
    def title(self):
        size = f"{self.shape[0] // MEBI} Mi" if len(self.shape) == 1 else str(self.shape).replace(" ", "")
        return f"{self.loss.name} {size}"


def labels(shape, random):
    """Logits and 0/1 labels."""
    return random.normal(scale=3, size=shape).astype(np.float32), (random.random(shape) < 0.5).astype(np.float32)


def classes(shape, random):
    """Logits and class indices."""
    rows = (shape[0], *shape[2:])
    return random.normal(scale=3, size=shape).astype(np.float32), random.integers(0, shape[1], rows)


def masks(shape, random):
    """Probabilities and 0/1 masks."""
    return random.random(shape).astype(np.float32), (random.random(shape) < 0.5).astype(np.float32)


def probabilities(shape, random):
    """Probabilities away from 0 and 1, and 0/1 labels."""
    return random.uniform(0.01, 0.99, shape).astype(np.float32), (random.random(shape) < 0.5).astype(np.float32)


def soft(shape, random):
    """Two arrays of probabilities."""
    return tuple(random.uniform(0.01, 0.99, shape).astype(np.float32) for _ in range(2))


def alone(shape, random):
    """Probabilities."""
    return soft(shape, random)[:1]


def signs(shape, random):
    """Logits and labels -1, 1."""
    z, y = labels(shape, random)
    return z, 2 * y - 1


def numbers(shape, random):
    """Predicted and observed numbers."""
    return tuple(random.normal(scale=2, size=shape).astype(np.float32) for _ in range(2))


def rows(shape, random):
    """Rows of probabilities, and class indices."""
    z, y = classes(shape, random)
    odds = np.exp(z)
    return odds / odds.sum(axis=1, keepdims=True), y


def logarithms(shape, random):
    """Rows of log-probabilities, and class indices."""
    p, y = rows(shape, random)
    return np.minimum(np.log(p), 0), y


def distributions(shape, random):
    """Rows of probabilities, twice."""
    return rows(shape, random)[0], rows(shape, random)[0]


def pixels(shape, random):
    """Softmax maps, and integer masks."""
    return rows(shape, random)


def boxes(shape, random):
    """Pairs of boxes."""

    def some():
        corner = random.uniform(0, 8, (shape[0], 2))
        return np.concatenate([corner, corner + random.uniform(0.1, 6, (shape[0], 2))], axis=1).astype(np.float32)

    return some(), some()


# --- the same in PyTorch: its own function where it has one, else the formula as a user would write it --------------


def focal_of(torch, p, y, cost):
    right = p * y + (1 - p) * (1 - y)
    return ((0.25 * y + 0.75 * (1 - y)) * cost * (1 - right) ** 2).mean()


def focal_with_logits(torch, z, y):
    cost = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")
    return focal_of(torch, torch.sigmoid(z), y, cost)


def focal(torch, p, y):
    return focal_of(torch, p, y, torch.nn.functional.binary_cross_entropy(p, y, reduction="none"))


def entropy(torch, q):
    return (-torch.xlogy(q, q) - torch.xlogy(1 - q, 1 - q)).mean()


def kullback_leibler(torch, q, p):
    return (torch.xlogy(p, p / q) + torch.xlogy(1 - p, (1 - p) / (1 - q))).mean()


def jensen_shannon(torch, q, p):
    mixture = (p + q) / 2
    return (kullback_leibler(torch, mixture, p) + kullback_leibler(torch, mixture, q)) / 2


def multiclass_focal(torch, log_p, y):
    own = log_p.gather(1, y[:, None])
    return (-0.25 * (1 - own.exp()) ** 2 * own).mean()


def perceptron(torch, z, y):
    return (z.amax(1) - z.gather(1, y[:, None])[:, 0]).mean()


def totals(torch, p, y):
    """(true positives, false positives, false negatives) of each image and class."""
    space = tuple(range(2, p.ndim))
    overlap = (p * y).sum(space)
    return overlap, p.sum(space) - overlap, y.sum(space) - overlap


def tversky(torch, p, y, alpha, beta, power=1.0, smooth=1.0):
    tp, fp, fn = totals(torch, p, y)
    return ((1 - (tp + smooth) / (tp + alpha * fp + beta * fn + smooth)) ** power).mean()


def balanced(torch, p, y):
    space = tuple(range(2, p.ndim))
    share = y.mean(space)
    cost = torch.nn.functional.binary_cross_entropy(p, y, reduction="none")
    return ((1 - share) * (cost * y).mean(space) + share * (cost * (1 - y)).mean(space)).mean()


def sensitivity_specificity(torch, p, y):
    space = tuple(range(2, p.ndim))
    square = (y - p) ** 2
    of_foreground = (square * y).sum(space) / y.sum(space)
    return (0.05 * of_foreground + 0.95 * (square * (1 - y)).sum(space) / (1 - y).sum(space)).mean()


def iou(torch, p, t):
    low, high = torch.maximum(p[:, :2], t[:, :2]), torch.minimum(p[:, 2:], t[:, 2:])
    both = (high - low).clamp(min=0).prod(1)
    union = (p[:, 2:] - p[:, :2]).prod(1) + (t[:, 2:] - t[:, :2]).prod(1) - both
    return (1 - both / union).mean()


def functional(name, **keywords):
    """A function of torch.nn.functional."""
    return lambda torch, *tensors: getattr(torch.nn.functional, name)(*tensors, **keywords)


LONG, ROWS, MASKS = (4 * MEBI,), (65536, 64), (16, 4, 256, 256)  # 4 Mi elements each
# The sizes and goals that the project set itself.
CHOSEN = [
    Task(binary.cross_entropy_with_logits, LONG, labels, functional("binary_cross_entropy_with_logits"), 5),
    Task(binary.focal_with_logits, LONG, labels, focal_with_logits, 8),
    Task(multiclass.cross_entropy_with_logits, (65536, 10), classes, functional("cross_entropy"), 4),
    Task(multiclass.cross_entropy_with_logits, (1024, 32000), classes, functional("cross_entropy"), 3),
    Task(multiclass.cross_entropy_with_logits, (8, 21, 256, 256), classes, functional("cross_entropy"), 4),
    Task(regression.huber, LONG, numbers, functional("huber_loss"), 4),
    Task(segmentation.dice, (8, 4, 256, 256), masks, lambda torch, p, y: tversky(torch, p, y, 0.5, 0.5, smooth=0.5), 4),
]
# Every other loss at 4 Mi elements.
OTHERS = [
    Task(binary.cross_entropy, LONG, probabilities, functional("binary_cross_entropy"), 3),
    Task(binary.focal, LONG, probabilities, focal, 3),
    Task(binary.soft_margin, LONG, signs, functional("soft_margin_loss"), 3),
    Task(divergence.entropy, LONG, alone, entropy, 3),
    Task(divergence.cross_entropy, LONG, soft, functional("binary_cross_entropy"), 3),
    Task(divergence.kullback_leibler, LONG, soft, kullback_leibler, 3),
    Task(
        divergence.jeffreys, LONG, soft,
        lambda torch, q, p: kullback_leibler(torch, q, p) + kullback_leibler(torch, p, q), 3,
    ),
    Task(divergence.jensen_shannon, LONG, soft, jensen_shannon, 3),
    Task(
        divergence.alpha_kullback_leibler, LONG, soft,
        lambda torch, q, p: kullback_leibler(torch, 0.5 * p + 0.5 * q, p), 3,
    ),
    Task(divergence.alpha_jensen_shannon, LONG, soft, jensen_shannon, 3),
    Task(regression.squared_error, LONG, numbers, functional("mse_loss"), 3),
    Task(regression.absolute_error, LONG, numbers, functional("l1_loss"), 3),
    Task(regression.smooth_l1, LONG, numbers, functional("smooth_l1_loss"), 3),
    Task(
        regression.log_cosh, LONG, numbers,
        lambda torch, p, y: ((y - p) + torch.nn.functional.softplus(-2 * (y - p)) - math.log(2)).mean(), 3,
    ),
    Task(regression.pseudo_huber, LONG, numbers, lambda torch, p, y: ((1 + (y - p) ** 2).sqrt() - 1).mean(), 3),
    Task(multiclass.negative_log_likelihood, ROWS, logarithms, functional("nll_loss"), 3),
    Task(multiclass.cross_entropy, ROWS, rows, lambda torch, p, y: torch.nn.functional.nll_loss(p.log(), y), 3),
    Task(
        multiclass.kullback_leibler, ROWS, distributions,
        lambda torch, p, y: torch.nn.functional.kl_div(p.log(), y, reduction="batchmean"), 3,
    ),
    Task(multiclass.focal, ROWS, rows, lambda torch, p, y: multiclass_focal(torch, p.log(), y), 3),
    Task(
        multiclass.focal_with_logits, ROWS, classes,
        lambda torch, z, y: multiclass_focal(torch, z.log_softmax(1), y), 3,
    ),
    Task(multiclass.perceptron, ROWS, classes, perceptron, 3),
    Task(multilabel.cross_entropy_with_logits, ROWS, labels, functional("binary_cross_entropy_with_logits"), 3),
    Task(multilabel.soft_margin, ROWS, labels, functional("multilabel_soft_margin_loss"), 3),
    Task(multilabel.focal_with_logits, ROWS, labels, focal_with_logits, 3),
    Task(segmentation.cross_entropy, MASKS, pixels, lambda torch, p, y: torch.nn.functional.nll_loss(p.log(), y), 3),
    Task(segmentation.cross_entropy_with_logits, MASKS, classes, functional("cross_entropy"), 3),
    Task(segmentation.balanced_cross_entropy, MASKS, probabilities, balanced, 3),
    Task(segmentation.jaccard, MASKS, masks, lambda torch, p, y: tversky(torch, p, y, 1.0, 1.0), 3),
    Task(segmentation.tversky, MASKS, masks, lambda torch, p, y: tversky(torch, p, y, 0.5, 0.5), 3),
    Task(segmentation.focal_tversky, MASKS, masks, lambda torch, p, y: tversky(torch, p, y, 0.3, 0.7, 0.75), 3),
    Task(segmentation.sensitivity_specificity, MASKS, masks, sensitivity_specificity, 3),
    Task(detection.iou, (MEBI, 4), boxes, iou, 3),
]  # fmt: skip
TASKS = CHOSEN + OTHERS
