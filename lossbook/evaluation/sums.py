"""A weighted sum of losses: each part computes its own value and gradient, and these are added."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossbook import backends
from lossbook.arrays import number, quiet, rounded, times
from lossbook.checks import widened
from lossbook.errors import ShapeError
from lossbook.evaluation.arguments import Arguments
from lossbook.evaluation.reduce import weighted_sum
from lossbook.evaluation.request import Request


class WeightedSum:
    """How a sum of losses is computed. It needs one array for the gradient of a part beside the result."""

    def __init__(self, loss: Any) -> None:
        self.loss, self.arguments = loss, Arguments(loss.declaration, loss.space)

    def __call__(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
        """(value or None, gradient or None)"""
        loss, arguments = self.loss, self.arguments
        if len(arrays) != len(arguments.names):
            names = ", ".join(arguments.names)
            raise TypeError(f"{loss.name}: takes {names} by position; got {len(arrays)} arrays")
        options = [keywords.get("weight"), keywords.get("class_weight")]
        kinds = (*arrays, *(None if type(option) is tuple else option for option in options), request.out)
        xp = backends.choose(loss.name, keywords.get("backend"), kinds).xp
        z = arguments.prediction(arrays[0], xp)
        if z.dtype.itemsize > 2:
            result, slope = self.added((z, *arrays[1:]), keywords, request, request.out)
        else:  # in float32 up to the end, which rounds once
            slope = None
            if request.gradient:
                slope = arguments.out(request.out, z, (*arrays, *options), xp)
            wide = (widened(arguments.domains[arguments.names[0]], z), *arrays[1:])
            result, total = self.added(wide, keywords, request, None)
            if slope is not None:
                slope[...] = rounded(total, slope.dtype)
        if not request.value or request.partial:
            return result, slope
        return (number(result, z.dtype) if isinstance(result, float) else rounded(result, z.dtype)), slope

    def added(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request, out: Any) -> tuple[Any, Any]:
        """(sum of the values, of the gradients): numbers in float64, arrays in the dtype of the prediction."""
        values, total = [], None
        for coefficient, part in self.loss.terms:
            mine = self.loss.keywords_of(part, keywords) | ({"reduction": "sum"} if request.partial else {})
            wanted = replace(request, out=out if total is None else None, known=None)
            result, slope = part.evaluate(arrays, mine, wanted)
            values.append(result)
            if request.gradient:
                slope = times(slope, coefficient)
                if total is None:
                    total = slope
                else:
                    with quiet():
                        total += slope
        if not request.value:
            return None, total
        coefficients = [coefficient for coefficient, _ in self.loss.terms]
        if request.partial:
            return weighted_sum(self.loss.name, coefficients, values), total
        check_shapes(self.loss.name, values)
        if isinstance(values[0], np.generic):
            return sum(c * float(result) if c else 0.0 for c, result in zip(coefficients, values, strict=True)), total
        with quiet():
            return sum(times(result, c) for c, result in zip(coefficients, values, strict=True)), total


def check_shapes(name: str, values: Sequence[Any]) -> None:
    """Values of different shapes do not add."""
    if len({np.shape(result) for result in values}) > 1:
        rule = "must be 'sum' or 'mean', since the parts have values of different shapes"
        shapes = " and ".join(str(np.shape(result)) for result in values)
        raise ShapeError(name, "reduction", rule, said=shapes)
