"""What compile_in_pyodide.mjs runs inside Pyodide: /source, compiled into /compiled.zip, the same bytes each time."""

import importlib.util
import zipfile
from importlib import _bootstrap_external
from pathlib import Path

SOURCE = Path("/source")

with zipfile.ZipFile("/compiled.zip", "w") as archive:
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE)
        if {"tests", "benchmarks"}.isdisjoint(name.parts):
            code = compile(path.read_bytes(), str(name), "exec", dont_inherit=True, optimize=2)
            # A file that is checked against no source: it stands in for it.
            data = _bootstrap_external._code_to_hash_pyc(code, importlib.util.source_hash(path.read_bytes()), False)
            archive.writestr(zipfile.ZipInfo(f"{name}c"), data, zipfile.ZIP_DEFLATED, 9)
