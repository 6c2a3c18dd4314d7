"""Recurrent cells: trees over the input and the last output, with a memory, as in Zoph and Le (2017), section 3.4.

A sentence names, in this order, the leaves of a full binary tree, its inner nodes level by level up to the root, how
the memory enters (`inject`), and two places (`indices`). With x the input, h the last output and c the memory:

    leaf k     a_k = activation(combination(W_k x, U_k h)), each leaf with weights of its own
    node k     a_k = activation(combination(a_left, a_right)), without weights
    inject     a_e = activation(combination(a_e, c)) for the second place e, after its own activation and before its
               parent reads it
    next h     the value of the root; next c: the value of the first place before its activation

What the paper leaves open, and what holds here. Both places may be the same: the next c is then the value before the
activation, and so before c enters. c may enter at the root: the next h is then the value after it did. No bias: the
formulas have none; the emitted class takes `bias=True`, which adds one to each W_k x and each U_k h, as nn.LSTMCell
has them. Weights start uniform in +-1 / sqrt(hidden_size), as those of nn.LSTMCell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dslc.program.emit import PythonSource
from dslc.program.emit_cell import emit_cell
from dslc.program.graph import Graph, GraphBuilder, Node
from dslc.program.meaningless import no_such_node, unknown_name, unknown_word, wrong_children
from dslc.program.op_tables.activation import BINARY, UNARY
from dslc.program.targets import AliasSpec, BuildArgument, Built
from dslc.program.tensor_type import Symbol, TensorType
from dslc.program.tree import Leaf, ParseTree

COMBINATIONS: Mapping[str, str] = MappingProxyType(
    {"elem_mult": "mul", **{spec.name: spec.name for spec in BINARY if "{beta}" not in spec.expression}}
)
"""Op of each word for a combination: the paper's `elem_mult`, and the names of all ops of two values that train
nothing (`add`, and `max` of the paper's control)."""
ACTIVATIONS: Mapping[str, str] = MappingProxyType(
    {spec.name: spec.name for spec in UNARY if "{beta}" not in spec.expression}
)
"""Op of each word for an activation: all ops of one value that train nothing."""
WORDS = ("combination", "activation")
PLACES = ("node whose value before its activation is the next c", "node that c enters")
LAYOUT = ("1, 2, 4, 8, … of `leaf`", "one `node` fewer", "`inject`", "`indices`")

ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "leaf": AliasSpec("a leaf of the tree, with weights (zoph2017, section 3.4)", WORDS),
        "node": AliasSpec("an inner node of the tree (zoph2017, section 3.4)", WORDS),
        "inject": AliasSpec("how the memory joins the value of a node (zoph2017, section 3.4)", WORDS),
        "indices": AliasSpec("where the memory leaves and enters (zoph2017, section 3.4)", PLACES),
    }
)

INPUT_TYPE = TensorType((Symbol("batch"), Symbol("input_size")))
STATE_TYPE = TensorType((Symbol("batch"), Symbol("hidden_size")))


@dataclass(frozen=True)
class RecurrentCell:
    """The target `rnn_cell`."""

    name: str = "rnn_cell"
    class_name: str = "RecurrentCell"
    builds: Built = Built.MODULE

    @property
    def aliases(self) -> Mapping[str, AliasSpec]:
        """The parts of a cell."""
        return ALIASES

    @property
    def build_arguments(self) -> tuple[BuildArgument, ...]:
        """Those of nn.LSTMCell that are numbers; the emitted class takes its `device` and `dtype` as well."""
        return (
            BuildArgument("input_size", "features of the input"),
            BuildArgument("hidden_size", "features of the output and of the memory"),
            BuildArgument("bias", "1 to add trained offsets to all products, which the paper has not", 0),
        )

    @property
    def example_arguments(self) -> Mapping[str, int]:
        """A small cell."""
        return {"input_size": 16, "hidden_size": 16}

    def elaborate(self, tree: ParseTree) -> Graph:
        """The step that a tree means: from `input`, `h` and `c` to the next h and the next c.

        The root may have any name; its children are leaves, inner nodes, inject and indices.

        Raises:
            DslcError: DSLC403, DSLC404 or DSLC408 if a node is not of the target's form.
        """
        return _elaborate_cell(tree)

    def write_formula(self, graph: Graph) -> str | None:  # noqa: ARG002
        """None: a cell is read as a drawing."""
        return None

    def plot_inputs(self, graph: Graph) -> tuple[float, float] | None:  # noqa: ARG002
        """None: no function of one number."""
        return None

    def emit(self, graph: Graph, class_name: str | None, sentence: str) -> PythonSource:
        """Source of a cell called like nn.LSTMCell, and of a layer over sequences that is called like nn.LSTM.

        Raises:
            DslcError: DSLC502 if a class cannot have that name.
        """
        return emit_cell(graph, class_name or self.class_name, sentence)


TARGET = RecurrentCell()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a sentence names."""

    leaves: tuple[ParseTree, ...]
    nodes: tuple[ParseTree, ...]
    inject: ParseTree
    indices: ParseTree

    @property
    def size(self) -> int:
        """Number of nodes of the tree, leaves included."""
        return len(self.leaves) + len(self.nodes)


def _elaborate_cell(tree: ParseTree) -> Graph:
    parts = _read_parts(tree)
    memory_from, memory_into = _read_places(parts)
    builder = GraphBuilder()
    x = builder.add_input("input", INPUT_TYPE)
    h = builder.add_input("h", STATE_TYPE)
    c = builder.add_input("c", STATE_TYPE)
    next_c = c
    level: list[Node] = []
    above: list[Node] = []
    for number, part in enumerate((*parts.leaves, *parts.nodes)):
        if number < len(parts.leaves):
            operands = [_add_projection(builder, value, part) for value in (x, h)]
        else:
            if not level:
                level, above = above, []
            operands = [level.pop(0), level.pop(0)]
        before, value = _add_pair(builder, part, operands)
        if number == memory_from:
            next_c = before
        if number == memory_into:
            _, value = _add_pair(builder, parts.inject, [value, c])
        above.append(value)
    (next_h,) = above
    return builder.finish(next_h, next_c)


def _add_projection(builder: GraphBuilder, value: Node, leaf: ParseTree) -> Node:
    attributes = {"out_features": "hidden_size"}
    return builder.add("project", value, attributes=attributes, rule=leaf.name, tokens=_tokens(leaf))


def _add_pair(builder: GraphBuilder, part: ParseTree, operands: Sequence[Node]) -> tuple[Node, Node]:
    """The combination of two values and its activation."""
    if len(part.children) != len(WORDS):
        raise wrong_children(TARGET.name, part, WORDS)
    names = []
    for child, known in zip(part.children, (COMBINATIONS, ACTIVATIONS), strict=True):
        if not isinstance(child, Leaf):
            raise wrong_children(TARGET.name, part, WORDS)
        if child.text not in known:
            raise unknown_word(TARGET.name, part, child, known)
        names.append(known[child.text])
    combined = builder.add(names[0], *operands, rule=part.name, tokens=_tokens(part))
    return combined, builder.add(names[1], combined, rule=part.name, tokens=_tokens(part))


def _read_parts(tree: ParseTree) -> _Parts:
    parts = []
    for child in tree.children:
        if not isinstance(child, ParseTree):
            raise wrong_children(TARGET.name, tree, LAYOUT)
        if child.name not in ALIASES:
            raise unknown_name(TARGET.name, child, ALIASES)
        parts.append(child)
    num_leaves = sum(part.name == "leaf" for part in parts)
    expected = ["leaf"] * num_leaves + ["node"] * (num_leaves - 1) + ["inject", "indices"]
    # A full binary tree whose levels are written one after the other halves from level to level.
    if num_leaves.bit_count() != 1 or [part.name for part in parts] != expected:
        raise wrong_children(TARGET.name, tree, LAYOUT)
    *nodes, inject, indices = parts
    return _Parts(tuple(nodes[:num_leaves]), tuple(nodes[num_leaves:]), inject, indices)


def _read_places(parts: _Parts) -> tuple[int, int]:
    """Numbers of the nodes where the memory leaves and enters."""
    tree = parts.indices
    if len(tree.children) != len(PLACES):
        raise wrong_children(TARGET.name, tree, PLACES)
    places = []
    for child in tree.children:
        if not isinstance(child, Leaf):
            raise wrong_children(TARGET.name, tree, PLACES)
        if not (child.text.isascii() and child.text.isdigit()) or int(child.text) >= parts.size:
            raise no_such_node(tree, child, parts.size)
        places.append(int(child.text))
    return places[0], places[1]


def _tokens(tree: ParseTree) -> tuple[int, int]:
    return tree.start_token, tree.end_token
