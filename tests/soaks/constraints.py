"""Fresh random grammars with 1 to 3 constraints against brute force filtered by a predicate on trees."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from tests.dslc.test_constraints_oracle import check_constrained, count_refusals, random_constrained
from tests.oracle_constraints import INHERITED, THREADED


def soak_constraints(count: int) -> str:
    """Check `count` grammars drawn by a seed of the moment, constraints of all kinds alike; returns the figures.

    Raises:
        AssertionError: with the seed and the text of a grammar for which the compiler and brute force differ.
    """
    seed = int(time.time())
    print(f"seed {seed}", flush=True)
    generator = random.Random(seed)
    found: Counter[str] = Counter()
    for number in range(count):
        grammar, constraints = random_constrained(generator.randrange(2**63), INHERITED + THREADED)
        try:
            check_constrained(grammar, constraints, found)
        except (Exception, pytest.fail.Exception) as error:
            message = f"grammar {number} of seed {seed}: {type(error).__name__}: {error}\n{grammar.text()}"
            raise AssertionError(message) from error
    refused = count_refusals(count, generator)
    reasons = ", ".join(f"{number} {code.value}" for code, number in sorted(refused.items(), key=str))
    assert refused.total() <= 0.05 * count + 2, refused
    kinds = ", ".join(f"{found[kind]} {kind}" for kind in INHERITED + THREADED)
    return (
        f"{refused.total()} of {count} grammars refused ({reasons}); {count} grammars of seed {seed}, "
        f"{found['grammars']} compared in full, {found['binding']} of them bound by their constraints ({kinds}), "
        f"{found['no lists']} with a list that is none, {found['refused']} refused, {found['CONTRADICTION']} "
        f"contradictions, {found['derivations']:,} derivations, {found['prefixes']:,} prefixes, "
        f"{found['texts'] + found['named']:,} texts, 0 differences"
    )
