"""Python in the pages: what they need to run their own cells, without a server and without a network.

Everything becomes a script, since a page that was opened by a double click may load scripts and nothing else:
live/files/NAME.js holds the file NAME in base64, and live/pages/PAGE.js the cells of a page with what they printed.
Nothing of it is loaded before a reader runs a cell.
"""

import gzip
import hashlib
import io
import json
import re
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from downloads import FIRST, checks, to_check, to_fill
from plain import is_cell, kind
from sphinx.application import Sphinx

import lossbook

VENDOR = "vendor/pyodide"
OWN = ("cells.py", "pictures.py", "worker.js")  # in book/_live
# Asked for in any case, in this order; the rest when a cell imports it.
CORE = (
    "worker.js", "pyodide.asm.js", "pyodide.js", "pyodide-lock.json", "snapshot.bin.gz", "python_stdlib.zip",
    "pyodide.asm.wasm",
)  # fmt: skip
PACKAGES = ("numpy", "lark", "latex2mathml")
MORE = ("sympy.zip", "lossbook.zip", "cells.py", "pictures.py")
IDLE = {"fonttools", "pytz", "matplotlib-pyodide"}  # matplotlib asks for them, and needs none to draw in a page
UNUSED = re.compile(
    r"/tests/|\.(pyi|pxd|a)$|numpy/_core/include/"
    r"|mpl-data/(images|sample_data|fonts/(afm|pdfcorefonts|ttf/DejaVuSerif))"
    r"|matplotlib/(sphinxext|backends/(web_backend|backend_(gtk|macosx|nbagg|qt|tk|web|wx)|qt_))"
)
# Of the ways in which an output is stored, the one that the page shows, and that the browser's Python gives.
KINDS = {"text/html": "html", "image/png": "picture", "text/markdown": "markdown", "text/latex": "latex"}


def offered(vendor: Path) -> dict[str, Any]:
    """Pyodide's list of packages, with those that are here alone: who imports another is told so by Python itself."""
    lock = json.loads((vendor / "pyodide-lock.json").read_text(encoding="utf-8"))
    here = {name: one for name, one in lock["packages"].items() if (vendor / one["file_name"]).exists()}
    for one in here.values():
        one["depends"] = [name for name in one["depends"] if name not in IDLE]
    for path in vendor.glob("*.whl"):
        name, version = path.name.split("-")[:2]
        if path.name not in {one["file_name"] for one in here.values()}:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            one = {"name": name, "version": version, "file_name": path.name, "sha256": digest, "imports": [name]}
            here[name] = one | {"depends": [], "install_dir": "site", "package_type": "package"}
    return lock | {"packages": here}


def lean(wheel: Path, compiled: zipfile.ZipFile) -> bytes:
    """A wheel with compiled files in place of Python's, and without what no page uses."""
    known, data = set(compiled.namelist()), io.BytesIO()
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(data, "w") as archive:
        for name in source.namelist():
            if not UNUSED.search(name) and not name.endswith("/"):
                made, origin = (f"{name}c", compiled) if f"{name}c" in known else (name, source)
                archive.writestr(zipfile.ZipInfo(made), origin.read(made), zipfile.ZIP_DEFLATED, 9)
    return data.getvalue()


def package() -> bytes:
    """The sources of lossbook as a zip file that is the same for the same sources."""
    root, data = Path(lossbook.__file__).parent, io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                name = path.relative_to(root.parent).as_posix()
                archive.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return data.getvalue()


def script(name: str, data: bytes) -> str:
    """A file as a script: its name, whether it is compressed in it, and its bytes in base64."""
    if name.endswith((".wasm", ".js", ".json", ".py")):
        packed, data = True, gzip.compress(data, mtime=0)
    else:
        packed = name.endswith(".gz")
    return f'lossbookFile("{name}", {json.dumps(packed)}, "{b64encode(data).decode()}");\n'


def printed(cell: Any) -> list[dict[str, str]]:
    """What a cell shows: as book/_live/cells.py gives it, but for pictures, whose letters differ by machine."""
    found: list[dict[str, str]] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            found.append({"kind": "text", "content": output.text})
            continue
        kind, content = next(((KINDS[way], output.data[way]) for way in KINDS if way in output.data), ("text", ""))
        if kind == "text":
            content = output.data["text/plain"] + "\n"
        found.append({"kind": kind, "content": "" if kind == "picture" else content})
    return found


pages: dict[str, dict[str, Any]] = {}  # what is written when all pages are


def collect(app: Sphinx, tree: nodes.document, name: str) -> None:
    """Note the cells that a page shows, in its order, and how its exercises are filled in and checked."""
    path = app.env.doc2path(name)
    if app.builder.name != "html" or not path.endswith(".ipynb"):
        return
    source = nbformat.read(path, as_version=4).cells
    shown = [source[node["cell_index"]] for node in tree.findall(nodes.container) if is_cell(node)]
    exercises = {}
    for node in tree.findall(nodes.Element):
        if kind(node) == "exercise_enumerable_node":
            entry = checks().get(node["label"], {})
            check = to_check(entry)
            exercises[node["label"]] = {"fill": to_fill(entry), "check": check and f"{FIRST}\n{check}"}
    cells = [{"source": cell.source, "printed": printed(cell)} for cell in shown]
    pages[Path(name).name] = {"cells": cells, "exercises": exercises}


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the folder live/ beside the pages."""
    if error or app.builder.format != "html":
        return
    source, live = Path(app.srcdir), Path(app.outdir, "live")
    vendor = source / VENDOR
    for folder in ("files", "pages"):
        (live / folder).mkdir(parents=True, exist_ok=True)
    lock = offered(vendor)
    files = {one.name: one.read_bytes() for one in vendor.iterdir() if one.suffix in {".js", ".wasm", ".zip", ".gz"}}
    with zipfile.ZipFile(io.BytesIO(files.pop("compiled.zip"))) as compiled:
        files |= {one.name: lean(one, compiled) for one in vendor.glob("*.whl")}
    files |= {name: (source / "book" / "_live" / name).read_bytes() for name in OWN}
    files |= {"lossbook.zip": package(), "pyodide-lock.json": json.dumps(lock).encode()}
    for name, data in files.items():
        (live / "files" / f"{name}.js").write_text(script(name, data), encoding="utf-8")
    core = [*CORE, *(lock["packages"][name]["file_name"] for name in PACKAGES), *MORE]
    for name, page in pages.items():
        text = f"lossbookPage({json.dumps({'core': core, **page})});\n"
        (live / "pages" / f"{name}.js").write_text(text, encoding="utf-8")
    pages.clear()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_css_file("live.css")
    app.add_js_file("live.js", defer="defer")
    app.connect("doctree-resolved", collect, priority=950)  # when solutions that stand apart are gone
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
