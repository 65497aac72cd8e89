"""The book keeps its promises: notebooks that were executed in order and hold nothing of the machine, figures that
can be read aloud, and pages that are whole and load nothing from outside."""

import copy
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import build
import execute
import nbformat
import pytest
import yaml
from notebooks import BOOK, NOTEBOOKS, cells, each_notebook, prose, read

import lossbook

sys.path.insert(0, str(build.ROOT / "book" / "_ext"))
import issues

# Tags that fold or hide, or tell what a page in a browser lacks. None excuses a cell from the comparison of outputs;
# "rounding" allows more pixels of a picture to differ, where it draws rounding errors (book/conftest.py).
TAGS = {
    *("hide-cell", "hide-input", "hide-output", "proof", "needs-dask", "needs-numba", "rounding"),
    *("raises-exception", "remove-cell", "remove-input", "remove-output"),
}
# A folder of some machine, a time of day, the address of an object.
PRIVATE = re.compile(
    r"(?<![\w.])/(?:home|root|tmp|usr|opt|work|Users|private)/|site-packages|\b[A-Z]:\\\\"
    r"|\b\d\d:\d\d:\d\d\b|\bat 0x[0-9a-f]{6,}"
)


def code_cells(path: Path) -> list:
    return cells(path, "code")


def texts(output) -> list[str]:
    """All that an output says in letters."""
    data = {kind: text for kind, text in output.get("data", {}).items() if not kind.startswith("image/p")}
    return [str(text) for text in [*data.values(), output.get("text", ""), *output.get("traceback", [])]]


# The notebooks as they are committed.


@each_notebook
def test_every_cell_was_executed_once_and_in_order(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_there_are_outputs_to_compare(path):
    assert any(cell.outputs for cell in code_cells(path))


@each_notebook
def test_no_cell_ends_with_a_semicolon(path):
    """It would hide an output in Jupyter, but not where outputs are compared."""
    assert [cell.source for cell in code_cells(path) if cell.source.rstrip().endswith(";")] == []


def test_kernels_start_where_matplotlib_is_ready():
    """Whatever MPLCONFIGDIR was, kernels of the book have a folder that can be written, with the list of fonts."""
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLCONFIGDIR", os.devnull + "/x")
        with execute.own_profile():
            code = "import matplotlib.pyplot, matplotlib; print(matplotlib.get_cachedir())"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
            assert not done.stderr
            assert list(Path(done.stdout.strip()).glob("fontlist*"))
        assert os.environ["MPLCONFIGDIR"] == os.devnull + "/x"
    assert dict(os.environ) == before


@each_notebook
def test_the_file_is_what_tools_execute_writes(path):
    """Pinned kernel name, no versions, no times, no editor's traces, ids made from the text, one newline at the end."""
    expected = nbformat.writes(execute.clean(copy.deepcopy(read(path))), version=4).rstrip("\n") + "\n"
    assert path.read_text(encoding="utf-8") == expected, f"run python tools/run.py notebooks book/{path.name}"


@each_notebook
def test_tags_excuse_no_cell_from_comparison(path):
    assert [cell.source for cell in code_cells(path) if not set(cell.metadata.get("tags", [])) <= TAGS] == []
    assert [cell.source for cell in code_cells(path) if re.search(r"#\s*(NBVAL_|PYTEST_VALIDATE)", cell.source)] == []


@each_notebook
def test_outputs_tell_nothing_of_the_machine(path):
    said = [text for cell in code_cells(path) for output in cell.outputs for text in texts(output)]
    assert [found[0] for text in said if (found := PRIVATE.search(text))] == []


@each_notebook
def test_no_output_is_a_warning_or_a_widget(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.get("name") != "stderr", cell.source
            assert not any("widget" in kind for kind in output.get("data", {})), cell.source


@each_notebook
def test_every_figure_has_a_label_a_caption_and_a_text_for_those_who_do_not_see_it(path):
    for cell in code_cells(path):
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        if not any(kind.startswith("image/") for kind in kinds):
            continue
        options = cell.metadata.get("mystnb", {})
        figure, alt = options.get("figure", {}), options.get("image", {}).get("alt", "")
        where = f"{path.name}, cell {cell.execution_count}"
        assert re.fullmatch(r"fig-[a-z0-9-]+", figure.get("name", "")), f"{where}: figure.name must look like fig-focal"
        assert len(figure.get("caption", "").split()) >= 3, f"{where}: figure.caption is missing or too short"
        assert len(alt.split()) >= 8, f"{where}: image.alt must be a sentence that says what is seen"
        assert alt[0].isupper(), f"{where}: image.alt must be a sentence"
        assert alt.endswith("."), f"{where}: image.alt must be a sentence"
        assert alt != figure["caption"], f"{where}: image.alt repeats the caption"


@each_notebook
def test_drawings_in_html_have_a_name_for_those_who_do_not_see_them(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            for tag in re.findall(r"<svg[^>]*>", "".join(output.get("data", {}).get("text/html", ""))):
                assert re.search(r'aria-label="[^"]{20,}"|aria-hidden="true"|aria-labelledby=', tag), cell.source


# The sources beside them.


def sources() -> dict[str, str]:
    """The text of every page, without code cells."""
    return {path.name: prose(path) for path in [*sorted(BOOK.glob("*.md")), *NOTEBOOKS]}


def toc_files(node) -> list[str]:
    if isinstance(node, list):
        return [file for item in node for file in toc_files(item)]
    if isinstance(node, dict):
        own = [node[key] for key in ("root", "file") if key in node]
        return own + [file for value in node.values() if isinstance(value, list) for file in toc_files(value)]
    return []


def test_the_table_of_contents_lists_every_page_once():
    listed = toc_files(yaml.safe_load((build.ROOT / "_toc.yml").read_text()))
    present = [f"book/{Path(name).stem}" for name in sources()]
    assert sorted(listed) == sorted(present)


def test_bibliography_and_citations_agree():
    keys = re.findall(r"^@\w+\{([^,\s]+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    found = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", "\n".join(sources().values()))
    cited = {key.strip() for keys in found for key in re.sub(r"\{.*?\}", "", keys).split(",")}
    assert keys == sorted(set(keys)), "sorted by key, each once"
    assert set(keys) - cited == set(), "in the bibliography, but never cited"
    assert cited - set(keys) == set(), "cited, but not in the bibliography"


def test_every_entry_of_the_bibliography_has_a_doi():
    entries = (BOOK / "references.bib").read_text(encoding="utf-8").split("\n@")
    assert [
        entry.splitlines()[0] for entry in entries if not re.search(r"^\s*doi\s*= \{10\.", entry, re.MULTILINE)
    ] == []


def test_the_glossary_is_sorted():
    terms = re.findall(r"^(\S.*)\n  \S", (BOOK / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(terms) > 20
    assert terms == sorted(terms, key=str.lower)


def test_every_term_of_the_glossary_is_used():
    text = "\n".join(text for name, text in sources().items() if name != "glossary.md")
    used = {re.sub(r".*<(.*)>", r"\1", term, flags=re.DOTALL) for term in re.findall(r"\{term\}`([^`]+)`", text)}
    terms = re.findall(r"^(\S.*)\n  \S", (BOOK / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {term.lower() for term in terms} - {" ".join(term.lower().split()) for term in used} == set()


# What is looked up, and what is read.
LOOKED_UP = re.compile(r"(errata|atlas|api|glossary|references|index)")


def entries() -> list[str]:
    """The labels of all entries of the notes, errata-1-1-01 to errata-1-1-4-09: sections and how many each has."""
    sections = {"1-1": 17, "1-1-1-1": 7, "1-1-1-2": 23, "1-1-1-3": 31, "1-1-2": 11, "1-1-3": 32, "1-1-4": 9}
    return [f"errata-{section}-{n:02}" for section, count in sections.items() for n in range(1, count + 1)]


def test_every_entry_of_the_notes_is_in_the_errata_and_once_in_their_table():
    pages = {name: text for name, text in sources().items() if name.startswith("errata")}
    assert len(entries()) == 130
    anchors = re.findall(r"^\((errata-1-1[\d-]*)\)=$", "\n".join(pages.values()), re.MULTILINE)
    assert Counter(anchors) == Counter(entries())
    rows = re.findall(r"^\| \{ref\}`[^`<]*<(errata-1-1[\d-]*)>`", pages["errata.md"], re.MULTILINE)
    assert rows == entries()


def test_every_entry_of_the_notes_is_in_the_table_of_one_chapter():
    """The table stands in its section "The notes, corrected"; the text above it may lead to the entry, too."""
    chapters = {name: text for name, text in sources().items() if not LOOKED_UP.match(name)}
    rows = [row for text in chapters.values() for row in re.findall(r"^\|.*<errata-1-1.*\|$", text, re.MULTILINE)]
    assert Counter(re.findall(r"<(errata-1-1[\d-]*)>`", "\n".join(rows))) == Counter(entries())
    assert set(re.findall(r"<(errata-1-1[\d-]*)>`", "\n".join(chapters.values()))) <= set(entries())


def every_loss() -> list[str]:
    """The public losses, such as "binary.focal"."""
    found = []
    for module in pkgutil.iter_modules(lossbook.__path__):
        content = importlib.import_module(f"lossbook.{module.name}")
        names = (name for name in getattr(content, "__all__", ()) if isinstance(getattr(content, name), lossbook.Loss))
        # A module that serves another one, such as lossbook.distance, declares losses that are called by its name.
        found += [f"{module.name}.{name}" for name in names if getattr(content, name).name == f"{module.name}.{name}"]
    return found


def test_every_loss_is_on_the_api_page():
    text = (BOOK / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^`{3}\{losses\} lossbook\.(\w+)$", text, re.MULTILINE))
    assert {name for name in every_loss() if name.partition(".")[0] not in listed} == set()


def test_every_loss_is_treated_in_a_chapter():
    """By the name of its module and its own, with logits or without."""
    chapters = {path: read(path).cells for path in NOTEBOOKS if not LOOKED_UP.match(path.name)}
    text = "\n".join(cell.source for cells in chapters.values() for cell in cells)

    def is_treated(name):
        module, _, own = name.partition(".")
        own = rf"\b{own.removesuffix('_with_logits')}(_with_logits)?\b"
        return re.search(rf"\b{module}\.{own}|from lossbook\.{module} import .*{own}", text)

    assert [name for name in every_loss() if not is_treated(name)] == [], "name them in the chapter of their module"


def test_every_picture_in_the_text_has_an_alternative_text():
    assert [name for name, text in sources().items() if re.search(r"!\[\s*\]\(|<img(?![^>]*\balt=\"[^\"])", text)] == []
    for name, text in sources().items():
        for block in re.findall(r"^[`:]{3,}\{(?:figure|image)\}.*?^[`:]{3,}\s*$", text, re.MULTILINE | re.DOTALL):
            assert ":alt:" in block, f"{name}: {block}"


# The pages as they are built.


class Page(HTMLParser):
    """The ids of a page, what a click on it leads to, what the browser loads for it, and its own styles and scripts."""

    LOADS: ClassVar = {
        *(
            ("script", "src"),
            ("link", "href"),
            ("iframe", "src"),
            ("embed", "src"),
            ("object", "data"),
            ("track", "src"),
        ),
        *(("img", "src"), ("img", "srcset"), ("input", "src"), ("image", "href"), ("image", "xlink:href")),
        *(("use", "href"), ("use", "xlink:href"), ("source", "src"), ("source", "srcset"), ("audio", "src")),
        *(("video", "src"), ("video", "poster"), ("form", "action")),
    }

    def __init__(self, path: Path):
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.styles: list[str] = []
        self.scripts: list[str] = []
        self.images: list[dict] = []
        self.inside = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        known = dict(attrs)
        if "id" in known:
            self.ids.append(known["id"])
        if tag == "a" and known.get("href") is not None:
            self.links.append(known["href"])
        if tag == "img":
            self.images.append(known)
        if "style" in known:
            self.styles.append(known["style"] or "")
        if tag == "meta" and (known.get("http-equiv") or "").lower() == "refresh":
            self.links.append(known["content"].partition("url=")[2])
        self.loads += [value for name, value in attrs if (tag, name) in self.LOADS and value]

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "style":
            self.styles.append(data)
        if self.inside == "script":
            self.scripts.append(data)


OUTSIDE = re.compile(r"^\s*(?:[a-z]+:)?//", re.IGNORECASE)
CSS_LOAD = re.compile(r"(?:url\(|@import)\s*['\"]?\s*(?:[a-z]+:)?//[^)'\"\s]*", re.IGNORECASE)
# An address in a script of a page, other than the names of XML languages.
ADDRESS = re.compile(r"(?:https?:)?//(?!www\.w3\.org/)[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)


@pytest.fixture(scope="session")
def pages() -> dict[Path, Page]:
    """Every built page. They are built here and now if any of their sources has changed since."""
    html = build.ensure()
    return {path: Page(path) for path in sorted(html.rglob("*.html")) if "_static" not in path.parts}


built = pytest.mark.xdist_group("built")


@built
def test_the_book_builds_without_a_warning_and_has_every_page_of_the_table_of_contents(pages):
    listed = toc_files(yaml.safe_load((build.ROOT / "_toc.yml").read_text()))
    assert {build.HTML / f"{file}.html" for file in listed} <= set(pages)


@built
def test_the_api_does_not_describe_the_types_of_python(html):
    """A member that is a text has the docstring of str, which nobody looks for there."""
    assert "Create a new string object" not in (html / "book" / "api.html").read_text(encoding="utf-8")


@built
def test_no_page_loads_anything_from_outside(pages):
    for path, page in pages.items():
        assert [load for load in page.loads if OUTSIDE.match(load)] == [], path.name
        assert [load for style in page.styles for load in CSS_LOAD.findall(style)] == [], path.name
        assert [load for script in page.scripts for load in ADDRESS.findall(script)] == [], path.name


def issues_of(path):
    """The issues that a page names in its text, each with its repository."""
    return [(found[2], repository) for line in prose(path).splitlines() for found, repository in issues.mentions(line)]


@each_notebook
def test_an_issue_is_named_with_its_repository(path):
    assert [number for number, repository in issues_of(path) if not repository] == []


@built
def test_every_issue_that_a_page_names_is_a_link(pages):
    named = 0
    for path in NOTEBOOKS:
        links = pages[build.HTML / "book" / f"{path.stem}.html"].links
        addresses = [f"https://github.com/{repository}/issues/{number}" for number, repository in issues_of(path)]
        assert [address for address in addresses if address not in links] == [], path.name
        named += len(addresses)
    assert named > 100


@built
def test_no_style_sheet_loads_anything_from_outside(pages):
    for path in build.HTML.rglob("*.css"):
        assert CSS_LOAD.findall(path.read_text(encoding="utf-8")) == [], path.name


@built
def test_every_loss_has_a_card_in_the_atlas(pages):
    ids = set(pages[build.HTML / "book" / "atlas.html"].ids)
    assert {f"atlas-{name}".replace(".", "-").replace("_", "-") for name in every_loss()} - ids == set()


@built
def test_mathjax_cannot_reach_its_outside_addresses(pages):
    """They belong to its menu's speech items, so there must be no menu."""
    pages_with_math = [page for page in pages.values() if any("tex-mml-chtml.js" in load for load in page.loads)]
    assert pages_with_math
    for page in pages_with_math:
        assert any('"enableMenu": false' in script for script in page.scripts)


@built
def test_ids_occur_once(pages):
    for path, page in pages.items():
        assert [name for name, count in Counter(page.ids).items() if count > 1] == [], path.name


@built
def test_every_internal_link_leads_somewhere(pages):
    for path, page in pages.items():
        for link in page.links + page.loads:
            target = urlsplit(link)
            if target.scheme or target.netloc or link.startswith("data:"):
                continue
            file = (path.parent / unquote(target.path)).resolve() if target.path else path.resolve()
            assert file.exists(), f"{path.name}: {link}"
            if target.fragment and file.suffix == ".html" and file in pages:
                assert unquote(target.fragment) in pages[file].ids, f"{path.name}: {link}"


@built
def test_every_picture_of_a_page_has_an_alternative_text(pages):
    for path, page in pages.items():
        assert [image.get("src") for image in page.images if not (image.get("alt") or "").strip()] == [], path.name


@built
def test_no_page_names_a_folder_of_this_machine(pages):
    for path in pages:
        assert str(build.ROOT) not in path.read_text(encoding="utf-8"), path.name
