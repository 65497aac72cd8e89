"""What this book adds to Sphinx: an API page printed from the code, and ids that occur once per page."""

import importlib
import inspect
import re
from collections import Counter
from html import escape
from typing import Any

from docutils import nodes
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style
from pybtex.style.labels import BaseLabelStyle
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

import lossbook
from lossbook.documentation import typed

# --- the API page ----------------------------------------------------------------------------------------------------


def inline(text: str) -> list[nodes.Node]:
    """A line of a docstring. Only `backticks` and 'options' are marked: stars are powers and bars are magnitudes."""
    parts = re.split(r"(`+[^`]+`+|(?<!\w)'[a-z0-9_]+')", " ".join(text.split()))
    return [nodes.literal("", part.strip("`")) if at % 2 else nodes.Text(part) for at, part in enumerate(parts) if part]


# The sections of a docstring that are lists of names.
ENTRIES = ("Parameters", "Other Parameters", "Returns", "Raises")


def prose(text: str | None) -> list[nodes.Node]:
    """A docstring: paragraphs, lists with dashes, indented code, examples, and numpydoc's sections."""
    found: list[nodes.Node] = []
    section = ""
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text or "")):
        if heading := re.match(r"(\w[\w ]*)\n---+(\n|$)", block):
            section, block = heading[1], block[heading.end() :]
            found.append(nodes.rubric(section, section))
        if section in ENTRIES and block.strip():
            found.append(described(block))
            continue
        before, *items = re.split(r"^- ", block, flags=re.MULTILINE)
        if block.startswith((" ", ">>>")):
            found.append(nodes.literal_block(block, inspect.cleandoc(block), language="python"))
            continue
        if formula := re.fullmatch(r"(Formula[^:]*: )(.+)", before.strip(), re.DOTALL):
            code = " ".join(formula[2].split())
            found.append(nodes.paragraph("", "", nodes.Text(formula[1]), nodes.literal(code, code)))
        elif before.strip():
            found.append(nodes.paragraph("", "", *inline(before)))
        if items:
            entries = []
            for item in items:
                name, colon, rest = item.partition(": ")
                head = [nodes.literal(name, name), nodes.Text(": ")] if colon and name.isidentifier() else []
                body = [*head, *inline(rest)] if head else inline(item)
                entries.append(nodes.list_item("", nodes.paragraph("", "", *body)))
            found.append(nodes.bullet_list("", *entries, bullet="-"))
    return found


def described(block: str) -> nodes.definition_list:
    """The body of a section: each name, and indented below it what is to say of it."""
    items = []
    for entry in re.split(r"\n(?=\S)", block):
        head, _, rest = entry.partition("\n")
        name, colon, kind = head.partition(" : ")
        terms = [nodes.term("", "", nodes.literal(name, name), nodes.Text(f"{colon}{kind}"))]
        body = nodes.paragraph("", "", *inline(" ".join(rest.split())))
        items.append(nodes.definition_list_item("", *terms, nodes.definition("", *([body] if rest else []))))
    return nodes.definition_list("", *items)


def formula(latex: str, page: str) -> nodes.math_block:
    """A displayed formula without a number."""
    return nodes.math_block(latex, latex, docname=page, nowrap=False, number=None, label=None)


def signature_of(value: Any) -> str:
    """As help() shows it, but for types; a class or a fraction that is a default as one would type it."""
    try:
        signature = getattr(value, "signature", None) or inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    text = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    text = re.sub(r"(?<==)\d+\.\d{6,}", lambda long: typed(float(long[0])), text)
    return re.sub(r"<class '([\w.]+)'>", r"\1", text)


# Letters of a page's description.
DESCRIPTION = 200


class FromCode(SphinxDirective):
    """A directive that takes a module, and perhaps names in it."""

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        self.module = importlib.import_module(self.arguments[0])
        if source := inspect.getsourcefile(self.module):
            self.env.note_dependency(source)
        names = self.arguments[1].split() if len(self.arguments) > 1 else None
        found = self.print(names)
        if not found:
            raise self.error(f"nothing to print in {self.module.__name__}")
        return found

    def entry(self, label: str, name: str, title: str, kind: str, *content: nodes.Node) -> nodes.section:
        """A section that a label, the index and a Python reference lead to."""
        section = nodes.section("", nodes.title("", title), ids=[label], names=[label], classes=["from-code"])
        self.state.document.note_explicit_target(section)
        self.env.get_domain("py").note_object(f"{self.module.__name__}.{name}", kind, label, location=section)
        section += addnodes.index(entries=[("single", f"{name} (in {self.module.__name__})", label, "", None)])
        section += content
        return section


class Losses(FromCode):
    """Every loss of a module: ``{losses} lossbook.binary``.

    {ref}`api-binary-focal` and {py:data}`lossbook.binary.focal` both lead to the section of binary.focal.
    """

    def print(self, names: list[str] | None) -> list[nodes.Node]:
        losses = {name: vars(self.module)[name] for name in self.module.__all__}
        losses = {name: value for name, value in losses.items() if isinstance(value, lossbook.Loss)}
        entries = [self.loss(name, losses[name]) for name in names or losses]
        return [*prose(self.module.__doc__), *entries] if entries else []

    def loss(self, name: str, loss: Any) -> nodes.section:
        module = self.module.__name__.rpartition(".")[2]
        call = f"{module}.{name}{signature_of(loss)}"
        signature = nodes.literal_block(call, call, language="python", classes=["signature"])
        label, card = (f"{page}-{module}-{name}".replace("_", "-") for page in ("api", "atlas"))
        where = {"refdoc": self.env.docname, "reftarget": card, "refexplicit": True, "refwarn": True}
        link = addnodes.pending_xref(
            "", nodes.inline("", "Formula, gradient and picture"), refdomain="std", reftype="ref", **where
        )
        more = nodes.paragraph("", "", link, nodes.Text(" are on its card in the atlas."))
        return self.entry(label, name, f"{module}.{name}", "data", signature, *prose(loss.__doc__), more)


class Objects(FromCode):
    """Functions and classes with their methods: ``{objects} lossbook loss use``."""

    def print(self, names: list[str] | None) -> list[nodes.Node]:
        return [self.object(name, getattr(self.module, name)) for name in names or self.module.__all__]

    def object(self, name: str, value: Any) -> nodes.section:
        is_class = inspect.isclass(value)
        is_tool = not is_class and not inspect.isroutine(value)  # an object that is called, and has methods beside
        content = prose(inspect.getdoc(value.__call__ if is_tool else value))
        if is_class or is_tool:
            members = nodes.definition_list("", *self.members(type(value) if is_tool else value))
            content += [members] if members.children else []
        call = "" if is_class and issubclass(value, Exception) else signature_of(value)
        if is_class and call:
            call = signature_of(value.__init__).replace("(self, ", "(").replace("(self)", "()")
        text = f"{self.module.__name__}.{name}{call if name != 'Loss' else ''}"
        signature = nodes.literal_block(text, text, language="python", classes=["signature"])
        kind = "exception" if is_class and issubclass(value, Exception) else "class" if is_class else "function"
        label = f"api-{'class-' if is_class else ''}{name.lower().replace('_', '-')}"
        return self.entry(label, name, name, kind, signature, *content)

    def members(self, cls: type) -> list[nodes.Node]:
        """The public methods and properties that have a docstring."""
        found: list[nodes.Node] = []
        own = [base for base in reversed(cls.__mro__) if base.__module__.startswith("lossbook.")]
        for name, value in {name: value for base in own for name, value in vars(base).items()}.items():
            text = inspect.getdoc(value)
            if name.startswith("_") or text in (None, inspect.getdoc(type(value))):  # a text has the words of str
                continue
            value = inspect.unwrap(value)
            call = (
                signature_of(value).replace("(self, ", "(").replace("(self)", "()") if inspect.isfunction(value) else ""
            )
            term = nodes.term("", "", nodes.literal("", f"{name}{call}"))
            found.append(nodes.definition_list_item("", term, nodes.definition("", *prose(text))))
        return found


class Vocabulary(FromCode):
    """A list of names, each with what it means: ``{vocabulary} lossbook.words``."""

    def print(self, names: list[str] | None) -> list[nodes.Node]:
        found = []
        for name in names or self.names():
            value = getattr(self.module, name)
            if describes := getattr(value, "describes", ""):
                text = f"{value.role}: {describes}."
            elif getattr(value, "__module__", "").startswith("lossbook"):
                text = inspect.getdoc(value) or ""
            else:
                text = "As in SymPy."
            term = nodes.term("", "", nodes.literal(name, name))
            found.append(nodes.definition_list_item("", term, nodes.definition("", *prose(text.split("\n\n")[0]))))
        return [nodes.definition_list("", *found, classes=["simple"])] if found else []

    def names(self) -> list[str]:
        """What the module offers: __all__, or its values that describe themselves."""
        described = [name for name, value in vars(self.module).items() if hasattr(value, "role") and name[0].isupper()]
        return list(getattr(self.module, "__all__", described))


# --- ids and citations -----------------------------------------------------------------------------------------------


class UniqueIds(SphinxPostTransform):
    """sphinx-exercise and sphinx-proof give blocks of a kind the same id, exercise-content or proof: number them."""

    default_priority = 1

    def run(self, **kwargs: Any) -> None:
        seen: Counter[str] = Counter()
        for section in self.document.findall(nodes.section):
            for at, one in enumerate(section["ids"]):
                if one.endswith("-content") and not isinstance(section.parent, nodes.section | nodes.document):
                    seen[one] += 1
                    section["ids"][at] = f"{one}-{seen[one]}"
        proofs = [block for block in self.document.findall(nodes.admonition) if block["ids"] == ["proof"]]
        for number, block in enumerate(proofs, 1):
            block["ids"] = [f"proof-{number}"]


def describe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """A description for search engines and previews: the first sentences of the page's text."""
    if doctree is None:
        return
    texts = (paragraph.astext() for paragraph in doctree.findall(nodes.paragraph))
    text = next((" ".join(text.split()) for text in texts if len(text) > 60), context["title"])
    if len(text) > DESCRIPTION:
        text = (
            text[:DESCRIPTION].rpartition(". ")[0] + "." if ". " in text[60:DESCRIPTION] else text[:DESCRIPTION] + "…"
        )
    context["metatags"] += f'<meta name="description" content="{escape(text)}" />\n'


class AuthorYear(BaseLabelStyle):
    """Labels of the bibliography that read like the citations: Lin et al., 2017."""

    def format_labels(self, sorted_entries: Any) -> Any:
        for entry in sorted_entries:
            names = [" ".join(person.last_names) for person in entry.persons["author"]]
            authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
            yield f"{authors}, {entry.fields['year']}"


class LossbookStyle(Style):
    default_label_style = AuthorYear


def setup(app: Sphinx) -> dict[str, Any]:
    register_plugin("pybtex.style.formatting", "lossbook", LossbookStyle)
    app.add_directive("losses", Losses)
    app.add_directive("objects", Objects)
    app.add_directive("vocabulary", Vocabulary)
    app.add_post_transform(UniqueIds)
    app.connect("html-page-context", describe)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
