"""The tasks: a loss of lossbook, inputs of a given size, and the same computation in PyTorch where it has one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook import binary, multiclass, regression, segmentation

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


def focal(torch, z, y):
    """Focal loss as detection libraries write it."""
    functional = torch.nn.functional
    p = torch.sigmoid(z)
    cost = functional.binary_cross_entropy_with_logits(z, y, reduction="none")
    right = p * y + (1 - p) * (1 - y)
    return ((0.25 * y + 0.75 * (1 - y)) * cost * (1 - right) ** 2).mean()


def dice(torch, p, y):
    """Soft Dice with smooth = 1, per image and class."""
    space = tuple(range(2, p.ndim))
    overlap = (p * y).sum(space)
    return (1 - (2 * overlap + 1) / (p.sum(space) + y.sum(space) + 1)).mean()


def cross_entropy(torch, z, y):
    return torch.nn.functional.cross_entropy(z, y)


TASKS = [
    Task(
        binary.cross_entropy_with_logits, (4 * MEBI,), labels,
        lambda torch, z, y: torch.nn.functional.binary_cross_entropy_with_logits(z, y), 5,
    ),
    Task(binary.focal_with_logits, (4 * MEBI,), labels, focal, 8),
    Task(multiclass.cross_entropy_with_logits, (65536, 10), classes, cross_entropy, 4),
    Task(multiclass.cross_entropy_with_logits, (1024, 32000), classes, cross_entropy, 3),
    Task(multiclass.cross_entropy_with_logits, (8, 21, 256, 256), classes, cross_entropy, 4),
    Task(regression.huber, (4 * MEBI,), labels, lambda torch, z, y: torch.nn.functional.huber_loss(z, y), 4),
    Task(segmentation.dice, (8, 4, 256, 256), masks, dice, 4),
]  # fmt: skip
