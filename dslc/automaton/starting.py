"""Starting tables: next-token probabilities over (slot, slack), and how they differ from uniform, exactly.

Equal logits give a recursive grammar a skew: sentences die out at once or fill the budget. The local table draws the
length of each slot evenly from the lengths that fit its slack, then uniformly among the slot's choices at that length,
and then forgets the length. So a space whose slots each have one length starts exactly uniform, and a list exactly even
in its length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.count import Counts
from dslc.automaton.scalar import advance_state, allowed_tokens, start_state
from dslc.automaton.tables import TokenAutomaton

StartingKind = Literal["local", "projected"]
"""Which table: the one of this file, or that of `dslc.automaton.projection`."""
MAX_STARTING_CELLS = 4_194_304
"""Most cells of a starting table. Past it, slots stop telling large slacks apart, but never before their mask does."""
MAX_FIGURE_CELLS = 33_554_432
"""Most cells of the distributions behind the exact figures; past it the figures are None."""


@dataclass(frozen=True, eq=False)
class StartingTable:
    """Log-probabilities in nats of the next token, row = row_base[position] + min(slack, row_cap[position])."""

    automaton: TokenAutomaton
    budget: int
    kind: StartingKind
    """Which table it is: where making a projected one is too much work, or the space counts nodes, a local one."""
    log_probs: NDArray[np.float32]
    """[rows, V + 1]: -inf exactly where the mask forbids; row 0 is all padding."""
    row_base: NDArray[np.int32]
    """[P] first row of the position's slot."""
    row_cap: NDArray[np.int32]
    """[P] last row offset of the slot."""
    expected_tokens: float | None
    """Mean number of tokens of a sentence drawn from the table; None where that is too large to compute, and where
    the space counts nodes: the table knows no counters, what they take out is shared by what they leave."""
    kl_to_uniform: float | None
    """Nats from the table's distribution over sentences to the uniform one; None where `expected_tokens` is."""
    kl_to_even: float | None
    """Nats to the distribution of even lengths, then uniform; None where too large to compute."""
    expected_uses: NDArray[np.float64] | None
    """[V] mean number of times that a sentence drawn from the table uses each token; None where too large."""

    def log_prob(self, tokens: Sequence[int]) -> float:
        """Log-probability in nats of a whole sentence; -inf if it is none within the budget."""
        automaton = self.automaton
        state = start_state(automaton, self.budget)
        total = 0.0
        for token in tokens:
            allowed = allowed_tokens(automaton, state)
            if token not in allowed:
                return -math.inf
            row = int(self.row_base[state.top]) + min(state.slack, int(self.row_cap[state.top]))
            total += float(self.log_probs[row, token])
            if automaton.registers is not None:  # what the counters take out is shared by the rest
                total -= math.log(sum(math.exp(float(self.log_probs[row, each])) for each in allowed))
            state = advance_state(automaton, state, token)
        return total if state.top == 0 else -math.inf


@dataclass(frozen=True, slots=True)
class SlotPolicy:
    """Probabilities of one slot by slack, tokens that open the same run taken together."""

    runs: list[int]
    """First position of each distinct run."""
    extras: list[int]
    """Price of each."""
    tokens: list[list[int]]
    """Tokens that open it."""
    probs: NDArray[np.float64]
    """[slack, run] probability of one of its tokens."""


def starting_table(counts: Counts) -> StartingTable:
    """The local starting table of a space under the budget of its counts, with its exact figures."""
    lengths = slack_range(counts)
    caps = cap_slacks(counts, lengths)
    policies = [_slot_policy(counts, slot, lengths[slot], caps[slot]) for slot in range(counts.automaton.num_slots)]
    return build_table(counts, policies, lengths, "local")


def slack_range(counts: Counts) -> list[list[int]]:
    """[slot] numbers of tokens that can fill it within the budget."""
    automaton = counts.automaton
    max_slack = counts.budget - automaton.start_need
    return [
        [n for n, ways in enumerate(row) if ways and n <= need + max_slack]
        for row, need in zip(counts.slot_counts, automaton.need.tolist(), strict=True)
    ]


def build_table(
    counts: Counts, policies: list[SlotPolicy], lengths: list[list[int]], kind: StartingKind
) -> StartingTable:
    """The table that policies of all slots make, with its exact figures."""
    automaton = counts.automaton
    max_slack = counts.budget - automaton.start_need
    width = automaton.num_tokens + 1
    blocks: list[NDArray[np.float32]] = [np.full((1, width), -np.inf, np.float32)]
    blocks[0][0, -1] = 0.0
    base_of_block: dict[bytes, int] = {}
    slot_rows = np.zeros(max(1, automaton.num_slots), np.int32)
    num_rows = 1
    for slot, policy in enumerate(policies):
        block = np.full((len(policy.probs), width), -np.inf, np.float32)
        with np.errstate(divide="ignore"):
            logs = np.log(policy.probs).astype(np.float32)
        for run, tokens in enumerate(policy.tokens):
            block[:, tokens] = logs[:, run, None]
        key = block.tobytes()
        if key not in base_of_block:  # slots alike, such as copies of a repeated item, share their rows
            base_of_block[key] = num_rows
            blocks.append(block)
            num_rows += len(block)
        slot_rows[slot] = base_of_block[key]
    slot_caps = np.array([len(policy.probs) - 1 for policy in policies] or [0], np.int32)
    row_base, row_cap = slot_rows[automaton.slot], slot_caps[automaton.slot]
    row_base[0] = row_cap[0] = 0
    figures = None if automaton.registers else _exact_figures(counts, policies, lengths, max_slack)
    return StartingTable(
        automaton=automaton,
        budget=counts.budget,
        kind=kind,
        log_probs=np.concatenate(blocks),
        row_base=row_base,
        row_cap=row_cap,
        expected_tokens=None if figures is None else float(figures.length_probs @ np.arange(counts.budget + 1)),
        kl_to_uniform=None if figures is None else max(0.0, math.log(counts.total) - figures.entropy),
        kl_to_even=None if figures is None else _kl_to_even(counts, figures),
        expected_uses=None if figures is None else figures.uses,
    )


def cap_slacks(counts: Counts, lengths: list[list[int]]) -> list[int]:
    """Largest slack that each slot tells apart."""
    automaton = counts.automaton
    width, needs = automaton.num_tokens + 1, automaton.need.tolist()
    mask_caps = [0] * automaton.num_slots
    for position in range(1, automaton.num_positions):
        mask_caps[automaton.slot[position]] = int(automaton.row_cap[position])
    full = [(row[-1] - need if row else 0) for row, need in zip(lengths, needs, strict=True)]
    limit = max(full, default=0)
    while True:
        caps = [max(min(cap, limit), min(cap, mask_cap)) for cap, mask_cap in zip(full, mask_caps, strict=True)]
        if limit == 0 or sum(cap + 1 for cap in caps) * width <= MAX_STARTING_CELLS:
            return caps
        limit //= 2


def _slot_policy(counts: Counts, slot: int, lengths: list[int], cap: int) -> SlotPolicy:
    need = int(counts.automaton.need[slot])
    tokens_by_run: dict[int, list[int]] = {}
    for token, run in counts.choices[slot]:
        tokens_by_run.setdefault(run, []).append(token)
    runs = list(tokens_by_run)
    base = slot * (counts.automaton.num_tokens + 1)
    extras = [int(counts.automaton.extra[base + tokens_by_run[run][0]]) for run in runs]
    ways = counts.slot_counts[slot]
    shares = np.zeros((cap + 1, len(runs)))
    num_lengths = np.zeros(cap + 1)
    for length in lengths:
        if length - need > cap:
            break
        # Division of integers is exact before it rounds once, whatever their size.
        shares[length - need] = [counts.position_counts[run][length - 1] / ways[length] for run in runs]
        num_lengths[length - need] = 1.0
    probs = np.cumsum(shares, axis=0) / np.maximum(np.cumsum(num_lengths), 1.0)[:, None]
    return SlotPolicy(runs, extras, [tokens_by_run[run] for run in runs], probs)


# --- figures ----------------------------------------------------------------------------------------------------------


def _find_reached(counts: Counts, policies: list[SlotPolicy], lengths: list[list[int]], max_slack: int) -> list[int]:
    """[position] slacks at which it can be reached, as bits."""
    automaton = counts.automaton
    slot_of, following = automaton.slot.tolist(), automaton.next.tolist()
    needs = automaton.need.tolist()
    reached = [0] * automaton.num_positions
    pending = {automaton.start_position: 1 << max_slack}
    while pending:
        position, bits = pending.popitem()
        bits &= ~reached[position]
        if not bits or not position:
            continue
        reached[position] |= bits
        slot = slot_of[position]
        for run, extra in zip(policies[slot].runs, policies[slot].extras, strict=True):
            if run and bits >> extra:
                pending[run] = pending.get(run, 0) | bits >> extra
        if following[position]:
            left = 0
            for length in lengths[slot]:
                left |= bits >> (length - needs[slot])
            pending[following[position]] = pending.get(following[position], 0) | left
    return reached


class _Outcomes:
    """What is left of the slack when a slot or the rest of a run is finished, by the slack it is reached with."""

    def __init__(self, reached: int, max_slack: int, num_tokens: int) -> None:
        self.slacks = np.array([s for s in range(max_slack + 1) if reached >> s & 1], np.intp)
        self.row = {int(s): i for i, s in enumerate(self.slacks)}
        self.left = np.zeros((len(self.slacks), max_slack + 1))
        """[slack before, slack after] probability."""
        self.entropy = np.zeros(len(self.slacks))
        """[slack before] nats of the choices made meanwhile."""
        self.uses = np.zeros((len(self.slacks), num_tokens))
        """[slack before, token] expected number of uses meanwhile."""
        self.is_known = np.zeros(len(self.slacks), np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class _Figures:
    """Of a table's distribution over sentences."""

    length_probs: NDArray[np.float64]
    """[tokens] probability of each length, 0 to the budget."""
    entropy: float
    """In nats."""
    uses: NDArray[np.float64] | None
    """[V] expected uses of each token; None where too many cells."""


def _kl_to_even(counts: Counts, figures: _Figures) -> float:
    num_lengths = sum(1 for ways in counts.by_tokens if ways)
    logs = np.array([math.log(ways) if ways else 0.0 for ways in counts.by_tokens])
    return max(0.0, math.log(num_lengths) + float(figures.length_probs @ logs) - figures.entropy)


def _exact_figures(
    counts: Counts, policies: list[SlotPolicy], lengths: list[list[int]], max_slack: int
) -> _Figures | None:
    """Lengths, entropy and uses of the tokens, from what each slot and rest of a run leaves of its slack.

    By slack ascending and, within one slack, by need ascending: a choice that costs no slack leads to slots that need
    less.
    """
    automaton = counts.automaton
    if not automaton.start_position:
        return _Figures(np.eye(1, counts.budget + 1)[0], 0.0, np.zeros(automaton.num_tokens))
    slot_of, following = automaton.slot.tolist(), automaton.next.tolist()
    reached = _find_reached(counts, policies, lengths, max_slack)
    slot_reached = [0] * automaton.num_slots
    for position in range(1, automaton.num_positions):
        slot_reached[slot_of[position]] |= reached[position]
    inner = [p for p in range(1, automaton.num_positions) if following[p] and reached[p]]
    cells = sum(bits.bit_count() for bits in slot_reached) + sum(reached[p].bit_count() for p in inner)
    if cells * (max_slack + 1) > MAX_FIGURE_CELLS:
        return None
    num_tokens = automaton.num_tokens if cells * automaton.num_tokens <= MAX_FIGURE_CELLS else 0
    of_slot = [_Outcomes(bits, max_slack, num_tokens) for bits in slot_reached]
    of_position: dict[int, _Outcomes] = {p: _Outcomes(reached[p], max_slack, num_tokens) for p in inner}
    for position in range(1, automaton.num_positions):
        if not following[position]:
            of_position[position] = of_slot[slot_of[position]]

    def finish_run(position: int, slack: int) -> None:
        """Makes a run's outcomes at a slack known, from its last position to its first."""
        chain = []
        while following[position]:
            chain.append(position)
            position = following[position]
        for current in reversed(chain):
            whole = of_position.get(current)
            if whole is None or slack not in whole.row or whole.is_known[whole.row[slack]]:
                continue
            row = whole.row[slack]
            first, rest = of_slot[slot_of[current]], of_position[following[current]]
            after = first.left[first.row[slack]]
            known = int(np.searchsorted(rest.slacks, slack, side="right"))
            weights = after[rest.slacks[:known]]
            whole.left[row] = weights @ rest.left[:known]
            whole.entropy[row] = first.entropy[first.row[slack]] + weights @ rest.entropy[:known]
            whole.uses[row] = first.uses[first.row[slack]] + weights @ rest.uses[:known]
            whole.is_known[row] = True

    order = sorted(range(automaton.num_slots), key=lambda slot: int(automaton.need[slot]))
    for slack in range(max_slack + 1):
        for slot in order:
            outcomes = of_slot[slot]
            if slack not in outcomes.row:
                continue
            row = outcomes.row[slack]
            policy = policies[slot]
            probs = policy.probs[min(slack, len(policy.probs) - 1)]
            for run, extra, tokens, prob in zip(policy.runs, policy.extras, policy.tokens, probs.tolist(), strict=True):
                if prob == 0.0:
                    continue
                weight = prob * len(tokens)
                outcomes.entropy[row] -= weight * math.log(prob)
                if num_tokens:
                    outcomes.uses[row, tokens] += prob
                if not run:
                    outcomes.left[row, slack - extra] += weight
                    continue
                if extra == 0:
                    finish_run(run, slack)
                opened = of_position[run]
                opened_row = opened.row[slack - extra]
                outcomes.left[row] += weight * opened.left[opened_row]
                outcomes.entropy[row] += weight * opened.entropy[opened_row]
                outcomes.uses[row] += weight * opened.uses[opened_row]
            outcomes.is_known[row] = True
        for position in inner:
            finish_run(position, slack)
    whole = of_position[automaton.start_position]
    row = whole.row[max_slack]
    length_probs = np.zeros(counts.budget + 1)
    length_probs[counts.budget - np.arange(max_slack + 1)] = whole.left[row]
    return _Figures(length_probs, float(whole.entropy[row]), whole.uses[row] if num_tokens else None)


# --- equal logits -----------------------------------------------------------------------------------------------------

MAX_DENSE_SLOTS = 1024
"""Most slots on cycles whose eigenvalues are computed densely; past it, by repeated multiplication."""


def criticality(automaton: TokenAutomaton) -> float:
    """Spectral radius of the mean number of slots of each kind that a slot leaves when all its choices are alike.

    0 for a grammar without recursion; below 1 sentences die out by themselves, above 1 they grow until the budget ends
    them.
    """
    offspring = mean_offspring(automaton)
    return spectral_radius(offspring, _keep_cyclic(offspring))


def mean_offspring(automaton: TokenAutomaton) -> list[dict[int, float]]:
    """[slot] mean number of slots of each kind that a slot leaves when all its choices are alike."""
    width = automaton.num_tokens + 1
    exists = automaton.extra <= automaton.max_budget
    slot_of, following = automaton.slot.tolist(), automaton.next.tolist()
    offspring: list[dict[int, float]] = []
    for slot in range(automaton.num_slots):
        cells = slice(slot * width, slot * width + width - 1)
        runs, numbers = np.unique(automaton.run[cells][exists[cells]], return_counts=True)
        mean: dict[int, float] = {}
        for first, number in zip(runs.tolist(), (numbers / numbers.sum()).tolist(), strict=True):
            position = first
            while position:
                mean[slot_of[position]] = mean.get(slot_of[position], 0.0) + number
                position = following[position]
        offspring.append(mean)
    return offspring


def spectral_radius(offspring: list[dict[int, float]], slots: Sequence[int]) -> float:
    """Of the mean numbers of offspring of some slots among themselves."""
    if not slots:
        return 0.0
    index = {slot: i for i, slot in enumerate(slots)}
    matrix = np.zeros((len(slots), len(slots)))
    for slot in slots:
        for child, number in offspring[slot].items():
            if child in index:
                matrix[index[slot], index[child]] = number
    if len(slots) <= MAX_DENSE_SLOTS:
        return float(np.abs(np.linalg.eigvals(matrix)).max())
    vector, growth = np.ones(len(slots)), 1.0
    for _ in range(2000):  # the identity added keeps periodic grammars from oscillating
        vector = matrix @ vector + vector
        growth = float(vector.max())
        vector /= growth
    return growth - 1.0


def _keep_cyclic(offspring: list[dict[int, float]]) -> list[int]:
    """Slots left when those without offspring are removed again and again, and those without parents."""
    kept = set(range(len(offspring)))
    for links in (offspring, _reverse(offspring)):
        targets = [{child for child in links[slot] if child in kept} for slot in range(len(offspring))]
        sources: dict[int, list[int]] = {}
        for slot in sorted(kept):
            for child in targets[slot]:
                sources.setdefault(child, []).append(slot)
        pending = [slot for slot in sorted(kept) if not targets[slot]]
        while pending:
            slot = pending.pop()
            kept.discard(slot)
            for source in sources.get(slot, ()):
                targets[source].discard(slot)
                if not targets[source]:
                    pending.append(source)
    return sorted(kept)


def _reverse(offspring: list[dict[int, float]]) -> list[dict[int, float]]:
    parents: list[dict[int, float]] = [{} for _ in offspring]
    for slot, children in enumerate(offspring):
        for child, number in children.items():
            parents[child][slot] = number
    return parents
