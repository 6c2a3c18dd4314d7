"""What the searches that are killed search for; workers import it without the rest."""

from __future__ import annotations

import time

from dslc.search import Context, Outcome
from dslc.space import Program


def reward(program: Program, context: Context) -> float | Outcome:
    """Takes 2 to 10 ms, and is of every kind: a number, a number with metrics, an exception, NaN."""
    time.sleep(0.002 + 0.008 * (context.seed % 7) / 7)
    digits = [int(c) for c in program.text if c.isdigit()]
    if program.text.startswith("1x1"):
        raise ValueError(f"{program.text} is not wanted")
    if program.text.startswith("1y1"):
        return float("nan")
    noise = context.seed / 2**32
    return Outcome(sum(digits) + noise, {"noise": noise}) if digits[0] == 5 else sum(digits) + noise
