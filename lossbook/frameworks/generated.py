"""Losses computed by their texts in a framework, which it can trace, compile and differentiate as often as it likes.

Shapes, dtypes and options are checked by the code that checks NumPy's arrays, on arrays of which only a zero is there.
Values are not looked at, as they are not known while a framework traces: of those that break a rule the loss is NaN,
or what the formula gives.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossbook import kernels
from lossbook.evaluation.arguments import labels_to_ignore
from lossbook.evaluation.request import Request
from lossbook.frameworks.source import source
from lossbook.plan.ir import Plan


@dataclass(frozen=True)
class Spec:
    """The shape and the dtype of an array of a framework."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def blank(self) -> np.ndarray:
        """An array of NumPy of that shape, with one zero in memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)


class Sizes:
    """The shapes of a call as they are; a framework that traces without knowing them has a class of its own.

    `classes` are the numbers of classes that options know.
    """

    def __init__(self, classes: Collection[int] = ()) -> None:
        self.classes = classes

    def out(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape as numbers."""
        return tuple(shape)

    def back(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """What such numbers stand for."""
        return shape


class AsTheyAre:
    """An array module that broadcasts nothing."""

    @staticmethod
    def broadcast_to(array: Any, shape: tuple[int, ...]) -> Any:
        return array


COMPUTE: list[Callable[..., Any]] = []  # the functions of all texts in use
_found: dict[Any, int] = {}  # where the function of a plan in a framework is


def function_of(plan: Plan, framework: str) -> int:
    """Where the function of a plan in a framework is, in `COMPUTE`."""
    key = plan, framework
    if key not in _found:
        COMPUTE.append(kernels.load(f"{plan.name}_{framework}", source(plan, framework)).compute)
        _found[key] = len(COMPUTE) - 1
    return _found[key]


def exists(loss: Any) -> bool:
    """Whether a loss has a text: if it, and all parts of a sum, are of one prediction and without distances."""
    if len(loss.declaration.predictions) > 1:
        return False
    return all(hasattr(part, "formulas") and not part.space.maps for _, part in loss.terms_of_sum())


def prepared(framework: str, loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a call needs beside its arrays, of which only shapes and dtypes count, for each part of a sum: numbers and
    text alone, so that whoever traces a call may take it for a constant.
    """
    if not exists(loss):
        rule = "a loss of several predictions or of distances is not generated as a text of a framework"
        raise TypeError(f"{loss.name}: {rule}; it can be differentiated once, and neither traced nor compiled")
    terms = loss.terms_of_sum()
    if len(terms) > 1:
        parts = [(c, prepared(framework, part, arrays, loss.keywords_of(part, keywords))) for c, part in terms]
        return tuple((c * inner, *rest) for c, part in parts for inner, *rest in part)
    ((coefficient, loss),) = terms
    evaluation = loss.evaluation
    keywords = {name: given for name, given in {**loss.declaration.own, **keywords}.items() if given is not None}
    blanks = [array.blank() if isinstance(array, Spec) else array for array in arrays]
    known = {name: given.blank() if isinstance(given, Spec) else given for name, given in keywords.items()}
    coming = {name: known[name].size for name in loss.per_class if isinstance(keywords.get(name), Spec)}
    for name, count in coming.items():  # numbers that are not known; those beyond 1 need the most careful kernel
        known[name] = (min(2.0, loss.declaration.arguments[name].high),) * count
    _, call, _, setting = evaluation.prepare(blanks, {**known, "backend": "numpy"}, Request())
    options: dict[str, Any] = {"reduction": setting.reduction}
    at = call.layout.axis if call.given_axis is None else call.given_axis
    at = at if call.of_classes is None else call.of_classes.axis
    if at is not None:
        options["axis"] = at
    if loss.space.totals:
        options["batch"] = setting.batch
    if loss.space.corners:
        options["format"] = setting.format
    weight_shape = target_shape = None
    if (weight := known.get("weight")) is not None:
        weight_shape = tuple(np.shape(weight))
        if not (call.overlap and weight_shape == call.given_shape and len(weight_shape) > 1):
            weight_shape = evaluation.arguments.per_value(np.asarray(weight), call, AsTheyAre).shape
    if at is not None and (call.integer or call.mask):
        shape = call.given_shape
        target_shape = shape[:at] + shape[at + 1 :] if call.integer else shape
    given = keywords.get("class_weight")  # None, numbers, or what comes with the call
    class_weight = tuple(np.ravel(given).tolist()) if given is not None and not isinstance(given, Spec) else None
    labels = keywords.get("ignore_index")
    ignore = None if labels is None else labels_to_ignore(loss.name, labels)
    wide = call.plan.wide or call.real is np.float64 or setting.format != "xyxy"
    if len(blanks) > 1 and loss.declaration.of_target.is_observed:  # which is not rounded before the difference
        wide = wide or (np.asarray(blanks[1]).dtype.itemsize > 2 and np.asarray(blanks[1]).dtype != call.real)
    parameters = tuple(
        name if name in coming else tuple(numbers.tolist()) if numbers.ndim else float(numbers)
        for name, numbers in zip(evaluation.parameters, map(np.asarray, call.parameters), strict=True)
    )
    return (
        (
            float(coefficient), function_of(call.plan, framework), parameters, tuple(options.items()), wide,
            target_shape, weight_shape, class_weight, isinstance(given, Spec), ignore, call.mask,
        ),
    )  # fmt: skip


def numbers_of_classes(loss: Any, keywords: Mapping[str, Any]) -> list[int]:
    """How many classes those options have that are Python's numbers, one per class."""
    given = [*keywords.items()]
    for _, part in () if hasattr(loss, "parts") else loss.terms_of_sum():
        given += [*part.declaration.own.items(), *part.declaration.defaults.items()]
    return [len(some) for name, some in given if isinstance(some, (tuple, list)) and name != "ignore_index"]


def value(framework: Any, loss: Any, arrays: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """The value of a loss of arrays of a framework, which is its module here."""
    sizes = framework.Sizes(numbers_of_classes(loss, keywords))
    specs = tuple(framework.spec(array, sizes) for array in arrays)
    options = tuple(
        (name, framework.spec(given, sizes) if name in ("weight", "class_weight") else framework.number(given, sizes))
        for name, given in keywords.items()
        if name != "backend"
    )
    total = None
    for coefficient, *part in framework.prepared(loss, specs, options):
        result = value_of_part(framework, sizes, arrays, keywords, *part)
        result = result if coefficient == 1 else coefficient * result
        total = result if total is None else total + result
    return framework.cast(total, framework.asarray(arrays[0], None).dtype)


def value_of_part(
    framework: Any,
    sizes: Any,
    arrays: Sequence[Any],
    keywords: Mapping[str, Any],
    function: int,
    parameters: tuple[Any, ...],
    options: tuple[tuple[str, Any], ...],
    wide: bool,
    target_shape: tuple[int, ...] | None,
    weight_shape: tuple[int, ...] | None,
    class_weight: tuple[float, ...] | None,
    class_weight_comes: bool,
    ignore: tuple[int, ...] | None,
    is_mask: bool,
) -> Any:
    """The value of a loss of one formula, from what `prepared` gave."""
    xp, given = framework.xp, [framework.asarray(array, None) for array in arrays]
    more = dict(options)
    if wide:
        given[0] = framework.in_float64(given[0])
    if target_shape is not None:
        given[1] = given[1].reshape(sizes.back(target_shape))
    if weight_shape is not None:
        more["weight"] = framework.asarray(keywords["weight"], given[0]).reshape(sizes.back(weight_shape))
    if class_weight_comes or class_weight is not None:
        numbers = keywords["class_weight"] if class_weight_comes else class_weight
        more["class_weight"] = framework.asarray(numbers, given[0])
    if ignore is not None and is_mask:
        live, weight, at = given[1] == given[1], more.get("weight"), more["axis"]
        for label in ignore:
            live = live & (given[1] != label)
        given[1] = xp.where(live, given[1], 0)
        if weight is not None and weight.ndim == live.ndim - 1:
            weight = weight.reshape(*weight.shape[:at], 1, *weight.shape[at:])
        more["weight"] = xp.where(live, 1.0 if weight is None else weight, 0.0)
    elif ignore is not None:
        more["ignore_index"] = ignore
    numbers = [keywords[given] if isinstance(given, str) else given for given in parameters]
    return COMPUTE[function](given, numbers, **more)
