"""What compile_in_pyodide.mjs runs inside Pyodide: Python files, compiled into a zip file, the same bytes each time."""

import py_compile
import zipfile
from pathlib import Path

UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH  # a file stands in for its source
WITH_DOCSTRINGS = {"numpy"}  # which a reader may ask for help


def compile_packages(source: str, result: str) -> None:
    """Compile all files of a folder but tests."""
    with zipfile.ZipFile(result, "w") as archive:
        for path in sorted(Path(source).rglob("*.py")):
            name = path.relative_to(source)
            if {"tests", "benchmarks"}.isdisjoint(name.parts):
                optimize = 1 if name.parts[0] in WITH_DOCSTRINGS else 2
                py_compile.compile(str(path), "/tmp/compiled.pyc", str(name), True, optimize, UNCHECKED)
                data = Path("/tmp/compiled.pyc").read_bytes()
                archive.writestr(zipfile.ZipInfo(f"{name}c"), data, zipfile.ZIP_DEFLATED, 9)
