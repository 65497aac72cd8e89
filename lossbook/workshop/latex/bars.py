"""Bars in print: which opens |x|, which closes it, and which stands between two arguments as in D(p||q)."""

from collections.abc import Sequence
from typing import Any

OPENING = {"LPAR": "RPAR", "LSQB": "RSQB", "LEFT_SET": "RIGHT_SET", "LBRACE": "RBRACE", "CASES": "END_CASES"}
CLOSING = set(OPENING.values())
ENDS_OPERAND = {"NAME", "NUMBER", "PRIME", "BAR_CLOSE", *CLOSING}


def renamed(token: Any, kind: str, value: str | None = None) -> Any:
    """A token of another kind, or text, at the same place."""
    return token.update(kind, token.value if value is None else value)


def with_bars(tokens: Sequence[Any]) -> list[Any]:
    """The tokens with the meaning of each bar."""
    result: list[Any] = []
    opened, levels = 0, []  # bars opened in these brackets; of the brackets around: that, and what an index belongs to
    before = ""  # the kind of what stands before, an index left out
    for place, token in enumerate(tokens):
        kind = token.type
        if kind in ("LEFT_BAR", "RIGHT_BAR", "BAR"):
            if kind == "BAR":
                if result and result[-1].type == "BAR_BETWEEN":
                    continue  # the second of two
                kind = meaning_of_bar(tokens, place, opened, before in ENDS_OPERAND)
            kind = {"LEFT_BAR": "BAR_OPEN", "RIGHT_BAR": "BAR_CLOSE"}.get(kind, kind)
            opened += {"BAR_OPEN": 1, "BAR_CLOSE": -1}.get(kind, 0)
            token = renamed(token, kind)
        script = bool(result) and result[-1].type in ("SUB", "SUP")
        if kind in OPENING:
            levels.append((opened, before if script else None))
            opened, before = 0, kind
        elif kind in CLOSING and levels:
            opened, base = levels.pop()
            before = kind if base is None else base
        elif kind in ("ROW", "AMP"):
            opened, before = 0, kind
        elif not script and kind not in ("SUB", "SUP"):
            before = kind
        result.append(token)
    return result


def meaning_of_bar(tokens: Sequence[Any], place: int, opened: int, after_operand: bool) -> str:
    """What a bar without a direction does."""
    if not after_operand:
        return "BAR_OPEN"
    if opened:
        return "BAR_CLOSE"
    depth, places = 0, []
    for later in range(place, len(tokens)):
        kind = tokens[later].type
        depth += (kind in OPENING) - (kind in CLOSING)
        if depth < 0 or (depth == 0 and kind in ("ROW", "COMMA", "AMP")):
            break
        if depth == 0 and kind == "BAR":
            places.append(later)
    single = tokens[place].value not in ("|", r"\vert") or len(places) == 1
    return "BAR_BETWEEN" if single or places[1] == place + 1 else "BAR_OPEN"
