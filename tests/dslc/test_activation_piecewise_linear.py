"""The target `activation_piecewise_linear` against the paper's formula, written by hand in PyTorch and in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.program.interpret import interpret_graph
from dslc.program.op_rules import Draw, Spread
from dslc.program.targets import get_target
from dslc.program.tree import Leaf, ParseTree
from tests.dslc.emitted_series import (
    GOLDEN,
    build,
    check_golden,
    check_gradients,
    check_module,
    check_ruff,
    check_source,
    draw_parameters,
)
from tests.dslc.series_references import (
    AdaptivePiecewiseLinear,
    interpret_hinges,
    numbers_of,
    shaped_like,
)

NAME = "activation_piecewise_linear"
TARGET = get_target(NAME)
SCOPES = {"": "channel", "_layer": "layer", "_unit": "unit"}
SPACES = {
    start: dslc.compile(NAME, start=start)
    for start in ("start", *(f"{s}{e}" for s in ("trained", "random") for e in SCOPES))
}
SAMPLES = [
    *SPACES["start"].samples(60, seed=0, lengths="even"),
    *(p for k, end in enumerate(SCOPES) for p in SPACES[f"trained{end}"].samples(40, seed=k, lengths="even")),
    *(p for end in SCOPES for k in range(7) for p in [SPACES[f"random{end}"][k % 5]]),
]
SHAPE = (4, 3, 2, 5)
UNITS = {"num_channels": 3, "spatial_shape": (2, 5)}
GOLDEN_SENTENCES = {
    "rectifier": ("start", "max(0,x)"),
    "leaky": ("start", "max(0,x) + -0.1 * max(0,-x + 0 )"),
    "three_constant_hinges": (
        "start",
        "max(0,x) + 0.2 * max(0,-x + 0.5 ) + -1 * max(0,-x + -1 ) + 1 * max(0,-x + 0 )",
    ),
    "one_set_a_channel": (
        "trained",
        "max(0,x) + param 0.2 * max(0,-x + param 0.5 ) + param -0.5 * max(0,-x + param 1 )",
    ),
    "one_set_for_all": ("trained_layer", "max(0,x) + param_layer 0.1 * max(0,-x + param_layer 0 )"),
    "one_set_a_unit": ("trained_unit", "max(0,x) + param_unit -0.2 * max(0,-x + param_unit 1 )"),
    "as_published": (
        "random_unit",
        "max(0,x)" + 2 * " + param_unit random * max(0,-x + param_unit random )",
    ),
}


def scope_of(program: dslc.Program) -> str | None:
    start = program.space.start
    return None if start == "start" else next(SCOPES[end] for end in ("_layer", "_unit", "") if start.endswith(end))


# --- equal to the paper -----------------------------------------------------------------------------------------------


def test_samples_cover_every_start_scope_and_number_of_hinges() -> None:
    assert len(SAMPLES) >= 200
    assert {program.space.start for program in SAMPLES} == set(SPACES)
    assert {len(program.tree.children) for program in SAMPLES} == set(range(6))


def test_forward_and_backward_equal_the_formula() -> None:
    for seed, program in enumerate(SAMPLES):
        scope = scope_of(program)
        module = build(program, **UNITS).double()
        draw_parameters(module, seed)
        x = np.random.default_rng(seed).uniform(-3, 3, SHAPE)
        trained = {name: p.detach().numpy() for name, p in module.named_parameters()}
        parts = {name: shaped_like(values, x, scope) for name, values in trained.items()} if scope else {}
        expected = interpret_hinges(program.tree, x, **parts)
        found = module(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=program.text)
        node = program.graph.nodes[-1].inputs[-1] if len(program.graph) > 2 else 0
        (meant,) = interpret_graph(program.graph, {"x": x}, {node: trained})
        np.testing.assert_allclose(meant, expected, rtol=1e-12, atol=1e-12, err_msg=program.text)
        if seed % 2 == 0:  # a kink within 1e-6 of one of 120 values is as good as impossible
            check_gradients(module, torch.from_numpy(x[:, :, :1, :2]) if scope != "unit" else torch.from_numpy(x))


@pytest.mark.parametrize("end", SCOPES)
def test_untrained_values_are_those_of_the_sentence(end: str) -> None:
    for program in SPACES[f"trained{end}"].samples(10, seed=5):
        numbers = list(numbers_of(program.tree))
        x = torch.linspace(-2, 2, 120, dtype=torch.float64).view(SHAPE)
        reference = AdaptivePiecewiseLinear(
            torch.tensor(numbers[::2]).double().view(-1, 1), torch.tensor(numbers[1::2]).double().view(-1, 1)
        )
        for arguments in ({}, UNITS):
            module = build(program, **arguments)
            torch.testing.assert_close(module.double()(x), reference(x).detach(), rtol=1e-6, atol=1e-6)
        (meant,) = interpret_graph(program.graph, {"x": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(meant), reference(x).detach())


def test_given_slopes_and_offsets_equal_the_hand_written_module_on_1000_inputs() -> None:
    generator = torch.Generator().manual_seed(0)
    for num_hinges in (1, 2, 5):  # those of the paper
        programs = SPACES["random_unit"].samples(40, seed=1)
        module = next(build(p, num_channels=7) for p in programs if len(p.tree.children) == num_hinges).double()
        slopes, offsets = (torch.randn(num_hinges, 7, generator=generator, dtype=torch.float64) for _ in range(2))
        module.load_state_dict({"slopes": slopes, "offsets": offsets})
        reference = AdaptivePiecewiseLinear(slopes, offsets)
        x = torch.randn(1000, 7, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(module(x), reference(x), rtol=1e-12, atol=1e-12)
        module(x).square().sum().backward()
        reference(x).square().sum().backward()
        for (name, found), (_, expected) in zip(module.named_parameters(), reference.named_parameters(), strict=True):
            torch.testing.assert_close(found.grad, expected.grad, msg=name)


def test_random_values_are_drawn_as_published() -> None:
    """Uniform slopes have variance 1/12 and stay within a half; offsets have deviation 0.5: bounds of 5 deviations."""
    program = max(SPACES["random_unit"].samples(40, seed=1), key=lambda program: len(program.tree.children))
    torch.manual_seed(0)
    module = build(program, num_channels=20, spatial_shape=(20, 10))
    values = dict(module.named_parameters())
    assert [(name, tuple(value.shape)) for name, value in values.items()] == [
        ("slopes", (5, 20, 20, 10)),
        ("offsets", (5, 20, 20, 10)),
    ]
    slopes, offsets = values["slopes"].detach().double(), values["offsets"].detach().double()
    n = slopes.numel()
    assert float(slopes.abs().max()) <= 0.5
    assert abs(float(slopes.mean())) < 5 * (1 / 12 / n) ** 0.5
    assert abs(float(slopes.var()) - 1 / 12) < 5 * (1 / 180 / n) ** 0.5
    assert abs(float(offsets.mean())) < 5 * 0.5 / n**0.5
    assert abs(float(offsets.std()) - 0.5) < 5 * 0.5 / (2 * n) ** 0.5
    initial = [parameter.initial for node in program.graph for parameter in node.parameters]
    assert initial == [Draw(Spread.UNIFORM, 0.5), Draw(Spread.NORMAL, 0.5)]


def test_the_same_hinges_in_another_order_are_one_program() -> None:
    space = SPACES["start"]
    one = space.parse("max(0,x) + 0.2 * max(0,-x + 0.5 ) + 1 * max(0,-x + -1 )")
    other = space.parse("max(0,x) + 1 * max(0,-x + -1 ) + 0.2 * max(0,-x + 0.5 )")
    assert one.hash == other.hash
    assert len({program.hash for program in [one, space.parse("max(0,x)"), *SPACES["random"].samples(1, seed=0)]}) == 3
    trained = [SPACES[f"trained{end}"][0].hash for end in SCOPES]
    assert len(set(trained)) == 3, "the scope is part of the program"


def test_a_hinge_of_slope_0_is_left_out() -> None:
    tree = hinges(("constant", "0"), ("constant", "1"), ("constant", "0.5"), ("constant", "0"))
    graph = TARGET.elaborate(tree)
    assert TARGET.write_formula(graph) == "h(x) = max(0, x) + 0.5 * max(0, -x)"


# --- the module -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", SPACES)
@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 2, 2)])
def test_the_defaults_fit_any_shape(start: str, shape: tuple[int, ...]) -> None:
    module = build(SPACES[start].sample(seed=1)).double()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    result = module(x)
    assert result.shape == x.shape
    torch.testing.assert_close(module(x.reshape(1, -1)), result.reshape(1, -1))


def test_channels_and_units_have_values_of_their_own() -> None:
    channel = build(SPACES["trained"][0], num_channels=5)
    unit = build(SPACES["trained_unit"][0], **UNITS)
    draw_parameters(channel, 0)
    draw_parameters(unit, 0)
    x = torch.full((2, 5), -1.0)
    assert len(set(channel(x)[0].tolist())) > 2
    assert torch.equal(channel(x)[0], channel(x[0])), "without a batch as well"
    assert len(set(unit(torch.full((1, 3, 2, 5), -1.0)).flatten().tolist())) > 10


@pytest.mark.parametrize("start", SPACES)
def test_dtypes_copies_states_and_compilation(start: str) -> None:
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    check_module(SPACES[start].sample(seed=2), x, UNITS)


# --- the source -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN_SENTENCES)
def test_golden_files(name: str) -> None:
    start, sentence = GOLDEN_SENTENCES[name]
    check_golden(f"{NAME}/{name}", SPACES[start].parse(sentence).source.text)


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in (GOLDEN / NAME).glob("*.py")} == set(GOLDEN_SENTENCES)


def test_sources_are_clean(tmp_path: Path) -> None:
    sources = [program.source for program in SAMPLES]
    many = hinges(*(pair for s in range(30) for pair in (("constant", f"0.{s + 1}"), ("constant", f"{s}"))))
    sources.append(TARGET.emit(TARGET.elaborate(many), None, "thirty"))
    long = hinges(*(pair for s in range(12) for pair in (("param", f"0.1234{s + 1}"), ("param", f"{s}.98765"))))
    sources.append(TARGET.emit(TARGET.elaborate(long), None, "twelve"))
    for source in sources:
        check_source(source, "arXiv 1412.6830")
    check_ruff(tmp_path, sources)


def test_formulas_and_curves() -> None:
    formula = {name: SPACES[start].parse(text) for name, (start, text) in GOLDEN_SENTENCES.items()}
    written = {name: TARGET.write_formula(program.graph) for name, program in formula.items()}
    assert written["rectifier"] == "h(x) = max(0, x)"
    assert written["three_constant_hinges"] == (
        "h(x) = max(0, x) - max(0, -x - 1) + max(0, -x) + 0.2 * max(0, -x + 0.5)"
    )
    assert written["as_published"] == "h(x) = max(0, x) + sum over s = 1 to 2 of a_s * max(0, -x + b_s)"
    assert TARGET.plot_inputs(formula["leaky"].graph) == (-3.0, 3.0)
    assert TARGET.plot_inputs(formula["as_published"].graph) is None, "drawn at random: there is no one curve"


# --- sentences without meaning ----------------------------------------------------------------------------------------


def hinges(*values: tuple[str, str]) -> ParseTree:
    """A tree of hinges from names of nodes and literals, slope and offset in turn."""
    nodes = [ParseTree(name, (Leaf("NUMBER", text),)) for name, text in values]
    return ParseTree("start", tuple(ParseTree("hinge", pair) for pair in zip(nodes[::2], nodes[1::2], strict=True)))


@pytest.mark.parametrize(
    ("tree", "code", "part"),
    [
        (ParseTree("start", (ParseTree("bend", ()),)), Code.UNKNOWN_NAME, "`bend`"),
        (ParseTree("start", (Leaf("A", "a"),)), Code.WRONG_CHILDREN, "A `a`"),
        (ParseTree("start", (ParseTree("hinge", ()),)), Code.WRONG_CHILDREN, "`hinge`"),
        (hinges(("constant", "1"), ("fixed", "1")), Code.UNKNOWN_NAME, "`fixed`"),
        (hinges(("constant", "1"), ("constant", "big")), Code.NOT_A_NUMBER, "`big` is not a number"),
        (hinges(("constant", "1"), ("constant", "nan")), Code.NOT_A_NUMBER, "`nan`"),
        (hinges(("constant", "random"), ("constant", "1")), Code.NOT_A_NUMBER, "`random` is not a number"),
        (hinges(("param", "randon"), ("param", "1")), Code.NOT_A_NUMBER, "a number or `random`"),
        (hinges(("constant", "1"), ("param", "1")), Code.MIXED_VALUES, "`constant` and `param`"),
        (hinges(("param_unit", "1"), ("param", "1")), Code.MIXED_VALUES, "`param_unit` and `param`"),
        (hinges(("param", "1"), ("param", "random")), Code.MIXED_VALUES, "that starts at `random`"),
        (ParseTree("start", (ParseTree("hinge", (ParseTree("constant", ()),) * 2),)), Code.WRONG_CHILDREN, "nothing"),
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
