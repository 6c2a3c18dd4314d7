"""Diagnostics for trees that mean nothing to a target: what all targets complain about in the same words."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.program.tree import Leaf, ParseTree

Child = ParseTree | Leaf | None


def place_text(name: str, start_token: int, end_token: int) -> str:
    """Where a node of the tree stands in its sentence; tokens are counted from 1 for people.

    Example:
        >>> place_text("layer", 5, 10), place_text("sin", 2, 3), place_text("start", 0, 0)
        ('`layer`, tokens 6 to 10 of the sentence', '`sin`, token 3 of the sentence', '`start`')
    """
    if end_token <= start_token:
        return f"`{name}`"
    if end_token == start_token + 1:
        return f"`{name}`, token {end_token} of the sentence"
    return f"`{name}`, tokens {start_token + 1} to {end_token} of the sentence"


def unknown_name(target: str, tree: ParseTree, known: Iterable[str]) -> DslcError:
    """A node whose name the target does not know in that place."""
    names = list(known)
    near = get_close_matches(tree.name, names, n=1)
    help = f"did you mean `{near[0]}`? " if near else ""
    if len(names) == 1:
        help += f"only `{names[0]}` can stand there"
    else:
        help += f"one of these can stand there: {', '.join(names)}"
    return _error(Code.UNKNOWN_NAME, f"the target `{target}` knows no `{tree.name}` in that place", tree, help)


def unknown_word(target: str, tree: ParseTree, leaf: Leaf, known: Iterable[str]) -> DslcError:
    """A literal that the target does not know in that place."""
    names = list(known)
    near = get_close_matches(leaf.text, names, n=1)
    help = f"did you mean `{near[0]}`? " if near else ""
    help += f"{leaf.terminal} can be one of these: {', '.join(names)}"
    return _error(Code.UNKNOWN_NAME, f"the target `{target}` knows no `{leaf.text}` in that place", tree, help)


def wrong_children(target: str, tree: ParseTree, expected: Iterable[str]) -> DslcError:
    """A node that has not the children that its name announces."""
    found = ", ".join(describe_child(child) for child in tree.children) or "nothing"
    message = f"`{tree.name}` of the target `{target}` holds {found}"
    return _error(Code.WRONG_CHILDREN, message, tree, f"give it, in this order: {', '.join(expected)}")


def not_a_size(tree: ParseTree, leaf: Leaf, meaning: str) -> DslcError:
    """A literal that is not a whole number from 1."""
    message = f"`{leaf.text}` is not a {meaning}"
    help = f"use whole numbers from 1 as literals of `{leaf.terminal}`"
    return _error(Code.NOT_A_SIZE, message, tree, help)


def not_a_number(tree: ParseTree, leaf: Leaf, meaning: str) -> DslcError:
    """A literal that is not a number, or not one of the range that `meaning` names."""
    message = f"`{leaf.text}` is not {meaning}"
    help = f"use numbers as literals of `{leaf.terminal}`, written as in Python, from the range that the message names"
    return _error(Code.NOT_A_NUMBER, message, tree, help)


def mixed_values(tree: ParseTree, first: str, other: str) -> DslcError:
    """Values of two kinds where all are of one."""
    message = f"values of `{tree.name}` are of two kinds: {first} and {other}"
    help = "use one kind for all values of a start, and another start for each other kind"
    return _error(Code.MIXED_VALUES, message, tree, help)


def even_filter(tree: ParseTree, leaf: Leaf, meaning: str) -> DslcError:
    """A filter without a middle."""
    message = f"a {meaning} of {leaf.text} has no middle, so the feature map cannot keep its size"
    return _error(Code.EVEN_FILTER, message, tree, f"use odd numbers as literals of `{leaf.terminal}`")


def no_such_node(tree: ParseTree, leaf: Leaf, count: int) -> DslcError:
    """A literal that is no number of a node of the sentence."""
    message = f"`{leaf.text}` is no node: there are {count}, numbered from 0 in the order in which they are written"
    return _error(Code.NO_SUCH_NODE, message, tree, f"use 0 to {count - 1} as literals of `{leaf.terminal}`")


def describe_child(child: Child) -> str:
    """A child as the grammar's author knows it."""
    match child:
        case None:
            return "an absent item"
        case Leaf(terminal, text):
            return f"{terminal} `{text}`"
        case ParseTree(name):
            return f"`{name}`"


def _error(code: Code, message: str, tree: ParseTree, help: str) -> DslcError:
    place = place_text(tree.name, tree.start_token, tree.end_token)
    return DslcError(Diagnostic(code, Severity.ERROR, message, help=help, notes=(f"in {place}",)))
