"""What the vocabulary says of itself: the names that its words had before."""

from pathlib import Path

import pytest

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
