"""What an audit finds: one statement each, with the numbers that show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SEVERITIES = ("wrong", "inaccurate", "missing", "convention")  # in the order in which a report tells them


@dataclass(frozen=True)
class Finding:
    """One statement about a function, with the input that shows it.

    Attributes
    ----------
    kind : str
        What it is about, in one or two words: "sign", "reduction", "gradient".
    severity : {"wrong", "inaccurate", "missing", "convention"}
        Whether the function is not what it should be, loses digits, lacks something, or merely says the same otherwise.
    text : str
        A sentence.
    inputs : tuple
        The prediction and the target that show it, as the function took them.
    got, want : object
        What the function gave, and what it would have to give; None where nothing can be compared.
    """

    kind: str
    severity: str
    text: str
    inputs: tuple[Any, ...] = ()
    got: Any = None
    want: Any = None

    def __str__(self) -> str:
        return f"{self.severity}: {self.text}"


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, the worst first."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def number(value: Any) -> str:
    """A number in at most six digits, the same on every machine."""
    value = float(value)
    if 0 < abs(1 - value) < 1e-5:
        return f"1 {'-' if value < 1 else '+'} {abs(1 - value):.2g}"
    return repr(int(value)) if value == int_or_nan(value) and abs(value) < 1e6 else f"{value:.6g}"


def int_or_nan(value: float) -> float:
    """The whole part of a finite number; NaN of any other."""
    return float(int(value)) if np.isfinite(value) else np.nan


def spelled(value: Any) -> str:
    """An array, a number or a text, short enough for a table."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        return str(value)
    if array.ndim == 0:
        return number(array)
    if array.size > 16:
        return f"an array of shape {array.shape}"
    return "[" + ", ".join(map(spelled, array)) + "]"


def by_inputs(inputs: Sequence[Any]) -> str:
    """The inputs of a finding, for a table."""
    return ", ".join(spelled(part) for part in inputs)


def snapped(value: float, tolerance: float = 1e-7) -> float:
    """The plain number that a fitted one stands for: of few digits, a small fraction, or six digits."""
    if abs(value) < 1e-11:
        return 0.0
    for digits in range(1, 5):
        near = float(f"{value:.{digits}g}")
        if abs(near - value) <= tolerance * abs(value):
            return near
    for below in range(2, 13):
        near = round(value * below) / below
        if near and abs(near - value) <= tolerance * abs(value):
            return near
    return float(f"{value:.6g}")
