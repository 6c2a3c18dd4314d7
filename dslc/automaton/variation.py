"""Sentences made from others: parts grown anew, exchanged, taken out and put in, exactly within grammar and budget.

The part of a token is the token and all that fills the run it opens: a stretch of the sentence. A part may stand
wherever its slot is, since what a grammar and its inherited constraints ask of a place is the slot; so with the budget
looked at by adding lengths, whatever is put together here is a sentence and nothing is drawn twice. Only counters
(`at_most`, `at_least`) see the whole sentence: there the result is walked, and from the first token that they refuse
on the rest is drawn anew under the mask.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from random import Random
from typing import TypeAlias

from dslc.automaton.count import Counts
from dslc.automaton.scalar import ScalarRuntime

GROWTH = 8
"""Tokens by which a part that is grown anew may be longer than the one that it replaces."""
FULL = 1 << 64
"""Marks the end of 64 coins."""
Part: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""Tokens, and the position at which each was chosen."""
TRIES = 8
"""Draws of a mutation that may all give the parent again, where little or nothing can differ."""


class Parent:
    """A sentence with the position at which each of its tokens was chosen."""

    __slots__ = ("_by_slot", "positions", "tokens")

    def __init__(self, tokens: tuple[int, ...], positions: Sequence[int]) -> None:
        self.tokens = tokens
        self.positions = positions
        self._by_slot: dict[int, list[int]] | None = None

    def by_slot(self, slots: list[int]) -> dict[int, list[int]]:
        """Tokens by the slot that they fill, of the automaton's `slot` list."""
        if self._by_slot is None:
            self._by_slot = {}
            for index, position in enumerate(self.positions):
                self._by_slot.setdefault(slots[position], []).append(index)
        return self._by_slot


class Variation:
    """The tables of one space and budget for making sentences from others."""

    def __init__(self, counts: Counts, random: Random) -> None:
        """Makes them.

        Args:
            counts: Of the space, up to the budget that holds.
            random: All randomness comes from it.
        """
        automaton = counts.automaton
        self.automaton, self.budget, self.random = automaton, counts.budget, random
        self._is_counting = automaton.registers is not None
        # Parts are grown whatever the counters say, which see whole sentences only.
        self._counts = Counts(replace(automaton, registers=None), counts.budget) if self._is_counting else counts
        self._next = automaton.scalar.next
        self._slots: list[int] = automaton.slot.tolist()
        self._needs: list[int] = automaton.need.tolist()
        self._lengths = [[n for n, ways in enumerate(row) if ways] for row in self._counts.slot_counts]
        """[slot] lengths of its parts."""
        runs = [dict(choices) for choices in self._counts.choices]
        self._runs = [{}, *(runs[slot] for slot in self._slots[1:])]
        """[position] first position of the run that each token leaves."""
        self._run_lengths = self._find_run_lengths()
        self._cuts: dict[tuple[int, int], tuple[list[int], list[float]]] = {}
        self._picks: dict[tuple[int, int], tuple[list[int], list[float]]] = {}
        self._twins = self._find_twins()
        self._wraps = self._find_wraps()

    def trace(self, tokens: tuple[int, ...]) -> Parent:
        """Walks a sentence; it must be one."""
        following, runs = self._next, self._runs
        position = self.automaton.start_position
        positions: list[int] = []
        addresses = [0] if tokens else []
        for token in tokens:
            positions.append(position)
            run = runs[position][token]
            if run:
                addresses.append(following[position])
                position = run
                continue
            position = following[position]
            while not position and addresses:
                position = addresses.pop()
        assert position == len(addresses) == 0, "only whole sentences are taken apart"
        return Parent(tokens, positions)

    def find_end(self, parent: Parent, index: int) -> int:
        """Where the part of a token ends: tokens[index:end]."""
        tokens, positions, runs, lengths = parent.tokens, parent.positions, self._runs, self._run_lengths
        pending = 1
        while pending:
            pending += lengths[runs[positions[index]][tokens[index]]] - 1
            index += 1
        return index

    # --- from nothing, from one, from two -----------------------------------------------------------------------------

    def sample(self) -> tuple[int, ...]:
        """A sentence: its length evenly among those that occur, then uniformly; where there are counters, next tokens
        evenly among those that they allow."""
        if self._is_counting:
            runtime = ScalarRuntime(self.automaton, self.budget)
            return self._finish(runtime, runtime.first, []).tokens
        start = self.automaton.start_position
        if not start:
            return ()
        lengths = [n for n, ways in enumerate(self._counts.by_tokens) if ways]
        return tuple(self._draw_run(start, lengths[int(self.random.random() * len(lengths))])[0])

    def mutate(self, parent: Parent) -> Parent:
        """A sentence that differs from its parent at one place drawn evenly; the parent if TRIES draws do not.

        One of four ways, drawn evenly. Another choice that leaves the same run, so what follows stays; the part drawn
        anew, longer by GROWTH tokens at most; a part of the same slot inside the part takes its place; the part goes
        inside a new choice of its slot. What cannot be done at the place gives way to drawing anew.
        """
        tokens, positions, draw = parent.tokens, parent.positions, self.random.random
        if not tokens:
            return parent
        for _ in range(TRIES):
            index, way = int(draw() * len(tokens)), int(draw() * 4)
            if way == 0:
                twins = self._twins[positions[index]][tokens[index]]
                if twins:
                    twin = twins[int(draw() * len(twins))]
                    return self._accept((*tokens[:index], twin, *tokens[index + 1 :]), positions)
            end = self.find_end(parent, index)
            part: Part | None = None
            if way == 1:
                part = self._shrink(parent, index, end)
            elif way == 2:
                part = self._insert(parent, index, end)
            if part is None:
                part = self._grow_anew(parent, index, end)
            child = (*tokens[:index], *part[0], *tokens[end:])
            if child != tokens:
                return self._accept(child, (*positions[:index], *part[1], *positions[end:]))
        return parent

    def cross(self, one: Parent, other: Parent) -> Parent:
        """A mixture of two sentences, read side by side: where they choose differently, either's choice, evenly.

        Where the choices leave the same run the reading goes on side by side inside them; else the whole part is the
        one's or the other's, the one's where the other's does not fit. Uniform crossover of trees (poli1998), which
        for sentences of one shape is uniform crossover of strings.
        """
        tokens, others = one.tokens, other.tokens
        if tokens == others:
            return one
        room = self.budget - len(tokens)
        positions, runs = one.positions, self._runs
        coins = self.random.getrandbits(64) | FULL
        child: list[int] = []
        places: list[int] = []
        done = i = j = 0  # the one's tokens before `done` are in the child already
        length = len(tokens)
        while i < length:
            token, rival = tokens[i], others[j]
            if token == rival:
                i += 1
                j += 1
                continue
            is_other = coins & 1
            coins >>= 1
            if coins == 1:
                coins = self.random.getrandbits(64) | FULL
            of_token = runs[positions[i]]
            if of_token[token] == of_token[rival]:
                if is_other:
                    child += tokens[done:i]
                    child.append(rival)
                    places += positions[done : i + 1]
                    done = i + 1
                i += 1
                j += 1
                continue
            end, other_end = self.find_end(one, i), self.find_end(other, j)
            longer = other_end - j - end + i
            if is_other and longer <= room:
                child += tokens[done:i]
                child += others[j:other_end]
                places += positions[done:i]
                places += other.positions[j:other_end]
                room -= longer
                done = end
            i, j = end, other_end
        if not done:
            return one
        return self._accept((*child, *tokens[done:]), (*places, *positions[done:]))

    def graft(self, one: Parent, other: Parent) -> Parent:
        """The first sentence with one of its parts, drawn evenly, replaced by a part of the second for the same slot.

        The part is drawn evenly from those that fit; where there is none it is grown. Subtree crossover (koza1992) with
        slots for types.
        """
        tokens, positions = one.tokens, one.positions
        if not tokens:
            return one
        draw = self.random.random
        index = int(draw() * len(tokens))
        end = self.find_end(one, index)
        room = self.budget - len(tokens) + end - index
        donors = other.by_slot(self._slots).get(self._slots[positions[index]], ())
        part: Part | None = None
        if donors:
            first = int(draw() * len(donors))
            for donor in (*donors[first:], *donors[:first]):
                donor_end = self.find_end(other, donor)
                if donor_end - donor <= room:
                    # Its first token now stands at another position of its slot.
                    part = other.tokens[donor:donor_end], (positions[index], *other.positions[donor + 1 : donor_end])
                    break
        if part is None:
            part = self._grow_anew(one, index, end)
        return self._accept(
            (*tokens[:index], *part[0], *tokens[end:]), (*positions[:index], *part[1], *positions[end:])
        )

    # --- parts --------------------------------------------------------------------------------------------------------

    def _grow_anew(self, parent: Parent, index: int, end: int) -> Part:
        """Another part for the place of a token."""
        room = min(self.budget - len(parent.tokens), GROWTH) + end - index
        return self._grow(parent.positions[index], room)

    def _grow(self, position: int, room: int) -> Part:
        """A part for the slot of a position: its length evenly from those up to `room`, then uniformly among its parts
        of the length."""
        lengths = self._lengths[self._slots[position]]
        fitting = bisect(lengths, room)
        assert fitting, "there is room for the shortest part"
        length = lengths[int(self.random.random() * fitting)]
        return self._draw_run(position, length, is_one_slot=True)

    def _draw_run(self, position: int, tokens: int, *, is_one_slot: bool = False) -> Part:
        """Exactly so many tokens for a position and the rest of its run, or for its slot alone, uniformly: the
        recursive method (flajolet1994) with ratios of exact counts."""
        following, slots, runs, draw = self._next, self._slots, self._runs, self.random.random
        cuts, picks = self._cuts, self._picks
        drawn: list[int] = []
        places: list[int] = []
        parts: list[tuple[int, int]] = []
        while True:
            rest = 0 if is_one_slot else following[position]
            is_one_slot = False
            if rest:
                cut = cuts.get((position, tokens)) or self._find_cut(position, tokens)
                part = cut[0][bisect(cut[1], draw())]
                parts.append((rest, tokens - part))
            else:
                part = tokens
            slot = slots[position]
            pick = picks.get((slot, part)) or self._find_pick(slot, part)
            token = pick[0][bisect(pick[1], draw())] if len(pick[0]) > 1 else pick[0][0]
            drawn.append(token)
            places.append(position)
            run = runs[position][token]
            if run:
                position, tokens = run, part - 1
            elif parts:
                position, tokens = parts.pop()
            else:
                return drawn, places

    def _find_cut(self, position: int, tokens: int) -> tuple[list[int], list[float]]:
        """How many of the tokens the position's own slot can take, and the cumulated shares of the ways to do so."""
        first = self._counts.slot_counts[self._slots[position]]
        rest = self._counts.position_counts[self._next[position]]
        lengths = [k for k in range(1, tokens + 1) if first[k] and rest[tokens - k]]
        shares = _cumulate([first[k] * rest[tokens - k] for k in lengths])
        found = self._cuts[position, tokens] = lengths, shares
        return found

    def _find_pick(self, slot: int, tokens: int) -> tuple[list[int], list[float]]:
        """Tokens with which a slot can begin a part of so many, and the cumulated shares of those parts."""
        ways = self._counts.position_counts
        possible = [(token, ways[run][tokens - 1]) for token, run in self._counts.choices[slot]]
        kept = [(token, number) for token, number in possible if number]
        found = self._picks[slot, tokens] = [token for token, _ in kept], _cumulate([number for _, number in kept])
        return found

    def _shrink(self, parent: Parent, index: int, end: int) -> Part | None:
        slots, positions = self._slots, parent.positions
        slot = slots[positions[index]]
        inside = [i for i in range(index + 1, end) if slots[positions[i]] == slot]
        if not inside:
            return None
        kept = inside[int(self.random.random() * len(inside))]
        kept_end = self.find_end(parent, kept)
        return parent.tokens[kept:kept_end], (positions[index], *positions[kept + 1 : kept_end])

    def _insert(self, parent: Parent, index: int, end: int) -> Part | None:
        wraps = self._wraps[self._slots[parent.positions[index]]]
        if not wraps:
            return None
        token, run, place, others = wraps[int(self.random.random() * len(wraps))]
        slack = min(self.budget - len(parent.tokens), GROWTH) - 1 - others
        if slack < 0:
            return None
        drawn, places, position = [token], [parent.positions[index]], run
        while position:
            if position == place:
                drawn += parent.tokens[index:end]
                places.append(position)
                places += parent.positions[index + 1 : end]
            else:
                need = self._needs[self._slots[position]]
                part = self._grow(position, need + slack)
                slack -= len(part[0]) - need
                drawn += part[0]
                places += part[1]
            position = self._next[position]
        return drawn, places

    # --- counters -----------------------------------------------------------------------------------------------------

    def _accept(self, tokens: tuple[int, ...], positions: Sequence[int]) -> Parent:
        """The child itself, or where counters refuse it: its beginning as far as they allow it, the rest drawn anew."""
        if not self._is_counting:
            return Parent(tokens, positions)
        runtime = ScalarRuntime(self.automaton, self.budget)
        allowed = runtime.first
        for index, token in enumerate(tokens):
            if token not in allowed:
                return self._finish(runtime, allowed, list(tokens[:index]))
            allowed = runtime.step(token)
        return Parent(tokens, positions)

    def _finish(self, runtime: ScalarRuntime, allowed: tuple[int, ...], tokens: list[int]) -> Parent:
        """A sentence with a beginning, the other tokens drawn evenly from what the counters allow."""
        while allowed:
            token = allowed[int(self.random.random() * len(allowed))]
            tokens.append(token)
            allowed = runtime.step(token)
        return self.trace(tuple(tokens))

    # --- tables -------------------------------------------------------------------------------------------------------

    def _find_twins(self) -> list[dict[int, tuple[int, ...]]]:
        """[position] of each token, the other tokens of the slot that leave the same run."""
        twins: list[dict[int, tuple[int, ...]]] = []
        for choices in self._counts.choices:
            by_run: dict[int, list[int]] = {}
            for token, run in choices:
                by_run.setdefault(run, []).append(token)
            twins.append({token: tuple(other for other in by_run[run] if other != token) for token, run in choices})
        return [{}, *(twins[slot] for slot in self._slots[1:])]

    def _find_wraps(self) -> list[list[tuple[int, int, int, int]]]:
        """[slot] its choices that leave a run with the slot in it: token, run, position of the slot in it, tokens that
        the others of the run need."""
        wraps: list[list[tuple[int, int, int, int]]] = []
        for slot, choices in enumerate(self._counts.choices):
            wraps.append([])
            for token, run in choices:
                places, position = [], run
                while position:
                    places.append(position)
                    position = self._next[position]
                needs = sum(self._needs[self._slots[place]] for place in places) - self._needs[slot]
                wraps[-1] += [(token, run, place, needs) for place in places if self._slots[place] == slot]
        return wraps

    def _find_run_lengths(self) -> dict[int, int]:
        """Slots of a run, by its first position; 0 for none."""
        lengths = {0: 0}
        for choices in self._counts.choices:
            for _, run in choices:
                position, number = run, 0
                while position:
                    number += 1
                    position = self._next[position]
                lengths[run] = number
        return lengths


def _cumulate(ways: list[int]) -> list[float]:
    """Cumulated shares of exact numbers, each rounded once; the last is 1."""
    total = sum(ways)
    return [number / total for number in accumulate(ways)]
