"""Instant rewards with a known optimum, for measuring how well a strategy searches and what it costs.

A network of `cnn6.lark` is its 24 decisions in reading order: height, width, stride, filters, six times.

- `separable(decisions, hidden_network(seed))`: share of decisions that agree; the optimum is 1.0, uniform sampling has
  0.27.
- `Interacting(seed)(decisions)`: each decision's worth depends on its two successors on a ring (an NK landscape, K =
  2).

An update rule of `rules3.lark` is the list of its terminals without brackets and commas, in reading order.

- `update_rule(words)`: looks for the ingredients of PowerSign and AddSign, in [0, 1].
"""

from __future__ import annotations

import random
from collections.abc import Sequence

MENUS = (("1", "3", "5", "7"), ("1", "3", "5", "7"), ("1", "2", "3"), ("24", "36", "48", "64")) * 6


def hidden_network(seed: int) -> tuple[str, ...]:
    """The 24 decisions of the hidden optimum of a seed."""
    generator = random.Random(f"hidden network {seed}")
    return tuple(generator.choice(menu) for menu in MENUS)


def separable(decisions: Sequence[str], hidden: Sequence[str]) -> float:
    """Share of decisions equal to the hidden network's, in [0, 1]."""
    return sum(a == b for a, b in zip(decisions, hidden, strict=True)) / len(hidden)


class Interacting:
    """NK landscape over the 24 decisions with K = 2 successors, in (0, 1].

    Its optimum is exact, by dynamic programming.
    """

    def __init__(self, seed: int) -> None:
        generator = random.Random(f"interacting {seed}")
        length = len(MENUS)
        self.tables = [
            {
                (a, b, c): generator.random()
                for a in MENUS[i]
                for b in MENUS[(i + 1) % length]
                for c in MENUS[(i + 2) % length]
            }
            for i in range(length)
        ]
        self.optimum = self._find_optimum()

    def __call__(self, decisions: Sequence[str]) -> float:
        """Reward of a network; 1.0 is the optimum."""
        return self.raw(decisions) / self.optimum

    def raw(self, decisions: Sequence[str]) -> float:
        """Mean worth of the decisions, before it is scaled to the optimum."""
        length = len(MENUS)
        worths = (
            table[decisions[i], decisions[(i + 1) % length], decisions[(i + 2) % length]]
            for i, table in enumerate(self.tables)
        )
        return sum(worths) / length

    def _find_optimum(self) -> float:
        length, best = len(MENUS), 0.0
        for first in MENUS[0]:
            for second in MENUS[1]:  # the two that the ring closes on are fixed
                values = {(first, second): 0.0}
                for i in range(length - 2):
                    following: dict[tuple[str, str], float] = {}
                    for (a, b), value in values.items():
                        for c in MENUS[i + 2]:
                            following[b, c] = max(following.get((b, c), -1.0), value + self.tables[i][a, b, c])
                    values = following
                for (a, b), value in values.items():
                    closing = self.tables[length - 2][a, b, first] + self.tables[length - 1][b, first, second]
                    best = max(best, value + closing)
        return best / length


def update_rule(words: Sequence[str]) -> float:
    """0.4 if the root is `mul`, 0.2 each if `sign_g` occurs, `sign_m` occurs, the first unary is `exp`."""
    found = (words[0] == "mul", words[0] == "mul", "sign_g" in words, "sign_m" in words, words[1] == "exp")
    return 0.2 * sum(found)
