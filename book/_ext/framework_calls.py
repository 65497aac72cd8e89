"""The calls of frameworks.toml: what each needs, and the number that it gave."""

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

CALLS = Path(__file__).with_name("frameworks.toml")
VALUES = Path(__file__).parents[2] / "tests" / "data" / "framework_values.json"

# What a call needs: the line that imports, and what makes an array of a list.
LIBRARIES = {
    "lossbook": ("import numpy as np\nfrom lossbook import {module}", "np.array({})"),
    "PyTorch": ("import torch\nimport torch.nn.functional as F", "torch.tensor({})"),
    "Keras": ("import keras\nimport numpy as np", "np.array({})"),
    "JAX": ("import jax.numpy as jnp\nimport optax", "jnp.array({})"),
    "torchvision": ("import torch\nfrom torchvision import ops", "torch.tensor({})"),
    "MONAI": ("import torch\nfrom monai import losses", "torch.tensor({})"),
    "scikit-learn": ("import numpy as np\nfrom sklearn import metrics", "np.array({})"),
}


@cache
def entries() -> dict[str, Any]:
    """What to show, by the name of the entry."""
    return tomllib.loads(CALLS.read_text(encoding="utf-8"))


@cache
def values() -> dict[str, dict[str, float]]:
    """The number that each call of each entry gave."""
    return json.loads(VALUES.read_text(encoding="utf-8"))


def setting(name: str, library: str) -> str:
    """The lines above a call: what it imports, and its arrays."""
    imports, array = LIBRARIES[library]
    call = entries()[name]["calls"][library]
    modules = sorted(set(re.findall(r"(?<![.\w])([a-z]{4,})\.", call)))  # of lossbook: its modules have long names
    lines = [imports.format(module=", ".join(modules))]
    if library == "JAX" and "optax" not in call:
        lines = lines[0].splitlines()[:1]
    lines += [f"{array_name} = {array.format(text)}" for array_name, text in entries()[name]["arrays"].items()]
    return "\n".join(lines)
