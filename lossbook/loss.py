"""The decorator `@loss`: one formula in, a loss with values, gradients, kernels and documentation out.

    @loss(source="Lin, Goyal, Girshick, He and Dollar 2017, equation 5")
    def focal_with_logits(z: Logit, y: Label, *, gamma: Exponent = 2.0, alpha: Fraction = 0.25):
        \"""Cross-entropy with the easy examples turned down.\"""
        return ...

The signature is the signature, annotations are the domains, defaults the defaults, and the body, called
once with SymPy symbols, is the formula.
"""

import hashlib
import inspect
import itertools
import numbers
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Literal, Self, overload

import numpy as np
import sympy

from lossbook import backends, words
from lossbook.arguments import REDUCTIONS_ELSEWHERE, WORKING, Arguments, parameter, take_option
from lossbook.call import quiet
from lossbook.documentation import Documented, Shown
from lossbook.domains import Domain
from lossbook.errors import DomainError, ShapeError, shown
from lossbook.methods import of_each_loss
from lossbook.names import check_argument, check_name
from lossbook.plan import Form, make_plan
from lossbook.reduce import REDUCTIONS, Partial, reduced
from lossbook.typing import Backend, Number

FORMULA = "._function"  # where the function of a loss is found
SMALLEST, LARGEST = ({r: float(getattr(np.finfo(r), e)) for r in (np.float32, np.float64)} for e in ("tiny", "max"))
NO_NUMBERS = (sympy.oo, -sympy.oo, sympy.zoo, sympy.nan, sympy.I)


@overload
def loss(function: Callable[..., Any]) -> "Loss": ...
@overload
def loss(
    *, source: str = "", properties: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., Any]], "Loss"]: ...
def loss(function=None, *, source="", properties=None):
    """Make a Loss of a formula: `@loss`, or `@loss(source="paper, section, equation", properties={"convex": True})`.

    The function's positional arguments are the prediction and, if there is one, the target; keyword-only arguments
    are parameters. Every argument is annotated with a domain (`lossbook.domains`) and the body returns a SymPy
    expression in `lossbook.words`. It is called with symbols, once for each setting of its `Flag` arguments.

    Python's `if` may ask for a `Flag` and for nothing else: a symbol is equal to itself alone, so `if k == 1` always
    takes the other branch. What depends on values is written in `below`, `larger` and `smaller`.

    Raises TypeError, or DomainError for a default outside its domain, for a declaration that gives no loss.
    """
    if function is None:
        return lambda function: loss(function, source=source, properties=properties)
    if not inspect.isfunction(function):
        raise TypeError(f"loss: a loss is declared by a function; got {function!r}")
    if not isinstance(source, str):
        raise TypeError(f"loss: source must be text; got {type(source).__name__}")
    return Loss(function, source, properties or {})


class Loss(Arguments, Documented):
    __doc__ = Shown(
        lambda self: self._document(inspect.cleandoc(self._function.__doc__ or "")) + self._document_options(),
        """A loss: call it for its value; see `grad`, `value_and_grad`, `partial`, `formula`, `source`.

    Attributes: `name`, `signature`, `reference` (paper, section, equation), `properties` (facts that tests check:
    "convex", "minimum", ...), `formula` (SymPy, in words), `textbook` (the same in exp and log), `gradient`
    (its slope along the prediction), `latex`.
    """,
    )
    reference: str
    properties: dict[str, Any]
    signature = Shown(lambda self: self._public_signature())
    __signature__ = Shown(lambda self: self.signature)
    __wrapped__ = Shown(lambda self: self._function)  # whose source `inspect.getsource` and `??` show
    __array_ufunc__ = None  # numbers of NumPy leave multiplication to the loss
    _baked: Mapping = MappingProxyType({})  # options that this loss has of its own, by name
    _plain_name: str | None = None  # without those options, where there are any

    def __init__(self, function, reference, properties):
        self._function = function
        check_name(function.__name__, "the name of a loss", "loss")
        self.__module__, self.__qualname__, self.__name__ = (
            function.__module__,
            function.__qualname__.removesuffix(FORMULA),
            function.__name__,
        )
        function.__qualname__ = self.__qualname__ + FORMULA  # where it stood, the loss stands
        home = function.__module__ or "__main__"
        if is_ours := home.startswith("lossbook."):
            check_name(home.rpartition(".")[2], "the name of the module of a loss", "loss")
        self.name = f"{home.rpartition('.')[2]}.{function.__name__}" if is_ours else function.__name__
        self.reference, self.properties = reference, dict(properties)
        self._arguments = self._read_signature(inspect.signature(function))
        self._forms, self._plans, self._fingerprints = {}, {}, {}
        self._arrays = [name for name, domain in self._arguments.items() if domain.role in ("prediction", "target")]
        self._target = next((name for name in self._arrays if self._arguments[name].role == "target"), None)
        self._flags = [name for name, domain in self._arguments.items() if domain.role == "flag"]
        self._parameters = [name for name, domain in self._arguments.items() if domain.role == "parameter"]
        self._by_class = self._target is not None and self._arguments[self._target].name == "Classes"
        if not home.startswith("lossbook."):  # the package's own are proven by its tests
            self._try_formula()

    # --- declaration -----------------------------------------------------------------------------------------------

    def _read_signature(self, signature):
        """The domains of the arguments, in order; clear errors for a declaration that says too little."""
        domains, self._defaults = {}, {}
        for given in signature.parameters.values():
            domain, keyword = given.annotation, given.kind is given.KEYWORD_ONLY
            check_argument(given.name, self.name)
            if given.kind in (given.VAR_POSITIONAL, given.VAR_KEYWORD):
                raise TypeError(
                    f"{self.name}: the arguments must have names of their own; got {str(given).partition(':')[0]}"
                )
            if isinstance(domain, str):
                raise TypeError(
                    f"{self.name}: {given.name} is annotated with text, {domain!r}, and text is never evaluated; "
                    "annotate with the domain itself (and leave out `from __future__ import annotations`)"
                )
            if not isinstance(domain, Domain):
                raise TypeError(f"{self.name}: {given.name} must be annotated with a domain such as Logit or Label")
            if keyword != (domain.role in ("parameter", "flag")):
                kind = "keyword-only (after *)" if not keyword else "positional"
                raise TypeError(f"{self.name}: {given.name} is a {domain.role}, which must be {kind}")
            if keyword and given.default is given.empty:
                raise TypeError(f"{self.name}: the parameter {given.name} needs a default")
            domains[given.name] = domain
            if keyword:
                self._defaults[given.name] = given.default
        roles = [domain.role for domain in domains.values() if domain.role in ("prediction", "target")]
        if roles not in (["prediction"], ["prediction", "target"]):
            raise TypeError(f"{self.name}: the arrays must be a prediction and at most one target; got {roles}")
        return domains

    def _try_formula(self):
        """Print the kernels of every formula once: one that does not hold together is an error at its declaration."""
        self._settings({})
        try:
            for setting in itertools.product((False, True), repeat=len(self._flags)):
                self._try_setting(dict(zip(self._flags, setting, strict=True)))
        except RecursionError as error:
            raise TypeError(f"{self.name}: the formula is nested too deeply; name parts of it with let()") from error

    def _try_setting(self, flags):
        """Print the kernels of the formula under a setting of the flags."""
        form = self._form(flags)
        if form.shape != self.shape:
            raise TypeError(
                f"{self.name}: flags must not change the shape of the loss; got {self.shape} and {form.shape}"
            )
        reached = set(form.predictions)
        reached.update(symbol for symbol, value in form.steps if value.free_symbols & reached)
        if not form.expression.free_symbols & reached:
            where = ", ".join(f"{name}={value}" for name, value in flags.items())
            raise TypeError(
                f"{self.name}: the formula must depend on {self._arrays[0]}{where and f' with {where}'}; "
                f"got {form.expression}"
            )
        plan = make_plan(self.name, form)
        try:
            for name in backends.NAMES:
                backends.get(name).source(plan)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from error

    def _form(self, flags):
        """The formula under a setting of the flags, declared by calling the function with symbols."""
        key = tuple(flags.get(name, self._defaults[name]) for name in self._flags)
        form = self._forms.get(key)
        if form is None:
            given = {n: d.argument(n) for n, d in self._arguments.items() if d.role != "flag"}
            domains = {}
            for name, symbols in given.items():
                domains |= dict.fromkeys(symbols if isinstance(symbols, tuple) else (symbols,), self._arguments[name])
            named = dict.fromkeys([*self._arguments, *(symbol.name for symbol in domains)])
            token = words.steps.set(named)
            try:
                expression = self._function(
                    *(given[name] for name in self._arrays),
                    **{name: given[name] for name in self._parameters},
                    **dict(zip(self._flags, key, strict=True)),
                )
                expression = sympy.sympify(expression, strict=True)
            except (TypeError, AttributeError, sympy.SympifyError) as error:
                raise TypeError(f"{self.name}: the body must return a SymPy expression in words; {error}") from error
            finally:
                words.steps.reset(token)
            steps = {sympy.Symbol(n, real=True): _in_words(value) for n, value in named.items() if value is not None}
            expression = _in_words(expression)
            known = {*domains, *steps, words.classes}
            for part in (expression, *steps.values()):
                if not isinstance(part, sympy.Expr) or part.is_Matrix or part.has(sympy.Piecewise):
                    raise TypeError(f"{self.name}: the body must return an expression without Piecewise; got {part}")
                if unknown := part.free_symbols - known:
                    raise TypeError(f"{self.name}: the formula has symbols that are not arguments: {unknown}")
                if part.has(*NO_NUMBERS):
                    raise TypeError(f"{self.name}: the numbers of a formula must be real and finite; got {part}")
                if not all(map(_fits, part.atoms(sympy.Number))):
                    raise TypeError(f"{self.name}: the numbers of a formula must fit a float64, and one does not")
            form = self._forms[key] = Form(
                given[self._arrays[0]],
                given[self._target] if self._target else None,
                tuple(given[name] for name in self._parameters),
                domains,
                tuple(steps.items()),
                expression,
            )
        return form

    def of(self, *arrays: Any, **parameters: Any) -> Any:
        """The formula of this loss for other symbols or expressions, with its named steps, in another declaration."""
        given = {name: parameters.get(name, _exactly(value)) for name, value in self._defaults.items()}
        return self._function(*arrays, **given)

    def formula_of(self, *arrays: Any, **parameters: Any) -> Any:
        """The formula as one expression, for other symbols or expressions."""
        form = self._form({})
        names = {
            symbol: parameters.get(symbol.name, _exactly(self._defaults[symbol.name])) for symbol in form.parameters
        }
        return self.formula.xreplace(dict(zip(form.arrays, arrays, strict=True)) | names)

    def with_parameters(self, **given: Any) -> Self:
        """This loss with other defaults of its parameters and of its options.

            tversky.with_parameters(alpha=0.3, beta=0.7)
            dice.with_parameters(class_weight=[0, 1, 1], batch=True)

        The options are `reduction`, `backend`, and where the loss has them `class_weight`, `ignore_index`, `axis` and
        `batch`. A call may still give others; a sum of losses leaves a part its own, and passes on what it is given to
        the parts that have none. Raises what a call would raise for a wrong value.
        """
        if "weight" in given and "weight" not in self._defaults:
            raise TypeError(f"{self.name}.with_parameters: weight belongs to the data; give it in each call")
        options = {name: value for name, value in given.items() if name in self._every_option()}
        flags, values = self._settings({name: value for name, value in given.items() if name not in options})
        other = object.__new__(type(self))  # not copy.copy, which gives the loss itself
        vars(other).update(vars(self))
        other._defaults = {name: {**flags, **values}[name] for name in self._defaults}
        other._baked = {**self._baked, **{name: kept_option(self, name, v) for name, v in options.items()}}
        if other._baked:
            other._plain_name = self._plain_name or self.name
            other.name = f"{other._plain_name}({', '.join(f'{n}={_brief(v)}' for n, v in other._baked.items())})"
        for name in ("signature", "__signature__", "__doc__", "summary", "_axis"):
            vars(other).pop(name, None)
        return other

    def _plan(self, flags, parameters, integer):
        """The plan for these settings, in the variant that they need."""
        zero = frozenset(name for name in self._parameters if parameters[name] == 0) if integer else frozenset()
        form = self._form(flags)
        hard = integer and self._is_hard(flags, zero)
        lifted = any(parameters[symbol.name] > 1 for symbol in form.lifting)
        steep = any(parameters[symbol.name] > 10 for symbol in form.exponents)
        key = (tuple(flags[name] for name in self._flags), hard, lifted, steep)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = make_plan(self._kernel_name, form, hard, lifted, steep)
        return plan

    @property
    def _kernel_name(self):
        """What generated files call this loss."""
        return self._plain_name or self.name

    def _fingerprint(self, flags):
        """A text by which two formulas are told apart, also in other processes."""
        key = tuple(flags.get(name, self._defaults[name]) for name in self._flags)
        found = self._fingerprints.get(key)
        if found is None:
            form = self._form(flags)
            text = sympy.srepr((form.arrays, form.parameters, form.steps, form.expression))
            found = self._fingerprints[key] = hashlib.sha256(text.encode()).hexdigest()
        return found

    def _is_hard(self, flags, zero):
        """Whether, with these parameters at zero, a row needs only its labeled class."""
        if self.shape != "rows":
            return False
        needed = self._form(flags).hard_when_zero
        return needed is not None and {symbol.name for symbol in needed} <= zero

    @property
    def _symbols(self):
        """(those of the prediction, those of the target) in the formula."""
        form = self._form({})
        return form.predictions, form.arrays[len(form.predictions) :]

    @cached_property
    def shape(self):
        """What one value is of: "pointwise" an element, "rows" a row of classes, "overlap" an image, "boxes" a box."""
        return self._form({}).shape

    @cached_property
    def _axis(self):
        """Where the classes are, as in (N, C, ...), or the corners of a box, as in (N, 4)."""
        return self._baked.get("axis", -1 if self.shape == "boxes" else 1)

    # --- the formula, in several forms ------------------------------------------------------------------------------

    @property
    def formula(self) -> Any:
        """The loss of one element, row or image, as a SymPy expression in words."""
        return self._form({}).formula

    @property
    def textbook(self) -> Any:
        """The formula in exp, log and arithmetic: the same function, not stable."""
        return words.plainly(self.formula)

    @property
    def gradient(self) -> Any:
        """The slope of the formula along the prediction (of one element, pixel or class; of each corner), in words."""
        return slopes(self.formula, self._symbols[0])

    def source(self, backend: Backend = "numpy", dtype: Any = "float32", **parameters: Any) -> str:
        """The kernel of this loss on a backend, as text: what runs is this and nothing else."""
        real = WORKING.get(np.dtype(dtype))
        if real is None:
            raise DomainError(self.name, "dtype", "must be float16, float32 or float64", dtype)
        flags, values = self._settings(parameters)
        plan = self._plan(flags, values, integer=self.shape == "rows")
        module = backends.get(backend, self.name)
        return module.source(plan) if backend == "numpy" else module.source(plan, real, plan.hard)

    def _settings(self, given):
        """(flags, parameters) from keywords, checked against their domains."""
        flags, values = {}, {}
        for name in given:
            if name not in self._defaults:
                raise TypeError(f"{self.name}: {self._unknown(name, (*self._defaults, *self._options()))}")
        for name, default in self._defaults.items():
            value, domain = given.get(name, default), self._arguments[name]
            if domain.role == "flag":
                if not isinstance(value, (bool, np.bool_)):
                    raise DomainError(self.name, name, "must be True or False", value)
                flags[name] = bool(value)
            else:
                values[name] = parameter(self.name, name, value, domain)
        return flags, values

    # --- evaluation --------------------------------------------------------------------------------------------------

    def __call__(self, *arrays: Any, **keywords: Any) -> Any:
        """The loss: a number of the prediction's dtype, or with reduction="none" one per element, row or class."""
        with np.errstate(all="ignore"):  # formulas know how to meet overflow and its kin
            return self._evaluate(arrays, keywords, value=True, gradient=False)[0]

    @of_each_loss()
    def grad(self, *arrays: Any, out: Any = None, **keywords: Any) -> Any:
        """The gradient of the reduced loss along the prediction, in the prediction's shape and dtype.

        With reduction="none" each element's own loss is differentiated, as for "sum". `out` receives the gradient.
        """
        with np.errstate(all="ignore"):  # formulas know how to meet overflow and its kin
            return self._evaluate(arrays, keywords, value=False, gradient=True, out=out)[1]

    @of_each_loss()
    def value_and_grad(self, *arrays: Any, out: Any = None, **keywords: Any) -> Any:
        """(value, gradient) in one pass; the gradient goes into `out` if that is given."""
        with np.errstate(all="ignore"):  # formulas know how to meet overflow and its kin
            return self._evaluate(arrays, keywords, value=True, gradient=True, out=out)

    @of_each_loss(without=("reduction",))
    def partial(self, *arrays: Any, **keywords: Any) -> Any:
        """The sums by which this piece of data enters the loss: `(a + b).finish()` is the loss of both pieces."""
        if "reduction" in keywords:
            raise TypeError(f"{self.name}.partial: the reduction is chosen in .finish(), not here")
        keywords["reduction"] = "sum"
        with np.errstate(all="ignore"):  # formulas know how to meet overflow and its kin
            return self._evaluate(arrays, keywords, value=True, gradient=False, partial=True)[0]

    def _options(self):
        """The keyword arguments beside the parameters, but for those that this loss has values of its own for."""
        return [name for name in self._every_option() if name not in self._baked]

    def _every_option(self):
        """The keyword arguments beside the parameters."""
        names = ["reduction", "weight", "backend"]
        if self._by_class:
            names += ["class_weight", "ignore_index"]
        return names + {"pointwise": [], "overlap": ["axis", "batch"]}.get(self.shape, ["axis"])

    def _evaluate(self, arrays, keywords, value, gradient, out=None, partial=False, totals=None):
        """(value, gradient), or (Partial, gradient); `totals` are those of whole images, where known (`_totals`)."""
        keywords = {**self._baked, **keywords}
        if backends.is_dask(*arrays, *keywords.values(), out):
            from lossbook.backends import dask

            return dask.evaluate(self, arrays, keywords, value, gradient, out, partial)
        backend, call, slope, setting = self._prepare(arrays, keywords, gradient, out)
        if call.overlap:
            result = self._overlap(backend, call, value, partial, *setting, totals)
        else:
            reduction, _, flags, parameters = setting
            result = self._summed(backend, call, reduction, value, partial, flags, parameters)
        return result, slope

    def _prepare(self, arrays, keywords, gradient=False, out=None):
        """(backend, call, array for the gradient, (reduction, batch, flags, parameters)), all checked but values."""
        if len(arrays) != len(self._arrays):
            self._check_names(arrays, keywords)
        reduction = check_reduction(self.name, keywords.pop("reduction", "mean"))
        weight, name = keywords.pop("weight", None), keywords.pop("backend", None)
        class_weight = ignore = None
        axis, batch = None, False
        if self._by_class:
            class_weight, ignore = keywords.pop("class_weight", None), keywords.pop("ignore_index", None)
        if self.shape != "pointwise":
            axis = keywords.pop("axis", self._axis)
        if self.shape == "overlap":
            batch = keywords.pop("batch", False)
            if not isinstance(batch, (bool, np.bool_)):
                raise DomainError(self.name, "batch", "must be True or False", batch)
        flags, parameters = self._settings(keywords)

        kinds = (*arrays, weight, None if type(class_weight) is tuple else class_weight, out)
        backend = backends.choose(self.name, name, kinds)
        xp = backend.xp
        z = self._prediction(arrays[0], xp, target=arrays[-1])
        call = self._lay_out(z, arrays[-1], xp, WORKING[z.dtype.newbyteorder("=")], axis)
        real = call.real
        call.plan = self._plan(flags, parameters, call.integer)
        if call.plan.wide:
            call.real = real = np.float64
        call.parameters = tuple(self._rounded(name, parameters[name], real) for name in self._parameters)
        if weight is not None:
            call.weight = self._weight(weight, call, xp)
        if class_weight is not None:
            weights = self._class_weight(class_weight, call, xp)
            call.class_weight = None if bool((weights == 1).all()) else weights  # weights of one change not a bit
        if ignore is not None:
            call.ignore = self._ignore(ignore, call)
            if call.mask:
                call.leave_out(call.ignore)
                call.ignore = None
        slope = None
        if gradient:
            slope = self._out(out, z, (*arrays, weight, class_weight), xp)
            call.gradient = call.moved(np.asarray(slope) if xp is np else slope)  # a subclass has its own ways
        if batch and call.item_weights:
            raise ShapeError(self.name, "weight", "must be one per pixel with batch=True", said="one per image")
        return backend, call, slope, (reduction, batch, flags, parameters)

    def _rounded(self, name, value, real):
        """A parameter in the working type, where its rule must hold as well."""
        if value == 0 or SMALLEST[real] <= value <= LARGEST[real]:
            return real(value)
        with quiet():
            number = real(value)
        if not self._arguments[name].holds(float(number)):
            rule = f"must be {self._arguments[name].rule}, also in {np.dtype(real)}"
            raise DomainError(self.name, name, rule, value)
        return number

    def _count(self, backend, call):
        """sum(w) over the elements or rows, by which a mean divides."""
        return call.total_weight(backend)

    def _partial(self, flags, parameters, call, sums, finisher=None, **more):
        """The Partial of a call, with all that it must have in common with others."""
        setting = {**flags, **parameters, **more}
        if call.class_weight is not None:
            setting["class_weight"] = tuple(call.to_host(call.class_weight).tolist())
        setting = (("formula", self._fingerprint(flags)), *sorted(setting.items()))
        return Partial(self.name, setting, sums, finisher, self._baked.get("reduction"))

    def _summed(self, backend, call, reduction, value, partial, flags, parameters):
        """Losses of elements and of rows: everything follows from sum(w*l) and sum(w)."""
        count = self._count(backend, call) if partial or reduction == "mean" else None
        if call.gradient is not None and reduction == "mean":
            call.scale = 1.0 / count if count else 0.0
        if value and reduction == "none":
            call.values = call.xp.empty(call.layout.without_classes, call.z.dtype)
        sums = backend.run(call.plan, call)
        if sums[-1]:
            call.explain()
            return self._summed(backend, call, reduction, value, partial, flags, parameters)
        if call.gradient is not None and reduction == "mean" and count == 0:
            call.gradient[...] = 0  # nothing to average: even a NaN has no say
        if partial:
            return self._partial(flags, parameters, call, np.array([sums[0], count]))
        if not value:
            return None
        if reduction == "none":
            return call.values
        return call.number(reduced(sums[0], count, reduction))

    def _totals(self, backend, call, each):
        """Losses of totals: those of each image and class and, last, 1 where a pixel is left, shape (images, classes,
        totals + 1). What is wrong in images and classes of weight 0 is no error.
        """
        call.removed = each == 0
        sums = backend.run(call.plan, call)
        if np.any((sums[..., -1] != 0) & ~call.removed):
            call.explain()
            sums = backend.run(call.plan, call)
        sums[..., -1] = call.left()
        return sums

    def _overlap(self, backend, call, value, partial, reduction, batch, flags, parameters, totals):
        """Losses of totals: sums per image and class, then the finish, then the gradient from its slopes."""
        gradient, call.gradient = call.gradient, None
        each = call.image_weights()
        if totals is None:
            totals = self._totals(backend, call, each)
            if batch:
                totals = totals.sum(axis=0, keepdims=True)
        finish = Finish(self, tuple(flags.items()), tuple(parameters.items()), each)
        if partial:
            sums = (totals, finish) if batch else (finish.sums(totals), None)
            return self._partial(flags, parameters, call, *sums, batch=batch)
        losses, slopes, weights = finish.losses(totals)
        total, count = finish.sums_of(losses, weights)
        if gradient is not None:
            with np.errstate(all="ignore"):  # what is too large for the working type is infinite
                scale = weights if reduction != "mean" else weights / count if count else 0 * weights
                slopes = np.where(weights[..., None] == 0, 0, slopes * scale[..., None]).astype(call.real)
            call.gradient = gradient
            call.slopes = call.xp.asarray(np.broadcast_to(slopes, (call.layout.three[0], *slopes.shape[1:])))
            backend.run(call.plan, call)
            removed = each == 0
            if removed.any():  # 0 times a NaN is NaN
                removed = np.broadcast_to(removed, call.layout.three[:2])
                if call.plan.row:  # under a softmax the logits of a class count in all classes of the image
                    removed = np.broadcast_to(removed.all(axis=1, keepdims=True), removed.shape)
                gradient[call.xp.asarray(removed)] = 0
        if not value:
            return None
        if reduction == "none":
            with np.errstate(over="ignore"):
                return call.xp.asarray((losses[0] if batch else losses).astype(call.z.dtype))
        return call.number(reduced(total, count, reduction))

    # --- composition --------------------------------------------------------------------------------------------------

    def __mul__(self, coefficient: Number) -> "Loss":
        """`0.3*loss`: the loss times a number, which other losses can be added to."""
        from lossbook.compose import Sum

        if not isinstance(coefficient, (numbers.Number, np.bool_)):
            return NotImplemented
        return Sum([(self._number(coefficient), self)])

    __rmul__ = __mul__

    def __truediv__(self, number: Number) -> "Loss":
        """`loss/2`: the loss times 1/2."""
        if not isinstance(number, (numbers.Number, np.bool_)):
            return NotImplemented
        return self * (1 / self._number(number))

    def _number(self, coefficient):
        """A coefficient as a float."""
        if isinstance(coefficient, (bool, np.bool_)) or not isinstance(coefficient, numbers.Real):
            raise TypeError(f"{self.name}: a coefficient must be a real number; got {shown(coefficient)}")
        try:
            value = float(coefficient)
        except OverflowError:
            value = np.inf
        if not abs(value) < np.inf:
            raise DomainError(self.name, "a coefficient", "must be finite, as a float64", coefficient)
        return value

    def __neg__(self) -> "Loss":
        """`-loss`: the loss times -1."""
        return self * -1

    def __sub__(self, other: "Loss") -> "Loss":
        """`loss - loss`: the difference of losses of the same prediction and target."""
        return self + -other if isinstance(other, Loss) else NotImplemented

    def __radd__(self, other: int) -> Self:
        """So that `sum(losses)` works, which starts from 0."""
        return self if type(other) is int and other == 0 else NotImplemented

    def __add__(self, other: "Loss") -> "Loss":
        """`loss + loss`: the sum of losses of the same prediction and target."""
        from lossbook.compose import Sum

        return Sum([(1.0, self), (1.0, other)]) if isinstance(other, Loss) else NotImplemented

    def _identity(self):
        """What equal losses have in common, and can be hashed."""
        return type(self), self.name, self.__module__, tuple(self._defaults.items()), tuple(self._baked.items())

    def __eq__(self, other):
        """Losses are equal that have the same formula, defaults and options, as unpickled copies do."""
        if self is other or not isinstance(other, Loss):
            return self is other or NotImplemented
        return self._identity() == other._identity() and self._same_formula(other)

    def _same_formula(self, other):
        if self._arguments != other._arguments:
            return False
        if self._forms is other._forms:
            return True
        settings = itertools.product((False, True), repeat=len(self._flags))
        flags = [dict(zip(self._flags, setting, strict=True)) for setting in settings]
        return all(self._fingerprint(setting) == other._fingerprint(setting) for setting in flags)

    def __hash__(self):
        return hash(self._identity())

    def on_logits(self, activation: Literal["sigmoid", "softmax"]) -> "Loss":
        """This loss of probabilities as a loss of logits: "sigmoid", or "softmax" over the class axis."""
        from lossbook.activations import put_on_logits

        return put_on_logits(self, activation)

    def __repr__(self):
        return f"<loss {self._plain_name or self.name}{self.signature}>"

    def __copy__(self):
        """The loss itself, which never changes."""
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        """By address in a module. A loss without one, of a notebook, a script or a function, is its own function:
        that is by value for cloudpickle, and an error that names the function for pickle.
        """
        found = _known(self._function)
        if found is None or self.__module__ == "__main__":
            return _declared, (self._function, self.reference, self.properties, {**self._defaults, **self._baked})
        if found is self:
            return _find, (self.__module__, self.__qualname__)
        return _changed, (found, {**self._defaults, **self._baked})


def _exactly(default):
    """A default as the number that it was written as, for a formula; switches stay switches."""
    return default if isinstance(default, bool) else sympy.nsimplify(default, rational=True)


def slopes(formula, symbols):
    """The slope along a symbol, or a tuple of the slopes along several."""
    found = [sympy.diff(formula, symbol) for symbol in symbols]
    return found[0] if len(found) == 1 else sympy.Tuple(*found)


def _fits(number):
    """Whether a SymPy number is one in float64, too: finite, and 0 only if it is 0."""
    try:
        value = float(number)
    except OverflowError:
        return False
    return np.isfinite(value) and (value != 0 or number == 0)


def _in_words(expression):
    """SymPy's own powers, magnitudes, signs and extremes as words, whose slopes are words again."""
    if not isinstance(expression, sympy.Basic):
        return expression
    expression = expression.replace(sympy.Abs, words.magnitude).replace(sympy.sign, words.sign)
    expression = expression.replace(sympy.Max, lambda *parts: reduce(words.larger, parts))
    expression = expression.replace(sympy.Min, lambda *parts: reduce(words.smaller, parts))
    return expression.replace(lambda e: e.is_Pow and not e.exp.is_number, lambda e: _power(*e.args))


def _power(base, exponent):
    """base**exponent as a word: of 1 + x, x itself has the digits that a large exponent would miss."""
    constant, rest = base.as_coeff_Add()
    return words.power1p(rest, exponent) if constant == 1 and rest != 0 else words.power(base, exponent)


@dataclass(frozen=True)
class Finish:
    """The end of a loss of totals: from what `_totals` gives to [sum(w*l), sum(w)]."""

    loss: Loss
    flags: tuple
    parameters: tuple
    each: np.ndarray  # the weight of each image and class, or of each class of all images

    def losses(self, totals):
        """(weighted losses, slopes along the totals, weights) of each image and class.

        The weight of an image and class of which no pixel is left is 0.
        """
        from lossbook.backends.numpy import finish

        plan = self.loss._plan(dict(self.flags), dict(self.parameters), integer=False)
        weights = np.where(totals[..., -1] > 0, self.each, 0.0)
        with np.errstate(all="ignore"):
            columns = [totals[..., j] for j in range(totals.shape[-1] - 1)]
            losses, along = finish(plan)(*columns, *dict(self.parameters).values())
            losses = np.where(weights == 0, 0, losses * weights)
        slopes = np.empty((*losses.shape, len(along)))
        for j, slope in enumerate(along):
            slopes[..., j] = slope
        return losses, slopes, weights

    def sums(self, totals):
        """[sum(w*l), sum(w)]"""
        losses, _, weights = self.losses(totals)
        return self.sums_of(losses, weights)

    @staticmethod
    def sums_of(losses, weights):
        """[sum(w*l), sum(w)], to the bit as if what has no weight were not there."""
        live = weights != 0
        return np.array([np.sum(losses[live]), np.sum(weights[live])])

    def __call__(self, totals, reduction):
        return reduced(*self.sums(totals), reduction)


def check_reduction(name, reduction):
    """The reduction, if it is one."""
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        take_option(name, "reduction", reduction, REDUCTIONS, REDUCTIONS_ELSEWHERE)
    return reduction


def kept_option(loss, name, value):
    """An option that a loss is to have of its own, checked as far as it can be without arrays, and unchangeable."""
    if name == "reduction":
        return check_reduction(loss.name, value)
    if value is None and name in ("backend", "class_weight", "ignore_index"):
        return None
    if name == "backend":
        return backends.check(value, loss.name)
    if name == "batch":
        if not isinstance(value, (bool, np.bool_)):
            raise DomainError(loss.name, "batch", "must be True or False", value)
        return bool(value)
    if name == "class_weight":
        on_host = value.get() if backends.is_cupy(value) else value
        return tuple(map(float, loss._one_per_class(on_host, "C", np)))
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise DomainError(loss.name, name, "must be an integer", value)
    return int(value)


def _brief(value):
    """An option in a name: of many class weights the first and the last."""
    if not isinstance(value, tuple):
        return repr(value)
    shown = [f"{number:g}" for number in value]
    return f"[{', '.join(shown if len(shown) <= 8 else [*shown[:3], '...', shown[-1]])}]"


def _changed(loss, settings):
    return loss if {**loss._defaults, **loss._baked} == settings else loss.with_parameters(**settings)


def _find(module, name):
    """A loss by its address, so that losses pickle."""
    __import__(module)
    return attrgetter(name)(sys.modules[module])


def _known(function):
    """The loss of a function at its address in this process, or None."""
    try:
        found = _find(function.__module__, function.__qualname__.removesuffix(FORMULA))
    except (ImportError, AttributeError):
        return None
    return found if isinstance(found, Loss) and found._function is function else None


def _declared(function, reference, properties, defaults):
    """The loss of a function: that of this process, or one declared anew where there is none."""
    return _changed(_known(function) or Loss(function, reference, properties), defaults)
