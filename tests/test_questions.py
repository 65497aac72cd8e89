"""The questions of the book: each is whole and explained, its numbers are computed again, and it works in a browser."""

import math
import sys

import build
import numpy as np
import pytest
import sympy
from notebooks import BOOK, NOTEBOOKS, cells, prose

sys.path.insert(0, str(build.ROOT / "book" / "_ext"))

import questions

import lossbook
from lossbook import binary, derive, detection, divergence, labels, multiclass, multilabel, regression, segmentation

PAGES = sorted(path.stem for path in questions.FOLDER.glob("*.toml"))
each_page = pytest.mark.parametrize("page", PAGES)

# What `compute` and `holds` may name.
NAMES = {
    "np": np, "math": math, "sympy": sympy, "lossbook": lossbook, "binary": binary, "detection": detection,
    "divergence": divergence, "labels": labels, "multiclass": multiclass, "multilabel": multilabel,
    "regression": regression, "segmentation": segmentation, "bce": binary.cross_entropy_with_logits,
    "derive": derive, "Label": lossbook.Label, "Real": lossbook.Real,
}  # fmt: skip


def asked(page, kind):
    """The questions of one kind on a page, with their numbers."""
    return [(at, one) for at, one in enumerate(questions.read(page)["question"], 1) if one["kind"] == kind]


def test_every_page_that_teaches_has_three_questions_or_more_and_shows_them_once():
    """They stand under their own heading, before the exercises and the table of the notes."""
    pages = [*NOTEBOOKS, BOOK / "notation.md"]
    assert PAGES == sorted(path.stem for path in pages)
    for path in pages:
        assert len(questions.read(path.stem)["question"]) >= 3, path.stem
        text = prose(path)
        assert text.count("```{questions}") == text.count("## Check yourself\n\n```{questions}\n```") == 1, path.stem
        assert "## Exercises" not in text or text.index("{questions}") < text.index("## Exercises"), path.stem


@each_page
def test_every_number_is_what_its_expression_gives(page):
    """The right value and the typical wrong ones."""
    for at, question in asked(page, "number"):
        near = question.get("tolerance", questions.TOLERANCE) / 10
        for one in [question, *question.get("wrong", [])]:
            if "compute" in one:
                got = float(eval(one["compute"], dict(NAMES)))  # noqa: S307
                assert got == pytest.approx(one["value"], rel=near), f"question {at}: {one['compute']}"


@each_page
def test_a_choice_holds_if_it_is_right(page):
    """Wherever a file says how to find out."""
    for at, question in asked(page, "choice"):
        for choice in question["choices"]:
            if "holds" in choice:
                with np.errstate(all="ignore"):
                    got = bool(eval(choice["holds"], dict(NAMES)))  # noqa: S307
                assert got == choice.get("right", False), f"question {at}: {choice['text']}"


@each_page
def test_lines_in_their_order_are_a_derivation(page):
    """Wherever a file says what values the letters have, each line is proved to be the one before."""
    for at, question in asked(page, "order"):
        if where := question.get("where"):
            domains = {name: getattr(lossbook, domain) for name, domain in where.items()}
            left, *_ = question["lines"][0].strip("$").partition("=")
            lines = left + " \\\\ ".join(f"= {line.strip('$').partition('=')[2]}" for line in question["lines"])
            verdicts = [line.verdict for line in derive.latex(lines, where=domains).lines]
            assert verdicts == ["start", *["proved"] * (len(question["lines"]) - 1)], f"question {at}"
