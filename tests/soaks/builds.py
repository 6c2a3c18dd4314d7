"""How many uniform samples of the shipped grammars are programs that run: build, forward, backward, all finite.

A start with fewer sentences than samples wanted is tried in full instead. Each sample is built with its target's
example arguments and given standard normal inputs of its graph's input shapes. A module's and a function's outputs are
added up and differentiated by the inputs and the trained tensors; an optimizer takes three steps on a small regression.
All in float32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.grammars import grammar_names
from dslc.program.graph import Graph
from dslc.program.load import explain_exception
from dslc.program.targets import Built
from dslc.program.tensor_type import REST, TensorType, size_of
from dslc.space import Program, Space

FEWER: Mapping[str, int] = {"conv_net": 4, "conv_cell": 4}
"""By target: the number of samples is divided by this where a sample is a whole network."""
SIZES: Mapping[str, int] = {"batch": 8, "height": 8, "width": 8}
"""Of the symbols in input shapes that no build argument has the name of."""
REST_SHAPE = (8, 8)
"""What stands for any number of further axes."""
INPUTS: Mapping[str, Callable[..., tuple[Any, ...]]] = {"rnn_cell": lambda input, h, c: (input, (h, c))}
"""By target: arguments of the built module where they are not the graph's inputs in order."""
STEPS = 3
"""Steps of an optimizer."""

RAISED = (Code.EMITTED_CODE_FAILED.value, Code.INTERNAL_ERROR.value)
"""Reasons that no program with a meaning may have."""
VALUE, GRADIENT, PARAMETERS = "value not finite", "gradient not finite", "parameters not finite"


def soak_builds(count: int) -> str:
    """Try `count` samples of every start of every shipped grammar that has a target; prints a row a start.

    Raises:
        AssertionError: if emitted code fails with an exception, which a program with a meaning must not.
    """
    print("| grammar | start | samples | finite | the rest | finite with even lengths |")
    print("|---|---|---|---|---|---|", flush=True)
    starts = samples = failed = 0
    for space in spaces_with_targets():
        num_samples = min(max(1, count // FEWER.get(space.target or "", 1)), space.count())
        is_all = num_samples == space.count()
        drawn = [space[index] for index in range(num_samples)] if is_all else space.samples(num_samples, seed=0)
        reasons = try_programs(drawn)
        even = None
        if has_lengths(space) and not is_all:
            even = try_programs(space.samples(num_samples, seed=0, lengths="even"))
        print(write_row(space, num_samples, reasons, even), flush=True)
        starts, samples = starts + 1, samples + num_samples * (1 if even is None else 2)
        failed += sum(reasons[code] + (even or Counter())[code] for code in RAISED)
    assert not failed, f"the code of {failed} programs raises an exception"
    return f"{samples} samples of {starts} starts, none of whose code raises an exception"


def spaces_with_targets() -> Iterator[Space]:
    """Every start of every shipped grammar that names a target."""
    for name in grammar_names():
        first = dslc.compile(name)
        if first.target is None:
            continue
        for start in first.compilation.grammar.pragmas.starts or (first.start,):
            yield dslc.compile(name, start=start)


def has_lengths(space: Space) -> bool:
    """Whether sentences differ in length, so that even lengths are another distribution than the uniform one."""
    return sum(count > 0 for count in space.counts()) > 1


def write_row(space: Space, num_samples: int, reasons: Counter[str], even: Counter[str] | None) -> str:
    """A row of the table: the share without a reason, and the reasons by number."""
    rest = ", ".join(f"{reason} × {number:,}" for reason, number in reasons.most_common()) or "none"
    samples = f"all {num_samples:,}" if num_samples == space.count() else f"{num_samples:,}"
    shares = _percent(num_samples, reasons), "same" if even is None else _percent(num_samples, even)
    return f"| {space.name} | `{space.start}` | {samples} | {shares[0]} | {rest} | {shares[1]} |"


def _percent(num_samples: int, reasons: Counter[str]) -> str:
    # Rounded down, so that 100% means all.
    return f"{1000 * (num_samples - reasons.total()) // num_samples / 10:g}%"


def try_programs(programs: Iterable[Program]) -> Counter[str]:
    """Why programs are not finite, each by its first reason; those that are have none."""
    reasons: Counter[str] = Counter()
    for number, program in enumerate(programs):
        try:
            reason = try_program(program, seed=number)
        except Exception as error:
            message = f"{program.space!r}: `{program.text}` breaks dslc: {error!r}"
            raise AssertionError(message) from error
        if reason is not None:
            reasons[reason] += 1
    return reasons


def try_program(program: Program, seed: int) -> str | None:
    """None if the program builds and runs with finite results, else a diagnostic's code or what is not finite."""
    target = program.space.meaning()
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # initial weights
    try:
        if target.builds is Built.OPTIMIZER:
            return _try_optimizer(program, generator)
        inputs = random_inputs(program.graph, target.example_arguments or {}, generator)
        arguments = {} if target.builds is Built.FUNCTION else dict(target.example_arguments or {})
        built: Any = program.build(**arguments)
    except DslcError as error:
        return error.diagnostics[0].code.value
    try:
        arrange = INPUTS.get(target.name)
        value = built(*(inputs if arrange is None else arrange(*inputs)))
        parameters = list(built.parameters()) if isinstance(built, nn.Module) else []
        return _check_value(value, [*inputs, *parameters])
    except Exception as error:
        return explain_exception(program.source, error).code.value


def random_inputs(graph: Graph, arguments: Mapping[str, Any], generator: torch.Generator) -> list[Tensor]:
    """Standard normal tensors of the shapes of the graph's inputs, which want gradients."""
    sizes = {**SIZES, **arguments}
    shapes = [_shape_of(node.type, sizes) for node in graph.inputs]
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def _shape_of(type: TensorType, sizes: Mapping[str, int]) -> tuple[int, ...]:
    shape: list[int] = []
    for dim in type.shape:
        shape.extend(REST_SHAPE if dim == REST else (size_of(dim, sizes),))
    return tuple(shape)


def _check_value(value: Any, leaves: Sequence[Tensor]) -> str | None:
    outputs = list_tensors(value)
    if not all(bool(output.isfinite().all()) for output in outputs):
        return VALUE
    total = torch.stack([output.sum() for output in outputs]).sum()
    if not total.requires_grad:  # a constant: nothing to differentiate
        return None
    gradients = torch.autograd.grad(total, leaves, allow_unused=True)
    is_finite = all(bool(gradient.isfinite().all()) for gradient in gradients if gradient is not None)
    return None if is_finite else GRADIENT


def list_tensors(value: Any) -> list[Tensor]:
    """All tensors of what a program returns: one, or nested tuples of them."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in value for tensor in list_tensors(part)]


def _try_optimizer(program: Program, generator: torch.Generator) -> str | None:
    """Three steps of least squares with a matrix and a vector."""
    target = program.space.meaning()
    inputs = torch.randn((32, 4), generator=generator)
    wanted = torch.randn((32, 3), generator=generator)
    weights = [torch.randn(shape, generator=generator).requires_grad_() for shape in ((4, 3), (3,))]
    given = {"params": weights, "lr": 0.01, "total_steps": STEPS}
    optimizer: Any = program.build(**{a.name: given[a.name] for a in target.build_arguments if a.name in given})
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = ((inputs @ weights[0] + weights[1] - wanted) ** 2).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        try:
            optimizer.step()
        except Exception as error:
            return explain_exception(program.source, error).code.value
        if not all(bool(weight.isfinite().all()) for weight in weights):
            return PARAMETERS
    return None
