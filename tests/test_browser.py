"""Every page in a real browser: nothing stops those who use a keyboard, a screen reader, a phone or dark mode.

A Chromium that is on the machine is driven, or the one that CHROMIUM names; without one, these tests are skipped.
"""

import os
import shutil
from pathlib import Path

import build
import pytest
from notebooks import BOOK, NOTEBOOKS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge", "microsoft-edge")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"]
# In the second, only what width and colors decide is looked at again.
SETTINGS = ((1300, "light", {}), (390, "dark", {"runOnly": ["color-contrast", "scrollable-region-focusable"]}))
SCAN = "async options => (await axe.run(document, {resultTypes: ['violations'], ...options})).violations"

# What axe finds in the theme and in docutils, on every page alike: the rule, and a part of the element.
NOT_OURS = (
    ("region", "logo__image"),  # the logo stands outside of the theme's landmarks
    ("aria-required-children", "citation-list"), ("aria-allowed-role", "doc-biblioentry"),
    ("aria-deprecated-role", "doc-biblioentry"),
)  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("no Chromium on this machine: the pages are not looked at in a browser")
    driver = pytest.importorskip("playwright.sync_api")
    with driver.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def axe():
    package = pytest.importorskip("axe_playwright_python")
    return Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html():
    return build.ensure()


def names():
    """All pages; they may not be built yet."""
    sources = [*NOTEBOOKS, *BOOK.glob("*.md")]
    return sorted([*(f"book/{path.stem}" for path in sources), "search", "genindex"])


def opened(context, page):
    """A page whose formulas are set, with the errors of its scripts and what it asked of other hosts."""
    tab, errors = context.new_page(), []
    tab.set_default_timeout(180_000)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on(
        "request",
        lambda request: errors.append(request.url) if not request.url.startswith(("file:", "data:")) else None,
    )
    tab.goto(page.as_uri())
    tab.evaluate(
        "async () => { await window.MathJax?.startup?.promise; await document.fonts.ready; "
        "await new Promise(done => setTimeout(done, 300)); }"
    )
    return tab, errors


def ours(tab, rules):
    """What axe finds on a page that is not of the theme."""
    return [
        f"{problem['id']} {node['target']} {node['html'][:120]}"
        for problem in tab.evaluate(SCAN, rules)
        for node in problem["nodes"]
        if not any(problem["id"] == rule and part in node["html"] for rule, part in NOT_OURS)
    ]


@pytest.mark.parametrize("name", names())
def test_a_page_can_be_used_by_everybody(name, browser, axe, html):
    """Wide and narrow, light and dark: axe finds nothing, no script stops, nothing runs out of the screen."""
    found = []
    for width, mode, rules in SETTINGS:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=mode)
        context.add_init_script(f"localStorage.setItem('mode', '{mode}'); localStorage.setItem('theme', '{mode}')")
        tab, errors = opened(context, html / f"{name}.html")
        found += [f"{width} {mode}: {error}" for error in errors]
        tab.evaluate(axe)
        problems = ours(tab, rules)
        if problems:  # letters and formulas may have come late, on a busy machine
            tab.wait_for_timeout(3000)
            problems = ours(tab, rules)
        found += [f"{width} {mode}: {problem}" for problem in problems]
        if tab.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{width} {mode}: the page scrolls sideways")
        context.close()
    assert found == [], "\n".join(found)


# What is wider than the sheet, of long derivations and wide tables, and tabs that are hidden.
CUT = """() => {
  dispatchEvent(new Event("beforeprint"));
  const wide = [...document.querySelectorAll(".bd-article :is(table, .derivation .formula)")].filter(box => {
    const sheet = document.querySelector(".bd-article").getBoundingClientRect().right;
    const width = Math.max(box.scrollWidth, box.offsetWidth)*Number(box.style.zoom || 1);
    return box.getBoundingClientRect().left + width > sheet + 2;
  });
  const hidden = [...document.querySelectorAll(".sd-tab-content")].filter(tab => tab.offsetHeight === 0);
  return [...wide, ...hidden].map(box => box.textContent.trim().slice(0, 80));
}"""


@pytest.mark.parametrize("name", ["binary_divergence", "multiclass_focal", "segmentation_overlap", "same_name"])
def test_a_sheet_of_paper_has_all_tabs_and_cuts_nothing(name, browser, html):
    """A page of A4 is about 717 pixels wide between its margins."""
    context = browser.new_context(viewport={"width": 717, "height": 1000}, color_scheme="light")
    tab, errors = opened(context, html / "book" / f"{name}.html")
    tab.emulate_media(media="print")
    assert errors == []
    assert tab.evaluate(CUT) == []
    context.close()
