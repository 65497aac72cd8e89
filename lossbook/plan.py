"""From a formula to the steps of a kernel: forward, totals, finish, slopes, backward. No backend in it.

A plan is what every backend prints in its own language. Four shapes cover the book:

- pointwise: one value per element; its sum is the only total.
- rows: a sum over the classes of a row, `across(f(y, u))`. A kernel needs only the scalar function f and its slope
  in u; the rest of the row is the same for all such losses. u is the margin of the class over all the others, its
  lead over the largest or over the largest of the others, or simply the prediction for that class (`row` = "margin",
  "lead", "lead_over_others" or "entry"). Beside a sum of margins, or alone, may stand a function of the row's
  logsumexp (`of_row`): it is added once per row, and its slope is shared among the classes as their softmax.
- boxes: one value per box; a function of its four corners and of those of the true box.
- overlap: a function (`finish`) of totals over the pixels of each image and class. Under a softmax (`row` = "margin")
  a pixel enters the totals of a class by the class's margin, its probability and that of all others together.

Gradients are reverse accumulation over the named steps: one line per step, last step first.
Expressions are never simplified here, since rewriting turns stable forms into unstable ones.
"""

import keyword
import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from string import Template

import sympy

from lossbook import words
from lossbook.domains import Domain, Exponent, NonNegative, Positive

Line = tuple[str, sympy.Expr]


class weighted(words.Word):
    """w*x for a bounded w, and 0 where w is 0 however large x is: an infinite logit gives the limit; NaN stays NaN."""

    nargs = 2


class quotient(words.Word):
    """a/b for a bounded a, and 0 where both are 0."""

    nargs = 2


class weighted_quotient(words.Word):
    """w*(a/b) for bounded w and an input a of the call: tiny a and b do not vanish in a product before they divide."""

    nargs = 3


class weighted_softplus(words.Word):
    """w*softplus(x) for a w that may be so large that the product is a normal number where softplus(x) is not."""

    nargs = 2


class weighted_sigmoid(words.Word):
    """The same of sigmoid(x)."""

    nargs = 2


class weighted_sigmoid_power(words.Word):
    """The same of sigmoid(x)**k."""

    nargs = 3


# Factors that vanish far out, and what they become beside a factor that may bring them back.
VANISHING = {
    words.softplus: weighted_softplus,
    words.sigmoid: weighted_sigmoid,
    words.sigmoid_power: weighted_sigmoid_power,
}


@dataclass(frozen=True)
class Form:
    """A formula as declared: its symbols with their domains, named steps, and the expression that ends it."""

    prediction: sympy.Symbol | tuple[sympy.Symbol, ...]  # several for a vector, such as a box
    target: sympy.Symbol | tuple[sympy.Symbol, ...] | None
    parameters: tuple[sympy.Symbol, ...]
    domains: dict[sympy.Symbol, Domain]
    steps: tuple[tuple[sympy.Symbol, sympy.Expr], ...]
    expression: sympy.Expr

    def __hash__(self):
        return hash((self.prediction, self.target, self.parameters, self.steps, self.expression))

    @property
    def predictions(self):
        return self.prediction if isinstance(self.prediction, tuple) else (self.prediction,)

    @property
    def arrays(self):
        """All symbols of the prediction, then those of the target."""
        target = () if self.target is None else self.target if isinstance(self.target, tuple) else (self.target,)
        return (*self.predictions, *target)

    @cached_property
    def shape(self):
        if isinstance(self.prediction, tuple):
            return "boxes"
        is_row = self.has(words.across, words.logsumexp)
        return "overlap" if self.has(words.total) else "rows" if is_row else "pointwise"

    def has(self, *patterns):
        """Whether a pattern occurs in a step or in the expression; the formula may be too deep to look through."""
        return any(value.has(*patterns) for value in (self.expression, *(value for _, value in self.steps)))

    @cached_property
    def formula(self):
        """One expression, with the named steps put back in."""
        expression = self.expression
        for symbol, value in reversed(self.steps):
            expression = expression.subs(symbol, value)
        return expression

    @cached_property
    def lifting(self):
        """The parameters that may be so large as to bring back what vanishes far out."""
        if not self.has(*VANISHING):
            return frozenset()
        return frozenset(p for p in self.parameters if self.domains[p] in (NonNegative, Positive))

    @cached_property
    def exponents(self):
        """The parameters that are exponents: of a margin, a large one would magnify what it has lost by rounding."""
        return frozenset(p for p in self.parameters if self.domains[p] is Exponent)

    @cached_property
    def hard_when_zero(self):
        """The parameters that must be 0 for a class index to need only its own class; None if that never holds."""
        term = self.formula.args[0] if self.formula.func is words.across else None
        if term is None:
            return None
        off_target = term.subs(self.target, 0)
        if off_target == 0:
            return frozenset()
        names = frozenset(p for p in self.parameters if off_target.has(p))
        return names if off_target.subs(dict.fromkeys(names, 0)) == 0 else None


@dataclass(frozen=True, eq=False)
class Plan:
    """What a kernel computes, in order. Names are text, expressions are SymPy."""

    name: str
    shape: str
    row: str  # rows, and totals under a softmax: what the function of one class is a function of
    arrays: tuple[str, ...]  # of the call, prediction first
    inputs: tuple[str, ...]  # of the formula of one element: the arrays, the corners of a box, or what a softmax gives
    parameters: tuple[str, ...]
    checks: tuple[tuple[str, Domain], ...]  # arrays whose values must obey a rule
    forward: tuple[Line, ...]
    terms: tuple[Line, ...]  # what each element (row) adds to the totals
    backward: tuple[Line, ...]  # the last line is the slope along `wrt`
    wrt: tuple[str, ...]  # the prediction, the margin of a row, the corners of a box
    finish: sympy.Expr | None = None
    slopes: tuple[Line, ...] = ()
    of_row: tuple[Line, ...] = ()  # rows: what is added once per row, and its slope along the logsumexp of the row
    hard: bool = False  # rows: only the labeled class enters
    wide: bool = False  # float32 is computed in float64: what its numbers lose by rounding, the formula would magnify
    said: dict[str, str] = field(default_factory=dict)  # names that had to change in kernels -> as the user wrote them

    @property
    def prediction(self):
        return self.arrays[0]

    @property
    def unsigned(self):
        """The inputs of `element`, never negative, of which a function or a division sees whether a zero is -0.0."""
        rows = self.shape == "rows"
        names = {name: "u" if rows and name == self.prediction else name for name, d in self.checks if d.low == 0}
        if rows and self.row != "entry":
            names.pop(self.prediction, None)
        if self.hard:
            names.pop(self.arrays[1], None)
        seen = set()
        for _, value in (*self.forward, *self.terms, *self.backward):
            for part in value.atoms(sympy.Function, sympy.Pow):
                harmless = part.func is weighted if part.is_Function else part.exp.is_Integer and part.exp > 0
                if not harmless:
                    seen.update(symbol.name for symbol in part.free_symbols)
        return tuple(name for name in names.values() if name in seen)

    @property
    def gradients(self):
        """The names of the slopes."""
        return tuple(f"d_{name}" for name in self.wrt)

    @property
    def gradient(self):
        (name,) = self.gradients
        return name


@cache
def reserved():
    """The names that kernels use themselves, in any backend, and the keywords of their languages."""
    from lossbook.backends import cupy, numba

    texts = [v.template if isinstance(v, Template) else v for v in vars(cupy).values()]
    text = "\n".join(text for text in texts if isinstance(text, str) and text.count("\n") > 3)
    text = re.sub(r"#.*|//.*|\$\w+|\"\"\".*?\"\"\"", "", text)
    numpy = {"Logistic", "backward", "element", "finish", "value", "values", "gradient", "total", "u", "C", "index"}
    numpy |= {NO_TARGET, str(OF_ROW)}
    cpp = (
        "alignas alignof and and_eq asm auto bitand bitor bool case catch char class compl concept const "
        "constexpr const_cast default delete do double dynamic_cast enum explicit export extern false float "
        "friend goto inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq "
        "private protected public register reinterpret_cast requires short signed sizeof static static_assert "
        "static_cast struct switch template this thread_local throw true try typedef typeid typename union "
        "unsigned using virtual void volatile wchar_t while xor xor_eq"
    )
    names = {*re.findall(r"[A-Za-z_]\w*", text), *numba.reserved(), *numpy}
    return {*names, *words.SPELLED, *keyword.kwlist, *cpp.split()} - ORDINARY


ORDINARY = {"x", "z", "y", "p", "q"}  # predictions and targets: kernels use these names for nothing else


def renamed(form):
    """The form with an underscore at every name that kernels need for themselves, and what was renamed."""
    symbols = {*form.arrays, *form.parameters, *(symbol for symbol, _ in form.steps)}
    kept = {symbol.name for symbol in symbols}
    new = {}
    for symbol in sorted(symbols, key=str):
        made = re.match(r"(d|at|sum|total)_", symbol.name)  # kernels make names that begin so from other names
        hidden = symbol.name == "z" and form.shape == "rows" and symbol != form.prediction  # z is the logit of a row
        if made or hidden or symbol.name in reserved() or not symbol.name.isascii():
            ascii_name = re.sub(r"[^\x00-\x7f]", lambda sign: f"u{ord(sign[0]):x}", symbol.name)  # as CUDA wants it
            name = f"_{ascii_name}" if made else f"{ascii_name}_"
            while name in kept or name in reserved():
                name += "_"
            kept.add(name)
            new[symbol] = symbol.func(name, **symbol.assumptions0)
    if not new:
        return form, {}

    def change(expression):
        return expression.xreplace(new)

    changed = Form(
        tuple(map(change, form.prediction)) if isinstance(form.prediction, tuple) else change(form.prediction),
        form.target if form.target is None or isinstance(form.target, tuple) else change(form.target),
        tuple(map(change, form.parameters)),
        {new.get(symbol, symbol): domain for symbol, domain in form.domains.items()},
        tuple((change(symbol), change(value)) for symbol, value in form.steps),
        change(form.expression),
    )
    return changed, {symbol.name: old.name for old, symbol in new.items()}


def make_plan(name, form, hard=False, lifted=False, steep=False):
    """The plan of a form; `hard` is the variant of a row loss in which only the labeled class enters, `lifted` the one
    that is exact also where a large parameter multiplies what would vanish far out, `steep` that of a large exponent.
    """
    form, said = renamed(form)
    steps, expression, totals = form.steps, form.expression, {}
    u, of_row = sympy.Symbol("u", real=True), ()
    if form.shape == "rows":
        if form.has(words.logsumexp):
            steps, (expression, of_row) = (), part_of_row(name, form)
        if expression.func is not words.across:
            raise TypeError(f"{name}: a row loss must end in across(...); got {expression}")
        row, of_class = ("margin", words.margin(form.prediction)) if of_row else row_of(name, form)
        known = {of_class: u}
        if hard:
            known |= {form.target: sympy.S.One} | dict.fromkeys(form.hard_when_zero, sympy.S.Zero)
        steps = tuple((symbol, value.subs(known)) for symbol, value in steps)
        expression, wrt = expression.args[0].subs(known), (u,)
        beside = (expression, *(value for _, value in steps))
        if any(part.has(form.prediction) or part.has(words.across) for part in beside):
            raise TypeError(f"{name}: inside across(...) the prediction may appear only as {of_class}")
    else:
        row, wrt = "", form.predictions
    if form.shape == "overlap" and form.has(words.margin):
        row, of_class = row_of(name, form)
        steps = tuple((symbol, value.subs(of_class, u)) for symbol, value in steps)
        expression, wrt = expression.subs(of_class, u), (u,)
        if any(part.has(form.prediction) for part in (expression, *(value for _, value in steps))):
            raise TypeError(f"{name}: beside {of_class} the prediction must not appear")
    if form.shape == "overlap":
        for symbol, value in steps:
            if value.func is words.total:
                totals[symbol] = value.args[0]
        steps = tuple((symbol, value) for symbol, value in steps if symbol not in totals)
        for index, found in enumerate(sorted(expression.atoms(words.total), key=str)):
            symbol = sympy.Symbol(f"total_{index}", nonnegative=True)
            totals[symbol] = found.args[0]
            expression = expression.subs(found, symbol)
        if expression.has(*wrt):
            raise TypeError(
                f"{name}: a set loss is a function of totals; {form.prediction} must stand inside total(...)"
            )
        after = tuple((symbol, value) for symbol, value in steps if value.free_symbols & set(totals))
        for symbol, value in reversed(after):
            expression = expression.subs(symbol, value)
        steps = tuple(step for step in steps if step not in after)

    if form.shape == "boxes":
        names = tuple(symbols[0].name.removesuffix("_x1") for symbols in (form.prediction, form.target))
        domains = dict(zip(names, (form.domains[form.prediction[0]], form.domains[form.target[0]]), strict=True))
    else:
        names = tuple(symbol.name for symbol in form.arrays)
        domains = {symbol.name: form.domains[symbol] for symbol in form.arrays}
        if form.shape == "rows" and form.target is None:
            names = (*names, NO_TARGET)
    guard = Guard(form, steps, wrt, row, lifted)
    forward = tuple((symbol.name, guard(value)) for symbol, value in steps)
    if totals:
        terms = [(symbol.name, value) for symbol, value in totals.items()]
        ends = Guard(form, (), tuple(totals))  # a weight of 0 keeps out even an infinite total
        finish = ends(expression)
        reached = {*wrt, *(symbol for symbol, _ in steps)}
        moved = {symbol: value for symbol, value in totals.items() if value.free_symbols & reached}
        slopes = tuple((f"d_{symbol.name}", ends(sympy.diff(expression, symbol))) for symbol in moved)
        seeds = [(value, sympy.Symbol(f"d_{symbol.name}", real=True)) for symbol, value in moved.items()]
    else:
        terms, slopes, finish = [("value", expression)], (), None
        seeds = [(expression, sympy.S.One)]
    terms = tuple((title, guard(value)) for title, value in terms)
    inputs = tuple(symbol.name for symbol in form.arrays)
    if form.shape == "overlap" and row:
        forward, terms = in_shares(forward, u), in_shares(terms, u)
        backward = guard.lines(slopes_under_softmax(steps, seeds, u))
        used = set().union(*(value.free_symbols for _, value in (*forward, *terms, *backward)))
        inputs = (*(symbol.name for symbol in (u, PROBABILITY, COMPLEMENT) if symbol in used), *inputs[1:])
        wrt = (LOGIT,)
    else:
        backward = guard.lines(accumulate(steps, seeds, wrt))
    return Plan(
        name=name,
        shape=form.shape,
        row=row,
        arrays=names,
        inputs=inputs,
        parameters=tuple(symbol.name for symbol in form.parameters),
        checks=tuple((n, d) for n, d in domains.items() if d.checked),
        forward=forward,
        terms=terms,
        backward=backward,
        wrt=tuple(symbol.name for symbol in wrt),
        finish=finish,
        slopes=slopes,
        of_row=of_row,
        hard=hard,
        wide=form.has(words.residual_of_logit, words.relative_entropy_of_logit)
        or (row == "margin" and (lifted or steep)),
        said=said,
    )


# What totals under a softmax know of a class beside its margin: its probability, and that of all other classes.
PROBABILITY, COMPLEMENT, LOGIT = sympy.symbols("probability complement logit", real=True)


def in_shares(lines, u):
    """The lines with what a softmax gives, a probability and its complement, in the place of sigmoids of the margin."""
    known = {words.sigmoid(u): PROBABILITY, words.sigmoid(-u): COMPLEMENT}
    return tuple((title, value.xreplace(known)) for title, value in lines)


def slopes_under_softmax(steps, seeds, u):
    """`accumulate` for totals under a softmax: h = p*dL/dp of each class, from which the slope along a logit is
    h - p*(the sum of h over all classes).
    """
    steps, named = in_shares(steps, u), in_shares([(symbol, value) for value, symbol in seeds], u)
    of_u = any(value.has(u) for _, value in (*steps, *named))
    if not of_u:
        seeds = [(value, symbol) for symbol, value in named]
        *lines, (_, slope), (_, other) = accumulate(steps, seeds, (PROBABILITY, COMPLEMENT))
        return [*lines, (f"d_{LOGIT}", PROBABILITY * (slope - other))]
    *lines, (_, slope) = in_shares(accumulate(steps, seeds, (u,)), u)
    return [*lines, (f"d_{LOGIT}", quotient(slope, COMPLEMENT))]


NO_TARGET = "no_target"  # what the kernel of a row loss without a target calls the array that it gets in its place
OF_ROW = sympy.Symbol("logsumexp", real=True)  # the logsumexp of a row


def part_of_row(name, form):
    """(sum over the classes, what stands beside it: value and slope as functions of the logsumexp), without steps."""
    terms = sympy.Add.make_args(form.formula)
    sums = [term for term in terms if term.func is words.across]
    beside = sympy.Add(*(term for term in terms if term not in sums))
    beside = beside.subs(words.logsumexp(form.prediction), OF_ROW)
    in_sum = sums[0] if sums else words.across(sympy.S.Zero)
    in_margins = in_sum.subs(words.margin(form.prediction), OF_ROW)
    rule = f"logsumexp({form.prediction}) stands outside across(...), alone or beside one sum of margins"
    if len(sums) > 1 or in_margins.has(form.prediction) or not beside.has(OF_ROW) or beside.has(words.across):
        raise TypeError(f"{name}: {rule}; other losses can be added to it as losses; got {form.formula}")
    if beside.has(*form.arrays):
        raise TypeError(f"{name}: {rule}, and what it stands in is a function of it and of parameters; got {beside}")
    guard = Guard(form, (), (OF_ROW,))
    return in_sum, (("value", guard(beside)), (f"d_{OF_ROW}", guard(sympy.diff(beside, OF_ROW))))


def row_of(name, form):
    """What a row loss is a function of, class by class: ("margin", margin(z)), ("entry", z) or another of these."""
    z = form.prediction
    found = [word(z) for word in words.OF_CLASS if form.has(word(z))]
    if len(found) > 1:
        raise TypeError(f"{name}: a row loss is made of one of {', '.join(map(str, found))}, not of several")
    return (found[0].func.__name__, found[0]) if found else ("entry", z)


def accumulate(steps, seeds, wrt):
    """Reverse accumulation: the slope of the seeds along each named step, last step first, then along `wrt`."""
    lines, reached = [], list(seeds)  # (expression, its slope)
    for k, (symbol, value) in reversed(list(enumerate(steps))):
        slope = sum(weight * sympy.diff(expression, symbol) for expression, weight in reached)
        if slope != 0:
            named = sympy.Symbol(f"d_{symbol.name}", real=True)
            if isinstance(value, (words.larger, words.smaller)):
                for choice, share in zip(value.args, value.slopes(), strict=True):
                    if not vanishes_for(choice, symbol, slope, lines, steps[k + 1 :]):
                        reached.append((choice, named * share))
            else:
                reached.append((value, named))
            lines.append((named.name, slope))
    for symbol in wrt:
        slope = sum(weight * sympy.diff(expression, symbol) for expression, weight in reached)
        lines.append((f"d_{symbol.name}", sympy.sympify(slope)))
    needed, kept = {f"d_{symbol.name}" for symbol in wrt}, []
    for title, slope in reversed(lines):  # a step on which no prediction has a say needs no slope
        if title in needed:
            needed |= {symbol.name for symbol in slope.free_symbols}
            kept.append((title, slope))
    return kept[::-1]


def vanishes_for(choice, symbol, slope, lines, later):
    """Whether a slope along the larger or smaller of two is 0 wherever that is this choice, as in Huber's loss.

    There min(far, delta) has the slope far - min(far, delta): it need not be computed where the minimum is far.
    """
    if len(later) > 8:  # formulas made by hand are shorter
        return False
    for title, value in reversed(lines):
        slope = slope.subs(sympy.Symbol(title, real=True), value)
    for name, value in reversed(later):
        slope = slope.subs(name, value)
    return sympy.expand(slope.subs(symbol, choice)) == 0


class Guard:
    """Turns products that could read 0*infinity into `weighted(bounded part, unbounded part)`, 0/0 into `quotient`."""

    def __init__(self, form, steps, wrt, row="", lifted=False):
        self.inputs = set(form.arrays)
        self.bounded = {s for s in form.arrays if form.domains[s].bounded}
        if row == "entry" and form.prediction in self.bounded:
            self.bounded.update(wrt)
        self.varying = {*form.arrays, *wrt}
        self.lifting = form.lifting if lifted else frozenset()
        for symbol, value in steps:
            self.learn(symbol, value)

    def learn(self, symbol, value):
        """Take note of a named step: does it vary with the data, and can it be infinite."""
        if value.free_symbols & self.varying:
            self.varying.add(symbol)
            if self.is_bounded(value):
                self.bounded.add(symbol)

    def lines(self, lines):
        """Guarded lines, each of which may use the ones before it."""
        guarded = []
        for title, value in lines:
            guarded.append((title, self(value)))
            self.learn(sympy.Symbol(title, real=True), value)
        return tuple(guarded)

    def is_bounded(self, expression):
        """Whether the expression stays finite whatever the prediction is."""
        if not expression.free_symbols & self.varying:
            return True
        if expression.is_Symbol:
            return expression in self.bounded
        if expression.is_Pow and not (expression.exp.is_Integer and expression.exp > 0):
            return False
        if isinstance(expression, words.Word) and expression.bounded is not None:
            return expression.bounded
        return not isinstance(expression, (sympy.log,)) and all(map(self.is_bounded, expression.args))

    def vanishes(self, factor):
        """Whether a factor may be too small for a float where a large parameter brings it back."""
        return factor.func in VANISHING and bool(factor.free_symbols & self.varying)

    def __call__(self, expression):
        if not expression.args:
            return expression
        if not expression.is_Mul:
            return expression.func(*map(self, expression.args))
        constant, bounded, unbounded = [], [], []
        for factor in expression.args:
            if factor.is_number or (factor.is_positive and not factor.free_symbols & self.varying):
                constant.append(factor)
            elif self.is_bounded(factor):
                bounded.append(self(factor))
            else:
                unbounded.append(self(factor))
        if self.lifting:
            factors = sorted(filter(self.vanishes, expression.args), key=lambda factor: not self.is_bounded(factor))
            others = [factor for factor in expression.args if factor not in factors]
            if factors and all(map(self.is_bounded, others)):
                sign, product = sympy.Mul(*others).as_coeff_Mul()
                product = self(product)
                for factor in factors:
                    product = VANISHING[factor.func](product, *factor.args)
                return sign * product
        if bounded and len(unbounded) == 1 and unbounded[0].is_Pow and unbounded[0].exp == -1:
            inputs = [factor for factor in bounded if factor in self.inputs] or bounded
            others, base = [factor for factor in bounded if factor not in inputs], unbounded[0].base
            if not others:  # a power of a tiny parameter would vanish before it divides: one factor of it must do
                powers = [f for f in inputs if f.is_Pow and f.exp.is_Integer and not f.free_symbols & self.varying]
                constant += [power.base ** (power.exp - 1) for power in powers]
                inputs = [factor.base if factor in powers else factor for factor in inputs]
            if others:
                return sympy.Mul(*constant, weighted_quotient(sympy.Mul(*others), sympy.Mul(*inputs), base))
            return sympy.Mul(*constant, quotient(sympy.Mul(*inputs), base))
        if bounded and unbounded:
            return sympy.Mul(*constant, weighted(sympy.Mul(*bounded), sympy.Mul(*unbounded)))
        return sympy.Mul(*constant, *bounded, *unbounded)
