"""Source of a convolutional network: its layers, how they are connected, and the classifier."""

from __future__ import annotations

from dslc.program.emit import (
    PythonSource,
    SourceWriter,
    check_class_name,
    joining_text,
    shapes_text,
    write_imports,
)
from dslc.program.graph import Graph, Node
from dslc.program.op_spec import Call

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
    has_skips = bool(ops & {"concat_channels", "concat_padded"})
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
        for node in graph.nodes:
            if node.op == "conv2d":
                number += 1
                writer.write(f"self.layer_{number} = nn.Sequential(", node)
            if node.op in ("conv2d", "batch_norm", "relu"):
                with writer.indented():
                    writer.write_call("", _constructor(graph, node), ",", node)
            if node.op == "relu":
                writer.write(")")
            if node.op == "linear":
                writer.write_call("self.classifier = ", _constructor(graph, node), node=node)


def _constructor(graph: Graph, node: Node) -> Call:
    make = node.spec.constructor
    assert make is not None, f"`{node.op}` is a module"
    return make([graph.nodes[i].type for i in node.inputs], dict(node.attributes))


def _write_forward(writer: SourceWriter, graph: Graph) -> None:
    (images,) = graph.inputs
    number_of = {node.id: i for i, node in enumerate((n for n in graph.nodes if n.op == "conv2d"), start=1)}
    # What a value is joined for: the layer that takes it, or the classifier.
    user = {source: node for node in graph.nodes for source in node.inputs}
    name_of: dict[int, str] = {images.id: "images"}
    layers: list[tuple[str, Node, str]] = []
    end: list[tuple[str, Node, str]] = []
    number, layer = 0, images
    for node in graph.nodes:
        match node.op:
            case "conv2d":
                number, layer = number_of[node.id], node
            case "relu":
                name_of[node.id] = f"features_{number}"
                source = name_of[layer.inputs[0]]
                layers.append((f"{name_of[node.id]} = self.layer_{number}({source})", layer, str(node.type)))
            case "concat_channels" | "concat_padded":
                follower = number_of.get(user[node.id].id)
                name_of[node.id] = "joined" if follower is None else f"inputs_{follower}"
                rows = end if follower is None else layers
                values = [name_of[i] for i in node.inputs]
                function = node.op if node.op == "concat_padded" else None
                rows.append((joining_text(name_of[node.id], values, function), node, str(node.type)))
            case "global_average_pool":
                name_of[node.id] = node.spec.value_name
                text = node.spec.expression.format(name_of[node.inputs[0]])
                end.append((f"{name_of[node.id]} = {text}", node, str(node.type)))
            case "linear":
                end.append((f"return self.classifier({name_of[node.inputs[0]]})", node, str(node.type)))
    writer.write("def forward(self, images: Tensor) -> Tensor:")
    with writer.indented():
        writer.write_commented(layers)
        writer.write_commented(end)
