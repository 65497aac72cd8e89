"""The blocks of the book's page on PyTorch, JAX and Keras print what stands below them; `make test-frameworks`."""

import importlib.util
import re

import build
import pytest
from notebooks import prose
from processes import child

PAGE = build.ROOT / "book" / "frameworks.ipynb"
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", prose(PAGE), re.MULTILINE | re.DOTALL)
NUMBER = r"-?\d+\.\d*(?:e-?\d+)?"
PROGRAM = """
import contextlib, io
names, printed = {{}}, []
for code in {blocks!r}:
    with contextlib.redirect_stdout(io.StringIO()) as found:
        exec(compile(code, "block", "exec"), names)
    printed.append(found.getvalue())
print(printed)
"""


def test_each_block_has_its_output():
    assert len(BLOCKS) >= 8
    assert [code for code, output in BLOCKS if not output] == []
    assert max(len(line) for code, _ in BLOCKS for line in code.splitlines()) <= 78
    for package in ("torch", "jax", "keras"):
        assert any(f"import {package}\n" in code for code, _ in BLOCKS)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_blocks_print_what_is_stored(backend):
    """One after the other, in one process, with Keras on either backend; numbers to five digits."""
    for package in ("torch", "jax", "keras"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    printed = child(PROGRAM.format(blocks=[code for code, _ in BLOCKS]), KERAS_BACKEND=backend)
    for (code, stored), found in zip(BLOCKS, printed, strict=True):
        assert re.sub(NUMBER, "#", found).split() == re.sub(NUMBER, "#", stored).split(), code
        numbers = [[*map(float, re.findall(NUMBER, text))] for text in (found, stored)]
        assert numbers[0] == pytest.approx(numbers[1], rel=2e-4, abs=2e-5), code
