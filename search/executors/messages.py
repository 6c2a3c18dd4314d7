"""What a search and its workers say to each other: lines of JSON, so that nothing is ever unpickled.

A worker is sent its set-up, then jobs; it answers the set-up with `ready` or `failed`, and each job with `done`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.search.executors.job import Job
from dslc.search.outcome import Context, Outcome


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker must know beside the space, as JSON values."""

    task: str
    """Name of the task, which the worker looks up as the search did."""
    directory: str
    """Where a user's module is looked for first."""
    options: Mapping[str, Any]
    """Options of the task, for its `prepare`."""
    device: str
    child_threads: int
    data_sha256: str | None
    """Of the task's data, as the search has them."""


@dataclass(frozen=True, slots=True)
class JobMessage:
    """A job as JSON values: a program as its tokens, a context without what only the search's process has."""

    program_hash: str
    tokens: tuple[int, ...]
    seed: int
    threads: int
    fidelity: float
    options: Mapping[str, Any]
    cutoffs: Mapping[str, float] | None = None
    """As in `Context`; the steps are texts, as JSON wants them."""
    is_test: bool = False

    def context(self, device: str) -> Context:
        """The context of the child, on the device of its worker."""
        cutoffs = None if self.cutoffs is None else {int(step): value for step, value in self.cutoffs.items()}
        return Context(self.seed, device, self.threads, self.fidelity, self.options, cutoffs=cutoffs)


def describe_job(job: Job, *, is_test: bool = False) -> JobMessage:
    """The message of a job."""
    context = job.context
    tokens = tuple(int(token) for token in job.program.tokens)
    cutoffs = None if context.cutoffs is None else {str(step): value for step, value in context.cutoffs.items()}
    return JobMessage(
        job.program_hash,
        tokens,
        context.seed,
        context.threads,
        context.fidelity,
        dict(context.options),
        cutoffs,
        is_test,
    )


def diagnostic_to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """What the record keeps of a diagnostic, and its help; not where in a file it points to."""
    return {
        "code": diagnostic.code.value,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "notes": list(diagnostic.notes),
    }


def diagnostic_from_json(document: Mapping[str, Any]) -> Diagnostic:
    """The inverse of `diagnostic_to_json`."""
    code, severity = Code(document["code"]), Severity(document["severity"])
    return Diagnostic(code, severity, document["message"], help=document["help"], notes=tuple(document["notes"]))


def outcome_to_json(outcome: Outcome | None) -> dict[str, Any] | None:
    """An outcome as JSON values; floats come back bit for bit, NaN too."""
    if outcome is None:
        return None
    problem = None if outcome.diagnostic is None else diagnostic_to_json(outcome.diagnostic)
    return {"reward": outcome.reward, "metrics": dict(outcome.metrics), "diagnostic": problem}


def outcome_from_json(document: Mapping[str, Any] | None) -> Outcome | None:
    """The inverse of `outcome_to_json`."""
    if document is None:
        return None
    problem = document["diagnostic"]
    diagnostic = None if problem is None else diagnostic_from_json(problem)
    return Outcome(document["reward"], document["metrics"], diagnostic)
