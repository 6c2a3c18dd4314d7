"""Source of a convolutional network: its layers, how they are connected, and the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import le

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
from dslc.program.graph import INPUT, Graph
from dslc.program.kept_text import kept_text
from dslc.program.op_rules import AttributeValue, channels_of
from dslc.program.op_spec import Call
from dslc.program.ops import OPS
from dslc.program.template import Constant, TemplateWriter, split_numbers
from dslc.program.tensor_type import Dim, Symbol, TensorType
from dslc.value import value

Attributes = tuple[tuple[str, AttributeValue], ...]
"""Of a node."""
Row = tuple[str, int]
"""A statement of `forward`, and the id of the node that it computes."""
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


@value
class Statements:
    """Statements of `forward` that stand together: what networks with the same connections share."""

    rows: tuple[Row, ...]
    nodes: tuple[int, ...]
    """Ids of the nodes that they compute; their shapes are the comments."""
    beside: str
    """The statements with the comments beside them, `%s` for each."""
    rooms: tuple[int, ...]
    """How long each comment can be there; negative for a statement of several lines."""


@value
class Layout:
    """What follows from the ops of a network and how they are connected."""

    num_layers: int
    has_skips: bool
    pads: bool
    forward: tuple[Statements, ...]


def emit_network(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    """One class; above it a function that pads where sizes differ.

    Raises:
        DslcError: DSLC502 if a class cannot have that name.
    """
    layout = _lay_out(tuple([(node.op, node.inputs) for node in graph.nodes]))
    writer = TemplateWriter()
    writer.write(_write_head(class_name, layout.has_skips, layout.pads))
    shapes = shapes_text(graph, kept_text)
    writer.write_docstring(_write_docstring(layout.num_layers, layout.has_skips, shapes, sentence))
    writer.write(CONSTRUCTOR)
    _write_constructor(writer, graph)
    writer.write(FORWARD)
    for statements in layout.forward:
        _write_statements(writer, graph, statements)
    return writer.finish(class_name, sentence)


@lru_cache(maxsize=64)
def _write_head(class_name: str, has_skips: bool, pads: bool) -> str:
    """What stands above the docstring, for a name that a class can have."""
    check_class_name(class_name)
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
            channels = channels_of(nodes[node.inputs[0]].type)
            (_, kernel), (_, num_filters), (_, stride) = node.attributes
            assert isinstance(num_filters, int), "a layer states its filters"
            is_open = isinstance(channels, int)
            piece, num_between, numbers = _write_layer(
                number, kernel, stride, len(str(channels)) if is_open else str(channels), len(str(num_filters))
            )
            computed = (node, node, *num_between * (None,), nodes[node.id + 1], nodes[node.id + 2])
            values = (num_filters, *numbers, num_filters)
            writer.write(piece, computed, (channels, *values) if isinstance(channels, int) else values)
        elif node.op == "linear":
            piece, numbers = _write_classifier(channels_of(nodes[node.inputs[0]].type), node.attributes)
            writer.write(piece, (node,), numbers)


@lru_cache(maxsize=4096)
def _write_layer(
    number: int, kernel: AttributeValue, stride: AttributeValue, channels: int | str, filters_length: int
) -> tuple[str, int, tuple[Constant, ...]]:
    """Layer `number`, how many lines stand between convolution and batch norm, and its numbers.

    Channels and filters are left open as `%s` and are no part of the numbers: without them, most layers of a search
    are alike. Of filters the number of letters is given, and of channels if they are a number.
    """
    channels_text = channels if isinstance(channels, str) else channels * "~"
    filters_text = filters_length * "^"
    attributes = (("kernel", kernel), ("num_filters", filters_text), ("stride", stride))
    writer = SourceWriter()
    with writer.indented(), writer.indented():
        writer.write_call(INDENT, _make_call("conv2d", Symbol(channels_text), attributes), ",")
        num_between = len(writer.lines) - 1
        writer.write_call(INDENT, _make_call("batch_norm", Symbol(filters_text), ()), ",")
        writer.write_call(INDENT, _make_call("relu", Symbol(filters_text), ()), ",")
        writer.write(")")
    pieces, numbers = split_numbers("\n".join(writer.lines))
    text = "%s".join(pieces).replace(filters_text, "%s")
    if not isinstance(channels, str):
        text = text.replace(channels_text, "%s")
    return f"        self.layer_{number} = nn.Sequential(\n{text}", num_between, numbers


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


@lru_cache(maxsize=64)
def _lay_out(nodes: tuple[tuple[str, tuple[int, ...]], ...]) -> Layout:
    """The layout of a network, from the op and the inputs of each node."""
    number_of = {id: i for i, id in enumerate([id for id, (op, _) in enumerate(nodes) if op == "conv2d"], start=1)}
    name_of: dict[int, str] = {}
    layers: list[Row] = []
    end: list[Row] = []
    number = layer = 0
    for id, (op, inputs) in enumerate(nodes):
        if op == INPUT:
            name_of[id] = "images"
        elif op == "conv2d":
            number, layer = number_of[id], id
        elif op == "relu":
            name_of[id] = name = f"features_{number}"
            layers.append((f"{name} = self.layer_{number}({name_of[nodes[layer][1][0]]})", layer))
        elif op in JOINING_OPS:
            # What it is joined for: the layer that takes it, or the classifier.
            follower = number_of.get(next(user for user, (_, taken) in enumerate(nodes) if id in taken))
            name_of[id] = "joined" if follower is None else f"inputs_{follower}"
            function = op if op == "concat_padded" else None
            rows = end if follower is None else layers
            rows.append((joining_text(name_of[id], [name_of[i] for i in inputs], function), id))
        elif op == "global_average_pool":
            name_of[id] = OPS[op].value_name
            end.append((f"{name_of[id]} = {OPS[op].expression.format(name_of[inputs[0]])}", id))
        elif op == "linear":
            end.append((f"return self.classifier({name_of[inputs[0]]})", id))
    ops = [op for op, _ in nodes]
    has_skips = any(op in ops for op in JOINING_OPS)
    forward = tuple([_join_rows(rows) for rows in (layers, end) if rows])
    return Layout(len(number_of), has_skips, "concat_padded" in ops, forward)


def _join_rows(rows: Sequence[Row]) -> Statements:
    blanks = 2 * INDENT
    longest = LINE_LENGTH - len(f"{blanks}  # ")
    return Statements(
        rows=tuple(rows),
        nodes=tuple([id for _, id in rows]),
        beside="\n".join([f"{blanks}{text}  # %s" for text, _ in rows]),
        rooms=tuple([-1 if "\n" in text else longest - len(text) for text, _ in rows]),
    )


def _write_statements(writer: TemplateWriter, graph: Graph, statements: Statements) -> None:
    """Statements with their shapes as comments: all beside their lines if all fit, else all above them."""
    nodes = [graph.nodes[i] for i in statements.nodes]
    comments = [kept_text(node.type) for node in nodes]
    if all(map(le, map(len, comments), statements.rooms)):
        writer.write(statements.beside, nodes, comments)
        return
    for (text, _), node, comment in zip(statements.rows, nodes, comments, strict=True):
        lines = [f"{2 * INDENT}{line}" for line in ("# %s", *text.split("\n"))]
        writer.write("\n".join(lines), (None, node), (comment,))
