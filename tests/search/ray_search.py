"""A search on a Ray cluster of this machine, for test_ray.py; a process of its own, since Ray starts many.

python -m tests.search.ray_search RUN_DIR kill-nothing | kill-a-host
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from dslc.search import Context, Progress
from dslc.space import Program
from tests.search.toy_search import sum_of_digits, toy_run


def reward(program: Program, context: Context) -> float:
    """Writes down the process above its own, the host, and may end it once."""
    marker = Path(os.environ["DSLC_TEST_MARKER"])
    if program.text.startswith("2"):
        raise ValueError(f"{program.text} is not wanted")
    if marker.exists():
        marker.unlink()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return sum_of_digits(program, context) + context.seed / 2**32


def main(run_dir: str) -> None:
    """Search, and print what the progress says at the end."""
    seen: list[Progress] = []
    task = "tests.search.ray_search:reward"
    result = toy_run(Path(run_dir), task, ray="local", workers=2, child_seconds=30.0, callbacks=[seen.append])
    print(result.status, seen[-1].evaluations)


if __name__ == "__main__":
    main(sys.argv[1])
