"""Python in the pages: the files that it is made of, and every cell of the book run by it in a browser.

This is the third run of every output: nbval's is the second.
"""

import _imp
import ast
import functools
import io
import json
import re
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import build
import live
import pytest
import vendor_pyodide
from bs4 import BeautifulSoup
from notebooks import NOTEBOOKS, cells, each_notebook

LARGEST = 40_000_000  # bytes that a page may need for NumPy, SymPy, matplotlib and the package
ON_DEMAND = ("scipy", "openblas", "scikit_learn", "joblib", "threadpoolctl", "fonttools", "pytz", "matplotlib_pyodide")
SCRIPT = (build.ROOT / "book" / "_static" / "live.js").read_text(encoding="utf-8")
REASONS = set(re.findall(r"^  (\w+): \"", SCRIPT.partition("const ELSEWHERE")[2].partition("};")[0], re.MULTILINE))

# Runs all cells of a page, whatever they say, and compares: the number of each, and what came of it.
RUN_ALL = """async () => {
  showBar();
  await start();
  const found = [];
  for (const cell of cells) {
    if (cell.elsewhere) continue;
    const outputs = await ask({source: cell.text, name: `cell ${cell.number}`});
    // How many ulp a form is off depends on the exponential function of the system.
    const [now, printed] = [outputs, page.cells[cell.number - 1].printed].map(
      each => said(each).replace(/\\d+ ulp/g, "# ulp"));
    const error = outputs.find(({kind}) => kind === "error")?.content;
    const verdict = now === printed ? "same" : `${now}\\n  printed:\\n${printed}`;
    found.push([cell.number, error ? `error: ${error}` : verdict]);
  }
  return found;
}"""


def needs(cell):
    """What a cell needs that the browser's Python does not have."""
    return [tag.removeprefix("needs-") for tag in cell.metadata.get("tags", ()) if tag.startswith("needs-")]


class Quiet(SimpleHTTPRequestHandler):
    """A server that does not say what it is asked for."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(html):
    """The pages over http, from a server that is gone after these tests."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=html)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["file", "http"])
def opened(request, browser, html):
    """Opens a page by a double click or over http; notes its errors and what it asks for."""
    base = html.as_uri() if request.param == "file" else request.getfixturevalue("address")
    context = browser.new_context(viewport={"width": 390, "height": 800})
    tab, asked = context.new_page(), []
    tab.set_default_timeout(600_000)
    tab.on("pageerror", lambda error: asked.append(f"error: {error}"))
    tab.on("request", lambda one: asked.append(one.url) if not one.url.startswith((base, "data:", "blob:")) else None)

    def go(page):
        tab.asked = []
        tab.on("request", lambda one: tab.asked.append(one.url))
        tab.goto(f"{base}/book/{page}.html")
        return tab

    yield go
    context.close()
    assert asked == [], "nothing is asked of others, and no script stops"


def run(tab, number, how="Run"):
    """Press a button of a cell, and wait until Python has done what it says."""
    tab.get_by_label(f"{how} cell {number}", exact=True).click()
    tab.wait_for_function("document.querySelector('.live-bar [role=status]').textContent.startsWith('Cell ') && !busy")
    return tab.locator(f".cell >> nth={number - 1}").locator(".live-output").inner_text()


def write(tab, number, text):
    """Change a cell as a reader does."""
    if tab.get_by_label(f"Edit cell {number}", exact=True).is_visible():
        tab.get_by_label(f"Edit cell {number}", exact=True).click()
    tab.get_by_label(f"Code of cell {number};").fill(text)


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_files_of_pyodide_are_those_of_its_own_list():
    assert vendor_pyodide.check() == []


def test_a_changed_a_missing_and_a_foreign_file_are_found(tmp_path, monkeypatch):
    for path in vendor_pyodide.VENDOR.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(vendor_pyodide, "VENDOR", tmp_path)
    monkeypatch.setattr(vendor_pyodide, "SUMS", tmp_path / "SHA256SUMS")
    (tmp_path / "pyodide.js").write_bytes(b"//")
    (tmp_path / "python_stdlib.zip").unlink()
    (tmp_path / "more.js").write_bytes(b"//")
    assert [line.partition(":")[0] for line in vendor_pyodide.check()] == ["more.js", "pyodide.js", "python_stdlib.zip"]


def test_what_is_compiled_belongs_to_its_wheel_and_replaces_it():
    """A compiled file has a hash of its source in it; a lean wheel has all modules, and its licence."""
    with zipfile.ZipFile(vendor_pyodide.VENDOR / "compiled.zip") as compiled:
        seen = set()
        for wheel in vendor_pyodide.ahead():
            with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(io.BytesIO(live.lean(wheel, compiled))) as made:
                names = [name for name in source.namelist() if not live.UNUSED.search(name)]
                kept = {name for name in made.namelist() if not name.endswith(".pyc")}
                assert kept == {name for name in names if not name.endswith((".py", "/"))}
                assert any(re.search("LICEN[SC]E", name) for name in kept)
                for name in (name for name in names if name.endswith(".py")):
                    code = made.read(f"{name}c")
                    key = int.from_bytes(code[:4], "little")  # the version of Python
                    assert code[8:16] == _imp.source_hash(key, source.read(name)), name
                    seen.add(f"{name}c")
        assert {name for name in compiled.namelist() if not live.UNUSED.search(name)} == seen


def test_sizes(html):
    """What a page without SciPy loads is at most 40 MB."""
    files = {path.name: path.stat().st_size for path in (html / "live" / "files").iterdir()}
    assert sum(size for name, size in files.items() if not name.startswith(ON_DEMAND)) < LARGEST


@each_notebook
def test_a_page_and_its_cells_are_of_the_same_build(path, html):
    """As many cells in the page as in its script, in the same order."""
    page = BeautifulSoup((html / "book" / f"{path.stem}.html").read_text(encoding="utf-8"), "html.parser")
    shown = [box.select_one("pre").get_text().rstrip("\n") for box in page.select(".bd-article div.cell .cell_input")]
    text = (html / "live" / "pages" / f"{path.stem}.js").read_text(encoding="utf-8")
    stored = json.loads(text.removeprefix("lossbookPage(").removesuffix(");\n"))["cells"]
    assert shown == [cell["source"] for cell in stored] == [cell.source for cell in cells(path, "code")]


def test_nine_of_ten_cells_run_in_the_page():
    """The others say why they do not."""
    code = [cell for path in NOTEBOOKS for cell in cells(path, "code")]
    reasons = [reason for cell in code for reason in needs(cell)]
    assert set(reasons) <= REASONS
    assert len(reasons) < len(code) / 10, len(reasons)


def bound_and_read(source):
    """(names that a cell binds, names that it reads)"""
    nodes = list(ast.walk(ast.parse(source)))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {name.id for name in names if not isinstance(name.ctx, ast.Load)}
    bound |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {(node.asname or node.name).partition(".")[0] for node in nodes if isinstance(node, ast.alias)}
    return bound, {name.id for name in names if isinstance(name.ctx, ast.Load)}


@each_notebook
def test_no_cell_needs_a_name_of_a_cell_that_does_not_run_in_the_page(path):
    """Of those that are tagged as not for the browser."""
    bound, missing, wrong = set(), set(), []
    for number, cell in enumerate(cells(path, "code"), 1):
        binds, reads = bound_and_read(cell.source)
        if needs(cell):
            missing |= binds - bound
            continue
        wrong += [f"cell {number}: {name}" for name in sorted((reads - binds) & missing)]
        bound |= binds
        missing -= binds
    assert wrong == []


# --- in a browser ----------------------------------------------------------------------------------------------------


def test_a_reader_runs_changes_breaks_and_resets_cells(opened):
    tab = opened("binary")
    tab.wait_for_timeout(500)
    assert not [address for address in tab.asked if "/live/" in address], "nothing is loaded before a reader asks"
    assert run(tab, 2).startswith("The same as printed.")
    stored = tab.evaluate("cells[1].stored")
    assert "truth" in stored
    write(tab, 2, stored.replace("0.9", "0.8"))
    assert run(tab, 2).startswith("Differs from what is printed.")
    assert "0.8" in tab.locator(".cell >> nth=1").locator(".live-output").inner_text()
    write(tab, 2, "1 / 0")
    told = run(tab, 2)
    assert told.startswith("An error:")
    assert "ZeroDivisionError" in told
    assert 'File "cell 2", line 1' in told
    # A cell below does not run on names that the error left undone.
    tab.locator("[aria-label^='Run cell']:visible").nth(1).click()
    tab.wait_for_function("document.querySelector('.live-bar [role=status]').textContent.includes('raises an error')")
    tab.get_by_label("Reset cell 2", exact=True).click()
    assert tab.locator(".cell >> nth=1").locator(".live-output").count() == 0
    assert run(tab, 2).startswith("The same as printed.")
    # By keyboard.
    write(tab, 2, "print(6 * 7)")
    tab.keyboard.press("Control+Enter")
    tab.wait_for_function(
        "document.querySelectorAll('.cell')[1].querySelector('.live-output')?.innerText.includes('42')"
    )
    # Stop ends what runs for ever.
    write(tab, 2, "while True: pass")
    tab.get_by_label("Run cell 2", exact=True).click()
    tab.wait_for_function("document.querySelector('.live-bar [role=status]').textContent === 'Cell 2 is running'")
    tab.get_by_label("Stop Python").click()
    tab.wait_for_function("document.querySelector('.live-bar [role=status]').textContent.startsWith('Stopped')")
    tab.get_by_label("Start anew").click()
    assert run(tab, 2).startswith("The same as printed.")
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_slider_that_is_drawn_anew_asks_its_question_again(opened):
    """With the choices of the stored one, and by itself: each of the two moves alone."""
    tab = opened("loss_functions")
    number = tab.evaluate("cells.findIndex(({box}) => box.querySelector(\"[id^='slider-']\")) + 1")
    tab.evaluate("number => { cells[number - 1].box.querySelector('details').open = true; }", number)  # it is folded
    run(tab, number)
    name = "slider-descent-regression-squared-error"
    stored, anew = tab.locator(f"#{name}"), tab.locator(f"#{name}-now")
    assert anew.locator("form.expect").inner_text() == stored.locator("form.expect").inner_text()
    assert not anew.locator(":scope > p > button").is_visible()
    anew.get_by_label("It grows from 1 on").check()
    anew.get_by_role("button", name="Answer").click()
    assert anew.get_by_text("You expected: It grows from 1 on").is_visible()
    inputs = [each.locator("input[type='range']").first for each in (stored, anew)]
    assert [each.is_enabled() for each in inputs] == [False, True]
    said = [each.locator("[aria-live]") for each in (stored, anew)]
    before = [each.inner_text() for each in said]
    inputs[1].press("ArrowRight")
    assert said[0].inner_text() == before[0] != said[1].inner_text()
    stored.get_by_role("button", name="Skip").click()
    assert inputs[0].is_enabled()
    ids = tab.evaluate("[...document.querySelectorAll(\"[id^='slider-']\")].map(each => each.id)")
    assert len(ids) == len(set(ids))


def test_a_browser_that_is_too_old_is_told_so(opened):
    tab = opened("binary")
    tab.evaluate("delete window.DecompressionStream")
    tab.get_by_label("Run cell 2", exact=True).click()
    tab.wait_for_function("document.querySelector('.live-bar [role=status]').textContent.includes('too old')")


@each_notebook
def test_the_cells_of_a_page_run_in_it_and_print_what_is_stored(path, browser, html):
    tab = browser.new_page()
    tab.set_default_timeout(1_800_000)
    tab.goto((html / "book" / f"{path.stem}.html").as_uri())
    found = tab.evaluate(RUN_ALL)
    tab.close()
    wrong = [f"{path.stem}, cell {number}: {what}" for number, what in found if what != "same"]
    assert wrong == [], "\n\n".join(wrong)
