"""The atlas of losses: a card for each, printed from the code, from cards.toml and from lossbook.find."""

import importlib
import inspect
import json
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import cards
import pictures
from cards import label_of
from docutils import nodes
from lossbook_sphinx import formula, inline
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lossbook.documentation import formula_text, largest_errors, typed
from lossbook.workshop.find import table

NAMES = Path(__file__).with_name("other_names.toml")
# What the facts in Loss.properties mean; the value is put into the braces. The others are in cards.toml.
FACTS = {"maximum": "largest value {}", "symmetric": "unchanged when prediction and target change places"}
VALUE_OF = {
    "pointwise": "element", "rows": "row of classes", "overlap": "image and class", "boxes": "box", "distance": "pixel",
    "joined": "whole batch",
}  # fmt: skip
# Pages that treat no loss.
LOOKED_UP = ("api", "atlas", "errata", "glossary", "index", "lecturers", "notation", "references")
# How code begins that names a module of another library, where that is not its full name.
WRITTEN = {"torch.nn.functional": "F", "torch.nn": "nn", "optax.losses": "optax", "keras.losses": "tf.keras.losses"}
# A setting of another library, in a note of lossbook.find, and the loss that equals it.
SETTING = re.compile(r"(\w+=[\w']+) is ([a-z]+\.[a-z_]+)\b[^;,]*")


@cache
def other_names() -> dict[str, Any]:
    """The file."""
    return tomllib.loads(NAMES.read_text(encoding="utf-8"))


def elsewhere(name: str) -> dict[str, list[tuple[str, str]]]:
    """{what is to say: [(qualified name of another library, what is put behind it)]} for a loss."""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in table():
        if one.loss is not None and one.loss.name == name:
            note = f"; {one.note}" if one.note else ""
            found.setdefault(f"the same numbers as `{one.call}`{note}", []).append((one.qualified, ""))
        for setting, other in SETTING.findall(one.note):
            if other == name and (one.loss is None or one.loss.name != name):
                found.setdefault("", []).append((one.qualified, f" with `{setting}`"))
    for qualified, remark in other_names().get(name, {}).get("elsewhere", []):
        found.setdefault(remark, []).append((qualified, ""))
    return found


def index_entries(name: str) -> list[tuple[str, str]]:
    """Under what a loss is found: "name; full name" is two entries for the search, one below the other in the index,
    and beside them is the name as code has it.

    "main" stands beside each, because the search puts all other entries behind every page that has the word; not beside
    a name for which `lossbook.find` has another loss, whose card is to come first.
    """
    entry = other_names().get(name, {})
    besides = {qualified for qualified, _ in entry.get("elsewhere", [])}
    behind = besides & {one.qualified for one in table() if one.loss is not None and one.loss.name != name}
    known = [qualified for names in elsewhere(name).values() for qualified, _ in names]
    own = []
    for one in known:
        module, _, last = one.rpartition(".")
        written = [f"{WRITTEN[module]}.{last}"] if module in WRITTEN else []
        own += [(text, "" if one in behind else "main") for text in (f"{last}; {one}", *written)]
    return list(dict.fromkeys([*own, *((one, "main") for one in entry.get("names", []))]))


def displayed(name: str) -> str:
    """The textbook formula, the gradient, and what both use, as LaTeX."""
    rows, given = cards.formulas(name)
    lines = [f"{left} &= {right}" for left, right in rows] + in_rows(given)
    return rf"\begin{{aligned}}{(' ' + chr(92) * 2 + '[4pt] ').join(lines)}\end{{aligned}}"


def in_rows(given: list[tuple[str, str]]) -> list[str]:
    """Definitions as rows of LaTeX, several to a row where they are short."""
    lines: list[str] = []
    room = 0
    for left, right in given:
        length = len(re.sub(r"\\\\[a-z]+|[{}_^\\\\ ]", "", right)) + 6
        if length <= room:
            lines[-1] += rf",\quad {left} = {right}"
            room -= length
        else:
            lines.append((r"\text{with}\quad " if not lines else "") + f"{left} &= {right}")
            room = 44 - length
    return lines


class Atlas(SphinxDirective):
    """A card for each public loss, by task; above them thumbnails and an alphabet.

    {ref}`atlas-binary-focal` leads to the card of binary.focal.
    """

    def run(self) -> list[nodes.Node]:
        losses = cards.every_loss()
        for file in (cards.FILE, NAMES, Path(pictures.__file__), Path(__file__), Path(cards.__file__)):
            self.env.note_dependency(str(file))
        for module in cards.TASKS:
            self.env.note_dependency(str(inspect.getsourcefile(importlib.import_module(f"lossbook.{module}"))))
        self.pages = self.chapters()
        alphabet: dict[str, list[tuple[str, str]]] = {}
        for name in sorted(losses, key=lambda name: name.split(".")[::-1]):
            module, _, own = name.partition(".")
            alphabet.setdefault(own[0].upper(), []).append((name, f"{own} ({module})"))
        letters = [nodes.list_item("", self.links(f"{letter}: ", links)) for letter, links in alphabet.items()]
        found: list[nodes.Node] = [
            nodes.rubric("", "By eye"), self.thumbnails(losses), nodes.rubric("", "By name"),
            nodes.bullet_list("", *letters, bullet="-"),
        ]  # fmt: skip
        for module, task in cards.TASKS.items():
            label = f"atlas-{module}"
            section = nodes.section("", nodes.title("", task), ids=[label], names=[label])
            self.state.document.note_explicit_target(section)
            section += [self.card(name, loss) for name, loss in losses.items() if name.startswith(f"{module}.")]
            found.append(section)
        return found

    def thumbnails(self, losses: dict[str, Any]) -> nodes.raw:
        """A small curve of every loss, by task; each leads to the card."""
        parts = []
        for module, task in cards.TASKS.items():
            items = []
            for name in losses:
                if name.startswith(f"{module}."):
                    shown = f"{pictures.thumbnail(name)}<span>{name.partition('.')[2]}</span>"
                    items.append(f'<li><a href="#{label_of(name)}">{shown}</a></li>')
            parts.append(f'<p class="thumbnails-of">{escape(task)}</p><ul class="thumbnails">{"".join(items)}</ul>')
        return nodes.raw("", "\n".join(parts), format="html")

    def chapters(self) -> dict[str, str]:
        """The text of every chapter, in the order of the table of contents."""
        root = Path(self.env.srcdir)
        listed = re.findall(r"(?:file|root): (\S+)", (root / "_toc.yml").read_text(encoding="utf-8"))
        texts = {}
        for name in listed:
            path = Path(self.env.doc2path(name))
            if not path.stem.startswith(LOOKED_UP):
                self.env.note_dependency(str(path))
                text = path.read_text(encoding="utf-8")
                if path.suffix == ".ipynb":
                    text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
                texts[name] = text
        return texts

    def link(self, target: str, text: str = "", kind: str = "ref") -> addnodes.pending_xref:
        """A link to a label with its own text, or (kind "doc") to a page, which lends its title."""
        where = {"refdoc": self.env.docname, "reftarget": target, "refexplicit": bool(text), "refwarn": True}
        inner = nodes.inline("", text or target)
        return addnodes.pending_xref("", inner, refdomain="std", reftype=kind, **where)

    def links(self, before: str, targets: list[tuple[str, str]]) -> nodes.paragraph:
        found = nodes.paragraph("", "", nodes.Text(before))
        for at, (name, text) in enumerate(targets):
            found += [nodes.Text(", " if at else ""), self.link(label_of(name), text)]
        return found

    def card(self, name: str, loss: Any) -> nodes.section:
        label, module = label_of(name), name.partition(".")[0]
        section = nodes.section("", nodes.title("", name), ids=[label], names=[label], classes=["from-code"])
        self.state.document.note_explicit_target(section)
        entries = [("single", entry, label, main, None) for entry, main in index_entries(name)]
        section += addnodes.index(entries=entries)
        section += nodes.paragraph("", "", *inline(loss.summary))
        section += formula(displayed(name), self.env.docname)
        if note := cards.entry(name).get("note"):
            section += nodes.paragraph("", "", *inline(note))
        section += pictures.picture(name, self.env)
        theory = [*cards.theory(name)]
        theory += [FACTS[fact].format(value) for fact, value in loss.properties.items() if value and fact in FACTS]
        rows = [[nodes.strong("", "Theory: "), nodes.Text("; ".join(theory) + ".")]]
        if errors := largest_errors(loss):
            rows.append([nodes.Text(errors)])
        rows += [[nodes.literal("", argument), *inline(f": {text}")] for argument, text in self.described(loss)]
        rows.append([nodes.Text(f"One value per {VALUE_OF[loss.shape]}.")])
        if peers := self.peers(name):
            rows.append([nodes.Text("Elsewhere:"), *peers])
        if common := other_names().get(name, {}).get("names"):
            rows.append([nodes.Text(f"Also called: {', '.join(common)}.")])
        own = rf"\b{name.partition('.')[2].removesuffix('_with_logits')}(_with_logits)?\b"
        mention = re.compile(rf"\b{module}\.{own}|from lossbook\.{module} import .*{own}")
        where = [page for page, text in self.pages.items() if mention.search(text)]
        row: list[nodes.Node] = [nodes.Text("Treated in: ")]
        for at, page in enumerate(where):
            row += [nodes.Text(", " if at else ""), self.link(f"/{page}", kind="doc")]
        rows.append([*row, nodes.Text(".")] if where else [])
        api = self.link(label_of(name, "api"), "API")
        rows.append([nodes.Text("Signature and options: "), api, nodes.Text(".")])
        if loss.reference:
            rows.append([nodes.Text(f"Source: {loss.reference}.")])
        items = []
        for row in rows:
            lists = [part for part in row if isinstance(part, nodes.bullet_list)]
            words_only = [part for part in row if part not in lists]
            items += [nodes.list_item("", nodes.paragraph("", "", *words_only), *lists)] if row else []
        section += nodes.bullet_list("", *items, bullet="-")
        section += self.computed(loss)
        return section

    def computed(self, loss: Any) -> list[nodes.Node]:
        """The formula that the kernels are made from, folded."""
        text = formula_text(loss)
        return [
            nodes.raw("", "<details><summary>The form that is computed</summary>", format="html"),
            nodes.literal_block(text, text, language="text", classes=["signature"]),
            nodes.raw("", "</details>", format="html"),
        ]

    def described(self, loss: Any) -> Iterator[tuple[str, str]]:
        """What prediction, target and parameters may be."""
        defaults = loss.declaration.defaults
        for name, domain in loss.declaration.arguments.items():
            default = f"; {plain_number(defaults[name])} if left out" if domain.role in ("parameter", "flag") else ""
            rule = f"; {domain.rule}" if domain.checked and domain.role in ("prediction", "target") else ""
            yield name, f"{domain.describes}{rule}{default}"

    def peers(self, name: str) -> list[nodes.Node]:
        """What the loss is called in other libraries, one item for names that are alike."""
        items = []
        for remark, found in elsewhere(name).items():
            row: list[nodes.Node] = []
            for at, (qualified, extra) in enumerate(found):
                row += [nodes.Text(", " if at else ""), nodes.literal("", qualified), *marked(extra)]
            row += [nodes.Text(": "), *marked(remark)] if remark else []
            items.append(nodes.list_item("", nodes.paragraph("", "", *row)))
        return [nodes.bullet_list("", *items, bullet="-")] if items else []


def marked(text: str) -> list[nodes.Node]:
    """Text in which `backticks` mark code, and nothing else marks anything."""
    return [nodes.literal("", part) if at % 2 else nodes.Text(part) for at, part in enumerate(text.split("`")) if part]


def plain_number(value: Any) -> str:
    """A default in few digits: 4/3, 1e-05, 2."""
    text = typed(value)
    return f"{value:g}" if isinstance(value, float) and "/" not in text else text


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("atlas", Atlas)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
