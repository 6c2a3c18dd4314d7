"""Figure: boxes and arrows before anything is placed, each box knowing its size."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from dslc.program.draw.curve import Curve
from dslc.program.draw.palette import Kind

NAME_SIZE = 13
NOTE_SIZE = 10
LINE_SIZE = 11
CAPTION_SIZE = 9
VALUE_SIZE = 13
EDGE_SIZE = 11
"""Font sizes in pixels; a pixel of a figure is a point of its DOT text."""

PADDING = 8
CELL_GAP = 4
CELL_PADDING = 5
LINE_STEP = 15
HEAD_HEIGHT = 19
CELL_HEIGHT = 32
PLAIN_CELL_HEIGHT = 21

_CELLS_A_ROW = 6
_CELLS_A_ROW_OF_MANY = 12
_MANY_CELLS = 36
_LONGEST_VALUE = 28

_SIGNS = {"\n": "↵", "\r": "␍", "\t": "⇥"}
_EMS = (
    (0.32, "' ,.·ijlIJ"),
    (0.42, "|/:;\\-()[]ft⌈⌉!²³r"),
    (0.55, '*_`–sz?εcL"'),
    (0.70, "KAVBRXZC"),
    (0.84, "UHNDG&OQw#+<=>^~×←→−↵⇥"),
    (1.00, "M∅%mW@…"),
)
_EMS_BY_CHARACTER = {character: ems for ems, characters in _EMS for character in characters}
"""Widths of letters in DejaVu Sans, which is wider than Helvetica and Arial; all others have the next."""
_OTHER_EMS = 0.64
_WIDE_EMS = 1.05


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
    return "".join(_SIGNS.get(character) or _show_character(character) for character in text)


def _show_character(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "�" if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or code in (0xFFFE, 0xFFFF) else character


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Width of `text` in pixels, on the wide side for any common sans-serif font; no font is read.

    Example:
        >>> text_width("mm", 10) > text_width("ii", 10)
        True
    """
    ems = sum(
        _WIDE_EMS if unicodedata.east_asian_width(character) in "WF" else _EMS_BY_CHARACTER.get(character, _OTHER_EMS)
        for character in text
    )
    return ems * size * (1.13 if bold else 1.0)


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in a box with its small caption above; an empty caption takes no room in a box that has none."""

    caption: str
    value: str

    @property
    def shown(self) -> str:
        """The value as drawn: visible, and cut where it is very long."""
        text = show_text(self.value)
        return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"

    @property
    def width(self) -> float:
        """Pixels."""
        widest = max(text_width(self.shown, VALUE_SIZE), text_width(self.caption, CAPTION_SIZE))
        return widest + 2 * CELL_PADDING


@dataclass(frozen=True)
class Block:
    """Cells in rows, with a line of text below where there is something to say of all of them."""

    cells: tuple[Cell, ...]
    line: str = ""

    @cached_property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """The cells, wrapped."""
        columns = _CELLS_A_ROW_OF_MANY if len(self.cells) > _MANY_CELLS else _CELLS_A_ROW
        return tuple(self.cells[first : first + columns] for first in range(0, len(self.cells), columns))

    @cached_property
    def column_widths(self) -> tuple[float, ...]:
        """Pixels, by column of the wrapped cells."""
        if not self.rows:
            return ()
        return tuple(
            max(row[column].width for row in self.rows if column < len(row)) for column in range(len(self.rows[0]))
        )

    @property
    def has_captions(self) -> bool:
        """True if any cell has a caption, so that all leave room for one."""
        return any(cell.caption for cell in self.cells)

    @property
    def cell_height(self) -> float:
        """Pixels."""
        return CELL_HEIGHT if self.has_captions else PLAIN_CELL_HEIGHT

    @property
    def cells_width(self) -> float:
        """Width of a row of cells with its gaps, in pixels."""
        return sum(self.column_widths) + CELL_GAP * max(0, len(self.column_widths) - 1)

    @property
    def width(self) -> float:
        """Pixels."""
        return max(self.cells_width, text_width(self.line, LINE_SIZE))

    @property
    def height(self) -> float:
        """Pixels."""
        return (self.cell_height + CELL_GAP) * len(self.rows) + (LINE_STEP if self.line else 0.0)


@dataclass(frozen=True)
class Box:
    """One box: a name with a faint note, lines of text, then blocks of cells."""

    kind: Kind
    name: str = ""
    note: str = ""
    lines: tuple[str, ...] = ()
    cells: tuple[Cell, ...] = ()
    """A block without a line of its own, before the others."""
    blocks: tuple[Block, ...] = ()
    tooltip: str = ""

    @cached_property
    def all_blocks(self) -> tuple[Block, ...]:
        """`cells` and `blocks`."""
        return ((Block(self.cells),) if self.cells else ()) + self.blocks

    @property
    def head_width(self) -> float:
        """Width of name and note, in pixels."""
        note = text_width("  " + self.note, NOTE_SIZE) if self.note else 0.0
        return text_width(show_text(self.name), NAME_SIZE, bold=True) + note if self.name else 0.0

    @property
    def width(self) -> float:
        """Pixels."""
        texts = (text_width(line, LINE_SIZE) for line in self.lines)
        return max(self.head_width, 12.0, *texts, *(block.width for block in self.all_blocks)) + 2 * PADDING

    @property
    def height(self) -> float:
        """Pixels."""
        head = HEAD_HEIGHT if self.name else 0.0
        blocks = sum(block.height for block in self.all_blocks)
        gap = CELL_GAP if self.all_blocks and not self.name else 0.0
        return head + LINE_STEP * len(self.lines) + blocks + gap + PADDING


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line from one box to another, by their places in the figure."""

    tail: int
    head: int
    text: str = ""
    is_dashed: bool = False


class Direction(Enum):
    """Where a figure grows to, as Graphviz names it."""

    DOWN = "TB"
    UP = "BT"
    RIGHT = "LR"


@dataclass(frozen=True, slots=True)
class Figure:
    """Boxes and arrows under a title."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    is_tree: bool
    """True: lines of a tree, without heads; False: arrows of a graph, routed around boxes."""
    direction: Direction
    last: tuple[int, ...] = ()
    """Boxes that stand side by side where the figure ends."""
    formula: str = ""
    """What the figure computes, under its title."""
    note: str = ""
    """What holds of all boxes or arrows, under title and formula."""
    curve: Curve | None = None
    """What the figure computes, beside it."""
