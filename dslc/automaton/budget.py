"""The budget of a run of the automaton: the most tokens in a sentence."""

from __future__ import annotations

from dslc.automaton.tables import TokenAutomaton
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity


def check_budget(automaton: TokenAutomaton, budget: int) -> None:
    """Returns if the tables can run under `budget`.

    Raises:
        DslcError: DSLC322 if no sentence fits, with the smallest budget that works; DSLC324 if the tables end before
        it.
    """
    if budget < automaton.min_tokens:
        raise budget_too_small(automaton.start, budget, automaton.min_tokens)
    if budget > automaton.max_budget:
        raise DslcError(
            Diagnostic(
                Code.BUDGET_PAST_TABLES,
                Severity.ERROR,
                f"a budget of {budget} tokens is past the {automaton.max_budget} that the tables were made for",
                help=f"compile with a budget of {budget} tokens",
            )
        )


def budget_too_small(start: str, budget: int, min_tokens: int) -> DslcError:
    """The error of a budget that no sentence fits."""
    return DslcError(
        Diagnostic(
            Code.BUDGET_TOO_SMALL,
            Severity.ERROR,
            f"no sentence of `{start}` fits a budget of {budget} tokens",
            help=f"the smallest budget that works is {min_tokens}",
        )
    )
