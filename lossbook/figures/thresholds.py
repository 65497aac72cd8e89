"""The threshold of a classifier: what it finds, and what its mistakes cost."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from lossbook.figures.axes import reaching
from lossbook.figures.scene import Control, Panel, Scene, Shape, rounded, say, short
from lossbook.figures.stage import Slider, checked_name, staged
from lossbook.figures.style import COLORS

__all__ = ["price", "threshold"]


class _Scores:
    """Scores and labels of examples, the slider of a threshold, and the panel of both."""

    def __init__(self, where, scores, labels, start):
        values, truth = np.array(short(np.ravel(np.asarray(scores, float)))), np.ravel(np.asarray(labels))
        count = len(values)
        if count != len(truth) or not 2 <= count <= 500 or not np.isfinite(values).all():
            raise ValueError(f"{where}: scores and labels must be 2 to 500 numbers; got {count} and {len(truth)}")
        if set(truth.tolist()) != {0, 1}:
            raise ValueError(f"{where}: labels must be 0 and 1, both of them")
        self.values, self.truth = values, truth.astype(int)
        self.positives = int(self.truth.sum())
        self.negatives = count - self.positives
        low, high = rounded(values.min(), values.max())
        ends = reaching(where, "start", low, high, (low + high) / 2 if start is None else start)
        self.control = Control("threshold", *ends)
        low, high = ends[:2]
        self.edges = low + (high - low) * np.arange(21) / 20
        self.bins = [
            [int(((values >= a) & ((values < b) | (b == self.edges[-1])) & (self.truth == c)).sum())
             for a, b in pairwise(self.edges)]
            for c in (0, 1)
        ]  # fmt: skip
        self.most = float(max(max(self.bins[0]), max(self.bins[1])) * 1.15)
        self.bars = [
            [(a, 0, b, sign * n) for (a, b), n in zip(pairwise(self.edges), self.bins[c], strict=True)]
            for c, sign in ((1, 1), (0, -1))
        ]
        self.panel = Panel(
            "How many examples have which score: positives above the line, negatives below.", "examples", "score",
            (low, high), (-self.most, self.most),
            (
                Shape("bars", "positive", COLORS[0], opacity=0.7), Shape("bars", "negative", COLORS[4], opacity=0.7),
                Shape("line", "threshold", "#333333", "7 4"),
                Shape("handle", "threshold", "#333333", drag=("threshold", None)),
            ),
        )  # fmt: skip
        self.about = f"A threshold for {count} scores, {self.positives} of them of positives. "

    def called(self, at):
        """How many positives, and how many negatives, a threshold calls positive."""
        called = self.values >= at - 1e-9
        return int((called & (self.truth == 1)).sum()), int((called & (self.truth == 0)).sum())

    @cached_property
    def distinct(self):
        """Each score once, in order."""
        return sorted(set(self.values.tolist()))

    def draw(self, at):
        """The data of the panel."""
        return [*self.bars, ([at, at], [-self.most, self.most]), (at, self.most * 0.85)]


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
        The threshold at first; if left out, the middle of the scores. The slider reaches all scores and its start.
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
        For numbers that are not finite, labels other than 0 and 1, or a class without examples.

    Examples
    --------
    ::

        threshold(scores=[0.1, 0.4, 0.35, 0.8], labels=[0, 0, 1, 1])
    """
    given = _Scores("threshold", scores, labels, start)
    count, positives = len(given.values), given.positives

    def point(at):
        right, wrong = given.called(at)
        return right / positives, right / (right + wrong) if right + wrong else 1.0

    recalls, precisions = map(list, zip(*(point(at) for at in (*given.distinct, np.inf)), strict=True))

    def draw(state):
        at = state["threshold"]
        (right, wrong), (recall, precision) = given.called(at), point(at)
        left = given.negatives - wrong
        says = f"Found {right}, missed {positives - right}, false alarms {wrong}, rightly left {left}: "
        says += f"precision {say(precision)}, recall {say(recall)}, "
        f1 = 2 * right / (2 * right + wrong + positives - right)
        says += f"F1 {say(f1)}, accuracy {say((left + right) / count)}."
        return [given.draw(at), [(recalls, precisions), [(recall, precision)]]], says

    right = Panel(
        "Precision over recall, with the place of the threshold.",
        "precision",
        "recall",
        (0.0, 1.0),
        (0.0, 1.0),
        (Shape("line", "all thresholds", COLORS[0]), Shape("dots", "this one", COLORS[1], size=7)),
    )
    return staged(
        Scene((given.panel, right), (given.control,), draw),
        name=checked_name(name, "threshold"),
        about=given.about,
        script="threshold.js",
        data={
            "values": given.values, "truth": given.truth.tolist(), "edges": given.edges, "bins": given.bins,
            "recalls": recalls, "precisions": precisions, "most": given.most, "positives": positives,
        },
        question=question,
    )  # fmt: skip


def price(
    scores: Sequence[float],
    labels: Sequence[int],
    start: float | None = None,
    miss: float = 1.0,
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """What the mistakes of a classifier cost over its threshold, where a miss costs so many false alarms.

    Parameters
    ----------
    scores : sequence of float
        The scores of 2 to 500 examples; those of at least the threshold are called positive.
    labels : sequence of int
        Their labels, 0 or 1.
    start : float, optional
        The threshold at first; if left out, the middle of the scores. The slider reaches all scores and its start.
    miss : float, optional
        What a missed positive costs at first, where a false alarm costs 1. Its slider is widened to hold it.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page.

    Returns
    -------
    Slider
        Histograms of the scores of both classes with the threshold, and the cost of misses, of false alarms and of
        both over the threshold, with the place where it is least.

    Raises
    ------
    ValueError
        For numbers that are not finite, labels other than 0 and 1, a class without examples, or a negative price.

    Examples
    --------
    ::

        price(scores=[0.1, 0.4, 0.35, 0.8], labels=[0, 0, 1, 1], miss=9)
    """
    given = _Scores("price", scores, labels, start)
    controls = given.control, Control("miss", *reaching("price", "miss", 1, 50, miss, (0, np.inf)), "cost of a miss")
    low, high, positives = given.control.low, given.control.high, given.positives
    # Every way to part the scores: a threshold below all, one between each two neighbors, one above all.
    apart = short([low, *((a + b) / 2 for a, b in pairwise(given.distinct)), high + (high - low) / 20])
    missed, alarms = zip(*((positives - right, wrong) for right, wrong in map(given.called, apart)), strict=True)

    def draw(state):
        at, dear = state["threshold"], state["miss"] * np.array(missed)
        both = dear + alarms
        best = int(np.argmax(both <= both.min() + 1e-9))
        right, wrong = given.called(at)
        cost = state["miss"] * (positives - right) + wrong
        says = f"{positives - right} misses and {wrong} false alarms cost {say(cost, 1)}; "
        says += f"the cheapest threshold, {say(apart[best], 2)}, costs {say(both[best], 1)}."
        lines = [(apart, dear), (apart, alarms), (apart, both)]
        return [given.draw(at), [*lines, [(apart[best], both[best])], [(at, cost)]]], says

    right = Panel(
        "The cost of misses, of false alarms and of both over the threshold.", "cost (in false alarms)", "threshold",
        (low, high), rounded(0.0, float(given.negatives)),
        (
            Shape("line", "misses", COLORS[0], "7 4"), Shape("line", "false alarms", COLORS[4], "2 3"),
            Shape("line", "both", "#333333", ghost=True), Shape("dots", "cheapest", COLORS[2], size=7),
            Shape("dots", "this one", COLORS[1], size=5),
        ),
    )  # fmt: skip
    return staged(
        Scene((given.panel, right), controls, draw),
        name=checked_name(name, "price"),
        about=given.about,
        script="price.js",
        data={
            "values": given.values, "truth": given.truth.tolist(), "bars": given.bars, "most": given.most,
            "positives": positives, "apart": apart, "missed": missed, "alarms": alarms,
        },
        question=question,
        printed=[{}, {"miss": 9.0}],
    )  # fmt: skip
