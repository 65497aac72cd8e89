"""Losses in Keras, on PyTorch and on JAX, each in a process of its own; `make test-frameworks`."""

import ast
import functools
import importlib.util
import re
from pathlib import Path

import pytest
from processes import child, run_python

FILE = Path(__file__).parent / "support" / "keras_checks.py"
NAMES = [
    node.name
    for node in ast.parse(FILE.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and not re.search(rf"HELPERS = .*\b{node.name}\b", FILE.read_text("utf-8"))
]
if importlib.util.find_spec("keras") is None:
    pytest.skip("needs keras", allow_module_level=True)


@functools.cache
def results(backend):
    """What every check raised, by name."""
    pytest.importorskip(backend)
    return run_python(str(FILE), PYTHONPATH=f"{FILE.parents[2]}:{FILE.parent}", KERAS_BACKEND=backend)


each_backend = pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=pytest.mark.xdist_group(f"keras-{name}")) for name in ("torch", "jax")]
)


@pytest.mark.parametrize("name", NAMES)
@each_backend
def test_keras(backend, name):
    """The check of this name, in `tests/support/keras_checks.py`."""
    assert results(backend)[name] == ""


@each_backend
def test_every_check_is_asked_for(backend):
    assert [*results(backend)] == NAMES


def test_the_module_is_there_without_keras():
    code = """
import sys
sys.modules["keras"] = None
import lossbook.keras
try:
    lossbook.keras.loss
except lossbook.BackendError as error:
    print([str(error)])
"""
    (said,) = child(code)
    assert said.startswith("lossbook.keras.loss: needs the package keras, which is not installed")


def test_other_backends_of_keras_are_refused():
    """NumPy's, which is there where Keras is."""
    code = """
from lossbook import BackendError, regression
from lossbook.keras import loss
try:
    loss(regression.huber)
except BackendError as error:
    print([str(error)])
"""
    (said,) = child(code, KERAS_BACKEND="numpy")
    assert said.startswith("lossbook.keras.loss: needs Keras on PyTorch or JAX")
    assert "numpy" in said


def test_a_model_is_loaded_in_another_process(tmp_path):
    """By a process that has imported `lossbook.keras.loss` and nothing else."""
    pytest.importorskip("jax")
    model = str(tmp_path / "model.keras")
    begin = f"""
import keras
from lossbook.keras import loss
import numpy as np
x, y = np.eye(4, 3), np.array([0, 1, 2, 0])
model = {model!r}
"""
    save = """
from lossbook import multiclass
made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
made.compile("sgd", loss(multiclass.focal_with_logits, gamma=3.0))
made.fit(x, y, verbose=0)
made.save(model)
print(made.evaluate(x, y, verbose=0))
"""
    load = "\nprint(keras.saving.load_model(model).evaluate(x, y, verbose=0))"
    saved = child(begin + save, KERAS_BACKEND="jax")
    assert child(begin + load, KERAS_BACKEND="jax") == pytest.approx(saved, rel=1e-6)
