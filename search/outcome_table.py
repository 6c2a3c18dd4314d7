"""What a search remembers of every program: small enough for millions of them."""

from __future__ import annotations

from collections.abc import Iterator

from dslc.diagnostics import Code
from dslc.search.outcome import Outcome


class OutcomeTable:
    """Outcomes by program hash, as little of each as the search asks for again; the run folder has all of it.

    A reward without metrics is one number. Of failures of one code all are the first of them that came, since only
    their code is asked for. Hashes are kept as bytes, half as large as their digits.
    """

    def __init__(self, *, keeps_metrics: bool = False) -> None:
        """`keeps_metrics`: they are asked for again, as halving does with learning curves."""
        self._keeps_metrics = keeps_metrics
        self._kept: dict[bytes, float | Outcome] = {}
        self._failures: dict[Code, Outcome] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[str]:
        return (digest.hex() for digest in self._kept)

    def __contains__(self, program_hash: str) -> bool:
        return bytes.fromhex(program_hash) in self._kept

    def __getitem__(self, program_hash: str) -> Outcome:
        outcome = self.get(program_hash)
        if outcome is None:
            raise KeyError(program_hash)
        return outcome

    def get(self, program_hash: str) -> Outcome | None:
        """The outcome of a program, None if it has none yet."""
        kept = self._kept.get(bytes.fromhex(program_hash))
        return kept if kept is None or isinstance(kept, Outcome) else Outcome(kept)

    def __setitem__(self, program_hash: str, outcome: Outcome) -> None:
        kept: float | Outcome = outcome
        if not self._keeps_metrics:
            if outcome.diagnostic is not None:
                kept = self._failures.setdefault(outcome.diagnostic.code, Outcome(None, {}, outcome.diagnostic))
            elif outcome.reward is not None:
                kept = outcome.reward
        self._kept[bytes.fromhex(program_hash)] = kept
