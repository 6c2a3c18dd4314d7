# dslc.python/1
import torch
from torch import Tensor, nn


class PiecewiseLinear(nn.Module):
    """A rectifier and 1 hinge, a piecewise-linear activation function.

    Formula: h(x) = max(0, x) + a * max(0, -x + b)
    Sentence: max(0,x) + param_unit -0.2 * max(0,-x + param_unit 1 )
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
        per_unit = (-1, *[1] * len(unit_shape))
        slopes = torch.tensor([-0.2])
        self.slopes = nn.Parameter(slopes.view(per_unit).repeat(1, *unit_shape))
        offsets = torch.tensor([1.0])
        self.offsets = nn.Parameter(offsets.view(per_unit).repeat(1, *unit_shape))

    def forward(self, x: Tensor) -> Tensor:
        # A unit is a place in the last axes.
        unit_shape = self.slopes.shape[1:]
        per_unit = (*[1] * (x.dim() - len(unit_shape)), *unit_shape)
        slopes = self.slopes.view(-1, *per_unit)
        offsets = self.offsets.view(-1, *per_unit)
        hinges = (slopes * torch.relu(offsets - x)).sum(0)
        return torch.relu(x) + hinges
