"""From HTML with formulas to typst, and from typst to PDF, with nothing but Python packages."""

import re
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pypandoc
import typst
import yaml

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = Path(__file__).with_name("deck")
BETWEEN = "XXBETWEENXX"


@cache
def macros() -> dict[str, str]:
    """The commands of formulas that the book defines."""
    configuration = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return configuration["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"]


def expanded(tex: str) -> str:
    """A formula, or a text with formulas, in the commands that every TeX knows."""
    known = macros()
    commands = re.compile("|".join(rf"\\{name}(?![a-zA-Z])" for name in known))
    return commands.sub(lambda found: known[found[0][1:]], tex)


def translated(texts: Iterable[str]) -> dict[str, str]:
    """Texts of HTML with formulas as typst, by pandoc, all at once."""
    wanted = sorted({text for text in texts if text})
    given = expanded(f"<p>{BETWEEN}</p>".join(f"<p>{text}</p>" for text in wanted))
    command = [pypandoc.get_pandoc_path(), "-f", "html+tex_math_single_backslash", "-t", "typst", "--wrap=none"]
    done = subprocess.run(command, input=given, capture_output=True, encoding="utf-8", check=True)
    if done.stderr:
        raise ValueError(f"pandoc cannot translate a formula\n{done.stderr}")
    found = [piece.strip() for piece in done.stdout.split(BETWEEN)]
    return {"": ""} | dict(zip(wanted, found, strict=True))


def write_pdf(source: str, file: Path) -> None:
    """Set a PDF, the same on every machine: with the fonts that typst brings."""
    with TemporaryDirectory(dir=ROOT / "_build") as folder:
        path = Path(folder, "source.typ")
        path.write_text(source, encoding="utf-8")
        typst.compile(path, output=file, root=ROOT, ignore_system_fonts=True)
