"""A trimmed grammar to its token automaton: prices of the parts, then runs, positions and tables."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dslc.automaton.budget import budget_too_small
from dslc.automaton.classification import Classification, Option, Part, RuleKind
from dslc.automaton.classify import classify_rules, find_head
from dslc.automaton.constrain import Constraining, constrain_grammar
from dslc.automaton.decoding import DecodingTables, make_decoding_tables
from dslc.automaton.make_registers import make_registers
from dslc.automaton.reading import ReadingTables, make_reading_tables
from dslc.automaton.stages import SAME, StageSteps
from dslc.automaton.tables import TokenAutomaton
from dslc.automaton.totals import Gains, surcharge
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

    @cached_property
    def reading(self) -> ReadingTables:
        """What making the trees of sentences looks up, made when first asked for."""
        return make_reading_tables(self.classification, self.decoding, len(self.bnf.joiner))


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
    steps = gains.steps if gains is not None and gains.totals.num_stages > 1 else None
    automaton = _Tables(split, trimmed, needs, max_budget, steps).make(facts.start, min_tokens, gains)
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
    return min((tokens for total, tokens in gains.needs[split.start][0].items() if accepts[total]), default=NEVER)


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
"""Symbols of slots, in the order in which they are filled; between them -1 - m where the stage changes by map m."""


class _Tables:
    """Slots, runs and positions of one start, as far as sentences within the budget reach."""

    def __init__(
        self,
        classification: Classification,
        trimmed: BnfGrammar,
        needs: Sequence[int],
        max_budget: int,
        steps: StageSteps | None,
    ) -> None:
        self.classification = classification
        self.steps = steps
        """Where the stage changes; None where there is one stage only."""
        self.labels = {rule.name: rule.label or rule.name for rule in trimmed.rules}
        self.needs = needs
        self.max_budget = max_budget
        self.max_slack = max_budget - needs[classification.start]
        self.num_terminals = classification.num_terminals
        # Spliced parts and forced terminals dissolve; an infeasible part is left out, its price says so before it is
        # met.
        self.content: dict[int, Run] = {
            i: self._literal(i) for i, n in enumerate(classification.literal_counts) if n == 1
        }
        self.content_around_head: dict[int, tuple[Run, Run]] = {}
        for symbol in classification.splice_order:
            if needs[symbol] <= max_budget:
                part = self._part(symbol)
                items = self._items(part, part.options[0])
                self.content[symbol] = self._expand(items)
                self.content_around_head[symbol] = self._split_at_head(items)
        # Runs that follow a token of a fused part; None if they pass the budget.
        self.fused_choices: dict[int, dict[int, Run | None]] = {}
        for symbol in classification.fusion_order:
            self.fused_choices[symbol] = self._fused_runs(symbol)

    def _part(self, symbol: int) -> Part:
        return self.classification.parts[symbol - self.num_terminals]

    def _price(self, items: Iterable[int]) -> int:
        return sum([self.needs[item] for item in items if item >= 0])

    def _literal(self, symbol: int, token: int | None = None) -> Run:
        """What a literal leaves: nothing but what it changes."""
        step = SAME if self.steps is None else self.steps.of_literal(symbol, token)
        return () if step == SAME else (-1 - step,)

    def _items(self, part: Part, option: Option) -> tuple[int, ...]:
        return option.symbols if self.steps is None else self.steps.list_items(part, option)

    def _join(self, *runs: Run) -> Run:
        """Runs one after the other, with one map where several meet."""
        items: list[int] = []
        for run in runs:
            for item in run:
                if item < 0 and items and items[-1] < 0:
                    assert self.steps is not None, "maps come from steps"
                    step = self.steps.stages.join(-1 - items.pop(), -1 - item)
                    if step != SAME:
                        items.append(-1 - step)
                else:
                    items.append(item)
        return tuple(items)

    def _expand(self, items: Iterable[int]) -> Run:
        slots: list[int] = []
        for item in items:
            inner = self.content.get(item)
            if inner is None:
                slots.append(item)
            else:
                slots.extend(inner)
        return tuple(slots) if self.steps is None else self._join(tuple(slots))

    def _split_at_head(self, items: Sequence[int]) -> tuple[Run, Run]:
        """What stands before the first terminal or part that is not spliced, maps alone, and what stands after it."""
        heads = self.classification.heads
        for i, item in enumerate(items):
            if item >= 0 and heads.get(item, item) is not None:
                before, after = self.content_around_head.get(item, ((), ()))
                rest = self._expand(items[i + 1 :])
                if self.steps is None:
                    return (), after + rest
                return self._join(self._expand(items[:i]), before), self._join(after, rest)
        return self._expand(items), ()

    def _fused_runs(self, symbol: int) -> dict[int, Run | None]:
        part = self._part(symbol)
        heads: list[int | None] = []
        around: list[tuple[Run, Run] | None] = []
        for option in part.options:
            feasible = self._price(option.symbols) <= self.max_budget
            heads.append(find_head(option.symbols, self.classification.heads))
            around.append(self._split_at_head(self._items(part, option)) if feasible else None)
        runs: dict[int, Run | None] = {}
        for token, option_id in part.option_by_token.items():
            head, both = heads[option_id], around[option_id]
            if both is None:
                runs[token] = None
                continue
            before, rest = both
            inner: Run | None = ()
            if head is not None:
                is_terminal = head < self.num_terminals
                inner = self._literal(head, token) if is_terminal else self.fused_choices[head][token]
            if inner is None or self._price(inner) + self._price(rest) > self.max_budget:
                runs[token] = None
            else:
                runs[token] = inner + rest if self.steps is None else self._join(before, inner, rest)
        return runs

    def _choices(self, symbol: int) -> dict[int, Run | None]:
        if symbol < self.num_terminals:
            return {token: self._literal(symbol, token) for token in self.classification.literal_tokens[symbol]}
        fused = self.fused_choices.get(symbol)
        if fused is not None:
            return fused
        part = self._part(symbol)
        runs: dict[int, Run | None] = {}
        for token, option_id in part.option_by_token.items():
            option = part.options[option_id]
            is_feasible = self._price(option.symbols) <= self.max_budget
            runs[token] = self._expand(self._items(part, option)) if is_feasible else None
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
        position_id: dict[tuple[int, int, int], int] = {}
        position_slot, following, tails = [0], [0], [SAME]

        def open_run(run: Run) -> tuple[int, int]:
            """The first position of a run, and the map before it."""
            position, step = 0, SAME
            for item in run:
                if item >= 0 and item not in slot_id:
                    slot_id[item] = len(slots)
                    slots.append(item)
            for item in reversed(run):
                if item < 0:
                    step = -1 - item
                    continue
                key = (slot_id[item], position, step)
                position = position_id.get(key, 0)
                if not position:
                    position = position_id[key] = len(position_slot)
                    position_slot.append(key[0])
                    following.append(key[1])
                    tails.append(step)
                step = SAME
            return position, step

        start_position, start_step = open_run(self._expand((self.classification.start,)))
        # Cells of the choice tables: (index, first position, price), and the largest price of each slot.
        cells, firsts, steps, prices = array("q"), array("q"), array("q"), array("q")
        caps: list[int] = []
        known_runs: dict[Run, tuple[int, int, int]] = {}
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
                    known = known_runs[run] = (*open_run(run), price)
                extra = known[2] - need
                assert extra >= 0, "a slot needs what its cheapest choice needs"
                if extra > max_slack:
                    continue
                cells.append(base + token)
                firsts.append(known[0])
                steps.append(known[1])
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
            else make_registers(
                gains,
                start_step,
                slots,
                list(zip(position_slot, following, tails, strict=True)),
                dict(zip(cells, zip(firsts, steps, strict=True), strict=True)),
                width,
            ),
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


def _too_large(start: str, what: str, limit: Limit) -> DslcError:
    return DslcError(
        Diagnostic(
            Code.TABLES_TOO_LARGE,
            Severity.ERROR,
            f"the automaton of `{start}` has more than {limit.number:,} {what}",
            help=limit.advise("a smaller budget, shorter repetitions or fewer literals make it smaller"),
        )
    )
