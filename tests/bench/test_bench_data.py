"""The data that benchmarks measure on: known optima, known recoveries."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.bench.nguyen import TARGET_BY_NAME, is_recovered, make_data, parse_prefix, to_infix
from tests.bench.rewards import MENUS, Interacting, hidden_network, separable, update_rule

RECOVERED = {
    "Nguyen-1": "add x1 mul x1 add x1 mul x1 x1",
    "Nguyen-5": "sub mul sin mul x1 x1 cos x1 div x1 x1",
    "Nguyen-6": "add sin x1 sin add x1 mul x1 x1",
    "Nguyen-7": "add log add x1 div x1 x1 log add mul x1 x1 div x1 x1",
    "Nguyen-8": "exp mul div x1 add x1 x1 log x1",
    "Nguyen-9": "add sin x1 sin mul x2 x2",
    "Nguyen-10": "mul sin x1 add cos x2 cos x2",
    "Nguyen-11": "exp mul x2 log x1",
}


def test_rewards_reach_one_at_the_optimum() -> None:
    hidden = hidden_network(0)
    assert separable(hidden, hidden) == 1.0
    generator = random.Random(0)
    draws = [tuple(generator.choice(menu) for menu in MENUS) for _ in range(2000)]
    assert np.mean([separable(draw, hidden) for draw in draws]) == pytest.approx(0.27, abs=0.01)
    interacting = Interacting(0)
    assert 0.0 < max(map(interacting, draws)) <= 1.0
    assert update_rule(["mul", "exp", "sign_g", "id", "sign_m"]) == pytest.approx(1.0)


@pytest.mark.parametrize(("name", "words"), RECOVERED.items())
def test_rewritten_targets_are_recovered(name: str, words: str) -> None:
    target = TARGET_BY_NAME[name]
    infix = to_infix(parse_prefix(words.split()))
    assert is_recovered(infix, target)
    points, values = make_data(target)
    assert points.shape == (20, target.num_variables)
    names = {function: getattr(np, function) for function in ("sin", "cos", "exp", "log")}
    columns = {f"x{i + 1}": column for i, column in enumerate(points.T)}
    assert np.allclose(eval(infix, names | columns), values)


def test_a_tight_fit_is_no_recovery() -> None:
    assert not is_recovered("sqrt(x1) + 1e-20*x1", TARGET_BY_NAME["Nguyen-8"])
    assert not is_recovered("x1 + x1*x1", TARGET_BY_NAME["Nguyen-1"])
    with pytest.raises(ValueError, match="truncated"):
        parse_prefix(["add", "x1"])


def test_towers_of_exponentials_are_refused_at_once() -> None:
    tower = "x1"
    for _ in range(6):
        tower = f"exp({tower} + {tower})"
    assert not is_recovered(f"sqrt(x1) + 1/{tower}", TARGET_BY_NAME["Nguyen-8"])
    assert is_recovered("exp(log(x1)/(1 + exp(x1 - x1)))", TARGET_BY_NAME["Nguyen-8"])
