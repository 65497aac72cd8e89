"""Rules of weights and of sums for every loss of elements and rows: what weighs nothing is not there, NaN is never
hidden, a row does not know of its neighbours, and no size of weights or number of classes costs digits.
"""

import numpy as np
import pytest
from cases import BACKENDS, DTYPES, EVERY_LOSS, LOSSES, Backend, example, row_kind

from lossbook import multiclass

ROWS = [loss for loss in LOSSES if loss.shape == "rows"]
BY_CLASS = [loss for loss in ROWS if loss.declaration.by_class]
SINGLE = [loss for loss in LOSSES if loss.shape in ("rows", "pointwise")]  # of elements or rows

every = pytest.mark.parametrize("loss", SINGLE, ids=lambda loss: loss.name)
every_row = pytest.mark.parametrize("loss", BY_CLASS, ids=lambda loss: loss.name)
soft = pytest.mark.parametrize("soft", [False, True], ids=["index", "distribution"])


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend in turn; CuPy's kernels run on the host."""
    with Backend(request.param).ready() as ready:
        yield ready


@every_row
@soft
def test_a_class_of_weight_0_is_not_there(loss, backend, soft):
    """Whatever stands at a class of weight 0, even a sure mistake or NaN, enters neither value nor gradient."""
    z, y = example(loss, np.float32, (6, 3), integer=True)
    y[:] = 1, 0, 2, 1, 0, 2
    entries = row_kind(loss) == "entry"  # where classes compete, the class still stands beside the others
    spoiled = [0.0 if loss.declaration.of_prediction.low == 0 else -np.inf] + ([np.nan, 7.0] if entries else [])
    target, kept = np.eye(3, dtype=np.float32)[y] if soft else y, y != 0
    for reduction in ("none", "sum", "mean"):
        options = {"class_weight": np.array([0, 1, 2.0]), "reduction": reduction}
        wanted, slopes = backend.call(loss.value_and_grad, z, target, **options)
        for bad in spoiled:
            worse = z.copy()
            worse[slice(None) if entries else ~kept, 0] = bad
            value, gradient = backend.call(loss.value_and_grad, worse, target, **options)
            assert np.array_equal(value, wanted), (bad, reduction)
            assert np.array_equal(gradient, slopes), (bad, reduction)


@every
@soft
def test_nan_in_gives_nan_out(loss, backend, soft):
    """A NaN anywhere in a row, or in a target that may be any number, makes the value NaN and its own slope."""
    if not soft and not loss.declaration.by_class:
        pytest.skip("no class indices")
    arrays = example(loss, np.float32, (3, 4), integer=not soft)
    where = 2
    if not soft:
        arrays[1][1] = 0  # not the class of the NaN
    arrays[0][1, where] = np.nan
    values, gradient = backend.call(loss.value_and_grad, *arrays, reduction="none")
    assert np.isnan(values[1] if loss.shape == "rows" else values[1, where])
    if not soft or loss.gradient.has(loss.formula_at().prediction):  # else the slope does not depend on it
        assert np.isnan(gradient[1, where])
    assert not np.any(np.isnan(gradient[[0, 2]]))
    assert np.isnan(backend.call(loss, *arrays))
    if loss.declaration.target and not loss.declaration.of_target.checked:
        arrays = example(loss, np.float32, (3, 4))
        arrays[1][1, where] = np.nan
        assert np.isnan(backend.call(loss, *arrays, reduction="none")[1, where])


@every
def test_nan_shows_where_a_parameter_is_zero(loss, backend):
    """A parameter of 0, as pos_weight, does not hide a NaN."""
    arrays = example(loss, np.float32, (3, 4))
    if loss.declaration.target and loss.declaration.of_target.high == 1.0 and not loss.declaration.by_class:
        arrays[1][:] = 1
    arrays[0][1, 2] = np.nan
    for name in loss.declaration.parameters:
        if loss.declaration.arguments[name].holds(0.0):
            assert np.isnan(backend.call(loss, *arrays, **{name: 0.0})), name


@every
@soft
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("name", ["numpy", "cupy"])
def test_a_row_alone_has_the_bits_of_the_row_in_a_batch(loss, dtype, soft, name):
    """Value and slopes of a row, or an element, do not depend on what stands beside it."""
    if not soft and not loss.declaration.by_class:
        pytest.skip("no class indices")
    check_alone(loss, dtype, soft, name, (2, 3, 40, 300) if loss.shape == "rows" else (5,))


@pytest.mark.parametrize(
    "loss", [multiclass.cross_entropy_with_logits, multiclass.kullback_leibler, multiclass.perceptron],
    ids=lambda loss: loss.name,
)  # fmt: skip
@soft
def test_a_row_alone_has_the_bits_of_the_row_in_a_batch_on_numba(loss, soft):
    """The same on Numba, where each loss takes seconds to compile, for one loss of each kind."""
    check_alone(loss, np.float32, soft, "numba", (2, 3, 40, 300))


def check_alone(loss, dtype, soft, name, sizes):
    with Backend(name).ready() as backend:
        for classes in sizes:
            for shape in ((19, classes), (3, classes, 7)):
                arrays = example(loss, dtype, shape, seed=classes, integer=not soft)
                values = backend.call(loss, *arrays, reduction="none")
                slopes = backend.call(loss.grad, *arrays, reduction="sum")
                for n in range(0, shape[0], 2):
                    alone = [array[n : n + 1] for array in arrays]
                    assert backend.call(loss, *alone, reduction="none").tobytes() == values[n : n + 1].tobytes()
                    assert backend.call(loss.grad, *alone, reduction="sum").tobytes() == slopes[n : n + 1].tobytes()


@every
@pytest.mark.parametrize("size", [1e-40, 1e-20, 1e30, 1e38])
def test_weights_of_any_size(loss, backend, size):
    """Means and their gradients do not change when all weights are multiplied by one number, however large or small."""
    arrays = example(loss, np.float32, (6, 5))
    weight = np.linspace(0.5, 2, 6).astype(np.float32)
    value, gradient = backend.call(loss.value_and_grad, *arrays, weight=weight)
    scaled = (weight.astype(np.float64) * size).astype(np.float32)
    if np.float32(size) < np.finfo(np.float32).tiny:  # subnormal weights have few digits
        scaled, weight = np.full(6, size, np.float32), np.ones(6, np.float32)
        value, gradient = backend.call(loss.value_and_grad, *arrays, weight=weight)
    got, slopes = backend.call(loss.value_and_grad, *arrays, weight=scaled)
    assert got == pytest.approx(float(value), rel=1e-6)
    np.testing.assert_allclose(slopes, gradient, rtol=1e-5, atol=1e-30)
    if loss.declaration.by_class:
        of_class = np.full(5, size, np.float64)
        got, slopes = backend.call(loss.value_and_grad, *arrays, weight=scaled, class_weight=of_class)
        value, gradient = backend.call(loss.value_and_grad, *arrays, weight=weight, class_weight=np.ones(5))
        assert got == pytest.approx(float(value), rel=1e-6)
        np.testing.assert_allclose(slopes, gradient, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("loss", [loss for loss in EVERY_LOSS if loss.shape in ("rows", "boxes")], ids=lambda l: l.name)
def test_the_call_and_the_gradient_agree_to_the_bit(loss, backend):
    """The call and value_and_grad give the same bits under weights, for every reduction."""
    random = np.random.default_rng(0)
    if loss.shape == "boxes":
        corners = [np.sort(random.random((999, 2, 2)), axis=1).reshape(999, 4) for _ in range(2)]
        arrays, options = [a.astype(np.float32) for a in corners], {}
    else:
        arrays = example(loss, np.float32, (999, 3), integer=loss.declaration.by_class)
        options = {"class_weight": random.random(3)} if loss.declaration.by_class else {}
    weight = random.random(999).astype(np.float32)
    for reduction in ("none", "sum", "mean"):
        both = backend.call(loss.value_and_grad, *arrays, weight=weight, reduction=reduction, **options)[0]
        assert np.array_equal(both, backend.call(loss, *arrays, weight=weight, reduction=reduction, **options))


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("classes", [100, 3000, 100_000])
def test_smoothed_slopes_of_many_classes(classes, name):
    """Slopes are as exact for many classes as for few: 8 + |ln| ulp of the largest term."""
    random = np.random.default_rng(0)
    z, y = (2 * random.normal(size=(4, classes))).astype(np.float32), random.integers(0, classes, 4)
    share = float(np.float32(0.1))
    odds = np.exp(z.astype(np.longdouble) - z.max(axis=1, keepdims=True))
    odds /= odds.sum(axis=1, keepdims=True)
    target = np.full(z.shape, share / classes, np.longdouble)
    target[np.arange(4), y] += 1 - share
    exact, largest = odds * target.sum(axis=1, keepdims=True) - target, np.maximum(odds, target)
    got = multiclass.cross_entropy_with_logits.grad(z, y, smoothing=0.1, reduction="sum", backend=name)
    error = np.abs(got - exact) / np.spacing(largest.astype(np.float32))
    assert np.max(error) <= 8 + np.max(np.abs(np.log(largest)))


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_a_tiny_smoothing_keeps_its_digits(name):
    """A compiler that moves parentheses would give 4.768e-7."""
    z = np.float32([[0, -24]])
    got = multiclass.cross_entropy_with_logits.grad(z, np.array([0]), smoothing=1e-6, backend=name)
    np.testing.assert_allclose(got, [[4.99962e-7, -4.99962e-7]], rtol=2e-6)
