"""The page for lecturers: its tables of data and times are true of package and chapters, and its points add up."""

import re

import pytest
from notebooks import BOOK, NOTEBOOKS, cells, prose

from lossbook import data

TEXT = (BOOK / "lecturers.md").read_text(encoding="utf-8")
ROWS = {row[1]: row[0] for row in re.finditer(r"^\| `data\.(\w+)\(\)` \|.*$", TEXT, re.MULTILINE)}


def section(title):
    return re.split(r"^## ", TEXT.split(f"## {title}\n")[1], flags=re.MULTILINE)[0]


def test_every_call_for_data_has_one_row_and_no_other_has():
    assert sorted(ROWS) == sorted(data.__all__)
    assert len(re.findall(r"^\| `data\.", TEXT, re.MULTILINE)) == len(ROWS)


@pytest.mark.parametrize("name", data.__all__)
def test_a_row_names_the_pages_that_load_the_data(name):
    using = [path.stem for path in NOTEBOOKS if any(f"data.{name}(" in cell.source for cell in cells(path, "code"))]
    assert using != []
    assert sorted(re.findall(r"\{doc\}`(\w+)`", ROWS[name])) == sorted(using)


@pytest.mark.parametrize("name", ["digits", "diabetes", "breast_cancer", "coins"])
def test_a_data_set_has_its_size_and_the_licence_of_its_documentation(name):
    _, _, _, size, _, licence, _, _ = (cell.strip() for cell in ROWS[name].split("|"))
    first, _ = getattr(data, name)()
    assert [int(number) for number in re.findall(r"\d+", size)] == list(first.shape)
    assert licence in " ".join(getattr(data, name).__doc__.split())


def test_the_minutes_of_whole_chapters_are_those_of_their_heads():
    heads = {path.stem: re.search(r"\*\*Time\*\* (.+?\.)", prose(path)) for path in NOTEBOOKS}
    told = re.findall(r"\{doc\}`(\w+)` \((\d+)\)", section("Fourteen weeks") + section("Five days"))
    assert len(told) > 25
    assert [(page, minutes) for page, minutes in told if minutes not in re.findall(r"\d+", heads[page][1])] == []


@pytest.mark.parametrize(
    ("title", "column", "most"), [("Fourteen weeks", 2, 90), ("Five days", 2, 180), ("Five days", 3, 180)]
)
def test_the_minutes_of_a_lecture_are_there(title, column, most):
    """Of two pages with "or" between them one is taken."""
    for row in re.findall(r"^\| \d+ \|.*$", section(title), re.MULTILINE):
        pages, *_ = row.split("|")[column].split(":")
        choices = [sum(map(int, re.findall(r"\((\d+)\)", one))) for one in re.split(r" or\b", pages)]
        assert min(choices) > 0, row
        assert max(choices) <= most, row


def test_the_points_of_each_solution_are_the_minutes_of_its_question():
    minutes = re.findall(
        r"^\d+\. \{doc\}`\w+`, (\d+) minutes", section("Twenty questions for an examination"), re.MULTILINE
    )
    text = (BOOK / "questions" / "examination.md").read_text(encoding="utf-8")
    solutions = re.split(r"^\d+\. ", text, flags=re.MULTILINE)[1:]
    assert len(minutes) == 20
    assert [sum(map(int, re.findall(r"\[(\d+)\]", one))) for one in solutions] == [int(one) for one in minutes]
