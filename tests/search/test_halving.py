"""Successive halving: who is promoted, against the definition; what is stopped early; the same after a reload."""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslc.search.halving import BEST_SHARE, FEWEST_BEST, Halving, Promotion, Reporter

RUNGS = (1 / 9, 1 / 3, 1.0)
REWARDS = st.lists(st.one_of(st.none(), st.integers(0, 5).map(float)), max_size=60)


def run(halving: Halving, rewards: dict[str, float | None], later: random.Random) -> list[Promotion]:
    """Train all on the first rung, one after the other, and everyone promoted at once; returns the promotions."""
    promotions = []
    for name, reward in rewards.items():
        halving.note(name, 0, reward, {})
        while found := halving.promotions():
            promotions += found
            for promotion in found:
                halving.note(promotion.program_hash, promotion.rung, later.random(), {})
    return promotions


@given(REWARDS)
def test_a_rung_promotes_a_third_and_only_those_that_were_among_the_best(values: list[float | None]) -> None:
    halving = Halving(RUNGS)
    rewards = {f"p{index}": value for index, value in enumerate(values)}
    promotions = run(halving, rewards, random.Random(0))
    first = [p.program_hash for p in promotions if p.rung == 1]
    assert len(first) == len(set(first))
    ranked = sorted((value for value in values if value is not None), reverse=True)
    places = int(len(values) * Fraction(1, 3))
    assert all(rewards[name] is not None for name in first)
    assert {reward for reward in ranked[:places] if ranked.count(reward) == 1} <= {rewards[name] for name in first}, (
        "whoever is among the best third in the end is promoted, at the latest with the last training"
    )


@given(REWARDS)
def test_a_promotion_is_right_when_it_is_made(values: list[float | None]) -> None:
    halving = Halving((1 / 3, 1.0))
    known: list[tuple[float, int]] = []
    promoted: set[str] = set()
    for index, value in enumerate(values):
        halving.note(f"p{index}", 0, value, {})
        known.append((-math.inf if value is None else value, -index))
        best = {-order for reward, order in sorted(known, reverse=True)[: len(known) // 3] if reward > -math.inf}
        found = {p.program_hash for p in halving.promotions()}
        assert found == {f"p{order}" for order in best} - promoted
        promoted |= found


def test_little_is_trained_in_full() -> None:
    halving = Halving(RUNGS)
    values = {f"p{index}": random.Random(index).random() for index in range(900)}
    promotions = run(halving, dict(values), random.Random(1))
    cost = 900 / 9 + sum(RUNGS[p.rung] for p in promotions)
    assert 100 <= sum(p.rung == 2 for p in promotions) <= 125, "a ninth, and some that were among the best early on"
    assert cost <= 0.42 * 900


@given(REWARDS, st.integers(0, 59))
def test_the_state_survives_json(values: list[float | None], cut: int) -> None:
    whole, half = Halving(RUNGS), Halving(RUNGS)
    rewards = {f"p{index}": value for index, value in enumerate(values)}
    first = dict(list(rewards.items())[:cut])
    rest = dict(list(rewards.items())[cut:])
    run(whole, first, random.Random(2))
    run(half, first, random.Random(2))
    reloaded = Halving(RUNGS)
    reloaded.load_json(json.loads(json.dumps(half.to_json())))
    assert run(whole, rest, random.Random(3)) == run(reloaded, rest, random.Random(3))


def test_the_best_is_trained_in_full_in_the_end() -> None:
    halving = Halving(RUNGS)
    assert halving.last_promotion() is None
    halving.note("a", 0, 0.5, {})
    halving.note("b", 0, 0.7, {})
    halving.note("c", 0, None, {})
    assert halving.promotions() == [Promotion("b", 1)]
    halving.note("b", 1, 0.8, {})
    assert halving.last_promotion() == Promotion("b", 2)
    halving.note("b", 2, 0.9, {})
    assert halving.last_promotion() is None


def test_training_that_goes_worse_than_all_of_the_best_is_stopped() -> None:
    halving = Halving(RUNGS)
    count = BEST_SHARE * FEWEST_BEST
    for number in range(count - 1):  # the larger the number, the worse the end and the better the beginning
        halving.note(f"p{number}", 1, -float(number), {step: float(number + step) for step in range(4)})
    assert halving.cutoffs(1) == {}, "too few to say who is best"
    halving.note("best", 1, 1.0, {0: 6.0, 1: 0.0, 2: 0.0, 3: 0.0})
    assert halving.cutoffs(1) == {2: 2.0, 3: 3.0}, "the worst of p0, p1 and the best, best values so far, second half"
    assert halving.cutoffs(0) == {}
    reporter = Reporter(halving.cutoffs(1))
    assert reporter(0, -9.0), "in the first half nothing is stopped"
    assert reporter(2, 2.0)
    assert not reporter(3, 2.5)
    assert reporter(4, 0.0), "nothing is known of this step"
    assert reporter.curve == {0: -9.0, 2: 2.0, 3: 2.5, 4: 0.0}
    assert Reporter({})(0, -1e9)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12), st.floats(0, 1))
def test_what_is_expected_lies_on_the_line_of_least_squares(pairs: list[tuple[float, float]], reward: float) -> None:
    halving = Halving((1 / 3, 1.0))
    for number, (before, after) in enumerate(pairs):
        halving.note(f"p{number}", 0, before, {})
        halving.note(f"p{number}", 1, after, {})
        assert halving.expect([f"p{number}"]) == [after], "who has been trained in full has what that gave"
    halving.note("new", 0, reward, {})
    halving.note("failed", 0, None, {})
    found, failed = halving.expect(["new", "failed"])
    assert found is not None
    assert failed is None
    x, y = (np.array(values) for values in zip(*pairs, strict=True))
    if np.ptp(x) < 1e-3:  # no line
        assert min(y) - 1 <= found <= max(y) + 1
        return
    slope = np.polyfit(x, y, 1)[0]
    assert found == pytest.approx(y.mean() + np.clip(slope, 0, 1) * (reward - x.mean()), abs=1e-6)


def test_what_is_expected_is_level_while_little_is_known() -> None:
    halving = Halving(RUNGS)
    halving.note("a", 0, 0.2, {})
    assert halving.expect(["a"]) == [0.2], "nobody has been trained longer"
    halving.note("b", 0, 0.7, {})
    halving.note("b", 1, 0.9, {})
    assert halving.expect(["a", "b"]) == [0.9, 0.9]
    halving.note("b", 2, 0.95, {})
    assert halving.expect(["a", "b"]) == [0.95, 0.95]
