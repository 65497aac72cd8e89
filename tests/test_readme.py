"""The README's code runs and prints what the README says."""

import contextlib
import io
import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_code_of_the_readme_prints_what_it_says():
    """Every Python block, run in order in one namespace, prints the text block that follows it."""
    pairs = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
    assert len(pairs) == 4
    assert len(pairs) == README.count("```python")
    names = {"__name__": "__main__"}
    for code, output in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert printed.getvalue() == output


def test_the_picture_and_files_of_the_readme_exist():
    """Every local path that the README names is there."""
    for path in re.findall(r"\]\(([^)#:]+)\)|`([A-Za-z./_-]+\.(?:md|json|cff))`", README):
        name = path[0] or path[1]
        assert (Path(__file__).parents[1] / name).exists(), name
