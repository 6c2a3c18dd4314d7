# dslc.python/1
import torch
from torch import Tensor, nn


class FourierActivation(nn.Module):
    """A Fourier series of 1 harmonic with constant tails, as an activation function.

    Formula: f(x) = S(min(max(x, -4), 4)), S(u) = a_0 + a_1 * cos(pi u / 4) + b_1 *
        sin(pi u / 4)
    Sentence: npf 4 0 : param_unit 0 + param_unit 0 cos + param_unit 1 sin
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Trained: mean a_0, cosines a and sines b, one set a unit, which is a place in
        [num_channels, *spatial_shape]; the defaults fit any shape.
    Source: Eisenach, Wang and Liu 2016, definition 3.1 and appendix A.1.
    """

    def __init__(
        self,
        num_channels: int = 1,
        spatial_shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        unit_shape = (num_channels, *spatial_shape)
        per_unit = (-1, *[1] * len(unit_shape))
        self.mean = nn.Parameter(torch.full(unit_shape, 0.0))
        self.cosines = nn.Parameter(torch.zeros(1, *unit_shape))
        sines = torch.tensor([1.0])
        self.sines = nn.Parameter(sines.view(per_unit).repeat(1, *unit_shape))

    def forward(self, x: Tensor) -> Tensor:
        # A unit is a place in the last axes.
        unit_shape = self.cosines.shape[1:]
        per_unit = (*[1] * (x.dim() - len(unit_shape)), *unit_shape)
        mean = self.mean
        cosines = self.cosines.view(-1, *per_unit)
        sines = self.sines.view(-1, *per_unit)
        inside = torch.clamp(x, -4, 4)  # constant beyond that interval
        orders = torch.arange(1, 2, device=x.device).view(-1, *[1] * x.dim())
        angles = orders * (torch.pi / 4 * inside)
        return mean + (cosines * torch.cos(angles) + sines * torch.sin(angles)).sum(0)
