"""All figures of the book as files: _build/lossbook-figures.zip, with their captions, for slides and papers of others.

    python tools/figures.py                 the figures of all pages
    python tools/figures.py binary recipe   those of these

The cells of the notebooks run again and draw SVG. What a cell does not draw itself goes in as it is stored, as PNG, and
the contents file says so; so do the pictures of the atlas.
"""

import re
import sys
import zipfile
from base64 import b64decode
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import build
import nbformat
from bs4 import BeautifulSoup
from execute import TIMEOUT, own_profile
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "_build" / "lossbook-figures.zip"
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
# What a kernel does first: figures of pyplot, those of lossbook and the still picture of a slider become SVG.
IN_SVG = """
def draw_svg():  # all names are its own, since the cells have theirs
    from importlib import import_module
    from io import StringIO
    from lossbook.figures import stage
    style = import_module("lossbook.figures.style")  # its name in the package is a function
    metadata = {"Creator": None, "Date": None, "Format": None, "Type": None}
    def in_svg(figure):
        with style.load_matplotlib().rc_context(style.rc_parameters()):
            figure.savefig(file := StringIO(), format="svg", metadata=metadata)
        return {"image/svg+xml": file.getvalue()}
    style._drawing()._repr_mimebundle_ = lambda self, include=None, exclude=None: in_svg(self)
    stage.Slider._repr_mimebundle_ = lambda self, include=None, exclude=None: in_svg(self.figure)
    return metadata
%config InlineBackend.figure_formats = ["svg"]
%config InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": draw_svg()}
"""


@dataclass
class Figure:
    """A file of the zip, and what the contents file says of it."""

    name: str  # with its folder, which is the page
    content: bytes
    number: str
    caption: str
    alt: str


def figures_of(path: Path, html: Path) -> list[Figure]:
    """The figures of a notebook, drawn again."""
    stored = nbformat.read(path, as_version=4)
    if not any(named(cell) for cell in stored.cells):
        return []
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(IN_SVG))
    folder = {"metadata": {"path": path.parent}}
    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources=folder, record_timing=False).execute()
    page = BeautifulSoup((html / f"book/{path.stem}.html").read_text(encoding="utf-8"), "html.parser")
    found = []
    for before, now in zip(stored.cells, notebook.cells[1:], strict=True):
        if label := named(before):
            caption = page.find(id=label).figcaption
            number = caption.find(class_="caption-number").get_text().strip()
            name = f"{path.stem}/{number.lower().replace(' ', '-')}-{label.removeprefix('fig-')}"
            content, kind = drawn(before, now)
            text = re.sub(r"\s+", " ", caption.find(class_="caption-text").get_text().strip())
            found.append(Figure(f"{name}.{kind}", content, number, text, before.metadata["mystnb"]["image"]["alt"]))
    return found


def named(cell: Any) -> str:
    """The label of the figure that a cell shows, or nothing."""
    return cell.metadata.get("mystnb", {}).get("figure", {}).get("name", "")


def drawn(before: Any, now: Any) -> tuple[bytes, str]:
    """The picture of a cell as SVG, or as it is stored."""
    for output in now.outputs:
        if "image/svg+xml" in output.get("data", {}):
            return "".join(output.data["image/svg+xml"]).encode(), "svg"
    data = next(output.data for output in before.outputs if "image/png" in output.get("data", {}))
    return b64decode(data["image/png"]), "png"


def atlas(html: Path) -> list[Figure]:
    """The pictures of the cards, which are made with the pages."""
    page = BeautifulSoup((html / "book/atlas.html").read_text(encoding="utf-8"), "html.parser")
    found = []
    for image in page.select("article img[src*='atlas-']"):
        file = (html / "book" / image["src"]).resolve()
        title = image.find_parent("section").find(re.compile("h[1-6]")).get_text().strip("# \n")
        said = "The curve of its card."
        found.append(Figure(f"atlas/{file.name}", file.read_bytes(), title, said, image["alt"]))
    return found


def contents(figures: list[Figure]) -> str:
    """The page that shows all of them."""
    rows = "\n".join(
        f'<figure><img src="{one.name}" alt="{escape(one.alt, quote=True)}"><figcaption>'
        f"<strong>{escape(one.number)}</strong> {escape(one.caption, quote=False)}<br><code>{one.name}</code><br>"
        f"<small>{escape(one.alt, quote=False)}</small></figcaption></figure>"
        for one in figures
    )
    only = [one.name for one in figures if one.name.endswith(".png")]
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>The figures of lossbook</title>
<style>body {{ max-width: 46rem; margin: 2rem auto; font: 1rem/1.5 sans-serif }} img {{ max-width: 100% }}</style>
</head>
<body>
<h1>The figures of lossbook</h1>
<p>{len(figures)} figures by the lossbook authors, each with its caption, its file and its text for those who do not see
it. They may be used as LICENSE-text says. {len(figures) - len(only)} are SVG; {len(only)} are PNG, as they are
stored.</p>
{rows}
</body>
</html>
"""


def write(figures: list[Figure]) -> None:
    """The same figures give the same zip: it holds no times."""
    files = {one.name: one.content for one in figures}
    files["contents.html"] = contents(figures).encode()
    for name in ("LICENSE", "LICENSE-text"):
        files[name] = (ROOT / name).read_bytes()
    with zipfile.ZipFile(FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"lossbook-figures/{name}", (1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, files[name])


def main(names: list[str]) -> int:
    html = build.ensure()
    paths = [path for path in NOTEBOOKS if not names or path.stem in names]
    found = []
    with own_profile(), ProcessPoolExecutor(max_workers=2) as pool:
        for path, figures in zip(paths, pool.map(figures_of, paths, [html] * len(paths)), strict=True):
            found += figures
            print(f"{path.stem}: {len(figures)} figures", flush=True)
    write(found + ([] if names else atlas(html)))
    print(f"\nThe figures are in {FILE.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
