"""Uniform samples of every shipped grammar are programs that build and run; `make soak SOAK=builds` takes 2,000."""

from __future__ import annotations

import re
from collections import Counter

import pytest

import dslc
from dslc.space import Space
from tests.soaks.builds import GRADIENT, PARAMETERS, VALUE, spaces_with_targets, try_program, try_programs, write_row

NUM_SAMPLES = 20
SPACES = tuple(spaces_with_targets())
MEANINGLESS = re.compile("DSLC4[0-9]{2}")
"""Codes of sentences that their target refuses."""


def test_every_shipped_grammar_with_a_target_is_tried() -> None:
    assert {"conv_net", "activation"} <= {space.name for space in SPACES}
    assert [space.start for space in SPACES if space.name == "activation"] == ["start", "nested"]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: f"{space.name}-{space.start}")
def test_samples_build_and_run(space: Space) -> None:
    """What is not finite may be so; no emitted code raises, and no sentence fails without a reason of its own."""
    num_samples = NUM_SAMPLES // 4 if space.target == "conv_net" else NUM_SAMPLES
    reasons = try_programs(space.samples(num_samples, seed=0, lengths="even"))
    unknown = {r for r in reasons if r not in (VALUE, GRADIENT, PARAMETERS) and not MEANINGLESS.fullmatch(r)}
    assert not unknown


def test_a_reason_is_found_for_each_of_these() -> None:
    space = dslc.compile("activation")
    sentences = {
        "x x identity identity add": None,
        "x x exp exp div": None,
        "x x log_abs constant add": None,
        "x x constant constant add": None,
        "x x sqrt constant add": VALUE,
    }
    found = {text: try_program(space.parse(text), seed=0) for text in sentences}
    assert found == sentences


def test_a_row_of_the_table() -> None:
    space = dslc.compile("activation")
    reasons = Counter({VALUE: 1200, "DSLC404": 1})
    row = "| activation | `start` | 2,000 | 39.9% | value not finite × 1,200, DSLC404 × 1 |"
    assert write_row(space, 2000, reasons, None) == f"{row} same |"
    assert write_row(space, 2000, reasons, Counter()) == f"{row} 100% |"
