"""Values of whole populations by torch: the schedule is made on the CPU, the values on any device.

Functions are those of the emitted source. They can differ from numpy's in the last bit, and so can sums on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dslc.program.elementwise import Apply, Constant, ElementwiseTables, Input
from dslc.program.ops import OPS
from dslc.program.schedule_batch import Scheduler


class TorchBatchEvaluator:
    """Evaluates populations of one space at given points, as `BatchEvaluator` does in numpy."""

    def __init__(self, tables: ElementwiseTables, inputs: Mapping[str, Tensor]) -> None:
        """Takes the value [point] of each input, all on one device and of one type."""
        self.tables = tables
        first = next(iter(inputs.values()))
        self._device = first.device
        self._scheduler = Scheduler(tables)
        self._leaves = torch.empty((self._scheduler.num_leaves, len(first)), dtype=first.dtype, device=first.device)
        self._functions: list[Callable[..., Tensor] | None] = []
        for number, instruction in enumerate(tables.instructions):
            row = int(self._scheduler.leaf_of_code[number])
            self._functions.append(None)
            match instruction:
                case Input(name):
                    self._leaves[row] = inputs[name]
                case Constant(value):
                    self._leaves[row] = value
                case Apply() if instruction.arity == 0:
                    self._leaves[row] = instruction_function(instruction, first)()
                case Apply():
                    self._functions[number] = instruction_function(instruction, first)

    def evaluate(self, tokens: NDArray[np.integer[Any]]) -> Tensor:
        """Values [batch, point] of sentences [batch, time], filled up with V behind their ends."""
        schedule = self._scheduler.schedule(tokens)
        first = len(self._leaves)
        values = self._leaves.new_empty((first + len(schedule.codes), self._leaves.shape[1]))
        values[:first] = self._leaves
        bounds = schedule.bounds.tolist()
        codes = schedule.codes[schedule.bounds[:-1]].tolist()
        operands = torch.from_numpy(schedule.operands).to(self._device)
        for code, begin, end in zip(codes, bounds, bounds[1:], strict=False):
            function = self._functions[code]
            assert function is not None, "leaves are not computed"
            arity = int(self.tables.arity[code])
            values[first + begin : first + end] = function(
                *(values.index_select(0, operands[place, begin:end]) for place in range(arity))
            )
        return values.index_select(0, torch.from_numpy(schedule.roots).to(self._device))


def instruction_function(instruction: Apply, like: Tensor) -> Callable[..., Tensor]:
    """What an instruction computes, by the expression that the table of ops emits; numbers are made like `like`."""
    operation = instruction.operation
    if operation is None:
        return _op_function(instruction.op)
    steps = [
        (step.operands, None if step.value is not None else _op_function(step.op), step.value)
        for step in operation.steps
    ]

    def compute(*operands: Tensor) -> Tensor:
        values = list(operands)
        for places, function, value in steps:
            if function is None:
                assert value is not None, "a step without operands is a number"
                values.append(like.new_tensor(float(value)))
            else:
                values.append(function(*(values[place] for place in places)))
        return values[operation.result]

    return compute


def _op_function(name: str) -> Callable[..., Tensor]:
    spec = OPS[name]
    operands = [f"operand_{place}" for place in range(spec.arity or 0)]
    source = f"lambda {', '.join(operands)}: {spec.expression.format(*operands)}"
    function: Callable[..., Tensor] = eval(source, {"torch": torch, "nn": torch.nn})
    return function
