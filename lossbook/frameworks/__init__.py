"""The frameworks whose arrays a loss takes and gives back: PyTorch and JAX.

    loss(tensor, target)      `pytorch` answers: kernels compute value and gradient, PyTorch's graph knows the result
    loss(array, target)       `jax` answers, by the text that `source` prints, which JAX traces

A framework that is not loaded owns no array; what answers is imported when the first of its arrays comes.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def _pytorch():
    from lossbook.frameworks import pytorch

    return pytorch


def _jax():
    from lossbook.frameworks import jax

    return jax


# The package of a framework: (the type of its arrays there, what gives the module that answers).
FRAMEWORKS = {"torch": ("Tensor", _pytorch), "jax": ("Array", _jax)}

# Types that no framework owns: to look for them takes a fraction of the time of asking each framework.
PLAIN = frozenset({np.ndarray, type(None), bool, int, float, str})


def of(arrays: Sequence[Any], keywords: Mapping[str, Any], out: Any = None) -> Any:
    """The module that answers a call with these arrays and options; None for those of NumPy, CuPy and Dask."""
    for package, (kind, load) in FRAMEWORKS.items():
        if package in sys.modules:
            given = [value for value in (*arrays, *keywords.values(), out) if type(value) not in PLAIN]
            if not given:
                return None
            if _has(getattr(sys.modules[package], kind, ()), given):  # absent while another thread imports it
                return load()
    return None


def _has(kind: Any, values: Iterable[Any]) -> bool:
    """Whether one of the values, or of those in a tuple, is of a kind."""
    return any(isinstance(value, kind) or (type(value) is tuple and _has(kind, value)) for value in values)
