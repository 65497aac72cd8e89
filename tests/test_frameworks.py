"""What the book's tabs show of other libraries: the same number as here, in lines that fit."""

import math
import re
import sys

import build
import pytest
from notebooks import NOTEBOOKS, prose

sys.path.insert(0, str(build.ROOT / "book" / "_ext"))

import framework_calls as calls

SHOWN = [(name, library) for name, entry in calls.entries().items() for library in entry["calls"]]


@pytest.mark.parametrize("name", calls.entries())
def test_lossbook_gives_the_number_that_every_library_gave(name):
    """What the libraries gave is stored; PyTorch, JAX and Keras computed in float32."""
    names = {}
    exec(calls.setting(name, "lossbook"), names)
    ours = float(eval(calls.entries()[name]["calls"]["lossbook"], names))
    assert set(calls.values()[name]) == set(calls.entries()[name]["calls"])
    for library, theirs in calls.values()[name].items():
        assert math.isclose(theirs, ours, rel_tol=3e-6), library


@pytest.mark.parametrize(("name", "library"), SHOWN)
def test_calls_fit_the_page(name, library):
    lines = [*calls.setting(name, library).splitlines(), *calls.entries()[name]["calls"][library].splitlines()]
    assert [line for line in lines if len(line) > 78 - len("  # 0.1234")] == []


def test_nothing_is_stored_that_is_not_shown():
    assert set(calls.values()) == set(calls.entries())
    for entry in calls.entries().values():
        assert set(entry.get("traps", {})) <= set(entry["calls"]) <= set(calls.LIBRARIES)
        assert len(entry["calls"]) > 1


def test_every_entry_is_shown_on_a_page():
    shown = [
        name.strip()
        for path in NOTEBOOKS
        for name in re.findall(r"^`{3}\{frameworks\} (.+)$", prose(path), re.MULTILINE)
    ]
    assert sorted(shown) == sorted(calls.entries())


# What is defined without being a loss of predictions and targets.
NO_LOSS = {
    "def-risk": "the mean of any loss", "def-recipe": "how losses are made", "def-backends-partial": "sums of any loss",
    "def-softmax": "an activation", "def-pixel-softmax": "an activation", "def-log-odds": "a function of scores",
    "def-soft-counts": "what losses are made of", "def-balance": "a weight", "def-offsets": "coordinates of a box",
    "def-hausdorff": "a distance of two sets, which no training can use",
}  # fmt: skip


def test_below_each_definition_of_a_loss_stands_what_other_libraries_have():
    """Tabs, or a sentence that says where they are or why there are none."""
    defined = dict(
        found.groups()
        for path in NOTEBOOKS
        for found in re.finditer(
            r"\{prf:definition\}.*\n:label: (\S+)\n((?:(?!^#|.*\{prf:[a-z]+\} ).*\n)*)", prose(path), re.MULTILINE
        )
    )
    assert {label for label, text in defined.items() if "**In your framework" not in text} == set(NO_LOSS)
