"""Training a classifier as the paper did (sections 3.2.2 and 4.1.2)."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixguard.classifiers.augmentation import augment, with_random_pixels
from pixguard.classifiers.balance import BalancedSampler, loss_weights
from pixguard.classifiers.classifier import Classifier
from pixguard.classifiers.losses import classification_loss
from pixguard.config import LossName, TrainSettings
from pixguard.datasets.base import ImageDataset
from pixguard.errors import DataError, UsageError
from pixguard.models.checkpoint import Stateful
from pixguard.models.device import trains_in_bfloat16
from pixguard.models.inputs import unit_range
from pixguard.models.training_loop import Fit, Workplace, fit
from pixguard.records import EpochRecord, Split, Task, digest

Change = Callable[[Classifier, Tensor, Tensor, torch.Generator], Tensor]
"""Returns a batch of images (n, C, H, W) with pixels changed, given the classifier and labels."""
VALIDATION_BATCH = 256


def train_classifier(
    classifier: Classifier,
    dataset: ImageDataset,
    settings: TrainSettings,
    at: Workplace,
    change: Change | None = None,
) -> Fit:
    """Train a classifier on the dataset's training split, with SGD; it is left on the device.

    The loss is by default the cross entropy, or for multi-label tasks the binary cross entropy,
    whose images without any finding take part neither in training nor in validation, as in the
    paper. An image is counted as correct when its whole label set is; training images are counted
    as they were drawn and changed. Validation images are never changed, drawn or weighted.
    Where the device has bfloat16 the network is trained in it, with channels last; the weights
    stay float32, and so does validation.

    Args:
        classifier: built for the dataset; trained in place from the weights that it has.
        dataset: its images are read batch by batch.
        settings: early stopping needs a validation split, or, with ``paper_early_stop``, a test
            split; ``limit`` draws that many training images with the seed.
        at: where to train, and to keep and find the finished epochs.
        change: of ``settings.adversarial`` pixels; None: random ones.

    Raises:
        DataError: there is nothing to train on.
        UsageError: the loss is not for such labels, or images have fewer pixels than are changed.
        PixguardError: the loss is not finite, or the checkpoint is unusable.
    """
    device = at.device
    trainee = _Trainee(classifier.to(device), dataset, settings, device, change)
    layout = torch.channels_last if trains_in_bfloat16(device) else torch.contiguous_format
    classifier.to(memory_format=layout)
    identity = {
        "classifier": settings.identity(),
        "manifest": dataset.info.manifest_sha256,
        "split": [dataset.info.split_scheme, dataset.info.split_seed],
        "size": dataset.info.size,
    }
    try:
        return fit(
            trainee,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            seed=settings.seed,
            checkpoint=at.checkpoint,
            display=at.display,
            stop=at.stop,
            title=f"training {settings.architecture}",
            fingerprint=digest(identity),
        )
    finally:
        # Kernels depend on the layout: judging must find the one that loaded weights have.
        classifier.to(memory_format=torch.contiguous_format)


class _Trainee:
    """A classifier, its data and the paper's recipe, for the training loop."""

    def __init__(
        self,
        classifier: Classifier,
        dataset: ImageDataset,
        settings: TrainSettings,
        device: torch.device,
        change: Change | None,
    ) -> None:
        self.module = classifier
        self._change = change
        self.optimizer = torch.optim.SGD(
            classifier.parameters(), lr=settings.learning_rate, momentum=settings.momentum
        )
        self.scheduler: Stateful | None = None
        self._dataset = dataset
        self._settings = settings
        self._device = device
        self._train = _limited(_with_findings(dataset, "train"), settings)
        self._val = _with_findings(dataset, "test" if settings.paper_early_stop else "val")
        self.train_size = len(self._train)
        if not self.train_size:
            raise DataError(
                f"dataset {dataset.info.name!r} has no images to train on",
                "`split=paper`, or a dataset with a training split",
            )
        _check_options(dataset, settings)
        self._kind: LossName = settings.loss or default_loss(dataset.info.task)
        labels = dataset.labels[self._train]
        self._sampler = None
        self._weights = None
        if settings.balance == "sampler":
            self._sampler = BalancedSampler(labels, settings.seed)
        elif settings.balance == "weights":
            weights = torch.from_numpy(loss_weights(labels, dataset.info.label_count))
            self._weights = weights.to(device)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Nothing changes from epoch to epoch."""

    def read(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        drawn = indices if self._sampler is None else self._sampler.draw(indices)
        return self._read(self._train[drawn])

    def train_batch(
        self, batch: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        images, labels = unit_range(batch[0]), batch[1]
        if self._settings.augment:
            images = augment(images, generator)
        if self._settings.adversarial and self._change is not None:
            images = self._change(self.module, images, labels, generator)
        elif self._settings.adversarial:
            images = with_random_pixels(images, self._settings.adversarial, generator)
        return self._loss(images, labels, self._weights)

    @torch.inference_mode()
    def validate(self, epoch: int) -> tuple[float | None, float | None]:
        if not len(self._val):
            return None, None
        self.module.eval()
        loss_sum, correct_sum = 0.0, 0
        for indices in _chunks(self._val, VALIDATION_BATCH):
            images, labels = (tensor.to(self._device) for tensor in self._read(indices))
            loss, correct = self._loss(unit_range(images), labels)
            loss_sum += loss.item() * len(indices)
            correct_sum += int(correct)
        return loss_sum / len(self._val), correct_sum / len(self._val)

    def should_stop(self, record: EpochRecord) -> bool:
        if record.train_accuracy is None or record.val_accuracy is None:
            return False
        return (
            record.train_accuracy > self._settings.stop_train_accuracy
            and record.val_accuracy > self._settings.stop_val_accuracy
        )

    def _read(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return images, uint8 (n, H, W, C), and labels of the dataset."""
        images = np.ascontiguousarray(self._dataset.images(indices))
        return torch.from_numpy(images), torch.from_numpy(self._dataset.labels[indices])

    def _loss(
        self, images: Tensor, labels: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the mean loss on images (n, C, H, W), and how many were decided correctly."""
        # Validation is in float32: it agrees with the evaluation that judges the classifier.
        faster = self.module.training and trains_in_bfloat16(self._device)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=faster):
            logits = self.module(images)
        logits = logits.float()
        indicators = self.module.indicators(logits.detach())
        if labels.ndim == 1:
            truth = nn.functional.one_hot(labels, logits.shape[1]).bool()
        else:
            truth = labels.bool()
        loss = classification_loss(self._kind, logits, labels, weights)
        return loss, (indicators == truth).all(dim=1).sum()


def default_loss(task: Task) -> LossName:
    """Return the loss of the paper for a task."""
    return "ce" if task == "multi-class" else "bce"


def _check_options(dataset: ImageDataset, settings: TrainSettings) -> None:
    if settings.loss == "ce" and dataset.info.task == "multi-label":
        raise UsageError(
            f"the loss ce is for one class an image, and {dataset.info.name!r} has several labels",
            "`loss=bce`, or `loss=focal`",
        )
    if settings.adversarial_search != "random" and not settings.adversarial:
        raise UsageError(
            f"{settings.adversarial_search} has no pixels to look for: none are changed",
            "`adversarial=1`",
        )
    if settings.adversarial > dataset.info.size**2:
        raise UsageError(
            f"images of {dataset.info.size} x {dataset.info.size} do not have "
            f"{settings.adversarial} pixels",
            "`adversarial=2`",
        )


def _chunks(indices: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


def _with_findings(dataset: ImageDataset, split: Split) -> NDArray[np.int64]:
    """Return the indices of a split, without a multi-label task's images that carry no label."""
    indices = dataset.indices(split)
    if dataset.info.task == "multi-class":
        return indices
    return indices[dataset.labels[indices].any(axis=1)]


def _limited(indices: NDArray[np.int64], settings: TrainSettings) -> NDArray[np.int64]:
    if settings.limit is None or settings.limit >= len(indices):
        return indices
    drawn = np.random.default_rng(settings.seed).permutation(indices)[: settings.limit]
    return np.sort(drawn)
