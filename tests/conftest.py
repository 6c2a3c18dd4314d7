"""Shared set-up: no network, one thread, Hypothesis profiles."""

import os
import socket

# Before anything imports numpy or torch: results and times must not depend on the number of cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
# Before anything imports dslc: values are really frozen, and each graph is checked as it is made. `make bench` says 0.
os.environ.setdefault("DSLC_CHECK", "1")

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

if os.environ["DSLC_CHECK"] == "1":
    # Shapes and dtypes stand in signatures; from here on each call of these modules is held to them.
    install_import_hook(["dslc.controller", "dslc.search.losses"], "beartype.beartype")

settings.register_profile(
    "dslc",
    derandomize=True,  # the same examples in every run
    deadline=None,  # times on a shared machine say nothing
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", parent=settings.get_profile("dslc"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dslc"))

_connect = socket.socket.connect
_LOCAL = {"localhost", "127.0.0.1", "::1"}


def _connect_locally(self: socket.socket, address: object) -> None:
    """Connect within this machine only: a test that reaches for the network fails with a clear message."""
    is_local = self.family == socket.AF_UNIX or (isinstance(address, tuple) and address[0] in _LOCAL)
    if not is_local:
        raise AssertionError(f"a test tried to connect to {address!r}: tests use no network")
    _connect(self, address)  # type: ignore[arg-type]


socket.socket.connect = _connect_locally  # type: ignore[method-assign,assignment]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="torch sees no CUDA device"))
