"""Figure to DOT text, good for any Graphviz program and for placing the boxes."""

from __future__ import annotations

from collections import Counter

from dslc.program.draw.figure import EDGE_SIZE, Box, Direction, Figure, show_text
from dslc.program.draw.palette import INK, OUTSIDE

FONT = "Helvetica"
"""One name: the WebAssembly build measures text by the first font it knows, and takes Times for a list of names."""
_POINTS_AN_INCH = 72
_LAYOUT_SIZE = 1.2
"""How much larger the texts of arrows are for the layout: Graphviz may measure a narrower font than is shown."""


def write_dot(figure: Figure, *, for_layout: bool = False) -> str:
    """DOT text of a figure, one statement a line; boxes are `n0`, `n1` and so on, with their sizes fixed.

    Example:
        >>> print(write_dot(Figure("3", (), (), True, Direction.DOWN)).splitlines()[0])
        digraph "3" {
    """
    across, along = ("0.12", "0.5") if figure.direction is Direction.RIGHT else ("0.25", "0.35")
    title = "\n".join(show_text(text) for text in (figure.title, figure.formula, figure.note) if text)
    edge_size = f"{EDGE_SIZE * _LAYOUT_SIZE:.1f}" if for_layout else str(EDGE_SIZE)
    # Parts keep their order where that cannot make arrows cross.
    ordering = "ordering=out, " if figure.is_tree else "ordering=in, " if _joins_like_a_tree(figure) else ""
    lines = [
        f"digraph {quote(show_text(figure.title or 'drawing'))} {{",
        f"  graph [rankdir={figure.direction.value}, nodesep={across}, ranksep={along},"
        f' {ordering}bgcolor="transparent", fontname="{FONT}", fontcolor="{OUTSIDE}", labelloc=t, labeljust=l,'
        f" label={quote(title, breaks=True)}]",
        f'  node [shape=box, style="rounded,filled", fixedsize=true, fontname="{FONT}", fontsize=11,'
        f' fontcolor="{INK.light}"]',
        f'  edge [fontname="{FONT}", fontsize={edge_size}, fontcolor="{OUTSIDE}", color="{OUTSIDE}", arrowsize=0.6'
        + (", arrowhead=none]" if figure.is_tree else "]"),
    ]
    for number, box in enumerate(figure.boxes):
        tone = box.kind.value
        lines.append(
            f"  n{number} [label={quote(_box_text(box), breaks=True)}, width={box.width / _POINTS_AN_INCH:.3f},"
            f' height={box.height / _POINTS_AN_INCH:.3f}, fillcolor="{tone.fill.light}", color="{tone.line.light}"]'
        )
    if figure.last:
        lines.append(f"  {{ rank=max; {'; '.join(f'n{number}' for number in figure.last)} }}")
    for number, arrow in enumerate(figure.arrows):
        # The blanks keep the text off the line, which Graphviz draws beside it.
        settings = [f"label={quote(f' {show_text(arrow.text)} ')}"] if arrow.text else []
        settings += ["style=dashed"] if arrow.is_dashed else []
        settings += [f"id={number}"] if for_layout else []
        lines.append(f"  n{arrow.tail} -> n{arrow.head}" + (f" [{', '.join(settings)}]" if settings else ""))
    return "\n".join([*lines, "}"]) + "\n"


def _joins_like_a_tree(figure: Figure) -> bool:
    """True if nearly every box has one arrow out: a tree whose leaves are the inputs, perhaps with a second output."""
    outgoing = Counter(arrow.tail for arrow in figure.arrows)
    return outgoing.total() - len(outgoing) <= 1


def quote(text: str, *, breaks: bool = False) -> str:
    """`text` as a quoted string of DOT, taken literally; with `breaks` a line feed breaks the line of a label.

    Example:
        >>> print(quote('a "b"'), quote("c\\\\d"))
        "a \\"b\\"" "c\\\\d"
    """
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    # Graphviz reads entities in labels, so an ampersand must be written as one.
    text = text.replace("&", "&amp;")
    return '"' + (text.replace("\n", "\\n") if breaks else text) + '"'


def _box_text(box: Box) -> str:
    head = [" ".join(part for part in (show_text(box.name) if box.name else "", box.note) if part)] if box.name else []
    rows = []
    for block in box.all_blocks:
        rows += ["   ".join(f"{cell.caption} {cell.shown}".strip() for cell in row) for row in block.rows]
        rows += [show_text(block.line)] if block.line else []
    return "\n".join([*head, *(show_text(line) for line in box.lines), *rows])
