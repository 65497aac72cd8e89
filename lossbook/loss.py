"""The decorator `@loss`: one formula in, a loss with values, gradients, kernels and documentation out.

    @loss(source="Lin, Goyal, Girshick, He and Dollar 2017, equation 5")
    def focal_with_logits(z: Logit, y: Label, *, gamma: Exponent = 2.0, alpha: Fraction = 0.25):
        \"""Cross-entropy with the easy examples turned down.\"""
        return ...

The signature is the signature, annotations are the domains, defaults the defaults, and the body, called
once with SymPy symbols, is the formula.
"""

import contextlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, overload

from lossbook import backends
from lossbook.algebra import FormulaLoss, Loss, is_ours
from lossbook.errors import BackendError
from lossbook.plan.lower import make_plan

__all__ = ["Loss", "loss"]


@overload
def loss(function: Callable[..., Any]) -> Loss: ...
@overload
def loss(*, source: str = "", properties: Mapping[str, Any] | None = None) -> Callable[[Callable[..., Any]], Loss]: ...
def loss(
    function: Callable[..., Any] | None = None, *, source: str = "", properties: Mapping[str, Any] | None = None
) -> Loss | Callable[[Callable[..., Any]], Loss]:
    """Make a Loss of a function, as `lossbook.loss` does, which says what each argument is."""
    if function is None:
        return partial(declare, source=source, properties=properties)
    return declare(function, source, properties)


def declare(function: Callable[..., Any], source: str, properties: Mapping[str, Any] | None) -> FormulaLoss:
    """The loss of a function, whose formulas are tried at once."""
    if not inspect.isfunction(function):
        raise TypeError(f"loss: a loss is declared by a function; got {function!r}")
    if not isinstance(source, str):
        raise TypeError(f"loss: source must be text; got {type(source).__name__}")
    made = FormulaLoss.of_function(function, source, properties or {})
    if not is_ours(function):  # the package's own are proven by its tests
        try_formulas(made)
    return made


def try_formulas(made: FormulaLoss) -> None:
    """Print the kernels of every formula once: one that does not hold together is an error at its declaration."""
    made.declaration.settings({})
    try:
        for setting in made.formulas.settings:
            try_formula(made, setting)
    except RecursionError as error:
        raise TypeError(f"{made.name}: the formula is nested too deeply; name parts of it with let()") from error


def try_formula(made: FormulaLoss, setting: tuple[bool, ...]) -> None:
    """Print the kernels of the formula under a setting of the flags."""
    formula = made.formulas.at(setting)
    if formula.space != made.space:
        shapes = f"{made.space.name} and {formula.space.name}"
        raise TypeError(f"{made.name}: flags must not change the shape of the loss; got {shapes}")
    reached = set(formula.predictions)
    reached.update(symbol for symbol, value in formula.steps if value.free_symbols & reached)
    if not formula.expression.free_symbols & reached:
        flags = ", ".join(f"{name}={value}" for name, value in zip(made.declaration.flags, setting, strict=True))
        raise TypeError(
            f"{made.name}: the formula must depend on {made.declaration.arrays[0]}{flags and f' with {flags}'}; "
            f"got {formula.expression}"
        )
    plan = make_plan(made.name, formula)
    try:
        for name in backends.NAMES:
            with contextlib.suppress(BackendError):  # of a backend that lacks this space
                backends.get(name).source(plan)
    except TypeError as error:
        raise TypeError(f"{made.name}: {error}") from error
