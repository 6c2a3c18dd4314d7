"""What a search passes around: candidates, outcomes, contexts, and the protocols of tasks and strategies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from dslc.diagnostics import Diagnostic
from dslc.value import value

if TYPE_CHECKING:
    from dslc.space import Program

ORIGINS = ("policy", "uniform", "mutation", "crossover")


@value
class Candidate:
    """A proposed program, as tokens, before anything is known about it."""

    tokens: tuple[int, ...]
    log_prob: float | None = None
    """Log-probability in nats under the distribution that proposed it, where there is one."""
    origin: str = "policy"
    """One of ORIGINS."""
    parent_ids: tuple[int, ...] = ()
    """Sample ids that it was made from (mutation, crossover)."""


@value
class Outcome:
    """What came of evaluating a program: a reward, or the diagnostic that explains why there is none."""

    reward: float | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    diagnostic: Diagnostic | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a task may use in one evaluation."""

    seed: int
    """hash(run seed, program hash, fidelity): a repeated child gives the same reward."""
    device: str = "cpu"
    threads: int = 1
    fidelity: float = 1.0
    """Share of full training, in (0, 1]."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Task options of the run, such as `epochs`."""
    report: Callable[[int, float], bool] = lambda step, value: True  # noqa: ARG005
    """`report(step, value)`, the larger the better; False means stop."""
    cutoffs: Mapping[int, float] | None = None
    """What halving asks of the best value reported so far, by step; None: nothing is asked and nothing kept."""


class Task(Protocol):
    """What is searched for: how a program is scored."""

    name: str
    accepts: tuple[str, ...] | None
    """Targets that the task can use; None for any grammar, also without a target."""
    metric: str
    unit: str
    floor: float
    """Worst possible value: what strategies see for a failed child."""
    reference: tuple[str, float, str] | None
    """Label, value and the command that gives the value."""
    evaluations: int
    """Default number of evaluations."""
    # Optional: `options`, a mapping of the options that it knows to their defaults; `test_metric`, what `test` measures
    # (default: the metric with "validation" read as "test"); `prepare(space, options)`, called before the first sample,
    # which loads what the task needs, sets `reference` where that depends on the data, and returns the data's sha256;
    # `usual_failures`, codes that many sound programs of the space fail with: ten of them at the start stop no run;
    # `population`, see `dslc.search.population_task`: what scores many sentences at once.

    def evaluate(self, program: Program, context: Context) -> Outcome:
        """Reward of a program on the validation data."""
        ...

    def test(self, program: Program, context: Context) -> Outcome | None:
        """Test metric of a program; called once, for the best. None if the task has none."""
        ...


class Strategy(Protocol):
    """Proposes candidates and learns from their outcomes; a synchronous batch at a time.

    One whose `tell` always returns the policy's entropy may say so by an attribute `figures`, the names of what it
    returns, and can then be stopped by it.
    """

    name: str

    def ask(self, count: int) -> list[Candidate]:
        """The next `count` candidates."""
        ...

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:
        """Learn from the rewards of the last ask, in its order; a failed child has the task's floor.

        Returns figures of the update for the record, such as `entropy` (nats a token).
        """
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on: a flat dict of torch tensors and JSON values, random generators included."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        ...
