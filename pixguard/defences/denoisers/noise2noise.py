"""SRResNet for the Noise2Noise framework (Chen et al. 2019; Lehtinen et al. 2018)."""

import math

import torch
from torch import Tensor, nn

from pixguard.defences.training import Recipe

EPSILON = 1e-8
"""Of the annealed loss (paper, section 3.1.2, equation of the Noise2Noise framework)."""
FIRST_GAMMA = 2.0


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


def annealed_l0(difference: Tensor, gamma: float) -> Tensor:
    """Return the mean of (|difference| + 1e-8) ** gamma, a scalar.

    At gamma 2 this is the mean squared error, whose optimum is the mean of the noisy targets;
    towards 0 the optimum moves to their mode, which impulse noise leaves where it was.
    """
    return (difference.abs() + EPSILON).pow(gamma).mean()


class Noise2NoiseRecipe(Recipe):
    """Noisy images to other noisy draws of them; gamma falls from 2 towards 0 with every batch.

    The learning rate falls with it, by half a cosine to 0 (inferred; the paper states neither).
    Towards gamma 0 the gradient grows like 1 / |error|, and a constant rate throws away what was
    learnt: on 480 PneumoniaMNIST images and 10 epochs the validation PSNR of a small network went
    from 26 dB in the middle to 5 dB at the end, against 24 dB with the falling rate.
    """

    autocast = False  # near gamma 0 only exact answers count, and bfloat16 rounds at 1 / 256
    _epochs = 1
    _seen = 0

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Remember how far the annealing has come."""
        super().begin_epoch(epoch, epochs)
        self._epochs = epochs
        self._seen = 0

    def _loss(self, restored: Tensor, clean: Tensor, generator: torch.Generator) -> Tensor:
        done = (self._epoch - 1 + self._seen / self.train_size) / self._epochs
        self._seen += len(clean)
        for group in self.optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
        target = self._noisy(clean, self._settings.noise, generator)
        return annealed_l0(restored - target, FIRST_GAMMA * (1 - done))
