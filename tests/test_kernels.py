"""Kernel files and their cache: private, complete, never trusted, and shared by processes without harm."""

import contextlib
import errno
import inspect
import linecache
import os
import pickle
import shutil
import stat
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from cases import LOSSES, shown
from processes import child

import lossbook
from lossbook import detection, kernels, regression
from lossbook.backends import numpy as numpy_backend

numba_backend = pytest.importorskip("lossbook.backends.numba")

ROOT = Path(lossbook.__file__).parents[1]
TEXT = "def element():\n    return 7\n"
posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes are POSIX")


@pytest.fixture
def fresh(monkeypatch):
    """A process that has loaded no kernel yet: set LOSSBOOK_CACHE and begin."""
    begun = {name: module for name, module in sys.modules.items() if name.startswith("lossbook.kernels.")}
    at_first = {"_directory": None, "_refusal": "", "_is_warned": False, "_is_pruned": False, "_modules": {}}
    for name, value in at_first.items():
        monkeypatch.setattr(kernels, name, value)
    memories = (numba_backend.load, numpy_backend.load)
    for memory in memories:
        memory.cache_clear()
    yield
    for memory in memories:
        memory.cache_clear()
    for name in [name for name in sys.modules if name.startswith("lossbook.kernels.")]:
        del sys.modules[name]
    sys.modules.update(begun)


@pytest.fixture
def cache(fresh, tmp_path, monkeypatch):
    """The path of a cache folder that does not exist yet."""
    monkeypatch.setenv("LOSSBOOK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def files(folder):
    """All files below a folder, by name."""
    return {file.name: file for file in folder.rglob("*") if file.is_file()}


# --- where ---------------------------------------------------------------------------------------------------------


@posix
def test_the_kernel_folder_is_private(cache):
    """The cache folder and each kernel's own have mode 0700, whatever the umask, and belong to the user."""
    before = os.umask(0)
    try:
        folder = Path(kernels.load("loss", TEXT).__file__).parent
    finally:
        os.umask(before)
    assert folder.parent == cache
    for found in (cache, folder):
        assert mode(found) == 0o700
        assert found.stat().st_uid == os.getuid()
    assert mode(folder / "kernel.py") == 0o600


@posix
@pytest.mark.parametrize("open_to", [0o770, 0o707, 0o777, 0o1777])
@pytest.mark.parametrize("above", [0, 1, 2])
def test_a_folder_that_others_can_write_to_is_refused(cache, open_to, above, monkeypatch):
    """Where others may write, in the folder or above it, nothing is read or written; a warning says why, once.

    Above it, others may write where the sticky bit keeps them from moving what is not theirs, as in /tmp.
    """
    chosen = cache / "a" / "b"
    monkeypatch.setenv("LOSSBOOK_CACHE", str(chosen))
    chosen.mkdir(parents=True, mode=0o700)
    place = [chosen, *chosen.parents][above]
    place.chmod(open_to)
    try:
        if above and open_to == 0o1777:
            assert Path(kernels.load("loss", TEXT).__file__).parents[1] == chosen
            return
        with pytest.warns(UserWarning, match=rf"others may write to {place} \(mode {open_to:o}") as caught:
            modules = [kernels.load(name, TEXT) for name in ("loss", "another")]
        assert len(caught) == 1
        assert modules[0].element() == modules[1].element() == 7
        assert not list(chosen.iterdir())
        assert kernels.directory() is None
    finally:
        place.chmod(0o700)


@posix
def test_a_folder_of_another_user_is_refused(cache, monkeypatch):
    """A closed folder whose owner is not this user is left alone."""
    cache.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: cache.stat().st_uid + 1)
    with pytest.warns(UserWarning, match="belongs to another user"):
        assert kernels.load("loss", TEXT).element() == 7
    assert not list(cache.iterdir())


@posix
@pytest.mark.parametrize("closed", [True, False])
def test_a_link_in_place_of_the_cache_folder(cache, closed):
    """A symbolic link to a private folder is resolved, and used; one to a folder that others can write to is not."""
    elsewhere = cache.with_name("elsewhere")
    elsewhere.mkdir(mode=0o700)
    elsewhere.chmod(0o700 if closed else 0o770)
    cache.symlink_to(elsewhere)
    if closed:
        assert Path(kernels.load("loss", TEXT).__file__).parents[1] == elsewhere
    else:
        with pytest.warns(UserWarning, match=f"{cache} is not used: others may write to {elsewhere}"):
            assert kernels.load("loss", TEXT).element() == 7
        assert not list(elsewhere.iterdir())


@posix
@pytest.mark.parametrize("part", ["folder", "file"])
def test_links_inside_the_cache_are_not_followed(cache, part):
    """A link for a kernel's folder or for a file in it is replaced, and its target keeps its contents."""
    folder = Path(kernels.load("loss", TEXT).__file__).parent
    elsewhere = cache.with_name("elsewhere")
    elsewhere.mkdir(mode=0o700)
    target = elsewhere / "kernel.py"
    target.write_text("untouched")
    if part == "folder":
        shutil.rmtree(folder)
        folder.symlink_to(elsewhere)
    else:
        (folder / "kernel.py").unlink()
        (folder / "kernel.py").symlink_to(target)
    kernels._modules.clear()
    module = kernels.load("loss", TEXT)
    file = Path(module.__file__)
    assert module.element() == 7
    assert target.read_text() == "untouched"
    assert list(elsewhere.iterdir()) == [target]
    assert file.read_text() == TEXT
    assert not file.is_symlink()
    assert not file.parent.is_symlink()


CALL = """
import sys, os, numpy as np
from pathlib import Path
from lossbook import kernels, regression
value = regression.squared_error(np.float32([1, 2]), np.float32([3, 5]), backend={backend!r})
(module,) = (m for n, m in sys.modules.items() if n.startswith("lossbook.kernels.regression_squared_error_"))
print((float(value), module.__file__, kernels.directory()))
"""


@pytest.mark.parametrize(
    ("backend", "environment", "warns"),
    [
        ("numpy", {"XDG_CACHE_HOME": "{file}/x"}, False),
        ("numpy", {"XDG_CACHE_HOME": None, "HOME": "{file}", "USERPROFILE": "{file}"}, False),
        ("numpy", {"LOSSBOOK_CACHE": "{file}/x"}, True),
        ("numba", {"XDG_CACHE_HOME": "{file}/x", "HOME": "{file}", "TMPDIR": "{file}"}, True),
    ],
    ids=["cache folder", "home", "LOSSBOOK_CACHE", "numba"],
)
def test_without_any_writable_folder_text_runs_from_memory(tmp_path, backend, environment, warns):
    """Below a plain file nobody, not even root, can write: the call succeeds. It is said where it was asked for, and
    where it costs something.
    """
    file = tmp_path / "file"
    file.touch()
    given = {name: value and value.format(file=file) for name, value in environment.items()}
    code = "import warnings\nwith warnings.catch_warnings(record=True) as said:\n    warnings.simplefilter('always')\n"
    code += textwrap.indent(CALL.format(backend=backend).replace("print(", "found = ("), "    ") + "\nprint((*found, "
    code += "[str(one.message) for one in said]))"
    value, name, folder, said = child(code, **{"LOSSBOOK_CACHE": None, **given})
    assert (value, folder) == (6.5, None)
    assert name.startswith("<lossbook regression_squared_error_")
    assert len(said) == warns
    reason = "Not a directory" if os.name == "posix" else ""
    assert all(f"{reason}; kernels are compiled anew in each process" in text for text in said)


def test_a_kernel_in_memory_has_a_text_for_tracebacks(fresh, monkeypatch):
    """Without a folder the lines of a kernel are found by the tools that show them."""
    monkeypatch.setenv("LOSSBOOK_CACHE", os.devnull + "/x")
    with pytest.warns(UserWarning, match="is not used"):
        module = kernels.load("loss", TEXT)
    assert linecache.getlines(module.__file__) == TEXT.splitlines(keepends=True)
    assert inspect.getsource(module.element) == TEXT


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_full_disk_costs_no_result(cache, backend, monkeypatch):
    """Where no byte can be written every call goes on, from memory."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.warns(UserWarning, match="No space left") if backend == "numba" else contextlib.nullcontext():
        value = regression.squared_error(*ARRAYS, backend=backend)
    assert value == WANTED[0]


@posix
def test_a_user_without_a_home_works_from_memory(fresh, monkeypatch):
    """A user whom the system does not know, as in some containers, has no home; that is no error."""
    for name in ("LOSSBOOK_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert kernels.directory() is None
    assert kernels.load("loss", TEXT).element() == 7


def test_a_tilde_is_the_home(fresh, tmp_path, monkeypatch):
    """In LOSSBOOK_CACHE as in a shell; an unknown user's home is refused with its name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("LOSSBOOK_CACHE", "~/kernels")
    assert kernels.directory() == tmp_path / "kernels"
    monkeypatch.setattr(kernels, "_directory", None)
    monkeypatch.setenv("LOSSBOOK_CACHE", "~nobody-of-that-name/kernels")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="~nobody-of-that-name/kernels is not used: Could not determine home"):
        assert kernels.directory() is None
    assert [path.name for path in tmp_path.iterdir()] == ["kernels"]


@posix
def test_folders_above_the_cache_are_made_closed(fresh, tmp_path, monkeypatch):
    """With a umask that lets the group write, what is missing above the cache is made private all the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a" / "b"))
    monkeypatch.delenv("LOSSBOOK_CACHE", raising=False)
    before = os.umask(0o002)
    try:
        assert kernels.directory() == tmp_path / "a" / "b" / "lossbook"
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700


def test_the_environment_chooses_the_folder(fresh, tmp_path, monkeypatch):
    """LOSSBOOK_CACHE comes first, then XDG_CACHE_HOME, then the home; a relative path stays what it was at first."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOSSBOOK_CACHE", raising=False)
    found = [kernels._wanted()]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    found.append(kernels._wanted())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOSSBOOK_CACHE", "own")
    found.append(kernels.directory())
    monkeypatch.chdir(tmp_path.parent)
    found.append(kernels.directory())
    wanted = ["home/.cache/lossbook", "xdg/lossbook", "own", "own"]
    assert found == [tmp_path / name for name in wanted]


def test_a_cache_that_vanishes_is_made_again(cache):
    """Whoever deletes the cache under a running process loses time, and nothing else."""
    kernels.load("first", TEXT)
    shutil.rmtree(cache)
    file = Path(kernels.load("second", TEXT).__file__)
    assert file.read_text() == TEXT
    if hasattr(os, "getuid"):
        assert mode(cache) == 0o700


# --- what ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_the_file_is_the_source(cache, loss):
    """On disk stands what `source` shows, to the letter, for NumPy and for Numba in both types."""
    loss(*shown(loss))
    plan = loss.evaluation.plan(*loss.settings({}), integer=loss.shape == "rows")
    for real in (np.float32, np.float64):
        numba_backend.load(plan, real, plan.hard)
    texts = {file.read_text() for file in cache.rglob("kernel.py")}
    assert texts == {loss.source("numpy"), loss.source("numba"), loss.source("numba", dtype="float64")}


def test_a_foreign_kernel_file_is_never_executed(cache, tmp_path):
    """A file that someone else put in a kernel's place is replaced by the text of this process, which alone runs."""
    file = Path(kernels.load("loss", TEXT).__file__)
    marker = tmp_path / "marker"
    harm = f"open({str(marker)!r}, 'w').close()\ndef element():\n    return 666\n"
    for foreign in (harm, TEXT + harm, "", TEXT[:10]):
        file.write_text(foreign)
        (file.parent / "__pycache__").mkdir(exist_ok=True)
        (file.parent / "__pycache__" / f"kernel.{sys.implementation.cache_tag}.pyc").write_text(foreign)
        kernels._modules.clear()
        module = kernels.load("loss", TEXT)
        assert Path(module.__file__) == file
        assert module.element() == 7
        assert file.read_text() == TEXT
        assert not marker.exists()


def test_other_text_and_other_versions_have_other_files(cache):
    """A kernel's folder depends on its text and on all that its machine code depends on."""
    names = {kernels.load("loss", TEXT + more, depends).__file__ for more in ("", "\n") for depends in ("", "numba 1")}
    assert len(names) == 4
    assert kernels.load("loss", TEXT) is kernels.load("loss", TEXT)


@posix
@pytest.mark.parametrize("flaw", ["owner", "group", "others", "second name", "link", "pipe", "parent", "far parent"])
def test_a_file_that_others_could_have_written_is_not_used(cache, flaw, monkeypatch):
    """Owner, mode, links and every folder above are looked at each time a file is read, not once."""
    folder = cache / "far" / "near"
    folder.mkdir(parents=True, mode=0o700)
    for place in (folder, folder.parent, cache):
        place.chmod(0o700)
    code = kernels.MachineCode(folder, "loops", pickle.dumps)
    code.save("key", 1)
    file = code.file("key")
    assert code.load("key") == 1
    user = os.geteuid()
    if flaw == "owner":
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    elif flaw in ("group", "others"):
        file.chmod(0o620 if flaw == "group" else 0o602)
    elif flaw == "second name":
        os.link(file, cache / "other")
    elif flaw == "link":
        file.rename(cache / "other")
        file.symlink_to(cache / "other")
    elif flaw == "pipe":
        file.unlink()
        os.mkfifo(file)
    else:
        (folder if flaw == "parent" else folder.parent).chmod(0o777)
    monkeypatch.setattr(pickle, "loads", lambda data: pytest.fail("unpickled"))
    assert code.load("key") is None
    folder.chmod(0o700)


@posix
@pytest.mark.parametrize("when", ["before opening", "after opening"])
def test_a_folder_that_is_swapped_meanwhile_is_not_used(cache, when, monkeypatch):
    """An attacker who may rename a folder, and puts another in its place and back at any time, gets nothing read."""
    mine, evil = cache / "mine", cache / "evil"
    for folder, content in ((mine, "mine"), (evil, "evil")):
        folder.mkdir(parents=True, mode=0o700)
        kernels.MachineCode(folder, "loops", pickle.dumps).save("key", content)
    code = kernels.MachineCode(mine, "loops", pickle.dumps)

    def swap():
        mine.rename(cache / "third")
        evil.rename(mine)
        (cache / "third").rename(evil)

    openly, fstat = os.open, os.fstat

    def swapped_open(path, *options):
        swap()
        try:
            return openly(path, *options)
        finally:
            swap()

    def swapped_fstat(handle):
        monkeypatch.setattr(os, "fstat", fstat)
        swap()
        return fstat(handle)

    if when == "before opening":  # the checks see the right folder, and another was opened
        monkeypatch.setattr(os, "open", swapped_open)
    else:
        monkeypatch.setattr(os, "fstat", swapped_fstat)
    assert code.load("key") is None


def test_a_failed_write_leaves_nothing(cache, monkeypatch):
    """Where a file cannot be put in place its temporary twin goes, too."""
    cache.mkdir(mode=0o700)

    def fail(*_):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        kernels._write(cache / "kernel.py", b"text")
    assert not list(cache.iterdir())


# --- machine code --------------------------------------------------------------------------------------------------


class Harm:
    """Pickled, it makes a file wherever it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


DAMAGES = {
    "half": lambda data, harm: data[: len(data) // 2],
    "empty": lambda data, harm: b"",
    "no code": lambda data, harm: data[:32],
    "one bit": lambda data, harm: data[:-9] + bytes([data[-9] ^ 4]) + data[-8:],
    "longer": lambda data, harm: data + b"\0",
    "garbage": lambda data, harm: np.random.default_rng(0).bytes(len(data)),
    "foreign": lambda data, harm: harm,
    "foreign after the seal": lambda data, harm: data[:32] + harm,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_spoiled_machine_code_is_not_even_unpickled(tmp_path, damage):
    """A file that does not fit its checksum counts as missing, and what it holds does not run."""
    code = kernels.MachineCode(tmp_path, "loops", pickle.dumps)
    code.save("key", list(range(40)))
    assert code.load("key") == list(range(40))
    marker = tmp_path / "marker"
    file = code.file("key")
    file.write_bytes(DAMAGES[damage](file.read_bytes(), pickle.dumps(Harm(marker))))
    assert code.load("key") is None
    assert not marker.exists()
    code.save("key", "new")
    assert code.load("key") == "new"


def test_machine_code_of_another_signature_is_refused(tmp_path):
    """Each file knows its own signature: one signature's code under the name of another counts as missing."""
    code = kernels.MachineCode(tmp_path, "loops", pickle.dumps)
    code.save("one", 1)
    code.save("two", 2)
    assert (code.load("one"), code.load("two")) == (1, 2)
    shutil.copy(code.file("one"), code.file("two"))
    assert code.load("two") is None
    code.flush()
    assert code.load("one") is None
    assert not list(tmp_path.iterdir())


def test_machine_code_that_cannot_be_saved_costs_only_time(tmp_path, monkeypatch):
    """Where the folder cannot be made the code counts as missing."""
    (tmp_path / "file").touch()
    code = kernels.MachineCode(tmp_path / "file" / "missing", "loops", pickle.dumps)
    code.save("key", 1)
    assert code.load("key") is None


# --- how much ------------------------------------------------------------------------------------------------------


def filled(cache, ages):
    """Folders of kernels of 1000 bytes that were last used so many days ago."""
    for name, age in ages.items():
        folder = cache / f"{name}_{'0' * 20}"
        folder.mkdir(parents=True, mode=0o700)
        (folder / "kernel.py").write_bytes(b"#" * 1000)
        then = time.time() - age * 86400
        os.utime(folder / "kernel.py", (then, then))


def left(cache):
    return {path.name.partition("_")[0] for path in cache.iterdir()}


def test_the_cache_prunes_itself_by_age_and_size(cache):
    """What was not used for long goes, then the least recently used, until the rest is small enough; nothing else."""
    filled(cache, {"old": 91, "a": 3, "b": 2, "c": 1})
    (cache / "notes.txt").write_text("mine")
    (cache / "folder").mkdir()
    (cache.parent / "outside").mkdir()
    kept = {"notes.txt", "folder"}
    with contextlib.suppress(OSError):  # Windows keeps links for those who may make them
        (cache / f"link_{'0' * 20}").symlink_to(cache.parent / "outside")
        kept.add("link")
    kernels.prune(cache)
    assert left(cache) == {"a", "b", "c"} | kept
    kernels.prune(cache, largest=2500)
    assert left(cache) == {"b", "c"} | kept
    kernels._modules[f"b_{'0' * 20}"] = None  # loaded by this process
    kernels.prune(cache, oldest=0)
    assert left(cache) == {"b"} | kept
    assert (cache.parent / "outside").is_dir()


def test_a_process_prunes_at_its_first_write_and_keeps_what_it_reads(cache):
    """The first kernel that is written prunes, later ones do not; a kernel that is read is young again."""
    filled(cache, {"old": 91})
    file = Path(kernels.load("read", TEXT).__file__)
    assert left(cache) == {"read"}
    filled(cache, {"older": 92})
    kernels.load("second", TEXT)
    assert left(cache) == {"read", "second", "older"}
    os.utime(file, (0, 0))
    kernels._modules.clear()
    kernels.load("read", TEXT)
    assert file.stat().st_mtime > time.time() - 60


# --- machine code in use -------------------------------------------------------------------------------------------


ARRAYS = np.float32([0.5, 2, -1]), np.float32([0, 1, 1])


def call():
    """Value and gradient of a small loss with Numba, and the statistics of its kernel."""
    value, gradient = regression.squared_error.value_and_grad(*ARRAYS, backend="numba")
    (module,) = (m for name, m in kernels._modules.items() if name.startswith("regression_squared_error_float32"))
    stats = module.loops.stats
    return value, gradient.tolist(), sum(stats.cache_hits.values()), sum(stats.cache_misses.values())


WANTED = np.float32(np.mean([0.25, 1, 4])), np.float32([1 / 3, 2 / 3, -4 / 3]).tolist()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A cache folder with one kernel, compiled by another process."""
    folder = tmp_path_factory.mktemp("compiled") / "cache"
    code = """
import numpy as np
from lossbook import kernels, regression
arrays = np.float32([0.5, 2, -1]), np.float32([0, 1, 1])
regression.squared_error.value_and_grad(*arrays, backend="numba")
(module,) = kernels._modules.values()
print((sum(module.loops.stats.cache_hits.values()), sum(module.loops.stats.cache_misses.values())))
"""
    assert child(code, LOSSBOOK_CACHE=folder) == (0, 1)
    return folder


def test_another_process_uses_the_machine_code(cache, compiled):
    """What one process has compiled the next one only loads: a cache hit, the same numbers, no new file."""
    shutil.copytree(compiled, cache)
    before = {name: file.read_bytes() for name, file in files(cache).items()}
    assert call() == (*WANTED, 1, 0)
    assert {name: file.read_bytes() for name, file in files(cache).items()} == before
    assert {name.rpartition(".")[2] for name in before} == {"py", "bin"}  # nothing of Numba's own making


def test_kernels_share_the_functions_that_are_the_same(fresh):
    """A function that does the same with the same is one, which Numba compiles once; others stay apart."""
    iou, giou, wide = (
        numba_backend.load(loss.plan(), real, False)
        for loss, real in ((detection.iou, np.float32), (detection.giou, np.float32), (detection.iou, np.float64))
    )
    assert iou.present is giou.present is wide.present
    assert iou.weigh is giou.weigh
    assert iou.weigh is not wide.weigh  # `real` is another type
    assert iou.element is not giou.element
    assert iou.loops is not giou.loops


def test_machine_code_needs_no_kernel_but_its_own(tmp_path):
    """A kernel that was compiled with functions of another one is read by a process that has loaded no other."""
    code = """
import numpy as np
from lossbook import detection, kernels
boxes, found = np.float32([[0, 0, 2, 2]]), []
for loss in {losses}:
    found.append(loss.value_and_grad(boxes, boxes + 1, backend="numba")[1].tolist())
(module,) = (module for name, module in kernels._modules.items() if "diou" in name)
print((found[-1], sum(module.loops.stats.cache_hits.values())))
"""
    compiled = child(code.format(losses="(detection.iou, detection.diou)"), LOSSBOOK_CACHE=tmp_path)
    assert compiled[1] == 0
    assert child(code.format(losses="[detection.diou]"), LOSSBOOK_CACHE=tmp_path) == (compiled[0], 1)


@pytest.mark.parametrize("damage", ["half", "empty", "garbage"])
def test_spoiled_machine_code_is_compiled_again(cache, compiled, damage):
    """With a spoiled file the call succeeds, and puts a good one in its place."""
    shutil.copytree(compiled, cache)
    (name,) = (name for name in files(cache) if name.startswith("loops"))
    file = files(cache)[name]
    good = file.read_bytes()
    file.write_bytes(DAMAGES[damage](good, b""))
    assert call() == (*WANTED, 0, 1)
    assert len(file.read_bytes()) > len(good) / 2
    kernels._modules.clear()
    numba_backend.load.cache_clear()
    assert call() == (*WANTED, 1, 0)


def test_the_cache_of_numba_itself_is_not_read(cache, compiled, tmp_path, monkeypatch):
    """Whatever stands where Numba keeps its own files, in __pycache__ or NUMBA_CACHE_DIR, stays unread."""
    shutil.copytree(compiled, cache)
    marker = tmp_path / "marker"
    (folder,) = cache.iterdir()
    (folder / "__pycache__").mkdir(exist_ok=True)
    tag = sys.implementation.cache_tag.replace("cpython-3", "py3")
    number = next(n for n, line in enumerate((folder / "kernel.py").read_text().splitlines(), 1) if "def loops" in line)
    for line in (number - 1, number):
        (folder / "__pycache__" / f"kernel.loops-{line}.{tag}.nbi").write_bytes(pickle.dumps(Harm(marker)))
    assert call() == (*WANTED, 1, 0)
    assert not marker.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_eight_processes_may_need_the_same_kernel_at_once(tmp_path):
    """Eight processes start on one uncached kernel together, half of them without gradient: all get equal numbers,
    each file on disk is whole, no temporary file is left, and the next process compiles nothing.
    """
    code = """
import os, sys, time, traceback
import numpy as np
from lossbook import kernels, regression
arrays = np.float32([0.5, 2, -1]), np.float32([0, 1, 1])
wide = np.float64(arrays[0]), np.float64(arrays[1])
regression.squared_error.grad(*wide, backend="numba")  # what a process does but once, done once for all eight
ready, go = os.pipe()
replace = os.replace
os.replace = lambda *paths: time.sleep(0.5) or replace(*paths)  # all write before the first has written
readers = []
for index in range(8):
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            os.close(go)
            os.read(ready, 1)  # until all are there
            if index % 2:
                result = float(regression.squared_error(*arrays, backend="numba"))
            else:
                value, gradient = regression.squared_error.value_and_grad(*arrays, backend="numba")
                result = float(value), gradient.tolist()
            os.write(writer, repr(result).encode())
            os._exit(0)
        except BaseException:
            os.write(writer, repr(traceback.format_exc()).encode())
            os._exit(1)
    os.close(writer)
    readers.append(reader)
os.close(go)
codes = [os.wait()[1] for _ in range(8)]
print((codes, [eval(os.read(reader, 65536).decode() or "None") for reader in readers]))
"""
    folder = tmp_path / "cache"
    codes, results = child(code, LOSSBOOK_CACHE=folder)
    assert codes == [0] * 8, results
    assert results == [(float(WANTED[0]), WANTED[1]), float(WANTED[0])] * 4
    (kernel,) = folder.glob("*_float32_*")
    names = sorted(file.name for file in kernel.iterdir() if file.is_file())
    assert names[0] == "kernel.py"
    assert all(name.endswith(".bin") for name in names[1:])
    again = """
import numpy as np
from lossbook import kernels, regression
arrays = np.float32([0.5, 2, -1]), np.float32([0, 1, 1])
regression.squared_error.value_and_grad(*arrays, backend="numba"), regression.squared_error(*arrays, backend="numba")
(module,) = kernels._modules.values()
print((sum(module.loops.stats.cache_hits.values()), sum(module.loops.stats.cache_misses.values())))
"""
    assert child(again, LOSSBOOK_CACHE=folder) == (sum(name.startswith("loops.") for name in names), 0)
