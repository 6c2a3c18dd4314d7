# dslc.python/1
import torch
from torch import Tensor, nn


class PiecewiseLinear(nn.Module):
    """A rectifier and 2 hinges, a piecewise-linear activation function.

    Formula: h(x) = max(0, x) + sum over s = 1 to 2 of a_s * max(0, -x + b_s)
    Sentence: max(0,x) + param 0.2 * max(0,-x + param 0.5 ) + param -0.5 * max(0,-x +
        param 1 )
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Trained: slopes a and offsets b, one set a channel; num_channels=1 fits any shape.
    Source: Agostinelli et al. 2014, arXiv 1412.6830, equation 1.
    """

    def __init__(
        self,
        num_channels: int = 1,
        spatial_shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        del spatial_shape  # one set of values a channel
        slopes = torch.tensor([0.2, -0.5])
        self.slopes = nn.Parameter(slopes.view(-1, 1).repeat(1, num_channels))
        offsets = torch.tensor([0.5, 1.0])
        self.offsets = nn.Parameter(offsets.view(-1, 1).repeat(1, num_channels))

    def forward(self, x: Tensor) -> Tensor:
        # Channels are axis 1, or the only axis.
        per_channel = (1, -1, *[1] * (x.dim() - 2))[-x.dim() :]
        slopes = self.slopes.view(2, *per_channel)
        offsets = self.offsets.view(2, *per_channel)
        hinges = (slopes * torch.relu(offsets - x)).sum(0)
        return torch.relu(x) + hinges
