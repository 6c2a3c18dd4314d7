"""What the source of an update rule depends on: its running means, their correction, and which values are numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dslc.program.graph import INPUT, Graph, Node
from dslc.program.op_spec import Call
from dslc.program.op_tables.optimizer import DECAYS

DECAY_OPS = frozenset(spec.name for spec in DECAYS)


@dataclass(frozen=True, slots=True)
class RunningMean:
    """State of an input of the graph."""

    state: str
    """Name under which the optimizer keeps it."""
    averaged: str
    decay: str
    is_corrected: bool
    """Whether the input is the state divided by 1 - decay^t."""
    update: tuple[Call, ...]

    @property
    def correction(self) -> str:
        """What the state is divided by, in Python."""
        return f"1 - {self.decay}**t"


def _mean_of_squares(state: str, decay: str) -> tuple[Call, ...]:
    return (
        Call("torch._foreach_mul_", (state, decay)),
        Call("torch._foreach_addcmul_", (state, "g", "g", f"value=1 - {decay}")),
    )


MEANS = {
    "m": RunningMean("mean_g", "g", "0.9", True, (Call("torch._foreach_lerp_", ("mean_g", "g", "1 - 0.9")),)),
    "v": RunningMean("mean_g2", "g^2", "0.999", True, _mean_of_squares("mean_g2", "0.999")),
    "y": RunningMean(
        "mean_g3",
        "g^3",
        "0.999",
        True,
        (Call("torch._foreach_lerp_", ("mean_g3", "torch._foreach_pow(g, 3)", "1 - 0.999")),),
    ),
    "r": RunningMean("fast_mean_g2", "g^2", "0.99", False, _mean_of_squares("fast_mean_g2", "0.99")),
}


class UpdateRule:
    """A graph of the target `optimizer`, with what an emitter asks of it.

    The correction 1 - decay^t of a mean is left out where only its sign counts, goes into the step size where the mean
    is a factor of the whole update, and is taken after the root of a mean.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inputs = {str(node.attribute("name")): node for node in graph.inputs}
        self.means = {name: mean for name, mean in MEANS.items() if name in self.inputs}
        self.users: list[list[Node]] = [[] for _ in graph.nodes]
        """For every node those that take its value, once for each time they do."""
        for node in graph:
            for i in node.inputs:
                self.users[i].append(node)
        self.output = graph.nodes[graph.outputs[0]]
        self.numbers = find_numbers(graph)
        self.step_size = "-lr"
        """What the update is multiplied by before it is added to the weights, in Python."""
        self.late: set[str] = set()
        """Means whose correction is not taken where the mean is: names of inputs."""
        self.counts_updates = False
        """Whether the number of updates t of a parameter is needed."""
        for name, mean in self.means.items():
            if mean.is_corrected:
                self._place_correction(name, mean)

    @property
    def uses_gradient(self) -> bool:
        """Whether the lines of the rule look at g."""
        return bool(self.means) or "g" in self.inputs

    @property
    def counts_steps(self) -> bool:
        """Whether the rule is another at each step of the optimizer."""
        return "t" in self.inputs

    @property
    def decays(self) -> bool:
        """Whether the rule needs to know the length of the training."""
        return "T" in self.inputs

    def _place_correction(self, name: str, mean: RunningMean) -> None:
        node = self.inputs[name]
        users = [user for user in self.users[node.id] if user.op != "sign"]
        is_output = node is self.output
        if not users and not is_output:
            self.late.add(name)
            return
        self.counts_updates = True
        if len(users) + is_output > 1:
            return
        if is_output or self._is_factor_of_output(node, users[0]):
            if self.step_size == "-lr":
                self.late.add(name)
                self.step_size = f"-lr / ({mean.correction})"
        elif users[0].op == "sqrt":
            self.late.add(name)

    def _is_factor_of_output(self, node: Node, user: Node) -> bool:
        if user is not self.output:
            return False
        return user.op == "mul" or (user.op == "guarded_div" and user.inputs[0] == node.id)


def find_numbers(graph: Graph) -> dict[int, float | None]:
    """Nodes that are one number for all weights: their value if it is always the same, None if it is another each step.

    What a function of decays other than + - * is applied to is filled into lists before, so that no Python number can
    overflow or be divided by zero.
    """
    found: dict[int, float | None] = {}
    for node in graph:
        if node.op == "number":
            found[node.id] = float(str(node.attribute("value")))
        elif node.op in DECAY_OPS:
            found[node.id] = None
        elif node.op not in (INPUT, "fill") and node.inputs and all(i in found for i in node.inputs):
            values = [found[i] for i in node.inputs]
            with np.errstate(all="ignore"):
                is_constant = None not in values
                found[node.id] = float(node.spec.meaning(*values, **dict(node.attributes))) if is_constant else None
    return found
