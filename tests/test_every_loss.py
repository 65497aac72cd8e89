"""The specification: what every loss is, on every backend and in every dtype.

Losses are found by discovery, so a new loss is covered by existing. Each test states one fact.
"""

import html
import inspect
import itertools
import pickle
from typing import get_args

import numpy as np
import pytest
import sympy
from cases import BACKENDS, DTYPES, LOSSES, Backend, column, ends, example, few, points, row_kind, rows, settings
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from mpmath import mp, mpf
from oracle import check, check_between, element, exact, pixels, row, value

import lossbook
from lossbook import DomainError, ShapeError, words
from lossbook.documentation import print_latex
from lossbook.typing import Language

POINTWISE = [loss for loss in LOSSES if loss.shape == "pointwise"]
WITH_PARAMETERS = [loss for loss in POINTWISE if loss.declaration.parameters]
ROWS = [loss for loss in LOSSES if loss.shape == "rows"]
OVERLAP = [loss for loss in LOSSES if loss.shape == "overlap"]
BY_CLASS = [loss for loss in LOSSES if loss.declaration.by_class]
ENTRIES = POINTWISE + [loss for loss in ROWS if row_kind(loss) == "entry"]  # no element knows of another
UNBOUNDED = [loss for loss in ENTRIES if not loss.declaration.of_prediction.bounded]

every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend in turn; CuPy's kernels run on the host."""
    with Backend(request.param).ready() as ready:
        yield ready


def symbols_of(loss, setting, arrays, index):
    """The oracle's symbols at one element: flags choose the form, the rest are exact numbers."""
    flags = {name: setting.get(name, loss.declaration.defaults[name]) for name in loss.declaration.flags}
    form = loss.formula_at(**flags)
    symbols = {symbol: exact(array[index]) for symbol, array in zip(form.arrays, arrays, strict=False)}
    for symbol in form.parameters:
        symbols[symbol] = exact(setting.get(symbol.name, loss.declaration.defaults[symbol.name]))
    return form, symbols


# --- 1, 2: accuracy --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", POINTWISE, ids=lambda loss: loss.name)
@every_dtype
def test_pointwise_value_and_gradient_are_exact_to_the_promised_ulp(loss, dtype):
    """Each element's value and slope agree with mpmath within 8 + |ln(exact)| ulp, on all three backends."""
    arrays = points(loss, dtype)
    for setting in settings(loss):
        results = {}
        for name in BACKENDS:
            with Backend(name).ready() as backend:
                results[name] = backend.call(loss.value_and_grad, *arrays, reduction="none", **setting)
        for i in range(arrays[0].size) if not setting else range(0, arrays[0].size, 7):
            form, symbols = symbols_of(loss, setting, arrays, i)
            where = f"{loss.name}{setting} at {[float(a[i]) for a in arrays]} ({dtype.__name__})"
            domain = form.domains[form.prediction]
            true, largest, *steep = element(form.formula, symbols, form.prediction, domain.low, domain.high)
            for name, (values, slopes) in results.items():
                check(values[i], true, dtype, what=f"value of {where} on {name}")
                at_rest = true == 0 and slopes[i] == 0 and arrays[0][i] in (domain.low, domain.high)
                if len(steep) > 1:
                    check_between(slopes[i], steep[:-1], dtype, largest, what=f"slope of {where} on {name}")
                elif not mp.isnan(steep[0]) and not at_rest:
                    size = largest if mp.isfinite(steep[0]) else None
                    check(slopes[i], steep[0], dtype, size, what=f"slope of {where} on {name}")


def exact_row(loss, setting, z, y):
    """(value, slopes, largest terms, whether each class is at rest) of one row, in mpmath."""
    form, symbols = symbols_of(loss, setting, (), ())
    symbols |= {words.classes: mpf(len(z)), form.prediction: list(map(exact, z)), form.target: list(map(exact, y))}
    domain = form.domains[form.prediction]
    true, *found = row(form.formula, symbols, form.prediction, form.target, domain.low, domain.high)
    return true, *(found[i : i + len(z)] for i in range(0, 3 * len(z), len(z)))


@pytest.mark.parametrize(
    ("loss", "soft"),
    [(loss, soft) for loss in ROWS for soft in (False, True) if soft or loss.declaration.by_class],
    ids=lambda given: getattr(given, "name", ("index", "distribution")[given is True]),
)
@every_dtype
def test_row_value_and_gradient_are_exact_to_the_promised_ulp(loss, dtype, soft):
    """Each row's value and the slope along each class agree with mpmath; where terms cancel, to the largest of them."""
    for z, y in rows(loss, dtype, soft):
        for setting in [{}] if z.shape[1] > 20 else settings(loss):
            check_rows(loss, dtype, z, y, setting, range(0, len(z), 3 if setting else 1))


def check_rows(loss, dtype, z, y, setting, wanted):
    """Compare the wanted rows of all backends with mpmath."""
    spread = y if y.ndim > 1 else np.eye(z.shape[1], dtype=dtype)[y]
    results = {}
    for name in BACKENDS:
        with Backend(name).ready() as backend:
            results[name] = backend.call(loss.value_and_grad, z, y, reduction="none", **setting)
    for i in wanted:
        true, slopes, largest, at_rest = exact_row(loss, setting, z[i], spread[i])
        where = f"{loss.name}{setting} at {z[i][:4]}, {spread[i][:4]} ({dtype.__name__})"
        for name, (values, gradient) in results.items():
            check(values[i], true, dtype, what=f"value of {where} on {name}")
            for j in range(z.shape[1]):
                if not (at_rest[j] and gradient[i, j] == 0):
                    check(gradient[i, j], slopes[j], dtype, largest[j], what=f"slope {j} of {where} on {name}")


@pytest.mark.parametrize("loss", [loss for loss in ROWS if loss.declaration.parameters], ids=lambda loss: loss.name)
@every_dtype
def test_rows_hold_the_promise_at_the_ends_of_every_parameter(loss, dtype):
    """A parameter at an end of its domain costs no digits of a row."""
    for z, y in rows(loss, dtype, soft=not loss.declaration.by_class):
        for setting in ends(loss) if z.shape[1] <= 20 else ():
            if dtype is np.float64:  # beyond 10, the rounding of float64 log-odds counts
                setting = {name: min(end, 10.0) for name, end in setting.items()}
            check_rows(loss, dtype, z, y, setting, range(0, len(z), 4))


def masks(dtype):
    """Four images of three classes: soft, full, empty, perfect, nearly perfect, absent and wrong masks."""
    random = np.random.default_rng(5)
    p = random.random((4, 3, 4, 5)).astype(dtype)
    y = (random.random(p.shape) < 0.4).astype(dtype)
    y[0, 0], y[0, 1], p[0, 2] = 0, 1, y[0, 2]
    p[1] = np.where(y[1] > 0, 1 - np.finfo(dtype).epsneg, 1e-9)
    p[2, 0] = y[2, 0] = 0
    p[2, 1] = y[2, 1] = 1
    p[2, 2, 0, 0], y[2, 2, 0, 0] = 0, 1
    y[3] = random.random(y[3].shape)
    p[3, 1, 1, 2], p[3, 2, 3, 4], y[3, 2] = 0, 1, 0
    return p, y


@pytest.mark.parametrize("loss", OVERLAP, ids=lambda loss: loss.name)
@every_dtype
def test_overlap_value_and_gradient_are_exact_to_the_promised_ulp(loss, dtype):
    """Each class's value and each pixel's slope agree with mpmath, also for empty, full and perfect masks.

    Where the value is 0 and cannot be smaller, and the exact slope infinite, the slope is 0.
    """
    p, y = masks(dtype)
    places = 0, 7, 19
    for setting in settings(loss):
        results = {}
        for name in BACKENDS:
            with Backend(name).ready() as backend:
                results[name] = backend.call(loss.value_and_grad, p, y, reduction="none", **setting)
        form, fixed = symbols_of(loss, setting, (), ())
        for n, c in np.ndindex(p.shape[:2]):
            symbols = fixed | {
                form.prediction: [exact(v) for v in p[n, c].ravel()],
                form.target: [exact(v) for v in y[n, c].ravel()],
            }
            where = f"{loss.name}{setting} on image {n}, class {c} ({dtype.__name__})"
            true, *found = pixels(form.formula, symbols, form.prediction, places)
            for name, (values, slopes) in results.items():
                check(values[n, c], true, dtype, what=f"value of {where} on {name}")
                for i, edge, largest in zip(places, found[:3], found[3:], strict=True):
                    got, what = slopes[n, c].ravel()[i], f"slope {i} of {where} on {name}"
                    if true == 0 and mp.isinf(edge):
                        assert got == 0, what
                    elif not mp.isnan(edge):  # infinity less infinity: the value is infinite because of another pixel
                        check(got, edge, dtype, largest, what=what)


@pytest.mark.parametrize("loss", WITH_PARAMETERS, ids=lambda loss: loss.name)
@every_dtype
def test_the_promise_holds_at_the_ends_of_every_parameter(loss, dtype):
    """A parameter at an end of its domain costs no digits: values and slopes of a few elements, far out as well."""
    columns = [few(loss.declaration.arguments[name], dtype) for name in loss.declaration.arrays]
    arrays = [np.array(column, dtype) for column in zip(*itertools.product(*columns), strict=True)]
    for setting in ends(loss):
        setting = {name: float(dtype(value)) for name, value in setting.items()}
        results = {}
        for name in BACKENDS:
            with Backend(name).ready() as backend:
                results[name] = backend.call(loss.value_and_grad, *arrays, reduction="none", **setting)
        for i in range(arrays[0].size):
            form, symbols = symbols_of(loss, setting, arrays, i)
            where = f"{loss.name}{setting} at {[float(a[i]) for a in arrays]} ({dtype.__name__})"
            domain = form.domains[form.prediction]
            true, largest, *steep = element(form.formula, symbols, form.prediction, domain.low, domain.high)
            for name, (values, slopes) in results.items():
                check(values[i], true, dtype, what=f"value of {where} on {name}")
                if len(steep) == 1 and mp.isfinite(steep[0]):
                    check(slopes[i], steep[0], dtype, largest, what=f"slope of {where} on {name}")


@every_loss
def test_minus_zero_is_zero(loss, backend):
    """-0.0 gives what 0.0 gives, as prediction and as target, in value and slope."""
    for dtype in DTYPES:
        arrays = example(loss, dtype, (6, 4), seed=2)
        domains = [loss.declaration.arguments[name] for name in loss.declaration.arrays]
        for k, (array, domain) in enumerate(zip(arrays, domains, strict=True)):
            if domain.holds(0.0):
                array[k::2] = 0  # zeros beside zeros, and beside other numbers
                array[5] = 0
        wanted = backend.call(loss.value_and_grad, *arrays, reduction="none")
        for signs in itertools.product((1, -1), repeat=len(arrays)):
            turned = [np.where(a == 0, a * sign, a) for a, sign in zip(arrays, signs, strict=True)]
            for got, want in zip(backend.call(loss.value_and_grad, *turned, reduction="none"), wanted, strict=True):
                np.testing.assert_array_equal(got, want)


# --- 3 to 6: the call ------------------------------------------------------------------------------------------------


@every_loss
@every_dtype
def test_value_and_grad_is_value_and_grad(loss, dtype, backend):
    """value_and_grad gives the same bits as the two calls apart, for every reduction."""
    arrays = example(loss, dtype)
    for reduction in ("none", "sum", "mean"):
        both = backend.call(loss.value_and_grad, *arrays, reduction=reduction)
        assert np.array_equal(both[0], backend.call(loss, *arrays, reduction=reduction))
        assert np.array_equal(both[1], backend.call(loss.grad, *arrays, reduction=reduction))


@every_loss
@every_dtype
def test_backends_agree(loss, dtype, backend):
    """Sums and gradients of every backend agree with NumPy's to a few ulp of the largest entry."""
    arrays = example(loss, dtype, (7, 4, 3, 5))
    near = 40 * np.finfo(dtype).eps
    for reduction in ("none", "sum", "mean"):
        for got, wanted in zip(
            backend.call(loss.value_and_grad, *arrays, reduction=reduction),
            loss.value_and_grad(*arrays, reduction=reduction),
            strict=True,
        ):
            np.testing.assert_allclose(got, wanted, rtol=near, atol=near * np.max(np.abs(wanted)))


@every_loss
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_and_shape_are_kept(loss, dtype, backend):
    """The prediction's dtype and shape come out; float16 is computed in float32."""
    arrays = example(loss, dtype)
    got, gradient = backend.call(loss.value_and_grad, *arrays)
    assert got.dtype == gradient.dtype == dtype
    assert gradient.shape == arrays[0].shape
    if dtype == np.float16:
        wide, steep = backend.call(loss.value_and_grad, *(a.astype(np.float32) for a in arrays))
        assert got == np.float16(wide)
        assert np.array_equal(gradient, steep.astype(np.float16))


@pytest.mark.parametrize("loss", POINTWISE, ids=lambda loss: loss.name)
def test_zero_dimensional_and_empty_arrays_work(loss, backend):
    """A 0-d array is one element; of an empty array the sum is 0, the mean NaN and the gradient empty."""
    arrays = [a.reshape(-1)[0:1] for a in example(loss, np.float64)]
    got, gradient = backend.call(loss.value_and_grad, *(a.reshape(()) for a in arrays))
    assert gradient.shape == ()
    assert got == backend.call(loss, *arrays)
    empty = [a[:0] for a in arrays]
    assert backend.call(loss, *empty, reduction="sum") == 0
    got, gradient = backend.call(loss.value_and_grad, *empty)
    assert np.isnan(got)
    assert gradient.shape == (0,)


@pytest.mark.parametrize("loss", ROWS + OVERLAP, ids=lambda loss: loss.name)
def test_no_rows_and_no_images_work(loss, backend):
    """Of no rows or images the sum is 0, the mean NaN and the gradient empty."""
    z, y = (a[:0] for a in example(loss, np.float32, (2, 3, 4)))
    assert backend.call(loss, z, y, reduction="sum") == 0
    got, gradient = backend.call(loss.value_and_grad, z, y)
    assert np.isnan(got)
    assert gradient.shape == (0, 3, 4)


@every_loss
def test_sums_are_made_in_float64(loss):
    """A sum of many float32 values is as good as their sum in float64, on the backends that have a host."""
    arrays = [np.repeat(a, 4000, axis=0) for a in example(loss, np.float32, (3, 4, 5))]
    each = loss(*arrays, reduction="none").astype(np.float64)
    for name in ("numpy", "numba"):
        got = loss(*arrays, reduction="sum", backend=name)
        assert abs(float(got) - each.sum()) <= 2e-7 * np.abs(each).sum()


@every_loss
def test_inputs_are_unchanged_and_may_be_read_only(loss, backend):
    """Inputs come back as they were, and read-only inputs are fine."""
    arrays = example(loss, np.float32)
    copies = [a.copy() for a in arrays]
    for array in arrays:
        array.flags.writeable = False
    backend.call(loss.value_and_grad, *arrays)
    for array, copy in zip(arrays, copies, strict=True):
        assert array.tobytes() == copy.tobytes()


LAYOUTS = {
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "fortran": np.asfortranarray,
    "inner step": lambda a: np.repeat(a, 3, axis=-1)[..., ::3],
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
}


@every_loss
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_layout_does_not_matter(loss, layout, name):
    """Strided, reversed, Fortran-ordered and byte-swapped arrays give what contiguous ones give."""
    arrays = example(loss, np.float32, (4, 5, 6))
    wanted, slopes = loss.value_and_grad(*arrays, backend=name, reduction="none")
    got, gradient = loss.value_and_grad(*map(LAYOUTS[layout], arrays), backend=name, reduction="none")
    np.testing.assert_array_max_ulp(got.astype(np.float32), wanted, 2)
    np.testing.assert_allclose(gradient.astype(np.float32), slopes, rtol=1e-6)


@every_loss
def test_out_receives_the_gradient(loss, backend):
    """The gradient is written into `out`, contiguous or not, and returned as that very array."""
    arrays = example(loss, np.float32)
    wanted = backend.call(loss.grad, *arrays)
    for make in (np.empty_like, lambda a: np.empty((*a.shape, 2), a.dtype)[..., 0]):
        out = make(arrays[0])
        held = backend.up(out)
        result = loss.grad(
            *map(backend.up, arrays), out=held, **({"backend": "numba"} if backend.name == "numba" else {})
        )
        assert result is held
        np.testing.assert_allclose(backend.down(held), wanted, rtol=1e-6)


@every_loss
def test_integer_and_bool_targets_are_labels(loss, backend):
    """Targets may be integers or bools where a label may be 0 or 1."""
    if not loss.declaration.target or loss.declaration.by_class:
        pytest.skip("no label per element")
    domain = loss.declaration.of_target
    values = np.array([[-1, 1] if domain.values else [0, 1]])
    z = example(loss, np.float32, (1, 2))[0]
    wanted = backend.call(loss, z, values.astype(np.float32))
    assert backend.call(loss, z, values.astype(np.int8)) == wanted
    assert backend.call(loss, z, values) == wanted
    if not domain.values:
        assert backend.call(loss, z, values.astype(bool)) == wanted


# --- 7, 8: sums and weights ------------------------------------------------------------------------------------------


@every_loss
def test_partial_sums_merge(loss, backend):
    """The partial sums of pieces finish to the loss of the whole, in any order; they pickle; nothing is the zero."""
    arrays = example(loss, np.float64, (9, 4, 3))
    for keywords in [{}, {"batch": True}] if loss.shape == "overlap" else [{}]:
        pieces = [backend.call(loss.partial, *(a[i : i + 2] for a in arrays), **keywords) for i in range(0, 9, 2)]
        nothing = backend.call(loss.partial, *(a[:0] for a in arrays), **keywords)
        for reduction in ("sum", "mean"):
            whole = float(backend.call(loss, *arrays, reduction=reduction, **keywords))
            forward = sum(pieces).finish(reduction)
            assert forward == pytest.approx(whole, rel=1e-12)
            assert sum(pieces[::-1]).finish(reduction) == pytest.approx(whole, rel=1e-12)
            assert (pieces[0] + nothing).finish(reduction) == pieces[0].finish(reduction)
            assert pickle.loads(pickle.dumps(pieces[0])).finish(reduction) == pieces[0].finish(reduction)
    with pytest.raises(ValueError, match="merge only within one loss"):
        pieces[0] + lossbook.regression.huber.partial(np.ones(2), np.ones(2), delta=3.0)


@every_loss
def test_weight_two_is_repetition_and_weight_zero_is_absence(loss, backend):
    """An item of weight 2 counts as two items; one of weight 0 is not there, even if it is NaN."""
    arrays = example(loss, np.float64, (5, 4, 3))
    weight = np.array([1.0, 2.0, 0.0, 1.0, 1.0])
    repeated = [a[[0, 1, 1, 3, 4]] for a in arrays]
    for reduction in ("sum", "mean"):
        got, gradient = backend.call(loss.value_and_grad, *arrays, weight=weight, reduction=reduction)
        wanted = backend.call(loss, *repeated, reduction=reduction)
        assert got == pytest.approx(float(wanted), rel=1e-12)
        assert not np.any(gradient[2])
        for bad in (np.nan, np.inf, -2.0):
            spoiled = [a.copy() for a in arrays]
            for array in spoiled:
                array[2] = bad
            again, slopes = backend.call(loss.value_and_grad, *spoiled, weight=weight, reduction=reduction)
            assert again == got
            assert np.array_equal(slopes, gradient)


@pytest.mark.parametrize("loss", BY_CLASS, ids=lambda loss: loss.name)
def test_an_item_of_weight_zero_may_have_labels_that_are_no_class(loss, backend):
    """As an unlabeled image has: value, slopes and partial sums are those of any other labels there."""
    z, y = example(loss, np.float32, (4, 3, 5), integer=True)
    weight, keywords = np.array([2.0, 0.0, 1.0, 0.0]), {"class_weight": np.array([1.0, 0.0, 2.0])}
    spoiled, labels = z.copy(), y.copy()
    spoiled[1], spoiled[3], labels[1], labels[3] = np.nan, np.inf, 255, -1
    for reduction in ("none", "sum", "mean"):
        wanted = backend.call(loss.value_and_grad, z, y, weight=weight, reduction=reduction, **keywords)
        got = backend.call(loss.value_and_grad, spoiled, labels, weight=weight, reduction=reduction, **keywords)
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
    pieces = [backend.call(loss.partial, *given, weight=weight, **keywords) for given in ((z, y), (spoiled, labels))]
    assert pieces[0].finish() == pieces[1].finish()


@pytest.mark.parametrize("shape", [(6, 5), (4, 3, 5), (3, 40)], ids=str)
@pytest.mark.parametrize("loss", [loss for loss in BY_CLASS if loss.shape == "rows"], ids=lambda loss: loss.name)
def test_ignored_rows_are_not_there(loss, shape, backend):
    """No value, no slope and no say in the mean, with and without weights, whatever they hold; the others are alone."""
    z, y = example(loss, np.float32, shape, integer=True)
    ignored = np.arange(y.size).reshape(y.shape) % 3 == 1
    gone, labels = z.copy(), np.where(ignored, 255, y)
    np.moveaxis(gone, 1, -1)[ignored] = np.nan
    alone, weight = (np.moveaxis(z, 1, -1)[~ignored], y[~ignored]), np.ones(y.shape)
    choices = ({}, {}), ({"class_weight": np.ones(shape[1])},) * 2, ({"weight": weight}, {"weight": weight[~ignored]})
    for (keywords, rest), reduction in itertools.product(choices, ("none", "sum", "mean")):
        options = {"ignore_index": 255, "reduction": reduction}
        got, gradient = backend.call(loss.value_and_grad, gone, labels, **keywords, **options)
        wanted, slopes = backend.call(loss.value_and_grad, *alone, **rest, **options)
        np.testing.assert_allclose(got[~ignored] if reduction == "none" else got, wanted, rtol=1e-5)
        np.testing.assert_allclose(np.moveaxis(gradient, 1, -1)[~ignored], slopes, rtol=1e-5)
        assert not np.any(np.moveaxis(gradient, 1, -1)[ignored])
        assert reduction != "none" or not np.any(got[ignored])


@pytest.mark.parametrize("loss", BY_CLASS, ids=lambda loss: loss.name)
def test_class_weights_of_one_change_nothing(loss, backend):
    """Not a bit of the value and of the gradient, for hard and for soft targets."""
    for integer in (True, False):
        arrays = example(loss, np.float32, (4, 3, 5), integer=integer)
        for reduction in ("none", "sum", "mean"):
            wanted = backend.call(loss.value_and_grad, *arrays, reduction=reduction)
            got = backend.call(loss.value_and_grad, *arrays, reduction=reduction, class_weight=np.ones(3))
            for one, other in zip(got, wanted, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("loss", OVERLAP, ids=lambda loss: loss.name)
def test_a_class_of_weight_zero_may_hold_anything(loss, backend):
    """Its predictions and its soft targets are not looked at, in any image, and their slope is 0."""
    for integer in (True, False):
        p, y = example(loss, np.float32, (2, 3, 5), integer=integer)
        keywords = {"class_weight": np.array([0.0, 1.0, 2.0])}
        for batch, bad in itertools.product((False, True), (np.nan, np.inf, 2.0)):
            spoiled = [p.copy(), y.copy()]
            spoiled[0][:, 0] = bad
            if not integer:
                spoiled[1][:, 0] = bad
            for reduction in ("none", "sum", "mean"):
                options = {"batch": batch, "reduction": reduction, **keywords}
                wanted = backend.call(loss.value_and_grad, p, y, **options)
                for one, other in zip(backend.call(loss.value_and_grad, *spoiled, **options), wanted, strict=True):
                    np.testing.assert_array_equal(one, other)
            pieces = [backend.call(loss.partial, *given, batch=batch, **keywords) for given in ((p, y), spoiled)]
            assert pieces[0].finish() == pieces[1].finish()


@pytest.mark.parametrize("loss", OVERLAP, ids=lambda loss: loss.name)
def test_what_is_left_out_does_not_enter_a_mean(loss, backend):
    """An image whose pixels are all ignored, or of weight 0, is as if it were not there; so is a class of an image."""
    p, y = example(loss, np.float64, (3, 3, 4, 5), integer=True)
    y[0], alive = 255, slice(1, None)
    pixels = np.ones((3, 4, 5)) * (y != 255)
    pixels[1:, :3] = 0  # those that come late count as well
    by_class = np.ones((3, 3, 4, 5))
    by_class[0], by_class[1, 2] = 0, 0
    soft = example(loss, np.float64, (3, 3, 4, 5))[1]
    for keywords, target in (({"ignore_index": 255}, y), ({"weight": pixels}, y), ({"weight": pixels}, soft)):
        rest = {name: array[alive] if name == "weight" else array for name, array in keywords.items()}
        for batch, reduction in itertools.product((False, True), ("sum", "mean")):
            options = {"batch": batch, "reduction": reduction}
            got, gradient = backend.call(loss.value_and_grad, p, target, **keywords, **options)
            wanted, slopes = backend.call(loss.value_and_grad, p[alive], target[alive], **rest, **options)
            assert got == wanted
            np.testing.assert_array_equal(gradient[alive], slopes)
            assert not np.any(gradient[0])
        assert backend.call(loss.partial, p, target, **keywords).finish() == wanted or batch
        assert not np.any(backend.call(loss, p, target, **keywords, reduction="none")[0])
    each = backend.call(loss, p, soft, weight=by_class, reduction="none")
    assert not np.any(each[0])
    assert each[1, 2] == 0
    assert backend.call(loss, p, soft, weight=by_class) == pytest.approx(np.sum(each) / 5, rel=1e-14)


@pytest.mark.parametrize("loss", OVERLAP, ids=lambda loss: loss.name)
def test_a_mean_of_no_image_is_nan(loss, backend):
    """All is ignored, or of weight 0, or there are no images, or they have no pixels: NaN, slope 0, and a sum of 0."""
    p, y = example(loss, np.float32, (2, 3, 5), integer=True)
    calls = [
        (p, np.full_like(y, 255), {"ignore_index": 255}),
        (p, y, {"weight": np.zeros((2, 5))}),
        (p, y, {"class_weight": np.zeros(3)}),
        (p[:0], y[:0], {}),
        (p[..., :0], y[:, :0], {}),
    ]
    for z, target, keywords in calls:
        for batch in (False, True):
            value, gradient = backend.call(loss.value_and_grad, z, target, **keywords, batch=batch)
            assert np.isnan(value)
            assert not np.any(gradient)
            assert np.isnan(backend.call(loss.partial, z, target, **keywords, batch=batch).finish())
            assert backend.call(loss, z, target, **keywords, batch=batch, reduction="sum") == 0
            assert not np.any(backend.call(loss, z, target, **keywords, batch=batch, reduction="none"))


@every_loss
def test_all_weights_zero_is_nan_and_zero_gradient(loss, backend):
    """With nothing to average the mean is NaN, the sum 0 and the gradient zero, without an exception."""
    arrays = example(loss, np.float32, (3, 4, 2))
    zero = np.zeros(3, np.float32)
    got, gradient = backend.call(loss.value_and_grad, *arrays, weight=zero)
    assert np.isnan(got)
    assert not np.any(gradient)
    assert backend.call(loss, *arrays, weight=zero, reduction="sum") == 0


@every_loss
def test_element_weights_scale(loss, backend):
    """With reduction="none" the value of an element, row or pixel is multiplied by its weight."""
    arrays = example(loss, np.float64, (5, 4, 3))
    random = np.random.default_rng(7)
    if loss.shape == "overlap":
        weight = (random.random((5, 3)) < 0.6).astype(float)
        some = backend.call(loss, *arrays, weight=weight, reduction="none")
        for n in range(5):
            kept = [a[n : n + 1][..., weight[n] > 0] for a in arrays]
            np.testing.assert_allclose(some[n], backend.call(loss, *kept, reduction="none")[0], rtol=1e-12)
        return
    plain, slopes = backend.call(loss.value_and_grad, *arrays, reduction="none")
    weight = random.random(plain.shape)
    got, gradient = backend.call(loss.value_and_grad, *arrays, weight=weight, reduction="none")
    np.testing.assert_allclose(got, plain * weight, rtol=1e-14)
    each = weight if loss.shape == "pointwise" else weight[:, None]
    np.testing.assert_allclose(gradient, slopes * each, rtol=1e-13)
    mean = backend.call(loss, *arrays, weight=weight)
    assert mean == pytest.approx(np.sum(plain * weight) / np.sum(weight), rel=1e-12)


# --- 9: bad input ----------------------------------------------------------------------------------------------------


@every_loss
def test_values_outside_the_domain_are_refused(loss, backend):
    """The message names the loss, the argument, the rule, the value and its place; inputs stay as they were."""
    for position, name in enumerate(loss.declaration.arrays):
        domain = loss.declaration.arguments[name]
        for bad in (bad for bad in (-0.25, 2.0) if not domain.holds(bad)):
            arrays = example(loss, np.float32)
            arrays[position][3, 2] = bad
            copies = [a.copy() for a in arrays]
            with pytest.raises(DomainError) as caught:
                backend.call(loss.value_and_grad, *arrays)
            place = (3, 2, 0)[: arrays[0].ndim]
            assert str(caught.value) == f"{loss.name}: {name} must be {domain.rule}; got {bad} at index {place}"
            assert all(np.array_equal(a, b) for a, b in zip(arrays, copies, strict=True))


@pytest.mark.parametrize("loss", BY_CLASS, ids=lambda loss: loss.name)
@pytest.mark.parametrize("bad", [-1, 5])
def test_class_indices_outside_the_range_are_refused(loss, backend, bad):
    """A class index must be one of 0..C-1."""
    z, y = example(loss, np.float32, (6, 5, 2), integer=True)
    y[3, 1] = bad
    with pytest.raises(DomainError, match=rf"y must be a class index in 0\.\.4; got {bad} at index \(3, 1\)"):
        backend.call(loss, z, y)


@every_loss
def test_shapes_never_broadcast(loss, backend):
    """Prediction and target must have the same shape: (3, 1) against (3,) is an error, never (3, 3)."""
    if loss.declaration.target is None:
        pytest.skip("no target")
    z, y = example(loss, np.float32, (4, 3))
    for wrong in (y[:1], y[:, :1], y.reshape(-1), y[None]):
        if loss.declaration.by_class and wrong.ndim == 1:
            continue
        with pytest.raises(ShapeError, match=f"{loss.name}: {loss.declaration.target} must have shape"):
            backend.call(loss, z, wrong)


@every_loss
def test_wrong_kinds_of_arrays_are_refused(loss):
    """Integer, bool, complex, object and masked predictions are refused with the loss and the argument named.

    Bools are no logits, but they are probabilities, and integers are values of regression.
    """
    arrays = example(loss, np.float32)
    name = loss.declaration.arrays[0]
    of_kind = {"i": arrays[0].astype(int), "b": arrays[0] > 0.5}
    allowed = {"Probability": "b", "Real": "i"}.get(loss.declaration.arguments[name].name)
    if allowed:
        whole = of_kind.pop(allowed)
        assert repr(loss(whole, *arrays[1:])) == repr(loss(whole.astype(float), *arrays[1:]))
    for bad in (
        *of_kind.values(),
        arrays[0].astype(complex),
        arrays[0].astype(object),
        np.ma.masked_array(arrays[0], arrays[0] > 0.5),
        np.array([["a"]]),
    ):
        with pytest.raises(DomainError, match=f"{loss.name}: {name} must"):
            loss(bad, *arrays[1:])


@every_loss
def test_bad_options_are_refused(loss, backend):
    """Wrong reductions, weights, parameters and outputs are refused, each with its rule."""
    arrays = example(loss, np.float32)
    with pytest.raises(DomainError, match="reduction must be 'none', 'sum' or 'mean'; got 'average'"):
        backend.call(loss, *arrays, reduction="average")
    with pytest.raises(TypeError, match="unknown argument 'gama'"):
        backend.call(loss, *arrays, gama=2.0)
    weight = np.ones(6, np.float32)
    weight[1] = -1
    with pytest.raises(DomainError, match=r"weight must be >= 0 and finite; got -1\.0 at index"):
        backend.call(loss, *arrays, weight=weight)
    with pytest.raises(ShapeError, match="weight must have shape"):
        backend.call(loss, *arrays, weight=np.ones((6, 7), np.float32))
    for name, default in loss.declaration.defaults.items():
        bad = {"Positive": 0.0, "NonNegative": -1.0, "Exponent": 1001.0, "Fraction": 1.5, "Flag": 2}[
            loss.declaration.arguments[name].name
        ]
        with pytest.raises(DomainError, match=f"{loss.name}: {name} must be"):
            backend.call(loss, *arrays, **{name: bad})
        with pytest.raises(DomainError, match=f"{loss.name}: {name} must be"):
            backend.call(loss, *arrays, **{name: "2"})
        if not isinstance(default, bool):
            with pytest.raises(DomainError, match=f"{loss.name}: {name} must be"):
                backend.call(loss, *arrays, **{name: float("nan")})
    with pytest.raises(ShapeError, match="out must have shape"):
        backend.call(loss.grad, *arrays, out=np.empty(3, np.float32))
    with pytest.raises(DomainError, match="out must have dtype float32"):
        backend.call(loss.grad, *arrays, out=np.empty(arrays[0].shape))
    if backend.name in ("numpy", "numba"):
        frozen = np.empty_like(arrays[0])
        frozen.flags.writeable = False
        with pytest.raises(DomainError, match="out must be writeable"):
            backend.call(loss.grad, *arrays, out=frozen)
        with pytest.raises(DomainError, match="out must not share memory"):
            backend.call(loss.grad, *arrays, out=arrays[0])


# --- NaN, infinity ---------------------------------------------------------------------------------------------------


@every_loss
def test_nan_prediction_gives_nan(loss, backend):
    """A NaN in a prediction is never swallowed: value and slope of its element (row, class) are NaN.

    A slope that does not depend on the prediction stays what it is.
    """
    arrays = example(loss, np.float32, (3, 4, 2))
    arrays[0][1, 2, 1] = np.nan
    values, gradient = backend.call(loss.value_and_grad, *arrays, reduction="none")
    place = {"pointwise": (1, 2, 1), "rows": (1, 1), "overlap": (1, 2)}[loss.shape]
    assert np.isnan(values[place])
    assert np.count_nonzero(np.isnan(values)) == 1
    assert np.isnan(gradient[1, 2, 1]) == loss.gradient.has(loss.formula_at().prediction)
    assert np.isnan(backend.call(loss, *arrays))


CHECKED = [loss for loss in LOSSES if loss.declaration.of_prediction.high < np.inf]


@pytest.mark.parametrize("loss", CHECKED, ids=lambda loss: loss.name)
def test_nan_hides_no_value_out_of_range(loss, backend):
    """A prediction out of range is an error, also where a NaN stands beside it."""
    arrays = example(loss, np.float32, (3, 4, 2))
    arrays[0][0, 0, 0], arrays[0][2, 1, 1] = np.nan, 7
    with pytest.raises(DomainError, match=r"got 7.0 at index \(2, 1, 1\)$"):
        backend.call(loss, *arrays)


@pytest.mark.parametrize("loss", UNBOUNDED, ids=lambda loss: loss.name)
@every_dtype
def test_infinite_predictions_give_the_limit(loss, dtype, backend):
    """At an infinite logit, log-probability or value the loss and its slope are the limits of what they are far out."""
    domain = loss.declaration.of_prediction
    targets = [column(loss.declaration.arguments[name], dtype) for name in loss.declaration.arrays[1:]]
    targets = [target[np.abs(target) < 1e6][:, None] for target in targets]
    for far in (np.finfo(dtype).min / 4, np.finfo(dtype).max / 4):
        if not domain.holds(far):
            continue
        z = np.full((targets or [np.ones((1, 1))])[0].shape, far, dtype)
        at_infinity, before = (
            backend.call(loss.value_and_grad, there, *targets, reduction="none")
            for there in (np.copysign(np.full_like(z, np.inf), z), z)
        )
        for got, far_out in zip(at_infinity, before, strict=True):
            np.testing.assert_array_equal(got, np.where(np.abs(far_out) > 1e15, np.copysign(np.inf, far_out), far_out))


@pytest.mark.parametrize("loss", [loss for loss in ROWS if loss not in ENTRIES], ids=lambda loss: loss.name)
@every_dtype
def test_infinite_logits_of_a_row_give_the_limit(loss, dtype, backend):
    """A masked class (-inf) costs nothing and gets no slope; a class at +inf is certain."""
    z = np.array([[-np.inf, 1, 2], [np.inf, 1, 2], [np.inf, 1, 2], [0, -np.inf, -np.inf]], dtype)
    y = np.array([2, 0, 1, 0])
    for target in (y, np.eye(3, dtype=dtype)[y]):
        values, gradient = backend.call(loss.value_and_grad, z, target, reduction="none")
        pair = backend.call(loss.value_and_grad, z[:1, 1:], np.array([1]), reduction="none")
        np.testing.assert_allclose(values[0], pair[0][0], rtol=1e-6)
        np.testing.assert_allclose(gradient[0], [0, *pair[1][0]], rtol=1e-6)
        assert values[1] == 0
        assert values[2] == np.inf
        assert values[3] == 0
        assert not np.any(gradient[[1, 3]])


# --- 10 to 12: properties --------------------------------------------------------------------------------------------


@every_loss
def test_declared_properties_hold(loss):
    """Minimum, maximum, convexity and symmetry are what the declaration says, on a grid."""
    facts = loss.properties
    assert set(facts) <= {"minimum", "maximum", "convex", "symmetric"}
    for setting in settings(loss):
        if loss.shape != "pointwise":
            (z, *y), (other, *_) = (example(loss, np.float64, (40, 3), seed) for seed in (0, 1))
            values = loss(z, *y, reduction="none", **setting)
            assert np.min(values) >= facts["minimum"]
            if facts.get("convex"):
                between = loss((z + other) / 2, *y, reduction="none", **setting)
                chord = (values + loss(other, *y, reduction="none", **setting)) / 2
                assert np.all(between <= chord * (1 + 1e-12))
            continue
        arrays = points(loss, np.float64)
        values = loss(*arrays, reduction="none", **setting)
        assert np.min(values) >= facts.get("minimum", -np.inf)
        assert np.max(values) <= float(facts.get("maximum", np.inf)) * (1 + 1e-15)
        if facts.get("symmetric"):
            np.testing.assert_allclose(values, loss(*arrays[::-1], reduction="none", **setting), rtol=1e-14)
        if facts.get("convex"):
            domain = loss.declaration.of_prediction
            grid = np.linspace(0, 1, 401) if domain.high == 1 else np.linspace(-30, 30, 401)
            others = [loss.declaration.arguments[name] for name in loss.declaration.arrays[1:]]
            for y in itertools.product(*(column(domain, np.float64)[:6] for domain in others)):
                slopes = loss.grad(grid, *(np.full_like(grid, v) for v in y), reduction="none", **setting)
                assert np.all(np.diff(slopes) >= -1e-12 * np.abs(slopes[1:]))


@pytest.mark.parametrize("loss", POINTWISE, ids=lambda loss: loss.name)
def test_gradient_is_the_finite_difference_of_the_value(loss, backend):
    """A second oracle: the slope agrees with a central difference of the package's own value in float64."""
    arrays = example(loss, np.float64, (200,))
    arrays[0] = np.clip(arrays[0], 0.01, 0.99) if loss.declaration.of_prediction.high == 1 else arrays[0]
    h = 1e-6
    up = backend.call(loss, arrays[0] + h, *arrays[1:], reduction="none")
    down = backend.call(loss, arrays[0] - h, *arrays[1:], reduction="none")
    slopes = backend.call(loss.grad, *arrays, reduction="none")
    np.testing.assert_allclose(slopes, (up - down) / (2 * h), rtol=1e-4, atol=1e-7)


# --- 13, 14: documentation and sources -------------------------------------------------------------------------------


@every_loss
def test_the_loss_documents_itself(loss):
    """The docstring has the formula, shapes, units, errors and source; repr and card show the loss."""
    text = inspect.getdoc(loss)
    for title in ("Parameters", "Returns", "Raises", "Notes", "References", "Examples"):
        assert f"\n{title}\n{'-' * len(title)}\n" in text
    for part in ("Formula", "ShapeError", "DomainError", "\nreduction : ", "\nweight : "):
        assert part in text
    assert str(loss.formula) in text
    assert loss.reference in text
    for name in loss.declaration.arguments:
        assert f"\n{name} : " in text
    assert loss.name in repr(loss)
    card = loss._repr_markdown_()
    assert loss.latex in card
    assert print_latex(loss.gradient) in card
    assert loss.reference in html.unescape(card)
    assert pickle.loads(pickle.dumps(loss)) is loss
    assert loss.name.split(".")[1] == loss.__name__
    assert str(inspect.signature(loss)) == str(loss.signature)


@pytest.mark.parametrize("loss", POINTWISE, ids=lambda loss: loss.name)
def test_the_textbook_form_is_the_same_function(loss):
    """The formula in exp and log has the exact value of the formula in words."""
    textbook = loss.textbook
    assert not textbook.atoms(words.Word)
    arrays = example(loss, np.float64, (5,), seed=3)
    for i in range(5):
        form, symbols = symbols_of(loss, {}, arrays, i)
        numbers = {symbol: sympy.Rational(*float(number).as_integer_ratio()) for symbol, number in symbols.items()}
        with mp.workdps(40):
            got = mpf(str(sympy.N(textbook.subs(numbers), 40)))
            true = value(form.formula, symbols)
            assert abs(got - true) <= abs(true) * mpf(10) ** -30


@every_loss
def test_every_backend_shows_its_source(loss):
    """source() gives the text that runs, or that of a framework, which need not be there: it names the loss."""
    for name in get_args(Language):
        for dtype in ("float32", "float64"):
            text = loss.source(name, dtype=dtype)
            assert loss.name in text
            assert "element" in text


# --- random shapes, strides, weights ---------------------------------------------------------------------------------


@every_loss
@how(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_shape_any_stride_any_weight(loss, data):
    """Whatever the shape, order and weights: NumPy and Numba agree, and the mean is sum(w*l)/sum(w)."""
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=2, max_size=4), label="shape"))
    if loss.evaluation.compares_classes:  # of one class there is nothing to compare
        shape = (shape[0], max(shape[1], 2), *shape[2:])
    seed = data.draw(st.integers(0, 2**16), label="seed")
    integer = data.draw(st.booleans(), label="integer")
    arrays = example(loss, np.float64, shape, seed, integer)
    order = data.draw(st.permutations(range(len(shape))), label="order")
    random = np.random.default_rng(seed)
    arrays = [
        np.ascontiguousarray(np.transpose(a, order)).transpose(np.argsort(order)) if a.ndim == len(shape) else a
        for a in arrays
    ]
    elements = shape if loss.shape == "pointwise" else (shape[0], *shape[2:])
    weight = random.integers(0, 3, elements).astype(float)
    values, slopes = loss.value_and_grad(*arrays, weight=weight, reduction="none")
    again, gradient = loss.value_and_grad(*arrays, weight=weight, reduction="none", backend="numba")
    np.testing.assert_allclose(values, again, rtol=1e-12)
    np.testing.assert_allclose(slopes, gradient, rtol=1e-11, atol=1e-14)
    if loss.shape != "overlap":
        mean = loss(*arrays, weight=weight)
        total = np.sum(weight)
        assert np.isnan(mean) if total == 0 else mean == pytest.approx(np.sum(values) / total, rel=1e-12)
