"""What a loss says of itself: signature, docstring, LaTeX and the card that a notebook shows."""

import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import cache
from importlib.resources import files
from math import inf
from typing import Any

import sympy
from sympy.core.alphabets import greeks

from lossbook.backends import BACKENDS, HOST
from lossbook.declaration import Declaration
from lossbook.domains import Domain
from lossbook.errors import BackendError, DomainError
from lossbook.spaces import Space

# What HTML, Markdown or TeX would take for more than a character. TeX, which looks at a page last, takes no dollar and
# no backslash that stands in an element of its own.
MARKED = {ord(sign): f"&#{ord(sign)};" for sign in "&<>*[]"}
MARKED |= {ord(sign): f"<span>&#{ord(sign)};</span>" for sign in "$\\"}

GREEK = {*greeks, "lambda", "varepsilon", "varphi"}


def plainly(text: str) -> str:
    """One line of text for a page of Markdown, in which stars, brackets and dollars stand for themselves."""
    return " ".join(text.split()).translate(MARKED)


class Shown:
    """An attribute that a loss works out when it is asked for, so that `import lossbook` builds no formula.

    The class itself keeps what it has under that name, such as its own docstring.
    """

    def __init__(self, make: Callable[[Any], Any], of_class: Any = None) -> None:
        self.make, self.of_class = make, of_class

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, loss: Any, owner: type) -> Any:
        if loss is None:
            if self.of_class is None:
                raise AttributeError(self.name)
            return self.of_class
        value = self.make(loss)
        vars(loss)[self.name] = value
        return value


def latex(loss: Any) -> str:
    """The formula as LaTeX, printed from the formula that runs; that of boxes with its named steps below it."""
    expression, steps = loss.named_formula
    if not steps:
        return print_latex(expression)
    lines = [(sympy.Symbol("L"), expression), *steps]
    text = r" \\ ".join(f"{print_latex(name)} &= {print_latex(value)}" for name, value in lines)
    return rf"\begin{{aligned}}{text}\end{{aligned}}"


def print_latex(expression: sympy.Expr) -> str:
    """LaTeX in which a parameter with a long name is set as a word, not as a product of letters."""
    names = {s: rf"\mathrm{{{s.name}}}\,".replace("_", r"\_") for s in expression.free_symbols}
    letters = {s: s.name.partition("_")[0] for s in names}
    words_only = {s: text for s, text in names.items() if len(letters[s]) > 1 and letters[s] not in GREEK}
    return sympy.latex(expression, symbol_names=words_only)


def document(loss: Any, text: str, notes: Iterable[str] = ()) -> str:
    """The author's words, then what the declaration knows, in numpydoc's sections; `notes` follow the formula."""
    space, declaration = loss.space, loss.declaration
    rows = []
    for name, domain in declaration.arguments.items():
        if domain.role == "prediction":
            rows.append((f"{name} : float array of {space.arrays}", f"{domain.describes}."))
        elif domain.role == "target":
            rows.append((f"{name} : array", f"{domain.describes}; never broadcast."))
        else:
            said = f"{domain.describes}; {typed(declaration.defaults[name])} if left out."
            per_class = name in loss.per_class
            said += " Or one for each class." if per_class else ""
            rows.append((f"{name} : {'float or array' if per_class else kind_of(domain)}, optional", said))
    rows += options(space, declaration)
    returned = f"In the prediction's dtype{', and in nats' if is_in_nats(loss) else ''}."
    errors = [
        ("ShapeError", "For shapes that do not fit together; a ValueError."),
        ("DomainError", "For values that break a rule; a ValueError."),
        ("BackendError", "For arrays of several packages, or one that is not installed; an ImportError."),
    ]
    sections = {
        "Parameters": entries(rows),
        "Returns": entries([("scalar or array", returned)]),
        "Raises": entries(errors),
        "Notes": "\n\n".join(
            [f"Formula, per {space.value_of}: {formula_text(loss)}", *(textwrap.fill(note, 116) for note in notes)]
        ),
        "References": f"{loss.reference}." if loss.reference else "",
        "Examples": example(loss),
    }
    parts = [text, *(f"{title}\n{'-' * len(title)}\n{body}" for title, body in sections.items() if body)]
    return "\n\n".join(part for part in parts if part) + "\n"


def is_in_nats(loss: Any) -> bool:
    """Whether values are logarithms of probabilities."""
    domains = [loss.declaration.arguments[name] for name in loss.declaration.predictions]
    if loss.space.corners or any(domain.holds_numbers_of_the_target for domain in domains):
        return False
    return any(domain.name == "LogProbability" for domain in domains) or loss.textbook.has(sympy.log)


def typed(value: Any) -> str:
    """A default as one would type it: 4/3 for 1.3333333333333333."""
    if isinstance(value, float) and len(repr(value)) > 8:
        simple = Fraction(value).limit_denominator(9)
        return str(simple) if float(simple) == value else repr(value)
    return repr(value)


def entries(rows: Iterable[tuple[str, str]]) -> str:
    """The body of a section: each name, and indented below it what is to say of it."""
    return "\n".join(f"{name}\n{textwrap.indent(textwrap.fill(sentence(said), 112), '    ')}" for name, said in rows)


def sentence(text: str) -> str:
    """The text with a capital at its begin."""
    return text[:1].upper() + text[1:]


def kind_of(domain: Domain) -> str:
    """The type of a parameter."""
    return "bool" if domain.role == "flag" else "float or sequence of float" if domain.several else "float"


def options(space: Space, declaration: Declaration) -> list[tuple[str, str]]:
    """What is to say of the options that a loss has."""
    weight = f"A number, one per item or one per {space.weight_of}, >= 0; absent means 1, 0 removes what stands there."
    if space.classes:
        weight += " A vector is one per item, also where there are as many classes as items."
    rows = [
        ('reduction : {"mean", "sum", "none"}, optional',
         f"The mean sum(w*l)/sum(w), the sum alone, or one value per {space.value_of}."),
        ("weight : float or array, optional", weight),
    ]  # fmt: skip
    if "class_weight" in declaration.every_option:
        rows.append(("class_weight : array, optional", "One per class, >= 0."))
    if "ignore_index" in declaration.every_option:
        rows.append(("ignore_index : int or several, optional", "Class indices that are left out."))
    if "axis" in space.options:
        said = "Of the corners." if space.corners else "Of the classes."
        said = said if space.classes or space.corners else f"{said} Not looked at where no option is one per class."
        rows.append(("axis : int, optional", said))
    if "format" in space.options:
        said = "What the four numbers of a box are: its corners, its first corner and its sizes, or its center and its "
        said += "sizes. Slopes are along these numbers; other formats than corners are computed in float64."
        rows.append(('format : {"xyxy", "xywh", "cxcywh"}, optional', said))
    if "accuracy" in space.options:
        said = "Round values and slopes of float32 correctly: computed in float64, rounded once, ties decided."
        rows.append(('accuracy : {"highest"}, optional', said))
    if space.totals:
        rows.append(("batch : bool, optional", "Sum over the images before the quotient is taken."))
    backend = "For NumPy arrays; CuPy arrays choose CuPy by themselves."
    names = ", ".join(f'"{name}"' for name, home in BACKENDS.items() if home is HOST)
    return [*rows, (f"backend : {{{names}}}, optional", backend)]


def example(loss: Any) -> str:
    """A call on small arrays, and what it prints; nothing for a loss that has no address of its own."""
    found = getattr(sys.modules.get(loss.__module__), loss.__name__, None)
    if found is None or found is not loss:
        return ""
    arrays = example_arrays(loss)
    try:
        value = loss(*arrays, backend="numpy")
    except (BackendError, DomainError):  # without SciPy there are no distances
        return ""
    home = loss.__module__.rpartition(".")
    call, given = loss.__name__, ", ".join(map(repr, arrays))
    lines = []
    if home[0] == "lossbook":
        call = f"{home[2]}.{loss.__name__}"
        lines.append(f">>> from lossbook import {home[2]}")
    return "\n".join([*lines, f'>>> print(f"{{{call}({given}):.4g}}")', f"{value:.4g}"])


def example_arrays(loss: Any) -> list[Any]:
    """Small arrays that a loss takes, as lists."""
    arrays: list[Any] = []
    for name in loss.declaration.arrays:
        domain, space = loss.declaration.arguments[name], loss.space
        if domain.components:
            arrays.append([[0.0, 0.0, 4.0, 4.0] if domain.role == "prediction" else [1.0, 0.0, 5.0, 4.0]])
            continue
        a, b = two_values(domain)
        if not space.classes:
            arrays.append([a, b])
        elif space.by_row:
            arrays.append([0] if domain.holds_classes else [[a, b]])
        else:
            arrays.append([[0, 1]] if domain.holds_classes else [[[a, b], [b, a]]])
    return arrays


def two_values(domain: Domain) -> tuple[float, ...]:
    """Two numbers that obey the rule of a domain, the larger one first."""
    if domain.values:
        return domain.values[-1], domain.values[0]
    if domain.bounded:
        if domain.role == "target":
            return domain.high, domain.low
        return tuple(domain.low + share * (domain.high - domain.low) for share in (0.8, 0.2))
    if domain.low > -inf:
        return domain.low + 2, domain.low + 1
    if domain.high < inf:
        return domain.high - 0.5, domain.high - 1.5
    return (2.0, -1.0) if domain.role == "prediction" else (1.5, 0.0)


def document_options(own: Mapping[str, Any]) -> str:
    """The options that a loss has of its own."""
    if not own:
        return ""
    rows = [(name, f"{value!r} if left out, which sums of losses leave it.") for name, value in own.items()]
    return f"\nOther Parameters\n----------------\n{entries(rows)}\n"


def formula_text(loss: Any) -> str:
    """The formula in one line; that of boxes with its named steps, which would fill a page if put in."""
    expression, steps = loss.named_formula
    named = ", ".join(f"{name} = {value}" for name, value in steps)
    return f"{expression}, where {named}" if steps else str(expression)


def card(loss: Any) -> str:
    """The card that a notebook shows, in Markdown: name, formula, gradient, source."""
    lines = [f"**{plainly(loss.name)}** · {plainly(loss.summary)}", f"$$\n{loss.latex}\n$$"]
    if loss.space.corners:
        lines += ["Gradient: one slope per corner, step by step in `source()`."]
    else:
        lines += ["Gradient:", f"$$\n{print_latex(loss.gradient)}\n$$"]
    if errors := largest_errors(loss):
        lines.append(errors)
    if loss.reference:
        lines.append(f"Source: {plainly(loss.reference)}.")
    return "\n\n".join(lines)


@cache
def measured() -> dict[str, dict[str, Any]]:
    """The largest errors of each loss in float32, as `python -m benchmarks.exhaustive` found them."""
    return json.loads(files("lossbook").joinpath("largest_errors.json").read_text(encoding="utf-8"))


def largest_errors(loss: Any) -> str:
    """What was measured of a loss of the package with the defaults that it was measured with; else nothing."""
    errors = measured().get(loss.name)
    is_itself = getattr(sys.modules.get(loss.__module__), loss.__name__, None) is loss  # with its own defaults
    if errors is None or not is_itself:
        return ""
    said = f"value {errors['value']:.2f} ulp"
    said += f", slope {errors['gradient']:.2f} ulp" if "gradient" in errors else ""
    if errors["stride"] is None:
        return f"Largest error in float32 that a search found, on Numba: {said}."
    target = loss.declaration.target
    given = f"for {target} = {' and '.join(f'{value:g}' for value in errors['targets'])}, " if target else ""
    which = "all predictions" if errors["stride"] == 1 else f"one in {errors['stride']} of all predictions"
    return f"Largest error in float32, {given}over {which}, on Numba: {said}."
