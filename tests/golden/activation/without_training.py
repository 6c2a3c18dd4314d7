# dslc.python/1
import torch
from torch import Tensor, nn


class Activation(nn.Module):
    """The activation function f(x) = cos(x) - x.

    Sentence: x x cos identity sub
    Shapes: x [batch, num_channels, ...] to [batch, num_channels, ...]
    Source: Ramachandran et al. 2017, arXiv 1710.05941, section 2.
    """

    def __init__(self, num_channels: int = 1) -> None:
        super().__init__()
        del num_channels  # nothing is trained: the same function in every channel

    def forward(self, x: Tensor) -> Tensor:
        cosine = torch.cos(x)
        return cosine - x
