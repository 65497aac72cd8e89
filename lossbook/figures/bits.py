"""A formula as it is typed, each step of it rounded to so many bits, beside the exact loss."""

from typing import Any

import numpy as np
import sympy

from lossbook.figures.axes import between, evaluate, prediction_domain, reaching, usual_target
from lossbook.figures.scene import Control, Panel, Scene, Shape, rounded, say
from lossbook.figures.stage import Slider, checked_name, in_javascript, staged
from lossbook.figures.style import COLORS

__all__ = ["bits"]

MOST = 30  # bits: those of float64 that are left tell how many are right
TIE = 1.5 * 2.0**52  # added and taken away again, it rounds to a whole number as a processor does
STEPS: dict[str, Any] = {
    "exp": np.exp, "log": np.log, "add": np.add, "multiply": np.multiply, "divide": lambda x: 1 / x, "abs": np.abs,
}  # fmt: skip
NAMES = {sympy.exp: "exp", sympy.log: "log", sympy.Add: "add", sympy.Mul: "multiply", sympy.Abs: "abs"}


def _steps(typed):
    """What a formula does to one number, one step after the other: a name, and the places of earlier results."""
    typed = sympy.sympify(typed)
    if len(typed.free_symbols) != 1:
        raise TypeError(f"bits: the formula must be one of one symbol; got {typed}")
    steps = []

    def place(e):
        if e.is_Symbol:
            step = ("given",)
        elif e.is_Number:
            step = ("number", float(e))
        elif e.is_Pow and e.exp == -1:
            step = ("divide", place(e.base))
        elif e.func in NAMES:
            first, *others = map(place, e.args)
            for other in others[:-1]:
                steps.append((NAMES[e.func], first, other))
                first = len(steps) - 1
            step = (NAMES[e.func], first, *others[-1:])
        else:
            raise TypeError(f"bits: a formula of exp, log, abs, sums, products and 1/x is needed; got {e}")
        steps.append(step)
        return len(steps) - 1

    place(typed)
    return steps


def _nearest(x, count):
    """Numbers rounded to a count of bits, a tie to the even one; exponents may have any size."""
    unit = 2.0 ** (count - 1 - np.floor(np.log2(np.abs(x))))
    return np.where(np.isfinite(unit) & (unit > 0), (x * unit + TIE - TIE) / unit, x)


def bits(
    typed: Any,
    loss: Any,
    target: float | None = None,
    count: int = 24,
    start: float = 2.0,
    reach: tuple[float, float] = (-5.0, 30.0),
    question: str | None = None,
    name: str | None = None,
) -> Slider:
    """How many bits of a formula are right, if each of its steps is rounded to so many bits.

    Parameters
    ----------
    typed : sympy.Expr
        A formula of one symbol, the prediction, as it is typed: of exp, log, abs, sums, products and 1/x.
    loss : Loss
        The pointwise loss that it is, which says what is exact.
    target : float, optional
        If left out, 0 for observed values and 1 for labels.
    count : int, optional
        The bits of a number at first: 8 for bfloat16, 11 for float16, 24 for float32. Exponents may have any size.
    start : float, optional
        The prediction at first.
    reach : tuple of float, optional
        (low, high) of the predictions, which is widened to hold the start.
    question : str, optional
        What to answer before the controls are set free, by a button.
    name : str, optional
        The name of the figure, unique on its page; if left out, made from the loss.

    Returns
    -------
    Slider
        The logarithm of the exact loss and of the formula as typed, and how many bits of it are right, over the
        prediction.

    Raises
    ------
    TypeError
        For a formula of several symbols or of other functions, or a loss that is not pointwise.
    ValueError
        For a count of bits out of 2 to 30, or a start that is not finite.

    Examples
    --------
    ::

        bits(log(1 + exp(-z)), binary.cross_entropy_with_logits, target=1, count=24)
    """
    prediction_domain(loss)
    steps = _steps(typed)
    target = usual_target(loss) if target is None or loss.declaration.target is None else float(target)
    letter = loss.declaration.arrays[0]
    low, high, start = reaching("bits", "start", *reach, start)
    fewest, most, count = map(round, reaching("bits", "count", 4, MOST, count, within=(2, MOST)))
    controls = Control("bits", fewest, most, count, whole=True), Control("z", low, high, start, letter)
    grid = between(low, high)
    exact = evaluate(loss, grid, target, {})[0]

    def rounded_at(x, count):
        found: list[Any] = []
        for step, *parts in steps:
            if step == "number":
                result = np.full_like(x, parts[0])
            else:
                result = x if step == "given" else STEPS[step](*(found[part] for part in parts))
            found.append(_nearest(result, count))
        return found[-1]

    def right(got, true, count):
        off = np.abs(got - true) / np.abs(true)
        return np.where(np.isnan(off), 0, np.clip(-np.log2(off), 0, count))

    def draw(state):
        count, z = state["bits"], np.array([float(state["z"])])
        with np.errstate(all="ignore"):
            got, (there,) = rounded_at(grid, count), rounded_at(z, count)
            (true,) = evaluate(loss, z, target, {})[0]
            left = [(grid, np.log10(np.abs(exact))), (grid, np.log10(np.abs(got)))]
            height, (good,) = np.log10(np.abs(true)), right(there, np.array([true]), count)
            dots = list(zip(grid, right(got, exact, count), strict=True))
            says = f"At {letter} = {say(z[0], 2)} the logarithm of the loss is {say(height)}, as typed "
            says += f"{say(np.log10(np.abs(there)))}: {say(good, 1)} of {count:g} bits are right."
        return [[*left, (z[0], height)], [dots, [(z[0], good)]]], says

    heights = np.log10(np.abs(exact[exact != 0]))
    left = Panel(
        "The logarithm of the loss, exact and as typed.", "log10 of the loss", letter, (low, high),
        rounded(float(heights.min()), float(heights.max())),
        (
            Shape("line", "exact", COLORS[2], size=4, opacity=0.5), Shape("line", "as typed", COLORS[1], size=2),
            Shape("handle", letter, COLORS[0], drag=("z", None)),
        ),
    )  # fmt: skip
    over = Panel(
        "How many bits of the formula as typed are right.", "bits that are right", letter, (low, high),
        (0.0, float(MOST)), (Shape("dots", "", COLORS[1], size=2), Shape("dots", "", COLORS[0], size=6)),
    )  # fmt: skip
    return staged(
        Scene((left, over), controls, draw),
        name=checked_name(name, "bits", loss.name),
        about=f"A formula as typed, its steps rounded, beside {loss.name}. ",
        script="bits.js",
        losses=[in_javascript(loss)],
        data={"steps": steps, "x": [low, high], "points": len(grid) - 1, "target": target, "letter": letter},
        question=question,
        printed=[{}, {"bits": 11.0}],
    )
