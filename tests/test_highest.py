"""accuracy="highest": values and slopes of float32 are rounded correctly, on every backend."""

import itertools
import pickle
from fractions import Fraction

import dask.array as da
import numpy as np
import pytest
from cases import BACKENDS, Backend, few

from benchmarks.exhaustive import Exact, cases, number, pointwise, rounded, sweep
from lossbook import DomainError, Exponent, Logit, binary, divergence, loss, multiclass, regression, segmentation
from lossbook.evaluation.exact import Dyadic, in_whole_numbers
from lossbook.words import sigmoid

POINTWISE = pointwise()
HIGHEST = {"accuracy": "highest", "reduction": "none"}


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Each backend in turn; CuPy's kernels run on the host."""
    with Backend(request.param).ready() as ready:
        yield ready


def random_predictions(domain, count):
    """float32 predictions of all sizes in a domain."""
    bits = np.random.default_rng(7).integers(0, 2**32, 8 * count, dtype=np.uint64).astype(np.uint32)
    found = bits.view(np.float32)
    return found[np.isfinite(found) & domain.holds(found)][:count]


@pytest.mark.parametrize("loss", POINTWISE, ids=lambda loss: loss.name)
def test_results_are_the_nearest_floats(loss, backend):
    """Values and slopes at predictions of all sizes and at ordinary ones are the exact results, rounded once."""
    domain = loss.declaration.of_prediction
    z = np.concatenate([random_predictions(domain, 40), np.float32([x for x in few(domain, np.float32) if x])])
    for case in cases(loss):
        arrays = [z] if case.target is None else [z, np.full(z.shape, case.target, np.float32)]
        results = backend.call(loss.value_and_grad, *arrays, **HIGHEST, **case.parameters)
        exact = Exact(loss, case.target, case.parameters)
        for got, function in zip(results, (exact.value, exact.slope), strict=True):
            assert got.dtype == np.float32
            for x, here in zip(z, got, strict=True):
                if np.isfinite(here) and 0 < abs(x) < 1e20:
                    assert here == rounded(function(float(x))), (case.key, x)


@pytest.mark.parametrize("loss", POINTWISE, ids=lambda loss: loss.name)
def test_results_near_a_border_are_decided(loss):
    """Where float64 cannot tell on which side of the middle of two floats a result lies, the right one is taken.

    Of logits beyond 150, exp(-z) may decide, for which the digits of this test do not suffice.
    """
    for case in cases(loss):
        exact = Exact(loss, case.target, case.parameters)
        for which, (found, function) in enumerate(zip(sweep(case, 65_537, 2), (exact.value, exact.slope), strict=True)):
            near = found.near[:: max(1, len(found.near) // 60)]
            z = np.array([number(bits) for bits, _ in near], np.float32)
            arrays = [z] if case.target is None else [z, np.full(z.shape, case.target, np.float32)]
            got = loss.value_and_grad(*arrays, **HIGHEST, **case.parameters)[which]
            wanted = [rounded(function(float(x))) for x in z if abs(x) < 150]
            assert got[abs(z) < 150].tolist() == wanted, case.key


def test_ties_that_a_tiny_term_decides():
    """For z = k*2**-23 the slope sigmoid(z) is 1/2 + z/4 - z**3/48: next to a tie, and its last term says which way."""
    z = (np.arange(1, 200, 2) * 2.0**-23).astype(np.float32)
    y = np.zeros_like(z)
    right = binary.cross_entropy_with_logits.grad(z, y, **HIGHEST)
    once = binary.cross_entropy_with_logits.grad(z.astype(np.float64), y, reduction="none").astype(np.float32)
    exact = Exact(binary.cross_entropy_with_logits, 0.0, {})
    assert right.tolist() == [rounded(exact.slope(float(x))) for x in z]
    assert (right != once).sum() > 20  # one rounding alone would not do


def test_ties_of_polynomials_go_to_the_even_float(backend):
    """Differences of floats are often ties; those of rational numbers decide."""
    random = np.random.default_rng(1)
    p, y = random.normal(size=(2, 500)).astype(np.float32)
    p, y = np.append(p, np.float32(1 + 2.0**-23)), np.append(y, np.float32(-(2.0**-1)))
    values, slopes = backend.call(regression.squared_error.value_and_grad, p, y, **HIGHEST)
    for a, b, value, slope in zip(p, y, values, slopes, strict=True):
        apart = Fraction(float(a)) - Fraction(float(b))
        for got, exact in ((value, apart**2), (slope, 2 * apart)):
            neighbors = [np.nextafter(got, np.float32(way)) for way in (-np.inf, np.inf)]
            off = [abs(Fraction(float(one)) - exact) for one in (got, *neighbors)]
            assert off[0] <= min(off[1:])
            assert off[0] < min(off[1:]) or got.view(np.int32) % 2 == 0


def test_weights_and_the_divisor_of_a_mean_are_rounded_with_the_slope(backend):
    """The slope of a weighted mean is w*slope/sum(w), rounded once."""
    z, y = np.float32([0.3, -2.0, 17.0, 5.0, -0.125]), np.float32([1, 0, 1, 0, 1])
    weight = np.float32([3, 0.5, 7, 1, 1.5])
    got = backend.call(binary.cross_entropy_with_logits.grad, z, y, weight=weight, accuracy="highest")
    exact = [
        Exact(binary.cross_entropy_with_logits, float(label), {}).slope(float(x)) for x, label in zip(z, y, strict=True)
    ]
    assert got.tolist() == [rounded(slope * float(w) / 13) for slope, w in zip(exact, weight, strict=True)]


def test_it_is_an_option_like_the_others():
    """A loss may have it of its own, call after call, in copies, on logits, with `out`, and in partial sums."""
    z, y = np.float32([[0.3, -2.0, 17.0]]).T, np.float32([[1, 0, 1]]).T
    wanted = binary.cross_entropy_with_logits.value_and_grad(z, y, **HIGHEST)
    own = binary.cross_entropy_with_logits.with_parameters(accuracy="highest")
    on_logits = binary.cross_entropy.on_logits("sigmoid")
    for made, options in ((own, {}), (pickle.loads(pickle.dumps(own)), {}), (on_logits, {"accuracy": "highest"})):
        out = np.empty_like(z)
        value, slope = made.value_and_grad(z, y, reduction="none", out=out, **options)
        assert slope is out
        assert np.array_equal(value, wanted[0])
        assert np.array_equal(slope, wanted[1])
    assert own.partial(z, y).finish("sum") == pytest.approx(float(wanted[0].sum()), rel=1e-6)
    assert np.array_equal(
        own(z, y, accuracy=None, reduction="none"), binary.cross_entropy_with_logits(z, y, reduction="none")
    )


def test_on_dask_it_is_the_same():
    """Blocks are rounded with the divisor of all."""
    random = np.random.default_rng(3)
    z, y = random.normal(size=1000).astype(np.float32), (random.random(1000) < 0.5).astype(np.float32)
    for reduction in ("mean", "none"):
        options = {"accuracy": "highest", "reduction": reduction}
        wanted = binary.focal_with_logits.value_and_grad(z, y, **options)
        lazily = binary.focal_with_logits.value_and_grad(
            da.from_array(z, chunks=300), da.from_array(y, chunks=300), **options
        )
        assert np.array_equal(lazily[1].compute(), wanted[1])
        assert np.array_equal(lazily[0].compute(), wanted[0])


def test_a_loss_of_ones_own_has_it():
    """Whatever a formula of one element has, its exact value decides."""

    @loss
    def cubed(z: Logit, *, k: Exponent = 3.0):
        """A power of a probability."""
        return sigmoid(z) ** k

    z = np.float32([0.25, -3.0, 2.0**-20, 1e-30])
    got, exact = cubed(z, **HIGHEST), Exact(cubed, None, {})
    assert got.tolist() == [rounded(exact.value(float(x))) for x in z]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_dtypes_are_refused(dtype):
    """Only float32 can be rounded from float64; the error names the argument and the dtype."""
    z = np.zeros(2, dtype)
    with pytest.raises(
        DomainError, match=r"binary.soft_margin: z must be float32 with accuracy='highest'; got .*float"
    ):
        binary.soft_margin(z, np.ones(2), accuracy="highest")


@pytest.mark.parametrize("value", ["high", "", 1, True, np.float32(1), ["highest"]], ids=repr)
def test_what_is_no_accuracy_is_refused(value):
    """In calls and as an option of a loss."""
    with pytest.raises(DomainError, match=r"^binary.focal: accuracy must be 'highest' or None; got"):
        binary.focal(np.float32([0.5]), np.float32([1]), accuracy=value)
    with pytest.raises(DomainError, match=r"^binary.focal: accuracy must be 'highest' or None; got"):
        binary.focal.with_parameters(accuracy=value)


def test_losses_of_other_shapes_do_not_have_it():
    """Rows and images add up many terms, and sums of losses several roundings: the option is unknown there."""
    for other in (multiclass.cross_entropy_with_logits, segmentation.dice, binary.focal + binary.cross_entropy):
        assert "accuracy" not in other.signature.parameters
        with pytest.raises(TypeError, match=r"unknown argument 'accuracy'|accuracy is an option of its parts alone"):
            other(np.full((1, 2, 3), 0.5, np.float32), np.ones((1, 2, 3), np.float32), accuracy="highest")


def test_whole_numbers_are_exact():
    """Sums, products, powers, absolute values and choices of floats of all sizes; and what is no polynomial."""
    symbols = sum(regression.huber.array_symbols, ())
    huber = regression.huber.formula_of(*symbols)
    function = in_whole_numbers(huber, symbols)
    for p, y in itertools.product((1e-40, 0.5, 1e20, -3.0), (0.0, 1e-30, 0.75, 1e10)):
        got, apart = function(np.array([p]), np.array([y])), abs(Fraction(p) - Fraction(y))
        exact = apart**2 / 2 if apart <= 1 else apart - Fraction(1, 2)
        assert Fraction(int(got.numbers[0])) * Fraction(2) ** got.exponent == exact
    assert Dyadic.of(np.array([1.0, 2.0, 3.0])).compared(2.0).tolist() == [-1, 0, 1]
    assert in_whole_numbers(divergence.entropy.formula, divergence.entropy.array_symbols[0]) is None
    assert in_whole_numbers(regression.smooth_l1.formula_of(*symbols, beta=3), symbols) is None
