"""Questions by which readers check themselves: ``{questions}`` prints those of book/questions/<page>.toml.

The directive makes lists and paragraphs alone, so that the questions stand on paper and without scripts, the answers
below them. _static/questions.js turns them into forms, and asks the `[expect]` of a page before its sliders move.
"""

import json
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FOLDER = Path(__file__).resolve().parent.parent / "questions"
# What each kind must have, and what it may have. `compute`, `holds` and `where` are for tests, which compute again.
NEEDED = {
    "choice": {"text", "choices"},
    "number": {"text", "value", "compute", "why"},
    "order": {"text", "lines", "why"},
}
ALLOWED = {"choice": set(), "number": {"tolerance", "wrong"}, "order": {"where"}}
TOLERANCE = 0.02  # two digits of a number, rounded by hand, are mostly enough


def read(page: str) -> dict[str, Any]:
    """The questions of a page and what is expected of its sliders; a ValueError says what is wrong with its file."""
    path = FOLDER / f"{page}.toml"
    if not path.exists():
        raise ValueError(f"there is no {path.name} in {FOLDER.name}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name}: {error}") from error
    checked(content, path.name)
    return content


def checked(content: dict[str, Any], name: str) -> None:
    """Raise a ValueError, which names the question, unless each has all that it needs."""
    keys(content, {"question"}, {"expect"}, name)
    for slider, choices in content.get("expect", {}).items():
        if not isinstance(choices, list) or len(set(choices)) < 2:
            raise ValueError(f"{name}: the slider {slider} needs two choices or more")
    for number, question in enumerate(content["question"], 1):
        where = f"{name}, question {number}"
        kind = question.get("kind")
        if kind not in NEEDED:
            raise ValueError(f"{where}: kind must be one of {', '.join(NEEDED)}; got {kind!r}")
        keys(question, {"kind", *NEEDED[kind]}, ALLOWED[kind], where)
        if kind == "choice":
            for choice in question["choices"]:
                keys(choice, {"text", "why"}, {"right", "holds"}, where)
            answers = [choice.get("right", False) for choice in question["choices"]]
            if not any(answers) or all(answers):
                raise ValueError(f"{where}: one choice must be right, and one wrong")
        elif kind == "number":
            for one in question.get("wrong", []):
                keys(one, {"value", "why"}, {"compute"}, where)
            tolerance = question.get("tolerance", TOLERANCE)
            if not 0 < tolerance < 1 or question["value"] == 0:
                raise ValueError(f"{where}: a tolerance is relative, between 0 and 1, and the value is not 0")
            for one in question.get("wrong", []):
                if abs(one["value"] - question["value"]) <= 2 * tolerance * abs(question["value"]):
                    raise ValueError(f"{where}: the wrong value {one['value']} is too near to the right one")
        elif len(set(question["lines"])) < max(3, len(question["lines"])):
            raise ValueError(f"{where}: there must be three lines or more, none of them twice")


def keys(table: dict[str, Any], needed: set[str], allowed: set[str], where: str) -> None:
    """Raise a ValueError unless a table has what is needed, not empty, and nothing else."""
    if missing := sorted(key for key in needed if table.get(key) in (None, "", [])):
        raise ValueError(f"{where}: {', '.join(missing)} is missing")
    if unknown := sorted(set(table) - needed - allowed):
        raise ValueError(f"{where}: {', '.join(unknown)} is unknown")


def shuffled(texts: list[str]) -> list[int]:
    """The places of the texts in an order that looks like chance, is the same in every build, and never the given."""
    order = sorted(range(len(texts)), key=lambda at: sha256(texts[at].encode()).digest())
    return order[::-1] if order == sorted(order) else order


def raw(html: str) -> nodes.raw:
    return nodes.raw("", html, format="html")


class Questions(SphinxDirective):
    """All questions of a page, with their answers folded."""

    def run(self) -> list[nodes.Node]:
        page = self.env.docname.rpartition("/")[2]
        self.env.note_dependency(str(FOLDER / f"{page}.toml"))
        try:
            content = read(page)
        except ValueError as error:
            raise self.error(str(error)) from error
        found: list[nodes.Node] = []
        for number, question in enumerate(content["question"], 1):
            body = getattr(self, question["kind"])(question)
            text = self.parse_text_to_nodes(question["text"])
            text[0].insert(0, [nodes.strong("", f"Question {number}."), nodes.Text(" ")])
            found.append(nodes.container("", *text, *body, classes=["question", question["kind"]]))
        if expect := content.get("expect"):
            data = json.dumps(expect, ensure_ascii=False).replace("</", "<\\/")
            found.append(raw(f'<script type="application/json" id="expect">{data}</script>'))
        return found

    def listed(self, texts: list[str], classes: list[list[str]]) -> nodes.enumerated_list:
        items = [
            nodes.list_item("", *self.parse_text_to_nodes(text), classes=own)
            for text, own in zip(texts, classes, strict=True)
        ]
        return nodes.enumerated_list("", *items, enumtype="loweralpha", prefix="", suffix=".")

    def answer(self, *content: nodes.Node) -> list[nodes.Node]:
        """What a reader unfolds; on paper it stands below the question."""
        fold = raw("<details><summary>Answer</summary>")
        elsewhere = addnodes.only("", nodes.paragraph("", "Answer:"), expr="not html")
        return [nodes.container("", fold, elsewhere, *content, raw("</details>"), classes=["answer"])]

    def choice(self, question: dict[str, Any]) -> list[nodes.Node]:
        choices = question["choices"]
        choices = [choices[at] for at in shuffled([choice["text"] for choice in choices])]
        right = [["right"] if choice.get("right") else [] for choice in choices]
        says = [("Right. " if choice.get("right") else "No. ") + choice["why"] for choice in choices]
        unmarked: list[list[str]] = [[] for _ in choices]
        texts = [choice["text"] for choice in choices]
        return [self.listed(texts, unmarked), *self.answer(self.listed(says, right))]

    def number(self, question: dict[str, Any]) -> list[nodes.Node]:
        tolerance = question.get("tolerance", TOLERANCE)
        right = self.parse_text_to_nodes(question["why"])
        right[0].insert(0, self.value(question["value"], tolerance))
        wrong = [self.parse_text_to_nodes(one["why"]) for one in question.get("wrong", [])]
        for one, why in zip(question.get("wrong", []), wrong, strict=True):
            why[0].insert(0, self.value(one["value"], tolerance))
        items = [nodes.list_item("", *why) for why in wrong]
        return self.answer(*right, *([nodes.bullet_list("", *items, bullet="-")] if items else []))

    def value(self, value: float, tolerance: float) -> list[nodes.Node]:
        """A number, which the script compares with what the reader types."""
        text = f"{value:.10g}"
        return [raw(f'<data value="{value!r}" data-tolerance="{tolerance!r}">'), nodes.strong("", text), raw("</data>"),
                nodes.Text(". ")]  # fmt: skip

    def order(self, question: dict[str, Any]) -> list[nodes.Node]:
        lines = question["lines"]
        order = shuffled(lines)
        mixed = self.listed([lines[at] for at in order], [[f"place-{at}"] for at in order])
        items = [nodes.list_item("", *self.parse_text_to_nodes(line)) for line in lines]
        solved = nodes.enumerated_list("", *items, enumtype="arabic", prefix="", suffix=".")
        return [mixed, *self.answer(solved, *self.parse_text_to_nodes(question["why"]))]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("questions", Questions)
    app.add_css_file("questions.css")
    app.add_js_file("questions.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
