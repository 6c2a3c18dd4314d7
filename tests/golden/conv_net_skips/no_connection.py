# dslc.python/1
import torch
from torch import Tensor, nn


def concat_padded(*features: Tensor) -> Tensor:
    """Concatenate channels, with zeros below and to the right of what is small."""
    height = max(each.shape[2] for each in features)
    width = max(each.shape[3] for each in features)
    padded = [
        # Left, right, above, below.
        nn.functional.pad(each, (0, width - each.shape[3], 0, height - each.shape[2]))
        for each in features
    ]
    return torch.cat(padded, dim=1)


class ConvNet(nn.Module):
    """A convolutional network of 6 layers with skip connections.

    Sentence: 3 3 1 1 24 0 5 5 1 1 36 0 0 3 3 2 2 48 0 0 0 7 7 1 3 24 0 0 0 0 3 1 1 1 36
        0 0 0 0 0 1 3 3 1 48
    Shapes: images [batch, in_channels, height, width] to [batch, num_classes]
    Source: Zoph and Le 2017, arXiv 1611.01578, sections 3.1, 3.3 and 4.1.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.layer_1 = nn.Sequential(
            nn.Conv2d(in_channels, 24, 3, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
        )
        self.layer_2 = nn.Sequential(
            nn.Conv2d(in_channels, 36, 5, padding=2, bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_3 = nn.Sequential(
            nn.Conv2d(in_channels, 48, 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.layer_4 = nn.Sequential(
            nn.Conv2d(in_channels, 24, 7, (1, 3), padding=3, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
        )
        self.layer_5 = nn.Sequential(
            nn.Conv2d(in_channels, 36, (3, 1), padding=(1, 0), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_6 = nn.Sequential(
            nn.Conv2d(in_channels, 48, (1, 3), (3, 1), padding=(0, 1), bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(216, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        # [batch, 24, height, width]
        features_1 = self.layer_1(images)
        # [batch, 36, height, width]
        features_2 = self.layer_2(images)
        # [batch, 48, ceil(height / 2), ceil(width / 2)]
        features_3 = self.layer_3(images)
        # [batch, 24, height, ceil(width / 3)]
        features_4 = self.layer_4(images)
        # [batch, 36, height, width]
        features_5 = self.layer_5(images)
        # [batch, 48, ceil(height / 3), width]
        features_6 = self.layer_6(images)
        # [batch, 216, height, width]
        joined = concat_padded(
            features_1,
            features_2,
            features_3,
            features_4,
            features_5,
            features_6,
        )
        # [batch, 216]
        pooled = joined.mean(dim=(2, 3))
        # [batch, num_classes]
        return self.classifier(pooled)
