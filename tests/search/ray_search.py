"""A search on a Ray cluster, for test_ray.py; a process of its own, since Ray starts many.

python -m tests.search.ray_search RUN_DIR NODES

The cluster is this machine's own, or of NODES nodes with room for one child each: they run on this machine too, but are
to Ray, and to dslc, as apart as nodes elsewhere.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dslc.search import Context, Progress
from dslc.space import Program
from tests.search.toy_search import sum_of_digits, toy_run

LOCAL, HOST, NODE = "local", "host", "node"
"""Where the search runs, and what the marker says is to be ended, once."""


def reward(program: Program, context: Context) -> float:
    """Writes down the node that it runs on, and may end it or its host once."""
    marker, nodes = (Path(os.environ[f"DSLC_TEST_{name}"]) for name in ("MARKER", "NODES"))
    if program.text.startswith("2"):
        raise ValueError(f"{program.text} is not wanted")
    host = os.getppid()
    node = find_parent(host)
    with nodes.open("a") as file:
        file.write(f"{node}\n")
    if marker.exists():
        victim = {HOST: host, NODE: node}[marker.read_text()]
        marker.unlink()
        os.kill(victim, signal.SIGKILL)
        time.sleep(60)
    return sum_of_digits(program, context) + context.seed / 2**32


def find_parent(process: int) -> int:
    """The process that started another; of a host it is its node's."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@contextmanager
def cluster_address(num_nodes: int) -> Iterator[str]:
    """Of a new cluster whose head runs no child, for the time of the block."""
    if not num_nodes:
        yield LOCAL
        return
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(num_nodes):
            cluster.add_node(num_cpus=1)
        yield cluster.address
    finally:
        cluster.shutdown()


def main(run_dir: str, num_nodes: int) -> None:
    """Search, and print what the progress says at the end."""
    seen: list[Progress] = []
    task = "tests.search.ray_search:reward"
    with cluster_address(num_nodes) as address:
        result = toy_run(Path(run_dir), task, ray=address, workers=2, child_seconds=30.0, callbacks=[seen.append])
    print(result.status, seen[-1].evaluations)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
