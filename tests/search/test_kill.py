"""kill -9, SIGTERM and Ctrl-C at random moments; `make soak SOAK=kill` does the first 200 times."""

import signal
from pathlib import Path

import pytest

from dslc.search import open_run
from tests.soaks.kill import KillServer, Stop, check_moments


def test_a_killed_search_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    at_stop = check_moments(tmp_path, 20)
    assert len(set(at_stop)) >= 8, "the moments should spread over the run"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_search_is_saved_and_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    with KillServer() as server:
        assert server.run("search", tmp_path / "run", stop=Stop(20, 0.0, number)) == 3
    assert open_run(tmp_path / "run").status == "interrupted"
    check_moments(tmp_path, 1, seed=int(number), number=number)
