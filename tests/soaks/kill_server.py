"""Runs searches in forked processes that can be killed; forking saves each the seconds that importing torch takes.

It reads lines `search DIR` or `resume DIR`, and answers with the process id and, at the process's end, its status.
Nothing of torch has run before the fork, so there are no threads that it could lose.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import torch._dynamo  # noqa: F401 - torch's optimizers import it when the first is made; here, before the fork

import dslc
import dslc.search.engine
from dslc.search import Context, Outcome, resume, search
from dslc.search.strategies import make_strategy  # noqa: F401 - before the fork, too
from dslc.space import Program
from tests.soaks.settings import EVALUATIONS, GRAMMAR


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


def _run(command: str, run_dir: Path) -> int:
    dslc.search.engine.CHECKPOINT_SECONDS = 0.05  # so that there are some within half a second
    if command == "search":
        space = dslc.compile_text(GRAMMAR, name="kill.lark")
        result = search(space, task="tests.soaks.kill_server:reward", evaluations=EVALUATIONS, batch=6, run_dir=run_dir)
    else:
        result = resume(run_dir)
    return 0 if result.status == "finished" else 3


def main() -> None:
    """Serve until the input ends."""
    for line in sys.stdin:
        command, _, folder = line.strip().partition(" ")
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = _run(command, Path(folder))
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(child, flush=True)
        _, wait_status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(wait_status), flush=True)


if __name__ == "__main__":
    main()
