"""The control: samples that learn nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dslc.automaton.uniform import Lengths, sample_uniform, uniform_log_prob
from dslc.diagnostics import DslcError
from dslc.search.outcome import Candidate
from dslc.search.strategies.learner import derive_seed
from dslc.search.strategies.options import bad_value
from dslc.search.strategies.random_state import random_from_json, random_to_json
from dslc.space import Space


@dataclass(frozen=True, slots=True)
class RandomOptions:
    """Options of `random`."""

    lengths: str = "even"
    """`even`: the length is drawn evenly among those that occur, then the sentence uniformly among those of the
    length, so that a recursive space is not all at its longest; `uniform`: uniformly among all sentences."""

    def __post_init__(self) -> None:
        if self.lengths not in ("even", "uniform"):
            raise DslcError(bad_value("random", "lengths", self.lengths, "use `even` or `uniform`"))


class Random:
    """Exactly uniform samples, by the recursive method over exact counts."""

    name = "random"
    figures = ()
    options_type = RandomOptions

    def __init__(
        self,
        space: Space,
        *,
        evaluations: int,  # noqa: ARG002
        batch: int,  # noqa: ARG002
        seed: int,
        device: str,  # noqa: ARG002
        options: RandomOptions,
    ) -> None:
        self._options = options
        self._counts = space.exact_counts()
        self._random = random.Random(derive_seed(seed, "control"))

    def ask(self, count: int) -> list[Candidate]:
        """`count` independent samples with their exact log-probabilities."""
        lengths: Lengths = "even" if self._options.lengths == "even" else "uniform"
        drawn = [sample_uniform(self._counts, self._random, lengths) for _ in range(count)]
        return [Candidate(tokens, uniform_log_prob(self._counts, tokens, lengths), "uniform") for tokens in drawn]

    def tell(self, results: Sequence[tuple[Candidate, float]]) -> dict[str, float]:  # noqa: ARG002
        """Nothing is learnt."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """See `Strategy`."""
        return {"random": random_to_json(self._random)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Strategy`."""
        random_from_json(self._random, state["random"])


STRATEGY = Random
