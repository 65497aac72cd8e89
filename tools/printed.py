"""Print the book: all pages in one PDF or one EPUB, from the built pages, with nothing but Python packages.

`make pdf` and `make epub` call main(). An article of the site is stripped of what only a browser needs; pandoc turns
its formulas into Typst and MathML; Typst sets the PDF by printed.typ, and an EPUB is the same articles in a zip.
All numbers (Definition 2.1, Figure 2.5) are those of the site, since its pages are what is printed.
"""

import base64
import html
import json
import re
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

import pypandoc
import typst
import yaml
from bs4 import BeautifulSoup, NavigableString, Tag
from build import HTML, ROOT, ensure
from PIL import Image
from typeset import expanded

PRINTED = ROOT / "_build" / "printed"  # what is made on the way
PDF, EPUB = ROOT / "_build" / "lossbook.pdf", ROOT / "_build" / "lossbook.epub"
TEMPLATE, STYLE = (Path(__file__).with_suffix(end) for end in (".typ", ".css"))
TITLE, SUBTITLE, AUTHOR = "lossbook", "The loss functions of convolutional networks", "the lossbook authors"
DATE = "2026-01-01T00:00:00Z"  # a fixed one: the same sources give the same bytes
SOLUTIONS = "solutions"  # the page that only print has

# Of a browser only.
INTERACTIVE = "script style button input select textarea canvas iframe template .headerlink .toctree-wrapper [hidden]"
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
BLOCKS = {
    "article", "blockquote", "details", "div", "dl", "dd", "dt", "figure", "hr", "li", "ol", "p", "pre", "section",
    "table", "ul", *HEADINGS,
}  # fmt: skip


# --- the pages -------------------------------------------------------------------------------------------------------


@dataclass
class Page:
    """An article without what only a browser needs. Every id begins with the name of its page, and links say so too:
    `#binary` is a page, `#binary--def-bce` a place on it."""

    name: str
    body: Tag
    part: str = ""  # the caption of the part that begins here
    level: int = 2  # of its title: parts have 1

    @property
    def title(self) -> str:
        return self.body.h1.get_text().strip()


def outline() -> Iterator[tuple[str, str, int]]:
    """Every page in the order of the book, with the part that begins there and the level of its title."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    yield Path(contents["root"]).name, "About this book", 2
    for part in contents["parts"]:
        caption = part["caption"]
        for chapter in part["chapters"]:
            yield Path(chapter["file"]).name, caption, 2
            caption = ""
            for section in chapter.get("sections", []):
                yield Path(section["file"]).name, "", 3


def book() -> list[Page]:
    """All pages, ready for print; the last one has the solutions."""
    ensure()
    (PRINTED / "images").mkdir(parents=True, exist_ok=True)
    pages = [Page(name, article(name), part, level) for name, part, level in outline()]
    pages.append(Page(SOLUTIONS, solutions(pages), "Solutions"))
    resolve(pages)
    return pages


def article(name: str) -> Tag:
    text = (HTML / "book" / f"{name}.html").read_text(encoding="utf-8")
    text = text[text.index('<article class="bd-article"') : text.index("</article>")]
    # Nine of ten elements are the colors of code, which print sets itself.
    text = re.sub(r"<pre\b.*?</pre>", lambda code: re.sub(r"</?span\b[^>]*>", "", code[0]), text, flags=re.S)
    text = re.sub(r'<span class="pre">([^<]*)</span>', r"\1", text)
    soup = BeautifulSoup(text, "html.parser")
    body = soup.article.extract()
    make = soup.new_tag
    stills(name, body, make)
    drawings(name, body, make)
    for tag in body.select(INTERACTIVE.replace(" ", ", ")):
        tag.decompose()
    for tag in body.select(".tag_proof"):  # tests of what the text claims, which the site hides with their outputs
        tag.decompose()
    for tag in body.select("details.hide"):  # code that the site folds
        tag.summary.decompose()
        tag.name, tag["class"] = "div", ["folded"]
    for tag in body.select("details"):
        tag.name = "div"
        tag["class"] = ["aside"]
        tag.summary.name = "p"
        tag.p["class"] = ["aside-title"]
    for tag in body.select("label.sd-tab-label"):  # tabs follow one another, each with its name
        tag.name, tag.attrs = "p", {"class": ["tab-name"]}
        tag.string = tag.get_text().strip()
    for tag in body.select("label, output, data"):
        tag.unwrap()
    for tag in body.select("img"):
        source = (HTML / "book" / unquote(tag["src"])).resolve() if not tag["src"].startswith("_build") else None
        tag["src"] = source.relative_to(ROOT).as_posix() if source else tag["src"]
    return body


def stills(name: str, body: Tag, make: Callable) -> None:
    """A figure with sliders becomes the picture that its notebook stores for print, below its question."""
    sliders = body.select("div[id^=slider-]")
    if not sliders:
        return
    notebook = json.loads((ROOT / "book" / f"{name}.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    stored = [(cell, output["data"]) for cell in cells for output in cell["outputs"] if "data" in output]
    for number, slider in enumerate(sliders, 1):
        mark = f'id="{slider["id"]}"'
        cell, data = next(one for one in stored if mark in "".join(one[1].get("text/html", "")))
        file = PRINTED / "images" / f"{name}-slider-{number}.png"
        file.write_bytes(base64.b64decode("".join(data["image/png"])))
        described = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt")
        about = described or "".join(data["text/plain"])
        question = slider.p if slider.p and slider.p.strong else None
        picture = make("img", attrs={"src": file.relative_to(ROOT).as_posix(), "alt": about})
        slider.clear()
        slider.attrs = {"class": ["still"]}
        slider.extend([one for one in (question, picture) if one])


def drawings(name: str, body: Tag, make: Callable) -> None:
    """A drawing in the page becomes a file, with the look that the style sheet of the site gives it."""
    for number, drawing in enumerate(body.select("svg"), 1):
        about = drawing.get("aria-label", "")
        if "viewbox" in drawing.attrs:
            drawing["viewBox"] = drawing.attrs.pop("viewbox")  # the parser of HTML writes names small
        if drawing.find_parent(class_="thumbnails"):
            drawing.attrs |= {"fill": "none", "stroke": "#1f2328", "stroke-width": "2"}
        for style in drawing("style"):  # a moving picture stands where it ends
            for one, place in re.findall(r"\.(\w+) \{ transform: (translate\([^)]*\))", style.decode_contents()):
                for moved in drawing.select(f".{one}"):
                    moved["transform"] = place.replace("px", "")
            style.decompose()
        drawing["xmlns"] = "http://www.w3.org/2000/svg"
        drawing.attrs = {key: value for key, value in drawing.attrs.items() if key not in ("style", "role")}
        file = PRINTED / "images" / f"{name}-drawing-{number}.svg"
        file.write_text(drawing.decode(formatter="minimal"), encoding="utf-8", newline="\n")
        drawing.replace_with(make("img", attrs={"src": file.relative_to(ROOT).as_posix(), "alt": about}))


def solutions(pages: list[Page]) -> Tag:
    """The solutions of all pages, taken from there; exercise and solution lead to each other."""
    soup = BeautifulSoup("<article><h1>Solutions to the exercises</h1></article>", "html.parser")
    for page in pages:
        found = page.body.select(".admonition.solution")
        if not found:
            continue
        chapter = soup.new_tag("section", id=f"of-{page.name}")
        heading = soup.new_tag("h2")
        heading.string = page.title
        chapter.append(heading)
        for solution in found:
            exercise = solution.find_previous(class_="exercise")
            number = exercise.select_one(".caption-number").get_text().strip()
            there = soup.new_tag("p", attrs={"class": ["to-solution"]})
            there.append(soup.new_tag("a", string="Solution", href=f"{SOLUTIONS}.html#{page.name}--{solution['id']}"))
            exercise.append(there)
            back = soup.new_tag("a", string=number, href=f"{page.name}.html#{exercise['id']}")
            title = solution.select_one(".admonition-title")
            title.clear()
            title.extend(["Solution to ", back])
            chapter.append(solution.extract())
            for tag in [solution, *solution.select("[id]")]:  # pages may use the same id
                tag["id"] = f"{page.name}--{tag['id']}"
            for link in solution.select("a[href^='#']"):
                link["href"] = f"{page.name}.html{link['href']}"
        soup.article.append(chapter)
    return soup.article


def place(page: Page, one: str) -> str:
    """The id in print of an id of a page."""
    return f"{page.name}--{re.sub(r'[^A-Za-z0-9_.-]', '-', one)}"


def resolve(pages: list[Page]) -> None:
    """Give every place one id in the whole book, keep those that a link leads to, and let all links lead there."""
    places: dict[str, str] = {}  # from `page.html#id` of the site to the id in print
    for page in pages:
        places[f"{page.name}.html#"] = page.name
        for heading in page.body(HEADINGS):
            # A section has its own id and those of labels before its heading: the heading answers to all of them.
            main = page.name if heading.name == "h1" else ""
            section = heading.find_parent("section")
            holders = [heading]
            if section is not None and section.find(HEADINGS) is heading:
                holders = [section, *heading.find_previous_siblings("span", id=True), heading]
            for holder in holders:
                if one := holder.attrs.pop("id", ""):
                    main = main or place(page, one)
                    places[f"{page.name}.html#{one}"] = main
            if main:
                heading["id"] = main
        for tag in page.body.select("[id]"):
            if tag.name not in HEADINGS:
                places[f"{page.name}.html#{tag['id']}"] = tag["id"] = place(page, tag["id"])
    moved = f"{SOLUTIONS}.html#"
    for key, there in [one for one in places.items() if one[0].startswith(moved)]:
        page, mark, rest = key.removeprefix(moved).partition("--")
        if mark:
            places.setdefault(f"{page}.html#{rest}", there)
    wanted = {page.name for page in pages}
    for page in pages:
        for link in page.body("a"):
            address = urlsplit(link.get("href", ""))
            if address.scheme:
                link["href"] = quote(link["href"], safe=":/?#[]@!$&'()*+,;=%~")  # a DOI may have < and >
                continue
            target = f"{PurePosixPath(address.path).name or f'{page.name}.html'}#{address.fragment}"
            if target in places:
                link["href"] = f"#{places[target]}"
                wanted.add(places[target])
            elif (HTML / "book" / address.path).exists() and not address.fragment:
                link.unwrap()  # a file of the site that is no page of the book
            else:
                raise ValueError(f"{page.name}: {link} leads nowhere")
    for page in pages:
        for tag in page.body.select("[id]"):
            if tag["id"] not in wanted and tag.name not in HEADINGS:
                del tag["id"]


# --- formulas --------------------------------------------------------------------------------------------------------


@dataclass
class Formula:
    """A formula in three languages."""

    tex: str
    typst: str
    mathml: str
    fractions: bool = False
    small: bool = False  # within a line, parts of its fractions would be as small as an index of an index


# Sphinx sets this around a formula of several lines that says itself how they are aligned.
SPLIT = re.compile(r"\\begin\{split\}\s*(\\begin\{(?:aligned|gathered)\}.*)\\end\{split\}", re.DOTALL)


def formulas(pages: Iterable[Page]) -> dict[str, Formula]:
    """All formulas of the pages: each becomes an element <formula source="...">, and this dictionary knows it."""
    found = {}
    for page in pages:
        for tag in page.body.select("span.math, div.math, math"):
            if tag.name == "math":
                source, display = str(tag), False
            else:
                number = tag.select_one(".eqno")
                if number:
                    tag["number"] = number.extract().get_text().strip("()")
                text, display = tag.get_text().strip(), tag.name == "div"
                source = html.escape(expanded(SPLIT.sub(r"\1", text)))
            tag["source"] = source
            tag["class"] = ["display"] if display else []
            tag.name = "formula"
            tag.clear()
            found[source] = None
    blocks = "".join(f"<p>{source}</p>" for source in found)
    tree = pypandoc.convert_text(blocks, "json", format="html+tex_math_single_backslash")
    texts = [block["c"][0]["c"][1] for block in json.loads(tree)["blocks"]]
    typed = pypandoc.convert_text(tree, "typst", format="json", extra_args=["--wrap=none"]).strip().split("\n\n")
    marked = pypandoc.convert_text(tree, "html5", format="json", extra_args=["--mathml", "--wrap=none"])
    marked = BeautifulSoup(marked, "html.parser")("p", recursive=False)
    if not len(found) == len(texts) == len(typed) == len(marked):
        raise ValueError("pandoc did not give one formula for each")
    for source, tex, text, paragraph in zip(found, texts, typed, marked, strict=True):
        if paragraph.math is None:
            raise ValueError(f"pandoc cannot read the formula {tex}")
        paragraph.math.annotation.decompose()
        paragraph.math.semantics.unwrap()
        for mark in paragraph.math(["mi", "mn", "mtext"]):  # sizes are for operators only
            mark.attrs.pop("minsize", None), mark.attrs.pop("maxsize", None), mark.attrs.pop("stretchy", None)
        if tex.startswith((r"\begin{aligned}", r"\begin{gathered}")):
            paragraph.math.mtable["displaystyle"] = "true"
        for function in paragraph.math("mo", string="\u2061"):
            spaced(function.parent)
        mathml = source if source.startswith("<math") else str(paragraph.math)
        small = paragraph.math.select_one("mfrac :is(mfrac, msub, msup, msubsup, munder, munderover)") is not None
        found[source] = Formula(tex, for_typst(tex, text), mathml, paragraph.math.mfrac is not None, small)
    return found


def spaced(function: Tag) -> None:
    """Set the name of a function, such as log, apart from what is not in brackets: browsers do not."""
    if function.parent.name not in ("math", "mrow", "mtd"):  # it has an index: its siblings have their places
        return
    for around, add in (
        (function.find_previous_sibling(), function.insert_before),
        (function.find_next_sibling(), function.insert_after),
    ):
        if around is not None and (around.name != "mo" or around.get("form") == "postfix"):
            add(BeautifulSoup('<mspace width="0.167em"></mspace>', "html.parser").mspace)


# TeX's larger delimiters: pandoc scales a letter, which then stands too low.
LARGER = re.compile(r"#scale\(x: (\d+)%, y: \d+%\)\[\\?(.)\]")
NAMED = {"(": "paren.l", ")": "paren.r", "[": "bracket.l", "]": "bracket.r", "{": "brace.l", "}": "brace.r"}


def bars(inside: str) -> str:
    """A magnitude, if what stands between the bars is whole; two bars may also belong to two magnitudes."""
    depth = 0
    for mark in re.findall(r"[()\[\]{}&,]", inside):
        depth += (mark in "([{") - (mark in ")]}")
        if depth < 0 or (mark in "&," and not depth):
            return ""
    return "" if depth else f"lr(bar.v {inside} bar.v)"


# Symbols that have another name in Typst than in this pandoc, and spaces, which it rounds to whole ems.
RENAMED = {"dot.circle": "dot.o", "sect": "inter", "#h(-1em)": "#h(-0.167em)", "#h(0em)": "thick"}


def for_typst(tex: str, text: str) -> str:
    """What pandoc says, with operators that are spaced as such, and delimiters that stand on the line."""
    for star, name in re.findall(r"\\operatorname(\*?)\{([^{}]*)\}", tex):
        name = name.replace(r"\,", "\u2006")
        limits = ", limits: #true" if star else ""
        text = text.replace(f'"{name}"', f'op("{name.replace(chr(0x2006), " ")}"{limits})')
    for old, new in RENAMED.items():
        text = re.sub(rf'(?<![\w".]){re.escape(old)}(?![\w".])', new, text)
    # Bars around a number: pandoc writes two letters, which would stand apart like a relation.
    text = re.sub(r"\\\|((?:(?!\\\|).)*)\\\|", lambda found: bars(found[1]) or found[0], text, flags=re.S)
    # What is hidden is still a formula, and not markup, where = alone is a heading.
    text = re.sub(r"#hide\[([^][]*)\]", r"#hide($\1$)", text)
    text = LARGER.sub(lambda found: f"lr(size: #{found[1]}%, {NAMED.get(found[2], quoted(found[2]))})", text)
    return text.strip().strip("$").strip()


# --- the PDF ---------------------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A string of Typst."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def words(text: str) -> str:
    """Text as a string that Typst takes as it is; spaces at its ends may vanish at the end of a line."""
    text = re.sub(r"\s+", " ", text)
    if not (inner := text.strip()):
        return text
    return f"{' ' * text.startswith(' ')}#{quoted(inner)};{' ' * text.endswith(' ')}"


def call(name: str, *content: str, **options: object) -> str:
    """A call of a function of printed.typ, with content blocks last."""
    named = ", ".join(f"{key}: {value}" for key, value in options.items() if value is not None)
    return f"#{name}({named}){''.join(f'[{one}]' for one in content)};"


SAID = f"title: {quoted(TITLE)}, subtitle: {quoted(SUBTITLE)}, author: {quoted(AUTHOR)}"

# The boxes of the book: the class that says so, and the kind of box in printed.typ.
BOXES = {
    "exercise": "exercise", "solution": "solution", "definition": "statement", "theorem": "statement",
    "proof": "proof", "admonition": "note", "aside": "note", "sd-card": "note", "lossbook-audit": "audit",
}  # fmt: skip
TALLEST = 1240  # pixels of a picture, so that a page holds it with its caption
SHORT = 900  # letters of a box that is not broken over two pages

# Classes of paragraphs and of words that have a look of their own: functions of printed.typ.
PARAGRAPHS = ("rubric", "tab-name", "thumbnails-of", "to-solution")
SPANS = ("caption-number", "difference")
WRAPS = {"em": "emph", "i": "emph", "strong": "strong", "b": "strong", "sub": "sub", "sup": "super"}
TITLES = "admonition-title", "aside-title", "sd-card-title"


@dataclass
class Typesetter:
    """From the elements of the pages to Typst."""

    formulas: dict[str, Formula]
    handlers: dict[str, Callable[[Tag], str]] = field(init=False)

    def __post_init__(self) -> None:
        self.handlers = {
            "p": self.paragraph, "pre": self.code, "ul": self.items, "ol": self.items, "dl": self.terms,
            "table": self.table, "figure": self.figure, "hr": lambda _: "#line(length: 100%);",
            **dict.fromkeys(HEADINGS, self.heading),
        }  # fmt: skip

    def page(self, page: Page) -> str:
        self.shift = page.level - 1
        part = call("part", words(page.part)) if page.part else "#pagebreak(weak: true);"
        return f"{part}\n\n{self.flow(page.body)}"

    # Blocks.

    def flow(self, parent: Tag) -> str:
        """The children of an element: blocks, and paragraphs of what lies between them."""
        parts, line = [], []
        for child in [*parent.children, None]:
            if child is not None and not self.is_block(child):
                line.append(self.inline(child))
                continue
            if text := "".join(line).strip():
                parts.append(text)
            line = []
            if child is not None:
                parts.append(self.block(child))
        return "\n\n".join(part for part in parts if part)

    def is_block(self, node: object) -> bool:
        if not isinstance(node, Tag):
            return False
        return node.name in BLOCKS or "display" in node.get("class", []) or node.find(BLOCKS) is not None

    def block(self, tag: Tag) -> str:
        if tag.name == "formula":
            return self.display(tag)
        if handler := self.handlers.get(tag.name):
            return handler(tag)
        classes = tag.get("class", [])
        if "derivation" in classes:
            return self.derivation(tag)
        if "citation" in classes:
            label = tag.select_one(".label").extract()
            return call("citation", self.anchor(tag) + self.line(label), self.flow(tag))
        if kind := next((kind for name, kind in BOXES.items() if name in classes), None):
            return self.box(tag, kind)
        return "\n\n".join(part for part in (self.anchor(tag), self.flow(tag)) if part)

    def anchor(self, tag: Tag) -> str:
        return f"#metadata(none)<{tag['id']}>" if tag.get("id") else ""

    def line(self, tag: Tag) -> str:
        return "".join(self.inline(child) for child in tag.children).strip()

    def heading(self, tag: Tag) -> str:
        label = f"<{tag['id']}>" if tag.get("id") else ""
        return f"#heading(level: {int(tag.name[1]) + self.shift})[{self.line(tag)}]{label}"

    def paragraph(self, tag: Tag) -> str:
        text = self.anchor(tag) + self.line(tag)
        named = next((one for one in PARAGRAPHS if one in tag.get("class", [])), "")
        after = tag.find_next_sibling()
        if not named and after is not None and "sd-tab-set" in after.get("class", []):
            named = "leading"
        return call(named, text) if named and text else text

    def box(self, tag: Tag, kind: str) -> str:
        title = next((one for one in tag(["p", "div"], class_=TITLES)), None)
        head = self.line(title.extract()) if title else ""
        whole = "true" if len(tag.get_text()) < SHORT and kind != "solution" else None
        return call("framed", self.anchor(tag) + head, self.flow(tag), kind=quoted(kind), whole=whole)

    def code(self, tag: Tag) -> str:
        text = tag.get_text().rstrip("\n")
        languages = [one for parent in tag.parents for one in parent.get("class", []) if one.startswith("highlight-")]
        given = languages[0].removeprefix("highlight-") if languages else ""
        language = {"ipython3": '"python"', "python": '"python"', "bash": '"bash"'}.get(given)
        kind = "output" if tag.find_parent(class_="cell_output") else "code"
        kind = "folded" if tag.find_parent(class_="folded") and kind == "code" else kind
        shown = tag.find_parent(class_="cell_input") and tag.find_parent(class_="cell").select_one(".cell_output pre")
        return call(
            "code", text=quoted(text), lang=language, kind=quoted(kind), columns=max(map(len, text.split("\n"))),
            lines=text.count("\n") + 1, sticky="true" if shown and kind == "code" else None,
        )  # fmt: skip

    def items(self, tag: Tag) -> str:
        if "thumbnails" in tag.get("class", []):
            cells = "".join(f"[{self.anchor(item)}{self.line(item)}]" for item in tag("li", recursive=False))
            return f"#thumbnails(){cells};"
        items = [self.anchor(item) + self.flow(item) for item in tag("li", recursive=False)]
        if tag.name == "ul":
            return call("list", *items)
        numbering = quoted("a.") if "loweralpha" in tag.get("class", []) else None
        return call("enum", *items, start=tag.get("start"), numbering=numbering)

    def terms(self, tag: Tag) -> str:
        entries, heads = [], []
        for child in tag(["dt", "dd"], recursive=False):
            if child.name == "dt":
                heads.append(self.anchor(child) + self.line(child))
            else:
                entries.append(f"terms.item([{' #linebreak(); '.join(heads)}], [{self.flow(child)}])")
                heads = []
        entries += [f"terms.item([{head}], [])" for head in heads]
        return f"#terms({', '.join(entries)});"

    def table(self, tag: Tag) -> str:
        rows = tag("tr")
        widths = [re.search(r"([\d.]+)%", column.get("style", "")) for column in tag("col")]
        count = max(sum(int(cell.get("colspan", 1)) for cell in row(["td", "th"])) for row in rows)
        columns = ", ".join(f"{width[1]}fr" for width in widths) if widths and all(widths) else ""
        cells = [[self.cell(cell) for cell in row(["td", "th"])] for row in rows]
        heads = [row for row, made in zip(rows, cells, strict=True) if row.find_parent("thead")]
        header = ", ".join(one for made in cells[: len(heads)] for one in made)
        body = ", ".join(one for made in cells[len(heads) :] for one in made)
        whole = "true" if len(rows) <= 10 else "false"
        grid = f"tab(columns: {f'({columns},)' if columns else count}, header: ({header},), whole: {whole}, {body})"
        caption = tag.caption
        if not caption:
            return f"{self.anchor(tag)}\n\n#{grid};"
        return f"#figure(kind: table, supplement: none, caption: [{self.anchor(tag)}{self.line(caption)}], {grid});"

    def cell(self, tag: Tag) -> str:
        span = f"table.cell(colspan: {tag['colspan']})" if tag.get("colspan") else ""
        return f"{span}[{self.anchor(tag)}{self.flow(tag)}]"

    def figure(self, tag: Tag) -> str:
        caption = tag.figcaption.extract() if tag.figcaption else None
        said = f"[{self.flow(caption)}]" if caption else "none"
        inside = self.anchor(tag) + self.flow(tag)
        return f"#figure(kind: image, supplement: none, caption: {said})[{inside}];"

    def derivation(self, tag: Tag) -> str:
        lines = []
        for line in tag(class_="line", recursive=False):
            name, formula, notes = (line.find(class_=part) for part in ("name", "formula", "notes"))
            spans = [self.line(span) for span in notes("span", recursive=False)]
            refuted = "true" if "refuted" in line["class"] else "false"
            lines.append(f"({refuted}, [{self.line(name)}], [{self.line(formula)}], [{' ·~'.join(spans)}])")
        return f"#derivation({', '.join(lines)});"

    def display(self, tag: Tag) -> str:
        formula = self.formulas[tag["source"]]
        number = quoted(f"({tag['number']})") if tag.get("number") else None
        made = f"#display({quoted(formula.tex)}, $ {formula.typst} $" + (f", number: {number}" if number else "") + ");"
        return self.anchor(tag) + made

    def width(self, picture: Tag) -> float:
        """How wide a picture is, in pixels of the site."""
        if picture["src"].endswith(".svg"):
            return 540
        with Image.open(ROOT / picture["src"]) as read:
            width = read.width * (0.8 if picture.get("width") else 1)  # the atlas has one for every loss
            return min(width, TALLEST * read.width / read.height)

    # Within a line.

    def inline(self, node: object) -> str:
        if isinstance(node, NavigableString):
            return words(node) if type(node) is NavigableString else ""
        name, anchor = node.name, self.anchor(node)
        if name == "formula":
            formula = self.formulas[node["source"]]
            of = node.parent.get("class", [])
            in_small = node.find_parent(["table", "span"], class_=["table", "notes"])  # letters smaller than the text's
            large = "name" in of or formula.small or (in_small and formula.fractions)
            kind = "breaking-formula" if "formula" in of else "large-formula" if large else "formula"
            return f"{anchor}#{kind}({quoted(formula.tex)}, ${formula.typst}$);"
        if name == "code":
            text = " ".join(node.get_text().split())
            return f"{anchor}#raw({quoted(text)});"
        if name == "img":
            return f"{anchor}#picture({quoted('/' + node['src'])}, {quoted(node['alt'])}, {self.width(node):g});"
        if name == "br":
            return "#linebreak();"
        inside = "".join(self.inline(child) for child in node.children)
        if name == "a" and node.get("href"):
            href = node["href"]
            return f"{anchor}#link({f'<{href[1:]}>' if href.startswith('#') else quoted(href)})[{inside.strip()}];"
        if wrap := WRAPS.get(name):
            return f"{anchor}#{wrap}[{inside}];" if inside.strip() else anchor
        if named := next((one for one in SPANS if one in node.get("class", [])), ""):
            return f"{anchor}#{named}[{inside}];"
        return anchor + inside


def pdf() -> Path:
    """Set the whole book as a PDF that is tagged and names its language, its parts and its pictures (PDF/UA-1)."""
    pages = book()
    setter = Typesetter(formulas(pages))
    body = "\n\n".join(setter.page(page) for page in pages)
    PDF.write_bytes(typeset("lossbook", f"#show: book.with({SAID})\n\n{body}", pdf_standards=["ua-1"], timestamp=0))
    return PDF


def typeset(name: str, text: str, **options: object) -> bytes:
    """What Typst makes of a text in the words of printed.typ."""
    source = PRINTED / f"{name}.typ"
    template = TEMPLATE.relative_to(ROOT).as_posix()
    source.write_text(f'#import "/{template}": *\n{text}\n', encoding="utf-8", newline="\n")
    # Only the fonts that come with Typst: the same pages on every machine.
    return typst.compile(str(source), root=str(ROOT), ignore_system_fonts=True, **options)


# --- the EPUB --------------------------------------------------------------------------------------------------------

NAMESPACES = 'xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" xml:lang="en" lang="en"'
KEPT = {"id", "class", "href", "src", "alt", "colspan", "rowspan", "start"}  # attributes; those of formulas all are
COVER = "images/cover.png"
TYPES = {".xhtml": "application/xhtml+xml", ".css": "text/css", ".png": "image/png", ".svg": "image/svg+xml"}
CONTAINER = """<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
ACCESSIBLE = {
    "accessMode": ["textual", "visual"],
    "accessModeSufficient": ["textual"],
    "accessibilityFeature": ["alternativeText", "MathML", "readingOrder", "structuralNavigation", "tableOfContents"],
    "accessibilityHazard": ["none"],
    "accessibilitySummary": ["Formulas are MathML with their TeX as text; every picture has a description."],
}


def xhtml(title: str, body: str) -> str:
    head = f'<title>{html.escape(title)}</title><link rel="stylesheet" type="text/css" href="style.css"/>'
    page = f"<!DOCTYPE html>\n<html {NAMESPACES}><head>{head}</head>\n<body>{body}</body></html>\n"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{page}'


def formula_elements(page: Page, known: dict[str, Formula]) -> None:
    """Put MathML where the formulas of a page are."""
    for tag in page.body("formula"):
        made = BeautifulSoup(known[tag["source"]].mathml, "html.parser").math
        made["alttext"] = known[tag["source"]].tex
        del tag["source"]
        if "display" in tag["class"]:
            made["display"] = "block"
            tag.name = "div"
            if "number" in tag.attrs:
                number = BeautifulSoup("", "html.parser").new_tag("span", string=f"({tag.attrs.pop('number')})")
                number["class"] = ["number"]
                tag.append(number)
            tag.insert(0, made)
        else:
            tag.replace_with(made)


def nested(entries: list[tuple[int, str]]) -> str:
    """A list of lists from levels and links."""
    parts = []
    while entries:
        level, link = entries.pop(0)
        below = []
        while entries and entries[0][0] > level:
            below.append(entries.pop(0))
        parts.append(f"<li>{link}{nested(below) if below else ''}</li>")
    return f"<ol>{''.join(parts)}</ol>"


def navigation(pages: list[Page]) -> str:
    """The table of contents: parts, pages and their sections."""
    entries = []
    for page in pages:
        file = f"{page.name}.xhtml"
        if page.part:
            entries.append((1, f"<span>{html.escape(page.part)}</span>"))
        entries.append((page.level, f'<a href="{file}">{html.escape(page.title)}</a>'))
        for heading in page.body("h2"):
            text = html.escape(heading.get_text().strip())
            entries.append((page.level + 1, f'<a href="{file}#{heading["id"]}">{text}</a>'))
    return f'<nav epub:type="toc" id="toc"><h1>Contents</h1>{nested(entries)}</nav>'


def epub() -> Path:
    """Write the whole book as an EPUB 3 with formulas in MathML."""
    pages = book()
    known = formulas(pages)
    home = {tag["id"]: page.name for page in pages for tag in page.body.select("[id]")}
    title = f'<section epub:type="titlepage"><h1>{TITLE}</h1><p>{SUBTITLE}</p><p>{AUTHOR}</p></section>'
    files: dict[str, bytes] = {
        "title.xhtml": xhtml(TITLE, title).encode(),
        "nav.xhtml": xhtml("Contents", navigation(pages)).encode(),
        "style.css": STYLE.read_bytes(),
        COVER: typeset("cover", f"#cover({SAID})", format="png", ppi=192.0),
    }
    for page in pages:
        for tag in page.body(True):
            if tag.name != "formula":
                widths = {"style": tag["style"]} if tag.name == "col" and tag.get("style") else {}
                tag.attrs = {key: value for key, value in tag.attrs.items() if key in KEPT} | widths
        for tag in page.body("a"):
            if tag.get("href", "").startswith("#"):
                tag["href"] = f"{home[tag['href'][1:]]}.xhtml{tag['href']}"
        for tag in page.body("table"):
            tag.wrap(BeautifulSoup("", "html.parser").new_tag("div", attrs={"class": "wide"}))
        for tag in page.body("img"):
            file = Path(tag["src"])
            files[f"images/{file.name}"] = (ROOT / file).read_bytes()
            tag["src"] = f"images/{file.name}"
        formula_elements(page, known)
        text = "".join(one.decode(formatter="minimal") for one in page.body("section", recursive=False) or [page.body])
        files[f"{page.name}.xhtml"] = xhtml(page.title, text).encode()
    files["package.opf"] = package(files, [page.name for page in pages]).encode()
    contents = {f"EPUB/{name}": files[name] for name in sorted(files)}
    write_zip(EPUB, {"META-INF/container.xml": CONTAINER.encode(), **contents})
    return EPUB


def item(name: str) -> str:
    """The id of a file of the EPUB."""
    return "i-" + re.sub(r"[^A-Za-z0-9]", "-", name)


def package(files: dict[str, bytes], order: list[str]) -> str:
    """What an EPUB says of itself: title, language, accessibility, all files, and the order of reading."""
    said = "".join(
        f'<meta property="schema:{key}">{value}</meta>' for key, values in ACCESSIBLE.items() for value in values
    )
    items = []
    for name in sorted(files):
        marks = ["nav"] * (name == "nav.xhtml") + ["cover-image"] * (name == COVER)
        marks += ["mathml"] * (b"<math" in files[name] and name.endswith(".xhtml"))
        properties = f' properties="{" ".join(marks)}"' if marks else ""
        items.append(f'<item id="{item(name)}" href="{name}" media-type="{TYPES[Path(name).suffix]}"{properties}/>')
    spine = "".join(f'<itemref idref="{item(f"{name}.xhtml")}"/>' for name in ["title", "nav", *order])
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="en">\n'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, TITLE)}</dc:identifier>'
        f"<dc:title>{TITLE}: {SUBTITLE}</dc:title><dc:creator>{AUTHOR}</dc:creator><dc:language>en</dc:language>"
        f'<meta property="dcterms:modified">{DATE}</meta>{said}</metadata>\n'
        f"<manifest>{''.join(items)}</manifest>\n<spine>{spine}</spine>\n</package>\n"
    )


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    """An archive that is the same whenever it is written; the type comes first and is not compressed."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"mimetype": b"application/epub+zip", **files}.items():
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, content)


def main(target: str) -> int:
    made = {"pdf": pdf, "epub": epub}[target]()
    print(f"\nThe book is in {made.relative_to(ROOT).as_posix()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
