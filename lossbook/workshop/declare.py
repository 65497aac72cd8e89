"""The decorator `lossbook.loss`, with which a formula may be one of a textbook."""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, overload

import sympy

from lossbook import words
from lossbook.algebra import Loss
from lossbook.declaration import read
from lossbook.domains import Domain
from lossbook.loss import loss as declare


@overload
def loss(function: Callable[..., Any]) -> Loss: ...
@overload
def loss(
    *, source: str = "", properties: Mapping[str, Any] | None = None, stable: bool = False
) -> Callable[[Callable[..., Any]], Loss]: ...
def loss(
    function: Callable[..., Any] | None = None,
    *,
    source: str = "",
    properties: Mapping[str, Any] | None = None,
    stable: bool = False,
) -> Loss | Callable[[Callable[..., Any]], Loss]:
    """Make a Loss of a formula: `@loss`, or `@loss(source="paper, section, equation", properties={"convex": True})`.

    Python's `if` may ask for a `Flag` and for nothing else: a symbol is equal to itself alone, so `if k == 1` always
    takes the other branch. What depends on values is written in `less`, `maximum` and `minimum`.

    Parameters
    ----------
    function : callable
        Its positional arguments are the prediction and, if there is one, the target; keyword-only arguments are
        parameters. Every argument is annotated with a domain (`lossbook.domains`) and the body returns a SymPy
        expression in `lossbook.words`. It is called with symbols, once for each setting of its `Flag` arguments.
    source : str, optional
        Paper, section, equation.
    properties : dict, optional
        Facts that tests check: "convex", "minimum" and others.
    stable : bool, optional
        Whether the body is a textbook formula, in exp, log and the rest, for which `lossbook.stable` is to find the
        form that keeps its digits. That takes seconds. A warning says so where no such form is found. Whether a loss
        keeps its digits, however it was declared, `certificate` of the loss tells.

    Returns
    -------
    Loss
        The loss, or without a function what makes one of it.

    Raises
    ------
    TypeError
        For a declaration that gives no loss.
    DomainError
        For a default outside its domain.

    Examples
    --------
    >>> from lossbook import Label, Logit, Outcome, Positive, Real, loss
    >>> @loss(source="an example")
    ... def scaled_error(x: Real, y: Outcome, *, unit: Positive = 2.0):
    ...     '''Squared error in a unit.'''
    ...     return ((x - y) / unit) ** 2
    >>> print(scaled_error([3.0], [1.0]))
    1.0
    >>> scaled_error.grad([3.0], [1.0])
    array([1.])

    >>> from sympy import exp, log
    >>> @loss(stable=True)
    ... def cross_entropy(z: Logit, y: Label):
    ...     '''Cross-entropy as textbooks print it.'''
    ...     return log(1 + exp(z)) - z * y
    >>> cross_entropy.formula
    y*softplus(-z) + (1 - y)*softplus(z)
    """
    if function is None:
        return partial(loss, source=source, properties=properties, stable=stable)
    if stable:
        function = stabilized(function)
    return declare(source=source, properties=properties)(function)


def stabilized(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns the stable form of what another returns."""
    from lossbook.workshop.stable import stable as find_stable  # which few declarations ask for

    domains, _ = read(function.__name__, inspect.signature(function))

    @functools.wraps(function)
    def searched(*arrays: Any, **options: Any) -> sympy.Expr:
        given = dict(zip(domains, arrays, strict=False)) | options
        symbols = {name: symbol for name, symbol in given.items() if not isinstance(symbol, bool)}
        where: dict[Any, Domain] = {symbol: domains[name] for name, symbol in symbols.items()}
        if any(domain.components for domain in where.values()):
            raise TypeError(f"{function.__name__}: stable=True is for formulas of numbers, and not of boxes")
        expression = function(*arrays, **options)
        if any(step is not None for step in (words.steps.get() or {}).values()):
            raise TypeError(f"{function.__name__}: stable=True rewrites the whole formula, which must have no let()")
        found = find_stable(expression, where=where)
        if not found:
            error = found.error("float32").after
            said = f"{function.__name__}: no form within the promise of accuracy was found; {error}"
            warnings.warn(said, stacklevel=2)
        return found.formula

    return searched
