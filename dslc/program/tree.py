"""Parse trees: equal to lark's, plus the index of the alternative taken at each node."""

from __future__ import annotations

from dataclasses import field

from dslc.value import value


@value
class Leaf:
    """A terminal of the sentence that lark keeps in the tree."""

    terminal: str
    text: str
    token: int | None = field(default=None, compare=False)
    """Id of the token sampled for it; None for forced text."""
    position: int = field(default=0, compare=False)
    """Offset of the leaf in the rendered sentence, in code points from 0."""


@value
class ParseTree:
    """A rule node.

    `name` is what lark calls `data`: the alias if the alternative has one, else the rule's name.
    """

    name: str
    children: tuple[ParseTree | Leaf | None, ...]
    choice: int = field(default=0, compare=False)
    """Index of the alternative taken; lark drops anonymous literals, so equal trees can differ here."""
    rule: str = field(default="", compare=False)
    """The rule's own name, whatever the alias."""
    start_token: int = field(default=0, compare=False)
    """Index of the first token of this node in the token sequence; with `end_token` maps code back to the sentence."""
    end_token: int = field(default=0, compare=False)
