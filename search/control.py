"""The random control: what the same number of blind samples would have found, measured beside the search."""

from __future__ import annotations

import math
from hashlib import sha256
from typing import TYPE_CHECKING

from dslc.search.outcome import Candidate

if TYPE_CHECKING:
    from dslc.space import Space


def control_candidate(space: Space, run_seed: int, index: int) -> Candidate:
    """The control sample of that index: its length drawn evenly, then uniformly among the sentences of that length.

    Each has a generator of its own, seeded by run seed and index, so the control does not depend on the strategy or on
    resuming. The log-probability is exact, in nats.
    """
    seed = int.from_bytes(sha256(f"control\0{run_seed}\0{index}".encode()).digest()[:8], "big")
    tokens = space.sample(seed=seed, lengths="even").tokens
    counts = space.counts()
    lengths = sum(1 for count in counts if count)
    return Candidate(tokens, -math.log(lengths) - math.log(counts[len(tokens)]), origin="uniform")


def control_due(evaluations: int, total: int, control_total: int) -> int:
    """Control samples that should have been taken after that many of `total` evaluations.

    Example:
        >>> [control_due(done, 10, 5) for done in (0, 3, 6, 10)]
        [0, 1, 3, 5]
    """
    return control_total * evaluations // total
