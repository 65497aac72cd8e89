"""Numba: one fused pass, compiled and vectorized, for value and gradient.

    print(source(plan, np.float32))      the file that runs, readable from top to bottom

A kernel file is what `printer` prints of the formula, and below it the files of `loops/` that fit, from a line on as
they are. A kernel holds no lock, so the threads of `host` run it on ranges of blocks. Weights and gradients that a call
does without are None, which Numba takes for another type and compiles away; so it does with what a constant at the head
of the file rules out.
"""

import hashlib
import importlib.util
import io
import keyword
import sys
import threading
import tokenize
import types
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from lossbook import kernels
from lossbook.backends import host, imported
from lossbook.backends import numpy as numpy_backend
from lossbook.backends.call import Call
from lossbook.backends.loops import part
from lossbook.backends.numba.printer import BLOCK, WIDE, head
from lossbook.plan.ir import Plan

xp = np


def parts(plan: Plan) -> Sequence[str]:
    """The files of loops that make the kernel of a plan, in order."""
    if not plan.space.rows_of_classes:
        softmax = plan.space.totals and plan.row
        elements = "elements_per_class" if plan.per_class else "pixels" if softmax else "elements"
        return ("sums", "tiles", "boxes") if plan.space.corners else ("sums", elements)
    if plan.row == "entry":
        ends = ("labeled_entries",) if plan.hard else ("lanes", "shared_entries")
        return ("sums", "tiles", "labels", *ends)
    lanes = ("lanes",) if plan.row == "log_odds" else ()
    wide = ("compensated", "wide_rows") if plan.row == "log_odds" else ()
    ends = ("labeled_rows", *wide) if plan.hard else ("compensated", "shared_rows")
    return ("sums", "tiles", "labels", *lanes, plan.row, "rivals", *ends)


def source(plan: Plan, real: Any = np.float32, integer: bool = False) -> str:
    """The kernel file of a plan for a working type; `integer` if the target holds class indices."""
    return "".join([head(plan.avoiding(reserved()), real, integer), *(part(__name__, name) for name in parts(plan))])


@cache
def reserved() -> frozenset[str]:
    """The names that occur in kernels whatever the formula is: those of the loops, and of what is printed for them."""
    folder = files("lossbook.backends.numba").joinpath("loops")
    texts = [part(__name__, file.name[:-3]) for file in folder.iterdir() if file.name.endswith(".py")]
    texts.append(folder.joinpath("kernel.pyi").read_text(encoding="utf-8"))
    lines = io.StringIO("\n".join(texts)).readline
    names = {token.string for token in tokenize.generate_tokens(lines) if token.type == tokenize.NAME}
    return frozenset({*names, "element", "njit", "register_jitable"} - {*keyword.kwlist})


@cache
def _depends():
    """What machine code depends on beside the text: the words, their numbers, Numba and LLVM."""
    import llvmlite
    import numba

    # The code of the words is there in whatever form they come: as a file, in an archive, compiled or frozen.
    names = [f"lossbook.backends.numba.{name}" for name in ("floats", "words")]
    specs: list[Any] = [importlib.util.find_spec(name) for name in names]
    codes = [spec.loader.get_code(spec.name) for spec in specs]
    return " ".join([*map(_digest, codes), numba.__version__, llvmlite.__version__, np.__version__])


def _digest(code):
    """A hash of what a code object does, the same in every process."""
    constants = [_digest(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    parts = (code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, constants)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


class _Cache:
    """The machine code of one function for Numba, which asks here before it compiles: see `kernels.MachineCode`."""

    def __init__(self, function, folder):
        from numba.core import compiler, serialize

        name = f"{function.__qualname__}.{sys.implementation.cache_tag}"
        self.files, self.cache_path = kernels.MachineCode(folder, name, serialize.dumps), str(folder)
        self.rebuild = compiler.CompileResult._rebuild

    @staticmethod
    def key(signature, target):
        """What tells kernels of a function apart: the types of the arguments, the processor."""
        return signature, target.codegen().magic_tuple()

    def load_overload(self, signature, target):
        target.refresh()
        found = self.files.load(self.key(signature, target))
        return None if found is None else self.rebuild(target, *found)

    def save_overload(self, signature, result):
        self.files.save(self.key(signature, result.target_context), result._reduce())

    def flush(self):
        self.files.flush()


_functions: dict[str, types.FunctionType] = {}  # those of all kernels, by a hash of what they do
_lock = threading.Lock()


def _share(names, name):
    """Let a kernel call the function of an earlier one that does the same: each is compiled once in a process.

    It belongs to this module from now on, which is there wherever a kernel is read that calls it, under a name of its
    own: numbers of functions, which Numba adds to their names, are not the same in every process.
    """
    function, used = names[name], []
    for title in function.__code__.co_names:
        if _is_own(names, title):
            _share(names, title)
        value = names.get(title)
        used.append(value.__qualname__ if isinstance(value, types.FunctionType) else repr(value))
    digest = hashlib.sha256(f"{_digest(function.__code__)} {used}".encode()).hexdigest()[:20]
    function.__module__, function.__qualname__ = __name__, f"{name}_{digest}"
    names[name] = _functions.setdefault(digest, function)


def _is_own(names, name):
    """Whether a name of a kernel is a function that stands in its file and that it shares with no other so far."""
    return isinstance(names.get(name), types.FunctionType) and names[name].__module__ == names["__name__"]


@cache
def load(plan: Plan, real: Any, integer: bool) -> Any:
    """The module of a plan, whose functions are compiled when they are first called with arrays of a new kind; None
    where Numba is told to compile nothing (NUMBA_DISABLE_JIT=1).
    """
    needs = (plan.name, "'numba' needs the package numba", "backend")
    if imported("numba", *needs).config.DISABLE_JIT:
        return None
    imported("lossbook.backends.numba.words", *needs)
    module = kernels.load(f"{plan.name}_{np.dtype(real).name}", source(plan, real, integer), _depends())
    with _lock:
        for name in [*vars(module)]:
            if _is_own(vars(module), name):
                _share(vars(module), name)
    if folder := kernels.folder_of(module):
        for name in ("loops", "wide"):
            if function := getattr(module, name, None):
                function._cache = _Cache(function, folder)
    else:
        kernels.warn_of_refusal()
    return module


def require(loss: str) -> None:
    """Raise the BackendError that says what is missing."""
    imported("numba", loss, "'numba' needs the package numba", "backend")


def run(plan: Plan, call: Call) -> np.ndarray:
    """Values, sums and gradients of a call (see `host.run`)."""
    # Competing classes are scores as a rule, which any number may be: only NumPy's loops check others.
    of_no_scores = plan.row not in ("", "entry") and plan.checks_prediction
    module = None if of_no_scores else load(plan, call.real, call.integer)
    if module is None:  # the kernels of NumPy have the same results, and can be stepped through as well
        return numpy_backend.run(plan, call)
    _, classes, inner = call.layout.three
    if plan.hard and plan.row == "log_odds" and inner == 1 and classes >= WIDE:
        return host.run(host.Kernel(module.wide, BLOCK if classes <= BLOCK // 16 else 1, typed=True), plan, call)
    # A softmax in totals has so many arrays in a tile that only half of one fits into the first cache.
    block = BLOCK // 2 if plan.space.totals and plan.row else BLOCK
    if plan.row == "entry" and not plan.hard and inner == 1:  # contiguous rows are run through as one
        block = max(1, BLOCK // classes)
    return host.run(host.Kernel(module.loops, block, typed=True), plan, call)
