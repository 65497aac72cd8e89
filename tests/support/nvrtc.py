"""NVRTC through ctypes: CUDA C++ text -> PTX or machine code, on a machine that needs neither GPU nor driver.

The library comes with the wheel nvidia-cuda-nvrtc-cu12.
"""

import ctypes
import functools
import importlib.util
import os
from pathlib import Path


class CompilerMissing(RuntimeError):
    """A compiler that the tests want is not installed."""


class CompileError(RuntimeError):
    """NVRTC refused the source; the message holds its log."""


@functools.cache
def library():
    """The NVRTC library of the installed wheel."""
    found = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in found.submodule_search_locations] if found else []
    kinds = ("*/bin/nvrtc*.dll",) if os.name == "nt" else ("*/lib/libnvrtc.so.*", "*/lib/libnvrtc-builtins.so.*")
    found = [file for root in folders for kind in kinds for file in root.glob(kind) if ".alt." not in file.name]
    for folder in sorted({file.parent for file in found}):
        names = [file for file in found if file.parent == folder]
        for name in sorted(names, key=lambda file: "builtins" not in file.name):
            loaded = ctypes.CDLL(str(name), mode=ctypes.RTLD_GLOBAL)  # the builtins first: NVRTC looks for them by name
        loaded.nvrtcGetErrorString.restype = ctypes.c_char_p
        return loaded
    raise CompilerMissing("NVRTC is missing: install the package nvidia-cuda-nvrtc-cu12 (no GPU or driver is needed)")


def _check(status, doing):
    if status:
        raise CompileError(f"NVRTC: {doing}: {library().nvrtcGetErrorString(status).decode()}")


def version():
    """The version of NVRTC, such as (12, 9)."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)), "version")
    return major.value, minor.value


def supported():
    """The compute capabilities that this NVRTC makes code for, such as [50, ..., 120]."""
    count = ctypes.c_int()
    _check(library().nvrtcGetNumSupportedArchs(ctypes.byref(count)), "number of architectures")
    archs = (ctypes.c_int * count.value)()
    _check(library().nvrtcGetSupportedArchs(archs), "architectures")
    return list(archs)


def _text(program, kind, doing):
    size = ctypes.c_size_t()
    _check(getattr(library(), f"nvrtcGet{kind}Size")(program, ctypes.byref(size)), doing)
    text = ctypes.create_string_buffer(size.value)
    _check(getattr(library(), f"nvrtcGet{kind}")(program, text), doing)
    return text.raw


def nvrtc_compile(source, arch, options=()):
    """Compile CUDA C++ text: machine code (bytes) for arch "sm_90", PTX (str) for arch "compute_90".

    Raises CompileError with the compiler's log, also of warnings. No header can be included, as with
    cupy.RawModule(code=text).
    """
    program = ctypes.c_void_p()
    nothing = ctypes.c_int(0)
    _check(
        library().nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"module.cu", nothing, None, None),
        "create a program",
    )
    try:
        given = [f"--gpu-architecture={arch}".encode(), *(option.encode() for option in options)]
        status = library().nvrtcCompileProgram(program, len(given), (ctypes.c_char_p * len(given))(*given))
        log = _text(program, "ProgramLog", "read the log").rstrip(b"\0").decode(errors="replace")
        if status or "module.cu(" in log:  # the log may also say that an architecture is old
            raise CompileError(f"NVRTC refuses the source for {arch}:\n{log}")
        if arch.startswith("sm_"):
            return _text(program, "CUBIN", "read the machine code")
        return _text(program, "PTX", "read the PTX").rstrip(b"\0").decode()
    finally:
        library().nvrtcDestroyProgram(ctypes.byref(program))
