"""Denoisers to train on a dataset's images."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DenoiserSettings
from pixguard.datasets.base import ImageDataset, Images
from pixguard.datasets.overview import content
from pixguard.datasets.patches import PATCH_SIDE, patches
from pixguard.defences.training import train_denoiser, with_own_options
from pixguard.models.training_loop import Made, Workplace
from pixguard.runner.images import indices_of_class
from pixguard.runner.session import Session
from pixguard.runner.training import Training, described
from pixguard.store.reader import StoredModel
from pixguard.store.writer import Writer


class DenoiserTraining(Training[DenoiserSettings]):
    """A denoiser of a dataset's images, or of those of one class; at native sizes, of patches.

    Raises:
        UsageError: there is no such denoiser, variant or class, or the denoiser needs no training.
    """

    kind = "denoiser"

    def __init__(self, dataset: ImageDataset, settings: DenoiserSettings) -> None:
        super().__init__(dataset, with_own_options(settings))
        self._train, self._val = (
            indices_of_class(dataset, split, settings.only_class) for split in ("train", "val")
        )

    @property
    def identity(self) -> dict[str, Any]:
        """Every setting, and at native sizes the side of a patch."""
        patch = {"patch": PATCH_SIDE} if self.dataset.info.is_native else {}
        return {**self.settings.identity(), **patch}

    def _images(self, indices: NDArray[np.int64]) -> Images:
        dataset = self.dataset
        return patches(dataset, indices) if dataset.info.is_native else dataset.images(indices)

    def make(self, at: Workplace) -> Made:
        """Train it on noise."""
        images = self._images(self._train), self._images(self._val)
        return train_denoiser(self.settings, *images, at)

    def conclude(
        self, session: Session, writer: Writer, stored: StoredModel, made: Made | None
    ) -> dict[str, Any]:
        """Write down what the dataset holds."""
        writer.content(stored.dataset_id, content(self.dataset))
        settings = self.settings
        assert made is not None
        last = made.fit.epochs[-1]
        return {
            "denoiser": settings.name,
            "variant": None,
            **(asdict(settings.options) if settings.options else {}),
            "only_class": settings.only_class,
            **described(stored, self.dataset.info),
            "trainable_parameters": stored.record.trainable_parameters,
            "frozen_parameters": stored.record.frozen_parameters,
            "train_loss": last.train_loss,
            "val_loss": last.val_loss,
        }
