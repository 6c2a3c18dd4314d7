"""The small network in which a convolutional cell is tried."""

from __future__ import annotations

from torch import Tensor, nn


class CellNetwork(nn.Module):
    """Two cells between a first convolution and a classifier; the second one sees half the places, twice the channels.

    The first convolution is both inputs of the first cell. The inputs of the second are the first convolution and the
    first cell, each halved by ReLU, a 3 x 3 convolution with stride 2, and batch norm.

    Source:
        pham2018: its authors' code begins with one convolution as both inputs, halves between cells and averages a ReLU
        of the last cell; it halves by two shifted convolutions, and stacks eight cells instead of two.
    """

    CHANNELS = (16, 32)
    """Of the first cell and the second."""

    def __init__(self, first: nn.Module, second: nn.Module, num_classes: int) -> None:
        """A network around two cells of one sentence, built for `CHANNELS`."""
        super().__init__()
        narrow, wide = self.CHANNELS
        self.stem = nn.Sequential(nn.Conv2d(1, narrow, 3, padding=1, bias=False), nn.BatchNorm2d(narrow))
        self.first = first
        self.halve_stem = _halve(narrow, wide)
        self.halve_first = _halve(narrow, wide)
        self.second = second
        self.classifier = nn.Linear(wide, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Scores [batch, num_classes] of grey images [batch, 1, height, width]."""
        stem = self.stem(images)
        features = self.first(stem, stem)
        features = self.second(self.halve_stem(stem), self.halve_first(features))
        scores: Tensor = self.classifier(features.relu().mean(dim=(2, 3)))
        return scores


def _halve(narrow: int, wide: int) -> nn.Module:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(wide),
    )
