"""Token sequences to derivations and back, exactly: fusions and lists are undone.

Both directions walk the parts of the classification with a stack of their own, so sentences may be of any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dslc.automaton.classification import PartRole, RuleKind
from dslc.automaton.derivation import Derivation, Scanned
from dslc.automaton.lower import Lowering
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity


@dataclass(frozen=True, slots=True)
class TokenSpans:
    """Which tokens made what, for a derivation read from tokens."""

    nodes: tuple[tuple[int, int], ...]
    """(first token, past the last) of each node, children before their parent, left to right."""
    leaves: tuple[int | None, ...]
    """Token id of each scanned literal in reading order; None for forced text."""


def tokens_to_derivation(lowering: Lowering, tokens: Sequence[int]) -> Derivation:
    """The derivation that a whole token sequence stands for; whether it fits a budget is not asked.

    Raises:
        DslcError: DSLC303 if the tokens are no sentence, with the first that is wrong.
    """
    return trace_tokens(lowering, tokens)[0]


def trace_tokens(lowering: Lowering, tokens: Sequence[int]) -> tuple[Derivation, TokenSpans]:
    """Like `tokens_to_derivation`, and which tokens made which node and leaf."""
    classification = lowering.classification
    num_terminals = classification.num_terminals
    parts, reductions, vocabulary = classification.parts, classification.reductions, classification.vocabulary
    terminals = lowering.bnf.terminals
    literal_of = {
        token: (terminal, literal)
        for terminal, ids in enumerate(classification.literal_tokens)
        for literal, token in enumerate(ids)
    }
    built: list[tuple[Derivation | Scanned, int]] = []  # finished values, each with its first token
    spans: list[tuple[int, int]] = []
    leaves: list[int | None] = []
    used = 0
    # A fused part looks at its token; the first terminal that follows takes it, forced or not.
    is_head = False
    # (what, first token): a symbol to fill, or -1 - i for reduction i; the first token of a node is known when its part
    # opens.
    pending: list[tuple[int, int]] = [(classification.start, 0)]
    while pending:
        symbol, begin = pending.pop()
        if symbol < 0:
            reduction = reductions[-1 - symbol]
            number = reduction.num_children
            children = built[len(built) - number :]
            del built[len(built) - number :]
            first = children[0][1] if reduction.on_list else begin
            node = Derivation(reduction.rule, reduction.production, tuple(child for child, _ in children))
            built.append((node, first))
            spans.append((first, used))
        elif symbol < num_terminals:
            terminal = terminals[symbol]
            if terminal.is_forced and not is_head:
                built.append((Scanned(terminal.name, 0), used))
                leaves.append(None)
                continue
            token = _token_at(lowering, tokens, used)
            owner, literal = literal_of.get(token, (-1, 0))
            if owner != symbol:
                raise _wrong_token(lowering, tokens, used, f"a literal of {terminal.name}")
            built.append((Scanned(terminal.name, literal), used))
            leaves.append(token)
            used += 1
            is_head = False
        else:
            part = parts[symbol - num_terminals]
            begin = used
            if part.kind is RuleKind.SPLICED:
                option = part.options[0]
            else:
                token = _token_at(lowering, tokens, used)
                option_id = part.option_by_token.get(token)
                if option_id is None:
                    expected = ", ".join(f"`{vocabulary[t].label}`" for t in sorted(part.option_by_token)[:8])
                    raise _wrong_token(lowering, tokens, used, f"one of {expected}")
                option = part.options[option_id]
                if part.kind is RuleKind.ALTERNATIVE or token not in literal_of:
                    used += 1
                else:
                    is_head = True
            pending.extend((action, begin) for action in reversed(option.actions))
            if part.role is PartRole.MORE and not option.symbols and built and spans and not option.actions:
                # The stop of a left list belongs to its outermost node, which was finished just before.
                spans[-1] = (spans[-1][0], used)
    if used < len(tokens):
        raise DslcError(
            Diagnostic(
                Code.TOKENS_NOT_A_SENTENCE,
                Severity.ERROR,
                f"the sentence is finished after {used} of {len(tokens)} tokens",
                help="leave out what follows",
            )
        )
    ((root, _),) = built
    assert isinstance(root, Derivation), "the start is a rule"
    return root, TokenSpans(tuple(spans), tuple(leaves))


def _token_at(lowering: Lowering, tokens: Sequence[int], place: int) -> int:
    if place < len(tokens):
        return int(tokens[place])
    raise DslcError(
        Diagnostic(
            Code.TOKENS_NOT_A_SENTENCE,
            Severity.ERROR,
            f"the sequence of {len(tokens)} tokens is unfinished",
            help=f"give all tokens of one sentence of `{lowering.automaton.start}`",
        )
    )


def _wrong_token(lowering: Lowering, tokens: Sequence[int], place: int, expected: str) -> DslcError:
    vocabulary = lowering.automaton.vocabulary
    token = tokens[place]
    label = vocabulary[token].label if 0 <= token < len(vocabulary) else f"id {token}"
    return DslcError(
        Diagnostic(
            Code.TOKENS_NOT_A_SENTENCE,
            Severity.ERROR,
            f"token {place + 1}, `{label}`, is not allowed there",
            help=f"there stands {expected}",
        )
    )


def derivation_to_tokens(lowering: Lowering, derivation: Derivation) -> tuple[int, ...]:
    """The token sequence of a derivation from the start, the inverse of `tokens_to_derivation`."""
    classification = lowering.classification
    num_terminals = classification.num_terminals
    parts, literal_tokens = classification.parts, classification.literal_tokens
    tables = classification.encoding
    terminal_symbol, whole_by_rule = tables.symbol_by_terminal, classification.whole_by_rule
    tail_by_rule, is_left_list = classification.tail_by_rule, classification.is_left_list
    tokens: list[int] = []
    is_head = False  # the next terminal takes the token of the fused parts before it, forced or not
    # Values to write, and (symbol, option) pairs to announce, the next one last.
    pending: list[Derivation | Scanned | tuple[int, int]] = [derivation]
    while pending:
        item = pending.pop()
        if isinstance(item, Scanned):
            symbol = terminal_symbol[item.terminal]
            ids = literal_tokens[symbol]
            if is_head or (len(ids) > 1):
                tokens.append(ids[item.literal])
                is_head = False
            continue
        if isinstance(item, tuple):
            symbol, option = item
            token = tables.token_by_option[symbol - num_terminals][option]
            if token in tables.literal_ids and parts[symbol - num_terminals].kind is RuleKind.FUSED:
                is_head = True
            else:
                tokens.append(token)
            continue
        tail = tail_by_rule.get(item.rule)
        whole = whole_by_rule[item.rule]
        if tail is None:
            pending.extend(reversed(item.children))
            if parts[whole - num_terminals].kind is not RuleKind.SPLICED:
                pending.append((whole, item.production))
            continue
        option_by_production = tables.step_by_production[item.rule]
        pending.append((tail, 0))
        node = item
        if is_left_list[item.rule]:
            # The outermost node is the last step, so the walk down the spine meets the steps as a stack wants them.
            while node.production in option_by_production:
                pending.extend(reversed(node.children[1:]))
                pending.append((tail, option_by_production[node.production]))
                inner = node.children[0]
                assert isinstance(inner, Derivation), "a left list begins with itself"
                node = inner
            pending.extend(reversed(node.children))
            if tail - whole > 1:
                pending.append((whole + 1, tables.base_by_production[item.rule][node.production]))
        else:
            width = len(parts[whole - num_terminals].options[0].symbols) - 1
            written: list[Derivation | Scanned | tuple[int, int]] = []
            while node.production in option_by_production:
                written.extend(node.children[:width])
                written.append((tail, option_by_production[node.production]))
                written.extend(node.children[width:-1])
                inner = node.children[-1]
                assert isinstance(inner, Derivation), "a right list ends with itself"
                node = inner
            written.extend(node.children)
            pending.extend(reversed(written))
    return tuple(tokens)
