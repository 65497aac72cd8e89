"""What the cards of the atlas say of a loss: its textbook formula and gradient, and facts, from cards.toml."""

import importlib
import pkgutil
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from sympy.core.alphabets import greeks

import lossbook
from lossbook.documentation import print_latex

FILE = Path(__file__).with_name("cards.toml")
# The tasks, in the order of the chapters.
TASKS = {
    "divergence": "Comparing two probabilities", "binary": "Yes or no", "multiclass": "One class of several",
    "multilabel": "Several labels at once", "regression": "A number", "segmentation": "Masks",
    "detection": "Boxes and detectors", "adversarial": "Two networks against each other",
}  # fmt: skip
# Where a loss is least, or largest.
PLACES = {
    "target": "where prediction and target agree",
    "limit": "in the limit of logits that grow without bound on the side of the truth",
    "surer": "in the limit of a logit that grows without bound",
    "surer of both": "in the limit of logits that grow without bound, up for real data and down for made ones",
    "one": "at a prediction of 1",
    "edges": "at 0 and at 1",
    "real and fake": "where real data have 1 and made ones 0",
    "largest": "where the truth has the largest score, alone or tied",
    "apart": "for boxes that are apart",
    "far": "in the limit of boxes that are far apart beside their size",
    "far and thin": "in the limit of boxes that are far apart beside their size, one flat and one upright",
}
CENTERS = {
    "mean": "over several targets it is least at their mean",
    "median": "over several targets it is least at their median",
    "between": "over several targets it is least at neither their mean nor their median",
}


@cache
def every_loss() -> dict[str, Any]:
    """The public losses by the name under which they are called, such as "binary.focal"."""
    found = {}
    for module in pkgutil.iter_modules(lossbook.__path__):
        if module.name in TASKS:
            content = importlib.import_module(f"lossbook.{module.name}")
            names = [name for name in content.__all__ if isinstance(getattr(content, name), lossbook.Loss)]
            found |= {f"{module.name}.{name}": getattr(content, name) for name in names}
    return dict(sorted(found.items()))


def label_of(name: str, page: str = "atlas") -> str:
    """binary.focal_with_logits -> atlas-binary-focal-with-logits: where its card is, or its entry on another page."""
    return f"{page}-{re.sub('[._]', '-', name)}"


@cache
def cards() -> dict[str, Any]:
    """The file."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def entry(name: str) -> dict[str, Any]:
    """The formula of a loss in the book's letters; empty if it has none but its own."""
    found = cards().get(name, {})
    return entry(found["as"]) if "as" in found else found


def formulas(name: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The textbook formula and the gradient, and what both use: left and right sides in LaTeX."""
    typed = entry(name)
    if typed:
        rows = [("L", typed["formula"])]
        for along, slope in (("along", "slope"), ("second_along", "second")):
            if slope in typed:
                rows.append((rf"\frac{{\partial L}}{{\partial {typed[along]}}}", typed[slope]))
        return rows, [tuple(row.split(" = ", 1)) for row in typed.get("with", "").split(r" \\ ") if row]
    loss = every_loss()[name]
    rows = [("L", print_latex(loss.textbook))]
    slopes = loss.gradient if loss.shape == "joined" else [loss.gradient]
    for argument, slope in zip(loss.declaration.predictions, slopes, strict=True):
        shown = argument if len(argument) == 1 else rf"\mathrm{{{argument}}}"
        rows.append((rf"\frac{{\partial L}}{{\partial {shown}}}", print_latex(slope)))
    return rows, []


def facts(name: str) -> dict[str, Any]:
    """What is true of a loss."""
    return cards()["facts"][name]


def letters(name: str) -> dict[str, str]:
    """The arguments of a loss by the letters of its formula, as they are printed."""
    arguments = every_loss()[name].declaration.arguments
    own = {rf"\{argument}" if argument in greeks else argument: argument for argument in arguments}
    known = {letter: argument for letter, argument in own.items() if letter[0] == "\\" or len(letter) == 1}
    return known | entry(name).get("names", {})


def theory(name: str) -> list[str]:
    """The facts in words, a sentence each."""
    known, found = facts(name), []
    if "least" in known:
        value = {"-oo": "without bound"}.get(known["least"], known["least"])
        found.append(f"smallest value {value}, {PLACES[known['at']]}")
    else:
        found.append(f"smallest {PLACES[known['at']]}, at a value that depends on the target")
    if "most" in known:
        found.append(f"largest value {known['most']}, {PLACES[known['high']]}")
    if "proper" in known:
        found.append(
            "proper: the expected loss is least at the true probability" if known["proper"] else
            "not proper: the expected loss is least elsewhere than at the true probability"
        )  # fmt: skip
    if "center" in known:
        found.append(CENTERS[known["center"]])
    found.append("convex in the prediction" if known["convex"] else "not convex in the prediction")
    steepest = known["steepest"]
    found.append(
        "slopes without bound" if steepest == "oo" else f"largest slope (Lipschitz constant) {written(steepest)}"
    )
    return found


def written(expression: str) -> str:
    """The largest slope as text."""
    if expression.startswith("Max("):
        return "the larger of " + " and ".join(expression[4:-1].split(", "))
    return f"about {expression} with the defaults" if "." in expression else expression
