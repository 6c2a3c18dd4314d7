"""What a running search tells those who watch it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is."""

    evaluations: int
    """Samples of the strategy scored so far."""
    total: int
    """Samples of the strategy to score in all."""
    control: int
    """Uniform control samples scored so far."""
    control_total: int
    """Uniform control samples to score in all."""
    best: float | None
    """Best reward of the strategy's samples, in the task's unit."""
    best_text: str | None
    """Sentence of that sample."""
    batch_mean: float | None
    """Mean reward of the strategy's last finished batch, failed children left out."""
    control_mean: float | None
    """Mean reward of the control so far, failed children left out."""
    failed: int
    """Samples without a reward, of both kinds."""
    trained: int
    """Distinct programs evaluated."""
    exhausted: bool
    """Whether every sentence of the space has been seen: what follows is answered from memory."""
    seconds: float
    """Wall-clock time of the run so far, in s, earlier sessions included."""
    rate: float
    """Samples a second of this session, of both kinds, answers from memory included."""
    seconds_limit: float | None = None
    """Wall-clock time in s after which the run stops, if it has such a rule."""
    has_ended: bool = False
    """Whether the session is over."""
    run_dir: Path | None = None
    """The run folder."""
    batch: int = 0
    """Batches that the strategy has learned from."""
    entropy: float | None = None
    """Of the policy at the last update, in nats a token; None where the strategy tells none."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Samples without a reward by code, most frequent first; of this session where a run was resumed."""
    workers: int = 0
    """Processes that children run in; 0: in the search's own."""
    trained_in_full: int | None = None
    """Programs trained in full so far, where children are promoted."""

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time left in s at the rate so far; None before the first sample."""
        left = self.total - self.evaluations + self.control_total - self.control
        if self.rate <= 0:
            return None
        limit = float("inf") if self.seconds_limit is None else max(self.seconds_limit - self.seconds, 0.0)
        return min(left / self.rate, limit)


Callback = Callable[[Progress], None]
"""Called at most ten times a second while a search runs, and once at its end."""
