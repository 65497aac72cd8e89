"""What a reader may expect of every page: cells that never stop and are as narrow as the page, headings in order."""

import ast
import re
from statistics import median

import build
import pytest
import yaml
from notebooks import BOOK, NOTEBOOKS, cells, each_notebook, prose

PAGES = sorted([*NOTEBOOKS, *BOOK.glob("*.md")])

COLUMNS = 78
FOLDED = {"hide-cell", "hide-input", "proof", "remove-cell", "remove-input"}


def chapters():
    """The pages that teach: those of the numbered parts, and the one before them."""
    parts = yaml.safe_load((build.ROOT / "_toc.yml").read_text())["parts"]
    named = [page["file"] for part in parts[:5] for page in part["chapters"]]
    return [path for name in named if (path := build.ROOT / f"{name}.ipynb").exists()]


each_chapter = pytest.mark.parametrize("path", chapters(), ids=[path.stem for path in chapters()])


def without_code(text):
    """The text of a page without fenced code, comments of which look like headings."""
    return re.sub(r"^(`{3,})(?!\{).*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)


@each_notebook
def test_no_cell_asserts(path):
    """An assert ends the page for a reader who changes a number; check(...) says what no longer holds."""
    found = [
        cell.source.splitlines()[node.lineno - 1]
        for cell in cells(path, "code")
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


@each_notebook
def test_no_cell_is_wider_than_the_page(path):
    lines = [line for cell in cells(path, "code") for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > COLUMNS] == []


@each_chapter
def test_cells_are_short(path):
    """Half of the cells that are open have at most 6 lines."""
    shown = [cell.source for cell in cells(path, "code") if not FOLDED & set(cell.metadata.get("tags", []))]
    assert median(len(source.splitlines()) for source in shown) <= 6


@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_a_page_has_one_title_and_no_table_without_a_head(path):
    text = without_code(prose(path))
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert re.findall(r"(?:\A|\n\s*\n)(\|(?!.*\n\|[ :|-]+\|).*)", text) == [], "rows of a table need its head"


@each_chapter
def test_a_chapter_says_first_what_it_takes(path):
    """Its time, its level, its data, and what to know before."""
    head = prose(path).split("\n## ")[0]
    (box,) = re.findall(r"^:::\{admonition\} Before you start\n(.*?)^:::$", head, re.MULTILINE | re.DOTALL)
    assert [word for word in ("Time", "Level", "Data", "You need") if f"**{word}**" not in box] == []


@each_chapter
def test_a_chapter_has_six_exercises_with_levels(path):
    titles = re.findall(r"\{exercise-start\} (.*)", prose(path))
    assert len(titles) >= 6
    assert [title for title in titles if not re.search(r"\((?:easy|medium|hard)\)$", title)] == []


@each_chapter
def test_misprints_come_last(path):
    """At most five in the running text; all of a chapter in its section "The notes, corrected"."""
    running, *closing = re.split(r"^## The notes, corrected$", prose(path), flags=re.MULTILINE)
    linked = re.findall(r"<(errata-1-1[\d-]*)>`", running)
    assert len(linked) <= 5
    if linked or closing:
        (closing,) = closing
        listed = re.findall(r"^\|.*<(errata-1-1[\d-]*)>`.*\|$", closing, re.MULTILINE)
        assert len(listed) == len(set(listed))
        assert set(linked) <= set(listed)


@each_chapter
def test_a_chapter_shows_its_derivations(path):
    if path.stem.startswith(("binary", "multiclass", "regression", "segmentation", "detection", "loss", "class")):
        assert any(re.search(r"\bderive\(", cell.source) for cell in cells(path, "code"))
