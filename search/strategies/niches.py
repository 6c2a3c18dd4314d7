"""A population kept by length, bred as arrays, with a policy that seeds it and learns from it: a hybrid.

For spaces whose programs cost microseconds: batches of hundreds, no object a sentence. The array search
(`dslc.search.search_arrays`) calls `ask_tokens` and `tell_rewards`; `ask` and `tell` are the same for any engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dslc.automaton.uniform import Lengths
from dslc.automaton.variation_batch import BatchVariation, Sentences, join_sentences
from dslc.controller.sample_tokens import sample_tokens
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.fit_arrays import FitArrays
from dslc.search.known_parts import PART_NAMES
from dslc.search.losses import entropy, keep_best, risk_seeking_loss
from dslc.search.outcome import Candidate
from dslc.search.row_hash import RowHash
from dslc.search.rows import unpad_rows
from dslc.search.semantic_variation import SemanticVariation
from dslc.search.strategies.collapse import CollapseWatch
from dslc.search.strategies.learner import derive_seed, make_learner
from dslc.search.strategies.niches_options import WAYS, NichesOptions
from dslc.space import Space

POOL = 4096
"""Sentences drawn at random at a time, of which parts are donors of mutations."""
POOL_USES = 8
"""Times that a sentence of the pool is used on average before the pool is drawn anew."""
SPARE = 2.0
"""Children made for each that is missing, since many are over the budget or known already."""
MOST_ROUNDS = 6
"""Rounds of breeding for one batch, where many children are known already."""
DIGITS = 9
"""Decimals to which the rewards of two sentences are equal: then they are taken to mean the same."""
ORIGINS = ("policy", "uniform", "mutation", "crossover")
"""Origins of sentences by number."""


class Niches:
    """Of every length the best sentences live, at most one for each reward; parents are drawn from all lengths alike.

    So short building blocks never die out, and a long near miss does not crowd out what is shorter. No sentence is
    proposed twice as long as a new one is found; `repeats` counts those of the last batch that were. Every
    `generations` batches the policy proposes one, and learns from the best share of it and from the best children
    since: risk_seeking_loss - entropy_weight * entropy.

    For a regression (`aim_at`) some children are aimed, see `dslc.search.semantic_variation`: these know more of the
    task than rewards.

    Sources:
        mouret2015 (the best of each kind live); mundhenk2021 (a policy seeds genetic programming, whose best teach it);
        koza1992 (subtree crossover and mutation); petersen2021.
    """

    name = "niches"
    figures = ("members", "restarts", "entropy", "repeats")
    options_type = NichesOptions
    largest_batch = 1000
    """Samples a batch in a long search, unless given."""

    def __init__(
        self, space: Space, *, evaluations: int, batch: int, seed: int, device: str, options: NichesOptions
    ) -> None:
        if space.lowering.automaton.registers is not None:
            raise DslcError(
                Diagnostic(
                    Code.COUNTED_NICHES,
                    Severity.ERROR,
                    "the strategy `niches` cannot search a space whose constraints count nodes",
                    help="use `evolution` or `hybrid`, or state `at_most` and `at_least` otherwise",
                )
            )
        self._space, self._options = space, options
        self._generator = np.random.default_rng(derive_seed(seed, "variation"))
        self._variation = BatchVariation(space.lowering.automaton, space.max_tokens, self._generator)
        self._hash = RowHash(len(space.vocabulary), space.max_tokens)
        self._learner = make_learner(space, options, self.name, seed, device) if options.has_policy else None
        self._torch_generator = torch.Generator(device).manual_seed(derive_seed(seed, "sampling"))
        self._watch = CollapseWatch(space, options, evaluations, batch)
        weights = np.array([getattr(options, way) for way in WAYS])
        self._ways = weights / weights.sum()
        self._seen: set[int] = set()
        self._pool: Sentences | None = None
        self._pool_uses = 0.0
        self._members: Sentences | None = None
        self._rewards = np.empty(0)
        self._starts, self._sizes = np.empty(0, np.intp), np.empty(0, np.intp)
        self._asked: Sentences | None = None
        self._origins = np.empty(0, np.uint8)
        self._repeats = 0
        self._told = self._batches = self._began = 0
        self._lives = 1
        self._aim: tuple[FitArrays, SemanticVariation] | None = None
        self._distinct: float | None = None
        """Of a batch of the policy that is not told yet the share that is distinct."""
        self._teachers: tuple[NDArray[np.int16], NDArray[np.float64]] | None = None
        """Tokens and rewards of the best children since the policy's last batch."""
        self._entropy = 0.0

    def aim_at(self, arrays: FitArrays) -> None:
        """From now on some children are aimed at the outputs of a regression, which has to be what scores them.

        Not where the option `aimed` is 0, nor where sentences are not in prefix order.
        """
        if not self._options.aimed or arrays.evaluator.tables.code_by_token is None:
            return
        self._aim = arrays, SemanticVariation(self._variation, arrays.evaluator, arrays.outputs, self._generator)

    # --- proposals ----------------------------------------------------------------------------------------------------

    def ask_tokens(self, count: int) -> NDArray[np.int16]:
        """The next sentences [count, max_tokens], filled up with V behind their ends."""
        groups: list[tuple[Sentences, int]] = []
        self._distinct = None
        options = self._options
        if self._learner is not None and self._batches % (options.generations + 1) == 0:
            groups.append((self._sample_policy(count), 0))
        elif self._members is None:
            groups.append((self._keep_new(self._draw_even(count), count), 1))
        else:
            number = int(options.fresh * count)
            groups.append((self._keep_new(self._take_pool(number), number), 1))
        missing = count - sum(len(group.tokens) for group, _ in groups)
        is_aimed = self._aim is not None and self._batches % options.aim_every == options.aim_every - 1
        if is_aimed and self._members is not None and missing > 0:
            assert self._aim is not None, "then it has a guide"
            guide, number = self._aim[1], round(options.aimed * count)
            fresh = self._take_pool(number // 3)
            aimed = join_sentences(fresh, self._pick(number - len(fresh.tokens)))
            for children in guide.breed(self._pick(options.completed), aimed):
                groups.append((self._keep_new(children, missing), 2))
                missing -= len(groups[-1][0].tokens)
        for _ in range(MOST_ROUNDS):
            if missing <= 0 or self._members is None:
                break
            asked = int(SPARE * missing) + 16
            children, origins = self._breed(asked)
            kept = self._find_new(children, missing)
            groups += [(children.take(kept[origins[kept] == origin]), origin) for origin in (2, 3)]
            missing -= len(kept)
        self._repeats = max(missing, 0)
        if missing > 0:  # nothing new is found: repeats are proposed, and count
            groups.append((self._draw_even(missing), 1))
        self._asked = join_sentences(*(group for group, _ in groups))
        self._origins = np.repeat(
            np.array([origin for _, origin in groups], np.uint8), [len(group.tokens) for group, _ in groups]
        )
        return self._asked.tokens

    def tell_rewards(self, rewards: NDArray[np.float64]) -> dict[str, float]:
        """The rewards of the last `ask_tokens`, in its order."""
        assert self._asked is not None, "asked before told"
        asked, self._asked = self._asked, None
        self._told += len(rewards)
        if self._aim is not None:
            arrays, guide = self._aim
            assert arrays.schedule is not None, "the sentences were scored before"
            guide.remember(asked, arrays.schedule, arrays.values)
        if self._distinct is not None:
            is_own = self._origins == 0
            self._learn(asked.tokens[is_own], rewards[is_own], self._distinct)
            self._distinct = None
        elif self._learner is not None:
            self._keep_teachers(asked, rewards)
        self._batches += 1
        self._settle(asked, rewards)
        lifetime = self._options.lifetime
        if lifetime and self._told - self._began >= lifetime * luby(self._lives):
            self._members, self._rewards, self._began = None, np.empty(0), self._told
            self._lives += 1
            self._seen.clear()
        return {
            "members": float(len(self._rewards)),
            "restarts": float(self._watch.restarts),
            "entropy": self._entropy,
            "repeats": float(self._repeats),
        }

    def origins(self) -> NDArray[np.uint8]:
        """Origin of each sentence of the last `ask_tokens`, as its place in ORIGINS."""
        return self._origins

    def _draw_even(self, count: int) -> Sentences:
        lengths: Lengths = "even"
        seed = int(self._generator.integers(1 << 62))
        return self._variation.trace(self._space.sample_tokens(count, seed=seed, lengths=lengths))

    def _take_pool(self, count: int) -> Sentences:
        if self._pool is None or self._pool_uses > POOL_USES:
            self._pool, self._pool_uses = self._variation.mark_ends(self._draw_even(POOL)), 0.0
        self._pool_uses += count / POOL
        return self._pool.take(self._generator.integers(POOL, size=count))

    def _keep_new(self, sentences: Sentences, limit: int) -> Sentences:
        """The first ones that were never proposed; from now on they were."""
        return sentences.take(self._find_new(sentences, limit))

    def _find_new(self, sentences: Sentences, limit: int) -> NDArray[np.intp]:
        keys = self._hash.keys(sentences.tokens).tolist()
        # The first row of each key.
        row_of = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        new = row_of.keys() - self._seen
        kept = sorted([row_of[key] for key in new])[:limit]
        self._seen.update([keys[row] for row in kept])
        return np.array(kept, np.intp)

    def _sample_policy(self, count: int) -> Sentences:
        assert self._learner is not None
        tokens = sample_tokens(self._learner.policy, count, self._torch_generator)
        if count:
            self._distinct = len(np.unique(self._hash.keys(tokens))) / count
        return self._keep_new(self._variation.trace(tokens), count)

    def _pick(self, count: int) -> Sentences:
        """Parents: a length that occurs, evenly, then a member of it by rank."""
        assert self._members is not None
        draw = self._generator.random
        niches = (draw(count) * len(self._starts)).astype(np.intp)
        ranks = (draw(count) ** self._options.rank_power * self._sizes[niches]).astype(np.intp)
        return self._members.take(self._starts[niches] + ranks)

    def _breed(self, count: int) -> tuple[Sentences, NDArray[np.uint8]]:
        """About so many children in any order, with origins; some do not fit, so they are fewer."""
        shares = np.floor(np.cumsum(self._ways) * count + self._generator.random()).astype(np.intp)
        crossed, grown, shrunk, changed, inserted = np.diff(shares, prepend=0).tolist()
        variation = self._variation
        # Few calls for many: a parent grows with a part of a random sentence, and shrinks with one of its own.
        parents = self._pick(crossed + grown + shrunk)
        own = parents.take(np.arange(crossed + grown, crossed + grown + shrunk))
        donors = join_sentences(self._pick(crossed), self._take_pool(grown), own)
        grafted, is_child = variation.graft(parents, donors, shrinking=shrunk)
        changes, _ = variation.change(self._pick(changed))
        insertions, _ = variation.insert(self._pick(inserted), self._take_pool(inserted))
        children = join_sentences(grafted, changes, insertions)
        origins = np.full(len(children.tokens), 2, np.uint8)
        origins[: int(is_child[:crossed].sum())] = 3
        # Shuffled, so that each way has its share of the first ones.
        order = self._generator.permutation(len(origins))
        return children.take(order), origins[order]

    # --- who lives ----------------------------------------------------------------------------------------------------

    def _settle(self, sentences: Sentences, rewards: NDArray[np.float64]) -> None:
        """Takes them in; of each reward the shortest stays, of each length the best."""
        lives = rewards > rewards.min(initial=0.0) if len(rewards) else np.zeros(0, bool)
        sentences, rewards = sentences.take(lives), rewards[lives]
        if self._members is not None:
            sentences = join_sentences(self._members, sentences)
            rewards = np.concatenate((self._rewards, rewards))
        lengths = sentences.lengths()
        order = np.lexsort((lengths, -rewards))
        rounded = np.round(rewards[order], DIGITS)
        is_first = np.ones(len(order), bool)
        is_first[1:] = rounded[1:] != rounded[:-1]
        order = order[is_first]
        order = order[np.argsort(lengths[order], kind="stable")]
        niches = lengths[order]
        starts = np.concatenate(([0], (niches[1:] != niches[:-1]).nonzero()[0] + 1)) if len(order) else np.zeros(0, int)
        sizes = np.diff(np.append(starts, len(order)))
        stays = np.arange(len(order)) - np.repeat(starts, sizes) < self._options.niche
        order = order[stays]
        self._sizes = np.minimum(sizes, self._options.niche)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._rewards = rewards[order]
        self._members = self._mark_ends(sentences.take(order), order) if len(order) else None

    def _mark_ends(self, members: Sentences, rows: NDArray[np.intp]) -> Sentences:
        """Next members, which were the members of these rows before, or are new if there are no such rows."""
        before = self._members
        if before is None or before.ends is None:
            return self._variation.mark_ends(members)
        is_new = rows >= len(before.tokens)
        ends = np.empty_like(members.tokens)
        ends[~is_new] = before.ends[rows[~is_new]]
        marked = self._variation.mark_ends(members.take(is_new)).ends
        assert marked is not None, "they were marked"
        ends[is_new] = marked
        return members._replace(ends=ends)

    # --- the policy --------------------------------------------------------------------------------------------------

    def _keep_teachers(self, asked: Sentences, rewards: NDArray[np.float64]) -> None:
        """The best children since the policy's last batch."""
        number = max(1, round(self._options.epsilon * len(rewards)))
        best = np.argsort(-rewards, kind="stable")[:number]
        tokens, values = asked.tokens[best], rewards[best]
        if self._teachers is not None:
            tokens = np.concatenate((self._teachers[0], tokens))
            values = np.concatenate((self._teachers[1], values))
            best = np.argsort(-values, kind="stable")[:number]
            tokens, values = tokens[best], values[best]
        self._teachers = tokens, values

    def _learn(self, sentences: NDArray[np.int16], own: NDArray[np.float64], distinct: float) -> None:
        """Of the policy's last batch what was new, and the share of it that was distinct."""
        learner, options = self._learner, self._options
        assert learner is not None
        pad = len(self._space.vocabulary)
        taught, values = (np.empty((0, 0), np.int16), np.empty(0)) if self._teachers is None else self._teachers
        self._teachers = None
        nats = 0.0
        if len(own):
            kept, _ = keep_best(torch.from_numpy(own).to(learner.policy.device), options.epsilon)
            is_good = values >= own[kept].min()
            rewards = torch.from_numpy(np.concatenate((own[kept], values[is_good]))).to(learner.policy.device)
            _, advantages = keep_best(rewards, 1.0)
            steps = learner.record(unpad_rows(sentences[kept], pad) + unpad_rows(taught[is_good], pad))
            score = learner.score(steps)
            own_entropy = entropy(score.entropies[: len(kept)], steps.is_token[: len(kept)])
            loss = risk_seeking_loss(score.log_probs, advantages) - options.entropy_weight * own_entropy
            if loss.requires_grad:
                learner.descend(loss)
            nats = float(own_entropy.detach())
            tokens = max(int(steps.lengths[: len(kept)].sum()), 1)
            self._entropy = nats * len(kept) / tokens
        if self._watch.has_collapsed_to(distinct, nats, self._told):
            learner.restart()

    # --- for any engine ----------------------------------------------------------------------------------------------

    def ask(self, count: int) -> list[Candidate]:
        """As `ask_tokens`, an object a sentence."""
        pad = len(self._space.vocabulary)
        rows = self.ask_tokens(count).tolist()
        origins = [ORIGINS[origin] for origin in self._origins.tolist()]
        return [
            Candidate(tuple(token for token in row if token != pad), None, origin)
            for row, origin in zip(rows, origins, strict=True)
        ]

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """As `tell_rewards`."""
        return self.tell_rewards(np.array([reward for _, reward in results], np.float64))

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        state: dict[str, Any] = {} if self._learner is None else self._learner.state_dict()
        state["niches.torch_generator"] = self._torch_generator.get_state()
        state["niches.seen"] = torch.tensor(np.array(sorted(self._seen), np.uint64).view(np.int64))
        state["niches.rewards"] = torch.tensor(self._rewards)
        groups = {"members": self._members, "pool": self._pool, "asked": self._asked}
        for name, group in groups.items():
            if group is not None:
                state[f"niches.{name}"] = torch.tensor(np.stack((group.tokens, group.slots)))
        if self._aim is not None:
            state |= {f"niches.guide.{name}": value for name, value in self._aim[1].parts.state_dict().items()}
        if self._teachers is not None:
            state["niches.taught"], state["niches.teacher_rewards"] = (torch.tensor(part) for part in self._teachers)
        state["niches.sizes"] = torch.tensor(self._sizes)
        state["niches.origins"] = torch.tensor(self._origins)
        state["numbers"] = {
            "generator": self._generator.bit_generator.state,
            "pool_uses": self._pool_uses,
            "told": [self._told, self._batches, self._began, self._lives],
            "entropy": self._entropy,
            "repeats": self._repeats,
            "distinct": self._distinct,
            "collapse": self._watch.to_json(),
        }
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        if self._learner is not None:
            self._learner.load_state_dict(state)
        self._torch_generator.set_state(state["niches.torch_generator"])
        if self._aim is not None:
            self._aim[1].parts.load_state_dict({name: state[f"niches.guide.{name}"] for name in PART_NAMES})
        self._seen = set(state["niches.seen"].numpy().view(np.uint64).tolist())
        self._rewards = state["niches.rewards"].numpy().copy()
        self._members, self._pool = (
            None if group is None else self._variation.mark_ends(group)
            for group in (_sentences(state, "niches.members"), _sentences(state, "niches.pool"))
        )
        self._teachers = None
        if "niches.taught" in state:
            self._teachers = state["niches.taught"].numpy().copy(), state["niches.teacher_rewards"].numpy().copy()
        self._sizes = state["niches.sizes"].numpy().copy()
        self._starts = np.cumsum(self._sizes) - self._sizes
        numbers = state["numbers"]
        self._generator.bit_generator.state = numbers["generator"]
        self._pool_uses, self._entropy = numbers["pool_uses"], numbers["entropy"]
        self._told, self._batches, self._began, self._lives = numbers["told"]
        self._watch.load_json(numbers["collapse"])
        self._asked, self._origins = _sentences(state, "niches.asked"), state["niches.origins"].numpy().copy()
        self._repeats, self._distinct = numbers["repeats"], numbers["distinct"]


def luby(number: int) -> int:
    """The terms of Luby's sequence, from the first: 1, 1, 2, 1, 1, 2, 4, 1, …

    Example:
        >>> [luby(number) for number in range(1, 16)]
        [1, 1, 2, 1, 1, 2, 4, 1, 1, 2, 1, 1, 2, 4, 8]
    """
    while True:
        bits = number.bit_length()
        if number == (1 << bits) - 1:
            return 1 << (bits - 1)
        number -= (1 << (bits - 1)) - 1


def _sentences(state: Mapping[str, Any], name: str) -> Sentences | None:
    if name not in state:
        return None
    tokens, slots = state[name].numpy().copy()
    return Sentences(tokens, slots)


STRATEGY = Niches
