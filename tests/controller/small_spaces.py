"""Small spaces that tests enumerate, and policies over them."""

from __future__ import annotations

import torch

from dslc.automaton.scalar import ScalarState, advance_state, allowed_tokens, is_done, start_state
from dslc.controller import PRESETS, RecurrentPolicy
from dslc.pipeline import compile_grammar
from dslc.source import SourceFile
from dslc.space import Space

MENUS = """
start: A B A
A: "a" | "b" | "c"
B: "d" | "e"
"""
"""18 sentences of 3 tokens."""

TREES = """
start: node
node: "(" node OP node ")" -> inner | LEAF -> leaf
OP: "+" | "*"
LEAF: "x" | "y" | "z"
"""
"""Recursive, with sentences of several lengths."""

LISTS = """
start: item ("," item)*
item: KIND | KIND "=" VALUE
KIND: "k" | "l"
VALUE: "1" | "2"
"""
"""A list with a stop, and choices that share a first token."""

FORCED = """
start: "a" "b"
"""
"""One sentence of no tokens."""

SIZES = {MENUS: 3, TREES: 5, LISTS: 6}
"""Text to a budget at which the space has at most a few hundred sentences."""


def make_space(text: str, max_tokens: int | None = None) -> Space:
    """The compiled grammar."""
    return Space(compile_grammar(SourceFile("<text>", text), max_tokens=max_tokens))


def list_sentences(space: Space) -> list[tuple[int, ...]]:
    """All token sequences, by walking every allowed prefix."""
    automaton = space.lowering.automaton
    found = []
    pending: list[tuple[tuple[int, ...], ScalarState]] = [((), start_state(automaton, space.max_tokens))]
    while pending:
        tokens, state = pending.pop()
        if is_done(state):
            found.append(tokens)
            continue
        for token in allowed_tokens(automaton, state):
            pending.append(((*tokens, token), advance_state(automaton, state, token)))
    return sorted(found)


def make_policy(
    space: Space, preset: str = "small", *, seed: int = 0, shake: float = 0.0, device: str = "cpu"
) -> RecurrentPolicy:
    """A fresh policy, its output layer moved away from zero by normal noise of deviation `shake`."""
    policy = RecurrentPolicy(
        space.lowering.automaton,
        space.max_tokens,
        PRESETS[preset],
        table=space.starting_table(),
        seed=seed,
        device=device,
    )
    if shake:
        generator = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for weights in policy.output.parameters():
                noise = torch.randn(weights.shape, generator=generator)
                weights.add_(noise.to(device), alpha=shake)
    return policy
