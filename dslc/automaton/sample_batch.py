"""Many uniform sentences at once, in numpy: the recursive method level by level instead of token by token.

A part of a sentence is a position with the number of tokens that it and the rest of its run take. One draw says how
many of them its slot takes and which run that opens; what is left are at most two parts, whose places in the sentence
are known. So all parts of all sentences that are open at once are drawn together, without a stack, and the number of
steps is the depth of the sentences, not their length. Probabilities are float64 ratios of the exact integers, each
rounded once; `sample_uniform` is the exact sampler.

Sources:
    flajolet1994 (recursive method); walker1977 (alias tables).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.count import Counts
from dslc.automaton.uniform import Lengths, sample_uniform
from dslc.automaton.variation_batch import Sentences

MAX_SAMPLER_CELLS = 2_000_000
"""Most outcomes in the tables of a batch sampler, about 60 bytes and 2 microseconds of building each."""
CHUNK = 8192
"""Sentences drawn together: more would fall out of the processor's cache."""

IndexArray = NDArray[np.intp]
Traced: TypeAlias = tuple[NDArray[np.int16], NDArray[np.int16]]
"""By place of a flat array of sentences the slot that the token there fills, and how many tokens its part has."""


class BatchSampler:
    """The tables of one space and budget, made once."""

    has_tables: bool
    """False where they would pass MAX_SAMPLER_CELLS and where the space counts nodes, which no table here tells apart:
    then sentences are drawn one by one, by `sample_uniform`."""

    def __init__(self, counts: Counts) -> None:
        """Makes the tables: a list of outcomes for each kind of part that a sentence can have."""
        self._counts = counts
        self._pad_id = counts.automaton.pad_id
        self._slot = counts.automaton.slot.tolist()
        self._next = counts.automaton.next.tolist()
        tokens: list[int] = []
        # [slot] (first position of the run, where the tokens that open it begin, how many there are)
        self._groups: list[list[tuple[int, int, int]]] = []
        for choices in counts.choices:
            by_run: dict[int, list[int]] = {}
            for token, run in choices:
                by_run.setdefault(run, []).append(token)
            self._groups.append([])
            for run, members in by_run.items():
                self._groups[-1].append((run, len(tokens), len(members)))
                tokens += members
        self._tokens = np.array(tokens or [0], np.int32)
        self._lengths = [[n for n, ways in enumerate(row) if ways] for row in counts.slot_counts]
        self._picks: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
        self._part_ids: dict[tuple[int, int], int] = {}
        self._parts: list[tuple[int, int]] = []
        self.has_tables = counts.automaton.registers is None and self._make_tables()

    def _make_tables(self) -> bool:
        counts = self._counts
        occurring = [n for n, ways in enumerate(counts.by_tokens) if ways]
        self._whole_lengths = np.array(occurring, np.intp)
        self._whole_parts = np.array([self._part(counts.automaton.start_position, n) for n in occurring], np.intp)
        self._by_length = make_alias([counts.by_tokens[n] for n in occurring])
        first, number = [0], [1]
        thresholds, aliases = [1.0], [0]
        # Of an outcome: where its tokens begin, how many there are, the part that its run is, the part that the rest
        # of the position's run is, how many tokens the slot takes. Part 0 is none.
        outcomes: list[tuple[int, int, int, int, int]] = [(0, 1, 0, 0, 0)]
        for position, length in self._parts:  # grows while it is read
            weights, found = self._find_outcomes(position, length)
            first.append(len(outcomes))
            number.append(len(found))
            part_thresholds, part_aliases = make_alias(weights)
            thresholds += part_thresholds
            aliases += [alias + len(outcomes) for alias in part_aliases]
            outcomes += found
            if len(outcomes) > MAX_SAMPLER_CELLS:
                return False
        self._first = np.array(first, np.intp)
        self._number = np.array(number, np.float64)
        self._slot_of_part = np.array([0, *(self._slot[position] for position, _ in self._parts)], np.int16)
        self._threshold, self._alias = np.array(thresholds), np.array(aliases, np.intp)
        columns = np.array(outcomes, np.intp).T
        self._group, self._run_part, self._rest_part, self._taken = (columns[i].copy() for i in (0, 2, 3, 4))
        self._group_size = columns[1].astype(np.float64)
        return True

    def _part(self, position: int, length: int) -> int:
        if not position:
            return 0
        found = self._part_ids.get((position, length))
        if found is None:
            self._parts.append((position, length))
            found = self._part_ids[position, length] = len(self._parts)
        return found

    def _find_outcomes(self, position: int, length: int) -> tuple[list[int], list[tuple[int, int, int, int, int]]]:
        """What a part can become, with the number of ways that each stands for."""
        slot, rest = self._slot[position], self._next[position]
        rest_ways = self._counts.position_counts[rest]
        weights: list[int] = []
        outcomes: list[tuple[int, int, int, int, int]] = []
        for taken in self._lengths[slot] if rest else (length,):
            if taken > length:
                break
            more = rest_ways[length - taken]
            if not more:
                continue
            rest_part = self._part(rest, length - taken)
            for run, group, size, ways in self._pick(slot, taken):
                weights.append(ways * more)
                outcomes.append((group, size, self._part(run, taken - 1), rest_part, taken))
        return weights, outcomes

    def _pick(self, slot: int, taken: int) -> list[tuple[int, int, int, int]]:
        """Runs that a slot filled by `taken` tokens can open: run, group, size, number of ways."""
        found = self._picks.get((slot, taken))
        if found is None:
            ways = self._counts.position_counts
            found = [
                (run, group, size, ways[run][taken - 1] * size)
                for run, group, size in self._groups[slot]
                if ways[run][taken - 1]
            ]
            self._picks[slot, taken] = found
        return found

    def sample(self, n: int, generator: np.random.Generator, lengths: Lengths = "uniform") -> NDArray[np.int32]:
        """Token ids of `n` independent sentences [n, budget], filled up with V behind their ends.

        With `lengths="even"` the length is drawn first, each that occurs alike.
        """
        width = self._counts.budget
        out = np.full(n * width, self._pad_id, np.int32)
        if not self.has_tables:
            return self._sample_one_by_one(out.reshape(n, width), generator, lengths)
        self._draw(n, generator, lengths, out)
        return out.reshape(n, width)

    def sample_sentences(self, n: int, generator: np.random.Generator, lengths: Lengths = "uniform") -> Sentences:
        """The same sentences with their slots and ends, which are known while they are drawn; only where `has_tables`.

        Behind the end of a sentence the ends say nothing.
        """
        width = self._counts.budget
        tokens = np.full(n * width, self._pad_id, np.int32)
        slots, sizes = np.full(n * width, -1, np.int16), np.zeros(n * width, np.int16)
        self._draw(n, generator, lengths, tokens, (slots, sizes))
        ends = sizes.reshape(n, width)
        ends += np.arange(width, dtype=np.int16)
        return Sentences(tokens.astype(np.int16).reshape(n, width), slots.reshape(n, width), ends)

    def _draw(
        self,
        n: int,
        generator: np.random.Generator,
        lengths: Lengths,
        out: NDArray[np.int32],
        traced: Traced | None = None,
    ) -> None:
        """Writes `n` sentences to a flat array."""
        for begin in range(0, n, CHUNK):
            rows = np.arange(begin, min(begin + CHUNK, n), dtype=np.intp)
            if lengths == "even":
                chosen = generator.integers(len(self._whole_parts), size=len(rows))
            else:
                chosen = self._draw_lengths(len(rows), generator)
            parts = self._whole_parts[chosen]
            if self._counts.automaton.start_position:
                self._fill(out, parts, rows * self._counts.budget, generator, traced)

    def _sample_one_by_one(
        self, out: NDArray[np.int32], generator: np.random.Generator, lengths: Lengths
    ) -> NDArray[np.int32]:
        exact = random.Random(int(generator.integers(2**63)))
        for row in out:
            tokens = sample_uniform(self._counts, exact, lengths)
            row[: len(tokens)] = tokens
        return out

    def _draw_lengths(self, size: int, generator: np.random.Generator) -> IndexArray:
        thresholds, aliases = (np.array(column) for column in self._by_length)
        chosen = generator.integers(len(thresholds), size=size)
        return np.where(generator.random(size) < thresholds[chosen], chosen, aliases[chosen]).astype(np.intp)

    def _fill(
        self,
        out: NDArray[np.int32],
        parts: IndexArray,
        places: IndexArray,
        generator: np.random.Generator,
        traced: Traced | None,
    ) -> None:
        """Draws all parts that begin at these places of the flat array, down to the last token."""
        while len(parts):
            # Alias method: an outcome evenly, then itself or its alias.
            draw = generator.random(len(parts))
            draw *= self._number.take(parts)
            cell = draw.astype(np.intp)
            draw -= cell
            cell += self._first.take(parts)
            np.copyto(cell, self._alias.take(cell), where=draw >= self._threshold.take(cell))
            generator.random(out=draw)
            draw *= self._group_size.take(cell)
            member = draw.astype(np.intp)
            member += self._group.take(cell)
            out[places] = self._tokens.take(member)
            if traced is not None:
                slots, sizes = traced
                slots[places], sizes[places] = self._slot_of_part.take(parts), self._taken.take(cell)
            run_parts, rest_parts = self._run_part.take(cell), self._rest_part.take(cell)
            opens, goes_on = run_parts.nonzero()[0], rest_parts.nonzero()[0]
            rest_places = places.take(goes_on)
            rest_places += self._taken.take(cell.take(goes_on))
            parts = np.concatenate((run_parts.take(opens), rest_parts.take(goes_on)))
            places = np.concatenate((places.take(opens) + 1, rest_places))


def make_alias(weights: Sequence[int]) -> tuple[list[float], list[int]]:
    """Walker's alias table of positive integers: entry i, drawn evenly, is kept with probability thresholds[i], else
    aliases[i] takes its place.

    Which entry is whose alias is decided in integers; only the thresholds are rounded, each once.

    Example:
        >>> make_alias([1, 3])
        ([0.5, 1.0], [1, 1])
    """
    number, total = len(weights), sum(weights)
    left = [weight * number for weight in weights]
    thresholds, aliases = [1.0] * number, list(range(number))
    poor = [i for i, weight in enumerate(left) if weight < total]
    rich = [i for i, weight in enumerate(left) if weight > total]
    while poor:
        taker, giver = poor.pop(), rich[-1]
        thresholds[taker], aliases[taker] = left[taker] / total, giver
        left[giver] -= total - left[taker]
        if left[giver] <= total:
            rich.pop()
            if left[giver] < total:
                poor.append(giver)
    return thresholds, aliases
