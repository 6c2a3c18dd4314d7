"""The three walks of an unrolled space give the network the same at every step, and record the same."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

import dslc
from dslc.controller.tape import RowTape
from dslc.controller.walks import NumpyTableWalk, RuntimeWalk, TorchTableWalk, Walk
from tests.controller.small_spaces import make_policy


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize(
    ("name", "start", "budget"),
    [("conv_net", "start", None), ("rnn_cell", "base_2", None), ("expression", "start", 5)],
)
def test_all_walks_agree(name: str, start: str, budget: int | None, device: str) -> None:
    space = dslc.compile(name, start=start, max_tokens=budget)
    sentences = [program.tokens for program in space.samples(30, seed=0, lengths="even")]
    tokens = torch.full((space.max_tokens, len(sentences)), len(space.vocabulary), dtype=torch.int32)
    for column, sentence in enumerate(sentences):
        tokens[: len(sentence), column] = torch.tensor(sentence)
    policies = [make_policy(space, shake=0.7, device=each) for each in ("cpu", "cpu", device)]
    weights = [policy.fold() for policy in policies]
    kinds: tuple[type[Walk], ...] = (RuntimeWalk, NumpyTableWalk, TorchTableWalk)
    walks: list[Walk] = [
        kind(policy, folded, tokens.to(policy.device))
        for kind, policy, folded in zip(kinds, policies, weights, strict=True)
    ]
    tapes = [RowTape(folded, space.max_tokens, len(sentences)) for folded in weights]
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    for position in range(space.max_tokens):
        is_live = lengths > position  # what the network is given behind the end is of no account
        given = []
        for walk, tape in zip(walks, tapes, strict=True):
            with torch.inference_mode():
                walk.begin(position, tape)
                walk.advance(position)
                given.append(tuple(part.cpu()[is_live] for part in tape.open(position)))
        torch.testing.assert_close(given[1], given[0])
        torch.testing.assert_close(given[2], given[1])
    assert [walk.are_done() for walk in walks] == [True] * 3
    runtime, table, other = (walk.gather() for walk in walks)
    for field in fields(table):
        one, two = getattr(table, field.name), getattr(other, field.name)
        assert (one is None and two is None) or torch.equal(one, two.cpu())
    assert torch.equal(table.tokens, runtime.tokens)
    assert torch.equal(table.lengths, runtime.lengths)
    for name in ("inputs", "rows"):
        assert torch.equal(getattr(table, name)[table.is_token], getattr(runtime, name)[table.is_token])
