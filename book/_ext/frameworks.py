"""What losses are called elsewhere: tabs that show one loss in several libraries, and the table of all names.

``{frameworks} binary.cross_entropy_with_logits`` prints an entry of frameworks.toml, and ``{same_names}`` what
`lossbook.find` knows.
"""

from itertools import groupby

from cards import label_of
from docutils import nodes
from framework_calls import CALLS, VALUES, entries, setting, values
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lossbook.workshop.find import table


class Frameworks(SphinxDirective):
    """The calls of an entry of frameworks.toml, a tab each, with the number that the library gave."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        name = " ".join(self.arguments[0].split())
        if name not in entries():
            raise self.error(f"no entry {name!r} in {CALLS.name}")
        for file in (CALLS, VALUES):
            self.env.note_dependency(str(file))
        parts = ["::::{tab-set}", ":sync-group: framework", ""]
        for library, call in entries()[name]["calls"].items():
            parts += [f":::{{tab-item}} {library}", f":sync: {library}", "", "```python", setting(name, library)]
            parts += [f"{call}  # {values()[name][library]:.4f}", "```", ""]
            if trap := entries()[name].get("traps", {}).get(library):
                parts += [trap, ""]
            parts += [":::", ""]
        return self.parse_text_to_nodes("\n".join([*parts, "::::"]))


class SameNames(SphinxDirective):
    """A tab for each library, with a row for names that are called alike here."""

    def run(self) -> list[nodes.Node]:
        parts = ["::::{tab-set}", ":sync-group: framework", ""]
        for library, names in groupby(table(), key=lambda one: one.library):
            parts += [f":::{{tab-item}} {library}", f":sync: {library}", "", *self.rows(list(names)), ":::", ""]
        return self.parse_text_to_nodes("\n".join([*parts, "::::"]))

    def rows(self, names: list) -> list[str]:
        """The table of a library, and what has no loss here."""
        parts = ["```{list-table}", ":header-rows: 1", ":widths: 34 38 28", "", "* - name there", "  - call here"]
        parts += ["  - what the call does not say"]
        here = [one for one in names if one.call]
        for (call, note), alike in groupby(here, key=lambda one: (one.call, one.note)):
            alike = list(alike)
            card = label_of(alike[0].loss.name)
            parts += [f"* - {', '.join(f'`{one.qualified}`' for one in alike)}"]
            parts += [f"  - `{call}` ({{ref}}`card <{card}>`)", f"  - {note.replace('*', chr(92) + '*') or '—'}"]
        parts += ["```", ""]
        if missing := [f"`{one.name}`" for one in names if not one.call]:
            parts += [f"Without a loss of this kind here: {', '.join(missing)}.", ""]
        return parts


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("frameworks", Frameworks)
    app.add_directive("same_names", SameNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
