"""The tokens of a printed derivation, with what only their surroundings tell.

TeX has no word for the difference between the name `dice` and the product of four letters, between the bar that opens
|x| and the one that closes it, or between a name and prose in an upright font. It is decided here, in one pass for
each, so that the grammar has a token for each meaning.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from lossbook.workshop.latex.bars import CLOSING, OPENING, renamed, with_bars

CONDITIONS = ("for", "if", "when", "where")  # prose after which a condition may stand
PROSE = (*CONDITIONS, "and", "as", "because", "by", "else", "otherwise", "since", "so", "thus", "with")
ARGUMENTS = {"FRACTION": 2, "SUB": 1, "SUP": 1, "ROOT": 1, "ACCENT": 1}


def prepared(tokens: Iterable[Any], text: str, names: Collection[str]) -> list[Any]:
    """The tokens for the parser.

    Parameters
    ----------
    tokens : iterable of Token
        What the lexer found.
    text : str
        What it read.
    names : collection of str
        The printed names that have a domain: letters that stand alone in it may be multiplied without a space.
    """
    found = joined_rows(without_layout(list(tokens)))
    begun = {row[0].value for row in rows_of(found) if row and row[0].type == "LETTERS" and len(row[0]) == 1}
    names = {*names, *begun}
    worded = with_words(found, text, names)
    return with_bars(list(with_letters(worded, names)))


# --- environments ----------------------------------------------------------------------------------------------------


def without_layout(tokens: Sequence[Any]) -> Iterator[Any]:
    """The tokens without environments and their alignment, but for those of a function defined by cases."""
    inside: list[bool] = []  # of each environment that is open: whether it holds cases
    before = ""
    for place, (token, after) in enumerate(pairwise([*tokens, None])):
        if token.type == "BEGIN":
            inside.append(("cases" in token or before == "LEFT_SET") and is_aligned(tokens[place + 1 :]))
            if inside[-1]:
                yield renamed(token, "CASES")
        elif token.type == "END":
            if inside and inside.pop():
                yield renamed(token, "END_CASES")
        elif token.type == "LEFT_SET" and after is not None and after.type == "BEGIN":
            pass  # the brace of an array of cases
        elif token.type in ("COMMA", "STOP") and any(inside) and after is not None and after.type in ("ROW", "END"):
            pass  # the end of a sentence in a case
        elif token.type != "AMP" or any(inside):
            yield token
        before = token.type


def is_aligned(tokens: Sequence[Any]) -> bool:
    """Whether an environment has columns; cases without are equations below one another."""
    depth = 1
    for token in tokens:
        depth += (token.type == "BEGIN") - (token.type == "END")
        if depth == 0:
            return False
        if depth == 1 and token.type == "AMP":
            return True
    return False


def rows_of(tokens: Iterable[Any]) -> Iterator[list[Any]]:
    """The rows of a derivation, each with the token that ends it; those of cases are no rows."""
    row, depth = [], 0
    for token in tokens:
        row.append(token)
        depth += (token.type == "CASES") - (token.type == "END_CASES")
        if token.type == "ROW" and depth == 0:
            yield row
            row = []
    yield row


def joined_rows(tokens: Iterable[Any]) -> list[Any]:
    """A row that begins with a sign and has no relation goes on with the row before."""
    result: list[Any] = []
    for row in rows_of(tokens):
        while row and row[0].type == "QUAD":
            row.pop(0)
        kinds = [token.type for token in row]
        if result and kinds[:1] and kinds[0] in ("SIGN", "OPERATOR") and "RELATION" not in kinds:
            result.pop()  # the end of the row before
        result += row
    return result


# --- words -----------------------------------------------------------------------------------------------------------


def content(token: Any) -> str:
    """What stands in the braces of an upright word."""
    return re.sub(r"^\\[a-zA-Z]+\*?\s*\{?|\}$", "", token.value).replace("\\_", "_").strip()


def with_words(tokens: Sequence[Any], text: str, names: Collection[str]) -> Iterator[Any]:
    """Upright words as names, prose before a formula dropped, prose behind it as a reason or a condition."""
    known = set(names) | set(words_that_name(tokens))
    for row in rows_of(tokens):
        end = [row.pop()] if row and row[-1].type == "ROW" else []
        yield from row_with_words(row, text, known)
        yield from end


def words_that_name(tokens: Sequence[Any]) -> Iterator[str]:
    """Texts that stand where only a name can: on the left of an equality, or with an index."""
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        if token.type == "TEXT" and after is not None:
            begins = before is None or before.type in ("ROW", "RELATION", "COMMA")
            applied = after.type == "LPAR" and content(token).isalpha() and content(token).lower() not in PROSE
            if after.type in ("SUB", "SUP") or applied or (after.type == "RELATION" and after.value == "=" and begins):
                yield content(token)


def row_with_words(row: Sequence[Any], text: str, known: Collection[str]) -> Iterator[Any]:
    """A row with its words told apart."""
    depth, cases, seen, scripted = 0, 0, False, False
    row = without_end_marks(row)
    for place, token in enumerate(row):
        kind = token.type
        rest = row[place:]
        opens_reason = kind in ("LPAR", "LSQB") and seen and place + 1 < len(row) and row[place + 1].type == "TEXT"
        if opens_reason and depth == 0 and not is_name(row[place + 1], known):
            yield reason(rest, text)
            return
        if kind == "WORD" and content(token).lower() not in PROSE:
            yield renamed(token, "NAME", style(token))
        elif kind in ("TEXT", "WORD"):
            if scripted or is_name(token, known) or (place and row[place - 1].type == "RELATION"):
                yield renamed(token, "NAME", content(token))
            elif cases:
                word = content(token).lower()
                if word.startswith(("otherwise", "else")):
                    yield renamed(token, "OTHERWISE")
                elif word == "and":
                    yield renamed(token, "COMMA")
                elif word.rstrip(":,") not in CONDITIONS:
                    yield renamed(token, "UNKNOWN")
            elif seen:
                conditional = content(token).lower().startswith(CONDITIONS)
                if conditional and any(other.type == "RELATION" and other.value != r"\in" for other in rest):
                    yield renamed(token, "SEPARATOR", "for")
                    continue
                yield reason(rest, text)
                return
            continue
        elif kind == "GREEK":
            yield renamed(token, "NAME")
        elif kind == "ARROW":
            if place + 2 == len(row) and row[-1].value in (r"\min", r"\max"):  # what is sought, which is no formula
                yield reason(rest, text)
                return
            yield renamed(token, "SEPARATOR", "if")
        elif kind == "QUAD" or (kind == "COMMA" and depth == 0 and not cases):
            if depth == 0 and not cases and separates(row, place):
                yield renamed(token, "SEPARATOR", ",")
            continue
        elif kind == "AND":
            yield renamed(token, "COMMA")
        else:
            yield token
        scripted = kind in ("SUB", "SUP") or (scripted and kind == "LBRACE")
        cases += (kind == "CASES") - (kind == "END_CASES")
        depth += (kind in OPENING) - (kind in CLOSING)
        seen = True


def separates(row: Sequence[Any], place: int) -> bool:
    """Whether a comma or a wide space stands between two formulas."""
    kinds = ["", *(token.type for token in row), "", ""]
    before, after, later = kinds[place], kinds[place + 2], kinds[place + 3]
    if after in ("", "TEXT", "QUAD", "COMMA", "ARROW", "RELATION") or (after in ("LPAR", "LSQB") and later == "TEXT"):
        return False
    if row[place].type == "COMMA" or before == "COMMA":
        return True
    going_on = ("", "QUAD", "ARROW", "RELATION", "SIGN", "OPERATOR")  # as in a row of a long sum
    return before not in going_on and after not in going_on


def without_end_marks(row: Sequence[Any]) -> list[Any]:
    """A row without the comma or stop at the end of a sentence."""
    row = list(row)
    while row and row[-1].type in ("COMMA", "STOP", "QUAD"):
        row.pop()
    return row


def is_name(token: Any, known: Collection[str]) -> bool:
    """Whether an upright text is a name."""
    return content(token) in known


def style(token: Any) -> str:
    """The name that a word in a font prints; letters of calligraphy are names of their own."""
    inside = content(token)
    command = re.match(r"\\[a-zA-Z]+", token.value).group()  # type: ignore[union-attr] # the lexer saw to it
    return f"{command}{{{inside}}}" if command in (r"\mathcal", r"\mathbb") else inside


def reason(tokens: Sequence[Any], text: str) -> Any:
    """The rest of a row as the reason of its formula."""
    first, last = tokens[0], tokens[-1]
    said = re.sub(r"\\(text|textrm|textit|textbf|mbox)\s*\{([^{}]*)\}", r"\2", text[first.start_pos : last.end_pos])
    said = " ".join(said.split())
    return renamed(first, "REASON", said[1:-1] if said.startswith("(") and said.endswith(")") else said)


# --- letters and numbers ---------------------------------------------------------------------------------------------


def with_letters(tokens: Iterable[Any], names: Collection[str]) -> Iterator[Any]:
    """Runs of letters as one name or several, and of digits as TeX takes them for an argument: one at a time."""
    needed, outer = 0, []  # arguments that a command still takes; of the braces around: that, and if they are an index
    index, before = False, ""
    for token in tokens:
        if token.type == "LBRACE":
            outer.append((max(needed - 1, 0), index))
            index, needed = index or before == "SUB", 0
            yield token
        elif token.type == "RBRACE" and outer:
            needed, index = outer.pop()
            yield token
        elif token.type in ARGUMENTS:
            yield token
            needed = ARGUMENTS[token.type]
        elif token.type == "NUMBER":
            taken = min(needed, len(token) - 1)
            for piece in pieces(token, "NUMBER", [*token[:taken], token[taken:]]):
                yield renamed(piece, "UNKNOWN") if piece == "." else piece
            needed = max(needed - taken - 1, 0)
        elif token.type == "LETTERS":
            taken = min(needed, len(token)) if not index else len(token)
            rest = token[taken:]
            differential = before == "LBRACE" and len(rest) == 2 and rest[0] == "d"
            parted = [rest] if is_one_name(rest, names) and not differential else list(rest)
            yield from pieces(token, "NAME", [*token[:taken], *parted])
            needed = max(needed - taken, 0)
        else:
            needed = max(needed - 1, 0)
            yield token
        before = token.type


def is_one_name(letters: str, names: Collection[str]) -> bool:
    """Whether letters side by side are one name: if it is known, or if one of them alone is not."""
    alone = {name for name in names if len(name) == 1} | {"e", "d"}
    return len(letters) > 1 and (letters in names or not set(letters) <= alone)


def pieces(token: Any, kind: str, parts: Iterable[str]) -> Iterator[Any]:
    """A token in several."""
    from lark import Token

    start = 0
    for part in parts:
        yield Token(
            kind, part, token.start_pos + start, token.line, token.column + start, token.line,
            token.column + start + len(part), token.start_pos + start + len(part),
        )  # fmt: skip
        start += len(part)
