"""A reader's claim is answered in one line, whatever its numbers became, and never stops the cell."""

import numpy as np
import pytest
import sympy as sp

from lossbook.workshop import check

x = sp.Symbol("x", real=True)

HOLDS = [
    (True,), (np.bool_(True),), ([True, True],), ([],), (sp.true,),
    (1, "<", 2), ([1, 2], "<", 3), (0.1 + 0.2, "~", 0.3), (np.inf, "~", np.inf), ("a", "==", "a"),
    ((x + 1) ** 2, "==", x**2 + 2 * x + 1), (sp.Rational(1, 3), "<", 1),
]  # fmt: skip
FAILS = [
    ((False,), ""), (([[True], [False]],), " (not at [1, 0])"), ((x > 1,), " (SymPy cannot decide x > 1)"),
    ((2, "<", 1), " (2 < 1)"), (([1, 5, 6], "<=", 4), " (5 <= 4 at [1])"), ((1.0, "~", 1.001), " (1 ~ 1.001)"),
    ((np.nan, "==", np.nan), " (nan == nan)"), ((np.nan, "~", 1.0), " (nan ~ 1)"), ((np.inf, "~", 1.0), " (inf ~ 1)"),
    ((x + 1, "==", x), " (x + 1 == x: they differ by 1)"), (("a", "==", "b"), " ('a' == 'b')"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", HOLDS)
def test_what_holds(arguments, capsys):
    assert check("it is so", *arguments) is None
    assert capsys.readouterr().out == "holds: it is so\n"


@pytest.mark.parametrize(("arguments", "reason"), FAILS)
def test_what_fails_says_where_and_with_which_numbers(arguments, reason, capsys):
    assert check("it is so", *arguments) is None
    assert capsys.readouterr().out == f"no longer holds: it is so{reason}\n"


def test_what_cannot_be_compared_fails_with_a_reason(capsys):
    check("they agree", [1, 2], "==", [1, 2, 3])
    assert capsys.readouterr().out.startswith("no longer holds: they agree (shape mismatch")


def test_the_tolerance_is_a_part_of_the_larger_number(capsys):
    check("they are near", 1e-12, "~", 1.05e-12, within=0.1)
    check("they are near", 1e-12, "~", 1.5e-12, within=0.1)
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["holds", "no longer holds"]


def test_an_unknown_relation_is_named():
    with pytest.raises(ValueError, match=r"check: relation must be one of ~, ==, .*; got '=>'"):
        check("it is so", 1, "=>", 2)
