"""A trimmed grammar to its token automaton: prices of the parts, then runs, positions and tables."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dslc.automaton.budget import budget_too_small
from dslc.automaton.classification import Classification, Part, RuleKind
from dslc.automaton.classify import classify_rules, find_head
from dslc.automaton.constrain import Constraining, constrain_grammar
from dslc.automaton.decoding import DecodingTables, make_decoding_tables
from dslc.automaton.registers import NEVER_TOKENS, Registers
from dslc.automaton.tables import TokenAutomaton
from dslc.automaton.totals import Gains, join_needs, surcharge
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.language.analyze import Facts
from dslc.language.constraints import Constraint
from dslc.language.grammar import BnfGrammar
from dslc.limits import Limit

_MASK_ROWS_AT_ONCE = 4096
NO_CHOICE = 1 << 30
"""Price of a choice that a slot does not have."""
NEVER = NO_CHOICE
"""Price of a symbol that no choices finish."""


@dataclass(frozen=True)
class Lowering:
    """An automaton with the grammar that it speaks, as needed to render and decode its tokens."""

    bnf: BnfGrammar
    """The trimmed grammar."""
    classification: Classification
    automaton: TokenAutomaton
    facts: Facts
    constraints: tuple[Constraint, ...]
    """What trees have to obey."""

    @cached_property
    def constraining(self) -> Constraining:
        """The constraints, and what they leave of the grammar."""
        return constrain_grammar(self.facts, self.constraints)

    @cached_property
    def decoding(self) -> DecodingTables:
        """What reading the tokens of a sentence looks up, made when first asked for."""
        return make_decoding_tables(self.classification, self.bnf)


def lower_grammar(facts: Facts, *, max_budget: int, constraints: Sequence[Constraint] = ()) -> Lowering:
    """The token automaton of a grammar, good for every budget up to `max_budget`.

    Args:
        facts: The grammar and its start.
        max_budget: The most tokens in a sentence.
        constraints: What trees have to obey.

    Raises:
        DslcError: DSLC321 if the language is empty, DSLC322 if no sentence has at most `max_budget` tokens, DSLC323 if
        the tables pass a limit, DSLC331 if no sentence obeys the constraints, DSLC332 if they make the grammar too
        large.
    """
    trimmed = facts.trimmed
    rule = trimmed.rule_by_name.get(facts.start)
    if rule is None or not rule.productions:
        raise DslcError(
            Diagnostic(
                Code.EMPTY_LANGUAGE,
                Severity.ERROR,
                f"no sentence can be made from `{facts.start}`",
                help="add an alternative that does not need itself",
            )
        )
    constraining = constrain_grammar(facts, constraints)
    classification = classify_rules(trimmed, facts.start, constraining.no_lists)
    split = constraining.split(classification)
    needs = price_symbols(split)
    gains = None if constraining.totals is None else Gains(constraining.totals, split, trimmed, needs)
    min_tokens = _fewest(split, needs, gains)
    if min_tokens > max_budget:
        if not constraints:
            raise budget_too_small(facts.start, max_budget, min_tokens)
        # The import stands here since explaining lowers the grammar without each constraint.
        from dslc.automaton.contradict import explain_budget, explain_contradiction

        if min_tokens == NEVER:
            raise explain_contradiction(facts, constraints)
        raise explain_budget(facts, constraints, max_budget, min_tokens)
    automaton = _Tables(split, trimmed, needs, max_budget).make(facts.start, min_tokens, gains)
    lowering = Lowering(trimmed, classification, automaton, facts, tuple(constraints))
    vars(lowering)["constraining"] = constraining  # made already; a saved space makes it when first asked for
    return lowering


def fewest_tokens(facts: Facts, constraints: Sequence[Constraint]) -> int:
    """Tokens of the shortest sentence that obeys the constraints; NEVER if there is none."""
    constraining = constrain_grammar(facts, constraints)
    split = constraining.split(classify_rules(facts.trimmed, facts.start, constraining.no_lists))
    needs = price_symbols(split)
    totals = constraining.totals
    return _fewest(split, needs, None if totals is None else Gains(totals, split, facts.trimmed, needs))


def _fewest(split: Classification, needs: Sequence[int], gains: Gains | None) -> int:
    if gains is None:
        return needs[split.start]
    accepts = gains.totals.accepts
    return min((tokens for total, tokens in gains.needs[split.start].items() if accepts[total]), default=NEVER)


# --- prices -----------------------------------------------------------------------------------------------------------


def price_symbols(classification: Classification) -> list[int]:
    """Fewest tokens that finish each symbol, by a work list that settles the cheapest first (Knuth 1977).

    NEVER where constraints leave no way to finish it.
    """
    counts = classification.literal_counts
    num_symbols = len(counts) + len(classification.parts)
    needs = [-1] * num_symbols
    occurrences: list[list[int]] = [[] for _ in range(num_symbols)]
    price: list[int] = []
    open_symbols: list[int] = []
    owner: list[int] = []
    heap: list[tuple[int, int]] = []
    for i, part in enumerate(classification.parts):
        for option in part.options:
            head = find_head(option.symbols, classification.heads)
            number = len(price)
            price.append(surcharge(part, head, counts))
            open_symbols.append(len(option.symbols))
            owner.append(len(counts) + i)
            for symbol in option.symbols:
                occurrences[symbol].append(number)
            if not option.symbols:
                heap.append((price[number], owner[number]))
    heap.extend((0 if count == 1 else 1, symbol) for symbol, count in enumerate(counts) if count)
    heapq.heapify(heap)
    while heap:
        need, symbol = heapq.heappop(heap)
        if needs[symbol] >= 0:
            continue
        needs[symbol] = need
        for number in occurrences[symbol]:
            price[number] += need
            open_symbols[number] -= 1
            if open_symbols[number] == 0 and needs[owner[number]] < 0:
                heapq.heappush(heap, (price[number], owner[number]))
    for i, part in enumerate(classification.parts):
        need = needs[len(counts) + i]
        assert need < 0 or need >= (0 if part.kind is RuleKind.SPLICED else 1), "a slot needs at least one token"
    return [NEVER if need < 0 else need for need in needs]


# --- tables -----------------------------------------------------------------------------------------------------------

Run = tuple[int, ...]
"""Symbols of slots, in the order in which they are filled."""


class _Tables:
    """Slots, runs and positions of one start, as far as sentences within the budget reach."""

    def __init__(
        self, classification: Classification, trimmed: BnfGrammar, needs: Sequence[int], max_budget: int
    ) -> None:
        self.classification = classification
        self.labels = {rule.name: rule.label or rule.name for rule in trimmed.rules}
        self.needs = needs
        self.max_budget = max_budget
        self.max_slack = max_budget - needs[classification.start]
        self.num_terminals = classification.num_terminals
        # Spliced parts and forced terminals dissolve; an infeasible part is left out, its price says so before it is
        # met.
        self.content: dict[int, Run] = {i: () for i, n in enumerate(classification.literal_counts) if n == 1}
        self.content_after_head: dict[int, Run] = {}
        for symbol in classification.splice_order:
            if needs[symbol] <= max_budget:
                symbols = self._part(symbol).options[0].symbols
                self.content[symbol] = self._expand(symbols)
                self.content_after_head[symbol] = self._expand_after_head(symbols)
        # Runs that follow a token of a fused part; None if they pass the budget.
        self.fused_choices: dict[int, dict[int, Run | None]] = {}
        for symbol in classification.fusion_order:
            self.fused_choices[symbol] = self._fused_runs(symbol)

    def _part(self, symbol: int) -> Part:
        return self.classification.parts[symbol - self.num_terminals]

    def _price(self, symbols: Iterable[int]) -> int:
        return sum(self.needs[symbol] for symbol in symbols)

    def _expand(self, symbols: Iterable[int]) -> Run:
        slots: list[int] = []
        for symbol in symbols:
            inner = self.content.get(symbol)
            if inner is None:
                slots.append(symbol)
            else:
                slots.extend(inner)
        return tuple(slots)

    def _expand_after_head(self, symbols: Sequence[int]) -> Run:
        """Slots after the first terminal or part that is not spliced."""
        heads = self.classification.heads
        for i, symbol in enumerate(symbols):
            if heads.get(symbol, symbol) is not None:
                return self.content_after_head.get(symbol, ()) + self._expand(symbols[i + 1 :])
        return ()

    def _fused_runs(self, symbol: int) -> dict[int, Run | None]:
        part = self._part(symbol)
        heads: list[int | None] = []
        rests: list[Run | None] = []
        for option in part.options:
            feasible = self._price(option.symbols) <= self.max_budget
            heads.append(find_head(option.symbols, self.classification.heads))
            rests.append(self._expand_after_head(option.symbols) if feasible else None)
        runs: dict[int, Run | None] = {}
        for token, option_id in part.option_by_token.items():
            head, rest = heads[option_id], rests[option_id]
            if rest is None or head is None or head < self.num_terminals:
                runs[token] = rest
                continue
            inner = self.fused_choices[head][token]
            if inner is None or self._price(inner) + self._price(rest) > self.max_budget:
                runs[token] = None
            else:
                runs[token] = inner + rest
        return runs

    def _choices(self, symbol: int) -> dict[int, Run | None]:
        if symbol < self.num_terminals:
            return dict.fromkeys(self.classification.literal_tokens[symbol], ())
        fused = self.fused_choices.get(symbol)
        if fused is not None:
            return fused
        part = self._part(symbol)
        runs: dict[int, Run | None] = {}
        for token, option_id in part.option_by_token.items():
            symbols = part.options[option_id].symbols
            runs[token] = self._expand(symbols) if self._price(symbols) <= self.max_budget else None
        return runs

    def _slot_name(self, symbol: int) -> str:
        if symbol < self.num_terminals:
            return self.classification.terminal_names[symbol]
        part = self._part(symbol)
        return part.name.replace(part.rule, self.labels[part.rule], 1)

    def make(self, start: str, min_tokens: int, gains: Gains | None) -> TokenAutomaton:
        """The tables.

        Args:
            start: Name of the start, for messages.
            min_tokens: Of the shortest sentence.
            gains: What choices count, where there is something to count.
        """
        needs, max_slack = self.needs, self.max_slack
        width = len(self.classification.vocabulary) + 1
        slot_id: dict[int, int] = {}
        slots: list[int] = []  # symbols by slot
        position_id: dict[tuple[int, int], int] = {}
        position_slot, following = [0], [0]

        def open_run(run: Run) -> int:
            position = 0
            for symbol in run:
                if symbol not in slot_id:
                    slot_id[symbol] = len(slots)
                    slots.append(symbol)
            for symbol in reversed(run):
                key = (slot_id[symbol], position)
                position = position_id.get(key, 0)
                if not position:
                    position = position_id[key] = len(position_slot)
                    position_slot.append(key[0])
                    following.append(key[1])
            return position

        start_position = open_run(self._expand((self.classification.start,)))
        # Cells of the choice tables: (index, first position, price), and the largest price of each slot.
        cells, firsts, prices = array("q"), array("q"), array("q")
        caps: list[int] = []
        known_runs: dict[Run, tuple[int, int]] = {}
        max_slots, max_positions = Limit.SLOTS.number, Limit.POSITIONS.number
        max_cells, num_rows = Limit.TABLE_CELLS.number, 1
        for slot, symbol in enumerate(slots):  # grows while it is walked
            base, need, cap = slot * width, needs[symbol], 0
            for token, run in self._choices(symbol).items():
                if run is None:
                    continue
                known = known_runs.get(run)
                if known is None:
                    price = 1 + self._price(run)
                    if price - need > max_slack:
                        continue
                    known = known_runs[run] = (open_run(run), price)
                extra = known[1] - need
                assert extra >= 0, "a slot needs what its cheapest choice needs"
                if extra > max_slack:
                    continue
                cells.append(base + token)
                firsts.append(known[0])
                prices.append(extra)
                cap = max(cap, extra)
            caps.append(cap)
            num_rows += cap + 1
            if (num_rows + 2 * len(caps)) * width > max_cells:
                raise _too_large(start, "table cells", Limit.TABLE_CELLS)
            if len(slots) > max_slots:
                raise _too_large(start, "slots", Limit.SLOTS)
            if len(position_slot) > max_positions:
                raise _too_large(start, "positions", Limit.POSITIONS)

        num_cells = max(1, len(slots)) * width
        run_table = np.zeros(num_cells, np.int32)
        extra_table = np.full(num_cells, NO_CHOICE, np.int32)
        extra_table[width - 1 :: width] = 0  # padding is free
        run_table[cells] = firsts
        extra_table[cells] = prices
        slot_of = np.array(position_slot, np.int32)
        slot_rows = np.ones(len(slots) + 1, np.int32)
        slot_caps = np.array(caps, np.int32)
        if slots:
            np.cumsum(slot_caps + 1, out=slot_rows[1:])
            slot_rows[1:] += 1
        row_base = slot_rows[slot_of]
        row_cap = slot_caps[slot_of] if slots else np.zeros(1, np.int32)
        row_base[0] = row_cap[0] = 0
        return TokenAutomaton(
            vocabulary=self.classification.vocabulary,
            start=start,
            start_position=start_position,
            min_tokens=min_tokens,
            start_need=needs[self.classification.start],
            max_budget=self.max_budget,
            slot_names=tuple(self._slot_name(symbol) for symbol in slots),
            slot=slot_of,
            slot_base=slot_of * np.int32(width),
            next=np.array(following, np.int32),
            row_base=row_base,
            row_cap=row_cap,
            mask=_make_mask(extra_table.reshape(-1, width), slot_caps, num_rows, width),
            run=run_table,
            extra=extra_table,
            need=np.array([needs[symbol] for symbol in slots], np.int32),
            registers=None
            if gains is None
            else _make_registers(gains, slots, position_slot, following, dict(zip(cells, firsts, strict=True)), width),
        )


def _make_mask(
    extra: np.ndarray[tuple[int, int], np.dtype[np.int32]],
    slot_caps: np.ndarray[tuple[int], np.dtype[np.int32]],
    num_rows: int,
    width: int,
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """Row 0 for padding alone, then for each slot a row per slack, with the tokens that cost at most the slack."""
    mask = np.empty((num_rows, width), np.bool_)
    if len(slot_caps):
        heights = slot_caps + 1
        slot_of_row = np.repeat(np.arange(len(slot_caps)), heights)
        first_row = np.cumsum(heights) - heights
        slack = np.arange(num_rows - 1) - first_row[slot_of_row]
        for begin in range(0, num_rows - 1, _MASK_ROWS_AT_ONCE):  # a copy of the prices is made for each row
            rows = slice(begin, begin + _MASK_ROWS_AT_ONCE)
            np.less_equal(extra[slot_of_row[rows]], slack[rows, None], out=mask[1:][rows])
    mask[:, width - 1] = False
    mask[0, :] = False
    mask[0, width - 1] = True
    return mask


def _make_registers(
    gains: Gains,
    slots: Sequence[int],
    position_slot: Sequence[int],
    following: Sequence[int],
    runs: dict[int, int],
    width: int,
) -> Registers:
    """The counters of finished tables.

    Args:
        gains: What choices count.
        slots: Symbol of each slot.
        position_slot: Slot of each position.
        following: The position after each in its run, which has a lower number.
        runs: First position of the run that each choice leaves, by cell.
        width: V + 1.
    """
    totals, size = gains.totals, gains.totals.size
    # What a slot's symbol needs by what it adds; the choices are counted from the runs that they leave.
    rest: list[dict[int, int]] = [{0: 0}]
    for slot, after in zip(position_slot[1:], following[1:], strict=True):
        rest.append(join_needs(gains.needs[slots[slot]], rest[after], totals.add, totals.dead))
    gain = np.zeros(max(1, len(slots)) * width, np.int32)
    choice_of_cell = np.zeros_like(gain)
    rows: dict[tuple[tuple[int, int], ...], int] = {(): 0}
    rows_of_slot: list[dict[int, int]] = [{0: 0} for _ in slots] or [{0: 0}]
    for cell, run in runs.items():
        slot, token = divmod(cell, width)
        own = gains.of_choice(slots[slot], token)
        gain[cell] = own
        needs = join_needs({own: 1}, rest[run], totals.add, totals.dead) if own != totals.dead else {}
        row = rows.setdefault(tuple(sorted(needs.items())), len(rows))
        choice_of_cell[cell] = rows_of_slot[slot].setdefault(row, len(rows_of_slot[slot]))
    slot_choices = np.zeros((len(rows_of_slot), max(map(len, rows_of_slot))), np.int32)
    for slot, of_slot in enumerate(rows_of_slot):
        slot_choices[slot, : len(of_slot)] = list(of_slot)

    def table(
        needs: Iterable[Iterable[tuple[int, int]]], height: int
    ) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
        dense = np.full((height, size), NEVER_TOKENS, np.int32)
        for row, pairs in enumerate(needs):
            for total, tokens in pairs:
                dense[row, total] = tokens
        return dense

    return Registers(
        names=tuple(str(subject) for subject in totals.subjects),
        start=gains.closed[gains.split.start],
        add=np.array(totals.add, np.int32),
        accepts=np.array(totals.accepts, np.bool_),
        gain=gain,
        rest=table((each.items() for each in rest), len(rest)),
        choice=table(rows, len(rows)),
        slot_choices=slot_choices,
        choice_of_cell=choice_of_cell,
    )


def _too_large(start: str, what: str, limit: Limit) -> DslcError:
    return DslcError(
        Diagnostic(
            Code.TABLES_TOO_LARGE,
            Severity.ERROR,
            f"the automaton of `{start}` has more than {limit.number:,} {what}",
            help=limit.advise("a smaller budget, shorter repetitions or fewer literals make it smaller"),
        )
    )
