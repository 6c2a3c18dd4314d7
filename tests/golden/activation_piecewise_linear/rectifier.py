# dslc.python/1
import torch
from torch import Tensor, nn


class PiecewiseLinear(nn.Module):
    """The rectifier, a piecewise-linear activation function without hinges.

    Formula: h(x) = max(0, x)
    Sentence: max(0,x)
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
        return torch.relu(x)
