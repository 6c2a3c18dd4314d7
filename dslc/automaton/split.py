"""The parts of a classification, told apart by the context of inherited constraints.

What the tokens are was decided before: a part in one context has the options of the part that the context allows, and
a slot that is left with one choice still costs its token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dslc.automaton.classification import Classification, Option, Part, RuleKind
from dslc.automaton.classify import find_head
from dslc.language.contexts import Context, Contexts
from dslc.language.split_grammar import MAX_SPLIT_RULES, too_many_contexts

_Key = tuple[int, tuple[int, ...]]
"""A symbol of the classification with its context, or with the literals that are left of a terminal."""


def split_parts(classification: Classification, contexts: Contexts, start: str) -> Classification:
    """A classification with a part for each context that is reached from the start, for making tables only.

    A terminal without a literal that is left counts 0 literals; an option that is forbidden is left out, and a part
    without options can not be filled.

    Raises:
        DslcError: DSLC332 if there are too many, naming the constraint that multiplied them.
    """
    return _Split(classification, contexts, start).make()


class _Split:
    """Pairs of a symbol and a context, numbered anew: terminals first."""

    def __init__(self, classification: Classification, contexts: Contexts, start: str) -> None:
        self.old = classification
        self.contexts = contexts
        self.terminal_keys: dict[_Key, int] = {}
        self.part_keys: dict[_Key, int] = {}
        self.keys_of_part: dict[int, list[int]] = {}
        self.options: list[list[tuple[int, Option, list[tuple[bool, int]]]]] = []
        """By new part, (index in the old part, option, new symbols as (is a part, number)) of each that is left."""
        self._explore(start)

    def _find(self, symbol: int, context: Context) -> tuple[bool, int]:
        old = self.old
        if symbol < old.num_terminals:
            literals = self.contexts.literals(old.terminal_names[symbol], context)
            return False, self.terminal_keys.setdefault((symbol, literals), len(self.terminal_keys))
        rule = old.parts[symbol - old.num_terminals].rule
        key = (symbol, self.contexts.project(rule, context))
        if key not in self.part_keys:
            self.part_keys[key] = len(self.part_keys)
            self.keys_of_part.setdefault(symbol, []).append(self.part_keys[key])
            self.pending.append(key)
        return True, self.part_keys[key]

    def _explore(self, start: str) -> None:
        old = self.old
        self.pending: list[_Key] = []
        self._find(old.start, self.contexts.initial)
        for symbol, context in self.pending:  # grows while it is walked
            part = old.parts[symbol - old.num_terminals]
            tail = old.tail_by_rule.get(part.rule)
            left = []
            for i, option in enumerate(part.options):
                inner: Context | None = context
                if option.production is not None:
                    inner = self.contexts.enter(part.rule, option.production, context)
                if inner is not None:
                    # What follows in a list stands where the list stands, not in the node of this item.
                    symbols = [self._find(each, context if each == tail else inner) for each in option.symbols]
                    left.append((i, option, symbols))
            self.options.append(left)
            if len(self.pending) > MAX_SPLIT_RULES:
                raise too_many_contexts(self.contexts, [each for _, each in self.pending], start)

    def make(self) -> Classification:
        old, num_terminals = self.old, len(self.terminal_keys)

        def number(symbols: Sequence[tuple[bool, int]]) -> tuple[int, ...]:
            return tuple([i + num_terminals if is_part else i for is_part, i in symbols])

        def make(option: Option, symbols: tuple[int, ...]) -> Option:
            following = iter(symbols)
            actions = tuple([each if each < 0 else next(following) for each in option.actions])
            return Option(symbols, option.choice, actions, option.production)

        options = [[make(option, number(symbols)) for _, option, symbols in left] for left in self.options]
        literal_tokens = []
        literal_counts = []
        for symbol, literals in self.terminal_keys:
            tokens = old.literal_tokens[symbol]
            literal_tokens.append(tuple([tokens[i] for i in literals]) if tokens else ())
            literal_counts.append(old.literal_counts[symbol] if literals else 0)
        splice_order = [part for symbol in old.splice_order for part in self.keys_of_part.get(symbol, ())]
        fusion_order = [part for symbol in old.fusion_order for part in self.keys_of_part.get(symbol, ())]
        heads: dict[int, int | None] = {}
        for part in splice_order:
            if options[part]:
                heads[part + num_terminals] = find_head(options[part][0].symbols, heads)
        by_token: list[dict[int, int]] = [{} for _ in options]
        parts_of = [old.parts[symbol - old.num_terminals] for symbol, _ in self.part_keys]
        for part, written in enumerate(parts_of):
            if written.kind is RuleKind.ALTERNATIVE:
                new_index = {i: new for new, (i, _, _) in enumerate(self.options[part])}
                by_token[part] = {t: new_index[i] for t, i in written.option_by_token.items() if i in new_index}
        for part in fusion_order:
            new_index = {i: new for new, (i, _, _) in enumerate(self.options[part])}
            for token, i in parts_of[part].option_by_token.items():
                if i not in new_index:
                    continue
                head = find_head(options[part][new_index[i]].symbols, heads)
                if head is not None:
                    firsts = literal_tokens[head] if head < num_terminals else by_token[head - num_terminals]
                    if token not in firsts:
                        continue
                by_token[part][token] = new_index[i]
        parts = tuple(
            Part(written.rule, written.role, written.kind, tuple(options[part]), by_token[part])
            for part, written in enumerate(parts_of)
        )
        return replace(
            old,
            start=num_terminals,
            parts=parts,
            literal_tokens=tuple(literal_tokens),
            literal_counts=tuple(literal_counts),
            terminal_names=tuple(old.terminal_names[symbol] for symbol, _ in self.terminal_keys),
            fusion_order=tuple(part + num_terminals for part in fusion_order),
            splice_order=tuple(part + num_terminals for part in splice_order),
            heads=heads,
        )
