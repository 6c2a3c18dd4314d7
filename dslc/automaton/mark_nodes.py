"""When nodes are finished, from the parts of a grammar: the marks of `dslc.automaton.heads`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dslc.automaton.classification import Part, Reduction
from dslc.automaton.heads import AnchorTokens, Heads, NodeMarks, PointerTokens
from dslc.automaton.lower import Lowering, price_symbols
from dslc.language.anchor_names import yes_literal
from dslc.language.anchors import Anchor
from dslc.language.contexts import Visibility, find_visibility, undecided_error
from dslc.language.grammar import BnfGrammar

MOST_AT_ONCE = 1 << 16
"""More nodes than this, finished with one token, count as so many."""

Numbers = tuple[int, ...]
"""How many nodes of each rule."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A terminal whose literals are numbers: those below `num_inputs` name inputs, the others finished nodes."""

    terminal: str
    rule: str
    """Name of the nodes, a rule or an alias."""
    num_inputs: int


def make_heads(lowering: Lowering, anchors: Sequence[Anchor], references: Sequence[Reference] = ()) -> Heads | None:
    """The heads that a policy over a space has; None where no terminal that is sampled from this start has one.

    Raises:
        DslcError: DSLC221 if it is not known before the content of a `?rule` whether trees show its node.
    """
    bnf = lowering.bnf
    tokens = {
        terminal.name: ids
        for terminal, ids in zip(bnf.terminals, lowering.classification.literal_tokens, strict=True)
        if ids
    }
    asking = [anchor for anchor in anchors if anchor.terminal in tokens]
    pointing = [reference for reference in references if reference.terminal in tokens]
    if not asking and not pointing:
        return None
    for anchor in asking:
        _refuse_undecided(bnf, anchor)
    rules = tuple(dict.fromkeys([*(anchor.rule for anchor in asking), *(each.rule for each in pointing)]))
    found = []
    for anchor in asking:
        ids = tokens[anchor.terminal]
        yes = yes_literal(bnf.terminal_by_name[anchor.terminal].literals)
        found.append(AnchorTokens(anchor.terminal, rules.index(anchor.rule), ids[yes], ids[1 - yes]))
    pointers = [
        PointerTokens(
            each.terminal,
            rules.index(each.rule),
            each.num_inputs,
            tokens[each.terminal],
            tuple(int(literal.text) for literal in bnf.terminal_by_name[each.terminal].literals),
        )
        for each in pointing
    ]
    return Heads(mark_nodes(lowering, rules), tuple(found), tuple(pointers))


def _refuse_undecided(bnf: BnfGrammar, anchor: Anchor) -> None:
    visibility = find_visibility(bnf)
    for rule, shapes in bnf.node_shapes.items():
        for shape, seen in zip(shapes, visibility[rule], strict=True):
            if seen is Visibility.UNDECIDED and anchor.rule in (shape.name, shape.rule):
                raise undecided_error(anchor, rule)


def mark_nodes(lowering: Lowering, rules: Sequence[str]) -> NodeMarks:
    """When nodes of some rules or aliases are finished, for every sentence of the automaton.

    Counted are the nodes that trees show, those of a rule whatever their alias. A node is finished with the last token
    that decides something in it; a step of a left list ends before it is decided whether another follows, and the nodes
    of a right list, each of which holds those behind it, end with the stop.
    """
    return _Marking(lowering, tuple(rules)).make()


@dataclass(frozen=True, slots=True)
class _Run:
    """Slots that are left to fill, with the nodes that are finished before the first of them and with each."""

    lead: Numbers
    slots: tuple[tuple[int, Numbers], ...] = ()


class _Marking:
    """Runs of the parts as lowering makes them, but with reductions in them."""

    def __init__(self, lowering: Lowering, rules: tuple[str, ...]) -> None:
        self.rules = rules
        self.none: Numbers = (0,) * len(rules)
        self.classification = lowering.classification
        self.width = lowering.automaton.num_tokens + 1
        self.max_budget = lowering.automaton.max_budget
        self.num_terminals = self.classification.num_terminals
        self.needs = price_symbols(self.classification)
        self.weights = _weigh_reductions(lowering.bnf, self.classification.reductions, rules)
        counts = self.classification.literal_counts
        self.content = {i: _Run(self.none) for i, count in enumerate(counts) if count == 1}
        # Of what begins with a terminal or a fused part: nodes before that, and the run behind it.
        self.after_head: dict[int, tuple[Numbers, _Run]] = {}
        for symbol in self.classification.splice_order:
            if self.needs[symbol] <= self.max_budget:
                actions = self._part(symbol).options[0].actions
                self.content[symbol] = self._expand(actions)
                self.after_head[symbol] = self._expand_after_head(actions)
        self.fused: dict[int, dict[int, _Run | None]] = {}
        for symbol in self.classification.fusion_order:
            self.fused[symbol] = self._fused_runs(symbol)

    def _part(self, symbol: int) -> Part:
        return self.classification.parts[symbol - self.num_terminals]

    def _price(self, symbols: Iterable[int]) -> int:
        return sum(self.needs[symbol] for symbol in symbols)

    def _join(self, first: _Run, second: _Run) -> _Run:
        """One run after the other: what the second begins with ends with the first's last slot."""
        if not first.slots:
            return _Run(_add(first.lead, second.lead), second.slots)
        *slots, (symbol, behind) = first.slots
        return _Run(first.lead, (*slots, (symbol, _add(behind, second.lead)), *second.slots))

    def _expand(self, actions: Iterable[int]) -> _Run:
        lead = self.none
        slots: list[tuple[int, Numbers]] = []
        for action in actions:
            if action < 0:
                inner = _Run(self.weights[-1 - action])
            else:
                inner = self.content.get(action) or _Run(self.none, ((action, self.none),))
            if slots:
                slots[-1] = (slots[-1][0], _add(slots[-1][1], inner.lead))
            else:
                lead = _add(lead, inner.lead)
            slots += inner.slots
        return _Run(lead, tuple(slots))

    def _expand_after_head(self, actions: Sequence[int]) -> tuple[Numbers, _Run]:
        """Nodes before the first terminal or part that is not spliced, and the run behind that."""
        heads = self.classification.heads
        before = self.none
        for i, action in enumerate(actions):
            if action >= 0 and heads.get(action, action) is not None:
                inside, rest = self.after_head.get(action, (self.none, _Run(self.none)))
                return _add(before, inside), self._join(rest, self._expand(actions[i + 1 :]))
            before = _add(before, self._expand((action,)).lead)
        return before, _Run(self.none)

    def _fused_runs(self, symbol: int) -> dict[int, _Run | None]:
        part, heads = self._part(symbol), self.classification.heads
        runs: dict[int, _Run | None] = {}
        parted: list[tuple[int | None, tuple[Numbers, _Run]] | None] = []
        for option in part.options:
            if self._price(option.symbols) > self.max_budget:
                parted.append(None)
                continue
            firsts = (heads.get(each, each) for each in option.symbols)
            head = next((first for first in firsts if first is not None), None)
            parted.append((head, self._expand_after_head(option.actions)))
        for token, option_id in part.option_by_token.items():
            found = parted[option_id]
            if found is None:
                runs[token] = None
                continue
            head, (before, rest) = found
            inner: _Run | None = _Run(self.none)
            if head is not None and head >= self.num_terminals:
                inner = self.fused[head][token]
            joined = None if inner is None else self._join(self._join(_Run(before), inner), rest)
            is_short = joined is not None and self._price(slot for slot, _ in joined.slots) <= self.max_budget
            runs[token] = joined if is_short else None
        return runs

    def _choices(self, symbol: int) -> dict[int, _Run | None]:
        if symbol < self.num_terminals:
            return dict.fromkeys(self.classification.literal_tokens[symbol], _Run(self.none))
        if symbol in self.fused:
            return self.fused[symbol]
        part = self._part(symbol)
        short = [self._price(option.symbols) <= self.max_budget for option in part.options]
        return {
            token: self._expand(part.options[option].actions) if short[option] else None
            for token, option in part.option_by_token.items()
        }

    def make(self) -> NodeMarks:
        slot_id: dict[int, int] = {}
        slots: list[int] = []
        position_id: dict[tuple[int, Numbers, int], int] = {}
        position_slot, following, behind = [0], [0], [self.none]

        def open_run(run: _Run) -> int:
            position = 0
            for symbol, numbers in reversed(run.slots):
                if symbol not in slot_id:
                    slot_id[symbol] = len(slots)
                    slots.append(symbol)
                key = (slot_id[symbol], numbers, position)
                position = position_id.get(key, 0)
                if not position:
                    position = position_id[key] = len(position_slot)
                    position_slot.append(key[0])
                    behind.append(numbers)
                    following.append(key[2])
            return position

        start = self._expand((self.classification.start,))
        start_position = open_run(start)
        cells: list[int] = []
        firsts: list[int] = []
        leads: list[Numbers] = []
        for slot, symbol in enumerate(slots):  # grows while it is walked
            for token, run in self._choices(symbol).items():
                if run is not None:
                    cells.append(slot * self.width + token)
                    firsts.append(open_run(run))
                    leads.append(run.lead)
        num_cells = max(1, len(slots)) * self.width
        run_table = np.zeros(num_cells, np.int32)
        lead_table = np.zeros((num_cells, len(self.rules)), np.int32)
        run_table[cells] = firsts
        lead_table[cells] = np.array(leads, np.int32).reshape(len(leads), len(self.rules))
        return NodeMarks(
            rules=self.rules,
            start_position=start_position,
            start_finished=np.array(start.lead, np.int32),
            slot_base=np.array(position_slot, np.int32) * np.int32(self.width),
            next=np.array(following, np.int32),
            behind=np.array(behind, np.int32).reshape(len(behind), len(self.rules)),
            run=run_table,
            lead=lead_table,
        )


def _weigh_reductions(bnf: BnfGrammar, reductions: Sequence[Reduction], rules: Sequence[str]) -> list[Numbers]:
    visibility = find_visibility(bnf)
    weights = []
    for each in reductions:
        shape = bnf.node_shapes[each.rule][each.production]
        is_shown = visibility[each.rule][each.production] is Visibility.SHOWN
        weights.append(tuple(int(is_shown and rule in (shape.name, shape.rule)) for rule in rules))
    return weights


def _add(first: Numbers, second: Numbers) -> Numbers:
    return tuple(min(a + b, MOST_AT_ONCE) for a, b in zip(first, second, strict=True))
