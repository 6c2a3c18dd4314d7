"""Cells that several tests look at: uniform samples, published cells and edges of the space."""

from __future__ import annotations

from typing import Any

from torch import nn

import dslc
from dslc.program.emit_cell import layer_name
from dslc.program.load import load_name
from dslc.space import Program
from tests.dslc.cell_references import LSTM_LIKE, NASCELL, WORKED_EXAMPLE

BASE_8, BASE_2 = dslc.compile("rnn_cell"), dslc.compile("rnn_cell", start="base_2")
WIDE = dslc.compile("rnn_cell", start="with_max_and_sin")
SAMPLES = [*BASE_8.samples(80, seed=0), *BASE_2.samples(60, seed=1), *WIDE.samples(60, seed=2)]
EDGES = {
    # The memory enters at the root and leaves it, and the root's activation does nothing.
    "root": "elem_mult tanh , add identity / add identity / inject elem_mult sigmoid / cell 2 , 2",
    # The memory enters and leaves at one leaf.
    "same_leaf": "elem_mult identity , elem_mult tanh / elem_mult relu / inject add identity / cell 0 , 0",
}
MAX_AND_SIN = (
    "max sin , max sin , max tanh , max identity , max sin , max relu , max sigmoid , max sin / max sin , add sin , "
    "elem_mult sin , max identity / add sin , max tanh / max sin / inject max sin / cell 3 , 14"
)
GOLDENS = {
    "nascell": BASE_8.parse(NASCELL),
    "worked_example": BASE_2.parse(WORKED_EXAMPLE),
    "lstm_like": BASE_8.parse(LSTM_LIKE),
    "memory_at_the_root": BASE_2.parse(EDGES["root"]),
    "memory_at_one_leaf": BASE_2.parse(EDGES["same_leaf"]),
    "max_and_sin": WIDE.parse(MAX_AND_SIN),
}
"""Those of which a golden file exists."""


def build(program: Program, input_size: int, hidden_size: int, **options: Any) -> Any:
    return program.build(input_size=input_size, hidden_size=hidden_size, **options)


def build_layer(program: Program, **arguments: Any) -> nn.Module:
    layer: nn.Module = load_name(program.source, layer_name(program.source.class_name))(**arguments)
    return layer
