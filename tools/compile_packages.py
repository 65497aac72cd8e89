"""What compile_in_pyodide.mjs runs inside Pyodide: /source, compiled into /compiled.zip, the same bytes each time."""

import py_compile
import zipfile
from pathlib import Path

SOURCE = Path("/source")
HOW = {"optimize": 2, "invalidation_mode": py_compile.PycInvalidationMode.UNCHECKED_HASH}  # it stands in for its source

with zipfile.ZipFile("/compiled.zip", "w") as archive:
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE)
        if {"tests", "benchmarks"}.isdisjoint(name.parts):
            py_compile.compile(str(path), "/tmp/compiled.pyc", dfile=str(name), doraise=True, **HOW)
            archive.writestr(
                zipfile.ZipInfo(f"{name}c"), Path("/tmp/compiled.pyc").read_bytes(), zipfile.ZIP_DEFLATED, 9
            )
