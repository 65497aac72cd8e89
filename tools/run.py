"""What there is to do with this repository, on Linux, macOS and Windows, with nothing but Python.

    python tools/run.py book
    python tools/run.py --python python3.13 test

Every target but `clean` makes the virtual environment .venv first when it is missing or older than requirements.txt
or pyproject.toml. The Makefile calls this program.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

OLDEST = (3, 11)  # this file is read by older versions of Python too, for a message that says what is wrong
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
FRAMEWORKS = ROOT / ".venv-frameworks"
MATPLOTLIB = ROOT / "_build" / "matplotlib"

# Two test processes for two processors or fewer, else half of them: Numba threads run inside each.
WORKERS = max(2, (os.cpu_count() or 2) // 2)

# Compiled kernels stay in a process: these tests have processes of their own, so that none passes 1.5 GiB.
LARGEST = ["tests/test_every_loss.py"]
LARGE = [
    f"tests/test_{name}.py"
    for name in ("activations", "arguments", "compose", "declarations", "row_words", "ties", "weights_and_sums")
]
HESSIANS = ["tests/test_hessians.py"]
OPTIONS = ["tests/test_options.py"]
MADE = [f"tests/test_{name}.py" for name in ("dask", "distance", "generated", "kinds", "your_own_loss")]
WORKSHOP = [
    *(f"tests/test_{name}.py" for name in ("accuracy", "audit", "derive", "exhaustive", "find", "highest", "latex")),
    *(f"tests/test_{name}.py" for name in ("notes_derivations", "stable")),
]
PRINTED = ["tests/test_printed.py"]  # reading the whole PDF takes 1 GiB
SLIDES = [f"tests/test_{name}.py" for name in ("downloads", "slides")]

# What `check` runs: the generated sources, all facts of all losses on NumPy but their exactness, and three kernels.
QUICK = [
    *(f"tests/test_{name}.py" for name in ("every_loss", "arguments", "boxes", "calls", "compose", "detection")),
    *(f"tests/test_{name}.py" for name in ("distance", "errors", "figures", "floors", "kinds", "labels", "names")),
    "tests/test_readme.py",
    *(f"tests/test_generated.py::test_{name}" for name in ("sources_are_golden", "no_golden_file_is_stale")),
    *(f"tests/test_import.py::test_public_names_{name}" for name in ("exist", "are_complete")),
]
# Parts of the names of tests, for pytest -k.
SLOW = "numba or cupy or dask or any_shape_any_stride or sums_are_made_in or exact_to_the or promise or helper_thread"
COMPILED = "regression.huber or multiclass.cross_entropy_with_logits or segmentation.dice"
CHOSEN = f"golden or (backends_agree and numba and float32 and ({COMPILED})) or not ({SLOW})"


def python_of(environment):
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(*arguments, quiet=False, environment=VENV, **variables):
    """Run the Python of .venv, or of another, from the root of the repository; an error if it fails."""
    # Matplotlib keeps its list of fonts in a folder that can be written; files are UTF-8 on every system.
    variables = {**os.environ, "MPLCONFIGDIR": str(MATPLOTLIB), "PYTHONUTF8": "1", **variables}
    command = [str(python_of(environment)), *map(str, arguments)]
    print(subprocess.list2cmdline(command), flush=True)
    errors = subprocess.DEVNULL if quiet else None
    subprocess.run(command, cwd=str(ROOT), env=variables, stderr=errors, check=True)


def prepare(environment, requirements="requirements.txt"):
    """Make .venv, or another, unless it is younger than what it is made from."""
    made_from, ready = [ROOT / requirements, ROOT / "requirements.txt", ROOT / "pyproject.toml"], environment / ".ready"
    if ready.exists() and all(ready.stat().st_mtime >= file.stat().st_mtime for file in made_from):
        return
    # An environment cannot be made by its own Python, which goes away on the way; the one that it was made from can.
    maker = getattr(sys, "_base_executable", None) or sys.executable
    subprocess.run([maker, "-m", "venv", "--clear", str(environment)], check=True)
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*install, "--requirement", requirements, environment=environment)
    run(*install, "--no-deps", "--no-build-isolation", "--editable", ".", environment=environment)
    ready.touch()


def pytest(*arguments, **variables):
    """Run tests in worker processes."""
    run("-m", "pytest", "-n", WORKERS, *arguments, **variables)


def book():
    """Build the book into _build/html; with SOLUTIONS=apart its solutions go into _build/solutions instead"""
    run("tools/build.py")


def pdf():
    """Print the whole book into _build/lossbook.pdf, as one PDF"""
    run("tools/printed.py", "pdf")


def epub():
    """Print the whole book into _build/lossbook.epub, for readers of electronic books"""
    run("tools/printed.py", "epub")


def test():
    """Run the unit tests, then compare every stored output of the book with a new run"""
    with TemporaryDirectory(prefix="lossbook-tests-", ignore_cleanup_errors=True) as kernels:
        parts = (LARGEST, LARGE, HESSIANS, OPTIONS, MADE, WORKSHOP, PRINTED, SLIDES)
        rest = [f"--ignore={file}" for part in parts for file in part]
        for chosen in (*parts, rest):
            pytest("--dist", "loadgroup", *chosen, LOSSBOOK_CACHE=kernels)
    # The list of fonts is made before any notebook runs: matplotlib would speak of it in the outputs.
    MATPLOTLIB.mkdir(parents=True, exist_ok=True)
    run("-c", "import matplotlib.font_manager", quiet=True)
    nbval = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=300", "--nbval-kernel-startup-timeout=120"]
    pytest("--dist", "loadscope", *nbval, "--nbval-sanitize-with", "tests/nbval_sanitize.cfg", "book/")


# What texts do not have: values that are refused, bits of sums, an array for the gradient.
NO_TEXT = "refused or out_of_range or no_class or left_out or receives or source or read_only or sums_are or are_labels"


def test_frameworks():
    """Run the tests of PyTorch, JAX, Keras, XGBoost and LightGBM, in a virtual environment that has them (4 GB)"""
    prepare(FRAMEWORKS, "requirements-frameworks.txt")
    with TemporaryDirectory(prefix="lossbook-tests-", ignore_cleanup_errors=True) as kernels:
        common = {"environment": FRAMEWORKS, "LOSSBOOK_CACHE": kernels}
        every = ("--dist", "loadgroup", *LARGEST)
        pytest(*every, *HESSIANS, LOSSBOOK_TEST_BACKENDS="tensor", **common)  # of PyTorch, with NumPy's kernels
        pytest(*every, "-k", f"not ({NO_TEXT})", LOSSBOOK_TEST_BACKENDS="torch", **common)
        pytest(*OPTIONS, LOSSBOOK_TEST_BACKENDS="tensor,torch", **common)
        pytest("--dist", "loadgroup", "tests/test_pytorch.py", "tests/test_jax.py", **common)
        for which in ("jax", "not jax"):  # what a framework has compiled stays in a process
            pytest("tests/test_texts.py", "-k", which, **common)
        pytest("--dist", "loadgroup", "tests/test_keras.py", "tests/test_framework_page.py", **common)
        pytest("tests/test_boosting.py", **common)  # in processes of its own: each library brings its own threads


def check():
    """Find most mistakes in less than 90 seconds: the style, the types and a part of the unit tests"""
    lint()
    with TemporaryDirectory(prefix="lossbook-tests-", ignore_cleanup_errors=True) as kernels:
        pytest(*QUICK, "-k", CHOSEN, LOSSBOOK_CACHE=kernels)


def lint():
    """Check the style of all code and the types of the package"""
    run("-m", "ruff", "check")
    run("-m", "mypy")


def slides(*arguments):
    """Make a deck of slides for each chapter, or for those named, for a browser and as PDF"""
    run("tools/slides.py", *arguments)


def cheatsheet():
    """Print all losses on one page a family, into _build/cheatsheet.pdf"""
    run("tools/cheatsheet.py")


def figures(*arguments):
    """Put all figures of the book as SVG into _build/lossbook-figures.zip, or those of the chapters named"""
    run("tools/figures.py", *arguments)


def bench(*arguments):
    """Time the losses against their peers"""
    run("-m", "benchmarks", *arguments)


def exhaustive(*arguments):
    """Measure the errors of every pointwise loss over all float32 predictions (an hour), and search those of others"""
    run("-m", "benchmarks.exhaustive", *arguments)
    for others in ("search", "published", "highest"):  # of losses, of forms, and what the highest accuracy costs
        run("-m", f"benchmarks.{others}")


def notebooks(*arguments):
    """Execute the notebooks of the book again, in place, or those that are named"""
    run("tools/execute.py", *arguments)


def requirements(*arguments):
    """Compile requirements.txt from pyproject.toml, keeping versions that still fit"""
    run("tools/requirements.py", *arguments)


def clean():
    """Remove everything that can be made again"""
    made = (".venv", ".venv-frameworks", "_build", "build", "dist")
    names = (*made, ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")
    for path in [*(ROOT / name for name in names), *ROOT.glob("*.egg-info")]:
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(str(path))
    for path in list(ROOT.rglob("__pycache__")):
        shutil.rmtree(str(path))


TARGETS = {
    target.__name__.replace("_", "-"): target
    for target in (
        book, pdf, epub, slides, cheatsheet, figures, test, test_frameworks, check, lint, bench, exhaustive, notebooks,
        requirements, clean,
    )
}  # fmt: skip
TAKE_ARGUMENTS = ("bench", "exhaustive", "figures", "notebooks", "requirements", "slides")


def main(given):
    targets = "\n".join(f"  {name:17}{target.__doc__}" for name, target in TARGETS.items())
    parser = argparse.ArgumentParser(
        usage="python tools/run.py [--python PYTHON] target", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"targets:\n{targets}",
    )  # fmt: skip
    parser.add_argument("--python", help="the Python to use, such as python3.13, if not the one that runs this")
    parser.add_argument("target", choices=TARGETS, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs="...", help=f"for the programs behind {', '.join(TAKE_ARGUMENTS)}")
    if not given:
        parser.print_help()
        return 0
    options = parser.parse_args(given)
    if options.arguments and options.target not in TAKE_ARGUMENTS:
        parser.error(f"{options.target} takes no arguments; got {' '.join(options.arguments)}")
    if options.python:
        if not shutil.which(options.python):
            parser.error(f"there is no {options.python}")
        return subprocess.call([options.python, __file__, options.target, *options.arguments])
    if sys.version_info < OLDEST:
        version = ".".join(map(str, sys.version_info[:2]))
        print(
            f"lossbook needs Python 3.11 or newer, and this is {version}: "
            f"try python tools/run.py --python python3.13 {options.target}, or make {options.target} PYTHON=python3.13",
            file=sys.stderr,
        )
        return 1
    try:
        if options.target not in ("clean", "test-frameworks"):
            prepare(VENV)
        TARGETS[options.target](*options.arguments)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
