"""What a loss is and what it computes: the methods that every kind of loss has.

A kind of loss (see `algebra`, `joined`, `distance`) gives the formula and the evaluation; what a user calls is here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import sympy

from lossbook import documentation, frameworks, words
from lossbook.arrays import is_dask, quiet, several
from lossbook.declaration import Declaration
from lossbook.documentation import Shown
from lossbook.evaluation.request import BOTH, GRADIENT, HESSIAN, PARTIAL, VALUE, Request
from lossbook.formula import exactly
from lossbook.methods import of_each_loss
from lossbook.spaces import Space
from lossbook.typing import Language


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
        return self.declaration.own.get("axis", self.space.usual_axis)

    @property
    def textbook(self) -> Any:
        """The formula in exp, log and arithmetic: the same function, not stable."""
        return words.plainly(self.formula)

    def certificate(self, dtype: str = "float32") -> Any:
        """Measure the errors of value and gradient at inputs that are chosen to be hard.

        Parameters
        ----------
        dtype : str
            "float32" or "float64".

        Returns
        -------
        Certificate
            Its `value` and `gradient` have the largest error, `ulp`, and `inputs`, `got` and `want` where it is; it is
            true if both are within the promise of 8 + abs(ln(exact)) ulp. Exact numbers are those of `textbook`.

        Raises
        ------
        TypeError
            For a loss that is not one formula of numbers: of boxes or distances, of several predictions, or a sum.
        ValueError
            For another type.

        Examples
        --------
        >>> from lossbook import binary
        >>> bool(binary.cross_entropy_with_logits.certificate("float32"))
        True
        """
        from lossbook.exact.ruler import certified

        return certified(self, dtype)

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

    def source(self, backend: Language = "numpy", dtype: Any = "float32", **parameters: Any) -> str:
        """The kernel of this loss on a backend, as text: what runs is this and nothing else.

        Parameters
        ----------
        backend : {"numpy", "numba", "cupy", "torch", "jax"}, optional
            In whose language. The text in PyTorch or JAX needs nothing of this package: it ends with a function of the
            arrays that has the options of the loss, and looks at no values.
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


class Calls(Definition):
    """What a loss computes: values, gradients and sums that merge."""

    per_class: Any = frozenset()  # the names of the parameters that may be one number per class

    def settings(self, given: Mapping[str, Any]) -> tuple[dict[str, bool], dict[str, Any]]:
        """(flags, parameters) from keywords, checked against their domains."""
        return self.declaration.settings(given, self.per_class)

    def evaluate(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
        """(value or None, gradient or None), as `request` asks."""
        raise NotImplementedError

    def answer(self, arrays: Sequence[Any], keywords: Mapping[str, Any], request: Request) -> tuple[Any, Any]:
        """What `evaluate` gives, in the arrays of the framework that the call comes from."""
        framework = frameworks.of(arrays, keywords, request.out)
        if framework is not None:
            return framework.answer(self, arrays, keywords, request)
        with quiet():
            return self.evaluate(arrays, keywords, request)

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
        return self.answer(arrays, keywords, VALUE)[0]

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
        return self.answer(arrays, keywords, request)[1]

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
        return self.answer(arrays, keywords, BOTH if out is None else Request(gradient=True, out=out))

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
        return self.answer(arrays, keywords, PARTIAL)[0]


class SecondDerivatives(Calls):
    """What else a loss computes: its second derivatives."""

    @of_each_loss(summed=True)
    def hessian(self, *arrays: Any, out: Any = None, **keywords: Any) -> Any:
        """The diagonal of the Hessian: the second derivative of each loss along its own prediction.

        It is that of the sum of the losses unless `reduction="mean"` divides it as it divides a gradient, so that it
        fits the gradient of `reduction="sum"`; what all numbers of a row, an image or a box do to each other is in
        `hvp`. At a kink it is the second derivative of a piece beside the kink, or between those of two.

        Parameters
        ----------
        *arrays : array
            The prediction and the target.
        out : array, optional
            Receives the result.
        **keywords
            Parameters and options of this loss, as its own documentation lists them, but that `reduction` is "sum"
            unless another is given.

        Returns
        -------
        array
            In the shape and dtype of the prediction; a tuple for several predictions.

        Raises
        ------
        ShapeError, DomainError, BackendError
            As `grad` does.
        TypeError
            For arrays of Dask.

        Examples
        --------
        >>> from lossbook import regression
        >>> regression.huber.hessian([3.0, 1.5, 1.0], [1.0, 1.0, 1.0])
        array([0., 1., 1.])
        """
        return self._second(arrays, None, out, keywords)

    @of_each_loss(summed=True, more=("v",))
    def hvp(self, *arrays: Any, out: Any = None, **keywords: Any) -> Any:
        """The product of the Hessian with a direction, which is the last of the arrays: `loss.hvp(z, y, v)`.

        The Hessian is that of the sum of the losses, as for `hessian`, unless `reduction="mean"` is given.

        Parameters
        ----------
        *arrays : array
            The prediction, the target, and the direction, in the shape of the prediction; for several predictions a
            tuple of directions.
        out : array, optional
            Receives the result.
        **keywords
            As `hessian` takes them.

        Returns
        -------
        array
            In the shape and dtype of the prediction; a tuple for several predictions.

        Raises
        ------
        ShapeError, DomainError, BackendError
            As `grad` does.
        TypeError
            For arrays of Dask, and without a direction.

        Examples
        --------
        >>> from lossbook import multiclass
        >>> multiclass.cross_entropy_with_logits.hvp([[0.0, 0.0]], [1], [[1.0, 0.0]])
        array([[ 0.25, -0.25]])
        """
        expected = (*self.declaration.arrays, "v")
        if len(arrays) != len(expected):
            raise TypeError(f"{self.name}.hvp: takes {', '.join(expected)} by position; got {len(arrays)} arrays")
        return self._second(arrays[:-1], arrays[-1], out, keywords)

    @of_each_loss(summed=True)
    def value_grad_and_hessian(self, *arrays: Any, **keywords: Any) -> Any:
        """(value, gradient, diagonal of the Hessian), all of the sum of the losses unless a reduction is given.

        Parameters
        ----------
        *arrays, **keywords
            As `hessian` takes them.

        Returns
        -------
        value, gradient, hessian

        Raises
        ------
        ShapeError, DomainError, BackendError, TypeError
            As `hessian` does.

        Examples
        --------
        >>> from lossbook import regression
        >>> value, gradient, hessian = regression.squared_error.value_grad_and_hessian([3.0, 2.0], [1.0, 2.0])
        >>> float(value), gradient, hessian
        (4.0, array([4., 0.]), array([2., 2.]))
        """
        keywords = {**self._summed, **keywords}
        return (*self.answer(arrays, keywords, BOTH), self._second(arrays, None, None, keywords))

    @property
    def _summed(self) -> dict[str, Any]:
        """What methods of second order add to the keywords of a call: their reduction, unless the loss has its own."""
        return {} if "reduction" in self.declaration.own else {"reduction": "sum"}

    def _second(self, arrays: Sequence[Any], direction: Any, out: Any, keywords: Mapping[str, Any]) -> Any:
        """The diagonal of the Hessian, or its product with a direction."""
        if is_dask(*arrays, *several(direction), *keywords.values()):
            rule = "second derivatives are not made of Dask's arrays"
            raise TypeError(f"{self.name}: {rule}; call this on their blocks, as dask.array.map_blocks does")
        request = replace(HESSIAN, direction=direction, out=out)
        return self.answer(arrays, {**self._summed, **keywords}, request)[1]


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
