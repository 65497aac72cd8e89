"""What a row of classes that compete makes of the derivatives of the function of one class.

A loss of a row is the sum over its classes of f(u_j), where u_j says how class j stands among the others. With
t_j = du_j/dz . v, the product of the Hessian with v is, along z_k,

    sum over j of  f''(u_j) t_j du_j/dz_k + f'(u_j) d(du_j/dz_k)/dz . v

and the diagonal is what v = e_k gives for each k. Under a softmax u_j are the log-odds, and du_j/dz_k = -q_jk for j
other than k, where q_jk = p_k/(1 - p_j) is the softmax without class j. Where a class has nearly all of the
probability, 1 - p_j and 1 - q_jk are sums over the other classes, with nothing subtracted from 1.

The classes stand along the first axis here, where NumPy adds them up fastest.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shares:
    """A softmax over the first axis, told apart by the class in front, whose probability alone may exceed 1/2."""

    xp: Any
    front: Any  # where that class is, true once in a row
    p: Any  # probabilities
    rest: Any  # 1 - p, as a sum
    q: Any  # the softmax without the class in front, 0 for that class
    q_rest: Any  # 1 - q, as a sum; of the class in front it means nothing
    log_odds: Any
    logsumexp: Any

    def in_front(self, values: Any) -> Any:
        """The value of the class in front, with an axis of length 1."""
        return self.xp.where(self.front, values, 0).sum(0, keepdims=True)

    def behind(self, values: Any) -> Any:
        """The values of the others, 0 for the class in front."""
        return self.xp.where(self.front, 0, values)

    def mean(self, v: Any) -> Any:
        """The mean of v by the probabilities."""
        return self.in_front(self.p * v) + self.in_front(self.rest) * self.total(self.q * v)

    def total(self, values: Any) -> Any:
        """The sum over the classes behind the one in front."""
        return self.behind(values).sum(0, keepdims=True)


def softmax(xp: Any, z: Any) -> Shares:
    """The shares of logits of shape (classes, ...), of at least two classes; infinite logits have the limits."""
    classes = xp.arange(z.shape[0]).reshape(-1, *(1,) * (z.ndim - 1))
    front = classes == z.argmax(0)[None]
    top = xp.where(front, z, 0).sum(0, keepdims=True)
    apart = xp.where(z == top, 0, z - top)  # infinite logits that tie are no further apart than others
    second = xp.where(front, -xp.inf, apart)
    ahead = classes == second.argmax(0)[None]
    next_to_top = xp.where(ahead, second, -xp.inf).max(0, keepdims=True)
    exps = xp.where(front, 0, xp.exp(xp.where(second == next_to_top, 0, second - next_to_top)))
    beyond = xp.where(ahead, 0, exps).sum(0, keepdims=True)
    others = exps.sum(0, keepdims=True)
    q, q_rest = exps / others, xp.where(ahead, beyond, others - exps) / others
    log_rest = next_to_top + xp.log(others)  # of what stands behind the front, whose own exponential is 1
    rest = xp.exp(log_rest)
    p = xp.where(front, 1 / (1 + rest), q * (rest / (1 + rest)))
    complement = xp.where(front, rest / (1 + rest), 1 - p)
    log_odds = xp.where(front, -log_rest, apart - xp.log1p(rest) - xp.log1p(-xp.where(front, 0, p)))
    return Shares(xp, front, p, complement, q, q_rest, log_odds, (top + xp.log1p(rest))[0])


def diagonal(s: Shares, first: Any, second: Any) -> Any:
    """The diagonal for the derivatives f'(u) and f''(u) of the classes of each row."""
    xp, p, c, q = s.xp, s.p, rest_behind(s), s.q
    # What a class behind the front has from the front, from itself, and from the others behind the front.
    behind = s.in_front(second) * q**2 - s.in_front(first) * q * s.q_rest + second
    along, across, twice = first / c, first / c**2, second / c**2
    others = p**2 * (s.total(twice) - twice + s.total(across) - across) - p * (s.total(along) - along)
    # What the front has: itself, and from each class j behind it, of which 1 - q_jk is (1 - p)*(1 - q_j)/(1 - p_j).
    share = s.in_front(p) / c
    ahead = second + s.total(second * share**2 - first * share * s.in_front(s.rest) * s.q_rest / c)
    return xp.where(s.front, ahead, behind + others)


def rest_behind(s: Shares) -> Any:
    """1 - p of the classes behind the front, at least 1/2; 1 for the front, which is never divided by."""
    return s.xp.where(s.front, 1, s.rest)


def tangent(s: Shares, v: Any) -> Any:
    """How fast the log-odds change along v."""
    return v - means_without(s, v)


def means_without(s: Shares, v: Any) -> Any:
    """For each class the mean of v over the others, by their softmax."""
    return s.xp.where(s.front, s.total(s.q * v), (s.mean(v) - s.p * v) / rest_behind(s))


def product(s: Shares, first: Any, tau: Any, v: Any) -> Any:
    """The Hessian times v, for f'(u) and how fast it changes along v: tau = f''(u)*tangent(v), and what else moves."""
    xp, p, c, q = s.xp, s.p, rest_behind(s), s.q
    means = means_without(s, v)
    of_front = s.in_front(means)
    behind = tau - q * (s.in_front(tau) + s.in_front(first) * (v - of_front))
    change, along, pulled = tau / c, first / c, first * means / c
    others = s.total(change) - change + v * (s.total(along) - along) - (s.total(pulled) - pulled)
    away = s.in_front(s.rest) / c * (s.in_front(v) * s.q_rest - (of_front - q * v))  # v of the front less the mean
    ahead = tau - s.total(s.in_front(p) / c * (tau + first * away))
    return xp.where(s.front, ahead, behind - p * others)


def beside(s: Shares, first: Any, second: Any, v: Any = None) -> Any:
    """The part of a function of the row's logsumexp, of which these are the derivatives."""
    first, second = first[None], second[None]
    if v is None:
        return s.p * (second * s.p + first * s.rest)
    mean = s.mean(v)
    of_front = s.total(s.q * v)
    away = s.xp.where(s.front, s.in_front(s.rest) * (s.in_front(v) - of_front), v - mean)
    return s.p * (second * mean + first * away)


# --- classes compared with the largest -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """Where each class stands: u_j is its logit, less the mean of those that it is compared with, which all are equal.

    `largest` are the classes of the largest logit, `runners` those of the second largest.
    """

    xp: Any
    u: Any
    largest: Any
    runners: Any
    of_others: bool  # a class is not compared with itself

    def mean(self, v: Any) -> Any:
        """For each class the mean of v over those that it is compared with."""
        count = self.largest.sum(0, keepdims=True)
        total = self.xp.where(self.largest, v, 0).sum(0, keepdims=True)
        if not self.of_others:
            return total / count
        others = self.xp.where(self.largest, total - v, total) / self.xp.maximum(
            self.xp.where(self.largest, count - 1, count), 1
        )
        second = self.xp.where(self.runners, v, 0).sum(0, keepdims=True)
        second = second / self.xp.maximum(self.runners.sum(0, keepdims=True), 1)
        return self.xp.where(self.largest & (count == 1), second, others)

    def spread(self, values: Any, power: int = 1) -> Any:
        """For each class the sum over all classes of their value times its weight in their mean, to a power."""
        xp, count = self.xp, self.largest.sum(0, keepdims=True)
        if not self.of_others:
            return xp.where(self.largest, values.sum(0, keepdims=True) / count**power, 0)
        of_largest = xp.where(self.largest, values, 0).sum(0, keepdims=True)
        below = xp.where(self.largest, 0, values).sum(0, keepdims=True)
        tied = (of_largest - values) / xp.maximum(count - 1, 1) ** power
        front = below / count**power + xp.where(count > 1, tied, 0)
        runners = self.runners.sum(0, keepdims=True)
        behind = xp.where(self.runners & (count == 1), of_largest / xp.maximum(runners, 1) ** power, 0)
        return xp.where(self.largest, front, behind)


def standing(xp: Any, z: Any, of_others: bool) -> Standing:
    """Where classes of logits of shape (classes, ...) stand."""
    top = z.max(0, keepdims=True)
    largest = z == top
    second = xp.where(largest, -xp.inf, z).max(0, keepdims=True)
    runners = (z == second) & ~largest
    alone = largest.sum(0, keepdims=True) == 1
    rival = xp.where(largest & alone, second, top) if of_others else top
    return Standing(xp, xp.where(z == rival, 0, z - rival), largest, runners, of_others)


def diagonal_of(s: Standing, second: Any) -> Any:
    """The diagonal for f''(u), as u is linear where no two classes tie."""
    if s.of_others:
        return second + s.spread(second, 2)
    weight = s.xp.where(s.largest, 1 / s.largest.sum(0, keepdims=True), 0)
    return second * ((1 - weight) ** 2 - weight**2) + s.spread(second, 2)


def product_of(s: Standing, second: Any, v: Any) -> Any:
    """The Hessian times v."""
    change = second * (v - s.mean(v))
    return change - s.spread(change)
