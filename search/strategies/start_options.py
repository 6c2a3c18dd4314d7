"""The options that say at which table a policy starts, the same for every strategy that has a policy."""

from __future__ import annotations

import math
from typing import Protocol

from dslc.automaton.starting import StartingTable
from dslc.automaton.tuning import read_shares
from dslc.controller.presets import Preset
from dslc.diagnostics import Diagnostic, DslcError
from dslc.search.strategies.options import bad_value
from dslc.space import Space


class StartOptions(Protocol):
    """What the options of such a strategy have."""

    @property
    def start_table(self) -> str:
        """`projected` or `local`; see `Space.starting_table`."""

    @property
    def target_length(self) -> float:
        """Expected tokens of a sentence of the fresh policy; 0: not tuned."""

    @property
    def target_shares(self) -> str:
        """NAME=SHARE,NAME=SHARE: expected shares of tokens among those of a sentence; empty: not tuned."""


def check_start(options: StartOptions, strategy: str) -> list[Diagnostic]:
    """What is wrong with the values alone, whatever the space."""
    problems = []
    if options.start_table not in ("local", "projected"):
        problems.append(bad_value(strategy, "start_table", options.start_table, "use `local` or `projected`"))
    if not (options.target_length >= 0 and math.isfinite(options.target_length)):
        problems.append(bad_value(strategy, "target_length", options.target_length, "give a positive number"))
    try:
        read_shares(options.target_shares)
    except ValueError:
        remedy = "give NAME=SHARE, or several with commas between, such as add=0.1,mul=0.1"
        problems.append(bad_value(strategy, "target_shares", options.target_shares, remedy))
    return problems


def choose_table(space: Space, options: StartOptions, preset: Preset, strategy: str) -> StartingTable:
    """The table that the options ask for.

    Raises:
        DslcError: DSLC605 if the preset starts at no table and one is asked for, DSLC335 for targets that are not
            met.
    """
    given = [
        name
        for name, default in (("start_table", "projected"), ("target_length", 0.0), ("target_shares", ""))
        if getattr(options, name) != default
    ]
    if given and not preset.starts_at_table:
        remedy = f"preset `{preset.name}` starts at equal logits: leave it out, or use preset `small`"
        raise DslcError([bad_value(strategy, name, getattr(options, name), remedy) for name in given])
    return space.starting_table(
        "local" if options.start_table == "local" else "projected",
        target_length=options.target_length or None,
        target_shares=read_shares(options.target_shares),
    )
