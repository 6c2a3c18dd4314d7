"""Figure to DOT text, good for any Graphviz program and for placing the boxes."""

from __future__ import annotations

from dslc.program.draw.figure import EDGE_SIZE, Box, Figure, show_text
from dslc.program.draw.palette import INK, OUTSIDE

FONT = "Helvetica"
"""One name: the WebAssembly build measures text by the first font it knows, and takes Times for a list of names."""
_POINTS_AN_INCH = 72


def write_dot(figure: Figure) -> str:
    """DOT text of a figure, one statement a line; boxes are `n0`, `n1` and so on, with their sizes fixed.

    Example:
        >>> print(write_dot(Figure("3", (), (), True, True)).splitlines()[0])
        digraph "3" {
    """
    across, along = ("0.25", "0.35") if figure.top_down else ("0.12", "0.5")
    # Children of a tree keep their order; in a graph that would only make arrows cross.
    ordering = "ordering=out, " if figure.is_tree else ""
    lines = [
        f"digraph {quote(show_text(figure.title or 'drawing'))} {{",
        f"  graph [rankdir={'TB' if figure.top_down else 'LR'}, nodesep={across}, ranksep={along},"
        f' {ordering}bgcolor="transparent", fontname="{FONT}", fontcolor="{OUTSIDE}", labelloc=t, labeljust=l,'
        f" label={quote(show_text(figure.title)) if figure.title else quote('')}]",
        f'  node [shape=box, style="rounded,filled", fixedsize=true, fontname="{FONT}", fontsize=11,'
        f' fontcolor="{INK.light}"]',
        f'  edge [fontname="{FONT}", fontsize={EDGE_SIZE}, fontcolor="{OUTSIDE}", color="{OUTSIDE}", arrowsize=0.6'
        + (", arrowhead=none]" if figure.is_tree else "]"),
    ]
    for number, box in enumerate(figure.boxes):
        tone = box.kind.value
        lines.append(
            f"  n{number} [label={quote(_box_text(box), breaks=True)}, width={box.width / _POINTS_AN_INCH:.3f},"
            f' height={box.height / _POINTS_AN_INCH:.3f}, fillcolor="{tone.fill.light}", color="{tone.line.light}"]'
        )
    for arrow in figure.arrows:
        # The blanks keep the text off the line, which Graphviz draws beside it.
        text = f" [label={quote(f' {show_text(arrow.text)} ')}]" if arrow.text else ""
        lines.append(f"  n{arrow.tail} -> n{arrow.head}{text}")
    return "\n".join([*lines, "}"]) + "\n"


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
    rows = ["   ".join(f"{cell.caption} {cell.shown}".strip() for cell in row) for row in box.rows]
    return "\n".join([*head, *(show_text(line) for line in box.lines), *rows])
