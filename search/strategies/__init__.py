"""Strategies: how a search proposes candidates and learns from their outcomes; one file a strategy."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.outcome import Strategy
from dslc.search.strategies.policy_gradient import PolicyGradient
from dslc.search.strategies.random import Random
from dslc.search.strategies.reinforce import Reinforce
from dslc.space import Space

STRATEGY_NAMES = (PolicyGradient.name, Reinforce.name, Random.name)
"""The default first."""


def make_strategy(
    name: str,
    space: Space,
    *,
    evaluations: int,
    batch: int,  # noqa: ARG001
    seed: int,
    device: str = "cpu",
    options: Mapping[str, Any] | None = None,
) -> Strategy:
    """A fresh strategy over a space.

    Args:
        name: One of STRATEGY_NAMES.
        space: Where candidates come from.
        evaluations: How many candidates will be told in all; schedules end there.
        batch: Candidates an ask.
        seed: Of every random generator of the strategy.
        device: Where a policy lives.
        options: Of the strategy, by the names of its options dataclass.

    Raises:
        DslcError: DSLC609 for an unknown strategy, DSLC604 for an unknown option, DSLC605 for a value it cannot have.
    """
    given = {} if options is None else options
    match name:
        case PolicyGradient.name:
            return PolicyGradient(space, evaluations=evaluations, seed=seed, device=device, options=given)
        case Reinforce.name:
            return Reinforce(space, seed=seed, device=device, options=given)
        case Random.name:
            return Random(space, seed=seed, options=given)
        case _:
            nearest = difflib.get_close_matches(name, STRATEGY_NAMES, 1)
            known = f"use one of: {', '.join(STRATEGY_NAMES)}"
            raise DslcError(
                Diagnostic(
                    Code.UNKNOWN_STRATEGY,
                    Severity.ERROR,
                    f"there is no strategy `{name}`",
                    help=f"did you mean `{nearest[0]}`?" if nearest else known,
                )
            )
