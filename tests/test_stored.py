"""The exact numbers that are stored: which key a number has, and when it is computed, compared and missed."""

import linecache
import types

import oracle
import pytest
import stored
from mpmath import mp, mpc, mpf

from lossbook import regression, words

FORM = regression.huber.formula_at()
PLACE = {FORM.prediction: mpf(3) / 8, FORM.target: mpf(0), FORM.parameters[0]: mpf(1)}
SOURCE = '''
def half(x):
    return x / 2

MEANINGS = {
    "twice": lambda x: 2 * x,
    "four_times": lambda x: MEANINGS["twice"](MEANINGS["twice"](x)),
    "third": lambda x: x / 3,
}

def value(x):
    return MEANINGS[x](half(x))
'''


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A folder of its own for the tables, and none read yet."""
    monkeypatch.setattr(stored, "FOLDER", tmp_path)
    monkeypatch.setattr(stored, "tables", {})
    monkeypatch.setattr(stored, "current", "mine")
    return lambda: stored.tables.pop("mine")


def text_of(source, *names):
    """The text that the number of a definition follows from, in a module of this source."""
    module = types.ModuleType("some_module")
    module.__file__ = f"<{hash(source)}>"
    linecache.cache[module.__file__] = len(source), None, source.splitlines(keepends=True), module.__file__
    return stored.texts(module, frozenset(names))


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("return x / 2", "return x / 4", {"value", "'twice'", "'four_times'", "'third'"}),
        ("2 * x", "3 * x", {"'twice'", "'four_times'"}),
        ("x / 3", "x / 5", {"'third'"}),
    ],
)
def test_a_key_holds_all_definitions_that_a_number_follows_from(old, new, changes):
    """Those of helpers, of the formula's words, and of the words that these are made of; of no others."""
    for name in ("value", "'twice'", "'four_times'", "'third'"):
        before, after = (text_of(text, "value", name) for text in (SOURCE, SOURCE.replace(old, new)))
        assert (before != after) == (name in changes)


def test_numbers_are_stored_and_found_again(table):
    """In a later session, to all digits that are stored; of another place or another formula they are others."""
    true = oracle.value(FORM.formula, PLACE)
    found = table()
    assert (len(found.asked), found.missing) == (1, 1)
    stored.add("mine", found.asked)
    assert stored.same(oracle.value(FORM.formula, PLACE), true)
    assert table().missing == 0
    oracle.value(FORM.formula, PLACE | {FORM.prediction: mpf(3)})
    oracle.value(FORM.formula + 1, PLACE)
    oracle.slope(FORM.formula, PLACE, FORM.prediction)
    assert table().missing == 3


NUMBERS = [mpf("-inf"), mpf("nan"), mpf(0), mpf(1) / 3, mpc(1, -2) / 3, [mpf(2), mpc(0, 1) / 7]]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_read_as_it_was_written(number):
    """Infinite, no number, complex, or several."""
    assert stored.same(stored.read(stored.written(number)), number)


def test_a_wrong_number_is_found_when_it_is_its_turn(table, monkeypatch):
    """The first of a table is compared in every session, and so is one of `AGAIN` of the others."""
    oracle.value(FORM.formula, PLACE)
    [key] = table().asked
    stored.add("mine", {key: "0.25"})
    with pytest.raises(AssertionError, match=rf"mine.txt: {key} should be 7.03125e-2, is 0.25"):
        oracle.value(FORM.formula, PLACE)
    stored.add("mine", {"0" * 16: "1.0"})
    table()
    assert oracle.value(FORM.formula, PLACE) == 0.25
    monkeypatch.setattr(stored, "AGAIN", 1)
    table()
    with pytest.raises(AssertionError, match="should be"):
        oracle.value(FORM.formula, PLACE)


def test_a_meaning_of_a_test_s_own_is_never_stored(table, monkeypatch):
    """Nor found: what a test gives a word is no text that could be read."""
    x = FORM.prediction
    oracle.value(words.absolute(x), PLACE)
    monkeypatch.setitem(oracle.MEANINGS, "absolute", lambda x: -x)
    assert oracle.value(words.absolute(x), PLACE) == -0.375
    assert len(table().asked) == 1


def test_numbers_are_written_and_read():
    """Infinite, NaN, tiny and huge ones, and lists of them."""
    some = [mpf(0), mpf("inf"), mpf("-inf"), mpf("nan"), mpf(2) ** -1074, -(mpf(10) ** 400)]
    for number in (*some, some, [mpf(1)]):
        assert stored.same(stored.read(stored.written(number)), number)


def test_numbers_that_differ_are_not_the_same():
    """In the last digit that is stored, in sign, or in being a number."""
    with mp.workdps(50):
        close = mpf(1) + 2 * mpf(10) ** (1 - stored.DIGITS)
    for one, other in ((mpf(1), close), (mpf(0), mpf(1)), (mpf("nan"), mpf(1)), (mpf("inf"), mpf(1))):
        assert not stored.same(one, other)
