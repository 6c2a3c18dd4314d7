"""A population as arrays is the population of objects: the same live, parents are as likely, children are sentences."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

import dslc
from dslc.search.outcome import ORIGINS
from dslc.search.rows import pad_rows, unpad_rows
from dslc.search.strategies.array_population import ArrayPopulation
from dslc.search.strategies.evolution import EvolutionOptions
from dslc.search.strategies.population import Population
from dslc.space import Space
from tests.controller.small_spaces import LISTS, TREES, make_space

BATCH = 30
SPACES = {
    "trees": lambda: make_space(TREES, 15),
    "lists": lambda: make_space(LISTS, 8),
    "nothing, or a few": lambda: make_space('start: item*\nitem: "a" | "b" start "c"\n', 6),
    "expressions": lambda: dslc.compile("expression_constrained", start="two_variables", max_tokens=20),
    "networks": lambda: dslc.compile("conv_net"),
}


def make_population(space: Space, seed: int = 0, **options: Any) -> ArrayPopulation:
    return ArrayPopulation(space, EvolutionOptions(**options), np.random.default_rng(seed))


def draw(space: Space, count: int, seed: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    return space.sample_tokens(count, seed=seed, lengths="even").astype(np.int16)


def reward(tokens: tuple[int, ...]) -> float:
    """Equal for many."""
    return float(sum(tokens) % 5)


def members(population: ArrayPopulation, pad: int) -> list[tuple[tuple[int, ...], float]]:
    state = population.state_dict()
    return list(zip(unpad_rows(state["members"].numpy(), pad), state["rewards"].tolist(), strict=True))


@pytest.mark.parametrize("unseen", [0, 1])
@pytest.mark.parametrize("elite", [0.0, 0.25, 1.0])
def test_the_same_live_as_in_a_population_of_objects(elite: float, unseen: int) -> None:
    space = SPACES["trees"]()
    pad = len(space.vocabulary)
    options = EvolutionOptions(population=20, elite=elite, unseen=unseen)
    objects, arrays = (
        Population(space, options, Random(0)),
        make_population(space, population=20, elite=elite, unseen=unseen),
    )
    for batch in range(12):
        if batch == 8:
            objects.clear()
            arrays.clear()
        tokens = draw(space, 3 + 7 * (batch % 3), batch // 2)  # some are told again
        rewards = [reward(sentence) for sentence in unpad_rows(tokens, pad)]
        objects.add(zip(unpad_rows(tokens, pad), rewards, strict=True))
        arrays.add(tokens, np.array(rewards))
        _, kept = objects.to_json()
        assert isinstance(kept, list)
        assert members(arrays, pad) == [(tuple(sentence), value) for value, _, sentence in kept]
        assert (len(arrays), arrays.median()) == (len(objects), objects.median())


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("crossover", [0.0, 0.5, 1.0])
def test_every_child_is_a_sentence(name: str, crossover: float) -> None:
    space = SPACES[name]()
    pad = len(space.vocabulary)
    population = make_population(space, population=BATCH, elite=0.1, crossover=crossover, mutation=0.5)
    tokens, origins = draw(space, BATCH, 0), np.zeros(BATCH, np.uint8)
    for _ in range(6):
        sentences = unpad_rows(tokens, pad)
        assert len(sentences) == len(origins) == BATCH
        for sentence in sentences:
            assert space.decode(sentence).tokens == sentence
        population.add(tokens, np.array([reward(sentence) for sentence in sentences]))
        tokens, origins = population.breed(BATCH, 0.5)
        named = {ORIGINS[origin] for origin in origins}
        if name != "nothing, or a few":
            assert named <= {"crossover", "mutation"}
            assert named == {"crossover"} or crossover < 1
            assert named == {"mutation"} or crossover > 0


def test_children_of_two_parents_are_made_of_their_parts() -> None:
    """Of `add ( x , x )` and `y` alone: `y` at the root or a leaf of the one, and either at the root of the other."""
    space = dslc.compile("expression", start="two_variables", max_tokens=9)
    texts = ["add ( x , x )", "y"]
    population = make_population(space, population=4, crossover=1.0, tournament=1)
    population.add(
        pad_rows([space.parse(text).tokens for text in texts], len(space.vocabulary)).astype(np.int16), np.ones(2)
    )
    tokens, origins = population.breed(2000, 0.0)
    assert {ORIGINS[origin] for origin in origins} == {"crossover"}
    found = {space.decode(sentence).text for sentence in unpad_rows(tokens, len(space.vocabulary))}
    assert {"y", "add ( x , x )", "add ( y , x )", "add ( x , y )", "x"} <= found
    assert all(text.count("x") + text.count("y") == text.count("add") + 1 for text in found)


@pytest.mark.parametrize("tournament", [1, 3])
def test_parents_are_the_best_of_tournaments(tournament: int) -> None:
    space = make_space('start: A A A A\nA: "a" | "b" | "c"\n')
    population = make_population(space, population=4, crossover=1.0, tournament=tournament)
    parents = np.array([[number] * 4 for number in (0, 1, 2)], np.int16)
    population.add(parents, np.array([3.0, 2.0, 1.0]))
    rows = (population._pick(6000) - population._first_member).tolist()
    for number in range(3):
        wanted = ((3 - number) / 3) ** tournament - ((2 - number) / 3) ** tournament
        deviation = (wanted * (1 - wanted) * 6000) ** 0.5
        assert abs(rows.count(number) - 6000 * wanted) < 4 * deviation


def test_unseen_children_live_not_yet() -> None:
    space = SPACES["expressions"]()
    pad = len(space.vocabulary)
    population = make_population(space, population=100, elite=1.0, crossover=0.5, unseen=1)
    tokens = draw(space, 100, 0)
    for _ in range(4):
        rewards = np.array([reward(sentence) for sentence in unpad_rows(tokens, pad)])
        population.add(tokens, rewards)
        living = {sentence for sentence, _ in members(population, pad)}
        assert len(living) == len(population)
        tokens, _ = population.breed(100, 1.0)
        children = unpad_rows(tokens, pad)
        assert len(set(children)) == 100
        assert not living & set(children)


def test_a_state_goes_on_as_if_nothing_had_happened() -> None:
    space = SPACES["lists"]()
    one, generator = make_population(space, population=20), np.random.default_rng(5)
    one.add(draw(space, 30, 1), np.arange(30.0))
    one.breed(30, 1.0)
    twin = ArrayPopulation(space, EvolutionOptions(population=20), generator)
    twin.load_state_dict(one.state_dict())
    generator.bit_generator.state = one._generator.bit_generator.state
    for population in (one, twin):
        population.add(draw(space, 30, 2), np.arange(30.0))
    for mine, other in zip(one.breed(50, 0.5), twin.breed(50, 0.5), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert members(one, len(space.vocabulary)) == members(twin, len(space.vocabulary))
