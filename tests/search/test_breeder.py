"""A population as arrays: who lives, which children are new, and what is written of them, each beside a plain way."""

import numpy as np
import pytest

import dslc
from dslc.automaton.variation_batch import BatchVariation, Sentences
from dslc.search.breeder import CROSSOVER, MUTATION, POOL, Breeder
from dslc.search.key_set import KeyNumbers, KeySet
from dslc.search.members import DIGITS, Members
from dslc.search.row_hash import RowHash
from dslc.space import Space


@pytest.mark.parametrize("spread", [1 << 64, 1 << 12])
def test_a_set_of_keys_is_a_set(spread: int) -> None:
    """Evenly spread keys, and such that all want the first cells."""
    generator = np.random.default_rng(0)
    keys, known = KeySet(), set[int]()
    for limit in (0, 3, 500, 2000, 2000, 2000, 10, 2000, 2000):
        asked = generator.integers(0, spread, 1500, dtype=np.uint64)
        asked[::5] = asked[7]
        wanted: list[int] = []
        for place, key in enumerate(asked.tolist()):
            if max(key, 1) not in known and len(wanted) < limit:
                known.add(max(key, 1))
                wanted.append(place)
        assert keys.add_new(asked, limit).tolist() == wanted
    assert keys.keys().tolist() == sorted(known)
    again = KeySet(keys.keys())
    assert again.keys().tolist() == sorted(known)
    assert not len(again.add_new(keys.keys(), 10))


def test_key_numbers_are_those_of_a_dict() -> None:
    generator = np.random.default_rng(1)
    numbers, known = KeyNumbers(), dict[int, int]()
    for _ in range(40):
        keys = generator.integers(0, 1 << 64, 700, dtype=np.uint64)
        keys[::3] = generator.choice(keys, len(keys[::3]))
        if known:
            keys[1::4] = generator.choice(np.array(list(known), np.uint64), len(keys[1::4]))
        new = []
        for place, key in enumerate(keys.tolist()):
            if key not in known:
                known[key] = len(known)
                new.append(place)
        found, places = numbers.find(keys)
        assert found.tolist() == [known[key] for key in keys.tolist()]
        assert places.tolist() == new
    assert len(numbers) == len(known) > (1 << 14)


def settle_plainly(living: list[tuple[float, int, int]], niche: int) -> list[tuple[float, int, int]]:
    """Reward, length, name: of each rounded reward the highest, then the shortest, then the first; by length."""
    kept: dict[float, tuple[float, int, int]] = {}
    for one in sorted(living, key=lambda one: (-one[0], one[1])):
        kept.setdefault(round(one[0], DIGITS), one)
    chosen = []
    for length in sorted({length for _, length, _ in kept.values()}):
        chosen += [one for one in kept.values() if one[1] == length][:niche]
    return chosen


def test_members_are_those_of_a_plain_walk() -> None:
    generator = np.random.default_rng(0)
    members, living = Members(3), list[tuple[float, int, int]]()
    name = 0
    for _ in range(20):
        rewards = generator.integers(1, 40, 30) / 40 + generator.choice([0, 1e-13], 30)
        lengths = generator.integers(1, 6, 30)
        names = np.arange(name, name + 30)
        name += 30
        chosen, places = members.settle(rewards, lengths)
        members.rows[places] = names[chosen]
        living = settle_plainly(
            living + list(zip(rewards.tolist(), lengths.tolist(), names.tolist(), strict=True)), niche=3
        )
        assert members.rows.tolist() == [each for _, _, each in living]
        assert members.rewards.tolist() == [reward for reward, _, _ in living]


def make_breeder(space: Space, seed: int = 0) -> Breeder:
    """Nobody lives."""
    generator = np.random.default_rng(seed)
    variation = BatchVariation(space.lowering.automaton, space.max_tokens, generator)

    def draw(count: int) -> Sentences:
        seed = int(generator.integers(1 << 62))
        return variation.trace(space.sample_tokens(count, seed=seed, lengths="even"))

    row_hash = RowHash(len(space.vocabulary), space.max_tokens)
    return Breeder(variation, row_hash, np.full(5, 0.2), 40, 1.0, draw)


@pytest.mark.parametrize("name", ["expression", "expression_constrained", "conv_net"])
def test_planned_children_have_the_keys_of_what_is_written(name: str) -> None:
    space = dslc.compile(name, max_tokens=24)
    breeder, row_hash = make_breeder(space), RowHash(len(space.vocabulary), space.max_tokens)
    asked = breeder.sentences(breeder.draw_pool(500))
    breeder.settle(asked, np.random.default_rng(1).random(500))
    breeder.pool_uses = np.inf  # so that a new pool is drawn, of which the insertions are
    plan = breeder.plan(400)
    children = breeder.write(plan.children)
    assert len(children.tokens) > 200
    np.testing.assert_array_equal(row_hash.keys(children.tokens), plan.keys)
    assert set(plan.origins.tolist()) == {MUTATION, CROSSOVER}
    pad = len(space.vocabulary)
    for row in children.tokens.tolist():
        space.decode([token for token in row if token != pad])
    variation = BatchVariation(space.lowering.automaton, space.max_tokens, np.random.default_rng(1))
    np.testing.assert_array_equal(variation.trace(children.tokens).slots, children.slots)


def test_a_breeder_goes_on_from_its_state() -> None:
    space = dslc.compile("expression", max_tokens=20)
    one, other = make_breeder(space, 1), make_breeder(space, 2)
    for seed in range(8):
        asked = one.sentences(one.draw_pool(POOL))
        one.settle(asked, np.random.default_rng(seed).random(POOL) - 0.1)
    other.load_state_dict(one.state_dict())
    other.pool_uses = one.pool_uses
    plans = []
    for breeder in (one, other):
        breeder._generator.bit_generator.state = np.random.default_rng(5).bit_generator.state
        plan = breeder.plan(300)
        plans.append((breeder.write(plan.children).tokens, plan.keys, breeder.members.rewards))
    for mine, its in zip(*plans, strict=True):
        np.testing.assert_array_equal(mine, its)
