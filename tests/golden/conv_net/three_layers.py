# dslc.python/1
from torch import Tensor, nn


class ConvNet(nn.Module):
    """A convolutional network of 3 layers, and a classifier on each channel's mean.

    Sentence: 3 5 1 1 24 7 7 2 2 48 3 1 1 3 64
    Shapes: images [batch, in_channels, height, width] to [batch, num_classes]
    Source: Zoph and Le 2017, arXiv 1611.01578, sections 3.1 and 4.1.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.layer_1 = nn.Sequential(
            nn.Conv2d(in_channels, 24, (3, 5), padding=(1, 2), bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
        )
        self.layer_2 = nn.Sequential(
            nn.Conv2d(24, 48, 7, 2, padding=3, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.layer_3 = nn.Sequential(
            nn.Conv2d(48, 64, (3, 1), (1, 3), padding=(1, 0), bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        # [batch, 24, height, width]
        features_1 = self.layer_1(images)
        # [batch, 48, ceil(height / 2), ceil(width / 2)]
        features_2 = self.layer_2(features_1)
        # [batch, 64, ceil(height / 2), ceil(width / 6)]
        features_3 = self.layer_3(features_2)
        pooled = features_3.mean(dim=(2, 3))  # [batch, 64]
        return self.classifier(pooled)  # [batch, num_classes]
