"""What can stand on a slide, how high it is, and how it is written as HTML and as typst.

Texts are HTML with formulas between \\( and \\). `texts()` names those of a part, and `typst(known)` finds them in
`known`, translated, since all texts of a deck are translated at once.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image
from typeset import ROOT

WIDTH = 68  # letters on a line
BESIDE = 25  # letters beside the formulas of a derivation
LONGEST = 42  # signs of a formula that leave room for a reason beside it


def plain(html: str) -> str:
    """About what is seen of a text: no tags, and formulas without their commands."""
    text = re.sub(r"<math.*?</math>", "xxx", html, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", "", text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return re.sub(r"\\\((.*?)\\\)|\\\[(.*?)\\\]", lambda found: signs(found[1] or found[2]), text, flags=re.DOTALL)


def signs(tex: str) -> str:
    """About the signs of a formula on its widest line."""
    rows = re.split(r"\\\\|\\cr", tex)
    shown = []
    for row in rows:
        row = re.sub(
            r"\\(begin|end)\{\w+\}|\\(left|right|displaystyle|operatorname|mathrm|text|log|limits)\b|[&{}^_\s]", "", row
        )
        row = re.sub(r"\\frac", "", row) if "\\frac" not in row else row.replace("\\frac", "")
        shown.append(re.sub(r"\\[a-zA-Z]+|\\.", "x", row))
    return max(shown, key=len, default="")


def lines_of(html: str, width: int = WIDTH) -> int:
    return max(1, math.ceil(len(plain(html)) / width))


def height_of(tex: str) -> float:
    """Lines of text that a displayed formula takes."""
    tall = re.compile(r"\\(?:frac|sum|prod|int|binom)")
    return sum(1.9 if tall.search(row) else 1.2 for row in tex.split(r"\\"))


def displayed(tex: str) -> str:
    """A formula as a text."""
    return rf"\[{escape(tex, quote=False)}\]" if tex else ""


def block(name: str, *arguments: str) -> str:
    return f"#{name}({', '.join(arguments)})\n"


@dataclass
class Part:
    """The common ground."""

    def texts(self) -> Iterator[str]:
        yield from ()

    def pieces(self, room: float) -> list["Part"]:
        """The same in pieces that fit a slide, if it can be cut."""
        return [self]


def shared_out(rows: list[Any], height: Callable[[Any], float], whole: float, room: float) -> list[list[Any]]:
    """Rows of a part that is `whole` high in as many runs as it needs, all about as high as the others."""
    count = math.ceil(whole / (room - 1))
    found, share = [[]], whole / count
    for row in rows:
        if found[-1] and sum(map(height, found[-1])) + height(row) / 2 > share:
            found.append([])
        found[-1].append(row)
    return found


@dataclass
class Text(Part):
    content: str

    @property
    def height(self) -> float:
        return lines_of(self.content) + 0.45

    def texts(self):
        yield self.content

    def html(self) -> str:
        return f"<p>{self.content}</p>"

    def typst(self, known: Mapping[str, str]) -> str:
        return f"#para[{known[self.content]}]\n"


@dataclass
class Items(Part):
    items: list[str]
    ordered: bool
    start: int = 1

    @property
    def height(self) -> float:
        return sum(lines_of(item, WIDTH - 4) + 0.35 for item in self.items) + 0.3

    def texts(self):
        yield from self.items

    def pieces(self, room):
        if self.height <= room * 1.15 or len(self.items) < 2:
            return [self]
        # Halves that are alike look better than one full slide and a rest.
        count = math.ceil(self.height / room)
        at = [round(len(self.items) * k / count) for k in range(count + 1)]
        return [Items(self.items[a:b], self.ordered, self.start + a) for a, b in pairwise(at) if b > a]

    def html(self) -> str:
        name = f'ol start="{self.start}"' if self.ordered else "ul"
        return f"<{name}>{''.join(f'<li>{item}</li>' for item in self.items)}</{name[:2]}>"

    def typst(self, known):
        rows = ", ".join(f"[{known[item]}]" for item in self.items)
        return f"#enum(start: {self.start}, {rows})\n" if self.ordered else f"#list({rows})\n"


@dataclass
class Equation(Part):
    tex: str
    number: str

    @property
    def height(self) -> float:
        return height_of(self.tex) + 0.9

    def texts(self):
        yield displayed(self.tex)

    def html(self) -> str:
        number = f'<span class="eqno">{self.number}</span>' if self.number else ""
        return rf'<div class="equation"><div class="formula">{displayed(self.tex)}</div>{number}</div>'

    def typst(self, known):
        return f"#equation([{known[next(self.texts())]}], [{self.number}])\n"


@dataclass
class Line:
    """A line of a derivation: the name that it defines, sign and formula, reason and verdict, how it was judged."""

    name: str
    formula: str
    notes: str
    verdict: str


@dataclass
class Derivation(Part):
    lines: list[Line]

    @property
    def is_wide(self) -> bool:
        """Whether the reasons stand below the formulas."""
        return max(len(signs(line.name + line.formula)) for line in self.lines) > LONGEST

    def height_of(self, line: Line) -> float:
        formula, below = height_of(line.formula), self.is_wide
        count = sum(lines_of(note, 75 if below else BESIDE) for note in line.notes.split("<br>") if note) * 0.75
        return (formula + count if below else max(formula, count)) + 0.3

    @property
    def height(self) -> float:
        return sum(map(self.height_of, self.lines)) + 0.4

    def texts(self):
        for line in self.lines:
            yield from (displayed(line.name), displayed(line.formula), line.notes)

    @staticmethod
    def formula(tex: str) -> str:
        return rf"\(\displaystyle {escape(tex, quote=False)}\)" if tex else ""

    def pieces(self, room):
        if self.height <= room * 1.1:
            return [self]
        return [Derivation(lines) for lines in shared_out(self.lines, self.height_of, self.height, room)]

    def html(self) -> str:
        rows = "".join(
            f'<div class="name">{self.formula(line.name)}</div><div class="formula {line.verdict}">'
            f'{self.formula(line.formula)}</div><div class="reason {line.verdict}">{line.notes}</div>'
            for line in self.lines
        )
        return f'<div class="derivation{" wide" if self.is_wide else ""}">{rows}</div>'

    def typst(self, known):
        rows = [
            f"([{known[displayed(line.name)]}], [{known[displayed(line.formula)]}], [{known[line.notes]}], "
            f"{json.dumps(line.verdict)})"
            for line in self.lines
        ]
        return block("derivation", str(self.is_wide).lower(), *rows)


@dataclass
class Code(Part):
    """A few lines and what they print."""

    source: str
    output: str

    @property
    def height(self) -> float:
        return (len(self.source.splitlines()) + len(self.output.splitlines())) * 0.72 + 1.6

    def html(self) -> str:
        return f'<pre class="source">{escape(self.source)}</pre><pre class="output">{escape(self.output)}</pre>'

    def typst(self, known):
        return block("code", *(json.dumps(text, ensure_ascii=False) for text in (self.source, self.output)))


@dataclass
class Table(Part):
    head: list[str]
    rows: list[list[str]]

    @property
    def shares(self) -> list[int]:
        """How wide the columns are: by their longest word and by all that they hold."""
        columns = list(zip(*([self.head] if self.head else []), *self.rows, strict=True))
        return [
            max(6, max(len(word) for cell in column for word in plain(cell).split() or [""]),
                round(math.sqrt(sum(len(plain(cell)) ** 2 for cell in column) / len(column))))
            for column in columns
        ]  # fmt: skip

    def height_of(self, row: list[str]) -> float:
        widths = [max(5, round(WIDTH * 1.15 * share / sum(self.shares))) for share in self.shares]
        return max(lines_of(cell, width) for cell, width in zip(row, widths, strict=True)) * 0.85 + 0.3

    @property
    def height(self) -> float:
        return sum(map(self.height_of, [*([self.head] if self.head else []), *self.rows])) + 0.4

    def texts(self):
        for row in (self.head, *self.rows):
            yield from row

    def pieces(self, room):
        if self.height <= room * 1.15:
            return [self]
        return [Table(self.head, rows) for rows in shared_out(self.rows, self.height_of, self.height, room)]

    def html(self) -> str:
        head = f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in self.head)}</tr></thead>" if self.head else ""
        rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in self.rows)
        return f"<table>{head}<tbody>{rows}</tbody></table>"

    def typst(self, known):
        shares = ", ".join(f"{share}fr" for share in self.shares)
        cells = [f"[{known[cell]}]" for row in (self.head, *self.rows) for cell in row]
        return block("rows", f"({shares},)", str(bool(self.head)).lower(), *cells)


@dataclass
class Box(Part):
    """A definition, a theorem, a question."""

    title: str
    kind: str
    parts: list[Part]
    label: str = ""

    @property
    def height(self) -> float:
        return sum(part.height for part in self.parts) + 1.7

    def texts(self):
        yield self.title
        for part in self.parts:
            yield from part.texts()

    def pieces(self, room):
        if self.height <= room * 1.15:
            return [self]
        inner = [piece for part in self.parts for piece in part.pieces(room - 2)]
        found: list[Box] = [replace(self, parts=[])]
        for part in inner:
            if found[-1].parts and found[-1].height + part.height > room:
                found.append(replace(self, title=f"{self.title}, continued", parts=[], label=""))
            found[-1].parts.append(part)
        return found

    def html(self) -> str:
        label = f' data-label="{self.label}"' if self.label else ""
        inside = "".join(part.html() for part in self.parts)
        return f'<div class="box {self.kind}"{label}><p class="of">{self.title}</p>{inside}</div>'

    def typst(self, known):
        inside = "".join(part.typst(known) for part in self.parts)
        return f"#boxed({json.dumps(self.kind)}, [{known[self.title]}])[\n{inside}]\n"


@dataclass
class Picture(Part):
    """A figure; a slider has a question besides."""

    file: Path
    label: str
    caption: str
    alt: str
    question: str
    said: list[str] = field(default_factory=list)  # words that stand beside it

    @property
    def height(self) -> float:
        return math.inf

    @property
    def beside(self) -> bool:
        """Whether the caption stands beside it: it does unless the figure is wide."""
        with Image.open(self.file) as image:
            return image.width / image.height < 1.95

    def takes(self, words: list[str]) -> bool:
        """Whether more words fit beside it."""
        count = sum(len(plain(text)) for text in [*self.said, *words])
        return count + len(plain(self.caption)) * 0.5 <= (290 if self.beside else 190)

    def texts(self):
        yield from (self.caption, *self.said)

    def html(self) -> str:
        where = "beside" if self.beside else "below"
        said = "".join(f"<p>{text}</p>" for text in self.said)
        image = f'<img src="images/{self.file.name}" alt="{escape(self.alt, quote=True)}">'
        caption = f'<figcaption>{said}<p class="caption">{self.caption}</p></figcaption>'
        return f'<figure class="{where}" data-label="{self.label}">{image}{caption}</figure>'

    def typst(self, known):
        file = json.dumps(f"/{self.file.relative_to(ROOT).as_posix()}")
        alt = json.dumps(self.alt, ensure_ascii=False)
        said = [f"[{known[text]}]" for text in (self.caption, *self.said)]
        return block("picture", file, alt, str(self.beside).lower(), *said)
