"""A page of the book, as it was built, cut into slides: what stands on each, in an order, for any way of showing it."""

import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup, Tag
from parts import Box, Code, Derivation, Equation, Items, Line, Part, Picture, Table, Text, plain

# How much a slide holds, in lines of text; a slide that is a little too full is set smaller.
ROOM = 11.5
# Code is shown where a section has nothing else to see: so many lines of it, of so many letters, and as many printed.
CODE = (7, 78)
# How much of a paragraph is shown: the rest is for the lecturer, in the notes.
SHOWN = 340
LEAD = 200
# What leads to tabs with code, which have no place on a slide.
ELSEWHERE = "<strong>In your framework"
SKIPPED = ("Check yourself", "The notes, corrected")


@dataclass
class Slide:
    """One slide: HTML of its title, what stands on it, and what the book says there, for the lecturer."""

    title: str
    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kind: str = "content"  # or "title" or "figure"

    @property
    def height(self) -> float:
        return sum(part.height for part in self.parts)

    @property
    def has_only_words(self) -> bool:
        return all(isinstance(part, Text) for part in self.parts)

    def takes(self, words: "Slide") -> bool:
        """Whether there is room for the words of another slide of this section."""
        if not words.has_only_words or words.title != self.title or self.kind == "title":
            return False
        if self.kind == "figure":
            return self.parts[0].takes([part.content for part in words.parts])
        return isinstance(self.parts[0], Box) and self.height + words.height <= ROOM

    def put(self, words: "Slide", first: bool) -> None:
        """Take the words of another slide, before or behind what is here."""
        if self.kind == "figure":
            said = [part.content for part in words.parts]
            self.parts[0].said = said + self.parts[0].said if first else self.parts[0].said + said
        else:
            self.parts = words.parts + self.parts if first else self.parts + words.parts
        self.notes = words.notes + self.notes if first else self.notes + words.notes


@dataclass
class Chapter:
    """A notebook of the book, and the page that was made of it."""

    path: Path
    html: Path
    pictures: Path  # where the pictures of its figures are put

    @cached_property
    def page(self) -> Tag:
        page = BeautifulSoup((self.html / f"book/{self.path.stem}.html").read_text(encoding="utf-8"), "html.parser")
        return page.find("article").find("section")

    @cached_property
    def number(self) -> str:
        found = self.page.h1.find(class_="section-number")
        return found.get_text().strip(". ") if found else ""

    @cached_property
    def title(self) -> str:
        return inner(heading(self.page.h1)[1])

    @cached_property
    def cells(self) -> dict[int, Any]:
        """The cells of the notebook by the elements of the page that show them."""
        written = [cell for cell in nbformat.read(self.path, as_version=4).cells if cell.cell_type == "code"]
        shown = self.page.select("div.cell")
        if len(written) != len(shown):
            raise ValueError(f"{self.path.name} has {len(written)} cells of code, and its page shows {len(shown)}")
        return {id(element): cell for element, cell in zip(shown, written, strict=True)}

    def slides(self) -> list[Slide]:
        """The deck."""
        sections = [section for section in self.page.find_all("section", recursive=False) if section.h2]
        by_title = {heading(section.h2)[1].get_text(): section for section in sections}
        summary, exercises = by_title.pop("Summary", None), by_title.pop("Exercises", None)
        found = self.opening()
        for title, section in by_title.items():
            if title not in SKIPPED:
                found += Section(self, section).slides()
        if summary:
            lists = [Items(items(element), False) for element in summary.find_all("ul", recursive=False)]
            said = [] if lists else [Text(inner(one)) for one in summary.find_all("p", recursive=False)]
            found += packed("Summary", lists or said)
        if exercises:
            every = exercises.select("div.exercise")
            for exercise in dict.fromkeys((every[0], every[-1])):
                found += packed("To work on", [self.box(exercise)])
        return found

    def opening(self) -> list[Slide]:
        """The title, the question of the chapter, and what one can do after it."""
        before = self.page.find(class_="admonition")
        facts = inner(before.find_all("p")[1])
        first = Slide(self.title, [Text(facts)], kind="title")
        question = [Text(inner(element)) for element in reversed(before.find_previous_siblings("p"))]
        found = [first, *packed("The question", question)]
        goals = before.find_next_sibling("ul")
        if goals:
            found += packed("After this chapter you can", [Items(items(goals), False)])
        return found

    # --- pieces of the page ------------------------------------------------------------------------------------------

    def part(self, element: Tag) -> Part | None:
        """What an element of the page is on a slide; nothing for what has no place there."""
        names = set(element.get("class", []))
        if element.name == "p":
            return Text(inner(element))
        if element.name in ("ul", "ol"):
            return Items(items(element), element.name == "ol")
        if "math" in names:
            return equation(element)
        if element.name == "table" or element.find("table", recursive=False):
            return table(element if element.name == "table" else element.find("table", recursive=False))
        has_title = element.find(class_="admonition-title", recursive=False)
        if "proof" in names or (has_title and not names & {"dropdown", "solution", "exercise"}):
            return self.box(element)
        return None

    def box(self, element: Tag) -> Box:
        """A definition, a theorem, a note or an exercise with its title; a proof has only a first word."""
        title = element.find(class_="admonition-title", recursive=False)
        body = element.find("section", recursive=False) or element
        parts: list[Part] = []
        for child in body.find_all(True, recursive=False):
            if child is title:
                continue
            if "cell" in child.get("class", []):
                parts += [one for one in self.shown(child) if not isinstance(one, Picture)]
            elif one := self.part(child):
                parts.append(one)
        kinds = [name for name in element.get("class", []) if name not in ("admonition", "proof")]
        label = element.get("id", "")
        if title is None:
            words, _, rest = parts[0].content.partition(". ")
            parts[0] = Text(rest)
        else:
            words = " ".join(inner(title).split())
        return Box(words, kinds[0] if kinds else "proof", parts, label)

    # --- cells -------------------------------------------------------------------------------------------------------

    def shown(self, element: Tag) -> Iterator[Part]:
        """The derivations and figures that a cell has as its output."""
        cell = self.cells[id(element)]
        derivations = iter(element.select(".derivation"))
        for output in cell.outputs:
            data = output.get("data", {})
            if 'class="derivation"' in data.get("text/html", ""):
                yield derivation(next(derivations), data["text/latex"])
            elif "image/png" in data:
                yield self.picture(element, cell, data)

    def code(self, element: Tag) -> Code | None:
        """A cell that is short, shown in full and prints a little."""
        cell = self.cells[id(element)]
        printed = "".join(output.get("text", "") for output in cell.outputs).rstrip()
        lines, letters = CODE
        if cell.metadata.get("tags") or not printed:
            return None
        if any(
            len(text.splitlines()) > lines or max(map(len, text.splitlines())) > letters
            for text in (cell.source, printed)
        ):
            return None
        return Code(cell.source, printed)

    def picture(self, element: Tag, cell: Any, data: dict[str, Any]) -> Picture:
        """A figure, as it was stored."""
        about = cell.metadata["mystnb"]
        name = about["figure"]["name"]
        file = self.pictures / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b64decode(data["image/png"]))
        question = re.search(r"<strong>Before you move it:</strong>(.*?)<", data.get("text/html", ""), re.DOTALL)
        caption = inner(element.find("figcaption"))
        return Picture(file, name, caption, about["image"]["alt"], question.group(1).strip() if question else "")


@dataclass
class Section:
    """A section on its way to slides: of its text, the beginning, what leads to formulas, what follows from them, what
    is said in bold and what is asked; the rest goes into the notes."""

    chapter: Chapter
    element: Tag
    parts: list[Part] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    found: list[Slide] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # sentences of the last paragraph that are not shown yet
    is_first: bool = True  # whether the first paragraph is still to come
    follows: bool = False  # whether a formula has just been shown
    code: tuple[int, Code] | None = None  # the first that is short, and before which part it stands

    def slides(self) -> list[Slide]:
        """Its slides, and those of its subsections."""
        heading_element = self.element.find(re.compile("h[2-6]"), recursive=False)
        number, words = heading(heading_element)
        self.title = f'<span class="number">{number}</span> {inner(words)}' if number else inner(words)
        for child in self.element.find_all(True, recursive=False):
            if child is heading_element or child.name in ("span", "script", "style"):
                continue
            if child.name == "p":
                self.paragraph(child)
            elif child.name == "section":
                self.close()
                self.found += Section(self.chapter, child).slides()
            elif "cell" in child.get("class", []):
                self.cell(child)
            elif part := self.chapter.part(child):
                if not isinstance(part, Box):
                    self.lead()
                self.parts.append(part)
                self.kept, self.follows = [], isinstance(part, Equation)
        if self.code and not self.found and all(isinstance(part, Text) for part in self.parts):
            self.parts.insert(*self.code)
        self.close()
        if self.notes and self.found:
            self.found[-1].notes += self.notes
        return joined(self.found)

    def close(self) -> None:
        """Make slides of what was collected."""
        if self.parts:
            made = packed(self.title, self.parts)
            made[0].notes = self.notes
            self.found += made
            self.parts, self.notes = [], []

    def lead(self) -> None:
        """Show the sentence that leads to what comes now."""
        if self.kept and len(plain(self.kept[-1])) <= LEAD:
            self.parts.append(Text(self.kept[-1]))
        self.kept = []

    def paragraph(self, element: Tag) -> None:
        said = sentences(inner(element))
        self.notes.append(inner(element))
        if said[0].startswith(ELSEWHERE):
            self.kept = []
            return
        shown, asked = 0, [one for one in said if "?" in plain(one)]
        if self.is_first or said[0].startswith("<strong>"):
            shown = as_many(said, SHOWN)
        elif self.follows:
            shown = as_many(said[:1], LEAD)
        elif asked:
            self.parts.append(Text(" ".join(asked)))
            said = said[said.index(asked[-1]) + 1 :]
        if shown:
            self.parts.append(Text(" ".join(said[:shown])))
        self.kept, self.is_first, self.follows = said[shown:], False, False

    def cell(self, element: Tag) -> None:
        shown = list(self.chapter.shown(element))
        for part in shown:
            if isinstance(part, Picture):
                self.close()
                self.figure(part)
            else:
                self.lead()
                self.parts.append(part)
        if shown:
            self.kept, self.follows = [], True
        elif self.code is None and (code := self.chapter.code(element)):
            self.code = len(self.parts), code

    def figure(self, picture: Picture) -> None:
        """A picture has a slide of its own, and a slider's question one before it."""
        if picture.question:
            asked = Box("Before it moves", "question", [Text(picture.question), Text(picture.caption)])
            self.found.append(Slide(self.title, [asked]))
        self.found.append(Slide(self.title, [picture], kind="figure"))


# --- pieces of a page ------------------------------------------------------------------------------------------------


def heading(element: Tag) -> tuple[str, Tag]:
    """(number, words) of a heading."""
    copied = BeautifulSoup(str(element), "html.parser").find(element.name)
    for extra in copied.select(".headerlink"):
        extra.decompose()
    number = copied.find(class_="section-number")
    return (number.extract().get_text().strip(". ") if number else ""), copied


def inner(element: Tag) -> str:
    """The text of an element as plain HTML: no links, no classes, formulas between \\( and \\)."""
    copied = BeautifulSoup(element.decode_contents(), "html.parser")
    for extra in copied.select(".headerlink, button, script, style"):
        extra.decompose()
    for one in copied.find_all(True):
        if one.name != "math" and not one.find_parent("math"):
            one.attrs = {}
        if one.name in ("a", "span", "div", "p", "section"):
            one.unwrap()
    return copied.decode(formatter="minimal").strip()


def sentences(html: str) -> list[str]:
    """The sentences of a paragraph, as its source has them: each ends its line."""
    found = [""]
    for line in html.splitlines():
        found[-1] += f" {line.strip()}" if found[-1] else line.strip()
        if re.search(r"[.?!:][)\u201d\u2019]?$", plain(line).strip()):
            found.append("")
    return [one for one in found if one]


def as_many(said: list[str], room: int) -> int:
    """How many of the sentences fit, but one at least if it does so alone or nearly."""
    count = length = 0
    for one in said:
        length += len(plain(one))
        if length > room:
            break
        count += 1
    return count


def items(element: Tag) -> list[str]:
    return [inner(item) for item in element.find_all("li", recursive=False)]


def equation(element: Tag) -> Equation:
    """A displayed formula with its number."""
    number = element.find(class_="eqno")
    shown = number.get_text().strip("# ") if number else ""
    text = "".join(part for part in element.strings if number is None or number not in part.parents)
    tex = re.sub(r"^\s*\\\[|\\\]\s*$", "", text.strip())
    tex = re.sub(r"\\(begin|end)\{split\}", "", tex) if r"\begin{aligned}" in tex else tex
    return Equation(tex.strip(), shown)


def table(element: Tag) -> Table:
    rows = [[inner(cell) for cell in row.find_all(["th", "td"])] for row in element.find_all("tr")]
    return Table(rows[0], rows[1:]) if element.find("thead") else Table([], rows)


def derivation(element: Tag, latex: str) -> Derivation:
    """The lines of a derivation: formulas from its LaTeX, reasons and verdicts from the page."""
    rows = latex.split("\n", 1)[1].rsplit("\n", 1)[0].split(" \\\\\n")
    lines = []
    for row, shown in zip(rows, element.select(".line"), strict=True):
        name, _, formula = row.split("&&")[0].partition("&")
        refuted = re.fullmatch(r"\s*\\color\{red\}\{(.*)\}\s*", formula, re.DOTALL)
        verdict = next(name for name in shown["class"] if name != "line")
        said = [inner(note) for note in shown.select(".notes > span")]
        notes = ("<br>" if refuted else "; ").join(said)
        lines.append(Line(name.strip(), (refuted.group(1) if refuted else formula).strip(), notes, verdict))
    return Derivation(lines)


# --- from parts to slides --------------------------------------------------------------------------------------------


def packed(title: str, parts: list[Part]) -> list[Slide]:
    """Parts on as few slides as hold them, in their order; what is too long is cut where it can be."""
    found = [Slide(title)]
    for part in [piece for whole in parts for piece in whole.pieces(ROOM)]:
        before = found[-1].parts
        # A line that leads to what follows goes with it, though the letters become smaller.
        room = ROOM * 1.2 if found[-1].has_only_words and found[-1].height < 4 else ROOM
        if before and found[-1].height + part.height > room:
            leads = isinstance(before[-1], Text) and len(before) > 1 and not isinstance(part, Text)
            found.append(Slide(title, [before.pop()] if leads else []))
        found[-1].parts.append(part)
    return found


def joined(slides: list[Slide]) -> list[Slide]:
    """A few words stand beside the figure that follows them, or that they follow, rather than alone."""
    found: list[Slide] = []
    for at, slide in enumerate(slides):
        after = slides[at + 1] if at + 1 < len(slides) else None
        if after and after.takes(slide):
            after.put(slide, first=True)
        elif found and found[-1].takes(slide):
            found[-1].put(slide, first=False)
        else:
            found.append(slide)
    return found
