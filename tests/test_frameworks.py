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
