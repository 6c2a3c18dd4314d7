"""Convolutional cells of nodes that choose their inputs: the micro search space of Pham et al. (2018), ENAS.

A cell has two inputs, the outputs of the two cells before it in a network. Each block takes two values, inputs or
earlier blocks, each through an operation of its own, and adds the results. What no block takes is joined along the
channels and brought back to their number by ReLU, a 1 x 1 convolution and batch norm. So every cell is a module of two
images that keeps their size and depth, and cells can be stacked.

All of this is as in the paper's authors' code (repository melodyguan/enas, commit 00787a5, src/cifar10/micro_child.py),
in the form that its search trains.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dslc.program.emit import PythonSource
from dslc.program.emit_conv_cell import emit_conv_cell
from dslc.program.graph import Graph, GraphBuilder, Node
from dslc.program.meaningless import no_such_node, unknown_name, wrong_children
from dslc.program.op_rules import AttributeValue
from dslc.program.repair_connections import collect_unconnected, join_in_depth
from dslc.program.targets import AliasSpec, BuildArgument, Built
from dslc.program.tensor_type import Symbol, TensorType
from dslc.program.tree import Leaf, ParseTree

IMAGES = TensorType((Symbol("batch"), Symbol("channels"), Symbol("height"), Symbol("width")))
INPUTS = ("input_0", "input_1")
"""What the cell takes: the output of the cell before the last, and that of the last."""

OPERATIONS: Mapping[str, tuple[str, int] | None] = MappingProxyType(
    {
        "sep_conv_3x3": ("sep_conv", 3),
        "sep_conv_5x5": ("sep_conv", 5),
        "avg_pool_3x3": ("avg_pool", 3),
        "max_pool_3x3": ("max_pool", 3),
        "identity": None,
    }
)
"""Op and kernel of each operation, in the order of the authors' code; none for the value itself."""

ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "block": AliasSpec(
            "two values, each through an operation, added (pham2018)",
            ("the number of a value", "an operation", "the number of a value", "an operation"),
        ),
        "sep_conv_3x3": AliasSpec("two separable convolutions with filters of 3 x 3 (pham2018)"),
        "sep_conv_5x5": AliasSpec("two separable convolutions with filters of 5 x 5 (pham2018)"),
        "avg_pool_3x3": AliasSpec("the mean around each place (pham2018)"),
        "max_pool_3x3": AliasSpec("the largest value around each place (pham2018)"),
        "identity": AliasSpec("the value itself (pham2018)"),
    }
)


@dataclass(frozen=True)
class ConvCell:
    """The target `conv_cell`."""

    name: str = "conv_cell"
    class_name: str = "ConvCell"
    builds: Built = Built.MODULE

    @property
    def aliases(self) -> Mapping[str, AliasSpec]:
        """A block, and its operations."""
        return ALIASES

    @property
    def build_arguments(self) -> tuple[BuildArgument, ...]:
        """Channels of both inputs and of the output."""
        return (BuildArgument("channels", "channels of both inputs and of the output"),)

    @property
    def example_arguments(self) -> Mapping[str, int]:
        """A narrow cell."""
        return {"channels": 8}

    def elaborate(self, tree: ParseTree) -> Graph:
        """The cell that a tree means.

        The root may have any name; its children are blocks. Values are numbered from 0: the two inputs, then the blocks
        in the order of writing.

        Raises:
            DslcError: DSLC403 for what is no block or no operation, DSLC404 for a block of another form, DSLC415 for a
                number of a value that there is not, or not yet.
        """
        builder = GraphBuilder()
        values = [builder.add_input(name, IMAGES) for name in INPUTS]
        taken: set[int] = set()
        for block in _read_blocks(tree):
            operands = []
            for leaf, operation in _read_operands(block):
                number = _read_number(block, leaf, len(values))
                taken.add(number)
                operands.append(_add_operation(builder, values[number], operation))
            tokens = (block.start_token, block.end_token)
            values.append(builder.add("add", *operands, rule=block.name, tokens=tokens))
        rule, span = tree.name, (tree.start_token, tree.end_token)
        joined = join_in_depth(builder, collect_unconnected(values, taken), rule, span)
        positive = builder.add("relu", joined, rule=rule, tokens=span)
        attributes: dict[str, AttributeValue] = {"kernel": (1, 1), "stride": (1, 1), "num_filters": "channels"}
        mixed = builder.add("conv2d", positive, attributes=attributes, rule=rule, tokens=span)
        return builder.finish(builder.add("batch_norm", mixed, rule=rule, tokens=span))

    def write_formula(self, graph: Graph) -> str | None:  # noqa: ARG002
        """None: a cell is read as a drawing."""
        return None

    def plot_inputs(self, graph: Graph) -> tuple[float, float] | None:  # noqa: ARG002
        """None: no function of one number."""
        return None

    def emit(self, graph: Graph, class_name: str | None, sentence: str) -> PythonSource:
        """Source of a module with constructor `(channels)`, called with two images.

        Raises:
            DslcError: DSLC502 if a class cannot have that name.
        """
        return emit_conv_cell(graph, class_name or self.class_name, sentence)


TARGET = ConvCell()


def _read_blocks(tree: ParseTree) -> tuple[ParseTree, ...]:
    """The blocks of a tree, in order; a tree that is itself a block is a cell of one."""
    if tree.name == "block":
        return (tree,)
    blocks = []
    for child in tree.children:
        match child:
            case None:
                continue
            case Leaf():
                raise wrong_children(TARGET.name, tree, ("blocks",))
            case ParseTree("block"):
                blocks.append(child)
            case ParseTree():
                raise unknown_name(TARGET.name, child, ("block",))
    return tuple(blocks)


def _read_operands(block: ParseTree) -> tuple[tuple[Leaf, ParseTree], ...]:
    match block.children:
        case (Leaf() as first, ParseTree() as one, Leaf() as second, ParseTree() as other):
            return (first, one), (second, other)
        case _:
            raise wrong_children(TARGET.name, block, ALIASES["block"].children)


def _read_number(block: ParseTree, leaf: Leaf, count: int) -> int:
    text = leaf.text
    if not (text.isascii() and text.isdigit() and int(text) < count):
        raise no_such_node(block, leaf, count)
    return int(text)


def _add_operation(builder: GraphBuilder, value: Node, operation: ParseTree) -> Node:
    if operation.name not in OPERATIONS:
        raise unknown_name(TARGET.name, operation, OPERATIONS)
    if operation.children:
        raise wrong_children(TARGET.name, operation, ("nothing",))
    spec = OPERATIONS[operation.name]
    if spec is None:
        return value
    op, size = spec
    tokens = (operation.start_token, operation.end_token)
    return builder.add(op, value, attributes={"kernel": (size, size)}, rule=operation.name, tokens=tokens)
