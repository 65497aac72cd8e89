"""The report of an audit: in a terminal, and as a page in a notebook."""

import html
import textwrap
from dataclasses import dataclass
from typing import Any

from lossbook.workshop.audit.findings import SEVERITIES, Finding, by_inputs, in_order, spelled

STYLE = """
.lossbook-audit{max-width:48rem;font-size:0.95em;line-height:1.4;color:inherit}
.lossbook-audit code{overflow-wrap:anywhere;background:transparent;color:inherit}
.lossbook-audit ul{list-style:none;margin:0.5em 0;padding:0}
.lossbook-audit li{border-left:0.3em solid #888;margin:0 0 0.75em;padding:0.1em 0 0.1em 0.75em}
.lossbook-audit .wrong{border-color:#c62828}
.lossbook-audit .inaccurate{border-color:#b26a00}
.lossbook-audit .missing{border-color:#5e35b1}
.lossbook-audit .convention{border-color:#1e6fb8}
.lossbook-audit dl{display:grid;grid-template-columns:auto 1fr;gap:0 0.75em;margin:0.25em 0 0}
.lossbook-audit dt{opacity:0.8}
.lossbook-audit dd{margin:0;overflow-wrap:anywhere;font-family:monospace}
"""


@dataclass(frozen=True)
class Report:
    """What an audit found. It is true if nothing is wrong or inaccurate.

    Attributes
    ----------
    name : str
        Of the function.
    like : str
        The loss that it was compared with.
    findings : tuple of Finding
        What was found, the worst first.
    equals : str or None
        The call of this package that gives the same numbers.
    """

    name: str
    like: str
    findings: tuple[Finding, ...]
    equals: str | None

    def __bool__(self) -> bool:
        return not any(finding.severity in ("wrong", "inaccurate") for finding in self.findings)

    @property
    def verdict(self) -> str:
        """One sentence."""
        counts = [(severity, sum(finding.severity == severity for finding in self.findings)) for severity in SEVERITIES]
        found = [f"{count} {severity}" for severity, count in counts if count]
        head = "nothing wrong" if self else "not right"
        return f"{self.name}, compared with {self.like}: {head}" + (f" ({', '.join(found)})" if found else "") + "."

    def __str__(self) -> str:
        lines = textwrap.wrap(self.verdict, 79)
        lines += [f"equals: {self.equals or 'no call of this package'}"]
        for finding in in_order(self.findings):
            head = f"{finding.severity:<11} {finding.kind}"
            lines += ["", head, *textwrap.wrap(finding.text, 79, initial_indent=" " * 12, subsequent_indent=" " * 12)]
            for label, value in details(finding):
                wrapped = textwrap.wrap(value, 58) or [""]
                lines += [f"{' ' * 12}{label:<8} {wrapped[0]}", *(f"{' ' * 21}{line}" for line in wrapped[1:])]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The page that a notebook shows: readable in light and in dark, and on a telephone."""
        items = "".join(item(finding) for finding in in_order(self.findings))
        equals = f"<code>{html.escape(self.equals)}</code>" if self.equals else "no call of this package"
        return (
            f'<div class="lossbook-audit"><style>{STYLE}</style><p><strong>{html.escape(self.verdict)}</strong><br>'
            f"Equals: {equals}</p><ul>{items}</ul></div>"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}


def details(finding: Finding) -> list[tuple[str, str]]:
    """(label, value) of the numbers of a finding."""
    rows = [("inputs", by_inputs(finding.inputs)), ("got", spelled(finding.got)), ("want", spelled(finding.want))]
    return [(label, value) for label, value in rows if value]


def item(finding: Finding) -> str:
    """A finding as an item of the list."""
    rows = "".join(f"<dt>{label}</dt><dd>{html.escape(value)}</dd>" for label, value in details(finding))
    return (
        f'<li class="{finding.severity}"><strong>{finding.severity}</strong>: {html.escape(finding.kind)}<br>'
        f"{html.escape(finding.text)}{f'<dl>{rows}</dl>' if rows else ''}</li>"
    )
