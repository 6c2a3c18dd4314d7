"""Token automaton to figure: one box a slot with the tokens that fill it, arrows for what a choice leaves open."""

from __future__ import annotations

from collections import Counter

import numpy as np

from dslc.automaton.tables import Token, TokenAutomaton, TokenKind
from dslc.program.draw.drawing import FigureDrawing
from dslc.program.draw.figure import Arrow, Block, Box, Cell, Direction, Figure, show_text
from dslc.program.draw.palette import Kind

MOST_TOKENS = 30
"""Tokens of a block; of more, the first are shown and the others counted."""
_MOST_NAMES = 5
_MOST_LABELS = 4

LEGEND = (
    "An arrow goes from a choice to the first slot that it opens, a dashed arrow from a filled slot to the one that"
    " follows it; where none does, what was open before goes on."
)


def draw_automaton(automaton: TokenAutomaton, title: str = "") -> FigureDrawing:
    """A drawing of the automaton under `title`.

    A box names a slot, and the fewest tokens that fill it where it is more than one. Its tokens stand in blocks: those
    of one block leave the same slots open, which the line below names in their order.
    """
    width = automaton.num_tokens + 1
    names = _number_names(automaton.slot_names)
    start_run = _read_run(automaton, automaton.start_position)
    boxes = [Box(Kind.ENDPOINT, "start", lines=(_run_text(start_run, names),))]
    opened: dict[tuple[int, int], list[str]] = {}
    for slot in range(automaton.num_slots):
        cells = slice(slot * width, (slot + 1) * width - 1)
        tokens = np.flatnonzero(automaton.extra[cells] <= automaton.max_budget)
        tokens_by_run: dict[int, list[Token]] = {}
        for token in tokens.tolist():
            tokens_by_run.setdefault(int(automaton.run[cells][token]), []).append(automaton.vocabulary[token])
        blocks = []
        for position, group in tokens_by_run.items():
            run = _read_run(automaton, position)
            texts = [_token_text(token) for token in group]
            line = f"then {_run_text(run, names)}" if run else "then nothing more" if len(tokens_by_run) > 1 else ""
            blocks.append(Block(_show_tokens(texts), line))
            if run:
                opened.setdefault((slot, run[0]), []).extend(texts)
        need = int(automaton.need[slot])
        note = f"at least {need} tokens" if need > 1 else ""
        boxes.append(Box(Kind.RULE, names[slot], note=note, blocks=tuple(blocks)))
    boxes.append(Box(Kind.ENDPOINT, "end"))
    arrows = [Arrow(0, _box_of(start_run[0]) if start_run else len(boxes) - 1)]
    arrows += [Arrow(_box_of(slot), _box_of(first), _label(texts)) for (slot, first), texts in opened.items()]
    arrows += [Arrow(_box_of(slot), _box_of(after), is_dashed=True) for slot, after in _find_followers(automaton)]
    if start_run:
        arrows.append(Arrow(_box_of(start_run[-1]), len(boxes) - 1, is_dashed=True))
    figure = Figure(
        title, tuple(boxes), tuple(arrows), is_tree=False, direction=Direction.DOWN, note=LEGEND if start_run else ""
    )
    return FigureDrawing(figure)


def _box_of(slot: int) -> int:
    return slot + 1


def _read_run(automaton: TokenAutomaton, position: int) -> list[int]:
    """Slots from a position to the end of its run."""
    slots = []
    while position:
        slots.append(int(automaton.slot[position]))
        position = int(automaton.next[position])
    return slots


def _find_followers(automaton: TokenAutomaton) -> list[tuple[int, int]]:
    """Pairs of slots of which the second follows the first in some run, sorted."""
    tails = np.flatnonzero(automaton.next)
    pairs = np.stack([automaton.slot[tails], automaton.slot[automaton.next[tails]]], axis=1)
    return [(first, second) for first, second in np.unique(pairs, axis=0).tolist()]


def _number_names(names: tuple[str, ...]) -> list[str]:
    """Each name, with a number where several slots share it: the places of `x~1..5` have one each."""
    counts, seen = Counter(names), Counter[str]()
    result = []
    for name in names:
        seen[name] += 1
        result.append(f"{name} #{seen[name]}" if counts[name] > 1 else name)
    return result


def _run_text(run: list[int], names: list[str]) -> str:
    """The slots in order: a repeated part once with its count, and a long rest counted.

    Example:
        >>> _run_text([0, 1, 0, 1, 0, 1], ["A", "B"]), _run_text([0, 0, 1], ["A", "B"])
        ('3 × (A, B)', 'A, A, B')
    """
    for period in range(1, len(run) // 2 + 1):
        count = 1
        while run[count * period : (count + 1) * period] == run[:period]:
            count += 1
        if count > 2:
            part = ", ".join(names[slot] for slot in run[:period])
            rest = run[period * count :]
            return f"{count} × ({part})" + (f", {_run_text(rest, names)}" if rest else "")
    if len(run) > _MOST_NAMES:
        return ", ".join([*(names[slot] for slot in run[: _MOST_NAMES - 1]), f"… ({len(run)} slots)"])
    return ", ".join(names[slot] for slot in run)


def _token_text(token: Token) -> str:
    if token.kind is TokenKind.LITERAL:
        return show_text(token.text or "")
    if token.kind is TokenKind.STOP:
        return "stop"
    # The rule is the box's own name: the number of the alternative is left.
    return "#" + token.label.rpartition("#")[2].removesuffix(">")


def _show_tokens(texts: list[str]) -> tuple[Cell, ...]:
    if len(texts) <= MOST_TOKENS:
        return tuple(Cell("", text) for text in texts)
    shown = tuple(Cell("", text) for text in texts[: MOST_TOKENS - 1])
    return (*shown, Cell("", f"… {len(texts) - len(shown)} more"))


def _label(texts: list[str]) -> str:
    return "by " + ", ".join(texts if len(texts) <= _MOST_LABELS else [*texts[: _MOST_LABELS - 1], "…"])
