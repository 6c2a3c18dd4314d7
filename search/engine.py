"""The search itself: ask, evaluate, tell, a batch at a time; everything else hangs on it by store and callbacks."""

from __future__ import annotations

import math
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.checkpoints import Checkpoint, read_checkpoints, write_checkpoint
from dslc.search.config import FAILURES_THAT_STOP, SearchConfig
from dslc.search.control import control_candidate, control_due
from dslc.search.evaluate import child_seed, hash_program
from dslc.search.executors.job import Executor, Job
from dslc.search.halving import Halving, Promotion, curve_from_metrics
from dslc.search.interrupt import InterruptGuard
from dslc.search.ledger import FULL_TRAINING, Ledger, counters_to_json
from dslc.search.outcome import Candidate, Context, Outcome, Strategy, Task
from dslc.search.progress import Callback, Progress
from dslc.search.recent_names import RecentNames
from dslc.search.recording import recording
from dslc.search.stopping import Standing, StopRule, find_met_rule
from dslc.search.store import RunStore, Sample

if TYPE_CHECKING:
    from dslc.space import Space

CHECKPOINT_SECONDS = 1.0
"""Least time between two checkpoints, in s: quick batches share one, and on resume are answered from memory."""
QUICK_CHECKPOINT_SECONDS = 0.02
"""A checkpoint that takes longer, in s, as on a slow disk or a busy machine, makes that time as many times longer."""
MOST_SLOWNESS = 30.0
"""But not more times than this."""
PROGRESS_SECONDS = 0.1
"""Least time between two calls of the callbacks, in s."""


class Status(Enum):
    """How a run stands."""

    RUNNING = "running"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class Engine:
    """One search over one run folder; `run` goes on from wherever that is: empty, interrupted or left by a crash."""

    def __init__(
        self,
        space: Space,
        task: Task,
        strategy: Strategy,
        executor: Executor,
        config: SearchConfig,
        store: RunStore,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.space, self.task, self.strategy, self.executor = space, task, strategy, executor
        self.config, self.store, self.callbacks = config, store, tuple(callbacks)
        self.halving = Halving(config.halving) if config.halving else None
        # Who watches is told when every sentence has been seen, where that can be.
        num_sentences = space.count() if self.callbacks else math.inf
        can_exhaust = num_sentences <= config.evaluations + config.control
        self.ledger = Ledger(store, self.halving, num_sentences=int(num_sentences) if can_exhaust else None)
        self.notes: list[Diagnostic] = []
        """What the user should know: damaged checkpoints, why the run ended early, a test that failed."""
        self._names = RecentNames()
        self._guard = InterruptGuard()
        self._batch_mean: float | None = None
        self._entropy: float | None = None  # of the last update
        self._failures: Counter[str] = Counter()  # samples of this session without a reward, by code
        self._began = self._next_checkpoint = time.monotonic()
        self._next_checkpoint += CHECKPOINT_SECONDS
        self._last_progress = -math.inf
        self._seconds_before, self._samples_before = 0.0, 0  # of earlier sessions

    def run(self) -> Status:
        """Search until a stop rule is met; returns how it ended. Whatever finished is recorded."""
        with self._guard:
            try:
                self._recover()
                while self.ledger.counters.stopped_by is None:
                    self._guard.check()
                    self._run_batch()
                self._train_best()
                self._test_best()
                status = Status.FINISHED
            except KeyboardInterrupt:
                status = Status.INTERRUPTED
            except _TooManyFailures:
                status = Status.FAILED
            self.store.commit()
            self.store.write_info(
                status=status.value,
                stopped_by=self._describe_stop() if status is Status.FINISHED else None,
                seconds=self._describe_seconds(),
            )
            if status is Status.FINISHED:
                self.store.make_indices()
            self._report_progress(has_ended=True)
        return status

    # --- one batch ------------------------------------------------------------------------------------------------

    def _run_batch(self) -> None:
        candidates = self._ask()
        outcomes = self._evaluate(candidates, self._next_control(len(candidates)))
        self._tell(candidates, outcomes)

    def _ask(self) -> list[Candidate]:
        began = time.perf_counter()
        wanted = min(self.config.batch, self.config.evaluations - self.ledger.counters.evaluations)
        candidates = self.strategy.ask(wanted)
        assert len(candidates) == wanted, f"{self.strategy.name} gave {len(candidates)} candidates for {wanted}"
        self.ledger.counters.controller_seconds += time.perf_counter() - began
        # `uniform` names the control; a strategy that samples uniformly is a policy like any other.
        return [replace(c, origin="policy") if c.origin == "uniform" else c for c in candidates]

    def _next_control(self, batch: int) -> list[Candidate]:
        counters, config = self.ledger.counters, self.config
        due = control_due(counters.evaluations + batch, config.evaluations, config.control)
        return [control_candidate(self.space, config.seed, index) for index in range(counters.control, due)]

    def _evaluate(self, own: Sequence[Candidate], control: Sequence[Candidate]) -> list[Outcome]:
        """Outcomes of all candidates, in order; each is recorded as soon as it and those before it are known.

        With halving their rewards are what full training is expected to give.
        """
        samples, jobs = self._plan([*own, *control])
        executions = iter(self.executor.run_jobs([job for job in jobs if not self.ledger.recall(job)]))
        outcomes: list[Outcome] = []
        for sample in samples:
            while (outcome := self.ledger.outcome_by_hash.get(sample.program_hash)) is None:
                with self._guard.droppable():
                    execution = next(executions)
                self.ledger.remember(execution, self._first_fidelity)
                if execution.program_hash != sample.program_hash:  # its sample waits for those before it
                    self.store.commit_when_due()
            self.ledger.record(sample, outcome)
            outcomes.append(outcome)
            if outcome.reward is None:
                if outcome.diagnostic is not None:
                    self._failures[outcome.diagnostic.code.value] += 1
                self._stop_if_nothing_works()
            self._report_progress()
            self._guard.check()
        if self.halving is None:
            return outcomes
        self._note_trained(jobs, 0)
        while promotions := self.halving.promotions():
            self._train_longer(promotions)
        hashes = [sample.program_hash for sample in samples]
        expected = zip(hashes, self.halving.expect(hashes), strict=True)
        return [replace(self.ledger.outcome_by_hash[h], reward=reward) for h, reward in expected]

    def _train_longer(self, promotions: Sequence[Promotion]) -> None:
        """Train programs on the rungs that they have earned."""
        for rung in sorted({promotion.rung for promotion in promotions}):
            hashes = [promotion.program_hash for promotion in promotions if promotion.rung == rung]
            programs = {h: self.space.decode(self.ledger.tokens_of(h)) for h in hashes}
            jobs = [Job(h, program, self._context(h, rung)) for h, program in programs.items()]
            executions = iter(self.executor.run_jobs([job for job in jobs if not self.ledger.recall(job)]))
            while True:
                with self._guard.droppable():
                    execution = next(executions, None)
                if execution is None:
                    break
                self.ledger.remember(execution, jobs[0].context.fidelity)
                self.store.commit_when_due()
                self._report_progress()
                self._guard.check()
            self._note_trained(jobs, rung)
            for job in jobs:
                self.ledger.note_promoted(job.program_hash)

    def _note_trained(self, jobs: Sequence[Job], rung: int) -> None:
        """Tell halving what came of the jobs, in their order, whichever was first to end."""
        assert self.halving is not None, "only halving trains on rungs"
        for job in jobs:
            outcome = self.ledger.outcome_by_hash[job.program_hash]
            self.halving.note(job.program_hash, rung, outcome.reward, curve_from_metrics(outcome.metrics))

    def _tell(self, own: Sequence[Candidate], outcomes: Sequence[Outcome]) -> None:
        """Let the strategy learn from its own samples, never from the control, and close the batch."""
        counters = self.ledger.counters
        rewards = [outcome.reward for outcome in outcomes[: len(own)]]
        began = time.perf_counter()
        floor = self._floor()
        figures = self.strategy.tell([(c, floor if r is None else r) for c, r in zip(own, rewards, strict=True)])
        counters.controller_seconds += time.perf_counter() - began
        self._close_batch(figures, [reward for reward in rewards if reward is not None])

    def _close_batch(self, figures: Mapping[str, float], scored: Sequence[float]) -> None:
        """Note the strategy's figures and go on to the next batch, or stop."""
        counters = self.ledger.counters
        self.store.record_update(counters.batch, figures)
        self._batch_mean = sum(scored) / len(scored) if scored else None
        counters.batch += 1
        self._entropy = figures.get("entropy")
        counters.stopped_by = self._met_rule()
        if counters.stopped_by or time.monotonic() >= self._next_checkpoint:
            self._checkpoint()

    def _train_best(self) -> None:
        """Train the most promising program in full if none has been, which only a short search comes to."""
        if self.halving is None:
            return
        while self.ledger.counters.best_sample is None and (promotion := self.halving.last_promotion()):
            self._train_longer([promotion])

    def _test_best(self) -> None:
        """Train the best once more and take its test figure: the only time that test data are looked at."""
        counters = self.ledger.counters
        if counters.best_sample is None:
            self.store.write_info(best=None)
            return
        program = self.space.decode(self.store.read_tokens(counters.best_sample))
        program_hash = hash_program(program)
        with self._guard.droppable():
            context = replace(self._context(program_hash, -1), cutoffs=None)
            outcome = self.executor.run_test(Job(program_hash, program, context))
        test = None
        if outcome is not None and outcome.diagnostic is not None:
            self.notes.append(replace(outcome.diagnostic, severity=Severity.WARNING))
        elif outcome is not None:
            metric = getattr(self.task, "test_metric", self.task.metric.replace("validation", "test"))
            test = {"metric": metric, "value": outcome.reward}
        self.store.write_info(best={"sample": counters.best_sample, "reward": counters.best_reward, "test": test})

    # --- its parts ------------------------------------------------------------------------------------------------

    def _plan(self, candidates: Sequence[Candidate]) -> tuple[list[Sample], list[Job]]:
        """Each candidate with its id, hash and text, and a job for each program that has no outcome yet."""
        samples: list[Sample] = []
        jobs: dict[str, Job] = {}
        found = {tokens: self._names.find(tokens) for tokens in (tuple(each.tokens) for each in candidates)}
        names = {tokens: known for tokens, known in found.items() if known is not None}
        unnamed = [tokens for tokens, known in found.items() if known is None]
        programs = dict(zip(unnamed, self.space.decode_all(unnamed), strict=True))
        for tokens, program in programs.items():
            names[tokens] = hash_program(program), program.text
            self._names.keep(tokens, names[tokens])
        for number, candidate in enumerate(candidates, start=self.ledger.counters.samples + 1):
            tokens = tuple(candidate.tokens)
            program_hash, text = names[tokens]
            if program_hash not in self.ledger.outcome_by_hash and program_hash not in jobs:
                program = programs.get(tokens) or self.space.decode(tokens)
                jobs[program_hash] = Job(program_hash, program, self._context(program_hash))
            log_prob = None if candidate.log_prob is None else float(candidate.log_prob)
            batch, parents = self.ledger.counters.batch, tuple(candidate.parent_ids)
            samples.append(Sample(number, batch, tokens, text, log_prob, program_hash, candidate.origin, parents))
        return samples, list(jobs.values())

    def _context(self, program_hash: str, rung: int = 0) -> Context:
        config, halving = self.config, self.halving
        fidelity = FULL_TRAINING if halving is None else halving.rungs[rung]
        cutoffs = None if halving is None else halving.cutoffs(rung)
        seed = child_seed(config.seed, program_hash, fidelity)
        return Context(seed, config.device, config.child_threads, fidelity, config.options, cutoffs=cutoffs)

    @property
    def _first_fidelity(self) -> float:
        return FULL_TRAINING if self.halving is None else self.halving.rungs[0]

    def _floor(self) -> float:
        """What a failed child counts as: the task's floor, or the worst reward so far where it names none."""
        if math.isfinite(self.task.floor):
            return self.task.floor
        worst = self.ledger.counters.worst_reward
        return 0.0 if worst is None else worst

    def _stop_if_nothing_works(self) -> None:
        failures = self.ledger.failures_before_success()
        if not failures:
            return
        usual = {code.value for code in getattr(self.task, "usual_failures", ())}
        for code, count in failures.items():
            if count >= FAILURES_THAT_STOP and code not in usual:
                self.notes.append(
                    Diagnostic(
                        Code.TOO_MANY_FAILURES,
                        Severity.ERROR,
                        f"the first {count} children failed with {code} and none succeeded, so the run stopped",
                        help="mend the task or the grammar and start a new run; `dslc report` shows an example",
                        notes=self.store.read_failure(code),
                    )
                )
                raise _TooManyFailures

    def _met_rule(self) -> str | None:
        """Name of the stop rule that is met between two batches."""
        counters = self.ledger.counters
        standing = Standing(
            evaluations=counters.evaluations,
            since_best=counters.evaluations - counters.best_evaluation,
            seconds=None if self.ledger.is_catching_up else self._seconds(),
            entropy=self._entropy,
        )
        rule = find_met_rule(self.config.evaluations, self.config.until, standing)
        return None if rule is None else rule.value

    def _describe_seconds(self) -> dict[str, float]:
        return {"total": self._seconds(), "controller": self.ledger.counters.controller_seconds}

    def _describe_stop(self) -> dict[str, float | str]:
        rule = self.ledger.counters.stopped_by
        assert rule is not None, "a search finishes by a rule"
        is_usual = rule == StopRule.EVALUATIONS.value
        return {"rule": rule, "limit": self.config.evaluations if is_usual else self.config.until[rule]}

    # --- going on after a crash, and telling how far it is ----------------------------------------------------------

    def _recover(self) -> None:
        """Take up the last usable checkpoint; what was recorded after it is asked again and answered from memory."""
        checkpoints, warnings = read_checkpoints(self.store.run_dir)
        self.notes.extend(warnings)
        usable = next((c for c in checkpoints if self.ledger.restore(c.counters)), None)
        if usable is not None:
            try:
                self.strategy.load_state_dict(usable.strategy)
            except (KeyError, ValueError, TypeError, RuntimeError) as error:
                raise DslcError(
                    Diagnostic(
                        Code.HISTORY_DIFFERS,
                        Severity.ERROR,
                        f"the strategy `{self.strategy.name}` cannot go on from the checkpoint of this run",
                        help="resume with the versions of torch and dslc that run.json names; nothing was changed",
                        notes=(f"{type(error).__name__}: {error}",),
                    )
                ) from error
        else:
            self.ledger.restore(None)
        counters = self.ledger.counters
        # run.json knows of the time after the checkpoint, but not where the run was killed.
        recorded = self.store.info.get("seconds", {}).get("total", 0.0)
        self._seconds_before, self._samples_before = max(counters.seconds, recorded), counters.samples
        counters.stopped_by = counters.stopped_by or self._met_rule()

    def _checkpoint(self) -> None:
        began = time.monotonic()
        counters = self.ledger.counters
        counters.seconds = self._seconds()
        counters.halving = None if self.halving is None else self.halving.to_json()
        self.store.commit()  # first: a checkpoint must never be ahead of the samples
        checkpoint = Checkpoint(counters.batch, self.strategy.state_dict(), counters_to_json(counters))
        with recording(self.store.run_dir):
            write_checkpoint(self.store.run_dir, checkpoint)
        now = time.monotonic()
        slowness = min(max((now - began) / QUICK_CHECKPOINT_SECONDS, 1.0), MOST_SLOWNESS)
        self._next_checkpoint = now + CHECKPOINT_SECONDS * slowness

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._began

    def _report_progress(self, *, has_ended: bool = False) -> None:
        if not self.callbacks:
            return
        now = time.monotonic()
        if not has_ended and now - self._last_progress < PROGRESS_SECONDS:
            return
        self._last_progress = now
        counters, config = self.ledger.counters, self.config
        progress = Progress(
            evaluations=counters.evaluations,
            total=config.evaluations,
            control=counters.control,
            control_total=config.control,
            best=counters.best_reward,
            best_text=counters.best_text,
            batch_mean=self._batch_mean,
            control_mean=counters.control_sum / counters.control_scored if counters.control_scored else None,
            failed=counters.failed,
            trained=self.ledger.num_programs,
            exhausted=self.ledger.is_exhausted,
            seconds=self._seconds(),
            rate=(counters.samples - self._samples_before) / max(now - self._began, 1e-9),
            seconds_limit=config.until.get(StopRule.SECONDS.value),
            has_ended=has_ended,
            run_dir=self.store.run_dir,
            batch=counters.batch,
            entropy=self._entropy,
            failures=dict(self._failures.most_common()),
            workers=config.workers,
            trained_in_full=None if self.halving is None else self.halving.count_full(),
        )
        for callback in self.callbacks:
            try:
                callback(progress)
            except Exception as error:
                self._drop_callback(callback, error)

    def _drop_callback(self, callback: Callback, error: Exception) -> None:
        """Go on without a callback that raised: what watches a run must not cost it."""
        self.callbacks = tuple(other for other in self.callbacks if other is not callback)
        name = getattr(callback, "__name__", type(callback).__name__)
        frames = traceback.extract_tb(error.__traceback__)[1:][-3:]
        said = error.diagnostics[0].message if isinstance(error, DslcError) else str(error)
        self.notes.append(
            Diagnostic(
                Code.CALLBACK_RAISED,
                Severity.WARNING,
                f"the callback `{name}` raised {type(error).__name__} and was not called again",
                help="the run is whole; mend the callback",
                notes=(
                    f"{type(error).__name__}: {said}",
                    *(f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames),
                ),
            )
        )


class _TooManyFailures(Exception):  # noqa: N818 - not an error of the caller's: it only ends the loop
    """Every child so far failed alike."""
