"""Whether the gradient is that of the value, and if not, what it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook.workshop.audit.candidates import probe
from lossbook.workshop.audit.cases import Mistaken
from lossbook.workshop.audit.findings import Finding, number, snapped
from lossbook.workshop.audit.match import Match, widened
from lossbook.workshop.audit.subject import Refused, Subject

STEP = 2.0**-10  # of central differences, improved by one step of Richardson
CLOSE = 1e-5


@dataclass(frozen=True)
class Differences:
    """Slopes by differences of values, and how far they may be off."""

    slopes: np.ndarray
    error: np.ndarray


def differences(subject: Subject, prediction: np.ndarray, target: np.ndarray | None, step: float = STEP) -> Differences:
    """The slopes of the sum of the output: central differences of two widths, extrapolated."""
    found = np.zeros((2, *prediction.shape))
    for index in np.ndindex(prediction.shape):
        for row, width in enumerate((step, step / 2)):
            ends = []
            for sign in (1, -1):
                moved = prediction.copy()
                moved[index] += sign * width
                ends.append(float(subject.value(moved, target).astype(np.float64).sum()))
            found[(row, *index)] = (ends[0] - ends[1]) / (2 * width)
    slopes = (4 * found[1] - found[0]) / 3
    return Differences(slopes, np.abs(slopes - found[1]) + 1e-9 * np.abs(slopes).max())


def ordinary(match_or_subject: Any, loss: Any, subject: Subject) -> tuple[np.ndarray, np.ndarray | None]:
    """A small input without a kink, in float64."""
    shape = subject.layout.shapes[-1] if len(subject.layout.shapes) > 1 else subject.layout.shapes[0]
    prediction, target = probe(loss, shape, 7, subject.layout.normalized)
    if loss.declaration.of_prediction.high > 1:
        prediction = prediction + 1 / 64 + np.linspace(0, 1 / 128, prediction.size).reshape(shape)
    elif loss.shape != "rows":
        prediction = prediction * 0.97 + 0.011
    return prediction, target


def gradient(subject: Subject, loss: Any, match: Match | None) -> Iterator[Finding]:
    """What a report says of the gradient at ordinary inputs."""
    prediction, target = ordinary(match, loss, subject)
    inputs = subject.turned(prediction, target)
    try:
        value, slope = subject.value_and_slope(prediction, target)
    except Refused as error:
        yield Finding("gradient", "wrong", f"Its gradient could not be computed: {error}.", inputs)
        return
    try:
        own = differences(subject, prediction, target)
    except Refused:  # of a function that refuses predictions whose classes do not add up to 1
        return
    if slope is None:
        if subject.framework.differentiates:
            text = ("Its result is cut off from the prediction (detached, rounded, or turned into a number), so it has "
                    "no gradient.")
            yield Finding("detached", "wrong", text, inputs, None, own.slopes)
        else:
            text = ("It gives no gradient, so its slopes are judged by differences of its values, which are right to "
                    f"about {own.error.max():.0e}.")
            yield Finding("gradient", "missing", text)
        return
    if slope.shape != prediction.shape:
        text = f"Its gradient has shape {slope.shape}, where the prediction has {prediction.shape}."
        yield Finding("gradient", "wrong", text, inputs, slope, own.slopes)
        return
    wanted = own.slopes
    if match is not None and not isinstance(match.candidate, Mistaken):
        wanted = match.slopes(prediction, target)
        if agrees(slope, wanted, 1e-3 if value.dtype.itemsize < 8 or match.error > 1e-6 else CLOSE):
            return
        if loss.shape == "rows" and loss.declaration.of_prediction.high == 1:
            slope, wanted = (part - part.mean(axis=1, keepdims=True) for part in (slope, wanted))
            if agrees(slope, wanted, 1e-3):
                return  # a constant along a row is nothing to a softmax in front
            slope, wanted = subject.value_and_slope(prediction, target)[1], own.slopes
            assert slope is not None
    scale = np.abs(own.slopes).max()
    if (np.abs(slope - own.slopes) <= np.maximum(50 * own.error, 1e-4 * scale)).all() or value.dtype.itemsize < 8:
        return  # it is the gradient of what the function computes
    kind, severity, text = explained(slope, own.slopes, prediction, target, loss, match, value)
    yield Finding(kind, severity, text, inputs, slope, wanted)


def agrees(got: np.ndarray, want: np.ndarray, tolerance: float) -> bool:
    """Whether slopes are the same but for rounding."""
    return bool((np.abs(got - want) <= tolerance * np.maximum(np.abs(want), 1e-3 * np.abs(want).max())).all())


def explained(
    slope: np.ndarray, own: np.ndarray, prediction: np.ndarray, target: np.ndarray | None, loss: Any,
    match: Match | None, value: np.ndarray,
) -> tuple[str, str, str]:
    """(kind, severity, sentence) of a gradient that is not that of the value."""
    if not slope.any():
        return "zero gradient", "wrong", "Its gradient is 0 everywhere: no element learns."
    if np.isnan(slope).any():
        return "gradient", "wrong", "Its gradient is NaN at ordinary inputs."
    ratios = np.where(np.abs(own) > 1e-3 * np.abs(own).max(), slope / np.where(own == 0, 1, own), np.nan)
    ratio = float(np.nanmedian(ratios))
    if agrees(slope, ratio * own, 1e-4):
        return "gradient", "wrong", of_factor(ratio, prediction, value)
    if target is not None and agrees(slope, -own, 1e-4):
        return "gradient", "wrong", "Its gradient has the wrong sign: a step against it makes the value larger."
    chain = chained(slope, own, prediction, loss)
    if chain:
        return "gradient", "wrong", chain
    held = frozen(slope, own, prediction, target, loss, match)
    if held:
        return held
    return "gradient", "wrong", "Its gradient is not the derivative of its own value, found by differences."


def of_factor(ratio: float, prediction: np.ndarray, value: np.ndarray) -> str:
    """The sentence about a gradient that is a multiple of what it should be."""
    factor = snapped(ratio, 1e-4)
    if abs(factor + 1) < 1e-4:
        return "Its gradient has the wrong sign: a step against it makes the value larger."
    text = f"Its gradient is {number(factor)} times the derivative of its value"
    rows = len(prediction) if prediction.ndim > 1 else prediction.size
    for count, what in ((prediction.size, "elements"), (rows, "rows")):
        if np.isclose(factor, count, rtol=1e-4):
            return f"{text}, which is the number of {what}: the value is a mean, the gradient that of a sum."
        if np.isclose(factor * count, 1, rtol=1e-4):
            return f"{text}, one over the number of {what}: the value is a sum, the gradient that of a mean."
    return f"{text}."


def chained(slope: np.ndarray, own: np.ndarray, prediction: np.ndarray, loss: Any) -> str:
    """The sentence about a gradient that lacks, or has once too often, the derivative of the sigmoid."""
    p = 1 / (1 + np.exp(-prediction)) if loss.declaration.of_prediction.holds_logits else prediction
    inner = p * (1 - p)
    for factor, text in (
        (1 / np.where(inner == 0, 1, inner), "Its gradient is that along the probability: the factor p*(1 - p), the "
         "derivative of the sigmoid, is missing."),
        (inner, "Its gradient has the factor p*(1 - p) once too often: it is that along a logit in front."),
    ):
        expected = own * factor
        size = float((expected * expected).sum())
        if not size or not np.isfinite(size):
            continue
        ratio = float((slope * expected).sum() / size)
        if agrees(slope, ratio * expected, 1e-4) and ratio:
            return text
    return ""


def frozen(
    slope: np.ndarray, own: np.ndarray, prediction: np.ndarray, target: np.ndarray | None, loss: Any,
    match: Match | None,
) -> tuple[str, str, str] | None:
    """(kind, severity, sentence) of a gradient in which a factor of the value is held fixed."""
    if match is None or target is None:
        return None
    relation = match.relation
    share = relation.factor / relation.divisor(match.losses(prediction, target), prediction.shape[1]
                                               if prediction.ndim > 1 else 1, None)
    if "gamma" in match.parameters and loss.shape in ("pointwise", "rows"):
        held = share * focal_with_fixed_weight(match, prediction, target)
        if agrees(slope, held, 1e-4):
            return ("detached weight", "wrong", "Its gradient holds the factor (1 - p_t)**gamma fixed (detached): it "
                    "is not that of the value: it is that of a weighted cross-entropy.")
    if loss.name == "detection.ciou":
        held = share * ciou_with_fixed_alpha(match, prediction, target)
        if agrees(slope, held, 1e-4):
            return ("alpha held fixed", "convention", "Its gradient holds the factor alpha of the aspect ratio fixed, "
                    "as the authors' code does; it is not that of the value.")
    return None


def focal_with_fixed_weight(match: Match, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Slopes of a focal loss whose modulating factor is a constant: those of cross-entropy, weighted."""
    plain = {**match.parameters, "gamma": 0.0}
    candidate = match.candidate
    weight = candidate.losses(prediction, target, match.parameters) / candidate.losses(prediction, target, plain)
    slopes = candidate.slopes(prediction, target, plain)
    return slopes * (weight if weight.shape == slopes.shape else np.expand_dims(weight, 1))


def ciou_with_fixed_alpha(match: Match, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Slopes of CIoU = DIoU + alpha*v with alpha a constant."""
    from lossbook import detection

    p, t = widened(prediction), widened(target)
    extra = detection.ciou(p, t, reduction="none") - detection.diou(p, t, reduction="none")
    own = detection.ciou.grad(p, t, reduction="sum") - detection.diou.grad(p, t, reduction="sum")
    jaccard = detection.iou(p, t, reduction="none")
    # extra = v*v/(jaccard + v), so v follows from it; then d(alpha*v) with alpha fixed
    v = (extra + np.sqrt(extra**2 + 4 * extra * jaccard)) / 2
    alpha = np.divide(v, jaccard + v, out=np.zeros_like(v), where=v > 0)
    d_jaccard = detection.iou.grad(p, t, reduction="sum")
    along_v = (v * v + 2 * v * jaccard) / (jaccard + v) ** 2
    along_jaccard = -(v**2) / (jaccard + v) ** 2
    d_v = (own - along_jaccard[:, None] * d_jaccard) / np.where(along_v == 0, 1, along_v)[:, None]
    return detection.diou.grad(p, t, reduction="sum") + alpha[:, None] * d_v
