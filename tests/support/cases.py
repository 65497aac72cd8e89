"""What the tests draw from: losses by discovery, backends, and inputs made from the domains of the arguments."""

import contextlib
import importlib
import itertools
import math
import os
import pkgutil
from dataclasses import dataclass
from typing import Any

import fake_cupy
import frameworks
import numpy as np

import lossbook
from lossbook import Loss

DTYPES = (np.float32, np.float64)
# Those of the package; `make test-frameworks` asks for tensors and texts of PyTorch in their place.
BACKENDS = tuple(os.environ.get("LOSSBOOK_TEST_BACKENDS", "numpy,numba,cupy").split(","))


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


EVERY_LOSS = every_loss()
# Losses of boxes, of several predictions and of distances want arguments of other shapes, and have tests of their own.
LOSSES = [loss for loss in EVERY_LOSS if loss.shape in ("pointwise", "rows", "overlap")]


def settings(loss):
    """The defaults, and every parameter moved to other values of its domain, one at a time."""
    others = {
        "Positive": (0.5, 8.0),
        "NonNegative": (0.0, 0.5, 3.0),
        "Exponent": (0.0, 0.5, 3.0),
        "Fraction": (0.0, 0.25, 1.0),
        "Flag": (True, False),
    }
    yield {}
    for name, default in loss.declaration.defaults.items():
        for value in others[loss.declaration.arguments[name].name]:
            if value != default:
                yield {name: value}


def ends(loss):
    """Every parameter at the ends of its domain, one at a time, and next to 0; 1e30 stands for an end that is none."""
    for name in loss.declaration.parameters:
        domain = loss.declaration.arguments[name]
        if not domain.open_low:
            yield {name: domain.low}
        yield {name: 1e-30}
        yield {name: min(domain.high, 1e30)}


def few(domain, dtype):
    """A handful of values of a domain: ordinary ones, and some at its ends or far out."""
    info = np.finfo(dtype)
    if domain.values:
        return domain.values
    if domain.high == 1.0:
        small = max(float(info.smallest_subnormal) * 3, 1e-300), float(info.tiny), 1e-9
        return (0.0, 0.4, 1.0, 3 * small[0]) if domain.role == "target" else (*small, 0.1, 0.7, 1 - float(info.epsneg))
    vanishes = -1.1 * math.log(info.tiny)  # exp of minus this is not a normal number
    far = (-3e-3, 2.0, 1e15) if domain.role == "target" else (1e-30, -3e-3 * (1 + 1e-6), 2.5, -60.0, vanishes, 1e15)
    return [value for value in far if domain.holds(value)]


@dataclass
class Backend:
    """A way to call losses with NumPy arrays on any backend, and to get NumPy arrays back."""

    name: str

    def __repr__(self):
        return self.name

    @contextlib.contextmanager
    def ready(self):
        if self.name in frameworks.WAYS:
            yield frameworks.WAYS[self.name]()
        elif self.name == "cupy":
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
        if self.name not in ("numpy", "cupy"):  # which arrays choose by themselves
            keywords = {"backend": self.name, **keywords}
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
    values = logits(dtype) if domain.role == "prediction" else logits(dtype)[::6]
    return values[(values >= domain.low) & (values <= domain.high)]


def points(loss, dtype):
    """Prediction and target of a pointwise loss: all pairs of the values above, and pairs that nearly agree."""
    domains = [loss.declaration.arguments[name] for name in loss.declaration.arrays]
    columns = [column(domain, dtype) for domain in domains]
    table = np.array(list(itertools.product(*columns)), dtype)
    if len(domains) == 2 and not domains[1].values:
        both = columns[1]
        steps = np.array([0, 1, -1, 3, 1e3, -1e5]) * float(np.finfo(dtype).epsneg)
        near = np.array([(y * (1 + step), y) for y in both for step in steps], dtype)
        low, high = domains[0].low, domains[0].high
        table = np.concatenate([table, near[(near[:, 0] >= low) & (near[:, 0] <= high)]])
    return [np.ascontiguousarray(part) for part in table.T]


def row_kind(loss):
    """What a row loss is made of: "log_odds", "minus_largest" or "entry"."""
    return loss.evaluation.plan(*loss.settings({}), integer=False).row


def rows(loss, dtype, soft):
    """Predictions and targets of a row loss, for several numbers of classes; targets are indices unless `soft`."""
    if row_kind(loss) == "entry":
        yield from entries(loss, dtype, soft)
    else:
        random = np.random.default_rng(3)
        for z in scores(dtype):
            labels = random.integers(0, z.shape[1], len(z))
            labels[-3:] = 0
            yield z, distributions(z.shape, dtype) if soft else labels
    z, y = example(loss, dtype, (2, 300), seed=4, integer=not soft)
    if loss.declaration.of_prediction.high > 1:
        z[1, 7] = 40  # one row is sure
        y[1] = np.arange(300) == 7 if soft else 7
    yield z, y


def scores(dtype):
    """Matrices of logits: ordinary, confident, tied, extreme rows."""
    random = np.random.default_rng(0)
    for classes in (2, 3, 11):
        parts = [random.normal(scale=scale, size=(3, classes)) for scale in (1, 8, 60)]
        sure = np.zeros((2, classes))
        sure[:, 0] = 17, 40
        parts += [sure, np.full((1, classes), 3.0), np.full((1, classes), 1e8), -sure[:1] * 20]
        yield np.concatenate(parts).astype(dtype)


def entries(loss, dtype, soft):
    """Rows whose classes do not know of each other: every value of the domain, and if `soft` every pair of `points`."""
    random = np.random.default_rng(0)
    for classes, thin in ((1, 5), (3, 1), (20, 2)):
        if soft:
            order = random.permutation(len(points(loss, dtype)[0]))[::thin]
            order = order[: order.size // classes * classes]
            yield [array[order].reshape(-1, classes) for array in points(loss, dtype)]
        else:
            values = column(loss.declaration.of_prediction, dtype)[::thin]
            z, labels = random.choice(values, (values.size, classes)), np.arange(values.size) % classes
            z[np.arange(values.size), labels] = values
            yield z, labels


def distributions(shape, dtype, seed=0):
    """Soft targets along axis 1, some of them one-hot."""
    random = np.random.default_rng(seed)
    soft = random.dirichlet(np.full(shape[1], 0.4), size=(shape[0], *shape[2:]))
    soft[::3] = np.eye(shape[1])[random.integers(0, shape[1], soft[::3].shape[:-1])]
    return np.ascontiguousarray(np.moveaxis(soft, -1, 1).astype(dtype))


def example(loss, dtype, shape=(6, 5), seed=0, integer=False):
    """One ordinary input of the given shape (classes along axis 1 where there are classes); class indices if wanted.

    Losses of totals need an axis of space, which has length 4 where the shape says nothing of it.
    """
    if loss.shape == "overlap" and len(shape) == 2:
        shape = (*shape, 4)
    random = np.random.default_rng(seed)
    if loss.declaration.by_class and integer:
        return [example(loss, dtype, shape, seed)[0], random.integers(0, shape[1], (shape[0], *shape[2:]))]
    arrays = []
    for name in loss.declaration.arrays:
        domain = loss.declaration.arguments[name]
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


def shown(loss, dtype=np.float32):
    """A small call for which that kernel runs which `source` shows: of class indices, if they have one of their own."""
    plan = loss.evaluation.plan(*loss.settings({}), integer=loss.shape == "rows")
    return example(loss, dtype, (2, 3), integer=plan.hard)


def several(loss, dtype=np.float64, count=7):
    """(arrays, weights) of a call of a loss with several predictions."""
    random = np.random.default_rng(0)
    if loss.declaration.target is None:
        weights = random.random(9), random.random(4)
        return [random.random(9).astype(dtype), random.random((4, 3)).astype(dtype)], weights
    weight = random.random(count) * (np.arange(count) != 2)
    boxes, targets = random.normal(size=(count, 4)).astype(dtype), random.normal(size=(count, 4))
    if "labels" in loss.declaration.arrays:
        return [random.random(count).astype(dtype), boxes, random.integers(-1, 2, count), targets], weight
    scores, classes = random.dirichlet(np.ones(3), count).astype(dtype), random.integers(0, 3, count)
    if "masks" not in loss.declaration.arrays:
        return [scores, boxes, classes, targets], weight
    masks, true = random.random((count, 3, 2, 3)).astype(dtype), random.random((count, 2, 3))
    return [scores, boxes, masks, classes, targets, true], weight
