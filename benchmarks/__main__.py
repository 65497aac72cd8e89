"""Times value and gradient of every task on every backend and peer, and prints ratios.

    python -m benchmarks [--rounds 15] [--threads 2] [--out benchmarks/results.json]
    python -m benchmarks --against ../other        the ratios of this tree to another checkout, on NumPy and Numba

All competitors of a task take turns in one process, so that a busy machine slows them alike; figures are medians.
Peers that are not installed are left out and named. Two trees need a process each; those, too, take turns.
"""

import argparse
import importlib.metadata
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

# PyTorch's idle OpenMP threads would spin on the cores of whoever comes next; they are told to sleep.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

import lossbook
from benchmarks.tasks import CHOSEN, MEBI, TASKS


def take_turns(competitors, rounds):
    """Median seconds of each competitor, called in turn; two rounds to warm up."""
    times = {name: [] for name in competitors}
    for round_number in range(rounds + 2):
        for name, function in competitors.items():
            start = time.perf_counter()
            function()
            if round_number >= 2:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def copier(nbytes, threads):
    """A plain copy that moves as many bytes as a call reads and writes, spread over the threads."""
    source, target = np.ones(nbytes // 8, np.float32), np.empty(nbytes // 8, np.float32)
    cuts = [len(source) * part // threads for part in range(threads + 1)]
    pool = ThreadPoolExecutor(threads)

    def copy():
        parts = [pool.submit(np.copyto, target[a:b], source[a:b]) for a, b in itertools.pairwise(cuts)]
        for part in parts:
            part.result()

    return copy


def torch_calls(task, arrays, threads):
    """PyTorch eager and compiled, value and gradient of the prediction; empty if it is not installed."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(threads)
    tensors = [torch.from_numpy(array) for array in arrays]

    def caller(function):
        prediction = tensors[0].clone().requires_grad_(True)

        def call():
            prediction.grad = None
            value = function(prediction, *tensors[1:])
            value.backward()
            return value.item(), prediction.grad

        return call

    eager = caller(lambda *t: task.torch(torch, *t))
    calls = {"torch eager": eager}
    if task not in CHOSEN:  # a compilation takes longer than all the rest
        return calls
    try:
        compiled = caller(torch.compile(lambda *t: task.torch(torch, *t)))
        compiled()
        calls["torch.compile"] = compiled
    except Exception as error:  # no C++ compiler, or a Python that it does not know
        print(f"  torch.compile left out: {type(error).__name__}", file=sys.stderr)
    return calls


def measure(task, rounds, threads):
    """One row of the table."""
    arrays = task.arrays(task.shape, np.random.default_rng(0))
    out = np.empty_like(arrays[0])
    competitors = {
        "numba": lambda: task.loss.value_and_grad(*arrays, out=out, backend="numba"),
        "numpy": lambda: task.loss.value_and_grad(*arrays, out=out, backend="numpy"),
        **torch_calls(task, arrays, threads),
        "copy": copier(sum(array.nbytes for array in arrays) + out.nbytes, threads),
    }
    values = {name: call()[0] for name, call in competitors.items() if name != "copy"}
    assert np.allclose(list(values.values()), values["numba"], rtol=1e-4), values
    seconds = take_turns(competitors, rounds)
    tracemalloc.start()
    competitors["numba"]()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    competitors["numpy"]()
    peak_numpy = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "task": task.title, "dtype": "float32", "shape": task.shape, "threads": threads, "goal": task.goal,
        "milliseconds": {name: round(value * 1e3, 3) for name, value in seconds.items()},
        "peak MiB beyond inputs and out": {"numba": round(peak / MEBI, 2), "numpy": round(peak_numpy / MEBI, 2)},
    }  # fmt: skip


def small_call(rounds):
    """Microseconds of one call on 1000 elements, Numba, value and gradient into out, all checks on."""
    random = np.random.default_rng(0)
    z, y = random.normal(size=1000).astype(np.float32), (random.random(1000) < 0.5).astype(np.float32)
    out = np.empty_like(z)

    def call():
        for _ in range(500):
            lossbook.binary.cross_entropy_with_logits.value_and_grad(z, y, out=out, backend="numba")

    return take_turns({"small": call}, rounds)["small"] / 500 * 1e6


def start_up(rounds):
    """Seconds of `import lossbook`, and of a first call whose kernel is cached, each in new processes."""
    call = (
        "import time, numpy as np, lossbook; z = np.ones(1000, np.float32); start = time.perf_counter(); "
        "lossbook.binary.cross_entropy_with_logits.value_and_grad(z, z, out=np.empty_like(z), backend='numba'); "
        "print(time.perf_counter() - start)"
    )
    load = "import time; start = time.perf_counter(); import lossbook; print(time.perf_counter() - start)"

    def run(text):
        return float(subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True).stdout)

    return tuple(statistics.median(run(text) for _ in range(max(3, rounds // 3))) for text in (load, call))


# Runs in a tree of its own: reads the title of a task and a backend, calls it twice, writes the seconds of the second.
TURN = """
import json, sys, time
import numpy as np
import lossbook
from benchmarks.tasks import TASKS
lossbook.set_threads(int(sys.argv[1]))
tasks, last = {task.title: task for task in TASKS}, None
print(json.dumps(list(tasks)), flush=True)
for line in sys.stdin:
    title, backend = asked = json.loads(line)
    if asked != last:
        last, task = asked, tasks[title]
        arrays = task.arrays(task.shape, np.random.default_rng(0))
        options = {"out": np.empty_like(arrays[0]), "backend": backend}
        for _ in range(2):
            task.loss.value_and_grad(*arrays, **options)
    task.loss.value_and_grad(*arrays, **options)  # caches and cores are those of this tree again
    start = time.perf_counter()
    task.loss.value_and_grad(*arrays, **options)
    print(time.perf_counter() - start, flush=True)
"""


class Tree:
    """A process that runs the tasks of a checkout."""

    def __init__(self, path, threads):
        environment = os.environ | {"PYTHONPATH": os.path.abspath(path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TURN, str(threads)], cwd=path, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.titles = json.loads(self.process.stdout.readline())

    def seconds(self, title, backend):
        """How long one call of a task takes."""
        self.process.stdin.write(json.dumps([title, backend]) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def compare(path, only, rounds, threads):
    """Print the ratios of this tree's times to those of another, by their medians and by their fastest rounds."""
    here, there = Tree(".", threads), Tree(path, threads)
    print(f"milliseconds here and there, {threads} threads, medians of {rounds}; the ratio of medians, of the fastest")
    for title in [title for title in here.titles if only in title and title in there.titles]:
        for backend in ("numpy", "numba"):
            times = {here: [], there: []}
            for number in range(rounds):  # each goes first in every other round, since whoever goes first is slower
                for tree in (here, there) if number % 2 else (there, here):
                    times[tree].append(tree.seconds(title, backend))
            ours, theirs = times.values()
            middle, least = [statistics.median(each) * 1e3 for each in (ours, theirs)], min(ours) / min(theirs)
            text = f"{middle[0]:9.3f} {middle[1]:9.3f}   {middle[0] / middle[1]:.3f} {least:.3f}"
            print(f"{title:58} {backend}  {text}", flush=True)


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="tasks whose name contains this")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default="benchmarks/results.json")
    parser.add_argument("--against", metavar="PATH", help="another checkout: print this one's ratios to it")
    options = parser.parse_args()
    if options.against:
        compare(options.against, options.only, options.rounds, options.threads)
        return
    lossbook.set_threads(options.threads)
    versions = {name: version(name) for name in ("numpy", "numba", "sympy", "torch")}
    if missing := [name for name, found in versions.items() if found is None]:
        print(f"not installed, left out: {', '.join(missing)}")
    print(f"float32, {options.threads} threads, medians of {options.rounds}; milliseconds, then the ratio to Numba")
    rows = []
    for task in [task for task in TASKS if options.only in task.title]:
        row = measure(task, options.rounds, options.threads)
        rows.append(row)
        base = row["milliseconds"]["numba"]
        others = "  ".join(f"{n} {t:8.2f} ({t / base:4.1f}x)" for n, t in row["milliseconds"].items() if n != "numba")
        print(f"{row['task']:58} numba {base:7.2f}  {others}", flush=True)
    small = small_call(options.rounds)
    load, first = start_up(options.rounds)
    print(f"1000 elements, Numba, value and gradient: {small:.1f} microseconds a call")
    print(f"import lossbook: {load:.2f} s; first call of a cached kernel in a new process: {first:.2f} s")
    machine = {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version(), **versions}
    result = {
        "machine": machine, "tasks": rows, "small call microseconds": round(small, 1),
        "import seconds": round(load, 3), "cached first call seconds": round(first, 3),
    }  # fmt: skip
    with open(options.out, "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
