"""One call: the diagonal of the Hessian of the reduced loss, or the product with a direction, in place of the gradient.

The arrays are checked as those of any call. Elements and boxes have kernels of their own; rows and totals are computed
in float64 from the derivatives of the function of one class, for which kernels answer, too.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import sympy

from lossbook import backends
from lossbook.arrays import WORKING, as_indices, cut, quiet, rounded
from lossbook.backends.call import Call
from lossbook.backends.numpy import words as numpy_words
from lossbook.checks import check_same
from lossbook.domains import Logit
from lossbook.evaluation.evaluate import Evaluation, Finish, Setting
from lossbook.evaluation.formats import along_format
from lossbook.evaluation.request import VALUE, Request
from lossbook.evaluation.weights import image_weights
from lossbook.formula import Formula
from lossbook.hessians import rows as of_rows
from lossbook.hessians.elements import Element, along_each
from lossbook.plan.guard import Guard
from lossbook.plan.ir import OF_ROW
from lossbook.plan.lower import U, body_of_row, body_of_totals, renamed

PIECE = 1 << 16  # numbers of the prediction that are worked on at once, so that what is made of them stays in the cache
_made: "WeakKeyDictionary[Evaluation, dict[Any, Any]]" = WeakKeyDictionary()


def made(evaluation: Evaluation, key: Any, make: Callable[[], Any]) -> Any:
    """What an evaluation needs again and again, made once."""
    kept = _made.setdefault(evaluation, {})
    if key not in kept:
        kept[key] = make()
    return kept[key]


def second_order(evaluation: Evaluation, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> Any:
    """The array that the request asks for, in the place of a gradient."""
    if evaluation.space.totals or evaluation.space.rows_of_classes:
        backend, call, result, setting = evaluation.prepare(arrays, keywords, request)
        v = direction_of(evaluation, call, request.direction)
        (of_totals if call.overlap else of_classes)(evaluation, backend, call, setting, v)
        return result
    along = made(evaluation, "elements", lambda: along_each(evaluation))
    plain = replace(request, order=1, direction=None)
    if request.direction is None and not evaluation.space.corners:
        return along[0](arrays, keywords, plain)[1]
    results = [one(arrays, keywords, replace(plain, out=None))[1] for one in along]
    _, call, result, setting = evaluation.prepare(arrays, keywords, request)
    v, xp = direction_of(evaluation, call, request.direction), call.xp
    if setting.format != "xyxy":  # the results are slopes along the numbers of boxes of those along their corners
        results = [*along_format(xp, xp.stack(results), 0, setting.format)]
    if not evaluation.space.corners:
        found = results[0] * v
    elif v is None:
        axis = call.layout.axis
        found = xp.stack([xp.take(slope, k, axis) for k, slope in enumerate(results)], axis)
    else:
        found = xp.stack([(slope * v).sum(call.layout.axis) for slope in results], call.layout.axis)
    with quiet():
        result[...] = rounded(found, result.dtype)
    return result


def direction_of(evaluation: Evaluation, call: Call, direction: Any) -> Any:
    """The direction as an array of the prediction's shape, or None."""
    if direction is None:
        return None
    v = evaluation.arguments.array(direction, "v", call.xp)
    check_same(call.loss, "v", v.shape, call.given_shape, "the prediction has")
    return call.moved(v.astype(WORKING[call.z.dtype.newbyteorder("=")], copy=False))


# --- rows ------------------------------------------------------------------------------------------------------------


class OfRow:
    """The function of one class of a row loss, and that of the row's logsumexp, under one setting of the flags."""

    def __init__(self, name: str, formula: Formula, hard: bool) -> None:
        formula, _ = renamed(formula)
        body = body_of_row(name, formula, hard)
        self.row = body.row
        domain = formula.domains[formula.prediction] if body.row == "entry" else Logit
        self.element = Element(name, formula, domain, body.steps, body.expression, alone=body.row == "entry")
        self.of_row = None
        if body.beside is not None:
            self.of_row = Element(f"{name}_beside", formula, Logit, (), body.beside.subs(OF_ROW, U))


def of_classes(evaluation: Evaluation, backend: Any, call: Call, setting: Setting, v: Any) -> None:
    """Rows of classes: piece by piece, each row by itself."""
    xp, formula, hard = call.xp, evaluation.formula(setting.flags), call.plan.hard
    parts = made(evaluation, (tuple(setting.flags.items()), hard), lambda: OfRow(call.loss, formula, hard))
    gradient, call.gradient = call.gradient, None
    evaluation.summed(backend, call, replace(setting, reduction="sum"), VALUE)  # refuses what breaks a rule
    divisor = evaluation.count(backend, call) if setting.reduction == "mean" else 1.0
    scale = 1.0 / divisor if divisor else 0.0
    parameters = (*map(float, call.parameters), float(call.layout.shape[call.layout.axis]))
    limit = max(1, PIECE // call.classes_per_piece)
    with quiet():
        for piece in cut(call.piece_shape, limit):
            at, axis = call.index(piece), call.layout.axis
            z = classes_first(xp, call.z[at], axis)
            direction = None if v is None else classes_first(xp, v[at], axis)
            y, weight, each = labels_and_weights(call, piece, z, hard)
            removed = weight == 0
            if bool(removed.any()):
                z = xp.where(removed, 0.0, z)
                y = None if y is None else xp.where(removed, 0, y)
            found = of_row(xp, parts, z, y, each, direction, parameters, backends.name_of(backend))
            found = xp.where(removed, 0.0, found * (weight * scale))
            gradient[at] = rounded(xp.moveaxis(found, 0, axis), gradient.dtype)


def classes_first(xp: Any, array: Any, axis: int) -> Any:
    """The array in float64, with its classes along the first axis."""
    return xp.ascontiguousarray(xp.moveaxis(array, axis, 0), np.float64)


def labels_and_weights(call: Call, piece: tuple[slice, ...], z: Any, hard: bool) -> tuple[Any, Any, Any]:
    """(labels or shares of the classes, weight of each row, weight of each class or None) of a piece."""
    xp, real, axis = call.xp, call.real, call.layout.axis
    weight = xp.ones(z.shape[1:]) if call.weight is None else call.weight[piece].astype(real).astype(np.float64)
    each = None if hard or call.class_weight is None else call.class_weight
    if call.plan.arrays[1:] and call.y is call.z:  # a loss without a target
        return None, weight, each
    if not call.integer:
        return classes_first(xp, call.y[call.index(piece)], axis), weight, each
    y = as_indices(call.y[piece], xp)
    if call.ignore is not None:
        weight = xp.where(y == call.ignore, 0.0, weight)
        y = xp.where(y == call.ignore, 0, y)
    if hard:
        weight = weight if call.class_weight is None else weight * call.class_weight[y]
        return y, weight, None
    return (y == classes_of(xp, z)).astype(np.float64), weight, each


def classes_of(xp: Any, z: Any) -> Any:
    """The indices of the classes, along the first axis of the logits."""
    return xp.arange(z.shape[0]).reshape(-1, *(1,) * (z.ndim - 1))


def of_row(
    xp: Any, parts: OfRow, z: Any, y: Any, each: Any, v: Any, parameters: Sequence[float], backend: str
) -> Any:
    """The diagonal, or the product with v, of rows whose classes stand along the first axis."""
    shares: Any = None
    if parts.row == "log_odds":
        shares = of_rows.softmax(xp, z)
        u = shares.log_odds
    elif parts.row == "entry":
        u = z
    else:
        shares = of_rows.standing(xp, z, of_others=parts.row == "minus_largest_of_others")
        u = shares.u
    if y is not None and y.ndim < z.ndim:  # only the labeled class has a say
        labeled = y == classes_of(xp, z)
        of_label = xp.where(labeled, u, 0).sum(0)
        one, two = parts.element.derivatives(xp, of_label, None, parameters, backend)
        first, second = (xp.where(labeled, part, 0.0) for part in (one, two))
    else:
        first, second = parts.element.derivatives(xp, u, y, parameters, backend)
    if each is not None:
        each = each.reshape(-1, *(1,) * (z.ndim - 1))
        first, second = (xp.where(each == 0, 0.0, each * part) for part in (first, second))
    if parts.row == "entry":
        return second if v is None else second * v
    if parts.row != "log_odds":
        return of_rows.diagonal_of(shares, second) if v is None else of_rows.product_of(shares, second, v)
    if v is None:
        found = of_rows.diagonal(shares, first, second)
    else:
        found = of_rows.product(shares, first, second * of_rows.tangent(shares, v), v)
    if parts.of_row is not None:
        one, two = parts.of_row.derivatives(xp, shares.logsumexp, None, parameters, backend)
        found = found + of_rows.beside(shares, one, two, v)
    return found


# --- totals ----------------------------------------------------------------------------------------------------------


class OfTotals:
    """What a pixel adds to each total on which the prediction has a say, and the second derivatives of the end."""

    def __init__(self, name: str, formula: Formula) -> None:
        formula, _ = renamed(formula)
        body = body_of_totals(name, formula)
        (along,) = body.wrt
        self.softmax = bool(body.row)
        domain = Logit if self.softmax else formula.domains[formula.prediction]
        steps = [(symbol, value.subs(along, U)) for symbol, value in body.steps]
        self.terms = [Element(f"{name}_{s}", formula, domain, steps, t.subs(along, U)) for s, t in body.moved.items()]
        ends = Guard(formula, (), tuple(body.totals))
        given = [*body.totals, *formula.parameters]
        ends_of = sympy.hessian(body.expression, [*body.moved]).tolist()
        second = [[ends(each) for each in line] for line in ends_of]
        self.second = sympy.lambdify(given, second, modules=[vars(numpy_words), "numpy"])


def of_totals(evaluation: Evaluation, backend: Any, call: Call, setting: Setting, v: Any) -> None:
    """Losses of totals: the totals of each image and class, and then each image by itself."""
    xp, formula = call.xp, evaluation.formula(setting.flags)
    parts = made(evaluation, tuple(setting.flags.items()), lambda: OfTotals(call.loss, formula))
    gradient, call.gradient = call.gradient, None
    each = image_weights(call)
    totals = evaluation.totals(backend, call, each)
    if setting.batch:
        totals = totals.sum(axis=0, keepdims=True)
    finish = Finish(evaluation.loss, tuple(setting.flags.items()), tuple(setting.parameters.items()), each)
    losses, slopes, weights = finish.losses(totals)
    if setting.reduction == "mean":
        _, count = finish.sums_of(losses, weights)
        weights = weights / count if count else 0 * weights
    columns = [totals[..., j] for j in range(totals.shape[-1] - 1)]
    parameters = tuple(map(float, call.parameters))
    with quiet():
        first = [scaled(slope, weights) for slope in np.moveaxis(slopes, -1, 0)]
        second = [[scaled(slope, weights) for slope in line] for line in parts.second(*columns, *parameters)]
    images = range(call.layout.three[0])
    pixels = Pixels(call, each, parts, (*parameters, float(call.layout.three[1])), backends.name_of(backend))
    along = None
    with quiet():
        if v is not None:  # how fast each total changes along v
            v = v.reshape(call.layout.three)
            along = [pixels.change(n, v) for n in images]
            if setting.batch:  # of all images, whose totals are one
                along = [[sum(changes) for changes in zip(*along, strict=True)]] * len(along)
        for n in images:
            k = 0 if setting.batch else n
            one = [xp.asarray(slope[k])[:, None] for slope in first]
            two = [[xp.asarray(slope[k])[:, None] for slope in line] for line in second]
            flat = xp.empty(call.layout.three[1:])
            for at in pixels.pieces:
                flat[:, at] = pixels.second(n, at, one, two, v, None if along is None else along[n])
            gradient[n] = rounded(flat.reshape(gradient.shape[1:]), gradient.dtype)


def scaled(slope: Any, weights: np.ndarray) -> np.ndarray:
    """A derivative of the end for each image and class, times their weights, of which 0 removes even a NaN."""
    return np.where(weights == 0, 0.0, weights * slope)


class Pixels:
    """The pixels of an image at a time: what they add to the totals, and its derivatives, in float64."""

    def __init__(self, call: Call, each: Any, parts: OfTotals, parameters: tuple[float, ...], backend: str) -> None:
        self.call, self.parts, self.parameters, self.backend = call, parts, parameters, backend
        self.xp, self.shape = call.xp, call.layout.three
        self.each = call.xp.asarray(np.broadcast_to(each, self.shape[:2]))
        _, classes, inner = self.shape
        width = max(1, PIECE // max(1, classes))
        self.pieces = [slice(start, start + width) for start in range(0, inner, width)]

    def of_image(self, n: int, at: slice) -> tuple[Any, Any, Any]:
        """(predictions, targets, weights) of some pixels of an image, shape (classes, pixels); what is removed is
        harmless.
        """
        call, xp, (classes, inner) = self.call, self.xp, self.shape[1:]
        z = call.z[n].reshape(classes, inner)[:, at].astype(np.float64)
        weight = xp.ones(z.shape)
        if call.weight is not None:
            given = call.weight[n].reshape(classes if call.weight.ndim == call.z.ndim else 1, inner)[:, at]
            weight = weight * given.astype(call.real).astype(np.float64)
        if call.integer:
            labels = call.y[n].reshape(1, inner)[:, at]
            y = (labels == xp.arange(classes)[:, None]).astype(np.float64)
            if call.ignore is not None:
                weight = xp.where(labels == call.ignore, 0.0, weight)
        else:
            y = call.y[n].reshape(classes, inner)[:, at].astype(np.float64)
        removed = (weight == 0) | (self.each[n][:, None] == 0)
        if self.parts.softmax:  # where a pixel that is removed for one class counts for the others
            z = xp.where(removed.all(0), 0.0, z)
        else:
            z = xp.where(removed, 0.5, z)
        return z, xp.where(removed, 0.0, y), xp.where(removed, 0.0, weight)

    def derivatives(self, n: int, at: slice) -> tuple[Any, list[Any], list[Any]]:
        """(shares of the softmax or None, first, second derivatives of the terms) of some pixels of an image."""
        z, y, weight = self.of_image(n, at)
        shares = of_rows.softmax(self.xp, z) if self.parts.softmax else None
        u = z if shares is None else shares.log_odds
        found = [term.derivatives(self.xp, u, y, self.parameters, self.backend) for term in self.parts.terms]
        one, two = ([self.xp.where(weight == 0, 0.0, weight * d) for d in part] for part in zip(*found, strict=True))
        return shares, one, two

    def change(self, n: int, v: Any) -> list[Any]:
        """How fast each total of the classes of an image changes along v, shape (classes, 1)."""
        changes: list[Any] = [0.0] * len(self.parts.terms)
        for at in self.pieces:
            shares, one, _ = self.derivatives(n, at)
            t = v[n][:, at].astype(np.float64)
            t = t if shares is None else of_rows.tangent(shares, t)
            each = [self.xp.where(slope == 0, 0.0, slope * t).sum(-1, keepdims=True) for slope in one]
            changes = [known + change for known, change in zip(changes, each, strict=True)]
        return changes

    def second(
        self, n: int, at: slice, one: list[Any], two: list[list[Any]], v: Any, along: list[Any] | None
    ) -> Any:
        """The diagonal, or the product with v, of some pixels of an image, from the derivatives of the end."""
        shares, slopes, curves = self.derivatives(n, at)
        first = sum(a * slope for a, slope in zip(one, slopes, strict=True))
        second = sum(a * curve for a, curve in zip(one, curves, strict=True))
        if along is None:
            pairs = ((a, b, two[i][j]) for i, a in enumerate(slopes) for j, b in enumerate(slopes))
            second = second + sum(end * a * b for a, b, end in pairs)
            return second if shares is None else of_rows.diagonal(shares, first, second)
        ends = [sum(end * change for end, change in zip(line, along, strict=True)) for line in two]
        moved = sum(end * slope for end, slope in zip(ends, slopes, strict=True))
        v = v[n][:, at].astype(np.float64)
        if shares is None:
            return second * v + moved
        return of_rows.product(shares, first, second * of_rows.tangent(shares, v) + moved, v)
