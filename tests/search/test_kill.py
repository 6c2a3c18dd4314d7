"""kill -9, SIGTERM and Ctrl-C at random moments; `make soak SOAK=kill` does the first 200 times."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dslc.search import open_run
from tests.soaks.kill import KillServer, Stop, check_moments


@pytest.fixture(scope="module")
def server() -> Iterator[KillServer]:
    with KillServer() as server:
        yield server


def test_a_killed_search_goes_on_as_if_nothing_had_happened(server: KillServer, tmp_path: Path) -> None:
    at_stop = check_moments(server, tmp_path, 20)
    assert len(set(at_stop)) >= 8, "the moments should spread over the run"


def test_a_killed_search_with_workers_goes_on_and_leaves_none_behind(tmp_path: Path) -> None:
    with KillServer(workers=2) as server:
        check_moments(server, tmp_path, 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_search_is_saved_and_goes_on(server: KillServer, tmp_path: Path, number: signal.Signals) -> None:
    assert server.run("search", tmp_path / "run", stop=Stop(20, 0.0, number)) == 3
    assert open_run(tmp_path / "run").status == "interrupted"
    check_moments(server, tmp_path, 1, seed=int(number), number=number)


def test_a_killed_run_counts_as_interrupted_for_its_readers(server: KillServer, tmp_path: Path) -> None:
    assert server.run("search", tmp_path / "run", stop=Stop(20, 0.0)) == -signal.SIGKILL
    assert open_run(tmp_path / "run").info["status"] == "running"
    assert open_run(tmp_path / "run").status == "interrupted"
