# dslc.python/1
import torch
from torch import Tensor, nn


class PiecewiseLinear(nn.Module):
    """A rectifier and 2 hinges, a piecewise-linear activation function.

    Formula: h(x) = max(0, x) + sum over s = 1 to 2 of a_s * max(0, -x + b_s)
    Sentence: max(0,x) + param_unit random * max(0,-x + param_unit random ) + param_unit
        random * max(0,-x + param_unit random )
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Trained: slopes a and offsets b, one set a unit, which is a place in [num_channels,
        *spatial_shape]; the defaults fit any shape.
    Source: Agostinelli et al. 2014, arXiv 1412.6830, equation 1.
    """

    def __init__(
        self,
        num_channels: int = 1,
        spatial_shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        unit_shape = (num_channels, *spatial_shape)
        self.slopes = nn.Parameter(torch.empty(2, *unit_shape).uniform_(-0.5, 0.5))
        self.offsets = nn.Parameter(torch.empty(2, *unit_shape).normal_(std=0.5))

    def forward(self, x: Tensor) -> Tensor:
        # A unit is a place in the last axes.
        unit_shape = self.slopes.shape[1:]
        per_unit = (*[1] * (x.dim() - len(unit_shape)), *unit_shape)
        slopes = self.slopes.view(-1, *per_unit)
        offsets = self.offsets.view(-1, *per_unit)
        hinges = (slopes * torch.relu(offsets - x)).sum(0)
        return torch.relu(x) + hinges
