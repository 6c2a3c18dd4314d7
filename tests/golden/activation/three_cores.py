# dslc.python/1
import torch
from torch import Tensor, nn


class Activation(nn.Module):
    """An activation function of 3 core units.

    Sentence: ( x x sqrt sin mul ) ( x x sin sin div ) log_abs shift mix
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Trained: beta_1, beta_2: one value a channel, 1 at the start; num_channels=1 fits
        any shape.
    Constants: eps = 1e-6.
    Source: Ramachandran et al. 2017, arXiv 1710.05941, section 2.
    """

    def __init__(self, num_channels: int = 1) -> None:
        super().__init__()
        self.beta_1 = nn.Parameter(torch.ones(num_channels))
        self.beta_2 = nn.Parameter(torch.ones(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        per_channel = (-1, *[1] * (x.dim() - 2))  # channels are axis 1
        root = torch.sqrt(x)
        sine = torch.sin(x)
        product = root * sine
        sine_2 = torch.sin(x)
        sine_3 = torch.sin(x)
        quotient = sine_2 / (sine_3 + 1e-6)
        log_abs = torch.log(torch.abs(product) + 1e-6)
        beta_1 = self.beta_1.view(per_channel)
        shifted = quotient + beta_1
        beta_2 = self.beta_2.view(per_channel)
        return beta_2 * log_abs + (1 - beta_2) * shifted
