"""The losses: what each is made of, and how losses are made of losses.

    binary.focal                                                a FormulaLoss, of one formula
    segmentation.dice.on_logits("softmax")                      an OnLogits, of the same formula in words of logits
    0.3*segmentation.dice + 0.7*segmentation.cross_entropy      a Sum

They stand in one module since losses are closed under `+` and `on_logits`: each kind of loss makes the others. A loss
holds its `declaration` (what it takes), its formula and its evaluation (what a call does); those of several predictions
are in `joined`, those of distance maps in `distance`.
"""

import inspect
import numbers
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import sympy

from lossbook import backends, documentation, words
from lossbook.arrays import WORKING, is_dask
from lossbook.declaration import Declaration, read
from lossbook.definition import SecondDerivatives
from lossbook.documentation import Shown
from lossbook.domains import Domain, Logit
from lossbook.errors import DomainError, shown
from lossbook.evaluation.evaluate import Evaluation
from lossbook.evaluation.request import Request
from lossbook.evaluation.sums import WeightedSum
from lossbook.formula import Formula, Formulas, declared, exactly, slopes
from lossbook.frameworks.source import LANGUAGES, called, called_sum
from lossbook.hessians.evaluate import second_order
from lossbook.logits import on_logits
from lossbook.names import check_name
from lossbook.plan.ir import Plan
from lossbook.plan.variants import Plans
from lossbook.settings import (
    FORMULA,
    OF_CLASSES,
    OPTIONS,
    changed,
    find,
    known,
    named_identity,
    options_of,
    redeclared,
    redefined,
    settings_of,
    with_settings,
)
from lossbook.spaces import MIXED, Space
from lossbook.typing import Activation, Language, Number

ACTIVATIONS = ("sigmoid", "softmax")


# --- losses in sums, as the operators of Loss ------------------------------------------------------------------------


def scaled(loss: "Loss", coefficient: Number) -> "Loss":
    """`0.3*loss`: the loss times a number, which other losses can be added to."""
    if not isinstance(coefficient, (numbers.Number, np.bool_)):
        return NotImplemented
    return Sum([(coefficient_of(loss, coefficient), loss)])


def divided(loss: "Loss", number: Number) -> "Loss":
    """`loss/2`: the loss times 1/2."""
    if not isinstance(number, (numbers.Number, np.bool_)):
        return NotImplemented
    return loss * (1 / coefficient_of(loss, number))


def negated(loss: "Loss") -> "Loss":
    """`-loss`: the loss times -1."""
    return loss * -1


def added(loss: "Loss", other: "Loss") -> "Loss":
    """`loss + loss`: the sum of losses of the same prediction and target."""
    return Sum([(1.0, loss), (1.0, other)]) if isinstance(other, Loss) else NotImplemented


def begun(loss: "Loss", other: int) -> "Loss":
    """So that `sum(losses)` works, which starts from 0."""
    return loss if type(other) is int and other == 0 else NotImplemented


def subtracted(loss: "Loss", other: "Loss") -> "Loss":
    """`loss - loss`: the difference of losses of the same prediction and target."""
    return loss + -other if isinstance(other, Loss) else NotImplemented


def coefficient_of(loss: "Loss", number: Any) -> float:
    """A coefficient of a loss in a sum, as a float."""
    if isinstance(number, (bool, np.bool_)) or not isinstance(number, numbers.Real):
        raise TypeError(f"{loss.name}: a coefficient must be a real number; got {shown(number)}")
    try:
        value = float(number)
    except OverflowError:
        value = np.inf
    if not abs(value) < np.inf:
        raise DomainError(loss.name, "a coefficient", "must be finite, as a float64", number)
    return value


# --- losses ----------------------------------------------------------------------------------------------------------


class Loss(SecondDerivatives):
    __doc__ = Shown(
        lambda self: self._document() + documentation.document_options(self.declaration.own),
        """A loss: call it for its value; see `grad`, `value_and_grad`, `partial`, `formula`, `source`.

    Attributes: `name`, `signature`, `reference` (paper, section, equation), `properties` (facts that tests check:
    "convex", "minimum", ...), `formula` (SymPy, in words), `textbook` (the same in exp and log), `gradient`
    (its slope along the prediction), `latex`, `declaration` (the domains of the arguments, defaults and options).

    A kind of loss gives `space`, `formula`, `gradient`, `array_symbols`, `source`, `evaluate` and `with_parameters`.
    """,
    )
    __array_ufunc__ = None  # numbers of NumPy leave multiplication to the loss

    # --- algebra ----------------------------------------------------------------------------------------------------

    def with_parameters(self, **given: Any) -> Self:
        """This loss with other defaults of its parameters and of its options.

        A call may still give others; a sum of losses leaves a part its own, and passes on what it is given to the parts
        that have none.

        Parameters
        ----------
        **given
            Parameters, and the options `reduction`, `backend`, and where the loss has them `class_weight`,
            `ignore_index`, `axis` and `batch`.

        Returns
        -------
        Loss

        Raises
        ------
        TypeError, DomainError
            What a call would raise for a wrong value.

        Examples
        --------
        >>> from lossbook import segmentation
        >>> segmentation.tversky.with_parameters(alpha=0.3, beta=0.7).declaration.defaults["alpha"]
        0.3
        """
        raise NotImplementedError

    def on_logits(self, activation: Activation) -> "Loss":
        """This loss of probabilities as a loss of logits.

        Parameters
        ----------
        activation : {"sigmoid", "softmax"}
            The softmax goes over the class axis.

        Returns
        -------
        Loss

        Raises
        ------
        DomainError
            For another activation.
        TypeError
            For a loss that is not one of probabilities, or has no class axis for a softmax.

        Examples
        --------
        >>> from lossbook import segmentation
        >>> segmentation.dice.on_logits("softmax").declaration.arrays
        ('z', 'y')
        """
        check_activation(self, activation)
        return self._on_logits(activation)

    def _on_logits(self, activation: Activation) -> "Loss":
        """What `on_logits` gives for an activation that fits."""
        raise NotImplementedError

    def terms_of_sum(self) -> Sequence[tuple[float, "Loss"]]:
        """((coefficient, loss), ...): what this loss adds to a sum of losses."""
        return ((1.0, self),)

    __mul__ = __rmul__ = scaled  # 0.3*loss, loss*0.3
    __truediv__ = divided  # loss/2
    __neg__ = negated  # -loss
    __add__ = added  # loss + loss
    __radd__ = begun  # sum(losses)
    __sub__ = subtracted  # loss - loss

    # --- identity ---------------------------------------------------------------------------------------------------

    def identity(self) -> Any:
        """What equal losses have in common, and can be hashed."""
        return self.__reduce__()

    def same_formula(self, other: Any) -> bool:
        """Whether another loss of the same identity has the same formula; parts that are equal have equal formulas."""
        return True

    def __eq__(self, other: object) -> bool:
        """Losses are equal that have the same formula, defaults and options, as unpickled copies do."""
        if self is other or not isinstance(other, Loss):
            return self is other or NotImplemented
        return self.identity() == other.identity() and self.same_formula(other)

    def __hash__(self) -> int:
        return hash(self.identity())

    def __repr__(self) -> str:
        return f"<loss {self.name}{self.signature}>"

    def _repr_markdown_(self) -> str:
        """The card that a notebook shows: name, formula, gradient, source."""
        return documentation.card(self)

    def __copy__(self) -> Self:
        """The loss itself, which never changes."""
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self


def check_activation(loss: Loss, activation: Activation) -> None:
    """Refuse an activation that is none, or that does not fit the loss."""
    where, declaration = f"{loss.name}.on_logits", loss.declaration
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise DomainError(where, "activation", "must be 'sigmoid' or 'softmax'", activation)
    if not declaration.of_prediction.holds_probabilities:
        raise TypeError(f"{where}: needs a loss of probabilities; {declaration.predictions[0]} is not one")
    if len(declaration.predictions) > 1:
        raise TypeError(f"{where}: needs a loss of one prediction; use {loss.name}_with_logits instead")
    if activation == "softmax" and not loss.space.classes:
        raise TypeError(f"{where}: softmax needs a loss with a class axis, which this is not")


# --- of one formula --------------------------------------------------------------------------------------------------


class FormulaLoss(Loss):
    """A loss of one formula, with kernels of its own. `@lossbook.loss` makes it of a function."""

    __doc__ = Loss.__dict__["__doc__"]
    per_class = Shown(
        lambda self: frozenset.intersection(*(self.formulas.at(flags).weights for flags in self.formulas.settings)),
        frozenset(),
    )

    def __init__(
        self,
        declaration: Declaration,
        formulas: Formulas,
        reference: str = "",
        properties: Mapping[str, Any] | None = None,
        text: str = "",
    ) -> None:
        super().__init__(declaration, reference, properties, text)
        self.formulas, self.plain_name = formulas, declaration.name

    @classmethod
    def of_function(cls, function: Callable[..., Any], reference: str, properties: Mapping[str, Any]) -> Self:
        """The loss of a function whose arguments are annotated with domains."""
        name = name_of(function)
        arguments, defaults = read(name, inspect.signature(function))
        declaration = Declaration(name, arguments, defaults, lambda: options_of(made.space, declaration.by_class))
        made = cls(declaration, declared(function, declaration), reference, properties)
        made.stand_for(function)
        return made

    def stand_for(self, function: Callable[..., Any]) -> None:
        """Take the place of the function, which has told the formula."""
        self.__wrapped__, self.text = function, inspect.cleandoc(function.__doc__ or "")
        self.__module__, self.__name__ = function.__module__, function.__name__
        self.__qualname__ = function.__qualname__.removesuffix(FORMULA)
        function.__qualname__ = self.__qualname__ + FORMULA  # where it stood, the loss stands

    @cached_property
    def plans(self) -> Plans:
        """What its kernels compute."""
        return Plans(self.plain_name, self.formulas)

    @cached_property
    def evaluation(self) -> Any:
        """What a call does."""
        return Evaluation(self)

    def formula_at(self, **flags: bool) -> Formula:
        """The formula as declared, with its named steps, under a setting of the flags."""
        return self.formulas.at(self.declaration.setting(flags))

    def _document(self):
        return documentation.document(self, self.text)

    @cached_property
    def space(self) -> Space:
        """What one value belongs to."""
        return self.formula_at().space

    @property
    def formula(self) -> Any:
        """The loss of one element, row or image, as a SymPy expression in words."""
        return self.formula_for({})

    def formula_for(self, flags: Mapping[str, bool]) -> sympy.Expr:
        """The formula under a setting of the flags."""
        return self.formula_at(**flags).formula

    @property
    def named_formula(self) -> tuple[sympy.Expr, Sequence[tuple[sympy.Symbol, sympy.Expr]]]:
        """(formula, its named steps): of boxes, whose formula would fill a page with its steps put in."""
        formula = self.formula_at()
        return (formula.expression, formula.steps) if self.space.corners else (self.formula, ())

    @property
    def array_symbols(self) -> tuple[tuple[sympy.Symbol, ...], tuple[sympy.Symbol, ...]]:
        """(those of the prediction, those of the target) in the formula."""
        formula = self.formula_at()
        return formula.predictions, formula.arrays[len(formula.predictions) :]

    @property
    def gradient(self) -> Any:
        """The slope of the formula along the prediction (of one element, pixel or class; of each corner), in words."""
        return slopes(self.formula, self.array_symbols[0])

    def of(self, *arrays: Any, **parameters: Any) -> Any:
        """The formula of this loss for other symbols or expressions, with its named steps, in another declaration."""
        arguments = inspect.signature(self.__wrapped__).parameters
        defaults = {name: value for name, value in self.declaration.defaults.items() if name in arguments}
        return self.__wrapped__(*arrays, **{name: parameters.get(name, exactly(v)) for name, v in defaults.items()})

    def plan(self, **parameters: Any) -> Plan:
        """What its kernel computes for these parameters, step by step, before it is printed in a language."""
        return self.evaluation.plan(*self.settings(parameters), integer=self.space.rows_of_classes)

    def source(self, backend: Language = "numpy", dtype: Any = "float32", **parameters: Any) -> str:
        """The kernel of this loss on a backend, as text: what runs is this and nothing else."""
        if isinstance(backend, str) and backend in LANGUAGES:
            return called(self, backend, parameters).text
        real = WORKING.get(np.dtype(dtype))
        if real is None:
            raise DomainError(self.name, "dtype", "must be float16, float32 or float64", dtype)
        plan = self.plan(**parameters)
        return backends.get(backend, self.name).source(plan, real, plan.hard)

    def evaluate(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
        """(value or None, gradient or None), as `request` asks."""
        if self.declaration.own:
            keywords = {**self.declaration.own, **keywords}
        if is_dask(*arrays, *keywords.values(), request.out):
            from lossbook.evaluation import dask

            return dask.evaluate(self, arrays, keywords, request)
        if request.order == 2:
            return None, self.second_order(arrays, keywords, request)
        return self.evaluation(arrays, keywords, request)

    def second_order(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> Any:
        """The diagonal of the Hessian, or its product with a direction, as `request` asks."""
        return second_order(self.evaluation, arrays, keywords, request)

    def with_parameters(self, **given: Any) -> Self:
        """This loss with other defaults of its parameters and of its options (see `Loss.with_parameters`)."""
        self.plans  # noqa: B018 - made now, so that the new one shares them
        return redefined(self, changed(self, given), "evaluation", "__doc__", "summary")

    def _on_logits(self, activation: Activation) -> "Loss":
        return OnLogits(self, activation)

    def identity(self) -> Any:
        return named_identity(self)

    def same_formula(self, other: Any) -> bool:
        return self.declaration.arguments == other.declaration.arguments and self.formulas.same(other.formulas)

    def __repr__(self) -> str:
        return f"<loss {self.plain_name}{self.signature}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """By address in a module. A loss without one, of a notebook, a script or a function, is its own function:
        that is by value for cloudpickle, and an error that names the function for pickle.
        """
        found, settings = known(self.__wrapped__), settings_of(self)
        if found is None or self.__module__ == "__main__":
            return redeclared, (type(self), self.__wrapped__, self.reference, self.properties, settings)
        return (find, (self.__module__, self.__qualname__)) if found is self else (with_settings, (found, settings))


def is_ours(function: Callable[..., Any]) -> bool:
    """Whether a function is one of the package itself."""
    return (function.__module__ or "__main__").startswith("lossbook.")


def name_of(function: Callable[..., Any]) -> str:
    """What the loss of a function is called: with its module, if that is one of the package."""
    check_name(function.__name__, "the name of a loss", "loss")
    if not is_ours(function):
        return function.__name__
    home = function.__module__.rpartition(".")[2]
    return f"{check_name(home, 'the name of the module of a loss', 'loss')}.{function.__name__}"


# --- on logits -------------------------------------------------------------------------------------------------------


class OnLogits(FormulaLoss):
    """A loss of probabilities with the sigmoid, or the softmax over the class axis, in its formula.

    Where there is a loss of logits of the same formula, as `binary.cross_entropy_with_logits`, both have one kernel.
    """

    __doc__ = Shown(Loss.__dict__["__doc__"].make, __doc__)

    __wrapped__ = Shown(lambda self: self.part.__wrapped__)

    def __init__(self, part: FormulaLoss, activation: Activation) -> None:
        self.part, self.activation = part, activation
        declaration = part.declaration
        _, *others = declaration.arrays
        z = "z" if "z" not in (*others, *declaration.defaults) else "logits"
        arguments = {z: Logit} | {name: declaration.arguments[name] for name in (*others, *declaration.defaults)}
        name, symbol = f"{part.name}.on_logits({activation!r})", sympy.Symbol(z, real=True)
        super().__init__(
            declaration.changed(name=name, arguments=arguments),
            Formulas(len(declaration.flags), lambda setting: on_logits(part.formulas.at(setting), activation, symbol)),
            part.reference,
            text=f"{part.summary}\n\nTakes logits {z} and is {part.name} of {activation}({z}).",
        )
        self.plain_name, self.__module__ = f"{part.plain_name}_of_{activation}", part.__module__

    @cached_property
    def twin(self) -> FormulaLoss | None:
        """The loss of logits of the same name and formula, if there is one: then both have one kernel."""
        module = sys.modules.get(self.part.__module__)
        twin = getattr(module, f"{self.part.__name__}_with_logits", None)
        mine = self.declaration
        if not isinstance(twin, FormulaLoss) or self.part.__module__ != twin.__module__:
            return None
        if twin.declaration.flags != mine.flags or twin.declaration.arrays != mine.arrays:
            return None
        fixed = {s: exactly(twin.declaration.defaults[s.name]) for s in twin.formula_at().parameters
                 if s.name not in mine.defaults}  # fmt: skip
        return twin if twin.formula.subs(fixed) == self.formula_at().formula else None

    @cached_property
    def plans(self) -> Plans:
        """What its kernels compute."""
        return super().plans if self.twin is None else self.twin.plans

    @cached_property
    def evaluation(self) -> Any:
        """What a call does."""
        others = {} if self.twin is None else self.twin.declaration.defaults
        return Evaluation(self, {name: v for name, v in others.items() if name not in self.declaration.defaults})

    @property
    def _of_softmax_in_totals(self):
        return self.activation == "softmax" and self.space.totals

    def formula_for(self, flags: Mapping[str, bool]) -> sympy.Expr:
        """The loss in words of the logit; a loss of totals shows the softmax, where its kernel has the log-odds."""
        formula = self.formula_at(**flags).formula
        if self._of_softmax_in_totals:
            z = self.formula_at().prediction
            u = words.log_odds(z)
            formula = formula.xreplace({words.sigmoid(u): words.softmax(z), words.sigmoid(-u): 1 - words.softmax(z)})
        return formula

    @property
    def gradient(self) -> Any:
        """The slope along the logit, by the chain rule."""
        if not self._of_softmax_in_totals:
            return super().gradient
        p = words.softmax(self.formula_at().prediction)
        slope = self.part.gradient.xreplace({self.part.formula_at().prediction: p})
        return p * (slope - words.sum_classes(p * slope))

    def of(self, *arrays: Any, **parameters: Any) -> Any:
        """The formula for other symbols, in another declaration."""
        return self.formula_of(*arrays, **parameters)

    def with_parameters(self, **given: Any) -> Any:
        """This loss of a part that has these parameters and options."""
        return OnLogits(self.part.with_parameters(**given), self.activation)

    def identity(self) -> Any:
        return self.__reduce__()

    def same_formula(self, other: Any) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<loss {self.name}{self.signature}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return OnLogits, (self.part, self.activation)


# --- weighted sums ---------------------------------------------------------------------------------------------------


class Sum(Loss):
    """A weighted sum of losses of the same prediction and target."""

    __doc__ = Shown(Loss.__dict__["__doc__"].make, __doc__)

    def __init__(self, terms: Iterable[tuple[float, Loss]]) -> None:
        terms = tuple(
            (coefficient * inner, part) for coefficient, given in terms for inner, part in given.terms_of_sum()
        )
        self.terms = tuple(term for term in terms if term[0] != 0) or terms[:1]  # 0 times an infinite loss is NaN
        parts = [part for _, part in self.terms]
        for coefficient, part in self.terms:
            coefficient_of(part, coefficient)
        first = parts[0].declaration
        for part in parts[1:]:
            mine, other = ([d.arguments[a] for a in d.arrays] for d in (first, part.declaration))
            if len(mine) != len(other) or not all(map(Domain.takes_same, mine, other)):
                raise TypeError(
                    f"losses add only if they take the same arguments; {first.name} takes "
                    f"{', '.join(domain.name for domain in mine)}, {part.name} takes "
                    f"{', '.join(domain.name for domain in other)}"
                )
        arguments, defaults = {name: first.arguments[name] for name in first.arrays}, {}
        self.shared = set()  # names of parameters that several parts have, each with a value of its own
        for part in parts:
            for name, default in part.declaration.defaults.items():
                if name in defaults:
                    self.shared.add(name)
                arguments[name], defaults[name] = part.declaration.arguments[name], default
        for name in self.shared:
            del arguments[name], defaults[name]
        every = (*OPTIONS, *OF_CLASSES, "axis", "batch", "format")
        options = tuple(option for option in every if any(option in part.declaration.options for part in parts))
        name = " + ".join(f"{coefficient:g}*{part.name}" for coefficient, part in self.terms).replace("+ -", "- ")
        text = f"The weighted sum {name}, each part with its own reduction.\n\nRaises what its parts raise."
        properties = {"convex": True} if all(part.properties.get("convex") for part in parts) else {}
        super().__init__(Declaration(name, arguments, defaults, lambda: options), "", properties, text)

    @cached_property
    def space(self) -> Space:
        """That of its parts, if they have one."""
        spaces = {part.space for _, part in self.terms}
        return spaces.pop() if len(spaces) == 1 else MIXED

    @cached_property
    def axis(self) -> int | None:
        """Where the classes are."""
        return self.terms[0][1].axis

    @property
    def array_symbols(self) -> tuple[tuple[sympy.Symbol, ...], tuple[sympy.Symbol, ...]]:
        """Those of the first part."""
        return self.terms[0][1].array_symbols

    @cached_property
    def formula(self) -> Any:
        """The weighted sum of the formulas."""
        return self._total("formula")

    @property
    def gradient(self) -> Any:
        """The weighted sum of the slopes."""
        return self._total("gradient")

    def _total(self, what):
        """The weighted sum of an expression of each part, in the symbols of the first."""
        total: list[sympy.Expr] = []
        for coefficient, part in self.terms:
            mine, common = (sum(symbols, ()) for symbols in (part.array_symbols, self.array_symbols))
            names = dict(zip(mine, common, strict=True))
            expression = getattr(part, what)
            for symbol in expression.free_symbols:  # several parts have it, each with a value of its own
                if symbol.name in self.shared:
                    names[symbol] = exactly(part.declaration.defaults[symbol.name])
            each = expression.xreplace(names)
            terms = [exactly(coefficient) * slope for slope in (each if isinstance(each, sympy.Tuple) else (each,))]
            total = terms if not total else [a + b for a, b in zip(total, terms, strict=True)]
        return total[0] if len(total) == 1 else sympy.Tuple(*total)

    def source(self, backend: Language = "numpy", dtype: Any = "float32", **parameters: Any) -> str:
        """The kernels of the parts, one after the other."""
        if isinstance(backend, str) and backend in LANGUAGES:
            return called_sum(self, backend, parameters)
        texts = [part.source(backend, dtype, **self.keywords_of(part, parameters)) for _, part in self.terms]
        return "\n\n".join(texts)

    def keywords_of(self, part: Loss, keywords: Mapping[str, Any]) -> Mapping:
        """The keywords that concern a part: its parameters, and the options that it has no values of its own for."""
        mine = self.declaration
        for name in keywords:
            if name in self.shared:
                raise TypeError(
                    f"{self.name}: several parts have a parameter {name}; "
                    f"set it in each: part.with_parameters({name}=...)"
                )
            if name not in mine.defaults and name not in mine.every_option:
                if any(name in part.declaration.options for _, part in self.terms):
                    how = f"set it in each: part.with_parameters({name}=...)"
                    raise TypeError(f"{self.name}: {name} is an option of its parts alone; {how}")
                if any(name in part.declaration.every_option for _, part in self.terms):
                    raise TypeError(f"{self.name}: every part that takes {name} has its own; got another")
                raise TypeError(f"{self.name}: {mine.unknown(name, (*mine.defaults, *mine.every_option))}")
        wanted = {*part.declaration.defaults, *part.declaration.options}
        return {name: value for name, value in keywords.items() if name in wanted}

    def with_parameters(self, **given: Any) -> Any:
        """This sum of parts that have these parameters and options, each as far as a call would pass them on to it."""
        terms = ((c, part.with_parameters(**self.keywords_of(part, given))) for c, part in self.terms)
        return Sum(terms)

    def terms_of_sum(self) -> Sequence[tuple[float, "Loss"]]:
        """Its terms."""
        return self.terms

    def _on_logits(self, activation: Activation) -> "Loss":
        return SumOnLogits(self, activation)

    @cached_property
    def evaluation(self) -> Any:
        """What a call does."""
        return WeightedSum(self)

    def evaluate(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
        """(value or None, gradient or None), as `request` asks."""
        options = (keywords.get("weight"), keywords.get("class_weight"))
        if request.partial:
            keywords = {name: option for name, option in keywords.items() if name != "reduction"}
        if len(arrays) == len(self.declaration.arrays) and is_dask(*arrays, *options, request.out):
            from lossbook.evaluation import dask

            return dask.weighted_sum(self, arrays, keywords, request)
        return self.evaluation(arrays, keywords, request)

    def __reduce__(self) -> tuple[Any, ...]:
        return Sum, (self.terms,)


class SumOnLogits(Sum):
    """A sum of losses of probabilities on logits: the sum of its parts on logits."""

    __doc__ = Shown(Loss.__dict__["__doc__"].make, __doc__)

    def __init__(self, part: Sum, activation: Activation) -> None:
        self.part, self.activation = part, activation
        super().__init__((coefficient, loss.on_logits(activation)) for coefficient, loss in part.terms)
        self.name = self.__name__ = self.__qualname__ = f"({part.name}).on_logits({activation!r})"
        self.declaration = self.declaration.changed(name=self.name)

    def with_parameters(self, **given: Any) -> Any:
        """That of a sum whose parts have these parameters and options."""
        return SumOnLogits(self.part.with_parameters(**given), self.activation)

    def __reduce__(self) -> tuple[Any, ...]:
        return SumOnLogits, (self.part, self.activation)
