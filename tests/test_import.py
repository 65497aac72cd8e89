"""What importing costs, which names there are, how a backend is chosen, and threads."""

import ast
import compileall
import contextlib
import importlib
import os
import pkgutil
import queue
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import types
import zipfile
from pathlib import Path

import fake_cupy
import numpy as np
import pytest
from cases import EVERY_LOSS, LOSSES, example
from processes import ROOT, child

import lossbook
from lossbook import BackendError, DomainError, Loss, Outcome, Real, backends, binary, loss, multiclass, regression
from lossbook.backends import host
from lossbook.errors import shown

HEAVY = (
    *("numba", "llvmlite", "cupy", "dask", "scipy", "matplotlib", "torch", "pandas", "IPython"),
    *("sklearn", "xgboost", "lightgbm"),
)
LOGITS, LABELS = np.float32([0.5, -1.0, 3.0]), np.float32([1.0, 0.0, 0.0])

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)


# --- what is imported ----------------------------------------------------------------------------------------------


def test_importing_and_the_numpy_backend_load_nothing_heavy():
    """Neither `import lossbook` nor any loss on NumPy, its card and its documentation, load an optional package."""
    code = f"""
import sys
import numpy as np
import lossbook
heavy = {HEAVY!r}
first = sorted(set(heavy) & set(sys.modules))
for name in lossbook.__all__:
    module = getattr(lossbook, name)
    for loss in [item for item in vars(module).values() if isinstance(item, lossbook.Loss)]:
        if loss.shape in ("joined", "distance"):  # the distances of masks need SciPy
            loss.source(), loss._repr_markdown_()
            continue
        shape = (2, 3, 4) if loss.shape == "overlap" else (2, 3)
        x = np.full(shape, -0.5 if loss.declaration.of_prediction.high == 0 else 0.5)
        arrays = [x] + [np.full(shape, 1.0)] * (len(loss.declaration.arrays) - 1)
        if loss.shape == "boxes":
            arrays = [np.tile([0.0, 0.0, 1.0, 2.0], (2, 1))] * 2
        for reduction in ("none", "sum", "mean"):
            loss.value_and_grad(*arrays, reduction=reduction)
        loss.partial(*arrays).finish()
        loss.source(), loss.source("cupy"), loss.source("numba"), loss._repr_markdown_(), loss.textbook
print((first, sorted(set(heavy) & set(sys.modules))))
"""
    assert child(code) == ([], [])


# Modules that need an optional package.
OPTIONAL = [f"lossbook.backends.numba.{name}" for name in ("floats", "words")]
OPTIONAL += [f"lossbook.frameworks.{name}" for name in ("jax", "pytorch")] + ["lossbook.keras.losses"]


def modules():
    """All modules of the package but those that need an optional package."""
    for found in pkgutil.walk_packages(lossbook.__path__, "lossbook."):
        if found.name not in (*OPTIONAL, "lossbook.torch", "lossbook.keras"):
            yield importlib.import_module(found.name)


def test_public_names_exist():
    """Every name in the package's __all__, and in each module's, can be imported, and no name is listed twice."""
    lists = 0
    for module in (lossbook, *modules()):
        names = getattr(module, "__all__", [])
        lists += bool(names)
        assert [name for name in names if not hasattr(module, name)] == [], module.__name__
        assert len(set(names)) == len(names), module.__name__
    assert lists >= 8


def test_public_names_are_complete():
    """Each loss of a module is in its __all__; the package lists those modules and all else that it offers."""
    for module in modules():
        home = module.__name__.partition(".")[2]
        losses = {name for name, item in vars(module).items() if isinstance(item, Loss)}
        losses = {name for name in losses if getattr(module, name).name.startswith(f"{home}.")}
        if losses:
            assert losses <= set(module.__all__) <= set(vars(module)), module.__name__
            assert home in lossbook.__all__
            assert all(getattr(module, name).__name__ == name for name in losses)
    for module in (lossbook.domains, lossbook):
        for name, item in vars(module).items():
            home = getattr(item, "__module__", type(item).__module__)
            if name[0] != "_" and home.startswith("lossbook"):
                assert name in module.__all__


# --- where it runs -------------------------------------------------------------------------------------------------

CALLS = """
import numpy as np
import lossbook
from lossbook import binary, multiclass, segmentation
z, y = np.float32([[0.5, -1], [3, 0]]), np.array([0, 1])
found = []
for backend in {backends}:
    found.append(binary.cross_entropy_with_logits(z, np.float32([[0, 1], [1, 0]]), backend=backend).item())
    found.append(multiclass.cross_entropy_with_logits(z, y, backend=backend).item())
    found.append(segmentation.dice(np.full((2, 2, 3), 0.5, np.float32), np.ones((2, 3), int), backend=backend).item())
found.append(len(binary.focal.source("cupy")))
from lossbook.backends import cupy
plan = binary.focal.evaluation.plan(*binary.focal.settings({{}}), integer=False)
found.append("namespace words" in cupy.text(plan, np.float32, False))
"""


def run_elsewhere(path, *options, backends=("numpy", "numba"), **environment):
    """The results of CALLS with the package at a path; nothing but standard paths and this one is searched."""
    code = f"import sys\nsys.path.insert(0, {str(path)!r})\n"
    code += "sys.meta_path = [one for one in sys.meta_path if 'editable' not in repr(one).lower()]\n"
    code += CALLS.format(backends=backends) + f"assert lossbook.__file__.startswith({str(path)!r})\nprint(found)"
    given = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    command = [sys.executable, *options, "-c", code]
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return ast.literal_eval(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def results():
    return run_elsewhere(ROOT)


def test_without_docstrings(results):
    """python -OO, which takes away docstrings and assertions, changes no result; every loss prints its card."""
    assert run_elsewhere(ROOT, "-OO") == results
    every = "import sys; sys.path[:0] = ['tests/support']; import cases; "
    every += "print([x._repr_markdown_() + x.__doc__ + str(x.signature) "
    done = subprocess.run(
        [sys.executable, "-OO", "-c", every + "for x in cases.EVERY_LOSS] and len(cases.EVERY_LOSS))"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout.strip() == str(len(EVERY_LOSS)), done.stderr


@pytest.mark.parametrize("form", ["archive", "archive of bytecode", "bytecode"])
def test_without_source_files(results, form, tmp_path):
    """From an archive, and from compiled files alone, as in frozen programs: the same results on every backend.

    The loops of kernels are data, and stay as they are.
    """
    package = tmp_path / "lossbook"
    shutil.copytree(ROOT / "lossbook", package, ignore=shutil.ignore_patterns("__pycache__"))
    if form != "archive":
        assert compileall.compile_dir(package, legacy=True, quiet=2)
        for source in package.rglob("*.py"):
            if source.parent.name != "loops":
                source.unlink()
    where = tmp_path
    if form != "bytecode":
        where = Path(shutil.make_archive(str(tmp_path / "app"), "zip", tmp_path, "lossbook"))
        shutil.rmtree(package)
    assert run_elsewhere(where) == results


def test_where_numba_compiles_nothing(results):
    """NUMBA_DISABLE_JIT=1 lets the kernels of NumPy work in place of those of Numba."""
    found = run_elsewhere(ROOT, NUMBA_DISABLE_JIT="1")
    assert found[:3] == found[3:6]
    assert found[:3] == results[:3]


# --- which backend -------------------------------------------------------------------------------------------------


def test_a_missing_numba_is_named(monkeypatch):
    """Without numba the backend "numba" is an ImportError that names the loss and the package; NumPy goes on."""
    code = """
import sys
import numpy as np
sys.modules["numba"] = None  # as if it were not installed
import lossbook
x = np.ones(3)
messages = []
for choose in (lambda: {"backend": "numba"}, lambda: lossbook.use("numba") and {}):
    try:
        lossbook.regression.huber(x, x, **choose())
    except ImportError as error:
        messages.append((type(error).__name__, str(error)))
print((messages, float(lossbook.regression.huber(x, x, backend="numpy"))))
"""
    message = "regression.huber: backend 'numba' needs the package numba, which is not installed"
    assert child(code) == ([("BackendError", message)] * 2, 0.0)


def test_a_numba_that_fails_is_not_called_missing(tmp_path):
    """What goes wrong while numba is imported is named, with its own words, and is the cause of the error."""
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 1.9 or less')")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import numpy as np
import lossbook
found = []
for _ in range(2):
    try:
        lossbook.regression.huber(np.ones(3), np.ones(3), backend="numba")
    except lossbook.BackendError as error:
        found.append((str(error), repr(error.__cause__)))
    open({str(tmp_path / "numba.py")!r}, "w").write("import llvmlite_of_old")
    __import__("importlib").invalidate_caches()
print(found)
"""
    begins = "regression.huber: backend 'numba' needs the package numba, which cannot be imported "
    assert child(code) == [
        (begins + "(ImportError: Numba needs NumPy 1.9 or less)", "ImportError('Numba needs NumPy 1.9 or less')"),
        (
            begins + "(ModuleNotFoundError: No module named 'llvmlite_of_old')",
            "ModuleNotFoundError(\"No module named 'llvmlite_of_old'\")",
        ),
    ]


@pytest.mark.parametrize("name", ["keras", "NumPy", "", "numpy ", 3, ["numpy"], np.array(["numpy", "numba"])], ids=repr)
def test_an_unknown_backend_is_refused(name):
    """A backend's name that is none of the three is refused with the list of names, in calls, `use` and `source`."""
    message = f"backend must be one of {', '.join(backends.NAMES)}; got {shown(name)}"
    with pytest.raises(BackendError) as caught:
        binary.cross_entropy_with_logits(LOGITS, LABELS, backend=name)
    assert str(caught.value) == f"binary.cross_entropy_with_logits: {message}"
    with pytest.raises(BackendError) as caught:
        lossbook.use(name)
    assert str(caught.value) == f"lossbook.use: {message}"
    with pytest.raises(BackendError, match=re.escape(message)):
        binary.cross_entropy_with_logits.source(name)
    assert backends._chosen.get() == "numpy"


def stub_of_cupy(monkeypatch, count):
    """Let `import cupy` find a package whose driver answers as `count` does."""
    stub, cuda = types.ModuleType("cupy"), types.ModuleType("cupy.cuda")
    stub.cuda, cuda.runtime = cuda, types.SimpleNamespace(getDeviceCount=count)
    monkeypatch.setitem(sys.modules, "cupy", stub)


def no_driver():
    raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")


def test_a_missing_cupy_is_named(monkeypatch):
    """backend="cupy" with NumPy arrays says first what is missing: the package."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BackendError, match=r"soft_margin: backend 'cupy' needs the package cupy .*not installed"):
        binary.soft_margin(LOGITS, np.sign(LOGITS), backend="cupy")


@pytest.mark.parametrize(("count", "says"), [(no_driver, "version is insufficient"), (lambda: 0, "none was found")])
def test_a_missing_device_is_named(monkeypatch, count, says):
    """With CuPy but without a device the BackendError says so, in CUDA's own words where it has any."""
    stub_of_cupy(monkeypatch, count)
    with pytest.raises(BackendError, match=f"binary.soft_margin: backend 'cupy' needs a CUDA device.*{says}"):
        binary.soft_margin(LOGITS, np.sign(LOGITS), backend="cupy")


def test_cupy_by_name_does_not_take_numpy_arrays():
    """With a device, too, arrays are not moved unasked: the message says how to move them."""
    wanted = r"works on CuPy arrays \(cupy.asarray\(x\)\); got NumPy"
    with fake_cupy.install(), pytest.raises(BackendError, match=wanted):
        binary.soft_margin(LOGITS, np.sign(LOGITS), backend="cupy")


def test_numpy_and_cupy_arrays_together_are_refused():
    """Wherever one array of a call is of the other kind, target, weight, class weight or out, the call is refused."""
    z, y = np.float32([[1, 2], [3, 5]]), np.array([0, 1])
    weight = np.ones(2, np.float32)
    call = multiclass.cross_entropy_with_logits.grad
    with fake_cupy.install() as cupy:
        mixed = [
            ((cupy.asarray(z), y), {}),
            ((z, cupy.asarray(y)), {}),
            ((z, y), {"weight": cupy.asarray(weight)}),
            ((z, y), {"class_weight": cupy.asarray(weight)}),
            ((z, y), {"out": cupy.asarray(z)}),
            ((cupy.asarray(z), cupy.asarray(y)), {"weight": weight}),
            ((cupy.asarray(z), cupy.asarray(y)), {"out": np.empty_like(z)}),
            ((cupy.asarray(z), [0, 1]), {}),
        ]
        for arrays, keywords in mixed:
            for backend in (None, "cupy"):
                with pytest.raises(BackendError, match=r"multiclass.cross_entropy_with_logits: .*NumPy and CuPy"):
                    call(*arrays, **keywords, backend=backend)
        for backend in ("numpy", "numba"):
            with pytest.raises(BackendError, match=f"backend '{backend}' works on NumPy arrays; got CuPy arrays"):
                call(cupy.asarray(z), cupy.asarray(y), backend=backend)


@pytest.fixture
def chosen(monkeypatch):
    """The names of the backends that run, in order; Numba's work is done by NumPy, to save its compilation."""
    names = []
    work = backends.get("numpy").run
    for name in ("numpy", "numba"):
        monkeypatch.setattr(backends.get(name), "run", lambda *given, name=name: names.append(name) or work(*given))
    return names


def test_use_chooses_a_backend_for_a_block(chosen):
    """`with lossbook.use(...)` holds inside its block, nests, yields to the backend named in a call, and ends."""
    call = lambda **keywords: binary.soft_margin(LOGITS, np.sign(LOGITS), **keywords)  # noqa: E731
    call()
    with lossbook.use("numba") as one:
        call()
        with lossbook.use("numpy"):
            call()
            with lossbook.use("numba"):
                call()
            call()
        call()
        call(backend="numpy")
        assert repr(one) == "lossbook.use('numba')"
    call()
    with contextlib.suppress(ZeroDivisionError), lossbook.use("numba"):
        raise ZeroDivisionError
    call()
    assert chosen == ["numpy", "numba", "numpy", "numba", "numpy", "numba", "numpy", "numpy", "numpy"]


def test_use_chooses_a_backend_until_further_notice(chosen):
    """`lossbook.use(...)` as a statement holds until the next one."""
    try:
        lossbook.use("numba")
        binary.soft_margin(LOGITS, np.sign(LOGITS))
        binary.soft_margin(LOGITS, np.sign(LOGITS))
        lossbook.use("numpy")
        binary.soft_margin(LOGITS, np.sign(LOGITS))
    finally:
        lossbook.use("numpy")
    assert chosen == ["numba", "numba", "numpy"]


def test_use_as_a_statement_reaches_every_thread(chosen):
    """Threads that begin later, and those that began before, have the backend of the last statement."""
    begun, changed = threading.Event(), threading.Event()

    def call():
        binary.soft_margin(LOGITS, np.sign(LOGITS))

    def early():
        begun.set()
        changed.wait(60)
        call()

    try:
        first = threading.Thread(target=early)
        first.start()
        begun.wait(60)
        lossbook.use("numba")
        changed.set()
        first.join()
        late = threading.Thread(target=call)
        late.start()
        late.join()
        with lossbook.use("numpy"):
            call()
            lossbook.use("numpy"), lossbook.use("numba")  # within a block the block decides
            call()
        call()
    finally:
        lossbook.use("numpy")
    assert chosen == ["numba", "numba", "numpy", "numpy", "numba"]


def test_blocks_in_many_threads_leave_the_process_alone():
    """However blocks of several threads overlap, and whichever ends first, the default is what it was."""
    again = lossbook.use("numpy")

    def work():
        for _ in range(200):
            with lossbook.use("numba"):
                assert backends._chosen.get() == "numba"
            with again:
                assert backends._chosen.get() == "numpy"

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert backends._chosen.get() == "numpy"


def test_the_environment_chooses_the_backend():
    """LOSSBOOK_BACKEND is the default of a process; what it may not be is refused by its name when importing."""
    code = """
import os, subprocess, sys
found = []
for given in ("numba", "numpy", "", "torch"):
    ask = "import lossbook; print(lossbook.backends._chosen.get())"
    done = subprocess.run([sys.executable, "-c", ask], env=os.environ | {"LOSSBOOK_BACKEND": given},
                          capture_output=True, text=True)
    found.append((done.stdout + done.stderr).splitlines()[-1])
print(found)
"""
    error = (
        "lossbook.errors.BackendError: lossbook: the environment variable LOSSBOOK_BACKEND must be one of "
        "numpy, numba, cupy; got 'torch'"
    )
    assert child(code) == ["numba", "numpy", "numpy", error]


def test_use_does_not_leak_into_other_threads(chosen):
    """One thread's `with lossbook.use(...)` leaves the others as they are."""
    inside, done = threading.Event(), threading.Event()

    def other():
        with lossbook.use("numba"):
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(60)
    binary.soft_margin(LOGITS, np.sign(LOGITS))
    done.set()
    thread.join()
    assert chosen == ["numpy"]


# --- threads -------------------------------------------------------------------------------------------------------


@pytest.fixture
def threads(monkeypatch):
    """How often helper threads were asked for; the number of threads is put back afterwards."""
    before, ask, asked = host.get_threads(), host._ask, []

    def counted(helpers, job):
        if helpers:
            asked.append(helpers)
        ask(helpers, job)

    monkeypatch.setattr(host, "_ask", counted)
    yield asked
    host.set_threads(before)


@pytest.mark.parametrize("bad", [0, -1, 1.0, "2", None, True, 1025, 10**30, np.array([1, 2])], ids=repr)
def test_the_number_of_threads_is_checked(threads, bad):
    """set_threads takes an integer up to 1024; what it refuses changes nothing."""
    before = lossbook.get_threads()
    with pytest.raises(DomainError) as caught:
        lossbook.set_threads(bad)
    assert str(caught.value) == f"lossbook.set_threads: count must be an integer in 1..1024; got {shown(bad)}"
    assert lossbook.get_threads() == before
    lossbook.set_threads(3)
    assert lossbook.get_threads() == 3


@every_loss
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_the_number_of_threads_changes_no_bit(loss, backend, threads):
    """With 1, 2 and 3 threads a value and its gradient have the same bits, in arrays of any layout."""
    arrays = example(loss, np.float64, (11, 6, 4001))  # a float32 would hide the order of a sum
    strided = [np.repeat(array, 2, axis=-1)[..., ::2] for array in arrays]
    assert arrays[0].size > max(host.THREADED, 2 * host.PIECE)
    for inputs in (arrays, strided):
        results = []
        for count in (1, 2, 3):
            lossbook.set_threads(count)
            threads.clear()
            value, gradient = loss.value_and_grad(*inputs, backend=backend)
            assert bool(threads) == (count > 1)
            results.append((value.tobytes(), gradient.tobytes()))
        assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_many_python_threads_may_call_at_once(backend, threads):
    """Eight threads that make the first call of a new loss together, with helper threads, get what one alone gets."""

    @loss
    def fourth(p: Real, y: Outcome):
        """The fourth power of the difference."""
        return (y - p) ** 4

    lossbook.set_threads(2)
    data = np.random.default_rng(0).normal(size=(8, 2, 100_000)).astype(np.float32)
    start, results = threading.Barrier(8), [None] * 8

    def work(index):
        start.wait(60)
        for _ in range(3):
            value, gradient = fourth.value_and_grad(*data[index], backend=backend)
        results[index] = value.tobytes(), gradient.tobytes()

    workers = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for (p, y), got in zip(data, results, strict=True):
        value, gradient = fourth.value_and_grad(p, y, backend=backend)
        assert got == (value.tobytes(), gradient.tobytes())
        difference = p.astype(np.float64) - y
        assert value == pytest.approx(np.mean(difference**4), rel=1e-6)
        np.testing.assert_allclose(gradient, 4 * difference**3 / p.size, rtol=1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_threads_work_after_a_fork():
    """A child of a process that has used helper threads makes its own and gets the same bits, on both backends."""
    code = """
import os
import numpy as np
import lossbook
lossbook.set_threads(2)
p, y = np.random.default_rng(0).normal(size=(2, 200_000)).astype(np.float32)
def bits():
    return [lossbook.regression.squared_error(p, y, backend=name).tobytes() for name in ("numpy", "numba")]
before = bits()
pid = os.fork()
if pid == 0:
    os._exit(0 if bits() == before else 1)
for _ in range(600):
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        break
    __import__("time").sleep(0.1)
else:
    os.kill(pid, 9)
    status = "it hangs"
print((status, bits() == before))
"""
    assert child(code) == (0, True)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("strided", [False, True])
def test_without_a_second_thread_one_does_all(backend, strided, threads, monkeypatch):
    """Where the system starts no more threads the calling one does the work, with the same bits."""
    p, y = np.random.default_rng(0).normal(size=(2, 300_000)).astype(np.float32)
    p, y = (p[::2], y[::2]) if strided else (p, y)
    lossbook.set_threads(1)
    wanted = regression.huber.value_and_grad(p, y, backend=backend)

    def no_thread(*_):
        raise RuntimeError("can't start new thread")

    lossbook.set_threads(4)
    monkeypatch.setattr(host, "_jobs", queue.SimpleQueue())
    monkeypatch.setattr(host, "_helpers", 0)  # those of earlier calls serve another queue
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    value, gradient = regression.huber.value_and_grad(p, y, backend=backend)
    assert threads
    assert (value, gradient.tobytes()) == (wanted[0], wanted[1].tobytes())


def test_after_an_interrupt_nobody_goes_on_writing(threads):
    """Ctrl-C in the calling thread lets no helper begin another task, and waits for those at work."""
    lossbook.set_threads(3)
    begun, ended = [], []

    def task(index):
        if threading.current_thread() is threading.main_thread():
            while len(begun) < 2:  # both helpers are at work
                time.sleep(0.01)
            raise KeyboardInterrupt
        begun.append(index)
        time.sleep(0.3)
        ended.append(index)

    with pytest.raises(KeyboardInterrupt):
        host._Team(task, [(index,) for index in range(100)]).run(2)
    assert len(begun) == 2
    assert sorted(begun) == sorted(ended)
    time.sleep(0.1)
    assert len(begun) == 2


def test_what_a_helper_raises_is_raised(threads):
    """An error in a helper's part of the work reaches the caller, and no later task begins."""
    lossbook.set_threads(2)

    def task(index):
        if threading.current_thread() is not threading.main_thread():
            raise MemoryError("no room")
        time.sleep(0.1)

    with pytest.raises(MemoryError, match="no room"):
        host._Team(task, [(index,) for index in range(100)]).run(1)


def test_read_only_and_odd_inputs_compile_nothing_new(threads):
    """Arrays that are read-only, or not aligned, run the kernel of all others, and are not written to."""
    inputs = np.float32([[0.5, -1, 2], [3, 0, 1]]), np.array([0, 2])
    options = {"weight": np.float32([1, 2]), "class_weight": np.float32([1, 2, 3]), "backend": "numba"}
    loss = multiclass.cross_entropy_with_logits
    wanted = loss.value_and_grad(*inputs, **options)
    begins = "lossbook.kernels.multiclass_cross_entropy_with_logits_float32"
    modules = [module for name, module in sys.modules.items() if name.startswith(begins)]
    before = [len(module.loops.signatures) for module in modules]

    def read_only(array):
        array = np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
        assert not array.flags.writeable
        return array

    def not_aligned(array):
        array = np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:].view(array.dtype).reshape(array.shape)
        assert not array.flags.aligned
        return array

    for odd in (read_only, not_aligned):
        arrays = list(map(odd, inputs))
        weights = {name: odd(value) for name, value in options.items() if name != "backend"}
        value, gradient = loss.value_and_grad(*arrays, **weights, backend="numba")
        assert (value, gradient.tobytes()) == (wanted[0], wanted[1].tobytes())
        assert [array.tobytes() for array in arrays] == [array.tobytes() for array in inputs]
    assert [len(module.loops.signatures) for module in modules] == before


def test_the_number_of_threads_comes_from_the_environment():
    """LOSSBOOK_THREADS sets the number of threads; without it there is one for each processor of this process."""
    code = """
import os, subprocess, sys
counts = []
for given in ("3", " 1024", "", None):
    environment = {name: value for name, value in os.environ.items() if name != "LOSSBOOK_THREADS"}
    environment |= {} if given is None else {"LOSSBOOK_THREADS": given}
    ask = "from lossbook.backends import host; print(host.get_threads())"
    counts.append(int(subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True).stdout))
print(counts)
"""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert child(code) == [3, 1024, processors, processors]
    assert regression.huber(LOGITS, LABELS) > 0


def test_a_bad_number_of_threads_in_the_environment_is_named():
    """What LOSSBOOK_THREADS may not be is refused when the package is imported, by the variable's name and the rule."""
    code = """
import importlib, os
os.environ.pop("LOSSBOOK_THREADS", None)
import lossbook
from lossbook.backends import host
messages = []
for given in ("abc", "-3", "0", "2.0", "1025", "9" * 5000):
    os.environ["LOSSBOOK_THREADS"] = given
    try:
        importlib.reload(host)
    except lossbook.DomainError as error:
        messages.append(str(error)[:80])
print(messages)
"""
    rule = "lossbook: LOSSBOOK_THREADS must be an integer in 1..1024; got "
    given = ("abc", "-3", "0", "2.0", "1025", "9" * 5000)
    assert child(code) == [f"{rule}{value!r}"[:80] for value in given]


# --- what is published ---------------------------------------------------------------------------------------------


def test_what_is_published(tmp_path):
    """A wheel and a source archive are built without a warning and hold the package whole; the wheel nothing else."""
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    shutil.copytree(ROOT / "lossbook", source / "lossbook", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-text", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    code = "import setuptools.build_meta as build; build.build_wheel('..'); build.build_sdist('..')"
    command = [sys.executable, "-W", "error::DeprecationWarning:setuptools", "-c", code]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "eprecat" not in done.stdout + done.stderr
    found = [file for file in (ROOT / "lossbook").rglob("*") if "__pycache__" not in file.parts]
    files = {str(file.relative_to(ROOT)) for file in found if file.is_file()}
    assert {"lossbook/py.typed", "lossbook/backends/cupy/words.cuh"} < files
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == files
    assert [name.rpartition("/")[2] for name in names if "/licenses/" in name] == ["LICENSE"]
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert files < names
