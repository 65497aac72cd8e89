"""The notebooks that a page offers: itself, without directives, and its exercises to fill in.

The download button of a page leads to a notebook that runs anywhere: it installs the package if that is missing, and
its text is plain Markdown. Beside it, each page with exercises has a notebook in which they are solved, whose cells
check the answers (`checks.toml`). With SOLUTIONS=apart in the environment, the pages and both notebooks have no
solutions; these are then written into a folder of their own, which is not part of the pages.
"""

import copy
import hashlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from docutils import nodes
from plain import Plain, escape, fenced, is_cell, kind
from sphinx.application import Sphinx

from lossbook.workshop.answer import seal

sys.path.append(str(Path(__file__).parents[2] / "tools"))
import execute

CHECKS = Path(__file__).with_name("checks.toml")
APART = os.environ.get("SOLUTIONS") == "apart"
INSTALL = """\
# Installs the package where it is missing: from a folder around, or by name.
import importlib.util
import subprocess
import sys
from pathlib import Path

needed = {needed}
if not all(importlib.util.find_spec(name) for name in needed):
    around = [Path.cwd(), *Path.cwd().parents]
    folders = [f for f in around if (f / "lossbook" / "data").is_dir()]
    what = f"{{folders[0] if folders else 'lossbook'}}[notebooks]"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", what]
    subprocess.run(pip, check=True)"""
IMPORT = re.compile(r"^(?:from|import) (\w+)", re.MULTILINE)
# What a notebook may import, beside what every Python has.
INSTALLED = ("lossbook", "matplotlib", "mpmath", "numba", "scipy", "sklearn")


@cache
def checks() -> dict[str, dict[str, Any]]:
    """What is filled in and how it is checked, by the label of an exercise."""
    return tomllib.loads(CHECKS.read_text(encoding="utf-8"))


def to_fill(entry: dict[str, Any]) -> str:
    """The cell of an exercise that is filled in."""
    lines = [f"{name} = ...  # {what}" for name, what, *_ in entry.get("answers", ())]
    functions = [f"def {signature}:\n    return ..." for signature in entry.get("functions", ())]
    return "\n\n\n".join(["\n".join(lines)] * bool(lines) + functions) or "# Your answer"


def number(text: str) -> Any:
    """A number or an array of checks.toml, which is written as Python."""
    return eval(text, {"np": np})


def to_check(entry: dict[str, Any]) -> str:
    """The cell that checks what is filled in; "" where nothing can be checked."""
    lines = []
    for name, what, right, *mistakes in entry.get("answers", ()):
        known = {words: number(value) for one in mistakes for words, value in one.items()}
        lines.append(f'right = sealed("{seal(number(right), known)}")\nanswer("{what}", {name}, **right)')
    if "audit" in entry:
        arguments = re.sub(r", (?=\w+=)", ",\n    ", entry["audit"])
        lines.append(f"lossbook.audit(\n    {arguments},\n)")
    return "\n".join(lines)


class PageText(Plain):
    """A page that shows the code cells inside of solutions as text, so that they stay folded."""

    def __init__(self, cells: list[Any], numbers: dict, macros: dict[str, str]):
        super().__init__(numbers, macros)
        self.source = cells
        self.pictures: dict[str, str] = {}

    def block_container(self, node: nodes.container, level: int) -> str:
        if not is_cell(node):
            return self.text(node.children, level)
        cell = self.source[node["cell_index"]]
        parts = [fenced(cell.source, "python"), *map(self.output, cell.outputs), *self.caption(node)]
        return "\n\n".join(part for part in parts if part)

    def output(self, output: Any) -> str:
        """What a cell has shown, in letters or as a picture."""
        data = output.get("data", {})
        if "image/png" in data:
            name = f"{hashlib.sha256(data['image/png'].encode()).hexdigest()[:8]}.png"
            self.pictures[name] = data["image/png"]
            return f"![the picture that this cell draws](attachment:{name})"
        text = output.get("text") or data.get("text/plain") or "\n".join(output.get("traceback", []))
        return fenced(re.sub(r"\x1b\[[\d;]*m", "", text)) if text else ""


class Notebook:
    """Cells of Markdown and of code, in the order in which they are added."""

    def __init__(self, pictures: dict[str, str] | None = None):
        self.cells: list[Any] = []
        self.pictures = pictures if pictures is not None else {}

    def text(self, source: str) -> None:
        """Add a cell of Markdown, with the pictures that it shows."""
        if source.strip():
            cell = nbformat.v4.new_markdown_cell(source)
            if shown := re.findall(r"\(attachment:([\w.]+)\)", source):
                cell.attachments = nbformat.from_dict({name: {"image/png": self.pictures[name]} for name in shown})
            self.cells.append(cell)

    def code(self, source: str, stored: Any = None, folded: bool = False) -> None:
        """Add a cell of code, with the outputs that are stored; a folded one shows what it prints alone."""
        cell = nbformat.v4.new_code_cell(source)
        if folded:
            cell.metadata = nbformat.from_dict({"jupyter": {"source_hidden": True}})
        if stored is not None:
            cell.outputs = copy.deepcopy(stored.outputs)
            cell.metadata = nbformat.from_dict(
                {key: stored.metadata[key] for key in ("tags",) if key in stored.metadata}
            )
        self.cells.append(cell)

    def write(self) -> str:
        """The notebook as text, with ids that follow from what is in the cells."""
        execute.number(self.cells)
        for cell in self.cells:
            if cell.cell_type == "code" and not cell.outputs:
                cell.execution_count = None  # it has not run
        whole = nbformat.v4.new_notebook(cells=self.cells, metadata=nbformat.from_dict(execute.METADATA))
        whole.nbformat_minor = 5
        return execute.written(whole)


def has_cells(node: nodes.Node) -> bool:
    return any(is_cell(one) for one in node.findall(nodes.container))


class Page:
    """One page with resolved references, as notebooks."""

    def __init__(self, app: Sphinx, name: str, tree: nodes.document):
        self.tree = tree
        self.name = name
        self.source = nbformat.read(app.env.doc2path(name), as_version=4).cells
        macros = app.config.mathjax3_config["tex"]["macros"]
        self.plain = PageText(self.source, app.env.toc_fignumbers.get(name, {}), macros)
        self.title = app.env.titles[name].astext()

    def install(self, notebook: Notebook) -> None:
        """Begin with the cell that installs what the page imports."""
        found = set(IMPORT.findall("\n".join(cell.source for cell in self.source if cell.cell_type == "code")))
        needed = [name for name in INSTALLED if name in found | {"lossbook"}]
        notebook.code(INSTALL.format(needed=re.sub("'", '"', repr(needed))))

    def download(self) -> str:
        """The page itself."""
        notebook = Notebook(self.plain.pictures)
        self.install(notebook)
        self.add(self.tree.children, 1, notebook)
        return notebook.write()

    def add(self, children: Iterable[nodes.Node], level: int, notebook: Notebook) -> None:
        """Add blocks: neighbors without code between them become one cell."""
        waiting: list[str] = []

        def flush() -> None:
            notebook.text("\n\n".join(text for text in waiting if text))
            waiting.clear()

        for child in children:
            if is_cell(child):
                flush()
                stored = self.source[child["cell_index"]]
                notebook.code(stored.source, stored)
                waiting += self.plain.caption(child)
            elif isinstance(child, nodes.section):
                flush()
                below = level + isinstance(child.children[0], nodes.title) if child.children else level
                self.add(child.children, below, notebook)
            elif has_cells(child) and kind(child) != "solution_node":
                flush()
                title, *rest = child.children
                if kind(child) == "exercise_enumerable_node":
                    waiting.append(f"{'#' * level} {self.plain.exercise_title(child)}")
                else:
                    rest = [title, *rest]
                flush()
                self.add(rest, level, notebook)
            else:
                waiting.append(self.plain.block(child, level - 1))
        flush()

    def exercises(self) -> Iterator[tuple[nodes.Element, nodes.Element | None]]:
        """Every exercise with its solution."""
        solutions = {node["target_label"]: node for node in self.tree.findall(nodes.Element) if is_solution(node)}
        for node in self.tree.findall(nodes.Element):
            if kind(node) == "exercise_enumerable_node":
                yield node, solutions.get(node["label"])

    def to_fill_in(self) -> str:
        """The exercises, each with a cell for the answer, a cell that checks it, and the solution if there is one."""
        notebook = Notebook(self.plain.pictures)
        self.install(notebook)
        notebook.text(
            f"# Exercises: {escape(self.title)}\n\n"
            "Each exercise is followed by a cell for your answer; three dots, `...`, stand where something is to be "
            "filled in. The folded cell below it says whether the answer is right, and if it is not, what is wrong."
        )
        notebook.code(FIRST)
        for exercise, solution in self.exercises():
            self.add([exercise], 2, notebook)
            entry = checks().get(exercise["label"], {})
            notebook.code(to_fill(entry))
            if check := to_check(entry):
                notebook.code(check, folded=True)
            if solution is not None and not APART:
                notebook.text(self.plain.block(solution, 2))
        return notebook.write()

    def solved(self) -> str:
        """The exercises with their solutions in the open."""
        notebook = Notebook(self.plain.pictures)
        self.install(notebook)
        notebook.text(f"# Solutions: {escape(self.title)}")
        for exercise, solution in self.exercises():
            self.add([exercise], 2, notebook)
            if solution is not None:
                notebook.text("**Solution**")
                self.add(solution.children[1:], 2, notebook)
        return notebook.write()


FIRST = """\
import numpy as np
import sympy as sp

import lossbook
from lossbook.workshop import answer, check, sealed"""


def is_solution(node: nodes.Node) -> bool:
    return kind(node) == "solution_node"


made: dict[str, str] = {}  # what is written when all pages are


def collect(app: Sphinx, tree: nodes.document, name: str) -> None:
    """Make the notebooks of a page, then take away its solutions if they are to stand apart."""
    if app.builder.name != "html":
        return
    if app.env.doc2path(name).endswith(".ipynb"):
        page = Page(app, name, tree)
        solutions = [solution for _, solution in page.exercises() if solution is not None]
        if APART and solutions:
            made[f"../solutions/{Path(name).name}.ipynb"] = page.solved()
        for solution in solutions if APART else ():
            solution.parent.remove(solution)
        made[f"_sources/{name}.ipynb"] = page.download()
        if any(page.exercises()):
            made[f"exercises/{Path(name).name}.ipynb"] = page.to_fill_in()
            offer(app, page)


def offer(app: Sphinx, page: Page) -> None:
    """Put a link to the notebook with the exercises below their heading."""
    path = f"{'../' * page.name.count('/')}exercises/{Path(page.name).name}.ipynb"
    link = f'<a class="reference download" download href="{path}">a notebook to fill in</a>'
    html = f'<p class="fill-in">The exercises are also in {link}, whose cells check your answers.</p>'
    for title in page.tree.findall(nodes.title):
        if title.astext() == "Exercises":
            title.parent.insert(1, nodes.raw("", html, format="html"))
            return


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the notebooks; those of the pages in place of the copies of their sources."""
    if error is None:
        for path, text in made.items():
            file = Path(app.outdir, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
            if not path.startswith(".."):  # what a page from file:// can save: see downloads.js
                script = f"saveNotebook({json.dumps(file.name)}, {json.dumps(text)});\n"
                file.with_name(f"{file.name}.js").write_text(script, encoding="utf-8", newline="\n")
    made.clear()


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", collect, priority=900)  # when nothing else changes the page
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
