"""The recurrent residual U-Net as an autoencoder (R2U-Net; Nasrin et al. 2019, Alom et al. 2018).

Inferred: widths of 16 to 128, skips concatenated, batch normalisation, the 1 x 1 convolution
before each residual unit, nearest upsampling, and the sigmoid at the end.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pixguard.defences.denoisers.layers import pad_to_multiple

WIDTHS = (16, 32, 64, 128)
STEPS = 2
"""t of the source: how often a convolution sees its own answer."""


class Recurrent(nn.Module):
    """A convolution that is applied to its input, and ``steps`` times to input plus answer."""

    def __init__(self, width: int, steps: int = STEPS) -> None:
        super().__init__()
        self.steps = steps
        self.once = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        answer: Tensor = self.once(features)
        for _ in range(self.steps):
            answer = self.once(features + answer)
        return answer


class _Unit(nn.Module):
    """Two recurrent convolutions, and their input."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 1)
        self.branch = nn.Sequential(Recurrent(after), Recurrent(after))

    def forward(self, features: Tensor) -> Tensor:
        features = self.first(features)
        summed: Tensor = features + self.branch(features)
        return summed


class R2UNet(nn.Module):
    """Units down to the last width, and up again.

    Args:
        channels: of the images.
        widths: features of the levels, from the image on; between two of them the side is halved.
    """

    def __init__(self, channels: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        inputs = [channels, *widths[:-1]]
        self.down = nn.ModuleList(_Unit(a, b) for a, b in zip(inputs, widths, strict=True))
        levels = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, padding=1), nn.ReLU())
            for a, b in levels
        )
        self.up = nn.ModuleList(_Unit(2 * b, b) for _, b in levels)
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Conv2d(widths[0], channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return images in (0, 1), (N, C, H, W), for images (N, C, H, W) in [0, 1]."""
        height, width = images.shape[-2:]
        features = pad_to_multiple(images, 2 ** len(self.grow))
        levels: list[Tensor] = []
        for down in self.down:
            features = down(self.pool(features) if levels else features)
            levels.append(features)
        for grow, up, level in zip(self.grow, self.up, levels[-2::-1], strict=True):
            features = up(torch.cat([grow(features), level], dim=1))
        return torch.sigmoid(self.last(features))[..., :height, :width]
