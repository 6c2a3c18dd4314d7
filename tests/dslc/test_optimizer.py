"""The target `optimizer` against the papers' formulas, PyTorch's optimizers and a numpy interpreter of the tree."""

import ast
import copy
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.program.canonical import graph_hash
from dslc.program.interpret import interpret_graph
from dslc.program.load import explain_exception
from dslc.program.targets import get_target
from dslc.program.tree import Leaf, ParseTree
from dslc.space import Program

Array = NDArray[np.float64]
TARGET = get_target("optimizer")
GOLDEN = Path(__file__).parents[1] / "golden" / "optimizer"
STARTS = ("start", "update_once", "scheduled", "scheduled_once")
SPACES = {start: dslc.compile("optimizer", start=start) for start in STARTS}

AGREEMENT = "( sign_g sign_m identity identity mul )"
POWER_SIGN = f"{AGREEMENT} g exp identity mul"
ADD_SIGN = f"( 1 {AGREEMENT} identity identity add ) g identity identity mul"
ADAM = "adam g identity identity keep_left"
ADAM_WRITTEN_OUT = "m v identity sqrt_abs div"
RMSPROP = "rmsprop 1 identity identity keep_left"
SGD = "g 1 identity identity mul"
MOMENTUM = "m 1 identity identity keep_left"
DECAYS = ("ld", "cd", "rd_2", "rd_10", "rd_20")


def parse(text: str) -> Program:
    return SPACES["scheduled"].parse(text)


def powersign(decay: str) -> str:
    return f"( {AGREEMENT} {decay} identity identity mul ) g exp identity mul"


def addsign(decay: str) -> str:
    return f"( 1 ( {AGREEMENT} {decay} identity identity mul ) identity identity add ) g identity identity mul"


def build(text: str, params: Any, lr: float = 0.1, total_steps: int | None = None) -> torch.optim.Optimizer:
    optimizer = parse(text).build(params=params, lr=lr, total_steps=total_steps)
    assert isinstance(optimizer, torch.optim.Optimizer)
    return optimizer


def draw_parameters(*shapes: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Any]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]


def draw_gradients(parameters: Sequence[Any], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)


# --- the published formulas -------------------------------------------------------------------------------------------


def decay_factor(name: str, t: int, total: int) -> float:
    """f(t) of the published rules, as TensorFlow's code documents it; t counts from 0 and stays at the total."""
    t = min(t, total)
    if name == "":
        return 1.0
    if name == "ld":
        return (total - t) / total
    if name == "cd":
        return 0.5 * (1 + math.cos(math.pi * 2 * 0.5 * t / total))
    restarts = int(name.removeprefix("rd_"))
    return 0.5 * (1 + math.cos(math.pi * math.fmod(restarts * t, total) / total))


@pytest.mark.parametrize("decay", ["", *DECAYS])
def test_powersign_and_addsign_are_their_formulas(decay: str) -> None:
    """w <- w - lr e^(f(t) sign(g) sign(m)) g, and w <- w - lr (1 + f(t) sign(g) sign(m)) g, m <- 0.9 m + 0.1 g."""
    total, lr, count = 30, 0.1, 50
    published: dict[str, Callable[[Array, Array], Array]] = {
        powersign(decay) if decay else POWER_SIGN: lambda s, g: math.e**s * g,
        addsign(decay) if decay else ADD_SIGN: lambda s, g: (1 + s) * g,
    }
    for text, update in published.items():
        (parameter,) = draw_parameters((40,))
        optimizer = build(text, [parameter], lr, total)
        w, m = parameter.detach().numpy().copy(), np.zeros(40)
        for t in range(count):
            g = np.random.default_rng(t).normal(size=40) * (np.arange(40) > 4)  # some gradients are 0
            parameter.grad = torch.from_numpy(g)
            optimizer.step()
            m = 0.9 * m + 0.1 * g
            w = w - lr * update(decay_factor(decay, t, total) * np.sign(g) * np.sign(m), g)
            np.testing.assert_allclose(parameter.detach().numpy(), w, rtol=1e-12, atol=1e-14)


def test_decays_run_from_one_to_the_end() -> None:
    values = {name: [decay_factor(name, t, 20) for t in (0, 1, 10, 19, 20, 25)] for name in DECAYS}
    assert values["ld"] == pytest.approx([1, 0.95, 0.5, 0.05, 0, 0])
    assert values["cd"][2] == pytest.approx(0.5)
    assert values["cd"][-1] == pytest.approx(0)
    assert values["rd_2"][2] == values["rd_2"][4] == 1, "restarts"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (ADAM, torch.optim.Adam),
        (ADAM_WRITTEN_OUT, torch.optim.Adam),
        (RMSPROP, torch.optim.RMSprop),
        (SGD, torch.optim.SGD),
    ],
)
def test_known_optimizers_are_pytorch_s(text: str, reference: Any) -> None:
    shapes = ((3, 4), (5,), ())
    ours, theirs = draw_parameters(*shapes), draw_parameters(*shapes)
    one, other = build(text, ours, 0.02), reference(theirs, lr=0.02)
    for step in range(60):
        draw_gradients(ours, step)
        draw_gradients(theirs, step)
        if step % 7 == 3:
            ours[1].grad = theirs[1].grad = None  # a parameter is as old as its updates
        one.step()
        other.step()
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


def test_both_sentences_for_adam_are_one_program() -> None:
    assert parse(ADAM).hash == parse(ADAM_WRITTEN_OUT).hash != parse(RMSPROP).hash
    assert parse("g v identity sqrt_abs div").hash != parse(RMSPROP).hash, "its mean of g^2 is another"


def test_momentum_is_the_corrected_mean() -> None:
    (parameter,) = draw_parameters((6,))
    w, m = parameter.detach().numpy().copy(), np.zeros(6)
    optimizer = build(MOMENTUM, [parameter], 0.3)
    for t in range(1, 9):
        draw_gradients([parameter], t)
        m = 0.9 * m + 0.1 * parameter.grad.numpy()
        w = w - 0.3 * m / (1 - 0.9**t)
        optimizer.step()
        np.testing.assert_allclose(parameter.detach().numpy(), w, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        (POWER_SIGN, "exp(sign(g) * sign(m)) * g"),
        (ADD_SIGN, "(1 + sign(g) * sign(m)) * g"),
        (powersign("cd"), "exp(sign(g) * sign(m) * cd) * g"),
        (addsign("rd_10"), "(1 + sign(g) * sign(m) * rd_10) * g"),
        (
            f"( {AGREEMENT} g exp clip_1e-4 add ) g identity identity mul",
            "(exp(sign(g) * sign(m)) + clip(g, 1e-4)) * g",
        ),
        ("m v identity exp mul", "m * exp(v)"),
        (f"g {AGREEMENT} drop_0.3 exp mul", "drop(g, 0.3) * exp(sign(g) * sign(m))"),
        ("g m identity drop_0.3 add", "(g + drop(m, 0.3))"),
        ("m g^3 drop_0.1 exp mul", "drop(m, 0.1) * exp(g^3)"),
        (f"adam {AGREEMENT} identity exp mul", "m / (sqrt(v) + 1e-8) * exp(sign(g) * sign(m))"),
        ("rmsprop m clip_1e-5 drop_0.3 add", "(clip(g / (sqrt(r) + 1e-8), 1e-5) + drop(m, 0.3))"),
        ("g g^2 identity clip_1e-4 sub", "(g - clip(g^2, 1e-4))"),
    ],
)
def test_every_rule_that_the_paper_found_is_a_sentence(text: str, formula: str) -> None:
    program = parse(text)
    assert TARGET.write_formula(program.graph) == f"w <- w - lr * {formula}"
    assert f"w <- w - lr * {formula}." in " ".join(program.source.text.split()) or formula in " ".join(
        program.source.text.split()
    )


# --- an interpreter of the tree ---------------------------------------------------------------------------------------


class TreeRule:
    """A sentence as numpy computes it for one tensor: words in order, running means as their definitions say.

    `jitter` multiplies every value by 1 ± a few of the last digit, which shows where a value hangs on its rounding.
    """

    def __init__(self, tree: ParseTree, lr: float, total: int, jitter: np.random.Generator | None = None) -> None:
        self.tree, self.lr, self.total, self.jitter = tree, lr, total, jitter
        self.sums = {"m": 0.0, "v": 0.0, "y": 0.0, "r": 0.0}
        self.t = 0

    def step(self, w: Array, g: Array) -> Array:
        for name, power, decay in (("m", 1, 0.9), ("v", 2, 0.999), ("y", 3, 0.999), ("r", 2, 0.99)):
            self.sums[name] = self.sums[name] * decay + (1 - decay) * g**power  # type: ignore[assignment]
        self.t += 1
        with np.errstate(all="ignore"):
            update = np.broadcast_to(self.value(self.tree, w, g), g.shape)
            return np.asarray(w - self.lr * update)

    def value(self, tree: ParseTree, w: Array, g: Array) -> Any:
        result = np.asarray(self._value(tree, w, g))
        if self.jitter is None:
            return result
        return result * (1 + 1e-15 * self.jitter.uniform(-1, 1, result.shape))

    def _value(self, tree: ParseTree, w: Array, g: Array) -> Any:
        corrected = {
            name: self.sums[name] / (1 - decay**self.t) for name, decay in (("m", 0.9), ("v", 0.999), ("y", 0.999))
        }
        done = self.t - 1
        match tree.name:
            case "gradient":
                return g
            case "gradient_square":
                return g * g
            case "gradient_cube":
                return g * g * g
            case "mean":
                return corrected["m"]
            case "mean_square":
                return corrected["v"]
            case "mean_cube":
                return corrected["y"]
            case "sign_gradient":
                return np.sign(g)
            case "sign_mean":
                return np.sign(corrected["m"])
            case "one" | "two":
                return 1.0 if tree.name == "one" else 2.0
            case "noise":
                return 0.01 * torch.randn(g.shape, dtype=torch.float64).numpy()
            case "annealed_noise":
                return torch.randn(g.shape, dtype=torch.float64).numpy() / (1 + done) ** 0.55
            case "weight_1e_4" | "weight_1e_3" | "weight_1e_2" | "weight_1e_1":
                return w / 10 ** int(tree.name[-1])
            case "adam":
                return corrected["m"] / (np.sqrt(corrected["v"]) + 0.00000001)
            case "rmsprop":
                return g / (np.sqrt(self.sums["r"]) + 0.00000001)
            case "linear_decay":
                return decay_factor("ld", done, self.total)
            case "cosine_decay":
                return decay_factor("cd", done, self.total)
            case "restart_decay_2" | "restart_decay_10" | "restart_decay_20":
                return decay_factor(f"rd_{tree.name.removeprefix('restart_decay_')}", done, self.total)
            case "update":
                return self._update(tree, w, g)
        (child,) = tree.children  # the start
        assert isinstance(child, ParseTree)
        return self.value(child, w, g)

    def _update(self, tree: ParseTree, w: Array, g: Array) -> Any:
        first, second, one, other, binary = (child for child in tree.children if isinstance(child, ParseTree))
        a = self.value(first, w, g)
        if binary.name == "keep_left":
            return self._unary(one.name, a, g)
        b = self.value(second, w, g)
        a, b = self._unary(one.name, a, g), self._unary(other.name, b, g)
        match binary.name:
            case "add":
                return a + b
            case "sub":
                return a - b
            case "mul":
                return a * b
            case "div":
                return a / (b + 0.00000001)
            case "pow":
                return np.power(a, b)
        raise AssertionError(binary.name)

    def _unary(self, name: str, x: Any, g: Array) -> Any:
        match name:
            case "identity":
                return x
            case "negate":
                return 0 - x
            case "exp":
                return np.e**x
            case "log_abs":
                return np.log(np.abs(x))
            case "sqrt_abs":
                return np.abs(x) ** 0.5
            case "sign":
                return np.sign(x)
            case "clip_1e_5" | "clip_1e_4" | "clip_1e_3":
                return np.minimum(np.maximum(x, -(10.0 ** -int(name[-1]))), 10.0 ** -int(name[-1]))
            case "drop_0_1" | "drop_0_3" | "drop_0_5":
                kept = functional.dropout(torch.ones(g.shape, dtype=torch.float64), int(name[-1]) / 10)
                return x * kept.numpy()
        raise AssertionError(name)


SAMPLES = [
    program
    for seed, (start, count) in enumerate(
        (("start", 60), ("update_once", 40), ("scheduled", 60), ("scheduled_once", 40))
    )
    for program in SPACES[start].samples(count, seed=seed, lengths="even")
]


def test_200_samples_hold_every_word() -> None:
    words = {word for program in SAMPLES for word in program.text.split()}
    assert len(SAMPLES) == 200
    assert len(words - {"(", ")"}) == 23 + 12 + 6


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_200_samples_equal_an_interpreter_of_their_trees() -> None:
    """Step by step, with the noise of both drawn from the same seed; the state is carried, the weights are compared."""
    num_checked = num_values = 0
    for number, program in enumerate(SAMPLES):
        (parameter,) = draw_parameters((3, 4), seed=number)
        total, lr = 3, 0.1
        optimizer = program.build(params=[parameter], lr=lr, total_steps=total)
        assert isinstance(optimizer, torch.optim.Optimizer)
        rule, shaken = (TreeRule(program.tree, lr, total, jitter) for jitter in (None, np.random.default_rng(number)))
        for step in range(4):
            draw_gradients([parameter], 100 * number + step)
            with torch.no_grad():
                parameter.clamp_(-3, 3).nan_to_num_(0.5)
            w, g = parameter.detach().numpy().copy(), parameter.grad.numpy()
            results = []
            for one in (rule, shaken):
                torch.manual_seed(step)
                results.append(one.step(w, g))
            torch.manual_seed(step)
            optimizer.step()
            found, (expected, other) = parameter.detach().numpy(), results
            is_stable = np.isclose(expected, other, rtol=1e-10, atol=1e-11, equal_nan=True)
            np.testing.assert_allclose(
                found[is_stable], expected[is_stable], rtol=1e-8, atol=1e-9, err_msg=f"{program.text}, step {step}"
            )
            num_checked += int(is_stable.sum())
            num_values += is_stable.size
    assert num_checked > 0.95 * num_values


def test_the_graph_means_the_same() -> None:
    """Graphs of sentences without random parts, in numpy, against the interpreter of the tree."""
    num_checked = 0
    for number, program in enumerate(SAMPLES):
        if any(word in program.text for word in ("noise", "drop")):
            continue
        generator = np.random.default_rng(number)
        rule = TreeRule(program.tree, 1.0, 9)
        w = generator.normal(size=5)
        for _ in range(3):
            g = generator.normal(size=5)
            expected = w - rule.step(w, g)
        inputs = {name: rule.sums[name] for name in ("m", "v", "y", "r")}
        corrected = {"m": 1 - 0.9**3, "v": 1 - 0.999**3, "y": 1 - 0.999**3, "r": 1.0}
        means = {name: np.asarray(value / corrected[name]) for name, value in inputs.items()}
        numbers = {"t": np.asarray(2.0), "T": np.asarray(9.0)}
        with np.errstate(all="ignore"):
            (update,) = interpret_graph(program.graph, {"w": w, "g": g, **means, **numbers})
        found = w - (w - np.broadcast_to(update, w.shape))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6, err_msg=program.text)
        num_checked += 1
    assert num_checked > 40


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5])
def test_drop_keeps_the_mean(probability: float) -> None:
    (parameter,) = draw_parameters((200_000,))
    parameter.data.zero_()
    parameter.grad = torch.ones_like(parameter)
    build(f"g 1 drop_{probability} identity mul", [parameter], 1.0).step()
    values = -parameter.detach()
    assert values.unique().tolist() == pytest.approx([0.0, 1 / (1 - probability)])
    # Five deviations of the share of 200,000 independent draws.
    bound = 5 * math.sqrt(probability * (1 - probability) / 200_000)
    assert float((values == 0).double().mean()) == pytest.approx(probability, abs=bound)


@pytest.mark.parametrize(("operand", "step", "deviation"), [("noise", 0, 0.01), ("annealed_noise", 6, 7**-0.55)])
def test_noise_is_normal(operand: str, step: int, deviation: float) -> None:
    (parameter,) = draw_parameters((200_000,))
    parameter.grad = torch.ones_like(parameter)
    optimizer = build(f"{operand} 1 identity identity mul", [parameter], 1.0)
    for _ in range(step + 1):
        parameter.data.zero_()
        optimizer.step()
    values = parameter.detach() / deviation
    assert float(values.mean()) == pytest.approx(0, abs=5 / math.sqrt(200_000))
    assert float(values.var()) == pytest.approx(1, abs=5 * math.sqrt(2 / 200_000))
    assert float((values.abs() < 1).double().mean()) == pytest.approx(0.6827, abs=0.006)


def test_two_draws_of_one_word_are_two_draws() -> None:
    (parameter,) = draw_parameters((50,))
    parameter.data.zero_()
    parameter.grad = torch.ones_like(parameter)
    build("noise noise identity identity sub", [parameter]).step()
    assert (parameter != 0).all()
    assert parse("noise noise identity identity sub").hash != parse("g g identity identity sub").hash
    assert parse("( noise g identity identity mul ) g identity identity sub").source.text.count("randn_like") == 1


# --- what people expect of an optimizer -------------------------------------------------------------------------------

EVERYTHING = "( adam rmsprop identity drop_0.1 add ) ( y 1e-2w identity exp mul ) identity identity sub"
QUIET = [ADAM, RMSPROP, POWER_SIGN, ADD_SIGN, powersign("rd_10"), "y 1e-2w identity exp mul", MOMENTUM]


@pytest.mark.parametrize("text", QUIET)
def test_lists_of_tensors_equal_one_tensor_at_a_time(text: str) -> None:
    shapes = ((3, 4), (5,), (), (0, 2), (2, 3, 2))
    together, alone = draw_parameters(*shapes), draw_parameters(*shapes)
    one = build(text, together, total_steps=8)
    others = [build(text, [parameter], total_steps=8) for parameter in alone]
    for step in range(10):
        draw_gradients(together, step)
        draw_gradients(alone, step)
        one.step()
        for other in others:
            other.step()
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("text", [*QUIET, EVERYTHING])
def test_a_saved_state_goes_on_as_if_nothing_had_happened(text: str, tmp_path: Path) -> None:
    ours, theirs = draw_parameters((3, 4), (5,)), draw_parameters((3, 4), (5,))
    one = build(text, ours, total_steps=10)
    for step in range(4):
        draw_gradients(ours, step)
        one.step()
    torch.save(one.state_dict(), tmp_path / "state.pt")
    for a, b in zip(ours, theirs, strict=True):
        b.data.copy_(a.data)
    other = build(text, theirs, lr=99.0, total_steps=10)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for step in range(4, 12):
        draw_gradients(ours, step)
        draw_gradients(theirs, step)
        torch.manual_seed(step)
        one.step()
        torch.manual_seed(step)
        other.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)


def test_deepcopy_has_state_and_schedule_of_its_own() -> None:
    holder = {"parameters": draw_parameters((4,))}
    holder["optimizer"] = build(powersign("ld"), holder["parameters"], total_steps=6)  # type: ignore[assignment]
    draw_gradients(holder["parameters"], 0)
    holder["optimizer"].step()  # type: ignore[attr-defined]
    twin = copy.deepcopy(holder)
    for one in (holder, twin):
        draw_gradients(one["parameters"], 1)
    twin["optimizer"].step()  # type: ignore[attr-defined]
    assert not torch.equal(holder["parameters"][0], twin["parameters"][0])
    holder["optimizer"].step()  # type: ignore[attr-defined]
    assert torch.equal(holder["parameters"][0], twin["parameters"][0])


def test_only_the_means_that_the_rule_uses_are_kept() -> None:
    kept = {
        SGD: set(),
        POWER_SIGN: {"mean_g"},
        MOMENTUM: {"step", "mean_g"},
        ADAM: {"step", "mean_g", "mean_g2"},
        RMSPROP: {"fast_mean_g2"},
        "y v identity identity keep_left": {"step", "mean_g3"},
    }
    for text, names in kept.items():
        parameters = draw_parameters((3,))
        optimizer = build(text, parameters)
        draw_gradients(parameters, 0)
        optimizer.step()
        assert set(optimizer.state[parameters[0]]) == names, text


def test_groups_have_learning_rates_of_their_own_and_can_be_added() -> None:
    a, b, c = draw_parameters((3,), (3,), (3,))
    before = [parameter.detach().clone() for parameter in (a, b, c)]
    optimizer = build("g ld identity identity mul", [{"params": [a]}, {"params": [b], "lr": 0.5}], 0.1, total_steps=4)
    for parameter in (a, b, c):
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.add_param_group({"params": [c], "lr": 0.2})
    optimizer.step()
    # Steps 0 and 1 of 4; the late group is as far in the schedule as the others.
    for parameter, start, moved in zip((a, b, c), before, (0.1 * 1.75, 0.5 * 1.75, 0.2 * 0.75), strict=True):
        torch.testing.assert_close(parameter, start - moved)


def test_schedulers_of_the_learning_rate_work() -> None:
    (parameter,) = draw_parameters((3,))
    before = parameter.detach().clone()
    optimizer = build(SGD, [parameter], 1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    for _ in range(3):
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        scheduler.step()
    torch.testing.assert_close(parameter, before - 1.75)
    assert scheduler.get_last_lr() == [0.125]
    tensor_rate = build(SGD, [parameter], torch.tensor(0.25))  # type: ignore[arg-type]
    tensor_rate.step()
    torch.testing.assert_close(parameter, before - 2.0)


def test_the_closure_is_called_with_gradients_and_its_loss_returned() -> None:
    (parameter,) = draw_parameters((3,))
    optimizer = build(ADAM, [parameter])

    def closure() -> float:
        optimizer.zero_grad()
        loss = (parameter**2).sum()
        loss.backward()
        return float(loss.detach())

    losses = [optimizer.step(closure) for _ in range(200)]
    assert losses[0] > 0.1 > 1e-3 > losses[-1]
    assert optimizer.step() is None


def test_parameters_without_gradient_stay_and_do_not_age() -> None:
    used, unused = draw_parameters((3,), (3,))
    before = unused.detach().clone()
    optimizer = build(ADAM, [used, unused])
    for step in range(3):
        draw_gradients([used], step)
        optimizer.step()
    assert torch.equal(unused, before)
    assert unused not in optimizer.state
    draw_gradients([unused], 0)
    optimizer.step()
    assert [optimizer.state[parameter]["step"] for parameter in (used, unused)] == [4, 1]
    torch.testing.assert_close(unused, before - 0.1 * unused.grad.sign(), rtol=0, atol=1e-6)


def test_sparse_gradients_are_refused_by_name() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3, 4))
    parameter.grad = torch.eye(3, 4).to_sparse()
    optimizer = build(ADAM, [parameter])
    with pytest.raises(RuntimeError, match=r"UpdateRule takes no sparse gradient of a parameter of shape \(3, 4\)"):
        optimizer.step()
    assert not optimizer.state


@pytest.mark.parametrize("text", [*QUIET, EVERYTHING])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_dtypes_may_be_mixed(text: str, dtype: torch.dtype) -> None:
    parameters = [*draw_parameters((3, 4), (2,), dtype=dtype), *draw_parameters((5,), dtype=torch.float32)]
    optimizer = build(text, parameters, 0.01, total_steps=5)
    for step in range(3):
        draw_gradients(parameters, step)
        optimizer.step()
    for parameter in parameters:
        assert torch.isfinite(parameter).all()
        state = [value for value in optimizer.state[parameter].values() if isinstance(value, torch.Tensor)]
        assert all((value.dtype, value.shape) == (parameter.dtype, parameter.shape) for value in state)


@pytest.mark.parametrize("text", [powersign("ld"), addsign("rd_20")])
def test_a_rule_that_decays_needs_total_steps(text: str) -> None:
    (parameter,) = draw_parameters((3,))
    for total_steps in (None, 0):
        with pytest.raises(DslcError) as error:
            build(text, [parameter], total_steps=total_steps)
        (diagnostic,) = error.value.diagnostics
        assert diagnostic.code is Code.EMITTED_CODE_FAILED
        assert "total_steps is to be a number from 1, as the rule decays" in diagnostic.message
    build("annealed_noise g identity identity add", [parameter])  # knows t, but no T


@pytest.mark.parametrize("lr", [-0.1, math.nan])
def test_a_learning_rate_is_a_number_from_0(lr: float) -> None:
    with pytest.raises(DslcError, match="not a number from 0"):
        build(ADAM, draw_parameters((3,)), lr)


def test_the_class_takes_the_arguments_that_the_target_names() -> None:
    with pytest.raises(DslcError) as error:
        parse(ADAM).build(parameters=[])
    assert [d.code for d in error.value.diagnostics] == [Code.MISSING_ARGUMENT] * 2 + [Code.UNKNOWN_ARGUMENT]
    assert [argument.name for argument in TARGET.build_arguments] == ["params", "lr", "total_steps"]
    assert TARGET.example_arguments is None
    assert parse(ADAM).num_parameters is None


def test_compiled_steps_do_the_same() -> None:
    """A rule without a count is compiled once; one with a count is compiled for each of its values, up to a limit."""
    num_graphs = {}
    for text in (POWER_SIGN, ADAM):
        graphs: list[Any] = []

        def count(module: Any, _: Any, graphs: list[Any] = graphs) -> Any:
            graphs.append(module)
            return module.forward

        ours, theirs = draw_parameters((3, 4), (5,)), draw_parameters((3, 4), (5,))
        one, other = build(text, ours), build(text, theirs)
        draw_gradients(ours, 0)
        draw_gradients(theirs, 0)
        torch._dynamo.reset()
        compiled = torch.compile(one.step, backend=count)
        for _ in range(5):
            compiled()
            other.step()
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b)
        num_graphs[text] = len(graphs)
    assert num_graphs[POWER_SIGN] <= 2
    assert num_graphs[ADAM] <= 5


# --- the source -------------------------------------------------------------------------------------------------------

CASES = {
    "adam": ADAM,
    "rmsprop": RMSPROP,
    "sgd": SGD,
    "powersign": POWER_SIGN,
    "addsign_restarts": addsign("rd_10"),
    "clipped_rmsprop_and_dropped_momentum": "rmsprop m clip_1e-5 drop_0.3 add",
    "long": "( annealed_noise ld exp log_abs pow ) ( ( v 2 sqrt_abs exp div ) y negate identity sub ) "
    "drop_0.5 clip_1e-3 div",
}
UNARY = ["identity", "negate", "exp", "log_abs", "sqrt_abs", "clip_1e-5", "clip_1e-4", "clip_1e-3"]
UNARY += ["drop_0.1", "drop_0.3", "drop_0.5", "sign"]
BINARY = ["add", "sub", "mul", "div", "pow", "keep_left"]
OPERANDS = ["ld", "v", "noise", "rd_2", "adam", "1e-4w"]
EVERY_FUNCTION = [
    f"( g^3 m {unary} {unary} {binary} ) ( {operand} 2 exp {unary} {binary} ) {unary} identity {binary}"
    for unary in UNARY
    for binary, operand in zip(BINARY, OPERANDS, strict=True)
]


def emitted() -> list[Program]:
    return [*SAMPLES, *(parse(text) for text in (*CASES.values(), *EVERY_FUNCTION))]


@pytest.mark.parametrize("name", CASES)
def test_golden_files(name: str) -> None:
    path, text = GOLDEN / f"{name}.py", parse(CASES[name]).source.text
    if os.environ.get("DSLC_REFRESH_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text
    assert {found.stem for found in GOLDEN.glob("*.py")} == set(CASES)


def test_ruff_finds_nothing_and_would_format_nothing(tmp_path: Path) -> None:
    for number, program in enumerate(emitted()):
        (tmp_path / f"sample_{number}.py").write_text(program.source.text)
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if ruff is None:
        pytest.skip("ruff is not installed")
    rules = "E,W,F,I,UP,B,A,C4,SIM,RUF,N,ARG,PIE,RET,PERF,D1,D2,D3,D4,ANN,PL"
    ignored = "D203,D213,D100,D102,D107,D413,PLR2004"
    commands = [
        ["check", "--isolated", "--no-cache", "--line-length", "88", "--select", rules, "--ignore", ignored],
        *(["format", "--check", "--isolated", "--no-cache", "--line-length", str(n)] for n in (88, 100, 120)),
    ]
    for command in commands:
        done = subprocess.run([ruff, *command, str(tmp_path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_one_class_that_needs_only_torch_without_dead_code() -> None:
    for program in emitted():
        module = ast.parse(program.source.text)
        *imports, definition = module.body
        assert isinstance(definition, ast.ClassDef)
        assert [base.id for base in definition.bases if isinstance(base, ast.Name)] == ["Optimizer"]
        modules = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module or "" for node in imports if isinstance(node, ast.ImportFrom)}
        known = {"torch", "torch.nn", "torch.optim.optimizer", "collections", "collections.abc", "typing", "math"}
        assert modules <= known
        assert max(len(line.split("  # type:")[0]) for line in program.source.text.splitlines()) <= 88
        (update,) = [node for node in definition.body if isinstance(node, ast.FunctionDef) and node.name == "_update"]
        names = [node for node in ast.walk(update) if isinstance(node, ast.Name)]
        stored = [node.id for node in names if isinstance(node.ctx, ast.Store) and node.id != "x"]
        loaded = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        assert len(stored) == len(set(stored)), "every value has a name of its own"
        assert set(stored) <= loaded, "every value is used"


def test_the_docstring_has_formula_sentence_and_source() -> None:
    for program in emitted():
        definition = ast.parse(program.source.text).body[-1]
        assert isinstance(definition, ast.ClassDef)
        words = " ".join((ast.get_docstring(definition) or "").split())
        assert f"Sentence: {program.text} " in words
        assert "Source: Bello et al. 2017, arXiv 1709.07417." in words
        formula = TARGET.write_formula(program.graph)
        assert formula is None or formula in words


def test_every_computing_line_is_mapped() -> None:
    for program in emitted():
        lines = program.source.text.splitlines()
        begin = next(number for number, line in enumerate(lines, start=1) if 'lr = float(group["lr"])' in line)
        for number, line in enumerate(lines[begin:], start=begin + 1):
            if line.strip() not in ("", ")") and "total_steps = group" not in line and "done = min(" not in line:
                origin = program.source.origin(number)
                assert origin is not None, line
                assert origin.rule
        assert program.source.origin(1) is None


def test_an_exception_names_rule_and_sentence() -> None:
    (parameter,) = draw_parameters((3,))
    program = parse(POWER_SIGN)
    optimizer = program.build(params=[parameter], lr=0.1)
    assert isinstance(optimizer, torch.optim.Optimizer)
    draw_gradients([parameter], 0)
    optimizer.step()
    optimizer.state[parameter]["mean_g"] = torch.zeros(5, dtype=torch.float64)  # not of the parameter's shape
    with pytest.raises(RuntimeError) as error:
        optimizer.step()
    diagnostic = explain_exception(program.source, error.value)
    assert diagnostic.code is Code.EMITTED_CODE_FAILED
    assert "`sign_mean`, token 3 of the sentence" in " ".join(diagnostic.notes)
    assert any(POWER_SIGN in note for note in diagnostic.notes)


def test_emitted_source_runs_where_dslc_is_not(tmp_path: Path) -> None:
    (tmp_path / "rule.py").write_text(parse(ADAM).source.text)
    code = (
        "import sys; sys.modules['dslc'] = None; sys.path.insert(0, sys.argv[1]); import torch\n"
        "from rule import UpdateRule; w = torch.nn.Parameter(torch.ones(2)); w.grad = torch.ones(2)\n"
        "UpdateRule([w], lr=0.5).step(); print([round(x, 6) for x in w.tolist()])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[0.5, 0.5]\n", done.stderr


def test_names_of_the_class() -> None:
    graph = parse(ADAM).graph
    assert "\nclass Adam(Optimizer):\n" in TARGET.emit(graph, "Adam", "").text
    for name in ("Optimizer", "defaultdict", "class", "a b"):
        with pytest.raises(DslcError) as error:
            TARGET.emit(graph, name, "")
        assert error.value.diagnostics[0].code is Code.BAD_CLASS_NAME


# --- the graph --------------------------------------------------------------------------------------------------------


def test_equal_values_are_computed_once_and_dropped_ones_not_at_all() -> None:
    twice = parse(f"{AGREEMENT} {AGREEMENT} exp exp add")
    assert sum(node.op == "exp" for node in twice.graph) == 1
    left = parse("g ( v noise identity exp pow ) sign identity keep_left")
    assert [node.op for node in left.graph] == ["input", "sign"]
    assert left.hash == parse("sign_g 1 identity identity keep_left").hash
    assert parse("g 1 identity identity mul").hash == parse("g 2 identity identity keep_left").hash


@pytest.mark.parametrize(
    "text", ["1 2 exp log_abs pow", "( ( ( 2 2 exp exp mul ) 1 exp exp mul ) 1 exp exp mul ) 1 exp exp mul"]
)
def test_an_update_may_be_one_number_also_beyond_the_largest(text: str) -> None:
    (parameter,) = draw_parameters((3,))
    parameter.data.zero_()
    draw_gradients([parameter], 0)
    build(text, [parameter], 1.0).step()
    rule = TreeRule(parse(text).tree, 1.0, 1)
    np.testing.assert_allclose(parameter.detach().numpy(), rule.step(np.zeros(3), np.ones(3)), rtol=1e-9)


def test_very_deep_sentences() -> None:
    leaf, identity = ParseTree("gradient", ()), ParseTree("exp", ())
    tree = leaf
    for _ in range(3000):
        tree = ParseTree("update", (tree, leaf, identity, identity, ParseTree("add", ())))
    graph = TARGET.elaborate(tree)
    assert len(graph) > 6000
    assert TARGET.write_formula(graph) is None
    assert "def _update" in TARGET.emit(graph, None, "").text
    assert len(graph_hash(graph)) == 64


def update(*names: str, first: ParseTree | None = None) -> ParseTree:
    operand = first or ParseTree(names[0], ())
    return ParseTree("update", (operand, *(ParseTree(name, ()) for name in names[1:])))


@pytest.mark.parametrize(
    ("tree", "code", "part"),
    [
        (update("gradient", "momentum", "identity", "identity", "add"), Code.UNKNOWN_NAME, "`momentum`"),
        (update("gradient", "one", "cosine", "identity", "add"), Code.UNKNOWN_NAME, "`cosine`"),
        (update("gradient", "one", "identity", "identity", "plus"), Code.UNKNOWN_NAME, "`plus`"),
        (update("gradient", "grad", "identity", "identity", "keep_left"), Code.UNKNOWN_NAME, "`grad`"),
        (ParseTree("start", (ParseTree("rule", ()),)), Code.UNKNOWN_NAME, "`rule`"),
        (ParseTree("start", ()), Code.WRONG_CHILDREN, "`start`"),
        (update("gradient", "one", "identity", "add"), Code.WRONG_CHILDREN, "`update`"),
        (ParseTree("update", (Leaf("A", "a"),) * 5), Code.WRONG_CHILDREN, "A `a`"),
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


def test_a_drawing_can_be_made() -> None:
    svg = parse(powersign("ld")).draw().svg
    assert "linear_decay" in svg
