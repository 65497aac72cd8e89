"""Fixtures: every loss, every backend, every dtype, found by discovery."""

import atexit
import os
import shutil
import tempfile

import pytest

# A kernel cache of this test session alone, shared by its worker processes: a stale file can prove nothing.
if "LOSSBOOK_CACHE" not in os.environ:
    os.environ["LOSSBOOK_CACHE"] = tempfile.mkdtemp(prefix="lossbook-tests-")
    atexit.register(shutil.rmtree, os.environ["LOSSBOOK_CACHE"], ignore_errors=True)


def pytest_addoption(parser):
    parser.addoption("--update", action="store_true", help="rewrite the golden kernel sources instead of comparing")


@pytest.fixture
def update(request):
    """Whether golden files are to be rewritten."""
    return request.config.getoption("--update")
