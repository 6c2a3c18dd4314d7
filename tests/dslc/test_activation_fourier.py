"""The target `activation_fourier` against the paper's definition, written by hand in PyTorch and in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.program.fit_tanh import fit_tanh
from dslc.program.interpret import interpret_graph
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
    NonparametricFourier,
    fit_tanh_by_hand,
    interpret_series,
    numbers_of,
    shaped_like,
)

NAME = "activation_fourier"
TARGET = get_target(NAME)
SCOPES = {"": "channel", "_layer": "layer", "_unit": "unit"}
SPACES = {
    start: dslc.compile(NAME, start=start)
    for start in ("start", *(f"{s}{e}" for s in ("trained", "tanh") for e in SCOPES))
}
SAMPLES = [
    *SPACES["start"].samples(60, seed=0, lengths="even"),
    *(p for k, end in enumerate(SCOPES) for p in SPACES[f"trained{end}"].samples(35, seed=k, lengths="even")),
    *(p for k, end in enumerate(SCOPES) for p in SPACES[f"tanh{end}"].samples(15, seed=k, lengths="even")),
]
SHAPE = (4, 3, 2, 5)
UNITS = {"num_channels": 3, "spatial_shape": (2, 5)}
GOLDEN_SENTENCES = {
    "constants": ("start", "npf 4 1 : 0.5 + 0 cos + 1 sin + -0.1 cos + 0.2 sin"),
    "a_constant": ("start", "npf 4 1 : 0.5 + 0 cos + 0 sin"),
    "a_sine": ("start", "npf 2 0 : 0 + 0 cos + 1 sin + 0 cos + 0 sin"),
    "one_set_a_channel": (
        "trained",
        "npf 4 1 : param 0.1 + param 0 cos + param 1 sin + param -0.5 cos + param 0.2 sin",
    ),
    "one_set_for_all": ("trained_layer", "npf 8 0 : param_layer -1 + param_layer 0.5 cos + param_layer 0.1 sin"),
    "one_set_a_unit": ("trained_unit", "npf 4 0 : param_unit 0 + param_unit 0 cos + param_unit 1 sin"),
    "fit_of_tanh": ("tanh", "npf 4 1 : param tanh" + 5 * " + param tanh cos + param tanh sin"),
}


def scope_of(program: dslc.Program) -> str | None:
    start = program.space.start
    return None if start == "start" else next(SCOPES[end] for end in ("_layer", "_unit", "") if start.endswith(end))


# --- equal to the paper -----------------------------------------------------------------------------------------------


def test_samples_cover_every_start_interval_and_number_of_harmonics() -> None:
    assert len(SAMPLES) >= 200
    assert {program.space.start for program in SAMPLES} == set(SPACES)
    assert {len(program.tree.children) - 2 for program in SAMPLES} == set(range(1, 6))
    assert len({tuple(program.text.split()[1:3]) for program in SAMPLES}) == 6


def test_forward_and_backward_equal_the_definition() -> None:
    for seed, program in enumerate(SAMPLES):
        scope = scope_of(program)
        module = build(program, **UNITS).double()
        draw_parameters(module, seed)
        half_period = float(program.text.split()[1])
        x = np.random.default_rng(seed).uniform(-1.3 * half_period, 1.3 * half_period, SHAPE)
        trained = {name: p.detach().numpy() for name, p in module.named_parameters()}
        if scope is None:
            expected = interpret_series(program.tree, x)
        else:
            (mean,) = shaped_like(trained["mean"][None], x, scope)
            cosines, sines = (shaped_like(trained[name], x, scope) for name in ("cosines", "sines"))
            expected = interpret_series(program.tree, x, mean, cosines, sines)
        found = module(torch.from_numpy(x))
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-9, atol=1e-11, err_msg=program.text)
        (meant,) = interpret_graph(program.graph, {"x": x}, {program.graph.outputs[0]: trained})
        np.testing.assert_allclose(meant, expected, rtol=1e-9, atol=1e-11, err_msg=program.text)
        if seed % 4 == 0 and "torch.full_like" not in program.source.text:
            check_gradients(module, torch.from_numpy(x[:, :, :1, :2]) if scope != "unit" else torch.from_numpy(x))


@pytest.mark.parametrize("half_period", [2, 4, 8])
@pytest.mark.parametrize("margin", [0, 1])
def test_given_coefficients_equal_the_hand_written_module_on_1000_inputs(half_period: int, margin: int) -> None:
    generator = torch.Generator().manual_seed(0)
    program = SPACES["trained"].parse(f"npf {half_period} {margin} : param 0" + 5 * " + param 0 cos + param 0 sin")
    module = build(program, num_channels=7).double()
    a, b = (torch.randn(n, 7, generator=generator, dtype=torch.float64) for n in (6, 5))
    module.load_state_dict({"mean": a[0], "cosines": a[1:], "sines": b})
    reference = NonparametricFourier(half_period, margin, a, b)
    x = 1.5 * half_period * torch.randn(1000, 7, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(module(x), reference(x), rtol=1e-10, atol=1e-10)
    module(x).square().sum().backward()
    reference(x).square().sum().backward()
    found = dict(module.named_parameters())
    torch.testing.assert_close(found["mean"].grad, reference.a.grad[0] if reference.a.grad is not None else None)
    torch.testing.assert_close(found["cosines"].grad, reference.a.grad[1:] if reference.a.grad is not None else None)
    torch.testing.assert_close(found["sines"].grad, reference.b.grad)


def test_tails_are_constant_and_join_the_series() -> None:
    for program in SAMPLES[::7]:
        module = build(program).double()
        draw_parameters(module, 0)
        half_period, margin = (float(word) for word in program.text.split()[1:3])
        end = half_period - margin
        x = torch.tensor([-1e6, -2 * end, -end - 1e-9, -end, -end + 1e-9], dtype=torch.float64)
        for points in (x, -x):
            values = module(points).detach()
            assert torch.equal(values[:3], values[3].expand(3)), "constant beyond the end"
            assert abs(float(values[4] - values[3])) < 1e-6, "continuous at the end"
            inside = points.requires_grad_()
            (slopes,) = torch.autograd.grad(module(inside).sum() + 0 * inside.sum(), inside)
            assert (slopes[:3] == 0).all()
            points.requires_grad_(False)


@pytest.mark.parametrize("end", SCOPES)
def test_untrained_values_are_those_of_the_sentence(end: str) -> None:
    for program in SPACES[f"trained{end}"].samples(10, seed=5):
        half_period, margin, mean, *rest = numbers_of(program.tree)
        x = torch.linspace(-5, 5, 120, dtype=torch.float64).view(SHAPE)
        a, b = (torch.tensor(values, dtype=torch.float64).view(-1, 1) for values in ([mean, *rest[::2]], rest[1::2]))
        expected = NonparametricFourier(half_period, margin, a, b)(x).detach()
        for arguments in ({}, UNITS):
            torch.testing.assert_close(build(program, **arguments).double()(x), expected, rtol=1e-6, atol=1e-6)
        (meant,) = interpret_graph(program.graph, {"x": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(meant), expected)


# --- the fit of tanh --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half_period", [2, 4, 8])
@pytest.mark.parametrize("margin", [0, 1])
@pytest.mark.parametrize("num_harmonics", [1, 3, 5])
def test_the_fit_of_tanh_is_least_squares(half_period: int, margin: int, num_harmonics: int) -> None:
    fit, error = fit_tanh_by_hand(half_period, margin, num_harmonics)
    found = fit_tanh(float(half_period), float(margin), num_harmonics)
    zeros = [0.0] * (num_harmonics + 1)
    np.testing.assert_allclose([*zeros, *found], fit, atol=2e-4)  # the last is ill-conditioned for L = 2
    program = SPACES["tanh"].parse(
        f"npf {half_period} {margin} : param tanh" + num_harmonics * " + param tanh cos + param tanh sin"
    )
    end = half_period - margin
    x = torch.linspace(-end, end, 2001)
    assert float((build(program)(x).detach() - torch.tanh(x)).abs().max()) == pytest.approx(error, abs=1e-4)


def test_the_fit_is_closer_than_the_coefficients_on_the_whole_period() -> None:
    """What `fit_tanh` says of the two readings of the paper, for NPF(4, 1) and 5 harmonics."""
    u = np.linspace(-3, 3, 2001)
    long = np.linspace(-4, 4, 20_001)  # the integrand is 0 at both ends, so the trapezoid rule is a mean
    sines = [2 * np.mean(np.tanh(long[:-1]) * np.sin(i * np.pi * long[:-1] / 4)) for i in range(1, 6)]
    errors = [
        np.abs(sum(b * np.sin(i * np.pi * u / 4) for i, b in enumerate(fit, start=1)) - np.tanh(u)).max()
        for fit in (sines, fit_tanh(4.0, 1.0, 5))
    ]
    assert [round(float(error), 3) for error in errors] == [0.103, 0.015]


def test_words_and_numbers_may_stand_together() -> None:
    text = """//! target activation_fourier
start: "npf" interval value harmonic
interval: L T
harmonic: value value
value: START -> param
L: "4"
T: "1"
START: "tanh" | "0.5"
"""
    program = dslc.compile_text(text).parse("npf41tanh0.5tanh")
    module = build(program)
    values = {name: value.tolist() for name, value in module.named_parameters()}
    assert values["mean"] == [0.0]
    assert values["cosines"] == [[0.5]]
    assert values["sines"][0][0] == pytest.approx(fit_tanh(4.0, 1.0, 1)[0])


def test_a_fit_without_an_interval_is_flat() -> None:
    assert fit_tanh(4.0, 4.0, 3) == (0.0, 0.0, 0.0)


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
    channel = build(SPACES["tanh"][0], num_channels=5)
    unit = build(SPACES["tanh_unit"][0], **UNITS)
    draw_parameters(channel, 0)
    draw_parameters(unit, 0)
    x = torch.full((2, 5), -0.5)
    assert len(set(channel(x)[0].tolist())) == 5
    assert torch.equal(channel(x)[0], channel(x[0])), "without a batch as well"
    assert len(set(unit(torch.full((1, 3, 2, 5), -0.5)).flatten().tolist())) == 30


@pytest.mark.parametrize("start", SPACES)
def test_dtypes_copies_states_and_compilation(start: str) -> None:
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    check_module(SPACES[start].sample(seed=2), x, UNITS)


def test_trailing_constant_harmonics_of_0_are_one_program() -> None:
    space = SPACES["start"]
    one = space.parse("npf 4 1 : 0 + 0 cos + 1 sin")
    other = space.parse("npf 4 1 : 0 + 0 cos + 1 sin + 0 cos + 0 sin")
    trained = [SPACES["trained"].parse("npf 4 1 : param 0" + k * " + param 0 cos + param 0 sin") for k in (1, 2)]
    assert one.hash == other.hash
    assert trained[0].hash != trained[1].hash, "what is 0 before training need not stay so"


# --- the source -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN_SENTENCES)
def test_golden_files(name: str) -> None:
    start, sentence = GOLDEN_SENTENCES[name]
    check_golden(f"{NAME}/{name}", SPACES[start].parse(sentence).source.text)


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in (GOLDEN / NAME).glob("*.py")} == set(GOLDEN_SENTENCES)


def test_sources_are_clean(tmp_path: Path) -> None:
    sources = [program.source for program in SAMPLES]
    for kind in ("constant", "param", "param_layer", "param_unit"):
        many = series("4", "0.5", *((kind, f"0.1234{i}") for i in range(1, 26)))
        sources.append(TARGET.emit(TARGET.elaborate(many), None, "twelve"))
    for source in sources:
        check_source(source, "definition 3.1")
    check_ruff(tmp_path, sources)


def test_formulas_and_curves() -> None:
    graphs = {name: SPACES[start].parse(text).graph for name, (start, text) in GOLDEN_SENTENCES.items()}
    written = {name: TARGET.write_formula(graph) for name, graph in graphs.items()}
    assert written["constants"] == (
        "f(x) = S(min(max(x, -3), 3)), S(u) = 0.5 + sin(pi u / 4) - 0.1 * cos(2 pi u / 4) + 0.2 * sin(2 pi u / 4)"
    )
    assert written["a_constant"] == "f(x) = S(min(max(x, -3), 3)), S(u) = 0.5"
    assert written["fit_of_tanh"] == (
        "f(x) = S(min(max(x, -3), 3)), "
        "S(u) = a_0 + sum over i = 1 to 5 of a_i * cos(i pi u / 4) + b_i * sin(i pi u / 4)"
    )
    assert TARGET.plot_inputs(graphs["fit_of_tanh"]) == (-5.0, 5.0)


# --- sentences without meaning ----------------------------------------------------------------------------------------


def series(half_period: str, margin: str, *values: tuple[str, str]) -> ParseTree:
    """A tree from names of nodes and literals: the mean, then cosine and sine of each harmonic."""
    interval = ParseTree("interval", (Leaf("L", half_period), Leaf("T", margin)))
    mean, *rest = (ParseTree(name, (Leaf("NUMBER", text),)) for name, text in values)
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return ParseTree("start", (interval, mean, *(ParseTree("harmonic", pair) for pair in pairs)))


ONE = ("constant", "1")


@pytest.mark.parametrize(
    ("tree", "code", "part"),
    [
        (ParseTree("start", ()), Code.WRONG_CHILDREN, "nothing"),
        (series("4", "1", ONE), Code.WRONG_CHILDREN, "`start`"),
        (ParseTree("start", (ParseTree("range", ()),) * 3), Code.UNKNOWN_NAME, "`range`"),
        (ParseTree("start", (ParseTree("interval", ()),) * 3), Code.WRONG_CHILDREN, "`interval`"),
        (series("0", "0", ONE, ONE, ONE), Code.NOT_A_NUMBER, "a number above 0"),
        (series("wide", "0", ONE, ONE, ONE), Code.NOT_A_NUMBER, "`wide`"),
        (series("4", "5", ONE, ONE, ONE), Code.NOT_A_NUMBER, "from 0 to L = 4"),
        (series("4", "-1", ONE, ONE, ONE), Code.NOT_A_NUMBER, "from 0 to L = 4"),
        (series("4", "1", ONE, ONE, ("param", "1")), Code.MIXED_VALUES, "`constant` and `param`"),
        (series("4", "1", ONE, ("constant", "tanh"), ONE), Code.NOT_A_NUMBER, "`tanh` is not a number"),
        (series("4", "1", ONE, ("fixed", "1"), ONE), Code.UNKNOWN_NAME, "`fixed`"),
        (ParseTree("start", (*series("4", "1", ONE).children, ParseTree("wave", ()))), Code.UNKNOWN_NAME, "`wave`"),
        (
            ParseTree("start", (*series("4", "1", ONE).children, ParseTree("harmonic", ()))),
            Code.WRONG_CHILDREN,
            "nothing",
        ),
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
