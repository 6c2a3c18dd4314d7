"""Children that go wrong in every way, in one search on two workers: each is recorded as what it was."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import dslc
from dslc.search import Candidate, search
from tests.search import faults

SECONDS = 12.0
"""Time limit of a child."""
MEMORY = 800
"""Memory limit of a child, in MB."""


class GivenSentences:
    """Proposes given sentences, one after the other."""

    name = "given"

    def __init__(self, space: dslc.Space, texts: list[str]) -> None:
        self._tokens = [space.parse(text).tokens for text in texts]
        self._next = 0

    def ask(self, count: int) -> list[Candidate]:
        """See `Strategy`."""
        self._next += count
        return [Candidate(tokens) for tokens in self._tokens[self._next - count : self._next]]

    def tell(self, results: Any) -> dict[str, float]:  # noqa: ARG002
        """See `Strategy`."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {"next": self._next}

    def load_state_dict(self, state: Any) -> None:
        """See `Strategy`."""
        self._next = state["next"]


def soak_faults(count: int) -> str:
    """A search with `count` children that go wrong, in turn, among as many that do not; returns the figures.

    Raises:
        AssertionError: if one is recorded as something else, a good one is lost, or a process is left.
    """
    generator = random.Random(int(time.time()))
    kinds = list(faults.FAULTS)
    digits = [f"{first} {second}" for first in range(1, 10) for second in range(1, 10)]
    bad = [f"{kinds[number % len(kinds)]} {digits[number // len(kinds) % 81]}" for number in range(count)]
    texts = ["well 1 1", *generator.sample(bad + [f"well {pair}" for pair in digits[1:]], count + 80)]
    space = dslc.compile_text(faults.GRAMMAR, name="faults.lark")
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "note"
        os.environ["DSLC_TEST_NOTE"] = str(note)
        result = search(
            space,
            task="tests.search.faults:reward",
            strategy=GivenSentences(space, texts),
            evaluations=len(texts),
            control=0,
            batch=20,
            workers=2,
            child_seconds=SECONDS,
            child_memory=MEMORY,
            run_dir=Path(folder) / "run",
        )
        assert result.status == "finished"
        records = list(result.records())
        left = [int(line) for line in note.read_text().splitlines() if is_alive(int(line))]
    assert not left, f"{len(left)} processes outlived their child"
    assert [record.program.text for record in records] == texts
    found: Counter[str] = Counter()
    for record in records:
        what = record.program.text.split()[0]
        code = None if record.diagnostic is None else record.diagnostic.code.value
        assert code == faults.CODES.get(what), f"`{record.program.text}` was recorded as {code}"
        found[what] += what in faults.FAULTS
    late = max(record.seconds for record in records) - SECONDS
    assert late < 2, f"a child was ended {late:.1f} s after its limit"
    told = ", ".join(f"{number} {what}" for what, number in found.items() if number)
    return f"{sum(found.values())} faults ({told}) among {len(texts)} children, each recorded; ended {late:.2f} s late"


def is_alive(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False
