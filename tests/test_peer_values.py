"""Golden values: what other libraries, published tables and hand calculation give, from tests/data/peer_values.json.

tests/make_peer_values.py writes that file and describes its rows. Here each row is compared with the loss: with the
peer's number (times the row's factor, where a convention differs), or with mpmath's, where the row says that the peer
is wrong or means something else; that it is so is a test, too.
"""

import importlib
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cases import every_loss

ROWS = json.loads((Path(__file__).parent / "data" / "peer_values.json").read_text())
DISPUTED = [row for row in ROWS if "truth" in row]

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
every_disputed_row = pytest.mark.parametrize("row", DISPUTED, ids=lambda row: row["id"])


def read(value):
    """An array of the file, or a keyword that is none."""
    if not isinstance(value, dict):
        return value
    dtype = np.dtype(value["dtype"])
    if "fill" in value:
        return np.full(value["shape"], value["fill"], dtype)
    return numbers(value["values"]).astype(dtype)


def numbers(value):
    """Nested lists of numbers, "nan" and "inf" among them, as an array; whole numbers stay whole."""
    array = np.array(value)
    return array.astype(np.float64) if array.dtype.kind == "U" else array


def departure(got, wanted):
    """The largest relative difference; infinite where only one of two numbers is 0, NaN or infinite."""

    def of(x, y):
        if x == y or (math.isnan(x) and math.isnan(y)):
            return 0.0
        return abs(x - y) / abs(y) if y != 0 and math.isfinite(x) and math.isfinite(y) else math.inf

    got, wanted = np.broadcast_arrays(np.asarray(got, np.float64), wanted)
    return max(map(of, got.flat, wanted.flat))


def expected(row):
    """(value, gradients) that the loss must have: mpmath's if the row is disputed, else the peer's by the factor."""
    if "truth" in row:
        value, slopes = row["truth"], [row["true_gradient"]] if "true_gradient" in row else []
        return exact(value), [exact(slope) for slope in slopes]
    factor = float(Fraction(row.get("factor", "1")))
    return factor * exact(row["value"]), [factor * exact(slope) for slope in row.get("gradients", [])]


def exact(value):
    """Numbers of the file, or their decimals, in float64."""
    return numbers(value).astype(np.float64)


def evaluate(row, gradient):
    """(value, gradients) of the loss of a row; no gradients if none are wanted."""
    module, _, name = row["loss"].partition(".")
    loss = getattr(importlib.import_module(f"lossbook.{module}"), name)
    arrays, keywords = map(read, row["arguments"]), {name: read(value) for name, value in row["keywords"].items()}
    if not gradient:
        return loss(*arrays, **keywords), ()
    value, gradients = loss.value_and_grad(*arrays, **keywords)
    return value, gradients if isinstance(gradients, tuple) else (gradients,)


@every_row
def test_a_loss_agrees_with_its_peer(row):
    """Value and gradient; where the peer is wrong, with mpmath."""
    said = row.get("wrong") or row.get("convention")
    where = f"{row['id']}: {row['call']}" + (f" gives {row['value']}, but {said}" if said else "")
    value, slopes = expected(row)
    got, gradients = evaluate(row, bool(slopes))
    assert np.shape(got) == value.shape, where
    assert departure(got, value) <= row["tolerance"], f"{where}: {got} against {value}"
    for gradient, slope in zip(gradients, slopes, strict=True):
        assert np.shape(gradient) == slope.shape, where
        assert departure(gradient, slope) <= row["tolerance"], f"{where}: gradient {gradient} against {slope}"


@every_disputed_row
def test_a_disputed_number_is_not_the_true_one(row):
    """A row that calls its peer wrong, or of another convention, shows a number that differs from mpmath's."""
    assert ("wrong" in row) != ("convention" in row)
    value, slopes = expected(row)
    departures = [departure(exact(row["value"]), value)]
    departures += [departure(exact(row["gradients"][k]), slope) for k, slope in enumerate(slopes)]
    assert max(departures) > 10 * row["tolerance"]


@pytest.mark.parametrize("loss", every_loss(), ids=lambda loss: loss.name)
def test_every_loss_has_a_row(loss):
    """No loss stands on its own word alone."""
    assert any(row["loss"] == loss.name for row in ROWS), f"add a row for {loss.name} to tests/make_peer_values.py"


@every_row
def test_a_row_tells_where_its_number_comes_from(row):
    """The library, its version if it was run or quoted, and the call; a factor and a reason go together."""
    assert row["library"]
    assert row["call"]
    assert row["library"].startswith("by hand") or row["version"]
    assert ("factor" in row) == ("why" in row)


def test_no_two_rows_share_a_name():
    """The names are the ids of the tests."""
    assert len({row["id"] for row in ROWS}) == len(ROWS)
