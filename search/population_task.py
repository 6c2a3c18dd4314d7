"""Tasks that score whole populations at once, and which searches are run so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.config import SearchConfig
from dslc.search.evaluate import describe_exception
from dslc.search.outcome import Context, Task
from dslc.search.population_record import FILLER

if TYPE_CHECKING:
    from dslc.space import Space

Tokens = NDArray[np.integer[Any]]
Scorer = Callable[[Tokens], NDArray[np.float64]]
"""Rewards [sentence] of sentences [sentence, time], filled up with V = len(vocabulary) behind their ends; what is not
finite has failed. A sentence has the same reward in whatever population it stands."""


class PopulationTask(Protocol):
    """What a task offers that can score populations."""

    def population(self, space: Space, context: Context) -> Scorer | str:
        """What scores populations of the space, or why they are scored one by one; called once a session."""
        ...


def make_scorer(task: Task, space: Space, config: SearchConfig) -> Scorer | str:
    """What scores the populations of a search, or why its samples are scored one by one."""
    offer = getattr(task, "population", None)
    if offer is None:
        return f"the task `{task.name}` scores one program at a time"
    if config.halving:
        return "programs that halving promotes are trained one at a time"
    if len(space.vocabulary) >= FILLER:
        return f"the space has {len(space.vocabulary)} tokens, and {FILLER - 1} are the most"
    context = Context(config.seed, config.device, config.child_threads, options=config.options)
    found: Scorer | str | None = offer(space, context)
    return f"the task `{task.name}` offers nothing for this space" if found is None else found


def need_scorer(found: Scorer | str) -> Scorer:
    """The scorer.

    Raises:
        DslcError: DSLC672 if there is none.
    """
    if not isinstance(found, str):
        return found
    raise DslcError(
        Diagnostic(
            Code.NO_POPULATIONS,
            Severity.ERROR,
            f"this search cannot score populations: {found}",
            help="leave out --populations: then samples are scored one by one",
        )
    )


def score_population(scorer: Scorer, tokens: Tokens) -> NDArray[np.float64]:
    """Rewards [sentence], NaN where a sentence failed.

    Raises:
        DslcError: DSLC673 if the scorer raises or gives something else than a number a sentence.
    """
    try:
        found = np.asarray(scorer(tokens), np.float64)
    except Exception as error:
        raised = describe_exception(error)
        raise _failed(f"scoring a population failed: {raised.message}", *raised.notes) from error
    if found.shape != (len(tokens),):
        raise _failed(f"scoring {len(tokens)} sentences gave an array of shape {found.shape}")
    return np.where(np.isfinite(found), found, np.nan)


def _failed(message: str, *notes: str) -> DslcError:
    return DslcError(
        Diagnostic(
            Code.POPULATION_FAILED,
            Severity.ERROR,
            message,
            help="mend the task's population function and go on with `dslc resume`, or search with --no-populations",
            notes=notes,
        )
    )
