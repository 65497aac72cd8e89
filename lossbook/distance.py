"""Losses of distance maps: a mistake costs more the farther it lies from the boundary (section 1.1.3 of the notes).

A formula cannot say how far a pixel is from the boundary of a mask. Here `distance` and `signed_distance` are words in
the formula of a pixel; SciPy (for CuPy arrays, CuPy) makes their maps, one image and one class at a time, and the
formula itself goes through generated kernels as every other does.

All maps follow one convention. The mask of an array is where it is above 1/2; a NaN, and a pixel of weight 0, is
background. Distances are Euclidean, from the center of a pixel to the center of the nearest pixel of the other kind,
so they are never 0. A mask that is empty or full has no boundary: every pixel then is as far from it as anything can be
in this image, the diagonal from corner to corner.
"""

import functools
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import sympy
from sympy.printing.precedence import PRECEDENCE

from lossbook import backends, documentation, words
from lossbook.algebra import FormulaLoss, Loss
from lossbook.arrays import WORKING, array_module, is_cupy, is_dask, quiet, times, to_host
from lossbook.backends.call import Call
from lossbook.checks import (
    MASK,
    ONE_CHANNEL,
    SINGLE,
    TWO_CLASSES,
    check_same,
    clipped,
    nearly,
    parameter,
    plain,
    refuse,
)
from lossbook.declaration import Declaration
from lossbook.documentation import Shown
from lossbook.domains import Classes, Domain, Flag, Fraction, Label, Logit, NonNegative, Outcome, Probability
from lossbook.errors import DomainError, ShapeError, shown
from lossbook.evaluation.activations import activate, chain
from lossbook.evaluation.arguments import Arguments
from lossbook.evaluation.evaluate import Evaluation, Setting
from lossbook.evaluation.reduce import reduced
from lossbook.evaluation.request import GRADIENT, HESSIAN, Request
from lossbook.formula import Formulas, declared
from lossbook.frameworks.source import LANGUAGES, without_maps
from lossbook.hessians import rows as of_rows
from lossbook.hessians.evaluate import direction_of
from lossbook.plan.ir import Plan
from lossbook.settings import options_of
from lossbook.spaces import DISTANCES, ELEMENTS
from lossbook.typing import Activation, ArrayLike, Language, Number
from lossbook.weight_maps import Spacing, diagonal, distance_transform, per_axis
from lossbook.words import Word

__all__ = ["boundary", "hausdorff", "hausdorff_distance"]

Percentile = Domain("Percentile", "parameter", "in [0, 100]", "a number in [0, 100]", 0.0, 100.0)
Unit = replace(Flag, describes="whether distances are divided by the diagonal of the image")
Distance = Domain("Distance", "prediction", ">= 0", "distances", 0.0)


# --- words -----------------------------------------------------------------------------------------------------------


class distance(Word):
    """How far a pixel is from the nearest one of the other kind, in the mask x > 1/2 of its image and class.

    A mask does not change with x, except that it jumps where x passes 1/2: the slope is 0.
    """

    nargs = 1
    symbol = "d"
    precedence = PRECEDENCE["Atom"]

    def slopes(self) -> tuple[sympy.Expr, ...]:
        return (sympy.S.Zero,)

    def _eval_is_nonnegative(self):
        return True

    def _latex(self, printer, exp=None):
        return f"{self.symbol}_{{{printer._print(self.args[0])}}}" + ("" if exp is None else f"^{{{exp}}}")


class signed_distance(distance):
    """The distance with a sign: negative inside the mask, positive outside."""

    symbol = r"\phi"

    def _eval_is_nonnegative(self):
        return None


# --- losses ----------------------------------------------------------------------------------------------------------


def distance_loss(*, source: str, properties: Mapping[str, Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make a DistanceLoss of a formula, as `lossbook.loss` makes a loss."""
    return lambda function: DistanceLoss.of_function(function, source, properties)


class DistanceLoss(FormulaLoss):
    __doc__ = Shown(
        vars(Loss)["__doc__"].make,
        """A loss of pixels in whose formula the distances of the masks appear; two parameters say how to measure them.

    The formula must be a function of `distance(...)` alone, times a function of the rest, in which one
    `signed_distance(...)` may take the place of the target. Each factor has a kernel; the first makes the weights of
    the second.
    """,
    )
    space = DISTANCES

    @classmethod
    def of_function(cls, function: Callable[..., Any], reference: str, properties: Mapping[str, Any]) -> Self:
        """The loss of a function whose arguments are annotated with domains."""
        function.__module__ = "lossbook.segmentation"  # where users find it
        made = FormulaLoss.of_function(function, reference, properties)
        declaration = made.declaration
        measured = declaration.changed(
            arguments={**declaration.arguments, "spacing": Spacing, "normalize": Unit},
            defaults={**declaration.defaults, "spacing": 1.0, "normalize": False},
            find_options=lambda: options_of(cls.space, declaration.by_class),
        )
        # The maps know how they were measured: the formula has no flags.
        loss = cls(measured, Formulas(1, lambda setting: made.formulas.at(())), reference, properties)
        loss.stand_for(function)
        return loss

    # --- kernels ---

    @functools.cached_property
    def maps(self) -> dict[Any, sympy.Symbol]:
        """The words of distance in the formula, and the symbols that stand for their maps in kernels."""
        found = {}
        for word in sorted(self.formula.atoms(distance), key=str):
            kind = Outcome if isinstance(word, signed_distance) else Distance
            found[word] = kind.symbol(f"{word.func.__name__}_{word.args[0]}")
        return found

    @functools.cached_property
    def factors(self) -> tuple[FormulaLoss, FormulaLoss | None]:
        """(loss of a pixel, its weight by distance or None): pointwise losses whose product is the formula."""
        p, y = self.formula_at().arrays
        signed = [symbol for word, symbol in self.maps.items() if isinstance(word, signed_distance)]
        weight, rest = self.formula.xreplace(self.maps).as_independent(p, y, *signed, as_Add=False)
        target = {signed[0].name: Outcome} if signed else {y.name: Label}
        pixel = self.pointwise(rest, {p.name: self.declaration.arguments[p.name]} | target)
        if weight == 1:
            return pixel, None
        maps = [symbol.name for symbol in self.maps.values() if symbol not in signed]
        kinds = (Distance, replace(Distance, role="target"))
        return pixel, self.pointwise(weight, dict(zip(maps, kinds, strict=False)))

    def pointwise(self, expression: sympy.Expr, arrays: Mapping[str, Domain]) -> FormulaLoss:
        """A loss of its own, for an expression of some arrays and of the parameters that it contains."""
        mine, used = self.declaration, {symbol.name for symbol in expression.free_symbols}
        names = [name for name in mine.parameters if name in used]
        arguments = {**arrays, **{name: mine.arguments[name] for name in names}}
        defaults = {name: mine.defaults[name] for name in names}
        declaration = Declaration(self.plain_name, arguments, defaults, lambda: options_of(ELEMENTS, False))
        return FormulaLoss(declaration, declared(lambda *arrays, **parameters: expression, declaration))

    def source(self, backend: Language = "numpy", dtype: Any = "float32", **parameters: Any) -> str:
        """The kernels of this loss on a backend: that of the weights by distance, if any, and that of a pixel.

        A loss of distances has no text in PyTorch or JAX, and the error says what there is instead.
        """
        self.settings(parameters)
        if isinstance(backend, str) and backend in LANGUAGES:
            raise without_maps(self, backend)
        return "\n\n".join(part.source(backend, dtype) for part in reversed(self.factors) if part is not None)

    @functools.cached_property
    def evaluation(self) -> Evaluation:
        """What a call does."""
        return DistanceEvaluation(self)

    def second_order(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> Any:
        """The diagonal of the Hessian, or its product with a direction: the loss of each pixel has one of its own."""
        backend, call, slope, setting = self.evaluation.prepare(arrays, keywords, request)
        self.evaluation.summed(backend, call, setting, request)
        return slope

    def _on_logits(self, activation: Activation) -> "Loss":
        return DistanceOnLogits(self, activation)

    def _document(self):
        """The author's words, then what the declaration knows, and how distances are measured."""
        notes = [
            "distance(x) is the Euclidean distance of a pixel to the nearest one of the other kind in the mask x > 1/2 "
            "of its image and class (a NaN is background), signed_distance(x) the same, negative in the mask. Where a "
            "mask is empty or full it is the diagonal of the image. To the gradient, distances are constants.",
            "Weights may also be one per pixel and class; a pixel of weight 0 is background in both masks. Maps are "
            "made in float64, one image and class at a time, for NumPy arrays with SciPy.",
        ]
        return documentation.document(self, self.text, notes)


class DistanceArguments(Arguments):
    """The arrays of a call of a loss of distances: images first, classes second, and then space."""

    def lay_out(self, z: Any, target: Any, xp: Any, real: type, axis: Any) -> Call:
        """A Call with the shapes checked."""
        _check_space(self.name, self.names[0], z, xp)
        call = super().lay_out(z, target, xp, real, axis)
        call.move_classes()
        return call

    def weight(self, weight: Any, call: Call, xp: Any) -> Any:
        """The weights in the shape of the prediction: from a number, one per item, one per pixel, or one each."""
        weight = self.array(weight, "weight", xp)
        with np.errstate(over="ignore"):
            rounded = weight.astype(call.real, copy=False)
        refuse(self.name, "weight", "must be >= 0 and finite", weight, ~((rounded >= 0) & (rounded < np.inf)))
        rule = f"must be 0 or not vanish in {np.dtype(call.real)}"
        refuse(self.name, "weight", rule, weight, (rounded == 0) & (weight != 0))
        given, full, pixels = weight.shape, call.layout.shape, call.layout.without_classes
        if weight.ndim == len(full):
            weight = call.moved(weight)
        elif weight.ndim == len(pixels):
            weight = xp.expand_dims(weight, 1)
        elif given == full[:1]:
            weight = weight.reshape(-1, *(1,) * (len(full) - 1))
        if weight.ndim not in (0, len(full)) or any(a not in (1, b) for a, b in zip(weight.shape, full, strict=False)):
            rule = (
                f"must have shape {call.given_shape} (one per pixel and class), {pixels} (one per pixel) "
                f"or {full[:1]} (one per item)"
            )
            raise ShapeError(self.name, "weight", rule, given)
        return xp.broadcast_to(weight, full)


class DistanceEvaluation(Evaluation):
    """How a loss of distances is computed: one image and class at a time."""

    @functools.cached_property
    def arguments(self) -> Arguments:
        """What checks the arrays of a call."""
        return DistanceArguments(self.declaration, self.space)

    def plan(self, flags: Mapping[str, bool], parameters: Mapping[str, Any], integer: bool = False) -> Plan:
        """The plan of the loss of a pixel."""
        return self.loss.factors[0].evaluation.plan({}, {**self.loss.factors[0].declaration.defaults, **parameters})

    def count(self, backend: Any, call: Call) -> float:
        """sum(w) over the pixels of all images and classes."""
        planes = np.ndindex(*call.z.shape[:2])
        return sum(float(_weight_of(call, plane).sum(dtype=np.float64)) for plane in planes)

    def summed(self, backend: Any, call: Call, setting: Setting, request: Request) -> Any:
        """One image and class at a time: masks, their maps, and the kernels on them."""
        reduction, parameters = setting.reduction, {**setting.parameters, **setting.flags}
        steps = per_axis(self.declaration.name, parameters["spacing"], call.z.shape[2:], call.real)
        transform = distance_transform(self.declaration.name, call.xp)
        measure = Measure(call.xp, call.real, transform, steps, parameters["normalize"])
        options = {"backend": backends.name_of(backend)}
        pixel, _ = self.loss.factors
        planes = list(np.ndindex(*call.z.shape[:2]))
        unit = _unit_of(call)
        upstream = None if request.upstream is None else call.moved(request.upstream)
        direction = direction_of(self, call, request.direction)
        total, count = 0.0, None
        if request.partial or reduction == "mean":
            count = self.count(backend, call)
        if request.value and reduction == "none":
            call.values = call.xp.zeros(call.z.shape, call.z.dtype)
        if call.gradient is not None:
            call.gradient[...] = 0
        for plane in planes:
            weight = _weight_of(call, plane)
            p, y = self.checked(call, plane, weight != 0)
            if not bool(weight.any()):
                continue  # nothing is there, and no map is needed
            weight = _no_less(weight / unit, weight != 0, call)
            target, weight = self.measured(call, p, y, weight, measure, parameters, options)
            if call.values is not None:
                values = pixel(p, target, weight=weight, reduction="none", **options)
                call.values[plane] = times(values, unit)
            elif request.value:
                total += pixel.partial(p, target, weight=weight, **options).sums[0] * unit
            if call.gradient is not None:
                weight = weight * call.real(unit / count) if reduction == "mean" else weight
                slope = call.gradient[plane]
                along = None if direction is None else direction[plane]
                wanted = Request(value=False, gradient=True, out=slope, order=request.order, direction=along)
                pixel.evaluate((p, target), {"weight": weight, "reduction": "sum", **options}, wanted)
                if reduction != "mean":
                    times(slope, unit)
                if upstream is not None:
                    slope *= upstream[plane]
        if request.partial:
            return self.partial(call, setting, np.array([total, count]), spacing=steps)
        if not request.value:
            return None
        if reduction == "none":
            return call.values if call.given_axis is None else call.xp.moveaxis(call.values, 1, call.given_axis)
        return call.number(reduced(total, count, reduction))

    def checked(self, call: Call, plane: tuple[int, ...], live: Any) -> tuple[Any, ...]:
        """The prediction and the target of one image and class, whose values are checked where they count."""
        n, c = plane
        if call.integer and c == 0:
            _check_classes(call, n)
        arrays = call.z[plane], call.y[n] == c if call.integer else call.y[plane]
        hints = "", MASK if call.mask else ""
        checked = zip(self.arguments.names, arrays, hints, strict=True)
        where, domains = self.declaration.name, self.arguments.domains
        return tuple(_within(where, name, domains[name], array, live, plane, hint) for name, array, hint in checked)

    def measured(
        self,
        call: Call,
        p: Any,
        y: Any,
        weight: Any,
        measure: "Measure",
        parameters: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> tuple[Any, Any]:
        """(target, weight) of the loss of a pixel, made with the maps."""
        live, maps = weight != 0, {}
        arrays = dict(zip(self.loss.formula_at().arrays, (p, y), strict=True))
        for word, symbol in self.loss.maps.items():
            away = measure((arrays[word.args[0]] > 0.5) & live)
            maps[symbol.name] = away if isinstance(word, signed_distance) else abs(away)
        pixel, factor = self.loss.factors
        target = maps.get(pixel.declaration.target, y)
        if factor is None:
            return target, weight
        given = {name: parameters[name] for name in factor.declaration.parameters}
        away = [maps[name] for name in factor.declaration.arrays]
        weight = factor(*away, weight=weight, reduction="none", **given, **options)
        if not bool((weight < np.inf).all()):
            rule = f"must leave the powers of all distances finite in {weight.dtype}"
            rule += ", for which normalize=True is a help"
            raise DomainError(self.declaration.name, ", ".join(given), rule, said=", ".join(map(str, given.values())))
        return target, _no_less(weight, live, call)


@distance_loss(
    source="Karimi and Salcudean 2019, Reducing the Hausdorff Distance in Medical Image Segmentation with "
    "Convolutional Neural Networks, IEEE Transactions on Medical Imaging 39(2), 499-513, arXiv:1904.10030, the loss "
    "from distance transforms",
    properties={"minimum": 0, "symmetric": True},
)
def hausdorff(p: Probability, y: Classes, *, alpha: NonNegative = 2.0):
    """Squared error, weighted with the powers of the distances to both boundaries, the predicted and the true one.

    A stand-in for the Hausdorff distance, which as a function of probabilities has slope 0 wherever it has one; a
    larger alpha looks more at the largest distance. Use it beside a loss of regions, and with normalize, lest squares
    of hundreds of pixels dwarf that.

    Where one mask is empty or full, all mistakes are weighted with the diagonal: an empty prediction of an empty target
    costs 0, an empty prediction of a full target the most that any costs. (MONAI sets such distances to 0, so that
    this costs nothing.)
    """
    return (y - p) ** 2 * (distance(p) ** alpha + distance(y) ** alpha)


@distance_loss(
    source="Kervadec, Bouchtiba, Desrosiers, Granger, Dolz and Ben Ayed 2019, Boundary loss for highly unbalanced "
    "segmentation, MIDL, PMLR 102, 285-296, arXiv:1812.07032",
    properties={"convex": True},
)
def boundary(p: Probability, y: Classes):
    """The prediction, weighted with the signed distance to the true boundary.

    Probability outside the true mask costs its distance and inside earns it, so the loss may be negative, and is least
    where the prediction is the mask itself. Its slope does not depend on the prediction (not even on a NaN, whose value
    is NaN): use it beside a loss of regions.

    With an empty target all that is predicted costs the diagonal, with a full one it earns that. (The authors' code and
    MONAI count distances inside from 0, so that the outermost pixels of a mask earn nothing, and a class that is absent
    costs nothing whatever is predicted.)
    """
    return signed_distance(y) * p


# --- on logits -------------------------------------------------------------------------------------------------------


class DistanceOnLogits(Loss):
    """A loss of distances on logits: that of the activated array, since its masks are made of the probabilities.

    The gradient follows by the chain rule in one more pass.
    """

    __doc__ = Shown(vars(Loss)["__doc__"].make, __doc__)
    __wrapped__ = Shown(lambda self: self.part.__wrapped__)
    space = DISTANCES

    def __init__(self, part: DistanceLoss, activation: Activation) -> None:
        self.part, self.activation = part, activation
        declaration = part.declaration
        _, *others = declaration.arrays
        arguments = {"z": Logit} | {name: declaration.arguments[name] for name in (*others, *declaration.defaults)}
        name = f"{part.name}.on_logits({activation!r})"
        text = f"{part.summary}\n\nTakes logits z and is {part.name} of {activation}(z)."
        super().__init__(declaration.changed(name=name, arguments=arguments), part.reference, text=text)

    @functools.cached_property
    def array_symbols(self) -> tuple[tuple[sympy.Symbol, ...], tuple[sympy.Symbol, ...]]:
        """(those of the logits, those of the target) in the formula."""
        return (sympy.Symbol("z", real=True),), self.part.array_symbols[1]

    def _activated(self):
        (z,) = self.array_symbols[0]
        return words.sigmoid(z) if self.activation == "sigmoid" else words.softmax(z)

    @functools.cached_property
    def formula(self) -> sympy.Expr:
        """The formula of the probabilities, in words of the logits."""
        return self.part.formula.subs(*self.part.array_symbols[0], self._activated())

    @property
    def gradient(self) -> sympy.Expr:
        """The slope along the logits, by the chain rule."""
        p, (z,) = self._activated(), self.array_symbols[0]
        slope = self.part.gradient.subs(*self.part.array_symbols[0], p)
        if self.activation == "sigmoid":
            return slope * p.diff(z)
        return p * (slope - words.sum_classes(p * slope))

    def source(self, backend: Language = "numpy", dtype: Any = "float32", **parameters: Any) -> str:
        """The kernel of the loss of probabilities; the activation goes before it, the chain rule after it."""
        if isinstance(backend, str) and backend in LANGUAGES:
            raise without_maps(self, backend)
        return self.part.source(backend, dtype, **parameters)

    def with_parameters(self, **given: Any) -> "DistanceOnLogits":
        """This loss of a part that has these parameters and options."""
        return DistanceOnLogits(self.part.with_parameters(**given), self.activation)

    @functools.cached_property
    def arguments(self) -> Arguments:
        """What checks the logits of a call."""
        return Arguments(self.declaration, self.space)

    def evaluate(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
        """(value or None, gradient or None), as `request` asks."""
        options = [keywords.get(name) for name in ("weight", "class_weight")]
        if len(arrays) != len(self.declaration.arrays):
            self.declaration.check(arrays, keywords)
        if is_dask(*arrays, *options, request.out):
            from lossbook.evaluation import dask

            return dask.on_logits(self, arrays, keywords, request)
        xp = backends.choose(self.name, keywords.get("backend"), (*arrays, *options, request.out)).xp
        axis = keywords.get("axis", self.axis)
        z = self.check_logits(arrays[0], axis, xp)
        p, rest = activate(xp, self.activation, z.astype(WORKING[z.dtype.newbyteorder("=")]), axis)
        if request.gradient:
            slope = self.arguments.out(request.out, z, (*arrays, *options), xp)
        if request.order == 2:
            slopes = [self.of_part((p, *arrays[1:]), keywords, wanted)[1] for wanted in (GRADIENT, HESSIAN)]
            with np.errstate(over="ignore"):
                slope[...] = self.second_order(xp, z, slopes, self.direction(request.direction, z, xp), axis)
            return None, slope
        result, g = self.of_part((p, *arrays[1:]), keywords, request)
        with np.errstate(over="ignore"):  # what is too large for float16 is infinite
            if request.value and not request.partial and result.dtype != z.dtype:
                result = result.astype(z.dtype)
            if not request.gradient:
                return result, None
            slope[...] = chain(xp, self.activation, p, rest, g, axis)
        return result, slope

    def direction(self, given: Any, z: Any, xp: Any) -> Any:
        """The direction of `hvp` as an array of the shape of the logits, or None."""
        if given is None:
            return None
        v = self.arguments.array(given, "v", xp)
        check_same(self.name, "v", v.shape, z.shape, "z has")
        return v

    def second_order(self, xp: Any, z: Any, slopes: Sequence[Any], v: Any, axis: int) -> Any:
        """The diagonal of the Hessian, or its product with v, from the derivatives along the probabilities."""
        first, second = (xp.moveaxis(part, axis, 0).astype(np.float64) for part in slopes)
        logits = xp.moveaxis(z, axis, 0).astype(np.float64)
        v = None if v is None else xp.moveaxis(v, axis, 0).astype(np.float64)
        absent = (first == 0) & (second == 0)  # of weight 0, where anything may stand
        with quiet():
            if self.activation == "sigmoid":
                p, rest = activate(xp, "sigmoid", xp.where(absent, 0, logits), 0)
            else:
                shares = of_rows.softmax(xp, xp.where(absent.all(0), 0, logits))
                p, rest = shares.p, shares.rest
            steep = p * rest
            second = second * steep**2 + first * steep * (rest - p)
            first = first * steep
            if self.activation == "sigmoid":
                found = second if v is None else second * v
            elif v is None:
                found = of_rows.diagonal(shares, first, second)
            else:
                found = of_rows.product(shares, first, second * of_rows.tangent(shares, v), v)
        return xp.moveaxis(found, 0, axis)

    def check_logits(self, array: Any, axis: Any, xp: Any) -> Any:
        """The logits as an array, if they are right in dtype and have the class axis."""
        z = self.arguments.prediction(array, xp)
        if self.activation == "softmax":
            is_number = isinstance(axis, numbers.Integral) and not isinstance(axis, bool)
            if not is_number or not -z.ndim <= axis < z.ndim:
                raise ShapeError(self.name, "z", f"must have a class axis {shown(axis)}", said=f"shape {z.shape}")
            if z.shape[axis] == 0:
                raise ShapeError(self.name, "z", "must have at least one class", said=f"shape {z.shape}")
            if z.shape[axis] == 1:
                raise ShapeError(self.name, "z", TWO_CLASSES, said=f"shape {z.shape}", hint=ONE_CHANNEL)
        return z

    def of_part(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
        """(value, gradient) of the loss of probabilities, whose errors speak of this loss and its logits."""
        try:
            return self.part.evaluate(arrays, dict(keywords), replace(request, out=None))
        except (DomainError, ShapeError) as error:
            if error.argument == self.part.declaration.arrays[0]:
                error = error.renamed(self.name, "z")
            raise error from None

    def __reduce__(self) -> tuple[Any, ...]:
        return DistanceOnLogits, (self.part, self.activation)


# --- the metric ------------------------------------------------------------------------------------------------------


@quiet()
def hausdorff_distance(
    p: "ArrayLike",
    y: "ArrayLike",
    *,
    percentile: "Number" = 100.0,
    spacing: "Number | Sequence[Number]" = 1.0,
    threshold: "Number" = 0.5,
) -> Any:
    """The Hausdorff distance between the boundaries of two masks, for each image and class: a metric, not a loss.

        max(max over a of min over b of |a - b|, max over b of min over a of |a - b|)

    a and b run over the boundary pixels of the two masks: those that have a neighbor outside the mask along an axis,
    where all beyond the image is outside.

    Two empty masks are at distance 0, as in scikit-image. An empty and another mask are at distance infinity, where
    MONAI gives NaN if a percentile is asked for: means that leave NaN out get better with every structure missed.

    Parameters
    ----------
    p : array
        Predictions of shape (N, C, *space): probabilities, or masks of integers or bools.
    y : array
        Masks of the same shape, or class indices, integers of shape (N, *space).
    percentile : float, optional
        In [0, 100]: in either direction this percentile of the distances takes the place of their maximum, interpolated
        linearly, each boundary pixel counted once; then the larger is taken. 95 is HD95 as MONAI computes it; MedPy
        takes one percentile of the distances of both directions together.
    spacing : float or sequence of float, optional
        The distance of neighboring pixels, a number or one per space axis; the unit of the result.
    threshold : float, optional
        In [0, 1]: the predicted mask is p > threshold (a NaN is not); the true mask is always y > 1/2.

    Returns
    -------
    array of float64
        The distances, of shape (N, C), in NumPy or CuPy as p is.

    Raises
    ------
    ShapeError
        For shapes that do not fit together.
    DomainError
        For values out of range.
    BackendError
        Without SciPy.

    References
    ----------
    Huttenlocher, Klanderman and Rucklidge 1993, Comparing Images Using the Hausdorff Distance, IEEE Transactions on
    Pattern Analysis and Machine Intelligence 15(9), 850-863.

    Examples
    --------
    >>> import numpy as np
    >>> from lossbook import segmentation
    >>> p, y = np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 4, 4))
    >>> p[0, 0, 0, 0] = y[0, 0, 3, 0] = 1
    >>> segmentation.hausdorff_distance(p, y)
    array([[3.]])
    """
    where = "segmentation.hausdorff_distance"
    p, y = plain(where, "p", p), plain(where, "y", y)
    on_device = is_cupy(p) or is_cupy(y)
    xp = backends.choose(where, None if on_device else "numpy", (p, y)).xp
    _check_space(where, "p", p, xp)
    indices, pixels = y.ndim == p.ndim - 1, (p.shape[0], *p.shape[2:])
    of = "p without its class axis" if indices else f"p has (or {pixels} for class indices)"
    check_same(where, "y", y.shape, pixels if indices else p.shape, of)
    for name, array in (("p", p), ("y", y)):
        if array.dtype.kind not in ("iub" if indices and name == "y" else "fiub"):
            what = "integers when it holds class indices" if indices and name == "y" else "real numbers"
            raise DomainError(where, name, f"must hold {what}", array.dtype)
    percentile = parameter(where, "percentile", percentile, Percentile)
    threshold = parameter(where, "threshold", threshold, Fraction)
    steps = per_axis(where, parameter(where, "spacing", spacing, Spacing), p.shape[2:], np.float64)
    transform = distance_transform(where, xp)
    result = np.empty(p.shape[:2])
    for plane in np.ndindex(*result.shape):
        n, c = plane
        own = _within(where, "p", Probability, p[plane], True, plane)
        if indices:
            bad = (y[n] < 0) | (y[n] >= xp.asarray(p.shape[1]))
            _refuse_in(where, "y", f"must be a class index in 0..{p.shape[1] - 1}", y[n], bad, (n,))
        else:
            _within(where, "y", Label, y[plane], True, plane)
        a, b = _edge(own > threshold), _edge(y[n] == c if indices else y[plane] > 0.5)
        some = bool(a.any()), bool(b.any())
        if all(some):
            directions = (to_host(transform(~there, steps)[here]) for here, there in ((a, b), (b, a)))
            result[plane] = max(float(np.percentile(distances, percentile)) for distances in directions)
        else:
            result[plane] = math.inf if any(some) else 0.0
    return xp.asarray(result)


def _edge(mask):
    """The pixels of a mask that have a neighbor outside it, along an axis."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        first, last, low, high = (
            (slice(None),) * axis + (part,) for part in (slice(1), slice(-1, None), slice(1, None), slice(-1))
        )
        inner[low] &= mask[high]
        inner[high] &= mask[low]
        inner[first] = False
        inner[last] = False
    return mask & ~inner


# --- maps and arguments ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measure:
    """Makes the map of a mask: how far each pixel is from the nearest of the other kind, negative in the mask."""

    xp: Any
    real: type  # the working type, in which maps are returned
    transform: Callable  # distance_transform_edt
    steps: tuple[float, ...]  # the spacing of each axis
    normalize: bool

    def __call__(self, mask: Any) -> Any:
        farthest = diagonal(mask.shape, self.steps)
        if not bool(mask.any()):
            away = self.xp.full(mask.shape, farthest)
        elif bool(mask.all()):
            away = self.xp.full(mask.shape, -farthest)
        else:
            away = self.transform(~mask, self.steps)
            away -= self.transform(mask, self.steps)
        if self.normalize:
            away /= farthest
        return away.astype(self.real, copy=False)


def _weight_of(call, plane):
    """The weights of the pixels of one image and class, in float64, which holds products of any two."""
    n, c = plane
    weight = call.xp.ones(call.z.shape[2:]) if call.weight is None else call.weight[plane].astype(np.float64)
    if call.ignore is not None:
        weight *= call.y[n] != call.xp.asarray(call.ignore)
    if call.class_weight is not None:
        weight *= call.class_weight[c].astype(np.float64)
    return weight


def _unit_of(call):
    """What weights are divided by on their way to a kernel: 1, or the largest if that is no ordinary number."""
    largest = [float(array.max()) for array in (call.weight, call.class_weight) if array is not None and array.size]
    largest = math.prod(largest)
    return 1.0 if largest == 0 or 1e-30 < largest < 1e30 else largest


def _no_less(weight, live, call):
    """Weights in the working type; one that underflows must not remove a pixel, which might be NaN."""
    least = np.finfo(call.real).tiny
    return call.xp.where(live, call.xp.maximum(weight.astype(call.real, copy=False), least), call.real(0))


def _check_classes(call, n):
    """Refuse the labels of an image that are no class, unless they are ignored or their weight is 0."""
    y, classes = call.y[n], call.z.shape[1]
    bad = (y < 0) | (y >= call.xp.asarray(classes))
    rule = f"must be a class index in 0..{classes - 1}"
    if call.ignore is not None:
        bad &= y != call.xp.asarray(call.ignore)
        rule += f" or ignore_index={call.said_ignored}"
    if call.weight is not None:
        bad &= (call.weight[n] != 0).any(axis=0)
    _refuse_in(call.loss, "y", rule, y, bad, (n,))


def _within(where, name, domain, array, live, start, hint=""):
    """A part of an array with what lies a few ulp beyond the bounds of its domain on them; what is out is refused."""
    bad = ~domain.holds(array) & live
    if not bool(bad.any()):
        return array
    _refuse_in(where, name, f"must be {domain.rule}", array, bad & ~nearly(domain, array), start, hint)
    return clipped(domain, array, array_module(array))


def _refuse_in(where, name, rule, array, bad, start, hint=""):
    """`refuse` for a part of an array, all that lies at the index `start`."""
    new = (None,) * len(start)
    refuse(where, name, rule, array[new], bad[new], (*start, *(0,) * array.ndim), hint)


def _check_space(where, name, array, xp):
    if array.ndim < 3:
        raise ShapeError(where, name, "must have shape (N, C, *space), with a space axis", array.shape, hint=SINGLE)
    if xp is not np and array.ndim not in (4, 5):
        rule = "must have two or three space axes if it is a CuPy array"
        raise ShapeError(where, name, rule, array.shape, said=f"shape {array.shape}")
