"""A task whose children are better the longer they are trained, at no cost; named so that workers can import it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from dslc.search import Context, Outcome

CALLS: list[tuple[str, float]] = []
"""Text and fidelity of every child in this process."""
INTERRUPT_AT: list[int] = []
"""Number of the child that an interrupt falls into, if there is one."""
STEPS = 9
STOPPED = "stopped at"


def quality(text: str) -> float:
    """What full training comes to, 0 to 1; says nothing about the sentence."""
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") / 2**32


def train(program: Any, context: Context) -> Outcome:
    """Report at each of round(9 * fidelity) steps; the reward falls short by less, the more of them are taken."""
    CALLS.append((program.text, context.fidelity))
    if INTERRUPT_AT and len(CALLS) == INTERRUPT_AT[0]:
        raise KeyboardInterrupt
    final, reward, step = quality(program.text), 0.0, 0
    if final < 0.05:
        raise ValueError("this one cannot be trained")
    for step in range(1, round(STEPS * context.fidelity) + 1):
        reward = final - 0.3 / step
        if not context.report(step, reward):
            break
    return Outcome(reward, {STOPPED: float(step)})
