"""Compile requirements.txt from pyproject.toml: exact versions for all platforms, nothing about the machine in it.

make requirements                                   keep the versions that still fit
.venv/bin/python tools/requirements.py --upgrade    take the newest
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "requirements.txt"
HEADER = "# Every package of book and tests. Made from pyproject.toml by: make requirements\n"
COMPILE = """uv pip compile pyproject.toml --extra book --extra test --universal --python-version 3.11
    --fork-strategy fewest --no-emit-package lossbook --no-emit-index-url --no-emit-find-links --no-annotate --no-header
    --quiet --output-file"""


def main(options: list[str]) -> None:
    with TemporaryDirectory() as folder:
        output = Path(folder, "requirements.txt")
        if TARGET.exists():
            output.write_text(TARGET.read_text())
        command = [sys.executable, "-m", *COMPILE.split(), str(output), *options]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        pins = [line for line in output.read_text().splitlines() if "==" in line and "://" not in line]
    text = HEADER + "\n".join(pins) + "\n"
    if not TARGET.exists() or TARGET.read_text() != text:  # an unchanged file keeps its time, and .venv stays
        TARGET.write_text(text, newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
