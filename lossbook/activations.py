"""Losses of probabilities put on logits: the activation goes into the formula, so that no digit is lost.

    binary.cross_entropy.on_logits("sigmoid")       is binary.cross_entropy_with_logits
    segmentation.dice.on_logits("softmax")          one kernel: the softmax of a pixel, then its part of the sums

A probability p is sigmoid(x), where x is the logit itself, or under a softmax the margin of the class over all others.
With that, log(p) is -softplus(-x), 1 - p is sigmoid(-x), and nothing is rounded to 1 on the way.
"""

import numbers
import sys
from dataclasses import replace
from functools import cached_property

import numpy as np
import sympy

from lossbook import backends, words
from lossbook.arguments import ONE_CHANNEL, TWO_CLASSES, WORKING
from lossbook.compose import Composed, Joined, Sum, SumOnLogits
from lossbook.documentation import Shown
from lossbook.domains import Logit
from lossbook.errors import DomainError, ShapeError, shown
from lossbook.loss import Loss, _exactly

ACTIVATIONS = ("sigmoid", "softmax")


def put_on_logits(part, activation):
    """The loss `part` of probabilities as a loss of logits."""
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise DomainError(f"{part.name}.on_logits", "activation", "must be 'sigmoid' or 'softmax'", activation)
    prediction = part._arrays[0]
    if part._arguments[prediction].name != "Probability":
        raise TypeError(f"{part.name}.on_logits: needs a loss of probabilities; {prediction} is not one")
    if isinstance(part, Joined):
        raise TypeError(f"{part.name}.on_logits: needs a loss of one prediction; use {part.name}_with_logits instead")
    if activation == "softmax" and part.shape == "pointwise":
        raise TypeError(f"{part.name}.on_logits: softmax needs a loss with a class axis, which this is not")
    if isinstance(part, Sum):
        return SumOnLogits(part, activation)
    return (DistanceOnLogits if part.shape == "distance" else OnLogits)(part, activation)


# --- formulas --------------------------------------------------------------------------------------------------------


def of_logit(expression, p, x, in_totals=False):
    """An expression of the probability p as one of x, for p = sigmoid(x).

    Differences y - p become `residual_of_logit`, which is exact also where p is nearly y; `in_totals`, where many of
    them are added up, the two products of which each is exact.
    """
    if not expression.has(p):
        return expression
    if expression == p:
        return words.sigmoid(x)
    if expression.is_Add:
        slope = expression.coeff(p, 1)
        rest = expression - slope * p
        if slope.is_number and slope != 0 and not rest.has(p):
            ratio = rest / slope
            if ratio == -1:
                return -slope * words.sigmoid(-x)
            if ratio.could_extract_minus_sign():
                return -slope * _residual(-ratio, x, in_totals)
    parts = [of_logit(part, p, x, in_totals) for part in expression.args]
    return _in_softplus(expression.func, parts)


def _residual(y, x, in_totals):
    if in_totals:
        return y * words.sigmoid(-x) - (1 - y) * words.sigmoid(x)
    return words.residual_of_logit(y, x)


def _in_softplus(function, parts):
    """function(*parts), in the word that is exact for a sigmoid where there is one."""
    first = parts[0]
    if function is sympy.log and isinstance(first, words.sigmoid):
        return -words.softplus(-first.args[0])
    if function is words.log1p and isinstance(-first, words.sigmoid):
        return -words.softplus((-first).args[0])
    if function is words.power and isinstance(first, words.sigmoid):
        return words.sigmoid_power(first.args[0], parts[1])
    if function is words.power1p and isinstance(-first, words.sigmoid):
        return words.sigmoid_power(-(-first).args[0], parts[1])
    if function is words.xlogy and isinstance(parts[1], words.sigmoid):
        return -first * words.softplus(-parts[1].args[0])
    if function is words.relative_entropy and isinstance(parts[1], words.sigmoid):
        return words.relative_entropy_of_logit(first, parts[1].args[0], parts[2])
    return function(*parts)


def form_on_logits(form, activation, logit):
    """The form of a loss of probabilities as that of a loss of the symbol `logit`."""
    p, in_totals = form.prediction, form.shape == "overlap"
    x = words.margin(logit) if activation == "softmax" else logit
    steps, inlined = [], {}
    for symbol, value in form.steps:
        value = of_logit(value.xreplace(inlined), p, x, in_totals)
        if isinstance(value, words.sigmoid):  # its name would hide from the words what it is
            inlined[symbol] = value
        else:
            steps.append((symbol, value))
    domains = {logit if symbol == p else symbol: Logit if symbol == p else d for symbol, d in form.domains.items()}
    return replace(
        form,
        prediction=logit,
        domains=domains,
        steps=tuple(steps),
        expression=of_logit(form.expression.xreplace(inlined), p, x, in_totals),
    )


# --- losses ----------------------------------------------------------------------------------------------------------


class OnLogits(Loss):
    """A loss of probabilities with the sigmoid, or the softmax over the class axis, in its formula."""

    __doc__ = Shown(lambda self: self._document(self._text) + self._document_options(), __doc__)
    __wrapped__ = Shown(lambda self: self.part.__wrapped__)

    def __init__(self, part, activation):
        self.part, self.activation = part, activation
        self.name = self.__name__ = self.__qualname__ = f"{part.name}.on_logits({activation!r})"
        self.__module__ = part.__module__
        self.reference, self.properties = part.reference, {}
        _, *others = part._arrays
        self._logit = "z" if "z" not in (*others, *part._defaults) else "logits"
        self._arguments = {self._logit: Logit} | {name: part._arguments[name] for name in (*others, *part._defaults)}
        self._defaults = dict(part._defaults)
        self._arrays, self._target = [self._logit, *others], part._target
        self._flags, self._by_class = part._flags, part._by_class
        self._forms, self._plans, self._fingerprints = {}, {}, {}
        self._baked = part._baked

    @property
    def _text(self):
        z = self._logit
        return f"{self.part.summary}\n\nTakes logits {z} and is {self.part.name} of {self.activation}({z})."

    # --- the formula ---

    def _form(self, flags):
        """The form of the part, in words of the logit."""
        key = tuple(flags.get(name, self._defaults[name]) for name in self._flags)
        form = self._forms.get(key)
        if form is None:
            logit = sympy.Symbol(self._logit, real=True)
            form = self._forms[key] = form_on_logits(self.part._form(flags), self.activation, logit)
        return form

    @cached_property
    def _twin(self):
        """The loss of logits of the same name and formula, if there is one: then both have one kernel."""
        module = sys.modules.get(self.part.__module__)
        twin = getattr(module, f"{self.part.__name__}_with_logits", None)
        if not isinstance(twin, Loss) or twin._flags != self._flags or self.part.__module__ != twin.__module__:
            return None
        extra = [symbol for symbol in twin._form({}).parameters if symbol.name not in self._defaults]
        fixed = {symbol: _exactly(twin._defaults[symbol.name]) for symbol in extra}
        same = twin._arrays == self._arrays and twin.formula.subs(fixed) == self._form({}).formula
        return twin if same else None

    @property
    def _parameters(self):
        """The parameters of the kernel."""
        return (self._twin or self.part)._parameters

    @property
    def _of_softmax_in_totals(self):
        return self.activation == "softmax" and self.shape == "overlap"

    @property
    def formula(self):
        """The loss in words of the logit; a loss of totals shows the softmax, where its kernel has the margin."""
        formula = self._form({}).formula
        if self._of_softmax_in_totals:
            z = self._form({}).prediction
            u = words.margin(z)
            formula = formula.xreplace({words.sigmoid(u): words.softmax(z), words.sigmoid(-u): 1 - words.softmax(z)})
        return formula

    @property
    def gradient(self):
        """The slope along the logit, by the chain rule."""
        if not self._of_softmax_in_totals:
            return super().gradient
        p = words.softmax(self._form({}).prediction)
        slope = self.part.gradient.xreplace({self.part._form({}).prediction: p})
        return p * (slope - words.across(p * slope))

    def of(self, *arrays, **parameters):
        """The formula for other symbols, in another declaration."""
        return self.formula_of(*arrays, **parameters)

    def with_parameters(self, **given):
        """This loss of a part that has these parameters and options."""
        return OnLogits(self.part.with_parameters(**given), self.activation)

    # --- kernels and calls ---

    def _settings(self, given):
        flags, values = super()._settings(given)
        if self._twin is not None:
            values |= {name: self._twin._defaults[name] for name in self._parameters if name not in values}
        return flags, values

    def _plan(self, flags, parameters, integer):
        if self._twin is not None:
            return self._twin._plan(flags, parameters, integer)
        return super()._plan(flags, parameters, integer)

    @property
    def _kernel_name(self):
        return f"{self.part._kernel_name}_of_{self.activation}"

    def _identity(self):
        return self.__reduce__()

    def _same_formula(self, other):
        """Parts that are equal have equal formulas."""
        return True

    def __reduce__(self):
        return OnLogits, (self.part, self.activation)


# --- losses of distances ---------------------------------------------------------------------------------------------


class DistanceOnLogits(Composed):
    """A loss of distances on logits: that of the activated array, since its masks are made of the probabilities.

    The gradient follows by the chain rule in one more pass.
    """

    __wrapped__ = Shown(lambda self: self.part.__wrapped__)

    def __init__(self, part, activation):
        self.part, self.activation = part, activation
        _, *others = part._arrays
        arguments = {"z": Logit} | {name: part._arguments[name] for name in (*others, *part._defaults)}
        text = f"{part.summary}\n\nTakes logits z and is {part.name} of {activation}(z)."
        name = f"{part.name}.on_logits({activation!r})"
        super().__init__(name, arguments, dict(part._defaults), part._options(), text, part.reference)

    @cached_property
    def shape(self):
        return self.part.shape

    @cached_property
    def _axis(self):
        return self.part._axis

    @cached_property
    def _symbols(self):
        return (sympy.Symbol("z", real=True),), self.part._symbols[1]

    @cached_property
    def _activated(self):
        (z,) = self._symbols[0]
        return z, words.sigmoid(z) if self.activation == "sigmoid" else words.softmax(z)

    @cached_property
    def formula(self):
        return self._of_activated(self.part.formula)

    def _of_activated(self, expression):
        return expression.subs(*self.part._symbols[0], self._activated[1])

    @property
    def gradient(self):
        z, p = self._activated
        slope = self._of_activated(self.part.gradient)
        if self.activation == "sigmoid":
            return slope * p.diff(z)
        return p * (slope - words.across(p * slope))

    def source(self, backend="numpy", dtype="float32", **parameters):
        """The kernel of the loss of probabilities; the activation goes before it, the chain rule after it."""
        return self.part.source(backend, dtype, **parameters)

    def _evaluate(self, arrays, keywords, value, gradient, out=None, partial=False):
        options = [keywords.get(name) for name in ("weight", "class_weight")]
        if len(arrays) != len(self._arrays):
            self._check_names(arrays, keywords)
        if backends.is_dask(*arrays, *options, out):
            from lossbook.backends import dask

            return dask.on_logits(self, arrays, keywords, value, gradient, out, partial)
        xp = backends.choose(self.name, keywords.get("backend"), (*arrays, *options, out)).xp
        axis = keywords.get("axis", self._axis)
        z = self._check_logits(arrays[0], axis, xp)
        p, rest = _activate(xp, self.activation, z.astype(WORKING[z.dtype.newbyteorder("=")]), axis)
        if gradient:
            slope = self._out(out, z, (*arrays, *options), xp)
        result, g = self._of_part((p, *arrays[1:]), keywords, value, gradient, partial)
        with np.errstate(over="ignore"):  # what is too large for float16 is infinite
            if value and not partial and result.dtype != z.dtype:
                result = result.astype(z.dtype)
            if not gradient:
                return result, None
            slope[...] = _chain(xp, self.activation, p, rest, g, axis)
        return result, slope

    def _check_logits(self, array, axis, xp):
        """The logits as an array, if they are right in dtype and have the class axis."""
        z = self._prediction(array, xp)
        if self.activation == "softmax":
            is_number = isinstance(axis, numbers.Integral) and not isinstance(axis, bool)
            if not is_number or not -z.ndim <= axis < z.ndim:
                raise ShapeError(self.name, "z", f"must have a class axis {shown(axis)}", said=f"shape {z.shape}")
            if z.shape[axis] == 0:
                raise ShapeError(self.name, "z", "must have at least one class", said=f"shape {z.shape}")
            if z.shape[axis] == 1:
                raise ShapeError(self.name, "z", TWO_CLASSES, said=f"shape {z.shape}", hint=ONE_CHANNEL)
        return z

    def _of_part(self, arrays, keywords, value, gradient, partial):
        """(value, gradient) of the loss of probabilities, whose errors speak of this loss and its logits."""
        try:
            return self.part._evaluate(arrays, dict(keywords), value, gradient, None, partial)
        except (DomainError, ShapeError) as error:
            if error.argument == self.part._arrays[0]:
                error = error.renamed(self.name, "z")
            raise error from None

    def __reduce__(self):
        return DistanceOnLogits, (self.part, self.activation)


def _activate(xp, activation, z, axis):
    """(probabilities, their complements), the complements only for the sigmoid; infinite logits give the limit."""
    with np.errstate(all="ignore"):
        if activation == "sigmoid":
            decay = xp.exp(-abs(z))
            small, large = decay / (1 + decay), 1 / (1 + decay)
            return xp.where(z < 0, small, large), xp.where(z < 0, large, small)
        top = z.max(axis=axis, keepdims=True)
        odds = xp.exp(xp.where(z == top, 0, z - top))
        odds /= odds.sum(axis=axis, keepdims=True)
        return odds, None


def _chain(xp, activation, p, rest, g, axis):
    """The slope along the logits, from g, that along their probabilities: 0 where g is, even of a NaN (of weight 0)."""
    with np.errstate(all="ignore"):
        g = xp.where((p == 0) | (g == 0), 0, p * g)
        if activation == "sigmoid":
            return xp.where((rest == 0) | (g == 0), 0, g * rest)
        total = g.sum(axis=axis, keepdims=True)
        return g - xp.where(total == 0, 0, p * total)
