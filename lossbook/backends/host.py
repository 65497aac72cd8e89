"""What NumPy and Numba share: arrays cut into pieces, pieces into blocks, blocks over threads.

A kernel sees C-contiguous arrays of its own type, shaped (outer, classes, inner). Whatever is laid out
otherwise (strided, Fortran, float16, integer labels of another width) is copied piece by piece into small
buffers, so memory stays bounded. Sums are per block and are added in the order of the blocks, so the
number of threads does not change a bit of the result.
"""

import numbers
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

import numpy as np

from lossbook.arrays import INDEX, cut, quiet
from lossbook.backends.call import Call
from lossbook.errors import DomainError

PIECE = 1 << 17  # elements of a converted piece
THREADED = 1 << 16  # elements from which a second thread pays
MOST_THREADS = 1024

ABSENT = {real: np.empty((0, 0), real) for real in (np.float32, np.float64)}
NO_CLASS, NO_LABEL = np.empty(0), np.empty(0, INDEX)

_jobs: SimpleQueue = SimpleQueue()  # what the helper threads wait for
_helpers, _owner = 0, os.getpid()  # how many there are, in which process
_lock = threading.Lock()


def _threads_at_first() -> int:
    """As many as LOSSBOOK_THREADS says; where that is unset or empty, one for each processor of this process."""
    given = os.environ.get("LOSSBOOK_THREADS", "")
    if not given:
        processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        return min(len(processors), MOST_THREADS)
    try:
        count = int(given)
    except ValueError:
        count = 0
    if not 1 <= count <= MOST_THREADS:
        raise DomainError("lossbook", "LOSSBOOK_THREADS", f"must be an integer in 1..{MOST_THREADS}", given)
    return count


_threads = _threads_at_first()


def set_threads(count: int) -> None:
    """Use this many threads in the Numba backend, and up to 2 of them in that of NumPy.

    The threads of NumPy wait for each other and have temporaries. Results do not depend on the number of threads.

    Parameters
    ----------
    count : int
        The number of threads, 1 to 1024.

    Returns
    -------
    None

    Raises
    ------
    DomainError
        For another number.

    Examples
    --------
    >>> import lossbook
    >>> before = lossbook.get_threads()
    >>> lossbook.set_threads(2)
    >>> lossbook.get_threads()
    2
    >>> lossbook.set_threads(before)
    """
    global _threads
    if isinstance(count, bool) or not isinstance(count, numbers.Integral) or not 1 <= count <= MOST_THREADS:
        raise DomainError("lossbook.set_threads", "count", f"must be an integer in 1..{MOST_THREADS}", count)
    _threads = int(count)


def get_threads() -> int:
    """How many threads the Numba backend uses, and that of NumPy at most.

    Returns
    -------
    int
        What `set_threads` or the environment variable LOSSBOOK_THREADS said; else the number of processors.

    Examples
    --------
    >>> import lossbook
    >>> lossbook.get_threads() >= 1
    True
    """
    return _threads


def _serve(jobs: SimpleQueue) -> NoReturn:
    """What a helper thread does as long as the process lives."""
    while True:
        jobs.get()()


def _ask(helpers: int, job: Callable[[], None]) -> None:
    """Let so many helper threads do a job, fewer where no more can be started; they are started on first use, and again
    after a fork. (A ThreadPoolExecutor would do the same, in 30 microseconds more for each call.)
    """
    global _jobs, _helpers, _owner
    with _lock:
        if _owner != os.getpid():
            _jobs, _helpers, _owner = SimpleQueue(), 0, os.getpid()
        try:
            while _helpers < helpers:
                threading.Thread(target=_serve, args=(_jobs,), name=f"lossbook-{_helpers}", daemon=True).start()
                _helpers += 1
        except RuntimeError:  # the system has no more threads, or Python is about to end
            helpers = _helpers
        jobs = _jobs
    for _ in range(helpers):
        jobs.put(job)


class _Team:
    """Tasks that this thread and helpers take in turn. Without helpers, as where no thread can be started, this thread
    does them all. When `run` ends, by Ctrl-C as well, no helper is at work any more: nothing goes on writing.
    """

    def __init__(self, function: Callable[..., None], tasks: Iterable[tuple]) -> None:
        self.function, self.tasks = function, deque(tasks)
        self.begun: list[None] = []  # an append is one step, and needs no lock
        self.ended: list[None] = []
        self.errors: list[BaseException] = []
        self.awake: SimpleQueue[None] = SimpleQueue()

    def run(self, helpers: int) -> None:
        """Do all tasks, with so many helpers; raises what a task raises."""
        try:
            _ask(helpers, self._help)
            self._work()
        finally:
            self._stop()
        if self.errors:
            raise self.errors[0]

    def _work(self) -> None:
        while self.tasks:
            try:
                task = self.tasks.popleft()
            except IndexError:  # another took the last one
                return
            self.function(*task)

    def _help(self) -> None:
        self.begun.append(None)
        try:
            self._work()
        except BaseException as error:
            self.errors.append(error)
            self.tasks.clear()
        self.ended.append(None)
        self.awake.put(None)

    def _stop(self) -> None:
        """Let no helper take another task, and wait for those at work; a second Ctrl-C has to wait as well."""
        interrupt = None
        while True:
            try:
                self.tasks.clear()
                if len(self.ended) == len(self.begun):
                    break
                self.awake.get(timeout=1)  # looks again after a second: an interrupt may have swallowed what was put
            except Empty:
                pass
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt


def writeable(array: Any) -> Any:
    """The same array for a kernel, which never writes to its inputs: read-only arrays are another type to Numba, which
    would compile the kernel once more for them.
    """
    if array is None or array.flags.writeable:
        return array
    return np.asarray(_Writeable(array))


class _Writeable:
    """The memory of an array, without its flag."""

    def __init__(self, array: Any) -> None:
        address, _ = array.__array_interface__["data"]
        self.array = array  # keeps the memory
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}


@dataclass(frozen=True)
class Kernel:
    """A loaded kernel: `loops(arrays..., first, last)` runs a range of blocks of about `block` elements."""

    loops: Callable
    block: int
    typed: bool = False  # absent values are an empty array, so that there is one kernel to compile, not two; and the
    # type of weights and of their products is that of an empty array beside the target
    threads: int = MOST_THREADS  # of more, the temporaries would take too much memory

    def rows_in_block(self, classes: int) -> int:
        """How many rows of a row loss make a block: a multiple of what the processor takes at once, or one."""
        rows = self.block // max(1, classes)
        return rows - rows % 64 or rows - rows % 16 or 16 if self.block > 1 else 1


def run(kernel: Kernel, plan: Any, call: Call) -> np.ndarray:
    """Run a call: sums of shape (groups..., columns); fills call.values and call.gradient where present."""
    threads = min(_threads, kernel.threads)
    columns = len(plan.terms) + 1
    if call.is_native():
        return _run_piece(kernel, plan, call, call.whole(), columns, threads)
    limit = max(1, PIECE // call.classes_per_piece)
    pieces = list(cut(call.piece_shape, limit))

    results: list[Any] = [None] * len(pieces)

    def convert_and_run(index: int) -> None:
        with quiet():  # in every helper thread, too
            arrays = call.piece(pieces[index])
            results[index] = _run_piece(kernel, plan, call, arrays, columns, 1)
            call.put_back(pieces[index], arrays)

    _Team(convert_and_run, ((index,) for index in range(len(pieces)))).run(min(threads, len(pieces)) - 1)
    if plan.finish is None:
        return fold(np.array(results).reshape(-1, columns))
    parts: dict[int | None, list] = {}  # the first axis of a loss of totals counts the images
    for piece, part in zip(pieces, results, strict=True):
        parts.setdefault(piece[0].start, []).append(part)
    sums = np.zeros((*call.group_shape, columns))
    for first, found in parts.items():
        sums[first or 0 : (first or 0) + len(found[0])] = fold(np.array(found))
    return sums


def _filled(given, plan, real):
    """The weights of rows, those of classes and the label to ignore, all of them arrays, which are empty if there are
    none: a kernel looks at them once for a tile. Without labels, class weights stand in its inner loops, and are None.
    """
    weight, class_weight, ignore = given
    return (
        ABSENT[real] if weight is None else weight,
        NO_CLASS if class_weight is None and plan.hard else class_weight,
        NO_LABEL if ignore is None else np.array([ignore], INDEX),
    )


def _run_piece(kernel, plan, call, arrays, columns, threads):
    """Run one contiguous piece, its blocks spread over threads, and add the blocks' sums in order."""
    outer, classes, inner = arrays.z.shape
    z, y, weight = writeable(arrays.z), writeable(arrays.y), writeable(arrays.weight)
    tiles = -(-inner // kernel.block)
    blocks = outer * classes * tiles
    if plan.space.by_row:
        size = kernel.rows_in_block(classes)
        blocks = -(-outer // size) if inner == 1 else outer * -(-inner // size)
        given = (weight, writeable(call.class_weight), call.ignore)
        options = (*(_filled(given, plan, call.real) if kernel.typed else given), arrays.parameters, call.scale, size)
    else:
        parameters = arrays.parameters
        if plan.per_class and kernel.typed:
            parameters = np.array(np.broadcast_arrays(*parameters))
        options = (weight, call.ignore, parameters, arrays.slopes)
    shape = (blocks, columns)
    if plan.space.totals and plan.row:  # a softmax takes the pixels of a tile with all their classes
        size = kernel.rows_in_block(classes)
        tiles = -(-inner // size)
        blocks, options = outer * tiles, (*options, size)
        shape = (outer, classes, tiles, columns)
    sums, values = np.zeros(shape), arrays.values
    if values is None and kernel.typed:
        values = ABSENT[call.real] if plan.space.by_row else np.empty((0, 0, 0), call.real)
    kind = call.real if weight is None and (call.class_weight is None or call.overlap) else np.float64
    inputs = (z, y, *([np.empty(0, kind)] if kernel.typed else []), *options, values, arrays.gradient, sums)
    share = min(threads, blocks) if arrays.z.size >= THREADED else 1
    if share > 1:
        cuts = [blocks * part // share for part in range(share + 1)]
        _Team(partial(kernel.loops, *inputs), pairwise(cuts)).run(share - 1)
    elif blocks:
        kernel.loops(*inputs, 0, blocks)
    if plan.finish is None:
        return fold(sums)
    return fold(sums.reshape(outer, classes, tiles, columns).transpose(2, 0, 1, 3))


def halved(parts: np.ndarray) -> np.ndarray:
    """Half as many along the first axis, each the sum of two; the middle of an odd number stays."""
    half = len(parts) // 2
    if len(parts) % 2 == 0:
        return parts[:half] + parts[half:]
    result = parts[: half + 1].copy()
    result[:half] += parts[half + 1 :]
    return result


def fold(parts: np.ndarray) -> np.ndarray:
    """The sum along the first axis, by halves: explicit additions, so that neither the layout of the memory nor what
    stands beside a number changes its bits, and in a tree, so that rounding hardly grows with their number.
    """
    while len(parts) > 1:
        parts = halved(parts)
    return parts[0] if len(parts) else np.zeros(parts.shape[1:], parts.dtype)
