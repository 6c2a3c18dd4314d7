"""Fresh random grammars against brute force: masks at every prefix, counts, the numbering, derivations, lark."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from tests.dslc.random_grammars import random_grammar
from tests.dslc.test_automaton_oracle import KINDS, check_grammar


def soak_oracle(count: int) -> str:
    """Check `count` grammars drawn by a seed of the moment, every third with operators; returns the figures.

    Raises:
        AssertionError: with the seed and the text of a grammar for which the compiler and brute force differ.
    """
    seed = int(time.time())
    print(f"seed {seed}", flush=True)
    found = check_random_grammars(count, seed)
    kinds = ", ".join(f"{found[kind]} {kind}" for kind in KINDS)
    return (
        f"{count} grammars of seed {seed}, {found['grammars']} compared in full ({kinds}), "
        f"{found['derivations']:,} derivations, {found['prefixes']:,} prefixes, {found['accepted']:,} sentences that "
        "lark takes, 0 differences"
    )


def check_random_grammars(count: int, seed: int) -> Counter[str]:
    """Everything about `count` random grammars; what they are and how much was compared."""
    generator = random.Random(seed)
    found: Counter[str] = Counter()
    for number in range(count):
        grammar = random_grammar(generator.randrange(2**63), operators=number % 3 == 2)
        try:
            check_grammar(grammar, found, accepted_every=1)
        except (Exception, pytest.fail.Exception) as error:
            message = f"grammar {number} of seed {seed}: {type(error).__name__}: {error}\n{grammar.text()}"
            raise AssertionError(message) from error
    return found
