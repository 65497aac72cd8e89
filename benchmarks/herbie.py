"""Bits of error of `lossbook.stable` on the expressions of Herbie's public benchmark that our words can say.

    python -m benchmarks.herbie CHECKOUT [--out benchmarks/herbie.json]

CHECKOUT is a checkout of Herbie, of which the folder bench/ is read. Expressions have one or two variables and the
functions below. As in Herbie, points are float64 numbers with random bits that obey the precondition and have a normal
exact value, and a figure is the mean of log2(1 + ulp) over them: before, after `stable`, and of the alternative that
the benchmark gives to compare with (`:alt`), where it gives one.
"""

import argparse
import functools
import json
import operator
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import sympy

import lossbook
from lossbook import Outcome, Positive, Real, accuracy
from lossbook.errors import DomainError

POINTS = 256
DIGITS = 700
SECONDS = 60
LARGEST = 25  # operations in an expression; searching in longer ones takes minutes
FUNCTIONS = {
    "exp": sympy.exp, "log": sympy.log, "sqrt": sympy.sqrt, "fabs": sympy.Abs, "fmin": sympy.Min, "fmax": sympy.Max,
    "sinh": sympy.sinh, "cosh": sympy.cosh, "tanh": sympy.tanh, "pow": operator.pow,
    "/": lambda *parts: 1 / parts[0] if len(parts) == 1 else parts[0] / parts[1],
    "+": lambda *parts: sympy.Add(*parts), "*": lambda *parts: sympy.Mul(*parts),
    "-": lambda first, *others: first - sympy.Add(*others) if others else -first,
}  # fmt: skip
IN_NUMPY = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "fabs": np.abs, "fmin": np.fmin, "fmax": np.fmax, "sinh": np.sinh,
    "cosh": np.cosh, "tanh": np.tanh, "pow": np.power, "/": FUNCTIONS["/"], "log1p": np.log1p, "expm1": np.expm1,
    "hypot": np.hypot, "cbrt": np.cbrt, "+": lambda *parts: sum(parts),
    "*": lambda *parts: functools.reduce(np.multiply, parts),
    "-": lambda first, *others: first - sum(others) if others else -first, "if": np.where,
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal,
    "and": lambda *parts: functools.reduce(np.logical_and, parts),
    "or": lambda *parts: functools.reduce(np.logical_or, parts),
}  # fmt: skip


def parsed(text: str) -> Iterator[Any]:
    """The lists of a text of s-expressions."""
    stack: list[list[Any]] = [[]]
    for token in re.findall(r'"[^"]*"|[()\[\]]|[^\s()\[\]"]+', re.sub(r";[^\n]*", "", text)):
        if token in "([":
            stack.append([])
        elif token in ")]":
            last = stack.pop()
            stack[-1].append(last)
        else:
            stack[-1].append(token)
    yield from stack[0]


def evaluated(tree: Any, names: Mapping[str, Any], functions: Mapping[str, Any], number: Any) -> Any:
    """The value of a tree; KeyError for what has no meaning here."""
    if isinstance(tree, str):
        if tree in names:
            return names[tree]
        if re.fullmatch(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?(/[0-9]+)?", tree):
            return number(tree)
        raise KeyError(tree)
    head, *rest = tree
    if head in ("let", "let*"):
        inner = dict(names)
        for name, value in rest[0]:
            inner[name] = evaluated(value, inner if head == "let*" else names, functions, number)
        return evaluated(rest[1], inner, functions, number)
    if head == "!":  # properties, then the expression
        return evaluated(rest[-1], names, functions, number)
    parts = [evaluated(part, names, functions, number) for part in rest]
    if head in ("<", "<=", ">", ">=") and len(parts) > 2:  # a chain
        return functions["and"](*(functions[head](a, b) for a, b in pairwise(parts)))
    return functions[head](*parts)


def in_float64(tree: Any, points: Mapping[str, np.ndarray]) -> Any:
    """What NumPy makes of a tree, step by step."""
    with np.errstate(all="ignore"):
        return evaluated(tree, points, IN_NUMPY, lambda text: np.float64(sympy.Rational(text)))


def drawn(names: list[str], condition: Any, seed: int) -> dict[str, np.ndarray]:
    """Points with random bits that obey a condition."""
    random = np.random.default_rng(seed)
    points = {name: random.integers(0, 2**64, 40 * POINTS, np.uint64).view(np.float64) for name in names}
    kept = np.all([np.isfinite(column) for column in points.values()], axis=0)
    if condition is not None:
        kept &= in_float64(condition, points)
    return {name: column[kept] for name, column in points.items()}


def bits(got: np.ndarray, exact: list[Any]) -> float:
    """The mean of log2(1 + ulp), of which there are at most 64."""
    off = accuracy.error_in_ulp(np.asarray(got, np.float64), np.array(exact, object))
    return float(np.minimum(np.log2(1 + off), 64).mean())


def measured(core: list[Any]) -> dict[str, Any] | str:
    """The figures of one benchmark, or why there are none."""
    names, tree = core[1], core[-1]
    options = dict(zip(core[2:-1:2], core[3:-1:2], strict=True))
    if not 1 <= len(names) <= 2 or not all(isinstance(name, str) for name in names):
        return "not one or two variables"
    symbols = {name: sympy.Symbol(name, real=True) for name in names}
    try:
        expression = evaluated(tree, symbols, FUNCTIONS, sympy.Rational)
        points = drawn(names, options.get(":pre"), seed=0)
    except KeyError as missing:
        return f"has {missing.args[0]}"
    if sympy.count_ops(expression) > LARGEST:
        return f"more than {LARGEST} operations"
    exact = []
    function = sympy.lambdify(list(symbols.values()), expression, "mpmath")
    kept: dict[str, list[float]] = {name: [] for name in names}
    with mpmath.workdps(DIGITS):
        for row in zip(*points.values(), strict=True):
            try:
                value = mpmath.mpmathify(function(*map(mpmath.mpf, map(float, row))))
            except (ZeroDivisionError, ValueError, OverflowError):
                continue
            if isinstance(value, mpmath.mpc) or not 2.3e-308 < abs(value) < 1.7e308:
                continue
            exact.append(value)
            for name, number in zip(names, row, strict=True):
                kept[name].append(float(number))
            if len(exact) == POINTS:
                break
    if len(exact) < POINTS // 8:
        return "too few points with a normal value"
    arrays = {name: np.array(column) for name, column in kept.items()}
    where = {}
    for name, domain in zip(names, (Real, Outcome), strict=False):
        positive = all(number > 0 for number in kept[name])
        where[symbols[name]] = replace(Positive, role=domain.role) if positive else domain
    try:
        found = lossbook.stable(expression, where=where)
        after = found.forms.loss(found.found)
        with np.errstate(all="ignore"):
            got = after(*arrays.values(), reduction="none")
    except (DomainError, TypeError) as error:
        return f"not for stable: {str(error)[:100]}"
    result = {
        "before": round(bits(in_float64(tree, arrays), exact), 2), "after": round(bits(got, exact), 2),
        "form": str(found.formula), "points": len(exact),
    }  # fmt: skip
    if ":alt" in options:
        try:
            result["alternative"] = round(bits(in_float64(options[":alt"], arrays), exact), 2)
        except KeyError as missing:
            result["alternative"] = f"has {missing.args[0]}"
    if ":herbie-expected" in options:
        result["expected"] = options[":herbie-expected"]
    return result


def stop(*_: Any) -> None:
    raise TimeoutError


def main() -> None:
    signal.signal(signal.SIGALRM, stop)
    parser = argparse.ArgumentParser()
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("herbie.json"))
    given = parser.parse_args()
    results: dict[str, Any] = {}
    left_out: dict[str, int] = {}
    for file in sorted((given.checkout / "bench").rglob("*.fpcore")):
        for core in parsed(file.read_text(encoding="utf-8")):
            if core[0] != "FPCore" or not isinstance(core[1], list):
                continue
            name = next((core[i + 1].strip('"') for i, part in enumerate(core) if part == ":name"), "?")
            signal.alarm(SECONDS)
            try:
                found = measured(core)
            except TimeoutError:
                found = "not searched within a minute"
            finally:
                signal.alarm(0)
            if isinstance(found, str):
                kind = re.sub(r"^(has|not for stable).*", r"\1 ...", found)
                left_out[kind] = left_out.get(kind, 0) + 1
                continue
            results[f"{file.stem}: {name}"] = found
            print(f"{name[:50]:50} {found['before']:6} {found['after']:6} {found.get('alternative', '')}", flush=True)
            text = json.dumps({"results": results, "left_out": left_out}, indent=1)
            given.out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
