"""The names that a declaration gives: to losses, arguments, parameters and steps.

They reach kernels, paths, pages and scripts, so they are identifiers and nothing else.
"""

import keyword
from types import ModuleType
from typing import Any

LONGEST = 100
# The arguments that losses have beside those of their formula.
OPTIONS = (
    "accuracy", "axis", "backend", "batch", "class_weight", "format", "ignore_index", "out", "reduction", "self",
    "weight",
)  # fmt: skip


def check_name(name: Any, what: str, where: str) -> str:
    """The name, if it is an identifier of ordinary length; if not, TypeError says what it was to name."""
    is_name = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
    if not is_name or len(name) > LONGEST or name.startswith("__"):
        shown = repr(name) if len(repr(name)) <= LONGEST else f"{repr(name)[:60]}..."
        raise TypeError(
            f"{where}: {what} must be an identifier of at most {LONGEST} characters, no keyword, and not begin with "
            f"two underscores; got {shown}"
        )
    return name


def check_argument(name: Any, where: str) -> str:
    """The name of an argument, which must leave those of the options free."""
    if check_name(name, "the name of an argument", where) in OPTIONS:
        raise TypeError(f"{where}: {name} is an option that losses have; the argument needs another name")
    return name


def offer_only(*modules: ModuleType) -> None:
    """Let `dir`, and completion with it, offer what a module names in `__all__`, and not what it has imported."""
    for module in modules:
        hidden = [name for name in vars(module) if name.startswith("_")]
        module.__dir__ = lambda names=(*module.__all__, *hidden): names  # type: ignore[method-assign, misc]
