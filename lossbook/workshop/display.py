"""How a derivation is shown: in a notebook, in a terminal, in print."""

from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import sympy

from lossbook.documentation import print_latex

WIDTH = 60  # characters of a line in a terminal that leave room for its reason
MARKS = {"start": "", "proved": "proved", "agrees": "agrees at 200 points, not proved", "refuted": "wrong"}
IN_A_TERMINAL = {r"\le": "<=", r"\leq": "<=", r"\ge": ">=", r"\geq": ">=", r"\approx": "~", r"\ne": "!="}


def bundle(lines: Sequence[Any]) -> dict[str, str]:
    """The lines for whatever shows them."""
    return {"text/html": html(lines), "text/latex": latex(lines), "text/plain": text(lines)}


def relation(line: Any, is_first: bool) -> str:
    """The sign between a line and what stands before it."""
    if isinstance(line.expression, sympy.Eq):
        return "" if is_first else "<=>"
    return "" if is_first and line.name is None else line.relation


def what_is_wrong(line: Any, show: Callable[[Any], str] = str) -> list[str]:
    """Sentences of what is wrong with a refuted line, and where."""
    at = ", ".join(f"{show(name)} = {show(value)}" for name, value in line.counterexample.items())
    if line.difference is None:
        return ["only one of the two equations holds", f"for {at}"]
    return [f"off by {show(line.difference)}"] + ([f"as for {at}"] if at else [])


def text(lines: Sequence[Any]) -> str:
    """The lines for a terminal, with reasons and verdicts beside them."""
    signs = [relation(line, not number) for number, line in enumerate(lines)]
    starts = [
        " ".join(filter(None, (str(line.name or ""), IN_A_TERMINAL.get(sign, sign))))
        for line, sign in zip(lines, signs, strict=True)
    ]
    indent = max(map(len, starts))
    shown = [f"{start:>{indent}} {equation(line)}" for start, line in zip(starts, lines, strict=True)]
    width = min(WIDTH, max(map(len, shown)))
    rows = []
    for line, begin in zip(lines, shown, strict=True):
        beside = " ".join(filter(None, (line.reason, f"({MARKS[line.verdict]})" if MARKS[line.verdict] else "")))
        fits = len(begin) <= width
        rows.append(f"{begin:{width}}    {beside}".rstrip() if fits else begin)
        if not fits and beside:
            rows.append(f"{' ' * (indent + 5)}{beside}")
        if line.verdict == "refuted":
            rows += [f"{' ' * (indent + 5)}{sentence}" for sentence in what_is_wrong(line)]
    return "\n".join(rows)


def equation(line: Any) -> str:
    """The expression of a line, or the two sides of its equation."""
    content = line.expression
    return f"{content.lhs} = {content.rhs}" if isinstance(content, sympy.Eq) else str(content)


def tex(line: Any, is_first: bool) -> tuple[str, str]:
    """(the name that a line gives, its sign and expression) in LaTeX."""
    sign = relation(line, is_first).replace("<=>", r"\Leftrightarrow")
    return "" if line.name is None else print_latex(line.name), f"{sign} {line.printed or print_latex(line.expression)}"


def latex(lines: Sequence[Any]) -> str:
    """The lines for print, as one aligned formula."""
    rows = []
    for number, line in enumerate(lines):
        name, expression = tex(line, not number)
        beside = [line.reason, MARKS[line.verdict]]
        if line.verdict == "refuted":
            expression = rf"\color{{red}}{{{expression}}}"
            beside += what_is_wrong(line)
        notes = rf"\text{{{'; '.join(filter(None, beside))}}}".translate(IN_TEXT)
        rows.append(rf"{name} &{expression} && {notes if any(beside) else ''}")
    return "$$\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}$$"


IN_TEXT = {ord(sign): rf"\{sign}" for sign in "_&%#$"}


def html(lines: Sequence[Any]) -> str:
    """The lines for a notebook and a page: formulas in MathML, reasons and verdicts at the right or below."""
    rows = []
    for number, line in enumerate(lines):
        name, expression = tex(line, not number)
        notes = [f'<span class="reason">{escape(line.reason)}</span>'] if line.reason else []
        if MARKS[line.verdict]:
            notes.append(f'<span class="verdict">{MARKS[line.verdict]}</span>')
        if line.verdict == "refuted":
            sentences = what_is_wrong(line, lambda part: mathml(print_latex(part)))
            notes += [f'<span class="difference">{sentence}</span>' for sentence in sentences]
        cells = [
            f'<div class="name">{mathml(name)}</div>',
            f'<div class="formula" tabindex="0">{mathml(expression)}</div>',  # in reach of keys, since it may scroll
            f'<div class="notes">{" ".join(notes)}</div>',
        ]
        rows.append(f'<div class="line {line.verdict}">{"".join(cells)}</div>')
    style = files("lossbook.workshop").joinpath("derivation.css").read_text(encoding="utf-8")
    return f'<style>{style}</style>\n<div class="derivation">\n' + "\n".join(rows) + "\n</div>"


def mathml(formula: str) -> str:
    """A formula in MathML, which a browser sets without any script; as LaTeX where the converter is not installed."""
    if not formula:
        return ""
    try:
        from latex2mathml.converter import convert
    except ImportError:
        return rf"\({escape(formula)}\)"
    return convert(rf"\displaystyle {formula}")
