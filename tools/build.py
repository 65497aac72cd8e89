"""Build the book into _build/html, unless what is there was made from the same sources.

`make book` calls main(); the tests call ensure(), so that they never look at a page that is out of date. With
SOLUTIONS=apart in the environment, the pages have no solutions, and these are written into _build/solutions.
"""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import cheatsheet
from execute import own_profile
from typeset import write_pdf

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
MADE_FROM = ROOT / "_build" / "made_from"
SOURCES = [
    "_config.yml", "_toc.yml", "requirements.txt", "benchmarks/results.json", "book", "lossbook", "tests/data",
    "tools/build.py", "tools/cheatsheet.py", "tools/execute.py", "tools/deck/cheatsheet.typ", "tools/deck/deck.typ",
    "tools/typeset.py",
    "vendor",
]  # fmt: skip
JUPYTER_BOOK = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
COMMAND = [*JUPYTER_BOOK, "build", ".", "-W", "-n", "--keep-going"]


# What a double click on the folder opens: Jupyter Book writes no more than the refresh.
FRONT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>lossbook</title>
<meta http-equiv="refresh" content="0; url=book/index.html">
</head>
<body><p><a href="book/index.html">lossbook: the loss functions of convolutional networks</a></p></body>
</html>
"""


def fingerprint() -> str:
    """One number for the names and contents of all that the pages are made from."""
    digest = hashlib.sha256(sys.version.encode() + os.environ.get("SOLUTIONS", "").encode())
    for source in SOURCES:
        path = ROOT / source
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(file.parts):
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Wait until no other process is in here with the same file.

    The lock is a transaction of SQLite, which works on every system and ends with its process.
    """
    with closing(sqlite3.connect(file, timeout=3600, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        yield


def ensure(quiet: bool = True) -> Path:
    """The folder of the built pages, built now if need be; processes that ask at once wait for one build."""
    MADE_FROM.parent.mkdir(exist_ok=True)
    with alone(MADE_FROM.parent / "lock"):
        now = fingerprint()
        if not (MADE_FROM.exists() and MADE_FROM.read_text() == now and (HTML / "index.html").exists()):
            for old in ("html", "solutions", ".doctrees", ".jupyter_cache", "jupyter_execute"):
                shutil.rmtree(ROOT / "_build" / old, ignore_errors=True)
            MADE_FROM.unlink(missing_ok=True)
            with own_profile():
                pipe, env = subprocess.PIPE if quiet else None, os.environ | {"NO_COLOR": "1"}
                streams = {"stdout": pipe, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
                done = subprocess.run(COMMAND, cwd=ROOT, env=env, **streams)
            if done.returncode:
                raise RuntimeError(f"the book does not build\n{(done.stdout or '')[-8000:]}")
            (HTML / "index.html").write_text(FRONT, encoding="utf-8")
            write_pdf(cheatsheet.source(), HTML / "cheatsheet.pdf")
            MADE_FROM.write_text(now)
    return HTML


def main() -> int:
    try:
        html = ensure(quiet=False)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\nThe book is built: open {html.relative_to(ROOT)}/index.html in a browser.")
    if os.environ.get("SOLUTIONS") == "apart":
        print("The solutions are not in it: they are notebooks in _build/solutions.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
