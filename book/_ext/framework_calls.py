"""The calls of frameworks.toml: what each needs, and the number that it gave."""

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

CALLS = Path(__file__).with_name("frameworks.toml")
VALUES = Path(__file__).parents[2] / "tests" / "data" / "framework_values.json"

# What a call needs: lines that import, of which those are shown whose name it uses, and what makes an array of a list.
LIBRARIES = {
    "lossbook": ("import numpy as np\nfrom lossbook import {module}", "np.array({})"),
    "PyTorch": (
        "import torch\nimport torch.nn.functional as F\n"
        "from torch.distributions import Bernoulli\nfrom torch.distributions import kl_divergence",
        "torch.tensor({})",
    ),
    "Keras": ("import keras\nimport numpy as np", "np.array({})"),
    "JAX": ("import jax.numpy as jnp\nfrom jax.scipy import special\nimport optax", "jnp.array({})"),
    "torchvision": (
        "import torch\nfrom torchvision import ops\nfrom torchvision.models.detection import roi_heads",
        "torch.tensor({})",
    ),
    "MONAI": ("import torch\nfrom monai import losses", "torch.tensor({})"),
    "SciPy": ("import numpy as np\nfrom scipy import special\nfrom scipy.spatial import distance", "np.array({})"),
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
    lines = [
        line.format(module=", ".join(modules))
        for line in imports.splitlines()
        if "{" in line or re.search(rf"(?<![.\w]){line.split()[-1]}[.(]", array + call)
    ]
    lines += [f"{array_name} = {array.format(text)}" for array_name, text in entries()[name]["arrays"].items()]
    return "\n".join(lines)
