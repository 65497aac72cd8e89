"""Losses of generative adversarial networks: what a discriminator D says of real and of made data (section 1.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lossbook.domains import Logit, Probability
from lossbook.errors import ShapeError
from lossbook.evaluation.arguments import Arguments
from lossbook.joined import Joined, Term
from lossbook.loss import loss
from lossbook.words import log, log1p, softplus

__all__ = [
    "generator", "generator_with_logits", "minimax", "minimax_with_logits", "saturating_generator",
    "saturating_generator_with_logits",
]  # fmt: skip

PAPER = "Goodfellow et al. 2014, Generative Adversarial Nets, NeurIPS"


@loss(source=f"{PAPER}, section 3, the objective recommended there", properties={"minimum": 0, "convex": True})
def generator(p: Probability):
    """The generator's loss in practice: the cost in nats of D's probability p that made data are real."""
    return -log(p)


@loss(source=f"{PAPER}, section 3, the objective recommended there", properties={"minimum": 0, "convex": True})
def generator_with_logits(z: Logit):
    """The generator's loss in practice, of D's logit z: its slope stays near -1 while D is sure of the forgery."""
    return softplus(-z)


@loss(source=f"{PAPER}, equation 1, the generator's side")
def saturating_generator(p: Probability):
    """The generator's side of the minimax game, log(1 - p): never positive, and flat where D is sure of the forgery."""
    return log1p(-p)


@loss(source=f"{PAPER}, equation 1, the generator's side")
def saturating_generator_with_logits(z: Logit):
    """The generator's side of the minimax game, of D's logit z: its slope dies while D is sure of the forgery."""
    return -softplus(z)


class Minimax(Joined):
    """The discriminator's loss: minus the value of the minimax game, which it maximizes.

    The mean over the real data of -log D(x), plus the mean over the made data of -log(1 - D(G(z))); the two arrays may
    have different shapes. The generator's part is a loss of its own: `generator`, or `saturating_generator`.

    Returns one gradient for each, in order; with reduction="none" a pair of arrays. `weight` is a pair, or None.
    Raises ShapeError, DomainError (both ValueErrors) or BackendError (an ImportError).
    """

    arguments = {"real": Probability, "fake": Probability}  # noqa: RUF012
    parts = (generator, saturating_generator)
    end = "minimax"

    signs = (1.0, -1.0)

    def pair(self, weight: Any) -> tuple[Any, Any]:
        """The weights of the real and of the made data."""
        weights = (None, None) if weight is None else weight
        if not isinstance(weights, tuple) or len(weights) != 2:
            raise ShapeError(self.name, "weight", "must be a pair (of real, of fake) or None", weight)
        return weights

    def terms(self, arrays: Sequence[Any], weight: Any, parameters: Mapping[str, Any], xp: Any) -> Sequence[Term]:
        terms, weights = [], self.pair(weight)
        for index, (part, w, array, sign) in enumerate(zip(self.parts, weights, arrays, self.signs, strict=True)):
            total = float(array.size)
            if w is not None:
                with self.named(part, self.declaration.predictions[index]):
                    w = Arguments(part.declaration, part.space).array(w, "weight", xp)
                # each weight enters equally often, whatever its shape; the part refuses those that do not fit
                total = float(w.sum(dtype=np.float64)) * (array.size // w.size) if w.size else 0.0
            terms.append(Term(part, index, None, w, sign, total))
        return terms

    def combined(self, values: Sequence[Any]) -> Any:
        return tuple(values)

    @property
    def formula(self) -> Any:
        real, fake = self.symbols().values()
        return self.parts[0].formula_of(real) - self.parts[1].formula_of(fake)


class MinimaxWithLogits(Minimax):
    __doc__ = (Minimax.__doc__ or "").replace("The mean over", "D answers in logits. The mean over", 1)
    arguments = {"real": Logit, "fake": Logit}  # noqa: RUF012
    parts = (generator_with_logits, saturating_generator_with_logits)


minimax = Minimax("adversarial.minimax", f"{PAPER}, equation 1", {"minimum": 0})
minimax_with_logits = MinimaxWithLogits("adversarial.minimax_with_logits", f"{PAPER}, equation 1", {"minimum": 0})
