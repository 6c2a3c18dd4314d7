"""A population kept by length, bred as arrays, with a policy that seeds it and learns from it: a hybrid.

For spaces whose programs cost microseconds: batches of hundreds, no object a sentence. The array search
(`dslc.search.search_arrays`) calls `ask_tokens` and `tell_rewards`; `ask` and `tell` are the same for any engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dslc.automaton.uniform import Lengths
from dslc.automaton.variation_batch import BatchVariation, Sentences, join_sentences
from dslc.controller.rollout import replay, sample_rollout
from dslc.controller.steps import Steps, select_steps
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.fit_arrays import FitArrays
from dslc.search.losses import entropy, keep_best, risk_seeking_loss
from dslc.search.outcome import Candidate
from dslc.search.row_hash import RowHash
from dslc.search.semantic_variation import GUIDE_PARTS, SemanticVariation
from dslc.search.strategies.collapse import CollapseWatch
from dslc.search.strategies.learner import derive_seed, make_learner
from dslc.search.strategies.policy_options import PolicyOptions, check_policy, check_values
from dslc.space import Space

POOL = 4096
"""Sentences drawn at random at a time, of which parts are donors of mutations."""
POOL_USES = 8
"""Times that a sentence of the pool is used on average before the pool is drawn anew."""
MOST_ROUNDS = 6
"""Rounds of breeding for one batch, where many children are known already."""
DIGITS = 9
"""Decimals to which the rewards of two sentences are equal: then they are taken to mean the same."""
ORIGINS = ("policy", "uniform", "mutation", "crossover")
"""Origins of sentences by number."""


@dataclass(frozen=True, slots=True)
class NichesOptions(PolicyOptions):
    """Options of `niches`."""

    preset: str = "dso"
    """Controller: one of `dslc.controller.PRESETS`."""
    generations: int = 9
    """Batches of children after each batch of the policy."""
    has_policy: int = 1
    """0: children and random sentences only."""
    epsilon: float = 0.05
    """Share of the policy's batch that teaches. Source: dso."""
    entropy_weight: float = 0.005
    """Times the summed entropy of a sequence, nats. Source: dso."""
    niche: int = 40
    """Sentences of one length that live."""
    rank_power: float = 1.0
    """A parent is the member of rank niche * u ** rank_power of its length, u even in [0, 1): 1 makes all alike."""
    fresh: float = 0.05
    """Share of a batch that is drawn at random, lengths evenly."""
    crossover: float = 4.0
    """Weights of the five ways to make a child: a part of another parent in place of one's own,"""
    growth: float = 3.0
    """a part of a random sentence in its place,"""
    shrinking: float = 1.0
    """a part inside it in its place,"""
    change: float = 1.0
    """another choice that leaves the same slots,"""
    insertion: float = 2.0
    """the part inside a new choice."""
    aimed: float = 0.15
    """Parents of aimed children a batch, as a share of it, where the task says what it wants of a program's values."""
    completed: int = 8
    """Parents a batch of which a place is completed exactly, where two known parts can do that."""
    lifetime: int = 15000
    """Evaluations after which the population dies, times 1, 1, 2, 1, 1, 2, 4, … (luby1993); 0: never."""

    def __post_init__(self) -> None:
        allowed = {
            "generations": (self.generations >= 0, "give 0 or more"),
            "has_policy": (self.has_policy in (0, 1), "give 0 or 1"),
            "epsilon": (0 < self.epsilon <= 1, "give a number above 0, to 1"),
            "entropy_weight": (self.entropy_weight >= 0, "give 0 or more"),
            "niche": (self.niche >= 1, "give 1 or more"),
            "rank_power": (self.rank_power > 0, "give a number above 0"),
            "fresh": (0 <= self.fresh <= 1, "give a number from 0 to 1"),
            "aimed": (0 <= self.aimed <= 1, "give a number from 0 to 1"),
            "completed": (self.completed >= 1, "give 1 or more"),
            "lifetime": (self.lifetime >= 0, "give 0 or more"),
            **{name: (getattr(self, name) >= 0, "give 0 or more") for name in WAYS},
        }
        problems = check_policy(self, "niches") + check_values(self, "niches", allowed)
        if problems:
            raise DslcError(problems)


WAYS = ("crossover", "growth", "shrinking", "change", "insertion")
"""Options with the weights of the ways to make a child."""


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
        self._sampled: tuple[NDArray[np.int16], NDArray[np.intp]] | None = None
        """Of a batch of the policy that is not told yet: all that it said, and which of it was new."""
        self._steps: Steps | None = None
        self._teachers: tuple[Sentences, NDArray[np.float64]] | None = None
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
        self._steps = self._sampled = None
        options = self._options
        if self._learner is not None and self._batches % (options.generations + 1) == 0:
            groups.append((self._sample_policy(count), 0))
        elif self._members is None:
            groups.append((self._keep_new(self._draw_even(count), count), 1))
        else:
            number = int(options.fresh * count)
            groups.append((self._keep_new(self._take_pool(number), number), 1))
        missing = count - sum(len(group.tokens) for group, _ in groups)
        if self._aim is not None and self._members is not None and missing > 0:
            guide, number = self._aim[1], round(options.aimed * count)
            fresh = self._take_pool(number // 3)
            for children, is_child in (
                guide.complete(self._pick(options.completed)),
                guide.breed(join_sentences(fresh, self._pick(number - len(fresh.tokens)))),
            ):
                groups.append((self._keep_new(children.take(is_child), missing), 2))
                missing -= len(groups[-1][0].tokens)
        for _ in range(MOST_ROUNDS):
            if missing <= 0 or self._members is None:
                break
            for children, origin in self._breed(missing + missing // 2 + 16):
                kept = self._keep_new(children, missing)
                groups.append((kept, origin))
                missing -= len(kept.tokens)
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
        if self._sampled is not None:
            self._learn(rewards[self._origins == 0])
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
            self._pool, self._pool_uses = self._draw_even(POOL), 0.0
        self._pool_uses += count / POOL
        return self._pool.take(self._generator.integers(POOL, size=count))

    def _keep_new(self, sentences: Sentences, limit: int) -> Sentences:
        """The first ones that were never proposed; from now on they were."""
        return sentences.take(self._find_new(sentences, limit))

    def _find_new(self, sentences: Sentences, limit: int) -> NDArray[np.intp]:
        seen = self._seen
        kept: list[int] = []
        for row, key in enumerate(self._hash.keys(sentences.tokens).tolist()):
            if key not in seen:
                if len(kept) == limit:
                    break
                seen.add(key)
                kept.append(row)
        return np.array(kept, np.intp)

    def _sample_policy(self, count: int) -> Sentences:
        assert self._learner is not None
        rollout = sample_rollout(self._learner.policy, count, self._torch_generator)
        sentences = self._variation.trace(rollout.tokens.cpu().numpy())
        kept = self._find_new(sentences, count)
        self._steps, self._sampled = rollout.steps, (sentences.tokens, kept)
        return sentences.take(kept)

    def _pick(self, count: int) -> Sentences:
        """Parents: a length that occurs, evenly, then a member of it by rank."""
        assert self._members is not None
        draw = self._generator.random
        niches = (draw(count) * len(self._starts)).astype(np.intp)
        ranks = (draw(count) ** self._options.rank_power * self._sizes[niches]).astype(np.intp)
        return self._members.take(self._starts[niches] + ranks)

    def _breed(self, count: int) -> list[tuple[Sentences, int]]:
        """About so many children, with origins; some do not fit, so they are fewer."""
        shares = np.floor(np.cumsum(self._ways) * count + self._generator.random()).astype(np.intp)
        crossed, grown, shrunk, changed, inserted = np.diff(shares, prepend=0).tolist()
        variation = self._variation
        made = [
            (variation.graft(self._pick(crossed), self._pick(crossed)), 3),
            (variation.graft(self._pick(grown), self._take_pool(grown)), 2),
            (variation.shrink(self._pick(shrunk)), 2),
            (variation.change(self._pick(changed)), 2),
            (variation.insert(self._pick(inserted), self._take_pool(inserted)), 2),
        ]
        return [(children.take(is_child), origin) for (children, is_child), origin in made]

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
        self._members, self._rewards = (sentences.take(order), rewards[order]) if len(order) else (None, np.empty(0))

    # --- the policy --------------------------------------------------------------------------------------------------

    def _keep_teachers(self, asked: Sentences, rewards: NDArray[np.float64]) -> None:
        """The best children since the policy's last batch."""
        number = max(1, round(self._options.epsilon * len(rewards)))
        best = np.argsort(-rewards, kind="stable")[:number]
        sentences, values = asked.take(best), rewards[best]
        if self._teachers is not None:
            sentences = join_sentences(self._teachers[0], sentences)
            values = np.concatenate((self._teachers[1], values))
            best = np.argsort(-values, kind="stable")[:number]
            sentences, values = sentences.take(best), values[best]
        self._teachers = sentences, values

    def _learn(self, own: NDArray[np.float64]) -> None:
        learner, options = self._learner, self._options
        assert learner is not None
        assert self._sampled is not None
        said, kept_rows = self._sampled
        pad = len(self._space.vocabulary)
        sentences = [tuple(token for token in row if token != pad) for row in said.tolist()]
        taught: list[tuple[int, ...]] = []
        values: list[float] = []
        if self._teachers is not None:
            for row, value in zip(self._teachers[0].tokens.tolist(), self._teachers[1].tolist(), strict=True):
                taught.append(tuple(token for token in row if token != pad))
                values.append(value)
        self._teachers = None
        nats = 0.0
        if len(own):
            kept, _ = keep_best(learner.rewards(own.tolist()), options.epsilon)
            quantile = min(float(own[index]) for index in kept)
            pairs = [(tokens, value) for tokens, value in zip(taught, values, strict=True) if value >= quantile]
            rewards = learner.rewards([float(own[index]) for index in kept] + [value for _, value in pairs])
            _, advantages = keep_best(rewards, 1.0)
            rows = kept_rows[kept].tolist()
            # What was sampled in an earlier session is walked again, which gives the same.
            steps = self._steps or replay(learner.policy, sentences)
            whole = learner.join(select_steps(steps, rows), [tokens for tokens, _ in pairs])
            score = learner.score(whole)
            own_entropy = entropy(score.entropies[: len(kept)], whole.is_token[: len(kept)])
            loss = risk_seeking_loss(score.log_probs, advantages) - options.entropy_weight * own_entropy
            if loss.requires_grad:
                learner.descend(loss)
            nats = float(own_entropy.detach())
            tokens = max(int(whole.lengths[: len(kept)].sum()), 1)
            self._entropy = nats * len(kept) / tokens
        self._steps = self._sampled = None
        if self._watch.has_collapsed(sentences, nats, self._told):
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
        if self._sampled is not None:
            state["niches.said"], state["niches.kept"] = (torch.tensor(part) for part in self._sampled)
        teachers = None if self._teachers is None else self._teachers[0]
        groups = {"members": self._members, "pool": self._pool, "teachers": teachers, "asked": self._asked}
        for name, group in groups.items():
            if group is not None:
                state[f"niches.{name}"] = torch.tensor(np.stack((group.tokens, group.slots)))
        if self._aim is not None:
            state |= {f"niches.guide.{name}": value for name, value in self._aim[1].state_dict().items()}
        if self._teachers is not None:
            state["niches.teacher_rewards"] = torch.tensor(self._teachers[1])
        state["niches.sizes"] = torch.tensor(self._sizes)
        state["niches.origins"] = torch.tensor(self._origins)
        state["numbers"] = {
            "generator": self._generator.bit_generator.state,
            "pool_uses": self._pool_uses,
            "told": [self._told, self._batches, self._began, self._lives],
            "entropy": self._entropy,
            "repeats": self._repeats,
            "collapse": self._watch.to_json(),
        }
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        if self._learner is not None:
            self._learner.load_state_dict(state)
        self._torch_generator.set_state(state["niches.torch_generator"])
        if self._aim is not None:
            self._aim[1].load_state_dict({name: state[f"niches.guide.{name}"] for name in GUIDE_PARTS})
        self._seen = set(state["niches.seen"].numpy().view(np.uint64).tolist())
        self._rewards = state["niches.rewards"].numpy().copy()
        self._members, self._pool = _sentences(state, "niches.members"), _sentences(state, "niches.pool")
        teachers = _sentences(state, "niches.teachers")
        self._teachers = None if teachers is None else (teachers, state["niches.teacher_rewards"].numpy().copy())
        self._sizes = state["niches.sizes"].numpy().copy()
        self._starts = np.cumsum(self._sizes) - self._sizes
        numbers = state["numbers"]
        self._generator.bit_generator.state = numbers["generator"]
        self._pool_uses, self._entropy = numbers["pool_uses"], numbers["entropy"]
        self._told, self._batches, self._began, self._lives = numbers["told"]
        self._watch.load_json(numbers["collapse"])
        self._asked, self._origins = _sentences(state, "niches.asked"), state["niches.origins"].numpy().copy()
        self._repeats, self._steps, self._sampled = numbers["repeats"], None, None
        if "niches.said" in state:
            self._sampled = state["niches.said"].numpy().copy(), state["niches.kept"].numpy().copy()


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
