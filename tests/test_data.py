"""The data that come with the package are those of the libraries and files that they were made from."""

import inspect
import json
import re

import numpy as np
import package_data
import pytest
from notebooks import NOTEBOOKS, cells
from processes import child

from lossbook import data


@pytest.fixture(scope="module")
def origins():
    pytest.importorskip("sklearn")
    pytest.importorskip("skimage")
    return package_data.data_sets()


@pytest.mark.parametrize("name", ["digits", "diabetes", "breast_cancer", "coins"])
def test_a_data_set_is_the_one_of_the_library(name, origins):
    """The same numbers of the same types; run python tools/package_data.py where one differs."""
    for stored, origin in zip(getattr(data, name)(), origins[name], strict=True):
        assert (stored.dtype, stored.shape) == (origin.dtype, origin.shape)
        assert np.array_equal(stored, origin)


@pytest.mark.parametrize(
    ("load", "name"),
    [(data.exhaustive_errors, "exhaustive"), (data.timings, "results"), (data.peer_values, "peer_values")],
)
def test_a_stored_result_is_the_one_of_its_file(load, name):
    """The copy in the package is like the file; run python tools/package_data.py after a new measurement."""
    (path,) = [path for path in package_data.RECORDS if path.stem == name]
    assert load() == json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["digits", "diabetes", "breast_cancer", "coins"])
def test_every_call_returns_arrays_of_its_own(name):
    """What a reader does to an array is not in the next one, and an array can be written to."""
    for array in getattr(data, name)():
        array[...] = 0
    assert all(array.any() for array in getattr(data, name)())


@pytest.mark.parametrize("name", ["digits", "diabetes", "breast_cancer", "coins"])
def test_source_and_licence_are_named(name):
    assert re.search(r"licence|copyright", inspect.getdoc(getattr(data, name)))


def test_nothing_is_read_before_it_is_asked_for():
    """`import lossbook` knows nothing of the data, and its import opens no file of them."""
    code = """
import sys
opened = []
sys.addaudithook(lambda event, given: event == "open" and opened.append(str(given[0])))
import lossbook
first = "lossbook.data" in sys.modules
import lossbook.data
print((first, [path for path in opened if path.endswith((".npz", ".gz"))]))
"""
    assert child(code) == (False, [])


# Where the data come from, and where a file of the repository lies: a notebook that is saved elsewhere has neither.
ELSEWHERE = re.compile(r"sklearn\.datasets|skimage\b|\.\./|__file__\)\.parents")


def test_notebooks_take_their_data_from_the_package():
    said = {path.stem: ELSEWHERE.findall("\n".join(cell.source for cell in cells(path, "code"))) for path in NOTEBOOKS}
    assert {name: found for name, found in said.items() if found} == {}
