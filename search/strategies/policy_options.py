"""Options that every strategy with a policy has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dslc.diagnostics import Diagnostic
from dslc.search.strategies.collapse import RestartOptions
from dslc.search.strategies.options import bad_value
from dslc.search.strategies.start_options import StartOptions, check_start

DEFAULT_PRESET = "small"
"""Ours; with the others a strategy does as its paper does."""


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """The controller, where it starts, and when it starts again."""

    preset: str = "small"
    """Controller: one of `dslc.controller.PRESETS`."""
    learning_rate: float = 0.0
    """Of Adam; 0 means the preset's."""
    start_table: str = "projected"
    """Where the policy starts: `projected` or `local`, see `Space.starting_table`."""
    target_length: float = 0.0
    """Expected tokens of a sentence of the fresh policy; 0: not tuned."""
    target_shares: str = ""
    """NAME=SHARE,NAME=SHARE: expected shares of tokens among those of a sentence; empty: not tuned."""
    restart_below: float = 0.1
    """A policy has collapsed where so small a share of a batch is distinct, or a sentence has so few nats of entropy,
    in PATIENCE batches running: then it starts again. 0: never."""
    restart_until: float = 1.0
    """Share of the evaluations after which a policy that always says the same is taken to have converged."""


class CheckedOptions(StartOptions, RestartOptions, Protocol):
    """What `check_policy` looks at."""

    @property
    def learning_rate(self) -> float:
        """Of the optimiser; 0 means the preset's."""


def check_policy(options: CheckedOptions, strategy: str) -> list[Diagnostic]:
    """What is wrong with the values of PolicyOptions, whatever the space."""
    problems = check_start(options, strategy)
    return problems + check_values(
        options,
        strategy,
        {
            "learning_rate": (options.learning_rate >= 0, "give a positive number"),
            "restart_below": (0 <= options.restart_below < 1, "give a number from 0 to below 1"),
            "restart_until": (0 <= options.restart_until <= 1, "give a number from 0 to 1"),
        },
    )


def check_values(options: object, strategy: str, allowed: Mapping[str, tuple[bool, str]]) -> list[Diagnostic]:
    """A problem for each named number that is not finite or not allowed: name to (whether it is, what to give)."""
    return [
        bad_value(strategy, name, getattr(options, name), remedy)
        for name, (is_allowed, remedy) in allowed.items()
        if not (is_allowed and math.isfinite(getattr(options, name)))
    ]
