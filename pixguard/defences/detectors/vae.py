"""A variational autoencoder that knows clean images (Alatalo, Sipola and Kokkonen 2022).

A changed pixel is unlike what it was trained on, and is not given back: the score is the largest
residual of a pixel. The threshold comes from clean validation images. Inferred: the network, which
is convolutional throughout so that images of any size do, the weight of its two losses, and that
of a pixel's channels the largest residual counts.
"""

import torch
from torch import Tensor, nn

from pixguard.config import DenoiserSettings, DetectorSettings
from pixguard.datasets.base import Images
from pixguard.defences.denoisers.layers import pad_to_multiple
from pixguard.defences.detectors.alarm import Alarm, require_validation
from pixguard.defences.detectors.registry import DETECTORS
from pixguard.defences.training import Recipe
from pixguard.models.seeding import seeded
from pixguard.models.training_loop import Made, Workplace, fit
from pixguard.records import digest

WIDTHS = (32, 64)
LATENTS = 4
"""Maps of a quarter of the image's side: a quarter of as many numbers as a gray image has."""
SCALE = 0.05
"""Standard deviation of a pixel about its reconstruction, for a data range of 1: the smaller, the
less the latents' prior weighs."""


class VAEDetector(Alarm):
    """Encoder, decoder, and the largest residual between an image and its reconstruction.

    Args:
        channels: of the images, 1 or 3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = WIDTHS
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, first, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(second, 2 * LATENTS, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(LATENTS, second, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(second, first, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(first, channels, 3, padding=1),
            nn.Sigmoid(),
        )

    def moments(self, images: Tensor) -> Tensor:
        """Return means, then log variances of the latents, (N, 8, h, w), for (N, C, H, W)."""
        moments: Tensor = self.encoder(pad_to_multiple(images, 2 ** len(WIDTHS)))
        return moments

    def highest(self, images: Tensor) -> Tensor:
        """Return the largest residual of each image, float64 (N,); the latents are their means."""
        height, width = images.shape[-2:]
        means = self.moments(images).chunk(2, dim=1)[0]
        residuals: Tensor = self.decoder(means)[..., :height, :width] - images
        return residuals.abs().double().amax(dim=(1, 2, 3))


class VAERecipe(Recipe):
    """The evidence lower bound on clean images (Kingma and Welling 2014), one draw an image."""

    autocast = False  # residuals are compared with steps of 1 / 255, where bfloat16 rounds

    def _noisy(self, clean: Tensor, levels: float | Tensor, generator: torch.Generator) -> Tensor:
        return clean

    def _restore(self, noisy: Tensor) -> Tensor:
        module = self.module
        assert isinstance(module, VAEDetector)
        return module.moments(noisy)

    def _bounds(self, moments: Tensor, clean: Tensor, noise: Tensor | None) -> Tensor:
        """Return minus the evidence lower bound of each image (n,), but for a constant."""
        module = self.module
        assert isinstance(module, VAEDetector)
        means, logs = moments.chunk(2, dim=1)
        latents = means if noise is None else means + noise * (logs / 2).exp()
        height, width = clean.shape[-2:]
        residuals: Tensor = module.decoder(latents)[..., :height, :width] - clean
        misfit = residuals.square().sum(dim=(1, 2, 3)) / (2 * SCALE**2)
        divergence = (means.square() + logs.exp() - 1 - logs).sum(dim=(1, 2, 3)) / 2
        return (misfit + divergence) / clean[0].numel()

    def _errors(self, restored: Tensor, clean: Tensor) -> Tensor:
        return self._bounds(restored, clean, None)

    def _loss(self, restored: Tensor, clean: Tensor, generator: torch.Generator) -> Tensor:
        shape = restored.chunk(2, dim=1)[0].shape
        noise = torch.randn(shape, generator=generator, device=restored.device)
        return self._bounds(restored, clean, noise).mean()


def train(
    images_train: Images, images_val: Images, settings: DetectorSettings, at: Workplace
) -> Made:
    """Train the autoencoder on clean images, and take the threshold from validation images.

    See :class:`pixguard.defences.detectors.training.Trainer`.

    Raises:
        UsageError: there are no validation images.
    """
    options = DETECTORS[settings.name].settled(settings.options)
    require_validation(images_val)
    with seeded(settings.seed):
        detector = VAEDetector(images_train.shape[-1])
    own = DenoiserSettings(settings.name, epochs=settings.epochs, seed=settings.seed)
    trainee = VAERecipe(detector, images_train, images_val, own, at.device)
    try:
        done = fit(
            trainee,
            epochs=own.epochs,
            batch_size=own.batch_size,
            seed=own.seed,
            checkpoint=at.checkpoint,
            display=at.display,
            stop=at.stop,
            title=f"training {settings.name}",
            fingerprint=digest({**settings.identity(), "images": len(images_train)}),
        )
    finally:
        detector.to(memory_format=torch.contiguous_format)
    if done.finished:
        detector.settle(images_val, options.false_alarms, at)
    return Made(detector, done)
