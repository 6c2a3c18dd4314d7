# dslc.python/1
import torch
from torch import Tensor, nn


class PiecewiseLinear(nn.Module):
    """A rectifier and 1 hinge, a piecewise-linear activation function.

    Formula: h(x) = max(0, x) + a * max(0, -x + b)
    Sentence: max(0,x) + param_layer 0.1 * max(0,-x + param_layer 0 )
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Trained: slopes a and offsets b, one set for all channels and places.
    Source: Agostinelli et al. 2014, arXiv 1412.6830, equation 1.
    """

    def __init__(
        self,
        num_channels: int = 1,
        spatial_shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        del num_channels, spatial_shape  # one set of values for all
        slopes = torch.tensor([0.1])
        self.slopes = nn.Parameter(slopes)
        self.offsets = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        slopes = self.slopes.view(-1, *[1] * x.dim())
        offsets = self.offsets.view(-1, *[1] * x.dim())
        hinges = (slopes * torch.relu(offsets - x)).sum(0)
        return torch.relu(x) + hinges
