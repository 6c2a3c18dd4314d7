# dslc.python/1
import torch
from torch import Tensor, nn


class ConvNet(nn.Module):
    """A convolutional network of 6 layers with skip connections.

    Sentence: 3 3 1 1 24 1 5 5 1 1 36 1 1 3 3 1 1 48 1 1 1 7 7 1 1 24 1 1 1 1 3 1 1 1 36
        1 1 1 1 1 1 3 1 1 48
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
            nn.Conv2d(24, 36, 5, padding=2, bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_3 = nn.Sequential(
            nn.Conv2d(60, 48, 3, padding=1, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.layer_4 = nn.Sequential(
            nn.Conv2d(108, 24, 7, padding=3, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
        )
        self.layer_5 = nn.Sequential(
            nn.Conv2d(132, 36, (3, 1), padding=(1, 0), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_6 = nn.Sequential(
            nn.Conv2d(168, 48, (1, 3), padding=(0, 1), bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(48, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        # [batch, 24, height, width]
        features_1 = self.layer_1(images)
        # [batch, 36, height, width]
        features_2 = self.layer_2(features_1)
        # [batch, 60, height, width]
        inputs_3 = torch.cat((features_1, features_2), dim=1)
        # [batch, 48, height, width]
        features_3 = self.layer_3(inputs_3)
        # [batch, 108, height, width]
        inputs_4 = torch.cat((features_1, features_2, features_3), dim=1)
        # [batch, 24, height, width]
        features_4 = self.layer_4(inputs_4)
        # [batch, 132, height, width]
        inputs_5 = torch.cat((features_1, features_2, features_3, features_4), dim=1)
        # [batch, 36, height, width]
        features_5 = self.layer_5(inputs_5)
        # [batch, 168, height, width]
        inputs_6 = torch.cat(
            (features_1, features_2, features_3, features_4, features_5),
            dim=1,
        )
        # [batch, 48, height, width]
        features_6 = self.layer_6(inputs_6)
        pooled = features_6.mean(dim=(2, 3))  # [batch, 48]
        return self.classifier(pooled)  # [batch, num_classes]
