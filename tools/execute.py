"""Execute notebooks in place so that the same code always gives the same file.

    python tools/execute.py                      all notebooks of book/
    python tools/execute.py book/binary.ipynb    this one

Each runs in a fresh kernel in its own folder. What depends on the machine, the time or chance is dropped: times, random
cell ids, versions, the texts inside PNG files. A cell that raises ends with status 1 and leaves its notebook as it was.
"""

import hashlib
import os
import subprocess
import sys
import warnings
from base64 import b64decode, b64encode
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
# What a cell may say about itself; everything else is the trace of some editor.
CELL_METADATA = {"mystnb", "tags"}
TIMEOUT = 600


@contextmanager
def own_profile() -> Iterator[None]:
    """Kernels started here see an empty IPython profile: nobody's start-up files, and no advice on stderr.

    So they do of matplotlib, whose folder is one that can be written, and which has looked for the fonts before they
    start: it would speak of both on stderr.
    """
    before = dict(os.environ)
    with TemporaryDirectory() as folder:
        profile = Path(folder, "profile_default")
        profile.mkdir()
        (profile / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 'ERROR'\n")
        # Files are UTF-8 on every system.
        os.environ |= {"IPYTHONDIR": folder, "MPLCONFIGDIR": str(ROOT / "_build" / "matplotlib"), "PYTHONUTF8": "1"}
        Path(os.environ["MPLCONFIGDIR"]).mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True, capture_output=True)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def plain_png(data: str) -> str:
    """The same picture without its texts and its time, in which programs leave their name and version."""
    raw = b64decode(data)
    kept, at = raw[:8], 8
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "big") + 12
        if raw[at + 4 : at + 8] not in {b"tEXt", b"zTXt", b"iTXt", b"tIME"}:
            kept += raw[at : at + size]
        at += size
    return b64encode(kept).decode()


def clean_outputs(outputs: list[Any]) -> list[Any]:
    """Neighboring pieces of one stream joined, since a kernel flushes when it likes; pictures without their texts."""
    kept: list[Any] = []
    for output in outputs:
        if output.output_type == "stream" and kept and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
            continue
        if data := output.get("data"):
            output.metadata = {}
            if "image/png" in data:
                data["image/png"] = plain_png(data["image/png"])
        kept.append(output)
    return kept


def number(cells: list[Any]) -> None:
    """Give cells their ids, and those of code their counts."""
    count, seen = 0, set()
    for cell in cells:
        # An id is made from the text of its cell: the same notebook always gets the same ids.
        name = cell.source
        while (identity := hashlib.sha256(name.encode()).hexdigest()[:8]) in seen:
            name += "\n"
        seen.add(identity)
        cell.id = identity
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count


def written(notebook: Any) -> str:
    """The text of a notebook's file."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def clean(notebook: Any) -> Any:
    """Drop what does not follow from the sources of the cells."""
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in CELL_METADATA and v})
        cell.source = cell.source.strip("\n")
        cell.pop("attachments", None)
        if cell.cell_type == "code":
            cell.outputs = clean_outputs(cell.outputs)
    number(notebook.cells)
    return notebook


def execute(path: Path) -> str:
    """Run one notebook and write it back; the error's text, or nothing."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    folder = {"metadata": {"path": path.parent}}
    client = NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources=folder, record_timing=False)
    try:
        client.execute()
    except CellExecutionError as error:
        return f"{path.name}: a cell raised\n{error}"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(written(clean(notebook)), encoding="utf-8", newline="\n")
    temporary.replace(path)
    return ""


def main(names: list[str]) -> int:
    warnings.simplefilter("ignore", nbformat.warnings.MissingIDFieldWarning)
    paths = [Path(name).resolve() for name in names] or sorted((ROOT / "book").glob("*.ipynb"))
    failures = 0
    with own_profile(), ProcessPoolExecutor(max_workers=min(len(paths), os.cpu_count() or 1) or 1) as pool:
        for path, error in zip(paths, pool.map(execute, paths), strict=True):
            failures += bool(error)
            print(error or f"executed {path.name}", file=sys.stderr if error else sys.stdout, flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
