"""The proposed denoising autoencoder (paper, section 3.1.2), and all that it is made from.

The autoencoder that the paper starts from and the steps between the two (Tables 4 and 5) are
configurations of this module (:mod:`pixguard.defences.denoisers.variants`). The paper's figures
are missing from its text; this arrangement agrees with every clue in it.
Inferred: the order inside a level, where the skips leave and join, nearest upsampling, ReLU for
the variant without batch normalisation, and the sigmoid at the end.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pixguard.defences.denoisers.layers import pad_to_multiple

Skips = Literal["none", "additive", "concatenated"]
WIDTHS = (32, 64, 128, 256)


def _convolution(before: int, after: int, batch_norm: bool) -> nn.Sequential:
    """Return conv3x3 and, with batch normalisation, BatchNorm; activation not included."""
    layers: list[nn.Module] = [nn.Conv2d(before, after, 3, padding=1)]
    if batch_norm:
        layers.append(nn.BatchNorm2d(after))
    return nn.Sequential(*layers)


def _activation(batch_norm: bool) -> nn.Module:
    """Return the activation; the paper brings in LeakyReLU together with BatchNorm."""
    return nn.LeakyReLU() if batch_norm else nn.ReLU()


class _Residual(nn.Module):
    """Two convolutions and the identity."""

    def __init__(self, width: int, batch_norm: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            _convolution(width, width, batch_norm),
            _activation(batch_norm),
            _convolution(width, width, batch_norm),
        )
        self.activation = _activation(batch_norm)

    def forward(self, features: Tensor) -> Tensor:
        activated: Tensor = self.activation(features + self.branch(features))
        return activated


class _Attention(nn.Module):
    """The simple attention layer: features weighted by the sigmoid of their own 1x1 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weights = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        return features * torch.sigmoid(self.weights(features))


class DenoisingAutoencoder(nn.Module):
    """Convolutional encoder and mirrored decoder with optional modules (Table 4).

    Args:
        channels: of the images, 1 or 3.
        widths: features of the encoder's levels, from the image on; the decoder mirrors them
            (Table 5 compares three, four and five levels, each twice as wide as the last).
        batch_norm: BatchNorm and LeakyReLU in place of plain ReLU.
        attention: an attention layer at the end of every encoder level.
        residual: a residual block in every encoder level.
        skips: how an encoder level's features, taken before pooling, join the decoder.

    Trainable parameters with one channel and four levels: 1,365,505 with no option, then
    1,367,425, 1,454,945, 3,024,545 as options are added in this order, 3,024,545 with additive
    skips and 3,411,905 with concatenated ones. With three levels 743,841, with five 12,140,705.

    Raises:
        ValueError: there is no level, a width is not positive, or ``skips`` is none of the three.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = WIDTHS,
        batch_norm: bool = True,
        attention: bool = True,
        residual: bool = True,
        skips: Skips = "additive",
    ) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(
                f"an autoencoder needs at least one level, each with a width: {widths}"
            )
        if skips not in ("none", "additive", "concatenated"):
            raise ValueError(f"skips are none, additive or concatenated, not {skips!r}")
        self.skips = skips
        self.encoder = nn.ModuleList()
        before = channels
        for width in widths:
            layers: list[nn.Module] = [
                _convolution(before, width, batch_norm),
                _activation(batch_norm),
            ]
            if residual:
                layers.append(_Residual(width, batch_norm))
            if attention:
                layers.append(_Attention(width))
            self.encoder.append(nn.Sequential(*layers))
            before = width
        self.bottleneck_width = before
        self.pool = nn.MaxPool2d(2)
        self.decoder = nn.ModuleList()
        for width in reversed(widths):
            self.decoder.append(
                nn.Sequential(
                    _convolution(before, width, batch_norm),
                    _activation(batch_norm),
                    nn.Upsample(scale_factor=2),
                )
            )
            before = 2 * width if skips == "concatenated" else width
        self.last = nn.Conv2d(before, channels, 3, padding=1)

    def encode(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return each level's features before pooling, and the bottleneck (N, last width, h, w)."""
        features = pad_to_multiple(images, 2 ** len(self.encoder))
        levels = []
        for encode in self.encoder:
            features = encode(features)
            levels.append(features)
            features = self.pool(features)
        return levels, features

    def forward(self, images: Tensor) -> Tensor:
        """Return images in (0, 1), (N, C, H, W), for images (N, C, H, W) in [0, 1]."""
        height, width = images.shape[-2:]
        levels, features = self.encode(images)
        for decode, level in zip(self.decoder, reversed(levels), strict=True):
            features = decode(features)
            if self.skips == "additive":
                features = features + level
            elif self.skips == "concatenated":
                features = torch.cat([features, level], dim=1)
        return torch.sigmoid(self.last(features))[..., :height, :width]
