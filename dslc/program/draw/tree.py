"""Parse tree to figure: one box a rule, its terminals as captioned cells inside it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from dslc.program.draw.drawing import FigureDrawing
from dslc.program.draw.figure import Arrow, Box, Cell, Direction, Figure
from dslc.program.draw.palette import Kind
from dslc.program.tree import Leaf, ParseTree

_WIDEST_TOP_DOWN = 900
"""Pixels that the boxes at the bottom may take side by side; with more, the way that fits a page better is taken."""
_ACROSS, _BELOW = 40, 30
"""About how far apart boxes of a tree are, in pixels."""
_FEW = 3
"""Boxes on one level of a tree that is as good as a list; it is folded where it is long."""
_SHAPE = 1.5
"""Width of a page by its height."""

_Leaves = tuple[Leaf | None, ...]


def draw_tree(tree: ParseTree, title: str = "") -> FigureDrawing:
    """A drawing of a parse tree under `title`, normally the sentence.

    A box names the alternative taken, with the rule's own name beside it where the two differ. Terminals stand in the
    box of their rule, or in a box of their own where rules stand between them. A dash is an optional part that is
    absent.

    Example:
        >>> drawing = draw_tree(ParseTree("layer", (Leaf("SIZE", "3"),)), "3")
        >>> drawing.figure.boxes[0].name, drawing.figure.boxes[0].cells
        ('layer', (Cell(caption='SIZE', value='3'),))
    """
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    bottoms: list[Box] = []
    levels: list[list[Box]] = []
    # A loop with its own stack: a left-recursive sentence nests as deeply as it is long.
    stack: list[tuple[ParseTree | _Leaves, int | None, int]] = [(tree, None, 0)]
    while stack:
        item, parent, depth = stack.pop()
        number = len(boxes)
        below: list[ParseTree | _Leaves] = []
        if isinstance(item, ParseTree):
            groups = list(_group_children(item))
            if len(groups) == 1 and isinstance(groups[0], tuple):
                boxes.append(_rule_box(item, groups[0]))
            else:
                boxes.append(_rule_box(item, ()))
                below = groups
        else:
            boxes.append(Box(Kind.LEAF, cells=tuple(map(_cell, item))))
        if parent is not None:
            arrows.append(Arrow(parent, number))
        if depth == len(levels):
            levels.append([])
        levels[depth].append(boxes[number])
        if not below:
            bottoms.append(boxes[number])
        stack.extend((child, number, depth + 1) for child in reversed(below))
    direction = _choose_direction(arrows, bottoms, levels)
    return FigureDrawing(Figure(title, tuple(boxes), tuple(arrows), is_tree=True, direction=direction))


def _choose_direction(arrows: list[Arrow], bottoms: list[Box], levels: list[list[Box]]) -> Direction:
    """Downwards if few boxes stand beside one another, or if the figure fits a page better so."""
    wide = sum(box.width for box in bottoms)
    if wide <= _WIDEST_TOP_DOWN or max(map(len, levels)) <= _FEW:
        return Direction.DOWN
    down = max(wide / _SHAPE, sum(max(box.height for box in level) + _BELOW for level in levels))
    across = sum(max(box.width for box in level) + _ACROSS for level in levels)
    along = sum(box.height + 9 for box in bottoms)
    # The children of one box can stand in columns.
    most_children = Counter(arrow.tail for arrow in arrows).most_common(1)[0][1]
    is_list = most_children > len(bottoms) / 2
    right = math.sqrt(across * along / _SHAPE) if is_list else max(across / _SHAPE, along)
    return Direction.DOWN if down < right else Direction.RIGHT


def _group_children(tree: ParseTree) -> Iterator[ParseTree | _Leaves]:
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


def _rule_box(tree: ParseTree, leaves: _Leaves) -> Box:
    note = ""
    if tree.rule and tree.rule != tree.name:
        note = tree.rule
    elif tree.rule and not tree.children:
        # Nothing else shows which of several anonymous literals was taken.
        note = f"alternative {tree.choice + 1}"
    return Box(Kind.RULE, tree.name, note=note, cells=tuple(map(_cell, leaves)))


def _cell(leaf: Leaf | None) -> Cell:
    if leaf is None:
        return Cell("", "–")
    # The names that lark makes up for anonymous terminals tell a reader nothing.
    return Cell("" if leaf.terminal.startswith("__ANON") else leaf.terminal, leaf.text)
