"""Source of a convolutional network: its layers, how they are connected, and the classifier."""

from __future__ import annotations

from functools import lru_cache

from dslc.program.emit import (
    INDENT,
    PythonSource,
    SourceWriter,
    check_class_name,
    joining_text,
    shapes_text,
    write_imports,
)
from dslc.program.graph import Graph, Node
from dslc.program.op_rules import AttributeValue, channels_of
from dslc.program.op_spec import Call
from dslc.program.ops import OPS
from dslc.program.tensor_type import Dim, Symbol, TensorType

Attributes = tuple[tuple[str, AttributeValue], ...]
"""Of a node."""
JOINING_OPS = ("concat_channels", "concat_padded")
CONCAT_PADDED = '''\
def concat_padded(*features: Tensor) -> Tensor:
    """Concatenate channels, with zeros below and to the right of what is small."""
    height = max(each.shape[2] for each in features)
    width = max(each.shape[3] for each in features)
    padded = [
        # Left, right, above, below.
        nn.functional.pad(each, (0, width - each.shape[3], 0, height - each.shape[2]))
        for each in features
    ]
    return torch.cat(padded, dim=1)
'''
"""What joins feature maps of several sizes."""


def emit_network(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    """One class; above it a function that pads where sizes differ.

    Raises:
        DslcError: DSLC502 if a class cannot have that name.
    """
    check_class_name(class_name)
    writer = SourceWriter()
    ops = {node.op for node in graph.nodes}
    has_skips = not ops.isdisjoint(JOINING_OPS)
    write_imports(writer, uses_torch=has_skips)
    if "concat_padded" in ops:
        writer.write_definition(CONCAT_PADDED)
    writer.write(f"class {class_name}(nn.Module):")
    with writer.indented():
        num_layers = sum(node.op == "conv2d" for node in graph.nodes)
        count = f"{num_layers} layer" + ("s" if num_layers != 1 else "")
        what = " with skip connections." if has_skips else ", and a classifier on each channel's mean."
        writer.write_docstring(
            f"A convolutional network of {count}{what}",
            [
                ("Sentence", sentence),
                ("Shapes", shapes_text(graph)),
                ("Source", f"Zoph and Le 2017, arXiv 1611.01578, sections 3.1{', 3.3' * has_skips} and 4.1."),
            ],
        )
        writer.write()
        _write_constructor(writer, graph)
        writer.write()
        _write_forward(writer, graph)
    return writer.finish(class_name, sentence)


def _write_constructor(writer: SourceWriter, graph: Graph) -> None:
    writer.write("def __init__(self, in_channels: int, num_classes: int) -> None:")
    with writer.indented():
        writer.write("super().__init__()")
        number = 0
        nodes = graph.nodes
        for node in nodes:
            if node.op == "conv2d":
                number += 1
                writer.write(f"self.layer_{number} = nn.Sequential(", node)
                convolution = _make_call("conv2d", channels_of(nodes[node.inputs[0]].type), node.attributes)
                writer.write_call(INDENT, convolution, ",", node)
                writer.write_block(_end_of_layer(channels_of(node.type)), (*nodes[node.id + 1 : node.id + 3], None))
            elif node.op == "linear":
                call = _make_call("linear", channels_of(nodes[node.inputs[0]].type), node.attributes)
                writer.write_call("self.classifier = ", call, node=node)


@lru_cache
def _end_of_layer(num_filters: Dim) -> str:
    """Three lines: batch norm, ReLU and a bracket; kept, since all layers but for their filters end alike."""
    writer = SourceWriter()
    writer.write_call(3 * INDENT, _make_call("batch_norm", num_filters, ()), ",")
    writer.write_call(3 * INDENT, _make_call("relu", num_filters, ()), ",")
    return "\n".join((*writer.lines, f"{2 * INDENT})"))


def _make_call(op: str, channels: Dim, attributes: Attributes) -> Call:
    make = OPS[op].constructor
    assert make is not None, f"`{op}` is a module"
    return make([TensorType((Symbol("batch"), channels))], dict(attributes))


def _write_forward(writer: SourceWriter, graph: Graph) -> None:
    (images,) = graph.inputs
    nodes = graph.nodes
    number_of = {node.id: i for i, node in enumerate([node for node in nodes if node.op == "conv2d"], start=1)}
    name_of: dict[int, str] = {images.id: "images"}
    layers: list[tuple[str, Node, str]] = []
    end: list[tuple[str, Node, str]] = []
    number, layer = 0, images
    for node in nodes:
        op = node.op
        if op == "conv2d":
            number, layer = number_of[node.id], node
        elif op == "relu":
            name_of[node.id] = name = f"features_{number}"
            layers.append((f"{name} = self.layer_{number}({name_of[layer.inputs[0]]})", layer, str(node.type)))
        elif op in JOINING_OPS:
            # What it is joined for: the layer that takes it, or the classifier.
            follower = number_of.get(next(user.id for user in nodes if node.id in user.inputs))
            name_of[node.id] = "joined" if follower is None else f"inputs_{follower}"
            rows = end if follower is None else layers
            values = [name_of[i] for i in node.inputs]
            function = op if op == "concat_padded" else None
            rows.append((joining_text(name_of[node.id], values, function), node, str(node.type)))
        elif op == "global_average_pool":
            name_of[node.id] = node.spec.value_name
            text = node.spec.expression.format(name_of[node.inputs[0]])
            end.append((f"{name_of[node.id]} = {text}", node, str(node.type)))
        elif op == "linear":
            end.append((f"return self.classifier({name_of[node.inputs[0]]})", node, str(node.type)))
    writer.write("def forward(self, images: Tensor) -> Tensor:")
    with writer.indented():
        writer.write_commented(layers)
        writer.write_commented(end)
