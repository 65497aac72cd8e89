"""The float32 cliff: how far a plain form of a loss is off, in units of the last place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from lossbook import words
from lossbook.figures.axes import axis_labels, prediction_domain, usual_range, usual_target
from lossbook.figures.style import COLORS, LINES, load_matplotlib, new_figure, rc_parameters

__all__ = ["cliff"]


def cliff(
    loss: Any,
    naive: Callable[..., Any],
    x: Any = None,
    target: float | None = None,
    label: str = "plain form",
    **parameters: Any,
) -> tuple[Any, dict[str, np.ndarray]]:
    """How many units of the last place a plain float32 form is off, and how many the loss is.

    The exact value is `loss.textbook` at the same float32 numbers, worked out by mpmath with as many digits as the
    largest prediction asks for. One unit of the last place is the distance between two float32 numbers at the exact
    value; from 2**23 = 8388608 units on no digit is right.

    Parameters
    ----------
    loss : Loss
        A pointwise loss.
    naive : callable
        A function of float32 arrays (prediction, target), or (prediction,) for a loss without target.
    x : tuple of float or array_like, optional
        (low, high), or the predictions themselves; if left out, logits from -100 to 100, else as in `curves`.
    target : float, optional
        As in `curves`.
    label : str, optional
        What the legend calls the plain form.
    **parameters
        Values of the loss's parameters.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Both errors over the prediction.
    errors : dict of str to ndarray
        "x", "exact", "plain" and "lossbook" in float64; the last two are in units of the last place, infinite where
        the result is infinite or not a number, and NaN where the exact value is not a normal float32 number.

    Raises
    ------
    ValueError
        For predictions beyond 1e4, and as `curves` does.
    TypeError
        As `curves` does.

    Examples
    --------
    ::

        figure, errors = cliff(binary.cross_entropy_with_logits, lambda z, y: -np.log(1/(1 + np.exp(-z))))
    """
    try:
        import mpmath
    except ImportError as error:
        raise ImportError("lossbook.figures.cliff needs exact values from mpmath, which is not installed") from error
    domain = prediction_domain(loss)
    target = usual_target(loss) if target is None or loss.declaration.target is None else float(target)
    reach = x if x is not None else (-100, 100) if domain.holds_logits else usual_range([loss], target or 0.0)
    is_range = len(reach) == 2
    x = np.linspace(float(reach[0]), float(reach[1]), 401) if is_range else np.asarray(reach)
    x = x.astype(np.float32)
    if not np.all(np.abs(x) <= 1e4):
        raise ValueError("cliff: predictions must be at most 1e4 in magnitude, since exp(x) is worked out in full")
    arrays = (x,) if target is None else (x, np.full_like(x, target))
    flags, values = loss.settings(parameters)
    form = loss.formula_at(**flags)
    textbook = words.plainly(form.formula)
    # Only beside an exponential as large as exp(x) do other terms need so many digits.
    with mpmath.workdps(50 + int(2 * np.abs(x).max()) if textbook.has(sympy.exp) else 100):
        known = [mpmath.mpf(float(np.float32(values[symbol.name]))) for symbol in form.parameters]
        exactly = sympy.lambdify((*form.arrays, *form.parameters), textbook, "mpmath")
        exact = []
        for at in zip(*arrays, strict=True):
            try:
                exact.append(exactly(*(mpmath.mpf(float(number)) for number in at), *known))
            except ZeroDivisionError:  # an end of [0, 1]: the textbook form has no value there
                exact.append(mpmath.nan)
        numbers = np.array([float(value) for value in exact])
        tiny, largest = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
        units = np.spacing(np.clip(np.abs(numbers), tiny, 2.0**127).astype(np.float32))

        def distance(found):
            pairs = zip(found, exact, units, strict=True)
            off = np.array([float(abs(float(f) - e) / float(u)) if np.isfinite(f) else np.inf for f, e, u in pairs])
            return np.where((np.abs(numbers) >= tiny) & (np.abs(numbers) <= largest), off, np.nan)

        with np.errstate(all="ignore"):
            plain = distance(np.broadcast_to(naive(*arrays), x.shape))
        ours = distance(loss(*arrays, reduction="none", **parameters))
    errors = {"x": x.astype(np.float64), "exact": numbers, "plain": plain, "lossbook": ours}

    along = axis_labels([loss])[0]
    sentence = f"Float32 error of {label} and of {loss.name} over the {along}, in units of the last place."
    with load_matplotlib().rc_context(rc_parameters()):
        figure, (axis,) = new_figure(sentence, 1, (6.4, 3.8))
        axis.axhline(2.0**23, color="#888888", linewidth=1, linestyle="-")
        note = {"xytext": (-4, 3), "textcoords": "offset points", "ha": "right", "fontsize": 9}
        axis.annotate("no digit is right", (x.max(), 2.0**23), **note)
        for which, (name, title) in enumerate((("lossbook", loss.name), ("plain", label))):
            # A perfect result has no logarithm, and an infinite one no place: they are drawn along the edges.
            axis.plot(x, np.clip(errors[name], 0.1, 1e9), label=title, color=COLORS[which], linestyle=LINES[which])
        axis.set(xlabel=along, ylabel="error (units of the last place)", yscale="log", ylim=(0.08, 1.5e9))
        axis.set_xlim(x.min(), x.max())
        figure.legend(handles=axis.get_lines()[1:], loc="outside lower center", ncols=2)
    return figure, errors
