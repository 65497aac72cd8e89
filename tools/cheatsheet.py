"""All losses of the package on one page a family, as PDF, printed from the code and from what the atlas says of them.

    python tools/cheatsheet.py    writes _build/cheatsheet.pdf

The pages of the book have it, too: tools/build.py puts it beside them.
"""

import json
import re
import sys
from html import escape

from typeset import ROOT, translated, write_pdf

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import cards

from lossbook.documentation import typed

FILE = ROOT / "_build" / "cheatsheet.pdf"


def families() -> dict[str, list[str]]:
    """The names of all public losses by their module, in the order of the chapters."""
    return {
        module: [name for name in cards.every_loss() if name.startswith(f"{module}.")] for module in cards.TASKS
    }  # fmt: skip


def call(name: str) -> str:
    """How a loss is called, with its defaults."""
    declaration = cards.every_loss()[name].declaration
    given = [*declaration.arrays, *(f"{key}={typed(value)}" for key, value in declaration.defaults.items())]
    return f"{name}({', '.join(given)})"


def ranges(name: str) -> list[tuple[str, str]]:
    """What each argument may be, in few words."""
    found = []
    for argument, domain in cards.every_loss()[name].declaration.arguments.items():
        rule = re.sub(r", since .*", "", domain.rule)
        kind = re.sub(r" \([^)]*\)|:.*", "", domain.describes)
        found.append((argument, f"{kind}, {rule}" if domain.role == "target" and domain.checked else rule))
    return found


def marked(text: str) -> str:
    """Text with `code` as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def formula(left: str, right: str, display: bool) -> str:
    text = escape(f"{left} = {right}", quote=False)
    return rf"\[{text}\]" if display else rf"\({text}\)"


def shared(names: list[str]) -> list[tuple[str, str]]:
    """What several losses of a family use under the same letter, in no other sense."""
    meanings: dict[str, list[str]] = {}
    for name in names:
        for left, right in cards.formulas(name)[1]:
            meanings.setdefault(left, []).append(right)
    return [(left, found[0]) for left, found in meanings.items() if len(found) > 1 and len(set(found)) == 1]


def texts(name: str, known: list[tuple[str, str]]) -> dict[str, str | list[str]]:
    """What is said of a loss, as HTML, without what is known."""
    rows, given = cards.formulas(name)
    given = [row for row in given if row not in known]
    note = cards.entry(name).get("note", "")
    return {
        "call": f"<code>{escape(call(name), quote=False)}</code>",
        "ranges": "; ".join(f"<code>{argument}</code> {escape(rule)}" for argument, rule in ranges(name)),
        "summary": marked(cards.every_loss()[name].summary),
        "formulas": [formula(left, right, True) for left, right in rows],
        "given": listed(given),
        "note": marked(note),
        "facts": marked("; ".join(cards.theory(name)) + "."),
    }


def listed(given: list[tuple[str, str]]) -> str:
    return ", ".join(formula(left, right, False) for left, right in given)


def source() -> str:
    """The sheets as typst."""
    common = {module: shared(names) for module, names in families().items()}
    every = {name: texts(name, common[module]) for module, names in families().items() for name in names}
    given = [
        text
        for one in every.values()
        for value in one.values()
        for text in ([value] if isinstance(value, str) else value)
    ]
    known = translated([*given, *map(listed, common.values())])
    lines = ['#import "/tools/deck/cheatsheet.typ": *', "#show: sheets"]
    for module, names in families().items():
        rows = []
        for name in names:
            one = every[name]
            formulas = "".join(f"[{known[text]}], " for text in one["formulas"])
            rest = ", ".join(f"{key}: [{known[one[key]]}]" for key in one if key != "formulas")
            rows.append(f"(name: {json.dumps(name)}, formulas: ({formulas}), {rest})")
        head = f"{json.dumps(cards.TASKS[module])}, {json.dumps(module)}, [{known[listed(common[module])]}]"
        lines.append(f"#sheet({head}, {', '.join(rows)})")
    return "\n".join(lines)


def main() -> int:
    FILE.parent.mkdir(exist_ok=True)
    write_pdf(source(), FILE)
    print(f"The cheat sheet is {FILE.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
