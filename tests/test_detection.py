"""Boxes and losses of several predictions: the properties of every loss, and numbers from papers and by hand."""

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest
from cases import BACKENDS, DTYPES, EVERY_LOSS, Backend
from oracle import Evaluator, agreed, check, exact, largest_product, slope, value

from lossbook import DomainError, ShapeError, adversarial, binary, detection, multiclass, regression

BOXES = [loss for loss in EVERY_LOSS if loss.shape == "boxes"]
JOINED = [loss for loss in EVERY_LOSS if loss.shape == "joined"]
each_box_loss = pytest.mark.parametrize("loss", BOXES, ids=lambda loss: loss.name)
each_joined = pytest.mark.parametrize("loss", JOINED, ids=lambda loss: loss.name)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture(params=BACKENDS)
def backend(request):
    with Backend(request.param).ready() as ready:
        yield ready


def boxes(count, dtype=np.float64, seed=0):
    """Pairs of boxes: anywhere, nearly equal, nested, touching, apart, thin."""
    random = np.random.default_rng(seed)

    def some(low, high, size):
        corner = random.uniform(low, high, (size, 2))
        return np.concatenate([corner, corner + random.uniform(0.1, 6, (size, 2))], axis=1)

    p, t = some(0, 8, count), some(0, 8, count)
    near = t[: count // 4] * (1 + random.uniform(-1e-3, 1e-3, (count // 4, 4)))
    p[: count // 4] = near
    p[-1], t[-1] = (1, 1, 2, 2), (0, 0, 5, 4)
    p[-2], t[-2] = (0, 0, 1, 1), (30, 40, 31, 47)
    p[-3], t[-3] = (0.5, 0, 0.501, 7), (0, 1, 2, 3)
    return p.astype(dtype), t.astype(dtype)


# --- boxes -----------------------------------------------------------------------------------------------------------


@each_box_loss
@each_dtype
def test_value_and_gradient_of_boxes_are_exact_to_the_promised_ulp(loss, dtype, backend):
    """Value and slopes agree with mpmath; a corner's slope to the largest of the terms that it adds up."""
    p, t = boxes(14, dtype)
    values, slopes = backend.call(loss.value_and_grad, p, t, reduction="none")
    form = loss.formula_at()
    for i in range(len(p)):
        symbols = dict(zip(form.arrays, map(exact, (*p[i], *t[i])), strict=True))
        check(values[i], value(form.formula, symbols), dtype, what=f"{loss.name} {p[i]}, {t[i]}")
        gradients = loss.gradient
        for k in range(4):
            true = slope(form.formula, symbols, form.predictions[k])
            check(slopes[i, k], true, dtype, largest_product(gradients[k], symbols), what=f"slope {k} of {loss.name}")


SPECIAL = {
    "identical": ((0, 0, 2, 1), (0, 0, 2, 1)),
    "apart": ((0, 0, 1, 1), (5, 5, 6, 7)),
    "touching": ((0, 0, 1, 1), (1, 0, 2, 1)),
    "nested": ((1, 1, 2, 2), (0, 0, 4, 4)),
    "identical points": ((1, 1, 1, 1), (1, 1, 1, 1)),
    "points apart": ((1, 1, 1, 1), (2, 3, 2, 3)),
    "line in a box": ((0, 0, 0, 5), (0, 0, 3, 3)),
    "lines that cross": ((0, 2, 4, 2), (2, 0, 2, 4)),
}


@each_box_loss
@pytest.mark.parametrize("name", SPECIAL)
def test_special_boxes_have_finite_values_and_slopes(loss, name, backend):
    """Identical boxes cost nothing, whether or not they have an area; nothing is infinite or NaN."""
    p, t = (np.array([box], float) for box in SPECIAL[name])
    got, gradient = backend.call(loss.value_and_grad, p, t)
    assert np.isfinite(got)
    assert np.all(np.isfinite(gradient))
    if name.startswith("identical"):
        assert got == 0
        assert not np.any(gradient)
    elif name != "nested":
        assert got >= 1


def test_boxes_by_hand():
    """Two unit squares that share a quarter, in exact fractions; and boxes apart."""
    p, t = np.array([[0, 0, 2, 2.0]]), np.array([[1, 1, 3, 3.0]])
    # Areas: 4 and 4, both 1, union 7, enclosing box 9, diagonal 18, centers 2 apart (squared).
    wanted = {
        detection.iou: Fraction(6, 7),
        detection.giou: Fraction(6, 7) + Fraction(2, 9),
        detection.diou: Fraction(6, 7) + Fraction(2, 18),
        detection.ciou: Fraction(6, 7) + Fraction(2, 18),
    }
    for loss, true in wanted.items():
        assert abs(Fraction(float(loss(p, t))) - true) < Fraction(1, 2**52)
    assert detection.giou(np.array([[0, 0, 1, 1.0]]), np.array([[2, 0, 3, 1.0]])) == 1 + 1 / 3


def test_the_aspect_term_of_ciou():
    """A box of 4 x 1 in the middle of one of 2 x 2: v from the two arctangents of the paper."""
    p, t = np.array([[-2, -0.5, 2, 0.5]]), np.array([[-1, -1, 1, 1.0]])
    v = 4 / np.pi**2 * (np.arctan(1) - np.arctan(4)) ** 2
    overlap = 2 / 6
    assert np.isclose(detection.ciou(p, t), 1 - overlap + v * v / (1 - overlap + v), rtol=1e-14)


@each_box_loss
def test_bad_boxes_are_refused(loss, backend):
    """Inverted boxes name themselves; wrong shapes too; NaN passes through a prediction and not through a target."""
    good = np.array([[0, 0, 1, 1.0]] * 3)
    bad = good.copy()
    bad[1] = 3, 0, 2, 1
    for arguments, name in (((bad, good), "p"), ((good, bad), "t")):
        with pytest.raises(
            DomainError, match=rf"{loss.name}: {name} must be a box .* got \(3.0, 0.0, 2.0, 1.0\) at index 1"
        ):
            backend.call(loss, *arguments)
    live = np.array([1, 0, 1.0])
    assert backend.call(loss, bad, good, weight=live) == 0
    with pytest.raises(ShapeError, match="must have 4 numbers"):
        backend.call(loss, good[:, :3], good[:, :3])
    with pytest.raises(ShapeError, match="t must have shape"):
        backend.call(loss, good, good[:2])
    bad[1] = np.nan, 0, 2, 1
    values, gradient = backend.call(loss.value_and_grad, bad, good, reduction="none")
    assert np.isnan(values[1])
    assert np.isnan(gradient[1]).any()
    assert values[0] == values[2] == 0
    with pytest.raises(DomainError, match="t must be a box"):
        backend.call(loss, good, bad)


def test_nan_hides_no_inverted_side(backend):
    """A predicted box that is inverted along one axis is an error, also where a corner along the other is NaN."""
    p, t = boxes(4)
    p[1] = np.nan, 5, 1, 2
    with pytest.raises(DomainError, match=r"got \(nan, 5.0, 1.0, 2.0\) at index 1$"):
        backend.call(detection.iou, p, t)


@each_box_loss
def test_reductions_weights_and_partial_sums_of_boxes(loss, backend):
    """The mean is sum(w*l)/sum(w); partial sums merge; the gradient is that of the reduced loss."""
    p, t = boxes(24)
    w = np.random.default_rng(1).integers(0, 3, 24).astype(float)
    values = backend.call(loss, p, t, reduction="none")
    np.testing.assert_allclose(backend.call(loss, p, t, weight=w), np.sum(w * values) / w.sum(), rtol=1e-13)
    slopes = backend.call(loss.grad, p, t, reduction="none")
    np.testing.assert_allclose(
        backend.call(loss.grad, p, t, weight=w), slopes * (w / w.sum())[:, None], rtol=1e-12, atol=1e-18
    )
    parts = [backend.call(loss.partial, p[k], t[k], weight=w[k]) for k in (slice(0, 7), slice(7, 24))]
    np.testing.assert_allclose(sum(parts).finish(), np.sum(w * values) / w.sum(), rtol=1e-13)
    cube = (p.reshape(4, 6, 4).transpose(0, 2, 1), t.reshape(4, 6, 4).transpose(0, 2, 1))
    np.testing.assert_allclose(backend.call(loss, *cube, axis=1, reduction="none").ravel(), values, rtol=1e-13)
    assert np.isnan(backend.call(loss, p[:0], t[:0]))


RANGES = {"iou": (18, 150), "giou": (18, 150), "diou": (9, 75), "ciou": (9, 75)}


@each_box_loss
@each_dtype
def test_the_range_of_lengths_that_the_docstring_names(loss, dtype, backend):
    """Values do not depend on the unit, and slopes do as its inverse, from the smallest lengths to the largest."""
    power = RANGES[loss.name.partition(".")[2]][DTYPES.index(dtype)]
    assert f" 1e-{power} and 1e{power} " in loss.__doc__
    corners = np.array([[[0, 0, 3, 4], [1, 1, 2, 5]], [[0, 0, 1, 1], [3, 2, 4, 7]], [[0, 0, 2, 2], [0, 0, 2, 3.0]]])
    p, t = corners[:, 0].astype(dtype), corners[:, 1].astype(dtype)
    values, slopes = backend.call(loss.value_and_grad, p, t, reduction="none")
    for scale in (2.0 ** -np.floor(power * np.log2(10)), 2.0 ** np.floor((power - 1) * np.log2(10))):
        scale = dtype(scale)
        got, gradient = backend.call(loss.value_and_grad, p * scale, t * scale, reduction="none")
        np.testing.assert_allclose(got, values, rtol=1e-5)
        np.testing.assert_allclose(gradient * scale, slopes, rtol=1e-5)


# --- several predictions ---------------------------------------------------------------------------------------------


def proposals(loss, dtype=np.float64, count=7, seed=0):
    """Arguments of a joined loss."""
    random = np.random.default_rng(seed)
    classes, grid = 3, 4

    def scores(*shape):
        z = random.normal(scale=2, size=shape)
        if loss.declaration.of_prediction.name == "Logit":
            return z.astype(dtype)
        odds = np.exp(z)
        return (odds / odds.sum(axis=-1, keepdims=True) if len(shape) == 2 else odds / (1 + odds)).astype(dtype)

    deltas, targets = (random.normal(size=(count, 4)).astype(dtype) for _ in range(2))
    if loss.name.startswith("adversarial"):
        return [scores(count, 2).astype(dtype), scores(count).astype(dtype)[:5]]
    if "faster" in loss.name:
        return [scores(count), deltas, random.integers(-1, 2, count), targets]
    labels = random.integers(0, classes, count)
    if "mask" in loss.name:
        masks = scores(count, classes, grid, grid)
        return [
            scores(count, classes),
            deltas,
            masks,
            labels,
            targets,
            random.random((count, grid, grid)).astype(dtype),
        ]
    return [scores(count, classes), deltas, labels, targets]


@each_joined
@each_dtype
def test_a_joined_loss_returns_a_gradient_for_each_prediction(loss, dtype, backend):
    """Gradients come in the order of the predictions, in their shapes and dtypes, and are those of the value."""
    arrays = proposals(loss, dtype)
    got, gradients = backend.call(loss.value_and_grad, *arrays)
    gradients = tuple(map(backend.down, gradients))
    count = len(loss.declaration.predictions)
    assert got.dtype == dtype
    assert [g.shape for g in gradients] == [a.shape for a in arrays[:count]]
    assert all(g.dtype == dtype for g in gradients)
    assert got == backend.call(loss, *arrays)
    assert all(map(np.array_equal, gradients, map(backend.down, backend.call(loss.grad, *arrays))))
    if dtype == np.float64:
        random = np.random.default_rng(3)
        for k in range(count):
            step = random.normal(size=arrays[k].shape) * 1e-6
            if loss.declaration.arguments[loss.declaration.arrays[k]].name == "Probability":
                step *= arrays[k] * (1 - arrays[k])
            moved = [[a + side * step if j == k else a for j, a in enumerate(arrays)] for side in (1, -1)]
            up, down = (float(backend.call(loss, *inputs)) for inputs in moved)
            np.testing.assert_allclose((up - down) / 2, np.sum(gradients[k] * step), rtol=1e-5)


@each_joined
def test_partial_sums_of_joined_losses_merge(loss, backend):
    """A stream of batches gives the number of the whole, with weights, and partials pickle."""
    arrays = proposals(loss, count=12)
    whole = backend.call(loss, *arrays)
    parts = [backend.call(loss.partial, *(a[k] for a in arrays)) for k in (slice(0, 3), slice(3, None))]
    parts = pickle.loads(pickle.dumps(parts))
    np.testing.assert_allclose(sum(parts).finish(), whole, rtol=1e-13)
    np.testing.assert_allclose(sum(parts).finish("sum"), backend.call(loss, *arrays, reduction="sum"), rtol=1e-13)
    assert pickle.loads(pickle.dumps(loss)) is loss


def test_detection_is_the_mean_of_its_items(backend):
    """Class and box by hand from the parts; a box of the background has no say, not even a NaN."""
    loss = detection.detection
    scores, deltas, classes, targets = proposals(loss)
    of_class = multiclass.cross_entropy(scores, classes, reduction="none")
    of_box = regression.smooth_l1(deltas, targets, reduction="none").sum(axis=1)
    each = 0.3 * of_class + 0.7 * np.where(classes > 0, of_box, 0)
    got = backend.call(loss, scores, deltas, classes, targets, alpha=0.3, reduction="none")
    np.testing.assert_allclose(got, each, rtol=1e-13)
    np.testing.assert_allclose(backend.call(loss, scores, deltas, classes, targets, alpha=0.3), each.mean(), rtol=1e-13)
    deltas[classes == 0] = np.nan
    np.testing.assert_allclose(backend.call(loss, scores, deltas, classes, targets, alpha=0.3), each.mean(), rtol=1e-13)
    assert np.any(classes == 0)


def test_faster_rcnn_as_printed_and_as_released(backend):
    """The paper's 1/256, 10/2400 and beta = 1; the released code's 1/256 twice and beta = 1/9; the sampled count."""
    loss = detection.faster_rcnn_with_logits
    scores, deltas, labels, targets = proposals(loss, count=40)
    cls = binary.cross_entropy_with_logits(scores, labels == 1, reduction="none")[labels >= 0].sum()
    for beta, settings in ((1.0, {}), (1 / 9, {"box_norm": 256.0, "box_weight": 1.0, "beta": 1 / 9})):
        box = regression.smooth_l1(deltas, targets, beta=beta, reduction="none")[labels == 1].sum()
        wanted = cls / 256 + box * (10 / 2400 if not settings else 1 / 256)
        np.testing.assert_allclose(backend.call(loss, scores, deltas, labels, targets, **settings), wanted, rtol=1e-12)
    sampled = np.sum(labels >= 0)
    box = regression.smooth_l1(deltas, targets, reduction="none")[labels == 1].sum()
    got = backend.call(loss, scores, deltas, labels, targets, cls_norm=None, box_norm=None, box_weight=1.0)
    np.testing.assert_allclose(got, (cls + box) / sampled, rtol=1e-12)
    none = np.full_like(labels, -1)
    got, gradients = backend.call(loss.value_and_grad, scores, deltas, none, targets, cls_norm=None, box_norm=None)
    assert np.isnan(got)
    assert not any(np.any(backend.down(g)) for g in gradients)
    assert backend.call(loss, scores, deltas, none, targets) == 0


def test_mask_rcnn_looks_at_the_mask_of_the_true_class_alone(backend):
    """The mask term is the mean over the m x m grid of the true class's channel; other channels get no slope."""
    loss = detection.mask_rcnn
    scores, deltas, masks, classes, targets, true = proposals(loss)
    each = multiclass.cross_entropy(scores, classes, reduction="none")
    box = regression.smooth_l1(deltas, targets, reduction="none").sum(axis=1)
    own = masks[np.arange(len(classes)), classes]
    mask = binary.cross_entropy(own, true, reduction="none").mean(axis=(1, 2))
    each = each + np.where(classes > 0, box + mask, 0)
    got, gradients = backend.call(loss.value_and_grad, scores, deltas, masks, classes, targets, true, reduction="none")
    np.testing.assert_allclose(got, each, rtol=1e-13)
    slopes = backend.down(gradients[2])
    others = np.arange(masks.shape[1]) != classes[:, None]
    assert not np.any(slopes[others])
    assert not np.any(slopes[classes == 0])
    assert np.all(slopes[np.arange(len(classes)), classes][classes > 0] != 0)


@each_joined
def test_bad_arguments_of_joined_losses_are_named(loss):
    """Wrong counts, shapes, dtypes and values are refused in the words of the loss that was called."""
    arrays = proposals(loss)
    with pytest.raises(TypeError, match=f"{loss.name}: takes {', '.join(loss.declaration.arrays)} by position"):
        loss(*arrays[:-1])
    with pytest.raises(DomainError, match=f"{loss.name}: reduction must be"):
        loss(*arrays, reduction="average")
    with pytest.raises(TypeError, match=f"{loss.name}: unknown argument 'gama'"):
        loss(*arrays, gama=2)
    with pytest.raises(ShapeError, match=f"{loss.name}: weight must"):
        loss(*arrays, weight=np.ones(3))
    count = len(loss.declaration.predictions)
    with pytest.raises(ShapeError, match=f"{loss.name}: out must be a tuple of {count} arrays"):
        loss.grad(*arrays, out=arrays[0].copy())
    integers = [arrays[0].astype(int), *arrays[1:]]
    first = loss.declaration.arrays[0]
    with pytest.raises(DomainError, match=f"{loss.name}: {first} must be float16, float32 or float64"):
        loss(*integers)
    if loss.declaration.of_prediction.name == "Probability":
        wrong = copy.deepcopy(arrays)
        wrong[0][(1,) * wrong[0].ndim] = 1.5
        first = loss.declaration.arrays[0]
        with pytest.raises(DomainError, match=rf"{loss.name}: {first} must be in \[0, 1\]; got 1.5"):
            loss(*wrong)
    if "labels" in loss.declaration.arrays or "classes" in loss.declaration.arrays:
        name = "labels" if "labels" in loss.declaration.arrays else "classes"
        wrong = [
            a if n != name else np.where(np.arange(len(a)) == 2, 9, a)
            for n, a in zip(loss.declaration.arrays, arrays, strict=True)
        ]
        with pytest.raises(DomainError, match=rf"{loss.name}: {name} must be in .*; got 9 at index 2"):
            loss(*wrong)


@each_joined
def test_outs_of_joined_losses_share_no_memory(loss):
    """Neither with one another, nor with the weights, nor with the arrays; columns of one array are apart."""
    arrays = proposals(loss)
    count = len(loss.declaration.predictions)
    wanted = loss.grad(*arrays)
    same = np.empty(max(g.size for g in wanted))
    views = tuple(same[: g.size].reshape(g.shape) for g in wanted)
    with pytest.raises(
        DomainError, match=rf"{loss.name}: out must not share memory between {loss.declaration.predictions[0]} and"
    ):
        loss.grad(*arrays, out=views)
    weight, own = np.ones(len(arrays[0])), np.empty(wanted[0].size)
    own[: len(weight)] = weight
    out = (own.reshape(wanted[0].shape), *(None,) * (count - 1))
    view = own[: len(weight)]
    before = own.copy()
    with pytest.raises(DomainError, match=f"{loss.name}: out must not share memory with weight"):
        loss.grad(*arrays, weight=(view, None) if loss.name.startswith("adv") else view, out=out)
    np.testing.assert_array_equal(own, before)
    with pytest.raises(DomainError, match=f"{loss.name}: out must not share memory with {loss.declaration.arrays[0]}"):
        loss.grad(*arrays, out=(arrays[0], *(None,) * (count - 1)))
    table = np.empty((len(arrays[0]), sum(max(1, g[0].size) for g in wanted)))
    if all(g.ndim == 2 for g in wanted):
        columns = (table[:, : wanted[0].shape[1]], table[:, wanted[0].shape[1] :])
        assert all(map(np.array_equal, loss.grad(*arrays, out=columns), wanted))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_terms_of_coefficient_zero_are_left_out(reduction, backend):
    """0 times an infinite loss or slope adds nothing; a divisor that counts nothing has no say in it."""
    impossible, far = np.array([[0.0, 1.0], [0.5, 0.5]]), np.array([[np.inf, 0, 0, 0], [0, 0, 0, 0]])
    classes, here = np.array([0, 1]), np.zeros((2, 4))
    for alpha, scores, boxes in ((0.0, impossible, here + 0.5), (1.0, impossible + 0.2 * (impossible == 0), far)):
        got, gradients = backend.call(
            detection.detection.value_and_grad, scores, boxes, classes[::-1].copy() if alpha else classes, here,
            alpha=alpha, reduction=reduction,
        )  # fmt: skip
        assert np.all(np.isfinite(got))
        assert np.all(np.asarray(got) >= 0)
        assert np.any(got)
        gradients = tuple(map(backend.down, gradients))
        assert not np.any(gradients[0 if alpha == 0 else 1])
        assert np.all(np.isfinite(gradients[1 if alpha == 0 else 0]))
    nothing = np.full(2, -1), np.zeros((2, 4))
    loss = detection.faster_rcnn
    assert backend.call(loss, np.full(2, 0.5), far, *nothing, box_norm=None, box_weight=0.0) == 0


@each_joined
def test_other_defaults_of_joined_losses(loss):
    """with_parameters leaves the loss itself alone, shows in the signature, pickles and copies."""
    arrays = proposals(loss)
    given = {"beta": 0.25} | ({"alpha": 0.3} if "alpha" in loss.declaration.defaults else {})
    given |= {"cls_norm": None} if "cls_norm" in loss.declaration.defaults else {}
    if not loss.declaration.defaults:
        with pytest.raises(TypeError, match=f"{loss.name}: unknown argument 'beta'; the parameters are none"):
            loss.with_parameters(beta=0.25)
        return
    before = loss(*arrays)
    other = loss.with_parameters(**given)
    for again in (other, pickle.loads(pickle.dumps(other)), copy.copy(other), other.with_parameters()):
        assert again(*arrays) == loss(*arrays, **given) != before
        assert [again.signature.parameters[name].default for name in given] == list(given.values())
        assert again.name == loss.name
    assert loss(*arrays) == before
    assert pickle.loads(pickle.dumps(loss)) is loss
    with pytest.raises(DomainError, match=f"{loss.name}: beta must be > 0"):
        loss.with_parameters(beta=-1)
    with pytest.raises(TypeError, match=f"{loss.name}: unknown argument 'bta'"):
        loss.source("numba", bta=0.1)
    assert loss.source("numba", beta=0.1) == loss.source("numba")


@pytest.mark.parametrize("loss", [loss for loss in JOINED if loss.name.startswith("detection")], ids=lambda l: l.name)
def test_weights_of_items(loss, backend):
    """One per item as an array of any real dtype or a list, or a number; what is wrong is refused by name and place."""
    arrays = proposals(loss)
    count = len(arrays[0])
    wanted = backend.call(loss, *arrays, weight=np.arange(float(count)))
    for dtype in (np.float16, np.uint8, np.int64):
        assert backend.call(loss, *arrays, weight=np.arange(count).astype(dtype)) == wanted
    ones = backend.call(loss, *arrays, weight=np.full(count, 2.0))
    assert backend.call(loss, *arrays, weight=np.array(2.0)) == ones
    if backend.name != "cupy":
        assert backend.call(loss, *arrays, weight=list(range(count))) == wanted
        assert backend.call(loss, *arrays, weight=2.0) == ones
    assert backend.call(loss, *arrays, weight=np.ones(count, bool)) == backend.call(loss, *arrays)
    for wrong in (-1.0, np.nan, np.inf):
        weight = np.ones(count)
        weight[3] = wrong
        with pytest.raises(DomainError, match=rf"{loss.name}: weight must be >= 0 and finite; got {wrong} at index 3$"):
            backend.call(loss, *arrays, weight=weight)
    with pytest.raises(
        ShapeError, match=rf"{loss.name}: weight must have shape \({count},\), one per item; got \(2,\)"
    ):
        backend.call(loss, *arrays, weight=np.ones(2))
    if backend.name != "cupy":
        for wrong, got in ((np.ones(count) + 0j, "complex128"), (np.array(["a"] * count), "<U1"), ("abc", "<U3")):
            with pytest.raises(DomainError, match=f"{loss.name}: weight must hold real numbers; got dtype {got}"):
                backend.call(loss, *arrays, weight=wrong)


@pytest.mark.parametrize("loss", [adversarial.minimax, adversarial.minimax_with_logits], ids=lambda l: l.name)
def test_weights_of_minimax(loss, backend):
    """A number, one per item, one each, in any of the shapes that other losses take; each side has its own."""
    real, fake = proposals(loss)
    each = np.arange(float(real.size)).reshape(real.shape)
    per_item = np.arange(float(len(real)))
    real_part, fake_part = loss.parts
    of_fake = -backend.call(fake_part, fake)
    lists = [] if backend.name == "cupy" else [per_item.tolist(), each.tolist(), tuple(per_item.tolist()), 2.0]
    number, bytes_ = np.array(2.0), per_item.astype(np.uint8)
    for weight in (each, per_item, per_item[:, None], bytes_, np.full((1, 1), 2.0), number, *lists):
        pair = (backend.up(weight), None)
        got, gradients = backend.call(loss.value_and_grad, real, fake, weight=pair)
        alone, slopes = real_part.value_and_grad(real, weight=backend.down(weight))
        np.testing.assert_allclose(got, alone + of_fake, rtol=1e-13)
        np.testing.assert_allclose(backend.down(gradients[0]), slopes, rtol=1e-13)
    for wrong, error, text in (
        (np.ones(3), ShapeError, r"weight of fake must have shape \(5,\)"),
        (np.full(5, -1.0), DomainError, "weight of fake must be >= 0 and finite; got -1.0 at index 0"),
    ):
        with pytest.raises(error, match=f"{loss.name}: {text}"):
            backend.call(loss, real, fake, weight=(None, backend.up(wrong)))
    if backend.name != "cupy":
        with pytest.raises(DomainError, match=f"{loss.name}: weight of real must hold real numbers; got dtype <U1"):
            loss(real, fake, weight=("a", None))


def test_minimax_by_hand(backend):
    """D = 1/2 everywhere costs 2 log 2; its two slopes; weights as a pair; pairs of values without a reduction."""
    real, fake = np.full(3, 0.5), np.full((2, 2), 0.5)
    got, (of_real, of_fake) = backend.call(adversarial.minimax.value_and_grad, real, fake)
    assert np.isclose(got, 2 * np.log(2), rtol=1e-15)
    np.testing.assert_allclose(backend.down(of_real), -2 / 3, rtol=1e-15)
    np.testing.assert_allclose(backend.down(of_fake), 2 / 4, rtol=1e-15)
    pair = backend.call(adversarial.minimax, real, fake, reduction="none")
    assert [backend.down(p).shape for p in pair] == [(3,), (2, 2)]
    weighted = adversarial.minimax(np.array([0.5, 0.1]), np.array([0.5]), weight=(np.array([1.0, 0.0]), None))
    assert np.isclose(weighted, 2 * np.log(2), rtol=1e-15)


def test_the_formula_of_a_joined_loss_is_its_value():
    """The formula, evaluated by the oracle at one proposal, gives the loss of that proposal."""
    loss = detection.detection_with_logits
    symbols = loss.symbols()
    z = np.array([[0.3, -1.2, 2.0]])
    given = {
        symbols["scores"]: [exact(v) for v in z[0]], symbols["classes"]: [exact(v) for v in (0, 1, 0)],
        symbols["boxes"]: exact(1.5), symbols["targets"]: exact(0.25), symbols["alpha"]: exact(0.5),
        symbols["beta"]: exact(1.0),
    }  # fmt: skip
    formula = loss.formula.subs(symbols["alpha"], 1)
    true = agreed(lambda: Evaluator(given)(formula))
    got = loss(z, np.zeros((1, 4)), np.array([1]), np.zeros((1, 4)), alpha=1.0)
    check(got, true, np.float64)
