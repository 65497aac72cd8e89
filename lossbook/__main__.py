"""The command line: `python -m lossbook audit module:function --like binary.focal gamma=2.0`.

The exit status is 0 if nothing is wrong or inaccurate, 1 if something is, and 2 if the command cannot be carried out.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import lossbook


def arguments() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(prog="python -m lossbook", description="Tools for loss functions.")
    commands = parser.add_subparsers(dest="command", required=True)
    audit = commands.add_parser("audit", help="compare a function with a loss", description=audit_text())
    audit.add_argument("function", help="where the function is, as module:function")
    audit.add_argument("parameters", nargs="*", help="parameters of the loss, as gamma=2.0")
    audit.add_argument("--like", help="the loss that it is meant to be, as binary.focal; without it all are tried")
    audit.add_argument("--gradient", help="its gradient, as module:function")
    named = commands.add_parser("find", help="a loss of another library, and the call that equals it")
    named.add_argument("name", help="its name, as BCEWithLogitsLoss")
    return parser


def audit_text() -> str:
    """What the help says of an audit."""
    return "Is a function a loss? It is found out by calling it. Status: 0 right, 1 wrong or inaccurate, 2 error."


def named(text: str) -> Any:
    """The object at module:name."""
    module, colon, name = text.partition(":")
    if not colon or not name:
        raise ValueError(f"a function is given as module:function; got {text!r}")
    return attrgetter(name)(importlib.import_module(module))


def parameter(text: str) -> tuple[str, Any]:
    """(name, value) of a parameter: a number, or True or False."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"a parameter is given as name=value; got {text!r}")
    return name, value == "True" if value in ("True", "False") else float(value)


def main(given: Sequence[str] | None = None) -> int:
    """Carry out a command; the exit status."""
    said = arguments().parse_args(given)
    if said.command == "find":
        found = lossbook.find(said.name)
        print(found)
        return 0 if found else 1
    sys.path.insert(0, os.getcwd())  # as `python -m` does for modules beside the user
    try:
        function = named(said.function)
        gradient = named(said.gradient) if said.gradient else None
        parameters = dict(map(parameter, said.parameters))
        if said.like is None:
            report = lossbook.audit.identify(function, gradient=gradient, **parameters)
        else:
            report = lossbook.audit(function, attrgetter(said.like)(lossbook), gradient=gradient, **parameters)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        print(f"python -m lossbook audit: {error}", file=sys.stderr)
        return 2
    print(report)
    return 0 if report else 1


if __name__ == "__main__":
    sys.exit(main())
