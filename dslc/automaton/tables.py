"""The token automaton as tables, and the vocabulary that it speaks.

A real-time pushdown machine for generation. A *slot* is a terminal with two or more literals, or a rule with two or
more choices. A *run* is the list of slots that a choice leaves; a *position* is a slot of a run, numbered over all
distinct runs; position 0 means done. State of one sequence: the position on top, a stack of return addresses
(positions), and the *slack* = tokens left - the fewest tokens that finish everything open. A choice costs `extra` >= 0
of slack and is allowed iff
`extra <= slack`; it writes at most one return address, whatever its length. One step:

    row    = row_base[top] + min(slack, row_cap[top])         # the mask row
    cell   = slot_base[top] + token
    slack -= extra[cell]
    if next[top]: push next[top]                              # where to go on when the choice's run is finished
    top    = run[cell] if run[cell] else pop                  # 0 from the empty stack: done
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.compose import ComposedTables, compose_registers
from dslc.automaton.heads import Heads
from dslc.automaton.registers import Registers


class TokenKind(Enum):
    """What a token is."""

    LITERAL = "literal"
    STOP = "stop"
    ALTERNATIVE = "alternative"


@dataclass(frozen=True, slots=True)
class Token:
    """What the controller samples."""

    id: int
    label: str
    """`KERNEL.3`, `<stop layer>` or `<expr#2>`."""
    kind: TokenKind
    terminal: str | None = None
    """Name of the terminal of a literal."""
    text: str | None = None
    """Text of a literal, as rendered."""
    rule: str | None = None
    """Rule of a stop or an alternative."""


@dataclass(frozen=True, slots=True, eq=False)
class ScalarTables:
    """Tables of an automaton as lists and dictionaries: plain Python reads these faster than arrays."""

    next: list[int]
    allowed: list[list[tuple[int, ...]]]
    """[position][slack] tokens that are allowed, in order; a larger slack allows what the last does."""
    choices: list[dict[int, tuple[int, int]]]
    """[position] of each token: slack that it costs, first position of the run that it leaves."""


Node = list[Any]
"""Of a position, for one sequence that moves in place: choices, the following node of the run or None, allowed tokens
by slack, how many of these there are, and the last of them. A choice is the slack that it costs and the node of the run
that it leaves, or None; so a step follows references and looks up no number but the token's."""


IndexArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class WideTables:
    """Tables of an automaton in the integers that numpy indexes with: narrower ones are copied at each use.

    Positions are numbered twice: a choice leaves P + position, return addresses are positions. So the next one is the
    larger of what a choice leaves, 0 for no run, and of what a pop would give, and nothing has to be picked by a mask.
    """

    position: IndexArray
    """[2 P] the position that a number stands for."""
    slot: IndexArray
    """[2 P]"""
    by_position: IndexArray
    """[4, 2 P] `row_cap`, `row_base`, `slot_base` and `next`, which one call reads."""
    by_cell: IndexArray
    """[2, S * (V + 1)] `extra` and `run`."""

    @property
    def slot_base(self) -> IndexArray:
        """[2 P] where the cells of the slot begin."""
        table: IndexArray = self.by_position[2]
        return table

    @property
    def next(self) -> IndexArray:
        """[2 P] the following position."""
        table: IndexArray = self.by_position[3]
        return table

    @property
    def run(self) -> IndexArray:
        """[S * (V + 1)] P + first position of the choice's run, 0 for none."""
        table: IndexArray = self.by_cell[1]
        return table


@dataclass(frozen=True, eq=False)
class TokenAutomaton:
    """Tables of one start symbol, good for every budget up to `max_budget`.

    P positions (0 = done), S slots, V tokens and one padding column (`pad_id` = V), N mask rows. Row 0 allows only
    padding.
    """

    vocabulary: tuple[Token, ...]
    start: str
    start_position: int
    """Position at which a sequence starts; 0 when every sentence is forced text."""
    min_tokens: int
    max_budget: int
    slot_names: tuple[str, ...]
    """S names, for people: a terminal, a rule, or `rule.more` for the tail of a list."""
    slot: NDArray[np.int32]
    """[P] slot of a position; 0 for position 0."""
    slot_base: NDArray[np.int32]
    """[P] slot * (V + 1): where the cells of the position's slot begin in `run` and `extra`."""
    next: NDArray[np.int32]
    """[P] the following position of the same run, 0 for its last."""
    row_base: NDArray[np.int32]
    """[P] first mask row of the position's slot."""
    row_cap: NDArray[np.int32]
    """[P] last row offset of the slot: a slack above it allows what this one allows."""
    mask: NDArray[np.bool_]
    """[N, V + 1] True where a token is allowed."""
    run: NDArray[np.int32]
    """[S * (V + 1)] first position of the run that the choice leaves, 0 for none."""
    extra: NDArray[np.int32]
    """[S * (V + 1)] slack that the choice costs; a large number where there is no such choice."""
    need: NDArray[np.int32]
    """[S] fewest tokens that finish the slot, at least 1; counters not regarded."""
    start_need: int
    """Fewest tokens of a sentence, counters not regarded: the slack begins with the budget less these."""
    registers: Registers | None = None
    """Counters of `at_most` and `at_least`; then `mask` allows more than they do."""
    heads: Heads | None = None
    """Tokens that a policy decides with a head of their own."""

    @property
    def num_tokens(self) -> int:
        """V, padding not counted."""
        return len(self.vocabulary)

    @property
    def pad_id(self) -> int:
        """Id that fills a batch after the end of a sequence."""
        return len(self.vocabulary)

    @property
    def num_slots(self) -> int:
        """S."""
        return len(self.slot_names)

    @property
    def num_positions(self) -> int:
        """P, position 0 included."""
        return len(self.slot)

    @cached_property
    def scalar(self) -> ScalarTables:
        """The tables for plain Python, made when first asked for."""
        width = self.num_tokens + 1
        choices: list[dict[int, tuple[int, int]]] = []
        for slot in range(self.num_slots):
            cells = slice(slot * width, slot * width + width - 1)
            extra, run = self.extra[cells], self.run[cells]
            tokens = (extra <= self.max_budget).nonzero()[0]
            values = zip(extra[tokens].tolist(), run[tokens].tolist(), strict=True)
            choices.append(dict(zip(tokens.tolist(), values, strict=True)))
        allowed: list[list[tuple[int, ...]]] = []
        for of_token in choices:
            prices = {extra for extra, _ in of_token.values()}
            rows: list[tuple[int, ...]] = []
            for slack in range(max(prices) + 1):
                if slack in prices:
                    rows.append(tuple(token for token, (extra, _) in of_token.items() if extra <= slack))
                else:  # nothing new, so the same tuple
                    rows.append(rows[-1])
            allowed.append(rows)
        slots = self.slot.tolist()[1:]
        return ScalarTables(
            self.next.tolist(), [[()], *(allowed[slot] for slot in slots)], [{}, *(choices[slot] for slot in slots)]
        )

    @cached_property
    def nodes(self) -> list[Node]:
        """[P] what a step of one sequence reads, made when first asked for."""
        tables = self.scalar
        nodes: list[Node] = [[] for _ in tables.next]
        choices_of_slot = {  # shared by the positions of a slot
            id(choices): {token: (extra, nodes[run] if run else None) for token, (extra, run) in choices.items()}
            for choices in tables.choices
        }
        for node, choices, following, allowed in zip(nodes, tables.choices, tables.next, tables.allowed, strict=True):
            after = nodes[following] if following else None
            node += [choices_of_slot[id(choices)], after, allowed, len(allowed), allowed[-1]]
        return nodes

    @cached_property
    def composed(self) -> ComposedTables | None:
        """The registers folded into states, made when first asked for; None where there are none, or too many."""
        return None if self.registers is None else compose_registers(self)

    @cached_property
    def wide(self) -> WideTables:
        """The tables for reading by numpy, made when first asked for."""

        positions = (self.row_cap, self.row_base, self.slot_base, self.next)
        return WideTables(
            position=np.tile(np.arange(self.num_positions, dtype=np.intp), 2),
            slot=np.tile(self.slot.astype(np.intp), 2),
            by_position=np.tile(np.stack(positions).astype(np.intp), 2),
            by_cell=np.stack([self.extra, np.where(self.run > 0, self.run + np.intp(self.num_positions), 0)]),
        )
