"""Second derivatives: what `hessian`, `hvp` and `value_grad_and_hessian` are, of every loss on every backend.

Losses are found by discovery, so a new loss is covered by existing.
"""

import numpy as np
import pytest
import sympy
from cases import BACKENDS, DTYPES, EVERY_LOSS, LOSSES, Backend, example, few, row_kind, settings, several
from mpmath import mp, mpf
from oracle import Evaluator, check, exact, gradient, is_kink, largest_term, slope

import lossbook.hessians.evaluate
from lossbook import Classes, Flag, Logit, Positive, detection, multiclass, regression, segmentation, words

POINTWISE = [loss for loss in LOSSES if loss.shape == "pointwise"]
ROWS = [loss for loss in LOSSES if loss.shape == "rows"]
OVERLAP = [loss for loss in LOSSES if loss.shape == "overlap"]
every_loss = pytest.mark.parametrize("loss", EVERY_LOSS, ids=lambda loss: loss.name)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend in turn; CuPy's kernels run on the host."""
    with Backend(request.param).ready() as ready:
        yield ready


def arguments(loss, dtype=np.float64, seed=0):
    """Arrays of a small ordinary call, with class indices where there are any."""
    random = np.random.default_rng(seed)
    if len(loss.declaration.predictions) > 1:
        return several(loss, dtype)[0]
    if loss.shape == "boxes":
        corners = random.random((5, 2)) * 8
        box = np.concatenate([corners, corners + 1 + 3 * random.random((5, 2))], 1)
        return [(box + 0.4 * random.random(box.shape)).astype(dtype), box.astype(dtype)]
    if loss.shape == "distance":
        return [random.random((2, 3, 4, 5)).astype(dtype), random.integers(0, 3, (2, 4, 5))]
    return example(loss, dtype, (3, 4), seed, integer=True)


def in_parts(loss, arrays):
    """(predictions, other arrays) of a call."""
    count = len(loss.declaration.predictions)
    return arrays[:count], arrays[count:]


def as_tuple(result):
    """The result of one prediction as that of several."""
    return result if isinstance(result, tuple) else (result,)


# --- accuracy --------------------------------------------------------------------------------------------------------


def ways(setting):
    """The backends that a setting is tried on: further ones of the same kernel on the first alone."""
    return BACKENDS[:1] if setting else BACKENDS


def second(form, symbols, at):
    """(exact second derivative, largest of the terms that are added up) along the prediction of an element."""
    slopes = gradient(form.formula, at)
    domain = form.domains[form.prediction]
    true = slope(slopes, symbols, at, low=domain.low, high=domain.high)
    return true, largest_term(gradient(slopes, at), symbols)


def fits(form, symbols, true, dtype):
    """Whether the second derivative, and each word that it is made of, is no larger than the dtype can hold."""
    twice = gradient(gradient(form.formula, form.prediction), form.prediction)
    with mp.workdps(60):
        here = Evaluator(symbols)
        numbers = [true, *map(here, twice.atoms(sympy.Function))]
        return all(mp.isfinite(number) and abs(number) < mpf(float(np.finfo(dtype).max)) for number in numbers)


def places(loss, dtype):
    """Prediction and target at a few values of each domain, in all pairs."""
    columns = [few(loss.declaration.arguments[name], dtype) for name in loss.declaration.arrays]
    return [np.ravel(grid).astype(dtype) for grid in np.meshgrid(*columns)]


@pytest.mark.parametrize("loss", POINTWISE, ids=lambda loss: loss.name)
@every_dtype
def test_second_derivatives_of_elements_hold_the_promise(loss, dtype):
    """Each agrees with mpmath within 8 + |ln(exact)| ulp, or of the largest of its terms where terms cancel."""
    arrays = places(loss, dtype)
    for setting in settings(loss):
        results = {}
        for name in ways(setting):
            with Backend(name).ready() as backend:
                results[name] = backend.call(loss.hessian, *arrays, **setting)
        flags = {name: setting.get(name, loss.declaration.defaults[name]) for name in loss.declaration.flags}
        form = loss.formula_at(**flags)
        for i in range(arrays[0].size):
            symbols = {symbol: exact(array[i]) for symbol, array in zip(form.arrays, arrays, strict=True)}
            symbols |= {s: exact(setting.get(s.name, loss.declaration.defaults[s.name])) for s in form.parameters}
            if is_kink(form.formula, symbols):
                continue
            true, largest = second(form, symbols, form.prediction)
            if not fits(form, symbols, true, dtype):
                continue
            where = f"{loss.name}{setting} at {[float(a[i]) for a in arrays]} ({dtype.__name__})"
            for name, found in results.items():
                check(found[i], true, dtype, largest, what=f"second derivative of {where} on {name}")


def exact_row(loss, setting, z, y):
    """(second derivatives, largest terms) of one row, by those of the function of one class; None at a kink."""
    flags = {name: setting.get(name, loss.declaration.defaults[name]) for name in loss.declaration.flags}
    form, u = loss.formula_at(**flags), sympy.Symbol("u", real=True)
    fixed = {s: exact(setting.get(s.name, loss.declaration.defaults[s.name])) for s in form.parameters}
    fixed[words.classes] = mpf(len(z))
    term = form.formula.args[0].subs({word(form.prediction): u for word in words.OF_CLASS}).subs(form.prediction, u)
    kind, numbers = row_kind(loss), list(map(exact, z))
    parts = [[mpf(0)] for _ in z]
    for j, number in enumerate(numbers):
        others = [other for i, other in enumerate(numbers) if i != j]
        with mp.workdps(1020):
            if kind == "log_odds":
                rest = mp.fsum(map(mp.exp, others))
                along = [mpf(1) if i == j else -mp.exp(other) / rest for i, other in enumerate(numbers)]
                bent = [mpf(0) if i == j else q * (1 + q) for i, q in enumerate(along)]
                number = number - mp.log(rest)
            else:
                compared = {"entry": [], "minus_largest": range(len(z))}.get(kind, [i for i in range(len(z)) if i != j])
                front = max((numbers[i] for i in compared), default=mpf(0))
                rivals = [i for i in compared if numbers[i] == front]
                along = [mpf(i == j) - (mpf(i in rivals) / len(rivals) if rivals else 0) for i in range(len(z))]
                number, bent = number - front, [mpf(0)] * len(z)
        here = {**fixed, form.target: exact(y[j]), u: number}
        domain = form.domains[form.prediction]
        low, high = (domain.low, domain.high) if kind == "entry" else (-np.inf, np.inf)
        if is_kink(term, here):
            return None
        first, second = slope(term, here, u, low=low, high=high), slope(gradient(term, u), here, u, low=low, high=high)
        for k in range(len(z)):
            with mp.workdps(60):
                parts[k] += [second * along[k] ** 2, first * bent[k]]
                parts[k][0] = max(parts[k][0], largest_term(gradient(gradient(term, u), u), here) * along[k] ** 2)
    with mp.workdps(60):
        return [(mp.fsum(each[1:]), max(map(abs, each))) for each in parts]


def confident(dtype):
    """Rows of logits: ordinary ones, sure ones, and ones in which classes tie."""
    ordinary = np.random.default_rng(0).normal(scale=3, size=(2, 3))
    far = [17, 0, 1], [40, 0, -1], [2, 2, 0], [1, 1, 1], [90, 80, 0], [-60, 0, 60]
    return np.concatenate([ordinary, far]).astype(dtype)


@pytest.mark.parametrize("loss", ROWS, ids=lambda loss: loss.name)
@every_dtype
def test_second_derivatives_of_rows_hold_the_promise(loss, dtype):
    """Along each class, with labels and with distributions, for every parameter: within the promise."""
    if loss.declaration.of_prediction.holds_logits:
        z = confident(dtype)
    else:
        z = np.random.default_rng(0).random((4, 3)).astype(dtype)
        z = np.log(z) if loss.declaration.of_prediction.high == 0 else z
    random = np.random.default_rng(1)
    labels, soft = random.integers(0, 3, len(z)), random.dirichlet(np.ones(3), len(z)).astype(dtype)
    for y in (labels, soft) if loss.declaration.by_class else (soft,):
        spread = y if y.ndim > 1 else np.eye(3, dtype=dtype)[y]
        for setting in settings(loss):
            results = {}
            for name in ways(setting):
                with Backend(name).ready() as backend:
                    results[name] = backend.call(loss.hessian, z, y, **setting)
            for i in range(len(z)):
                exact_one = exact_row(loss, setting, z[i], spread[i])
                for k, (true, largest) in enumerate(exact_one or ()):
                    where = f"{loss.name}{setting} at {z[i]}, {spread[i]}, class {k} ({dtype.__name__})"
                    for name, found in results.items():
                        check(found[i, k], true, dtype, largest, what=f"second derivative of {where} on {name}")


@pytest.mark.parametrize("loss", OVERLAP, ids=lambda loss: loss.name)
@every_dtype
def test_second_derivatives_of_totals_hold_the_promise(loss, dtype):
    """Along single pixels, for every parameter: within the promise."""
    random = np.random.default_rng(5)
    p, y = random.random((1, 2, 6)).astype(dtype), random.random((1, 2, 6)).astype(dtype)
    for setting in settings(loss):
        results = {}
        for name in ways(setting):
            with Backend(name).ready() as backend:
                results[name] = backend.call(loss.hessian, p, y, **setting)
        flags = {name: setting.get(name, loss.declaration.defaults[name]) for name in loss.declaration.flags}
        form = loss.formula_at(**flags)
        fixed = {s: exact(setting.get(s.name, loss.declaration.defaults[s.name])) for s in form.parameters}
        twice = gradient(gradient(form.formula, form.prediction), form.prediction)
        for c, k in ((0, 0), (1, 4)):
            here = {**fixed, form.prediction: list(map(exact, p[0, c])), form.target: list(map(exact, y[0, c]))}

            def moved(step, k=k, here=here, form=form):
                numbers = [x + step if i == k else x for i, x in enumerate(here[form.prediction])]
                return Evaluator({**here, form.prediction: numbers})(form.formula)

            with mp.workdps(200):
                step = mpf(10) ** -50
                true = (moved(step) - 2 * moved(mpf(0)) + moved(-step)) / step**2
            largest = largest_term(twice, here, k)
            where = f"{loss.name}{setting}, class {c}, pixel {k} ({dtype.__name__})"
            for name, found in results.items():
                check(found[0, c, k], true, dtype, largest, what=f"second derivative of {where} on {name}")


# --- what all have in common -----------------------------------------------------------------------------------------


@every_loss
def test_hessians_are_differences_of_gradients(loss, backend):
    """The product with a direction is that of differences of gradients, the diagonal that along single numbers."""
    arrays = arguments(loss)
    predictions, others = in_parts(loss, arrays)
    random = np.random.default_rng(2)
    directions = tuple(random.normal(size=z.shape) for z in predictions)
    step = 1e-6
    for reduction in ("sum", "mean"):

        def difference(along, reduction=reduction):
            ahead, behind = (
                as_tuple(loss.grad(*(z + s * v for z, v in zip(predictions, along, strict=True)), *others,
                                   reduction=reduction))
                for s in (step, -step)
            )  # fmt: skip
            return [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]

        v = directions if len(predictions) > 1 else directions[0]
        v = tuple(map(backend.up, v)) if isinstance(v, tuple) else v
        products = as_tuple(backend.call(loss.hvp, *arrays, v, reduction=reduction))
        diagonals = as_tuple(backend.call(loss.hessian, *arrays, reduction=reduction))
        for got, want in zip(products, difference(directions), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)
        for n, (z, diagonal) in enumerate(zip(predictions, diagonals, strict=True)):
            for index in [*np.ndindex(*z.shape)][:: max(1, z.size // 4)]:
                along = [np.zeros_like(other) for other in predictions]
                along[n][index] = 1
                np.testing.assert_allclose(diagonal[index], difference(along)[n][index], rtol=1e-5, atol=1e-7)


@every_loss
@pytest.mark.parametrize("dtype", [np.float16, *DTYPES], ids=lambda dtype: dtype.__name__)
def test_dtype_and_shape_are_those_of_the_prediction(loss, dtype, backend):
    """`out` receives the result, value_grad_and_hessian gives what the three methods give."""
    arrays = arguments(loss, dtype)
    value, slopes, curves = backend.call(loss.value_grad_and_hessian, *arrays)
    if len(loss.declaration.predictions) == 1:
        out = backend.up(np.empty_like(arrays[0]))
        again = backend.call(loss.hessian, *arrays, out=out)
        assert np.array_equal(again, backend.down(out), equal_nan=True)
        assert np.array_equal(again, curves, equal_nan=True)
        assert (curves.dtype, curves.shape) == (arrays[0].dtype, arrays[0].shape)
        assert np.array_equal(slopes, backend.call(loss.grad, *arrays, reduction="sum"))
    else:
        assert [(c.dtype, c.shape) for c in curves] == [(z.dtype, z.shape) for z in in_parts(loss, arrays)[0]]
    assert np.array_equal(value, backend.call(loss, *arrays, reduction="sum"))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_a_weight_of_zero_removes(loss, backend):
    """What has weight 0 may hold anything, and others are as if it were not there; a weight of 2 doubles."""
    arrays = arguments(loss)
    z = arrays[0]
    shape = (3,) if loss.shape == "overlap" else (z.shape if loss.shape == "pointwise" else (3,))
    weight = np.ones(shape)
    weight[1], weight[2] = 0, 2
    plain = backend.call(loss.hessian, *arrays)
    spoiled = [array.copy() for array in arrays]
    spoiled[0][1] = np.nan
    v = np.random.default_rng(0).normal(size=z.shape)
    found = backend.call(loss.hessian, *spoiled, weight=weight)
    product, whole = backend.call(loss.hvp, *spoiled, v, weight=weight), backend.call(loss.hvp, *arrays, v)
    for got, want in ((found, plain), (product, whole)):
        assert np.all(got[1] == 0)
        np.testing.assert_allclose(got[0], want[0], rtol=1e-12)
        np.testing.assert_allclose(got[2], 2 * want[2], rtol=1e-12)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss.declaration.by_class], ids=lambda loss: loss.name)
def test_ignored_labels_and_class_weights(loss, backend):
    """They act on a Hessian as on a gradient: differences of gradients say so."""
    z, y = arguments(loss)
    y = y.copy()
    y.ravel()[0] = -7
    options = {"class_weight": np.array([1.0, 0.0, 2.0, 0.5]), "ignore_index": -7}
    v, step = np.random.default_rng(3).normal(size=z.shape), 1e-6
    for reduction in ("sum", "mean"):
        got = backend.call(loss.hvp, z, y, v, reduction=reduction, **options)
        ahead, behind = (loss.grad(z + s * v, y, reduction=reduction, **options) for s in (step, -step))
        np.testing.assert_allclose(got, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-7)
        diagonal = backend.call(loss.hessian, z, y, reduction=reduction, **options)
        along = np.zeros_like(z)
        at = (1, 2, *(0,) * (z.ndim - 2))
        along[at] = 1
        assert np.allclose(backend.call(loss.hvp, z, y, along, reduction=reduction, **options)[at], diagonal[at])


def test_axis_and_strides_do_not_matter():
    """Classes may stand anywhere, and arrays may be views."""
    random = np.random.default_rng(0)
    z, y, v = random.normal(size=(2, 3, 4, 5)), random.integers(0, 3, (2, 4, 5)), random.normal(size=(2, 3, 4, 5))
    for loss in (multiclass.cross_entropy_with_logits, segmentation.dice.on_logits("softmax")):
        for last in (np.moveaxis(z, 1, -1), np.ascontiguousarray(np.moveaxis(z, 1, -1))):
            got = loss.hvp(last, y, np.moveaxis(v, 1, -1), axis=-1)
            assert np.allclose(np.moveaxis(got, -1, 1), loss.hvp(z, y, v), rtol=1e-12)
            assert np.allclose(np.moveaxis(loss.hessian(last, y, axis=-1), -1, 1), loss.hessian(z, y), rtol=1e-12)


@pytest.mark.parametrize("loss", [*ROWS, *OVERLAP], ids=lambda loss: loss.name)
def test_pieces_do_not_matter(loss, monkeypatch):
    """Large arrays are worked on in pieces, which change nothing."""
    arrays = arguments(loss)
    v = np.random.default_rng(0).normal(size=arrays[0].shape)
    whole = loss.hessian(*arrays), loss.hvp(*arrays, v)
    monkeypatch.setattr(lossbook.hessians.evaluate, "PIECE", 5)
    for got, want in zip((loss.hessian(*arrays), loss.hvp(*arrays, v)), whole, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


@lossbook.loss
def penalized(z: Logit, y: Classes, *, k: Positive = 0.5):
    """Cross-entropy and a square of the logsumexp."""
    return words.sum_classes(y * words.softplus(-words.log_odds(z))) + k * words.logsumexp(z) ** 2


@lossbook.loss
def ahead_of_the_next(z: Logit, y: Classes, *, square: Flag = True):
    """A margin to the largest of the others, squared or not."""
    short = words.maximum(1 - words.minus_largest_of_others(z), 0)
    return words.sum_classes(y * (short**2 if square else short))


@pytest.mark.parametrize("own", [penalized, ahead_of_the_next], ids=lambda own: own.name)
def test_losses_of_your_own_have_hessians(own, backend):
    """With words that no loss of the package has, the product is that of differences."""
    random = np.random.default_rng(0)
    z, y, v = random.normal(size=(5, 4)), random.integers(0, 4, 5), random.normal(size=(5, 4))
    product, step = backend.call(own.hvp, z, y, v), 1e-6
    ahead, behind = (own.grad(z + s * v, y, reduction="sum") for s in (step, -step))
    np.testing.assert_allclose(product, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)
    diagonal = backend.call(own.hessian, z, y)
    for k in range(4):
        along = np.zeros_like(z)
        along[:, k] = 1
        np.testing.assert_allclose(backend.call(own.hvp, z, y, along)[:, k], diagonal[:, k], rtol=1e-12)


def test_at_a_kink_a_piece_beside_it_counts():
    """Huber's loss has the second derivative 1 where prediction and target meet; a magnitude has 0."""
    assert regression.huber.hessian([1.0, 1.5, 9.0], [1.0, 1.0, 1.0]).tolist() == [1, 1, 0]
    assert regression.smooth_l1.hessian([1.0, 1.5, 9.0], [1.0, 1.0, 1.0]).tolist() == [1, 1, 0]
    assert regression.absolute_error.hessian([1.0, 2.0], [1.0, 1.0]).tolist() == [0, 0]


def test_infinite_logits_have_the_limit():
    """A class that is sure of itself bends nothing."""
    for loss in (multiclass.cross_entropy_with_logits, multiclass.focal_with_logits):
        for z in ([np.inf, 0.0, 1.0], [0.0, -np.inf, 1.0], [-np.inf, 0.0, np.inf]):
            finite = np.clip(np.array([z]), -800, 800)
            for y in range(3):
                got, want = loss.hessian(np.array([z]), [y]), loss.hessian(finite, [y])
                assert np.allclose(got, want, rtol=1e-12, atol=1e-300), (loss.name, z, y, got, want)


def test_wrong_calls_are_refused():
    """With the name of the loss, the argument and the rule."""
    z, y = np.zeros((2, 3)), np.array([0, 1])
    loss = multiclass.cross_entropy_with_logits
    with pytest.raises(TypeError, match=r"hvp: takes z, y, v by position; got 2 arrays"):
        loss.hvp(z, y)
    with pytest.raises(ValueError, match=r"v must have shape \(2, 3\)"):
        loss.hvp(z, y, np.zeros(3))
    with pytest.raises(ValueError, match="y must be a class index"):
        loss.hessian(z, np.array([0, 5]))
    arrays, _ = several(detection.faster_rcnn)
    with pytest.raises(ValueError, match="v must be a tuple of 2 arrays"):
        detection.faster_rcnn.hvp(*arrays, np.zeros(3))
    with pytest.raises(TypeError, match="unknown argument 'gama'"):
        loss.hessian(z, y, gama=1)
