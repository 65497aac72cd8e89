"""A deck of slides for each chapter, from its own page: HTML for a browser (reveal.js), PDF for print (typst).

    python tools/slides.py                 all chapters, into _build/slides
    python tools/slides.py binary recipe   these

Everything on them is in the notebooks: tools/lecture.py cuts the built page, tools/parts.py writes each piece twice.
"""

import json
import re
import shutil
import sys
from html import escape
from pathlib import Path

import build
import yaml
from lecture import Chapter, Slide
from parts import plain
from typeset import ROOT, TEMPLATES, macros, translated, write_pdf

OUT = ROOT / "_build" / "slides"
VENDORED = ("mathjax", "reveal")
# A part of the table of contents that has no chapters for a lecture.
LOOK_UP = "Look up"


def parts_of_the_book() -> list[tuple[str, list[Path]]]:
    """(caption, chapters) of the table of contents."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    found = []
    for part in contents["parts"]:
        paths = [ROOT / f"{chapter['file']}.ipynb" for chapter in part["chapters"]]
        if part["caption"] != LOOK_UP:
            found.append((part["caption"], [path for path in paths if path.exists()]))
    return found


def as_html(chapter: Chapter, slides: list[Slide]) -> str:
    """The deck for a browser."""
    shown = []
    for at, slide in enumerate(slides):
        inside = "".join(part.html() for part in slide.parts)
        notes = "".join(f"<p>{note}</p>" for note in slide.notes)
        aside = f'<aside class="notes">{notes}</aside>' if notes else ""
        name = "h1" if slide.kind == "title" else "h2"
        above = f'<p class="above">Chapter {chapter.number}</p>' if slide.kind == "title" else ""
        shown.append(
            f'<section class="{slide.kind}" id="slide-{at + 1}">{above}<{name}>{slide.title}</{name}>'
            f'<div class="content">{inside}</div>{aside}</section>'
        )
    template = (TEMPLATES / "deck.html").read_text(encoding="utf-8")
    values = {
        "TITLE": escape(plain(chapter.title)),
        "NAME": f"{chapter.number} {chapter.title}".strip(),
        "SLIDES": "\n".join(shown),
        "MACROS": json.dumps(macros()),
    }
    return re.sub("|".join(rf"@{name}@" for name in values), lambda found: values[found[0].strip("@")], template)


def as_typst(chapter: Chapter, slides: list[Slide]) -> str:
    """The deck for print."""
    given = [
        text for slide in slides for text in (slide.title, *(text for part in slide.parts for text in part.texts()))
    ]
    known = translated([*given, chapter.title])
    name = f"[{chapter.number} {known[chapter.title]}]"
    title = json.dumps(plain(chapter.title), ensure_ascii=False)
    lines = ['#import "/tools/deck/deck.typ": *', f"#show: deck.with(title: {title}, name: {name})"]
    for slide in slides:
        inside = "".join(part.typst(known) for part in slide.parts)
        above = f', above: "Chapter {chapter.number}"' if slide.kind == "title" else ""
        lines.append(f"#slide({json.dumps(slide.kind)}, [{known[slide.title]}]{above})[\n{inside}]\n")
    return "\n".join(lines)


def write(path: Path, html: Path) -> tuple[Chapter, int]:
    """The deck of a notebook, both ways; the number of its slides."""
    chapter = Chapter(path, html, OUT / "images")
    slides = chapter.slides()
    (OUT / f"{path.stem}.html").write_text(as_html(chapter, slides), encoding="utf-8")
    write_pdf(as_typst(chapter, slides), OUT / f"{path.stem}.pdf")
    return chapter, len(slides)


def index(made: dict[Path, tuple[Chapter, int]]) -> str:
    """The page that leads to all decks."""
    shown = []
    for caption, paths in parts_of_the_book():
        rows = "".join(
            f'<li><a href="{path.stem}.html">{made[path][0].number} {made[path][0].title}</a> '
            f'<small>{made[path][1]} slides, <a href="{path.stem}.pdf">PDF</a></small></li>'
            for path in paths
            if path in made
        )
        shown.append(f"<h2>{escape(caption)}</h2><ul>{rows}</ul>" if rows else "")
    return (TEMPLATES / "index.html").read_text(encoding="utf-8").replace("@DECKS@", "\n".join(shown))


def main(names: list[str]) -> int:
    html = build.ensure()
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "images").mkdir(parents=True)
    for folder in VENDORED:
        shutil.copytree(ROOT / "vendor" / folder, OUT / folder)
    for file in ("deck.css", "deck.js"):
        shutil.copyfile(TEMPLATES / file, OUT / file)
    paths = [path for _, chapters in parts_of_the_book() for path in chapters if not names or path.stem in names]
    made = {}
    for path in paths:
        made[path] = write(path, html)
        print(f"{path.stem}: {made[path][1]} slides", flush=True)
    (OUT / "index.html").write_text(index(made), encoding="utf-8")
    print(f"\nOpen {(OUT / 'index.html').relative_to(ROOT)} in a browser.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
