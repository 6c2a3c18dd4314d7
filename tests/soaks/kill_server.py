"""Runs searches in forked processes that can be killed; forking saves each the seconds that importing torch takes.

It reads lines `search WORKERS DIR` or `resume WORKERS DIR`, and answers with the process id and, at the process's end,
its status. Nothing of torch has run before the fork, so there are no threads that it could lose.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch._dynamo  # noqa: F401 - torch's optimizers import it when the first is made; here, before the fork

import dslc
import dslc.search.engine
import tests.soaks.kill_reward  # noqa: F401
from dslc.search import resume, search
from dslc.search.strategies import make_strategy  # noqa: F401 - before the fork, too
from tests.soaks.settings import EVALUATIONS, GRAMMAR, RUN_VARIABLE


def _run(command: str, workers: int, run_dir: Path) -> int:
    dslc.search.engine.CHECKPOINT_SECONDS = 0.05  # so that there are some within half a second
    os.environ[RUN_VARIABLE] = str(run_dir)
    if command == "search":
        space = dslc.compile_text(GRAMMAR, name="kill.lark")
        task = "tests.soaks.kill_reward:reward"
        result = search(space, task=task, evaluations=EVALUATIONS, batch=6, workers=workers, run_dir=run_dir)
    else:
        result = resume(run_dir, workers=workers)
    return 0 if result.status == "finished" else 3


def main() -> None:
    """Serve until the input ends."""
    for line in sys.stdin:
        command, workers, folder = line.strip().split(" ", 2)
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = _run(command, int(workers), Path(folder))
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(child, flush=True)
        _, wait_status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(wait_status), flush=True)


if __name__ == "__main__":
    main()
