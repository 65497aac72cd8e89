"""The function under audit, called with the arrays of this package."""

import contextlib
import inspect
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook.workshop.audit.frameworks import OfNumPy
from lossbook.workshop.audit.layouts import FLOATS, POINTWISE, Kind, Layout


class Refused(Exception):
    """The function raised an error, or gave what is no number."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within, a function warns and prints in vain."""
    with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class Subject:
    """A function, and how it is called."""

    function: Callable[..., Any]
    framework: OfNumPy
    gradient: Callable[..., Any] | None = None
    swapped: bool = False  # it takes (target, prediction)
    layout: Layout = POINTWISE[0]
    kind: Kind = FLOATS
    unary: bool = False  # it takes a prediction alone

    # --- in the layout of this package ------------------------------------------------------------------------------

    def turned(self, prediction: np.ndarray, target: np.ndarray | None) -> tuple[np.ndarray, ...]:
        """(prediction, target) as the function takes them, the prediction first."""
        with np.errstate(divide="ignore"):
            turned = self.layout.turn(prediction)
        if target is None or self.unary:
            return (turned,)
        written = self.kind.write(target, prediction)
        turn = self.layout.turn_target or self.layout.turn
        return turned, turn(written) if written.ndim == prediction.ndim else written

    def value(self, prediction: np.ndarray, target: np.ndarray | None, **options: Any) -> np.ndarray:
        """What the function gives, as an array."""
        return self.value_and_slope(prediction, target, False, **options)[0]

    def value_and_slope(
        self, prediction: np.ndarray, target: np.ndarray | None, slope: bool = True, **options: Any
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(value, slope of its sum along the prediction, None where there is none)"""
        arrays = self.turned(prediction, target)
        try:
            with quiet(), self.framework.ready():
                if not self.layout.single:
                    value, along = self.raw(arrays, slope, options)
                else:
                    pairs = [self.raw(tuple(part[item] for part in arrays), slope, options)
                             for item in np.ndindex(arrays[-1].shape[:1])]
                    value = np.stack([pair[0] for pair in pairs])
                    missing = any(pair[1] is None for pair in pairs)
                    along = None if missing else np.stack([np.asarray(pair[1]) for pair in pairs])
        except Exception as error:
            raise Refused(told(error)) from error
        if value.dtype.kind not in "fiub":
            raise Refused(f"it gave {value.dtype} and no numbers")
        with np.errstate(all="ignore"):
            return value, None if along is None else self.layout.back(along, prediction)

    # --- in the layout of the function ------------------------------------------------------------------------------

    def raw(
        self, arrays: tuple[np.ndarray, ...], slope: bool = True, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(value, slope or None) of arrays as the function takes them, the prediction first; errors are not caught."""
        prediction, *rest = arrays
        framework = self.framework
        others = [framework.array(part) for part in rest]
        given = {name: framework.array(value) for name, value in (options or {}).items()}

        arguments = self.ordered(framework.array(prediction), others)
        if not slope:
            return framework.read(value_of(framework.value(self.function, arguments, given), prediction)), None
        if self.gradient is not None:
            value = framework.read(value_of(framework.value(self.function, arguments, given), prediction))
            others = [framework.array(part) for part in rest]
            along = self.gradient(*self.ordered(framework.array(prediction), others), **given)
            along = along[0] if isinstance(along, (tuple, list)) and len(along) == 1 else along
            return value, framework.read(along)
        if not framework.differentiates:
            whole = self.function(*arguments, **given)
            pair = is_pair(whole, prediction)
            return framework.read(value_of(whole, prediction)), framework.read(whole[1]) if pair else None
        return framework.value_and_slope(self.function, arguments, len(rest) if self.swapped else 0, given)

    def ordered(self, prediction: Any, rest: list[Any]) -> list[Any]:
        """The arguments in the order of the function."""
        return [*rest, prediction] if self.swapped else [prediction, *rest]

    @property
    def target_is_first(self) -> bool:
        """Whether the names of the arguments say that the target comes first."""
        first = next(iter(self.parameters), "").lower()
        return first in ("y", "t") or any(part in first for part in ("true", "target", "label", "truth", "mask"))

    @property
    def has_slope(self) -> bool:
        """Whether the slope comes from the framework or a function, and not from differences."""
        return self.gradient is not None or self.framework.differentiates

    @property
    def parameters(self) -> dict[str, Any]:
        """The names that the function takes by keyword, with their defaults."""
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):
            return {}
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return {name: one.default for name, one in signature.parameters.items() if one.kind in named}


def is_pair(result: Any, prediction: Any) -> bool:
    """Whether a result is a value and a gradient."""
    return (
        isinstance(result, (tuple, list)) and len(result) == 2
        and np.shape(result[1]) == np.shape(prediction) and isinstance(result, tuple)
    )


def value_of(result: Any, prediction: Any) -> Any:
    """The value of a result that may be a pair of value and gradient."""
    return result[0] if is_pair(result, prediction) else result


def told(error: BaseException) -> str:
    """The first line of an error."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:150]}" if said else type(error).__name__
