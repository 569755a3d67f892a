"""Repair with a predictor of its own: what the surroundings say of a pixel, and how surely.

The predictor does not see the pixel that it predicts (a blind spot, Krull et al. 2019; Laine et
al. 2019), so that whoever changes a pixel moves neither its prediction nor its uncertainty. The
network is ours: one masked convolution, and a perceptron at every pixel.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, softplus

from pixguard.defences.alarm import alarm_threshold
from pixguard.defences.denoisers.layers import select
from pixguard.defences.denoisers.registry import RepairBlindOptions
from pixguard.defences.denoisers.repair import GAP, MOST, Repair, neighbours
from pixguard.defences.training import Recipe
from pixguard.errors import UsageError

LEAST_SCALE = 1 / 255
"""Of a residual: images have 8 bits."""
BEGINNING = -3.0
"""What the scale begins with, before softplus: 0.05, about a smooth image's."""


class BlindSpot(nn.Module):
    """Predicts every pixel's mean and scale from the window around it, without the pixel itself.

    The mean is the median of the eight neighbours and what the network adds to it.
    """

    hole: Tensor

    def __init__(self, channels: int, width: int = 32, size: int = 5) -> None:
        super().__init__()
        if size < 3 or size % 2 == 0:
            raise ValueError(f"the side of a window must be odd and at least 3, not {size}")
        # A channel of ones tells the inside from the zeros beyond the border. (Mirrored, a pixel
        # near it would be in its own window.)
        self.window = nn.Conv2d(channels + 1, width, size, padding=size // 2)
        hole = torch.ones(size, size)
        hole[size // 2, size // 2] = 0
        self.register_buffer("hole", hole, persistent=False)
        self.rest = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * channels, 1),
        )
        for parameter in self.rest[-1].parameters():
            nn.init.zeros_(parameter)  # training begins with the median

    def forward(self, images: Tensor) -> Tensor:
        """Return means, then scales, (N, 2 C, H, W), for images (N, C, H, W)."""
        seen = torch.cat([images - 0.5, torch.ones_like(images[:, :1])], dim=1)
        window = self.window
        features = conv2d(seen, window.weight * self.hole, window.bias, padding=window.padding)
        change, scale = self.rest(features).chunk(2, dim=1)
        low, high = select(neighbours(images), (3, 4))
        scale = softplus(scale + BEGINNING) + LEAST_SCALE
        return torch.cat([(low + high) / 2 + change, scale], dim=1)


class RepairBlind(Repair):
    """Repair whose score is a pixel's standardised residual, the sum of its channels'.

    Args:
        channels: of the images.
        most: as for :class:`~pixguard.defences.denoisers.repair.Repair`, like all that follows.
        gap: likewise.
        threshold: likewise.
        width: features of the predictor.
    """

    def __init__(
        self,
        channels: int,
        most: int = MOST,
        gap: float = GAP,
        threshold: float = 0.0,
        width: int = 32,
    ) -> None:
        super().__init__(channels, most, gap, threshold)
        self.predictor = BlindSpot(channels, width)

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return residuals in units of the predicted scale (N, 1, H, W), and the means."""
        mean, scale = self.predictor(images).chunk(2, dim=1)
        return ((images - mean).abs() / scale).sum(dim=1, keepdim=True), mean


class BlindSpotRecipe(Recipe):
    """The likelihood of clean pixels, residuals taken to be Laplace's, in noisy surroundings.

    Changed neighbours are what the predictor is to do without: the noise teaches it that.
    """

    autocast = False  # a scale of one level is 1 / 255, where bfloat16 rounds

    def _restore(self, noisy: Tensor) -> Tensor:
        module = self.module
        assert isinstance(module, RepairBlind)
        predicted: Tensor = module.predictor(noisy)
        return predicted

    def _errors(self, restored: Tensor, clean: Tensor) -> Tensor:
        mean, scale = restored.chunk(2, dim=1)
        return ((clean - mean).abs() / scale + scale.log()).mean(dim=(1, 2, 3))

    def _loss(self, restored: Tensor, clean: Tensor, generator: torch.Generator) -> Tensor:
        return self._errors(restored, clean).mean()

    def settled(self) -> dict[str, Any]:
        """Return the threshold that the allowed share of clean validation images exceeds."""
        module, options = self.module, self._settings.options
        assert isinstance(module, RepairBlind) and isinstance(options, RepairBlindOptions)
        if not options.false_alarms:
            return {}
        if not len(self._val):
            raise UsageError(
                "`false_alarms=...` takes its threshold from clean validation images, and there "
                "are none",
                "leave it out, or choose a `split=...` that has them",
            )
        share, images = options.false_alarms, self._val
        module.threshold = alarm_threshold(module.eval().highest, images, share, self._device)
        return {"threshold": module.threshold}
