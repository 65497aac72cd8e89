"""Say whether a claim holds, without stopping: for the cells of a reader who changes their numbers."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

__all__ = ["check"]

CLOSE = 1e-9  # what "~" allows when no tolerance is given

RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def check(claim: str, left: Any, relation: str | None = None, right: Any = None, *, within: float = CLOSE) -> None:
    """Print whether a claim holds; unlike `assert`, it never stops a notebook.

    Parameters
    ----------
    claim : str
        A sentence without its full stop, such as "the mean loss falls".
    left : object
        A condition: a bool, an array of them (all must be true) or a condition of SymPy. With a relation, its left
        side: a number, an array or an expression of SymPy.
    relation : str, optional
        One of "==", "!=", "<", "<=", ">", ">=", which must hold for all elements, or "~": equal but for rounding.
    right : object, optional
        The right side of the relation, of a shape that broadcasts with the left one.
    within : float, optional
        What "~" allows: the largest difference, as a part of the larger magnitude.

    Raises
    ------
    ValueError
        For an unknown relation, which is a mistake in the cell and not in its numbers.

    Notes
    -----
    Prints `holds: <claim>`, or `no longer holds: <claim>` and in brackets the two numbers of the first place where it
    fails. A comparison with NaN fails, and so does one that cannot be made, such as that of arrays of two lengths. Two
    expressions of SymPy are equal if SymPy simplifies their difference to 0.

    Examples
    --------
    >>> from lossbook.workshop import check
    >>> check("the mean loss falls", 0.25, "<", 0.5)
    holds: the mean loss falls
    >>> check("the mean loss falls", 0.75, "<", 0.5)
    no longer holds: the mean loss falls (0.75 < 0.5)
    >>> check("all labels are 0 or 1", [True, False, True])
    no longer holds: all labels are 0 or 1 (not at [1])
    """
    if relation not in (None, "~", *RELATIONS):
        raise ValueError(f"check: relation must be one of ~, {', '.join(RELATIONS)}; got {relation!r}")
    try:
        reason = _condition(left) if relation is None else _relation(left, relation, right, within)
    except Exception as error:  # a changed number may bring values that cannot be compared: the cell goes on
        reason = str(error).partition("\n")[0] or type(error).__name__
    print(f"holds: {claim}" if reason is None else f"no longer holds: {claim}{f' ({reason})' if reason else ''}")


def _condition(condition: Any) -> str | None:
    """Why a condition fails; None if it holds."""
    if isinstance(condition, sympy.Basic):
        return (
            None if condition == sympy.true else "" if condition == sympy.false else f"SymPy cannot decide {condition}"
        )
    return _first(np.asarray(condition, dtype=bool))


def _relation(left: Any, relation: str, right: Any, within: float) -> str | None:
    """Why a relation fails; None if it holds."""
    if isinstance(left, sympy.Basic) or isinstance(right, sympy.Basic):
        difference = sympy.simplify(sympy.sympify(left) - sympy.sympify(right))
        compare = RELATIONS["==" if relation == "~" else relation]
        holds = difference.is_zero if compare is operator.eq else compare(difference, 0)
        return None if holds in (True, sympy.true) else f"{left} {relation} {right}: they differ by {difference}"
    left, right = np.broadcast_arrays(np.asarray(left), np.asarray(right))
    if relation == "~":
        with np.errstate(invalid="ignore"):
            off = abs(left - right)
            kept = (left == right) | (np.isfinite(off) & (off <= within * np.maximum(abs(left), abs(right))))
    else:
        kept = RELATIONS[relation](left, right)
    return _first(np.asarray(kept), lambda place: f"{_say(left[place])} {relation} {_say(right[place])}")


def _first(kept: np.ndarray, describe: Callable[[tuple], str] | None = None) -> str | None:
    """The first place that is not true, described; None if there is none."""
    if kept.all():
        return None
    place = tuple(int(index) for index in np.argwhere(~kept)[0])
    if not place:
        return describe(place) if describe else ""
    at = f"at {list(place)}"
    return f"{describe(place)} {at}" if describe else f"not {at}"


def _say(number: Any) -> str:
    return f"{number:.6g}" if np.issubdtype(np.asarray(number).dtype, np.number) else repr(np.asarray(number).item())
