"""The target `activation` against the paper's formulas, written a second time in numpy."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.program.canonical import graph_hash
from dslc.program.emit import PythonSource
from dslc.program.load import load_module
from dslc.program.targets import get_target
from dslc.program.tree import Leaf, ParseTree
from tests.dslc.program_trees import BINARY, UNARY, X, core, sentence, swish

Array = NDArray[np.float64]
TARGET = get_target("activation")
CHANNELS = 3


# --- the oracle -------------------------------------------------------------------------------------------------------


def interpret(tree: ParseTree, x: Array, betas: list[Array]) -> Array:
    """The value of a tree; takes the betas from the list in the order in which the sentence names them."""

    def beta() -> Array:
        return betas.pop(0).reshape(1, -1, *[1] * (x.ndim - 2))

    def unary(name: str, v: Array) -> Any:
        match name:
            case "identity":
                return v
            case "negate":
                return 0 - v
            case "abs":
                return np.where(v < 0, -v, v)
            case "square":
                return v * v
            case "cube":
                return v * v * v
            case "sqrt":
                return v**0.5
            case "scale":
                return v * beta()
            case "shift":
                return beta() + v
            case "log_abs":
                return np.log(np.abs(v) + 0.000001)
            case "exp":
                return np.e**v
            case "sin":
                return np.sin(v)
            case "cos":
                return np.cos(v)
            case "sinh":
                return (np.exp(v) - np.exp(-v)) / 2
            case "cosh":
                return (np.exp(v) + np.exp(-v)) / 2
            case "tanh":
                return 1 - 2 / (np.exp(2 * v) + 1)
            case "asinh":
                return np.sign(v) * np.log(np.abs(v) + np.sqrt(v * v + 1))
            case "atan":
                return np.arctan2(v, 1)
            case "sinc":
                return np.where(v == 0, 1.0, np.sin(np.pi * v) / (np.pi * np.where(v == 0, 1, v)))
            case "relu":
                return np.where(v > 0, v, 0 * v)
            case "min_zero":
                return np.where(v < 0, v, 0 * v)
            case "sigmoid":
                return 1 / (1 + np.exp(-v))
            case "softplus":
                return np.where(v > 30, v, np.log1p(np.exp(np.minimum(v, 30))))
            case "gaussian":
                return np.exp(-(v**2))
            case "erf":
                return np.array([math.erf(value) for value in v.flat]).reshape(v.shape)
            case "constant":
                return beta() + np.zeros_like(x)
        raise AssertionError(name)

    def binary(name: str, a: Array, b: Array) -> Any:
        match name:
            case "add":
                return a + b
            case "mul":
                return a * b
            case "sub":
                return a - b
            case "div":
                return a / (b + 0.000001)
            case "max":
                return np.maximum(a, b)
            case "min":
                return np.minimum(a, b)
            case "gate":
                return b / (1 + np.exp(-a))
            case "rbf":
                return np.exp(-beta() * (a - b) ** 2)
            case "laplace":
                return np.exp(-beta() * np.abs(a - b))
            case "mix":
                share = beta()
                return share * a + (1 - share) * b
        raise AssertionError(name)

    def value(node: ParseTree) -> Array:
        if node.name == "x":
            return x
        if node.name != "core":
            (child,) = node.children
            assert isinstance(child, ParseTree)
            return value(child)
        inputs, names = node.children[:2], [child.name for child in node.children[-3:] if isinstance(child, ParseTree)]
        # What a constant is applied to is not looked at, so its betas are not trained.
        values = [
            x if name == "constant" else value(child)
            for name, child in zip(names[:2], inputs, strict=True)
            if isinstance(child, ParseTree)
        ]
        one, other = (unary(name, v) for name, v in zip(names[:2], values, strict=True))
        return np.asarray(binary(names[2], one, other))

    with np.errstate(all="ignore"):
        return value(tree)


def emit(tree: ParseTree) -> PythonSource:
    return TARGET.emit(TARGET.elaborate(tree), None, sentence(tree))


def build(tree: ParseTree, generator: torch.Generator, num_channels: int = CHANNELS) -> nn.Module:
    """The emitted module in float64, its betas drawn at random: at 1 some of them do nothing."""
    module = load_module(emit(tree), num_channels=num_channels).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.3)
    return module


def betas_of(module: nn.Module) -> list[Array]:
    return [parameter.detach().numpy().copy() for parameter in module.parameters()]


ONE_CORE = dslc.compile("activation").samples(200, seed=0)
NESTED = dslc.compile("activation", start="nested").samples(60, seed=1, lengths="even")


def test_200_uniform_samples_cover_every_function() -> None:
    assert {word for program in ONE_CORE for word in program.text.split()} == {*UNARY, *BINARY, "x"}
    assert {len(program.tokens) for program in NESTED} == {5, 10, 15}


def test_forward_and_backward_equal_the_formulas() -> None:
    num_checked = num_points = 0
    for seed, program in enumerate([*ONE_CORE, *NESTED]):
        tree = program.tree
        module = build(tree, torch.Generator().manual_seed(seed))
        x = np.random.default_rng(seed).uniform(-2, 2, (4, CHANNELS, 2))
        inputs = torch.from_numpy(x).requires_grad_()
        outputs = module(inputs)
        expected = interpret(tree, x, betas_of(module))
        np.testing.assert_allclose(outputs.detach().numpy(), expected, rtol=1e-7, atol=1e-9, err_msg=sentence(tree))

        # Elementwise, so one backward pass gives the derivative at every point.
        slopes = torch.autograd.grad(outputs.sum(), inputs, retain_graph=True, allow_unused=True)[0]
        numeric, is_smooth = derivative(lambda h, t=tree, m=module, x=x: interpret(t, x + h, betas_of(m)))
        found = np.zeros_like(x) if slopes is None else slopes.numpy()
        np.testing.assert_allclose(found[is_smooth], numeric[is_smooth], rtol=2e-4, atol=2e-5, err_msg=sentence(tree))
        num_checked += int(is_smooth.sum())
        num_points += x.size

        for k, parameter in enumerate(module.parameters()):
            weights = torch.from_numpy(np.random.default_rng(k).uniform(0.5, 1, x.shape))
            weighted = (torch.where(torch.isfinite(outputs), outputs, 0) * weights).sum()
            (slope,) = torch.autograd.grad(weighted, parameter, retain_graph=True)

            def shifted(h: float, k: int = k, t: ParseTree = tree, m: nn.Module = module, x: Array = x) -> Array:
                moved = betas_of(m)
                moved[k] = moved[k] + h
                return interpret(t, x, moved)

            by_point, is_smooth = derivative(shifted)
            is_known = is_smooth.all(axis=(0, 2))
            by_channel = (by_point * weights.numpy()).sum(axis=(0, 2))
            np.testing.assert_allclose(
                slope.numpy()[is_known], by_channel[is_known], rtol=2e-4, atol=1e-4, err_msg=sentence(tree)
            )
    assert num_checked > 0.7 * num_points


def derivative(function: Any, step: float = 1e-6) -> tuple[Array, Array]:
    """Central differences, and where they can be trusted: all finite, no kink nearby, not too steep."""
    with np.errstate(all="ignore"):
        below, here, above = function(-step), function(0.0), function(step)
        slope, left, right = (above - below) / (2 * step), (here - below) / step, (above - here) / step
        is_smooth = np.isfinite(slope) & (np.abs(left - right) <= 1e-3 * (np.abs(slope) + 0.01))
        is_smooth &= (np.abs(here) < 1e4) & (np.abs(slope) < 1e4)
    return slope, is_smooth


@pytest.mark.parametrize("name", ["rbf", "laplace", "mix", "gate"])
def test_gradcheck_with_trained_values(name: str) -> None:
    tree = ParseTree("nested", (core(X, core(X, X, "scale", "shift", name), "softplus", "sinc", name),))
    module = build(tree, torch.Generator().manual_seed(0))
    x = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(2, CHANNELS, 2).requires_grad_()
    parameters = tuple(module.parameters())

    def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        named = {name: value for (name, _), value in zip(module.named_parameters(), values, strict=True)}
        result = torch.func.functional_call(module, named, (x,))
        assert isinstance(result, torch.Tensor)
        return result

    assert torch.autograd.gradcheck(run, (x, *parameters))


# --- the module -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 2, 2)])
def test_one_value_fits_any_shape(shape: tuple[int, ...]) -> None:
    module = load_module(emit(swish()))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert [parameter.shape for parameter in module.parameters()] == [(1,), (1,)]
    # scale and constant begin at 1: x * sigmoid(x + 1)
    torch.testing.assert_close(module(x), x * torch.sigmoid(x + 1))


def test_channels_are_axis_one() -> None:
    tree = ParseTree("start", (core(X, X, "scale", "identity", "max"),))
    module = load_module(emit(tree), num_channels=2)
    with torch.no_grad():
        next(module.parameters()).copy_(torch.tensor([2.0, -3.0]))
    for shape in [(4, 2), (4, 2, 5), (4, 2, 5, 5)]:
        result = module(torch.ones(shape))
        assert (result[:, 0] == 2).all()
        assert (result[:, 1] == 1).all()


def test_each_beta_is_trained_by_itself_and_starts_at_one() -> None:
    tree = ParseTree("start", (core(X, X, "scale", "scale", "mix"),))
    module = load_module(emit(tree), num_channels=4)
    values = dict(module.named_parameters())
    assert list(values) == ["beta_1", "beta_2", "beta_3"]
    assert all(torch.equal(value, torch.ones(4)) for value in values.values())


def test_both_inputs_may_be_plain_text() -> None:
    functions = core(X, X, "sin", "scale", "div").children[2:]
    short, long = ParseTree("core", functions), ParseTree("start", (core(X, X, "sin", "scale", "div"),))
    assert graph_hash(TARGET.elaborate(short)) == graph_hash(TARGET.elaborate(long))


def test_roots_below_zero_are_not_a_number() -> None:
    module = load_module(emit(ParseTree("start", (core(X, X, "sqrt", "identity", "add"),))))
    assert torch.isnan(module(torch.tensor([-1.0, 4.0]))).tolist() == [True, False]


def test_what_a_constant_is_applied_to_is_not_computed() -> None:
    inner = core(X, X, "scale", "exp", "rbf")
    source = emit(ParseTree("nested", (core(inner, X, "constant", "sin", "add"),)))
    assert "torch.exp(" not in source.text
    assert len(list(load_module(source).parameters())) == 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_and_copies(dtype: torch.dtype) -> None:
    module = load_module(emit(swish()), num_channels=3).to(dtype)
    twin = load_module(emit(swish()), num_channels=3).to(dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.5)
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    result = module(x)
    assert result.dtype == dtype
    assert torch.equal(copy.deepcopy(module)(x), result)
    assert not torch.equal(twin(x), result)
    twin.load_state_dict(module.state_dict())
    assert torch.equal(twin(x), result)


def test_very_deep_sentences() -> None:
    tree = X
    for _ in range(3000):
        tree = core(tree, X, "identity", "sin", "add")
    graph = TARGET.elaborate(tree)
    assert len(graph) == 1 + 3 * 3000
    assert "def forward" in TARGET.emit(graph, None, "").text
    assert len(graph_hash(graph)) == 64


# --- sentences without meaning ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "code", "part"),
    [
        (core(X, X, "sinus", "identity", "add"), Code.UNKNOWN_NAME, "`sinus`"),
        (core(X, X, "sin", "identity", "plus"), Code.UNKNOWN_NAME, "`plus`"),
        (core(X, X, "sin", "add", "add"), Code.UNKNOWN_NAME, "`add`"),
        (ParseTree("start", (ParseTree("block", ()),)), Code.UNKNOWN_NAME, "`block`"),
        (ParseTree("start", (X, X)), Code.WRONG_CHILDREN, "`start`"),
        (ParseTree("core", (X, X)), Code.WRONG_CHILDREN, "`core`"),
        (ParseTree("core", (Leaf("A", "a"),) * 5), Code.WRONG_CHILDREN, "A `a`"),
        (ParseTree("start", (None,)), Code.WRONG_CHILDREN, "an absent item"),
    ],
)
def test_a_tree_without_meaning_is_a_diagnostic(tree: ParseTree, code: Code, part: str) -> None:
    with pytest.raises(DslcError) as error:
        TARGET.elaborate(tree)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is code
    assert part in diagnostic.message
    assert diagnostic.help
    assert diagnostic.notes


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(DslcError) as error:
        TARGET.elaborate(core(X, X, "sigmoud", "identity", "add"))
    assert (error.value.diagnostics[0].help or "").startswith("did you mean `sigmoid`? ")


def test_all_6250_functions_of_one_core_are_different_programs() -> None:
    hashes = {
        graph_hash(TARGET.elaborate(core(X, X, one, other, binary)))
        for one in UNARY
        for other in UNARY
        for binary in BINARY
    }
    assert len(hashes) == 6250
