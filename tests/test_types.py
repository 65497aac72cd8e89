"""What a type checker says of code that uses the package: it accepts what is right and finds what is wrong."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import stubs

# mypy runs once for all tests of the module.
pytestmark = pytest.mark.xdist_group("types")

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(__file__).parent / "data" / "types"


@pytest.fixture(scope="module")
def found(tmp_path_factory, request):
    """By file, what mypy finds in the code of the README and in the scripts: for each line the codes of its errors."""
    readme = tmp_path_factory.mktemp("types") / "readme.py"
    readme.write_text("\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)))
    cache = request.config.cache.mkdir("mypy") if hasattr(request.config, "cache") else tmp_path_factory.mktemp("mypy")
    options = ["--strict", "--config-file=", f"--cache-dir={cache}", "--no-error-summary", "--show-error-codes"]
    options += ["--follow-imports=silent"]  # as an installed package is followed
    options += ["--disable-error-code=import-untyped"]  # SymPy has no types
    files = [readme, *SCRIPTS.glob("*.py")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *map(str, files)],
        env={**os.environ, "MYPYPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, cwd=readme.parent,
    )  # fmt: skip
    assert not done.stderr
    errors = {file.stem: defaultdict(set) for file in files}
    for line in done.stdout.splitlines():
        place = re.match(r"(?:.*/)?(\w+)\.py:(\d+): error: .*\[([\w-]+)\]$", line)
        assert place or ": note: " in line, line
        if place:
            errors[place[1]][int(place[2])].add(place[3])
    return errors


@pytest.mark.parametrize("script", ["readme", "script"])
def test_mypy_accepts_a_users_code(found, script):
    """`mypy --strict` has nothing to say of the README's code, nor of a script with losses of every kind."""
    assert found[script] == {}


RUN = """
import runpy, typing

def assert_type(value, kind):
    if typing.get_origin(kind) is None:
        assert type(value) is kind, (value, kind)
    else:
        (dtype,) = typing.get_args(typing.get_args(kind)[1])
        assert type(value) is typing.get_origin(kind), (value, kind)
        assert value.dtype == dtype, (value, kind)

typing.assert_type = assert_type
runpy.run_path({path!r})
"""


def test_the_script_runs_and_its_types_hold():
    """What the script says to the type checker of values, `assert_type`, is true of them when it runs."""
    code, path = RUN.format(path=str(SCRIPTS / "script.py")), os.pathsep.join([str(ROOT), *sys.path])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_mypy_finds_mistakes(found):
    """Each wrong line gets the error that its comment names, and no other line gets one."""
    lines = (SCRIPTS / "refused.py").read_text().splitlines()
    wrong = {number: {code[1]} for number, line in enumerate(lines, 1) if (code := re.search(r"  # ([\w-]+)$", line))}
    assert len(wrong) > 30
    assert found["refused"] == wrong


def test_stubs_are_up_to_date():
    """Every module of losses has the stub that tools/stubs.py would write, and no other module has one."""
    wanted = stubs.stubs()
    assert {path.name for path in (ROOT / "lossbook").glob("*.pyi")} == {path.name for path in wanted}
    for path, text in wanted.items():
        assert path.read_text() == text, f"{path.name} is old: run tools/stubs.py"


# Words of backends: kernels alone call them, and Numba finds the types by itself.
OF_KERNELS = re.compile(r"backends/\w+/(words|floats)\.py")
DECLARING = {"loss", "distance_loss"}  # under these decorators annotations are domains, and what returns is a formula


def public_functions(node):
    """The functions and methods below a node whose names, and those of the classes around them, are public."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if inner.name.startswith("_") and not re.fullmatch(r"__\w+__", inner.name):
                continue
            if not isinstance(inner, ast.ClassDef):
                yield inner
                continue
        yield from public_functions(inner)


def is_annotated(function):
    """Whether each argument but `self` and `cls` has an annotation, and the return too."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    arguments = [argument for argument in every if argument and argument.arg not in ("self", "cls")]
    return function.returns is not None and all(argument.annotation is not None for argument in arguments)


def test_public_functions_are_annotated():
    """Every public function says what it takes and returns, but those that declare losses and those of kernels."""
    package, lacking = ROOT / "lossbook", []
    for file in sorted(package.rglob("*.py")):
        place = file.relative_to(package)
        if "loops" in place.parts or OF_KERNELS.fullmatch(place.as_posix()):
            continue
        for function in public_functions(ast.parse(file.read_text())):
            decorators = {ast.unparse(decorator).partition("(")[0] for decorator in function.decorator_list}
            if not decorators & DECLARING and not is_annotated(function):
                lacking.append(f"lossbook/{place.as_posix()}:{function.lineno} {function.name}")
    assert not lacking, "\n".join(lacking)


def test_bodies_of_modules_with_a_stub_are_checked(tmp_path):
    """A checker reads the stub of a module in its place, so that mypy reads these modules once without their stubs."""
    shutil.copytree(ROOT / "lossbook", tmp_path / "lossbook", ignore=shutil.ignore_patterns("*.pyi", "__pycache__"))
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
