"""The table of other libraries on the page about accuracy has the numbers that tests/peers/make_accuracy.py stored."""

import json
import re

import build
import pytest
from notebooks import BOOK, prose

STORED = json.loads((build.ROOT / "tests" / "data" / "peer_accuracy.json").read_text(encoding="utf-8"))


def printed():
    """The title and the rows of the table."""
    text = prose(BOOK / "accuracy.ipynb")
    pattern = r"^```\{table\} ([^`]*)\n:name: tab-accuracy-peers\n(.*?)^```"
    ((title, table),) = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
    return title, rows[2:]


def number(text):
    """A number as the page prints it, such as 15 or $1.7 \\cdot 10^{7}$."""
    factor, power = re.fullmatch(r"\$?(?:([\d.]+) ?(?:\\cdot )?)?(?:10\^\{(\d+)\})?\$?", text).groups()
    return float(factor or 1) * 10 ** int(power or 0)


def test_the_table_names_the_versions_that_were_measured():
    title, _ = printed()
    for name, library in {"torch": "PyTorch", "optax": "optax", "keras": "Keras", "monai": "MONAI"}.items():
        assert STORED["versions"][name].startswith(re.search(rf"{library} ([\d.]*\d)", title)[1])


def test_the_table_prints_what_is_stored():
    found = {}
    for loss, libraries, value, slope in printed()[1]:
        for library in libraries.split(", "):
            found.setdefault(loss, {})[library] = {"value": number(value), "slope": number(slope)}
    assert {loss: set(rows) for loss, rows in found.items()} == {loss: set(r) for loss, r in STORED["worst"].items()}
    for loss, rows in found.items():
        for library, row in rows.items():
            assert row == pytest.approx(STORED["worst"][loss][library], rel=1e-9), (loss, library)
