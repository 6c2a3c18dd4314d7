"""Convolutional networks, layer by layer, as in Zoph and Le (2017), sections 3.1 and 4.1.

Every layer is a convolution without bias, batch norm and ReLU. The paper says that each convolution has both; this is
their order in the paper that introduced batch norm. How features become a vector for the classifier the paper leaves
open: here by the mean of every channel, so that a network takes images of any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dslc.program.emit import (
    Namespace,
    PythonSource,
    SourceWriter,
    check_class_name,
    shapes_text,
    write_imports,
)
from dslc.program.graph import Graph, GraphBuilder, Node
from dslc.program.meaningless import even_filter, not_a_size, unknown_name, wrong_children
from dslc.program.op_rules import AttributeValue
from dslc.program.op_spec import Call
from dslc.program.targets import AliasSpec, BuildArgument, Built
from dslc.program.tensor_type import Symbol, TensorType
from dslc.program.tree import Leaf, ParseTree
from dslc.value import value

FILTER = ("filter height", "filter width")
STRIDE = ("vertical stride", "horizontal stride")
NUMBER = ("number of filters",)

IMAGES = TensorType((Symbol("batch"), Symbol("in_channels"), Symbol("height"), Symbol("width")))


@value
class Layer:
    """One layer as the sentence states it."""

    kernel: tuple[int, int]
    """Height and width of the filters."""
    stride: tuple[int, int]
    """Vertical and horizontal."""
    num_filters: int
    tree: ParseTree


@dataclass(frozen=True)
class ConvNet:
    """The target `conv_net`."""

    name: str = "conv_net"
    class_name: str = "ConvNet"
    builds: Built = Built.MODULE

    @property
    def aliases(self) -> Mapping[str, AliasSpec]:
        """The two forms of a layer."""
        return ALIASES

    @property
    def build_arguments(self) -> tuple[BuildArgument, ...]:
        """Channels of the images and number of classes."""
        return (
            BuildArgument("in_channels", "channels of the images"),
            BuildArgument("num_classes", "number of classes"),
        )

    @property
    def example_arguments(self) -> Mapping[str, int]:
        """Grey images of ten classes."""
        return {"in_channels": 1, "num_classes": 10}

    def elaborate(self, tree: ParseTree) -> Graph:
        """The network that a tree means: its layers in line, then the classifier.

        The root may have any name; its children are layers.

        Raises:
            DslcError: DSLC403 to DSLC406 if a child is no layer of the target's form.
        """
        layers = read_layers(tree)
        builder = GraphBuilder()
        features = builder.add_input("images", IMAGES)
        for layer in layers:
            features = _add_layer(builder, features, layer)
        span = (tree.start_token, tree.end_token)
        pooled = builder.add("global_average_pool", features, rule=tree.name, tokens=span)
        attributes = {"out_features": "num_classes"}
        return builder.finish(builder.add("linear", pooled, attributes=attributes, rule=tree.name, tokens=span))

    def write_formula(self, graph: Graph) -> str | None:  # noqa: ARG002
        """None: a network is read as a drawing."""
        return None

    def plot_inputs(self, graph: Graph) -> tuple[float, float] | None:  # noqa: ARG002
        """None: no function of one number."""
        return None

    def emit(self, graph: Graph, class_name: str | None, sentence: str) -> PythonSource:
        """Source of a module with constructor `(in_channels, num_classes)`.

        Raises:
            DslcError: DSLC502 if a class cannot have that name.
        """
        return _emit_network(graph, class_name or self.class_name, sentence)


ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "layer": AliasSpec("a layer with strides (zoph2017, section 4.1)", (*FILTER, *STRIDE, *NUMBER)),
        "layer_stride_1": AliasSpec("a layer that keeps the size (zoph2017, section 4.1)", (*FILTER, *NUMBER)),
    }
)

TARGET = ConvNet()


def read_layers(tree: ParseTree) -> tuple[Layer, ...]:
    """The layers of a tree, in order; a tree that is itself a layer is a network of one."""
    if tree.name in ALIASES:
        return (_read_layer(tree),)
    layers = []
    for child in tree.children:
        match child:
            case None:
                continue
            case Leaf():
                raise wrong_children(TARGET.name, tree, ("layers",))
            case ParseTree(name) if name in ALIASES:
                layers.append(_read_layer(child))
            case ParseTree():
                raise unknown_name(TARGET.name, child, ALIASES)
    return tuple(layers)


def _read_layer(tree: ParseTree) -> Layer:
    meanings = ALIASES[tree.name].children
    leaves = [child for child in tree.children if isinstance(child, Leaf)]
    if len(leaves) != len(tree.children) or len(leaves) != len(meanings):
        raise wrong_children(TARGET.name, tree, meanings)
    sizes = {meaning: _read_size(tree, leaf, meaning) for meaning, leaf in zip(meanings, leaves, strict=True)}
    for meaning, leaf in zip(FILTER, leaves, strict=False):
        if sizes[meaning] % 2 == 0:
            raise even_filter(tree, leaf, meaning)
    return Layer(
        (sizes[FILTER[0]], sizes[FILTER[1]]),
        (sizes.get(STRIDE[0], 1), sizes.get(STRIDE[1], 1)),
        sizes[NUMBER[0]],
        tree,
    )


def _read_size(tree: ParseTree, leaf: Leaf, meaning: str) -> int:
    text = leaf.text
    size = int(text) if text.isascii() and text.isdigit() else 0
    if size < 1:
        raise not_a_size(tree, leaf, meaning)
    return size


def _add_layer(builder: GraphBuilder, features: Node, layer: Layer) -> Node:
    attributes: dict[str, AttributeValue] = {
        "kernel": layer.kernel,
        "stride": layer.stride,
        "num_filters": layer.num_filters,
    }
    rule, tokens = layer.tree.name, (layer.tree.start_token, layer.tree.end_token)
    features = builder.add("conv2d", features, attributes=attributes, rule=rule, tokens=tokens)
    features = builder.add("batch_norm", features, rule=rule, tokens=tokens)
    return builder.add("relu", features, rule=rule, tokens=tokens)


# --- source -----------------------------------------------------------------------------------------------------------


def _emit_network(graph: Graph, class_name: str, sentence: str) -> PythonSource:
    check_class_name(class_name)
    layers = [node for node in graph.nodes if node.op == "conv2d"]
    writer = SourceWriter()
    write_imports(writer, uses_torch=False)
    writer.write(f"class {class_name}(nn.Module):")
    with writer.indented():
        count = f"{len(layers)} layer" + ("s" if len(layers) != 1 else "")
        writer.write_docstring(
            f"A convolutional network of {count}, and a classifier on each channel's mean.",
            [
                ("Sentence", sentence),
                ("Shapes", shapes_text(graph)),
                ("Source", "Zoph and Le 2017, arXiv 1611.01578, sections 3.1 and 4.1."),
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
    names = Namespace(["images"])
    name_of: dict[int, str] = {images.id: "images"}
    layers: list[tuple[str, Node, str]] = []
    end: list[tuple[str, Node, str]] = []
    for node in graph.nodes:
        match node.op:
            case "conv2d":
                first, source = node, name_of[node.inputs[0]]
            case "relu":
                number = len(layers) + 1
                name_of[node.id] = names.create(f"features_{number}")
                layers.append((f"{name_of[node.id]} = self.layer_{number}({source})", first, str(node.type)))
            case "global_average_pool":
                name_of[node.id] = names.create(node.spec.value_name)
                text = node.spec.expression.format(name_of[node.inputs[0]])
                end.append((f"{name_of[node.id]} = {text}", node, str(node.type)))
            case "linear":
                end.append((f"return self.classifier({name_of[node.inputs[0]]})", node, str(node.type)))
    writer.write("def forward(self, images: Tensor) -> Tensor:")
    with writer.indented():
        writer.write_commented(layers)
        writer.write_commented(end)
