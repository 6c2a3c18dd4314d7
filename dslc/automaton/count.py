"""Exact counts of an automaton's token sequences by length, and the bijection between sequences and indices.

Counts are Python integers: of each slot and of each position (its slot and what follows in its run) by number of
tokens. Every choice costs at least one token, so they are finite for every grammar, cyclic ones too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import mul

from dslc.automaton.budget import check_budget
from dslc.automaton.tables import TokenAutomaton
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity

MAX_CUMULATIVE_CELLS = 2_000_000
"""Most integers kept to speed up unranking; past it they are thrown away and made again."""


class Counts:
    """Counts of the sentences within a budget, and the order that numbers them.

    Order: by number of tokens; among sentences of one length, slot by slot in reading order, first by how many tokens
    the slot's part of the sentence takes, then by token id. Where every slot has one length, that is the lexicographic
    order of token ids.
    """

    by_tokens: tuple[int, ...]
    """Number of token sequences by length: index = number of tokens, 0 to the budget."""
    total: int
    """Number of token sequences within the budget."""
    slot_counts: list[list[int]]
    """[slot][tokens] ways to fill a slot with exactly so many tokens."""
    position_counts: list[list[int]]
    """[position][tokens] ways to fill a position and what follows it in its run.

    Position 0 has one way, with no token.
    """

    def __init__(self, automaton: TokenAutomaton, budget: int) -> None:
        """Counts every length up to `budget`.

        Raises:
            DslcError: DSLC322 if no sentence fits the budget, with the smallest that works.
        """
        check_budget(automaton, budget)
        self.automaton = automaton
        self.budget = budget
        self._slot = automaton.slot.tolist()
        self._next = automaton.next.tolist()
        self._slot_base = automaton.slot_base.tolist()
        self._run = automaton.run.tolist()
        self.choices = self._find_choices()
        """[slot] its choices as (token, first position of the run), by token id."""
        self.slot_counts, self.position_counts = self._count()
        self.by_tokens = tuple(self.position_counts[automaton.start_position])
        self.total = sum(self.by_tokens)
        self._before_length = list(accumulate(self.by_tokens, initial=0))
        self._cuts: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
        self._picks: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
        self._kept_cells = 0

    def _count(self) -> tuple[list[list[int]], list[list[int]]]:
        automaton, budget = self.automaton, self.budget
        num_slots, num_positions = automaton.num_slots, automaton.num_positions
        slot_counts = [[0] * (budget + 1) for _ in range(num_slots)]
        # A position that ends its run shares the list of its slot.
        position_counts: list[list[int]] = [[1] + [0] * budget]
        for position in range(1, num_positions):
            ends = not self._next[position]
            position_counts.append(slot_counts[self._slot[position]] if ends else [0] * (budget + 1))
        # Runs of each slot with how many tokens open them.
        opened: list[list[tuple[list[int], int]]] = []
        for choices in self.choices:
            multiplicity: dict[int, int] = {}
            for _, run in choices:
                multiplicity[run] = multiplicity.get(run, 0) + 1
            opened.append([(position_counts[run], number) for run, number in multiplicity.items()])
        lengths: list[list[int]] = [[] for _ in range(num_slots)]  # lengths at which a slot has a count
        inner = [
            (position_counts[p], slot_counts[self._slot[p]], lengths[self._slot[p]], position_counts[self._next[p]])
            for p in range(1, num_positions)
            if self._next[p]
        ]
        for n in range(1, budget + 1):
            for slot in range(num_slots):
                ways = 0
                for counts, number in opened[slot]:
                    ways += number * counts[n - 1]
                if ways:
                    slot_counts[slot][n] = ways
                    lengths[slot].append(n)
            for whole, first, first_lengths, rest in inner:
                if len(first_lengths) < 8:
                    ways = 0
                    for k in first_lengths:
                        if rest[n - k]:
                            ways += first[k] * rest[n - k]
                    whole[n] = ways
                else:
                    whole[n] = sum(map(mul, first[1:n], rest[n - 1 : 0 : -1]))
        return slot_counts, position_counts

    def _find_choices(self) -> list[list[tuple[int, int]]]:
        choices: list[list[tuple[int, int]]] = [[] for _ in range(self.automaton.num_slots)]
        for position in range(1, self.automaton.num_positions):
            of_slot = choices[self._slot[position]]
            if not of_slot:
                of_slot.extend((token, run) for token, (_, run) in self.automaton.scalar.choices[position].items())
        return choices

    # --- the order ------------------------------------------------------------------------------------------------

    def _cut(self, position: int, tokens: int) -> tuple[list[int], list[int]]:
        """How a position and the rest of its run can share `tokens` tokens.

        Lengths that its slot can take, and for each the number of ways with a shorter one.
        """
        found = self._cuts.get((position, tokens))
        if found is None:
            first = self.slot_counts[self._slot[position]]
            rest = self.position_counts[self._next[position]]
            lengths = [k for k in range(1, tokens + 1) if first[k] and rest[tokens - k]]
            begins = list(accumulate((first[k] * rest[tokens - k] for k in lengths[:-1]), initial=0))
            found = (lengths, begins)
            self._keep(len(lengths))
            self._cuts[position, tokens] = found
        return found

    def _pick(self, slot: int, tokens: int) -> tuple[list[int], list[int]]:
        """Tokens that a slot filled by `tokens` tokens can begin with, and for each the ways with a lower id."""
        found = self._picks.get((slot, tokens))
        if found is None:
            chosen = [(token, self.position_counts[run][tokens - 1]) for token, run in self.choices[slot]]
            chosen = [(token, ways) for token, ways in chosen if ways]
            begins = list(accumulate((ways for _, ways in chosen[:-1]), initial=0))
            found = ([token for token, _ in chosen], begins)
            self._keep(len(chosen))
            self._picks[slot, tokens] = found
        return found

    def _keep(self, cells: int) -> None:
        self._kept_cells += cells
        if self._kept_cells > MAX_CUMULATIVE_CELLS:
            self._cuts.clear()
            self._picks.clear()
            self._kept_cells = cells

    def unrank(self, index: int) -> tuple[int, ...]:
        """The token sequence of an index in 0 .. total - 1.

        Raises:
            DslcError: DSLC325 if the index is outside.
        """
        if not 0 <= index < self.total:
            raise DslcError(
                Diagnostic(
                    Code.INDEX_OUT_OF_RANGE,
                    Severity.ERROR,
                    f"there is no sentence {index} among {self.total}",
                    help=f"indices go from 0 to {self.total - 1}",
                )
            )
        length = bisect_right(self._before_length, index) - 1
        return self.unrank_length(length, index - self._before_length[length])

    def unrank_length(self, length: int, index: int) -> tuple[int, ...]:
        """The token sequence of an index in 0 .. by_tokens[length] - 1 among those of `length` tokens."""
        tokens: list[int] = []
        pending = [(self.automaton.start_position, length, index)]
        slot_of, following, run, slot_base = self._slot, self._next, self._run, self._slot_base
        while pending:
            position, length, index = pending.pop()
            if not position:
                continue
            rest = following[position]
            if rest:
                lengths, begins = self._cut(position, length)
                at = bisect_right(begins, index) - 1
                taken = lengths[at]
                index, rest_index = divmod(index - begins[at], self.position_counts[rest][length - taken])
                pending.append((rest, length - taken, rest_index))
                length = taken
            chosen, begins = self._pick(slot_of[position], length)
            at = bisect_right(begins, index) - 1
            token = chosen[at]
            tokens.append(token)
            pending.append((run[slot_base[position] + token], length - 1, index - begins[at]))
        return tuple(tokens)

    def rank(self, tokens: Sequence[int]) -> int:
        """The index of a token sequence, the inverse of `unrank`.

        Raises:
            DslcError: DSLC303 if it is no sentence within the budget.
        """
        positions = self._positions(tokens)
        # From the last token to the first: (tokens, index) of each finished rest of a run, innermost last.
        finished: list[tuple[int, int]] = []
        slot_of, following, run, slot_base = self._slot, self._next, self._run, self._slot_base
        for token, position in zip(reversed(tokens), reversed(positions), strict=True):
            length, index = finished.pop() if run[slot_base[position] + token] else (0, 0)
            length += 1
            chosen, begins = self._pick(slot_of[position], length)
            index += begins[bisect_right(chosen, token) - 1]
            rest = following[position]
            if rest:
                rest_length, rest_index = finished.pop()
                whole = length + rest_length
                lengths, begins = self._cut(position, whole)
                at = bisect_right(lengths, length) - 1
                index = begins[at] + index * self.position_counts[rest][rest_length] + rest_index
                length = whole
            finished.append((length, index))
        index = finished[0][1] if finished else 0
        return self._before_length[len(tokens)] + index

    def _positions(self, tokens: Sequence[int]) -> list[int]:
        """Position at which each token of a whole sentence is taken."""
        choices_of = self.automaton.scalar.choices
        slack = self.budget - self.automaton.start_need
        position = self.automaton.start_position
        positions: list[int] = []
        stack = [0]
        for place, token in enumerate(tokens):
            extra, run = choices_of[position].get(token, (slack + 1, 0))
            if extra > slack:
                raise no_sentence(f"token {place + 1} of {len(tokens)} is not allowed there")
            slack -= extra
            positions.append(position)
            if self._next[position]:
                stack.append(self._next[position])
            position = run or (stack.pop() if len(stack) > 1 else 0)
        if position:
            raise no_sentence(f"the sequence of {len(tokens)} tokens is unfinished")
        return positions


def no_sentence(message: str) -> DslcError:
    """The error of tokens that are no sentence of the space."""
    return DslcError(
        Diagnostic(
            Code.TOKENS_NOT_A_SENTENCE,
            Severity.ERROR,
            message,
            help="give all tokens of one sentence of this space, in order and within the budget",
        )
    )
