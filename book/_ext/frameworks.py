"""Tabs that show one loss in several libraries: ``{frameworks} binary.cross_entropy_with_logits``."""

from docutils import nodes
from framework_calls import CALLS, VALUES, entries, setting, values
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


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


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("frameworks", Frameworks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
