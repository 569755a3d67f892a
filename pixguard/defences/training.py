"""Training denoisers on images and noise (paper, sections 3.1.2 and 4.1.2).

The recipe here maps noisy images to clean ones under the mean squared error. A denoiser that
departs from it derives its own, in its own file.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from pixguard.config import DenoiserSettings
from pixguard.datasets.base import Images
from pixguard.defences.denoisers import build_denoiser
from pixguard.defences.denoisers.registry import DENOISERS, DenoiserOptions
from pixguard.defences.noise import add_noise, check_noise
from pixguard.errors import UsageError
from pixguard.models.device import trains_in_bfloat16
from pixguard.models.inputs import unit_range
from pixguard.models.seeding import seeded
from pixguard.models.training_loop import Made, Workplace, fit
from pixguard.records import EpochRecord, digest
from pixguard.registry import load_target


class Recipe:
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
        self.scheduler = self._schedule()
        self.train_size = len(images_train)
        self._train = images_train
        self._val = images_val
        self._settings = settings
        self._device = device
        self._epoch = 1

    def _schedule(self) -> ReduceLROnPlateau | None:
        """Return the schedule of the learning rate, where it has one."""
        return None

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """See :class:`pixguard.models.training_loop.Trainee`, as for all that follows."""
        self._epoch = epoch

    def read(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return clean images uint8 (n, H, W, C) and their indices."""
        return _tensor(self._train[indices]), torch.from_numpy(indices)

    def train_batch(
        self, batch: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, None]:
        """Return the loss of a batch; nothing is right or wrong."""
        clean, indices = unit_range(batch[0]), batch[1]
        noisy = self._noisy(clean, self._levels(indices, self._epoch), generator)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._faster):
            restored = self._restore(noisy.contiguous(memory_format=self._layout))
        return self._loss(restored.float(), clean, generator), None

    def validate(self, epoch: int) -> tuple[float | None, float | None]:
        """Return the mean error against clean images, under noise that epochs share."""
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
                restored = self._restore(noisy.contiguous(memory_format=self._layout))
                total += self._errors(restored, images).double().sum()
        return total.item() / len(self._val), None

    def should_stop(self, record: EpochRecord) -> bool:
        """Never before the last epoch."""
        return False

    def settled(self) -> dict[str, Any]:
        """Return arguments of the builder that only the trained denoiser tells, and set them."""
        return {}

    def _levels(self, indices: Tensor, epoch: int) -> float | Tensor:
        """Return the level of noise of each image (n,), or one for all."""
        return self._settings.noise

    def _noisy(self, clean: Tensor, levels: float | Tensor, generator: torch.Generator) -> Tensor:
        return add_noise(self._settings.noise_kind, clean, levels, generator)

    def _restore(self, noisy: Tensor) -> Tensor:
        """Return what losses compare with clean images (n, C, H, W)."""
        restored: Tensor = self.module(noisy)
        return restored

    def _errors(self, restored: Tensor, clean: Tensor) -> Tensor:
        """Return the validation loss of each image (n,)."""
        return (restored.clamp(0, 1) - clean).double().square().mean(dim=(1, 2, 3))

    def _loss(self, restored: Tensor, clean: Tensor, generator: torch.Generator) -> Tensor:
        return nn.functional.mse_loss(restored, clean)


def _tensor(images: Images) -> Tensor:
    """Return uint8 (n, H, W, C) in memory."""
    return torch.from_numpy(np.ascontiguousarray(images))


def with_own_options(settings: DenoiserSettings) -> DenoiserSettings:
    """Return the settings of a denoiser that can be trained, its own options among them.

    Raises:
        UsageError: there is no denoiser of that name, none to train, or the options are another's.
    """
    entry = DENOISERS[settings.name]
    if not entry.trained:
        trained = ", ".join(one.name for one in DENOISERS if one.trained)
        if entry.reads:
            raise UsageError(
                f"the denoiser {settings.name!r} is not trained here: its weights come in a file",
                f"pixguard denoise add FILE --model {settings.name} --dataset ...; or one of: "
                f"{trained}",
            )
        raise UsageError(f"the denoiser {settings.name!r} needs no training", f"one of: {trained}")
    return replace(settings, options=entry.settled(settings.options))


def train_denoiser(
    settings: DenoiserSettings,
    images_train: Images,
    images_val: Images,
    at: Workplace,
    parameters: Mapping[str, Any] | None = None,
) -> Made:
    """Train a denoiser from fresh weights, or go on from a checkpoint where there is one.

    Weights, order and noise depend on the settings alone: a training that was interrupted and
    went on is, on a CPU, bit for bit the one that was not.

    Args:
        settings: of which denoiser, and how to train it.
        images_train: uint8 (N, H, W, C), an array or a memory map; ``settings.limit`` draws that
            many of them, without regard to their order.
        images_val: uint8 (M, H, W, C), M may be 0 (no validation loss then).
        at: where the denoiser is trained and the noise is made. Its checkpoint knows the settings
            and the number of images; its name must tell denoisers of other parameters and images
            of other datasets apart.
        parameters: arguments of the denoiser's builder; None for what its options come to.

    Returns:
        The denoiser, on the device, what its training came to, and its parameters.

    Raises:
        UsageError: there are no training images, the denoiser is not one to train, there is no
            such noise, or ``settings.patience`` has no validation images to judge by.
        PixguardError: the loss is not finite, or the checkpoint is that of another training.
    """
    settings = with_own_options(settings)
    check_noise(settings.noise_kind, settings.noise)
    if settings.patience is not None and not len(images_val):
        raise UsageError(
            "early stopping needs validation images, and there are none",
            "leave `patience=...` out, or choose a `split=...` that has them",
        )
    if settings.limit is not None and settings.limit < len(images_train):
        drawn = np.random.default_rng(settings.seed).permutation(len(images_train))
        images_train = images_train[np.sort(drawn[: settings.limit])]
    if parameters is None:
        own = settings.options
        parameters = own.parameters() if isinstance(own, DenoiserOptions) else {}
    with seeded(settings.seed):
        denoiser = build_denoiser(settings.name, images_train.shape[-1], **parameters)
    recipe: type[Recipe] = load_target(DENOISERS[settings.name].recipe)
    trainee = recipe(denoiser, images_train, images_val, settings, at.device)
    try:
        done = fit(
            trainee,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            seed=settings.seed,
            checkpoint=at.checkpoint,
            display=at.display,
            stop=at.stop,
            title=f"training {settings.name}",
            fingerprint=digest({**settings.identity(), "images": len(images_train)}),
            patience=settings.patience,
        )
        return Made(denoiser, done, {**parameters, **(trainee.settled() if done.finished else {})})
    finally:
        # Kernels depend on the layout: restoring must find the one that loaded weights have.
        denoiser.to(memory_format=torch.contiguous_format)
