"""NumPy: each element function printed as array expressions, run on blocks that stay in the cache.

    print(source(plan))      the file that runs, readable from top to bottom

A kernel file is what the formula decides, printed, and below a rule (`BELOW`) the files of `loops/` that fit, from a
line (`loops.BEGINS`) on as they are. No temporary is larger than a block.
"""

import math
import re
from collections.abc import Callable, Iterable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from lossbook import kernels
from lossbook.backends import host
from lossbook.backends.call import Call
from lossbook.backends.loops import part
from lossbook.backends.spelling import COLUMNS, Spelling, bracketed, literal
from lossbook.plan.ir import Plan
from lossbook.words import SPELLED

xp = np
BLOCK = 1 << 16  # elements per block: with fewer, threads wait for each other; with more, temporaries pass 16 MiB
LOGISTIC = ("softplus", "sigmoid", "sigmoid_power")
WEIGHTED = ("weighted_softplus", "weighted_sigmoid", "weighted_sigmoid_power")
RESERVED = {
    "Logistic", "allowed", "backward", "broken", "count", "counted", "element", "evaluate", "finish", "live", "np",
    "of_row", "unsigned", "weighted", "within",
}  # fmt: skip

# Where in a kernel the files of loops begin.
BELOW = f"# {' the loops, the same for all formulas '.center(COLUMNS - 2, '-')}\n"


class _Spelling(Spelling):
    """Logistic words of the same argument, up to its sign, share one `Logistic` object."""

    def __init__(self):
        super().__init__(literal, known=SPELLED)
        self.logistic = {}  # text of the argument -> name of its Logistic object

    def function(self, expression):
        name = expression.func.__name__
        if name not in LOGISTIC + WEIGHTED:
            return super().function(expression)
        argument, *rest = expression.args
        if name in WEIGHTED:
            argument, rest[0] = rest[0], argument
        side = -1 if argument.could_extract_minus_sign() else 1
        text = self.add(side * argument)
        at = f"at_{text}" if text.isidentifier() else f"at_{len(self.logistic)}"
        if text not in self.logistic:
            self.logistic[text] = at
            self.used.add("Logistic")
            self.before.append((at, f"Logistic({text})"))
        care = ["weighted"] if name == "weighted_softplus" else []  # how to make a product of 0 and infinity
        return f"{self.logistic[text]}.{name}({', '.join([str(side), *map(self.add, rest), *care])})"


def indented(lines: Iterable[tuple[str, str]]) -> str:
    """Lines of a function, (name, text)."""
    return "".join(bracketed(f"{name} = ", text, indent=4) for name, text in lines)


def parts(plan: Plan) -> tuple[str, ...]:
    """The files of loops that make the kernel of a plan, in order."""
    if plan.space.corners:
        return "counts", "finite", "boxes", "rows"
    if not plan.space.by_row:
        softmax = ("classes", "log_odds", "pixels")
        return "counts", "finite", *(softmax if plan.row else ("elements",))
    standing = () if plan.row == "entry" else (plan.row,)
    sums = () if plan.hard and plan.row != "log_odds" else ("classes",)
    of = "rows" if standing else "entries"
    ends = (f"labeled_{of}",) if plan.hard else ("distributions", f"shared_{of}")
    return "counts", *sums, *standing, *ends, "rows"


def source(plan: Plan, real: Any = np.float64, integer: bool = False) -> str:
    """The kernel file of a plan; it is the same for all working types and targets."""
    plan = plan.avoiding(RESERVED)
    used, functions = printed(plan)
    needed = parts(plan)
    imports = "from lossbook.backends.host import fold, halved\n" if "classes" in needed else ""
    imports += bracketed("from lossbook.backends.numpy.words import ", ", ".join(sorted(used | {"chosen", "weighted"})))
    about = f"{plan.name} on NumPy, block by block.\n\nWritten by lossbook from the formula: change that, not this.\n"
    head = f'"""{about}"""\n\nimport numpy as np\n\n{imports}\n{constants(plan)}'
    return "".join(["\n\n".join([head, *functions, BELOW]), *(part(__name__, name) for name in needed)])


def constants(plan: Plan) -> str:
    """What the loops ask of a plan, as text."""
    if plan.space.by_row:
        without = plan.row not in ("", "entry") and not plan.hard and not plan.of_row
        return f"HARD = {plan.hard}\n" + ("of_row = None\n" if without else "")
    if plan.row:
        return f"INPUTS = {plan.inputs[:-1]!r}\n"
    return f"BLOCK = {block(plan)}\nTOTALS = {plan.space.totals}\n"


def block(plan: Plan) -> int:
    """How many elements make a block: of a piece with a parameter for each of them, all."""
    return host.PIECE if plan.per_class else BLOCK


def printed(plan: Plan) -> tuple[set[str], list[str]]:
    """(words that are used, the functions of a plan as text)"""
    spell = _Spelling()
    inputs = ["u", plan.arrays[1], "C"] if plan.space.rows_of_classes else list(plan.inputs)
    outside = [name for name, _ in plan.slopes]
    forward = "".join(f"    {name} = unsigned({name})\n" for name in plan.unsigned)
    lines = spell.lines(plan.lines)
    end = 1 + [name for name, _ in lines].index(plan.terms[-1][0])
    forward += indented(lines[:end])
    spell.used |= {"unsigned"} if plan.unsigned else set()
    backward = indented(lines[end:])
    terms, gradient = ", ".join(name for name, _ in plan.terms), ", ".join(plan.gradients)
    if len(plan.gradients) > 1:
        gradient = f"({gradient})"
    given = [*inputs, *plan.parameters, *outside]
    taken = plan.taken(given)
    care = "weighted" in re.findall(r"\w+", forward + backward)
    arguments = ", ".join([*taken, "backward", *(["weighted=weighted"] if care else [])])
    functions = [
        f"def element({arguments}):\n"
        f"{forward}"
        f"    if not backward:\n"
        f"        return ({terms},), None\n"
        f"{backward}"
        f"    return ({terms},), {gradient}\n"
    ]
    functions.append(
        f"def evaluate({', '.join([*given, 'backward', 'weighted=weighted'])}):\n"
        '    """`element` as the loops call it."""\n'
        f"    return element({', '.join([*taken, 'backward', *(['weighted'] if care else [])])})\n"
    )
    used = spell.used
    if plan.finish is not None:
        finish = _Spelling()
        lines, totals = finish.lines([("value", plan.finish), *plan.slopes]), [name for name, _ in plan.terms]
        functions.append(
            f"def finish({', '.join([*totals, *plan.parameters])}):\n{indented(lines)}"
            f"    return value, ({', '.join(outside)},)\n"
        )
        used |= finish.used
    if plan.of_row:
        of_row = _Spelling()
        value, slope = (name for name, _ in plan.of_row)
        functions.append(
            f"def of_row({', '.join(['logsumexp', 'C', *plan.parameters])}):\n{indented(of_row.lines(plan.of_row))}"
            f"    return {value}, {slope}\n"
        )
        used |= of_row.used
    return used, [*functions, broken(plan)]


def broken(plan: Plan) -> str:
    """The function that counts the values of a block that break a rule, as text."""
    axis = ", axis=-1" if plan.space.totals and plan.row else ""  # each class of a tile has its own sums
    checks = ""
    for name, domain in plan.checks:
        tests = [f"{name} is not None"] if plan.space.rows_of_classes and name != plan.prediction else []
        if not (domain.values or domain.components or domain.open_low):  # two bounds are looked at before all values
            tests.append(f"not within({name}, {_bound(domain.low)}, {_bound(domain.high)})")
        if tests:
            checks += f"    if {' and '.join(tests)}:\n"
        if domain.components:
            checks += f"    {', '.join(f'{name}_{component}' for component in domain.components)} = {name}\n"
        indent = 8 if tests else 4
        checks += bracketed("allowed = ", domain.condition(name, _bound), indent)
        checks += f"{' ' * indent}count = count + counted(~allowed, live{axis})\n"
    body = f"    count = 0\n{checks}    return count\n" if checks else "    return 0\n"
    about = '"""How many values of a block break a rule; `live` is False where the weight is zero."""'
    return f"def broken({', '.join([*plan.arrays, 'live'])}):\n    {about}\n{body}"


def _bound(number):
    """A bound of a domain as text."""
    return repr(number) if math.isfinite(number) else f"{'-' if number < 0 else ''}np.inf"


@cache
def load(plan: Plan) -> ModuleType:
    """The module of the kernel of a plan."""
    return kernels.load(f"{plan.name}_numpy", source(plan))


def require(loss: str) -> None:
    """Nothing is missing: NumPy is there."""


def run(plan: Plan, call: Call) -> np.ndarray:
    """Values, sums and gradients of a call (see `host.run`)."""
    return host.run(host.Kernel(load(plan).loops, block(plan), threads=2), plan, call)


def finish(plan: Plan) -> Callable[..., Any]:
    """The function from totals to (value, slopes) of a loss of totals; every backend ends with this one."""
    return load(plan).finish
