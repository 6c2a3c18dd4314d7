"""Tables for reading the tokens of a sentence: what each opens, and which of them make a whole node by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dslc.automaton.classification import Classification, Part, PartRole, RuleKind
from dslc.automaton.derivation import Scanned
from dslc.language.grammar import BnfGrammar, NodeShape


@dataclass(frozen=True, slots=True)
class Word:
    """A token that makes one node without children, such as `"sin" -> sin`.

    Most tokens of most programs are words; as such they are read at once, not as a literal and its reductions.
    """

    name: str
    """Of the node, as in its shape; so are the next two."""
    choice: int
    rule: str
    length: int
    """Of the text, in code points."""
    nodes: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)
    """The nodes that it has made, by the index of its token: sentences share them. At most SHARED_PLACES."""


SHARED_PLACES = 1024
"""Indices of tokens whose words are kept; further ones are made anew."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What reading the tokens of a sentence does where an option of a part is taken."""

    reversed_actions: tuple[int, ...]
    """Actions of the option, the first one last, as a stack wants them."""
    takes_token: bool
    """The token is the option's own: a stop or an alternative. A literal is left to the terminal that it is of."""
    has_node: bool
    """A node begins with the part: one of its reductions is no step of a list."""
    ends_left_list: bool
    word: Word | None
    """The word that the token is, where the part holds nothing else."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A literal in texts and trees."""

    terminal: str
    text: str
    length: int
    """Of the text, in code points."""
    is_kept: bool
    """False if it stands in no tree, wherever it is."""


@dataclass(frozen=True, slots=True)
class DecodingTables:
    """What reading the tokens of a sentence looks up."""

    literals: tuple[Scanned, ...]
    """Every literal of every terminal."""
    printed: tuple[Printed, ...]
    """[literal] how it stands in texts and trees."""
    node_shapes: tuple[NodeShape, ...]
    """How each reduction of the classification stands in parse trees."""
    forced_literal: tuple[int | None, ...]
    """[terminal] index of its literal where it has only one."""
    literal_by_token: dict[int, tuple[int, int]]
    """Terminal of a token, and the index of its literal."""
    only_opening: tuple[Opening | None, ...]
    """[part] what a spliced part opens with."""
    opening_by_token: tuple[dict[int, Opening], ...]
    """[part] what each token opens; empty if spliced."""


def make_decoding_tables(classification: Classification, bnf: BnfGrammar) -> DecodingTables:
    """The tables of a classification of the trimmed grammar `bnf`."""
    literals: list[Scanned] = []
    printed: list[Printed] = []
    forced: list[int | None] = []
    by_token: dict[int, tuple[int, int]] = {}
    for i, terminal in enumerate(bnf.terminals):
        forced.append(len(literals) if terminal.is_forced else None)
        tokens = classification.literal_tokens[i]
        by_token.update({token: (i, literal) for literal, token in enumerate(tokens, start=len(literals))})
        literals += [Scanned(terminal.name, literal) for literal in range(len(terminal.literals))]
        is_kept = terminal.name in bnf.kept_terminals
        printed += [Printed(terminal.name, each.text, len(each.text), is_kept) for each in terminal.literals]
    shapes = tuple(bnf.node_shapes[each.rule][each.production] for each in classification.reductions)
    only: list[Opening | None] = []
    opening_by_token: list[dict[int, Opening]] = []
    for part in classification.parts:
        is_spliced = part.kind is RuleKind.SPLICED
        only.append(_make_opening(classification, part, 0, takes_token=False, word=None) if is_spliced else None)
        openings: dict[int, Opening] = {}
        for token, option in part.option_by_token.items():
            literal = by_token[token][1] if token in by_token and part.kind is RuleKind.FUSED else None
            word: Word | None = None
            if literal is not None and not printed[literal].is_kept:
                reductions = _sole_reductions(classification, part, token)
                node = _sole_node([shapes[-1 - step] for step in reductions])
                # The stop of a list belongs to the node of its last reduction, which must then be seen by itself.
                if node is not None and (len(reductions) == 1 or part.role is PartRole.WHOLE):
                    word = Word(node.name, node.choice, node.rule, printed[literal].length)
            openings[token] = _make_opening(classification, part, option, takes_token=literal is None, word=word)
        opening_by_token.append(openings)
    return DecodingTables(
        literals=tuple(literals),
        printed=tuple(printed),
        node_shapes=shapes,
        forced_literal=tuple(forced),
        literal_by_token=by_token,
        only_opening=tuple(only),
        opening_by_token=tuple(opening_by_token),
    )


def _sole_reductions(classification: Classification, part: Part, token: int) -> tuple[int, ...]:
    """The reductions, as steps, that make a part of nothing but the literal that `token` is; none if it holds more."""
    reductions: tuple[int, ...] = ()
    while True:
        symbol, *rest = part.options[part.option_by_token[token]].actions
        if not rest or any(action >= 0 for action in rest):
            return ()
        reductions = (*rest, *reductions)
        if symbol < 0:
            return ()
        if symbol < classification.num_terminals:
            return reductions
        part = classification.parts[symbol - classification.num_terminals]
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


def _make_opening(
    classification: Classification, part: Part, option_id: int, *, takes_token: bool, word: Word | None
) -> Opening:
    actions = part.options[option_id].actions
    return Opening(
        reversed_actions=actions[::-1],
        takes_token=takes_token,
        has_node=any(action < 0 and not classification.reductions[-1 - action].on_list for action in actions),
        ends_left_list=part.role is PartRole.MORE and not actions,
        word=word,
    )
