"""The floors of the package: a module imports only from floors below its own, lazy imports included."""

import ast
import inspect
from pathlib import Path

import pytest

import lossbook
from lossbook import backends, data

PACKAGE = Path(lossbook.__file__).parent
FLOORS = data.floors()  # modules of one floor may import one another, but never in a circle
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
FILES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): file
    for file in PACKAGE.rglob("*.py")
    if "loops" not in file.parts  # text of kernels, which nothing imports
}


def imports(module):
    """The modules of the package that a module imports, wherever the import stands."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in named:
            if name.split(".")[0] == "lossbook":
                name = name.partition(".")[2]
                while name not in FILES:  # a name of a module
                    name = name.rpartition(".")[0]
                yield name


GRAPH = {module: set(imports(module)) - {module} for module in FILES}


@pytest.mark.parametrize("module", sorted(FILES), ids=lambda name: name or "lossbook")
def test_a_module_imports_from_floors_below_its_own(module):
    """What stands on the same floor may be imported as well; what stands above may not."""
    floor = FLOOR[module.split(".")[0]]
    above = {name for name in GRAPH[module] if FLOOR[name.split(".")[0]] > floor}
    assert not above


def test_no_circle():
    """Modules can be put in an order in which each imports only from those before it."""
    left = dict(GRAPH)
    while ready := [module for module, needed in left.items() if not needed & left.keys()]:
        for module in ready:
            del left[module]
    assert not left


@pytest.mark.parametrize("name", backends.NAMES)
def test_a_backend_has_what_backends_have(name):
    """The package of each backend follows the protocol."""
    module = backends.get(name)
    for needed in vars(backends.Backend):
        if not needed.startswith("_") and inspect.isfunction(vars(backends.Backend)[needed]):
            wanted, found = vars(backends.Backend)[needed], getattr(module, needed)
            names = list(inspect.signature(wanted).parameters)[1:]  # without self
            assert list(inspect.signature(found).parameters) == names


@pytest.mark.parametrize("module", sorted(FILES), ids=lambda name: name or "lossbook")
def test_no_class_is_long(module):
    """A class of more than 200 lines does too much."""
    classes = [node for node in ast.walk(ast.parse(FILES[module].read_text())) if isinstance(node, ast.ClassDef)]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in classes}
    assert max(lengths.values(), default=0) <= 200, lengths


# Private names of other packages that there is no public one for.
PRIVATE_ELSEWHERE = {
    "_print",  # of SymPy's printers: what every method that prints a function calls
    "_meta",  # of Dask's arrays: what is in their chunks
    "_C", "_are_functorch_transforms_active",  # of PyTorch: whether torch.func is at work
    "_rebuild", "_reduce", "_cache",  # of Numba's compiled functions, which the cache of kernels stores
}  # fmt: skip
SHOWN = {"_repr_markdown_", "_repr_mimebundle_"}  # the protocol of notebooks
ROOT = PACKAGE.parent
SOURCES = sorted(
    file for folder in ("lossbook", "book/_ext", "tools", "benchmarks") for file in (ROOT / folder).rglob("*.py")
)


def is_private(name):
    """Whether a name begins with an underscore and is none of Python's own, like __doc__."""
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def private_names(tree):
    """The private names of other modules that a module uses."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.id if isinstance(node, ast.Name) else node.attr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            of_itself = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not of_itself and node.attr not in own | PRIVATE_ELSEWHERE | SHOWN:
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names if is_private(alias.name))


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_private_name_of_another_module_is_used(file):
    """What begins with an underscore may change with the module that has it."""
    assert not list(private_names(ast.parse(file.read_text())))
