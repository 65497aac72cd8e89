"""Write the stubs of the modules of losses, lossbook/*.pyi, from their declarations.

The annotations of a formula are domains, which say nothing of the arrays that a loss is called with. A type checker,
and completion with it, reads these stubs instead. `tools/stubs.py --check` writes nothing and says which are old.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import lossbook
from lossbook import DomainError, Loss

HEAD = """\
# Written by tools/stubs.py from {name}.py, one line for each way of calling a method of a loss.
# fmt: off
# ruff: noqa: E501, I001
# mypy: disable-error-code="override"
"""
IMPORTS = {
    "collections.abc": ("Collection", "Sequence"),
    "typing": ("Any", "Literal", "Self", "SupportsIndex", "overload"),
    "numpy.typing": ("NDArray",),
    "lossbook.algebra": ("Loss",),
    "lossbook.evaluation.reduce": ("Partial",),
    "lossbook.typing": (
        "F2", "F3", "S2", "S3", "ArrayLike", "Backend", "F", "Floats", "Format", "Number", "Reduction", "S", "Single",
    ),
}  # fmt: skip
OPTIONS = {
    "reduction": "Reduction",
    "weight": "ArrayLike | None",
    "backend": "Backend | None",
    "class_weight": "ArrayLike | None",
    "ignore_index": "SupportsIndex | Collection[SupportsIndex] | None",
    "axis": "SupportsIndex",
    "batch": "bool",
    "format": "Format",
    "accuracy": 'Literal["highest"] | None',
}


class Stub:
    """The class of a loss, as text: its arrays, parameters and options in each of its calls."""

    def __init__(self, loss: Loss) -> None:
        domains = loss.declaration.arguments
        self.predictions = [name for name, domain in domains.items() if domain.role == "prediction"]
        self.targets = [name for name, domain in domains.items() if domain.role == "target"]
        self.keywords: dict[str, tuple[str, Any]] = {}
        for name, parameter in loss.signature.parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY:
                self.keywords[name] = OPTIONS.get(name) or _kind(loss, name, parameter.default), parameter.default
        if len(self.predictions) > 1 and not self.targets:
            self.keywords["weight"] = _tuple(["ArrayLike | None"] * len(self.predictions)) + " | None", None
        self.activates = len(self.predictions) == 1 and domains[self.predictions[0]].holds_probabilities
        types = [f"Floats[S{k}, F{k}]" for k in ("", "2", "3")[: len(self.predictions)]]
        self.arrays = dict(zip(self.predictions, types, strict=True))
        several = len(types) > 1 and not self.targets
        self.each = _tuple([f"NDArray[F{k}]" for k in ("", "2", "3")[: len(types) if several else 1]])
        self.gradient = _tuple(types)
        self.any = _tuple(["Any"] * len(types))

    def __str__(self) -> str:
        return "".join(self._methods())

    def _methods(self) -> Iterator[str]:
        none = 'Literal["none"]'
        foreign = dict.fromkeys(self.predictions, "ArrayLike")
        slope, out = self.gradient, f"{self.gradient} | None"
        yield self._method("__call__", self.arrays, "F", reduction="Single")
        yield self._method("__call__", self.arrays, self.each, reduction=none)
        yield self._method("__call__", foreign, "Any", reduction="Reduction")
        yield self._method("grad", self.arrays, slope, reduction="Reduction", out=out)
        yield self._method("grad", foreign, self.any, reduction="Reduction", out="Any")
        yield self._method("value_and_grad", self.arrays, f"tuple[F, {slope}]", reduction="Single", out=out)
        yield self._method("value_and_grad", self.arrays, f"tuple[{self.each}, {slope}]", reduction=none, out=out)
        yield self._method("value_and_grad", foreign, f"tuple[Any, {self.any}]", reduction="Reduction", out="Any")
        yield self._method("hessian", self.arrays, slope, reduction="Reduction", out=out, usual="sum")
        yield self._method("hessian", foreign, self.any, reduction="Reduction", out="Any", usual="sum")
        along = _tuple(["ArrayLike"] * len(self.predictions))
        yield self._method("hvp", self.arrays, slope, reduction="Reduction", out=out, usual="sum", along=along)
        yield self._method("hvp", foreign, self.any, reduction="Reduction", out="Any", usual="sum", along=along)
        three = f"tuple[F, {slope}, {slope}]"
        yield self._method("value_grad_and_hessian", self.arrays, three, reduction="Single", usual="sum")
        three = f"tuple[Any, {self.any}, {self.any}]"
        yield self._method("value_grad_and_hessian", foreign, three, reduction="Reduction", usual="sum")
        yield self._method("partial", self.arrays, "Partial")
        yield self._method("partial", foreign, "Any")
        kept = {name: kind for name, (kind, _) in self.keywords.items() if name not in ("weight", "reduction")}
        kept = [f"{name}: {kind} = ..." for name, kind in kept.items()]
        yield _method("with_parameters", ["*", *kept], "Self")
        yield _method("with_parameters", ["*", "reduction: Reduction", *kept], "Loss")
        if self.activates:
            yield '    def on_logits(self, activation: Literal["sigmoid", "softmax"]) -> Self: ...\n'

    def _method(
        self,
        name: str,
        arrays: dict[str, str],
        result: str,
        reduction: str = "",
        out: str = "",
        usual: str = "mean",
        along: str = "",
    ) -> str:
        """One overload of a method that takes the arrays, for such a reduction; "" where it takes none."""
        given = [f"{array}: {kind}" for array, kind in arrays.items()]
        given += [f"{target}: ArrayLike" for target in self.targets] + [f"v: {along}"] * bool(along)
        given += ["/", "*"] + [f"out: {out} = None"] * bool(out)
        for keyword, (kind, default) in self.keywords.items():
            if keyword != "reduction":
                given.append(f"{keyword}: {kind} = {default!r}")
            elif reduction:
                given.append(f"reduction: {reduction}" + ("" if "none" in reduction else f' = "{usual}"'))
        return _method(name, given, result)


def _method(name: str, arguments: list[str], result: str) -> str:
    return f"    @overload\n    def {name}(self, {', '.join(arguments)}) -> {result}: ...\n"


def _tuple(types: list[str]) -> str:
    return types[0] if len(types) == 1 else f"tuple[{', '.join(types)}]"


def _kind(loss: Loss, name: str, default: Any) -> str:
    """The type of a parameter: that of its default, and what else the loss takes."""
    if isinstance(default, bool):
        return "bool"
    if name in loss.per_class:
        return "ArrayLike"
    kinds = {"Number": default, "Sequence[Number]": (1.0, 1.0), "None": None}
    return " | ".join(kind for kind, value in kinds.items() if _takes(loss, name, value))


def _takes(loss: Loss, name: str, value: Any) -> bool:
    try:
        loss.with_parameters(**{name: value})
    except DomainError:
        return False
    return True


def stub(module: ModuleType) -> str:
    """The stub of a module of losses."""
    name = module.__name__.rpartition(".")[2]
    offered = {item: getattr(module, item) for item in module.__all__}
    others = {item: value for item, value in offered.items() if not isinstance(value, Loss)}
    body = [f"from {value.__module__} import {item} as {item}\n" for item, value in others.items()]
    names = ", ".join(f'"{item}"' for item in offered)
    body.append(f"\n__all__ = [{names}]\n")
    classes: dict[str, str] = {}  # by their text
    variables = ["\n"]
    for item, value in offered.items():
        if isinstance(value, Loss):
            text = str(Stub(value))
            if text not in classes:
                classes[text] = "_" + item.title().replace("_", "")
                body.append(f"\nclass {classes[text]}(Loss):\n{text}")
            variables.append(f'{item}: {classes[text]}\n"""{value.summary}"""\n')
    text = "".join(body + variables)
    used = {home: [item for item in items if re.search(rf"\b{item}\b", text)] for home, items in IMPORTS.items()}
    imports = [f"from {home} import {', '.join(items)}\n" for home, items in used.items() if items]
    return "".join([HEAD.format(name=name), *imports, text])


def stubs() -> dict[Path, str]:
    """The text of each stub, by its path."""
    modules = [getattr(lossbook, name) for name in lossbook.__all__]
    modules = [module for module in modules if isinstance(module, ModuleType)]
    found = {}
    for module in modules:
        if any(isinstance(getattr(module, name), Loss) for name in module.__all__):
            found[Path(str(module.__file__)).with_suffix(".pyi")] = stub(module)
    return found


def main() -> str | None:
    """Write the stubs, or say which are old."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a stub is old")
    wanted = stubs()
    if not parser.parse_args().check:
        for path, text in wanted.items():
            path.write_text(text)
        return None
    old = [path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    return f"old, so that tools/stubs.py must be run: {', '.join(old)}" if old else None


if __name__ == "__main__":
    sys.exit(main())
