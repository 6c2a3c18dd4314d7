"""The target `rnn_cell` against published cells written by hand, and any tree against numpy."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from dslc.diagnostics import Code, DslcError
from dslc.program.interpret import interpret_graph
from dslc.program.load import load_module
from dslc.program.targets import get_target
from dslc.program.tree import Leaf, ParseTree
from dslc.space import Program
from dslc.testing import programs
from tests.dslc.cell_programs import GOLDENS, SAMPLES, WIDE, build, build_layer
from tests.dslc.cell_references import Array, Kinks, LSTMLike, NASCell, WorkedExample, interpret_cell

TARGET = get_target("rnn_cell")


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- equal to the papers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "reference", "weights"),
    [
        (GOLDENS["nascell"], NASCell, lambda r: (r.w, r.u)),
        (GOLDENS["lstm_like"], LSTMLike, lambda r: (r.w, r.u)),
        (GOLDENS["worked_example"], WorkedExample, lambda r: (torch.cat([r.w1, r.w3]), torch.cat([r.w2, r.w4]))),
    ],
    ids=["nascell", "lstm_like", "worked_example"],
)
def test_published_cells_on_1000_inputs(program: Program, reference: type[nn.Module], weights: Any) -> None:
    torch.manual_seed(0)
    written = reference(3, 5).double()
    cell = build(program, 3, 5, dtype=torch.float64)
    weight_ih, weight_hh = weights(written)
    with torch.no_grad():
        cell.weight_ih.copy_(weight_ih)
        cell.weight_hh.copy_(weight_hh)
    x, h, c = draw(1, 1000, 3), draw(2, 1000, 5), draw(3, 1000, 5)
    for found, expected in zip(cell(x, (h, c)), written(x, (h, c)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
        assert expected.std() > 0.05


def test_an_lstm_is_in_the_space() -> None:
    """With the weights of all but four leaves at zero, the LSTM-like sentence is torch's LSTM cell, bias included."""
    lstm = nn.LSTMCell(3, 5, dtype=torch.float64)
    cell = build(GOLDENS["lstm_like"], 3, 5, bias=True, dtype=torch.float64)
    forget, update, candidate, output = 0, 2, 3, 4
    with torch.no_grad():
        for name, values in lstm.named_parameters():
            mine = getattr(cell, name).zero_().view(8, 5, -1)
            i, f, g, o = values.view(4, 5, -1)
            mine[update], mine[forget], mine[candidate], mine[output] = i, f, g, o
    x, state = draw(1, 7, 3), (draw(2, 7, 5), draw(3, 7, 5))
    for found, expected in zip(cell(x, state), lstm(x, state), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def random_values(program: Program, seed: int, kinks: Kinks | None = None) -> tuple[list[Array], tuple[Array, Array]]:
    """Weights, x, h and c for two features, and what the tree makes of them."""
    generator = np.random.default_rng(seed)
    num_leaves = sum(getattr(child, "name", "") == "leaf" for child in program.tree.children)
    shapes = [(num_leaves * 2, 3), (num_leaves * 2, 2), (2, 3), (2, 2), (2, 2)]
    values = [generator.uniform(-1.5, 1.5, shape) for shape in shapes]
    w, u, x, h, c = values
    return values, interpret_cell(program.tree, w, u, x, h, c, kinks)


@pytest.mark.parametrize("program", [*SAMPLES, *GOLDENS.values()], ids=lambda program: program.text)
def test_forward_and_backward_equal_the_tree(program: Program) -> None:
    for seed in range(1000):
        kinks = Kinks()
        values, expected = random_values(program, seed, kinks)
        if kinks.nearest > 1e-3:
            break
    w, u, x, h, c = (torch.from_numpy(value).requires_grad_() for value in values)
    cell = build(program, 3, 2, dtype=torch.float64)

    def run(w: Tensor, u: Tensor, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        result: tuple[Tensor, Tensor] = torch.func.functional_call(cell, {"weight_ih": w, "weight_hh": u}, (x, (h, c)))
        return result

    for found, wanted in zip(run(w, u, x, h, c), expected, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-9, atol=1e-12)
    assert torch.autograd.gradcheck(run, (w, u, x, h, c), fast_mode=True)


@pytest.mark.parametrize("name", ["nascell", "max_and_sin"])
def test_every_slope_of_a_published_cell(name: str) -> None:
    cell = build(GOLDENS[name], 2, 2, bias=True, dtype=torch.float64)
    names = [name for name, _ in cell.named_parameters()]

    def run(*values: Tensor) -> Any:
        *weights, x, h, c = values
        return torch.func.functional_call(cell, dict(zip(names, weights, strict=True)), (x, (h, c)))

    inputs = (*cell.parameters(), *(draw(seed, 2, 2).requires_grad_() for seed in (1, 2, 3)))
    assert torch.autograd.gradcheck(run, inputs)


@given(programs(WIDE))
def test_a_graph_means_what_its_tree_does(program: Program) -> None:
    (w, u, x, h, c), expected = random_values(program, 0)
    weights: dict[int, dict[str, Array]] = {}
    by_input = {"input": list(np.split(w, 8)), "h": list(np.split(u, 8))}
    for node in program.graph.nodes:
        if node.op == "project":
            source = program.graph.nodes[node.inputs[0]].attribute("name")
            weights[node.id] = {"weight": by_input[str(source)].pop(0)}
    found = interpret_graph(program.graph, {"input": x, "h": h, "c": c}, weights)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


# --- the classes ------------------------------------------------------------------------------------------------------


def test_a_cell_is_called_as_torch_s() -> None:
    """Shapes, the state that starts at zero, inputs without batch, keywords and starting values."""
    cell, lstm = build(GOLDENS["nascell"], 4, 6), nn.LSTMCell(4, 6, bias=False)
    x = torch.randn(3, 4)
    zeros = (torch.zeros(3, 6), torch.zeros(3, 6))
    assert [value.shape for value in cell(x)] == [value.shape for value in lstm(x)]
    assert all(map(torch.equal, cell(x), cell(x, zeros)))
    alone = cell(x[0])
    assert [value.shape for value in alone] == [value.shape for value in lstm(x[0])]
    torch.testing.assert_close(alone, tuple(value[0] for value in cell(x)))
    names = {name for name, _ in nn.LSTMCell(4, 6).named_parameters()}
    assert {name for name, _ in build(GOLDENS["nascell"], 4, 6, bias=True).named_parameters()} == names
    assert {name for name, _ in cell.named_parameters()} == {"weight_ih", "weight_hh"}
    bound = 6**-0.5
    values = (
        torch.cat([p.detach().flatten() for p in build(GOLDENS["nascell"], 40, 60, bias=True).parameters()]) * 60**0.5
    )
    assert float(values.abs().max()) <= 1
    # The mean of n uniform values is within 5 deviations of 0, their mean square of 1/3.
    assert abs(float(values.mean())) < 5 / (3 * values.numel()) ** 0.5
    assert abs(float(values.square().mean()) - 1 / 3) < 5 * (4 / 45 / values.numel()) ** 0.5
    cell.weight_ih.data.zero_()
    cell.reset_parameters()
    assert 0.5 * bound < float(cell.weight_ih.detach().abs().max()) <= bound
    assert build(GOLDENS["nascell"], 4, 6, device="meta").weight_hh.is_meta


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_is_its_cell_step_by_step_and_called_as_torch_s(batch_first: bool, bias: bool) -> None:
    program = GOLDENS["nascell"]
    layer: Any = build_layer(program, input_size=4, hidden_size=6, bias=bias, batch_first=batch_first)
    lstm = nn.LSTM(4, 6, bias=bias, batch_first=batch_first)
    x = torch.randn((3, 5, 4) if batch_first else (5, 3, 4))
    state = (torch.randn(1, 3, 6), torch.randn(1, 3, 6))
    outputs, last = layer(x, state)
    expected_outputs, expected_last = lstm(x, state)
    assert outputs.shape == expected_outputs.shape
    assert [value.shape for value in last] == [value.shape for value in expected_last]
    h, c = state[0][0], state[1][0]
    for step in range(5):
        h, c = layer.cell(x[:, step] if batch_first else x[step], (h, c))
        torch.testing.assert_close(outputs[:, step] if batch_first else outputs[step], h)
    torch.testing.assert_close(last, (h[None], c[None]))
    zeros = (torch.zeros(1, 3, 6), torch.zeros(1, 3, 6))
    torch.testing.assert_close(layer(x), layer(x, zeros))

    alone = x[0] if batch_first else x[:, 0]
    outputs, last = layer(alone)
    expected_outputs, expected_last = lstm(alone)
    assert outputs.shape == expected_outputs.shape
    assert [value.shape for value in last] == [value.shape for value in expected_last]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_and_copies(dtype: torch.dtype) -> None:
    program = GOLDENS["nascell"]
    torch.manual_seed(0)
    layer, twin = (build_layer(program, input_size=4, hidden_size=6, dtype=dtype) for _ in range(2))
    x = torch.randn(5, 3, 4, dtype=dtype)
    outputs, (h, c) = layer(x)
    assert {outputs.dtype, h.dtype, c.dtype} == {dtype}
    assert torch.equal(copy.deepcopy(layer)(x)[0], outputs)
    assert not torch.equal(twin(x)[0], outputs)
    twin.load_state_dict(layer.state_dict())
    assert torch.equal(twin(x)[0], outputs)
    assert torch.equal(build_layer(program, input_size=4, hidden_size=6).to(dtype)(x)[0].isfinite(), outputs.isfinite())
    outputs.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


def test_torch_compiles_a_layer_into_one_graph() -> None:
    layer = build_layer(GOLDENS["nascell"], input_size=4, hidden_size=6)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    x = torch.randn(3, 2, 4)
    torch.testing.assert_close(compiled(x), layer(x))


@pytest.mark.gpu
def test_on_the_gpu() -> None:
    layer = build_layer(GOLDENS["nascell"], input_size=4, hidden_size=6, dtype=torch.float64)
    x = draw(0, 3, 2, 4)
    expected = layer(x)[0]
    torch.testing.assert_close(layer.cuda()(x.cuda())[0].cpu(), expected)


def test_programs_count_their_weights() -> None:
    assert GOLDENS["nascell"].num_parameters == 8 * 16 * 32
    sizes = {"batch": 1, "input_size": 3, "hidden_size": 5}
    assert GOLDENS["worked_example"].graph.num_parameters(sizes) == 2 * 5 * (3 + 5)


# --- trees ------------------------------------------------------------------------------------------------------------


def word(text: str) -> Leaf:
    return Leaf("WORD", text)


def part(name: str, *words: str) -> ParseTree:
    return ParseTree(name, tuple(map(word, words)))


LEAF, NODE = part("leaf", "add", "tanh"), part("node", "elem_mult", "relu")
END = (part("inject", "add", "relu"), part("indices", "0", "0"))


def test_trees_of_any_depth() -> None:
    for depth in range(6):
        leaves = 2**depth
        tree = ParseTree("start", (*(LEAF,) * leaves, *(NODE,) * (leaves - 1), *END))
        source = TARGET.emit(TARGET.elaborate(tree), None, "")
        cell: Any = load_module(source, input_size=3, hidden_size=2, dtype=torch.float64)
        generator = np.random.default_rng(depth)
        x, h, c = (generator.normal(size=shape) for shape in ((4, 3), (4, 2), (4, 2)))
        expected = interpret_cell(tree, cell.weight_ih.detach().numpy(), cell.weight_hh.detach().numpy(), x, h, c)
        found = cell(torch.from_numpy(x), (torch.from_numpy(h), torch.from_numpy(c)))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one.detach().numpy(), other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("activation", ["gaussian", "cube", "negate", "log_abs", "softplus"])
@pytest.mark.parametrize("combination", ["sub", "gate", "min", "mul"])
def test_other_ops_of_the_table_can_be_used(combination: str, activation: str) -> None:
    parts = [part(name, combination, activation) for name in ("leaf", "leaf", "node", "inject")]
    graph = TARGET.elaborate(ParseTree("start", (*parts, part("indices", "1", "0"))))
    cell = load_module(TARGET.emit(graph, None, ""), input_size=2, hidden_size=2, dtype=torch.float64)
    weights = {
        node.id: {"weight": getattr(cell, name).detach().numpy()[2 * place : 2 * place + 2]}
        for name, source in (("weight_ih", 0), ("weight_hh", 1))
        for place, node in enumerate(n for n in graph.nodes if n.op == "project" and n.inputs == (source,))
    }
    x, h, c = (draw(seed, 5, 2) for seed in (1, 2, 3))
    expected = interpret_graph(graph, {"input": x.numpy(), "h": h.numpy(), "c": c.numpy()}, weights)
    for one, other in zip(cell(x, (h, c)), expected, strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("children", "code", "part_of_message"),
    [
        ((LEAF, LEAF, NODE, END[0]), Code.WRONG_CHILDREN, "`start`"),
        ((LEAF, LEAF, LEAF, NODE, NODE, *END), Code.WRONG_CHILDREN, "`start`"),
        ((LEAF, LEAF, *END), Code.WRONG_CHILDREN, "`start`"),
        ((LEAF, NODE, LEAF, *END), Code.WRONG_CHILDREN, "`start`"),
        (END, Code.WRONG_CHILDREN, "`start`"),
        ((None, LEAF, *END), Code.WRONG_CHILDREN, "an absent item"),
        ((word("add"), LEAF, *END), Code.WRONG_CHILDREN, "WORD `add`"),
        ((part("leef", "add", "tanh"), *END), Code.UNKNOWN_NAME, "`leef`"),
        ((part("leaf", "add"), *END), Code.WRONG_CHILDREN, "`leaf`"),
        ((ParseTree("leaf", (LEAF, word("tanh"))), *END), Code.WRONG_CHILDREN, "`leaf`"),
        ((part("leaf", "ad", "tanh"), *END), Code.UNKNOWN_NAME, "`ad`"),
        ((part("leaf", "add", "add"), *END), Code.UNKNOWN_NAME, "`add`"),
        ((part("leaf", "add", "scale"), *END), Code.UNKNOWN_NAME, "`scale`"),
        ((LEAF, END[0], part("indices", "0")), Code.WRONG_CHILDREN, "`indices`"),
        ((LEAF, END[0], ParseTree("indices", (LEAF, LEAF))), Code.WRONG_CHILDREN, "`indices`"),
        ((LEAF, END[0], part("indices", "0", "1")), Code.NO_SUCH_NODE, "`1`"),
        ((LEAF, END[0], part("indices", "-1", "0")), Code.NO_SUCH_NODE, "`-1`"),
    ],
)
def test_a_tree_without_meaning_is_a_diagnostic(
    children: tuple[ParseTree | Leaf | None, ...], code: Code, part_of_message: str
) -> None:
    with pytest.raises(DslcError) as error:
        TARGET.elaborate(ParseTree("start", children))
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is code
    assert part_of_message in diagnostic.message
    assert diagnostic.help
    assert diagnostic.notes


def test_the_nearest_word_is_offered() -> None:
    with pytest.raises(DslcError) as error:
        TARGET.elaborate(ParseTree("start", (part("leaf", "elem_mul", "tanh"), *END)))
    assert (error.value.diagnostics[0].help or "").startswith("did you mean `elem_mult`? ")
