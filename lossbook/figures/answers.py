"""Yes-or-no answers: one logit, and two probabilities."""

from typing import Any

import numpy as np

from lossbook import binary, divergence
from lossbook.figures.axes import between, needs_a_logit_and_a_label, reaching, sigmoid
from lossbook.figures.scene import Control, Panel, Scene, Shape, rounded, say
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["answer", "code_lengths"]


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
        Logits go from -reach to reach, and further where start does.
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
        For a start that is not finite, or a label out of [0, 1].

    Examples
    --------
    ::

        answer(start=-1.5, label=1)
    """
    needs_a_logit_and_a_label("answer", loss)
    _, _, start = reaching("answer", "start", -reach, reach, start)
    reach = max(reach, abs(start))
    controls = (
        Control("z", -reach, reach, start, "logit z"),
        Control("y", *reaching("answer", "label", 0, 1, label, within=(0, 1)), "label y"),
    )
    grid = between(-reach, reach)

    def of(z, y):
        z = np.atleast_1d(np.asarray(z, float))
        return loss.value_and_grad(z, np.full_like(z, y), reduction="none")

    def draw(state):
        z, y = state["z"], state["y"]
        value, slope = (float(part[0]) for part in of(z, y))
        p = float(sigmoid(z))
        left = [(grid, of(grid, y)[0]), [(z, value, z - 3 * slope, value)], (z, value)]
        right = [(grid, sigmoid(grid)), ([-reach, reach], [y, y]), [(z, p, z, y)], [(z, p)]]
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
        For probabilities out of [0, 1].

    Examples
    --------
    ::

        code_lengths(p=0.3, q=0.6)
    """
    controls = (
        Control("p", *reaching("code_lengths", "p", 0.01, 0.99, p, within=(0, 1)), "truth p"),
        Control("q", *reaching("code_lengths", "q", 0.01, 0.99, q, within=(0, 1)), "prediction q"),
    )
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
