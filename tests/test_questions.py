"""The questions of the book: each is whole and explained, its numbers are computed again, and it works in a browser."""

import math
import re
import sys
from io import StringIO

import build
import numpy as np
import pytest
import sympy
from notebooks import BOOK, NOTEBOOKS, cells, prose
from sphinx.application import Sphinx

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
    assert sorted(path.stem for path in pages) == PAGES
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
                got = float(eval(one["compute"], dict(NAMES)))
                assert got == pytest.approx(one["value"], rel=near), f"question {at}: {one['compute']}"


@each_page
def test_two_digits_of_a_number_are_enough(page):
    """Who rounds by hand is right; a short number is typed as it is, and a question may ask for more digits."""
    for at, question in asked(page, "number"):
        value = question["value"]
        short = value == float(f"{value:.3g}")
        assert (
            short or "tolerance" in question or float(f"{value:.2g}") == pytest.approx(value, rel=questions.TOLERANCE)
        ), f"question {at}: {value}"


@each_page
def test_a_choice_holds_if_it_is_right(page):
    """Wherever a file says how to find out."""
    for at, question in asked(page, "choice"):
        for choice in question["choices"]:
            if "holds" in choice:
                with np.errstate(all="ignore"):
                    got = bool(eval(choice["holds"], dict(NAMES)))
                assert got == choice.get("right", False), f"question {at}: {choice['text']}"


@each_page
def test_lines_in_their_order_are_a_derivation(page):
    """Wherever a file says what values the letters have, each line is proved to be the one before."""
    for at, question in asked(page, "order"):
        if where := question.get("where"):
            domains = {name: getattr(lossbook, domain) for name, domain in where.items()}
            formulas = [line.split("$")[1] for line in question["lines"]]  # a reason may stand behind each
            left, *_ = formulas[0].partition("=")
            lines = left + " \\\\ ".join(f"= {formula.partition('=')[2]}" for formula in formulas)
            verdicts = [line.verdict for line in derive.latex(lines, where=domains).lines]
            assert verdicts == ["start", *["proved"] * (len(question["lines"]) - 1)], f"question {at}"


@each_page
def test_what_a_slider_asks_has_choices_for_it(page):
    """A page says what may be expected of each of its sliders, and of no other."""
    shown = [
        output.data["text/html"]
        for path in NOTEBOOKS
        if path.stem == page
        for cell in cells(path, "code")
        for output in cell.outputs
        if 'type="range"' in output.get("data", {}).get("text/html", "")
    ]
    assert set(questions.read(page).get("expect", {})) == {re.search(r'id="(slider-[^"]+)"', html)[1] for html in shown}


@each_page
def test_texts_hold_together(page):
    """Formulas are closed, and each text ends like a sentence where it is one."""
    for question in questions.read(page)["question"]:
        parts = [question, *question.get("choices", []), *question.get("wrong", [])]
        texts = [part[key] for part in parts for key in ("text", "why") if key in part] + question.get("lines", [])
        assert [text for text in texts if text.count("$") % 2 or text.count("`") % 2] == []
        whys = [part["why"] for part in parts if "why" in part]
        assert [why for why in whys if why.strip()[-1] not in ".)?"] == []


RIGHT, WRONG = {"text": "a", "right": True, "why": "so"}, {"text": "b", "why": "no"}
CHOICE = {"kind": "choice", "text": "Which?", "choices": [RIGHT, WRONG]}
NUMBER = {"kind": "number", "text": "How much?", "value": 2.0, "compute": "1 + 1", "why": "so"}
ORDER = {"kind": "order", "text": "Sort.", "lines": ["a", "b", "c"], "why": "so"}


@pytest.mark.parametrize(
    ("question", "change", "message"),
    [
        (CHOICE, {"text": ""}, "question 1: text is missing"),
        (CHOICE, {"choices": [RIGHT, {"text": "b"}]}, "why is missing"),
        (CHOICE, {"choices": [WRONG, {**WRONG, "text": "a"}]}, "one choice must be right"),
        (CHOICE, {"choices": [RIGHT]}, "one choice must be right, and one wrong"),
        (CHOICE, {"kind": "essay"}, "kind must be one of choice, number, order; got 'essay'"),
        (CHOICE, {"whyy": "so"}, "whyy is unknown"),
        (NUMBER, {"value": None}, "value is missing"),
        (NUMBER, {"why": ""}, "why is missing"),
        (NUMBER, {"value": 0.0}, "the value is not 0"),
        (NUMBER, {"wrong": [{"value": 2.03, "why": "near"}]}, "2.03 is too near to the right one"),
        (NUMBER, {"wrong": [{"value": 3.0}]}, "why is missing"),
        (ORDER, {"lines": ["a", "b", "a"]}, "three lines or more, none of them twice"),
        (ORDER, {"why": ""}, "why is missing"),
    ],
)
def test_a_bad_file_is_refused_in_words(question, change, message):
    questions.checked({"question": [question]}, "page.toml")
    with pytest.raises(ValueError, match=re.escape(message)):
        questions.checked({"question": [{**question, **change}]}, "page.toml")


def test_the_order_looks_like_chance_and_is_always_the_same():
    """It depends on the texts alone, and is never the one of the file."""
    orders = {tuple(questions.shuffled([f"{word}{k}" for k in range(4)])) for word in "abcdefghij"}
    assert len(orders) > 5
    assert (0, 1, 2, 3) not in orders
    assert questions.shuffled(["x", "y", "z"]) == questions.shuffled(["x", "y", "z"])


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Builds one page with a question of each kind; for HTML, text or LaTeX."""
    folder = tmp_path / "questions"
    folder.mkdir()
    monkeypatch.setattr(questions, "FOLDER", folder)
    (tmp_path / "index.md").write_text("# Page\n\n```{questions}\n```\n")

    def build_as(builder, content):
        (folder / "index.toml").write_text(content)
        app = Sphinx(
            tmp_path, None, tmp_path / "out", tmp_path / "trees", builder, status=None, warning=(said := StringIO()),
            confoverrides={"extensions": ["myst_parser", "questions"], "myst_enable_extensions": ["dollarmath"]},
        )  # fmt: skip
        app.build()
        (name,) = [*tmp_path.glob("out/index.html"), *tmp_path.glob("out/*.tex"), *tmp_path.glob("out/index.txt")]
        return name.read_text(), said.getvalue()

    return build_as


PAGE = """
[[question]]
kind = "choice"
text = "Which of $1$ and $2$?"
choices = [{ text = "one $x^2$", right = true, why = "Because." }, { text = "two", why = "It is not." }]
[[question]]
kind = "number"
text = "How much?"
value = 0.5
compute = "1 / 2"
why = "A half."
wrong = [{ value = 2, why = "Turned over." }]
[[question]]
kind = "order"
text = "Sort."
lines = ["first", "second", "third"]
why = "In order."
"""


@pytest.mark.parametrize("builder", ["html", "text", "latex"])
def test_questions_stand_on_paper_too(builder, project):
    """Text, choices and all explanations are there without any script, the answers after the choices."""
    page, _ = project(builder, PAGE)
    for said in ("Which of", "one", "two", "Right. Because.", "No. It is not.", "A half.", "Turned over.", "In order."):
        assert said in page, said
    assert page.index("two") < page.index("Answer") < page.index("It is not.")
    assert ("<details>" in page) == (builder == "html")


def test_a_build_says_what_is_wrong_with_a_file(project):
    _, said = project("text", PAGE.replace('why = "A half."', ""))
    assert "index.toml, question 2: why is missing" in said
