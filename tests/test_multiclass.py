"""Numbers for the multiclass losses from other libraries, with their provenance."""

import numpy as np
import pytest

from lossbook import DomainError, ShapeError, binary, multiclass

Z = np.array([[1.0, 2.0, 3.0], [0.5, -0.5, 0.0], [2.0, 0.0, -1.0]])
Y = np.array([2, 0, 1])
SOFT = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.1, 0.8, 0.1]])
WEIGHT = np.array([1.0, 2.0, 4.0])
loss = multiclass.cross_entropy_with_logits


def test_cross_entropy_agrees_with_pytorch():
    """PyTorch 2.13.0, cross_entropy(z, y, ...), float64: values, weights, smoothing, ignored labels, autograd."""
    assert loss(Z, Y, reduction="none") == pytest.approx(
        [0.4076059644443804, 0.6802696706417346, 2.1698460195562856], rel=1e-14
    )
    assert loss(Z, Y) == pytest.approx(1.0859072182141336, rel=1e-14)
    assert loss(Z, Y, class_weight=WEIGHT) == pytest.approx(0.9500550810759752, rel=1e-14)
    assert loss(Z, Y, class_weight=WEIGHT, smoothing=0.1) == pytest.approx(1.0112593424088385, rel=1e-14)
    assert loss(Z, Y, ignore_index=0) == pytest.approx(1.288725992000333, rel=1e-14)
    smooth = [0.5076059644443804, 0.7302696706417346, 2.1365126862229524]
    assert loss(Z, Y, smoothing=0.1, reduction="none") == pytest.approx(smooth, rel=1e-14)
    gradient = [
        [0.030010191056793478, 0.08157615701826587, -0.1115863480750594],
        [-0.164506536314782, 0.062107907741949187, 0.10239862857283279],
        [0.2812649114937798, -0.2952682668718018, 0.014003355378022015],
    ]
    assert loss.grad(Z, Y) == pytest.approx(np.array(gradient), rel=1e-13)


def test_soft_targets_agree_with_pytorch():
    """PyTorch 2.13.0, cross_entropy(z, probabilities, weight=..., reduction="sum")."""
    assert loss(Z, SOFT, reduction="none") == pytest.approx(
        [1.1076059644443805, 0.6802696706417346, 2.0698460195562856], rel=1e-14
    )
    assert loss(Z, SOFT, class_weight=WEIGHT, reduction="sum") == pytest.approx(7.5782430121542, rel=1e-13)


def test_an_index_and_its_one_hot_row_are_the_same_target():
    """Also with class weights and smoothing, where PyTorch gives 0.785 for one and 1.177 for the other."""
    hot = np.eye(3)[Y]
    for keywords in ({}, {"class_weight": WEIGHT}, {"class_weight": WEIGHT, "smoothing": 0.1}):
        for reduction in ("none", "sum", "mean"):
            index = loss.value_and_grad(Z, Y, reduction=reduction, **keywords)
            row = loss.value_and_grad(Z, hot, reduction=reduction, **keywords)
            assert index[0] == pytest.approx(row[0], rel=1e-14)
            assert index[1] == pytest.approx(row[1], rel=1e-12)


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_two_classes_are_the_binary_loss(name):
    """Logits (x, 0) and class 0 are the binary loss of x, to the last digits, also where logsumexp(z) - z[y] is 0."""
    x = np.float32([-30, -3, 0, 0.5, 17, 40, 80])
    pair = np.stack([x, np.zeros_like(x)], axis=1)
    got, gradient = loss.value_and_grad(pair, np.zeros(7, int), reduction="none", backend=name)
    wanted, slope = binary.cross_entropy_with_logits.value_and_grad(x, np.ones(7, np.float32), reduction="none")
    assert got == pytest.approx(wanted, rel=2e-6)
    assert gradient[:, 0] == pytest.approx(slope, rel=2e-6)
    assert gradient[:, 1] == pytest.approx(-slope, rel=2e-6)


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_the_class_axis_may_be_anywhere(axis, name):
    """axis=k on arrays with the classes on axis k is axis=1 on arrays with the classes moved there."""
    random = np.random.default_rng(0)
    z = random.normal(size=(4, 5, 3, 2))
    y = random.integers(0, z.shape[axis], np.delete(z.shape, axis))
    got, gradient = loss.value_and_grad(z, y, axis=axis, backend=name)
    flat = np.moveaxis(z, axis, -1).reshape(-1, z.shape[axis])
    wanted, slope = loss.value_and_grad(flat, y.reshape(-1), backend=name)
    assert got == pytest.approx(wanted, rel=1e-13)
    assert np.moveaxis(gradient, axis, -1).reshape(flat.shape) == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4), (2, 3, 4, 5), (2, 3, 2, 3, 4), (3, 300)])
def test_ignored_rows_are_not_there(shape, name):
    """Rows with the ignored label count neither in the value nor in the divisor, and get no gradient."""
    random = np.random.default_rng(1)
    z = random.normal(size=shape)
    y = random.integers(0, shape[1], (shape[0], *shape[2:]))
    ignored = random.random(y.shape) < 0.4
    y[ignored] = -100
    z[np.broadcast_to(np.expand_dims(ignored, 1), z.shape)] *= np.nan
    got, gradient = loss.value_and_grad(z, y, ignore_index=-100, backend=name)
    kept = np.moveaxis(z, 1, -1)[~ignored]
    assert got == pytest.approx(loss(kept, y[~ignored], backend=name), rel=1e-13)
    assert not np.any(np.moveaxis(gradient, 1, -1)[ignored])
    every = np.full_like(y, -100)
    nothing, zero = loss.value_and_grad(np.ones(shape), every, ignore_index=-100, backend=name)
    assert np.isnan(nothing)
    assert not np.any(zero)


def test_large_equal_logits():
    """(1e8, 1e8) in float32: log 2, where subtracting after the logarithm gives 0 (PyTorch 11752, fixed there)."""
    assert loss(np.float32([[1e8, 1e8]]), np.array([0])) == pytest.approx(np.log(2), rel=1e-7)


def test_bad_targets_are_refused():
    """Float indices, an index out of range, a distribution out of range, class weights of another length."""
    with pytest.raises(DomainError, match="y must be integers when it holds class indices; got dtype float64"):
        loss(Z, Y.astype(float))
    with pytest.raises(DomainError, match=r"y must be a class index in 0\.\.2; got 3 at index 1"):
        loss(Z, np.array([0, 3, 1]))
    with pytest.raises(DomainError, match=r"y must be a class index in 0\.\.2 or ignore_index=-100; got -1 at index 2"):
        loss(Z, np.array([0, -100, -1]), ignore_index=-100)
    with pytest.raises(DomainError, match=r"y must be in \[0, 1\]; got 1\.5 at index \(0, 1\)"):
        loss(Z, np.array([[0, 1.5, 0], [0, 0, 1], [0, 1, 0]]))
    with pytest.raises(ShapeError, match=r"class_weight must have shape \(3,\), one per class; got \(2,\)"):
        loss(Z, Y, class_weight=np.ones(2))
    with pytest.raises(DomainError, match=r"class_weight must be >= 0 and finite; got -1\.0 at index 1"):
        loss(Z, Y, class_weight=np.array([1.0, -1.0, 1.0]))
    with pytest.raises(DomainError, match="ignore_index is for class indices; got a distribution as y"):
        loss(Z, SOFT, ignore_index=0)
    with pytest.raises(ShapeError, match="z must have a class axis 1"):
        loss(Z[0], Y)
