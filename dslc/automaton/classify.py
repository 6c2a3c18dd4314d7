"""Which rules are spliced, fused, lists or labelled alternatives; what the kinds mean is said in `classification`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from dslc.automaton.classification import STOP_CHOICE, Classification, Part, RuleKind
from dslc.automaton.rewrite import Draft, Rewriting
from dslc.automaton.vocabulary import FirstToken, make_vocabulary, token_group
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.grammar import BnfGrammar, BnfRule, Terminal
from dslc.limits import Limit


def _order_splices(drafts: Sequence[Draft], num_terminals: int) -> tuple[int, ...]:
    """Symbols of the parts with one option, each after those that it holds; there is no cycle in a trimmed grammar."""
    finished: set[int] = set()
    order: list[int] = []
    for i, draft in enumerate(drafts):
        root = num_terminals + i
        if len(draft.options) != 1 or root in finished:
            continue
        pending = [root]
        opened: set[int] = set()
        while pending:
            symbol = pending[-1]
            if symbol in finished:
                pending.pop()
                continue
            if symbol in opened:
                pending.pop()
                finished.add(symbol)
                order.append(symbol)
                continue
            opened.add(symbol)
            for inner in drafts[symbol - num_terminals].options[0].symbols:
                if inner >= num_terminals and inner not in finished and len(drafts[inner - num_terminals].options) == 1:
                    assert inner not in opened, "a rule that can never end was kept"
                    pending.append(inner)
    return tuple(order)


def find_head(symbols: Iterable[int], heads: dict[int, int | None]) -> int | None:
    """First symbol after splicing, None if nothing is left."""
    for symbol in symbols:
        head = heads.get(symbol, symbol)
        if head is not None:
            return head
    return None


def _fuse(
    drafts: Sequence[Draft], num_terminals: int, terminals: Sequence[Terminal], heads: dict[int, int | None]
) -> tuple[tuple[int, ...], dict[int, dict[FirstToken, int]]]:
    """Least fixpoint of fusion: symbols of the fused parts in order, and which option each first token takes."""
    waits: dict[int, int] = {}
    waiters: dict[int, list[int]] = {}
    option_heads: dict[int, list[int | None]] = {}
    ready: list[int] = []
    for i, draft in enumerate(drafts):
        if len(draft.options) < 2:
            continue
        symbol = num_terminals + i
        own_heads = [find_head(option.symbols, heads) for option in draft.options]
        option_heads[symbol] = own_heads
        needed = {head for head in own_heads if head is not None and head >= num_terminals}
        waits[symbol] = len(needed)
        for needed_head in sorted(needed):
            waiters.setdefault(needed_head, []).append(symbol)
        if not needed:
            ready.append(symbol)
    order: list[int] = []
    first_tokens: dict[int, dict[FirstToken, int]] = {}
    num_tokens, max_tokens = 0, Limit.FIRST_TOKENS.number
    while ready:
        symbol = ready.pop()
        tokens: dict[FirstToken, int] = {}
        expected = 0
        has_stop = False
        for i, head in enumerate(option_heads[symbol]):
            if head is None:
                has_stop = True
                tokens[-1, 0] = i
                expected += 1
            elif head < num_terminals:
                for literal in range(len(terminals[head].literals)):
                    tokens[head, literal] = i
                expected += len(terminals[head].literals)
            else:
                for first in first_tokens[head]:
                    tokens[first] = i
                expected += len(first_tokens[head])
        if len(tokens) != expected:  # two options begin alike, or two are empty
            continue
        num_tokens += expected
        if num_tokens > max_tokens:
            raise _too_many_tokens(drafts[symbol - num_terminals].rule, max_tokens)
        first_tokens[symbol] = tokens
        drafts[symbol - num_terminals].is_fused = True
        order.append(symbol)
        if not has_stop:  # what a stop announces has no text, so it is fused no further
            for waiter in waiters.get(symbol, ()):
                waits[waiter] -= 1
                if waits[waiter] == 0:
                    ready.append(waiter)
    return tuple(order), first_tokens


def _too_many_tokens(rule: BnfRule, limit: int) -> DslcError:
    return DslcError(
        Diagnostic(
            Code.TABLES_TOO_LARGE,
            Severity.ERROR,
            f"the rules, repetitions written out, have more than {limit:,} tokens to begin with",
            span=rule.span,
            help=Limit.FIRST_TOKENS.advise("shorter repetitions or fewer literals make it smaller"),
        )
    )


def classify_rules(trimmed: BnfGrammar, start: str, no_lists: Collection[str] = ()) -> Classification:
    """Kind of each rule of a trimmed grammar, its parts, and the vocabulary of its automaton.

    Args:
        trimmed: productive alternatives of reachable rules only, else splicing would not end.
        start: the start rule, one of `trimmed`.
        no_lists: rules that are not to be lists, whatever their form.

    Raises:
        DslcError: DSLC323 past the limit on tokens that rules begin with.
    """
    rewriting = Rewriting(trimmed, no_lists)
    drafts, num_terminals = rewriting.drafts, rewriting.num_terminals
    splice_order = _order_splices(drafts, num_terminals)
    heads: dict[int, int | None] = {}
    for spliced in splice_order:
        heads[spliced] = find_head(drafts[spliced - num_terminals].options[0].symbols, heads)
    fusion_order, first_tokens = _fuse(drafts, num_terminals, trimmed.terminals, heads)
    vocabulary, literal_tokens, stops, alternatives = make_vocabulary(trimmed, drafts, first_tokens)

    parts: list[Part] = []
    for i, draft in enumerate(drafts):
        by_token: dict[int, int] = {}
        group = token_group(draft.rule)
        if draft.is_fused:
            kind = RuleKind.FUSED
            for (terminal, literal), option_id in first_tokens[num_terminals + i].items():
                by_token[stops[group] if terminal < 0 else literal_tokens[terminal][literal]] = option_id
        elif len(draft.options) > 1:
            kind = RuleKind.ALTERNATIVE
            for option_id, option in enumerate(draft.options):
                by_token[stops[group] if option.choice == STOP_CHOICE else alternatives[group, option.choice]] = (
                    option_id
                )
        else:
            kind = RuleKind.SPLICED
        parts.append(Part(draft.rule.name, draft.role, kind, tuple(draft.options), by_token))
    kind_by_rule = {
        rule.name: RuleKind.LIST
        if rule.name in rewriting.tail_by_rule
        else parts[rewriting.whole_by_rule[rule.name] - num_terminals].kind
        for rule in trimmed.rules
    }
    return Classification(
        start=rewriting.whole_by_rule[start],
        kind_by_rule=kind_by_rule,
        parts=tuple(parts),
        whole_by_rule=rewriting.whole_by_rule,
        tail_by_rule=rewriting.tail_by_rule,
        is_left_list=rewriting.is_left_list,
        reductions=tuple(rewriting.reductions),
        vocabulary=vocabulary,
        literal_tokens=tuple(literal_tokens),
        fusion_order=fusion_order,
        splice_order=splice_order,
        heads=heads,
        terminal_names=tuple(terminal.name for terminal in trimmed.terminals),
        literal_counts=tuple(len(terminal.literals) for terminal in trimmed.terminals),
    )
