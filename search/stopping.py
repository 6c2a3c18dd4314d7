"""When a search ends: its evaluations are done, or a rule that it was given is met first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class StopRule(Enum):
    """What can end a search. All are looked at between batches only, so a batch is never cut in two.

    Where several are met at once, the first in this order is the one recorded.
    """

    EVALUATIONS = "evaluations"
    """So many samples of the strategy are scored; every search has this rule."""
    SECONDS = "seconds"
    """So many seconds of wall-clock time have passed in the run, those of earlier sessions included."""
    PATIENCE = "patience"
    """The last so many samples of the strategy held no new best."""
    ENTROPY = "entropy"
    """The policy's entropy in the last batch, in nats a token, is below this."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rules look at, after a batch."""

    evaluations: int
    """Samples of the strategy scored so far."""
    since_best: int
    """Those of them after the best; all of them where none has a reward."""
    seconds: float | None
    """Wall-clock time of the run in s; None while what was recorded before a crash is asked again: a run that stopped
    there would hold samples that it knows nothing of."""
    entropy: float | None
    """Of the strategy's last update, in nats a token; None where it told none."""


def find_met_rule(evaluations: int, until: Mapping[str, float], standing: Standing) -> StopRule | None:
    """The rule that ends the search, or None.

    Example:
        >>> find_met_rule(300, {"patience": 50}, Standing(120, 50, 3.0, None))
        <StopRule.PATIENCE: 'patience'>
        >>> find_met_rule(300, {"patience": 50}, Standing(120, 49, 3.0, None))
    """
    if standing.evaluations >= evaluations:
        return StopRule.EVALUATIONS
    if not standing.evaluations:  # nothing has been tried yet
        return None
    for rule in StopRule:
        limit = until.get(rule.value)
        if limit is not None and _is_met(rule, limit, standing):
            return rule
    return None


def _is_met(rule: StopRule, limit: float, standing: Standing) -> bool:
    match rule:
        case StopRule.SECONDS:
            return standing.seconds is not None and standing.seconds >= limit
        case StopRule.PATIENCE:
            return standing.since_best >= limit
        case StopRule.ENTROPY:
            return standing.entropy is not None and standing.entropy < limit
        case StopRule.EVALUATIONS:
            return standing.evaluations >= limit


def describe_stop(stopped_by: Mapping[str, Any] | None) -> str | None:
    """What ended a run before its evaluations were done, for people; None where nothing did.

    Example:
        >>> describe_stop({"rule": "patience", "limit": 50})
        'patience=50, no new best in the last 50 samples'
    """
    if stopped_by is None:
        return None
    limit = stopped_by["limit"]
    match StopRule(stopped_by["rule"]):
        case StopRule.EVALUATIONS:
            return None
        case StopRule.SECONDS:
            return f"seconds={limit:g}, the time was up"
        case StopRule.PATIENCE:
            return f"patience={limit}, no new best in the last {limit} samples"
        case StopRule.ENTROPY:
            return f"entropy={limit:g}, the policy's entropy fell below it (nats a token)"
