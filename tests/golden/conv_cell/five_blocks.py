# dslc.python/1
import torch
from torch import Tensor, nn


class SeparableConv(nn.Sequential):
    """ReLU, depthwise convolution, pointwise convolution and batch norm, twice."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel,
                padding=kernel // 2,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(
                channels,
                channels,
                kernel,
                padding=kernel // 2,
                groups=channels,
                bias=False,
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )


class ConvCell(nn.Module):
    """A convolutional cell of 5 blocks.

    Sentence: 0 sep_conv_3x3 1 identity 1 sep_conv_5x5 1 avg_pool_3x3 2 max_pool_3x3 0
        sep_conv_5x5 3 identity 2 sep_conv_3x3 5 sep_conv_5x5 0 max_pool_3x3
    Inputs: `input_0` from the cell before the last, `input_1` from the last.
    Shapes: input_0 [batch, channels, height, width], input_1 [batch, channels, height,
        width] to [batch, channels, height, width]
    Source: Pham et al. 2018, arXiv 1802.03268, the micro search space.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_2_left = SeparableConv(channels, 3)
        self.conv_3_left = SeparableConv(channels, 5)
        self.avg_pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.max_pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.conv_4_right = SeparableConv(channels, 5)
        self.conv_5_right = SeparableConv(channels, 3)
        self.conv_6_left = SeparableConv(channels, 5)
        self.output = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(2 * channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, input_0: Tensor, input_1: Tensor) -> Tensor:
        node_2 = self.conv_2_left(input_0) + input_1
        node_3 = self.conv_3_left(input_1) + self.avg_pool(input_1)
        node_4 = self.max_pool(node_2) + self.conv_4_right(input_0)
        node_5 = node_3 + self.conv_5_right(node_2)
        node_6 = self.conv_6_left(node_5) + self.max_pool(input_0)
        loose_ends = torch.cat((node_4, node_6), dim=1)
        return self.output(loose_ends)
