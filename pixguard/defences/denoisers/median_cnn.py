"""The convolutional network with median layers of Liang et al. (paper, section 3.1.2)."""

from torch import Tensor, nn

from pixguard.defences.denoisers.layers import MedianLayer


class _Block(nn.Module):
    """Two convolutions, each with batch normalisation and ReLU, and the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )

    def forward(self, features: Tensor) -> Tensor:
        summed: Tensor = features + self.branch(features)
        return summed


class MedianCNN(nn.Module):
    """Two median layers, a convolution, residual blocks (the first half with median layers).

    Args:
        channels: of the images, 1 or 3.
        blocks: residual blocks; each of the first half is followed by a median layer (inferred:
            the paper says "between", which leaves open the layer after the last of them).
        width: features of every convolution.
        size: side of the median windows.
    """

    def __init__(self, channels: int, blocks: int = 32, width: int = 64, size: int = 5) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            MedianLayer(size),
            MedianLayer(size),
            nn.Conv2d(channels, width, 3, padding=1),
        ]
        for block in range(blocks):
            layers.append(_Block(width))
            if block < blocks // 2:
                layers.append(MedianLayer(size))
        layers.append(nn.Conv2d(width, channels, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W), clipped to [0, 1] in evaluation mode.

        Training sees the linear output: clipping would stop the gradient of what lies outside.
        """
        restored: Tensor = self.layers(images)
        return restored if self.training else restored.clamp(0, 1)
