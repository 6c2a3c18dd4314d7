# dslc.python/1
import torch
from torch import Tensor, nn


class FourierActivation(nn.Module):
    """A Fourier series of 2 harmonics with constant tails, as an activation function.

    Formula: f(x) = S(min(max(x, -3), 3)), S(u) = 0.5 + sin(pi u / 4) - 0.1 * cos(2 pi u
        / 4) + 0.2 * sin(2 pi u / 4)
    Sentence: npf 4 1 : 0.5 + 0 cos + 1 sin + -0.1 cos + 0.2 sin
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
        inside = torch.clamp(x, -3, 3)  # constant beyond that interval
        angle = torch.pi / 4 * inside
        harmonic_1 = torch.sin(angle)
        harmonic_2 = -0.1 * torch.cos(2 * angle) + 0.2 * torch.sin(2 * angle)
        return 0.5 + harmonic_1 + harmonic_2
