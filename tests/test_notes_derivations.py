"""The formulas of the source notes, as printed, under `lossbook.derive.latex`: which misprints it finds, which not."""

import re
import tomllib
from pathlib import Path

import pytest

import lossbook
from lossbook.errors import NotationError
from lossbook.workshop import latex

ROOT = Path(__file__).parent.parent
NOTES = tomllib.loads((ROOT / "tests" / "data" / "notes_derivations.toml").read_text(encoding="utf-8"))
ENTRIES = {entry["id"]: entry for entry in NOTES["entry"]}
ERRATA = {name: (kind, said) for kind, rows in NOTES["errata"].items() for name, said in rows.items()}
OF_FORMULAS = {
    "refuted": {"refuted"},
    "unreadable": {"unreadable"},
    "not_read": {"unreadable"},
    "definition": {"no equality"},
    "both_sides": {"proved"},
    "inequality": {"no equality"},
}


def text_of(entry):
    """What is read of an entry: what the notes take for granted, and what they print."""
    return f"{entry['given']} \\\\\n{entry['latex']}" if "given" in entry else entry["latex"]


def where_of(entry):
    """The domains of an entry."""
    return {name: getattr(lossbook, domain) for name, domain in entry["where"].items()}


def sides_of(printed):
    """The sides of all lines, one after the other."""
    return [side for line in printed.lines for side in line.sides]


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_is_read_or_the_reader_stops_where_it_must(name):
    """What cannot be read is shown with its place; all else has equalities to compare, or none."""
    entry = ENTRIES[name]
    if entry["expect"] == "unreadable":
        with pytest.raises(NotationError) as caught:
            latex.read(text_of(entry), where_of(entry))
        from_there = "\n".join(text_of(entry).split("\n")[caught.value.line - 1 :])[caught.value.column - 1 :]
        assert from_there.startswith(entry["at"])
        assert entry["at"] or not from_there  # nothing is left only where the end is lost
        return
    sides = sides_of(latex.read(text_of(entry), where_of(entry)))
    assert sides
    assert any(side.relation == "=" for side in sides) == (entry["expect"] != "no equality")
    assert entry["expect"] != "refuted" or entry["wrong"] in [side.source for side in sides]


@pytest.mark.skipif(not hasattr(lossbook, "derive"), reason="lossbook.derive is not there yet")
@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry["expect"] != "unreadable"])
def test_what_is_found_in_an_entry(name):
    """The equalities that are wrong are refuted, at the line that is wrong, and all others hold."""
    entry = ENTRIES[name]
    derivation = lossbook.derive.latex(text_of(entry), where=where_of(entry))
    verdicts = {line.verdict for line in derivation.lines} - {"start"}
    if entry["expect"] == "refuted":
        sides = sides_of(latex.read(text_of(entry), where_of(entry)))
        wrong = next(side for side in sides if side.source == entry["wrong"])
        assert derivation.wrong is not None
        assert derivation.wrong.expression == wrong.expression
        assert derivation.wrong.counterexample
    else:
        assert derivation
        allowed = {"no equality": set(), "proved": {"proved"}, "agrees": {"proved", "agrees"}}
        assert verdicts <= allowed[entry["expect"]]


def test_the_errata_are_all_accounted_for():
    """Of each entry of the errata that is to be corrected it is said whether it is found, and why not."""
    table = (ROOT / "book" / "errata.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \{ref\}`([\d.]+-\d+) <[^>]*>` \| .*? \| ([^|]*) \|", table, re.MULTILINE)
    assert {name for name, verdict in rows if verdict != "correct"} == set(ERRATA)
    assert {name for entry in ENTRIES.values() for name in entry["prints"]} <= {name for name, _ in rows}


@pytest.mark.parametrize("name", [name for name, (kind, _) in ERRATA.items() if kind != "words"])
def test_an_erratum_is_what_its_entry_says(name):
    """An erratum that is called found is refuted in an entry that prints it; and so for those that are not found."""
    kind, said = ERRATA[name]
    assert name in ENTRIES[said]["prints"]
    assert ENTRIES[said]["expect"] in OF_FORMULAS[kind]
