# dslc.python/1
import torch
from torch import Tensor, nn


class FourierActivation(nn.Module):
    """A Fourier series of 1 harmonic with constant tails, as an activation function.

    Formula: f(x) = S(min(max(x, -2), 2)), S(u) = sin(pi u / 2)
    Sentence: npf 2 0 : 0 + 0 cos + 1 sin + 0 cos + 0 sin
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
        inside = torch.clamp(x, -2, 2)  # constant beyond that interval
        angle = torch.pi / 2 * inside
        return torch.sin(angle)
