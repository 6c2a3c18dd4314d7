"""Parse tree to figure: one box a rule, its terminals as captioned cells inside it."""

from __future__ import annotations

from collections.abc import Iterator

from dslc.program.draw.dot_text import Cell, box_label, figure_text
from dslc.program.draw.drawing import Drawing
from dslc.program.draw.palette import OUTSIDE, Tones
from dslc.program.tree import Leaf, ParseTree

_WIDEST_TOP_DOWN = 6
"""Boxes side by side in a figure that grows downwards; one with more of them at its bottom grows to the right instead."""


def draw_tree(tree: ParseTree, title: str = "") -> Drawing:
    """A figure of a parse tree under `title`, normally the sentence.

    A box names the alternative taken, with the rule's own name beside it where the two differ. Terminals stand in the box of
    their rule, or in a box of their own where rules stand between them. A dash is an optional part that is absent.

    Example:
        >>> print(draw_tree(ParseTree("layer", (Leaf("SIZE", "3"),)), "3").title)
        3
    """
    body: list[str] = []
    bottom_boxes = 0
    number = 0
    # A loop with its own stack: a left-recursive sentence nests as deeply as it is long.
    stack: list[tuple[ParseTree | tuple[Leaf | None, ...], int | None]] = [(tree, None)]
    while stack:
        item, parent = stack.pop()
        name = f"n{number}"
        if isinstance(item, ParseTree):
            groups = list(_group_children(item))
            inside = groups[0] if len(groups) == 1 and isinstance(groups[0], tuple) else ()
            label = box_label(item.name, Tones.RULE, note=_note(item), cells=[_cell(leaf) for leaf in inside])
            below = () if inside else groups
        else:
            label = box_label("", Tones.LEAF, cells=[_cell(leaf) for leaf in item])
            below = ()
        body.append(f"{name} [label={label}]")
        if parent is not None:
            body.append(f'n{parent} -> {name} [arrowhead=none, color="{OUTSIDE.light}"]')
        bottom_boxes += not below
        stack.extend((child, number) for child in reversed(below))
        number += 1
    return Drawing(figure_text(title, body, top_down=bottom_boxes <= _WIDEST_TOP_DOWN), title)


def _group_children(tree: ParseTree) -> Iterator[ParseTree | tuple[Leaf | None, ...]]:
    """Children in order, neighbouring terminals (and absent parts) gathered into one group."""
    group: list[Leaf | None] = []
    for child in tree.children:
        if isinstance(child, ParseTree):
            if group:
                yield tuple(group)
                group = []
            yield child
        else:
            group.append(child)
    if group:
        yield tuple(group)


def _cell(leaf: Leaf | None) -> Cell:
    if leaf is None:
        return Cell("", "–")
    # The names that lark makes up for anonymous terminals tell a reader nothing.
    return Cell("" if leaf.terminal.startswith("__ANON") else leaf.terminal, leaf.text)


def _note(tree: ParseTree) -> str:
    if tree.rule and tree.rule != tree.name:
        return tree.rule
    if tree.children or not tree.rule:
        return ""
    # Nothing else shows which of several anonymous literals was taken.
    return f"alternative {tree.choice + 1}"
