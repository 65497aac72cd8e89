"""Text of a kernel -> a real file, readable from top to bottom -> a module.

Kernels live in a private folder of the user, one folder per text, named by a hash of the text and of everything else
that the machine code depends on. Only text generated in this process is ever executed: the file exists to be read, to
be stepped through, and as the home of Numba's machine code. Where no such folder can be had, text is executed from
memory, and machine code is made anew in each process.

Machine code is pickled, so nothing is read that another user could have written: a file is opened first; then the
open file and every folder above it must belong to this user (or root) and be closed to all others, and the name must
still lead to the open file; then what was opened is used. In addition each file is sealed with a checksum, which finds
what was cut short or spoiled (`MachineCode`).
"""

import contextlib
import hashlib
import linecache
import os
import pickle
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# When a process writes for the first time it removes kernels that were not used for so long, in seconds, and then the
# ones least recently used, until the rest takes no more than so many bytes.
OLDEST = 90 * 24 * 3600
LARGEST = 200 << 20

_modules: dict[str, types.ModuleType] = {}
_lock = threading.RLock()
_directory: Path | None = None
_refusal = ""  # why there is no folder
_is_warned = False
_is_pruned = False


# --- where ------------------------------------------------------------------------------------------------------------


def directory() -> Path | None:
    """The folder of the kernel files: $LOSSBOOK_CACHE, or lossbook in the user's cache folder; None where neither can
    be used, of which a warning says why, once.
    """
    global _directory, _refusal
    if _directory is None or _flaw(_directory):
        chosen, wanted, _directory = os.environ.get("LOSSBOOK_CACHE"), None, None
        try:
            wanted = _wanted(chosen)
            _make_folder(wanted)
        except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
            _refusal = f"{chosen or wanted or 'in the home'} is not used: {getattr(error, 'strerror', None) or error}"
            found = bool(chosen)  # nobody chose what cannot be made, so that it is no surprise; see `MachineCode`
        else:
            real = Path(os.path.realpath(wanted))  # a link to a private folder will do, but it is not followed twice
            if not (found := _flaw(real)):
                _directory = real
                return real
            _refusal = f"{wanted} is not used: {found}"
        if found:
            warn_of_refusal()
    return _directory


def _wanted(chosen: str | None = None) -> Path:
    """The folder that the environment asks for."""
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "lossbook"


def _make_folder(folder: Path) -> None:
    """Make a folder and all that is missing above it, closed to others whatever the umask is."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)


def warn_of_refusal() -> None:
    """Say once in a process why there is no folder."""
    global _is_warned
    if _refusal and not _is_warned:
        _is_warned = True
        text = f"lossbook: the cache folder {_refusal}; kernels are compiled anew in each process"
        warnings.warn(text, UserWarning, stacklevel=2)


def _flaw(folder: Path) -> str:
    """Why another user could have put files into a folder, in words; "" if only this user and root could."""
    if not hasattr(os, "geteuid"):
        return ""
    user = os.geteuid()
    for place in (folder, *folder.parents):
        try:
            found = os.lstat(place)
        except OSError as error:
            return f"{place}: {error.strerror}"
        itself = place == folder
        if stat.S_ISLNK(found.st_mode):
            return f"{place} is a link"
        if not stat.S_ISDIR(found.st_mode):
            return f"{place} is no folder"
        if found.st_uid != user and (itself or found.st_uid != 0):
            return f"{place} belongs to another user ({found.st_uid}, and this is {user})"
        if found.st_mode & 0o022 and (itself or not found.st_mode & stat.S_ISVTX):
            return f"others may write to {place} (mode {stat.S_IMODE(found.st_mode):o}; chmod go-w closes it)"
    return ""


# --- what -------------------------------------------------------------------------------------------------------------


def load(title: str, text: str, depends: str = "") -> types.ModuleType:
    """The module made from kernel text; `depends` is what else its machine code depends on (versions, words)."""
    digest = hashlib.sha256(f"{text}\0{depends}".encode()).hexdigest()[:20]
    name = f"{re.sub('[^0-9A-Za-z_]', '_', title)[:80]}_{digest}"
    module = _modules.get(name)
    if module is None:
        with _lock:
            module = _modules.get(name)
            if module is None:
                module = _modules[name] = _make(name, text)
    return module


def _make(name: str, text: str) -> types.ModuleType:
    folder = directory()
    file = folder and folder / name / "kernel.py"
    if file and not _store(file, text.encode()):
        file = None
    module = types.ModuleType(f"lossbook.kernels.{name}")
    module.__file__ = str(file or f"<lossbook {name}>")
    if file is None:  # tracebacks and debuggers look for the text here
        linecache.cache[module.__file__] = (len(text), None, text.splitlines(keepends=True), module.__file__)
    sys.modules[module.__name__] = module  # Numba looks a kernel's module up by name when it reads its cache
    exec(compile(text, module.__file__, "exec"), module.__dict__)
    return module


def folder_of(module: types.ModuleType) -> Path | None:
    """The folder of a kernel's files, or None of one that has none."""
    file = Path(module.__file__ or "")
    return file.parent if file.is_absolute() else None


def _read(file: Path) -> bytes | None:
    """The bytes of a file that only this user and root can have written; None if there is no such file."""
    options = [getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")]
    try:
        with open(os.open(file, os.O_RDONLY | sum(options)), "rb") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                return None
            if hasattr(os, "geteuid"):
                # A second name for the file may stand where others can write.
                if found.st_uid != os.geteuid() or found.st_mode & 0o022 or found.st_nlink > 1 or _flaw(file.parent):
                    return None
                if not os.path.samestat(found, os.lstat(file)):  # it was opened by way of another folder
                    return None
            return stream.read()
    except OSError:
        return None


def _store(file: Path, data: bytes) -> bool:
    """Let a file hold these bytes, written as a whole unless they are there; whether it does."""
    global _refusal
    if _read(file) == data:
        with contextlib.suppress(OSError):
            os.utime(file)  # it is in use: see `prune`
        return True
    try:
        folder = file.parent
        if _flaw(folder.parent):
            return False
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists() and _flaw(folder):  # left from a time when the folder around it was open
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if _flaw(folder):
            return False
        _write(file, data)
    except OSError as error:  # a full disk only costs the next process a compilation
        _refusal = _refusal or f"{file.parent.parent} cannot be written: {error.strerror}"
        return False
    _prune_once(file.parent.parent)
    return True


def _write(file: Path, data: bytes) -> None:
    """Write as a whole; the temporary file goes, whatever happens."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
    try:
        with open(handle, "wb") as stream:
            stream.write(data)
        os.replace(temporary, file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


# --- how much ---------------------------------------------------------------------------------------------------------


def _prune_once(folder: Path) -> None:
    """Prune after the first write of this process, which cost more than this does."""
    global _is_pruned
    if not _is_pruned:
        _is_pruned = True
        prune(folder)


def prune(folder: Path, oldest: float = OLDEST, largest: int = LARGEST) -> None:
    """Remove kernels not used for `oldest` seconds, and the least recently used beyond `largest` bytes in all.

    Whatever this process has loaded stays, and so does all that is no kernel's folder. Another process that is just
    about to write into a folder that goes has to compile once more, and nothing else.
    """
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if re.fullmatch(r"\w+_[0-9a-f]{20}", entry.name, re.ASCII) and entry.is_dir(follow_symlinks=False):
                found.append((*_last_use_and_size(entry.path), entry.name, entry.path))
    total, now = 0, time.time()
    for used, size, name, path in sorted(found, reverse=True):
        total += size
        if name not in _modules and (total > largest or used < now - oldest):
            shutil.rmtree(path, ignore_errors=True)


def _last_use_and_size(folder: str) -> tuple[float, int]:
    """When one of the files of a folder was last read or written by lossbook, and how many bytes they take."""
    used = size = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                used, size = max(used, found.st_mtime), size + found.st_size
    return used, size


# --- machine code -----------------------------------------------------------------------------------------------------


class MachineCode:
    """A kernel's machine code on disk: one file per signature, sealed with a checksum.

    What is cut short, spoiled or of another signature counts as missing, so that the kernel is compiled again, and is
    never unpickled. There is no index to be out of step with: each file stands for itself and is replaced as a whole.
    """

    def __init__(self, folder: Path, name: str, dumps: Callable[[Any], bytes]) -> None:
        self.folder, self.name, self.dumps = Path(folder), name, dumps

    def file(self, key: Any) -> Path:
        """The file of one signature on one kind of processor."""
        return self.folder / f"{self.name}.{hashlib.sha256(repr(key).encode()).hexdigest()[:20]}.bin"

    def load(self, key: Any) -> Any:
        sealed = _read(self.file(key))
        if sealed is None or sealed[:32] != self._seal(key, sealed[32:]):
            return None
        return pickle.loads(sealed[32:])

    def save(self, key: Any, code: Any) -> None:
        pickled = self.dumps(code)
        _store(self.file(key), self._seal(key, pickled) + pickled)

    def flush(self) -> None:
        for file in self.folder.glob(f"{self.name}.*.bin"):
            file.unlink(missing_ok=True)

    @staticmethod
    def _seal(key: Any, pickled: bytes) -> bytes:
        return hashlib.sha256(repr(key).encode() + b"\0" + pickled).digest()
