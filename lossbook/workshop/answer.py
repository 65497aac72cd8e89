"""Say whether the answer to an exercise is right, and what is wrong with it, without giving the right one away."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy

__all__ = ["answer", "seal", "sealed"]

ROUNDED = 0.005  # how far an answer may be off, as a part of the right one: numbers are often rounded


def answer(
    what: str, given: Any, right: Any, *, within: float = ROUNDED, mistakes: Mapping[str, Any] | None = None
) -> None:
    """Print whether an answer is right; if it is not, in what way.

    Parameters
    ----------
    what : str
        What was asked for, such as "the three losses".
    given : object
        A number, an array of numbers or an expression of SymPy; `...` where nothing is filled in yet.
    right : object
        The right answer, of the same kind.
    within : float, optional
        How far a number may be off, as a part of the largest magnitude of the right answer.
    mistakes : dict, optional
        What is given by those who make a mistake that is known, by the words that say which one.

    Notes
    -----
    Prints `right: <what>`, `not answered yet: <what>` or `not right yet: <what>`, with a reason: a known mistake, the
    other sign, a factor, another shape, or where the answer is too large or too small. It never stops a notebook.

    Examples
    --------
    >>> from lossbook.workshop import answer
    >>> answer("the loss of a chance of one half", 0.693, 0.69315)
    right: the loss of a chance of one half
    >>> answer("the loss of a chance of one half", -0.693, 0.69315)
    not right yet: the loss of a chance of one half (the sign is the other one)
    >>> answer("the loss of a chance of one half", 1.0, 0.69315, mistakes={"the logarithm has base 2": 1.0})
    not right yet: the loss of a chance of one half (the logarithm has base 2)
    >>> answer("the loss of a chance of one half", ..., 0.69315)
    not answered yet: the loss of a chance of one half
    """
    if given is Ellipsis or (isinstance(given, list | tuple) and any(one is Ellipsis for one in given)):
        print(f"not answered yet: {what}")
        return
    try:
        reason = _reason(given, right, within, mistakes or {})
    except (TypeError, ValueError, AttributeError):  # whatever a reader has typed, the cell goes on
        reason = f"{type(given).__name__} is not what is asked for"
    print(f"right: {what}" if not reason else f"not right yet: {what} ({reason})")


def seal(right: Any, mistakes: Mapping[str, Any] | None = None) -> str:
    """What `answer` compares with, in letters that nobody reads by accident.

    Parameters
    ----------
    right : object
        A number or an array of numbers.
    mistakes : dict, optional
        Those of known mistakes, by the words that say which one.

    Returns
    -------
    str
        What `sealed` takes.

    Examples
    --------
    >>> from lossbook.workshop.answer import seal
    >>> seal(0.25)
    'eyJyaWdodCI6IDAuMjUsICJtaXN0YWtlcyI6IHt9fQ=='
    """
    numbers = {words: np.asarray(value).tolist() for words, value in (mistakes or {}).items()}
    text = json.dumps({"right": np.asarray(right).tolist(), "mistakes": numbers})
    return base64.b64encode(text.encode()).decode()


def sealed(text: str) -> dict[str, Any]:
    """The arguments `right` and `mistakes` of `answer` that `seal` has closed.

    Parameters
    ----------
    text : str
        What `seal` gave.

    Returns
    -------
    dict

    Examples
    --------
    >>> from lossbook.workshop import answer, sealed
    >>> answer("a quarter", 0.25, **sealed("eyJyaWdodCI6IDAuMjUsICJtaXN0YWtlcyI6IHt9fQ=="))
    right: a quarter
    """
    return json.loads(base64.b64decode(text))


def _reason(given: Any, right: Any, within: float, mistakes: Mapping[str, Any]) -> str:
    """What is wrong; "" if nothing is."""
    if isinstance(right, sympy.Basic):
        return _reason_of_expression(sympy.sympify(given), right, mistakes)
    got, wanted = np.asarray(given, dtype=float), np.asarray(right, dtype=float)
    if got.shape != wanted.shape:
        return f"{_shape(got)}, and {_shape(wanted)} is asked for"
    allowed = within * max(abs(wanted).max(), np.finfo(float).tiny)

    def close(one: Any) -> bool:
        return bool(np.all(abs(got - one) <= allowed))

    if close(wanted):
        return ""
    for words, mistaken in mistakes.items():
        if np.shape(mistaken) == wanted.shape and close(np.asarray(mistaken, dtype=float)):
            return words
    if not np.isfinite(got).all():
        return "it is not finite"
    if close(-wanted):
        return "the sign is the other one"
    factor = (got * wanted).sum() / (wanted * wanted).sum() if wanted.any() else 0.0
    if wanted.size > 1 and factor and close(factor * wanted):
        return f"all of it is {factor:.3g} times as large as it should be"
    place = tuple(int(at) for at in np.argwhere(abs(got - wanted) > allowed)[0])
    off = "too large" if got[place] > wanted[place] else "too small"
    return f"{off} at {list(place)}" if place else f"it is {off}"


def _reason_of_expression(given: sympy.Basic, right: sympy.Basic, mistakes: Mapping[str, Any]) -> str:
    if sympy.simplify(given - right) == 0:
        return ""
    for words, mistaken in mistakes.items():
        if sympy.simplify(given - mistaken) == 0:
            return words
    factor = sympy.simplify(given / right)
    if factor == -1:
        return "the sign is the other one"
    return f"it is {factor} times what it should be" if factor.is_number else "it is another expression"


def _shape(array: np.ndarray) -> str:
    return "one number" if array.shape == () else f"an array of shape {array.shape}"
