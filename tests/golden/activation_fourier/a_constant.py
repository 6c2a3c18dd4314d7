# dslc.python/1
import torch
from torch import Tensor, nn


class FourierActivation(nn.Module):
    """A constant as an activation function: a Fourier series without harmonics.

    Formula: f(x) = S(min(max(x, -3), 3)), S(u) = 0.5
    Sentence: npf 4 1 : 0.5 + 0 cos + 0 sin
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Source: Eisenach, Wang and Liu 2016, definition 3.1 and appendix A.1.
    """

    def __init__(
        self,
        num_channels: int = 1,
        spatial_shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        del num_channels, spatial_shape  # the same function everywhere

    def forward(self, x: Tensor) -> Tensor:
        return torch.full_like(x, 0.5)
