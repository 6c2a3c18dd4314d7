"""Source of a convolutional cell: its operations, its blocks, and what brings the loose ends together."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.program.emit import (
    PythonSource,
    SourceWriter,
    check_class_name,
    joining_text,
    shapes_text,
    write_imports,
)
from dslc.program.graph import INPUT, Graph, Node
from dslc.program.op_spec import Call

SEPARABLE_CONV = '''\
class SeparableConv(nn.Sequential):
    """ReLU, depthwise convolution, pointwise convolution and batch norm, twice."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel,
                padding=kernel // 2,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel,
                padding=kernel // 2,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
'''
"""The module of a separable convolution."""
POOLS = ("avg_pool", "max_pool")
"""Ops whose module has nothing trained, so that one serves all."""


def emit_conv_cell(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    """A class for the cell, below one for its separable convolutions if it has any.

    Raises:
        DslcError: DSLC502 if a class cannot have that name.
    """
    check_class_name(class_name)
    writer = SourceWriter()
    ops = {node.op for node in graph.nodes}
    write_imports(writer, uses_torch="concat_channels" in ops)
    if "sep_conv" in ops:
        writer.write_definition(SEPARABLE_CONV)
    writer.write(f"class {class_name}(nn.Module):")
    with writer.indented():
        num_blocks = sum(node.op == "add" for node in graph.nodes)
        writer.write_docstring(
            f"A convolutional cell of {num_blocks} block{'s' if num_blocks != 1 else ''}.",
            [
                ("Sentence", sentence),
                ("Inputs", "`input_0` from the cell before the last, `input_1` from the last."),
                ("Shapes", shapes_text(graph)),
                ("Source", "Pham et al. 2018, arXiv 1802.03268, the micro search space."),
            ],
        )
        writer.write()
        names = _name_modules(graph)
        _write_constructor(writer, graph, names)
        writer.write()
        _write_forward(writer, graph, names)
    return writer.finish(class_name, sentence)


def _name_modules(graph: Graph) -> Mapping[int, str]:
    """What the module of each operation is called: by the number of its block and its side, a pool by its kind."""
    names: dict[int, str] = {node.id: f"self.{node.op}" for node in graph.nodes if node.op in POOLS}
    blocks = [node for node in graph.nodes if node.op == "add"]
    for number, block in enumerate(blocks, start=len(graph.inputs)):
        for operand, side in zip(block.inputs, ("left", "right"), strict=True):
            if graph.nodes[operand].op == "sep_conv":
                names[operand] = f"self.conv_{number}_{side}"
    return names


def _constructor(graph: Graph, node: Node) -> Call:
    make = node.spec.constructor
    assert make is not None, f"`{node.op}` is a module"
    return make([graph.nodes[i].type for i in node.inputs], dict(node.attributes))


def _write_constructor(writer: SourceWriter, graph: Graph, names: Mapping[int, str]) -> None:
    writer.write("def __init__(self, channels: int) -> None:")
    with writer.indented():
        writer.write("super().__init__()")
        written: set[str] = set()
        for node in graph.nodes:
            if node.id in names and names[node.id] not in written:
                written.add(names[node.id])
                writer.write_call(f"{names[node.id]} = ", _constructor(graph, node), node=node)
        *_, positive, mixed, normal = graph.nodes
        writer.write("self.output = nn.Sequential(", mixed)
        with writer.indented():
            for node in (positive, mixed, normal):
                writer.write_call("", _constructor(graph, node), ",", node)
        writer.write(")")


def _write_forward(writer: SourceWriter, graph: Graph, names: Mapping[int, str]) -> None:
    texts: dict[int, str] = {node.id: str(node.attribute("name")) for node in graph.inputs}
    arguments = ", ".join(f"{texts[node.id]}: Tensor" for node in graph.inputs)
    number = len(graph.inputs)
    writer.write(f"def forward(self, {arguments}) -> Tensor:")
    with writer.indented():
        *steps, positive, _, _ = graph.nodes
        for node in steps:
            values = [texts[i] for i in node.inputs]
            match node.op:
                case "add":
                    texts[node.id] = f"node_{number}"
                    number += 1
                    writer.write(f"{texts[node.id]} = {' + '.join(values)}", node)
                case "concat_channels":
                    texts[node.id] = "loose_ends"
                    writer.write_statement(joining_text("loose_ends", values), node)
                case op if op != INPUT and node.id in names:
                    texts[node.id] = f"{names[node.id]}({values[0]})"
        writer.write(f"return self.output({texts[positive.inputs[0]]})", positive)
