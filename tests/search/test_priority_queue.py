"""The best distinct sequences: rows of an array are taken in as sequences are, one after the other."""

import numpy as np
import pytest

from dslc.search.rows import unpad_rows
from dslc.search.strategies.priority_queue import PriorityQueue

PAD = 3


@pytest.mark.parametrize("levels", [1, 3, 1000])
@pytest.mark.parametrize("time", [2, 6])
def test_rows_are_taken_in_as_sequences_are(levels: int, time: int) -> None:
    """Few different sentences and many, rewards that many share and that none does."""
    generator = np.random.default_rng(levels * time)
    by_rows, one_by_one = PriorityQueue(5), PriorityQueue(5)
    reward_of: dict[tuple[int, ...], float] = {}
    for _ in range(20):
        tokens = generator.integers(0, PAD, (200, time))
        tokens[np.arange(time) >= generator.integers(1, time + 1, 200)[:, None]] = PAD
        sentences = unpad_rows(tokens, PAD)
        rewards = [reward_of.setdefault(each, float(generator.integers(levels)) / levels) for each in sentences]
        by_rows.push_rows(tokens, np.array(rewards), PAD)
        one_by_one.push(zip(sentences, rewards, strict=True))
        assert by_rows.items() == one_by_one.items()
