"""The statistics of the long tests, on numbers whose answer is known."""

import math
import random
from pathlib import Path

import pytest

from tests.search.run_folders import Row, write_run
from tests.soaks.statistics import LAST, bootstrap_interval, read_rewards
from tests.soaks.targets import Search, write_row


def test_rewards_come_in_order_and_a_failed_child_is_the_floor(tmp_path: Path) -> None:
    rows = [
        Row(0, "a", "a", 0.5),
        Row(0, "b", "b", None, code="DSLC614"),
        Row(0, "c", "c", 0.75, is_control=True),
        Row(1, "a", "a", 0.5),
        Row(1, "b", "b", None, is_control=True, code="DSLC614"),
    ]
    task = {"name": "digits", "floor": -2.0}
    assert read_rewards(write_run(tmp_path / "run", rows, task=task)) == ([0.5, -2.0, 0.5], [0.75, -2.0])
    with pytest.raises(AssertionError, match="names no floor"):
        read_rewards(write_run(tmp_path / "other", rows, task={"name": "digits", "floor": None}))


@pytest.mark.parametrize("num_runs", [1, 3])
def test_the_interval_is_that_of_the_normal_approximation(num_runs: int) -> None:
    generator = random.Random(num_runs)
    runs = [
        ([generator.gauss(2.0, 1.0) for _ in range(400)], [generator.gauss(0.0, 2.0) for _ in range(900)])
        for _ in range(num_runs)
    ]
    difference = variance = 0.0
    for last, control in runs:
        means = [sum(part) / len(part) for part in (last, control)]
        difference += (means[0] - means[1]) / num_runs
        for part, mean in zip((last, control), means, strict=True):
            variance += sum((value - mean) ** 2 for value in part) / len(part) ** 2 / num_runs**2
    low, high = bootstrap_interval(*runs)
    half = 1.96 * math.sqrt(variance)
    # A quantile of 10,000 resamples has a standard error of 0.027 deviations; 5 of them.
    tolerance = 5 * 0.027 * math.sqrt(variance)
    assert low == pytest.approx(difference - half, abs=tolerance)
    assert high == pytest.approx(difference + half, abs=tolerance)


@pytest.mark.parametrize(("late", "is_above"), [(0.75, True), (0.5, False)])
def test_a_row_looks_at_the_last_samples_only(late: float, is_above: bool, tmp_path: Path) -> None:
    early = [Row(0, "a", "a", 0.25)] * 200
    control = [Row(0, "c", "c", 0.5, is_control=True), Row(0, "d", "d", 0.5, is_control=True)]
    rows = [*early, *control, *[Row(1, "b", "b", late)] * LAST]
    run = write_run(tmp_path / "run", rows, task={"name": "digits", "floor": 0.0})
    row, found = write_row(Search("conv_net", "start", "digits", 250), [run, run])
    assert found is is_above
    assert f"| {late:.3f} | 0.500 | {late - 0.5:+.3f}, {late - 0.5:+.3f} | {late - 0.5:+.3f} |" in row
