"""Names, docstrings and references of declarations reach kernels, paths and pages, and can do nothing there."""

import html
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from cases import BACKENDS, Backend

import lossbook
from lossbook import Label, Logit, NonNegative, Outcome, Positive, Real, algebra, figures, kernels, loss, settings
from lossbook.words import let, sigmoid, softplus

EVIL = [
    "", " ", "a b", "a-b", "a.b", "1a", "a\n", "a;b", '"""', '"""\nimport os\n"""', "x\nimport os", "$(id)", "{x}",
    "..", "/tmp/x", "../../x", "C:\\x", "a\0b", "<script>alert(1)</script>", "\\href{javascript:alert(1)}{x}", "*/x/*",
    "lambda", "None", "__debug__", "__builtins__", "a" * 101, "<lambda>", "\u202ea", None, 3, b"a",
]  # fmt: skip
HARM = '<script>alert(1)</script> <img src=x onerror=alert(2)> [a](javascript:alert(3)) '
HARM += '$\\href{javascript:alert(4)}{a}$ """'


def squared(p: Real, y: Outcome, *, scale: Positive = 1.0):
    """The square."""
    return scale * (p - y) ** 2


def copy(name=None, doc=None, **changes):
    """The function `squared` under another name or with another docstring."""
    made = types.FunctionType(squared.__code__, squared.__globals__, name or "squared")
    made.__annotations__, made.__kwdefaults__ = squared.__annotations__, squared.__kwdefaults__
    made.__doc__ = doc
    for key, value in changes.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize("name", [name for name in EVIL if isinstance(name, str)], ids=repr)
def test_a_loss_is_named_by_an_identifier(name):
    """A __name__ that is anything else is refused at the declaration, in a sentence that is short."""
    function = copy()
    function.__name__ = name
    with pytest.raises(TypeError, match=r"^loss: the name of a loss must be an identifier") as caught:
        loss(function)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("home", ["lossbook.../../x", 'lossbook."""', "lossbook.<script>", "lossbook."])
def test_the_home_of_a_loss_is_named_by_an_identifier(home):
    """A __module__ that looks like one of the package is a part of the name, and obeys the same rule."""
    with pytest.raises(TypeError, match=r"^loss: the name of the module of a loss must be an identifier"):
        loss(copy(__module__=home))


@pytest.mark.parametrize("name", [name for name in EVIL if isinstance(name, str)], ids=repr)
def test_a_step_is_named_by_an_identifier(name):
    """What let() names goes into every kernel."""

    def stepped(p: Real, y: Outcome):
        return let(**{name: p - y}) ** 2

    with pytest.raises(TypeError, match=r"^stepped: .*the name of a step must be an identifier"):
        loss(stepped)


def declared(name):
    space = {}
    code = f"def made(p: Real, y: Outcome, *, {name}: Positive = 2.0):\n    return {name} * (p - y) ** 2\n"
    exec(code, globals() | {"__name__": "elsewhere"}, space)
    return space["made"]


@pytest.mark.parametrize(
    "name", ["weight", "reduction", "backend", "out", "axis", "batch", "class_weight", "ignore_index", "self"]
)
def test_the_options_of_losses_are_no_names_of_arguments(name):
    """An argument that would never be set, or be taken for an option, is refused at the declaration."""
    with pytest.raises(TypeError, match=rf"^made: {name} is an option that losses have; the argument needs"):
        loss(declared(name))


@pytest.mark.parametrize("name", ["a" * 101, "__x"])
def test_the_arguments_have_ordinary_names(name):
    with pytest.raises(TypeError, match=r"^made: the name of an argument must be an identifier of at most 100 "):
        loss(declared(name))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["γ", "größe", "a" * 100, "_", "ℓ"])
def test_any_identifier_will_do(name, backend):
    """Letters of every script, and many of them, are a name on every backend, whatever letters its language takes."""
    made = loss(declared(name))
    with Backend(backend).ready() as ready:
        given = {made.declaration.parameters[0]: 3.0}
        got = ready.call(made, np.array([1.0, 4.0]), np.zeros(2), reduction="none", **given)
    assert got.tolist() == [3, 48]
    if backend == "cupy":
        body = re.sub(r"//.*", "", made.source("cupy"))
        assert body.isascii()


def test_names_that_look_alike_stay_apart():
    """Python takes the ligature for two letters where it reads text; in kernels the two names are two."""

    @loss
    def alike(p: Real, y: Outcome):
        return let(ﬁ=p + 1) * let(fi=p + 2) - y

    assert alike(np.array([1.0]), np.array([0.0])) == 6


def test_no_name_leaves_the_cache(tmp_path, monkeypatch):
    """Whatever the title of a kernel is, its file stands in a folder of the cache."""
    monkeypatch.setenv("LOSSBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels, "_directory", None)
    monkeypatch.setattr(kernels, "_modules", {})
    for title in [title for title in EVIL if isinstance(title, str)]:
        file = kernels.folder_of(kernels.load(title, "x = 1\n"))
        assert file.parent == tmp_path / "cache"
        assert re.fullmatch(r"\w+", file.name, re.ASCII)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def tags(text):
    """What HTML would take for a tag, beside the empty ones that keep signs of TeX apart."""
    return re.findall(r"<[^>]*>", re.sub(r"<span>&#\d+;</span>", "", text))


def test_docstrings_and_references_are_text_on_a_card():
    """Neither HTML, nor links of Markdown, nor commands of TeX survive in what a notebook shows."""
    made = loss(copy(doc=HARM), source=HARM)
    card = made._repr_markdown_()
    assert tags(card) == []
    words = "".join(part for part in card.split("$$")[::2])  # beside the formulas
    assert not re.search(r"[\[\]$\\]", words)
    assert html.unescape(re.sub(r"</?span>", "", words)).count(HARM) == 2


@pytest.mark.parametrize("backend", ["numpy", "numba", "cupy"])
def test_docstrings_and_references_are_in_no_kernel(backend):
    """A kernel is made of the name and the formula."""
    made = loss(copy(doc=HARM), source=HARM)
    plain = loss(copy(doc=""))
    assert made.source(backend) == plain.source(backend)


def test_docstrings_are_in_no_figure():
    """A slider is made of names, numbers and the formula; the text in it is escaped."""

    @loss(source=HARM)
    def drawn(z: Logit, y: Label, *, gamma: NonNegative = 2.0):
        return sigmoid(-z) ** gamma * softplus(-z) * y

    drawn.__wrapped__.__doc__ = HARM
    shown = figures.slider(drawn, "gamma", 0, 5, start=2).html
    for part in ("alert", "javascript:", "onerror", '"""'):
        assert part not in shown
    assert shown.count("<script>") == shown.count("</script>") == 1


@pytest.mark.parametrize("name", ["x onload=alert(1)", '"><script>', "A", "a_b", ""])
def test_the_name_of_a_figure_is_an_id(name):
    """What a slider is called goes into HTML and JavaScript: lowercase letters, digits and hyphens."""
    if name:
        with pytest.raises(ValueError, match="name must be lowercase letters, digits and hyphens"):
            figures.slider(lossbook.binary.focal, "gamma", 0, 5, start=2, name=name)


@pytest.mark.parametrize("source", [3, None, ["a"], b"a"], ids=repr)
def test_a_source_is_text(source):
    with pytest.raises(TypeError, match=r"^loss: source must be text; got"):
        loss(source=source)(copy())


def test_a_docstring_is_inert_in_the_book():
    """The extension that prints the API makes text of docstrings: no raw nodes, whatever they hold."""
    pytest.importorskip("sphinx")
    sys.path.insert(0, str(Path(lossbook.__file__).parents[1] / "book" / "_ext"))
    try:
        import lossbook_sphinx
        from docutils import nodes
    finally:
        sys.path.pop(0)
    made = loss(copy(doc=f"{HARM}\n\n- {HARM}\n\nFormula: {HARM}\n\n    {HARM}"), source=HARM)
    found = nodes.section("", *lossbook_sphinx.prose(made.__doc__))
    assert not list(found.findall(nodes.raw))
    assert not list(found.findall(nodes.reference))
    assert "<script>" in found.astext()


def test_a_pickled_loss_is_named_by_the_same_rule():
    """A loss that arrives by value is declared anew, so that a name in a pickle is checked as well."""
    function = copy()
    function.__name__ = '"""'
    with pytest.raises(TypeError, match="must be an identifier"):
        settings.redeclared(algebra.FormulaLoss, function, "", {}, {})
