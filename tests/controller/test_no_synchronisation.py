"""A sampling step never waits for the device: no operation in it hands a number of the device to Python.

Shown without a GPU too: the runtime of other devices samples here on the CPU while every operation is looked at. Those
that make a GPU wait (a number read out, a result whose shape depends on numbers, a copy to the CPU) may come once a
block of steps and at the end, however many steps a block has.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import dslc
from dslc.controller import heads, policy, rollout, walks
from dslc.controller.masking import TorchRuntime
from dslc.controller.rollout import CHECK_EVERY, TokenDrawer, sample_rollout
from dslc.controller.tracking import TorchNodeTracker
from dslc.controller.walks import TorchTableWalk
from dslc.space import Space
from tests.controller.small_spaces import make_policy

WAITING = {
    "aten._local_scalar_dense",
    "aten.bincount",
    "aten.equal",
    "aten.is_nonzero",
    "aten.masked_select",
    "aten.nonzero",
    "aten.repeat_interleave",
    "aten.unique_consecutive",
    "aten.unique_dim",
    "aten._unique2",
}
"""Operations after which Python has to wait for a GPU."""
AFTER_THE_LAST_STEP = 2
"""Whether all have ended, and how long the longest is."""
INDEXING = {"aten.index", "aten.index_put", "aten.index_put_", "aten._index_put_impl_"}
"""They wait where an index is a mask: how many places it has is a number to be read."""


def is_mask(index: torch.Tensor) -> bool:
    return index.dtype in (torch.bool, torch.uint8)


WATCHED = [
    ("rnn_cell", "base_2"),  # sentences of one length
    ("conv_net", "skips_6"),  # an anchor head
    ("dag_cell", "start"),  # a pointer head
    ("expression_constrained", "start"),  # counters, and many lengths
    ("optimizer", "start"),
    ("conv_net", "start"),  # a table of all states
]


class WaitCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations that wait."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waits = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func.overloadpacket)
        if name in WAITING or (name in INDEXING and any(index is not None and is_mask(index) for index in args[1])):
            self.waits += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def _runtimes_of_other_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU would run, on the CPU."""
    monkeypatch.setattr(policy, "make_runtime", make_torch_runtime)
    monkeypatch.setattr(heads, "make_tracker", lambda marks, *others: TorchNodeTracker(marks, *others))
    monkeypatch.setattr(rollout, "TokenDrawer", UnorderedDrawer)
    monkeypatch.setattr(walks, "NumpyTableWalk", TorchTableWalk)


class UnorderedDrawer(TokenDrawer):
    """Draws as where a sum is made in parallel."""

    def __init__(self, like: torch.Tensor, batch_size: int) -> None:
        super().__init__(like, batch_size)
        self._is_ordered = False


def make_torch_runtime(*arguments: Any, **named: Any) -> TorchRuntime:
    return TorchRuntime(*arguments, **named)


def count_waits(space: Space) -> tuple[int, int]:
    """How often a rollout waits, and how many steps it has."""
    chosen = make_policy(space)
    with WaitCounter() as counter:
        steps = sample_rollout(chosen, 4, torch.Generator().manual_seed(0)).steps
    return counter.waits, steps.tokens.shape[1]


@pytest.mark.parametrize(("name", "start"), WATCHED)
def test_only_the_looks_between_blocks_wait(name: str, start: str) -> None:
    """However many steps a block has: twice the steps in a block would be as many waits."""
    space = dslc.compile(name, start=start)
    waits, steps = count_waits(space)
    looks = math.ceil(space.max_tokens / CHECK_EVERY)
    assert steps > 5
    assert waits <= looks + AFTER_THE_LAST_STEP


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "start"), WATCHED)
def test_a_gpu_is_waited_for_between_blocks_alone(name: str, start: str) -> None:
    """As CUDA itself reports it, a warning a wait."""
    space = dslc.compile(name, start=start)
    policy = make_policy(space, device="cuda")
    generator = torch.Generator("cuda").manual_seed(0)
    sample_rollout(policy, 64, generator)  # copies the tables
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            sample_rollout(policy, 64, generator)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = [f"{each.filename}:{each.lineno}" for each in caught if "synchronizing" in str(each.message)]
    assert 1 <= len(waits) <= math.ceil(space.max_tokens / CHECK_EVERY) + AFTER_THE_LAST_STEP


def test_a_number_that_is_read_out_is_seen() -> None:
    with WaitCounter() as counter:
        int(torch.zeros(3).max())
        torch.zeros(3)[torch.ones(3, dtype=torch.bool)]
        bool(torch.ones(1))
    assert counter.waits == 3
