"""The backends: one module each, imported only when it is used."""

import importlib
import os
import sys
import threading
from contextvars import ContextVar
from functools import cache
from typing import Literal, Self

from lossbook.errors import BackendError

NAMES = ("numpy", "numba", "cupy")


def check(name, where, what="backend"):
    """The name, if it is a backend's; if not, the error says where it was given."""
    if not isinstance(name, str) or name not in NAMES:
        raise BackendError(where, what, f"must be one of {', '.join(NAMES)}", name)
    return name


class _Chosen:
    """The backend for NumPy arrays: that of the innermost `with` of this context, else that of the process."""

    def __init__(self):
        name = os.environ.get("LOSSBOOK_BACKEND") or "numpy"
        self.at_first = check(name, "lossbook", "the environment variable LOSSBOOK_BACKEND")
        self.statements = []  # the last `use` that was no `with`, and those about to become one
        self.blocks: ContextVar[tuple[str, ...]] = ContextVar("blocks", default=())
        self.lock = threading.Lock()

    def get(self):
        if blocks := self.blocks.get():
            return blocks[-1]
        statements = self.statements  # replaced as a whole, never changed
        return statements[-1].name if statements else self.at_first


_chosen = _Chosen()


class use:
    """Choose the backend for NumPy arrays.

    `lossbook.use("numba")` as a statement chooses for the whole process, all of its threads included, until the next
    such statement; `with lossbook.use("numba"):` for the block, in this thread (or asynchronous task) alone, and
    whatever the statements say. Where neither is used the environment variable LOSSBOOK_BACKEND decides, else NumPy.

    Raises BackendError for a name that is no backend's.
    """

    def __init__(self, name: Literal["numpy", "numba", "cupy"]) -> None:
        self.name = check(name, "lossbook.use")
        with _chosen.lock:
            _chosen.statements = [*_chosen.statements[-63:], self]  # far more than are about to become blocks at once

    def __enter__(self) -> Self:
        with _chosen.lock:  # it was no statement, after all
            _chosen.statements = [one for one in _chosen.statements if one is not self]
        _chosen.blocks.set((*_chosen.blocks.get(), self.name))
        return self

    def __exit__(self, *error: object) -> None:
        _chosen.blocks.set(_chosen.blocks.get()[:-1])

    def __repr__(self) -> str:
        return f"lossbook.use({self.name!r})"


def imported(name, where, needs, argument=None):
    """An optional module. The error of `where` says what it needs, and if that is missing or why it fails."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        package = name.partition(".")[0]
        is_missing = isinstance(error, ModuleNotFoundError) and error.name == package
        why = "is not installed" if is_missing else f"cannot be imported ({type(error).__name__}: {error})"
        raise BackendError(where, argument, f"{needs}, which {why}") from error


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
        hint = f"compute() it first, or call {loss} on its blocks"
        raise BackendError(loss, None, "takes NumPy and CuPy arrays", said="a Dask array", hint=hint)
    on_device = [is_cupy(array) for array in arrays if array is not None] if "cupy" in sys.modules else ()
    if any(on_device):
        if name not in (None, "cupy"):
            check(name, loss)
            raise BackendError(loss, "backend", f"{name!r} works on NumPy arrays", said="CuPy arrays")
        if not all(on_device):
            kinds = ", ".join(
                sorted({type(array).__module__.partition(".")[0] for array in arrays if array is not None})
            )
            said = f"NumPy and CuPy arrays together ({kinds})"
            raise BackendError(loss, "arrays", "must all be of one kind", said=said)
        return get("cupy")
    chosen = check(name, loss) if name is not None else _chosen.get()
    if chosen == "cupy":
        get("cupy").require(loss)
        raise BackendError(loss, "backend", "'cupy' works on CuPy arrays (cupy.asarray(x))", said="NumPy arrays")
    return get(chosen)
