"""The errors of lossbook. Each message reads: loss: argument rule; got what was found at index where.

That of a text that cannot be read shows the place instead.
"""

import math
import numbers
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

FIELDS = ("loss", "argument", "rule", "found", "index", "said", "hint")
NOTHING = object()  # found where there is nothing to show; None may be what came


class Reported(Exception):
    """What the errors share: the fields of a message, and the one sentence that is made of them.

    loss      the name of the loss or function that was called
    argument  the name of the argument that is wrong; None where the rule is about the call as a whole
    rule      what it must be
    found     what came; of what is no number, text, dtype or tuple of such, the text that describes it
    index     where it stood in its array, a tuple; () for what is no element
    hint      what to do about it, or ""

    An error that is given nothing but a text, as in `DomainError("text")`, says that, and its fields are None.
    """

    loss: str | None = None
    argument: str | None = None
    rule: str | None = None
    found: Any = None
    index: tuple[int, ...] | None = None
    hint: str | None = None
    said = ""

    def __init__(
        self,
        loss: str = "",
        argument: str | None = None,
        rule: str | None = None,
        found: Any = NOTHING,
        index: Iterable[int] = (),
        *,
        said: str = "",
        hint: str = "",
    ) -> None:
        if rule is None:
            super().__init__(*(part for part in (loss, argument) if part))
            return
        if found is NOTHING:
            found = None
        else:
            said = said or shown(found)
            found = found if _is_small(found) else said
        self.loss, self.argument, self.rule, self.found = loss, argument, rule, found
        self.index, self.said, self.hint = tuple(index), said, hint
        super().__init__(self._sentence())

    def _sentence(self):
        text = f"{self.loss}: {self.argument} {self.rule}" if self.argument else f"{self.loss}: {self.rule}"
        text += f"; got {self.said}" if self.said else ""
        if self.index:
            text += f" at index {self.index[0] if len(self.index) == 1 else self.index}"
        return text + (f" ({self.hint})" if self.hint else "")

    def changed(self, **fields: Any) -> Self:
        """The same error with other fields; one that is nothing but a text stays as it is."""
        if self.rule is None:
            return self
        return type(self)(**{name: getattr(self, name) for name in FIELDS} | fields)

    def renamed(self, loss: str | None = None, argument: str | None = None) -> Self:
        """The same error in the words of another loss, of which the one that found it is a part."""
        return self.changed(loss=loss or self.loss, argument=argument or self.argument)

    def shifted(self, start: Sequence[float]) -> Self:
        """The same error, its index counted from the start of the whole array, of which a part begins at `start`."""
        if not self.index:
            return self
        if any(map(math.isnan, start)):  # Dask need not know where a block begins
            return self.changed(index=())
        return self.changed(index=tuple(place + int(first) for place, first in zip(self.index, start, strict=True)))


class ShapeError(Reported, ValueError):
    """Arrays whose shapes do not fit together."""


class DomainError(Reported, ValueError):
    """A value, a dtype or an option outside what the loss is defined for."""


class BackendError(Reported, ImportError):
    """A backend that is unknown, not installed, or that does not own the arrays it was given."""


class NotationError(ValueError):
    """A formula in LaTeX that cannot be read: the message shows its line, a mark under the place, and why.

    line, column  where in the text, counted from 1
    rule          what was expected there
    """

    def __init__(self, text: str, line: int, column: int, rule: str) -> None:
        self.text, self.line, self.column, self.rule = text, line, column, rule
        printed = text.split("\n")[line - 1]
        head = f"derive.latex: cannot read line {line}, column {column}: {rule}"
        super().__init__(f"{head}\n    {printed.expandtabs(1)}\n    {' ' * (column - 1)}^")

    def __reduce__(self) -> tuple[type, tuple[str, int, int, str]]:
        return type(self), (self.text, self.line, self.column, self.rule)


# --- what came, in few words -----------------------------------------------------------------------------------------


class _Short(reprlib.Repr):
    """Like repr, but no longer than a line, and of an array no more than its shape."""

    def __init__(self):
        super().__init__()
        self.maxstring = self.maxother = 80
        self.maxlevel = 3

    def repr_int(self, number, level):
        return repr(number) if number.bit_length() < 256 else f"an integer of {number.bit_length()} bits"

    def repr_instance(self, value, level):
        shape = getattr(value, "shape", None)
        if not isinstance(shape, tuple):
            return super().repr_instance(value, level)
        if not shape and hasattr(value, "item"):
            return self.repr1(value.item(), level)
        kind, shape = type(value), tuple(shape)
        if kind.__name__ == "ndarray":
            return f"an array of shape {shape}"
        return f"a {kind.__module__.partition('.')[0]}.{kind.__name__} of shape {shape}"


def shown(value: Any) -> str:
    """A value as an error shows it: in one line, whatever it is."""
    if isinstance(value, np.dtype):
        return f"dtype {value}"
    try:
        return _Short().repr(value)
    except Exception:  # of a foreign class, of which no more is known than that it has no text
        return f"a {type(value).__name__}"


def _is_small(value):
    """Whether an error may keep a value: it holds little memory, and pickles."""
    if isinstance(value, (tuple, list)):
        return len(value) <= 16 and all(map(_is_small, value))
    return value is None or isinstance(value, (str, numbers.Number, np.dtype))
