# dslc.python/1
import torch
from torch import Tensor, nn


class FourierActivation(nn.Module):
    """A Fourier series of 5 harmonics with constant tails, as an activation function.

    Formula: f(x) = S(min(max(x, -3), 3)), S(u) = a_0 + sum over i = 1 to 5 of a_i *
        cos(i pi u / 4) + b_i * sin(i pi u / 4)
    Sentence: npf 4 1 : param tanh + param tanh cos + param tanh sin + param tanh cos +
        param tanh sin + param tanh cos + param tanh sin + param tanh cos + param tanh
        sin + param tanh cos + param tanh sin
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Trained: mean a_0, cosines a and sines b, one set a channel; num_channels=1 fits any
        shape.
    Source: Eisenach, Wang and Liu 2016, definition 3.1 and appendix A.1.
    """

    def __init__(
        self,
        num_channels: int = 1,
        spatial_shape: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        del spatial_shape  # one set of values a channel
        self.mean = nn.Parameter(torch.full((num_channels,), 0.0))
        self.cosines = nn.Parameter(torch.zeros(5, num_channels))
        # The least-squares fit of tanh on [-3, 3].
        sines = torch.tensor([1.09661, -0.110278, 0.153236, -0.038018, 0.019727])
        self.sines = nn.Parameter(sines.view(-1, 1).repeat(1, num_channels))

    def forward(self, x: Tensor) -> Tensor:
        # Channels are axis 1, or the only axis.
        per_channel = (1, -1, *[1] * (x.dim() - 2))[-x.dim() :]
        mean = self.mean.view(per_channel)
        cosines = self.cosines.view(5, *per_channel)
        sines = self.sines.view(5, *per_channel)
        inside = torch.clamp(x, -3, 3)  # constant beyond that interval
        orders = torch.arange(1, 6, device=x.device).view(-1, *[1] * x.dim())
        angles = orders * (torch.pi / 4 * inside)
        return mean + (cosines * torch.cos(angles) + sines * torch.sin(angles)).sum(0)
