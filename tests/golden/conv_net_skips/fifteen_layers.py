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
    """A convolutional network of 15 layers with skip connections.

    Sentence: 1 7 1 2 64 1 7 5 2 1 64 1 1 7 3 3 3 36 0 0 0 7 5 3 1 64 1 1 0 0 1 3 3 2 36
        0 0 1 1 1 7 1 3 2 48 0 1 1 0 1 0 5 3 3 1 64 0 1 0 1 0 0 1 1 3 3 3 64 1 1 0 1 1 0
        0 1 1 5 2 3 64 1 1 0 0 1 1 0 1 1 7 3 2 2 64 0 1 0 0 0 0 0 0 0 0 3 5 2 3 48 0 0 0
        0 1 0 0 0 1 1 1 3 3 3 2 36 0 1 1 0 1 1 0 0 1 0 1 1 3 7 1 3 48 0 0 0 0 0 0 1 0 1
        1 0 1 0 1 3 1 1 24 0 1 1 1 0 0 1 1 0 0 0 1 1 0 3 1 1 1 64
    Shapes: images [batch, in_channels, height, width] to [batch, num_classes]
    Source: Zoph and Le 2017, arXiv 1611.01578, sections 3.1, 3.3 and 4.1.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.layer_1 = nn.Sequential(
            nn.Conv2d(in_channels, 64, (1, 7), (1, 2), padding=(0, 3), bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.layer_2 = nn.Sequential(
            nn.Conv2d(64, 64, (7, 5), (2, 1), padding=(3, 2), bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.layer_3 = nn.Sequential(
            nn.Conv2d(128, 36, (7, 3), 3, padding=(3, 1), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_4 = nn.Sequential(
            nn.Conv2d(in_channels, 64, (7, 5), (3, 1), padding=(3, 2), bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.layer_5 = nn.Sequential(
            nn.Conv2d(128, 36, (1, 3), (3, 2), padding=(0, 1), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_6 = nn.Sequential(
            nn.Conv2d(136, 48, (7, 1), (3, 2), padding=(3, 0), bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.layer_7 = nn.Sequential(
            nn.Conv2d(136, 64, (5, 3), (3, 1), padding=(2, 1), bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.layer_8 = nn.Sequential(
            nn.Conv2d(192, 64, (1, 3), 3, padding=(0, 1), bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.layer_9 = nn.Sequential(
            nn.Conv2d(292, 64, (1, 5), (2, 3), padding=(0, 2), bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.layer_10 = nn.Sequential(
            nn.Conv2d(340, 64, (7, 3), 2, padding=(3, 1), bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.layer_11 = nn.Sequential(
            nn.Conv2d(64, 48, (3, 5), (2, 3), padding=(1, 2), bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.layer_12 = nn.Sequential(
            nn.Conv2d(212, 36, 3, (3, 2), padding=1, bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_13 = nn.Sequential(
            nn.Conv2d(332, 48, (3, 7), (1, 3), padding=(1, 3), bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.layer_14 = nn.Sequential(
            nn.Conv2d(228, 24, (1, 3), padding=(0, 1), bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
        )
        self.layer_15 = nn.Sequential(
            nn.Conv2d(376, 64, (3, 1), padding=(1, 0), bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(88, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        # [batch, 64, height, ceil(width / 2)]
        features_1 = self.layer_1(images)
        # [batch, 64, ceil(height / 2), ceil(width / 2)]
        features_2 = self.layer_2(features_1)
        # [batch, 128, height, ceil(width / 2)]
        inputs_3 = concat_padded(features_1, features_2)
        # [batch, 36, ceil(height / 3), ceil(width / 6)]
        features_3 = self.layer_3(inputs_3)
        # [batch, 64, ceil(height / 3), width]
        features_4 = self.layer_4(images)
        # [batch, 128, height, ceil(width / 2)]
        inputs_5 = concat_padded(features_1, features_2)
        # [batch, 36, ceil(height / 3), ceil(width / 4)]
        features_5 = self.layer_5(inputs_5)
        # [batch, 136, ceil(height / 3), width]
        inputs_6 = concat_padded(features_3, features_4, features_5)
        # [batch, 48, ceil(height / 9), ceil(width / 2)]
        features_6 = self.layer_6(inputs_6)
        # [batch, 136, ceil(height / 2), ceil(width / 2)]
        inputs_7 = concat_padded(features_2, features_3, features_5)
        # [batch, 64, ceil(height / 6), ceil(width / 2)]
        features_7 = self.layer_7(inputs_7)
        # [batch, 192, ceil(height / 2), width]
        inputs_8 = concat_padded(features_2, features_4, features_7)
        # [batch, 64, ceil(height / 6), ceil(width / 3)]
        features_8 = self.layer_8(inputs_8)
        # [batch, 292, height, width]
        inputs_9 = concat_padded(
            features_1,
            features_2,
            features_4,
            features_5,
            features_8,
        )
        # [batch, 64, ceil(height / 2), ceil(width / 3)]
        features_9 = self.layer_9(inputs_9)
        # [batch, 340, height, ceil(width / 2)]
        inputs_10 = concat_padded(
            features_1,
            features_2,
            features_5,
            features_6,
            features_8,
            features_9,
        )
        # [batch, 64, ceil(height / 2), ceil(width / 4)]
        features_10 = self.layer_10(inputs_10)
        # [batch, 48, ceil(height / 4), ceil(width / 6)]
        features_11 = self.layer_11(features_2)
        # [batch, 212, ceil(height / 2), ceil(width / 3)]
        inputs_12 = concat_padded(features_5, features_9, features_10, features_11)
        # [batch, 36, ceil(height / 6), ceil(width / 6)]
        features_12 = self.layer_12(inputs_12)
        # [batch, 332, ceil(height / 2), ceil(width / 2)]
        inputs_13 = concat_padded(
            features_2,
            features_3,
            features_5,
            features_6,
            features_9,
            features_11,
            features_12,
        )
        # [batch, 48, ceil(height / 2), ceil(width / 6)]
        features_13 = self.layer_13(inputs_13)
        # [batch, 228, ceil(height / 2), ceil(width / 2)]
        inputs_14 = concat_padded(features_7, features_9, features_10, features_12)
        # [batch, 24, ceil(height / 2), ceil(width / 2)]
        features_14 = self.layer_14(inputs_14)
        # [batch, 376, ceil(height / 2), width]
        inputs_15 = concat_padded(
            features_2,
            features_3,
            features_4,
            features_7,
            features_8,
            features_12,
            features_13,
        )
        # [batch, 64, ceil(height / 2), width]
        features_15 = self.layer_15(inputs_15)
        # [batch, 88, ceil(height / 2), width]
        joined = concat_padded(features_14, features_15)
        # [batch, 88]
        pooled = joined.mean(dim=(2, 3))
        # [batch, num_classes]
        return self.classifier(pooled)
