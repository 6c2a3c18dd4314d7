"""The search by populations: batches are arrays from the strategy to the record, and are scored at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.search.config import SearchConfig
from dslc.search.control import control_due
from dslc.search.engine import Engine
from dslc.search.evaluate import hash_program
from dslc.search.executors.job import Execution, Executor, Job
from dslc.search.fit_arrays import FitArrays
from dslc.search.ledger import FULL_TRAINING, Counters, Ledger, history_differs
from dslc.search.outcome import ORIGINS, Candidate, Outcome, Strategy, Task
from dslc.search.population_record import NOT_FINITE, Population, pack_tokens, sentence_keys
from dslc.search.population_task import Scorer, score_population
from dslc.search.progress import Callback
from dslc.search.rows import pad_rows
from dslc.search.search_arrays import AimedStrategy, ArrayStrategy
from dslc.search.store import Evaluation, RunStore, Sample

if TYPE_CHECKING:
    from dslc.space import Space

CONTROL_BLOCK = 1024
"""Control sentences that are drawn at a time, by a seed of their own."""
TOLERANCE = 1e-6
"""Relative difference up to which a reward of the population is that of the program by itself."""
_POLICY, _UNIFORM = ORIGINS.index("policy"), ORIGINS.index("uniform")

Tokens = NDArray[np.integer[Any]]


class PopulationEngine(Engine):
    """An `Engine` whose batches are scored by one call; what it records is read as any other run.

    The best samples, each when it is found, and the first that fails are evaluated by themselves too, for their metrics
    or their diagnostic.
    """

    def __init__(
        self,
        space: Space,
        task: Task,
        strategy: Strategy,
        executor: Executor,
        config: SearchConfig,
        store: RunStore,
        callbacks: Sequence[Callback] = (),
        *,
        scorer: Scorer,
    ) -> None:
        super().__init__(space, task, strategy, executor, config, store, callbacks)
        self.scorer = scorer
        self.ledger: PopulationLedger = PopulationLedger(store, num_sentences=space.count() if callbacks else None)
        self._control: tuple[int, Tokens] | None = None  # the last block that was drawn
        self._pad = len(space.vocabulary)
        self._has_told_of_difference = False
        if isinstance(strategy, AimedStrategy) and isinstance(scorer, FitArrays):
            strategy.aim_at(scorer)

    def _run_batch(self) -> None:
        counters = self.ledger.counters
        began = time.perf_counter()
        wanted = min(self.config.batch, self.config.evaluations - counters.evaluations)
        candidates: list[Candidate] = []
        if isinstance(self.strategy, ArrayStrategy):
            own: Tokens = self.strategy.ask_tokens(wanted)
            origins = self.strategy.origins().copy()
        else:
            candidates = self.strategy.ask(wanted)
            own = pad_rows([candidate.tokens for candidate in candidates], self._pad)
            origins = np.array([ORIGINS.index(candidate.origin) for candidate in candidates], np.uint8)
        assert len(own) == wanted, f"{self.strategy.name} gave {len(own)} candidates for {wanted}"
        counters.controller_seconds += time.perf_counter() - began
        # `uniform` names the control; a strategy that samples uniformly is a policy like any other.
        origins[origins == _UNIFORM] = _POLICY
        control = self._draw_control(wanted)
        with self._guard.droppable():
            began = time.perf_counter()
            # The control first: a strategy that aims looks at how its own sentences were scored, all of them.
            control_rewards = self._score(control)
            is_aimed = isinstance(self.strategy, AimedStrategy)
            own_rewards = score_population(self.scorer, own) if is_aimed else self._score(own)
            counters.population_seconds += time.perf_counter() - began
        population = self._record(
            Population(
                pack_tokens(self._join(own, control), self._pad),
                np.concatenate((own_rewards, control_rewards)),
                np.concatenate((origins, np.full(len(control), _UNIFORM, np.uint8))),
            ),
            wanted,
        )
        own_rewards = population.rewards[:wanted]
        self._stop_if_nothing_works()
        floor = self._floor()
        told = np.where(np.isnan(own_rewards), floor, own_rewards)
        began = time.perf_counter()
        if isinstance(self.strategy, ArrayStrategy):
            figures = self.strategy.tell_rewards(told)
        else:
            figures = self.strategy.tell(list(zip(candidates, told.tolist(), strict=True)))
        counters.controller_seconds += time.perf_counter() - began
        self._close_batch(figures, own_rewards[~np.isnan(own_rewards)].tolist())
        self._report_progress()

    def _join(self, own: Tokens, control: Tokens) -> Tokens:
        width = max(own.shape[1], control.shape[1])
        parts = [
            np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=self._pad) for part in (own, control)
        ]
        return np.concatenate(parts)

    def _draw_control(self, wanted: int) -> Tokens:
        """The uniform sentences that are due; they depend on neither the strategy nor the batches."""
        counters, config = self.ledger.counters, self.config
        due = control_due(counters.evaluations + wanted, config.evaluations, config.control)
        rows = []
        for index in range(counters.control, due):
            block, row = divmod(index, CONTROL_BLOCK)
            if self._control is None or self._control[0] != block:
                digest = sha256(f"control block\0{config.seed}\0{block}".encode()).digest()
                seed = int.from_bytes(digest[:8], "big")
                self._control = block, self.space.sample_tokens(CONTROL_BLOCK, seed=seed, lengths="even")
            rows.append(self._control[1][row])
        return np.array(rows).reshape(len(rows), self.space.max_tokens)

    def _score(self, tokens: Tokens) -> NDArray[np.float64]:
        """Rewards [sentence]; those of sentences that were scored before are answered from memory."""
        keys = sentence_keys(pack_tokens(tokens, self._pad)).tolist()
        known = self.ledger.reward_by_key
        new = {key: row for row, key in enumerate(keys) if key not in known}
        fresh: dict[int, float] = {}
        if new:
            rewards = score_population(self.scorer, tokens[list(new.values())])
            fresh = dict(zip(new, rewards.tolist(), strict=True))
        return np.array([fresh[key] if key in fresh else known[key] for key in keys], np.float64)

    def _record(self, population: Population, num_own: int) -> Population:
        """Note and count the batch; one that was recorded before a crash is checked, and comes back as it was then."""
        counters, ledger = self.ledger.counters, self.ledger
        recorded = ledger.take_recorded(population)
        population = recorded or population
        bests = self._find_bests(population, num_own)
        if recorded is None:
            self._evaluate_singly(population, bests)
            self.store.record_batch(counters.batch, population, bests)
        if bests:
            counters.best_sample, counters.best_text = bests[-1].id, bests[-1].text
            row = bests[-1].id - counters.samples - 1
            counters.best_reward = float(population.rewards[row])
            counters.best_evaluation = counters.evaluations + row + 1
        ledger.count(population, num_own)
        return population

    def _find_bests(self, population: Population, num_own: int) -> list[Sample]:
        """The strategy's samples that were the best when they were found, in order."""
        counters = self.ledger.counters
        best = -np.inf if counters.best_reward is None else counters.best_reward
        rewards = np.concatenate(([best], np.nan_to_num(population.rewards[:num_own], nan=-np.inf)))
        rows = (rewards[1:] > np.maximum.accumulate(rewards)[:-1]).nonzero()[0].tolist()
        bests = []
        for row in rows:
            tokens = population.sentence(row)
            program = self.space.decode(tokens)
            origin, number = ORIGINS[population.origins[row]], counters.samples + 1 + row
            bests.append(Sample(number, counters.batch, tokens, program.text, None, hash_program(program), origin, ()))
        return bests

    def _evaluate_singly(self, population: Population, bests: Sequence[Sample]) -> None:
        """Let the task evaluate the new bests, and the first sentence that fails, each by itself."""
        ledger, first = self.ledger, self.ledger.counters.samples + 1
        rewards = {best.program_hash: float(population.rewards[best.id - first]) for best in bests}
        tokens = {best.program_hash: best.tokens for best in bests}
        failed = np.isnan(population.rewards).nonzero()[0]
        if ledger.failure_code is None and len(failed):
            sentence = population.sentence(int(failed[0]))
            program_hash = hash_program(self.space.decode(sentence))
            rewards[program_hash], tokens[program_hash] = np.nan, sentence
        jobs = [
            Job(program_hash, self.space.decode(sentence), self._context(program_hash))
            for program_hash, sentence in tokens.items()
            if program_hash not in ledger.outcome_by_hash
        ]
        with self._guard.droppable():
            executions = list(self.executor.run_jobs(jobs))
        for execution in executions:
            reward = rewards[execution.program_hash]
            alone = np.nan if execution.outcome.reward is None else execution.outcome.reward
            if not np.isclose(alone, reward, rtol=TOLERANCE, atol=0, equal_nan=True):
                self._tell_of_difference(tokens[execution.program_hash], reward, alone)
            ledger.note_single(execution, None if np.isnan(reward) else reward)

    def _tell_of_difference(self, tokens: tuple[int, ...], reward: float, alone: float) -> None:
        if self._has_told_of_difference:
            return
        self._has_told_of_difference = True
        self.notes.append(
            Diagnostic(
                Code.POPULATION_DIFFERS,
                Severity.WARNING,
                f"the population function scores a program with {reward:.6g} that by itself has {alone:.6g}",
                help="the search goes by the population's rewards; mend the function, or search with --no-populations",
                notes=(f"for example: {self.space.decode(tokens).text}",),
            )
        )

    def _describe_seconds(self) -> dict[str, float]:
        return {**super()._describe_seconds(), "children": self.ledger.counters.population_seconds}


class PopulationLedger(Ledger):
    """What a search by populations knows: the reward of every sentence."""

    def __init__(self, store: RunStore, *, num_sentences: int | None = None) -> None:
        super().__init__(store, num_sentences=num_sentences)
        self.reward_by_key: dict[int, float] = {}
        self.failure_code: str | None = None
        """Of the first sentence that failed, whose diagnostic stands for all."""
        self._batches: dict[int, Population] = {}  # recorded after the checkpoint

    def restore(self, counters: Mapping[str, Any] | None) -> bool:
        """See `Ledger`."""
        restored = Counters(**counters) if counters is not None else Counters()
        before, after = [], {}
        for number, population in self.store.read_batches():
            if number < restored.batch:
                before.append(population)
            else:
                after[number] = population
        if len(before) != restored.batch:
            return False
        self.counters, self._batches = restored, after
        for population in before:
            self._remember(population)
        for program_hash, _, outcome in self.store.read_evaluations():
            self._note_single(program_hash, outcome)
        return True

    @property
    def is_catching_up(self) -> bool:
        """Whether batches recorded before a crash are still to be asked again."""
        return bool(self._batches)

    @property
    def num_programs(self) -> int:
        """Distinct sentences of the samples so far: what they mean is not compared."""
        return len(self.reward_by_key)

    @property
    def is_exhausted(self) -> bool:
        """See `Ledger`."""
        return self._num_sentences is not None and len(self.reward_by_key) >= self._num_sentences

    def take_recorded(self, population: Population) -> Population | None:
        """The batch as it was recorded before a crash, if it was.

        Raises:
            DslcError: DSLC626 if its sentences are others.
        """
        recorded = self._batches.pop(self.counters.batch, None)
        if recorded is None:
            return None
        is_same = np.array_equal(recorded.tokens, population.tokens)
        if not is_same or not np.array_equal(recorded.origins, population.origins):
            raise history_differs(f"batch {self.counters.batch} is not the one recorded on going on")
        return recorded

    def note_single(self, execution: Execution, reward: float | None) -> None:
        """Note what a program came to by itself, with the reward that it had in its population."""
        outcome = execution.outcome
        if reward is not None:
            outcome = Outcome(reward, outcome.metrics)
        elif outcome.diagnostic is None:
            outcome = Outcome(None, diagnostic=Diagnostic(Code.REWARD_NOT_FINITE, Severity.ERROR, NOT_FINITE))
        self._note_single(execution.program_hash, outcome)
        self.store.record_evaluation(
            Evaluation(execution.program_hash, FULL_TRAINING, outcome, execution.seconds, execution.worker)
        )

    def _note_single(self, program_hash: str, outcome: Outcome) -> None:
        self.outcome_by_hash[program_hash] = outcome
        if outcome.diagnostic is not None:
            self.failure_code = outcome.diagnostic.code.value

    def count(self, population: Population, num_own: int) -> None:
        """Count a batch, the strategy's `num_own` samples first, and remember its rewards."""
        counters, rewards = self.counters, population.rewards
        known = len(self.reward_by_key)
        self._remember(population)
        is_failed = np.isnan(rewards)
        counters.failed += int(is_failed.sum())
        counters.has_success = counters.has_success or not bool(is_failed.all())
        if not counters.has_success and self.failure_code is not None:
            new = len(self.reward_by_key) - known
            counters.early_failures[self.failure_code] = counters.early_failures.get(self.failure_code, 0) + new
        own, control = (part[~np.isnan(part)] for part in (rewards[:num_own], rewards[num_own:]))
        counters.evaluations += num_own
        counters.control += len(rewards) - num_own
        counters.control_sum += float(control.sum())
        counters.control_scored += len(control)
        if len(own):
            worst = float(own.min())
            counters.worst_reward = worst if counters.worst_reward is None else min(worst, counters.worst_reward)

    def _remember(self, population: Population) -> None:
        self.reward_by_key.update(
            zip(sentence_keys(population.tokens).tolist(), population.rewards.tolist(), strict=True)
        )
