"""Exact counts under `at_most` and `at_least`: of each slot and position by number of tokens and by what they add."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate

from dslc.automaton.count import MAX_CUMULATIVE_CELLS, Counts, no_sentence
from dslc.automaton.tables import TokenAutomaton
from dslc.automaton.walk_prefix import walk_prefix

_Ways = list[dict[int, int]]
"""[tokens] number of ways, by what they add to the total."""


def count_sentences(automaton: TokenAutomaton, budget: int) -> Counts:
    """Exact counts of an automaton, those of its counters included.

    Raises:
        DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
    """
    return Counts(automaton, budget) if automaton.registers is None else TotalCounts(automaton, budget)


class TotalCounts(Counts):
    """Counts of the sentences within a budget whose totals the registers accept, and the order that numbers them.

    The tables of `Counts`, by tokens alone, are those without counters. Order: by number of tokens, then by total;
    then slot by slot in reading order, first by how many tokens the slot's part takes, then by what it and the rest
    add, then by token id.
    """

    def __init__(self, automaton: TokenAutomaton, budget: int) -> None:
        """Counts every length up to `budget`.

        Raises:
            DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
        """
        super().__init__(automaton, budget)
        assert automaton.registers is not None, "the automaton counts"
        registers = automaton.registers
        self._start_total = registers.start
        self._add: list[list[int]] = registers.add.tolist()
        self._dead = registers.size
        self._accepts: list[bool] = [*registers.accepts.tolist(), False]
        self._gain: list[int] = registers.gain.tolist()
        self.slot_ways, self.position_ways = self._count_ways()
        start_row = self._add[registers.start]
        self._ends: list[list[tuple[int, int]]] = [
            sorted((e, ways) for e, ways in by_total.items() if self._accepts[start_row[e]])
            for by_total in self.position_ways[automaton.start_position]
        ]
        """[tokens] (what a sentence adds, number of ways)."""
        self.by_tokens = tuple(sum(ways for _, ways in ends) for ends in self._ends)
        self.total = sum(self.by_tokens)
        self._before_length = list(accumulate(self.by_tokens, initial=0))
        self._total_cuts: dict[tuple[int, int, int], tuple[list[tuple[int, int, int]], list[int]]] = {}
        self._total_picks: dict[tuple[int, int, int], tuple[list[tuple[int, int]], list[int]]] = {}

    def _keep(self, cells: int) -> None:
        self._kept_cells += cells
        if self._kept_cells > MAX_CUMULATIVE_CELLS:
            self._total_cuts.clear()
            self._total_picks.clear()
            self._kept_cells = cells

    def _count_ways(self) -> tuple[list[_Ways], list[_Ways]]:
        add, dead, budget = self._add, self._dead, self.budget
        num_slots, num_positions = self.automaton.num_slots, self.automaton.num_positions
        slot_ways: list[_Ways] = [[{} for _ in range(budget + 1)] for _ in range(num_slots)]
        position_ways: list[_Ways] = [[{0: 1}, *({} for _ in range(budget))]]
        for position in range(1, num_positions):
            ends = not self._next[position]  # a position that ends its run shares the list of its slot
            position_ways.append(slot_ways[self._slot[position]] if ends else [{} for _ in range(budget + 1)])
        width = self.automaton.num_tokens + 1
        opened: list[list[tuple[_Ways, list[int], int]]] = []
        for slot, choices in enumerate(self.choices):
            multiplicity: dict[tuple[int, int], int] = {}
            for token, run in choices:
                key = (run, self._gain[slot * width + token])
                multiplicity[key] = multiplicity.get(key, 0) + 1
            opened.append([(position_ways[run], add[gain], number) for (run, gain), number in multiplicity.items()])
        inner = [
            (position_ways[p], slot_ways[self._slot[p]], position_ways[self._next[p]])
            for p in range(1, num_positions)
            if self._next[p]
        ]
        for n in range(1, budget + 1):
            for slot in range(num_slots):
                ways = slot_ways[slot][n]
                for run_ways, row, number in opened[slot]:
                    for e, each in run_ways[n - 1].items():
                        if row[e] != dead:
                            ways[row[e]] = ways.get(row[e], 0) + number * each
            for whole, first, rest in inner:
                ways = whole[n]
                for k in range(1, n):
                    if not first[k] or not rest[n - k]:
                        continue
                    for a, some in first[k].items():
                        row = add[a]
                        for b, others in rest[n - k].items():
                            if row[b] != dead:
                                ways[row[b]] = ways.get(row[b], 0) + some * others
        return slot_ways, position_ways

    # --- the order ------------------------------------------------------------------------------------------------

    def _cut_total(self, position: int, tokens: int, total: int) -> tuple[list[tuple[int, int, int]], list[int]]:
        """How a position and the rest of its run share tokens and a total: (tokens of the slot, what it adds, what the
        rest adds), and for each the number of ways of those before."""
        found = self._total_cuts.get((position, tokens, total))
        if found is None:
            first, rest = self.slot_ways[self._slot[position]], self.position_ways[self._next[position]]
            cuts = sorted(
                (k, a, b)
                for k in range(1, tokens + 1)
                for a in first[k]
                for b in rest[tokens - k]
                if self._add[a][b] == total
            )
            begins = list(accumulate((first[k][a] * rest[tokens - k][b] for k, a, b in cuts[:-1]), initial=0))
            found = self._total_cuts[position, tokens, total] = (cuts, begins)
            self._keep(len(cuts))
        return found

    def _pick_total(self, slot: int, tokens: int, total: int) -> tuple[list[tuple[int, int]], list[int]]:
        """How a slot begins: (token, what its run adds), and for each the number of ways of those before."""
        found = self._total_picks.get((slot, tokens, total))
        if found is None:
            base = slot * (self.automaton.num_tokens + 1)
            chosen = [
                ((token, e), ways)
                for token, run in self.choices[slot]
                for e, ways in sorted(self.position_ways[run][tokens - 1].items())
                if self._add[self._gain[base + token]][e] == total
            ]
            begins = list(accumulate((ways for _, ways in chosen[:-1]), initial=0))
            found = self._total_picks[slot, tokens, total] = ([pair for pair, _ in chosen], begins)
            self._keep(len(chosen))
        return found

    def unrank_length(self, length: int, index: int) -> tuple[int, ...]:
        """The token sequence of an index in 0 .. by_tokens[length] - 1 among those of `length` tokens."""
        ends = iter(self._ends[length])
        total, ways = next(ends)
        while index >= ways:
            index -= ways
            total, ways = next(ends)
        tokens: list[int] = []
        pending = [(self.automaton.start_position, length, total, index)]
        while pending:
            position, length, total, index = pending.pop()
            if not position:
                continue
            rest = self._next[position]
            if rest:
                cuts, begins = self._cut_total(position, length, total)
                at = bisect_right(begins, index) - 1
                taken, total, rest_total = cuts[at]
                ways = self.position_ways[rest][length - taken][rest_total]
                index, rest_index = divmod(index - begins[at], ways)
                pending.append((rest, length - taken, rest_total, rest_index))
                length = taken
            picks, begins = self._pick_total(self._slot[position], length, total)
            at = bisect_right(begins, index) - 1
            token, inner = picks[at]
            tokens.append(token)
            pending.append((self._run[self._slot_base[position] + token], length - 1, inner, index - begins[at]))
        return tuple(tokens)

    def rank(self, tokens: Sequence[int]) -> int:
        """The index of a token sequence, the inverse of `unrank`.

        Raises:
            DslcError: DSLC303 if it is no sentence within the budget and the counts.
        """
        positions = self._positions(tokens)
        # From the last token to the first: (tokens, total, index) of each finished rest of a run, innermost last.
        finished: list[tuple[int, int, int]] = []
        for place, token, position in zip(
            range(len(tokens) - 1, -1, -1), reversed(tokens), reversed(positions), strict=True
        ):
            cell = self._slot_base[position] + token
            length, inner, index = finished.pop() if self._run[cell] else (0, 0, 0)
            length += 1
            total = self._add[self._gain[cell]][inner]
            if total == self._dead:
                raise no_sentence(f"token {place + 1} of {len(tokens)} begins what counts too much")
            picks, begins = self._pick_total(self._slot[position], length, total)
            index += begins[picks.index((token, inner))]
            rest = self._next[position]
            if rest:
                rest_length, rest_total, rest_index = finished.pop()
                joined = self._add[total][rest_total]
                if joined == self._dead:
                    raise no_sentence(f"token {place + 1} of {len(tokens)} begins what counts too much")
                cuts, begins = self._cut_total(position, length + rest_length, joined)
                ways = self.position_ways[rest][rest_length][rest_total]
                index = begins[cuts.index((length, total, rest_total))] + index * ways + rest_index
                length, total = length + rest_length, joined
            finished.append((length, total, index))
        _, total, index = finished[0] if finished else (0, 0, 0)
        for before, ways in self._ends[len(tokens)]:
            if before == total:
                return self._before_length[len(tokens)] + index
            index += ways
        raise no_sentence("the sentence counts too much or too little")

    # --- next tokens ----------------------------------------------------------------------------------------------

    def next_shares(self, prefix: Sequence[int], weights: Sequence[int]) -> dict[int, Fraction]:
        """Probability of each token that can follow `prefix`, where a sentence of n tokens weighs `weights[n]`.

        As in `uniform_next`, with a vector by tokens used and total beside each position.

        Raises:
            DslcError: DSLC303 if no sentence within the budget and the counts begins with `prefix`.
        """
        used = len(prefix) + 1
        by_total = [[weight if accepts else 0 for accepts in self._accepts] for weight in weights]
        (*chosen_at, position), after = walk_prefix(self, prefix, by_total, self._weigh_before)
        if not position:
            return {}
        total = self._start_total
        for place, token in zip(chosen_at, prefix, strict=True):
            total = self._add[total][self._gain[self._slot_base[place] + token]]
        shares = {}
        for token, run in self.choices[self._slot[position]]:
            row = self._add[self._add[total][self._gain[self._slot_base[position] + token]]]
            shares[token] = self._weigh(run, after, used, row)
        whole = sum(shares.values())
        return {token: Fraction(weight, whole) for token, weight in shares.items() if weight}

    def _weigh(self, position: int, after: list[list[int]], used: int, row: list[int]) -> int:
        """Weight of all ways to fill a position and the rest of its run, from `used` tokens and the total of `row`."""
        return sum(
            ways * after[used + n][row[e]]
            for n, by_total in enumerate(self.position_ways[position][: len(after) - used])
            for e, ways in by_total.items()
        )

    def _weigh_before(self, position: int, after: list[list[int]], begin: int) -> list[list[int]]:
        nothing = [0] * (self._dead + 1)
        return [nothing] * begin + [
            [self._weigh(position, after, used, row) for row in self._add] for used in range(begin, len(after))
        ]
