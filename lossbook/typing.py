"""Types of what losses take and give, for annotations: `from lossbook.typing import ArrayLike, Backend, Reduction`.

The signatures of the losses themselves stand in the stubs (`binary.pyi` and so on), which `tools/stubs.py` writes.
"""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy as np

__all__ = [
    "Activation", "ArrayLike", "Backend", "Floats", "Language", "Number", "OnDevice", "OnHost", "Reduction", "Single",
]  # fmt: skip

Single: TypeAlias = Literal["mean", "sum"]  # the reductions to one number
Reduction: TypeAlias = Literal["mean", "sum", "none"]
Activation: TypeAlias = Literal["sigmoid", "softmax"]
Backend: TypeAlias = Literal["numpy", "numba", "cupy"]
Language: TypeAlias = Literal["numpy", "numba", "cupy", "torch", "jax"]  # of the text of a loss
Format: TypeAlias = Literal["xyxy", "xywh", "cxcywh"]  # of boxes
Number: TypeAlias = float | np.floating[Any] | np.integer[Any]


class OnHost(Protocol):
    """What NumPy can read: its own arrays and numbers, those of pandas, xarray and Dask, tensors of processors."""

    def __array__(self) -> Any: ...


class OnDevice(Protocol):
    """An array on a GPU, such as CuPy's."""

    @property
    def __cuda_array_interface__(self) -> Any: ...


One: TypeAlias = float | OnHost
ArrayLike: TypeAlias = One | OnDevice | Sequence[One | Sequence[One | Sequence[One | Sequence[One]]]]

# An array of floats of some shape and dtype; TypeVars, so that a gradient has those of its prediction. Losses of
# several predictions have a pair for each.
F = TypeVar("F", bound=np.floating[Any])
F2 = TypeVar("F2", bound=np.floating[Any])
F3 = TypeVar("F3", bound=np.floating[Any])
S = TypeVar("S", bound=tuple[int, ...])
S2 = TypeVar("S2", bound=tuple[int, ...])
S3 = TypeVar("S3", bound=tuple[int, ...])
Floats: TypeAlias = np.ndarray[S, np.dtype[F]]
