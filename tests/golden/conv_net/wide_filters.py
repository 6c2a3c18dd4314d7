# dslc.python/1
from torch import Tensor, nn


class ConvNet(nn.Module):
    """A convolutional network of 4 layers, and a classifier on each channel's mean.

    Sentence: 1 7 1 3 24 5 1 3 1 36 1 1 1 1 64 7 3 2 3 48
    Shapes: images [batch, in_channels, height, width] to [batch, num_classes]
    Source: Zoph and Le 2017, arXiv 1611.01578, sections 3.1 and 4.1.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.layer_1 = nn.Sequential(
            nn.Conv2d(in_channels, 24, (1, 7), (1, 3), padding=(0, 3), bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
        )
        self.layer_2 = nn.Sequential(
            nn.Conv2d(24, 36, (5, 1), (3, 1), padding=(2, 0), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_3 = nn.Sequential(
            nn.Conv2d(36, 64, 1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.layer_4 = nn.Sequential(
            nn.Conv2d(64, 48, (7, 3), (2, 3), padding=(3, 1), bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(48, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        # [batch, 24, height, ceil(width / 3)]
        features_1 = self.layer_1(images)
        # [batch, 36, ceil(height / 3), ceil(width / 3)]
        features_2 = self.layer_2(features_1)
        # [batch, 64, ceil(height / 3), ceil(width / 3)]
        features_3 = self.layer_3(features_2)
        # [batch, 48, ceil(height / 6), ceil(width / 9)]
        features_4 = self.layer_4(features_3)
        pooled = features_4.mean(dim=(2, 3))  # [batch, 48]
        return self.classifier(pooled)  # [batch, num_classes]
