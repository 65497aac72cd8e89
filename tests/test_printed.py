"""The printed book: one PDF and one EPUB with all pages, links that lead somewhere, and nothing cut or left raw."""

import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import PurePosixPath
from xml.etree import ElementTree

import build
import printed
import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader, mult
from pypdf.generic import IndirectObject

pytestmark = pytest.mark.xdist_group("printed")  # each file is made once

MATHML = "{http://www.w3.org/1998/Math/MathML}"
PARTS = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}
# What a formula or a reference looks like that was not set.
RAW = re.compile(r"\\(?:frac|operatorname|begin|left|sum)\b|\\[(\[]|\{\\|\?\?|\ufffd|\ue000|\{ref\}|\{eq\}")
XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def site():
    """The articles as the site has them."""
    texts = {
        name: (build.ensure() / "book" / f"{name}.html").read_text(encoding="utf-8") for name, _, _ in printed.outline()
    }
    return {
        name: BeautifulSoup(
            re.sub(r"<pre\b.*?</pre>|<svg\b.*?</svg>|<script\b.*?</script>", "", text, flags=re.DOTALL), "html.parser"
        ).article
        for name, text in texts.items()
    }


def made(target, name):
    """A file that the program makes, in a process of its own: setting the book takes 2 GiB for a minute."""
    subprocess.run([sys.executable, printed.__file__, target], check=True, capture_output=True)
    return build.ROOT / "_build" / name


@pytest.fixture(scope="module")
def pdf():
    return PdfReader(made("pdf", "lossbook.pdf"))


@pytest.fixture(scope="module")
def epub():
    with zipfile.ZipFile(made("epub", "lossbook.epub")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def chapters(epub):
    """The pages of the EPUB, read as XML: a page that is not well-formed is an error."""
    return {
        PurePosixPath(name).stem: ElementTree.fromstring(content)
        for name, content in epub.items()
        if name.endswith(".xhtml")
    }


@pytest.fixture(scope="module")
def reading(pdf):
    """The text of each page of the PDF, how many letters have which size, and where the text farthest right begins."""
    sizes, right = Counter(), []

    def look(text, page, matrix, _, size):
        if text.strip():
            matrix = mult(matrix, page)
            sizes[round(size * abs(matrix[3]), 2)] += len(text.strip())
            right[-1] = max(right[-1], matrix[4])

    texts = []
    for page in pdf.pages:
        right.append(0)
        texts.append(page.extract_text(visitor_text=look))
    return texts, sizes, right


@pytest.fixture(scope="module")
def printed_pages(reading):
    """The text of each page of the PDF."""
    return reading[0]


def squeezed(text):
    """Letters and digits: where lines end, and how words are hyphenated, is the printer's business."""
    return re.sub(r"[^\w]", "", text).lower()


def titles(article):
    """The headings of an article without their link, and without formulas, which print spells with other letters."""
    for heading in article(printed.HEADINGS):
        if not heading.find(class_="math"):
            yield heading.get_text().removesuffix("#").strip()


# --- the PDF ---------------------------------------------------------------------------------------------------------


def bookmarks(entries):
    for entry in entries:
        if isinstance(entry, list):
            yield from bookmarks(entry)
        else:
            yield squeezed(entry.title)


def test_every_heading_is_a_bookmark(pdf, site):
    """Pages, sections and the solutions can be reached from the side of the reader."""
    found = Counter(bookmarks(pdf.outline))
    wanted = Counter(squeezed(title) for article in site.values() for title in titles(article))
    assert not wanted - found


def test_the_pdf_says_what_it_is(pdf):
    """Title, authors and language for screen readers; tags that say what is a heading and what a table."""
    root = pdf.trailer["/Root"]
    assert pdf.metadata.title.startswith("lossbook")
    assert pdf.metadata.author == "the lossbook authors"
    assert root["/Lang"].startswith("en")
    assert root["/MarkInfo"]["/Marked"]
    assert b"pdfuaid" in root["/Metadata"].get_data()


def structure(pdf):
    """All elements of the tree of tags."""
    waiting = [pdf.trailer["/Root"]["/StructTreeRoot"]]
    while waiting:
        one = waiting.pop()
        one = one.get_object() if isinstance(one, IndirectObject) else one
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            if "/S" in one:
                yield one
            waiting.extend([one["/K"]] if "/K" in one else [])


def test_formulas_and_pictures_say_what_they_show(pdf, site):
    """Each has an alternative text, and no picture of the site is missing."""
    elements = list(structure(pdf))
    formulas = [one for one in elements if one["/S"] == "/Formula"]
    assert len(formulas) > 5000
    assert all(one.get("/Alt") for one in formulas)
    said = Counter(squeezed(str(one["/Alt"])) for one in elements if one["/S"] == "/Figure" and one.get("/Alt"))
    wanted = Counter(squeezed(tag["alt"]) for article in site.values() for tag in article("img"))
    assert not wanted - said


def test_every_link_of_the_pdf_leads_to_a_page(pdf):
    """Links within the book have a place, and there are as many as the text suggests."""
    pages = {page.indirect_reference.idnum for page in pdf.pages}
    inside = 0
    for page in pdf.pages:
        for note in page.get("/Annots", []):
            note = note.get_object()
            if note["/Subtype"] != "/Link":
                continue
            action = note.get("/A", {})
            if "/URI" in action:
                assert action["/URI"].startswith("https://")
                continue
            target = note.get("/Dest", action.get("/D"))
            if isinstance(target, str):
                target = pdf.named_destinations[target].dest_array
            assert target[0].idnum in pages
            inside += 1
    assert inside > 2500


def test_exercises_are_in_the_pdf_with_their_solutions(printed_pages, site):
    """Each stands once in its chapter, and its solution at the end."""
    text = "".join(squeezed(said) for said in printed_pages)
    end = text.index(squeezed("Solutions Solutions to the exercises"))  # the part, and its first heading
    numbers = [
        tag.find(class_="caption-number").get_text().strip()
        for article in site.values()
        for tag in article(class_="exercise")
    ]
    assert len(numbers) > 100
    for number, count in Counter(numbers).items():
        assert text.count(squeezed(f"Solution to {number}"), end) >= count
        assert squeezed(number) in text[:end]


def test_the_text_of_the_pdf_is_set(printed_pages):
    """No reference that Sphinx could not resolve, no letter without a picture; TeX is code there, too."""
    raw = re.compile(r"\?\?|\ufffd|\ue000|\{ref\}|\{eq\}")
    assert {number: raw.findall(said) for number, said in enumerate(printed_pages, 1) if raw.search(said)} == {}


def test_no_letter_is_tiny(reading):
    """Only indices of indices are below 6.5 points, and those are few."""
    _, sizes, _ = reading
    assert min(sizes) > 4
    assert sum(count for size, count in sizes.items() if size < 6.5) < 0.003 * sizes.total()


def test_nothing_is_cut_at_the_right(reading):
    """No part of a formula or of a line of code begins in the margin or beyond the paper."""
    _, _, right = reading
    assert {number: x for number, x in enumerate(right, 1) if x > 526} == {}  # the column ends at 524


def test_a_long_name_in_a_table_goes_on_in_the_next_line(tmp_path):
    """In code and in text, so that it does not cover the next column."""
    name = "multiclass.cross_entropy_with_logits_and_more"
    cells = f"[#raw({printed.quoted(name)})], [#{printed.quoted(name)}], [a], [b]"
    text = f"#show: book.with({printed.SAID})\n#tab(columns: (1fr, 1fr, 1fr, 1fr), {cells})"
    (tmp_path / "page.pdf").write_bytes(printed.typeset("test", text))
    said = PdfReader(tmp_path / "page.pdf").pages[-1].extract_text()
    assert name not in said
    assert squeezed(said).count(squeezed(name)) == 2


def test_the_fonts_come_with_typst(pdf):
    """Every machine has the same ones, and all are in the file."""
    names = {
        str(font.get_object()["/BaseFont"]).partition("+")[2]
        for page in pdf.pages
        for font in page["/Resources"].get("/Font", {}).values()
    }
    assert {name for name in names if not name.startswith(("Libertinus", "NewCM", "DejaVuSansMono"))} == set()


# --- the EPUB --------------------------------------------------------------------------------------------------------


def test_the_epub_is_whole(epub, chapters, site):
    """The type comes first, every file is in the list, every page in the order of reading and in the contents."""
    assert next(iter(epub)) == "mimetype"
    assert epub["mimetype"] == b"application/epub+zip"
    package = ElementTree.fromstring(epub["EPUB/package.opf"])
    files = {one.get("href"): one.get("id") for one in package.iter("{http://www.idpf.org/2007/opf}item")}
    assert {f"EPUB/{file}" for file in files} | {"EPUB/package.opf"} == {
        name for name in epub if name.startswith("EPUB/")
    }
    cover = next(
        one for one in package.iter("{http://www.idpf.org/2007/opf}item") if one.get("properties") == "cover-image"
    )
    assert epub[f"EPUB/{cover.get('href')}"].startswith(b"\x89PNG")
    order = [one.get("idref") for one in package.iter("{http://www.idpf.org/2007/opf}itemref")]
    assert order == [files[f"{name}.xhtml"] for name in ("title", "nav", *site, printed.SOLUTIONS)]
    contents = {link.get("href") for link in chapters["nav"].iter(f"{XHTML}a")}
    assert {f"{name}.xhtml" for name in (*site, printed.SOLUTIONS)} <= contents
    for name, article in site.items():
        said = {
            squeezed("".join(one.itertext()))
            for level in printed.HEADINGS
            for one in chapters[name].iter(XHTML + level)
        }
        assert {squeezed(title) for title in titles(article)} <= said


def test_every_link_of_the_epub_leads_to_an_element(epub, chapters):
    """Every id is there once, and pages, places and pictures that are named exist."""
    ids = {name: [one.get("id") for one in page.iter() if one.get("id")] for name, page in chapters.items()}
    for name, page in chapters.items():
        assert len(ids[name]) == len(set(ids[name]))
        for one in page.iter():
            if one.get("src"):
                assert f"EPUB/{one.get('src')}" in epub
                assert one.get("alt")
            address = one.get("href", "")
            if address and not address.startswith("https://"):
                file, _, place = address.partition("#")
                assert f"EPUB/{file}" in epub, address
                assert not place or place in ids[PurePosixPath(file).stem], address


def test_exercises_and_solutions_lead_to_each_other(chapters):
    """From the exercise to the end of the book, and back."""
    there = Counter()
    for name, page in chapters.items():
        for exercise in page.iter(f"{XHTML}div"):
            if "exercise" in exercise.get("class", "").split():
                links = [link.get("href") for link in exercise.iter(f"{XHTML}a")]
                assert links[-1].startswith("solutions.xhtml#"), name
                there[f"{name}.xhtml#{exercise.get('id')}"] += 1
    back = Counter(
        next(solution.iter(f"{XHTML}a")).get("href")
        for solution in chapters["solutions"].iter(f"{XHTML}div")
        if "solution" in solution.get("class", "").split()
    )
    assert there == back
    assert len(there) > 100


def test_formulas_of_the_epub_are_mathml(chapters, site):
    """No TeX is left between the words, and no formula is missing."""
    count = 0
    for name, page in chapters.items():
        formulas = list(page.iter(f"{MATHML}math"))
        assert all(formula.get("alttext") for formula in formulas)
        assert all(len(one) == parts for tag, parts in PARTS.items() for one in page.iter(MATHML + tag))
        count += len(formulas)
        for code in [*page.iter(f"{XHTML}pre"), *page.iter(f"{XHTML}code")]:
            code.clear()
        said = "".join(page.itertext())
        assert RAW.findall(said) == [], name
        assert not list(page.iter(f"{XHTML}data"))  # numbers that a browser checks, which would need a value
    assert count == sum(len(article.select("span.math, div.math, math")) for article in site.values()) - hidden(site)


def hidden(site):
    """Formulas in cells that only the authors read."""
    return sum(len(cell.select(".math, math")) for article in site.values() for cell in article.select(".tag_proof"))


def test_the_epub_is_the_same_again(epub):
    """The same bytes from the same pages."""
    before = printed.EPUB.read_bytes()
    assert printed.epub().read_bytes() == before


def test_what_pandoc_cannot_read_is_an_error():
    """A formula never becomes its TeX in print."""
    soup = BeautifulSoup(r'<article><h1>A</h1><span class="math">\(\frac{1\)</span></article>', "html.parser")
    with pytest.raises(ValueError, match="cannot read the formula"):
        printed.formulas([printed.Page("a", soup.article)])


def test_a_function_stands_apart_from_what_is_not_in_brackets():
    """Readers set MathML without the spaces that TeX puts around log."""
    text = r'<article><h1>A</h1><span class="math">\(p \log q + \log(q)\)</span></article>'
    soup = BeautifulSoup(text, "html.parser")
    (formula,) = printed.formulas([printed.Page("a", soup.article)]).values()
    assert formula.mathml.count("<mspace") == 2


def test_a_link_to_nowhere_is_an_error():
    """A reference that has no place in the book is found when it is printed."""
    soup = BeautifulSoup('<article><h1>A</h1><a href="binary.html#not-there">b</a></article>', "html.parser")
    with pytest.raises(ValueError, match="leads nowhere"):
        printed.resolve([printed.Page("a", soup.article)])


@pytest.mark.parametrize(
    ("tex", "pandoc", "typst"),
    [
        (r"\operatorname{softplus}(x)", r'$"softplus" \( x \)$', r'op("softplus") \( x \)'),
        (r"|x|", r"$\| x \|$", "lr(bar.v  x  bar.v)"),
        (r"\bigl( x", r"$#scale(x: 120%, y: 120%)[\(] x$", "lr(size: #120%, paren.l) x"),
        (r"A \cap B", "$A sect B$", "A inter B"),
        (r"\phantom{=} a", "$#hide[ = ] a$", "#hide($ = $) a"),
        (r"f\!(x)\;y", r"$f #h(-1em) \( x \) #h(0em) y$", r"f #h(-0.167em) \( x \) thick y"),
    ],
)
def test_what_pandoc_writes_is_mended(tex, pandoc, typst):
    """Operators are spaced, bars are delimiters, large delimiters stand on the line, symbols have their new names."""
    assert printed.for_typst(tex, pandoc) == typst
