"""Text of a kernel -> a real file, readable from top to bottom -> a module.

Kernels live in a private directory of the user, one file per text, named by a hash of the text and of
everything else that the machine code depends on. Only text generated in this process is ever executed:
the file exists to be read, to be stepped through, and as the home of Numba's machine code. That code is
pickled, so the directory must belong to the user and be closed to everyone else, and each file of it is
sealed with a checksum (`MachineCode`).
"""

import atexit
import contextlib
import hashlib
import os
import pickle
import shutil
import stat
import sys
import tempfile
import threading
import types
from pathlib import Path

_modules: dict[str, types.ModuleType] = {}
_lock = threading.Lock()
_directory: Path | None = None


def directory():
    """The folder of the kernel files: $LOSSBOOK_CACHE, or lossbook in the user's cache folder, or a private one."""
    global _directory
    if _directory is None or not _is_private(_directory):
        folder = _wanted()
        _directory = folder if folder and _is_private(folder) else _temporary()
    return _directory


def _wanted():
    """The folder that the environment asks for; None for a user without a home."""
    if chosen := os.environ.get("LOSSBOOK_CACHE"):
        return Path(chosen).absolute()
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return base.absolute() / "lossbook"


def _temporary():
    """A private folder that is removed when this process ends (and not when a fork of it does)."""
    folder, owner = Path(tempfile.mkdtemp(prefix="lossbook-")), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    return folder


def _is_private(folder):
    """Make the folder if it is missing; whether it is ours, closed to others and writeable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            return False
        if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
            return False
        with tempfile.NamedTemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def load(title, text, depends=""):
    """The module made from kernel text; `depends` is what else its machine code depends on (versions, words)."""
    digest = hashlib.sha256(f"{text}\0{depends}".encode()).hexdigest()[:20]
    name = f"{title.replace('.', '_')}_{digest}"
    module = _modules.get(name)
    if module is None:
        with _lock:
            module = _modules.get(name)
            if module is None:
                module = _modules[name] = _make(name, text)
    return module


def _make(name, text):
    folder = directory() / name
    file = folder / "kernel.py"
    if not _is_private(folder) or not _files_are_ours(folder):
        shutil.rmtree(folder, ignore_errors=True)
        if not _is_private(folder):  # someone else's, and not removable: leave it alone
            file = _temporary() / "kernel.py"
    _write(file, text.encode())
    module = types.ModuleType(f"lossbook.kernels.{name}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # Numba looks a kernel's module up by name when it reads its cache
    exec(compile(text, str(file), "exec"), module.__dict__)
    return module


def _files_are_ours(folder):
    """Whether all in the folder (which is closed to others) is plain and this user's; links are not."""
    for entry in folder.iterdir():
        try:
            found = entry.lstat()
        except FileNotFoundError:  # the temporary file of another process, just renamed
            continue
        is_ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        if not is_ours or not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            return False
    return True


def _write(file, data):
    """Write atomically, unless the right bytes are there; the temporary file goes, whatever happens."""
    try:
        if file.read_bytes() == data:
            return
    except OSError:
        pass
    handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
    try:
        with open(handle, "wb") as stream:
            stream.write(data)
        os.replace(temporary, file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class MachineCode:
    """A kernel's machine code on disk, as Numba saves and loads it: one file per signature, sealed with a checksum.

    What is cut short, spoiled or of another signature counts as missing, so that the kernel is compiled again, and is
    never unpickled. There is no index to be out of step with: each file stands for itself and is replaced as a whole.
    """

    def __init__(self, folder, name, dumps):
        self.folder, self.name, self.dumps = Path(folder), name, dumps

    def file(self, key):
        """The file of one signature on one kind of processor."""
        return self.folder / f"{self.name}.{hashlib.sha256(repr(key).encode()).hexdigest()[:20]}.bin"

    def load(self, key):
        try:
            sealed = self.file(key).read_bytes()
        except OSError:
            return None
        return pickle.loads(sealed[32:]) if sealed[:32] == self._seal(key, sealed[32:]) else None

    def save(self, key, code):
        pickled = self.dumps(code)
        with contextlib.suppress(OSError):  # a full disk only costs the next process a compilation
            _write(self.file(key), self._seal(key, pickled) + pickled)

    def flush(self):
        for file in self.folder.glob(f"{self.name}.*.bin"):
            file.unlink(missing_ok=True)

    @staticmethod
    def _seal(key, pickled):
        return hashlib.sha256(repr(key).encode() + b"\0" + pickled).digest()
