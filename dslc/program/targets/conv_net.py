"""Convolutional networks, layer by layer, as in Zoph and Le (2017), sections 3.1, 3.3 and 4.1.

Every layer is a convolution without bias, batch norm and ReLU. The paper says that each convolution has both; this is
their order in the paper that introduced batch norm. How features become a vector for the classifier the paper leaves
open: here by the mean of every channel, so that a network takes images of any size.

A layer takes the one before it, or, where the sentence has a decision for each earlier layer before it, those that it
decides for; what then does not fit together is repaired as the paper says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from dslc.diagnostics import DslcError
from dslc.program.emit import PythonSource
from dslc.program.emit_network import emit_network
from dslc.program.graph import INPUT, Graph, GraphBuilder, Node
from dslc.program.meaningless import even_filter, not_a_size, unknown_name, unknown_word, wrong_children
from dslc.program.op_rules import AttributeValue, Parameter, filter_parameters, linear_parameters, scale_and_offset
from dslc.program.repair_connections import collect_unconnected, join_in_depth, take_image
from dslc.program.targets import AliasSpec, BuildArgument, Built
from dslc.program.tensor_type import CeilDiv, Dim, Symbol, TensorType, ceil_div
from dslc.program.tree import Leaf, ParseTree
from dslc.value import value

FILTER = ("filter height", "filter width")
STRIDE = ("vertical stride", "horizontal stride")
NUMBER = ("number of filters",)
NO, YES = "0", "1"
"""What a decision says of an earlier layer: not taken, taken."""
_CHILDREN = ("layers, and before all or none of them one `0` or `1` for each earlier layer",)

IMAGES = TensorType((Symbol("batch"), Symbol("in_channels"), Symbol("height"), Symbol("width")))
IMAGE = Node(0, INPUT, (), IMAGES, (("name", "images"),), rule="images")
"""The first node of every network."""
SCORES = TensorType((Symbol("batch"), Symbol("num_classes")))
CLASSES: tuple[tuple[str, AttributeValue], ...] = (("out_features", "num_classes"),)
"""Attributes of the classifier."""


@value
class Form:
    """What the numbers of a layer say."""

    kernel: tuple[int, int]
    """Height and width of the filters."""
    stride: tuple[int, int]
    """Vertical and horizontal."""
    num_filters: int
    attributes: tuple[tuple[str, AttributeValue], ...]
    """The same, as those of a node."""


@value
class Layer:
    """One layer as the sentence states it."""

    form: Form
    inputs: tuple[int, ...]
    """Numbers of the earlier layers that it takes, from 0; none: the image."""
    skips: tuple[Leaf, ...]
    """The decisions that say so; without any, the layer before it is taken."""
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
        """The network that a tree means: its layers, connected, then the classifier.

        The root may have any name; its children are layers, or layers with decisions before each.

        Raises:
            DslcError: DSLC403 to DSLC406 if a child is no layer of the target's form, or no decision.
        """
        layers = read_layers(tree)
        builder = _NetworkBuilder()
        outputs: list[Node] = []
        for layer in layers:
            inputs = take_image([outputs[number] for number in layer.inputs], IMAGE)
            features = inputs[0] if len(inputs) == 1 else _join_inputs(builder, inputs, layer)
            outputs.append(builder.add_layer(features, layer))
        span = (tree.start_token, tree.end_token)
        unconnected = collect_unconnected(outputs, [number for layer in layers for number in layer.inputs])
        features = join_in_depth(builder, take_image(unconnected, IMAGE), tree.name, span)
        return builder.finish_network(features, tree.name, span)

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
        return emit_network(graph, class_name or self.class_name, sentence)


ALIASES: Mapping[str, AliasSpec] = MappingProxyType(
    {
        "layer": AliasSpec("a layer with strides (zoph2017, section 4.1)", (*FILTER, *STRIDE, *NUMBER)),
        "layer_stride_1": AliasSpec("a layer that keeps the size (zoph2017, section 4.1)", (*FILTER, *NUMBER)),
    }
)

TARGET = ConvNet()


def read_layers(tree: ParseTree) -> tuple[Layer, ...]:
    """The layers of a tree, in order; a tree that is itself a layer is a network of one.

    Before each layer there are as many decisions as there are layers before it, or there is none in the whole tree.
    """
    if tree.name in ALIASES:
        return (_read_layer(tree, (), ()),)
    has_decisions = any(isinstance(child, Leaf) for child in tree.children)
    layers: list[Layer] = []
    skips: list[Leaf] = []
    for child in tree.children:
        if isinstance(child, Leaf):
            skips.append(child)
        elif child is not None:
            if child.name not in ALIASES:
                raise unknown_name(TARGET.name, child, ALIASES)
            if has_decisions and len(skips) != len(layers):
                raise wrong_children(TARGET.name, tree, _CHILDREN)
            before = (len(layers) - 1,) if layers else ()
            inputs = _read_skips(tree, skips) if has_decisions else before
            layers.append(_read_layer(child, inputs, tuple(skips)))
            skips = []
    if skips:
        raise wrong_children(TARGET.name, tree, _CHILDREN)
    return tuple(layers)


def _read_skips(tree: ParseTree, skips: list[Leaf]) -> tuple[int, ...]:
    for leaf in skips:
        if leaf.text not in (NO, YES):
            raise unknown_word(TARGET.name, tree, leaf, (NO, YES))
    return tuple([number for number, leaf in enumerate(skips) if leaf.text == YES])


def _read_layer(tree: ParseTree, inputs: tuple[int, ...], skips: tuple[Leaf, ...]) -> Layer:
    meanings = ALIASES[tree.name].children
    leaves = [child for child in tree.children if isinstance(child, Leaf)]
    if len(leaves) != len(tree.children) or len(leaves) != len(meanings):
        raise wrong_children(TARGET.name, tree, meanings)
    form = _read_form(meanings, tuple([leaf.text for leaf in leaves]))
    if form is None:
        raise _explain_form(tree, leaves, meanings)
    return Layer(form, inputs, skips, tree)


@lru_cache(maxsize=4096)
def _read_form(meanings: tuple[str, ...], texts: tuple[str, ...]) -> Form | None:
    """None where a text does not mean what it should."""
    sizes = {meaning: _read_size(text) for meaning, text in zip(meanings, texts, strict=True)}
    kernel = sizes[FILTER[0]], sizes[FILTER[1]]
    if min(sizes.values()) < 1 or any(side % 2 == 0 for side in kernel):
        return None
    stride, num_filters = (sizes.get(STRIDE[0], 1), sizes.get(STRIDE[1], 1)), sizes[NUMBER[0]]
    return Form(kernel, stride, num_filters, (("kernel", kernel), ("num_filters", num_filters), ("stride", stride)))


def _explain_form(tree: ParseTree, leaves: Sequence[Leaf], meanings: Sequence[str]) -> DslcError:
    """What is wrong with the numbers of a layer, the first of all."""
    for leaf, meaning in zip(leaves, meanings, strict=True):
        if _read_size(leaf.text) < 1:
            return not_a_size(tree, leaf, meaning)
    wrong = next(i for i in range(len(FILTER)) if _read_size(leaves[i].text) % 2 == 0)
    return even_filter(tree, leaves[wrong], meanings[wrong])


def _read_size(text: str) -> int:
    """0 for what is no size."""
    return int(text) if text.isascii() and text.isdigit() else 0


def _join_inputs(builder: GraphBuilder, inputs: Sequence[Node], layer: Layer) -> Node:
    # Several inputs come from decisions, which are the tokens right before the layer.
    start = layer.tree.start_token
    rule = layer.skips[0].terminal if layer.skips else layer.tree.name
    return join_in_depth(builder, inputs, rule, (start - len(layer.skips), start))


class _NetworkBuilder(GraphBuilder):
    """Makes nodes itself: a search makes many of them, and their types are those of `op_rules`."""

    def __init__(self) -> None:
        super().__init__()
        self._nodes.append(IMAGE)

    def add_layer(self, features: Node, layer: Layer) -> Node:
        """A convolution of images, its batch norm and its ReLU."""
        form, nodes, place = layer.form, self._nodes, len(self._nodes)
        _, channels, height, width = features.type.shape
        vertical, horizontal = form.stride
        type = _image_type(form.num_filters, _divisor(height) * vertical, _divisor(width) * horizontal)
        filters = filter_parameters(form.num_filters, channels, *form.kernel)
        rule, tokens = layer.tree.name, (layer.tree.start_token, layer.tree.end_token)
        nodes.append(Node(place, "conv2d", (features.id,), type, form.attributes, filters, rule, tokens))
        scale = scale_and_offset(form.num_filters)
        nodes.append(Node(place + 1, "batch_norm", (place,), type, (), scale, rule, tokens))
        output = Node(place + 2, "relu", (place + 1,), type, (), (), rule, tokens)
        nodes.append(output)
        return output

    def finish_network(self, features: Node, rule: str, tokens: tuple[int, int]) -> Graph:
        """The network with its classifier: the mean of every channel, and a linear map of these."""
        nodes, place = self._nodes, len(self._nodes)
        pooled, weight_and_bias = _classifier_types(features.type.shape[1])
        nodes.append(Node(place, "global_average_pool", (features.id,), pooled, (), (), rule, tokens))
        nodes.append(Node(place + 1, "linear", (place,), SCORES, CLASSES, weight_and_bias, rule, tokens))
        # Nothing is to be left out: what no layer takes the classifier does.
        return Graph(tuple(nodes), (place + 1,))


@lru_cache(maxsize=4096)
def _image_type(num_filters: int, vertical: int, horizontal: int) -> TensorType:
    """What strides, multiplied over all layers before, leave of the images; one object for many networks."""
    batch, _, height, width = IMAGES.shape
    return TensorType((batch, num_filters, ceil_div(height, vertical), ceil_div(width, horizontal)))


def _divisor(size: Dim) -> int:
    """By what strides have divided the height or width of the images."""
    return size.divisor if isinstance(size, CeilDiv) else 1


@lru_cache(maxsize=256)
def _classifier_types(channels: Dim) -> tuple[TensorType, tuple[Parameter, ...]]:
    """What the mean of every channel is, and what the linear map of it trains."""
    pooled = TensorType((IMAGES.shape[0], channels))
    return pooled, linear_parameters((pooled,), dict(CLASSES))
