# dslc.python/1
from torch import Tensor, nn


class ConvNet(nn.Module):
    """A convolutional network of 15 layers, and a classifier on each channel's mean.

    Sentence: 3 5 3 2 36 3 5 3 2 36 3 5 3 2 36 3 5 3 2 36 3 5 3 2 36 3 5 3 2 36 3 5 3 2
        36 3 5 3 2 36 3 5 3 2 36 3 5 3 2 36 3 5 3 2 36 3 5 3 2 36 3 5 3 2 36 3 5 3 2 36
        3 5 3 2 36
    Shapes: images [batch, in_channels, height, width] to [batch, num_classes]
    Source: Zoph and Le 2017, arXiv 1611.01578, sections 3.1 and 4.1.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.layer_1 = nn.Sequential(
            nn.Conv2d(in_channels, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_2 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_3 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_4 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_5 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_6 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_7 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_8 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_9 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_10 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_11 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_12 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_13 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_14 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.layer_15 = nn.Sequential(
            nn.Conv2d(36, 36, (3, 5), (3, 2), padding=(1, 2), bias=False),
            nn.BatchNorm2d(36),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(36, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        # [batch, 36, ceil(height / 3), ceil(width / 2)]
        features_1 = self.layer_1(images)
        # [batch, 36, ceil(height / 9), ceil(width / 4)]
        features_2 = self.layer_2(features_1)
        # [batch, 36, ceil(height / 27), ceil(width / 8)]
        features_3 = self.layer_3(features_2)
        # [batch, 36, ceil(height / 81), ceil(width / 16)]
        features_4 = self.layer_4(features_3)
        # [batch, 36, ceil(height / 243), ceil(width / 32)]
        features_5 = self.layer_5(features_4)
        # [batch, 36, ceil(height / 729), ceil(width / 64)]
        features_6 = self.layer_6(features_5)
        # [batch, 36, ceil(height / 2187), ceil(width / 128)]
        features_7 = self.layer_7(features_6)
        # [batch, 36, ceil(height / 6561), ceil(width / 256)]
        features_8 = self.layer_8(features_7)
        # [batch, 36, ceil(height / 19683), ceil(width / 512)]
        features_9 = self.layer_9(features_8)
        # [batch, 36, ceil(height / 59049), ceil(width / 1024)]
        features_10 = self.layer_10(features_9)
        # [batch, 36, ceil(height / 177147), ceil(width / 2048)]
        features_11 = self.layer_11(features_10)
        # [batch, 36, ceil(height / 531441), ceil(width / 4096)]
        features_12 = self.layer_12(features_11)
        # [batch, 36, ceil(height / 1594323), ceil(width / 8192)]
        features_13 = self.layer_13(features_12)
        # [batch, 36, ceil(height / 4782969), ceil(width / 16384)]
        features_14 = self.layer_14(features_13)
        # [batch, 36, ceil(height / 14348907), ceil(width / 32768)]
        features_15 = self.layer_15(features_14)
        pooled = features_15.mean(dim=(2, 3))  # [batch, 36]
        return self.classifier(pooled)  # [batch, num_classes]
