"""Tables for making the tree of a sentence in one walk over its tokens: what a symbol does with the next token.

What follows from the grammar alone is found here, once: which tokens make a whole node by themselves, which literals
and reductions change no tree, and whether it must be known where each value begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dslc.automaton.classification import Classification, Option, Part, PartRole, RuleKind
from dslc.automaton.decoding import DecodingTables, Opening, Printed
from dslc.language.grammar import NodeShape

SHARED_PLACES = 1024
"""How many nodes of a word, or leaves of a literal, are kept; further ones are made anew."""


@dataclass(frozen=True, slots=True)
class Word:
    """A token that makes one node without children, such as `"sin" -> sin`.

    Most tokens of most programs are words; as such they are read at once, not as a literal and its reductions.
    """

    name: str
    """Of the node, as in its shape; so are the next two."""
    choice: int
    rule: str
    width: int
    """Of the text, in code points, with what stands between it and the next."""
    nodes: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)
    """The nodes that it has made, by the index of its token: sentences share them."""


@dataclass(frozen=True, slots=True)
class Text:
    """A literal as it is read."""

    terminal: str
    text: str
    width: int
    """As of a word."""
    token: int | None
    """None if it stands where no other can."""
    is_kept: bool
    """It stands in the tree."""
    leaves: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)
    """The leaves that it has made, by their position in the sentence: sentences share them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is done where a symbol stands: a literal is read, or an option opened."""

    takes_token: bool
    """The next token is used up."""
    word: Word | None = None
    """The word that the token is; then there is nothing else to do."""
    has_node: bool = False
    """A node begins here."""
    text: Text | None = None
    """What is read first."""
    reversed_actions: tuple[int, ...] = ()
    """What is to do then, the first one last, as a stack wants them."""
    ends_left_list: bool = False


@dataclass(frozen=True, slots=True)
class ReadingTables:
    """What making trees looks up."""

    by_token: tuple[dict[int, Reading], ...]
    """[symbol] what a token does in its place; empty if no token is asked for."""
    alone: tuple[Reading | None, ...]
    """[symbol] what it does by itself: a spliced part, or a terminal with one literal only."""
    as_head: dict[int, Reading]
    """Such a terminal, where its token has opened an option that does not begin with the terminal itself."""
    keeps_values: bool
    """Some reduction asks where each of the values that it joins begins."""


def make_reading_tables(classification: Classification, tables: DecodingTables, gap: int) -> ReadingTables:
    """The tables of a classification whose other tables are known.

    Args:
        classification: the parts.
        tables: what each token opens.
        gap: code points between two literals of a text.
    """
    return _Reader(classification, tables, gap).read_symbols()


class _Reader:
    def __init__(self, classification: Classification, tables: DecodingTables, gap: int) -> None:
        self.classification, self.tables, self.gap = classification, tables, gap
        self.keeps_values = any(each.on_list for each in classification.reductions) or any(
            shape.is_arranged for shape in tables.node_shapes
        )
        self.kept_terminals = {printed.terminal for printed in tables.printed if printed.is_kept}
        self.has_leaves = bool(self.kept_terminals)
        self.start = classification.parts[classification.start - classification.num_terminals]
        self.branching_rules = {shape.rule for shape in tables.node_shapes if shape.is_transparent}
        """Those that can leave several children, or none."""

    def read_symbols(self) -> ReadingTables:
        tables = self.tables
        by_token: list[dict[int, Reading]] = []
        alone: list[Reading | None] = []
        as_head: dict[int, Reading] = {}
        for forced, tokens in zip(tables.forced_literal, self.classification.literal_tokens, strict=True):
            if forced is None:
                alone.append(None)
                by_token.append({token: Reading(takes_token=True, text=self.read_literal(token)) for token in tokens})
            else:
                alone.append(Reading(takes_token=False, text=self.make_text(tables.printed[forced], None)))
                by_token.append({})
                as_head.update(
                    {len(by_token) - 1: Reading(takes_token=True, text=self.read_literal(token)) for token in tokens}
                )
        openings = zip(self.classification.parts, tables.only_opening, tables.opening_by_token, strict=True)
        for part, only, opening_by_token in openings:
            alone.append(None if only is None else self.read_opening(part, part.options[0], only, None))
            by_token.append({token: self.read_token(part, token, each) for token, each in opening_by_token.items()})
        return ReadingTables(tuple(by_token), tuple(alone), as_head, self.keeps_values)

    def make_text(self, printed: Printed, token: int | None) -> Text:
        return Text(printed.terminal, printed.text, printed.length + self.gap, token, printed.is_kept)

    def read_literal(self, token: int) -> Text:
        return self.make_text(self.tables.printed[self.tables.literal_by_token[token][1]], token)

    def read_token(self, part: Part, token: int, opening: Opening) -> Reading:
        """What a token does in the place of a part."""
        word = None if opening.takes_token else self.find_word(part, token)
        if word is not None:
            return Reading(takes_token=True, word=word)
        return self.read_opening(part, part.options[part.option_by_token[token]], opening, token)

    def read_opening(self, part: Part, option: Option, opening: Opening, token: int | None) -> Reading:
        """What an option does; `token`: the literal that it is known by."""
        actions = opening.reversed_actions
        has_node = any(action < 0 and not self.classification.reductions[-1 - action].on_list for action in actions)
        if has_node and self.is_passed_on(part, option):
            has_node, actions = False, actions[1:]
        takes_token, text = opening.takes_token, None
        if token is not None and not takes_token and 0 <= actions[-1] < self.classification.num_terminals:
            takes_token, text, actions = True, self.read_literal(token), actions[:-1]
        return Reading(
            takes_token=takes_token,
            has_node=has_node,
            text=text,
            reversed_actions=self.leave_out_texts(actions, is_begun=takes_token),
            ends_left_list=part.role is PartRole.MORE and not opening.reversed_actions,
        )

    def leave_out_texts(self, reversed_actions: tuple[int, ...], *, is_begun: bool) -> tuple[int, ...]:
        """The actions without those that read a literal which leaves nothing, in trees that know no positions.

        Args:
            reversed_actions: The first one last.
            is_begun: A token was taken before. The first literal of an option can be the token that it is known by.
        """
        if self.keeps_values or self.has_leaves:
            return reversed_actions
        kept: list[int] = []
        for action in reversed_actions[::-1]:
            is_text = 0 <= action < self.classification.num_terminals
            if not (is_begun and is_text and self.tables.forced_literal[action] is not None):
                kept.append(action)
            # Only a spliced part can be empty.
            is_begun = (
                is_begun or is_text or (action >= 0 and self.classification.heads.get(action, action) is not None)
            )
        return tuple(kept[::-1])

    def is_passed_on(self, part: Part, option: Option) -> bool:
        """Whether the node of an option is always replaced by its only child, as that of `?value: "(" sum ")"`."""
        *symbols, reduction = option.actions
        if self.keeps_values or part is self.start or any(symbol < 0 for symbol in symbols) or reduction >= 0:
            return False
        if not self.tables.node_shapes[-1 - reduction].is_expanded:
            return False
        num_children = 0
        for symbol in symbols:
            if symbol >= self.classification.num_terminals:
                rule = self.classification.parts[symbol - self.classification.num_terminals].rule
                if rule in self.branching_rules:
                    return False
                num_children += 1
            else:
                num_children += self.classification.terminal_names[symbol] in self.kept_terminals
        return num_children == 1

    def find_word(self, part: Part, token: int) -> Word | None:
        """The word that a token is in the place of a part."""
        printed = self.tables.printed[self.tables.literal_by_token[token][1]]
        if printed.is_kept:
            return None
        reductions = self.find_reductions(part, token)
        node = _sole_node([self.tables.node_shapes[-1 - step] for step in reductions])
        # The stop of a list belongs to the node of its last reduction, which must then be seen by itself.
        if node is None or (len(reductions) > 1 and part.role is not PartRole.WHOLE):
            return None
        return Word(node.name, node.choice, node.rule, printed.length + self.gap)

    def find_reductions(self, part: Part, token: int) -> tuple[int, ...]:
        """The reductions, as steps, that make a part of nothing but the literal `token`; none if it holds more."""
        reductions: tuple[int, ...] = ()
        while True:
            symbol, *rest = part.options[part.option_by_token[token]].actions
            if not rest or any(action >= 0 for action in rest):
                return ()
            reductions = (*rest, *reductions)
            if symbol < 0:
                return ()
            if symbol < self.classification.num_terminals:
                return reductions
            part = self.classification.parts[symbol - self.classification.num_terminals]
            if part.kind is not RuleKind.FUSED:
                return ()


def _sole_node(shapes: Sequence[NodeShape]) -> NodeShape | None:
    """The only node that reductions of one value leave, where the value itself stands in no tree.

    None if they leave more, or if the last leaves none: of a whole sentence it would stay.
    """
    if not shapes or shapes[-1].is_transparent or any(each.num_symbols != 1 or each.is_arranged for each in shapes):
        return None
    nodes: list[NodeShape] = []
    for shape in shapes:
        if not (shape.is_transparent or (shape.is_expanded and nodes)):
            nodes.append(shape)
    return nodes[0] if len(nodes) == 1 else None
