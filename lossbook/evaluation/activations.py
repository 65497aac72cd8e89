"""The sigmoid and the softmax of arrays, and the chain rule through them, for losses that need the probabilities."""

from typing import Any

from lossbook.arrays import quiet
from lossbook.typing import Activation


def activate(xp: Any, activation: Activation, z: Any, axis: int) -> tuple[Any, Any]:
    """(probabilities, their complements), the complements only for the sigmoid; infinite logits give the limit."""
    with quiet():
        if activation == "sigmoid":
            decay = xp.exp(-abs(z))
            small, large = decay / (1 + decay), 1 / (1 + decay)
            return xp.where(z < 0, small, large), xp.where(z < 0, large, small)
        top = z.max(axis=axis, keepdims=True)
        exps = xp.exp(xp.where(z == top, 0, z - top))
        exps /= exps.sum(axis=axis, keepdims=True)
        return exps, None


def chain(xp: Any, activation: Activation, p: Any, rest: Any, g: Any, axis: int) -> Any:
    """The slope along the logits, from g, that along their probabilities: 0 where g is, even of a NaN (of weight 0)."""
    with quiet():
        g = xp.where((p == 0) | (g == 0), 0, p * g)
        if activation == "sigmoid":
            return xp.where((rest == 0) | (g == 0), 0, g * rest)
        total = g.sum(axis=axis, keepdims=True)
        return g - xp.where(total == 0, 0, p * total)
