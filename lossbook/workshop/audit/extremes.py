"""Where a function that is right at ordinary inputs is not: NaN, zero slopes, digits lost, clamps."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook.workshop.audit.findings import Finding, number
from lossbook.workshop.audit.layouts import LOGARITHMS
from lossbook.workshop.audit.points import Point, points
from lossbook.workshop.audit.search import NEARLY, Match
from lossbook.workshop.audit.subject import Refused

ULPS = 500  # a tenth of a per mille of float32's digits: 9 of 24 bits
FELT = 1e-3  # a value or slope of this size matters to training


@dataclass(frozen=True)
class Trial:
    """What a function gave at a point, and what it had to give."""

    point: Point
    got: np.ndarray | None
    want: np.ndarray
    slope: np.ndarray | None
    exact: np.ndarray
    error: str = ""


def trials(match: Match, dtype: Any) -> Iterator[Trial]:
    """The function at every point."""
    # What is added to all slopes of a row, as by a division by the sum of the row, is nothing to a softmax in front.
    up_to_a_constant = match.candidate.loss.shape == "rows" and match.candidate.loss.declaration.of_prediction.high == 1
    for point in points(match, dtype):
        if match.subject.layout is LOGARITHMS and not point[0].all():
            continue  # which has no logarithm
        try:
            want, exact = match.expected(*point), match.slopes(*point)
        except ValueError:
            continue
        try:
            value, slope = match.subject.value_and_slope(*point)
            if up_to_a_constant and slope is not None and slope.shape == exact.shape:
                slope, exact = (part - part.mean(axis=1, keepdims=True) for part in (slope, exact))
            yield Trial(point, value, want, slope, exact)
        except Refused as error:
            yield Trial(point, None, want, None, exact, str(error))


@dataclass(frozen=True)
class Clamp:
    """A small constant that keeps probabilities from 0 and 1."""

    epsilon: float
    added: bool
    point: Point
    got: float
    want: float

    def near(self, point: Point, logits: bool) -> bool:
        """Whether the constant is felt at a point."""
        x = np.abs(point[0])
        if logits:
            return bool((np.exp(-x) < 1e5 * self.epsilon).any())
        return bool((np.minimum(x, np.abs(1 - x)) < 1e5 * self.epsilon).any())


def extremes(match: Match, with_slopes: bool = True) -> Iterator[Finding]:
    """What a report says of the function far out; of its slopes only where they are right at ordinary inputs."""
    if match.subject.kind.name == "integers" and match.candidate.loss.shape == "overlap":
        return
    single, double = list(trials(match, np.float32)), list(trials(match, np.float64))
    if all(trial.got is None for trial in single):
        yield Finding("float32", "missing", f"It takes no float32: {single[0].error}.", turned(match, single[0]))
        single = double
    clamp = clamped(match, double)
    if clamp is not None:
        yield of_clamp(match, clamp)
    logits = match.candidate.loss.declaration.of_prediction.high > 1
    hidden = [clamp is not None and clamp.near(trial.point, logits) for trial in single]
    open_ones = [trial for trial, near in zip(single, hidden, strict=True) if not near]
    checks: tuple[Callable[..., Finding | None], ...] = (raised, not_numbers, wrong_zero_slopes)
    for check in checks if with_slopes else checks[:2]:
        for tried in (double, single):
            found = check(match, tried)
            if found is not None:
                yield found
                break
    if not match.subject.has_slope:
        yield from flat(match, double, clamp)
    if clamp is None:
        yield from negative(match, double)
    for along in (False, True) if with_slopes else (False,):
        found = digits(match, open_ones, along)
        if found is not None:
            yield found
    yield from of_masks(match, double)


def turned(match: Match, trial: Trial) -> tuple[np.ndarray, ...]:
    """The inputs of a trial, as the function takes them."""
    return match.subject.turned(*trial.point)


def at(match: Match, trial: Trial) -> str:
    """Where a trial was made, for a sentence."""
    return place(match, trial) + (" in float32" if trial.point[0].dtype == np.float32 else "")


def place(match: Match, trial: Trial) -> str:
    """The prediction and the target of a trial."""
    prediction, target = trial.point
    first = prediction.ravel()
    if match.candidate.loss.shape in ("overlap", "boxes") or (first != first[0]).any():
        where = "[" + ", ".join(map(number, first)) + "]"
    else:
        where = number(first[0])
    if target is None:
        return f"prediction {where}"
    labels = target.ravel()
    if match.candidate.loss.shape in ("overlap", "boxes"):
        return f"prediction {where}, target [" + ", ".join(map(number, labels)) + "]"
    return f"prediction {where}, target {number(labels[0])}"


def raised(match: Match, tried: list[Trial]) -> Finding | None:
    """Errors at inputs that are allowed."""
    for trial in tried:
        if trial.got is None:
            severity = "wrong" if np.isfinite(trial.want).all() else "missing"
            text = f"It raises an error at {at(match, trial)}: {trial.error}."
            return Finding("error", severity, text, turned(match, trial), None, trial.want)
    return None


def not_numbers(match: Match, tried: list[Trial]) -> Finding | None:
    """NaN and infinity where there is a number."""
    for slopes in (False, True):
        for trial in tried:
            got, want = (trial.slope, trial.exact) if slopes else (trial.got, trial.want)
            if got is None or got.size != np.size(want):
                continue
            got, want = got.ravel(), np.ravel(want)
            fits = want if want.size == 0 else np.abs(want) < 1e30
            bad = (np.isnan(got) & ~np.isnan(want)) | (np.isinf(got) & fits)
            if bad.any():
                what, index = "slope" if slopes else "value", int(np.argmax(bad))
                text = (f"Its {what} is {number(got[index])} at {at(match, trial)}, where it has to be "
                        f"{number(want[index])}.")
                if slopes and trial.want.size and not np.isfinite(trial.want).all():
                    continue
                kind = "not a number" if np.isnan(got[index]) else "overflow"
                return Finding(kind, "wrong", text, turned(match, trial), got, want)
    return None


def wrong_zero_slopes(match: Match, tried: list[Trial]) -> Finding | None:
    """Slopes of 0 where the prediction is far from right: such an element never learns."""
    worst: tuple[float, Trial, int] | None = None
    for trial in tried:
        slope, exact = trial.slope, trial.exact.ravel()
        if slope is None or slope.size != exact.size or match.candidate.loss.shape not in ("pointwise", "rows"):
            continue
        if np.abs(trial.want).max() < FELT * scale_of(match, trial):
            continue  # the prediction is right
        size = np.where((slope.ravel() == 0) & np.isfinite(exact), np.abs(exact), 0.0)
        index = int(np.argmax(size))
        if size[index] > FELT * scale_of(match, trial) and (worst is None or size[index] > worst[0]):
            worst = float(size[index]), trial, index
    if worst is None:
        return None
    _, trial, index = worst
    text = (f"Its slope is 0 at {at(match, trial)}, where it has to be {number(trial.exact.ravel()[index])}: the "
            f"prediction is clamped or saturated there, so this element is never corrected.")
    return Finding("zero gradient", "wrong", text, turned(match, trial), trial.slope, trial.exact)


def scale_of(match: Match, trial: Trial) -> float:
    """The size of slopes that matter, in the unit of the function."""
    return abs(match.relation.factor) / max(trial.want.size, 1)


def flat(match: Match, tried: list[Trial], clamp: Clamp | None) -> Iterator[Finding]:
    """Where values do not change though they should: of functions that give no slope."""
    domain = match.candidate.loss.declaration.of_prediction
    if match.candidate.loss.shape != "pointwise" or domain.holds_numbers_of_the_target:
        return
    tests = [(trial.point, 0.25) for trial in tried if np.abs(trial.point[0]).max() < 1e5] if domain.high > 1 else []
    if domain.high == 1 and clamp is not None and clamp.epsilon > 1e-12:
        edge = np.full_like(clamp.point[0], clamp.epsilon / 2)
        tests = [((edge if clamp.point[0].ravel()[0] < 0.5 else 1 - edge, clamp.point[1]), clamp.epsilon / 4)]
    for (prediction, target), step in tests:
        exact = float(match.slopes(prediction, target).ravel()[0])
        if abs(exact) < FELT * abs(match.relation.factor) / prediction.size:
            continue
        try:
            up, down = (match.subject.value(prediction + sign * step, target) for sign in (1, -1))
        except Refused:
            continue
        if np.isfinite(up).all() and np.array_equal(up, down):
            where = place(match, Trial((prediction, target), up, up, None, up))
            text = (f"Its value does not change around {where}: its slope is 0 there, not {number(exact)}. "
                    "The prediction is clamped, so this element is never corrected.")
            yield Finding("zero gradient", "wrong", text, match.subject.turned(prediction, target), 0.0, exact)
            return


def negative(match: Match, tried: list[Trial]) -> Iterator[Finding]:
    """Values below 0 of a loss that has none."""
    if match.candidate.loss.properties.get("minimum") != 0 or match.relation.factor < 0:
        return
    for trial in tried:
        if trial.got is not None and trial.got.size and float(trial.got.min()) < 0 <= float(np.min(trial.want)):
            text = f"Its value is negative at {at(match, trial)}: {number(trial.got.min())}. It cannot be."
            yield Finding("negative value", "inaccurate", text, turned(match, trial), trial.got, trial.want)
            return


def ulps(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """Errors in units in the last place of float32; 0 where the exact number is not a normal one."""
    with np.errstate(all="ignore"):
        single = np.abs(want).astype(np.float32)
        normal = np.isfinite(single) & (single >= 16 * np.finfo(np.float32).tiny) & np.isfinite(got)
        error = np.abs(got.astype(np.float64) - want) / np.spacing(np.where(normal, single, np.float32(1)))
    return np.where(normal, error, 0.0)


def digits(match: Match, tried: list[Trial], slopes: bool) -> Finding | None:
    """The largest loss of digits in float32, of the value or of the slope."""
    worst: tuple[float, Trial, np.ndarray, np.ndarray] | None = None
    for trial in tried:
        got, want = (trial.slope, trial.exact) if slopes else (trial.got, trial.want)
        if got is None or got.size != np.size(want) or (slopes and not np.isfinite(trial.want).all()):
            continue
        got, want = got.ravel(), np.ravel(want)
        if (slopes and at_kink(match, trial)) or of_convention(match, trial):
            continue
        cap = ULPS + 50 * max((abs(math.log(abs(w))) for w in want if w and math.isfinite(w)), default=0.0)
        error = ulps(got, want)
        if slopes and want.size > 1:  # of slopes that belong together, the terms may cancel in the small ones
            error = np.where(np.abs(want) >= FELT * np.abs(want).max(), error, 0.0) if match_sums(match) else error
        if error.max() > cap and (worst is None or error.max() > 1.2 * worst[0]):
            worst = float(error.max()), trial, got, want
    if worst is None:
        return None
    size, trial, got, want = worst
    index, what = int(np.argmax(ulps(got, want))), "slope" if slopes else "value"
    apart = abs(float(got[index]) - want[index])
    scale = scale_of(match, trial)
    large = apart > FELT * max(scale, abs(want[index])) and abs(got[index]) < 1e3 * scale
    share = apart / abs(want[index])
    lost = f"{size:.1e} ulp" + (", all its digits" if share >= 0.5 else f", {share:.1e} of it")
    text = (f"In float32 its {what} at {place(match, trial)} is {number(got[index])}, where it has to be "
            f"{number(want[index])}: it is off by {lost}.")
    severity = "wrong" if large else "inaccurate"
    kind = f"{what} far out" if large else f"digits of the {what}"
    return Finding(kind, severity, text, turned(match, trial), got, want)


def of_convention(match: Match, trial: Trial) -> bool:
    """Whether a mask is scored by convention: a class is absent, or the values differ, which `of_masks` tells."""
    if match.candidate.loss.shape != "overlap":
        return False
    target = trial.point[1]
    assert target is not None
    present = target.reshape(*target.shape[:2], -1).any(axis=2).all()
    return not present or trial.got is None or not np.allclose(trial.got, trial.want, rtol=0.1, atol=FELT)


def match_sums(match: Match) -> bool:
    """Whether slopes of one input belong to one sum, as of boxes and masks."""
    loss = match.candidate.loss
    return loss.shape in ("boxes", "overlap") or (loss.shape == "rows" and loss.declaration.of_prediction.high == 1)


def at_kink(match: Match, trial: Trial) -> bool:
    """Whether the slope is a matter of convention: residuals of 0, edges of boxes that meet, the ends of a domain."""
    shape, (prediction, target) = match.candidate.loss.shape, trial.point
    if shape == "boxes":
        assert target is not None
        return bool((prediction == target).any() or (prediction[:, :2] == prediction[:, 2:]).any())
    return match.candidate.loss.declaration.of_prediction.holds_numbers_of_the_target and bool(
        (prediction == target).all())


# --- clamps ----------------------------------------------------------------------------------------------------------


def clamped(match: Match, tried: list[Trial]) -> Clamp | None:
    """The constant that keeps the value finite where a sure mistake costs infinitely much, or that stops its growth."""
    domain, loss = match.candidate.loss.declaration.of_prediction, match.candidate.loss
    if loss.shape not in ("pointwise", "rows") or domain.holds_numbers_of_the_target or match.relation.offset:
        return None
    found = []
    for trial in tried:
        if trial.got is None or trial.got.size != np.size(trial.want) or not np.isfinite(trial.got).all():
            continue
        got, want = (float(np.ravel(part)[0]) / match.relation.factor for part in (trial.got, trial.want))
        if want == np.inf or (want > 190 and got < 0.9 * want):
            found.append((got, want, trial))
    if not found or (len(found) > 1 and max(got for got, _, _ in found) > 1.5 * abs(found[0][0]) + 60):
        return None
    got, want, trial = min(found, key=lambda one: abs(float(one[2].point[0].ravel()[0])))  # near 0, if there is one
    epsilon = behaves_as(match, trial)
    if epsilon is None:
        return None
    ends = (float(np.ravel(part)[0]) for part in (trial.got, trial.want))
    return Clamp(epsilon, adds(match, trial, epsilon), trial.point, *ends)


def adds(match: Match, trial: Trial, epsilon: float) -> bool:
    """Whether the constant is added to a probability that is larger than it, and not only the least that it may be."""
    prediction, target = trial.point
    if match.candidate.loss.declaration.of_prediction.high != 1 or prediction.ravel()[0] > 0.5 or epsilon < 1e-30:
        return match.error == NEARLY
    near, added = (np.where(prediction == prediction.ravel()[0], size * epsilon, prediction) for size in (3, 4))
    try:
        got = float(np.ravel(match.subject.value(near, target))[0])
    except Refused:
        return False
    clipped, moved = (float(np.ravel(match.expected(one, target))[0]) for one in (near, added))
    return abs(got - moved) < abs(got - clipped)


def behaves_as(match: Match, trial: Trial) -> float | None:
    """The probability of the truth that would cost what the function gives, found by bisection."""
    prediction, target = trial.point
    domain, shape = match.candidate.loss.declaration.of_prediction, match.candidate.loss.shape

    def with_probability(log_p: float) -> np.ndarray:
        p = math.exp(log_p)
        if shape == "rows":
            labels = np.ravel(np.asarray(target))[0] if target is not None else 0
            row = np.full(prediction.shape[1], (1 - p) / (prediction.shape[1] - 1))
            row[int(labels)] = p
            row = row if domain.high == 1 else np.log(np.maximum(row, 1e-300))
            return np.broadcast_to(row.reshape(1, -1, *[1] * (prediction.ndim - 2)), prediction.shape).copy()
        if domain.high > 1:
            far = -(log_p - math.log1p(-p))
            return np.full(prediction.shape, -far if prediction.ravel()[0] < 0 else far)
        return np.full(prediction.shape, p if prediction.ravel()[0] < 0.5 else 1 - p)

    low, high = -700.0, -0.7
    if prediction.ravel()[0] >= 0.5 and domain.high == 1 and shape == "pointwise":
        low = -36.0  # nearer to 1 there is no number
    goal = float(np.ravel(trial.got)[0])
    sign = match.relation.factor
    for _ in range(60):
        middle = (low + high) / 2
        value = float(np.ravel(match.expected(with_probability(middle), target))[0])
        if value / sign > goal / sign:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2) if -699 < (low + high) / 2 < -0.71 else None


def of_clamp(match: Match, clamp: Clamp) -> Finding:
    """The statement about a clamp."""
    near = float(f"{clamp.epsilon:.2g}")
    value = near if abs(near - clamp.epsilon) <= 0.02 * near else clamp.epsilon
    how = "adds to" if clamp.added else "keeps as the least of"
    if clamp.epsilon < 1e-30:
        text = (f"It stops the logarithm: the cost of a sure mistake is {number(clamp.got)}, as if the probability of "
                f"the truth were {value:.3g}, where it is {number(clamp.want)}.")
    else:
        text = (f"It has a small constant, about {value:.2g}, which it {how} a probability: a sure mistake costs "
                f"{number(clamp.got)}, not {number(clamp.want)}.")
    return Finding("clamp", "convention", text, match.subject.turned(*clamp.point), clamp.got, clamp.want)


# --- masks -----------------------------------------------------------------------------------------------------------


def of_masks(match: Match, tried: list[Trial]) -> Iterator[Finding]:
    """What empty masks and perfect predictions cost, where it is not what they cost here."""
    if match.candidate.loss.shape != "overlap":
        return
    said = set()
    for trial in tried:
        if trial.got is None or trial.got.size != np.size(trial.want) or not np.isfinite(trial.got).all():
            continue
        got, want = trial.got.ravel(), np.ravel(trial.want)
        apart = np.abs(got - want)
        if apart.max() <= 1e-3:
            continue
        index, (_, target) = int(np.argmax(apart)), trial.point
        assert target is not None
        kind = "empty mask" if not target.reshape(*target.shape[:2], -1).any(axis=2).all() else "perfect prediction"
        if kind in said:
            continue
        said.add(kind)
        text = (f"With {'a class absent from the target' if kind == 'empty mask' else 'every class there'}, at "
                f"{at(match, trial)}, it gives {number(got[index])}, where this package gives {number(want[index])}.")
        yield Finding(kind, "convention", text, turned(match, trial), got, want)
