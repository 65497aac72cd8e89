"""Previews of what a link leads to: equations, definitions, theorems, terms and references.

Their texts are gathered from all pages into one script, `preview_texts.js`, because a page from file:// can load
nothing else. It is loaded when the first preview is wanted; `previews.js` shows them.
"""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

LONGEST = 6000  # letters of HTML: what is longer is read on its own page

texts: dict[str, str] = {}


def targets(tree: nodes.document) -> Iterator[str]:
    """The ids of everything that has a preview."""
    for node in tree.findall(nodes.Element):
        is_equation = isinstance(node, nodes.math_block) and node.get("label")
        is_statement = isinstance(node, nodes.Admonition) and "realtype" in node
        is_term = isinstance(node, nodes.term) and isinstance(node.parent.parent.parent, addnodes.glossary)
        if is_equation or is_statement or is_term or isinstance(node, nodes.citation):
            yield from node["ids"]


def fragment(target: Tag) -> str:
    """What is shown of an element: of a term the explanation, too; no ids and no links, which belong to the page."""
    shown = [target, target.find_next_sibling("dd")] if target.name == "dt" else [target]
    copied = BeautifulSoup("".join(map(str, shown)), "html.parser")
    for link in copied.select("a.headerlink, span.backrefs, span.label"):
        link.decompose()
    for link in copied.select("a"):
        link.unwrap()
    for element in copied.find_all(True):
        element.attrs = {key: value for key, value in element.attrs.items() if key == "class"}
    return str(copied).strip()


def collect(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None) -> None:
    """Take the previews of a page from what was written of it."""
    if tree is None or app.builder.name != "html":
        return
    if ids := set(targets(tree)):
        for target in BeautifulSoup(context["body"], "html.parser").find_all(id=lambda one: one in ids):
            html = fragment(target)
            if len(html) <= LONGEST:
                texts[f"{PurePosixPath(page).name}.html#{target['id']}"] = html


def write(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.name == "html":
        content = f"showPreviews({json.dumps(texts, ensure_ascii=False, sort_keys=True, indent=0)});\n"
        Path(app.outdir, "_static", "preview_texts.js").write_text(content, encoding="utf-8", newline="\n")
    texts.clear()


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", collect)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
