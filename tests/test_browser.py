"""Every page in a real browser: nothing stops those who use a keyboard, a screen reader, a phone or dark mode.

A Chromium that is on the machine is driven, or the one that CHROMIUM names; without one, these tests are skipped.
"""

import re
from pathlib import Path

import pytest
from notebooks import BOOK, NOTEBOOKS

# In the dark, only what colors decide is looked at again.
SCROLLS = {"runOnly": ["scrollable-region-focusable"]}
MODES = (("light", {}), ("dark", {"runOnly": ["color-contrast", "scrollable-region-focusable"]}))
WIDTHS = (1300, 390)
SCAN = "async options => (await axe.run(document, {resultTypes: ['violations'], ...options})).violations"

# What axe finds in the theme and in docutils, on every page alike: the rule, and a part of the element.
NOT_OURS = (
    ("region", "logo__image"),  # the logo stands outside of the theme's landmarks
    ("aria-required-children", "citation-list"), ("aria-allowed-role", "doc-biblioentry"),
    ("aria-deprecated-role", "doc-biblioentry"),
)  # fmt: skip

# Leaves of each formula the room that it takes: its letters have the color of the text around them, and they are two
# thirds of all that axe would go through.
EMPTY = """() => {
  for (const formula of document.querySelectorAll("mjx-container")) {
    const {width, height} = formula.getBoundingClientRect();
    Object.assign(formula.style, {display: "inline-block", width: `${width}px`, height: `${height}px`});
    formula.replaceChildren();
  }
}"""


@pytest.fixture(scope="module")
def axe():
    package = pytest.importorskip("axe_playwright_python")
    return Path(package.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


def names():
    """All pages; they may not be built yet."""
    sources = [*NOTEBOOKS, *BOOK.glob("*.md")]
    return sorted([*(f"book/{path.stem}" for path in sources), "search", "genindex"])


def context_of(browser, width=1300, mode="light", **options):
    """A window of the browser of its own, in light or dark."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=mode, **options)
    context.add_init_script(f"localStorage.setItem('mode', '{mode}'); localStorage.setItem('theme', '{mode}')")
    return context


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


def ours(tab, width, rules):
    """What axe finds on a page of some width that is not of the theme."""
    tab.set_viewport_size({"width": width, "height": 900})
    tab.wait_for_timeout(300)
    found = tab.evaluate(SCAN, rules)
    if found:  # letters and formulas may have come late, on a busy machine
        tab.wait_for_timeout(3000)
        found = tab.evaluate(SCAN, rules)
    return [
        f"{width}: {problem['id']} {node['target']} {node['html'][:120]}"
        for problem in found
        for node in problem["nodes"]
        if not any(problem["id"] == rule and part in node["html"] for rule, part in NOT_OURS)
    ]


@pytest.mark.parametrize("name", names())
def test_a_page_can_be_used_by_everybody(name, browser, axe, html):
    """Wide and narrow, light and dark: axe finds nothing, no script stops, nothing runs out of the screen."""
    found = []
    for mode, rules in MODES:
        context = context_of(browser, mode=mode)
        tab, problems = opened(context, html / f"{name}.html")
        tab.evaluate(axe)
        for width in WIDTHS:
            problems += ours(tab, width, SCROLLS)
            if tab.evaluate("document.documentElement.scrollWidth > innerWidth"):
                problems.append(f"{width}: the page scrolls sideways")
        tab.evaluate(EMPTY)
        for width in WIDTHS:
            problems += ours(tab, width, rules)
        found += [f"{mode} {problem}" for problem in problems]
        context.close()
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(
    ("typed", "card"),
    [
        ("keras.losses.Huber", "regression-huber"), ("torch.nn.BCEWithLogitsLoss", "binary-cross-entropy-with-logits"),
        ("torchvision.ops.sigmoid_focal_loss", "binary-focal-with-logits"),
        ("optax.losses.sigmoid_binary_cross_entropy", "binary-cross-entropy-with-logits"),
        ("monai.losses.DiceCELoss", "segmentation-dice"), ("DiceLoss", "segmentation-dice"),
        ("torch.nn.functional.cross_entropy", "multiclass-cross-entropy-with-logits"),
        ("F.huber_loss", "regression-huber"), ("nn.SmoothL1Loss", "regression-smooth-l1"),
        ("optax.huber_loss", "regression-huber"), ("tf.keras.losses.LogCosh", "regression-log-cosh"),
    ],
)  # fmt: skip
def test_the_search_shows_the_card_of_a_name_first(typed, card, browser, html):
    """A name as it stands in the code of another library, with its modules or without."""
    tab = browser.new_page()
    tab.goto(f"{(html / 'search.html').as_uri()}?q={typed}")
    first = tab.locator("#search-results li a").first
    first.wait_for()
    assert first.get_attribute("href") == f"book/atlas.html#atlas-{card}"
    tab.close()


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


# Questions, and what a slider asks first.


@pytest.fixture
def visit(browser, html):
    """Opens a page in a context of its own, which ends with the test."""
    contexts = []

    def opened_page(name, width=1300, mode="light", **options):
        contexts.append(context_of(browser, width, mode, **options))
        return opened(contexts[-1], html / "book" / f"{name}.html")

    yield opened_page
    for context in contexts:
        context.close()


def asked(tab, kind):
    """The first question of a kind, its result, and a function that presses one of its buttons."""
    question = tab.locator(f".question.{kind}").first
    return question, question.get_by_role("status"), lambda name: question.get_by_role("button", name=name).click()


def test_a_choice_is_explained_whether_it_is_right_or_wrong(visit):
    tab, errors = visit("binary")
    question, result, press = asked(tab, "choice")
    press("Check")
    assert result.inner_text() == "Nothing is chosen yet."
    question.get_by_label("Both double.").check()
    press("Check")
    assert result.inner_text().startswith("No. That is so for a squared error")
    question.get_by_label("The loss doubles, and the slope stays as it is.").check()
    press("Check")
    assert result.inner_text().startswith("Right. Far on the wrong side")
    assert result.locator("mjx-container").count() > 1  # formulas are set, although they were hidden
    assert result.locator("li").count() == 1
    press("Show the answer")
    assert question.locator("details li:visible").count() == 4
    press("Hide the answer")
    assert not question.locator("details").is_visible()
    assert errors == []


def test_several_choices_may_be_right(visit):
    tab, _ = visit("detection_iou")
    question, result, press = asked(tab, "choice")
    question.get_by_label(re.compile(r"^\w\. GIoU$")).check()
    press("Check")
    assert "something is missing" in result.inner_text()
    question.get_by_label(re.compile(r"^\w\. DIoU$")).check()
    press("Check")
    assert result.locator("li").count() == 2
    assert "right" in result.get_attribute("class")


def test_a_number_is_read_as_people_type_it_and_typical_mistakes_are_known(visit):
    tab, _ = visit("binary")
    question, result, press = asked(tab, "number")
    for typed, said in (
        ("", "Type a number"), ("five", "Type a number"), ("1/0.621", "Right. 1.609"), ("1,61", "Right. 1.609"),
        ("0.223", "Not yet. 0.2231"), ("−1.61", "Not yet. -1.609"), ("40", "Not yet."),
    ):  # fmt: skip
        question.get_by_label("Your number").fill(typed)
        press("Check")
        assert " ".join(result.inner_text().split()).startswith(said), typed


def test_lines_are_put_in_order_by_keyboard_and_by_dragging(visit):
    """Lines move past their neighbors; what is moved keeps the focus and is announced."""
    tab, errors = visit("binary")
    question, result, press = asked(tab, "order")
    press("Check")
    assert "Not yet." in result.inner_text()
    places = "items => items.map(item => Number(item.className.match(/place-([0-9]+)/)[1]))"
    lines = question.locator("form li")
    for place in range(lines.count()):
        while (at := lines.evaluate_all(places).index(place)) > place:
            lines.nth(at).get_by_role("button").first.focus()
            tab.keyboard.press("Enter")
            assert f"now number {at} of" in question.locator(".hint[aria-live]").inner_text()
            assert tab.evaluate("document.activeElement.value") == "up"
    press("Check")
    assert result.inner_text().startswith("Right.")
    grip, goal = lines.first.locator(".grip").bounding_box(), lines.last.bounding_box()
    tab.mouse.move(grip["x"] + 4, grip["y"] + 4)
    tab.mouse.down()
    tab.mouse.move(grip["x"] + 4, goal["y"] + goal["height"] - 2, steps=20)
    tab.mouse.up()
    assert lines.evaluate_all(places) == [1, 2, 3, 4, 0]
    assert errors == []


@pytest.mark.parametrize("button", ["Answer", "Skip"])
def test_a_slider_asks_before_it_can_be_moved(button, visit):
    """After an answer, or without one, it can; an answer stands beside it."""
    tab, errors = visit("binary")
    root = tab.locator("[id^='slider-']")
    slider, form = root.locator("input[type='range']").first, root.locator("form")
    assert slider.is_disabled()
    assert form.get_by_role("group", name="What do you expect?").count() == 1
    if button == "Answer":
        form.get_by_role("button", name="Answer").click()
        assert slider.is_disabled()  # nothing is chosen
        form.get_by_label("Close to 1 at -6, close to 0 at 6").check()
    form.get_by_role("button", name=button).click()
    assert slider.is_enabled()
    assert slider.evaluate("each => each === document.activeElement")
    assert form.count() == 0
    expected = root.get_by_text("You expected: Close to 1 at -6, close to 0 at 6")
    assert expected.count() == (button == "Answer")
    before = root.locator("[aria-live]").inner_text()
    tab.keyboard.press("ArrowRight")
    assert root.locator("[aria-live]").inner_text() != before
    assert errors == []


def test_questions_stand_without_scripts(browser, html):
    """Choices are a list, and the answers unfold."""
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((html / "book" / "binary.html").as_uri(), timeout=180_000)
    question = tab.locator(".question.choice").first
    assert question.locator(":scope > ol > li").count() == 4
    assert question.locator("input, button").count() == 0
    assert not question.get_by_text("Right. Far on the wrong side").is_visible()
    question.get_by_text("Answer", exact=True).click()
    assert question.get_by_text("Right. Far on the wrong side").is_visible()
    context.close()


@pytest.mark.parametrize(("width", "mode", "rules"), [(1300, *MODES[0]), (390, *MODES[1])], ids=["wide", "narrow"])
@pytest.mark.parametrize("name", ["binary", "detection_iou"])
def test_answered_questions_can_be_used_by_everybody(name, width, mode, rules, visit, axe):
    """With all explanations and answers open, axe finds nothing, and nothing runs out of the screen."""
    tab, errors = visit(name, width, mode)
    for question in tab.locator(".question").all():
        for choice in question.locator("input[type='radio'], input[type='checkbox']").all():
            choice.check()
        question.get_by_role("button", name="Check").click()
        assert question.get_by_role("status").inner_text()
        if "choice" not in question.get_attribute("class"):
            question.get_by_role("button", name="Show the answer").click()
    tab.evaluate(axe)
    assert ours(tab, width, rules) == []
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert errors == []
