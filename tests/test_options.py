"""Options that users of other packages have: the same of every loss, on every backend.

Losses are found by discovery, so a new loss is covered by existing. Each test states one fact.
"""

import itertools

import numpy as np
import pytest
from cases import BACKENDS, DTYPES, EVERY_LOSS, LOSSES, Backend, example

from lossbook import DomainError, ShapeError, binary, multilabel

POINTWISE = [loss for loss in LOSSES if loss.shape == "pointwise"]
PER_CLASS = [(loss, name) for loss in POINTWISE for name in sorted(loss.per_class)]
REDUCTIONS = ("none", "sum", "mean")

by_name = {"ids": lambda given: getattr(given, "name", given)}


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend in turn; CuPy's kernels run on the host."""
    with Backend(request.param).ready() as ready:
        yield ready


# --- one number per class --------------------------------------------------------------------------------------------


def numbers_of(loss, name, count):
    """Numbers of the domain of a parameter: below and above 1 if it has both, none of them a power of two."""
    return np.linspace(0.1, min(3.3, loss.declaration.arguments[name].high), count)


def test_the_weights_of_labels_may_be_one_per_class():
    """What BCEWithLogitsLoss is known for; an exponent or a width is one number."""
    found = {(loss.name, name) for loss, name in PER_CLASS}
    assert found == {
        *((f"{home}.cross_entropy_with_logits", "pos_weight") for home in ("binary", "multilabel")),
        ("binary.cross_entropy", "pos_weight"),
        *((f"{home}.focal_with_logits", "alpha") for home in ("binary", "multilabel")),
        ("binary.focal", "alpha"),
    }


@pytest.mark.parametrize(("loss", "name"), PER_CLASS, **by_name)
@pytest.mark.parametrize(("shape", "axis"), [((5, 3), 1), ((5, 3), -2), ((4, 3, 2), 2), ((2, 3, 5, 4), 1), ((3,), 0)])
def test_a_parameter_per_class_is_each_class_with_its_own(loss, name, shape, axis, backend):
    """Value and slope of each element are those that a call with the number of its class alone has, to the bit."""
    for dtype in (np.float16, *DTYPES):
        arrays, numbers = example(loss, dtype, shape), numbers_of(loss, name, shape[axis])
        alone = [
            backend.call(loss.value_and_grad, *(a.take([k], axis) for a in arrays), reduction="none", **{name: number})
            for k, number in enumerate(numbers.tolist())
        ]
        values, slopes = (np.concatenate(parts, axis) for parts in zip(*alone, strict=True))
        got = backend.call(loss.value_and_grad, *arrays, reduction="none", axis=axis, **{name: numbers})
        for one, other in zip(got, (values, slopes), strict=True):
            assert one.dtype == dtype
            # Which form a kernel has depends on the largest of the numbers.
            np.testing.assert_allclose(one, other, rtol=4 * float(np.finfo(dtype).eps), atol=1e-37)
        for reduction in ("sum", "mean"):
            got = backend.call(loss.value_and_grad, *arrays, reduction=reduction, axis=axis, **{name: numbers})
            count = values.size if reduction == "mean" else 1
            near = {"rtol": 1e-2 if dtype == np.float16 else 1e-6}
            np.testing.assert_allclose(got[0], np.sum(values, dtype=float) / count, **near)
            np.testing.assert_allclose(got[1], slopes / count, atol=1e-7, **near)


@pytest.mark.parametrize(("loss", "name"), PER_CLASS, **by_name)
def test_one_number_for_all_classes_is_that_number(loss, name, backend):
    """The same bits, of a list, a tuple or an array; also with weights, strided, and as a setting of the loss."""
    arrays = [np.repeat(a, 2, axis=0)[::2] for a in example(loss, np.float32, (6, 4, 3))]
    number = float(numbers_of(loss, name, 2)[1])
    for reduction, keywords in itertools.product(REDUCTIONS, ({}, {"weight": np.arange(6.0)})):
        keywords = {"reduction": reduction, **keywords}
        wanted = backend.call(loss.value_and_grad, *arrays, **{name: number}, **keywords)
        for several in ([number] * 4, (number,) * 4, np.full(4, number)):
            for one in (loss, loss.with_parameters(**{name: several})):
                given = {} if one is not loss else {name: several}
                found = backend.call(one.value_and_grad, *arrays, **given, **keywords)
                for got, want in zip(found, wanted, strict=True):
                    np.testing.assert_allclose(got, want, rtol=1e-6 if reduction != "none" else 2e-7)


@pytest.mark.parametrize(("loss", "name"), PER_CLASS, **by_name)
def test_partial_sums_of_parameters_per_class_merge(loss, name, backend):
    """Those of the same numbers; others are another setting."""
    arrays, numbers = example(loss, np.float64, (6, 3)), numbers_of(loss, name, 3)
    pieces = [backend.call(loss.partial, *(a[k : k + 2] for a in arrays), **{name: numbers}) for k in (0, 2, 4)]
    wanted = float(backend.call(loss, *arrays, **{name: numbers}))
    assert sum(pieces).finish() == pytest.approx(wanted, rel=1e-14)
    with pytest.raises(DomainError, match=f"merge only within one loss and one setting; got {name}"):
        pieces[0] + backend.call(loss.partial, *arrays, **{name: numbers[::-1].copy()})


@pytest.mark.parametrize(("loss", "name"), PER_CLASS, **by_name)
def test_bad_parameters_per_class_are_refused(loss, name, backend):
    arrays = example(loss, np.float32, (6, 3))
    rule = loss.declaration.arguments[name].rule
    with pytest.raises(ShapeError) as caught:
        backend.call(loss, *arrays, **{name: np.full(2, 0.5)})
    said = f"{loss.name}: {name} must be a number or have shape (3,), one per class along axis 1; got (2,)"
    assert str(caught.value) == said
    with pytest.raises(ShapeError, match=r"must be a number or have shape \(3,\), one per class"):
        backend.call(loss, *arrays, **{name: []})
    for bad in ([0.5, -1.0, 0.5], [0.5, np.nan, 0.5]):
        with pytest.raises(DomainError) as caught:
            backend.call(loss, *arrays, **{name: bad})
        assert str(caught.value) == f"{loss.name}: {name} must be {rule}; got {bad[1]}"
    with pytest.raises(DomainError, match=f"{loss.name}: {name} must be a number"):
        backend.call(loss, *arrays, **{name: [[0.5, 0.5, 0.5]]})
    with pytest.raises(ShapeError, match=r"must have a class axis 1, as in \(N, C, \.\.\.\); got shape \(6,\)"):
        backend.call(loss, *(a[:, 0] for a in arrays), **{name: [0.5] * 3})
    with pytest.raises(DomainError, match=f"{name} must be a number with accuracy='highest'; got one number per class"):
        loss(*arrays, **{name: [0.5] * 3}, accuracy="highest")


def test_other_parameters_are_one_number():
    z = np.zeros((2, 3))
    with pytest.raises(DomainError, match=r"gamma must be a number in \[0, 1000\].*; got \[1, 2, 3\]"):
        binary.focal_with_logits(z, z, gamma=[1, 2, 3])


@pytest.mark.parametrize("loss", POINTWISE, **by_name)
def test_class_weights_of_elements_are_weights_along_an_axis(loss, backend):
    """Value, slope and partial sums are those of the weights written out, also beside other weights."""
    arrays, of_classes = example(loss, np.float32, (4, 3, 5)), np.array([2.0, 0.0, 0.5])
    arrays[0][:, 1] = np.nan  # a class of weight 0 may hold anything
    for weight, reduction in itertools.product((None, np.arange(4.0), np.arange(60.0).reshape(4, 3, 5)), REDUCTIONS):
        written = of_classes[None, :, None] * (1 if weight is None else weight.reshape(4, *weight.shape[1:] or (1, 1)))
        written = np.broadcast_to(written, (4, 3, 5))
        options = {"reduction": reduction, **({} if weight is None else {"weight": weight})}
        got = backend.call(loss.value_and_grad, *arrays, class_weight=of_classes, **options)
        wanted = backend.call(loss.value_and_grad, *arrays, reduction=reduction, weight=written)
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
        moved = [np.moveaxis(a, 1, -1) for a in arrays]
        options |= {} if weight is None or weight.ndim == 1 else {"weight": np.moveaxis(weight, 1, -1)}
        got = backend.call(loss, *moved, class_weight=of_classes, axis=-1, **options)
        np.testing.assert_allclose(np.moveaxis(got, -1, 1) if reduction == "none" else got, wanted[0], rtol=1e-6)
    if backend.name in ("numpy", "numba", "cupy"):
        got = backend.call(loss.partial, *arrays, class_weight=of_classes, weight=weight).finish()
        assert got == pytest.approx(float(backend.call(loss, *arrays, weight=written)), rel=1e-6)


@pytest.mark.parametrize("loss", POINTWISE, **by_name)
def test_bad_class_weights_of_elements_are_refused(loss, backend):
    arrays = example(loss, np.float32, (4, 3))
    said = rf"{loss.name}: class_weight must have shape \(3,\), one per class; got \(2,\)"
    with pytest.raises(ShapeError, match=said):
        backend.call(loss, *arrays, class_weight=np.ones(2))
    with pytest.raises(ShapeError, match=r"weight must .*; got \(3,\) \(weights per class are class_weight\)"):
        backend.call(loss, *arrays, weight=np.ones(3))


def test_sums_pass_numbers_per_class_on():
    z, y = example(multilabel.cross_entropy_with_logits, np.float64, (4, 3, 5))
    total = binary.cross_entropy_with_logits + 2 * multilabel.focal_with_logits
    keywords = {"class_weight": [1, 0, 2], "reduction": "sum"}
    wanted = binary.cross_entropy_with_logits.value_and_grad(z, y, pos_weight=[1, 2, 3], **keywords)
    other = multilabel.focal_with_logits.value_and_grad(z, y, alpha=[0.1, 0.2, 0.3], **keywords)
    got = total.value_and_grad(z, y, pos_weight=[1, 2, 3], alpha=[0.1, 0.2, 0.3], **keywords)
    for one, a, b in zip(got, wanted, other, strict=True):
        np.testing.assert_allclose(one, a + 2 * b, rtol=1e-14)


@pytest.mark.parametrize("loss", [loss for loss in EVERY_LOSS if hasattr(loss, "per_class")], **by_name)
def test_the_docstring_says_which_parameters_may_be_one_per_class(loss):
    for name in loss.declaration.parameters:
        assert (f"\n{name} : float or array, optional\n" in loss.__doc__) == (name in loss.per_class)


# --- several labels to ignore ----------------------------------------------------------------------------------------

BY_CLASS = [loss for loss in EVERY_LOSS if "ignore_index" in loss.declaration.options]


@pytest.mark.parametrize("loss", BY_CLASS, **by_name)
def test_several_labels_are_ignored_as_one_is(loss, backend):
    """A tuple, list, set or array of labels, of which some are classes and some no number of the labels' dtype."""
    p, y = example_of_labels(loss, (4, 3, 6, 5))
    random = np.random.default_rng(3)
    several = np.where(random.random(y.shape) < 0.3, random.choice([0, 254, 255], y.shape), y)
    one = np.where(np.isin(several, [0, 254, 255]), 255, several)
    keywords = {"class_weight": np.array([1.0, 0.5, 2.0])}
    for reduction, dtype in itertools.product(REDUCTIONS, (np.uint8, np.int64)):
        options = {"reduction": reduction, **keywords}
        wanted = backend.call(loss.value_and_grad, p, one.astype(dtype), ignore_index=255, **options)
        for given in ((-100, 255, 0, 254), [0, 254, 255, 0], {0, 254, 255}, frozenset([254, 255, 0, 10**6])):
            target = several.astype(dtype)
            got = backend.call(loss.value_and_grad, p, target, ignore_index=given, **options)
            for a, b in zip(got, wanted, strict=True):
                np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(target, several)
    own = loss.with_parameters(ignore_index=np.array([0, 254, 255]))
    np.testing.assert_array_equal(backend.call(own, p, several, **options), wanted[0])
    np.testing.assert_array_equal(
        backend.call(loss, p, y, ignore_index=()), backend.call(loss, p, y, ignore_index=None)
    )  # fmt: skip
    if backend.name in ("numpy", "numba", "cupy"):
        pieces = [backend.call(loss.partial, p, labels, ignore_index=given, **keywords).finish()
                  for labels, given in ((several, (0, 254, 255)), (one, 255))]  # fmt: skip
        assert pieces[0] == pieces[1]


@pytest.fixture(autouse=True)
def skip_texts_of_distances(request):
    """There are none."""
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    loss, backend = params.get("loss"), params.get("backend")
    if backend == "torch" and loss is not None and loss.shape == "distance":
        pytest.skip("texts have no distances")


def example_of_labels(loss, shape):
    """A prediction and class indices."""
    if loss.shape in ("distance", "mixed"):
        random = np.random.default_rng(0)
        return random.random(shape).astype(np.float32), random.integers(0, shape[1], (shape[0], *shape[2:]))
    return example(loss, np.float32, shape, integer=True)


@pytest.mark.parametrize("loss", [loss for loss in BY_CLASS if loss.shape == "overlap"], **by_name)
def test_several_labels_of_a_mask_are_ignored(loss, backend):
    """Of one class, where labels are a mask of 0 and 1."""
    p = example(loss, np.float32, (2, 1, 6, 5))[0]
    mask = np.random.default_rng(0).choice([0, 1, 254, 255], (2, 1, 6, 5))
    got = backend.call(loss.value_and_grad, p, mask, ignore_index=(255, 254))
    wanted = backend.call(loss.value_and_grad, p, np.where(mask == 254, 255, mask), ignore_index=255)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("loss", BY_CLASS, **by_name)
def test_bad_labels_to_ignore_are_refused(loss):
    p, y = example_of_labels(loss, (2, 3, 4, 4))
    for bad, shown in ((1.5, "1.5"), ((255, 1.5), "1.5"), ([True], "True"), ("255", "'255'"), ({1: 2}, "{1: 2}")):
        with pytest.raises(DomainError) as caught:
            loss(p, y, ignore_index=bad)
        rule = "ignore_index must be an integer, several of them or None"
        assert str(caught.value) == f"{loss.name}: {rule}; got {shown}"
        with pytest.raises(DomainError, match="ignore_index must be an integer, several of them or None"):
            loss.with_parameters(ignore_index=bad)
    y[1, 2, 3] = 7
    with pytest.raises(DomainError, match=r"in 0\.\.2 or ignore_index=\(254, 255\); got 7 at index \(1, 2, 3\)"):
        loss(p, y, ignore_index=(254, 255))


# --- formats of boxes, and integers ----------------------------------------------------------------------------------

BOXES = [loss for loss in EVERY_LOSS if loss.shape == "boxes"]
FORMATS = {  # the numbers of a box as a linear function of its corners
    "xywh": [[1, 0, 0, 0], [0, 1, 0, 0], [-1, 0, 1, 0], [0, -1, 0, 1]],
    "cxcywh": [[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [-1, 0, 1, 0], [0, -1, 0, 1]],
}


def boxes(count, dtype, seed=0):
    """Boxes with corners that are multiples of 1/8, so that their formats are exact, some of them the same."""
    random = np.random.default_rng(seed)
    low = random.integers(0, 80, (2, count, 2)) / 8
    p, t = np.concatenate([low, low + random.integers(1, 80, (2, count, 2)) / 8], axis=-1).astype(dtype)
    t[0] = p[0]
    return p, t


@pytest.mark.parametrize("loss", BOXES, **by_name)
@pytest.mark.parametrize("format", FORMATS)
def test_boxes_in_other_formats_are_those_of_their_corners(loss, format, backend):
    """The value is that of the corners, and the slopes follow by the chain rule, along any axis, in any dtype."""
    matrix = np.array(FORMATS[format])
    back = np.linalg.inv(matrix)
    for dtype, axis, reduction in itertools.product((np.float16, *DTYPES), (-1, 0), REDUCTIONS):
        corners, near = boxes(7, dtype), 4 * float(np.finfo(dtype).eps)
        given = [np.moveaxis(box @ matrix.T.astype(dtype), -1, axis) for box in corners]
        options = {"reduction": reduction, "weight": np.arange(7.0)}
        value, slopes = loss.value_and_grad(*(box.astype(float) for box in corners), **options)
        got = backend.call(loss.value_and_grad, *given, format=format, axis=axis, **options)
        assert got[0].dtype == got[1].dtype == dtype
        assert got[1].shape == given[0].shape
        np.testing.assert_allclose(got[0], value, rtol=near, atol=1e-7)
        np.testing.assert_allclose(np.moveaxis(got[1], axis, -1), slopes @ back, rtol=near, atol=4e-8 + near / 8)
        wanted = backend.call(loss.value_and_grad, *corners, **options)
        got = backend.call(loss.value_and_grad, *corners, format="xyxy", **options)
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
    own = loss.with_parameters(format=format)
    given = [box @ matrix.T for box in boxes(7, np.float64)]
    assert backend.call(own, *given) == backend.call(loss, *given, format=format)
    value = float(backend.call(own, *given))
    assert backend.call(2 * loss, *given, format=format) == pytest.approx(2 * value, rel=1e-14)
    if backend.name in ("numpy", "numba", "cupy"):
        parts = [[box[:3] for box in given], [box[3:] for box in given]]
        pieces = [backend.call(loss.partial, *part, format=format) for part in parts]
        assert sum(pieces).finish() == pytest.approx(value, rel=1e-14)
        out = np.empty_like(given[0])
        assert loss.grad(*given, format=format, out=out) is out
        np.testing.assert_array_equal(out, backend.call(own.grad, *given))


@pytest.mark.parametrize("loss", BOXES, **by_name)
def test_bad_boxes_of_a_format_are_refused_as_they_were_given(loss):
    p = np.array([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, -1.0, 2.0]])
    with pytest.raises(DomainError) as caught:
        loss(p, np.abs(p), format="xywh")
    said = "p must be a box (x, y, w, h) with w >= 0 and h >= 0; got (4.0, 5.0, -1.0, 2.0) at index 1"
    assert str(caught.value) == f"{loss.name}: {said}"
    with pytest.raises(DomainError, match=r"t must be a box \(cx, cy, w, h\) with w >= 0 and h >= 0; .* at index 1"):
        loss(np.abs(p), p, format="cxcywh")
    rule = "format must be 'xyxy', 'xywh' or 'cxcywh'; got 'coco' (did you mean 'xywh'?)"
    for call in (lambda: loss(p, p, format="coco"), lambda: loss.with_parameters(format="coco")):
        with pytest.raises(DomainError) as caught:
            call()
        assert str(caught.value) == f"{loss.name}: {rule}"


def dtype_kinds(loss):
    """What predictions may hold beside floats."""
    return loss.declaration.of_prediction.other_kinds


@pytest.mark.parametrize("loss", [loss for loss in EVERY_LOSS if "i" in dtype_kinds(loss)], **by_name)
def test_integers_are_values_and_corners(loss, backend):
    """They are computed in float64, as NumPy does: value and gradient are float64."""
    if backend.name == "torch":
        pytest.skip("PyTorch differentiates no integers")
    if loss.shape == "boxes":
        arrays = [np.array(box * 8) for box in boxes(6, np.float64)]
    else:
        arrays = [np.round(array) for array in example(loss, np.float64, (6, 5))]
    wanted = backend.call(loss.value_and_grad, *arrays)
    for dtype in (np.int64, np.int32, np.uint8, np.int8):
        if not all(np.array_equal(array.astype(dtype), array) for array in arrays):
            continue
        got = backend.call(loss.value_and_grad, *(array.astype(dtype) for array in arrays))
        assert got[0].dtype == got[1].dtype == np.float64
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
    assert backend.call(2 * loss, *(array.astype(int) for array in arrays)).dtype == np.float64
    if loss.declaration.target:
        assert loss.value_and_grad(*(array.astype(int).tolist() for array in arrays))[1].dtype == np.float64
    with pytest.raises(DomainError, match="must be float16, float32 or float64; got dtype bool"):
        loss(arrays[0] > 0, *arrays[1:])


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if "i" not in dtype_kinds(loss)], **by_name)
def test_integers_are_no_scores(loss):
    """They would be class indices or masks."""
    arrays = example(loss, np.float32)
    with pytest.raises(DomainError, match="must be float16, float32 or float64; got dtype int64"):
        loss(np.zeros(arrays[0].shape, np.int64), *arrays[1:])


# --- second derivatives ----------------------------------------------------------------------------------------------


def is_numeric(hessian, gradient, arrays, **keywords):
    """Whether the diagonal of the Hessian of a sum is what differences of gradients are."""
    h = 1e-5
    for k in np.ndindex(arrays[0].shape):
        step = np.zeros(arrays[0].shape)
        step[k] = h
        up, down = (gradient(arrays[0] + sign * step, *arrays[1:], reduction="sum", **keywords)[k] for sign in (1, -1))
        np.testing.assert_allclose(hessian[k], (up - down) / (2 * h), rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize(("loss", "name"), PER_CLASS, **by_name)
def test_second_derivatives_know_the_numbers_of_classes(loss, name, backend):
    p, y = example(loss, np.float64, (3, 4))
    arrays = [0.1 + 0.8 * p if loss.declaration.of_prediction.bounded else p, y]
    keywords = {name: numbers_of(loss, name, 4), "class_weight": np.array([1.0, 0.0, 2.0, 0.5])}
    if backend.name == "torch":
        pytest.skip("of texts PyTorch finds them")
    is_numeric(backend.call(loss.hessian, *arrays, **keywords), loss.grad, arrays, **keywords)


@pytest.mark.parametrize("loss", BOXES, **by_name)
@pytest.mark.parametrize("format", FORMATS)
def test_second_derivatives_are_along_the_numbers_of_boxes(loss, format, backend):
    random = np.random.default_rng(1)
    arrays = [np.concatenate([random.random((4, 2)), 2 + random.random((4, 2))], 1) for _ in range(2)]
    if backend.name == "torch":
        pytest.skip("of texts PyTorch finds them")
    is_numeric(backend.call(loss.hessian, *arrays, format=format), loss.grad, arrays, format=format)
    v, h = random.random((4, 4)), 1e-5
    up, down = (loss.grad(arrays[0] + sign * h * v, arrays[1], format=format, reduction="sum") for sign in (1, -1))
    got = backend.call(loss.hvp, *arrays, v, format=format)
    np.testing.assert_allclose(got, (up - down) / (2 * h), rtol=2e-5, atol=1e-7)
