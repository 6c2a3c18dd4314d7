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


class Executor(Protocol):
    """Runs children; the results do not depend on which executor it is."""

    def run_jobs(self, jobs: Sequence[Job]) -> Iterator[Execution]:
        """Each job's execution, as it finishes."""
        ...
