"""What the table of ops says of each: types, PyTorch, numpy and the papers' notation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dslc.program import op_rules
from dslc.program.op_rules import Attributes, Parameter, Types
from dslc.program.tensor_type import TensorType
from dslc.value import value


@value
class Call:
    """A call in Python source."""

    function: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.function}({', '.join(self.arguments)})"


@dataclass(frozen=True, slots=True)
class OpSpec:
    """One op.

    Templates name inputs `{0}`, `{1}`, all inputs `{inputs}`, and parameters by their names.
    """

    name: str
    arity: int | None
    """Number of inputs; None: one or more."""
    formula: str
    """In the notation of the paper."""
    expression: str
    """In PyTorch, for `forward`; `{module}` is the submodule that `constructor` makes."""
    meaning: Callable[..., Any]
    """In numpy: values of the inputs, then attributes and parameters by name."""
    value_name: str
    """What emitted code calls the value."""
    source: str
    """Where the definition is from, a key of docs/references.md; empty for what needs none."""
    type_rule: Callable[[Types, Attributes], TensorType] = op_rules.same_type
    parameter_rule: Callable[[Types, Attributes], tuple[Parameter, ...]] = op_rules.no_parameters
    constructor: Callable[[Types, Attributes], Call] | None = None
    """The PyTorch module that holds the parameters, for ops that have one."""
