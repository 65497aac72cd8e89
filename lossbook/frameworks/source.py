"""Losses as text in PyTorch or JAX: what stands in it needs nothing of this package.

    print(source(loss, "torch"))

A text is what the formula decides, printed, and files of `loops/` that fit, each from a line on as it is; of the words
it has those that it uses.
"""

import ast
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sympy

from lossbook.backends.loops import part
from lossbook.backends.numpy import indented
from lossbook.backends.spelling import COLUMNS, Spelling, literal
from lossbook.plan.ir import NO_TARGET, OF_ROW, Line, Plan, needed_lines
from lossbook.words import SPELLED

NATIVE = ("exp", "expm1", "log", "log1p", "tanh")  # functions of both frameworks
RESERVED = {
    "compute", "element", "finish", "floats", "of_row", "reduced", "slopes", "standing", "upstream", "value", "values",
    "log_probability", "xp", "math", "torch", "jax", "C", "reduction", "weight", "class_weight", "ignore_index",
    "axis", "batch", "format",
}  # fmt: skip
# Where something is removed: numbers of each domain at which every formula and its slope are finite.
HARMLESS = {"Probability": 0.5, "LogProbability": -0.5, "Sign": 1.0, "Distance": 1.0}
CORNERS = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 2.0, 2.0)


class _Spelling(Spelling):
    """Functions of parameters alone are those of Python."""

    def __init__(self, varying: Iterable[str]) -> None:
        super().__init__(literal, known=SPELLED)
        self.varying = {*varying}

    def lines(self, lines: Iterable[Line]) -> list[tuple[str, str]]:
        lines = tuple(lines)
        for title, value in lines:
            if self.depends(value):
                self.varying.add(title)
        return super().lines(lines)

    def depends(self, expression: sympy.Expr) -> bool:
        """Whether an expression is one of arrays."""
        return any(symbol.name in self.varying for symbol in expression.free_symbols)

    def function(self, expression: sympy.Expr) -> str:
        name = expression.func.__name__
        if name in NATIVE or (name == "sqrt" and not self.depends(expression)):
            module = "xp" if self.depends(expression) else "math"
            return f"{module}.{name}({', '.join(map(self.add, expression.args))})"
        return super().function(expression)


def loops_of(name: str) -> str:
    """The part of a text that stands in a file of loops."""
    return part("lossbook.frameworks", name).strip("\n")


@cache
def words() -> dict[str, tuple[str, frozenset[str]]]:
    """(text, names in it) of each function of `loops/words.py`, in order."""
    text = loops_of("words")
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            segment = ast.get_source_segment(text, node)
            assert segment is not None
            found[node.name] = segment, frozenset(re.findall(r"\w+", segment))
    return found


def with_words(texts: Iterable[str]) -> list[str]:
    """The words that texts use, and those that these use, in order."""
    needed = set().union(*(re.findall(r"\w+", text) for text in texts))
    for name, (_, names) in reversed(words().items()):
        if name in needed:
            needed |= names
    return [text for name, (text, _) in words().items() if name in needed]


def function_of(name: str, arguments: Iterable[str], body: str, result: str) -> str:
    """A function as text."""
    return f"def {name}({', '.join(arguments)}):\n{body}    return {result}"


@dataclass(frozen=True)
class Part:
    """A function of a text: of arrays and numbers, with results (terms) and slopes (along) of its own.

    `upstream` are the names of slopes along the results that the lines read, and where they are; without them each
    slope is multiplied by that along the only result.
    """

    name: str
    arrays: tuple[str, ...]
    numbers: tuple[str, ...]
    values: tuple[Line, ...]
    slopes: tuple[Line, ...]
    terms: tuple[str, ...]
    along: tuple[str, ...]
    upstream: Mapping[str, int] = field(default_factory=dict)
    unsigned: tuple[str, ...] = ()  # never negative, of which a zero must not be -0.0

    def texts(self) -> list[str]:
        """The function and its slopes, and the line that joins them."""
        arguments = [*self.arrays, *self.numbers]
        clean = "".join(f"    {name} = {name} + 0.0  # no -0.0\n" for name in self.unsigned)
        lines = self.printed(needed_lines(self.values, self.terms))
        result = ", ".join(self.terms) + ("," if len(self.terms) == 1 else "")
        value = function_of(f"value_of_{self.name}", arguments, clean + lines, result)
        lines = "".join(f"    {title} = upstream[{k}]\n" for title, k in self.upstream.items())
        lines += clean + self.printed(needed_lines((*self.values, *self.slopes), self.along))
        found = ", ".join(slope if self.upstream else f"upstream[0] * {slope}" for slope in self.along)
        slopes = function_of(f"slopes_of_{self.name}", [*arguments, "upstream"], lines, f"({found},)")
        counts = f"{len(self.along)}, {len(self.arrays)}"
        return [value, slopes, f"{self.name} = differentiable(value_of_{self.name}, slopes_of_{self.name}, {counts})"]

    def printed(self, lines: Iterable[Line]) -> str:
        """Lines as text."""
        return indented(_Spelling([*self.arrays, *self.upstream]).lines(lines))


def element(plan: Plan) -> Part:
    """The function of one element, class or pixel."""
    arrays, numbers, upstream = plan.inputs, plan.parameters, {}
    terms = tuple(name for name, _ in plan.terms)
    if plan.space.rows_of_classes:
        arrays, numbers = ("u",) if plan.hard else ("u", plan.arrays[1]), (*numbers, "C")
    if plan.space.totals:
        arrays = ("log_probability", *arrays) if plan.row else arrays
        moved = dict(plan.slopes)
        upstream = {f"d_{name}": k for k, name in enumerate(terms) if f"d_{name}" in moved}
    values = (*plan.forward, *plan.terms)
    return Part("element", arrays, numbers, values, plan.backward, terms, plan.gradients, upstream, plan.unsigned)


def finish(plan: Plan) -> Part:
    """The function of totals."""
    assert plan.finish is not None
    totals, moved = tuple(name for name, _ in plan.terms), dict(plan.slopes)
    slopes = tuple((f"d_{name}", moved.get(f"d_{name}", sympy.S.Zero)) for name in totals)
    value, along = (("value", plan.finish),), tuple(name for name, _ in slopes)
    return Part("finish", totals, plan.parameters, value, slopes, ("value",), along)


def of_row(plan: Plan) -> Part:
    """The function of the logsumexp of a row."""
    name = f"{OF_ROW}_of_row"  # beside the function of that name
    (value, expression), (title, slope) = plan.of_row
    known = {OF_ROW: sympy.Symbol(name, real=True)}
    values, slopes = ((value, expression.xreplace(known)),), ((title, slope.xreplace(known)),)
    return Part("of_row", (name,), (*plan.parameters, "C"), values, slopes, (value,), (title,))


def harmless(plan: Plan) -> Any:
    """What stands for removed arrays."""
    if plan.space.corners:
        return CORNERS[: len(plan.inputs)]
    domains = dict(plan.checks)
    numbers = [HARMLESS.get(domains[name].name, 0.0) if name in domains else 0.0 for name in plan.arrays]
    return numbers[0] if plan.space.classes else tuple(numbers)


OPTIONS = ("reduction", "weight", "class_weight", "ignore_index", "axis", "batch", "format")
HEADS = {
    "torch": "import math\n\nimport torch\nimport torch as xp",
    "jax": "import math\n\nimport jax\nimport jax.numpy as xp",
}
NAMES = {"torch": "PyTorch", "jax": "JAX"}
LANGUAGES = (*HEADS,)


def renamed(plan: Plan) -> Plan:
    """The plan with an underscore at every name that a text needs for itself."""
    return plan.avoiding(RESERVED | {*words()})


def source(plan: Plan, framework: str) -> str:
    """The text of a plan in a framework: `compute` in it takes arrays, parameters and options."""
    plan = renamed(plan)
    constants, printed, loops = [f"HARMLESS = {harmless(plan)!r}"], element(plan).texts(), ["reduce"]
    if plan.space.corners:
        loops.append("boxes")
    elif plan.space.rows_of_classes:
        constants.append(f"HARD = {plan.hard}")
        printed += of_row(plan).texts() if plan.of_row else ["of_row = None"]
        loops += [plan.row, "rows"]
    elif plan.space.totals:
        constants.append(f"INPUTS = {plan.inputs[:-1] if plan.row else ()!r}")
        printed += finish(plan).texts()
        loops += ["log_odds"] * bool(plan.row) + ["totals"]
    else:
        loops.append("elements")
    texts = [*printed, *map(loops_of, loops)]
    body = [loops_of(framework), *with_words(texts), "\n".join(constants), *texts]
    about = f"{plan.name}, written by lossbook from the formula: change that, not this."
    return f'"""{about}"""\n\n{HEADS[framework]}\n\n\n' + "\n\n\n".join(body) + "\n"


@dataclass(frozen=True)
class Called:
    """A text with, at its end, the loss as a function of this name, and what that takes.

    `parameters` and their `values` have the names that the text has for them; `own` are those of the loss.
    """

    text: str
    name: str
    arrays: tuple[str, ...]
    values: Mapping[str, Any]
    own: Mapping[str, str]
    options: Mapping[str, Any]

    def nested(self, k: int) -> str:
        """The text in a function of its own, by which PART_k is the loss."""
        about, _, body = self.text.partition("\n\n")
        body = textwrap.indent(body, "    ", lambda line: bool(line.strip()))
        return f"def part_{k}():\n    {about}\n{body}\n    return {self.name}\n\n\nPART_{k} = part_{k}()\n"


def without_text(loss: Any, framework: str, why: str) -> TypeError:
    """The error of a loss that has no text in a framework."""
    instead = f"give the loss arrays of {NAMES[framework]}, for which kernels compute its value and gradient"
    return TypeError(f"{loss.name}.source: has no text in {framework!r}, since {why}; {instead}")


def without_maps(loss: Any, framework: str) -> TypeError:
    """The error of a loss of distances."""
    why = "it needs maps of distances, which SciPy makes by a search through each image and no formula tells"
    return without_text(loss, framework, why)


def called(loss: Any, framework: str, parameters: Mapping[str, Any]) -> Called:
    """The text of a loss of one formula."""
    if loss.space.maps:
        raise without_maps(loss, framework)
    flags, numbers = loss.settings(parameters)
    plan = loss.evaluation.plan(flags, numbers)
    numbers = {**numbers, **loss.evaluation.fixed}
    named = renamed(plan)
    own = dict(zip(named.parameters, plan.parameters, strict=True))
    values = {name: numbers[known] for name, known in own.items()}
    arrays = tuple(name for name in named.arrays if name != NO_TARGET)
    text = source(plan, framework)
    head = text.rpartition("def compute(")[2]
    options = {name: value for name, value in options_of(loss).items() if f"{name}=" in head}
    name = function_name(loss, text)
    text += f"\n\n{calling(loss, name, arrays, values, options)}"
    return Called(text, name, arrays, values, own, options)


def options_of(loss: Any) -> dict[str, Any]:
    """The options of a loss that texts may have, with its defaults."""
    known = loss.signature.parameters
    return {name: known[name].default for name in loss.declaration.every_option if name in OPTIONS}


def calling(
    loss: Any, name: str, arrays: Iterable[str], values: Mapping[str, Any], options: Mapping[str, Any]
) -> str:
    """The function that users call, which calls `compute`."""
    given = [f"[{', '.join(arrays)}]", f"[{', '.join(values)}]", *(f"{option}={option}" for option in options)]
    about = f"{loss.summary}\n\n{loss.formula}" + (f"\n\n{loss.reference}" if loss.reference else "")
    body = f"return compute(\n{wrapped(given, 8)}\n    )"
    return definition(name, about, arrays, {**values, **options}, body)


def definition(name: str, about: str, arrays: Iterable[str], keywords: Mapping[str, Any], body: str) -> str:
    """A function of arrays and keywords, with what is to be known about it."""
    heads = [*arrays, "*", *(f"{keyword}={value!r}" for keyword, value in keywords.items())]
    about = about.replace('"""', "'''")
    lines = [line for part in about.split("\n") for line in textwrap.wrap(part, COLUMNS - 8) or [""]]
    return (
        f"def {name}(\n{wrapped(heads, 4)}\n):\n"
        + textwrap.indent('r"""' + "\n".join(lines) + '\n"""', "    ", lambda line: bool(line.strip()))
        + f"\n    {body}\n"
    )


def wrapped(parts: Iterable[str], indent: int) -> str:
    """Parts with commas between, on as many lines as they need."""
    line = " " * indent
    return textwrap.fill(", ".join(parts), COLUMNS, initial_indent=line, subsequent_indent=line, break_long_words=False)


def function_name(loss: Any, text: str) -> str:
    """The name of a loss as one of a function, with an underscore if the text above it has the name for itself."""
    name = re.sub(r"\W+", "_", loss.name).strip("_")
    nodes = [*ast.walk(ast.parse(text))]
    taken = {node.id for node in nodes if isinstance(node, ast.Name)}
    taken |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return f"{name}_" if name in taken else name


def called_sum(loss: Any, framework: str, parameters: Mapping[str, Any]) -> str:
    """The text of a weighted sum: its parts, each in a function of its own, and their sum."""
    parts = [called(term, framework, loss.keywords_of(term, parameters)) for _, term in loss.terms]
    calls: list[str] = []
    values: dict[str, Any] = {}
    options: dict[str, Any] = {}
    arrays = parts[0].arrays
    for k, ((coefficient, term), text) in enumerate(zip(loss.terms, parts, strict=True), 1):
        numbers = {name: text.values[name] for name, own in text.own.items() if own in loss.declaration.defaults}
        mine = {name: value for name, value in options_of(loss).items()
                if name in text.options and name in term.declaration.options}  # fmt: skip
        values |= numbers
        options |= mine
        given = [f"floats({arrays[0]})", *arrays[1:], *(f"{name}={name}" for name in numbers | mine)]
        calls.append(f"        {coefficient!r} * PART_{k}(\n{wrapped(given, 12)}\n        ),\n")
    body = f"return floats(added(\n{''.join(calls)}    ), {arrays[0]})"
    about = f"{loss.name}; a part that has an option of its own keeps it."
    end = definition("weighted_sum", about, arrays, {**values, **options}, body)
    return with_parts(loss, framework, parts, [loops_of("sums")], end)


def called_joined(loss: Any, framework: str, parameters: Mapping[str, Any]) -> str:
    """The text of a loss of several predictions: its parts, each in a function of its own, and what joins them."""
    if not loss.end:
        why = "how its parts are joined is told by its methods, of which none is a formula"
        raise without_text(loss, framework, why)
    flags, numbers = loss.settings(parameters)
    parts = [called(each, framework, {}) for each in loss.parts]
    needed = [loops_of("joined"), loops_of(loss.end)]
    name = function_name(loss, "\n\n".join(needed))
    end = calling(loss, name, loss.declaration.arrays, {**flags, **numbers}, options_of(loss))
    return with_parts(loss, framework, parts, needed, end)


def with_parts(
    loss: Any, framework: str, parts: Iterable[Called], needed: Sequence[str], end: str
) -> str:
    """A text of parts, each in a function of its own, of what their joint needs, and of the function at the end."""
    nested = [text.nested(k) for k, text in enumerate(parts, 1)]
    first = loops_of(framework)
    used = {*re.findall(r"\w+", "".join((*needed, end)))}
    functions = [node for node in ast.parse(first).body if isinstance(node, ast.FunctionDef) and node.name in used]
    own = [ast.get_source_segment(first, node) or "" for node in functions]
    about = f"{loss.name}, written by lossbook from the formulas of its parts: change those, not this."
    about = textwrap.fill(about, COLUMNS, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
    return "\n\n".join([about, *nested, HEADS[framework], "\n" + "\n\n\n".join([*own, *needed, end])])
