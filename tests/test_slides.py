"""The decks of slides, the cheat sheet and the file of all figures: nothing is lost, cut or fetched from outside."""

import re
import xml.etree.ElementTree as ElementTree
import zipfile
from hashlib import sha256

import cheatsheet
import figures
import lecture
import nbformat
import pypdf
import pytest
import slides
import typst
from bs4 import BeautifulSoup
from parts import Box, Code, Derivation, Equation, Items, Line, Table, Text
from typeset import translated, write_pdf

pytestmark = pytest.mark.xdist_group("slides")
CHAPTERS = [path for _, paths in slides.parts_of_the_book() for path in paths]
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
# What a slide may be cut to, as a part of the usual size of letters: 32 pixels of 720.
SMALLEST = 0.58

MEASURE = """() => [...document.querySelectorAll(".slides > section")].map((slide, at) => {
  slide.style.display = "block";
  const content = slide.querySelector(".content"), title = slide.querySelector("h1, h2");
  const room = slide.getBoundingClientRect(), found = [];
  for (const box of [content, ...content.querySelectorAll("figcaption")]) {
    if (box.scrollHeight > box.clientHeight + 2) found.push("too high");
    if (box.scrollWidth > box.clientWidth + 2) found.push("too wide");
  }
  if (title.scrollWidth > title.clientWidth + 2) found.push("title too wide");
  for (const shown of content.querySelectorAll("mjx-math, img, p, li, td, pre")) {
    const {left, right, top, bottom} = shown.getBoundingClientRect();
    const seen = right > left && bottom > top && !shown.closest("mjx-assistive-mml");
    if (seen && (right > room.right || left < room.left || bottom > room.bottom - 30 || top < room.top))
      found.push(`${shown.tagName} leaves the slide`);
  }
  for (const formula of content.querySelectorAll(".equation")) {
    const number = formula.querySelector(".eqno"), shown = formula.querySelector("mjx-math");
    if (number && shown.getBoundingClientRect().right > number.getBoundingClientRect().right - number.clientWidth)
      found.push("formula over its number");
  }
  if (slide.querySelector("mjx-merror, [data-mml-node=merror]")) found.push("a formula is not read");
  for (const image of slide.querySelectorAll("img")) if (!image.naturalWidth) found.push("no picture");
  const size = parseFloat(content.style.fontSize);
  slide.style.display = "";
  return [at + 1, size, found];
})"""


@pytest.fixture(scope="module")
def decks(html):
    """The folder of all decks, made now."""
    assert slides.main([]) == 0
    return slides.OUT


def deck(folder, path):
    return BeautifulSoup((folder / f"{path.stem}.html").read_text(encoding="utf-8"), "html.parser")


def page(html, path):
    """The page of a chapter, without what is no part of a lecture."""
    found = BeautifulSoup((html / f"book/{path.stem}.html").read_text(encoding="utf-8"), "html.parser").article
    for section in found.find_all("section"):
        title = section.h2 and lecture.heading(section.h2)[1].get_text()
        if title in ("Exercises", "Summary", *lecture.SKIPPED) and section.find("h2", recursive=False):
            section.decompose()
    for solution in found.select(".solution"):
        solution.decompose()
    return found


def test_every_chapter_has_a_deck_both_ways(decks):
    """The index leads to all of them, and a PDF has as many pages as its deck has slides."""
    index = BeautifulSoup((decks / "index.html").read_text(encoding="utf-8"), "html.parser")
    leads = {link["href"] for link in index.find_all("a")}
    assert leads == {f"{path.stem}.{kind}" for path in CHAPTERS for kind in ("html", "pdf")}
    assert len(CHAPTERS) > 20
    for path in CHAPTERS:
        count = len(deck(decks, path).select(".slides > section"))
        pdf = pypdf.PdfReader(decks / f"{path.stem}.pdf")
        assert len(pdf.pages) == count >= 10, path.stem
        width, height = pdf.pages[0].mediabox[2:]
        assert float(width) / float(height) == pytest.approx(16 / 9, rel=1e-3)


@each_chapter
def test_a_deck_has_what_the_chapter_has(path, decks, html):
    """Every definition and theorem with its number, every figure, every line of a derivation, the question, an end."""
    shown, read = deck(decks, path), page(html, path)
    for statement in read.select("div.proof[id]"):
        box = shown.find(attrs={"data-label": statement["id"]})
        assert box, statement["id"]
        number = statement.find(class_="caption-number")
        assert box.find(class_="of").get_text().startswith(number.get_text().strip() if number else "Proof")
    labels = {figure["data-label"] for figure in shown.select("figure")}
    assert labels == {figure["id"] for figure in read.select("figure[id]")}
    assert all(image["alt"] and (decks / image["src"]).exists() for image in shown.select("img"))
    assert len(shown.select(".derivation > .formula")) == len(read.select(".derivation > .line"))
    titles = [title.get_text() for title in shown.select("h1, h2")]
    assert titles[1:2] == ["The question"]
    assert "To work on" in titles
    stored = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    assert ("Summary" in titles) == ("## Summary" in stored)


@each_chapter
def test_a_slider_asks_before_it_is_shown(path, decks, html):
    """The question stands on a slide of its own, before the picture."""
    sliders = [element.find_parent("figure")["id"] for element in page(html, path).select("div[id^=slider-]")]
    every = deck(decks, path).select(".slides > section")
    for label in sliders:
        at = next(k for k, slide in enumerate(every) if slide.find("figure", attrs={"data-label": label}))
        assert every[at - 1].find(class_="question"), label
        assert not every[at - 1].find("img")


@each_chapter
def test_no_slide_is_cut_and_nothing_comes_from_outside(path, decks, browser):
    """In a browser, from a double click: all stays on its slide, in letters that a hall can read."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    tab, errors = context.new_page(), []
    tab.set_default_timeout(240_000)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda one: None if one.url.startswith(("file:", "data:", "blob:")) else errors.append(one.url))
    tab.goto((decks / f"{path.stem}.html").as_uri())
    tab.wait_for_function("document.documentElement.dataset.ready === 'yes'")
    measured = tab.evaluate(MEASURE)
    assert [one for one in measured if one[2]] == []
    assert all(size > SMALLEST for _, size, _ in measured)
    assert sum(size >= 0.82 for _, size, _ in measured) > 0.9 * len(measured)
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("Reveal.getIndices().h") == 1
    assert tab.inner_text(".slide-number").split() == ["2", "/", str(len(measured))]
    assert errors == []
    context.close()


def test_what_is_too_long_is_cut_into_slides_in_its_order():
    """Lists, derivations, tables and boxes go on on the next slide; nothing is lost."""
    words = "a word and another one " * 6
    items = Items([f"{k} {words}" for k in range(12)], ordered=True)
    pieces = items.pieces(lecture.ROOM)
    assert len(pieces) > 1
    assert [item for piece in pieces for item in piece.items] == items.items
    assert [piece.start for piece in pieces] == [
        1 + sum(len(one.items) for one in pieces[:k]) for k in range(len(pieces))
    ]
    lines = Derivation([Line("", rf"= \frac{{{k}}}{{x}}", "a reason; <em>proved</em>", "proved") for k in range(12)])
    assert [one for piece in lines.pieces(lecture.ROOM) for one in piece.lines] == lines.lines
    table = Table(["a", "b"], [[str(k), words] for k in range(20)])
    assert [row for piece in table.pieces(lecture.ROOM) for row in piece.rows] == table.rows
    box = Box("Theorem 1.1", "theorem", [Text(words) for _ in range(9)], "thm-a")
    first, *rest = box.pieces(lecture.ROOM)
    assert [len(first.parts) + sum(len(one.parts) for one in rest), first.label] == [9, "thm-a"]
    assert {(one.title, one.label) for one in rest} == {("Theorem 1.1, continued", "")}
    made = lecture.packed("title", [items, lines, table, box])
    assert all(slide.height <= lecture.ROOM * 1.3 for slide in made)


def test_a_slide_that_cannot_hold_its_content_is_an_error(tmp_path):
    """In print a deck is not made at all if something on it would be cut."""
    paragraphs = "".join("#para[a paragraph of a few words]\n" for _ in range(60))
    source = '#import "/tools/deck/deck.typ": *\n#show: deck.with(title: "t")\n#slide("content", [t])[\n%s]'
    write_pdf(source % "#para[short]", tmp_path / "short.pdf")
    with pytest.raises(typst.TypstError, match="a slide is too full"):
        write_pdf(source % paragraphs, tmp_path / "long.pdf")


def test_the_same_sources_give_the_same_files(tmp_path, decks, html):
    """Both ways, byte by byte: no times, no paths, no fonts of the machine."""
    path = next(path for path in CHAPTERS if path.stem == "recipe")
    before = [(decks / f"recipe.{kind}").read_bytes() for kind in ("html", "pdf")]
    slides.write(path, html)
    assert before == [(decks / f"recipe.{kind}").read_bytes() for kind in ("html", "pdf")]
    for content in before:
        assert str(slides.ROOT).encode() not in content


def test_a_formula_that_pandoc_cannot_read_is_an_error():
    with pytest.raises(ValueError, match="cannot translate"):
        translated([r"\(\frac{1}{\)"])


def test_parts_are_written_twice():
    """Each kind of part says the same in both languages."""
    parts = [Text(r"a \(x^2\)"), Items(["one", "two"], False), Equation("x = 1", "(1.1)"), Code("print(1)", "1")]
    known = translated(text for part in parts for text in part.texts())
    assert known[r"a \(x^2\)"] == "a $x^2$"
    for part in parts:
        assert part.html()
        assert part.typst(known).startswith("#")
    assert "(1.1)" in parts[2].html()
    assert "(1.1)" in parts[2].typst(known)


# --- the cheat sheet -------------------------------------------------------------------------------------------------


def test_the_cheat_sheet_has_every_loss(html):
    """One page a family, across, beside the pages of the book; on it the names and calls of all public losses."""
    pdf = pypdf.PdfReader(html / "cheatsheet.pdf")
    families = cheatsheet.families()
    assert len(pdf.pages) == len(families) == 8
    assert sum(map(len, families.values())) == len(cheatsheet.cards.every_loss()) > 50
    for sheet, names in zip(pdf.pages, families.values(), strict=True):
        left, bottom, right, top = map(float, sheet.mediabox)
        assert (right - left, top - bottom) == pytest.approx((841.89, 595.28), abs=0.1)
        text = re.sub(r"\s+", "", sheet.extract_text())
        for name in names:
            assert re.sub(r"\s+", "", cheatsheet.call(name)) in text, name
    assert cheatsheet.call("segmentation.focal_tversky").endswith("(p, y, alpha=0.3, beta=0.7, gamma=4/3, smooth=1.0)")


def test_the_cheat_sheet_says_of_a_loss_what_the_atlas_says():
    said = cheatsheet.texts("binary.focal", [])
    assert said["formulas"] == [cheatsheet.formula(*row, True) for row in cheatsheet.cards.formulas("binary.focal")[0]]
    assert said["ranges"].startswith("<code>p</code> in [0, 1]; <code>y</code> target probabilities, in [0, 1]")
    assert all(fact in said["facts"] for fact in cheatsheet.cards.theory("binary.focal"))


def test_only_what_has_one_meaning_is_shared_on_a_page():
    names = cheatsheet.families()["detection"]
    shared = cheatsheet.shared(names)
    assert shared
    for left, right in shared:
        meanings = {dict(cheatsheet.cards.formulas(name)[1]).get(left, right) for name in names}
        assert meanings == {right}


# --- the figures -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(html):
    path = next(path for path in figures.NOTEBOOKS if path.stem == "regression")
    with figures.own_profile():
        return path, figures.figures_of(path, html)


def test_figures_are_svg_with_caption_and_text(drawn):
    """All of a page, its slider too, with the number of the page; no times and no program in the files."""
    path, found = drawn
    stored = [cell for cell in nbformat.read(path, as_version=4).cells if figures.named(cell)]
    assert len(found) == len(stored) == 4
    for cell, one in zip(stored, found, strict=True):
        label = figures.named(cell).removeprefix("fig-")
        assert re.fullmatch(rf"regression/figure-11\.\d-{label}\.svg", one.name)
        assert one.number == f"Figure {re.search('11.[0-9]', one.name)[0]}"
        assert one.caption
        assert one.alt == cell.metadata["mystnb"]["image"]["alt"]
        assert ElementTree.fromstring(one.content).tag.endswith("svg")
        assert not re.search(rb"matplotlib\.org|<dc:date>", one.content)


def test_the_zip_lists_what_it_holds(drawn, tmp_path, monkeypatch):
    """The same figures give the same bytes; the contents file shows each, with the licence beside it."""
    _, found = drawn
    stored = figures.Figure("regression/old.png", b"png", "Figure 11.9", "stored", "a picture")
    contents = []
    for name in ("first.zip", "second.zip"):
        monkeypatch.setattr(figures, "FILE", tmp_path / name)
        figures.write([*found, stored])
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    with zipfile.ZipFile(tmp_path / "first.zip") as archive:
        names = {name.removeprefix("lossbook-figures/") for name in archive.namelist()}
        assert names == {*(one.name for one in found), "regression/old.png", "contents.html", "LICENSE", "LICENSE-text"}
        shown = BeautifulSoup(archive.read("lossbook-figures/contents.html"), "html.parser")
    assert [image["src"] for image in shown.find_all("img")] == [one.name for one in [*found, stored]]
    assert "4 are SVG; 1 are PNG" in shown.get_text()


# --- what comes from elsewhere, and where all this is told -----------------------------------------------------------


def test_reveal_is_what_was_taken():
    """The files of vendor/reveal have the SHA-256 values that stand beside them, and there are no others."""
    folder = slides.ROOT / "vendor" / "reveal"
    sums = (folder / "SHA256SUMS").read_text(encoding="utf-8")
    listed = dict(line.split("  ")[::-1] for line in sums.splitlines())
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert there == {*listed, "SHA256SUMS"}
    for name, value in listed.items():
        assert sha256((folder / name).read_bytes()).hexdigest() == value, name


def test_the_page_for_lecturers_has_twenty_questions_on_pages_of_the_book(html):
    lecturers = BeautifulSoup((html / "book/lecturers.html").read_text(encoding="utf-8"), "html.parser")
    questions = lecturers.find(id="twenty-questions-for-an-examination").ol.find_all("li", recursive=False)
    assert len(questions) == 20
    for question in questions:
        assert question.a["href"].removesuffix(".html") in {path.stem for path in CHAPTERS}
        assert re.search(r", \d+ minutes\.", question.get_text())
    weeks = lecturers.find(id="fourteen-weeks").find_all("tr")[1:]
    assert [row.td.get_text() for row in weeks] == [str(k) for k in range(1, 15)]
    assert lecturers.find("a", href="../cheatsheet.pdf")
