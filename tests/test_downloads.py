"""The notebooks that the pages offer run anywhere, hold no markup of the book, and say what is wrong with an answer."""

import io
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout

import build
import execute
import nbformat
import pytest
from nbclient import NotebookClient
from notebooks import BOOK, NOTEBOOKS, prose, read

sys.path.insert(0, str(BOOK / "_ext"))
import downloads

built = pytest.mark.xdist_group("built")
# What only the book understands: roles, directives, labels, numbers that were not put in, commands of its formulas.
MARKUP = re.compile(
    r"\{[\w:-]+\}`|^\s*(?:`{3,}|:{3,}|~{3,})\s*\{|^:{3,}|^\([\w-]+\)=$|^:\w+: |%s"
    r"|\\(?:softplus|softmax|sigmoid|logit|logsumexp|sign|argmax|argmin)(?![A-Za-z])",
    re.MULTILINE,
)
FENCED = re.compile(r"^(`{3,})[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
SOLUTION = re.compile(r"<b>Solution</b>")


def with_exercises():
    return [path for path in NOTEBOOKS if "{exercise-start}" in prose(path)]


@pytest.fixture(scope="session")
def offered(html):
    """Every notebook that a page offers: the pages themselves, and those to fill in."""
    pages = {path: html / "_sources" / "book" / path.name for path in NOTEBOOKS}
    return pages, {path: html / "exercises" / path.name for path in with_exercises()}


def every(offered):
    return [file for group in offered for file in group.values()]


def markdown(file):
    return "\n\n".join(cell.source for cell in nbformat.read(file, 4).cells if cell.cell_type == "markdown")


@built
def test_every_notebook_is_valid_and_plain(offered):
    """It follows the format, begins with the cell that installs, and its text has no markup of the book."""
    for file in every(offered):
        notebook = nbformat.read(file, 4)
        nbformat.validate(notebook)
        assert 'needed = ["lossbook"' in notebook.cells[0].source
        assert [found[0] for found in MARKUP.finditer(FENCED.sub("", markdown(file)))] == [], file.name


@built
def test_a_page_keeps_all_its_code_and_outputs(offered):
    """Each cell of code is in the notebook, in order, as a cell or folded as the text of a solution."""
    for path, file in offered[0].items():
        cells = nbformat.read(file, 4).cells[1:]
        here = [cell.source for cell in cells if cell.cell_type == "code"]
        text = markdown(file)
        wanted = [cell for cell in read(path).cells if cell.cell_type == "code"]
        assert [cell.source for cell in wanted if cell.source not in here and cell.source not in text] == []
        assert here == [cell.source for cell in wanted if cell.source in here], file.name
        outputs = {cell.source: cell.outputs for cell in wanted}
        for cell in cells:
            if cell.cell_type == "code":
                assert len(cell.outputs) == len(outputs[cell.source]), cell.source


@built
def test_solutions_are_folded(offered):
    """As many as there are in the page, each inside of details that are closed."""
    for path, file in offered[0].items():
        wanted = len(re.findall(r"^[`:]{3,}\{solution(?:-start)?\}", prose(path), re.MULTILINE))
        text = markdown(file)
        assert len(SOLUTION.findall(text)) == wanted, file.name
        assert not SOLUTION.search(FOLDED.sub("", text))


def test_pictures_of_solutions_come_along():
    """What a cell draws stands in the text of its solution, and is attached to the cell of Markdown."""
    output = nbformat.v4.new_output("display_data", data={"image/png": "iVBORw0KGgo="})
    page = downloads.PageText([], {}, {})
    text = page.output(output)
    notebook = downloads.Notebook(page.pictures)
    notebook.text(text)
    (cell,) = notebook.cells
    (name,) = cell.attachments
    assert f"(attachment:{name})" in cell.source
    assert cell.attachments[name]["image/png"] == output.data["image/png"]


def run(file, folder):
    """Run a notebook in a folder that is not the repository, with the package at hand."""
    notebook = nbformat.read(file, 4)
    with execute.own_profile():
        os.environ["PYTHONPATH"] = str(build.ROOT)
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    return notebook


def printed(notebook):
    outputs = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in execute.clean_outputs(cell.outputs)
        if output.output_type != "display_data"
    ]
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]


@pytest.mark.parametrize(("folder", "wanted"), [(build.ROOT / "book", build.ROOT), (None, "lossbook")])
def test_the_first_cell_installs_what_is_missing(folder, wanted, tmp_path, monkeypatch):
    """From the folder of the repository that it lies in, or by name; nothing where nothing is missing."""
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    monkeypatch.chdir(folder or tmp_path)
    exec(downloads.INSTALL.format(needed=["lossbook"]), {})
    assert commands == []
    exec(downloads.INSTALL.format(needed=["lossbook", "no_such_package"]), {})
    assert commands == [[sys.executable, "-m", "pip", "install", "--quiet", f"{wanted}[notebooks]"]]


@built
@pytest.mark.parametrize("name", ["binary", "regression", "same_name"])
def test_a_saved_page_runs_elsewhere(name, html, tmp_path):
    """It finds its data, needs nothing of its solutions, and prints what is stored."""
    file = html / "_sources" / "book" / f"{name}.ipynb"
    assert printed(run(file, tmp_path)) == printed(nbformat.read(file, 4))


@built
def test_exercises_that_are_not_answered_say_so(html, tmp_path):
    """A notebook to fill in runs as it is, and each of its checks says that there is no answer yet."""
    done = run(html / "exercises" / "binary.ipynb", tmp_path)
    said = "".join(printed(done))
    asked = re.findall(r"^answer\(", "\n".join(cell.source for cell in done.cells), re.MULTILINE)
    assert said.count("not answered yet") == len(asked) > 3
    assert "no call of this package" in said  # of the audit


@built
def test_the_page_offers_its_exercises(html):
    for path in with_exercises():
        page = (html / "book" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert f'href="../exercises/{path.name}"' in page, path.name


@built
def test_a_page_from_a_file_can_save_each_notebook(offered):
    for file in every(offered):
        script = file.with_name(f"{file.name}.js").read_text(encoding="utf-8")
        assert script.startswith(f'saveNotebook("{file.name}", "{{')


def test_checks_belong_to_exercises():
    labels = {label for path in NOTEBOOKS for label in re.findall(r"^:label: (ex-\S+)", prose(path), re.MULTILINE)}
    assert set(downloads.checks()) - labels == set()


@pytest.mark.parametrize("label", [label for label, entry in downloads.checks().items() if "answers" in entry])
def test_a_check_knows_right_from_wrong(label):
    """The right answers pass, and each known mistake is called by its name."""
    entry = downloads.checks()[label]
    names = {}
    exec(downloads.FIRST, names)
    right = {name: downloads.number(value) for name, _, value, *_ in entry["answers"]}

    def said(**given):
        with redirect_stdout(io.StringIO()) as text:
            exec(downloads.to_check({"answers": entry["answers"]}), names | right | given)
        return text.getvalue()

    assert said().count("right: ") == len(right)
    for name, what, _, *mistakes in entry["answers"]:
        for words, value in (pair for one in mistakes for pair in one.items()):
            assert f"not right yet: {what} ({words})" in said(**{name: downloads.number(value)})


MINI = """format: jb-book
root: book/index
options: {numbered: 1}
chapters:
- file: book/binary
- file: book/glossary
- file: book/references
"""


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    """The edition for students of a book of one chapter."""
    root = tmp_path_factory.mktemp("students")
    ignored = shutil.ignore_patterns("*.ipynb", "__pycache__")
    shutil.copytree(BOOK, root / "book", ignore=ignored)
    shutil.copy(BOOK / "binary.ipynb", root / "book")
    for name in ("vendor", "tests/data", "tools"):
        shutil.copytree(build.ROOT / name, root / name)
    shutil.copy(build.ROOT / "_config.yml", root)
    (root / "_toc.yml").write_text(MINI)
    environment = os.environ | {"SOLUTIONS": "apart", "NO_COLOR": "1", "PYTHONPATH": str(build.ROOT)}
    command = [*build.JUPYTER_BOOK, "build", "."]  # not -W: the pages that it links to are not there
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return root / "_build"


def test_solutions_can_stand_apart(students):
    """Neither the pages, nor the search, nor a notebook has a solution; they are in a folder of their own."""
    secret = "Eleven against eleven thousand"
    html = students / "html"
    for file in [file for file in html.rglob("*") if file.suffix in (".html", ".js", ".ipynb", ".txt")]:
        assert secret not in file.read_text(encoding="utf-8"), file.name
    page = (html / "book" / "binary.html").read_text(encoding="utf-8")
    assert "ex-binary-neuron" in page
    assert "sol-binary-neuron" not in page
    assert "lossbook.audit" in markdown(html / "exercises" / "binary.ipynb")
    apart = students / "solutions" / "binary.ipynb"
    nbformat.validate(nbformat.read(apart, 4))
    assert secret in markdown(apart)
