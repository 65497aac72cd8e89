"""Python processes of their own, for what a process does once: import, read its environment, fill a cache."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import lossbook

ROOT = Path(lossbook.__file__).parents[1]


def run_python(*arguments, **environment):
    """Run Python with these arguments and this package; what it prints last, as a Python value.

    A variable of the environment that is given as None is unset.
    """
    given = os.environ | {"PYTHONPATH": ROOT} | environment
    given = {name: str(value) for name, value in given.items() if value is not None}
    done = subprocess.run([sys.executable, *arguments], env=given, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return ast.literal_eval(done.stdout.splitlines()[-1])


def child(code, **environment):
    """Run code in a new process (see `run_python`)."""
    return run_python("-c", code, **environment)
