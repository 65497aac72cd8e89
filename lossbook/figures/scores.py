"""Scores of classes, their softmax, and what the cross-entropy of the truth does to them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lossbook import multiclass
from lossbook.algebra import Loss
from lossbook.figures.axes import between, reaching
from lossbook.figures.fits import rising_root
from lossbook.figures.scene import Control, Panel, Scene, Shape, rounded, say
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["scores", "smoothing"]


def _of_logits(where, loss):
    """Refuse what is not a loss of a row of logits."""
    if not isinstance(loss, Loss) or not (loss.space.rows_of_classes and loss.declaration.of_prediction.holds_logits):
        raise TypeError(f"{where}: needs a loss of a row of logits; got {getattr(loss, 'name', type(loss).__name__)}")


def scores(
    start: Sequence[float] = (2.0, 1.0, -1.0),
    truth: int = 1,
    loss: Any = multiclass.cross_entropy_with_logits,
    labels: Sequence[str] | None = None,
    reach: float = 5.0,
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """Scores to drag, their softmax beside the truth, and where the loss pulls each score.

    Parameters
    ----------
    start : sequence of float
        The scores at first, two to six.
    truth : int
        The class that is true.
    loss : Loss, optional
        A loss of a row of logits.
    labels : sequence of str, optional
        The names of the classes; if left out, "class 0", "class 1" and so on.
    reach : float, optional
        Scores go from -reach to reach, and further where start does.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the loss.

    Returns
    -------
    Slider
        The scores, divided by a temperature, with an arrow along minus the gradient of each; and their softmax with
        the truth. Scores are dragged by mouse, touch or arrow keys.

    Raises
    ------
    TypeError
        For a loss that is not one of rows of logits.
    ValueError
        For a truth that is no class, scores that are not finite or a wrong number of labels.

    Examples
    --------
    ::

        scores([2, 1, -1], truth=1, labels=["cat", "dog", "owl"])
    """
    _of_logits("scores", loss)
    start, count = [float(value) for value in start], len(start)
    if not 2 <= count <= 6:
        raise ValueError(f"scores: start must be two to six scores; got {count}")
    ends = [reaching("scores", f"start[{k}]", -reach, reach, value) for k, value in enumerate(start)]
    reach = max(reach, *(abs(value) for _, _, value in ends))
    if not 0 <= truth < count:
        raise ValueError(f"scores: truth must be in 0..{count - 1}; got {truth}")
    labels = [f"class {k}" for k in range(count)] if labels is None else [str(label) for label in labels]
    if len(labels) != count:
        raise ValueError(f"scores: labels must be {count} texts; got {len(labels)}")
    names = [f"z{k}" for k in range(count)]
    controls = (
        *(
            Control(n, -reach, reach, value, f"score of {label}")
            for n, (_, _, value), label in zip(names, ends, labels, strict=True)
        ),
        Control("temperature", 0.2, 5, 1),
    )
    target = np.eye(count)[[truth]]

    def draw(state):
        z = np.array([[state[n] for n in names]])
        temperature = state["temperature"]
        value, slope = loss.value_and_grad(z / temperature, target, reduction="none")
        exps = np.exp((z - z.max()) / temperature)[0]
        shares = exps / exps.sum()
        pull = -slope[0] / temperature
        at = np.arange(count)
        arrows = [(k + 0.25, z[0, k], k + 0.25, z[0, k] + 2 * pull[k]) for k in at]
        bars = [(k - 0.35, 0, k, shares[k]) for k in at]
        wanted = [(truth, 0, truth + 0.35, 1)]
        said = ", ".join(f"{label} {say(share)}" for label, share in zip(labels, shares, strict=True))
        pulls = ", ".join(f"{label} {say(p)}" for label, p in zip(labels, pull, strict=True))
        stems = [(k - 0.15, 0, k + 0.15, z[0, k]) for k in at]
        says = f"Probabilities: {said}. Loss {say(value[0])}. Minus the gradient: {pulls}."
        return [[stems, arrows, *((k, z[0, k]) for k in at)], [bars, wanted]], says

    left = Panel(
        "The scores, with arrows along minus the gradient.", "score", "", (-0.6, count - 0.4), (-reach - 1, reach + 1),
        (
            Shape("bars", "", COLORS[5], opacity=0.6), Shape("arrows", "minus gradient, times 2", COLORS[1]),
            *(
                Shape("handle", f"score of {label}", COLORS[0], drag=(None, n))
                for label, n in zip(labels, names, strict=True)
            ),
        ),
        names=tuple(labels),
    )  # fmt: skip
    right = Panel(
        "The probabilities, beside the truth.", "probability", "", (-0.6, count - 0.4), (0.0, 1.0),
        (Shape("bars", "softmax", COLORS[0]), Shape("bars", "truth", COLORS[2], opacity=0.6)), names=tuple(labels),
    )  # fmt: skip
    return staged(
        Scene((left, right), controls, draw),
        name=checked_name(name, "scores", loss.name),
        about=f"Scores that can be dragged; the truth is {labels[truth]}. ",
        script="scores.js",
        losses=[in_javascript(loss)],
        data={"truth": int(truth), "labels": labels, "target": target[0]},
        question=question,
        printed=[{}, {"temperature": 3.0}],
    )


def smoothing(
    start: float = 0.1,
    classes: int = 10,
    loss: Any = multiclass.cross_entropy_with_logits,
    reach: tuple[float, float] = (-2.0, 10.0),
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """Label smoothing: the loss over the lead of the true class, and the two forces that meet at its minimum.

    Parameters
    ----------
    start : float
        The smoothing at first.
    classes : int, optional
        How many classes there are; all but the true one have the score 0.
    loss : Loss, optional
        A loss of a row of logits with a parameter `smoothing`.
    reach : tuple of float, optional
        (low, high) of the score of the true class.
    question : str, optional
        What to answer before the control is set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the loss.

    Returns
    -------
    Slider
        The loss over the score with its minimum, and the force up, of the label, and down, of the uniform part, both
        from the gradient; the minimum is where they are equal.

    Raises
    ------
    TypeError
        For a loss without smoothing.
    ValueError
        For fewer than two classes, or a smoothing out of range.

    Examples
    --------
    ::

        smoothing(start=0.1, classes=10)
    """
    _of_logits("smoothing", loss)
    if "smoothing" not in loss.declaration.defaults:
        raise TypeError(f"smoothing: {loss.name} has no parameter smoothing")
    if not 2 <= classes <= 1000:
        raise ValueError(f"smoothing: classes must be in 2..1000; got {classes}")
    control = Control("smoothing", *reaching("smoothing", "start", 0, 0.5, start), "smoothing")
    low, high = map(float, reach)
    grid = between(low, high)
    label, even = np.eye(classes)[0], np.full(classes, 1 / classes)

    def of(z, target, smoothing):
        rows = np.zeros((len(z), classes))
        rows[:, 0] = z
        found = loss.value_and_grad(rows, np.tile(target, (len(z), 1)), smoothing=smoothing, reduction="none")
        return found[0], found[1][:, 0]

    def draw(state):
        share = state["smoothing"]
        value = of(grid, label, share)[0]
        up, down = -(1 - share) * of(grid, label, 0.0)[1], share * of(grid, even, 0.0)[1]
        best = rising_root(lambda z: of(np.atleast_1d(z), label, share)[1], low, high)
        least = of(best, label, share)[0][0]
        force = -(1 - share) * of(best, label, 0.0)[1][0]
        exps = np.exp(best[0])
        probability = exps / (exps + classes - 1)
        says = f"The minimum is at z = {say(best[0], 2)}, where the true class has the probability {say(probability)}; "
        says += f"the loss there is {say(least)}."
        if best[0] > high - 1e-6:
            says = "There is no minimum in sight: the loss falls as far as the score goes."
        return [[(grid, value), [(best[0], least)]], [(grid, up), (grid, down), [(best[0], force)]]], says

    along = "score z of the true class"
    values = [of(grid, label, share)[0] for share in (0.0, control.start, control.high)]
    left = Panel(
        f"Cross-entropy over the score of the true class, of {classes} classes.", "loss (nats)", along, (low, high),
        rounded(0.0, float(np.max(values))),
        (Shape("line", "loss", COLORS[0], ghost=True), Shape("dots", "minimum", COLORS[0], size=6)),
    )  # fmt: skip
    right = Panel(
        "The force up, of the label, and the force down, of the uniform part.", "force on z", along, (low, high),
        (0.0, 1.0),
        (
            Shape("line", "up: label", COLORS[2]), Shape("line", "down: smoothing", COLORS[1], "7 4"),
            Shape("dots", "", COLORS[0], size=6),
        ),
    )  # fmt: skip
    return staged(
        Scene((left, right), (control,), draw),
        name=checked_name(name, "smoothing", loss.name),
        about=f"A slider for label smoothing, with {classes} classes. ",
        script="smoothing.js",
        losses=[in_javascript(loss, ["smoothing"])],
        data={"classes": classes, "x": [low, high]},
        question=question,
        printed=[{}, {"smoothing": 0.4}],
    )
