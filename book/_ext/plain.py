"""Pages as Markdown that any notebook shows: no directive, no role, every reference written out."""

import re
from collections.abc import Iterable

from docutils import nodes

# What would be taken for Markdown in running text; an underscore only at the edge of a word.
SPECIAL = re.compile(r"[\\`*$]|(?<!\w)_|_(?!\w)")
FOLDED = {"dropdown", "toggle"}


def escape(text: str) -> str:
    """Text in which nothing is markup."""
    return SPECIAL.sub(r"\\\g<0>", text).replace("<", "&lt;")


def quoted(text: str) -> str:
    """A block quote."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def folded(title: str, text: str) -> str:
    """A block that opens on a click."""
    return f"<details>\n<summary><b>{title}</b></summary>\n\n{text}\n\n</details>"


def fenced(text: str, language: str = "") -> str:
    """A block of code, in a fence that is longer than any in it."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", text) or ("",)))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def is_cell(node: nodes.Node) -> bool:
    """Whether a node is a code cell with its outputs."""
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def kind(node: nodes.Node) -> str:
    """The name of the class of a node, by which those of extensions are known, too."""
    return type(node).__name__


class Plain:
    """Writes the nodes of one page, whose references are resolved.

    Parameters
    ----------
    numbers : dict
        Of each kind of thing with a number (figure, exercise, ...), the numbers by id.
    macros : dict
        What the commands of the book's formulas stand for.
    """

    def __init__(self, numbers: dict[str, dict[str, tuple[int, ...]]], macros: dict[str, str]):
        self.numbers = numbers
        self.macros = macros

    # What has a number.

    def number(self, what: str, node: nodes.Element) -> str:
        """The number of a node, such as 2.1; "" if it has none."""
        found = (self.numbers.get(what, {}).get(one) for one in node["ids"])
        return ".".join(map(str, next((one for one in found if one), ())))

    def latex(self, text: str) -> str:
        """A formula without the commands of the book, which other notebooks do not know."""
        for name, meaning in self.macros.items():
            text = re.sub(rf"\\{name}(?![A-Za-z])", lambda _, meaning=meaning: meaning + " ", text)
        return text.strip()

    # Running text.

    def inline(self, parent: nodes.Node) -> str:
        return "".join(map(self.phrase, parent.children))

    def phrase(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.Text):
            return escape(node.astext())
        if isinstance(node, nodes.math):
            return f"${self.latex(node.astext())}$"
        if isinstance(node, nodes.literal) and "xref" not in node["classes"]:
            text = node.astext()
            mark = "``" if "`" in text else "`"
            return f"{mark}{text}{mark}"
        if isinstance(node, nodes.raw | nodes.comment | nodes.system_message | nodes.target):
            return ""
        inner = self.inline(node)
        if isinstance(node, nodes.strong):
            return f"**{inner}**"
        if isinstance(node, nodes.emphasis):
            return f"*{inner}*"
        if isinstance(node, nodes.reference) and re.match(r"https?:", node.get("refuri", "")):
            return f"[{inner}]({node['refuri']})"
        return inner

    # Blocks.

    def text(self, children: Iterable[nodes.Node], level: int = 2) -> str:
        """Blocks with an empty line between them."""
        return "\n\n".join(text for child in children if (text := self.block(child, level)))

    def block(self, node: nodes.Node, level: int) -> str:
        """One block; of a kind that is not known, what it holds."""
        write = getattr(self, f"block_{kind(node)}", None)
        if write:
            return write(node, level)
        if isinstance(node, nodes.Invisible | nodes.raw | nodes.system_message | nodes.transition):
            return ""
        if isinstance(node, nodes.TextElement):
            return self.inline(node)
        if isinstance(node, nodes.Admonition) and "realtype" in node:
            return self.statement(node)
        return self.text(node.children, level)

    def block_section(self, node: nodes.section, level: int) -> str:
        return self.text(node.children, level + 1)

    def block_title(self, node: nodes.title, level: int) -> str:
        return f"{'#' * level} {self.inline(node)}"

    def block_bullet_list(self, node: nodes.bullet_list, level: int) -> str:
        return self.items(node, ["- "] * len(node.children), level)

    def block_enumerated_list(self, node: nodes.enumerated_list, level: int) -> str:
        first = node.get("start", 1)
        return self.items(node, [f"{first + at}. " for at in range(len(node.children))], level)

    def items(self, node: nodes.Element, marks: list[str], level: int) -> str:
        parts = []
        for mark, item in zip(marks, node.children, strict=True):
            lines = self.text(item.children, level).split("\n")
            parts.append("\n".join([mark + lines[0], *(" " * len(mark) + line if line else "" for line in lines[1:])]))
        return ("\n\n" if any("\n\n" in part for part in parts) else "\n").join(parts)

    def block_definition_list(self, node: nodes.definition_list, level: int) -> str:
        parts = []
        for item in node.children:
            *terms, meaning = item.children
            parts.append(f"**{', '.join(map(self.inline, terms))}**\n\n{self.text(meaning.children, level)}")
        return "\n\n".join(parts)

    def block_literal_block(self, node: nodes.literal_block, level: int) -> str:
        language = {"ipython3": "python", "myst-ansi": ""}.get(node.get("language", ""), node.get("language", ""))
        return fenced(node.astext(), language)

    def block_math_block(self, node: nodes.math_block, level: int) -> str:
        number = self.number("displaymath", node) if node.get("number") else ""
        tag = f" \\tag{{{number}}}" if number else ""
        text = self.latex(node.astext())
        if re.match(r"\\begin\{(?:align|gather|equation)\*?\}", text):  # these make a display of their own
            return text
        return f"$$\n{text}{tag}\n$$"

    def block_block_quote(self, node: nodes.block_quote, level: int) -> str:
        return quoted(self.text(node.children, level))

    def block_table(self, node: nodes.table, level: int) -> str:
        title = next((child for child in node.children if isinstance(child, nodes.title)), None)
        rows = [[self.cell(entry) for entry in row.children] for row in node.findall(nodes.row)]
        has_head = any(node.findall(nodes.thead))
        head = rows.pop(0) if has_head else [""] * len(rows[0])
        lines = [head, ["---"] * len(head), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        if title is None:
            return table
        number = self.number("table", node)
        return f"**{f'Table {number}. ' if number else ''}** {self.inline(title)}\n\n{table}"

    def cell(self, entry: nodes.entry) -> str:
        """A cell of a table, which must be one line without a bar."""
        text = self.text(entry.children).replace("\n\n", "<br>").replace("\n", " ")
        text = re.sub(r"\$[^$]*\$", lambda found: found[0].replace(r"\|", r"\Vert ").replace("|", r"\vert "), text)
        return re.sub(r"(?<!\\)\|", r"\\|", text)

    def block_figure(self, node: nodes.figure, level: int) -> str:
        return "\n\n".join(self.caption(node))

    def caption(self, node: nodes.Node) -> list[str]:
        """The captions of the figures in a node: the pictures themselves are outputs of cells."""
        found = []
        for figure in node.findall(nodes.figure):
            captions = [self.inline(child) for child in figure.children if isinstance(child, nodes.caption)]
            number = self.number("figure", figure)
            found += [f"**Figure {number}.** {caption}" if number else caption for caption in captions]
        return found

    # Boxes.

    def block_admonition(self, node: nodes.admonition, level: int) -> str:
        title, *rest = node.children
        if not isinstance(title, nodes.title):  # a proof
            return quoted(self.text(node.children, level))
        if FOLDED & set(node["classes"]):
            return folded(self.inline(title), self.text(rest, level))
        return quoted(f"**{self.inline(title)}**\n\n{self.text(rest, level)}")

    def statement(self, node: nodes.Element) -> str:
        """A definition or a theorem: its number and name in bold, in a box."""
        title, *rest = node.children
        number = self.number(node.get("countertype", ""), node)
        name = re.sub(r"^\W*%s\s*|^\w+ %s\s*", "", self.inline(title)).strip()
        head = " ".join(part for part in (node["realtype"].title(), number, name) if part)
        return quoted(f"**{head}.**\n\n{self.text(rest)}")

    def exercise_title(self, node: nodes.Element) -> str:
        """Such as "Exercise 2.1 (Three numbers by hand (easy))"."""
        number = self.number("exercise", node)
        return " ".join(part for part in ("Exercise", number, self.inline(node.children[0]).strip()) if part)

    def block_exercise_enumerable_node(self, node: nodes.Element, level: int) -> str:
        head = f"{'#' * (level + 1)} {self.exercise_title(node)}"
        return f"{head}\n\n{self.text(node.children[1:], level + 1)}"

    def block_solution_node(self, node: nodes.Element, level: int) -> str:
        return folded("Solution", self.text(node.children[1:], level + 1))

    # Tabs, of which plain text shows all, one after the other.

    def block_sd_tab_input(self, node: nodes.Element, level: int) -> str:
        return ""

    def block_sd_tab_label(self, node: nodes.Element, level: int) -> str:
        return f"*{self.inline(node)}*"
