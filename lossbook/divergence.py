"""Entropy and divergences of two answers, yes and no: q predicts, p is the truth (section 1.1.1.2 of the notes).

Each element is a Bernoulli distribution given by the probability of yes. Values are in nats. A divergence has slope 0
wherever q = p, also at the edges 0 and 1.
"""

from sympy import Rational

from lossbook.domains import Fraction, Label, Probability
from lossbook.loss import loss
from lossbook.words import kl_div, lerp, let, log, log1p, skew_entropy

__all__ = [
    "alpha_jensen_shannon", "alpha_kullback_leibler", "cross_entropy", "entropy", "jeffreys", "jensen_shannon",
    "kullback_leibler",
]  # fmt: skip


def _skew(p, q, alpha=1):
    """The divergence from p to the mixture (1 - alpha)*p + alpha*q over both answers: two terms, never negative."""
    if alpha == 1:
        return kl_div(p, q, p - q) + kl_div(1 - p, 1 - q, q - p)
    # One difference for both directions, so that a divergence and its reverse share their quotients.
    apart = let(apart=p - q) if str(p) < str(q) else -let(apart=q - p)
    no = lerp(1 - p, 1 - q, alpha)  # never tiny, while p and q may be
    return skew_entropy(p, q, alpha, apart) + kl_div(1 - p, no, -alpha * apart)


@loss(source="Shannon 1948, A Mathematical Theory of Communication, section 6", properties={"minimum": 0})
def entropy(q: Probability):
    """The uncertainty of a yes-or-no answer of probability q: 0 when sure, log 2 at one half."""
    return -q * log(q) - (1 - q) * log1p(-q)


@loss(
    source="Shannon 1948, A Mathematical Theory of Communication; the inequality with entropy is Gibbs's",
    properties={"minimum": 0, "convex": True},
)
def cross_entropy(q: Probability, p: Label):
    """The cost of coding answers of probability p with a code made for q; never less than the entropy of p."""
    return -p * log(q) - (1 - p) * log1p(-q)


@loss(
    source="Kullback and Leibler 1951, On Information and Sufficiency, Annals of Mathematical Statistics 22(1), 79-86",
    properties={"minimum": 0, "convex": True},
)
def kullback_leibler(q: Probability, p: Label):
    """D(p || q): cross-entropy less entropy, computed without the subtraction."""
    return _skew(p, q)


@loss(
    source="Jeffreys 1946, An Invariant Form for the Prior Probability, Proc. Royal Society A 186, 453-461",
    properties={"minimum": 0, "symmetric": True},
)
def jeffreys(q: Probability, p: Label):
    """D(p || q) + D(q || p): symmetric, and infinite as soon as one side is sure and the other is not."""
    return _skew(p, q) + _skew(q, p)


@loss(
    source="Lin 1991, Divergence Measures Based on the Shannon Entropy, IEEE Transactions on Information Theory 37(1)",
    properties={"minimum": 0, "maximum": log(2), "symmetric": True},
)
def jensen_shannon(q: Probability, p: Label):
    """The mean divergence of p and q from their mixture (p + q)/2: symmetric and at most log 2."""
    half = Rational(1, 2)
    return half * (_skew(p, q, half) + _skew(q, p, half))


@loss(
    source="Lee 1999, Measures of Distributional Similarity, ACL, section 2 (skew divergence)",
    properties={"minimum": 0},
)
def alpha_kullback_leibler(q: Probability, p: Label, *, alpha: Fraction = 0.5):
    """D(p || (1 - alpha)*p + alpha*q): the divergence from a mixture, finite for alpha < 1."""
    return _skew(p, q, alpha)


@loss(
    source="Nielsen 2010, A family of statistical symmetric divergences based on Jensen's inequality, arXiv:1009.4004",
    properties={"minimum": 0, "symmetric": True},
)
def alpha_jensen_shannon(q: Probability, p: Label, *, alpha: Fraction = 0.5):
    """Half the sum of both alpha divergences; alpha = 1/2 is Jensen-Shannon, alpha = 1 is half of Jeffreys."""
    return (_skew(p, q, alpha) + _skew(q, p, alpha)) / 2
