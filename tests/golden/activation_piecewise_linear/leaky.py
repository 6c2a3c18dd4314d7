# dslc.python/1
import torch
from torch import Tensor, nn


class PiecewiseLinear(nn.Module):
    """A rectifier and 1 hinge, a piecewise-linear activation function.

    Formula: h(x) = max(0, x) - 0.1 * max(0, -x)
    Sentence: max(0,x) + -0.1 * max(0,-x + 0 )
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Source: Agostinelli et al. 2014, arXiv 1412.6830, equation 1.
    """

    def __init__(
        self,
        num_channels: int = 1,
        spatial_shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        del num_channels, spatial_shape  # the same function everywhere

    def forward(self, x: Tensor) -> Tensor:
        hinge_1 = -0.1 * torch.relu(-x)
        return torch.relu(x) + hinge_1
