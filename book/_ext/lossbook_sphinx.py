"""What this book adds to Sphinx: an API page and an atlas printed from the code, and ids that occur once per page."""

import importlib
import inspect
import json
import pkgutil
import re
from base64 import b64decode, b64encode
from collections import Counter
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from docutils import nodes
from PIL import Image
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style
from pybtex.style.labels import BaseLabelStyle
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

import lossbook
from lossbook import figures

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
    """As help() shows it, but for types; a class that is a default by its name, as one would type it."""
    try:
        signature = getattr(value, "signature", None) or inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    text = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return re.sub(r"<class '([\w.]+)'>", r"\1", text)


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
        call, latex = f"{module}.{name}{signature_of(loss)}", loss.latex.strip().strip("$")
        signature = nodes.literal_block(call, call, language="python", classes=["signature"])
        label, shown = f"api-{module}-{name}".replace("_", "-"), formula(latex, self.env.docname)
        return self.entry(label, name, f"{module}.{name}", "data", signature, shown, *prose(loss.__doc__))


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
            if name.startswith("_") or not (text := inspect.getdoc(value)):
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


# --- the atlas -------------------------------------------------------------------------------------------------------

# The tasks, in the order of the chapters.
TASKS = {
    "divergence": "Comparing two probabilities", "binary": "Yes or no", "multiclass": "One class of several",
    "multilabel": "Several labels at once", "regression": "A number", "segmentation": "Masks",
    "detection": "Boxes and detectors", "adversarial": "Two networks against each other",
}  # fmt: skip
# What the facts in Loss.properties mean; the value is put into the braces.
FACTS = {
    "minimum": "smallest value {}", "maximum": "largest value {}", "convex": "convex in the prediction",
    "symmetric": "unchanged when prediction and target change places",
}  # fmt: skip
VALUE_OF = {
    "pointwise": "element", "rows": "row of classes", "overlap": "image and class", "boxes": "box", "distance": "pixel",
    "joined": "whole batch",
}  # fmt: skip
# Letters of a page's description.
DESCRIPTION = 200
# Pages that treat no loss.
LOOKED_UP = ("api", "atlas", "errata", "glossary", "index", "notation", "references")


def every_loss() -> dict[str, Any]:
    """The public losses by the name under which they are called, such as "binary.focal"."""
    found = {}
    for module in pkgutil.iter_modules(lossbook.__path__):
        if module.name in TASKS:
            content = importlib.import_module(f"lossbook.{module.name}")
            names = [name for name in content.__all__ if isinstance(getattr(content, name), lossbook.Loss)]
            found |= {f"{module.name}.{name}": getattr(content, name) for name in names}
    return dict(sorted(found.items()))


def label_of(name: str) -> str:
    """binary.focal_with_logits -> atlas-binary-focal-with-logits."""
    return f"atlas-{name}".replace(".", "-").replace("_", "-")


def picture(loss: Any) -> nodes.raw:
    """Loss and gradient of a pointwise loss over its prediction, for the usual targets."""
    kind = loss.declaration.of_target.name if loss.declaration.target else ""
    targets = {"Label": [1.0, 0.0], "Sign": [1.0, -1.0], "Outcome": [0.0]}.get(kind)
    figure = figures.curves(loss, target=targets)
    figure.set_dpi(90)
    shown = figure._repr_mimebundle_()
    small = BytesIO()  # few colors are enough for lines, and the page has many pictures
    Image.open(BytesIO(b64decode(shown["image/png"]))).convert("RGB").quantize(24).save(small, "PNG", optimize=True)
    low, high = figure.axes[0].get_xlim()
    ends = []
    for target in targets or [None]:
        arrays = [[low, high]] if target is None else [[low, high], [target, target]]
        first, last = loss(*map(np.array, arrays), reduction="none")
        given = "" if target is None else f"for {loss.declaration.target} = {target:g} "
        text = f"{given}the loss goes from {first + 0.0:.3g} at the left end to {last + 0.0:.3g} at the right"
        ends.append(text.replace("inf", "infinity"))
    alt = f"{shown['text/plain']} Over {low:g} to {high:g}, {'; '.join(ends)}."
    address = f"data:image/png;base64,{b64encode(small.getvalue()).decode()}"
    return nodes.raw("", f'<p><img src="{address}" alt="{escape(alt)}"></p>', format="html")


class Atlas(SphinxDirective):
    """A card for each public loss, and lists of them by task and by alphabet.

    {ref}`atlas-binary-focal` leads to the card of binary.focal. The content has one line per loss that other libraries
    have too: its name, a colon, and theirs, separated by semicolons, each with a remark in brackets if it differs.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        losses = every_loss()
        self.elsewhere = {name.strip(): names for name, _, names in (line.partition(":") for line in self.content)}
        if unknown := set(self.elsewhere) - set(losses) - {""}:
            raise self.error(f"no such losses: {', '.join(sorted(unknown))}")
        for module in TASKS:
            self.env.note_dependency(str(inspect.getsourcefile(importlib.import_module(f"lossbook.{module}"))))
        self.pages = self.chapters()
        tasks = []
        for module, task in TASKS.items():
            links = [(name, name.partition(".")[2]) for name in losses if name.startswith(f"{module}.")]
            tasks.append(nodes.list_item("", self.links(f"{task}: ", links)))
        alphabet: dict[str, list[tuple[str, str]]] = {}
        for name in sorted(losses, key=lambda name: name.split(".")[::-1]):
            module, _, own = name.partition(".")
            alphabet.setdefault(own[0].upper(), []).append((name, f"{own} ({module})"))
        letters = [nodes.list_item("", self.links(f"{letter}: ", links)) for letter, links in alphabet.items()]
        lists = [
            nodes.rubric("", "By task"), nodes.bullet_list("", *tasks, bullet="-"),
            nodes.rubric("", "By name"), nodes.bullet_list("", *letters, bullet="-"),
        ]  # fmt: skip
        return [*lists, *(self.card(name, loss) for name, loss in losses.items())]

    def chapters(self) -> dict[str, str]:
        """The text of every chapter, in the order of the table of contents."""
        root = Path(self.env.srcdir)
        listed = re.findall(r"(?:file|root): (\S+)", (root / "_toc.yml").read_text(encoding="utf-8"))
        texts = {}
        for name in listed:
            path = Path(self.env.doc2path(name))
            if not path.stem.startswith(LOOKED_UP):
                self.env.note_dependency(str(path))
                text = path.read_text(encoding="utf-8")
                if path.suffix == ".ipynb":
                    text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
                texts[name] = text
        return texts

    def link(self, target: str, text: str = "", kind: str = "ref") -> addnodes.pending_xref:
        """A link to a label with its own text, or (kind "doc") to a page, which lends its title."""
        where = {"refdoc": self.env.docname, "reftarget": target, "refexplicit": bool(text), "refwarn": True}
        inner = nodes.inline("", text or target)
        return addnodes.pending_xref("", inner, refdomain="std", reftype=kind, **where)

    def links(self, before: str, targets: list[tuple[str, str]]) -> nodes.paragraph:
        found = nodes.paragraph("", "", nodes.Text(before))
        for at, (name, text) in enumerate(targets):
            found += [nodes.Text(", " if at else ""), self.link(label_of(name), text)]
        return found

    def card(self, name: str, loss: Any) -> nodes.section:
        label, module = label_of(name), name.partition(".")[0]
        section = nodes.section("", nodes.title("", name), ids=[label], names=[label], classes=["from-code"])
        self.state.document.note_explicit_target(section)
        section += nodes.paragraph("", "", *inline(loss.summary))
        for block in loss._repr_markdown_().split("\n\n")[1:]:
            if block.startswith("$$"):
                latex = block.strip("$ \n")
                section += formula(latex, self.env.docname)
            elif not block.startswith("Source"):
                section += nodes.paragraph("", "", *inline(block))
        if loss.shape == "pointwise":
            section += picture(loss)
        rows = [[nodes.literal("", argument), *inline(f": {text}")] for argument, text in self.described(loss)]
        rows.append([nodes.Text(f"One value per {VALUE_OF[loss.shape]}.")])
        facts = [FACTS[fact].format(value) for fact, value in loss.properties.items() if value is not False]
        rows.append([nodes.Text(f"Facts that tests check: {', '.join(facts)}.")] if facts else [])
        rows.append(self.peers(name))
        own = rf"\b{name.partition('.')[2].removesuffix('_with_logits')}(_with_logits)?\b"
        mention = re.compile(rf"\b{module}\.{own}|from lossbook\.{module} import .*{own}")
        where = [page for page, text in self.pages.items() if mention.search(text)]
        row: list[nodes.Node] = [nodes.Text("Treated in: ")]
        for at, page in enumerate(where):
            row += [nodes.Text(", " if at else ""), self.link(f"/{page}", kind="doc")]
        rows.append([*row, nodes.Text(".")] if where else [])
        api = f"api-{module}-{name.partition('.')[2]}".replace("_", "-")
        rows.append([nodes.Text("Signature and options: "), self.link(api, "API"), nodes.Text(".")])
        if loss.reference:
            rows.append([nodes.Text(f"Source: {loss.reference}.")])
        items = [nodes.list_item("", nodes.paragraph("", "", *row)) for row in rows if row]
        section += nodes.bullet_list("", *items, bullet="-")
        return section

    def described(self, loss: Any) -> list[tuple[str, str]]:
        """What prediction, target and parameters may be."""
        found = []
        for name, domain in loss.declaration.arguments.items():
            default = f"; {loss.declaration.defaults[name]:.6g} if left out" if domain.role == "parameter" else ""
            default = f"; {loss.declaration.defaults[name]} if left out" if domain.role == "flag" else default
            rule = f"; {domain.rule}" if domain.checked and domain.role in ("prediction", "target") else ""
            found.append((name, f"{domain.describes}{rule}{default}"))
        return found

    def peers(self, name: str) -> list[nodes.Node]:
        row: list[nodes.Node] = [nodes.Text("Elsewhere: ")]
        for at, peer in enumerate(part.strip() for part in self.elsewhere.get(name, "").split(";") if part.strip()):
            call, space, remark = peer.partition(" ")
            row += [nodes.Text(", " if at else ""), nodes.literal("", call), *inline(space + remark)]
            if remark:
                row.insert(-1, nodes.Text(" "))
        return [*row, nodes.Text(".")] if len(row) > 1 else []


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
    app.add_directive("atlas", Atlas)
    app.add_post_transform(UniqueIds)
    app.connect("html-page-context", describe)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
