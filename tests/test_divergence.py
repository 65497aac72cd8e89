"""Numbers for entropy and the divergences, and the relations between them."""

import numpy as np
import pytest

from lossbook import divergence


def test_worked_numbers():
    """Binary entropy log 2 at one half; truth 0.1 against 0.9: JS 0.368064, half of Jeffreys 1.757780 (mpmath)."""
    assert divergence.entropy(np.array([0.5])) == pytest.approx(np.log(2), rel=1e-15)
    q, p = np.array([0.9]), np.array([0.1])
    assert divergence.jensen_shannon(q, p) == pytest.approx(0.3680642071684971, rel=1e-14)
    assert divergence.jeffreys(q, p) / 2 == pytest.approx(1.7577796618689758, rel=1e-14)
    assert divergence.kullback_leibler(np.array([0.6]), np.array([0.3])) == pytest.approx(
        0.3 * np.log(0.5) + 0.7 * np.log(0.7 / 0.4), rel=1e-14
    )


def test_extremes():
    """Opposite certainties: KL and Jeffreys are infinite, Jensen-Shannon is log 2; agreement costs exactly 0."""
    q, p = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert np.all(np.isinf(divergence.kullback_leibler(q, p, reduction="none")))
    assert np.all(np.isinf(divergence.jeffreys(q, p, reduction="none")))
    assert divergence.jensen_shannon(q, p, reduction="none") == pytest.approx([np.log(2)] * 2, rel=1e-15)
    same = np.array([0.0, 0.3, 1.0])
    for loss in (divergence.kullback_leibler, divergence.jeffreys, divergence.jensen_shannon):
        assert not np.any(loss(same, same, reduction="none"))


def test_no_digits_are_lost_between_near_equals():
    """float32, p = 1/2, q one step beside it: KL is 2*step**2 to 7 digits, where CE - H gives 0 or noise."""
    step = np.float32(2.0**-23)
    got = divergence.kullback_leibler(np.float32([0.5]) + step, np.float32([0.5]))
    assert got == pytest.approx(2 * float(step) ** 2, rel=1e-6)


def test_relations():
    """alpha = 1/2 is Jensen-Shannon, alpha = 1 half of Jeffreys (which the notes print as JS), alpha = 0 nothing."""
    random = np.random.default_rng(0)
    q, p = random.random((2, 50))
    js = divergence.alpha_jensen_shannon(q, p, alpha=0.5, reduction="none")
    assert js == pytest.approx(divergence.jensen_shannon(q, p, reduction="none"), rel=1e-13)
    whole = divergence.alpha_jensen_shannon(q, p, alpha=1, reduction="none")
    assert whole == pytest.approx(divergence.jeffreys(q, p, reduction="none") / 2, rel=1e-13)
    assert not np.any(divergence.alpha_kullback_leibler(q, p, alpha=0, reduction="none"))
    skew = divergence.alpha_kullback_leibler(q, p, alpha=0.25, reduction="none")
    assert np.all(skew <= -np.log(0.75))
