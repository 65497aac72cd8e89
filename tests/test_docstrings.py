"""The docstrings that users read: their sections, and their examples, which run."""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import lossbook
from lossbook import boosting, detection, labels, segmentation, words
from lossbook.algebra import FormulaLoss

PACKAGE = Path(lossbook.__file__).parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def documented():
    """(where, text, module) of every docstring of the package that has an example."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if "loops" in file.parts:  # text of kernels, which nothing imports
            continue
        home = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                if ">>>" in text:
                    yield f"{home}:{getattr(node, 'name', 'module')}", text, home


EXAMPLES = list(documented())


def run(where, text, known):
    """Fail where an example of a docstring prints something else."""
    test = doctest.DocTestParser().get_doctest(text, known | {"__name__": "__main__"}, where, None, None)
    said = []
    result = doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=said.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(said)


@pytest.mark.parametrize(("where", "text", "home"), EXAMPLES, ids=[where for where, _, _ in EXAMPLES])
def test_examples_run(where, text, home):
    """Each example prints what it says, with the names of its module at hand."""
    if home.startswith("lossbook.frameworks.pytorch"):
        pytest.importorskip("torch")
    if home.startswith("lossbook.keras"):
        pytest.importorskip("keras")
    if home.startswith("lossbook.figures"):
        pytest.importorskip("matplotlib")
    if "hausdorff_distance(" in text or "edge_weights(" in text:
        pytest.importorskip("scipy")
    with lossbook.use("numpy"):
        run(where, text, dict(vars(importlib.import_module(home))))


LOSSES = [
    value
    for module in vars(lossbook).values()
    if inspect.ismodule(module) and module.__name__.startswith("lossbook.") and hasattr(module, "__all__")
    for value in (getattr(module, name) for name in module.__all__)
    if isinstance(value, FormulaLoss)
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_the_example_of_a_loss_runs(loss):
    """The docstring of each loss of one formula has a call that prints what it says."""
    if loss.space.maps:
        pytest.importorskip("scipy")
    text = sections_of(loss.__doc__)["Examples"]
    assert f"{loss.name}(" in text
    with lossbook.use("numpy"):
        run(loss.name, text, {})


def test_a_loss_without_an_address_has_no_example():
    """A copy with other defaults is not what its name gives, and so says nothing of a call."""
    assert "Examples" not in sections_of(segmentation.tversky.with_parameters(alpha=0.3, beta=0.7).__doc__)


LOSS = lossbook.Loss
CALLS = [LOSS.__call__, LOSS.grad, LOSS.value_and_grad, LOSS.partial, LOSS.source, LOSS.of, LOSS.formula_of,
         LOSS.with_parameters, LOSS.on_logits]  # fmt: skip
FUNCTIONS = [
    value
    for module in (lossbook, boosting, labels, segmentation, detection)
    for value in (getattr(module, name) for name in module.__all__)
    if inspect.isfunction(value)
]
TOOLS = [*CALLS, *FUNCTIONS, lossbook.Partial.finish, words.let]


def test_there_are_functions_to_look_at():
    """The lists above find what users call."""
    names = {function.__name__ for function in FUNCTIONS}
    assert {"loss", "warm", "set_threads", "one_hot", "edge_weights", "hausdorff_distance", "objective"} <= names
    assert len(EXAMPLES) >= len(TOOLS)


@pytest.mark.parametrize("function", TOOLS, ids=lambda function: function.__qualname__)
def test_a_public_function_has_numpydoc_sections(function):
    """Parameters where it has any, what it returns, what it raises, and an example."""
    sections = sections_of(inspect.getdoc(function))
    wanted = ["Returns", "Examples"]
    parameters = [name for name in inspect.signature(function).parameters if name != "self"]
    if parameters:
        wanted += ["Parameters", "Raises"]
        for name in parameters:
            assert name in sections["Parameters"], f"{name} is not documented"
    assert not set(wanted) - set(sections)


@pytest.mark.parametrize("cls", [lossbook.use, lossbook.Partial], ids=lambda cls: cls.__name__)
def test_a_public_class_has_numpydoc_sections(cls):
    """What it is made of, what it raises, and an example."""
    assert {"Parameters", "Raises", "Examples"} <= set(sections_of(inspect.getdoc(cls)))


def sections_of(text):
    """The sections of a docstring in numpydoc form, by title."""
    lines, found, title = (text or "").splitlines(), {}, "Summary"
    for line, rule in zip(lines, [*lines[1:], ""], strict=True):
        if line and rule and set(rule) == {"-"} and len(rule) == len(line):
            title = line
        found[title] = f"{found.get(title, '')}{line}\n"
    return found
