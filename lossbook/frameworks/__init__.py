"""The frameworks whose arrays a loss takes and gives back: PyTorch.

A module of this folder answers calls with arrays of its framework; it is imported when the first of them comes, and a
framework that is not loaded owns no array.
"""

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

# The package of a framework: (the type of its arrays there, the module that answers).
FRAMEWORKS = {"torch": ("Tensor", "lossbook.frameworks.pytorch")}


def of(arrays: Sequence[Any], keywords: Mapping[str, Any], out: Any = None) -> Any:
    """The module that answers a call with these arrays and options; None for those of NumPy, CuPy and Dask."""
    for package, (kind, module) in FRAMEWORKS.items():
        owner = sys.modules.get(package)
        if owner is None:
            continue
        tensor = getattr(owner, kind, ())  # absent while another thread imports it
        if _has(tensor, arrays) or _has(tensor, keywords.values()) or _has(tensor, (out,)):
            return _load(module)
    return None


def _has(kind: Any, values: Iterable[Any]) -> bool:
    """Whether one of the values, or of those in a tuple, is of a kind."""
    return any(isinstance(value, kind) or (type(value) is tuple and _has(kind, value)) for value in values)


@cache
def _load(module: str) -> Any:
    return importlib.import_module(module)
