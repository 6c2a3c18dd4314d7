"""Exact counts under `at_most`, `at_least` and `ref`: by number of tokens and by what a part adds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate

from dslc.automaton.count import MAX_CUMULATIVE_CELLS, Counts, no_sentence
from dslc.automaton.tables import TokenAutomaton
from dslc.automaton.walk_prefix import walk_prefix

_Ways = list[list[dict[int, int]]]
"""[tokens][stage before] number of ways, by what they add to the total."""


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
        self._num_stages = registers.num_stages
        self._start_total = registers.start
        self._add: list[list[int]] = registers.add.tolist()
        self._dead = registers.size
        self._accepts: list[bool] = [*registers.accepts.tolist(), False]
        self._gain: list[list[int]] = registers.gain.tolist()
        self._tail: list[list[int]] = registers.tail.tolist()
        same = list(range(self._num_stages + 1))
        self._goes_on = [bool(rest) or tail != same for rest, tail in zip(self._next, self._tail, strict=True)]
        """[position] something follows its slot in its run, be it only a change of the stage."""
        moves = {tuple(tail): self._move_totals(tail) for tail in self._tail}
        self._moved = [moves[tuple(tail)] for tail in self._tail]
        """[position][total] the total with the stage behind the position's tail, DEAD where there is none."""
        self.slot_ways, self.position_ways = self._count_ways()
        start_row, stage = self._add[registers.start], registers.start % self._num_stages
        self._ends: list[list[tuple[int, int]]] = [
            sorted((e, ways) for e, ways in by_stage[stage].items() if self._accepts[start_row[e]])
            for by_stage in self.position_ways[automaton.start_position]
        ]
        """[tokens] (what a sentence adds, number of ways)."""
        self.by_tokens = tuple(sum(ways for _, ways in ends) for ends in self._ends)
        self.total = sum(self.by_tokens)
        self._before_length = list(accumulate(self.by_tokens, initial=0))
        self._total_cuts: dict[tuple[int, int, int, int], tuple[list[tuple[int, int, int]], list[int]]] = {}
        self._total_picks: dict[tuple[int, int, int, int], tuple[list[tuple[int, int]], list[int]]] = {}

    def _keep(self, cells: int) -> None:
        self._kept_cells += cells
        if self._kept_cells > MAX_CUMULATIVE_CELLS:
            self._total_cuts.clear()
            self._total_picks.clear()
            self._kept_cells = cells

    def _count_ways(self) -> tuple[list[_Ways], list[_Ways]]:
        add, dead, budget, num_stages = self._add, self._dead, self.budget, self._num_stages
        stages = range(num_stages)
        num_slots, num_positions = self.automaton.num_slots, self.automaton.num_positions

        def nothing() -> list[dict[int, int]]:
            return [{} for _ in stages]

        slot_ways: list[_Ways] = [[nothing() for _ in range(budget + 1)] for _ in range(num_slots)]
        position_ways: list[_Ways] = [[[{stage: 1} for stage in stages], *(nothing() for _ in range(budget))]]
        for position in range(1, num_positions):  # a position behind which nothing follows shares the list of its slot
            own = None if self._goes_on[position] else slot_ways[self._slot[position]]
            position_ways.append([nothing() for _ in range(budget + 1)] if own is None else own)
        width = self.automaton.num_tokens + 1
        opened: list[list[tuple[_Ways, int, int, list[int], int]]] = []
        for slot, choices in enumerate(self.choices):
            multiplicity: dict[tuple[int, int, int], int] = {}
            for token, run in choices:
                for stage, gain in enumerate(self._gain[slot * width + token]):
                    if gain != dead:
                        key = (run, stage, gain)
                        multiplicity[key] = multiplicity.get(key, 0) + 1
            opened.append(
                [
                    (position_ways[run], stage, gain % num_stages, add[gain], number)
                    for (run, stage, gain), number in multiplicity.items()
                ]
            )
        inner = [
            (position_ways[p], slot_ways[self._slot[p]], self._moved[p], position_ways[self._next[p]])
            for p in range(1, num_positions)
            if self._goes_on[p]
        ]
        for n in range(1, budget + 1):
            for slot in range(num_slots):
                for run_ways, stage, opened_stage, row, number in opened[slot]:
                    ways = slot_ways[slot][n][stage]
                    for e, each in run_ways[n - 1][opened_stage].items():
                        if row[e] != dead:
                            ways[row[e]] = ways.get(row[e], 0) + number * each
            for whole, first, moved, rest in inner:
                for k in range(1, n + 1):
                    rest_ways = rest[n - k]
                    if not any(rest_ways):
                        continue
                    for ways, some_ways in zip(whole[n], first[k], strict=True):
                        for a, some in some_ways.items():
                            total = moved[a]
                            if total == dead:
                                continue
                            row = add[total]
                            for b, others in rest_ways[total % num_stages].items():
                                if row[b] != dead:
                                    ways[row[b]] = ways.get(row[b], 0) + some * others
        return slot_ways, position_ways

    def _move_totals(self, tail: list[int]) -> list[int]:
        stages = [(total % self._num_stages, total) for total in range(self._dead)]
        return [
            total - stage + tail[stage] if tail[stage] < self._num_stages else self._dead for stage, total in stages
        ]

    # --- the order ------------------------------------------------------------------------------------------------

    def _cut_total(
        self, position: int, stage: int, tokens: int, total: int
    ) -> tuple[list[tuple[int, int, int]], list[int]]:
        """How a position and the rest of its run share tokens and a total: (tokens of the slot, what it adds, what the
        rest adds), and for each the number of ways of those before."""
        found = self._total_cuts.get((position, stage, tokens, total))
        if found is None:
            first, rest = self.slot_ways[self._slot[position]], self.position_ways[self._next[position]]
            cuts = []
            begins = [0]
            for k in range(1, tokens + 1):
                for a, ways in sorted(first[k][stage].items()):
                    moved = self._moved[position][a]
                    if moved == self._dead:
                        continue
                    for b, others in sorted(rest[tokens - k][moved % self._num_stages].items()):
                        if self._add[moved][b] == total:
                            cuts.append((k, a, b))
                            begins.append(begins[-1] + ways * others)
            begins.pop()
            found = self._total_cuts[position, stage, tokens, total] = (cuts, begins)
            self._keep(len(cuts))
        return found

    def _pick_total(self, slot: int, stage: int, tokens: int, total: int) -> tuple[list[tuple[int, int]], list[int]]:
        """How a slot begins: (token, what its run adds), and for each the number of ways of those before."""
        found = self._total_picks.get((slot, stage, tokens, total))
        if found is None:
            base = slot * (self.automaton.num_tokens + 1)
            chosen = []
            for token, run in self.choices[slot]:
                gain = self._gain[base + token][stage]
                if gain != self._dead:
                    ways_of = self.position_ways[run][tokens - 1][gain % self._num_stages]
                    chosen += [((token, e), n) for e, n in sorted(ways_of.items()) if self._add[gain][e] == total]
            begins = list(accumulate((ways for _, ways in chosen[:-1]), initial=0))
            found = self._total_picks[slot, stage, tokens, total] = ([pair for pair, _ in chosen], begins)
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
        pending = [(self.automaton.start_position, self._start_total % self._num_stages, length, total, index)]
        while pending:
            position, stage, length, total, index = pending.pop()
            if not position:
                continue
            rest = self._next[position]
            if self._goes_on[position]:
                cuts, begins = self._cut_total(position, stage, length, total)
                at = bisect_right(begins, index) - 1
                taken, total, rest_total = cuts[at]
                behind = self._tail[position][total % self._num_stages]
                ways = self.position_ways[rest][length - taken][behind][rest_total]
                index, rest_index = divmod(index - begins[at], ways)
                pending.append((rest, behind, length - taken, rest_total, rest_index))
                length = taken
            picks, begins = self._pick_total(self._slot[position], stage, length, total)
            at = bisect_right(begins, index) - 1
            token, inner = picks[at]
            tokens.append(token)
            cell = self._slot_base[position] + token
            opened = self._gain[cell][stage] % self._num_stages
            pending.append((self._run[cell], opened, length - 1, inner, index - begins[at]))
        return tuple(tokens)

    def _find_stages(self, tokens: Sequence[int], positions: Sequence[int]) -> list[int]:
        """The stage before each token of a sentence of the automaton without counters.

        Raises:
            DslcError: DSLC303 if a literal refers to what is not finished.
        """
        stage = self._start_total % self._num_stages
        stages = []
        opened: list[int] = []
        for place, (token, position) in enumerate(zip(tokens, positions, strict=True)):
            stages.append(stage)
            cell = self._slot_base[position] + token
            gain = self._gain[cell][stage]
            if gain == self._dead:
                raise no_sentence(f"token {place + 1} of {len(tokens)} is not allowed there")
            stage = gain % self._num_stages
            opened.append(position)
            if self._run[cell]:
                continue
            while opened:  # slots that are filled, and the runs that end with them
                filled = opened.pop()
                stage = self._tail[filled][stage]
                if stage == self._num_stages:
                    raise no_sentence(f"token {place + 1} of {len(tokens)} is not allowed there")
                if self._next[filled]:
                    break
        return stages

    def rank(self, tokens: Sequence[int]) -> int:
        """The index of a token sequence, the inverse of `unrank`.

        Raises:
            DslcError: DSLC303 if it is no sentence within the budget and the counts.
        """
        positions = self._positions(tokens)
        stages = self._find_stages(tokens, positions)
        # From the last token to the first: (tokens, total, index) of each finished rest of a run, innermost last.
        finished: list[tuple[int, int, int]] = []
        for place in range(len(tokens) - 1, -1, -1):
            token, position, stage = tokens[place], positions[place], stages[place]
            cell = self._slot_base[position] + token
            gain = self._gain[cell][stage]
            length, inner, index = finished.pop() if self._run[cell] else (0, gain % self._num_stages, 0)
            length += 1
            total = self._add[gain][inner]
            if total == self._dead:
                raise no_sentence(f"token {place + 1} of {len(tokens)} begins what counts too much")
            picks, begins = self._pick_total(self._slot[position], stage, length, total)
            index += begins[picks.index((token, inner))]
            rest = self._next[position]
            if self._goes_on[position]:
                moved = self._moved[position][total]
                behind = moved % self._num_stages
                rest_length, rest_total, rest_index = finished.pop() if rest else (0, behind, 0)
                joined = self._add[moved][rest_total]
                if joined == self._dead:
                    raise no_sentence(f"token {place + 1} of {len(tokens)} begins what counts too much")
                cuts, begins = self._cut_total(position, stage, length + rest_length, joined)
                ways = self.position_ways[rest][rest_length][behind][rest_total]
                index = begins[cuts.index((length, total, rest_total))] + index * ways + rest_index
                length, total = length + rest_length, joined
            finished.append((length, total, index))
        _, total, index = finished[0] if finished else (0, self._start_total % self._num_stages, 0)
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
        state, after = walk_prefix(self, prefix, by_total, self._weigh_before)
        if not state.top:
            return {}
        assert state.counts is not None, "the automaton counts"
        total = state.counts.total
        shares = {}
        for token, run in self.choices[self._slot[state.top]]:
            gain = self._gain[self._slot_base[state.top] + token][total % self._num_stages]
            shares[token] = self._weigh(self.position_ways[run], after, used, self._add[total][gain])
        whole = sum(shares.values())
        return {token: Fraction(weight, whole) for token, weight in shares.items() if weight}

    def _weigh(self, ways_of: _Ways, after: list[list[int]], used: int, total: int) -> int:
        """Weight of all ways to fill what has these ways, from `used` tokens and a total."""
        if total == self._dead:
            return 0
        row, stage = self._add[total], total % self._num_stages
        return sum(
            ways * after[used + n][row[e]]
            for n, by_stage in enumerate(ways_of[: len(after) - used])
            for e, ways in by_stage[stage].items()
        )

    def _weigh_before(self, position: int, after: list[list[int]], begin: int) -> list[list[int]]:
        if not self._goes_on[position]:
            return after
        nothing = [0] * (self._dead + 1)
        rest = self.position_ways[self._next[position]]
        return [nothing] * begin + [
            [*(self._weigh(rest, after, used, total) for total in self._moved[position]), 0]
            for used in range(begin, len(after))
        ]
