"""Noise2Void (Krull, Buchholz and Jug 2019): a network that learns from noisy images alone.

Some pixels are hidden, and the network learns to tell them from what is around. A hidden pixel
takes the median of its eight neighbours: the source draws one of them, which would leave
restoring to chance; the median is that of Höck et al. (2022). Hidden are all pixels of one phase of
a grid, at a distance at which none stands in another's window. Inferred: the grid, batch
normalisation in every convolution, and that the network's answer is added to what it sees.

A network that sees a pixel learns to give it back. So restoring hides, too: each phase in turn,
and only what was hidden is taken of the answer. No pixel has a part in what it becomes.
"""

import torch
from torch import Tensor, nn

from pixguard.defences.denoisers.layers import pad_to_multiple, select
from pixguard.defences.denoisers.repair import neighbours
from pixguard.defences.training import Recipe
from pixguard.models.inputs import unit_range

STRIDE = 4
"""Of the grid: one pixel in 16 is hidden. From 2 on no median sees another hidden pixel."""
PATCH = 64
"""Side of what a step sees of an image (theirs)."""


def _convolutions(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (before, after):
        layers += [
            nn.Conv2d(inputs, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


class _UNet(nn.Module):
    """Two levels down and up, skips concatenated."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.down = nn.ModuleList([_convolutions(channels, width), _convolutions(width, 2 * width)])
        self.bottom = _convolutions(2 * width, 4 * width)
        self.up = nn.ModuleList(
            [_convolutions(6 * width, 2 * width), _convolutions(3 * width, width)]
        )
        self.last = nn.Conv2d(width, channels, 1)
        self.pool, self.grow = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        features, levels = pad_to_multiple(images, 4), []
        for down in self.down:
            levels.append(down(features))
            features = self.pool(levels[-1])
        features = self.bottom(features)
        for up, level in zip(self.up, reversed(levels), strict=True):
            features = up(torch.cat([self.grow(features), level], dim=1))
        restored: Tensor = self.last(features)
        return restored[..., :height, :width]


class Noise2Void(nn.Module):
    """Restores every pixel from its surroundings.

    Args:
        channels: of the images.
        width: features of the first level; twice as many in the next.
    """

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.network = _UNet(channels, width)

    def guess(self, images: Tensor, hidden: Tensor) -> Tensor:
        """Return what the network makes of images (N, C, H, W) without what is hidden (N, 1, H, W).

        It counts where ``hidden`` is true.
        """
        low, high = select(neighbours(images), (3, 4))
        seen = torch.where(hidden, (low + high) / 2, images)
        guessed: Tensor = seen + self.network(seen)
        return guessed

    def forward(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W), not clipped, for images (N, C, H, W) in [0, 1]."""
        restored = torch.zeros_like(images)
        for phase in range(STRIDE**2):
            row, col = divmod(phase, STRIDE)
            drawn = torch.tensor([[row, col]], device=images.device)
            hidden = on_grid(drawn, *images.shape[-2:])
            restored = torch.where(hidden, self.guess(images, hidden), restored)
        return restored


def on_grid(phases: Tensor, height: int, width: int) -> Tensor:
    """Return bool (N, 1, H, W), true at the pixels of phases int64 (N, 2) of the grid."""
    rows = torch.arange(height, device=phases.device) % STRIDE == phases[:, :1]
    cols = torch.arange(width, device=phases.device) % STRIDE == phases[:, 1:]
    return (rows[:, :, None] & cols[:, None, :])[:, None]


def patches(images: Tensor, corners: Tensor, side: int) -> Tensor:
    """Return the squares (N, C, side, side) of images at corners int64 (N, 2), of rows and cols."""
    steps = torch.arange(side, device=images.device)
    rows, cols = ((corners[:, axis, None] + steps) for axis in (0, 1))
    number = torch.arange(len(images), device=images.device)[:, None, None]
    found = images.permute(0, 2, 3, 1)[number, rows[:, :, None], cols[:, None, :]]
    return found.permute(0, 3, 1, 2)


class Noise2VoidRecipe(Recipe):
    """Hidden pixels of noisy images to their noisy values, under the mean squared error.

    Whose optimum is the mean of the noise: impulses of 10 % draw it towards gray, which training
    with ``noise=0`` does not. Validation hides one phase, and compares with clean images.
    """

    autocast = False  # the error of a pixel is compared with steps of 1 / 255

    def train_batch(
        self, batch: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, None]:
        """Return the loss of a batch; nothing is right or wrong."""
        module = self.module
        assert isinstance(module, Noise2Void)
        clean = unit_range(batch[0])
        count, side = len(clean), min(PATCH, *clean.shape[-2:])
        draws = torch.rand(count, 4, generator=generator, device=clean.device)
        room = torch.tensor([size - side + 1 for size in clean.shape[-2:]], device=clean.device)
        clean = patches(clean, (draws[:, :2] * room).long(), side)
        noisy = self._noisy(clean, self._levels(batch[1], self._epoch), generator)
        hidden = on_grid((draws[:, 2:] * STRIDE).long(), side, side)
        misfit = (module.guess(noisy.contiguous(memory_format=self._layout), hidden) - noisy) ** 2
        return (misfit * hidden).sum() / (hidden.sum() * noisy.shape[1]), None

    def _restore(self, noisy: Tensor) -> Tensor:
        module = self.module
        assert isinstance(module, Noise2Void)
        first = torch.zeros(1, 2, dtype=torch.int64, device=noisy.device)
        return module.guess(noisy, on_grid(first, *noisy.shape[-2:]))

    def _errors(self, restored: Tensor, clean: Tensor) -> Tensor:
        return super()._errors(restored[..., ::STRIDE, ::STRIDE], clean[..., ::STRIDE, ::STRIDE])
