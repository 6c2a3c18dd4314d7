# dslc.python/1
from torch import Tensor, nn


class ConvNet(nn.Module):
    """A convolutional network of 1 layer, and a classifier on each channel's mean.

    Sentence: 3 3 1 1 24
    Shapes: images [batch, in_channels, height, width] to [batch, num_classes]
    Source: Zoph and Le 2017, arXiv 1611.01578, sections 3.1 and 4.1.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.layer_1 = nn.Sequential(
            nn.Conv2d(in_channels, 24, 3, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(24, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features_1 = self.layer_1(images)  # [batch, 24, height, width]
        pooled = features_1.mean(dim=(2, 3))  # [batch, 24]
        return self.classifier(pooled)  # [batch, num_classes]
