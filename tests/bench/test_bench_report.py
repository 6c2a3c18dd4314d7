"""How long it takes to open a run: the figures and the page of 100,000 samples, in CPU time."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from dslc.search.report import report_data, write_report
from dslc.space import compile
from tests.search.run_folders import Row, write_run

SAMPLES = 100_000


@pytest.fixture(scope="module")
def large_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000 samples of both arms of conv_net, two in three of a program of their own, one in 50 failed."""
    generator = random.Random(0)
    programs = compile("conv_net").samples(3000, seed=0)
    rows = []
    for number in range(SAMPLES):
        program = generator.choice(programs)
        reward = number % 977 / 977 if number % 50 else None
        code = None if reward is not None else "DSLC611"
        name = f"h{number}" if number % 3 else f"h{number // 5}"
        is_control = number % 3 == 0
        rows.append(Row(number // 20, program.text, name, reward, is_control, program.tokens, code, "it broke"))
    return write_run(tmp_path_factory.mktemp("large") / "run", rows)


def test_opening_100_000_samples(large_run: Path) -> None:
    write_report(large_run)  # imports what draws
    figures, pages = [], []
    for _ in range(3):
        began = time.process_time()
        data = report_data(large_run)
        figures.append(time.process_time() - began)
        began = time.process_time()
        write_report(large_run, data=data)
        pages.append(time.process_time() - began)
    size = (large_run / "report.html").stat().st_size
    print(
        f"\n{SAMPLES} samples: figures {sorted(figures)[1]:.2f} s, page {sorted(pages)[1]:.2f} s of CPU time,"
        f" {size / 1e6:.2f} MB"
    )
