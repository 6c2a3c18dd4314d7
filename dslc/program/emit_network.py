"""Source of a convolutional network: its layers, how they are connected, and the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from dslc.program.emit import (
    INDENT,
    LINE_LENGTH,
    QUOTES,
    PythonSource,
    SourceWriter,
    check_class_name,
    escape_text,
    joining_text,
    shapes_text,
    write_imports,
)
from dslc.program.graph import Graph, Node
from dslc.program.kept_text import kept_text
from dslc.program.op_rules import AttributeValue, channels_of
from dslc.program.op_spec import Call
from dslc.program.ops import OPS
from dslc.program.template import Constant, TemplateWriter, split_numbers
from dslc.program.tensor_type import Dim, Symbol, TensorType

Attributes = tuple[tuple[str, AttributeValue], ...]
"""Of a node."""
Row = tuple[str, Node, str]
"""A statement of `forward`, the node that it computes, and its shape."""
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
CONSTRUCTOR = """
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()"""
FORWARD = """
    def forward(self, images: Tensor) -> Tensor:"""


def emit_network(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    """One class; above it a function that pads where sizes differ.

    Raises:
        DslcError: DSLC502 if a class cannot have that name.
    """
    check_class_name(class_name)
    ops = [node.op for node in graph.nodes]
    has_skips = any(op in ops for op in JOINING_OPS)
    writer = TemplateWriter()
    writer.write(_write_head(class_name, has_skips, "concat_padded" in ops))
    writer.write_docstring(_write_docstring(ops.count("conv2d"), has_skips, shapes_text(graph, kept_text), sentence))
    writer.write(CONSTRUCTOR)
    _write_constructor(writer, graph)
    writer.write(FORWARD)
    _write_forward(writer, graph)
    return writer.finish(class_name, sentence)


@lru_cache(maxsize=64)
def _write_head(class_name: str, has_skips: bool, pads: bool) -> str:
    """What stands above the docstring."""
    writer = SourceWriter()
    write_imports(writer, uses_torch=has_skips)
    if pads:
        writer.write_definition(CONCAT_PADDED)
    writer.write(f"class {class_name}(nn.Module):")
    return "\n".join(writer.lines)


def _write_docstring(num_layers: int, has_skips: bool, shapes: str, sentence: str) -> str:
    shown = escape_text(sentence).strip()
    if not shown or len(f"{INDENT}Sentence: {shown}") > LINE_LENGTH:
        return _wrap_docstring(num_layers, has_skips, shapes, sentence)
    # As that of a few layers: all else is the same for many networks.
    return _keep_docstring(num_layers, has_skips, shapes) % shown


@lru_cache(maxsize=64)
def _keep_docstring(num_layers: int, has_skips: bool, shapes: str) -> str:
    return _wrap_docstring(num_layers, has_skips, shapes, "%s")


def _wrap_docstring(num_layers: int, has_skips: bool, shapes: str, sentence: str) -> str:
    count = f"{num_layers} layer" + ("s" if num_layers != 1 else "")
    what = " with skip connections." if has_skips else ", and a classifier on each channel's mean."
    writer = SourceWriter()
    with writer.indented():
        writer.write_docstring(
            f"A convolutional network of {count}{what}",
            [
                ("Sentence", sentence),
                ("Shapes", shapes),
                ("Source", f"Zoph and Le 2017, arXiv 1611.01578, sections 3.1{', 3.3' * has_skips} and 4.1."),
            ],
        )
    return "\n".join(writer.lines)[len(INDENT) + len(QUOTES) : -len(QUOTES)]


def _write_constructor(writer: TemplateWriter, graph: Graph) -> None:
    number = 0
    nodes = graph.nodes
    for node in nodes:
        if node.op == "conv2d":
            number += 1
            writer.write(f"        self.layer_{number} = nn.Sequential(", (node,))
            channels, num_filters = channels_of(nodes[node.inputs[0]].type), channels_of(node.type)
            sizes = dict(node.attributes)
            lengths = len(str(channels)), len(str(num_filters))
            piece, num_between, numbers = _write_layer(sizes["kernel"], sizes["stride"], *lengths)
            computed = (node, *num_between * (None,), nodes[node.id + 1], nodes[node.id + 2])
            assert isinstance(num_filters, int), "a layer states its filters"
            values = (num_filters, *numbers, num_filters)
            if isinstance(channels, int):
                writer.write(piece, computed, (channels, *values))
            else:
                writer.write(piece.replace("%s", str(channels), 1), computed, values)
        elif node.op == "linear":
            piece, numbers = _write_classifier(channels_of(nodes[node.inputs[0]].type), node.attributes)
            writer.write(piece, (node,), numbers)


@lru_cache(maxsize=4096)
def _write_layer(
    kernel: AttributeValue, stride: AttributeValue, channels_length: int, filters_length: int
) -> tuple[str, int, tuple[Constant, ...]]:
    """A layer behind its first line, the number of lines between convolution and batch norm, and its numbers.

    Channels and filters, of as many letters, are left open as `%s` and are no part of the numbers: without them, most
    layers of a search are alike.
    """
    channels, num_filters = channels_length * "~", filters_length * "^"
    attributes = (("kernel", kernel), ("num_filters", num_filters), ("stride", stride))
    writer = SourceWriter()
    with writer.indented(), writer.indented():
        writer.write_call(INDENT, _make_call("conv2d", Symbol(channels), attributes), ",")
        num_between = len(writer.lines) - 1
        writer.write_call(INDENT, _make_call("batch_norm", Symbol(num_filters), ()), ",")
        writer.write_call(INDENT, _make_call("relu", Symbol(num_filters), ()), ",")
        writer.write(")")
    text, numbers = split_numbers("\n".join(writer.lines))
    return "%s".join(text).replace(channels, "%s").replace(num_filters, "%s"), num_between, numbers


@lru_cache(maxsize=256)
def _write_classifier(channels: Dim, attributes: Attributes) -> tuple[str, tuple[Constant, ...]]:
    writer = SourceWriter()
    with writer.indented(), writer.indented():
        writer.write_call("self.classifier = ", _make_call("linear", channels, attributes))
    text, numbers = split_numbers("\n".join(writer.lines))
    return "%s".join(text), numbers


def _make_call(op: str, channels: Dim, attributes: Attributes) -> Call:
    make = OPS[op].constructor
    assert make is not None, f"`{op}` is a module"
    return make([TensorType((Symbol("batch"), channels))], dict(attributes))


def _write_forward(writer: TemplateWriter, graph: Graph) -> None:
    (images,) = graph.inputs
    nodes = graph.nodes
    number_of = {node.id: i for i, node in enumerate([node for node in nodes if node.op == "conv2d"], start=1)}
    name_of: dict[int, str] = {images.id: "images"}
    layers: list[Row] = []
    end: list[Row] = []
    number, layer = 0, images
    for node in nodes:
        op = node.op
        if op == "conv2d":
            number, layer = number_of[node.id], node
        elif op == "relu":
            name_of[node.id] = name = f"features_{number}"
            layers.append((f"{name} = self.layer_{number}({name_of[layer.inputs[0]]})", layer, kept_text(node.type)))
        elif op in JOINING_OPS:
            # What it is joined for: the layer that takes it, or the classifier.
            follower = number_of.get(next(user.id for user in nodes if node.id in user.inputs))
            name_of[node.id] = "joined" if follower is None else f"inputs_{follower}"
            rows = end if follower is None else layers
            values = [name_of[i] for i in node.inputs]
            function = op if op == "concat_padded" else None
            rows.append((joining_text(name_of[node.id], values, function), node, kept_text(node.type)))
        elif op == "global_average_pool":
            name_of[node.id] = node.spec.value_name
            text = node.spec.expression.format(name_of[node.inputs[0]])
            end.append((f"{name_of[node.id]} = {text}", node, kept_text(node.type)))
        elif op == "linear":
            end.append((f"return self.classifier({name_of[node.inputs[0]]})", node, kept_text(node.type)))
    _write_commented(writer, layers)
    _write_commented(writer, end)


def _write_commented(writer: TemplateWriter, rows: Sequence[Row]) -> None:
    """Statements with their shapes as comments: all beside their lines if all fit, else all above them."""
    blanks = 2 * INDENT
    longest = LINE_LENGTH - len(f"{blanks}  # ")
    if all("\n" not in text and len(text) + len(comment) <= longest for text, _, comment in rows):
        for text, node, comment in rows:
            writer.write(f"{blanks}{text}  # %s", (node,), (comment,))
    else:
        for text, node, comment in rows:
            lines = [f"{blanks}{line}" for line in ("# %s", *text.split("\n"))]
            writer.write("\n".join(lines), (None, node), (comment,))
