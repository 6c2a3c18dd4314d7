"""What an executor is given and gives back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dslc.search.outcome import Context, Outcome

if TYPE_CHECKING:
    from dslc.space import Program


@dataclass(frozen=True, slots=True)
class Job:
    """A program to be evaluated."""

    program_hash: str
    program: Program
    context: Context


@dataclass(frozen=True, slots=True)
class Execution:
    """A finished job."""

    program_hash: str
    outcome: Outcome
    seconds: float
    """Wall-clock time of the child."""
    worker: str
    """Who ran it; no part of what is reproducible."""
    output: str = ""
    """Last lines that the child printed, where the executor sees them."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a child in a process of its own may use; None: as much as it likes."""

    seconds: float | None = None
    """Wall-clock time."""
    memory: int | None = None
    """Resident memory of its worker and all that this started, in MB (10^6 bytes)."""


class Executor(Protocol):
    """Runs children; the results do not depend on which executor it is."""

    def run_jobs(self, jobs: Sequence[Job]) -> Iterator[Execution]:
        """Each job's execution, as it finishes. Once left before the end, the executor can only be closed."""
        ...

    def run_test(self, job: Job) -> Outcome | None:
        """What the task's test says of a program; None if the task has none."""
        ...

    def close(self) -> None:
        """End whatever still runs."""
        ...
