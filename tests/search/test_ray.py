"""Children on a Ray cluster: the history of a search without one, on one node or two, also when one of them is lost."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from dslc.diagnostics import Code, DslcError
from tests.search import ray_search
from tests.search.ray_search import HOST, NODE
from tests.search.toy_search import history, toy_run

ROOT = Path(__file__).parents[2]
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason='Ray is not installed: pip install "dslc[ray]"')


@needs_ray
@pytest.mark.parametrize(("num_nodes", "is_killed"), [(0, ""), (0, HOST), (2, ""), (2, NODE)])
def test_the_history_is_that_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_nodes: int, is_killed: str
) -> None:
    marker, nodes = tmp_path / "marker", tmp_path / "nodes"
    monkeypatch.setenv("DSLC_TEST_MARKER", str(marker))
    monkeypatch.setenv("DSLC_TEST_NODES", str(nodes))
    toy_run(tmp_path / "plain", ray_search.reward)
    nodes.unlink()
    if is_killed:
        marker.write_text(is_killed)
    command = [sys.executable, "-m", "tests.search.ray_search", str(tmp_path / "ray"), str(num_nodes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.strip().endswith("finished 60"), done.stdout + done.stderr
    assert not marker.exists()
    assert history(tmp_path / "ray") == history(tmp_path / "plain")
    assert len(set(nodes.read_text().split())) == max(num_nodes, 1)


@needs_ray
def test_a_cluster_that_is_not_there_is_refused(tmp_path: Path) -> None:
    program = f"""
from tests.search.toy_search import sum_of_digits, toy_run
from dslc.diagnostics import DslcError
from pathlib import Path
try:
    toy_run(Path({str(tmp_path / "run")!r}), sum_of_digits, ray="127.0.0.1:1")
except DslcError as error:
    print(error.diagnostics[0].code.value)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.strip() == Code.NO_CLUSTER.value, done.stdout + done.stderr
    assert not (tmp_path / "run").exists()


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DslcError) as caught:
        toy_run(tmp_path / "run", "tests.search.toy_search:sum_of_digits", ray="local")
    (problem,) = caught.value.diagnostics
    assert problem.code is Code.MISSING_EXTRA
    assert 'pip install "dslc[ray]"' in (problem.help or "")
    assert not (tmp_path / "run").exists()
