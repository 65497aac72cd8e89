"""The backends: a package each, imported only when it is used.

    numpy    array expressions, block by block
    numba    compiled loops
    cupy     CUDA

What a backend must have says `Backend`; `BACKENDS` lists them.
"""

import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, Self

import numpy as np

from lossbook.arrays import is_dask
from lossbook.errors import BackendError
from lossbook.typing import Backend as Name


class Backend(Protocol):
    """What the package of a backend has."""

    xp: Any  # the array module: numpy or cupy

    def source(self, plan: Any, real: Any = ..., integer: bool = ...) -> str:
        """The kernel file of a plan for a working type; `integer` if the target holds class indices.

        A declaration prints its kernel on every backend, so that what cannot be printed is found at once: a backend
        knows all words of `SPELLED`, or refuses the plan with a BackendError, as one does that lacks a space.
        """

    def run(self, plan: Any, call: Any) -> np.ndarray:
        """Fill `call.values` and `call.gradient`, where they are arrays, and return the sums of the call.

        Of losses of totals the sums have the shape (images, classes, totals + 1), of others (2,): sum(w*l) comes
        first, and of rows on a device sum(w) comes second. The last number counts the values that break a rule; if it
        is not 0, nothing else is of use. For arrays of NumPy, `host.run` cuts a call into blocks and threads.
        """

    def require(self, loss: str) -> None:
        """Raise the BackendError that says what this machine lacks."""


@dataclass(frozen=True)
class Home:
    """The package whose arrays a backend computes with."""

    package: str
    title: str
    how: str  # to make such an array


HOST, CUDA = Home("numpy", "NumPy", "numpy.asarray(x)"), Home("cupy", "CuPy", "cupy.asarray(x)")
# One row per backend. Arrays of no other home are the host's, on which the user chooses between NumPy and Numba.
BACKENDS = {"numpy": HOST, "numba": HOST, "cupy": CUDA}
NAMES = tuple(BACKENDS)
AWAY = {home.package: home for home in BACKENDS.values() if home is not HOST}


def check(name: Any, where: str, what: str = "backend") -> str:
    """The name, if it is a backend's; if not, the error says where it was given."""
    if not isinstance(name, str) or name not in NAMES:
        raise BackendError(where, what, f"must be one of {', '.join(NAMES)}", name)
    return name


def name_of(backend: Any) -> str:
    """The name of a backend, by which a call chooses it."""
    return str(backend.__name__).rpartition(".")[2]


class _Chosen:
    """The backend for NumPy arrays: that of the innermost `with` of this context, else that of the process."""

    def __init__(self) -> None:
        name = os.environ.get("LOSSBOOK_BACKEND") or "numpy"
        self.at_first = check(name, "lossbook", "the environment variable LOSSBOOK_BACKEND")
        self.statements: list[use] = []  # the last `use` that was no `with`, and those about to become one
        self.blocks: ContextVar[tuple[str, ...]] = ContextVar("blocks", default=())
        self.lock = threading.Lock()

    def get(self) -> Any:
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

    Parameters
    ----------
    name : {"numpy", "numba", "cupy"}
        The backend.

    Raises
    ------
    BackendError
        For a name that is no backend's.

    Examples
    --------
    >>> import lossbook
    >>> from lossbook import regression
    >>> with lossbook.use("numpy"):
    ...     print(regression.squared_error([3.0], [1.0]))
    4.0
    """

    def __init__(self, name: Name) -> None:
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


def imported(name: str, where: str, needs: str, argument: str | None = None) -> Any:
    """An optional module. The error of `where` says what it needs, and if that is missing or why it fails."""
    try:
        return importlib.import_module(name)
    except Exception as error:
        package = name.partition(".")[0]
        is_missing = isinstance(error, ModuleNotFoundError) and error.name == package
        why = "is not installed" if is_missing else f"cannot be imported ({type(error).__name__}: {error})"
        raise BackendError(where, argument, f"{needs}, which {why}") from error


def offering(module: str, offered: str, package: str, home: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module that offers one thing, which stands in another module and needs a package."""

    def of_module(name: str) -> Any:
        if name != offered:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        imported(package, f"{module}.{name}", f"needs the package {package}")
        return getattr(importlib.import_module(home), name)

    return of_module


def get(name: str, where: str = "lossbook") -> Any:
    """The backend module of that name."""
    return _load(check(name, where))


@cache
def _load(name):
    return importlib.import_module(f"lossbook.backends.{name}")


def choose(loss: str, name: str | None, arrays: Sequence[Any]) -> Any:
    """The backend for these arrays: their type decides between host and device, the user between NumPy and Numba.

    A package that is not loaded owns no array, so CuPy is never imported to find out.
    """
    if is_dask(*arrays):
        hint = f"compute() it first, or call {loss} on its blocks"
        raise BackendError(loss, None, "takes NumPy and CuPy arrays", said="a Dask array", hint=hint)
    home = home_of(loss, arrays) if any(package in sys.modules for package in AWAY) else HOST
    if home is not HOST:
        own = [backend for backend, its in BACKENDS.items() if its is home]
        if name not in (None, *own):
            rule = f"{name!r} works on {BACKENDS[check(name, loss)].title} arrays"
            raise BackendError(loss, "backend", rule, said=f"{home.title} arrays")
        return get(name or own[0])
    chosen = check(name, loss) if name is not None else _chosen.get()
    if (wanted := BACKENDS[chosen]) is not HOST:
        get(chosen).require(loss)
        rule = f"{chosen!r} works on {wanted.title} arrays ({wanted.how})"
        raise BackendError(loss, "backend", rule, said=f"{HOST.title} arrays")
    return get(chosen)


def home_of(loss: str, arrays: Iterable[Any]) -> Home:
    """The home that all arrays share; None stands for an array that is not there."""
    packages = {type(array).__module__.partition(".")[0] for array in arrays if array is not None}
    homes = {AWAY.get(package, HOST) for package in packages}
    if len(homes) > 1:
        titles = " and ".join(home.title for home in (HOST, *AWAY.values()) if home in homes)
        said = f"{titles} arrays together ({', '.join(sorted(packages))})"
        raise BackendError(loss, "arrays", "must all be of one kind", said=said)
    return homes.pop() if homes else HOST
