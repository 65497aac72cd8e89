"""Yes-or-no answers: one logit, two probabilities, and the threshold of a classifier."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lossbook import binary, divergence
from lossbook.figures.axes import between, needs_a_logit_and_a_label, start_within
from lossbook.figures.scene import Control, Panel, Scene, Shape, rounded, say, short
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["answer", "code_lengths", "threshold"]


def answer(
    start: float = -1.5,
    label: float = 1.0,
    loss: Any = binary.cross_entropy_with_logits,
    reach: float = 6.0,
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """One logit to drag: its loss, its probability, and the pull of the label on it.

    Parameters
    ----------
    start : float
        The logit at first.
    label : float, optional
        The label at first, 0 or 1, or between them.
    loss : Loss, optional
        A loss of one logit and one label.
    reach : float, optional
        Logits go from -reach to reach.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the loss.

    Returns
    -------
    Slider
        The loss over the logit with an arrow along minus its gradient, and the sigmoid with an arrow from the
        probability to the label.

    Raises
    ------
    TypeError
        For a loss of anything but logits and labels.
    ValueError
        For a start that is out of reach, or a label out of [0, 1].

    Examples
    --------
    ::

        answer(start=-1.5, label=1)
    """
    needs_a_logit_and_a_label("answer", loss)
    start_within("answer", "start", start, -reach, reach)
    start_within("answer", "label", label, 0, 1)
    controls = (Control("z", -reach, reach, start, "logit z"), Control("y", 0, 1, label, "label y"))
    grid = between(-reach, reach)

    def of(z, y):
        z = np.atleast_1d(np.asarray(z, float))
        return loss.value_and_grad(z, np.full_like(z, y), reduction="none")

    def draw(state):
        z, y = state["z"], state["y"]
        value, slope = (float(part[0]) for part in of(z, y))
        p = 1 / (1 + np.exp(-z))
        left = [(grid, of(grid, y)[0]), [(z, value, z - 3 * slope, value)], (z, value)]
        right = [(grid, 1 / (1 + np.exp(-grid))), ([-reach, reach], [y, y]), [(z, p, z, y)], [(z, p)]]
        says = f"Loss {say(value)}, probability {say(p)}, label minus probability {say(y - p)}, "
        return [left, right], f"{says}minus the gradient {say(-slope)}."

    most = max(float(of(grid, y)[0].max()) for y in (0.0, 1.0))
    left = Panel(
        "The loss over the logit, with an arrow along minus its gradient.", "loss (nats)", "logit z", (-reach, reach),
        rounded(0.0, most),
        (
            Shape("line", "loss", COLORS[0], ghost=True), Shape("arrows", "pull, times 3", COLORS[1], size=3),
            Shape("handle", "logit", COLORS[0], drag=("z", None)),
        ),
    )  # fmt: skip
    right = Panel(
        "The probability over the logit, with an arrow to the label.", "probability", "logit z", (-reach, reach),
        (0.0, 1.0),
        (
            Shape("line", "sigmoid(z)", COLORS[0]), Shape("line", "label y", COLORS[2], "2 3"),
            Shape("arrows", "y - p", COLORS[1], size=3), Shape("dots", "", COLORS[0], size=6),
        ),
    )  # fmt: skip
    return staged(
        Scene((left, right), controls, draw),
        name=checked_name(name, "answer", loss.name),
        about="A logit that can be dragged, and its label. ",
        script="answer.js",
        losses=[in_javascript(loss)],
        data={"x": [-reach, reach]},
        words=["sigmoid"],
        question=question,
        printed=[{}, {"z": float(reach) / 2}],
    )


def code_lengths(p: float = 0.3, q: float = 0.6, question: str | None = None, name: str | None = None) -> Slider:
    """Two probabilities to move: entropy and divergence as the parts of cross-entropy, and both over q.

    Parameters
    ----------
    p : float
        The true probability of yes at first.
    q : float
        The predicted probability of yes at first.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page.

    Returns
    -------
    Slider
        A bar for the cross-entropy, made of entropy and divergence, beside the divergence the other way round; and
        cross-entropy, entropy and both divergences over q.

    Raises
    ------
    ValueError
        For probabilities out of [0.01, 0.99].

    Examples
    --------
    ::

        code_lengths(p=0.3, q=0.6)
    """
    for argument, value in (("p", p), ("q", q)):
        start_within("code_lengths", argument, value, 0.01, 0.99)
    controls = (Control("p", 0.01, 0.99, p, "truth p"), Control("q", 0.01, 0.99, q, "prediction q"))
    grid = between(0.005, 0.995)

    def of(loss, q, *p):
        q = np.atleast_1d(np.asarray(q, float))
        return loss(q, *(np.broadcast_to(np.asarray(each, float), q.shape).copy() for each in p), reduction="none")

    def draw(state):
        p, q = state["p"], state["q"]
        entropy, apart, back, cost = (
            float(part[0])
            for part in (
                of(divergence.entropy, p), of(divergence.kullback_leibler, q, p), of(divergence.kullback_leibler, p, q),
                of(divergence.cross_entropy, q, p),
            )
        )  # fmt: skip
        left = [[(-0.35, 0, 0.35, entropy)], [(-0.35, entropy, 0.35, cost)], [(0.65, 0, 1.35, back)]]
        lines = [
            (grid, of(divergence.cross_entropy, grid, p)), ([0, 1], [entropy, entropy]),
            (grid, of(divergence.kullback_leibler, grid, p)),
            (grid, of(divergence.kullback_leibler, np.full_like(grid, p), grid)),
        ]  # fmt: skip
        says = f"Entropy {say(entropy)} plus divergence D(p||q) {say(apart)} is cross-entropy {say(cost)}; "
        return [left, [*lines, [(q, cost), (q, apart)]]], f"{says}the other way round D(q||p) is {say(back)}."

    left = Panel(
        "Bars of nats: entropy and divergence make up the cross-entropy.", "nats", "", (-0.6, 1.6), (0.0, 2.5),
        (
            Shape("bars", "entropy H(p)", COLORS[5]), Shape("bars", "D(p||q)", COLORS[1]),
            Shape("bars", "D(q||p)", COLORS[3]),
        ),
        names=("cross-entropy", "reverse"),
    )  # fmt: skip
    right = Panel(
        "The same over the prediction q.", "nats", "prediction q", (0.0, 1.0), (0.0, 2.5),
        (
            Shape("line", "cross-entropy", COLORS[0]), Shape("line", "entropy H(p)", COLORS[5], "2 3"),
            Shape("line", "D(p||q)", COLORS[1], "7 4"), Shape("line", "D(q||p)", COLORS[3], "9 3 2 3"),
            Shape("dots", "", COLORS[0], size=5),
        ),
    )  # fmt: skip
    return staged(
        Scene((left, right), controls, draw),
        name=checked_name(name, "code-lengths"),
        about="Two probabilities of yes: p is the truth, q predicts. ",
        script="code_lengths.js",
        losses=[
            in_javascript(each) for each in (divergence.entropy, divergence.kullback_leibler, divergence.cross_entropy)
        ],
        question=question,
        printed=[{}, {"q": 0.05}],
    )


def threshold(
    scores: Sequence[float],
    labels: Sequence[int],
    start: float | None = None,
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """The threshold of a classifier: its confusion counts, and its place on the curve of precision and recall.

    Parameters
    ----------
    scores : sequence of float
        The scores of 2 to 500 examples; those of at least the threshold are called positive.
    labels : sequence of int
        Their labels, 0 or 1.
    start : float, optional
        The threshold at first; if left out, the middle of the scores.
    question : str, optional
        What to answer before the control is set free, by a button.
    name : str, optional
        The name of the figure, unique on its page.

    Returns
    -------
    Slider
        Histograms of the scores of both classes with the threshold, and precision over recall. Where nothing is
        called positive, precision counts as 1.

    Raises
    ------
    ValueError
        For scores that are not finite, labels other than 0 and 1, a class without examples, or a start that no score
        is near.

    Examples
    --------
    ::

        threshold(scores=[0.1, 0.4, 0.35, 0.8], labels=[0, 0, 1, 1])
    """
    values, truth = np.array(short(np.ravel(np.asarray(scores, float)))), np.ravel(np.asarray(labels))
    if len(values) != len(truth) or not 2 <= len(values) <= 500 or not np.isfinite(values).all():
        raise ValueError(f"threshold: scores and labels must be 2 to 500 numbers; got {len(values)} and {len(truth)}")
    if set(truth.tolist()) != {0, 1}:
        raise ValueError("threshold: labels must be 0 and 1, both of them")
    truth = truth.astype(int)
    low, high = rounded(values.min(), values.max())
    middle = round((low + high) / 2, 6) if start is None else start
    start_within("threshold", "start", middle, low, high)
    control = Control("threshold", low, high, middle)
    edges = low + (high - low) * np.arange(21) / 20
    bins = [
        [int(((values >= a) & ((values < b) | (b == edges[-1])) & (truth == c)).sum())
         for a, b in pairwise(edges)]
        for c in (0, 1)
    ]  # fmt: skip
    positives = int(truth.sum())

    def point(at):
        called = values >= at - 1e-9
        right, wrong = int((called & (truth == 1)).sum()), int((called & (truth == 0)).sum())
        return right, wrong, right / positives, right / (right + wrong) if right + wrong else 1.0

    curve = [point(at)[2:] for at in (*sorted(set(values.tolist())), np.inf)]
    recalls, precisions = map(list, zip(*curve, strict=True))

    def draw(state):
        at = state["threshold"]
        right, wrong, recall, precision = point(at)
        says = f"Found {right}, missed {positives - right}, false alarms {wrong}, rightly left "
        says += f"{len(values) - positives - wrong}: precision {say(precision)}, recall {say(recall)}, "
        f1 = 2 * right / (2 * right + wrong + positives - right)
        says += f"F1 {say(f1)}, accuracy {say((len(values) - positives - wrong + right) / len(values))}."
        bars = [
            [(a, 0, b, sign * n) for (a, b), n in zip(pairwise(edges), bins[c], strict=True)]
            for c, sign in ((1, 1), (0, -1))
        ]
        left = [*bars, ([at, at], [-most, most]), (at, most * 0.85)]
        return [left, [(recalls, precisions), [(recall, precision)]]], says

    most = float(max(max(bins[0]), max(bins[1])) * 1.15)
    left = Panel(
        "How many examples have which score: positives above the line, negatives below.", "examples", "score",
        (low, high), (-most, most),
        (
            Shape("bars", "positive", COLORS[0], opacity=0.7), Shape("bars", "negative", COLORS[4], opacity=0.7),
            Shape("line", "threshold", "#333333", "7 4"),
            Shape("handle", "threshold", "#333333", drag=("threshold", None)),
        ),
    )  # fmt: skip
    right = Panel(
        "Precision over recall, with the place of the threshold.",
        "precision",
        "recall",
        (0.0, 1.0),
        (0.0, 1.0),
        (Shape("line", "all thresholds", COLORS[0]), Shape("dots", "this one", COLORS[1], size=7)),
    )
    return staged(
        Scene((left, right), (control,), draw),
        name=checked_name(name, "threshold"),
        about=f"A threshold for {len(values)} scores, {positives} of them of positives. ",
        script="threshold.js",
        data={
            "values": values, "truth": truth.tolist(), "edges": edges, "bins": bins, "recalls": recalls,
            "precisions": precisions, "most": most, "positives": positives,
        },
        question=question,
    )  # fmt: skip
