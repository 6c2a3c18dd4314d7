# dslc.python/1
import torch
from torch import Tensor, nn


class Activation(nn.Module):
    """The activation function f(x) = x * sigmoid((beta_1 * x) + beta_2).

    Sentence: x ( x x scale constant add ) identity sigmoid mul
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Trained: beta_1, beta_2: one value a channel, 1 at the start; num_channels=1 fits
        any shape.
    Source: Ramachandran et al. 2017, arXiv 1710.05941, section 2.
    """

    def __init__(self, num_channels: int = 1) -> None:
        super().__init__()
        self.beta_1 = nn.Parameter(torch.ones(num_channels))
        self.beta_2 = nn.Parameter(torch.ones(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        per_channel = (-1, *[1] * (x.dim() - 2))  # channels are axis 1
        beta_1 = self.beta_1.view(per_channel)
        scaled = beta_1 * x
        beta_2 = self.beta_2.view(per_channel)
        constant = beta_2.expand_as(x)
        total = scaled + constant
        sigmoid = torch.sigmoid(total)
        return x * sigmoid
