"""The files of loops that are written in Python, of backends and frameworks: what of them is part of a kernel."""

from functools import cache
from importlib.resources import files

# Where in a file of loops the part of a kernel begins; above it stands what is there for the reader and for tools.
BEGINS = "# --- below this line: part of a kernel ---"


@cache
def part(package: str, name: str) -> str:
    """The part of a kernel that stands in a package's file of loops, wherever Python finds it: in a folder or an
    archive.
    """
    file = files(package).joinpath("loops", f"{name}.py")
    return file.read_text(encoding="utf-8").partition(BEGINS)[2].partition("\n")[2]
