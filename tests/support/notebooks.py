"""The notebooks of the book, as tests read them."""

from functools import cache
from pathlib import Path

import build
import nbformat
import pytest

BOOK = build.ROOT / "book"
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


@cache
def read(path: Path):
    """A notebook, which nobody changes."""
    return nbformat.read(path, as_version=4)


def cells(path: Path, kind: str) -> list:
    """Its cells of code, or those of Markdown."""
    return [cell for cell in read(path).cells if cell.cell_type == kind]


def prose(path: Path) -> str:
    """The text of a page, without code cells."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))
