"""The recurrence and its hand-written gradient, against torch's own LSTM and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dslc.controller.recurrence import run_layer


def make_layer(time: int, batch: int, width: int, size: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Random inputs, weight, bias and recurrent weight in float64, all with gradients."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((time, batch, width), (width, 4 * size), (4 * size,), (size, 4 * size))
    return tuple(torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes)


def as_torch_lstm(weight: Tensor, bias: Tensor, recurrent: Tensor) -> nn.LSTM:
    """torch's layer with the same weights: its gates are input, forget, new, output, and its matrices transposed."""
    lstm = nn.LSTM(len(weight), len(recurrent)).double()
    with torch.no_grad():
        for target, source in ((lstm.weight_ih_l0, weight), (lstm.weight_hh_l0, recurrent), (lstm.bias_ih_l0, bias)):
            out, into, keep, new = source.chunk(4, -1)
            target.copy_(torch.cat((into, keep, new, out), -1).t() if source.dim() == 2 else torch.cat((into, keep, new, out)))
        lstm.bias_hh_l0.zero_()
    return lstm


@pytest.mark.parametrize(("time", "batch"), [(1, 1), (7, 3), (24, 5)])
def test_hidden_states_and_gradients_equal_torch(time: int, batch: int) -> None:
    inputs, weight, bias, recurrent = make_layer(time, batch, 5, 6)
    lstm = as_torch_lstm(weight, bias, recurrent)
    same_inputs = inputs.detach().clone().requires_grad_()
    expected, _ = lstm(same_inputs)
    hidden = run_layer(inputs, weight, bias, recurrent)
    torch.testing.assert_close(hidden, expected)
    upstream = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    hidden.backward(upstream)
    expected.backward(upstream)
    torch.testing.assert_close(inputs.grad, same_inputs.grad)
    assert recurrent.grad is not None
    assert lstm.weight_hh_l0.grad is not None
    into, keep, new, out = lstm.weight_hh_l0.grad.t().chunk(4, 1)
    torch.testing.assert_close(recurrent.grad, torch.cat((out, into, keep, new), 1))


def test_gradients_equal_finite_differences() -> None:
    assert torch.autograd.gradcheck(run_layer, make_layer(4, 2, 3, 2))


def test_the_layer_leaves_its_arguments_alone_and_runs_backward_twice() -> None:
    arguments = make_layer(5, 2, 3, 4)
    copies = [argument.detach().clone() for argument in arguments]
    total = run_layer(*arguments).sum()
    first = torch.autograd.grad(total, arguments, retain_graph=True)
    second = torch.autograd.grad(total, arguments)
    for one, other in zip((*first, *arguments), (*second, *copies), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
