"""The table over (slot, slack) that is nearest to a distribution over sentences, by flows.

The distribution draws the length of a sentence, evenly or leaning towards short or long ones, then a sentence of that
length, uniformly or leaning towards given tokens. Its next-token probabilities depend on the whole prefix; a table
knows slot and slack only. The nearest table, in nats from the distribution to it, has the mean of those probabilities
over all prefixes that share slot and slack, weighted by how often they occur. Both are sums over ways to fill a part of
a sentence (inside) and ways to need one (flows), as for stochastic grammars.

Source:
    lari1990 (inside and outside probabilities).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.count import Counts
from dslc.automaton.starting import SlotPolicy, StartingTable, build_table, cap_slacks, slack_range, starting_table

MAX_FLOW_CELLS = 33_554_432
"""Most numbers in the flows: positions times lengths times slacks. Past it the local table stands in."""
MAX_FLOW_STEPS = 400_000
"""Most steps of making them, a few microseconds each. Past it the local table stands in."""
LEAST_PROB = 1e-300
"""Of an allowed token whose share is too small for a float."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lean:
    """How a distribution over sentences differs from even lengths and uniform sentences of each."""

    length: float
    """Nats that a sentence gains for each of its tokens, among all lengths."""
    tokens: FloatArray
    """[V] nats that a sentence gains for each use of the token, among the sentences of its length."""
    growth: float = 0.0
    """Nats that a choice gains in the table, after all else, for each token of slack that it costs."""


def projected_table(counts: Counts, lean: Lean | None = None) -> StartingTable:
    """The nearest table to even lengths, then uniform; or to what `lean` makes of that.

    Slacks past what a slot's longest part can use are taken together, as in `starting_table`.
    Where nothing leans and each slot has one length, it is `starting_table`. So it is where the flows would pass
    MAX_FLOW_CELLS or MAX_FLOW_STEPS, or the space counts nodes.
    """
    automaton = counts.automaton
    lengths = slack_range(counts)
    has_one_length = all(len(row) <= 1 for row in lengths)
    if lean is None:
        lean = Lean(0.0, np.zeros(automaton.num_tokens))
    is_itself = has_one_length and not lean.tokens.any()
    if automaton.registers is None and (is_itself or not automaton.start_position):
        return replace(starting_table(counts), kind="projected")
    if not is_projectable(counts):
        return starting_table(counts)
    groups = _group_tokens(counts, lean.tokens)
    inside = _Inside(counts, groups)
    flows = _choice_flows(counts, groups, inside, lean.length)
    caps = cap_slacks(counts, lengths)
    policies = [
        _make_policy(group, flow, cap, counts.budget, lean.growth)
        for group, flow, cap in zip(groups, flows, caps, strict=True)
    ]
    return build_table(counts, policies, lengths, "projected")


def is_projectable(counts: Counts) -> bool:
    """Whether the flows fit MAX_FLOW_CELLS and MAX_FLOW_STEPS, and the space counts no nodes, which flows do not."""
    automaton, budget = counts.automaton, counts.budget
    if automaton.registers is not None:
        return False
    cells = automaton.num_positions * (budget - automaton.min_tokens + 1) * (budget + 1)
    inner = automaton.slot[automaton.next > 0].tolist()
    splits = sum(sum(budget - n for n, ways in enumerate(counts.slot_counts[slot]) if ways) for slot in inner)
    steps = budget * (automaton.num_slots + len(inner)) + splits
    return cells <= MAX_FLOW_CELLS and steps <= MAX_FLOW_STEPS


@dataclass(frozen=True, slots=True)
class _Groups:
    """Tokens of one slot that are alike: they open the same run and lean alike."""

    runs: list[int]
    extras: list[int]
    tokens: list[list[int]]
    logs: list[float]
    """Log of the summed weight of the group's tokens."""


def _group_tokens(counts: Counts, leans: FloatArray) -> list[_Groups]:
    automaton = counts.automaton
    result = []
    for slot, choices in enumerate(counts.choices):
        members: dict[tuple[int, float], list[int]] = {}
        for token, run in choices:
            members.setdefault((run, float(leans[token])), []).append(token)
        base = slot * (automaton.num_tokens + 1)
        result.append(
            _Groups(
                runs=[run for run, _ in members],
                extras=[int(automaton.extra[base + tokens[0]]) for tokens in members.values()],
                tokens=list(members.values()),
                logs=[lean + math.log(len(tokens)) for (_, lean), tokens in members.items()],
            )
        )
    return result


class _Inside:
    """Logs of the summed weights of all ways to fill slots and positions, by number of tokens."""

    def __init__(self, counts: Counts, groups: list[_Groups]) -> None:
        automaton, width = counts.automaton, counts.budget + 1
        self.slots = np.full((automaton.num_slots, width), -np.inf)
        self.positions = np.full((automaton.num_positions, width), -np.inf)
        self.positions[0, 0] = 0.0
        slot_of, following = automaton.slot.tolist(), automaton.next.tolist()
        self.inner = [p for p in range(1, automaton.num_positions) if following[p]]
        last = [p for p in range(1, automaton.num_positions) if not following[p]]
        self.last = np.array(last, np.intp)
        self.slot_of_last = automaton.slot[last].astype(np.intp)
        for n in range(1, width):
            for slot, group in enumerate(groups):
                self.slots[slot, n] = _log_sum(np.array(group.logs) + self.positions[group.runs, n - 1])
            for position in self.inner:
                first, rest = self.slots[slot_of[position]], self.positions[following[position]]
                self.positions[position, n] = _log_sum(first[1:n] + rest[n - 1 : 0 : -1])
            self.positions[self.last, n] = self.slots[self.slot_of_last, n]


def _log_sum(logs: FloatArray) -> float:
    most = float(logs.max(initial=-np.inf))
    return most if math.isinf(most) else most + math.log(float(np.exp(logs - most).sum()))


def _choice_flows(counts: Counts, groups: list[_Groups], inside: _Inside, lean: float) -> list[FloatArray]:
    """[slot] expected number of times that a token of a group is chosen at a slack: [slack, group].

    By length descending: a part of a sentence is always shorter than what it is a part of, or is its last.
    """
    automaton, budget = counts.automaton, counts.budget
    max_slack = budget - automaton.min_tokens
    slot_of, following, needs = automaton.slot.tolist(), automaton.next.tolist(), automaton.need.tolist()
    of_position = np.zeros((automaton.num_positions, budget + 1, max_slack + 1))
    of_slot = np.zeros((automaton.num_slots, budget + 1, max_slack + 1))
    chosen = [np.zeros((max_slack + 1, len(group.runs))) for group in groups]
    whole = inside.positions[automaton.start_position]
    occurring = np.isfinite(whole).nonzero()[0]
    shares = np.exp(lean * (occurring - occurring[-1 if lean > 0 else 0]))
    of_position[automaton.start_position, occurring, max_slack] = shares / shares.sum()
    for n in range(budget, 0, -1):
        np.add.at(of_slot[:, n], inside.slot_of_last, of_position[inside.last, n])
        for position in inside.inner:
            flow = of_position[position, n]
            if not flow.any():
                continue
            slot, rest = slot_of[position], following[position]
            logs = inside.slots[slot, 1:n] + inside.positions[rest, n - 1 : 0 : -1]
            for taken in (np.isfinite(logs).nonzero()[0] + 1).tolist():
                part = flow * math.exp(logs[taken - 1] - inside.positions[position, n])
                of_slot[slot, taken] += part
                spent = taken - needs[slot]
                of_position[rest, n - taken, : max_slack + 1 - spent] += part[spent:]
        for slot, group in enumerate(groups):
            flow = of_slot[slot, n]
            if not flow.any():
                continue
            for index, (run, extra, log) in enumerate(zip(group.runs, group.extras, group.logs, strict=True)):
                weight = log + inside.positions[run, n - 1]
                if weight == -math.inf:
                    continue
                part = flow * math.exp(weight - inside.slots[slot, n])
                chosen[slot][:, index] += part
                if run:
                    of_position[run, n - 1, : max_slack + 1 - extra] += part[extra:]
    return chosen


def _make_policy(group: _Groups, flow: FloatArray, cap: int, budget: int, growth: float) -> SlotPolicy:
    """Probabilities by slack; equal ones where no sentence comes by."""
    rows = np.zeros((cap + 1, len(group.runs)))
    rows[: len(flow)] = flow[: cap + 1]
    rows[-1] += flow[cap + 1 :].sum(axis=0)
    slacks = np.arange(cap + 1)
    slacks[-1] = budget if cap + 1 < len(flow) else cap
    sizes = np.array([len(tokens) for tokens in group.tokens])
    is_allowed = np.array(group.extras) <= slacks[:, None]
    total = rows.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        probs = np.where(total > 0, rows / total, sizes / np.maximum((is_allowed * sizes).sum(1, keepdims=True), 1))
    probs = np.where(is_allowed, np.maximum(probs / sizes, LEAST_PROB), 0.0)
    if growth:
        extras = np.where(is_allowed, np.array(group.extras), 0)
        gains = growth * (extras - (extras.max(1, keepdims=True) if growth > 0 else 0))
        probs = np.where(is_allowed, np.maximum(probs * np.exp(gains), LEAST_PROB), 0.0)
        probs /= np.maximum((probs * sizes).sum(axis=1, keepdims=True), LEAST_PROB)
    return SlotPolicy(group.runs, group.extras, group.tokens, probs)
