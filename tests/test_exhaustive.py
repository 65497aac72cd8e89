"""What benchmarks/exhaustive.json says of errors in float32 holds here, on samples of the same inputs."""

import json
import math

import numpy as np
import pytest
from mpmath import mp
from oracle import Evaluator, exact

from benchmarks import results, search
from benchmarks.exhaustive import Case, Exact, cases, pointwise, rounded, sweep
from lossbook import accuracy, binary

STORED = results.stored()
POINTWISE, SEARCHED = pointwise(), search.searched()
STRIDE = 4099  # a sample of 2**20 predictions of a real number
OTHER_MACHINES = 0.5  # ulp that a fused multiplication and addition may change

every_pointwise = pytest.mark.parametrize("loss", POINTWISE, ids=lambda loss: loss.name)


@every_pointwise
def test_all_predictions_of_every_case_were_measured(loss):
    """Every pointwise loss is in the file with all its cases, each with as many predictions as its stride leaves."""
    found = STORED["losses"][loss.name]
    assert list(found) == [case.key for case in cases(loss)]
    for case in cases(loss):
        one = found[case.key]
        predictions = sum(math.ceil(len(whole) / one["stride"]) for whole in case.ranges)
        assert abs(one["predictions"] - predictions) <= 2 * len(case.ranges)
        for what in ("value", "gradient"):
            below = one[what].get("below normal", {"number": 0})["number"]
            assert sum(one[what]["histogram"]) + below == one["predictions"]


@every_pointwise
def test_a_sample_has_no_larger_errors_than_are_stored(loss):
    """The largest error of 2**20 fixed predictions is at most the stored one, and the stored place has the stored one.

    Where the stored largest error is itself of a sample, another sample may have a larger one.
    """
    for case in cases(loss):
        stored = STORED["losses"][loss.name][case.key]
        places = np.array([stored[what]["at"] for what in ("value", "gradient")], np.float32)
        single, double = case.compute(places), case.compute(places.astype(np.float64))
        for k, (what, found) in enumerate(zip(("value", "gradient"), sweep(case, STRIDE, 2), strict=True)):
            largest = stored[what]["largest"]
            assert found.bins.sum() >= 2**17
            if stored["stride"] == 1:
                assert found.largest[0][0] <= largest + OTHER_MACHINES
            here = accuracy.error_in_ulp(single[k][k], double[k][k])
            assert here == pytest.approx(largest, abs=OTHER_MACHINES, rel=0.25)


@every_pointwise
def test_values_keep_the_promise(loss):
    """The stored largest errors of values are within 8 + |ln(exact)| ulp, and so are those of slopes of hard labels."""
    for case in cases(loss):
        for what in ("value", "gradient") if case.target in (0.0, 1.0, -1.0) else ("value",):
            found = STORED["losses"][loss.name][case.key][what]
            if np.isfinite(found["result"]) and found["result"]:
                assert found["largest"] <= 8 + abs(math.log(abs(found["result"])))


def test_the_ruler_agrees_with_the_oracle_of_the_tests():
    """Exact values and slopes of the benchmark are those that the meanings of the words give, at ordinary numbers."""
    for loss in POINTWISE:
        for case in cases(loss):
            here = Exact(loss, case.target, case.parameters)
            form = loss.formula_at()
            given = loss.declaration.defaults | case.parameters
            symbols = {symbol: exact(given[symbol.name]) for symbol in form.parameters}
            symbols |= {} if form.target is None else {form.target: exact(case.target)}
            for x in (0.3, 0.875):
                with mp.workdps(120):
                    at = [Evaluator({**symbols, form.prediction: exact(x) + step}) for step in (0, mp.mpf(10) ** -50)]
                    value, beyond = (evaluate(form.formula) for evaluate in at)
                    if not mp.isfinite(value):
                        continue
                    assert abs(here.value(x) - value) <= abs(value) * mp.mpf(10) ** -60, (case.key, x)
                    slope = (beyond - value) * mp.mpf(10) ** 50
                    assert abs(here.slope(x) - slope) <= abs(slope) * mp.mpf(10) ** -30, (case.key, x)


def test_exact_numbers_are_rounded_to_the_nearest_float32():
    """Of two equally near ones to the even one; too large ones to infinity; subnormal ones to their coarser floats."""
    mpf = mp.mpf
    with mp.workdps(60):
        tie, above = 1 + mpf(2) ** -24, 1 + mpf(2) ** -24 + mpf(10) ** -30
        assert [float(rounded(x)) for x in (tie, above, -above)] == [1.0, 1 + 2.0**-23, -1 - 2.0**-23]
        assert float(rounded(mpf(2) ** -149 * mpf("0.51"))) == 2.0**-149
        assert rounded(mpf(10) ** 39) == np.inf


def test_a_worse_kernel_is_found():
    """What is measured are the kernels: results that are off by three ulp have that error."""

    class Worse(Case):
        def compute(self, z):
            value, slope = super().compute(z)
            return (value + 3 * np.spacing(value) if z.dtype == np.float32 else value), slope

    fine, worse = (kind(binary.cross_entropy, 1.0, {}) for kind in (Case, Worse))
    assert sweep(fine, 100_003, 1)[0].largest[0][0] < 1 < 2.5 < sweep(worse, 100_003, 1)[0].largest[0][0]


@pytest.mark.parametrize("loss", SEARCHED, ids=lambda loss: loss.name)
def test_a_search_finds_no_larger_errors_than_are_stored(loss):
    """Inputs that were made worse and worse for rows, images and boxes stay within what a longer search found."""
    stored, found = STORED["sampled"][loss.name], search.search(loss, rounds=6)
    for what in set(found) - {"inputs"}:
        assert found[what]["largest"] <= 1.25 * stored[what]["largest"] + OTHER_MACHINES
    value = found["value"]
    if loss.shape != "rows":
        assert value["largest"] <= 8 + abs(math.log(abs(value["result"])))


def test_the_cards_show_what_was_found():
    """The file of the package follows from that of the benchmarks, and cards print it for losses as they are."""
    assert json.loads(results.SHOWN.read_text()) == results.shown(STORED)
    card = binary.cross_entropy_with_logits._repr_markdown_()
    errors = results.shown(STORED)["binary.cross_entropy_with_logits"]
    assert "Largest error in float32, for y = 1 and 0, over " in card
    assert f"on Numba: value {errors['value']:.2f} ulp, slope {errors['gradient']:.2f} ulp." in card
    assert "Largest error" not in binary.focal.with_parameters(gamma=3.0)._repr_markdown_()
