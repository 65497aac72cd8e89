"""Questions to the parsed text: what a node is, how it is printed, what stands in its brackets."""

from collections.abc import Iterator, Sequence
from typing import Any

ACCENTS = {"widehat": "hat", "widetilde": "tilde", "overline": "bar"}
MARKS = {"*": "*", r"\ast": "*", r"\star": "*", r"\top": r"\top"}  # what a superscript adds to a name
SIGNS = {"BAR_OPEN": "|", "BAR_CLOSE": "|", "BAR_BETWEEN": "|", "LEFT_SET": "{", "RIGHT_SET": "}"}


def is_tree(node: Any, *kinds: str) -> bool:
    """Whether a node is a tree of one of some kinds."""
    return getattr(node, "data", None) in kinds


def is_token(node: Any, *kinds: str) -> bool:
    """Whether a node is a token, of one of some kinds if they are given."""
    return hasattr(node, "type") and (not kinds or node.type in kinds)


def tokens_of(node: Any) -> Iterator[Any]:
    """The tokens of a node."""
    return iter([node]) if is_token(node) else node.scan_values(lambda token: True)


def letters(node: Any) -> set[str]:
    """The names in a node."""
    return {token.value for token in tokens_of(node) if is_token(token, "NAME")}


def entries(node: Any) -> list[Any]:
    """The chains of a list, without what separates them."""
    return [part for part in node.children if not is_token(part)]


def spelled(node: Any) -> str:
    """A part of a formula as text in which spaces, fonts and the sizes of brackets make no difference."""
    if is_token(node, "OPERATOR") and node.value not in MARKS:
        return f" {node.value} "
    if is_token(node):
        return SIGNS.get(node.type, MARKS.get(node.value, node.value))
    if is_tree(node, "fraction"):
        return r"\frac{{{}}}{{{}}}".format(*map(spelled, node.children[1:]))
    if is_tree(node, "accented"):
        return accented(node, spelled(node.children[1]))
    if is_tree(node, "item"):
        name = base_of(node), subscripts_of(node)
        return printed_name(*name) + "".join(f"^{{{spelled(power)}}}" for power in powers(node))
    inside = "".join(map(spelled, node.children))
    return {"group": f"({inside})", "square": f"[{inside}]"}.get(node.data, inside)


def accented(node: Any, inside: str) -> str:
    """Text under the accent of a node."""
    accent = node.children[0].value[1:]
    return rf"\{ACCENTS.get(accent, accent)}{{{inside}}}"


def unbraced(node: Any) -> Any:
    """What a pair of braces holds, where that is one thing."""
    while is_tree(node, "braces", "list", "chain", "sum", "term", "starred") and len(node.children) == 1:
        node = node.children[0]
    if is_tree(node, "item") and len(node.children) == 1:
        return unbraced(node.children[0])
    return node


def factors(node: Any) -> list[Any]:
    """The factors in the braces of an argument; none of what is a sum."""
    while is_tree(node, "braces", "list", "chain", "sum") and len(node.children) == 1:
        node = node.children[0]
    return list(node.children) if is_tree(node, "term") else []


def argument_list(item: Any) -> Any:
    """The list in the brackets of an item, through the braces that may stand around them; None without brackets."""
    if not is_tree(item, "item"):
        return None
    base = unbraced(item.children[0])
    return next(part for part in base.children if is_tree(part, "list")) if is_tree(base, "group", "square") else None


def combines_sets(parts: Sequence[Any]) -> bool:
    """Whether factors are joined by an operator of sets."""
    return any(is_token(part, "OPERATOR") and part.value in (r"\cap", r"\cup") for part in parts)


# --- names -----------------------------------------------------------------------------------------------------------


def is_name(node: Any) -> bool:
    """Whether a node is a name and nothing else; braces around its letter make no difference."""
    if is_tree(node, "item"):
        return not powers(node) and is_name(node.children[0])
    inside = unbraced(node) if is_tree(node, "braces") else node
    return is_token(inside, "NAME") or is_tree(inside, "accented")


def superscripts(item: Any) -> list[Any]:
    """The superscripts of an item."""
    return [script.children[1] for script in item.children[1:] if is_token(script.children[0], "SUP")]


def marks_a_name(node: Any) -> bool:
    """Whether a superscript belongs to the name: a star, or a word in an upright font."""
    inside = unbraced(node)
    if not is_token(inside):
        return False
    return inside.value in MARKS or (inside.type == "NAME" and len(inside) > 1 and not inside.startswith("\\"))


def powers(item: Any) -> list[Any]:
    """The superscripts of an item that are exponents."""
    return [node for node in superscripts(item) if not marks_a_name(node)]


def base_of(item: Any) -> str:
    """What a name is without its subscripts: its letter with accents, primes and stars."""
    base = spelled(item.children[0])
    inner = under_accent(item)
    if inner is not None:
        base = accented(item.children[0], base_of(inner))
    for script in item.children[1:]:
        kind = script.children[0]
        if is_token(kind, "PRIME"):
            base += "'" * max(kind.count("'"), kind.count("prime"))
    return base + "".join(f"^{{{spelled(unbraced(node))}}}" for node in superscripts(item) if marks_a_name(node))


def subscripts_of(item: Any) -> list[Any]:
    """The subscripts of a name: of `_{ic}` two, of `_{i,C-1}` two, of `_{k+1}` one."""
    scripts = [script.children[1] for script in item.children[1:] if is_token(script.children[0], "SUB")]
    inner = under_accent(item)
    below_accent = subscripts_of(inner) if inner is not None else []
    return [*below_accent, *(part for node in scripts for part in side_by_side(node))]


def under_accent(item: Any) -> Any:
    """The name with subscripts under the accent of an item, as in `\\hat{y_i}`, which is `\\hat{y}_i`; else None."""
    if not is_tree(item.children[0], "accented"):
        return None
    inside = factors(item.children[0].children[1])
    return inside[0] if len(inside) == 1 and is_tree(inside[0], "item") and is_name(inside[0]) else None


def side_by_side(node: Any) -> list[Any]:
    """What stands side by side in the braces of a script."""
    if not is_tree(node, "braces"):
        return [node]
    found = []
    for chain in entries(node.children[0]):
        names = [unbraced(part) for part in factors(chain)]
        found += names if names and all(map(is_token, names)) else [chain]
    return found


def printed_name(base: str, subscripts: Sequence[Any]) -> str:
    """A name with its subscripts, as it is printed."""
    if not subscripts:
        return base
    parts = list(map(spelled, subscripts))
    return f"{base}_{{{(',' if any(len(part) > 1 for part in parts) else '').join(parts)}}}"
