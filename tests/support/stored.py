"""Exact numbers that were found once, in tests/exact: they follow from a formula and a place alone.

A number's key is a digest of the formula, the place, and the text of every definition of the oracle that the number
follows from, the meanings of the formula's words among them: a number of another formula or of another meaning is never
found. What is not found is computed, and a session that had to compute much fails (`conftest.py`);
`pytest tests/test_<module>.py --update` stores it. Some of the numbers are computed in every session, and compared.
"""

import ast
import functools
import hashlib
import inspect
import shutil
import sys
from pathlib import Path

import sympy
from mpmath import mp, mpc, mpf

FOLDER = Path(__file__).parents[1] / "exact"
DIGITS = 32  # that are stored
AGAIN = 128  # one of so many numbers is computed in every session


class Table:
    """The numbers of one file: {key: text}; those that a session asked for, and how many of them it had to compute."""

    def __init__(self, name):
        self.name, self.asked, self.missing = name, {}, 0
        lines = file(name).read_text().splitlines() if file(name).exists() else []
        self.known = dict(line.split(" ", 1) for line in lines)
        self.first = min(self.known, default="")

    def number(self, key, compute):
        """The numbers of a key; compute() gives them if they are not here, or if it is their turn to be compared."""
        text = self.asked.get(key)
        if text is None:
            text = self.known.get(key)
            if text is None or int(key, 16) % AGAIN == 0 or key == self.first:
                found = compute()
                if text is None:
                    self.missing += 1
                    text = written(found)
                assert same(read(text), found), f"{file(self.name)}: {key} should be {written(found)}, is {text}"
            self.asked[key] = text
        return read(text)


tables = {}  # by name
current = None  # the name of the table of the test that runs


def begin(name):
    """Let the numbers of the test that begins be found in the table of this name."""
    global current
    current = name


def alone(function, *arguments, **options):
    """A call of a function, of which nothing but its result is to be stored."""
    before = current
    begin(None)
    try:
        return function(*arguments, **options)
    finally:
        begin(before)


def file(name):
    return FOLDER / f"{name}.txt"


def add(name, asked):
    """Store {key: text} in the table of this name."""
    known = Table(name).known | asked
    file(name).parent.mkdir(parents=True, exist_ok=True)
    file(name).write_text("".join(f"{key} {known[key]}\n" for key in sorted(known)))


def drop(names):
    """Forget all tables of the modules of these names."""
    for module in {name.split("/")[0] for name in names}:
        file(module).unlink(missing_ok=True)
        shutil.rmtree(FOLDER / module, ignore_errors=True)


def written(found):
    """A number, or a list of numbers, as text."""
    if isinstance(found, list):
        return f"[{' '.join(map(written, found))}]"
    if isinstance(found, mpc):  # as a power of a negative number is
        return f"{written(found.real)};{written(found.imag)}"
    return mp.nstr(found, DIGITS, min_fixed=0, max_fixed=0)


def read(text):
    """A number, or a list of numbers, of text."""
    if text.startswith("["):
        return list(map(read, text[1:-1].split()))
    with mp.workdps(DIGITS + 5):
        return mpc(*text.split(";")) if ";" in text else mpf(text)


def same(one, other):
    """Whether numbers agree to all digits that are stored."""
    if isinstance(one, list):
        return all(map(same, one, other))
    if not (mp.isfinite(one) and mp.isfinite(other)):
        return one == other or (mp.isnan(one) and mp.isnan(other))
    with mp.workdps(DIGITS + 5):
        return abs(one - other) <= abs(other) * mpf(10) ** (1 - DIGITS)


# --- keys ------------------------------------------------------------------------------------------------------------


@functools.cache
def definitions(module):
    """{name: (text, names in it)} of all that a module defines; an entry of a dictionary has its quoted key as name."""
    source, found = inspect.getsource(module), {}

    def add(name, node):
        parts = list(ast.walk(node))
        used = {part.id for part in parts if isinstance(part, ast.Name)}
        used |= {repr(part.value) for part in parts if isinstance(part, ast.Constant)}
        found[name] = ast.get_source_segment(source, node), used

    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            add(node.name, node)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                add(repr(key.value), value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            add(node.targets[0].id, node)
    return found


@functools.cache
def texts(module, names):
    """The text of definitions and of those that they use, and so on."""
    known, found, new = definitions(module), {}, set(names)
    while new:
        found |= {name: known[name][0] for name in new}
        new = {used for name in new for used in known[name][1] if used in known and used not in found}
    return "\n".join(f"{name}: {found[name]}" for name in sorted(found))


@functools.cache
def words_of(expression):
    """The names of the functions in an expression, as the oracle knows them."""
    return frozenset(found.func.__name__.lower() for found in expression.atoms(sympy.Function))


@functools.cache
def printed(expression):
    return sympy.srepr(expression)


def shown(thing):
    """A thing as a text that no other thing has."""
    if isinstance(thing, mpf):
        sign, mantissa, exponent, _ = thing._mpf_
        return f"{sign} {int(mantissa):x} {exponent}"
    if isinstance(thing, sympy.Basic):
        return printed(thing)
    if isinstance(thing, dict):
        return "{" + "; ".join(sorted(f"{shown(key)}: {shown(value)}" for key, value in thing.items())) + "}"
    if isinstance(thing, (list, tuple)):
        return "[" + ", ".join(map(shown, thing)) + "]"
    return repr(thing)


def stored(function):
    """A function of an expression and more, whose results are stored."""
    module, signature = sys.modules[function.__module__], inspect.signature(function)
    meanings = dict(module.MEANINGS)

    @functools.wraps(function)
    def found(expression, *more, **options):
        words = words_of(expression) & module.MEANINGS.keys()
        if current is None or any(module.MEANINGS[word] is not meanings.get(word) for word in words):
            return function(expression, *more, **options)  # a test gives a word a meaning of its own
        bound = signature.bind(expression, *more, **options)
        bound.apply_defaults()
        text = texts(module, frozenset({function.__name__, *map(repr, words)})) + shown(list(bound.arguments.values()))
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        if current not in tables:
            tables[current] = Table(current)
        return tables[current].number(key, lambda: alone(function, expression, *more, **options))

    return found
