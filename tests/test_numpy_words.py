"""The words of NumPy: at the edges of their domains, as those of Numba (`test_numba_words.py`)."""

import numpy as np
import pytest
from test_numba_words import INF, SPECIAL, every_real

from lossbook.backends.numpy import words

# No formula reaches these: they lie outside the domains of the words, which the kernels of NumPy do not ask about.
OUTSIDE = {"kl_div": [(INF, 1, INF), (1, INF, -INF)], "power": [(-1, 2)], "power1p": [(-2, 2)]}
every_word = pytest.mark.parametrize("word", [word for word in words.__all__ if word in SPECIAL])


def applied(word, real, at):
    """The word at a point; an exponent is a number there, not an array."""
    arguments = [np.array([value], real) for value in at]
    if "power" in word:
        arguments[-1] = float(at[-1])
    with np.errstate(all="ignore"):
        return getattr(words, word)(*arguments)[0]


@every_real
@every_word
def test_special_values(word, real):
    """At zeros, infinities and the edges of the domain, a word has the value of its definition."""
    inside = [(at, want) for at, want in SPECIAL[word] if at not in OUTSIDE.get(word, ())]
    results = [applied(word, real, at) for at, _ in inside]
    np.testing.assert_array_equal(results, [real(want) for _, want in inside])


@every_real
def test_a_share_of_large_numbers(real):
    """The sum of two numbers may overflow, their shares do not."""
    large = np.finfo(real).max
    assert applied("share", real, (large, large)) == 0.5
