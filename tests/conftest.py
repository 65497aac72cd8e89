"""Golden files and stored numbers, which `--update` rewrites; and a limit for the memory of a process."""

import atexit
import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import pytest
import stored
from nvrtc import CompilerMissing

from lossbook import Loss

try:
    import resource
except ImportError:  # Windows
    resource = None

# A kernel cache of this test session alone, shared by its worker processes: a stale file can prove nothing.
if "LOSSBOOK_CACHE" not in os.environ:
    os.environ["LOSSBOOK_CACHE"] = tempfile.mkdtemp(prefix="lossbook-tests-")
    atexit.register(shutil.rmtree, os.environ["LOSSBOOK_CACHE"], ignore_errors=True)
# CUDA kernels compiled for the host are shared in the same way.
os.environ.setdefault("FAKE_CUPY_FOLDER", os.path.join(os.environ["LOSSBOOK_CACHE"], "cuda_on_host"))

LIMIT = 1536  # MiB that a process of the tests may take
ENOUGH = 900  # MiB from which a process has its kernels compiled by forks
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge", "microsoft-edge")
BROWSER_ARGUMENTS = [
    f"--{argument}"
    for argument in ("no-sandbox", "disable-gpu", "disable-quic", "disable-background-networking", "no-first-run")
]


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="rewrite golden kernel sources, store exact numbers")


@pytest.fixture
def update(request):
    """Whether golden files are to be rewritten."""
    return request.config.getoption("--update")


@pytest.fixture(scope="session")
def html():
    """The folder of the built pages."""
    import build  # with what makes a book, which most tests do without

    return build.ensure()


@pytest.fixture(scope="module")
def browser():
    """The Chromium that is on the machine, or the one that CHROMIUM names."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip("no Chromium on this machine: the pages are not looked at in a browser")
    driver = pytest.importorskip("playwright.sync_api")
    with driver.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=BROWSER_ARGUMENTS)
        yield launched
        launched.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Where there is no compiler for a kernel its test is skipped; on CI it fails."""
    try:
        return (yield)
    except CompilerMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
# --- losses ----------------------------------------------------------------------------------------------------------


def losses_of(item):
    """The names of the losses that a test is about."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return [parameter.name for parameter in parameters if isinstance(parameter, Loss)]


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items):
    """All tests of a loss run in one process, so that no kernel is compiled or kept in two."""
    for item in items:
        if losses_of(item) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(losses_of(item)[0]))
    yield
    for item in items:
        # pytest-xdist 3.8 writes the group behind the name of a test, where pytest 9.2 no longer keeps the name.
        name = vars(item).get("_nodeid", item.nodeid)
        if name != item.nodeid:
            item._id = type(item._id).parse(name)


# --- exact numbers ---------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def exact_numbers(request):
    """The exact numbers of a test are stored by module and loss."""
    stored.begin("/".join([request.path.stem, *losses_of(request.node)]))


def store(config, exitstatus):
    """With --update, store all numbers that the session asked for; what whole modules did not ask for is dropped."""
    whole = exitstatus == 0 and not config.option.keyword and not any("::" in argument for argument in config.args)
    if whole:
        stored.drop(config.exact)
    for name, (asked, _) in config.exact.items():
        stored.add(name, asked)


def lacking(config):
    """The modules and losses of whose exact numbers more than a tenth were missing.

    Some may be: on another platform, the last digit of a random number may be another.
    """
    return [name for name, (asked, missing) in config.exact.items() if missing > len(asked) / 10]


# --- memory ----------------------------------------------------------------------------------------------------------


def peak():
    """MiB that this process took at most."""
    if resource is None:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def compile_in_a_fork(work):
    """Do some work in a fork of this process, which ends with it; whether it succeeded within some minutes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of this process sleep
        child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    for _ in range(30_000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def compile_elsewhere():
    """Let a large process compile its kernels in forks, and read them from the cache.

    LLVM never gives back the 5 MiB that it takes for a kernel, and the suite compiles many hundreds; a kernel that is
    read takes one. The functions that a kernel calls are stored as well, so that a fork compiles none of them again.
    """
    from numba.core.dispatcher import Dispatcher

    from lossbook.backends.numba import _Cache, _depends

    itself = Dispatcher.compile
    one_at_a_time = threading.RLock()  # a fork must not inherit a lock of LLVM that another thread holds
    version = hashlib.sha256(_depends().encode()).hexdigest()[:20]
    functions = Path(os.environ["LOSSBOOK_CACHE"], f"functions-{version}")
    functions.mkdir(mode=0o700, parents=True, exist_ok=True)

    def compile(self, signature):
        with one_at_a_time:
            home = self.py_func.__module__
            if not isinstance(self._cache, _Cache) and home.startswith("lossbook."):
                self._cache = _Cache(self.py_func, functions / home)
            cache, folder = self._cache, os.environ["LOSSBOOK_CACHE"]
            is_kernel = isinstance(cache, _Cache) and Path(cache.cache_path).parent != functions
            if is_kernel and peak() > ENOUGH and cache.cache_path.startswith(folder):
                self.targetctx.refresh()
                if not cache.files.file(cache.key(signature, self.targetctx)).exists():
                    compile_in_a_fork(lambda: itself(self, signature))
            return itself(self, signature)

    Dispatcher.compile = compile


def pytest_configure(config):
    config.peaks, config.exact = {}, {}
    if hasattr(os, "fork"):
        with contextlib.suppress(ImportError):
            compile_elsewhere()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """The controller of several processes hears what each of them took and computed."""
    output = getattr(node, "workeroutput", {})
    node.config.peaks[node.gateway.id] = output.get("peak", 0)
    for name, (asked, missing) in output.get("exact", {}).items():
        before, missing_before = node.config.exact.get(name, ({}, 0))
        node.config.exact[name] = before | asked, missing_before + missing


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """A session fails if one of its processes took too much, or had to compute too many exact numbers."""
    config, exact = session.config, {name: (table.asked, table.missing) for name, table in stored.tables.items()}
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["peak"], output["exact"] = peak(), exact
        return
    config.peaks["this process"] = peak()
    config.exact |= exact
    if config.getoption("--update"):
        store(config, session.exitstatus)
    elif lacking(config) and session.exitstatus == 0:
        session.exitstatus = 1
    if max(config.peaks.values()) > LIMIT and session.exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter, config):
    took = ", ".join(f"{name} {size:.0f}" for name, size in config.peaks.items())
    terminalreporter.write_line(f"memory in MiB, of at most {LIMIT}: {took}")
    missing = sum(missing for _, missing in config.exact.values())
    if missing:
        verb = "stored" if config.getoption("--update") else "computed"
        terminalreporter.write_line(f"exact numbers {verb} that were missing in {stored.FOLDER}: {missing}")
    if not config.getoption("--update"):
        for name in lacking(config):
            terminalreporter.write_line(f"{name} lacks most: run tests/{name.split('/')[0]}.py with --update", red=True)
