# dslc.python/1
from torch import Tensor, nn


class ConvCell(nn.Module):
    """A convolutional cell of 3 blocks.

    Sentence: 0 identity 1 identity 1 identity 2 identity 2 identity 3 identity
    Inputs: `input_0` from the cell before the last, `input_1` from the last.
    Shapes: input_0 [batch, channels, height, width], input_1 [batch, channels, height,
        width] to [batch, channels, height, width]
    Source: Pham et al. 2018, arXiv 1802.03268, the micro search space.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.output = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, input_0: Tensor, input_1: Tensor) -> Tensor:
        node_2 = input_0 + input_1
        node_3 = input_1 + node_2
        node_4 = node_2 + node_3
        return self.output(node_4)
