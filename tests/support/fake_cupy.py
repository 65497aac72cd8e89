"""A stand-in for CuPy on a machine without a GPU: NumPy arrays behind CuPy's names, kernels run on the host.

    with fake_cupy.install():
        import cupy                    # this module
        module = cupy.RawModule(code=text)
        module.get_function("kernel")((blocks,), (256,), (x, out, numpy.int64(x.size)))

RawModule compiles the very text that NVRTC would get with g++ and `cuda_on_host.hpp`. Where real CuPy reads
memory wrongly without a word, this module raises: arguments are compared with the kernel's parameters, memory
around every array is guarded, memory of `empty` is full of NaN patterns, and (in the engine of fibers) a kernel runs
twice, with its threads in ascending and in descending order, and must give the same bits: if it does not, it lacks
a barrier or lets two threads write one element.

Unlike NVRTC, products and sums are not contracted; options=("--fmad=true",) contracts them here too.
"""

import contextlib
import ctypes
import functools
import hashlib
import operator
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import types
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from nvrtc import CompilerMissing

__version__ = "13.0.0"

bool_, float16, float32, float64 = np.bool_, np.float16, np.float32, np.float64
int8, int16, int32, int64 = np.int8, np.int16, np.int32, np.int64
uint8, uint16, uint32, uint64 = np.uint8, np.uint16, np.uint32, np.uint64
inf = np.inf

HEADER = Path(__file__).with_name("cuda_on_host.hpp")
FLAGS = (
    "-std=c++20", "-O2", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", "-fno-gnu-unique",
    "-fno-strict-aliasing", "-U_FORTIFY_SOURCE",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How kernels run; `install(engine="threads")` changes a setting for a while."""

    engine: str = "fibers"  # or "threads": one real thread per CUDA thread, a hundred times slower
    compare_orders: bool = True  # run every kernel in both orders of its threads; fibers only
    folder: Path | None = None  # of the compiled kernels; None: $FAKE_CUPY_FOLDER, or one deleted with this process


settings = Settings()


class KernelError(RuntimeError):
    """A kernel does something that is wrong, or undefined, on a device."""


# --- arrays --------------------------------------------------------------------------------------------------------

_GUARD = 512  # bytes before and after every array; also the alignment of device memory
_CANARY = 0xA5


class _Memory:
    """One allocation: `bytes` of an array, with a guard on either side."""

    def __init__(self, size):
        self.buffer = np.empty(size + 3 * _GUARD, np.uint8)
        start = -self.buffer.ctypes.data % _GUARD + _GUARD
        self.bytes = self.buffer[start : start + size]
        self.guards = self.buffer[:start], self.buffer[start + size :]
        for guard in self.guards:
            guard.fill(_CANARY)
        self.forget()

    def forget(self):
        """Fill the array with NaN, or -1: an element that is read before it is written shows."""
        self.bytes.fill(0xFF)

    def overrun(self):
        """Where the guards were written: "before", "after" or an empty text."""
        for guard, where in zip(self.guards, ("before", "after"), strict=True):
            if (guard != _CANARY).any():
                return where
        return ""


class _Flags:
    """The flags that CuPy has; it knows no writeable."""

    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.owndata = flags.owndata

    def __getitem__(self, name):
        return {"C_CONTIGUOUS": self.c_contiguous, "F_CONTIGUOUS": self.f_contiguous, "OWNDATA": self.owndata}[name]


def _plain(value):
    """What NumPy should see of an operand: refuses NumPy arrays, as CuPy does."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value


def _allocate(shape, dtype, order="C"):
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    count = int(np.prod(shape, dtype=np.int64))
    memory = _Memory(count * dtype.itemsize)
    return ndarray._of(memory.bytes.view(dtype).reshape(shape, order=order), memory)


def _wrap(result, like=None):
    """A NumPy result as an array of this module: a view of `like`'s memory if it is one, else a copy."""
    if like is not None and np.may_share_memory(result, like._memory.buffer):
        return ndarray._of(result, like._memory)
    result = np.asarray(result)
    fortran = result.flags.f_contiguous and not result.flags.c_contiguous
    made = _allocate(result.shape, result.dtype, "F" if fortran else "C")
    made._array[...] = result
    return made


class _Data:
    """What `array.data` is asked for."""

    def __init__(self, pointer):
        self.ptr = pointer


class ndarray:
    """An array in "device memory". It mixes with no NumPy array and converts to none unless asked with get()."""

    __array_ufunc__ = None
    __hash__ = None

    def __init__(self, shape, dtype=float, order="C"):
        made = _allocate(shape, dtype, order)
        self._array, self._memory = made._array, made._memory

    @classmethod
    def _of(cls, array, memory):
        made = cls.__new__(cls)
        made._array, made._memory = array, memory
        return made

    def __array__(self, *_, **__):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    nbytes = property(lambda self: self._array.nbytes)
    itemsize = property(lambda self: self._array.itemsize)
    strides = property(lambda self: self._array.strides)
    flags = property(lambda self: _Flags(self._array.flags))
    T = property(lambda self: _wrap(self._array.T, self))
    data = property(lambda self: _Data(self._array.ctypes.data if self.size else 0))  # CuPy's empty arrays are at 0
    device = property(lambda self: Device(0))

    def get(self):
        return self._array.copy()

    def set(self, values):
        self._array[...] = values

    def item(self, *index):
        return self._array.item(*index)

    def tolist(self):
        return self._array.tolist()

    def copy(self, order="C"):
        return _wrap(self._array.copy(order))

    def astype(self, dtype, order="K", copy=True):
        return self if not copy and self.dtype == dtype else _wrap(self._array.astype(dtype, order))

    def fill(self, value):
        self._array.fill(_plain(value))

    def reshape(self, *shape, order="C"):
        shape = shape[0] if len(shape) == 1 else shape
        return _wrap(self._array.reshape(shape, order=order), self)

    def cumsum(self, axis=None):
        return _wrap(self._array.cumsum(axis))

    def repeat(self, repeats, axis=None):
        return _wrap(self._array.repeat(repeats, axis))

    def ravel(self, order="C"):
        return _wrap(self._array.ravel(order), self)

    def transpose(self, *axes):
        return _wrap(self._array.transpose(*axes), self)

    def view(self, dtype):
        return _wrap(self._array.view(dtype), self)

    def __getitem__(self, index):
        return _wrap(self._array[_plain(index)], self)

    def __setitem__(self, index, value):
        self._array[_plain(index)] = _plain(value)

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[index] for index in range(len(self)))

    def __repr__(self):
        return repr(self._array)


def _add_methods():
    """Arithmetic, comparisons, conversions and reductions, which only pass to NumPy and back."""

    def binary(function):
        def method(self, other):
            return _wrap(function(self._array, _plain(other)))

        return method

    def reflected(function):
        def method(self, other):
            return _wrap(function(_plain(other), self._array))

        return method

    def in_place(function):
        def method(self, other):
            function(self._array, _plain(other))
            return self

        return method

    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"):
        setattr(ndarray, f"__{name}__", binary(getattr(operator, f"__{name}__")))
        setattr(ndarray, f"__r{name}__", reflected(getattr(operator, f"__{name}__")))
        setattr(ndarray, f"__i{name}__", in_place(getattr(operator, f"__i{name}__")))
    for name in ("lt", "le", "eq", "ne", "gt", "ge"):
        setattr(ndarray, f"__{name}__", binary(getattr(operator, f"__{name}__")))
    for name in ("neg", "abs", "invert"):
        setattr(ndarray, f"__{name}__", functools.partialmethod(_unary, getattr(operator, f"__{name}__")))
    for name in ("bool", "int", "float", "index"):
        setattr(ndarray, f"__{name}__", functools.partialmethod(_scalar, f"__{name}__"))
    for name in ("argmax", "sum", "mean", "min", "max", "any", "all"):
        setattr(ndarray, name, functools.partialmethod(_reduced, name))


def _unary(self, function):
    return _wrap(function(self._array))


def _scalar(self, name):
    return getattr(self._array, name)()


def _reduced(self, name, *arguments, **options):
    return _wrap(getattr(self._array, name)(*arguments, **options))


_add_methods()
ndarray.__module__ = "cupy"


# --- functions -----------------------------------------------------------------------------------------------------


def empty(shape, dtype=float, order="C"):
    return _allocate(shape, dtype, order)


def full(shape, fill_value, dtype=None):
    made = _allocate(shape, np.asarray(_plain(fill_value)).dtype if dtype is None else dtype)
    made.fill(fill_value)
    return made


def zeros(shape, dtype=float):
    return full(shape, 0, dtype)


def ones(shape, dtype=float):
    return full(shape, 1, dtype)


def empty_like(a, dtype=None):
    made = _wrap(np.empty_like(a._array, dtype))
    made._memory.forget()
    return made


def zeros_like(a, dtype=None):
    return _wrap(np.zeros_like(a._array, dtype))


def array(obj, dtype=None, copy=True, order="K"):
    given = obj._array if isinstance(obj, ndarray) else obj
    if not copy and isinstance(obj, ndarray) and dtype in (None, obj.dtype):
        return obj
    return _wrap(np.array(given, dtype, order=order))


def asarray(a, dtype=None, order=None):
    """The array itself if it is one of this module and its type fits; else a copy "on the device"."""
    if isinstance(a, ndarray) and (dtype is None or a.dtype == dtype) and order is None:
        return a
    return _wrap(np.asarray(a._array if isinstance(a, ndarray) else a, dtype, order))


def ascontiguousarray(a, dtype=None):
    given = a._array if isinstance(a, ndarray) else a
    result = np.ascontiguousarray(given, dtype)
    return a if result is given and isinstance(a, ndarray) else _wrap(result, a if isinstance(a, ndarray) else None)


def asnumpy(a):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def shares_memory(a, b):
    return np.shares_memory(a._array, b._array)


def may_share_memory(a, b):
    return np.may_share_memory(a._array, b._array)


def moveaxis(a, source, destination):
    return _wrap(np.moveaxis(a._array, source, destination), a)


def stack(tup, axis=0):
    return _wrap(np.stack([one._array for one in tup], axis))


def take(a, indices, axis=None):
    return _wrap(np.take(a._array, _plain(indices), axis))


def broadcast_to(array, shape):
    return _wrap(np.broadcast_to(array._array, shape), array)


def _passed(function):
    """A function that only passes to NumPy and back."""

    @functools.wraps(function)
    def called(*arguments, **options):
        return _wrap(function(*map(_plain, arguments), **options))

    return called


arange, exp, expm1, expand_dims, flatnonzero, log, log1p, maximum, minimum, unique, where = map(
    _passed,
    (
        np.arange, np.exp, np.expm1, np.expand_dims, np.flatnonzero, np.log, np.log1p, np.maximum, np.minimum,
        np.unique, np.where,
    ),
)  # fmt: skip


def bincount(x, minlength=0):
    if not x.size:
        raise ValueError("zero-size array to reduction operation cupy_max which has no identity")
    return _wrap(np.bincount(x._array, minlength=minlength))


def get_array_module(*arrays):
    return sys.modules[__name__] if any(isinstance(one, ndarray) for one in arrays) else np


# --- the device ----------------------------------------------------------------------------------------------------


class Device:
    """The one device."""

    def __init__(self, id=0):
        self.id = int(id)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def synchronize(self):
        pass


Device.__module__ = "cupy.cuda"
runtime = types.ModuleType("cupy.cuda.runtime")
runtime.getDeviceCount = lambda: 1
cuda = types.ModuleType("cupy.cuda")
cuda.Device, cuda.runtime = Device, runtime
cuda.is_available = lambda: True


def _distance_transform_edt(image, sampling=None):
    from scipy.ndimage import distance_transform_edt

    if image.ndim not in (2, 3):
        raise NotImplementedError("Only 2D and 3D distance transforms are supported.")
    return _wrap(distance_transform_edt(image._array, sampling))


cupyx, cupyx_scipy = types.ModuleType("cupyx"), types.ModuleType("cupyx.scipy")
cupyx_ndimage = types.ModuleType("cupyx.scipy.ndimage")
cupyx.scipy, cupyx_scipy.ndimage = cupyx_scipy, cupyx_ndimage
cupyx_ndimage.distance_transform_edt = _distance_transform_edt


@contextlib.contextmanager
def install(**changes):
    """Let `import cupy` find this module, with the settings changed, until the block ends."""
    global settings
    names = {"cupy": sys.modules[__name__], "cupy.cuda": cuda, "cupy.cuda.runtime": runtime}
    names |= {"cupyx": cupyx, "cupyx.scipy": cupyx_scipy, "cupyx.scipy.ndimage": cupyx_ndimage}
    before, settings_before = {name: sys.modules.get(name) for name in names}, settings
    sys.modules.update(names)
    settings = replace(settings, **changes)
    try:
        yield names["cupy"]
    finally:
        settings = settings_before
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


# --- kernels -------------------------------------------------------------------------------------------------------


_one_launch_at_a_time = threading.Lock()  # a library keeps the threads of a launch in static memory


class _Request(ctypes.Structure):
    _fields_ = [("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("descending", ctypes.c_int)]


@functools.cache
def _own_folder():
    folder = tempfile.TemporaryDirectory(prefix="fake_cupy-")
    return Path(folder.name), folder  # the folder lives as long as the second


def _folder():
    folder = Path(settings.folder or os.environ.get("FAKE_CUPY_FOLDER") or _own_folder()[0])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _run_compiler(*arguments, given=None):
    compiler = shutil.which("g++")
    if compiler is None:
        raise CompilerMissing("g++ is missing: the tests of CUDA kernels run them on the host, with g++ 12 or newer")
    done = subprocess.run([compiler, *arguments], input=given, capture_output=True, text=True)
    if done.returncode:
        raise KernelError(f"g++ refuses the CUDA source:\n{done.stderr}")
    return done.stdout


@functools.cache
def fuses():
    """Whether this processor has the fused multiply-add, without which nothing can be contracted."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    try:
        return bool(re.search(r"\bfma\b", Path("/proc/cpuinfo").read_text()))
    except OSError:
        return False


def _translate(options):
    """Compiler flags for the options of NVRTC that a kernel may be compiled with."""
    flags, contract = [], "off"
    for option in options:
        if option.startswith("-D"):
            flags.append(option)
        elif option in ("--fmad=true", "-fmad=true"):
            if not fuses():
                raise RuntimeError("--fmad=true: this processor has no fused multiply-add")
            contract = "fast"
            flags += ["-mfma"] if platform.machine() in ("x86_64", "AMD64") else []
        elif option not in ("--fmad=false", "-fmad=false") and not re.fullmatch("--?std=c\\+\\+(11|14|17|20)", option):
            raise ValueError(f"option {option!r}: math must not be made faster and less exact")
    return (*flags, f"-ffp-contract={contract}")


class RawModule:
    """CUDA source whose kernels run on the host."""

    def __init__(self, *, code=None, options=(), backend="nvrtc", name_expressions=None):
        if not isinstance(code, str):
            raise TypeError("code must be the text of a CUDA source")
        if not isinstance(options, tuple):
            raise TypeError(f"options must be a tuple of text; got {options!r}")
        if name_expressions is not None or backend != "nvrtc":
            raise NotImplementedError("name expressions and other backends do not exist on the host")
        if re.search(r"\bextern\s+__shared__", code):
            raise NotImplementedError("shared memory of a size given at the launch does not exist on the host")
        if re.search(r"^\s*#\s*include", code, re.MULTILINE):
            raise KernelError("the source includes a header; NVRTC finds none")
        self.code, self.flags = code, _translate(options)

    @functools.cached_property
    def kernels(self):
        """The names of the kernels and the threads that their __launch_bounds__ allows."""
        defines = [flag for flag in self.flags if flag.startswith("-D")]
        text = _run_compiler("-E", "-P", "-x", "c++", *defines, "-", given=self.code)  # comments go, macros unfold
        found = {}
        for match in re.finditer(r"__global__\b([^{};]*?)\{", text):
            declared = match[1]
            bound = re.search(r"__launch_bounds__\s*\(\s*(\d+)[^()]*\)", declared)
            name = re.search(r"(\w+)\s*\(", re.sub(r"__launch_bounds__\s*\([^()]*\)", " ", declared))
            found[name[1]] = int(bound[1]) if bound else 1024
        return found

    def library(self, engine):
        """The compiled source."""
        flags = (*FLAGS, *self.flags, f"-DCUDA_ON_HOST_THREADS={int(engine == 'threads')}")
        exports = "".join(f"CUDA_ON_HOST_EXPORT({name})\n" for name in self.kernels)
        text = f'#include "{HEADER.name}"\nnamespace {{\n#line 1 "module.cu"\n{self.code}\n}}\n{exports}'
        return _load(text, flags, _folder())

    def lint(self):
        """Raise KernelError with what g++ warns of; functions and their arguments may have no use in a kernel."""
        allowed = ("-Wno-unused-function", "-Wno-unused-parameter", "-Wno-parentheses")
        text = f'#include <{HEADER.name}>\nnamespace {{\n#line 1 "module.cu"\n{self.code}\n}}\n'
        warnings = ("-Wall", "-Wextra", "-Werror", *allowed)
        where = ("-fsyntax-only", f"-isystem{HEADER.parent}", "-x", "c++", "-")
        _run_compiler("-std=c++20", *self.flags, *warnings, *where, given=text)

    def get_function(self, name):
        if name not in self.kernels:
            raise KernelError(f"the source has no kernel {name!r}; it has {', '.join(self.kernels) or 'none'}")
        return _Kernel(self, name)


@functools.cache
def _load(text, flags, folder):
    """Compile text into a library in the folder, unless it is there, and open it."""
    digest = hashlib.sha256("\0".join((text, HEADER.read_text(), *flags)).encode()).hexdigest()[:24]
    file = folder / f"{digest}.so"
    if not file.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            source, made = Path(scratch) / "module.cpp", Path(scratch) / "module.so"
            source.write_text(text)
            _run_compiler(*flags, f"-I{HEADER.parent}", "-o", str(made), str(source))
            os.replace(source, file.with_suffix(".cpp"))
            os.replace(made, file)
    return ctypes.CDLL(str(file))


def _code_of(dtype):
    return f"{dtype.kind}{dtype.itemsize}"


class _Kernel:
    """A kernel, called as CuPy calls it: kernel(grid, block, arguments)."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self, grid, block, args, *, shared_mem=0):
        if shared_mem:
            raise NotImplementedError("shared memory of a size given at the launch does not exist on the host")
        engine = settings.engine
        library = self.module.library(engine)
        parameters = getattr(library, f"parameters_{self.name}")
        parameters.restype = ctypes.c_char_p
        values = self._arguments(args, parameters().decode().split())
        sizes = self._size("grid", grid, (2**31 - 1, 65535, 65535)), self._size("block", block, (1024, 1024, 64))
        threads, bound = int(np.prod(sizes[1])), self.module.kernels[self.name]
        if threads > bound:
            raise KernelError(f"kernel {self.name}: a block of {threads} threads; at most {bound} are allowed")
        launch = getattr(library, f"launch_{self.name}")
        launch.restype = ctypes.c_char_p
        arrays = {position: one for position, one in enumerate(args, 1) if isinstance(one, ndarray)}

        def run(descending):
            request = _Request((ctypes.c_uint * 3)(*sizes[0]), (ctypes.c_uint * 3)(*sizes[1]), descending)
            pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
            with _one_launch_at_a_time:
                message = launch(ctypes.byref(request), pointers)
            if message is not None:
                raise KernelError(f"kernel {self.name}: {message.decode()}")
            for position, one in arrays.items():
                if where := one._memory.overrun():
                    raise KernelError(f"kernel {self.name}: wrote {where} the memory of argument {position}")

        if engine == "threads" or not settings.compare_orders:
            run(descending=False)
            return
        before = {position: one._memory.bytes.copy() for position, one in arrays.items()}
        run(descending=False)
        ascending = {position: one._memory.bytes.copy() for position, one in arrays.items()}
        for position, one in arrays.items():
            one._memory.bytes[...] = before[position]
        run(descending=True)
        for position, one in arrays.items():
            if (one._memory.bytes != ascending[position]).any():
                raise KernelError(
                    f"kernel {self.name}: argument {position} depends on the order of the threads: "
                    "a barrier is missing, or two threads write one element"
                )

    def _size(self, what, given, limits):
        if not isinstance(given, tuple) or not 1 <= len(given) <= 3:
            raise TypeError(f"kernel {self.name}: {what} must be a tuple of one to three integers; got {given!r}")
        sizes = [max(1, operator.index(size)) for size in (*given, 1, 1)[:3]]  # CuPy too makes 1 of 0
        if any(size > limit for size, limit in zip(sizes, limits, strict=True)):
            raise KernelError(f"kernel {self.name}: a {what} of {given}; at most {limits} are allowed")
        return sizes

    def _arguments(self, given, types):
        """The arguments as values in memory; TypeError where one is not what the kernel's parameter says."""
        if len(given) != len(types):
            raise TypeError(f"kernel {self.name}: takes {len(types)} arguments; got {len(given)}")
        values = []
        for position, (one, wanted) in enumerate(zip(given, types, strict=True), 1):
            where = f"kernel {self.name}, argument {position}"
            if wanted.startswith("*"):
                values.append(ctypes.c_void_p(self._pointer(one, wanted[1:], where)))
                continue
            by_value = isinstance(one, np.ndarray) and one.size == 1  # as CuPy passes a struct
            if not by_value and not isinstance(one, np.generic):
                raise TypeError(f"{where}: the parameter is a {wanted}; give a NumPy scalar, not {type(one)}")
            if _code_of(one.dtype) != wanted:
                raise TypeError(f"{where}: the parameter is a {wanted}; got a {_code_of(one.dtype)}")
            values.append(ctypes.create_string_buffer(one.tobytes(), one.itemsize))
        return values

    @staticmethod
    def _pointer(one, wanted, where):
        if isinstance(one, ndarray):
            got = _code_of(one.dtype)
            if wanted not in ("void", got) and (wanted, got) != ("u2", "f2"):  # a kernel may read the bits of a half
                raise TypeError(f"{where}: the parameter points to {wanted}; got an array of {got}")
            return one.data.ptr
        if isinstance(one, (np.uint64, np.intp)) and one == 0:
            return 0
        raise TypeError(f"{where}: the parameter points to {wanted}; give an array or np.uint64(0), not {type(one)}")
