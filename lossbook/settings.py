"""The settings of a loss (defaults of its parameters, options of its own), and how a loss is found again by them.

A loss with other settings is a copy of the loss of its module, and is pickled as that loss and these settings.
"""

import numbers
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import numpy as np

from lossbook import backends
from lossbook.arrays import is_cupy
from lossbook.checks import check_format, check_reduction
from lossbook.declaration import Declaration, flag
from lossbook.definition import Definition
from lossbook.errors import DomainError
from lossbook.evaluation.arguments import Arguments, labels_to_ignore
from lossbook.evaluation.highest import check_accuracy
from lossbook.spaces import Space

OPTIONS = ("reduction", "weight", "backend")  # of every loss
OF_CLASSES = ("class_weight", "ignore_index")
FORMULA = ".__wrapped__"  # where the function of a loss is found


def options_of(space: Space, by_class: bool) -> tuple[str, ...]:
    """The names of the options that a loss of one formula has."""
    return tuple(dict.fromkeys((*OPTIONS, *(OF_CLASSES if by_class else ()), *space.options)))


def changed(loss: Any, given: Mapping[str, Any]) -> Declaration:
    """The declaration of a loss with other defaults of parameters and options; what is wrong is refused."""
    declaration = loss.declaration
    if "weight" in given and "weight" not in declaration.defaults:
        raise TypeError(f"{loss.name}.with_parameters: weight belongs to the data; give it in each call")
    options = {name: value for name, value in given.items() if name in declaration.every_option}
    flags, values = loss.settings({name: value for name, value in given.items() if name not in options})
    defaults = {name: {**flags, **values}[name] for name in declaration.defaults}
    own = {**declaration.own, **{name: own_option(loss, name, value) for name, value in options.items()}}
    name = f"{loss.plain_name}({', '.join(f'{n}={brief(v)}' for n, v in own.items())})" if own else loss.plain_name
    return declaration.changed(name=name, defaults=defaults, own=own)


def redefined(loss: Any, declaration: Declaration, *derived: str) -> Any:
    """The same loss with another declaration, from which it has yet to derive the attributes that are named."""
    other = object.__new__(type(loss))  # not copy.copy, which gives the loss itself
    stale = {"signature", "__signature__", "axis", *derived}
    vars(other).update({name: value for name, value in vars(loss).items() if name not in stale})
    other.declaration, other.name = declaration, declaration.name
    return other


def named_identity(loss: Any) -> tuple[Any, ...]:
    """What equal losses of a name have in common: kind, name, module, defaults and options."""
    settings = tuple(loss.declaration.defaults.items()), tuple(loss.declaration.own.items())
    return type(loss), loss.name, loss.__module__, *settings


def own_option(loss: Any, name: str, value: Any) -> Any:
    """An option that a loss is to have of its own, checked as far as it can be without arrays, and unchangeable."""
    if name == "reduction":
        return check_reduction(loss.name, value)
    if value is None and name in ("accuracy", "backend", *OF_CLASSES):
        return None
    if name == "accuracy":
        check_accuracy(loss.name, value)
        return str(value)
    if name == "backend":
        return backends.check(value, loss.name)
    if name == "format":
        return check_format(loss.name, value)
    if name == "batch":
        return flag(loss.name, name, value)
    if name == "class_weight":
        on_host = value.get() if is_cupy(value) else value
        return tuple(map(float, Arguments(loss.declaration, loss.space).one_per_class(on_host, "C", np)))
    if name == "ignore_index":
        labels = labels_to_ignore(loss.name, value)
        return labels if len(labels) != 1 else labels[0]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise DomainError(loss.name, name, "must be an integer", value)
    return int(value)


def brief(value: Any) -> str:
    """An option in a name: of many class weights the first and the last."""
    if not isinstance(value, tuple):
        return repr(value)
    texts = [f"{number:g}" if isinstance(number, float) else str(number) for number in value]
    return f"[{', '.join(texts if len(texts) <= 8 else [*texts[:3], '...', texts[-1]])}]"


# --- pickling ---------------------------------------------------------------------------------------------------------


def settings_of(loss: Definition) -> dict[str, Any]:
    """The defaults and options of a loss, by which a copy is told from the loss of its module."""
    return {**loss.declaration.defaults, **loss.declaration.own}


def with_settings(loss: Any, settings: Mapping[str, Any]) -> Any:
    """The loss with these settings."""
    return loss if settings_of(loss) == settings else loss.with_parameters(**settings)


def find(module: str, name: str) -> Any:
    """A loss by its address, so that losses pickle."""
    __import__(module)
    return attrgetter(name)(sys.modules[module])


def known(function: Callable[..., Any]) -> Definition | None:
    """The loss of a function at its address in this process, or None."""
    try:
        found = find(function.__module__, function.__qualname__.removesuffix(FORMULA))
    except (ImportError, AttributeError):
        return None
    return found if isinstance(found, Definition) and getattr(found, "__wrapped__", None) is function else None


def redeclared(
    kind: Any,
    function: Callable[..., Any],
    reference: str,
    properties: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Any:
    """The loss of a function: that of this process, or one declared anew where there is none."""
    return with_settings(known(function) or kind.of_function(function, reference, properties), settings)
