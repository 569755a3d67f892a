"""Training denoisers on images and noise (paper, sections 3.1.2 and 4.1.2).

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

from pixguard.config import DenoiserSettings
from pixguard.datasets.base import Images
from pixguard.defences.noise import add_noise, check_noise
from pixguard.errors import UsageError
from pixguard.models.device import trains_in_bfloat16
from pixguard.models.inputs import unit_range
from pixguard.models.training_loop import Fit, fit
from pixguard.progress import Display, StopSignal
from pixguard.records import EpochRecord, digest

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
    """Noisy images to clean ones under the mean squared error: the autoencoder and the DAE.

    Where the device has bfloat16 the denoiser runs in it; the loss and validation are in float32.
    """

    autocast = True
    """Whether the denoiser may run in bfloat16."""

    channels_last_on_cpu = True
    """Whether that layout trains faster on a CPU, as it does on a GPU. Measured with one thread
    at 64 x 64: the autoencoder 1.6 to 2.6 times, the DAE 1.2 times as fast."""

    def __init__(
        self,
        denoiser: nn.Module,
        images_train: Images,
        images_val: Images,
        settings: DenoiserSettings,
        device: torch.device,
    ) -> None:
        on_gpu = device.type == "cuda"
        last = on_gpu or self.channels_last_on_cpu
        self._layout = torch.channels_last if last else torch.contiguous_format
        self._faster = self.autocast and trains_in_bfloat16(device)
        self.module = denoiser.to(device).to(memory_format=self._layout)
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

    def read(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        return _tensor(self._train[indices]), torch.from_numpy(indices)

    def train_batch(
        self, batch: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, None]:
        clean, indices = unit_range(batch[0]), batch[1]
        noisy = self._noisy(clean, self._levels(indices, self._epoch), generator)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._faster):
            restored = self.module(noisy.contiguous(memory_format=self._layout))
        return self._loss(restored.float(), clean, generator), None

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
                images = unit_range(_tensor(self._val[start:stop]).to(self._device))
                levels = self._levels(torch.arange(start, stop, device=self._device), epoch=0)
                noisy = self._noisy(images, levels, generator)
                restored = self.module(noisy.contiguous(memory_format=self._layout)).clamp(0, 1)
                total += (restored - images).double().square().mean(dim=(1, 2, 3)).sum()
        return total.item() / len(self._val), None

    def should_stop(self, record: EpochRecord) -> bool:
        return False

    def _levels(self, indices: Tensor, epoch: int) -> float | Tensor:
        """Return the level of noise of each image (n,), or one for all."""
        return self._settings.noise

    def _noisy(self, clean: Tensor, levels: float | Tensor, generator: torch.Generator) -> Tensor:
        return add_noise(self._settings.noise_kind, clean, levels, generator)

    def _loss(self, restored: Tensor, clean: Tensor, generator: torch.Generator) -> Tensor:
        return nn.functional.mse_loss(restored, clean)


class _MedianCNNRecipe(_Recipe):
    """Noise levels in steps up to 90 %, and a rate that falls when the validation loss stays.

    ``settings.noise`` is the step: 10 %, 20 %, ... 90 % by default; one that leads beyond 90 % at
    once, as the number of pixels of k-pixel noise does, is the only level. An image goes through
    all levels in turn, one an epoch; neighbours start at different ones.
    """

    channels_last_on_cpu = False  # 0.9 to 1.3 times as fast: the median layers work on planes

    def __init__(
        self,
        denoiser: nn.Module,
        images_train: Images,
        images_val: Images,
        settings: DenoiserSettings,
        device: torch.device,
    ) -> None:
        super().__init__(denoiser, images_train, images_val, settings, device)
        steps = max(1, int(HIGHEST_NOISE / settings.noise + 1e-9)) if settings.noise else 1
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

    def _levels(self, indices: Tensor, epoch: int) -> float | Tensor:
        return self._ladder[(indices + epoch) % len(self._ladder)]


class _Noise2NoiseRecipe(_Recipe):
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


_RECIPES: dict[str, type[_Recipe]] = {
    "autoencoder": _Recipe,
    "dae": _Recipe,
    "noise2noise": _Noise2NoiseRecipe,
    "median-cnn": _MedianCNNRecipe,
}


def _tensor(images: Images) -> Tensor:
    """Return uint8 (n, H, W, C) in memory."""
    return torch.from_numpy(np.ascontiguousarray(images))


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
        UsageError: there are no training images, the denoiser is not one to train, there is no
            such noise, or ``settings.patience`` has no validation images to judge by.
        PixguardError: the loss is not finite, or the checkpoint is that of another training.
    """
    recipe = _RECIPES.get(settings.name)
    if recipe is None:
        raise UsageError(
            f"{settings.name!r} is no denoiser that can be trained",
            f"choose one of: {', '.join(_RECIPES)}",
        )
    check_noise(settings.noise_kind, settings.noise)
    if settings.patience is not None and not len(images_val):
        raise UsageError(
            "early stopping needs validation images, and there are none",
            "leave --patience out, or choose a --split that has them",
        )
    if settings.limit is not None and settings.limit < len(images_train):
        drawn = np.random.default_rng(settings.seed).permutation(len(images_train))
        images_train = images_train[np.sort(drawn[: settings.limit])]
    draw_weights(denoiser, settings.seed)
    trainee = recipe(denoiser, images_train, images_val, settings, device)
    try:
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
            patience=settings.patience,
        )
    finally:
        # Kernels depend on the layout: restoring must find the one that loaded weights have.
        denoiser.to(memory_format=torch.contiguous_format)
