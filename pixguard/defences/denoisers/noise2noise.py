"""SRResNet for the Noise2Noise framework (Chen et al. 2019; Lehtinen et al. 2018)."""

from torch import Tensor, nn


class _Block(nn.Module):
    """Two convolutions with batch normalisation, and the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )

    def forward(self, features: Tensor) -> Tensor:
        summed: Tensor = features + self.branch(features)
        return summed


class Noise2Noise(nn.Module):
    """SRResNet without upsampling: input and output have the same size, which may be any.

    Inferred: 3x3 kernels throughout (the super-resolution network begins and ends with 9x9), a
    PReLU slope shared by all channels, and a linear output.
    """

    def __init__(self, channels: int, blocks: int = 16, width: int = 64) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.PReLU())
        self.trunk = nn.Sequential(
            *(_Block(width) for _ in range(blocks)),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return unclipped images (N, C, H, W) for images (N, C, H, W) in [0, 1]."""
        features = self.first(images)
        restored: Tensor = self.last(features + self.trunk(features))
        return restored
