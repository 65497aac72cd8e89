"""Fixtures: every loss, every backend, every dtype, found by discovery; and a limit for the memory of a process."""

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings

import pytest
from nvrtc import CompilerMissing

try:
    import resource
except ImportError:  # Windows
    resource = None

# A kernel cache of this test session alone, shared by its worker processes: a stale file can prove nothing.
if "LOSSBOOK_CACHE" not in os.environ:
    os.environ["LOSSBOOK_CACHE"] = tempfile.mkdtemp(prefix="lossbook-tests-")
    atexit.register(shutil.rmtree, os.environ["LOSSBOOK_CACHE"], ignore_errors=True)

LIMIT = 1536  # MiB that a process of the tests may take
ENOUGH = 600  # MiB from which a process has its kernels compiled by forks


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="rewrite the golden kernel sources instead of comparing")


@pytest.fixture
def update(request):
    """Whether golden files are to be rewritten."""
    return request.config.getoption("--update")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Where there is no compiler for a kernel its test is skipped; on CI it fails."""
    try:
        return (yield)
    except CompilerMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


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
    read takes one. Small processes compile themselves: a fork could not pass on the words that it compiles on its way.
    """
    from numba.core.dispatcher import Dispatcher

    from lossbook.backends.numba import _Cache

    itself = Dispatcher.compile
    one_at_a_time = threading.RLock()  # a fork must not inherit a lock of LLVM that another thread holds

    def compile(self, signature):
        with one_at_a_time:
            cache, folder = self._cache, os.environ["LOSSBOOK_CACHE"]
            if isinstance(cache, _Cache) and peak() > ENOUGH and cache.cache_path.startswith(folder):
                self.targetctx.refresh()
                if not cache.files.file(cache.key(signature, self.targetctx)).exists():
                    compile_in_a_fork(lambda: itself(self, signature))
            return itself(self, signature)

    Dispatcher.compile = compile


def pytest_configure(config):
    config.peaks = {}
    if hasattr(os, "fork"):
        with contextlib.suppress(ImportError):
            compile_elsewhere()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """The controller of several processes hears what each of them took."""
    node.config.peaks[node.gateway.id] = getattr(node, "workeroutput", {}).get("peak", 0)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """A session fails if one of its processes took too much."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["peak"] = peak()
        return
    session.config.peaks["this process"] = peak()
    if max(session.config.peaks.values()) > LIMIT and session.exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter, config):
    took = ", ".join(f"{name} {size:.0f}" for name, size in config.peaks.items())
    terminalreporter.write_line(f"memory in MiB, of at most {LIMIT}: {took}")
