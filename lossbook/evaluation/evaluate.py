"""One call of a loss of one formula: arguments, plan, kernels, and the end that the reduction asks for.

prepare    the arrays of a call, checked and laid out for a kernel
summed     losses of elements, rows and boxes: everything follows from sum(w*l) and sum(w)
of_totals  losses of totals: sums per image and class, then the finish, then the gradient from its slopes
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from lossbook import backends, words
from lossbook.arrays import WORKING, quiet
from lossbook.backends import numpy as numpy_backend
from lossbook.backends.call import Call
from lossbook.checks import check_format, check_reduction
from lossbook.declaration import flag
from lossbook.errors import ShapeError
from lossbook.evaluation.arguments import Arguments, numbers_of_classes
from lossbook.evaluation.explain import explain
from lossbook.evaluation.formats import of_format
from lossbook.evaluation.highest import Rounding, check_accuracy, refuse_other_dtypes
from lossbook.evaluation.reduce import Partial, reduced
from lossbook.evaluation.request import Request
from lossbook.evaluation.weights import (
    ignore_labels,
    image_weights,
    leave_out,
    left,
    total_weight,
    weigh_classes,
    weighs_on_host,
)
from lossbook.formula import Formula
from lossbook.plan.ir import Plan
from lossbook.spaces import ELEMENTS
from lossbook.typing import Format


@dataclass(frozen=True)
class Setting:
    """What a call says beside its arrays."""

    reduction: str
    batch: bool
    flags: dict
    parameters: dict
    format: Format  # of boxes


class Evaluation:
    """How a loss of one formula is computed.

    `fixed` holds parameters that its kernels have beside those of its declaration, with their values.
    """

    def __init__(self, loss: Any, fixed: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.loss, self.fixed = loss, fixed
        self.declaration, self.plans, self.space = loss.declaration, loss.plans, loss.space

    @cached_property
    def arguments(self) -> Arguments:
        """What checks the arrays of a call."""
        return Arguments(self.declaration, self.space, lambda: self.compares_classes)

    @cached_property
    def compares_classes(self) -> bool:
        """Whether the formula knows a class by its distance from the others, as a softmax does."""
        return (self.space.rows_of_classes or self.space.totals) and self.formula({}).has(*words.OF_CLASS)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters of the kernels, in order."""
        return tuple(symbol.name for symbol in self.formula({}).parameters)

    def formula(self, flags: Mapping[str, bool]) -> Formula:
        """The formula under a setting of the flags."""
        return self.plans.formulas.at(self.declaration.setting(flags))

    def plan(self, flags: Mapping[str, bool], parameters: Mapping[str, Any], integer: bool = False) -> Plan:
        """The plan for these settings, in the variant that they need."""
        return self.plans.at(self.declaration.setting(flags), {**parameters, **self.fixed}, integer)

    def __call__(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
        """(value or None, gradient or None)"""
        if self.space.corners and keywords.get("format", "xyxy") != "xyxy":
            return of_format(self, arrays, keywords, request)
        backend, call, slope, setting = self.prepare(arrays, keywords, request)
        return (self.of_totals if call.overlap else self.summed)(backend, call, setting, request), slope

    def prepare(
        self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request
    ) -> tuple[Any, Call, Any, Setting]:
        """(backend, call, array for the gradient, setting), all checked but the values."""
        declaration, arguments = self.declaration, self.arguments
        name, rest = declaration.name, dict(keywords)
        if len(arrays) != len(arguments.names):
            declaration.check(arrays, keywords)
        reduction = check_reduction(name, rest.pop("reduction", "mean"))
        weight, backend_name = rest.pop("weight", None), rest.pop("backend", None)
        class_weight = ignore = axis = None
        if arguments.by_class or self.space is ELEMENTS:
            class_weight = rest.pop("class_weight", None)
        if arguments.by_class:
            ignore = rest.pop("ignore_index", None)
        if "axis" in self.space.options:
            axis = rest.pop("axis", self.loss.axis)
        box = check_format(name, rest.pop("format", "xyxy")) if self.space.corners else "xyxy"
        batch = flag(name, "batch", rest.pop("batch", False)) if self.space.totals else False
        highest = check_accuracy(name, rest.pop("accuracy", None)) if "accuracy" in self.space.options else False
        flags, parameters = declaration.settings(rest, self.loss.per_class)

        kinds = (*arrays, weight, None if type(class_weight) is tuple else class_weight, request.out)
        backend = backends.choose(name, backend_name, kinds)
        xp = backend.xp
        z = arguments.prediction(arrays[0], xp, target=arrays[-1])
        call = arguments.lay_out(z, arrays[-1], xp, WORKING[z.dtype.newbyteorder("=")], axis)
        real = call.real
        call.plan = self.plan(flags, parameters, call.integer)
        if call.plan.wide or highest:
            call.real = real = np.float64
        of_kernel = {**parameters, **self.fixed}
        if highest:
            refuse_other_dtypes(name, arguments.names[0], z.dtype)
            call.rounding = Rounding(self.formula(flags), of_kernel)
        if self.space is ELEMENTS and (class_weight is not None or call.plan.per_class):
            call.of_classes = arguments.class_axis(z, axis)
        call.parameters = tuple(arguments.rounded(name, of_kernel[name], real) for name in self.parameters)
        if call.plan.per_class:
            named = dict(zip(self.parameters, call.parameters, strict=True))
            call.parameters = numbers_of_classes(call, named, highest)
        if weight is not None:
            call.weight = arguments.weight(weight, call, xp)
        if class_weight is not None:
            weights = arguments.class_weight(class_weight, (call.of_classes or call.layout).three[1], xp)
            weights = None if bool((weights == 1).all()) else weights  # weights of one change not a bit
            if call.of_classes is None:
                call.class_weight = weights
            elif weights is not None:
                weigh_classes(call, weights)
        if ignore is not None:
            labels = arguments.ignore(ignore, call)
            (leave_out if call.mask else ignore_labels)(call, labels)
        slope = None
        if request.gradient:
            slope = arguments.out(request.out, z, (*arrays, weight, class_weight), xp)
            call.gradient = call.moved(np.asarray(slope) if xp is np else slope)  # a subclass has its own ways
        if batch and call.item_weights:
            raise ShapeError(name, "weight", "must be one per pixel with batch=True", said="one per image")
        return backend, call, slope, Setting(reduction, batch, flags, parameters, box)

    def count(self, backend: Any, call: Call) -> float:
        """sum(w) over the elements or rows, by which a mean divides."""
        if weighs_on_host(call):
            return total_weight(call)
        gradient, call.gradient = call.gradient, None  # the device's kernel counts, in a pass without a gradient
        total = backend.run(call.plan, call)[1]
        call.gradient = gradient
        return float(total)

    def partial(self, call: Call, setting: Setting, sums: Any, finisher: Any = None, **more: Any) -> Partial:
        """The Partial of a call, with all that it must have in common with others."""
        common = {**setting.flags, **setting.parameters, **more}
        if call.class_weight is not None:
            common["class_weight"] = tuple(call.to_host(call.class_weight).tolist())
        fingerprint = self.plans.formulas.fingerprint(self.declaration.setting(setting.flags))
        name, reduction = self.declaration.name, self.declaration.own.get("reduction")
        return Partial(name, (("formula", fingerprint), *sorted(common.items())), sums, finisher, reduction)

    # --- elements, rows and boxes -----------------------------------------------------------------------------------

    def summed(self, backend: Any, call: Call, setting: Setting, request: Request) -> Any:
        """The value: everything follows from sum(w*l) and sum(w). The gradient goes to its place in the call."""
        is_mean = setting.reduction == "mean"
        count = self.count(backend, call) if request.partial or is_mean else None
        divisor = count if is_mean else request.known
        if call.gradient is not None and divisor is not None:
            call.scale, call.divisor = (1.0 / divisor, divisor) if divisor else (0.0, 1.0)
        if request.value and setting.reduction == "none":
            call.values = call.xp.empty(call.layout.without_classes, call.z.dtype)
        sums = backend.run(call.plan, call)
        if sums[-1]:
            explain(call)
            return self.summed(backend, call, setting, request)
        if call.gradient is not None and divisor == 0:
            call.gradient[...] = 0  # nothing to average, not even a NaN
        if request.upstream is not None:
            call.gradient[...] *= call.layout.spread(request.upstream)
        if request.partial:
            return self.partial(call, setting, np.array([sums[0], count]))
        if not request.value:
            return None
        if setting.reduction == "none":
            return call.values
        return call.number(reduced(sums[0], count, setting.reduction))

    # --- totals -----------------------------------------------------------------------------------------------------

    def totals(self, backend: Any, call: Call, each: np.ndarray) -> np.ndarray:
        """The totals of each image and class and, last, 1 where a pixel is left: shape (images, classes, totals + 1).

        `each` is the weight of each; what is wrong in images and classes of weight 0 is no error.
        """
        call.removed = each == 0
        sums = backend.run(call.plan, call)
        if np.any((sums[..., -1] != 0) & ~call.removed):
            explain(call)
            sums = backend.run(call.plan, call)
        sums[..., -1] = left(call)
        return sums

    def of_totals(self, backend: Any, call: Call, setting: Setting, request: Request) -> Any:
        """The value: sums per image and class, then the finish. The gradient follows from the slopes of the finish."""
        gradient, call.gradient = call.gradient, None
        each, totals, batch, reduction = image_weights(call), request.known, setting.batch, setting.reduction
        if totals is None:
            totals = self.totals(backend, call, each)
            if batch:
                totals = totals.sum(axis=0, keepdims=True)
        finish = Finish(self.loss, tuple(setting.flags.items()), tuple(setting.parameters.items()), each)
        if request.partial:
            sums = (totals, finish) if batch else (finish.sums(totals), None)
            return self.partial(call, setting, *sums, batch=batch)
        losses, slopes, weights = finish.losses(totals)
        total, count = finish.sums_of(losses, weights)
        if gradient is not None:
            with quiet():  # what is too large for the working type is infinite
                scale = weights if reduction != "mean" else weights / count if count else 0 * weights
                scale = scale if request.upstream is None else scale * call.to_host(request.upstream)
                slopes = np.where(weights[..., None] == 0, 0, slopes * scale[..., None]).astype(call.real)
            call.gradient = gradient
            slopes = np.broadcast_to(slopes, (call.layout.three[0], *slopes.shape[1:]))
            call.slopes = call.xp.asarray(np.array(slopes, order="C"))  # a view of another type needs another kernel
            backend.run(call.plan, call)
            removed = each == 0
            if removed.any():  # 0 times a NaN is NaN
                removed = np.broadcast_to(removed, call.layout.three[:2])
                if call.plan.row:  # under a softmax the logits of a class count in all classes of the image
                    removed = np.broadcast_to(removed.all(axis=1, keepdims=True), removed.shape)
                gradient[call.xp.asarray(removed)] = 0
        if not request.value:
            return None
        if reduction == "none":
            with quiet():
                return call.xp.asarray((losses[0] if batch else losses).astype(call.z.dtype))
        return call.number(reduced(total, count, reduction))


@dataclass(frozen=True)
class Finish:
    """The end of a loss of totals: from what `Evaluation.totals` gives to [sum(w*l), sum(w)]."""

    loss: Any  # pickles by its address, as its formula does not
    flags: tuple
    parameters: tuple
    each: np.ndarray  # the weight of each image and class, or of each class of all images

    def losses(self, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(weighted losses, slopes along the totals, weights) of each image and class.

        The weight of an image and class of which no pixel is left is 0.
        """
        evaluation, parameters = self.loss.evaluation, dict(self.parameters)
        plan = evaluation.plan(dict(self.flags), parameters)
        values = [{**parameters, **evaluation.fixed}[name] for name in evaluation.parameters]
        weights = np.where(totals[..., -1] > 0, self.each, 0.0)
        with quiet():
            columns = [totals[..., j] for j in range(totals.shape[-1] - 1)]
            losses, along = numpy_backend.finish(plan)(*columns, *values)
            losses = np.where(weights == 0, 0, losses * weights)
        slopes = np.empty((*losses.shape, len(along)))
        for j, slope in enumerate(along):
            slopes[..., j] = slope
        return losses, slopes, weights

    def sums(self, totals: np.ndarray) -> np.ndarray:
        """[sum(w*l), sum(w)]"""
        losses, _, weights = self.losses(totals)
        return self.sums_of(losses, weights)

    @staticmethod
    def sums_of(losses: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """[sum(w*l), sum(w)], to the bit as if what has no weight were not there."""
        live = weights != 0
        return np.array([np.sum(losses[live]), np.sum(weights[live])])

    def __call__(self, totals: np.ndarray, reduction: str) -> float:
        total, count = self.sums(totals)
        return reduced(total, count, reduction)
