"""A run as its readers see it: during the search, after it, without its process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.checkpoints import read_checkpoints
from dslc.search.outcome import Candidate
from dslc.search.rows_by_hash import WITH_LONGEST, define_longest_row
from dslc.search.store import connect_for_reading, has_outputs, output_notes, read_info, restore_outcome

if TYPE_CHECKING:
    from dslc.space import Program, Space

SAME_TRAINING = "(outputs.program_hash, outputs.fidelity) = (evaluations.program_hash, evaluations.fidelity)"
GENERATOR_KEYS = ("generator", "random")
"""Last parts of the names under which strategies keep the states of their random generators."""


@dataclass(frozen=True, slots=True)
class Record:
    """One sample of a run and what came of it."""

    id: int
    """From 1, in the order of the search."""
    batch: int
    program: Program
    origin: str
    """`policy`, `mutation`, `crossover`: the strategy's; `uniform`: the control's."""
    log_prob: float | None
    """In nats, under what proposed it."""
    reward: float | None
    """In the task's unit; None for a failed child."""
    diagnostic: Diagnostic | None
    """Why there is no reward."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    """Wall-clock time of the child when it was evaluated, in s; a repeat tells the same figure."""
    parent_ids: tuple[int, ...] = ()


class SearchResult:
    """A run folder, read only. Everything is read when asked for, so that it follows a run that is still going."""

    def __init__(self, run_dir: Path | str, *, notes: tuple[Diagnostic, ...] = ()) -> None:
        self.run_dir = Path(run_dir)
        self.notes = notes
        """What came up in this session: damaged checkpoints, a grammar that changed since, why the run ended early."""
        read_info(self.run_dir)

    def __repr__(self) -> str:
        return f"<SearchResult {self.run_dir} {self.status}>"

    @property
    def info(self) -> dict[str, Any]:
        """Content of run.json."""
        return read_info(self.run_dir)

    @property
    def status(self) -> str:
        """`running`, `finished`, `interrupted` (also by a crash) or `failed` (stopped: every child failed alike)."""
        status: str = self.info["status"]
        return "interrupted" if status == "running" and not _is_held(self.run_dir) else status

    @cached_property
    def space(self) -> Space:
        """The space searched: compiled from the run's own copy of the grammar, or as it was saved before the search."""
        from dslc.space import compile, load

        grammar = self.info["grammar"]
        if grammar.get("space") is not None:
            try:
                return load(self.run_dir / grammar["space"])
            except DslcError:  # kept by another version of dslc: the text is there too
                pass
        return compile(self.run_dir / grammar["copy"], start=grammar["start"], max_tokens=grammar["max_tokens"])

    @property
    def best(self) -> Record:
        """The strategy's sample with the highest reward, the earliest of equals; the control's do not count.

        Raises:
            DslcError: DSLC615 if no sample has a reward.
        """
        longest = "fidelity = (SELECT MAX(fidelity) FROM evaluations)"
        best = f"""SELECT id FROM {WITH_LONGEST} WHERE reward IS NOT NULL AND origin != 'uniform' AND {longest}
            ORDER BY reward DESC, id LIMIT 1"""
        for record in self._query(f"id = ({best})"):
            return record
        raise DslcError(
            Diagnostic(
                Code.NO_REWARD,
                Severity.ERROR,
                f"no sample of `{self.run_dir}` has a reward",
                help="`dslc report` shows why the children failed",
            )
        )

    def records(self) -> Iterator[Record]:
        """All samples, the control's too, in the order of their ids."""
        yield from self._query("1 ORDER BY id")

    def to_json(self) -> dict[str, Any]:
        """The document `dslc.report/1`."""
        from dslc.search.report.data import report_data

        return report_data(self.run_dir)

    def sample_policy(self, n: int, *, seed: int = 0) -> list[Program]:
        """`n` programs of the strategy as the last checkpoint has it.

        Raises:
            DslcError: DSLC628 if the run has no checkpoint yet.
        """
        return [self.space.decode(candidate.tokens) for candidate in self.ask_policy(n, seed=seed)]

    def ask_policy(self, n: int, *, seed: int = 0) -> list[Candidate]:
        """As `sample_policy`, as candidates: tokens with their log-probabilities."""
        from dslc.search.strategies import make_strategy

        checkpoints, _ = read_checkpoints(self.run_dir)
        if not checkpoints:
            raise DslcError(
                Diagnostic(
                    Code.NO_CHECKPOINT,
                    Severity.ERROR,
                    f"`{self.run_dir}` has no checkpoint yet",
                    help="wait for the first batch, or go on with `dslc resume`",
                )
            )
        config = self.info["config"]
        strategy = make_strategy(
            config["strategy"],
            self.space,
            evaluations=config["evaluations"],
            batch=config["batch"],
            seed=seed,
            device="cpu",
            options=config["strategy_options"],
        )
        fresh = strategy.state_dict()
        generators = {name: value for name, value in fresh.items() if name.split(".")[-1] in GENERATOR_KEYS}
        strategy.load_state_dict({**checkpoints[0].strategy, **generators})
        return strategy.ask(n)

    def _query(self, condition: str) -> Iterator[Record]:
        from dslc.space import Program

        space = self.space
        with closing(connect_for_reading(self.run_dir)) as database:
            define_longest_row(database)
            printed, join = "NULL", ""
            if has_outputs(database):
                printed, join = "outputs.text", f"LEFT JOIN outputs ON {SAME_TRAINING}"
            query = f"""SELECT id, batch, tokens, origin, log_prob, reward, code, message, metrics, seconds, parent_ids,
                {printed} FROM {WITH_LONGEST} {join} WHERE {condition}"""
            for (
                number,
                batch,
                tokens,
                origin,
                log_prob,
                reward,
                code,
                message,
                metrics,
                seconds,
                parents,
                output,
            ) in database.execute(query):
                outcome = restore_outcome(reward, metrics, code, message)
                problem = outcome.diagnostic
                if problem is not None and output:
                    problem = replace(problem, notes=(*problem.notes, *output_notes(output)))
                program = Program(space, tuple(json.loads(tokens)))
                yield Record(
                    number,
                    batch,
                    program,
                    origin,
                    log_prob,
                    outcome.reward,
                    problem,
                    outcome.metrics,
                    seconds,
                    tuple(json.loads(parents)),
                )


def open_run(run_dir: Path | str) -> SearchResult:
    """A run, read only: finished, interrupted or still running.

    Raises:
        DslcError: DSLC623 if the folder holds no run, DSLC624 if a newer dslc wrote it.
    """
    return SearchResult(run_dir)


def _is_held(run_dir: Path) -> bool:
    """Whether the process that the lock names is alive; one on another machine counts as alive."""
    try:
        holder = json.loads((run_dir / "lock").read_text())
        if holder["host"] != os.uname().nodename:
            return True
        os.kill(holder["pid"], 0)
    except (OSError, ValueError, KeyError):
        return False
    return True
