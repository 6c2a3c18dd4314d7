"""Pieces of DOT text that every drawing shares: quoting, labels with rows of cells, the head of a figure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dslc.program.draw.palette import FAINT_INK, INK, OUTSIDE, Tones

FONT = "Helvetica,Arial,sans-serif"
CELLS_A_ROW = 6
TITLE_COLUMNS = 88
TITLE_LINES = 6


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in a box with its small caption above."""

    caption: str
    value: str


def show_text(text: str) -> str:
    """`text` with everything that cannot be seen, or that XML forbids, replaced by a visible sign.

    Example:
        >>> show_text("a\\tb"), show_text(" "), show_text("")
        ('a⇥b', '␣', '∅')
    """
    if not text:
        return "∅"
    if text.isspace():
        text = text.replace(" ", "␣")
    shown = []
    for character in text:
        code = ord(character)
        if character == "\n":
            shown.append("↵")
        elif character == "\t":
            shown.append("⇥")
        elif code < 0x20:
            shown.append(chr(0x2400 + code))
        elif 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF):
            shown.append("�")
        else:
            shown.append(character)
    return "".join(shown)


def escape_label(text: str) -> str:
    """`text` inside an HTML-like label of DOT.

    Example:
        >>> escape_label('a<b & "c"')
        'a&lt;b &amp; &quot;c&quot;'
    """
    text = show_text(text)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("[", "&#91;"), ("]", "&#93;")):
        text = text.replace(character, entity)
    return text


def quote(text: str) -> str:
    """`text` as a quoted string of DOT, taken literally.

    Example:
        >>> quote('say "\\\\n"')
        '"say \\\\"\\\\\\\\n\\\\""'
    """
    return '"' + show_text(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def font(text: str, *, size: int, color: str = INK.light, bold: bool = False) -> str:
    """Escaped `text` in a size and colour."""
    inner = escape_label(text)
    return f'<FONT POINT-SIZE="{size}" COLOR="{color}">{f"<B>{inner}</B>" if bold else inner}</FONT>'


def box_label(name: str, tone: Tones, *, note: str = "", lines: Sequence[str] = (), cells: Sequence[Cell] = ()) -> str:
    """A rounded box: its name with a faint note, lines of text below, then rows of captioned cells.

    Returns an HTML-like label, angle brackets included.
    """
    columns = max(1, min(CELLS_A_ROW, len(cells)))
    rows = []
    if name:
        head = font(name, size=12, bold=True)
        if note:
            head += font("  " + note, size=9, color=FAINT_INK.light)
        rows.append(f'<TR><TD COLSPAN="{columns}" BORDER="0">{head}</TD></TR>')
    for line in lines:
        rows.append(f'<TR><TD COLSPAN="{columns}" BORDER="0">{font(line, size=10, color=FAINT_INK.light)}</TD></TR>')
    leaf = Tones.LEAF.value
    for first in range(0, len(cells), columns):
        row = []
        for cell in cells[first : first + columns]:
            caption = font(cell.caption, size=8, color=FAINT_INK.light) + "<BR/>" if cell.caption else ""
            row.append(
                f'<TD BORDER="1" COLOR="{leaf.line.light}" BGCOLOR="{leaf.fill.light}">{caption}{font(cell.value, size=12)}</TD>'
            )
        row.extend('<TD BORDER="0"></TD>' for _ in range(columns - len(row)))
        rows.append("<TR>" + "".join(row) + "</TR>")
    colors = tone.value
    return (
        f'<<TABLE STYLE="ROUNDED" BORDER="1" CELLBORDER="0" CELLSPACING="3" CELLPADDING="3" COLOR="{colors.line.light}" '
        f'BGCOLOR="{colors.fill.light}">{"".join(rows)}</TABLE>>'
    )


def wrap_title(title: str) -> list[str]:
    """Lines of a title, at most TITLE_LINES of them, the last ending in an ellipsis if it had to be cut.

    Example:
        >>> wrap_title("3 5 1 1 24")
        ['3 5 1 1 24']
    """
    return textwrap.wrap(title, TITLE_COLUMNS, max_lines=TITLE_LINES, placeholder=" …")


def figure_text(title: str, body: Iterable[str], *, top_down: bool) -> str:
    """A whole digraph: graph-wide looks, the title above the figure, then the body, one statement a line."""
    lines = wrap_title(title)
    label = "".join(font(line, size=12, color=OUTSIDE.light) + '<BR ALIGN="LEFT"/>' for line in lines)
    head = [
        f"digraph {quote(title or 'drawing')} {{",
        f'  graph [rankdir={"TB" if top_down else "LR"}, bgcolor="transparent", fontname="{FONT}", ordering=out,'
        f' nodesep={0.25 if top_down else 0.14}, ranksep={0.35 if top_down else 0.45}, pad=0.15, labelloc=t, labeljust=l'
        + (f", label=<{label}>]" if lines else "]"),
        f'  node [shape=plain, fontname="{FONT}", fontcolor="{INK.light}"]',
        f'  edge [fontname="{FONT}", fontsize=9, fontcolor="{OUTSIDE.light}", color="{OUTSIDE.light}", arrowsize=0.6]',
    ]
    return "\n".join([*head, *(f"  {line}" for line in body), "}"]) + "\n"
