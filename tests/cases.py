"""What the tests draw from: losses by discovery, backends, and inputs made from the domains of the arguments."""

import contextlib
import importlib
import itertools
import pkgutil
from dataclasses import dataclass
from typing import Any

import fake_cupy
import numpy as np

import lossbook
from lossbook import Loss

DTYPES = (np.float32, np.float64)
BACKENDS = ("numpy", "numba", "cupy")


def every_loss():
    """All losses of the package, by name."""
    found = {}
    for module in pkgutil.iter_modules(lossbook.__path__):
        if module.name in ("figures",):
            continue
        for item in vars(importlib.import_module(f"lossbook.{module.name}")).values():
            if isinstance(item, Loss):
                found[item.name] = item
    return [found[name] for name in sorted(found)]


LOSSES = every_loss()


def settings(loss):
    """The defaults, and every parameter moved to other values of its domain, one at a time."""
    others = {
        "Positive": (0.5, 8.0),
        "NonNegative": (0.0, 0.5, 3.0),
        "Fraction": (0.0, 0.25, 1.0),
        "Flag": (True, False),
    }
    yield {}
    for name, default in loss._defaults.items():
        for value in others[loss._arguments[name].name]:
            if value != default:
                yield {name: value}


@dataclass
class Backend:
    """A way to call losses with NumPy arrays on any backend, and to get NumPy arrays back."""

    name: str

    def __repr__(self):
        return self.name

    @contextlib.contextmanager
    def ready(self):
        if self.name == "cupy":
            with fake_cupy.install() as module:
                self.module = module or fake_cupy
                yield self
        else:
            yield self

    def up(self, array: Any):
        if self.name == "cupy" and isinstance(array, np.ndarray):
            return fake_cupy.asarray(array)
        return array

    def down(self, array: Any):
        return fake_cupy.asnumpy(array) if self.name == "cupy" and isinstance(array, fake_cupy.ndarray) else array

    def call(self, function, *arrays, **keywords):
        """function is a loss or one of its methods."""
        if self.name == "numba":
            keywords = {"backend": "numba", **keywords}
        result = function(*map(self.up, arrays), **{name: self.up(value) for name, value in keywords.items()})
        return tuple(map(self.down, result)) if isinstance(result, tuple) else self.down(result)


def logits(dtype):
    top = float(np.finfo(dtype).max)
    far = [
        0.0,
        1e-30,
        1e-7,
        1e-3,
        0.1,
        0.5,
        1.0,
        3.0,
        8.0,
        16.7,
        20.0,
        37.0,
        60.0,
        87.0,
        88.8,
        104.0,
        200.0,
        700.0,
        745.0,
        1e4,
    ]
    far += [1e30, top / 4]
    spread = np.random.default_rng(1).normal(scale=6, size=12)
    return np.unique(np.concatenate([far, np.negative(far), spread]).astype(dtype))


def probabilities(dtype):
    info = np.finfo(dtype)
    # Sixteen times the smallest normal number: below that a mixture of probabilities is no longer normal.
    near = [
        0.0,
        16 * float(info.tiny),
        1e-30,
        1e-10,
        1e-7,
        1e-3,
        0.1,
        0.3,
        0.5,
        0.75,
        0.999,
        1 - float(info.epsneg),
        1.0,
    ]
    near += [0.5 - float(info.epsneg), 0.5 + float(info.eps)]
    return np.unique(np.concatenate([near, np.random.default_rng(2).random(12)]).astype(dtype))


def column(domain, dtype):
    """Ordinary, boundary and extreme values of a domain."""
    if domain.values:
        return np.array(domain.values, dtype)
    if domain.high == 1.0:
        values = probabilities(dtype)
        return values if domain.role == "prediction" else np.append(values[::5], values.dtype.type(1))
    return logits(dtype) if domain.role == "prediction" else logits(dtype)[::6]


def points(loss, dtype):
    """Prediction and target of a pointwise loss: all pairs of the values above, and pairs that nearly agree."""
    domains = [loss._arguments[name] for name in loss._arrays]
    columns = [column(domain, dtype) for domain in domains]
    table = np.array(list(itertools.product(*columns)), dtype)
    if len(domains) == 2 and not domains[1].values:
        both = columns[1]
        steps = np.array([0, 1, -1, 3, 1e3, -1e5]) * float(np.finfo(dtype).epsneg)
        near = np.array([(y * (1 + step), y) for y in both for step in steps], dtype)
        low, high = domains[0].low, domains[0].high
        table = np.concatenate([table, near[(near[:, 0] >= low) & (near[:, 0] <= high)]])
    return [np.ascontiguousarray(part) for part in table.T]


def rows(dtype, seed=0):
    """Matrices of logits: ordinary, confident, tied, extreme rows, of several numbers of classes."""
    random = np.random.default_rng(seed)
    for classes in (1, 2, 3, 11):
        parts = [random.normal(scale=scale, size=(3, classes)) for scale in (1, 8, 60)]
        sure = np.zeros((2, classes))
        sure[:, 0] = 17, 40
        parts += [sure, np.full((1, classes), 3.0), np.full((1, classes), 1e8), -sure[:1] * 20]
        yield np.concatenate(parts).astype(dtype)
    yield random.normal(scale=6, size=(2, 300)).astype(dtype)


def distributions(shape, dtype, seed=0):
    """Soft targets along axis 1, some of them one-hot."""
    random = np.random.default_rng(seed)
    soft = random.dirichlet(np.full(shape[1], 0.4), size=(shape[0], *shape[2:]))
    soft[::3] = np.eye(shape[1])[random.integers(0, shape[1], soft[::3].shape[:-1])]
    return np.ascontiguousarray(np.moveaxis(soft, -1, 1).astype(dtype))


def example(loss, dtype, shape=(6, 5), seed=0, integer=False):
    """One ordinary input of the given shape (classes along axis 1 where there are classes)."""
    random = np.random.default_rng(seed)
    if loss.shape != "pointwise" and integer:
        y = random.integers(0, shape[1], (shape[0], *shape[2:]))
        return [example(loss, dtype, shape, seed)[0], y]
    arrays = []
    for name in loss._arrays:
        domain = loss._arguments[name]
        if domain.name == "Classes":
            values = distributions(shape, dtype, seed)
        elif domain.values:
            values = random.choice(domain.values, size=shape)
        elif domain.high == 1.0:
            values = random.random(shape)
        elif domain.high == 0.0:
            values = -random.exponential(scale=3, size=shape)
        else:
            values = random.normal(scale=3, size=shape)
        arrays.append(values.astype(dtype))
    return arrays
