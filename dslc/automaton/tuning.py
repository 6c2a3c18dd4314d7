"""Starting tables with a given expected length and given shares of named tokens."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dslc.automaton.count import Counts
from dslc.automaton.projection import Lean, is_projectable, projected_table
from dslc.automaton.starting import StartingTable
from dslc.automaton.tables import TokenAutomaton
from dslc.diagnostics import Code, Diagnostic, DslcError, Severity

MAX_STEPS = 40
"""Most steps of Newton's method."""
TOLERANCE = 1e-7
"""Of the log-odds of every target, at which it counts as met."""
CLOSE_ENOUGH = 1e-3
"""Of the log-odds, where no step comes nearer: a float holds no better, such as for a length next to the longest."""
LEAST_GAIN = 0.98
"""A step that leaves more of the errors than this is the last."""
PROBE = 1e-5
"""Step of the difference quotients."""
LONGEST_STEP = 4.0
"""Nats by which one step changes a target's lean, for a whole sentence or for one use of a token."""

FloatArray = NDArray[np.float64]


def tuned_table(
    counts: Counts, *, target_length: float | None = None, target_shares: Mapping[str, float] | None = None
) -> StartingTable:
    """The projected table whose distribution leans so far towards lengths and tokens that it has what is asked.

    Args:
        counts: The space and budget.
        target_length: Expected tokens of a sentence drawn from the table.
        target_shares: By name of a token (its label, its text, or its terminal for all of the terminal's together):
            its expected uses divided by the expected tokens.

    Raises:
        DslcError: DSLC335 if there is no such token, or no table of this kind has that length and those shares.
    """
    automaton = counts.automaton
    occurring = [n for n, ways in enumerate(counts.by_tokens) if ways]
    shortest, longest = occurring[0], occurring[-1]
    groups = {name: find_tokens(automaton, name) for name in target_shares or {}}
    for name, share in (target_shares or {}).items():
        if not 0 < share < 1:
            raise _unreachable(f"the share of `{name}` is {share:g}", "a share is between 0 and 1")
    if target_length is not None and not (shortest < target_length < longest or shortest == target_length == longest):
        raise _unreachable(
            f"the target length is {target_length:g}",
            f"sentences have {shortest} to {longest} tokens: give a length between"
            if shortest < longest
            else f"every sentence has {shortest} tokens",
        )
    if shortest == longest:
        target_length = None
    if target_length is None and not groups:
        return projected_table(counts)
    if automaton.registers is not None:
        raise _unreachable(
            "the grammar counts nodes, and the table does not",
            "leave the targets out, or the lines `at_most`, `at_least` and `ref`",
        )
    if not is_projectable(counts):
        raise _unreachable("the space is too large to tune its table", "lower the budget, or leave the targets out")
    wanted = [] if target_length is None else [_log_odds((target_length - shortest) / (longest - shortest))]
    wanted += [_log_odds(share) for share in (target_shares or {}).values()]

    def make(leans: FloatArray, *, by_growth: bool = False) -> StartingTable:
        on_tokens = np.zeros(automaton.num_tokens)
        on_length = 0.0 if target_length is None else float(leans[0]) / (longest - shortest)
        for tokens, lean in zip(groups.values(), leans[len(leans) - len(groups) :], strict=True):
            on_tokens[tokens] += lean
        if by_growth:
            return projected_table(counts, Lean(0.0, on_tokens, growth=on_length))
        return projected_table(counts, Lean(on_length, on_tokens))

    def measure(table: StartingTable) -> FloatArray:
        if table.expected_tokens is None or table.expected_uses is None:
            raise _unreachable("the space is too large to tune its table", "lower the budget, or leave the targets out")
        reached = [] if target_length is None else [(table.expected_tokens - shortest) / (longest - shortest)]
        reached += [expected_share(table, tokens) for tokens in groups.values()]
        return np.array([_log_odds(value) for value in reached])

    table, error = _solve(make, measure, np.array(wanted))
    if error > CLOSE_ENOUGH and target_length is not None:
        # Where a table cannot know how much is still to come, the sentences of a long distribution end too early.
        other, other_error = _solve(partial(make, by_growth=True), measure, np.array(wanted))
        if other_error < error:
            table, error = other, other_error
    if error > CLOSE_ENOUGH:
        parts = [] if target_length is None else [f"{table.expected_tokens:.4g} tokens"]
        parts += [f"a share of {expected_share(table, tokens):.3g} of `{name}`" for name, tokens in groups.items()]
        raise _unreachable(
            "no starting table found has these targets", f"the nearest that was found has {', '.join(parts)}"
        )
    return table


def expected_share(table: StartingTable, tokens: list[int]) -> float:
    """Expected uses of these tokens divided by the expected tokens of a sentence, both of the table."""
    assert table.expected_uses is not None, "the figures are exact or the table is not tuned"
    return float(table.expected_uses[tokens].sum() / table.expected_uses.sum())


def find_tokens(automaton: TokenAutomaton, name: str) -> list[int]:
    """Ids of the tokens of that label; else of that text; else of that terminal.

    Raises:
        DslcError: DSLC335 if there is none, with the nearest name.
    """
    tokens = automaton.vocabulary
    for names in ([t.label for t in tokens], [t.text for t in tokens], [t.terminal for t in tokens]):
        found = [token.id for token, known in zip(tokens, names, strict=True) if known == name]
        if found:
            return found
    known = [known for token in tokens for known in (token.text, token.terminal, token.label) if known]
    near = difflib.get_close_matches(name, known, 1)
    raise _unreachable(
        f"no token is named `{name}`",
        f"did you mean `{near[0]}`?" if near else f"tokens are, for example: {', '.join(dict.fromkeys(known[:8]))}",
    )


def read_shares(text: str) -> dict[str, float]:
    """Target shares from `NAME=SHARE,NAME=SHARE`.

    Raises:
        ValueError: if the text is no such list, or names a token twice.

    Example:
        >>> read_shares("add=0.2,sin=0.05")
        {'add': 0.2, 'sin': 0.05}
    """
    shares: dict[str, float] = {}
    place = 0
    for match in re.finditer(r"(.+?)=([0-9.]+(?:e-?[0-9]+)?)(?:,|$)", text):
        name = match[1].strip()
        if match.start() != place or name in shares:
            raise ValueError(text)
        shares[name] = float(match[2])
        place = match.end()
    if place != len(text):
        raise ValueError(text)
    return shares


def _log_odds(share: float) -> float:
    share = min(max(share, 1e-12), 1 - 1e-12)
    return math.log(share / (1 - share))


def _solve(
    make: Callable[[FloatArray], StartingTable], measure: Callable[[StartingTable], FloatArray], wanted: FloatArray
) -> tuple[StartingTable, float]:
    """Newton's method with difference quotients, steps halved until they help; the table and its largest error."""
    leans = np.zeros(len(wanted))
    table = make(leans)
    errors = measure(table) - wanted
    before = math.inf
    for _ in range(MAX_STEPS):
        size = float(np.linalg.norm(errors))
        if np.abs(errors).max() < TOLERANCE or size > LEAST_GAIN * before:
            break
        before = size
        slopes = np.empty((len(wanted), len(wanted)))
        for column in range(len(wanted)):
            probed = leans.copy()
            probed[column] += PROBE
            slopes[:, column] = (measure(make(probed)) - wanted - errors) / PROBE
        step = -np.linalg.lstsq(slopes, errors, rcond=1e-9)[0]
        step *= min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), 1e-12))
        for _ in range(8):
            tried = make(leans + step)
            found = measure(tried) - wanted
            if np.linalg.norm(found) < size:
                leans, table, errors = leans + step, tried, found
                break
            step /= 2
        else:
            break
    return table, float(np.abs(errors).max())


def _unreachable(message: str, action: str) -> DslcError:
    return DslcError(Diagnostic(Code.STARTING_TARGET, Severity.ERROR, message, help=action))
