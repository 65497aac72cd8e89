"""Run the cells of a page in the browser, and give back what they print and show, as a notebook would.

What a cell leaves is a list of outputs, each a kind and its content: text, warning, html, markdown, latex, picture (a
PNG in base64, and its width in pixels) or error.
"""

import ast
import builtins
import io
import json
import linecache
import logging
import sys
import traceback
from base64 import b64decode, b64encode
from contextlib import redirect_stderr, redirect_stdout

# How an object shows itself, the best way first: its method, and the kind of what that gives.
WAYS = {
    "text/html": ("_repr_html_", "html"), "image/png": ("_repr_png_", "picture"),
    "text/markdown": ("_repr_markdown_", "markdown"), "text/latex": ("_repr_latex_", "latex"),
    "text/plain": ("__repr__", "text"),
}  # fmt: skip
SHARPNESS = 2  # dots of a picture for each pixel of the page

names: dict[str, object] = {"__name__": "__main__"}  # what the cells have defined so far
outputs: list[dict[str, object]] = []  # of the cell that runs


class Printed(io.TextIOBase):
    """A stream that joins what is printed without a break."""

    def __init__(self, kind: str):
        self.kind = kind

    def write(self, text: str) -> int:
        if outputs and outputs[-1]["kind"] == self.kind:
            outputs[-1]["content"] = str(outputs[-1]["content"]) + text
        elif text:
            outputs.append({"kind": self.kind, "content": text})
        return len(text)


def picture(data: bytes | str) -> dict[str, object]:
    """A PNG, perhaps in base64, with its width, which stands in its header."""
    data = b64decode(data) if isinstance(data, str) else data
    width = int.from_bytes(data[16:20], "big")
    return {"kind": "picture", "content": b64encode(data).decode(), "width": width // SHARPNESS}


def display(*objects: object) -> None:
    """Show objects, each in the best of its ways."""
    for one in objects:
        bundle = one._repr_mimebundle_() if hasattr(type(one), "_repr_mimebundle_") else {}
        for media_type, (method, kind) in WAYS.items():
            content = bundle.get(media_type) or (getattr(one, method)() if hasattr(type(one), method) else None)
            if content is not None:
                if kind == "text":
                    content = f"{content}\n"
                outputs.append(picture(content) if kind == "picture" else {"kind": kind, "content": content})
                break


def show_figures() -> None:
    """What pyplot has drawn so far, shown and closed: when a cell says so, and at its end, as in a notebook."""
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        for number in pyplot.get_fignums():
            figure, file = pyplot.figure(number), io.BytesIO()
            if figure.axes:
                figure.savefig(file, format="png", dpi=SHARPNESS * figure.dpi, bbox_inches="tight")
                outputs.append(picture(file.getvalue()))
            pyplot.close(figure)


def report(error: BaseException, files: set[str]) -> str:
    """The lines of the cells that an error went through, and the error itself."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    lines = traceback.format_list(frames)
    return "".join([*lines, *traceback.format_exception_only(error)])


def lacking(error: BaseException | None) -> str | None:
    """The module for want of which a cell stopped; a package may have put the error into words of its own."""
    while error and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__
    return error.name if error else None


files: set[str] = set()  # the names of all cells that have run, as tracebacks give them


def run(source: str, name: str) -> str:
    """Run one cell: JSON of its outputs, and of the module that it lacks, if it stopped for that reason."""
    outputs.clear()
    files.add(name)
    # Tracebacks and inspect.getsource read the lines of a cell from here.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    missing = None
    with redirect_stdout(Printed("text")), redirect_stderr(Printed("warning")):
        try:
            tree = ast.parse(source, name)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, name, "exec"), names)
            if last and not source.rstrip().endswith(";"):
                value = eval(compile(ast.Expression(last.value), name, "eval"), names)
                if value is not None:
                    display(value)
            elif last:
                exec(compile(ast.Module([last], []), name, "exec"), names)
            show_figures()
        except BaseException as error:  # whatever a reader's cell raises is shown
            missing = lacking(error)
            if pyplot := sys.modules.get("matplotlib.pyplot"):
                pyplot.close("all")  # a picture that was begun is not the next cell's
            outputs.append({"kind": "error", "content": report(error, files)})
    return json.dumps({"outputs": outputs, "missing": missing})


builtins.display = display
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # of its list of fonts, which it makes each time
