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
from operator import attrgetter
from typing import Any, Self

import numpy as np
import sympy

from lossbook import backends, documentation, words
from lossbook.arrays import WORKING, is_cupy, is_dask, quiet
from lossbook.checks import check_reduction
from lossbook.declaration import Declaration, flag, read
from lossbook.documentation import Shown
from lossbook.domains import Domain, Logit
from lossbook.errors import DomainError, shown
from lossbook.evaluation.arguments import Arguments
from lossbook.evaluation.evaluate import Evaluation
from lossbook.evaluation.request import BOTH, GRADIENT, PARTIAL, VALUE, Request
from lossbook.evaluation.sums import WeightedSum
from lossbook.formula import Formula, Formulas, declared, exactly, slopes
from lossbook.logits import on_logits
from lossbook.methods import of_each_loss
from lossbook.names import check_name
from lossbook.plan.ir import Plan
from lossbook.plan.variants import Plans
from lossbook.spaces import MIXED, Space
from lossbook.typing import Activation, Backend, Number

OPTIONS = ("reduction", "weight", "backend")  # of every loss
OF_CLASSES = ("class_weight", "ignore_index")
ACTIVATIONS = ("sigmoid", "softmax")
FORMULA = ".__wrapped__"  # where the function of a loss is found


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


class Definition:
    """What a loss is: its declaration, its formula and what it says of itself."""

    signature = Shown(lambda self: self.declaration.signature(self.axis))
    __signature__ = Shown(lambda self: self.signature)
    __wrapped__: Any  # the function or class that declares it, whose source `inspect.getsource` and `??` show

    def __init__(
        self, declaration: Declaration, reference: str = "", properties: Mapping[str, Any] | None = None, text: str = ""
    ) -> None:
        self.declaration, self.reference, self.properties = declaration, reference, dict(properties or {})
        self.name = self.__name__ = self.__qualname__ = declaration.name
        self.text = text  # the author's words

    def _document(self):
        return self.text

    @property
    def space(self) -> Space:
        """What one value belongs to."""
        raise NotImplementedError

    @property
    def formula(self) -> Any:
        """The loss of one element, row or image, as a SymPy expression in words."""
        raise NotImplementedError

    @property
    def gradient(self) -> Any:
        """The slope of the formula along the prediction (of one element, pixel or class), in words."""
        raise NotImplementedError

    @property
    def array_symbols(self) -> tuple[tuple[sympy.Symbol, ...], tuple[sympy.Symbol, ...]]:
        """(those of the predictions, those of the targets) in the formula."""
        raise NotImplementedError

    @property
    def shape(self) -> str:
        """What one value is of: "pointwise" an element, "rows" a row of classes, "overlap" an image, "boxes" a box;
        "distance" a pixel in the distance maps of its image, "mixed" a sum of several, "joined" several predictions.
        """
        return self.space.name

    @cached_property
    def axis(self) -> int | None:
        """Where the classes are, as in (N, C, ...), or the corners of a box, as in (N, 4); None where neither is."""
        return self.declaration.own.get("axis", self.space.axis)

    @property
    def textbook(self) -> Any:
        """The formula in exp, log and arithmetic: the same function, not stable."""
        return words.plainly(self.formula)

    @property
    def named_formula(self) -> tuple[sympy.Expr, Sequence[tuple[sympy.Symbol, sympy.Expr]]]:
        """(formula, its named steps): where the steps are part of how the formula reads."""
        return self.formula, ()

    @property
    def latex(self) -> str:
        """The formula as LaTeX, printed from the formula that runs."""
        return documentation.latex(self)

    @cached_property
    def summary(self) -> str:
        """The first sentence of the docstring."""
        return (self.text or self.__doc__ or "").partition("\n")[0]

    def formula_of(self, *arrays: Any, **parameters: Any) -> Any:
        """The formula as one expression, for other symbols or expressions; the corners of a box are a tuple.

        Parameters
        ----------
        *arrays : Expr
            What stands for the prediction and the target.
        **parameters
            Numbers or expressions for the parameters, those left out at their defaults.

        Returns
        -------
        Expr
            The formula, without named steps.

        Raises
        ------
        TypeError
            For an unknown parameter, or another number of expressions.

        Examples
        --------
        >>> import sympy
        >>> from lossbook import regression
        >>> regression.squared_error.formula_of(*sympy.symbols("a b", real=True))
        (a - b)**2
        """
        return substituted(self, arrays, parameters)

    def formula_for(self, flags: Mapping[str, bool]) -> sympy.Expr:
        """The formula under a setting of the flags."""
        return self.formula

    def of(self, *arrays: Any, **parameters: Any) -> Any:
        """The formula for other symbols or expressions, in the body of another declaration.

        Parameters
        ----------
        *arrays : Expr
            What stands for the prediction and the target.
        **parameters
            As `formula_of` takes them.

        Returns
        -------
        Expr
            The formula; that of a loss of one formula keeps its named steps.

        Raises
        ------
        TypeError
            As `formula_of` does.

        Examples
        --------
        >>> from lossbook import Outcome, Real, loss, regression
        >>> @loss
        ... def half(x: Real, y: Outcome):
        ...     return regression.squared_error.of(x, y) / 2
        >>> print(half([3.0], [1.0]))
        2.0
        """
        return self.formula_of(*arrays, **parameters)

    def source(self, backend: Backend = "numpy", dtype: Any = "float32", **parameters: Any) -> str:
        """The kernel of this loss on a backend, as text: what runs is this and nothing else.

        Parameters
        ----------
        backend : {"numpy", "numba", "cupy"}, optional
            In whose language.
        dtype : dtype, optional
            Of the prediction.
        **parameters
            Parameters that choose the kernel.

        Returns
        -------
        str
            The text.

        Raises
        ------
        DomainError
            For a parameter outside its domain or another dtype.
        BackendError
            For a name that is no backend's.

        Examples
        --------
        >>> from lossbook import regression
        >>> "def " in regression.squared_error.source("numpy")
        True
        """
        raise NotImplementedError

    def settings(self, given: Mapping[str, Any]) -> tuple[dict[str, bool], dict[str, Any]]:
        """(flags, parameters) from keywords, checked against their domains."""
        return self.declaration.settings(given)


class Calls(Definition):
    """What a loss computes: values, gradients and sums that merge."""

    def evaluate(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
        """(value or None, gradient or None), as `request` asks."""
        raise NotImplementedError

    def __call__(self, *arrays: Any, **keywords: Any) -> Any:
        """The loss: a number of the prediction's dtype, or with reduction="none" one per element, row or class.

        Parameters
        ----------
        *arrays : array
            The prediction and the target.
        **keywords
            Parameters and options of this loss, as its own documentation lists them.

        Returns
        -------
        scalar or array

        Raises
        ------
        ShapeError, DomainError, BackendError
            For arrays that do not fit, values that break a rule, and arrays of several packages.

        Examples
        --------
        >>> from lossbook import regression
        >>> regression.squared_error([3.0, 2.0], [1.0, 2.0], reduction="none")
        array([4., 0.])
        """
        with quiet():
            return self.evaluate(arrays, keywords, VALUE)[0]

    @of_each_loss()
    def grad(self, *arrays: Any, out: Any = None, **keywords: Any) -> Any:
        """The gradient of the reduced loss along the prediction, in the prediction's shape and dtype.

        With reduction="none" each element's own loss is differentiated, as for "sum". `out` receives the gradient.

        Parameters
        ----------
        *arrays : array
            The prediction and the target.
        out : array, optional
            Receives the gradient.
        **keywords
            Parameters and options of this loss, as its own documentation lists them.

        Returns
        -------
        array

        Raises
        ------
        ShapeError, DomainError, BackendError
            As a call does, and for an `out` that does not fit.

        Examples
        --------
        >>> from lossbook import regression
        >>> regression.squared_error.grad([3.0, 2.0], [1.0, 2.0])
        array([2., 0.])
        """
        request = GRADIENT if out is None else Request(value=False, gradient=True, out=out)
        with quiet():
            return self.evaluate(arrays, keywords, request)[1]

    @of_each_loss()
    def value_and_grad(self, *arrays: Any, out: Any = None, **keywords: Any) -> Any:
        """(value, gradient) in one pass; the gradient goes into `out` if that is given.

        Parameters
        ----------
        *arrays, out, **keywords
            As `grad` takes them.

        Returns
        -------
        value, gradient

        Raises
        ------
        ShapeError, DomainError, BackendError
            As `grad` does.

        Examples
        --------
        >>> from lossbook import regression
        >>> regression.squared_error.value_and_grad([3.0, 2.0], [1.0, 2.0], reduction="none")
        (array([4., 0.]), array([4., 0.]))
        """
        with quiet():
            return self.evaluate(arrays, keywords, BOTH if out is None else Request(gradient=True, out=out))

    @of_each_loss(without=("reduction",))
    def partial(self, *arrays: Any, **keywords: Any) -> Any:
        """The sums by which this piece of data enters the loss: `(a + b).finish()` is the loss of both pieces.

        Parameters
        ----------
        *arrays, **keywords
            As a call takes them, without `reduction`, which is chosen in `finish`.

        Returns
        -------
        Partial

        Raises
        ------
        TypeError
            For a reduction; else what a call raises.

        Examples
        --------
        >>> from lossbook import regression
        >>> regression.squared_error.partial([3.0, 2.0], [1.0, 2.0]).finish()
        2.0
        """
        if "reduction" in keywords:
            raise TypeError(f"{self.name}.partial: the reduction is chosen in .finish(), not here")
        keywords["reduction"] = "sum"
        with quiet():
            return self.evaluate(arrays, keywords, PARTIAL)[0]


class Loss(Calls):
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


def substituted(loss: Definition, arrays: Sequence[Any], parameters: Mapping[str, Any]) -> sympy.Expr:
    """The formula of a loss in which expressions stand for the arrays and the parameters."""
    declaration, where = loss.declaration, f"{loss.name}.formula_of"
    for name in parameters:
        if name not in declaration.defaults:
            raise TypeError(f"{where}: has no parameter {name}; it has {', '.join(declaration.defaults) or 'none'}")
    symbols = sum(loss.array_symbols, ())
    values = [part for array in arrays for part in (array if isinstance(array, (tuple, sympy.Tuple)) else (array,))]
    if len(values) != len(symbols):
        raise TypeError(f"{where}: takes expressions for {', '.join(map(str, symbols))}; got {len(values)}")
    given = {name: parameters.get(name, exactly(default)) for name, default in declaration.defaults.items()}
    formula = loss.formula_for({name: given[name] for name in declaration.flags})
    found = {symbol: given[symbol.name] for symbol in formula.free_symbols if symbol.name in given}
    return formula.xreplace(dict(zip(symbols, values, strict=True)) | found)


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

    def source(self, backend: Backend = "numpy", dtype: Any = "float32", **parameters: Any) -> str:
        """The kernel of this loss on a backend, as text: what runs is this and nothing else."""
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
        return self.evaluation(arrays, keywords, request)

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


def options_of(space: Space, by_class: bool) -> tuple[str, ...]:
    """The names of the options that a loss of one formula has."""
    return (*OPTIONS, *(OF_CLASSES if by_class else ()), *space.options)


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
    if value is None and name in ("backend", *OF_CLASSES):
        return None
    if name == "backend":
        return backends.check(value, loss.name)
    if name == "batch":
        return flag(loss.name, name, value)
    if name == "class_weight":
        on_host = value.get() if is_cupy(value) else value
        return tuple(map(float, Arguments(loss.declaration, loss.space).one_per_class(on_host, "C", np)))
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise DomainError(loss.name, name, "must be an integer", value)
    return int(value)


def brief(value: Any) -> str:
    """An option in a name: of many class weights the first and the last."""
    if not isinstance(value, tuple):
        return repr(value)
    texts = [f"{number:g}" for number in value]
    return f"[{', '.join(texts if len(texts) <= 8 else [*texts[:3], '...', texts[-1]])}]"


# --- pickling --------------------------------------------------------------------------------------------------------


def settings_of(loss: Loss) -> dict[str, Any]:
    """The defaults and options of a loss, by which a copy is told from the loss of its module."""
    return {**loss.declaration.defaults, **loss.declaration.own}


def with_settings(loss: Loss, settings: Mapping[str, Any]) -> Loss:
    """The loss with these settings."""
    return loss if settings_of(loss) == settings else loss.with_parameters(**settings)


def find(module: str, name: str) -> Any:
    """A loss by its address, so that losses pickle."""
    __import__(module)
    return attrgetter(name)(sys.modules[module])


def known(function: Callable[..., Any]) -> "FormulaLoss | None":
    """The loss of a function at its address in this process, or None."""
    try:
        found = find(function.__module__, function.__qualname__.removesuffix(FORMULA))
    except (ImportError, AttributeError):
        return None
    return found if isinstance(found, FormulaLoss) and getattr(found, "__wrapped__", None) is function else None


def redeclared(
    kind: type[FormulaLoss],
    function: Callable[..., Any],
    reference: str,
    properties: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Loss:
    """The loss of a function: that of this process, or one declared anew where there is none."""
    return with_settings(known(function) or kind.of_function(function, reference, properties), settings)


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
        every = (*OPTIONS, *OF_CLASSES, "axis", "batch")
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

    def source(self, backend: Backend = "numpy", dtype: Any = "float32", **parameters: Any) -> str:
        """The kernels of the parts, one after the other."""
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
