"""Ask the libraries themselves for the numbers that the tabs of the book show.

    KERAS_BACKEND=jax python tests/peers/make_frameworks.py

needs torch, torchvision, keras, jax, optax, monai, kornia, segmentation_models_pytorch, fvcore, SciPy and scikit-learn;
writes tests/data/framework_values.json, and imports
every name that `lossbook.find` knows.
"""

import importlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "book" / "_ext")]

import framework_calls  # noqa: E402
from make_audits import import_torchvision  # noqa: E402

from lossbook.workshop.find import table  # noqa: E402


def number(name, library):
    """What the call of an entry gives."""
    names = {}
    exec(framework_calls.setting(name, library), names)
    return float(eval(framework_calls.entries()[name]["calls"][library], names))


if __name__ == "__main__":
    kept = import_torchvision()
    for module, _, own in (one.qualified.rpartition(".") for one in table()):
        assert callable(getattr(importlib.import_module(module), own)), f"{module}.{own}"
    found = {
        name: {library: float(f"{number(name, library):.7g}") for library in entry["calls"]}
        for name, entry in framework_calls.entries().items()
    }
    framework_calls.VALUES.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
