"""The optimum of spaces of some thousand programs with a quarter as many evaluations; all strategies: `make soak`."""

from __future__ import annotations

import pytest

from dslc.automaton.variation import Variation
from dslc.search.strategies import make_strategy
from tests.controller.small_spaces import TREES, make_space
from tests.soaks.strategies import LEVEL, NEEDED, SPACES, run_strategy, sign_test

SEEDS = range(20)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", SPACES)
def test_evolution_finds_the_optimum_and_beats_random(name: str, sign: int) -> None:
    runs = [run_strategy("evolution", name, sign, seed) for seed in SEEDS]
    control = [run_strategy("random", name, sign, seed) for seed in SEEDS]
    assert sum(has_found for has_found, _ in runs) >= NEEDED * len(SEEDS)
    wins = sum(mean > other for (_, mean), (_, other) in zip(runs, control, strict=True))
    assert sign_test(wins, len(SEEDS)) < LEVEL


def test_the_default_and_the_hybrid_find_the_optimum_of_the_menus() -> None:
    for strategy in ("policy_gradient", "hybrid"):
        assert run_strategy(strategy, "menus", 1, seed=0)[0], strategy


def test_evolution_asked_for_unseen_children_repeats_itself_less() -> None:
    distinct = []
    for unseen in (0, 1):
        strategy = make_strategy(
            "evolution", make_space(TREES, 15), evaluations=2000, batch=20, seed=0, options={"unseen": unseen}
        )
        seen: set[tuple[int, ...]] = set()
        for _ in range(40):
            candidates = strategy.ask(20)
            seen |= {candidate.tokens for candidate in candidates}
            strategy.tell([(candidate, float(sum(candidate.tokens))) for candidate in candidates])
        distinct.append(len(seen))
    assert distinct[1] > 1.2 * distinct[0], distinct


def test_the_members_of_a_population_are_walked_once() -> None:
    strategy = make_strategy("evolution", make_space(TREES, 15), evaluations=400, batch=20, seed=0)
    walked = []
    original = Variation.trace

    def trace(self: Variation, tokens: tuple[int, ...]) -> object:
        walked.append(tokens)
        return original(self, tokens)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Variation, "trace", trace)
        for _ in range(10):
            candidates = strategy.ask(20)
            strategy.tell([(candidate, float(sum(candidate.tokens))) for candidate in candidates])
    assert len(walked) <= 20, "children come with their positions"
