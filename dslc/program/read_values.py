"""The numbers of a sentence as its tree holds them: constants, or initial values of what is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dslc.program.meaningless import mixed_values, not_a_number, unknown_name, wrong_children
from dslc.program.op_rules import Scope
from dslc.program.targets import AliasSpec
from dslc.program.tree import Leaf, ParseTree

VALUE_ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "constant": AliasSpec("a fixed number", ("the number",)),
        "param": AliasSpec("trained, one value a channel", ("its value before training",)),
        "param_layer": AliasSpec("trained, one value for all channels and places", ("its value before training",)),
        "param_unit": AliasSpec("trained, one value for each place of a sample", ("its value before training",)),
    }
)
SCOPES: Mapping[str, Scope | None] = MappingProxyType(
    {"constant": None, "param": Scope.CHANNEL, "param_layer": Scope.LAYER, "param_unit": Scope.UNIT}
)


@dataclass(frozen=True, slots=True)
class Value:
    """A number of a sentence."""

    scope: Scope | None
    """None: a constant."""
    number: float | None
    """The constant, or the value before training; None where the sentence has a word for it."""
    word: str = ""

    @property
    def kind(self) -> str:
        """What all values of a sum have to share, for people."""
        alias = next(alias for alias, scope in SCOPES.items() if scope is self.scope)
        return f"`{alias}`" if self.number is not None else f"`{alias}` that starts at `{self.word}`"


def read_value(target: str, tree: ParseTree, words: tuple[str, ...] = ()) -> Value:
    """The number that a node named `constant`, `param`, `param_layer` or `param_unit` holds.

    Args:
        target: whose sentence it is.
        tree: the node.
        words: what else a value before training can be.

    Raises:
        DslcError: DSLC403 for another node, DSLC404 for other children, DSLC416 for a literal that is no number and
            none of the words.
    """
    if tree.name not in SCOPES:
        raise unknown_name(target, tree, SCOPES)
    leaf = tree.children[0] if len(tree.children) == 1 else None
    if not isinstance(leaf, Leaf):
        raise wrong_children(target, tree, VALUE_ALIASES[tree.name].children)
    scope = SCOPES[tree.name]
    if scope is not None and leaf.text in words:
        return Value(scope, None, leaf.text)
    meaning = " or ".join(["a number", *(f"`{word}`" for word in words if scope is not None)])
    return Value(scope, read_number(tree, leaf, meaning))


def read_pair(target: str, tree: ParseTree, spec: AliasSpec, word: str) -> tuple[Value, Value]:
    """The two numbers that a node of a sum holds, and nothing else.

    Args:
        target: whose sentence it is.
        tree: the node.
        spec: what the target takes it for.
        word: what else a value before training can be.

    Raises:
        DslcError: DSLC404 for other children, and as `read_value`.
    """
    subtrees = [child for child in tree.children if isinstance(child, ParseTree)]
    if len(subtrees) != 2 or len(tree.children) != 2:
        raise wrong_children(target, tree, spec.children)
    first, second = (read_value(target, subtree, (word,)) for subtree in subtrees)
    return first, second


def read_number(tree: ParseTree, leaf: Leaf, meaning: str, low: float = -math.inf, high: float = math.inf) -> float:
    """The literal of a leaf as a finite number, `low` to `high`.

    Raises:
        DslcError: DSLC416 if it is none, saying that it is not `meaning`.
    """
    try:
        found = float(leaf.text)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and low <= found <= high):
        raise not_a_number(tree, leaf, meaning)
    return found


def check_one_kind(tree: ParseTree, values: list[Value]) -> None:
    """Nothing, if the values are all constants, or all trained with one scope, from numbers or from one word.

    Raises:
        DslcError: DSLC417 if they are not.
    """
    for other in values[1:]:
        if other.kind != values[0].kind:
            raise mixed_values(tree, values[0].kind, other.kind)


def number_text(number: float) -> str:
    """A number as a person writes it.

    Example:
        >>> number_text(1.0), number_text(-0.5), number_text(1e-20)
        ('1', '-0.5', '1e-20')
    """
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
