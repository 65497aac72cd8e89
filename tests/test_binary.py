"""Numbers for the binary losses from papers and other libraries, with their provenance."""

import numpy as np
import pytest
from cases import BACKENDS, Backend

from lossbook import binary, divergence

Z, Y = np.array([0.5, -1.2, 3.0]), np.array([1.0, 0.0, 0.25])
P = np.array([0.9, 0.2, 0.6])


def test_cross_entropy_with_logits_agrees_with_pytorch():
    """PyTorch 2.13.0, binary_cross_entropy_with_logits(z, y, pos_weight=...), float64, and its autograd."""
    each = binary.cross_entropy_with_logits(Z, Y, reduction="none")
    assert each == pytest.approx([0.4740769841801067, 0.2632824673380312, 2.298587351573742], rel=1e-14)
    weighted = binary.cross_entropy_with_logits(Z, Y, pos_weight=3.0, reduction="none")
    assert weighted == pytest.approx([1.42223095254032, 0.2632824673380312, 2.322881027360613], rel=1e-14)
    gradient = binary.cross_entropy_with_logits.grad(Z, Y)
    assert gradient == pytest.approx([-0.1258468895993818, 0.07715840550032746, 0.2341913756074778], rel=1e-14)


def test_cross_entropy_agrees_with_pytorch():
    """PyTorch 2.13.0, binary_cross_entropy(p, y, reduction="none"), float64."""
    each = binary.cross_entropy(P, Y, reduction="none")
    assert each == pytest.approx([0.10536051565782628, 0.22314355131420976, 0.814924454847114], rel=1e-14)


def test_focal_agrees_with_torchvision():
    """torchvision 0.29.1, sigmoid_focal_loss(z, y, alpha=0.25, gamma=2, reduction="mean") on (0.5, -1.2), (1, 0)."""
    z, y = np.array([0.5, -1.2]), np.array([1.0, 0.0])
    assert binary.focal_with_logits(z, y) == pytest.approx(0.01374, abs=5e-6)
    each = [0.016893372629375906, 0.010580159151580225]  # the same formula in PyTorch 2.13.0, float64
    assert binary.focal_with_logits(z, y, reduction="none") == pytest.approx(each, rel=1e-13)
    p = 1 / (1 + np.exp(-z))
    assert binary.focal(p, y, reduction="none") == pytest.approx(each, rel=1e-12)


def test_soft_margin_agrees_with_pytorch_and_survives_where_it_does_not():
    """PyTorch 2.13.0, soft_margin_loss(z, y): inf and a NaN gradient at z = -100, where 100 and -1 are right."""
    each = binary.soft_margin(Z, np.array([1.0, -1.0, -1.0]), reduction="none")
    assert each == pytest.approx([0.4740769841801067, 0.26328246733803123, 3.048587351573742], rel=1e-14)
    value, gradient = binary.soft_margin.value_and_grad(np.float32([-100]), np.float32([1]))
    assert value == 100
    assert gradient == -1


def test_where_every_peer_is_wrong_by_all_its_digits():
    """float32 at z = 17, y = 1: 4.139938e-8 (mpmath, 60 digits); the usual gradient sigmoid(z) - y is exactly 0."""
    for name in ("numpy", "numba"):
        value, gradient = binary.cross_entropy_with_logits.value_and_grad(
            np.float32([17]), np.float32([1]), backend=name
        )
        assert value == pytest.approx(4.139937e-8, rel=1e-6)
        assert gradient == pytest.approx(-4.139937e-8, rel=1e-6)


def test_identities():
    """focal(gamma=0, alpha=1/2) is half of cross-entropy; labels -1, 1 are labels 0, 1; KL is CE less entropy."""
    half = binary.focal_with_logits(Z, Y, gamma=0, alpha=0.5, reduction="none")
    assert half == pytest.approx(binary.cross_entropy_with_logits(Z, Y, reduction="none") / 2, rel=1e-14)
    signs = np.array([1.0, -1.0, 1.0])
    assert binary.soft_margin(Z, signs) == pytest.approx(
        binary.cross_entropy_with_logits(Z, (signs + 1) / 2), rel=1e-14
    )
    kl = divergence.kullback_leibler(P, Y, reduction="none")
    cost = divergence.cross_entropy(P, Y, reduction="none") - divergence.entropy(Y, reduction="none")
    assert kl == pytest.approx(cost, rel=1e-13)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_the_slope_of_focal_at_a_perfect_prediction_is_its_limit(gamma):
    """At p = y the slope of focal is 0 for gamma > 0, and that of weighted cross-entropy for gamma = 0; never NaN."""
    slopes = binary.focal.grad(np.array([1.0, 0.0]), np.array([1.0, 0.0]), gamma=gamma, reduction="none")
    assert slopes == pytest.approx([-0.25, 0.75] if gamma == 0 else [0, 0])


@pytest.mark.parametrize("gamma", [1e-30, 0.25, 0.5, 0.75])
def test_focal_slope_of_a_subnormal_probability(gamma):
    """gamma*p**(gamma - 1) need not overflow where its power does: the slope for y = 0 is 0.75*(1 + gamma)*p**gamma."""
    p = np.array([3.2e-309, 5e-324])
    for name in BACKENDS:
        with Backend(name).ready() as backend:
            slope = backend.call(binary.focal.grad, p, np.zeros(2), gamma=gamma, reduction="sum")
        np.testing.assert_allclose(slope, 0.75 * (1 + gamma) * p**gamma, rtol=1e-13)
