"""The backends: one module each, imported only when it is used."""

import importlib
import sys
from contextvars import ContextVar
from functools import cache

from lossbook.errors import BackendError

NAMES = ("numpy", "numba", "cupy")
_chosen: ContextVar[str] = ContextVar("backend", default="numpy")


class use:
    """Choose the backend for NumPy arrays: `lossbook.use("numba")`, or `with lossbook.use("numba"):` for a block."""

    def __init__(self, name):
        check(name, "lossbook.use")
        self._token = _chosen.set(name)
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *error):
        _chosen.reset(self._token)

    def __repr__(self):
        return f"lossbook.use({self.name!r})"


def check(name, where):
    """The name, if it is a backend's; if not, the error says where it was given."""
    if not isinstance(name, str) or name not in NAMES:
        raise BackendError(f"{where}: backend must be one of {', '.join(NAMES)}; got {name!r}")
    return name


def get(name, where="lossbook"):
    """The backend module of that name."""
    return _load(check(name, where))


@cache
def _load(name):
    return importlib.import_module(f"lossbook.backends.{name}")


def is_cupy(array):
    """Whether an array is CuPy's."""
    return type(array).__module__.partition(".")[0] == "cupy"


def is_dask(*arrays):
    """Whether any array is Dask's; a package that is not loaded owns no array, so Dask is not imported to find out."""
    if "dask.array" not in sys.modules:
        return False
    owned = getattr(sys.modules["dask.array"], "Array", ())  # absent while another thread imports it
    return any(isinstance(array, owned) for array in arrays)


def choose(loss, name, arrays):
    """The backend for these arrays: their type decides between host and device, the user between NumPy and Numba.

    A package that is not loaded owns no array, so CuPy is never imported to find out.
    """
    if is_dask(*arrays):
        raise BackendError(
            f"{loss}: takes NumPy and CuPy arrays; got a Dask array (compute() it first, or call {loss} on its blocks)"
        )
    on_device = [is_cupy(array) for array in arrays if array is not None] if "cupy" in sys.modules else ()
    if any(on_device):
        if name not in (None, "cupy"):
            check(name, loss)
            raise BackendError(f"{loss}: backend {name!r} works on NumPy arrays; got CuPy arrays")
        if not all(on_device):
            kinds = ", ".join(
                sorted({type(array).__module__.partition(".")[0] for array in arrays if array is not None})
            )
            raise BackendError(f"{loss}: arrays must all be of one kind; got NumPy and CuPy arrays together ({kinds})")
        return get("cupy")
    chosen = check(name, loss) if name is not None else _chosen.get()
    if chosen == "cupy":
        get("cupy").require(loss)
        raise BackendError(f"{loss}: backend 'cupy' works on CuPy arrays (cupy.asarray(x)); got NumPy arrays")
    return get(chosen)
