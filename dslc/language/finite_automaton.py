"""Deterministic finite automata over atoms: only what comparing regular languages needs."""

from __future__ import annotations

from dataclasses import dataclass, field

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Automaton:
    """A deterministic automaton with start state 0, whose states all lie on a way to an accepting one (state 0
    aside).
    """

    steps: tuple[dict[int, int], ...]
    """By state, the next state by atom."""
    accepting: frozenset[int]


@dataclass(slots=True)
class Fragments:
    """A nondeterministic automaton under construction."""

    steps: list[list[Pair]] = field(default_factory=list)
    """By state, (atom, next state)."""
    jumps: list[list[int]] = field(default_factory=list)
    """By state, the states that are reached without an atom."""

    def add_state(self) -> int:
        """A new state."""
        self.steps.append([])
        self.jumps.append([])
        return len(self.steps) - 1

    def add_copy(self, automaton: Automaton, begin: int) -> int:
        """A copy of an automaton that is entered from `begin`; the state in which it is left."""
        offset = len(self.steps)
        for state_steps in automaton.steps:
            state = self.add_state()
            self.steps[state] = [(atom, target + offset) for atom, target in state_steps.items()]
        self.jumps[begin].append(offset)
        end = self.add_state()
        for state in automaton.accepting:
            self.jumps[state + offset].append(end)
        return end


class TooLargeError(Exception):
    """An automaton passed the limit on states."""


def determinize(fragments: Fragments, begin: int, end: int, *, max_states: int) -> Automaton:
    """The smallest deterministic automaton for the texts that lead from `begin` to `end`.

    Raises:
        TooLargeError: if more than `max_states` sets of states are met.
    """
    closures: dict[int, frozenset[int]] = {}

    def close(states: set[int]) -> frozenset[int]:
        closed: set[int] = set()
        for state in states:
            if state not in closures:
                reached = {state}
                work = [state]
                while work:
                    for other in fragments.jumps[work.pop()]:
                        if other not in reached:
                            reached.add(other)
                            work.append(other)
                closures[state] = frozenset(reached)
            closed |= closures[state]
        return frozenset(closed)

    first = close({begin})
    number = {first: 0}
    order = [first]
    steps: list[dict[int, int]] = []
    for states in order:  # grows
        targets: dict[int, set[int]] = {}
        for state in sorted(states):
            for atom, target in fragments.steps[state]:
                targets.setdefault(atom, set()).add(target)
        steps.append({})
        for atom, target_set in sorted(targets.items()):
            closed = close(target_set)
            if closed not in number:
                if len(order) >= max_states:
                    raise TooLargeError
                number[closed] = len(order)
                order.append(closed)
            steps[-1][atom] = number[closed]
    return _minimize(steps, {number[states] for states in order if end in states})


def _minimize(steps: list[dict[int, int]], accepting: set[int]) -> Automaton:
    """Drop states that lead nowhere, then merge states that cannot be told apart (Moore 1956)."""
    sources: dict[int, set[int]] = {}
    for state, targets in enumerate(steps):
        for target in targets.values():
            sources.setdefault(target, set()).add(state)
    alive = set(accepting)
    work = list(accepting)
    while work:
        for source in sources.get(work.pop(), ()):
            if source not in alive:
                alive.add(source)
                work.append(source)
    kept = [state for state in range(len(steps)) if state in alive or state == 0]
    live_steps = {
        state: tuple(sorted((a, t) for a, t in steps[state].items() if t in alive)) if state in alive else ()
        for state in kept
    }
    block = {state: int(state in accepting) for state in kept}
    num_blocks = len(set(block.values()))
    while True:
        signatures: dict[tuple[int, tuple[Pair, ...]], int] = {}
        refined = {}
        for state in kept:
            signature = (block[state], tuple((atom, block[target]) for atom, target in live_steps[state]))
            refined[state] = signatures.setdefault(signature, len(signatures))
        block = refined
        if len(signatures) == num_blocks:
            break
        num_blocks = len(signatures)
    merged: list[dict[int, int]] = [{} for _ in range(num_blocks)]  # state 0 comes first, so its block is 0
    for state in kept:
        merged[block[state]] = {atom: block[target] for atom, target in live_steps[state]}
    return Automaton(tuple(merged), frozenset(block[state] for state in accepting))


def reachable_pairs(left: Automaton, right: Automaton, begin: set[Pair], *, at_least: int) -> set[Pair]:
    """The pairs of states that the same text of `at_least` (0 or 1) atoms or more leads to from a pair of `begin`."""
    work = sorted(begin)
    reached = set(begin) if at_least == 0 else set()
    seen = set(begin)
    while work:
        p, q = work.pop()
        right_steps = right.steps[q]
        for atom, target in left.steps[p].items():
            other = right_steps.get(atom)
            if other is None:
                continue
            pair = (target, other)
            reached.add(pair)
            if pair not in seen:
                seen.add(pair)
                work.append(pair)
    return reached


def have_common_text(left: Automaton, right: Automaton) -> bool:
    """True if some text belongs to both."""
    pairs = reachable_pairs(left, right, {(0, 0)}, at_least=0)
    return any(p in left.accepting and q in right.accepting for p, q in pairs)


def can_overlap(left: Automaton, right: Automaton) -> bool:
    """True if some text is a product of both in two ways: x and xa on the left, ay and y on the right, a not empty."""
    begin = {(state, 0) for state in left.accepting}
    shared = reachable_pairs(left, right, begin, at_least=1)
    ends = {(q, 0) for p, q in shared if p in left.accepting}
    pairs = reachable_pairs(right, right, ends, at_least=0)
    return any(p in right.accepting and q in right.accepting for p, q in pairs)
