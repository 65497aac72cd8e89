"""A reader changes a number and runs the page again: no cell stops, unless the error is its lesson.

tests/data/edits/<page>.toml has the changes, such as readers make. All changes of a page are made in one run.
"""

import tomllib

import build
import execute
import nbformat
import pytest
from nbclient import NotebookClient

EDITS = sorted((build.ROOT / "tests" / "data" / "edits").glob("*.toml"))


def edited(page, changes):
    """The notebook with its changes made; each must fit in one place."""
    notebook = nbformat.read(build.ROOT / "book" / f"{page}.ipynb", as_version=4)
    for change in changes:
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and change["old"] in cell.source]
        found = sum(cell.source.count(change["old"]) for cell in cells)
        assert found == 1, f"{page}: {change['old']!r} stands in {found} places of the code"
        cells[0].source = cells[0].source.replace(change["old"], change["new"])
    return notebook


@pytest.mark.parametrize("path", EDITS, ids=[path.stem for path in EDITS])
def test_no_cell_stops_when_a_reader_changes_its_numbers(path):
    changes = tomllib.loads(path.read_text(encoding="utf-8"))["edit"]
    assert len(changes) >= 5, "several changes a page"
    notebook = edited(path.stem, changes)
    folder = {"metadata": {"path": build.ROOT / "book"}}
    with execute.own_profile():
        NotebookClient(notebook, timeout=execute.TIMEOUT, allow_errors=True, resources=folder).execute()
    stopped = [
        f"{cell.source}\n-> {output.ename}: {output.evalue}"
        for cell in notebook.cells
        if cell.cell_type == "code" and "raises-exception" not in cell.metadata.get("tags", [])
        for output in cell.outputs
        if output.output_type == "error"
    ]
    assert stopped == [], "\n\n".join(stopped)
