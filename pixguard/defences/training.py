"""Training denoisers on images and impulse noise (paper, sections 3.1.2 and 4.1.2).

The plain recipe maps noisy images to clean ones under the mean squared error. Two denoisers
depart from it: ``median-cnn`` sees every noise level from 10 % to 90 %, and ``noise2noise`` never
sees a clean image: its target is a second noisy draw, under the annealed loss of
:func:`annealed_l0`.
"""

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from pixguard.classifiers.inputs import to_unit_range
from pixguard.config import DenoiserSettings
from pixguard.datasets.base import Images
from pixguard.defences.noise import impulse_noise
from pixguard.errors import UsageError
from pixguard.progress import Display, StopSignal
from pixguard.records import EpochRecord, digest
from pixguard.training import Fit, fit

EPSILON = 1e-8
"""Of the annealed loss (paper, section 3.1.2, equation of the Noise2Noise framework)."""

FIRST_GAMMA = 2.0
HIGHEST_NOISE = 0.9
PLATEAU_FACTOR = 0.2
PLATEAU_PATIENCE = 10
"""Epochs without a better loss before the median CNN's rate falls (inferred)."""


def annealed_l0(difference: Tensor, gamma: float) -> Tensor:
    """Return the mean of (|difference| + 1e-8) ** gamma, a scalar.

    At gamma 2 this is the mean squared error, whose optimum is the mean of the noisy targets;
    towards 0 the optimum moves to their mode, which impulse noise leaves where it was.
    """
    return (difference.abs() + EPSILON).pow(gamma).mean()


class _Recipe:
    """Noisy images to clean ones under the mean squared error: the autoencoder and the DAE."""

    def __init__(
        self,
        denoiser: nn.Module,
        images_train: Images,
        images_val: Images,
        settings: DenoiserSettings,
        device: torch.device,
    ) -> None:
        self.module = denoiser
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(
            denoiser.parameters(), lr=settings.learning_rate
        )
        self.scheduler: ReduceLROnPlateau | None = None
        self.train_size = len(images_train)
        self._train = images_train
        self._val = images_val
        self._settings = settings
        self._device = device
        self._epoch = 1

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        self._epoch = epoch

    def train_batch(
        self, indices: NDArray[np.int64], generator: torch.Generator
    ) -> tuple[Tensor, int | None]:
        images = to_unit_range(self._train[indices], self._device)
        noisy = impulse_noise(images, self._levels(indices, self._epoch), generator)
        return self._loss(self.module(noisy), images, generator), None

    def validate(self, epoch: int) -> tuple[float | None, float | None]:
        """Return the mean squared error against clean images, under noise that epochs share."""
        if not len(self._val):
            return None, None
        self.module.eval()
        generator = torch.Generator(self._device).manual_seed(self._settings.seed)
        total = torch.zeros((), dtype=torch.float64, device=self._device)
        with torch.inference_mode():
            for start in range(0, len(self._val), self._settings.batch_size):
                stop = min(start + self._settings.batch_size, len(self._val))
                images = to_unit_range(self._val[start:stop], self._device)
                levels = self._levels(np.arange(start, stop), epoch=0)
                restored = self.module(impulse_noise(images, levels, generator)).clamp(0, 1)
                total += (restored - images).double().square().mean(dim=(1, 2, 3)).sum()
        return total.item() / len(self._val), None

    def should_stop(self, record: EpochRecord) -> bool:
        return False

    def _levels(self, indices: NDArray[np.int64], epoch: int) -> float | Tensor:
        """Return the probability that a pixel of each image is replaced."""
        return self._settings.noise

    def _loss(self, restored: Tensor, clean: Tensor, generator: torch.Generator) -> Tensor:
        return nn.functional.mse_loss(restored, clean)


class _MedianCNNRecipe(_Recipe):
    """Noise levels in steps up to 90 %, and a rate that falls when the validation loss stays.

    ``settings.noise`` is the step: 10 %, 20 %, ... 90 % by default. An image goes through all
    levels in turn, one an epoch; neighbours start at different ones.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        images_train: Images,
        images_val: Images,
        settings: DenoiserSettings,
        device: torch.device,
    ) -> None:
        super().__init__(denoiser, images_train, images_val, settings, device)
        steps = max(1, int(HIGHEST_NOISE / settings.noise + 1e-9))
        self._ladder = torch.arange(1, steps + 1, device=device) * settings.noise
        self._plateau = ReduceLROnPlateau(
            self.optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE
        )
        self.scheduler = self._plateau

    def validate(self, epoch: int) -> tuple[float | None, float | None]:
        loss, accuracy = super().validate(epoch)
        if loss is not None:
            self._plateau.step(loss)
        return loss, accuracy

    def _levels(self, indices: NDArray[np.int64], epoch: int) -> float | Tensor:
        rungs = torch.from_numpy((indices + epoch) % len(self._ladder))
        return self._ladder[rungs.to(self._device)]


class _Noise2NoiseRecipe(_Recipe):
    """Noisy images to other noisy draws of them; gamma falls from 2 towards 0 with every batch.

    The learning rate falls with it, by half a cosine to 0 (inferred; the paper states neither).
    Towards gamma 0 the gradient grows like 1 / |error|, and a constant rate throws away what was
    learnt: on 480 PneumoniaMNIST images and 10 epochs the validation PSNR of a small network went
    from 26 dB in the middle to 5 dB at the end, against 24 dB with the falling rate.
    """

    _epochs = 1
    _seen = 0

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        super().begin_epoch(epoch, epochs)
        self._epochs = epochs
        self._seen = 0

    def _loss(self, restored: Tensor, clean: Tensor, generator: torch.Generator) -> Tensor:
        done = (self._epoch - 1 + self._seen / self.train_size) / self._epochs
        self._seen += len(clean)
        for group in self.optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
        target = impulse_noise(clean, self._settings.noise, generator)
        return annealed_l0(restored - target, FIRST_GAMMA * (1 - done))


_RECIPES: dict[str, type[_Recipe]] = {
    "autoencoder": _Recipe,
    "dae": _Recipe,
    "noise2noise": _Noise2NoiseRecipe,
    "median-cnn": _MedianCNNRecipe,
}


def draw_weights(denoiser: nn.Module, seed: int) -> None:
    """Draw a denoiser's weights anew, as torch would, but from a seed; moves it to the CPU.

    Drawn on the CPU, the weights are the same whatever they are trained on.
    """
    denoiser.cpu()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in denoiser.modules():
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.PReLU):
                module.reset_parameters()


def train_denoiser(
    denoiser: nn.Module,
    images_train: Images,
    images_val: Images,
    settings: DenoiserSettings,
    *,
    device: torch.device,
    checkpoint: Path | None,
    display: Display,
    stop: StopSignal,
) -> Fit:
    """Train a denoiser from fresh weights, or go on from ``checkpoint`` where there is one.

    Weights, order and noise depend on the settings alone: a training that was interrupted and
    went on is, on a CPU, bit for bit the one that was not. The denoiser is left on ``device``.

    Args:
        denoiser: what :func:`~pixguard.defences.denoisers.build_denoiser` made of
            ``settings.name``; its weights are replaced.
        images_train: uint8 (N, H, W, C), an array or a memory map; ``settings.limit`` draws that
            many of them, without regard to their order.
        images_val: uint8 (M, H, W, C), M may be 0 (no validation loss then).
        settings: of which denoiser, and how to train it.
        device: where the denoiser is trained and the noise is made.
        checkpoint: the file that keeps the state after every epoch, None for none. It knows the
            settings and the number of images; its name must tell denoisers of other parameters
            and images of other datasets apart.
        display: where progress is shown.
        stop: asked between batches.

    Raises:
        UsageError: there are no training images, or the denoiser is not one to train.
        PixguardError: the loss is not finite, or the checkpoint is that of another training.
    """
    recipe = _RECIPES.get(settings.name)
    if recipe is None:
        raise UsageError(
            f"{settings.name!r} is no denoiser that can be trained",
            f"choose one of: {', '.join(_RECIPES)}",
        )
    if settings.limit is not None and settings.limit < len(images_train):
        drawn = np.random.default_rng(settings.seed).permutation(len(images_train))
        images_train = images_train[np.sort(drawn[: settings.limit])]
    draw_weights(denoiser, settings.seed)
    trainee = recipe(denoiser.to(device), images_train, images_val, settings, device)
    return fit(
        trainee,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
        checkpoint=checkpoint,
        display=display,
        stop=stop,
        title=f"training {settings.name}",
        fingerprint=digest({**asdict(settings), "images": len(images_train)}),
    )
