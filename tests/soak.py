"""The long tests: `make soak SOAK=name N=...`. Each prints one line of figures for docs/soak.md.

python -m tests.soak ambiguity --count 600  random grammars of at most 6 rules: how many are decided
python -m tests.soak builds --count 2000    uniform samples of every shipped grammar: how many build and run
python -m tests.soak constraints --count 2000  random grammars with constraints against filtered brute force
python -m tests.soak families --count 10    piecewise-linear against Fourier: span, learnability, accuracy
python -m tests.soak faults --count 200     children that go wrong in every way, on two workers
python -m tests.soak fuzz --count 200000    mutated grammar files: no traceback, no hang, no wrong mask
python -m tests.soak halving --count 5     promoted children against all trained in full: accuracy, CPU time
python -m tests.soak kill --count 200       kill -9 at random moments, then resume
python -m tests.soak kill_workers --count 200  the same with children in two worker processes
python -m tests.soak learning --count 5     every strategy on digits against uniform samples, by seed
python -m tests.soak limits --count 1      grammar files that ask for too much: refused within 2 s and 500 MB
python -m tests.soak oracle --count 2000    fresh random grammars against brute force
python -m tests.soak quality --count 20     late samples on rewards with a known optimum, strategies and ablations
python -m tests.soak strategies --count 20  every strategy on three spaces: the optimum, and against random
python -m tests.soak targets --count 3      every target searched on its real task, by seed
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from tests.soaks.ambiguity import soak_ambiguity
from tests.soaks.builds import soak_builds
from tests.soaks.constraints import soak_constraints
from tests.soaks.families import soak_families
from tests.soaks.faults import soak_faults
from tests.soaks.fuzz import soak_fuzz
from tests.soaks.halving import soak_halving
from tests.soaks.kill import soak_kill, soak_kill_workers
from tests.soaks.learning import soak_learning
from tests.soaks.limits import soak_limits
from tests.soaks.oracle import soak_oracle
from tests.soaks.quality import soak_quality
from tests.soaks.strategies import soak_strategies
from tests.soaks.targets import soak_targets

SOAKS: dict[str, tuple[Callable[[int], str], int]] = {
    "ambiguity": (soak_ambiguity, 600),
    "builds": (soak_builds, 2000),
    "constraints": (soak_constraints, 2000),
    "families": (soak_families, 10),
    "faults": (soak_faults, 200),
    "fuzz": (soak_fuzz, 200_000),
    "halving": (soak_halving, 5),
    "kill": (soak_kill, 200),
    "kill_workers": (soak_kill_workers, 200),
    "learning": (soak_learning, 5),
    "limits": (soak_limits, 1),
    "oracle": (soak_oracle, 2000),
    "quality": (soak_quality, 20),
    "strategies": (soak_strategies, 20),
    "targets": (soak_targets, 3),
}
"""Function and default count of each soak."""


def main() -> int:
    """Run one soak, or all; exit 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[*SOAKS, "all"])
    parser.add_argument("--count", type=int, help="how many; the default is the full number")
    arguments = parser.parse_args()
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    commit = revision.stdout.strip()
    failed = False
    for name in SOAKS if arguments.name == "all" else [arguments.name]:
        function, default = SOAKS[name]
        started = time.perf_counter()
        try:
            figures = function(arguments.count or default)
        except AssertionError as error:
            figures, failed = f"FAILED: {error}", True
        seconds = time.perf_counter() - started
        today = time.strftime("%Y-%m-%d")
        where = f"Python {platform.python_version()}, torch {torch.__version__}"
        print(f"| {name} | {figures} | {seconds:.0f} s | {today} | {commit} | {where} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
