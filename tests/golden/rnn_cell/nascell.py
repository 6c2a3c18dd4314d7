# dslc.python/1
import torch
from torch import Tensor, nn


class RecurrentCell(nn.Module):
    """A recurrent cell, a tree of 8 leaves, called like nn.LSTMCell.

    Sentence: add sigmoid , add relu , add sigmoid , elem_mult relu , add tanh , add
        sigmoid , add tanh , add sigmoid / elem_mult tanh , add tanh , elem_mult tanh ,
        add sigmoid / elem_mult identity , add tanh / elem_mult tanh / inject add tanh /
        cell 12 , 8
    Shapes: input [batch, input_size], state (h, c) [batch, hidden_size] each, zeros if
        None, to the next (h, c); or all of them without batch.
    Weights: leaf k has rows k * hidden_size to (k + 1) * hidden_size of weight_ih and
        of weight_hh; all start uniform in +-1 / sqrt(hidden_size), as in nn.LSTMCell.
        bias=True adds bias_ih and bias_hh, which the paper has not.
    Memory: c enters at node 8; the next c is the value of node 12 before its
        activation.
    Source: Zoph and Le 2017, arXiv 1611.01578, section 3.4.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        rows = 8 * hidden_size
        weight = torch.empty(rows, input_size, device=device, dtype=dtype)
        self.weight_ih = nn.Parameter(weight)
        self.weight_hh = nn.Parameter(weight.new_empty(rows, hidden_size))
        if bias:
            self.bias_ih = nn.Parameter(weight.new_empty(rows))
            self.bias_hh = nn.Parameter(weight.new_empty(rows))
        else:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw everything uniformly from +-1 / sqrt(hidden_size)."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(
        self,
        input: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Compute the next h and c."""
        if state is None:
            zeros = input.new_zeros(*input.shape[:-1], self.hidden_size)
            state = (zeros, zeros)
        from_input = nn.functional.linear(input, self.weight_ih, self.bias_ih)
        return self.step(from_input, state)

    def step(
        self,
        from_input: Tensor,
        state: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Compute the next h and c from the product of the input with weight_ih."""
        h, c = state
        from_h = nn.functional.linear(h, self.weight_hh, self.bias_hh)
        x_part = from_input.chunk(8, dim=-1)
        h_part = from_h.chunk(8, dim=-1)
        leaf_0 = torch.sigmoid(x_part[0] + h_part[0])
        leaf_1 = torch.relu(x_part[1] + h_part[1])
        leaf_2 = torch.sigmoid(x_part[2] + h_part[2])
        leaf_3 = torch.relu(x_part[3] * h_part[3])
        leaf_4 = torch.tanh(x_part[4] + h_part[4])
        leaf_5 = torch.sigmoid(x_part[5] + h_part[5])
        leaf_6 = torch.tanh(x_part[6] + h_part[6])
        leaf_7 = torch.sigmoid(x_part[7] + h_part[7])
        node_8 = torch.tanh(leaf_0 * leaf_1)
        node_8_with_c = torch.tanh(node_8 + c)
        node_9 = torch.tanh(leaf_2 + leaf_3)
        node_10 = torch.tanh(leaf_4 * leaf_5)
        node_11 = torch.sigmoid(leaf_6 + leaf_7)
        next_c = node_8_with_c * node_9
        node_13 = torch.tanh(node_10 + node_11)
        next_h = torch.tanh(next_c * node_13)
        return next_h, next_c


class RecurrentLayer(nn.Module):
    """RecurrentCell over whole sequences, called like an nn.LSTM of one layer.

    Shapes: input [time, batch, input_size], or [batch, time, input_size] with
        batch_first, state (h, c) [1, batch, hidden_size] each, zeros if None, to every
        step's h, in the order of the input's axes, and the last (h, c); or all of them
        without batch.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = False,
        batch_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.cell = RecurrentCell(input_size, hidden_size, bias, device, dtype)

    def forward(
        self,
        input: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Compute every h, and the last c."""
        cell = self.cell
        time = 1 if self.batch_first and input.dim() == 3 else 0
        # One product for all steps: only h has to be waited for.
        from_input = nn.functional.linear(input, cell.weight_ih, cell.bias_ih)
        steps = from_input.unbind(time)
        if state is None:
            h = c = input.new_zeros(*steps[0].shape[:-1], cell.hidden_size)
        else:
            h, c = state[0].squeeze(0), state[1].squeeze(0)
        outputs = []
        for step in steps:
            h, c = cell.step(step, (h, c))
            outputs.append(h)
        return torch.stack(outputs, time), (h.unsqueeze(0), c.unsqueeze(0))
