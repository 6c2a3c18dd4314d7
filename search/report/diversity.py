"""What a strategy proposes over time: how often each choice is taken, and how many of its programs are new."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np

from dslc.search.report.arms import Arm, window_ends

if TYPE_CHECKING:
    from dslc.automaton.tables import Token
    from dslc.space import Space

WINDOWS = 30
"""Most windows of neighbouring batches that a run is looked at in."""
MOST_PER_WINDOW = 300
"""Samples of a window whose tokens are read, evenly spaced: a share is then known to some 3%, and time is bounded."""
MOST_SLOTS = 8
"""Slots shown: those with the most decisions."""
MOST_CHOICES = 8
"""Choices of a slot shown by name: the most frequent; the others are counted together."""


def describe_diversity(database: sqlite3.Connection, strategy: Arm) -> list[dict[str, float | int | None]]:
    """By window: distinct programs among its samples, programs never seen before, and the policy's mean entropy.

    A window has `evaluations` (samples up to its end), `unique` and `new` (as shares of its samples) and `entropy` (in
    nats a token, as the strategy told it at its updates; None if it tells none).
    """
    entropies = _read_entropies(database)
    first = np.zeros(strategy.num_samples, dtype=np.bool_)
    first[np.unique(strategy.programs, return_index=True)[1]] = True
    points: list[dict[str, float | int | None]] = []
    begin = 0
    for end in window_ends(strategy, WINDOWS):
        batches = np.unique(strategy.batches[begin:end])
        known = [entropies[batch] for batch in batches.tolist() if entropies.get(batch) is not None]
        points.append(
            {
                "evaluations": end,
                "unique": round(len(np.unique(strategy.programs[begin:end])) / (end - begin), 4),
                "new": round(float(first[begin:end].mean()), 4),
                "entropy": float(np.mean(known)) if known else None,
            }
        )
        begin = end
    return points


def _read_entropies(database: sqlite3.Connection) -> dict[int, float]:
    if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'updates'").fetchone() is None:
        return {}
    return dict(database.execute("SELECT batch, json_extract(figures, '$.entropy') FROM updates"))


def describe_tokens(database: sqlite3.Connection, strategy: Arm, space: Space | None) -> dict[str, Any] | None:
    """How often each choice of the busiest slots is taken, by window; None without samples or a readable grammar.

    The terminal or the rule is what is called a slot here, wherever in a sentence it stands. `evaluations` has the end
    of each window, `samples` how many were looked at; a slot has its `name`, `decisions` (a sample, on average) and
    `choices`, each with its `label` and `shares`: of the decisions of that slot in each window, None where it has none.
    """
    if space is None or not strategy.num_samples:
        return None
    ends = window_ends(strategy, WINDOWS)
    chosen = [_spread(begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    ids = strategy.ids[np.concatenate(chosen)]
    texts = database.execute(
        "SELECT tokens FROM samples WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(ids.tolist()),),
    ).fetchall()
    sentences = json.loads(f"[{','.join(text for (text,) in texts)}]")
    size = len(space.vocabulary)
    windows = np.repeat(
        np.repeat(np.arange(len(ends)), [len(places) for places in chosen]), [len(tokens) for tokens in sentences]
    )
    flat = np.array([token for tokens in sentences for token in tokens], dtype=np.int64)
    is_known = flat < size  # a record of another grammar is shown as far as it can be
    counts = np.bincount(windows[is_known] * size + flat[is_known], minlength=len(ends) * size).reshape(len(ends), size)
    slots: dict[str, list[Token]] = {}
    for token in space.vocabulary:
        slots.setdefault(token.terminal or token.rule or token.label, []).append(token)
    decisions = {name: int(counts[:, [token.id for token in tokens]].sum()) for name, tokens in slots.items()}
    busiest = sorted(slots, key=lambda name: -decisions[name])[:MOST_SLOTS]
    shown = [
        {
            "name": name,
            "decisions": round(decisions[name] / len(sentences), 4),
            "choices": _describe_choices(slots[name], counts),
        }
        for name in busiest
        if decisions[name] and len(slots[name]) > 1
    ]
    return {"evaluations": ends, "samples": len(sentences), "slots": shown} if shown else None


def _spread(begin: int, end: int) -> Any:
    """Places of at most `MOST_PER_WINDOW` samples of a window, evenly spaced."""
    count = min(end - begin, MOST_PER_WINDOW)
    return begin + np.arange(count) * (end - begin) // count


def _describe_choices(tokens: list[Token], counts: Any) -> list[dict[str, Any]]:
    """Shares of the choices of one slot; the rare ones of many are put together."""
    own = counts[:, [token.id for token in tokens]]
    total = own.sum(axis=1)
    named = sorted(range(len(tokens)), key=lambda place: -int(own[:, place].sum()))
    if len(named) > MOST_CHOICES + 1:
        named = named[:MOST_CHOICES]
    rows = [(_label(tokens[place]), own[:, place]) for place in sorted(named)]
    if len(named) < len(tokens):
        rows.append((f"{len(tokens) - len(named)} others", total - sum(row for _, row in rows)))
    return [
        {
            "label": label,
            "shares": [round(int(count) / int(of), 4) if of else None for count, of in zip(row, total, strict=True)],
        }
        for label, row in rows
    ]


def _label(token: Token) -> str:
    if token.text is not None:
        return token.text
    return "stop" if token.label.startswith("<stop") else token.label.strip("<>")
