"""Where a function that is right at ordinary inputs is not: NaN, zero slopes, digits lost, clamps."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from lossbook.workshop.audit.clamps import Clamp, clamped, of_clamp
from lossbook.workshop.audit.findings import Finding, number
from lossbook.workshop.audit.match import Match
from lossbook.workshop.audit.subject import Refused
from lossbook.workshop.audit.trials import Trial, at, place, trials, turned

ULPS = 500  # a tenth of a per mille of float32's digits: 9 of 24 bits
FELT = 1e-3  # a value or slope of this size matters to training


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
    domain = match.candidate.loss.declaration.of_prediction
    if shape == "overlap":
        return domain.high == 1 and bool((prediction == target).any())
    return domain.holds_numbers_of_the_target and bool(
        (prediction == target).all())


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
