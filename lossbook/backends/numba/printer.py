"""Prints what a formula decides in a kernel: `element`, and the few functions through which the loops call it.

What is printed stands at the head of a kernel file; below it stand the loops. `loops/kernel.pyi` says what each
printed name is for.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from lossbook.backends.spelling import COLUMNS, Spelling, bracketed, broken, literal
from lossbook.plan.ir import Plan
from lossbook.words import SPELLED

BLOCK = 1 << 12  # elements of a block, and of the scratch tile of a row loss: small enough for the first cache
WIDE = 32  # from this many classes on, contiguous rows are vectorized along themselves

INLINED = '@register_jitable(error_model="numpy", fastmath={"nsz"}, forceinline=True, no_cfunc_wrapper=True)'


class _Spelling(Spelling):
    """Sums and products that occur again have a name. Words are written again: LLVM merges them itself, and of some
    loops with names for them (binary.focal_with_logits) it makes no vector instructions, which takes ten times as long.
    """

    def __init__(self):
        super().__init__(lambda number: f"real({literal(number)})", known=SPELLED)

    def takes_name(self, expression):
        return not expression.is_Function


def head(plan: Plan, real: Any, integer: bool) -> str:
    """The printed part of a plan's kernel for a working type; `integer` if the target holds class indices."""
    spell = _Spelling()
    spell.used |= {"exp", "log", "absolute"} if plan.row == "log_odds" else set()  # the loops call them, too
    functions = [_element(plan, spell), *_PRINTED[_kind(plan)](plan, integer)]
    if plan.of_row:
        functions.append(_of_row(plan, spell))
    name = np.dtype(real).name
    top = [
        f'"""{plan.name} on Numba, {name}.',
        "",
        "Written by lossbook from the formula: change that, not this file.",
        '"""',
        "",
        "import numpy as np",
        "from numba import njit",
        "from numba.extending import register_jitable",
        f"from numpy import {name} as real",
    ]
    if spell.used:
        top += ["", bracketed("from lossbook.backends.numba.words import ", ", ".join(sorted(spell.used))).rstrip()]
    if constants := _constants(plan, integer):
        top += ["", *constants]
    return "\n\n\n".join(["\n".join(top), *functions]) + "\n"


def _kind(plan):
    """What decides which functions the loops call."""
    if plan.space.rows_of_classes:
        return ("labeled " if plan.hard else "shared ") + ("entries" if plan.row == "entry" else "rows")
    if plan.space.totals and plan.row:
        return "pixels"
    return "boxes" if plan.space.corners else "elements per class" if plan.per_class else "elements"


def _constants(plan, integer):
    """The lines of constants by which the loops of one file differ."""
    kind, lines = _kind(plan), []
    if kind in ("elements", "elements per class"):
        lines.append(f"BLOCK = {BLOCK}  # each block has sums of its own, so that threads cannot change the result")
    if kind == "shared entries" or (plan.space.rows_of_classes and plan.row == "log_odds"):
        lines.append(f"WIDE = {WIDE}  # from this many classes on, they are added in lanes")
    if kind in ("elements", "pixels", "shared rows", "shared entries"):
        lines.append(f"LABELS = {integer}  # whether the target is class indices")
    if kind in ("elements", "pixels"):
        lines.append(f"TERMS = {len(plan.terms)}  # how many totals an element adds to")
    if kind == "elements":
        lines.append(f"TOTALS = {bool(plan.slopes)}  # whether the loss is a function of totals")
    if kind == "pixels":
        lines.append(f"OF_LOG_ODDS = {'u' in plan.inputs}  # whether the log-odds of a pixel enter")
    if kind == "shared rows":
        lines.append(f"OF_ROW = {bool(plan.of_row)}  # whether something is added once per row")
    return lines


# --- lines of text ---------------------------------------------------------------------------------------------------


def _function(comment, name, inputs, lines, results=""):
    """A function that is inlined; a line is (what it sets, an expression)."""
    begin, taken = f"def {name}(", ", ".join(inputs)
    signature = f"{begin}{taken}):\n"
    if len(signature) > COLUMNS:
        signature = "\n".join([begin, *broken(f"    {taken}", 4), "):\n"])
    head = [*(f"# {line}\n" for line in comment), f"{INLINED}\n", signature]
    body = [bracketed(f"{title} = ", value, 4) for title, value in lines]
    return "".join([*head, *body, bracketed("return ", results, 4) if results else ""]).rstrip("\n")


def _tuple(names):
    """The names as a tuple."""
    return f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"


def _unpacked(names, used, source):
    """The lines that take from a tuple of all names those that are used."""
    if names and used.issuperset(names):
        return [(_tuple(names) if len(names) == 1 else ", ".join(names), source)]
    return [(name, f"{source}[{k}]") for k, name in enumerate(names) if name in used]


# --- what is printed -------------------------------------------------------------------------------------------------


def _inputs(plan):
    """All that `element` may take, in order."""
    if not plan.space.rows_of_classes:
        return [*plan.inputs, *plan.parameters, *(title for title, _ in plan.slopes)]
    return ["u", *([] if plan.hard else [plan.arrays[1], "C"]), *plan.parameters]


def _taken(plan):
    """What `element` takes of it: what its lines name."""
    return plan.taken(_inputs(plan))


def _element(plan, spell):
    lines = [(name, f"absolute({name})") for name in plan.unsigned]  # -0.0 is 0
    spell.used |= {"absolute"} if lines else set()
    lines += spell.lines(plan.lines)
    of = f"{plan.space.element} and its {'slopes' if plan.space.corners else 'slope'}"
    comment = [
        f"The loss of one {of}, step by step.",
        "Products and sums are not contracted here, so that a value has the same bits with and without the gradient.",
    ]
    results = [*(title for title, _ in plan.terms), *plan.gradients]
    return _function(comment, "element", _taken(plan), lines, ", ".join(results))


def _of_row(plan, spell):
    used = {symbol.name for _, value in plan.of_row for symbol in value.free_symbols}
    lines = _unpacked(plan.parameters, used, "parameters")
    lines += spell.lines(plan.of_row)
    return _function(
        ["What is added once per row, and its slope along the logsumexp of the row."],
        "of_row", ["logsumexp", "C", "parameters"], lines, ", ".join(title for title, _ in plan.of_row),
    )  # fmt: skip


def _evaluate(plan, inputs, lines, results=None):
    """How the loops call `element`; `results` are those of `element` unless they are put together in another way."""
    if plan.per_class:
        lines = [(name, f"parameters[{k}][i]") for k, name in enumerate(plan.parameters) if name in _taken(plan)]
    else:
        lines = [*lines, *_unpacked(plan.parameters, {*_taken(plan)}, "parameters")]
    call = f"element({', '.join(_taken(plan))})"
    if results:
        lines.append((", ".join([*(title for title, _ in plan.terms), *plan.gradients]), call))
    comment = ["`element` as the loops call it."]
    return _function(comment, "evaluate", inputs, lines, results or call)


def _allowed(inputs, checks, lines=()):
    """Whether the inputs obey the rules of `checks`, pairs of a name and a domain."""
    comment = ["Whether numbers obey the rules of their domains."]
    rules = [(f"of_{name}", _rule(domain, name)) for name, domain in checks]
    if len(rules) < 2:
        return _function(comment, "allowed", inputs, lines, rules[0][1] if rules else "True")
    return _function(comment, "allowed", inputs, [*lines, *rules], " & ".join(name for name, _ in rules))


def _rule(domain, name):
    return domain.condition(name, lambda value: f"real({value!r})")


def _elements(plan, integer):
    """Of losses of elements, and of totals."""
    y = plan.arrays[1] if len(plan.arrays) > 1 else "no_target"
    checks = [(name, domain) for name, domain in plan.checks if not (integer and name == y)]
    return [_allowed([plan.prediction, y], checks), *_of_totals(plan, [plan.prediction, y])]


def _elements_per_class(plan, integer):
    """Of losses of elements, each of which has parameters of its own."""
    inputs = [plan.prediction, plan.arrays[1] if len(plan.arrays) > 1 else "no_target"]
    numbers_of = _function(
        ["The parameters of the elements of a block."], "numbers_of", ["parameters", "start", "stop"], [],
        _tuple([f"parameters[{k}, start:stop]" for k in range(len(plan.parameters))]),
    )  # fmt: skip
    return [_allowed(inputs, plan.checks), numbers_of, _evaluate(plan, [*inputs, "parameters", "i"], [])]


def _pixels(plan, integer):
    """Of totals under a softmax."""
    y = plan.arrays[1]
    return [_allowed([y], () if integer else plan.checks), *_of_totals(plan, ["u", "probability", "complement", y])]


def _of_totals(plan, inputs):
    titles, slopes = [title for title, _ in plan.terms], [title for title, _ in plan.slopes]
    evaluate = _evaluate(
        plan, [*inputs, "parameters", "d_totals"], _unpacked(slopes, {*_taken(plan)}, "d_totals"),
        f"{_tuple(titles)}, {plan.gradient}",
    )  # fmt: skip
    slopes_of = _function(
        ["The slopes of the loss along its totals."],
        "slopes_of", ["slopes"], [], _tuple([f"slopes[{j}]" for j in range(len(slopes))]) if slopes else "()",
    )  # fmt: skip
    store = _function(
        ["Puts away what element i, of weight w, adds to the sums."],
        "store", ["terms", "i", "w", "added"],
        [(f"terms[{j}, i]", f"present(w, w * added[{j}])") for j in range(len(titles))],
    )  # fmt: skip
    return [evaluate, slopes_of, store]


def _boxes(plan, integer):
    corners = len(plan.gradients)
    boxes = list(zip(plan.arrays, (plan.inputs[:corners], plan.inputs[corners:]), strict=True))
    checked = {f"{name}_{component}" for name, domain in plan.checks for component in domain.components}

    def unpacked(used):
        return [line for name, corners in boxes for line in _unpacked(corners, used, name)]

    results = f"{plan.terms[0][0]}, {_tuple(plan.gradients)}"
    return [
        _allowed(plan.arrays, plan.checks, unpacked(checked)),
        _evaluate(plan, [*plan.arrays, "parameters"], unpacked({*_taken(plan)}), results),
    ]


def _labeled_rows(plan, integer):
    return [_evaluate(plan, ["u", "parameters"], [])]


def _shared_rows(plan, integer):
    y, checks = plan.arrays[1], dict(plan.checks)
    allowed = [] if integer else [_allowed([y], [(y, checks[y])] if y in checks else [])]
    return [*allowed, _evaluate(plan, ["u", y, "C", "parameters"], [])]


def _labeled_entries(plan, integer):
    domain = dict(plan.checks).get(plan.prediction)
    # The rule as for a target, which NaN breaks.
    usual = _rule(replace(domain, role="target"), "u") if domain else "u == u"
    return [
        _allowed(["u"], [("u", domain)] if domain else []),
        _function(["Whether an entry is allowed, and is a number."], "is_usual", ["u"], [], usual),
        _evaluate(plan, ["u", "parameters"], []),
    ]


def _shared_entries(plan, integer):
    y = plan.arrays[1]
    named = [(y if name == y else "u", domain) for name, domain in plan.checks if not (integer and name == y)]
    return [
        _allowed(["u", y], named),
        _evaluate(plan, ["u", y, "C", "parameters"], []),
    ]


_PRINTED = {
    "elements": _elements,
    "elements per class": _elements_per_class,
    "pixels": _pixels,
    "boxes": _boxes,
    "labeled rows": _labeled_rows,
    "shared rows": _shared_rows,
    "labeled entries": _labeled_entries,
    "shared entries": _shared_entries,
}
