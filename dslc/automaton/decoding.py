"""Tables for reading the tokens of a sentence: what each opens, and how literals and reductions stand in trees."""

from __future__ import annotations

from dataclasses import dataclass, field

from dslc.automaton.classification import Classification, Part, RuleKind
from dslc.automaton.derivation import Scanned
from dslc.language.grammar import BnfGrammar, NodeShape


@dataclass(frozen=True, slots=True)
class Opening:
    """What reading the tokens of a sentence does where an option of a part is taken."""

    reversed_actions: tuple[int, ...]
    """Actions of the option, the first one last, as a stack wants them."""
    takes_token: bool
    """The token is the option's own: a stop or an alternative. A literal is left to the terminal that it is of."""


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
    spans: dict[tuple[int, int], tuple[str | int, ...]] = field(default_factory=dict, compare=False, repr=False)
    """[symbol, token] what a token puts in a symbol's place in a text: texts, and symbols that further tokens decide,
    the last one first; made when first met, see `dslc.automaton.render`. (-1, -1) is the start."""


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
        only.append(_make_opening(part, 0, takes_token=False) if is_spliced else None)
        opening_by_token.append(
            {
                token: _make_opening(part, option, takes_token=part.kind is not RuleKind.FUSED or token not in by_token)
                for token, option in part.option_by_token.items()
            }
        )
    return DecodingTables(
        literals=tuple(literals),
        printed=tuple(printed),
        node_shapes=shapes,
        forced_literal=tuple(forced),
        literal_by_token=by_token,
        only_opening=tuple(only),
        opening_by_token=tuple(opening_by_token),
    )


def _make_opening(part: Part, option: int, *, takes_token: bool) -> Opening:
    return Opening(part.options[option].actions[::-1], takes_token)
