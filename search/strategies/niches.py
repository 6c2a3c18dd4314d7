"""A population kept by length, bred as arrays, with a policy that seeds it and learns from it: a hybrid.

For spaces whose programs cost microseconds: batches of hundreds, no object a sentence. The array search
(`dslc.search.search_arrays`) calls `ask_tokens` and `tell_rewards`; `ask` and `tell` are the same for any engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dslc.automaton.variation_batch import BatchVariation, Sentences, join_sentences
from dslc.controller.sample_tokens import sample_tokens
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.breeder import CROSSOVER, MUTATION, Breeder, draw_even
from dslc.search.fit_arrays import FitArrays
from dslc.search.key_set import KeySet
from dslc.search.known_parts import PART_NAMES
from dslc.search.losses import entropy, keep_best, risk_seeking_loss
from dslc.search.outcome import ORIGINS, Candidate
from dslc.search.row_hash import RowHash
from dslc.search.rows import unpad_rows
from dslc.search.semantic_variation import SemanticVariation
from dslc.search.strategies.collapse import CollapseWatch
from dslc.search.strategies.learner import derive_seed, make_learner
from dslc.search.strategies.niches_options import WAYS, NichesOptions
from dslc.space import Space

SPARE = 2.0
"""Children made for each that is missing, since many are over the budget or known already."""
MOST_ROUNDS = 6
"""Rounds of breeding for one batch, where many children are known already."""


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
        _check_space(space)
        self._space, self._options = space, options
        self._generator = np.random.default_rng(derive_seed(seed, "variation"))
        self._variation = BatchVariation(space.lowering.automaton, space.max_tokens, self._generator)
        self._hash = RowHash(len(space.vocabulary), space.max_tokens)
        self._learner = make_learner(space, options, self.name, seed, device) if options.has_policy else None
        self._torch_generator = torch.Generator(device).manual_seed(derive_seed(seed, "sampling"))
        self._watch = CollapseWatch(space, options, evaluations, batch)
        self._draw_even = partial(draw_even, space, self._variation)
        weights = np.array([getattr(options, way) for way in WAYS])
        self._breeder = Breeder(
            self._variation,
            self._hash,
            weights / weights.sum(),
            options.niche,
            options.rank_power,
            self._draw_even,
        )
        self._seen = KeySet()
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
        options, breeder = self._options, self._breeder
        if self._learner is not None and self._batches % (options.generations + 1) == 0:
            groups.append((self._sample_policy(count), 0))
        elif not len(breeder.members):
            groups.append((self._keep_new(self._draw_even(count), count), 1))
        else:
            number = int(options.fresh * count)
            groups.append((self._keep_new(breeder.sentences(breeder.draw_pool(number)), number), 1))
        missing = count - sum(len(group.tokens) for group, _ in groups)
        is_aimed = self._aim is not None and self._batches % options.aim_every == options.aim_every - 1
        if is_aimed and len(breeder.members) and missing > 0:
            assert self._aim is not None, "then it has a guide"
            guide, number = self._aim[1], round(options.aimed * count)
            fresh = breeder.draw_pool(number // 3)
            aimed = np.concatenate((fresh, breeder.draw_parents(number - len(fresh))))
            completed = breeder.draw_parents(options.completed)
            for children in guide.breed(breeder.sentences(completed), breeder.sentences(aimed)):
                groups.append((self._keep_new(children, missing), 2))
                missing -= len(groups[-1][0].tokens)
        for _ in range(MOST_ROUNDS):
            if missing <= 0 or not len(breeder.members):
                break
            plan = breeder.plan(int(SPARE * missing) + 16)
            kept = self._seen.add_new(plan.keys, missing)
            origins = plan.origins.take(kept)
            for origin in (MUTATION, CROSSOVER):
                chosen = plan.children.take(kept[origins == origin])
                groups.append((breeder.write(chosen), origin))
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
        self._breeder.settle(asked, rewards)
        lifetime = self._options.lifetime
        if lifetime and self._told - self._began >= lifetime * luby(self._lives):
            self._breeder.members.clear()
            self._seen = KeySet()
            self._began = self._told
            self._lives += 1
        return {
            "members": float(len(self._breeder.members)),
            "restarts": float(self._watch.restarts),
            "entropy": self._entropy,
            "repeats": float(self._repeats),
        }

    def origins(self) -> NDArray[np.uint8]:
        """Origin of each sentence of the last `ask_tokens`, as its place in ORIGINS."""
        return self._origins

    def _keep_new(self, sentences: Sentences, limit: int) -> Sentences:
        """The first ones that were never proposed; from now on they were."""
        return sentences.take(self._seen.add_new(self._hash.keys(sentences.tokens), limit))

    def _sample_policy(self, count: int) -> Sentences:
        assert self._learner is not None
        tokens = sample_tokens(self._learner.policy, count, self._torch_generator)
        if count:
            self._distinct = len(np.unique(self._hash.keys(tokens))) / count
        return self._keep_new(self._variation.trace(tokens), count)

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
            steps = learner.replay(unpad_rows(sentences[kept], pad) + unpad_rows(taught[is_good], pad))
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
        sentences = unpad_rows(self.ask_tokens(count), len(self._space.vocabulary))
        origins = [ORIGINS[origin] for origin in self._origins.tolist()]
        return [Candidate(sentence, None, origin) for sentence, origin in zip(sentences, origins, strict=True)]

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """As `tell_rewards`."""
        return self.tell_rewards(np.array([reward for _, reward in results], np.float64))

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        state: dict[str, Any] = {} if self._learner is None else self._learner.state_dict()
        state["niches.torch_generator"] = self._torch_generator.get_state()
        state["niches.seen"] = torch.tensor(self._seen.keys().view(np.int64))
        state |= {f"niches.{name}": value for name, value in self._breeder.state_dict().items()}
        if self._asked is not None:
            state["niches.asked"] = torch.tensor(np.stack((self._asked.tokens, self._asked.slots)))
        if self._aim is not None:
            state |= {f"niches.guide.{name}": value for name, value in self._aim[1].parts.state_dict().items()}
        if self._teachers is not None:
            state["niches.taught"], state["niches.teacher_rewards"] = (torch.tensor(part) for part in self._teachers)
        state["niches.origins"] = torch.tensor(self._origins)
        state["numbers"] = {
            "generator": self._generator.bit_generator.state,
            "pool_uses": self._breeder.pool_uses,
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
        self._seen = KeySet(state["niches.seen"].numpy().view(np.uint64))
        prefix = "niches."
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        self._breeder.load_state_dict(own)
        self._teachers = None
        if "niches.taught" in state:
            self._teachers = state["niches.taught"].numpy().copy(), state["niches.teacher_rewards"].numpy().copy()
        numbers = state["numbers"]
        self._generator.bit_generator.state = numbers["generator"]
        self._breeder.pool_uses, self._entropy = numbers["pool_uses"], numbers["entropy"]
        self._told, self._batches, self._began, self._lives = numbers["told"]
        self._watch.load_json(numbers["collapse"])
        self._asked = Sentences(*state["niches.asked"].numpy().copy()) if "niches.asked" in state else None
        self._origins = state["niches.origins"].numpy().copy()
        self._repeats, self._distinct = numbers["repeats"], numbers["distinct"]


def _check_space(space: Space) -> None:
    """Raises DSLC671 for a space whose sentences have no parts that can be exchanged freely."""
    automaton = space.lowering.automaton
    if automaton.registers is not None:
        why = "a space whose constraints count nodes"
        advice = "use `evolution` or `hybrid`, or state `at_most` and `at_least` otherwise"
    elif automaton.num_slots == 0:
        why, advice = "a space of one sentence, in which nothing is chosen", "search it with `random`"
    else:
        return
    raise DslcError(
        Diagnostic(Code.NO_NICHES, Severity.ERROR, f"the strategy `niches` cannot search {why}", help=advice)
    )


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


STRATEGY = Niches
