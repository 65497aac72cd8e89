"""Losses with several predictions: a sum of terms, each of a loss of one of them.

    detection.faster_rcnn       a Joined: objectness of anchors, and their boxes

Each is a Loss, with the same calls; what its parts compute, their own kernels compute.
"""

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import sympy

from lossbook import backends, documentation
from lossbook.algebra import Loss
from lossbook.arrays import is_dask, number, quiet, rounded, several, times
from lossbook.checks import check_reduction, check_same, shares_memory, widened
from lossbook.declaration import Declaration
from lossbook.documentation import Shown
from lossbook.domains import Domain
from lossbook.errors import DomainError, ShapeError
from lossbook.evaluation.arguments import Arguments
from lossbook.evaluation.reduce import Partial, reduced
from lossbook.evaluation.request import Request
from lossbook.formula import slopes
from lossbook.frameworks.source import LANGUAGES, called_joined
from lossbook.settings import OPTIONS, changed, find, named_identity, redefined, settings_of, with_settings
from lossbook.spaces import JOINED
from lossbook.typing import Language, Reduction


@dataclass(frozen=True)
class Term:
    """One term of a Joined loss: coefficient*sum(w*l)/divisor, for a loss l of one of the predictions.

    `part` is the index of what enters of the prediction, if not all of it does. A divisor that counts something of the
    data adds up when partial sums merge; one that is given does not.
    """

    loss: Loss
    prediction: int
    target: Any = None
    weight: Any = None
    coefficient: float = 1.0
    divisor: float = 1.0
    counted: bool = True
    part: Any = ...


class Joined(Loss):
    """A loss with several predictions: `grad` returns a tuple of gradients, one for each, in order.

    A subclass names its `arguments`, in the order of the call, their `defaults` and the `parts` it is made of, and
    gives the `terms` of a call and its `formula`; `end` says the same as `terms` in `frameworks/loops`.
    """

    arguments: ClassVar[dict[str, Domain]]
    defaults: ClassVar[dict[str, Any]] = {}
    parts: ClassVar[tuple[Loss, ...]]
    end: ClassVar[str] = ""  # where the text stands that joins the parts in PyTorch and JAX, if there is one
    space = JOINED
    __wrapped__ = Shown(type)

    def __init__(self, name: str, reference: str, properties: Mapping[str, Any] | None = None) -> None:
        declaration = Declaration(name, dict(self.arguments), dict(self.defaults), lambda: OPTIONS)
        super().__init__(declaration, reference, properties, inspect.cleandoc(type(self).__doc__ or ""))
        home, _, self.__name__ = name.partition(".")
        self.plain_name, self.__module__, self.__qualname__ = name, f"lossbook.{home}", self.__name__
        self.__doc__ = self.text

    def fit(self, shapes: Sequence[tuple[int, ...]], weight: tuple[int, ...] | None) -> None:
        """Refuse arrays of shapes that do not fit together; `weight` is the shape of the weights, None without them."""
        raise NotImplementedError

    def terms(self, arrays: Sequence[Any], weight: Any, parameters: Mapping[str, Any], xp: Any) -> Sequence[Term]:
        """The terms of a call, from its checked arrays."""
        raise NotImplementedError

    def combined(self, values: Sequence[Any]) -> Any:
        """What reduction="none" returns of the terms' values, each summed over all but the items."""
        return sum(values[1:], start=values[0])

    def symbols(self) -> dict[str, Any]:
        """The symbols of the arguments, by name."""
        return {name: domain.symbol(name) for name, domain in self.declaration.arguments.items()}

    @property
    def array_symbols(self) -> tuple[tuple[sympy.Symbol, ...], tuple[sympy.Symbol, ...]]:
        """(those of the predictions, those of the targets) in the formula."""
        symbols, predictions = self.symbols(), self.declaration.predictions
        others = (name for name in self.declaration.arrays if name not in predictions)
        return tuple(symbols[name] for name in predictions), tuple(symbols[name] for name in others)

    @property
    def gradient(self) -> Any:
        """The slopes along the predictions."""
        return slopes(self.formula, self.array_symbols[0])

    def source(self, backend: Language = "numpy", dtype: Any = "float32", **parameters: Any) -> str:
        """The kernels of the parts, one after the other; the parameters are checked, and are arguments of theirs.

        In PyTorch and JAX, a text of the whole loss.
        """
        self.settings(parameters)
        if isinstance(backend, str) and backend in LANGUAGES:
            return called_joined(self, backend, parameters)
        return "\n\n".join(part.source(backend, dtype) for part in self.parts)

    def with_parameters(self, **given: Any) -> Self:
        """This loss with other defaults: `detection.with_parameters(alpha=0.3, reduction="sum")`."""
        other = redefined(self, changed(self, given), "arguments_of_call")
        other.__doc__ = other.text + documentation.document_options(other.declaration.own)
        return other

    def identity(self) -> Any:
        return named_identity(self)

    @cached_property
    def fingerprint(self) -> str:
        """A text by which two formulas are told apart, also in other processes."""
        return hashlib.sha256(sympy.srepr(self.formula).encode()).hexdigest()

    def terms_of_sum(self) -> Sequence[tuple[float, "Loss"]]:
        """Refuse: this loss is neither scaled nor added; the error says what to do instead."""
        defaults = self.declaration.defaults
        instead = f"weigh its terms by its {', '.join(defaults)}, or " if defaults else ""
        raise TypeError(
            f"{self.name}: cannot be scaled or added, since it has one gradient for each of "
            f"{', '.join(self.declaration.predictions)}; {instead}scale the value and the gradients that it returns"
        )

    # --- calls ------------------------------------------------------------------------------------------------------

    @cached_property
    def arguments_of_call(self) -> Arguments:
        """What checks the arrays of a call."""
        return Arguments(self.declaration, self.space)

    def evaluate(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
        """(value or None, gradients or None), as `request` asks; `request.known` are the divisors of the terms."""
        keywords = {**self.declaration.own, **keywords}
        if len(arrays) != len(self.declaration.arrays):
            self.declaration.check(arrays, keywords)
        weight = keywords.get("weight")
        if is_dask(*arrays, *several(weight), *several(request.out)):
            from lossbook.evaluation import dask

            return dask.joined(self, arrays, keywords, request)
        reduction, parameters, name = self.read(keywords)
        xp = backends.choose(self.name, name, (*arrays, *several(weight), *several(request.out))).xp
        checked = self.checked(arrays, xp)
        if self.declaration.target:
            weight = None if weight is None else self.arguments_of_call.array(weight, "weight", xp)
            self.fit([array.shape for array in checked], None if weight is None else weight.shape)
        domains, predictions = self.declaration.arguments, self.declaration.predictions
        given = checked[: len(predictions)]
        # In float32 up to the end, which rounds once.
        wide = [widened(domains[n], z) for n, z in zip(predictions, given, strict=True)]
        request = replace(request, direction=directions_of(self, request.direction, given, xp))
        terms = self.terms([*wide, *checked[len(given) :]], weight, parameters, xp)
        outs: tuple[Any, ...] = ()
        if request.gradient:
            outs = outs_of(self, request.out, checked, several(weight), xp)
        totals = [g if z is w else xp.zeros_like(w) for g, z, w in zip(outs, given, wide, strict=False)]
        results = []
        for k, term in enumerate(terms):
            result, slope = self._run(term, wide, reduction, name, request)
            results.append(result)
            if request.gradient and term.coefficient:
                divisor = 1.0
                if reduction == "mean":
                    divisor = term.divisor if request.known is None or not term.counted else request.known[k]
                with quiet():
                    totals[term.prediction][term.part] += times(slope, term.coefficient / divisor if divisor else 0)
        for array, z, w, total in zip(outs, given, wide, totals, strict=False):
            if z is not w:
                array[...] = rounded(total, array.dtype)
        gradients = outs or None
        if not request.value:
            return None, gradients
        if reduction == "none":
            return self._items(results, terms, given), gradients
        sums = [  # 0 times an infinite loss is NaN
            [term.coefficient * float(result) if term.coefficient else 0.0, term.divisor]
            for result, term in zip(results, terms, strict=True)
        ]
        norms = tuple((None if term.counted else term.divisor) if term.coefficient else 1.0 for term in terms)
        joined = self.partial_of_terms(np.array(sums), norms, parameters)
        return (joined if request.partial else number(joined.finish(reduction), given[0].dtype)), gradients

    def _run(self, term, predictions, reduction, backend, request):
        """(value or None, slope or None) of a term, without its coefficient."""
        summed = request.value and reduction != "none"
        options = {"reduction": "none" if reduction == "none" else "sum", "weight": term.weight, "backend": backend}
        inputs = (predictions[term.prediction][term.part], *(() if term.target is None else (term.target,)))
        with self.named(term.loss, self.declaration.predictions[term.prediction]):
            upstream = request.upstream[term.prediction] if type(request.upstream) is tuple else request.upstream
            v = None if request.direction is None else request.direction[term.prediction][term.part]
            wanted = replace(request, partial=summed, upstream=upstream, direction=v, out=None, known=None)
            result, slope = term.loss.evaluate(inputs, options, wanted)
        return (result.sums[0] if summed else result), slope

    def _items(self, results, terms, given):
        """What reduction="none" returns, in the dtypes of the predictions."""
        items = [times(result, term.coefficient) for result, term in zip(results, terms, strict=True)]
        items = self.combined(items)
        if isinstance(items, tuple):
            return tuple(rounded(item, z.dtype) for item, z in zip(items, given, strict=True))
        return rounded(items, given[0].dtype)

    def partial_of_terms(self, sums: Any, norms: tuple[float | None, ...], parameters: Mapping[str, Any]) -> Partial:
        """The Partial of a call, from the numerator and the divisor of each term."""
        setting = (("formula", self.fingerprint), *sorted(parameters.items()))
        return Partial(self.name, setting, sums, Terms(norms), self.declaration.own.get("reduction"))

    def read(self, keywords: Mapping[str, Any]) -> tuple[Reduction, dict[str, Any], str | None]:
        """(reduction, parameters, name of the backend) from the keywords of a call."""
        given = {name: keywords[name] for name in keywords if name not in OPTIONS}
        reduction = check_reduction(self.name, keywords.get("reduction", "mean"))
        return reduction, self.settings(given)[1], keywords.get("backend")

    def checked(self, arrays: Sequence[Any], xp: Any) -> list[Any]:
        """The arrays of a call, right in kind and dtype."""
        check, predictions = self.arguments_of_call, self.declaration.predictions
        return [
            check.prediction(array, xp, name) if name in predictions else check.array(array, name, xp)
            for array, name in zip(arrays, self.declaration.arrays, strict=True)
        ]

    @contextmanager
    def named(self, part: Loss, prediction: str) -> Iterator[None]:
        """Errors of a part speak of this loss and its arguments."""
        try:
            yield
        except (DomainError, ShapeError) as error:
            mine = {part.declaration.arrays[0]: prediction, part.declaration.target: f"target of {prediction}"}
            mine["weight"] = f"weight of {prediction}"
            raise error.renamed(self.name, mine.get(error.argument)) from None

    def __reduce__(self) -> tuple[Any, ...]:
        found = find(self.__module__, self.__qualname__)
        if found is self:
            return find, (self.__module__, self.__qualname__)
        return with_settings, (found, settings_of(self))


def directions_of(loss: Joined, direction: Any, predictions: Sequence[Any], xp: Any) -> tuple[Any, ...] | None:
    """The directions of `hvp`, one for each prediction, checked; None without them."""
    if direction is None:
        return None
    if not isinstance(direction, tuple) or len(direction) != len(predictions):
        raise ShapeError(loss.name, "v", f"must be a tuple of {len(predictions)} arrays, one per prediction")
    found = tuple(loss.arguments_of_call.array(v, "v", xp) for v in direction)
    for name, v, z in zip(loss.declaration.predictions, found, predictions, strict=True):
        check_same(loss.name, f"v of {name}", v.shape, z.shape, f"{name} has")
    return found


def outs_of(loss: Joined, out: Any, arrays: Sequence[Any], weights: Sequence[Any], xp: Any) -> tuple[Any, ...]:
    """The arrays that receive the gradients, zeroed."""
    predictions = arrays[: len(loss.declaration.predictions)]
    outs = out if out is not None else (None,) * len(predictions)
    if not isinstance(outs, tuple) or len(outs) != len(predictions):
        rule = f"must be a tuple of {len(predictions)} arrays, one per prediction"
        raise ShapeError(loss.name, "out", rule)
    found = tuple(loss.arguments_of_call.out(o, z, arrays, xp) for o, z in zip(outs, predictions, strict=True))

    for k, array in enumerate(found):
        if any(shares_memory(array, weight, xp) for weight in weights):
            rule = "must not share memory with weight, since inputs are never modified"
            raise DomainError(loss.name, "out", rule)
        for name, other in zip(loss.declaration.predictions, found[:k], strict=False):
            if shares_memory(array, other, xp):
                both = f"{name} and {loss.declaration.predictions[k]}"
                rule = f"must not share memory between {both}, which have a gradient each"
                raise DomainError(loss.name, "out", rule)
    for array in found:
        array[...] = 0
    return found


@dataclass(frozen=True)
class Terms:
    """The end of a loss with several predictions, from the numerator and the divisor of each term."""

    norms: tuple  # divisors that are given, and do not add up; None for those that are counted

    def __call__(self, sums: np.ndarray, reduction: str) -> float:
        ends = zip(sums, self.norms, strict=True)
        return sum(reduced(value, count if norm is None else norm, reduction) for (value, count), norm in ends)
