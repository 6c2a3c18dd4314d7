# dslc.python/1
import torch
from torch import Tensor, nn


class FourierActivation(nn.Module):
    """A Fourier series of 1 harmonic with constant tails, as an activation function.

    Formula: f(x) = S(min(max(x, -8), 8)), S(u) = a_0 + a_1 * cos(pi u / 8) + b_1 *
        sin(pi u / 8)
    Sentence: npf 8 0 : param_layer -1 + param_layer 0.5 cos + param_layer 0.1 sin
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Trained: mean a_0, cosines a and sines b, one set for all channels and places.
    Source: Eisenach, Wang and Liu 2016, definition 3.1 and appendix A.1.
    """

    def __init__(
        self,
        num_channels: int = 1,
        spatial_shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        del num_channels, spatial_shape  # one set of values for all
        self.mean = nn.Parameter(torch.full((), -1.0))
        cosines = torch.tensor([0.5])
        self.cosines = nn.Parameter(cosines)
        sines = torch.tensor([0.1])
        self.sines = nn.Parameter(sines)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mean
        cosines = self.cosines.view(-1, *[1] * x.dim())
        sines = self.sines.view(-1, *[1] * x.dim())
        inside = torch.clamp(x, -8, 8)  # constant beyond that interval
        orders = torch.arange(1, 2, device=x.device).view(-1, *[1] * x.dim())
        angles = orders * (torch.pi / 8 * inside)
        return mean + (cosines * torch.cos(angles) + sines * torch.sin(angles)).sum(0)
