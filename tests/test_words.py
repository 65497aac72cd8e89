"""What the vocabulary says of itself: the names that its words had before, and what they mean."""

from pathlib import Path

import mpmath
import pytest
import sympy
from oracle import MEANINGS

from lossbook import words

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
each_old_name = pytest.mark.parametrize(("old", "new"), words.RENAMED.items(), ids=words.RENAMED)


@each_old_name
def test_an_old_name_says_the_new_one(old, new):
    """Whether it is imported or an attribute; it is in no list of names."""
    rule = f"the word {old} of {words.__name__} is now called {new}$"
    with pytest.warns(DeprecationWarning, match=rule):
        assert getattr(words, old) is getattr(words, new)
    with pytest.warns(DeprecationWarning, match=rule):
        exec(f"from {words.__name__} import {old}", {})
    assert old not in dir(words)
    assert new in words.__all__


@each_old_name
def test_the_changelog_has_a_row_for_an_old_name(old, new):
    assert f"| `{old}` | `{new}` |" in CHANGELOG.read_text(encoding="utf-8")


def test_other_names_are_missing_as_everywhere():
    with pytest.raises(AttributeError, match=f"module '{words.__name__}' has no attribute 'nothing'"):
        words.nothing  # noqa: B018


WITH_MEANING = [
    word for name in MEANINGS
    if isinstance(word := getattr(words, name, None), type) and issubclass(word, words.Word)
    and word.plain is not words.Word.plain
]  # fmt: skip
POINTS = {1: (0.3,), 2: (0.3, 0.7), 3: (0.3, 0.7, -0.4), 4: (0.3, 0.7, 0.25, -0.4)}  # a difference comes last


@pytest.mark.parametrize("word", WITH_MEANING, ids=lambda word: word.__name__)
def test_the_plain_form_is_the_meaning(word):
    """What a word says of itself in exp and log is what the oracle takes it for."""
    for count in word.nargs:
        symbols = sympy.symbols(f"x:{count}", real=True)
        plain, numbers = sympy.lambdify(symbols, word(*symbols).plain(), "mpmath"), [*map(mpmath.mpf, POINTS[count])]
        assert mpmath.almosteq(plain(*numbers), MEANINGS[word.__name__](*numbers), 1e-14)
