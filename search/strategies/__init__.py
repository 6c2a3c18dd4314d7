"""Strategies: how a search proposes candidates and learns from their outcomes; one file a strategy, found by listing.

A module of this folder is a strategy if it names its class as `STRATEGY`; the others are parts that strategies share.
Another strategy touches no other file.
"""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from dslc.diagnostics import Code, Diagnostic, DslcError, Severity
from dslc.search.outcome import Strategy
from dslc.search.strategies.options import read_options
from dslc.space import Space

DEFAULT = "policy_gradient"


class StrategyKind(Protocol):
    """A strategy's class."""

    name: str
    """That of its module."""
    figures: tuple[str, ...]
    """Names of what `tell` returns."""
    options_type: type
    """A dataclass whose fields all have defaults: str, int or float."""

    def __call__(self, space: Space, *, evaluations: int, batch: int, seed: int, device: str, options: Any) -> Strategy:
        """A fresh strategy; `options` is one of `options_type`, the rest is said at `make_strategy`."""


def _list_kinds() -> dict[str, StrategyKind]:
    """Classes by name, the default first."""
    modules = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    kinds: dict[str, StrategyKind] = {}
    for module in modules:
        kind = getattr(module, "STRATEGY", None)
        if kind is not None:
            assert module.__name__ == f"{__name__}.{kind.name}", "the module's name is the strategy's"
            kinds[kind.name] = kind
    return {name: kinds[name] for name in sorted(kinds, key=lambda name: (name != DEFAULT, name))}


_KINDS = _list_kinds()

STRATEGY_NAMES = tuple(_KINDS)
"""The default first, the others by name."""


def usual_batch(name: str, evaluations: int) -> int | None:
    """Samples a batch that a strategy for populations is made for, at most evaluations / 30; None for any other."""
    most: int | None = getattr(_KINDS.get(name), "largest_batch", None)
    return None if most is None else min(most, max(evaluations // 30, 1))


def make_strategy(
    name: str,
    space: Space,
    *,
    evaluations: int,
    batch: int,
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
    if name not in _KINDS:
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
    kind = _KINDS[name]
    given: object = read_options(kind.options_type, {} if options is None else options, name)
    return kind(space, evaluations=evaluations, batch=batch, seed=seed, device=device, options=given)
