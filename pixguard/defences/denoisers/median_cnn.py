"""The convolutional network with median layers of Liang et al. (paper, section 3.1.2)."""

from functools import cached_property

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from pixguard.defences.denoisers.layers import MedianLayer
from pixguard.defences.training import Recipe

HIGHEST_NOISE = 0.9
PLATEAU_FACTOR = 0.2
PLATEAU_PATIENCE = 10
"""Epochs without a better loss before the rate falls (inferred)."""


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


class MedianCNNRecipe(Recipe):
    """Noise levels in steps up to 90 %, and a rate that falls when the validation loss stays.

    ``settings.noise`` is the step: 10 %, 20 %, ... 90 % by default; one that leads beyond 90 % at
    once, as the number of pixels of k-pixel noise does, is the only level. An image goes through
    all levels in turn, one an epoch; neighbours start at different ones.
    """

    channels_last_on_cpu = False  # 0.9 to 1.3 times as fast: the median layers work on planes

    def _schedule(self) -> ReduceLROnPlateau:
        return ReduceLROnPlateau(self.optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE)

    @cached_property
    def _ladder(self) -> Tensor:
        """The levels, from the lowest on."""
        step = self._settings.noise
        steps = max(1, int(HIGHEST_NOISE / step + 1e-9)) if step else 1
        return torch.arange(1, steps + 1, device=self._device) * step

    def validate(self, epoch: int) -> tuple[float | None, float | None]:
        """As its base, and let the rate fall where the loss stays."""
        loss, accuracy = super().validate(epoch)
        if loss is not None and self.scheduler is not None:
            self.scheduler.step(loss)
        return loss, accuracy

    def _levels(self, indices: Tensor, epoch: int) -> float | Tensor:
        return self._ladder[(indices + epoch) % len(self._ladder)]
