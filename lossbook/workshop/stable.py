"""The form of a formula that keeps its digits, found and proved: `lossbook.stable`."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import sympy

from lossbook.algebra import FormulaLoss
from lossbook.domains import Domain
from lossbook.errors import DomainError
from lossbook.exact.ruler import Certificate, Measured, Ruler, calls, checked
from lossbook.exact.written_out import canonical, domains_of, exactly, from_indices
from lossbook.workshop import display, rewriting
from lossbook.workshop.cases import CHOICES, decided, switch_of
from lossbook.workshop.derivation import Derivation, Line, derive
from lossbook.workshop.proof import same
from lossbook.workshop.rewriting import Step, everywhere

ROUNDS = 8  # of a rule over an expression, which may make room for itself again


@dataclass(frozen=True)
class Error:
    """What a formula loses as it is written, and what is left in the form that was found."""

    before: Certificate
    after: Certificate

    def __str__(self) -> str:
        return f"before: {self.before}\nafter:  {self.after}"

    __repr__ = __str__


@dataclass(frozen=True)
class Stable:
    """A formula in words, and how it was found; true if it keeps the promise of accuracy in both types.

    Attributes: `formula`, the same function in words; `derivation`, the way to it, each line with its reason.
    """

    formula: sympy.Expr
    derivation: Derivation
    found: "Form"
    forms: "Forms"

    def error(self, dtype: str = "float32") -> Error:
        """The worst error in ulp of value and of gradient, before and after, and the inputs where they occur.

        Parameters
        ----------
        dtype : str
            "float32" or "float64".

        Returns
        -------
        Error
            `before` and `after`, each with `value` and `gradient`, which have `ulp`, `inputs`, `got` and `want`.

        Raises
        ------
        ValueError
            For another type.
        """
        checked("stable", dtype)
        return Error(self.forms.before(dtype), self.forms.error(self.found, dtype))

    def __bool__(self) -> bool:
        return all(bool(self.error(dtype).after) for dtype in ("float32", "float64"))

    def __str__(self) -> str:
        kept = "within the promise of accuracy" if self else "NOT within the promise of accuracy"
        return f"{self.derivation}\n\n{kept}\n{self.error('float32')}"

    __repr__ = __str__

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return display.bundle(self.derivation.lines)


def stable(expression: sympy.Expr, *, where: Mapping[Any, Any]) -> Stable:
    """Find the form of a formula that keeps its digits.

    The formula is rewritten by rules: words are read off their meanings, differences become sums of terms that do not
    cancel, quotients become shares, differences of logarithms become divergences. Of the forms on the way, the one
    with the smallest measured error is taken. Each step is proved by `derive`.

    Parameters
    ----------
    expression : Expr
        In exp, log, sqrt, powers, Min, Max, Abs, Piecewise, and sums over classes and pixels.
    where : dict
        The domain of each symbol. Slopes are taken along the first symbol whose domain is that of a prediction.

    Returns
    -------
    Stable
        The formula in words, the derivation, and the errors before and after.

    Raises
    ------
    TypeError
        For a symbol without a domain, or what no formula of a loss can have.
    DomainError
        For an expression that is not real or nowhere finite.

    Examples
    --------
    >>> import lossbook, sympy
    >>> from sympy import exp, log
    >>> x, y = sympy.symbols("x y")
    >>> found = lossbook.stable(log(1 + exp(x)) - x * y, where={x: lossbook.Logit, y: lossbook.Label})
    >>> found.formula
    y*softplus(-x) + (1 - y)*softplus(x)
    >>> found.error("float32").before.value.ulp > 1e6, found.error("float32").after.value.ulp < 3
    (True, True)
    """
    if not isinstance(expression, sympy.Expr):
        kind = type(expression).__name__
        raise TypeError(f"stable: expression must be a SymPy expression; got {kind} {expression!r}")
    if expression.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
        raise DomainError("stable", "expression", "must be finite", said=str(expression))
    domains = in_roles(domains_of(where, "stable"))
    names = canonical((expression,), domains, "stable")
    along = next(iter(domains), None)
    if along is None or not expression.has(along):
        raise TypeError(f"stable: expression must depend on {along or 'a symbol of where'}; got {expression}")
    mine = {names[symbol]: domain for symbol, domain in domains.items()}
    given = exactly(expression.xreplace(names))
    given, mine = from_indices(given, mine)
    forms = Forms(given, mine)
    best = min(forms.every, key=forms.cost)
    back = {new: old for old, new in names.items()}
    forms.error(best, "float64")  # where no form is one of a loss, this says why
    lines = [expression, *best.lines(back)[1:]]
    derivation = derive(*lines, where=where) if len(lines) > 1 else Derivation((Line(expression),))
    return Stable(best.expression.xreplace(back), derivation, best, forms)


def in_roles(where: dict[Any, Domain]) -> dict[Any, Domain]:
    """The domains in the order of a call: one prediction, along which slopes are taken, a target, parameters.

    Raises
    ------
    TypeError
        For more than two symbols that are no parameters.
    """
    arrays = [symbol for symbol, domain in where.items() if domain.role != "parameter"] or list(where)[:1]
    arrays.sort(key=lambda symbol: where[symbol].role != "prediction")
    if len(arrays) > 2:
        raise TypeError(
            f"stable: a formula has one prediction and one target; got {', '.join(map(str, arrays))} "
            "(give the others the domain of a parameter, such as lossbook.Positive)"
        )
    roles = dict(zip(arrays, ("prediction", "target"), strict=False))
    parameters = [symbol for symbol in where if symbol not in roles]
    return {symbol: replace(where[symbol], role=roles.get(symbol, "parameter")) for symbol in (*arrays, *parameters)}


@dataclass(frozen=True)
class Form:
    """A form of a formula, and the steps that led to it."""

    expression: sympy.Expr
    steps: tuple[tuple[sympy.Expr, str], ...]  # (form, reason), the first without one

    def then(self, expression: sympy.Expr, reason: str) -> "Form":
        """The form after another step."""
        return self if expression == self.expression else Form(expression, (*self.steps, (expression, reason)))

    def lines(self, names: Mapping[Any, Any]) -> list[Any]:
        """The steps as lines of a derivation, in the symbols of the user."""
        (first, _), *others = self.steps
        return [first.xreplace(names), *((step.xreplace(names), reason) for step, reason in others)]


# Rules that are always for the better, in the order in which they are tried; then all again, while there is a change.
STEPS = (
    Step("the softmax and the logarithm of its sum, by their names", rewriting.rows),
    Step("the logarithm of a product of powers", rewriting.powers),
    Step("the definitions of sigmoid and softplus, read backwards", rewriting.logistic),
    Step("1 - sigmoid(x) = sigmoid(-x)", rewriting.complement),
    Step("the definitions of log cosh and tanh, read backwards", rewriting.hyperbolic),
    Step("a difference of logarithms is that of a ratio, and p, q have the same sum", rewriting.divergences),
    Step("log(1 + x) and exp(x) - 1 by functions that keep a small x", rewriting.near_one),
    Step("a root less a number, multiplied by its conjugate", rewriting.roots),
    Step("1 - a/b = (b - a)/b", rewriting.quotient_of_errors),
    Step("pieces as factors that are 0 or 1", rewriting.choices),
)


def steps_for(where: Mapping[Any, Domain]) -> tuple[Step, ...]:
    """The rules, with those that need to know of domains."""
    return (
        *STEPS,
        Step("a distribution sums to 1, so that a number of the row goes into the sum", rewriting.in_sums(where)),
        Step("a difference as a sum of products that are not negative", rewriting.never_cancel(where)),
        Step("a/(a + b) as the share of a", rewriting.shares),
        Step("1/b is not needed where b is 0", rewriting.of_nothing),
    )


def search(given: sympy.Expr, where: Mapping[Any, Domain]) -> list[Form]:
    """The form that the rules lead to, and others that follow from it."""
    plain = rewritten(Form(given, ((given, ""),)), where)
    forms = [plain]
    for form in without_cases(plain, where):
        forms.append(rewritten(form, where))
    for form in list(forms):
        for expression in rewriting.in_two_words(form.expression):
            forms.append(form.then(expression, "x = softplus(x) - softplus(-x), so that nothing is subtracted"))
    forms.append(Form(given, ((given, ""),)))
    return list({form.expression: form for form in reversed(forms)}.values())


def rewritten(form: Form, where: Mapping[Any, Domain]) -> Form:
    """What the rules make of a form."""
    steps = steps_for(where)
    for _ in range(ROUNDS):
        before = form
        for step in steps:
            form = form.then(everywhere(step.rule, form.expression), step.reason)
        if form == before:
            break
    return form


def without_cases(form: Form, where: Mapping[Any, Domain]) -> Iterator[Form]:
    """Forms without a choice of which both sides are the same function."""
    for choice in sorted(form.expression.atoms(*CHOICES), key=sympy.default_sort_key):
        for sign in (1, -1):
            case = decided(form.expression, switch_of(choice), sign)
            if case != form.expression and same(form.expression, case, where).kind == "proved":
                chosen = form.then(case, f"both cases of {choice} are the same")
                yield chosen
                yield from without_cases(chosen, where)
                return


class Forms:
    """The forms of a formula that were found, and their errors, each measured once."""

    def __init__(self, given: sympy.Expr, where: Mapping[Any, Domain]) -> None:
        self.given, self.where = given, where
        self.every = search(given, where)
        self.ruler = cache(self._ruler)
        self.error = cache(self._error)
        self.before = cache(lambda dtype: self.ruler(dtype).measure(as_numpy(self.ruler(dtype))))

    def _ruler(self, dtype: str) -> Ruler:
        return Ruler(self.given, [form.expression for form in self.every], self.where, dtype)

    def loss(self, form: Form) -> FormulaLoss:
        """A form as a loss, whose parameters have no values of their own."""
        return declared(form.expression, self.where)

    def _error(self, form: Form, dtype: str) -> Certificate:
        return self.ruler(dtype).measure(calls(self.loss(form)))

    def cost(self, form: Form) -> tuple[Any, ...]:
        """What is compared between forms: whether the promise is kept, bits of error, length."""
        try:
            error = self.error(form, "float64")  # whose sums no wider type hides
        except TypeError:  # no formula of a loss
            return True, np.inf, 0
        worst = max(error.value.ulp, error.gradient.ulp, 4.0)
        return not error, float(np.ceil(np.log2(worst))), sympy.count_ops(form.expression)


def as_numpy(ruler: Ruler) -> Measured:
    """The expression as it is written, and its slope by the rules of calculus, in NumPy."""
    names = sorted({symbol for side in ruler.sides for symbol in side.free_symbols}, key=str)
    sides = [sympy.lambdify(names, side, "numpy") for side in ruler.sides]

    def function(setting: Mapping[str, float], arrays: Mapping[str, np.ndarray]) -> tuple[Any, Any]:
        given: dict[str, Any] = dict(setting)
        for name, array in arrays.items():
            columns = {f"{name}_{k + 1}": array[:, k] for k in range(array.shape[-1])} if array.ndim > 1 else {}
            given |= {name: array} | columns
        count = len(next(iter(arrays.values())))
        results = [np.broadcast_to(side(*(given[name.name] for name in names)), count) for side in sides]
        return results[0], np.column_stack(results[1:])

    return function


def declared(formula: sympy.Expr, where: Mapping[Any, Domain]) -> FormulaLoss:
    """The loss of a formula; its parameters have no values of their own."""
    of_arrays = [symbol for symbol, domain in where.items() if domain.role != "parameter"]
    for exponent in {power.exp for power in formula.atoms(sympy.Pow)}:
        if exponent.free_symbols & set(of_arrays):
            raise TypeError(f"stable: an exponent must be a number or a parameter; got {exponent}")

    def searched(*arrays: sympy.Symbol, **parameters: sympy.Symbol) -> sympy.Expr:
        """A formula that was searched for."""
        given = dict(zip(map(str, of_arrays), arrays, strict=True)) | parameters
        return formula.xreplace({symbol: given[str(symbol)] for symbol in where})

    positional, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    arguments = [
        inspect.Parameter(str(symbol), keyword, default=1.0, annotation=domain)
        if domain.role == "parameter"
        else inspect.Parameter(str(symbol), positional, annotation=domain)
        for symbol, domain in where.items()
    ]
    searched.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
    return FormulaLoss.of_function(searched, "", {})
