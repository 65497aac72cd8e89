"""What a link leads to is shown beside it: on hover and on focus, from local files, until Escape."""

import json
import re

import pytest

built = pytest.mark.xdist_group("built")
CASES = {
    "an equation": ("binary", "#equation-eq-bce-max"),
    "a term": ("binary", "glossary.html#term-ulp"),
    "a reference": ("binary", "references.html#"),
    "a theorem of the page": ("multiclass", "#thm-max-shift"),
    "a definition elsewhere": ("choose", "multiclass.html#def-"),
}


@pytest.fixture(scope="module")
def texts(html):
    script = (html / "_static" / "preview_texts.js").read_text(encoding="utf-8")
    return json.loads(script.removeprefix("showPreviews(").removesuffix(");\n"))


@built
def test_every_equation_definition_term_and_reference_that_is_linked_has_a_preview(html, texts):
    wanted = re.compile(r'<a class="reference internal" href="([\w.]*)#((?:equation|def|thm|term)-[^"]+|id\d+)"')
    found = 0
    for page in sorted((html / "book").glob("*.html")):
        for name, target in wanted.findall(page.read_text(encoding="utf-8")):
            key = f"{name or page.name}#{target}"
            if target.startswith("id") and not key.startswith("references"):
                continue  # a section
            assert key in texts, page.name
            found += 1
    assert found > 500


@built
def test_previews_belong_to_no_page(texts):
    """No ids, which would occur twice, no links, no scripts; and not too much."""
    assert [key for key, html in texts.items() if re.search(r"<script|\sid=|\shref=|\son\w+=", html)] == []
    assert sum(map(len, texts.values())) < 400_000


def opened(browser, html, name, **options):
    context = browser.new_context(**options)
    tab = context.new_page()
    tab.set_default_timeout(180_000)
    tab.outside = []
    tab.on("request", lambda request: request.url.startswith("file:") or tab.outside.append(request.url))
    tab.goto((html / "book" / f"{name}.html").as_uri())
    tab.wait_for_function("window.MathJax?.startup?.promise")
    tab.evaluate("MathJax.startup.promise")
    return tab


@built
@pytest.mark.parametrize("case", CASES)
def test_a_preview_is_shown_on_hover_and_on_focus_and_closed_by_escape(browser, html, case):
    name, target = CASES[case]
    tab = opened(browser, html, name, viewport={"width": 1300, "height": 800})
    link = tab.locator(f".bd-article a.reference[href*='{target}']").first
    link.scroll_into_view_if_needed()
    box = tab.locator("#preview")
    for show in (link.hover, link.focus):
        if show == link.focus:
            tab.mouse.move(1, 1)
            tab.keyboard.press("Tab")  # focus is shown to those who use the keyboard
        show()
        box.wait_for()
        assert link.get_attribute("aria-describedby") == "preview"
        tab.wait_for_function(
            "!document.querySelector('#preview .math') || document.querySelector('#preview mjx-math')"
        )
        assert "\\(" not in box.inner_text()
        place = box.bounding_box()
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= 1300
        tab.keyboard.press("Escape")
        assert box.count() == 0
        assert link.get_attribute("aria-describedby") is None
    assert tab.outside == []
    tab.context.close()


@built
def test_the_pointer_may_move_onto_a_preview(browser, html):
    tab = opened(browser, html, "binary", viewport={"width": 1300, "height": 800})
    link = tab.locator(".bd-article a.reference[href*='#equation-eq-bce-max']").first
    link.hover()
    box = tab.locator("#preview")
    box.wait_for()
    box.hover()
    tab.wait_for_timeout(600)
    assert box.count() == 1
    tab.mouse.move(1, 1)
    box.wait_for(state="detached")
    tab.context.close()


@built
def test_a_tap_follows_the_link(browser, html):
    tab = opened(browser, html, "binary", viewport={"width": 390, "height": 800}, has_touch=True)
    tab.locator(".bd-article a.reference[href*='glossary.html#term-ulp']").first.tap()
    tab.wait_for_url("**/glossary.html#term-ulp")
    assert tab.locator("#preview").count() == 0
    tab.context.close()


@built
def test_a_notebook_is_saved_from_a_file(browser, html):
    """The browser would show it as text; the script beside it has it saved."""
    tab = opened(browser, html, "binary", viewport={"width": 1300, "height": 800})
    with tab.expect_download() as saved:
        tab.evaluate("document.querySelector('.btn-download-source-button').click()")
    assert saved.value.suggested_filename == "binary.ipynb"
    with open(saved.value.path(), encoding="utf-8") as file:
        assert json.load(file)["nbformat"] == 4
    tab.context.close()
