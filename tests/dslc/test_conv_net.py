"""The target `conv_net` against networks written by hand with torch's functions."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.program.canonical import graph_hash
from dslc.program.emit import PythonSource
from dslc.program.load import load_module
from dslc.program.op_meanings import batch_norm, conv2d
from dslc.program.targets import get_target
from dslc.program.tensor_type import size_of
from dslc.program.tree import Leaf, ParseTree
from tests.dslc.program_trees import layer, network, random_network, sentence

TARGET = get_target("conv_net")
EXAMPLE = network((3, 5, 2, 1, 24), (7, 1, 1, 3, 36), (1, 3, 1, 1, 48))


def emit(tree: ParseTree) -> PythonSource:
    return TARGET.emit(TARGET.elaborate(tree), None, sentence(tree))


def run_by_hand(tree: ParseTree, images: Tensor, parameters: list[Tensor]) -> Tensor:
    """Scores in training mode; parameters in order: filters, scale and offset of each layer, then the classifier's."""
    values = images
    for child in tree.children:
        assert isinstance(child, ParseTree)
        height, width, down, right, number = (int(leaf.text) for leaf in child.children if isinstance(leaf, Leaf))
        weight, scale, offset = parameters.pop(0), parameters.pop(0), parameters.pop(0)
        assert weight.shape == (number, values.shape[1], height, width)
        framed = functional.pad(values, ((width - 1) // 2, (width - 1) // 2, (height - 1) // 2, (height - 1) // 2))
        full = functional.conv2d(framed, weight)
        assert full.shape[2:] == values.shape[2:], "without a stride the size stays"
        kept = full[:, :, ::down, ::right]
        mean = kept.mean((0, 2, 3), keepdim=True)
        variance = ((kept - mean) ** 2).mean((0, 2, 3), keepdim=True)
        normal = (kept - mean) / (variance + 1e-5) ** 0.5
        values = (normal * scale.reshape(1, -1, 1, 1) + offset.reshape(1, -1, 1, 1)).clamp(min=0)
    pooled = values.flatten(2).sum(2) / (values.shape[2] * values.shape[3])
    weight, bias = parameters
    return pooled @ weight.T + bias


def test_200_networks_equal_those_by_hand_forward_and_backward() -> None:
    generator = random.Random(0)
    for seed, program in enumerate(dslc.compile("conv_net").samples(200, seed=0)):
        tree = program.tree
        torch.manual_seed(seed)
        module = load_module(emit(tree), in_channels=2, num_classes=3).double()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
        images = torch.randn(2, 2, generator.randint(4, 8), generator.randint(4, 8), dtype=torch.float64)
        images.requires_grad_()
        parameters = list(module.parameters())
        found = module(images)
        expected = run_by_hand(tree, images, list(parameters))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9, msg=sentence(tree))
        weights = torch.randn(found.shape, dtype=torch.float64)
        slopes = torch.autograd.grad((found * weights).sum(), (images, *parameters))
        by_hand = torch.autograd.grad((expected * weights).sum(), (images, *parameters))
        for slope, other in zip(slopes, by_hand, strict=True):
            torch.testing.assert_close(slope, other, rtol=1e-6, atol=1e-8, msg=sentence(tree))


@pytest.mark.parametrize("depth", [6, 15])
def test_deep_networks_equal_those_by_hand(depth: int) -> None:
    tree = random_network(random.Random(depth), depth)
    torch.manual_seed(0)
    module = load_module(emit(tree), in_channels=1, num_classes=10).double()
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(module(images), run_by_hand(tree, images, list(module.parameters())))


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (28, 28)])
def test_every_value_has_the_shape_that_the_graph_states(size: tuple[int, int]) -> None:
    graph = TARGET.elaborate(EXAMPLE)
    module = load_module(TARGET.emit(graph, None, ""), in_channels=2, num_classes=5)
    shapes: list[tuple[int, ...]] = []
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Linear)
    for part in module.modules():
        if isinstance(part, kinds):
            part.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape)))
    module(torch.randn(4, 2, *size))
    sizes = {"batch": 4, "in_channels": 2, "num_classes": 5, "height": size[0], "width": size[1]}
    nodes = [node for node in graph.nodes if node.op in ("conv2d", "batch_norm", "relu", "linear")]
    assert [tuple(size_of(dim, sizes) for dim in node.type.shape) for node in nodes] == shapes
    assert shapes[2][2:] == (-(-size[0] // 2), size[1])


def test_parameters_are_those_that_the_graph_states() -> None:
    graph = TARGET.elaborate(EXAMPLE)
    module = load_module(emit(EXAMPLE), in_channels=2, num_classes=5)
    count = sum(parameter.numel() for parameter in module.parameters())
    by_hand = (24 * 2 * 15 + 48) + (36 * 24 * 7 + 72) + (48 * 36 * 3 + 96) + (5 * 48 + 5)
    assert graph.num_parameters({"in_channels": 2, "num_classes": 5}) == count == by_hand


def test_layers_are_named_in_order() -> None:
    module = load_module(emit(EXAMPLE), in_channels=1, num_classes=2)
    assert [name for name, _ in module.named_children()] == ["layer_1", "layer_2", "layer_3", "classifier"]


def test_without_strides_is_stride_one() -> None:
    short = ParseTree("layers_3_stride_1", tuple(layer(3, 5, 24, name="layer_stride_1") for _ in range(3)))
    long = network((3, 5, 1, 1, 24), (3, 5, 1, 1, 24), (3, 5, 1, 1, 24))
    assert graph_hash(TARGET.elaborate(short)) == graph_hash(TARGET.elaborate(long))
    assert emit(short).text.split('"""')[2] == emit(long).text.split('"""')[2]


def test_a_layer_alone_and_absent_layers() -> None:
    one = layer(3, 3, 1, 1, 24)
    assert TARGET.elaborate(one) == TARGET.elaborate(ParseTree("start", (None, one, None)))
    nothing = load_module(emit(ParseTree("start", ())), in_channels=3, num_classes=2)
    images = torch.randn(4, 3, 5, 5)
    weight, bias = nothing.parameters()
    torch.testing.assert_close(nothing(images), images.mean((2, 3)) @ weight.T + bias)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_copies_and_saved_states(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    module = load_module(emit(EXAMPLE), in_channels=1, num_classes=4).to(dtype)
    images = torch.randn(3, 1, 6, 6).to(dtype)
    module(images).sum().backward()
    module.eval()
    scores = module(images)
    assert scores.dtype == dtype
    assert torch.equal(copy.deepcopy(module)(images), scores)
    twin = load_module(emit(EXAMPLE), in_channels=1, num_classes=4).to(dtype).eval()
    assert not torch.equal(twin(images), scores)
    twin.load_state_dict(module.state_dict())
    assert torch.equal(twin(images), scores)


def test_reference_meanings_equal_torch() -> None:
    generator = np.random.default_rng(0)
    x, weight = generator.normal(size=(2, 3, 7, 6)), generator.normal(size=(4, 3, 3, 5))
    found = conv2d(x, weight, kernel=(3, 5), stride=(2, 3), num_filters=4)
    expected = functional.conv2d(torch.from_numpy(x), torch.from_numpy(weight), stride=(2, 3), padding=(1, 2))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-10, atol=1e-12)
    scale, offset = generator.normal(size=3), generator.normal(size=3)
    module = nn.BatchNorm2d(3).double()
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(scale))
        module.bias.copy_(torch.from_numpy(offset))
    expected = module(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(batch_norm(x, scale, offset), expected.numpy(), rtol=1e-10, atol=1e-12)


# --- sentences without meaning ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "code", "parts"),
    [
        (ParseTree("start", (layer(3, 3, 1, 1, 24, name="layers"),)), Code.UNKNOWN_NAME, ("`layers`",)),
        (ParseTree("start", (Leaf("N", "3"),)), Code.WRONG_CHILDREN, ("`start`", "N `3`")),
        (network((3, 3, 1, 1)), Code.WRONG_CHILDREN, ("`layer`",)),
        (ParseTree("start", (layer(3, 3, 1, 1, 24, name="layer_stride_1"),)), Code.WRONG_CHILDREN, ()),
        (ParseTree("layer", (ParseTree("a", ()),) * 5), Code.WRONG_CHILDREN, ("`a`",)),
        (network((3, 3, 0, 1, 24)), Code.NOT_A_SIZE, ("`0`", "vertical stride")),
        (ParseTree("layer", (*(Leaf("N", "3"),) * 4, Leaf("M", "many"))), Code.NOT_A_SIZE, ("`many`", "number of")),
        (network((3, 4, 1, 1, 24)), Code.EVEN_FILTER, ("filter width", "4")),
    ],
)
def test_a_tree_without_meaning_is_a_diagnostic(tree: ParseTree, code: Code, parts: tuple[str, ...]) -> None:
    with pytest.raises(DslcError) as error:
        TARGET.elaborate(tree)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is code
    assert all(part in diagnostic.message for part in parts)
    assert diagnostic.help


def test_the_nearest_name_and_the_place_are_said() -> None:
    tree = ParseTree("start", (layer(3, 3, 1, 1, 24), layer(3, 3, 1, 1, 24, name="layerr", token=5)))
    with pytest.raises(DslcError) as error:
        TARGET.elaborate(tree)
    (diagnostic,) = error.value.diagnostics
    assert (diagnostic.help or "").startswith("did you mean `layer`? ")
    assert diagnostic.notes == ("in `layerr`, tokens 6 to 10 of the sentence",)
