"""What a search knows: outcomes by program, counts, and what a crash left recorded beyond the last checkpoint."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.executors.job import Execution, Job
from dslc.search.halving import Halving
from dslc.search.outcome import Outcome
from dslc.search.outcome_table import OutcomeTable
from dslc.search.store import Evaluation, RunStore, Sample

FULL_TRAINING = 1.0
"""Fidelity of a child that is trained in full."""
LOG_PROB_TOLERANCE = 1e-3
"""Nats by which the log-probability of a sample asked again may differ: another machine rounds differently."""


@dataclass(slots=True)
class Counters:
    """What has been counted so far; at a batch boundary part of the checkpoint."""

    batch: int = 0
    evaluations: int = 0
    control: int = 0
    failed: int = 0
    best_sample: int | None = None
    best_reward: float | None = None
    best_text: str | None = None
    best_evaluation: int = 0
    """Samples of the strategy up to the best, it included."""
    worst_reward: float | None = None
    """Worst reward of the strategy's samples: what a failed child counts as where the task names no floor."""
    control_sum: float = 0.0
    control_scored: int = 0
    early_failures: dict[str, int] = field(default_factory=dict)
    """Distinct failed children by code, counted until the first success."""
    has_success: bool = False
    seconds: float = 0.0
    """Wall-clock time of the run, in s."""
    controller_seconds: float = 0.0
    """Time in the strategy's ask and tell, in s."""
    population_seconds: float = 0.0
    """Time in which populations were scored, in s."""
    halving: dict[str, Any] | None = None
    """Who has been trained how long, where children are promoted."""
    stopped_by: str | None = None
    """Name of the rule that ended the search; kept, so that a run killed at its very end is not taken further."""

    @property
    def samples(self) -> int:
        """Samples so far; their ids are 1 to this."""
        return self.evaluations + self.control


class Ledger:
    """Outcomes and counts of a run, kept equal to what its store holds."""

    def __init__(self, store: RunStore, halving: Halving | None = None, *, num_sentences: int | None = None) -> None:
        """`num_sentences` of the space, where so few are searched that all may be seen; else they are not kept."""
        self.store = store
        self.halving = halving
        self.counters = Counters()
        self.outcome_by_hash = OutcomeTable(keeps_metrics=halving is not None)
        """Of each program the outcome of its longest training."""
        self._num_sentences = num_sentences
        self._seen: set[bytes] = set()  # sentences, where they are kept
        self._uncounted: set[str] = set()  # programs with an outcome and no sample up to the counters
        self._recorded: dict[int, Sample] = {}
        self._not_full: set[str] = set()  # programs whose outcome is that of a shorter training
        self._first: dict[str, Sample] = {}  # each program's first sample, of the strategy if it has one; for halving
        self._memory: dict[tuple[str, float], Outcome] = {}  # what a crash left, of trainings after the checkpoint

    def restore(self, counters: Mapping[str, Any] | None) -> bool:
        """Take up the counters of a checkpoint (None: the start) and what the store holds.

        Returns False, with nothing taken up, if samples before the checkpoint are missing from the store: after a power
        cut the database can be older than the checkpoint.
        """
        restored = Counters(**counters) if counters is not None else Counters()
        if self.store.count_samples(restored.samples) != restored.samples:
            return False
        outcomes = OutcomeTable(keeps_metrics=self.halving is not None)
        if self.halving is None:
            for program_hash, _, outcome in self.store.read_evaluations():
                outcomes[program_hash] = outcome
        else:
            evaluations = {
                (program_hash, fidelity): outcome for program_hash, fidelity, outcome in self.store.read_evaluations()
            }
            self.halving.load_json(restored.halving or Halving(self.halving.rungs).to_json())
            fidelities = {h: self.halving.rungs[rung] for h, rung in self.halving.trained().items()}
            if not fidelities.items() <= evaluations.keys():
                return False
            for h, fidelity in fidelities.items():
                outcomes[h] = evaluations.pop((h, fidelity))
            self._memory = evaluations
            self._not_full = {h for h, fidelity in fidelities.items() if fidelity != FULL_TRAINING}
        # One after the other: a long run has more samples than memory would hold at once.
        self.counters, self._recorded, self._seen = restored, {}, set()
        self.outcome_by_hash, self._uncounted = outcomes, set(outcomes)
        for sample in self.store.read_samples():
            if sample.id > restored.samples:
                self._recorded[sample.id] = sample
                continue
            self._uncounted.discard(sample.program_hash)
            self._note_seen(sample)
            if self.halving is not None:
                self._note_first(sample)
        self._uncounted = set(self._uncounted)  # a set that once was large stays so
        return True

    @property
    def num_programs(self) -> int:
        """Distinct programs of the samples up to the counters."""
        return len(self.outcome_by_hash) - len(self._uncounted)

    @property
    def is_exhausted(self) -> bool:
        """Whether every sentence of the space has been seen."""
        return self._num_sentences is not None and len(self._seen) >= self._num_sentences

    @property
    def is_catching_up(self) -> bool:
        """Whether samples recorded before a crash are still to be asked again."""
        return bool(self._recorded)

    def recall(self, job: Job) -> bool:
        """Take the outcome of a job from what a crash left; False if it is not there."""
        outcome = self._memory.pop((job.program_hash, job.context.fidelity), None)
        if outcome is None:
            return False
        self._note_outcome(job.program_hash, job.context.fidelity, outcome)
        return True

    def remember(self, execution: Execution, fidelity: float = FULL_TRAINING) -> None:
        """Note what a program came to."""
        self._note_outcome(execution.program_hash, fidelity, execution.outcome)
        self.store.record_evaluation(
            Evaluation(
                execution.program_hash,
                fidelity,
                execution.outcome,
                execution.seconds,
                execution.worker,
                execution.output,
            )
        )

    def record(self, sample: Sample, outcome: Outcome) -> None:
        """Note a sample and count it, or check it against what was recorded before a crash."""
        recorded = self._recorded.pop(sample.id, None)
        if recorded is None:
            self.store.record_sample(sample)
        else:
            _check_same(recorded, sample)
        self._count(sample, outcome)

    def tokens_of(self, program_hash: str) -> tuple[int, ...]:
        """Tokens of the first sample of a program; kept for halving only."""
        return self._first[program_hash].tokens

    def note_promoted(self, program_hash: str) -> None:
        """Count a program that has been trained longer since its sample was recorded."""
        sample, reward = self._first[program_hash], self.outcome_by_hash[program_hash].reward
        if sample.origin != "uniform" and reward is not None and program_hash not in self._not_full:
            self._count_best(sample, reward)

    def failures_before_success(self) -> dict[str, int]:
        """Distinct failed children by code; empty once a child has succeeded."""
        return {} if self.counters.has_success else self.counters.early_failures

    def _note_outcome(self, program_hash: str, fidelity: float, outcome: Outcome) -> None:
        if program_hash not in self.outcome_by_hash:
            self._uncounted.add(program_hash)
        self.outcome_by_hash[program_hash] = outcome
        if fidelity == FULL_TRAINING:
            self._not_full.discard(program_hash)
        else:
            self._not_full.add(program_hash)

    def _note_first(self, sample: Sample) -> None:
        known = self._first.get(sample.program_hash)
        if known is None or (known.origin == "uniform" and sample.origin != "uniform"):
            self._first[sample.program_hash] = sample

    def _note_seen(self, sample: Sample) -> None:
        if self._num_sentences is not None:
            self._seen.add(array("i", sample.tokens).tobytes())

    def _count(self, sample: Sample, outcome: Outcome) -> None:
        counters, reward = self.counters, outcome.reward
        is_new = sample.program_hash in self._uncounted
        self._uncounted.discard(sample.program_hash)
        self._note_seen(sample)
        if self.halving is not None:
            self._note_first(sample)
        if reward is None:
            counters.failed += 1
            if is_new and not counters.has_success and outcome.diagnostic is not None:
                code = outcome.diagnostic.code.value
                counters.early_failures[code] = counters.early_failures.get(code, 0) + 1
        counters.has_success = counters.has_success or reward is not None
        if sample.origin == "uniform":
            counters.control += 1
            if reward is not None:
                counters.control_sum += reward
                counters.control_scored += 1
            return
        counters.evaluations += 1
        if reward is None:
            return
        if counters.worst_reward is None or reward < counters.worst_reward:
            counters.worst_reward = reward
        if sample.program_hash not in self._not_full:
            self._count_best(sample, reward)

    def _count_best(self, sample: Sample, reward: float) -> None:
        counters = self.counters
        if counters.best_reward is None or reward > counters.best_reward:
            counters.best_sample, counters.best_reward, counters.best_text = sample.id, reward, sample.text
            counters.best_evaluation = counters.evaluations


def counters_to_json(counters: Counters) -> dict[str, Any]:
    """The counters as JSON values, for a checkpoint."""
    return asdict(counters)


def history_differs(message: str, *notes: str) -> DslcError:
    """The error of a run that goes on otherwise than it was recorded."""
    return DslcError(
        Diagnostic(
            Code.HISTORY_DIFFERS,
            Severity.ERROR,
            message,
            help="resume on the machine and with the versions of torch and dslc that run.json names",
            notes=notes,
        )
    )


def _check_same(recorded: Sample, asked: Sample) -> None:
    """Nothing, or an error if asking again gave another sample than the one recorded.

    Raises:
        DslcError: DSLC626.
    """
    near = recorded.log_prob == asked.log_prob or (
        recorded.log_prob is not None
        and asked.log_prob is not None
        and abs(recorded.log_prob - asked.log_prob) <= LOG_PROB_TOLERANCE
    )
    parts = ("batch", "tokens", "text", "program_hash", "origin", "parent_ids")
    different = [part for part in parts if getattr(recorded, part) != getattr(asked, part)]
    if not different and near:
        return
    raise history_differs(
        f"sample {asked.id} is not the one recorded: {', '.join(different or ['log_prob'])} differ on going on",
        f"recorded: {recorded.text}",
        f"asked again: {asked.text}",
    )
