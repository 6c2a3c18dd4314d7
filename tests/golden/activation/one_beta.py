# dslc.python/1
import torch
from torch import Tensor, nn


class Activation(nn.Module):
    """The activation function f(x) = exp(-beta * (sigmoid(x) - asinh(x))^2).

    Sentence: x x sigmoid asinh rbf
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Trained: beta: one value a channel, 1 at the start; num_channels=1 fits any shape.
    Source: Ramachandran et al. 2017, arXiv 1710.05941, section 2.
    """

    def __init__(self, num_channels: int = 1) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        per_channel = (-1, *[1] * (x.dim() - 2))  # channels are axis 1
        sigmoid = torch.sigmoid(x)
        asinh = torch.asinh(x)
        beta = self.beta.view(per_channel)
        return torch.exp(-beta * torch.square(sigmoid - asinh))
