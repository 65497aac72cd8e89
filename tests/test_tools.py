"""The program behind `make`, what is hidden from it on other systems, and the source archive."""

import ast
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import run

from lossbook import regression

ROOT = Path(__file__).parents[1]

# What Python has on POSIX systems alone.
MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty")
FUNCTIONS = (
    "fchmod", "fork", "forkpty", "getegid", "geteuid", "getgid", "getpgid", "getuid", "killpg", "mkfifo", "nice",
    "register_at_fork", "sched_getaffinity", "setsid", "sysconf", "uname", "wait3", "wait4", "WNOHANG",
    "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK",
)  # fmt: skip


# --- the tests themselves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [regression.huber], ids=lambda loss: loss.name)
def test_tests_of_a_loss_run_in_one_process(loss, request):
    """The group of a test stands behind its name: there pytest-xdist looks for it when it gives out tests."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("this run is not in groups (--dist loadgroup)")
    assert request.node.nodeid.endswith("]@regression.huber")


# --- tools/run.py ----------------------------------------------------------------------------------------------------


def test_the_makefile_offers_what_the_program_does():
    """make and python tools/run.py have the same targets, and the help of the program lists each of them."""
    text = (ROOT / "Makefile").read_text()
    (rule,) = re.findall(r"^(\w.*):\n\t.*tools/run.py \$@$", text, re.MULTILINE)
    assert rule.split() == list(run.TARGETS)
    assert re.search(r"^\.PHONY: help (.*)$", text, re.MULTILINE)[1].split() == list(run.TARGETS)
    done = subprocess.run([sys.executable, run.__file__], capture_output=True, text=True, check=True)
    assert re.findall(r"^  ([\w-]+)  +[A-Z]", done.stdout, re.MULTILINE)[: len(run.TARGETS)] == list(run.TARGETS)


def test_the_program_needs_python_alone():
    """It runs before anything is installed."""
    subprocess.run([sys.executable, "-I", "-S", run.__file__, "--help"], capture_output=True, check=True)


def test_an_old_python_is_told_so(monkeypatch, capsys):
    """The program can be read by Pythons that are too old, and says which one it needs."""
    ast.parse(Path(run.__file__).read_text(), feature_version=(3, 7))
    monkeypatch.setattr(run, "OLDEST", (99, 0))
    monkeypatch.setattr(run, "prepare", lambda *_: pytest.fail("made an environment"))
    assert run.main(["book"]) == 1
    assert "needs Python 3.11 or newer, and this is 3." in capsys.readouterr().err


def test_another_python_takes_over(monkeypatch):
    """With --python the program starts itself again under that Python."""
    monkeypatch.setattr(subprocess, "call", lambda command: command)
    assert run.main(["--python", sys.executable, "bench", "--only", "huber"]) == [
        sys.executable, run.__file__, "bench", "--only", "huber",
    ]  # fmt: skip
    with pytest.raises(SystemExit):
        run.main(["--python", "python-of-no-such-name", "book"])


def test_a_failure_stops_the_program(monkeypatch):
    """What fails gives its status to the program, and nothing runs after it."""
    commands = []

    def fail(command, **_):
        commands.append(command)
        raise subprocess.CalledProcessError(7, command)

    monkeypatch.setattr(run, "prepare", lambda *_: None)
    monkeypatch.setattr(subprocess, "run", fail)
    assert run.main(["lint"]) == 7
    assert len(commands) == 1
    with pytest.raises(SystemExit):
        run.main(["lint", "lossbook"])


def test_the_environment_is_made_when_it_is_missing_or_old(tmp_path, monkeypatch):
    """It is made of the Python behind any environment, from requirements.txt, and only when it must be."""
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "VENV", tmp_path / ".venv")
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    run.VENV.mkdir()
    run.prepare(run.VENV)
    made, required, itself = commands
    assert made[1:] == ["-m", "venv", "--clear", str(run.VENV)]
    assert required[-2:] == ["--requirement", "requirements.txt"]
    assert itself[-2:] == ["--editable", "."]
    run.prepare(run.VENV)
    assert len(commands) == 3
    later = (run.VENV / ".ready").stat().st_mtime + 10
    os.utime(tmp_path / "pyproject.toml", (later, later))
    run.prepare(run.VENV)
    assert len(commands) == 6


def test_every_file_that_is_named_exists():
    """A test file that is renamed does not fall out of a group in silence."""
    names = {name.partition("::")[0] for name in (*run.LARGEST, *run.LARGE, *run.MADE, *run.WORKSHOP, *run.QUICK)}
    assert [name for name in sorted(names) if not (ROOT / name).exists()] == []


def test_clean_removes_what_can_be_made_again(tmp_path, monkeypatch):
    """Whatever is tracked stays; of a link only the link goes."""
    monkeypatch.setattr(run, "ROOT", tmp_path)
    for name in ("_build/html", "a/__pycache__", "lossbook.egg-info", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a" / "kept.py").touch()
    (tmp_path / "elsewhere" / "kept.py").touch()
    with contextlib.suppress(OSError):  # Windows keeps links for those who may make them
        (tmp_path / ".venv").symlink_to(tmp_path / "elsewhere")
    run.main(["clean"])
    assert {path.name for path in tmp_path.iterdir()} == {"a", "elsewhere"}
    assert [path.name for path in tmp_path.rglob("*.py")] == ["kept.py", "kept.py"]
    assert not list(tmp_path.rglob("__pycache__"))


# --- other systems ---------------------------------------------------------------------------------------------------


def test_nothing_on_the_way_is_posix_alone(tmp_path):
    """Without the modules and functions that only POSIX has, package, tools, benchmarks and the tests' own parts
    load, and a loss is computed on NumPy and Numba, with kernels kept on disk.
    """
    folders = [str(ROOT.joinpath(name)) for name in (".", "tools", "tests", "tests/support", "book/_ext")]
    code = f"""
import importlib, os, pkgutil, subprocess, sys, tempfile, threading
import matplotlib.figure, nbclient, nbformat, numba, numpy, pytest, scipy, sphinx.application  # may use what they like
for name in {MODULES}:
    sys.modules[name] = None
for name in {FUNCTIONS}:
    if hasattr(os, name):
        delattr(os, name)
sys.path[:0] = {folders}
import build, execute, lossbook
names = [found.name for found in pkgutil.walk_packages(lossbook.__path__, "lossbook.")]
optional = ("lossbook.frameworks.jax", "lossbook.frameworks.pytorch", "lossbook.keras.losses")
names = [name for name in names if name not in optional]
for name in (*names, "run", "requirements", "conftest", "fake_cupy", "cases", "atlas", "benchmarks.__main__"):
    importlib.import_module(name)
p, y = numpy.random.default_rng(0).normal(size=(2, 200_000)).astype("f4")
found = [lossbook.regression.huber.value_and_grad(p, y, backend=name)[0] for name in ("numpy", "numba")]
assert abs(found[0] - found[1]) < 1e-6, found
with build.alone({str(tmp_path / "lock")!r}), execute.own_profile():
    pass
kernels = [file for _, _, files in os.walk({str(tmp_path / "cache")!r}) for file in files]
assert any(file.endswith(".bin") for file in kernels), kernels
"""
    environment = {**os.environ, "LOSSBOOK_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_builds_wait_for_each_other(tmp_path):
    """Another process waits until the first is done, and for one that was killed nobody waits."""
    code = f"import sys; sys.path[:0] = [{str(ROOT / 'tools')!r}]\nimport build\n"
    code += f"with build.alone({str(tmp_path / 'lock')!r}):\n    print('in', flush=True)\n    input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    first = subprocess.Popen([sys.executable, "-c", code], **pipes)
    assert first.stdout.readline() == "in\n"
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as second:
        with pytest.raises(subprocess.TimeoutExpired):  # it does not get as far as to read what it is told
            second.communicate("\n", timeout=2)
        first.kill()
        assert second.communicate(timeout=60)[0] == "in\n"
        assert second.returncode == 0
    first.communicate()


# --- the source archive ----------------------------------------------------------------------------------------------


def tracked():
    """The files that git tracks."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}


@pytest.mark.skipif(not shutil.which("git") or not (ROOT / ".git").exists(), reason="needs a checkout of git")
def test_the_source_archive_holds_what_git_tracks(tmp_path):
    """All that the tests and the book need is in it, and of what was built beside it nothing."""
    source = tmp_path / "source"
    files = tracked()
    for name in [*files, "_build/html/index.html", ".pytest_cache/README.md", "tests/__pycache__/a.cpython-311.pyc"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if name in files:
            shutil.copy(ROOT / name, source / name)
        else:
            (source / name).touch()
    code = "import setuptools.build_meta as build; build.build_sdist('..')"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {member.name.partition("/")[2] for member in packed if member.isfile()}
    made = {name for name in names if name.startswith("lossbook.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert names - made == files
