"""The training loop that classifiers and denoisers share: epochs, batches, checkpoints, stopping.

What is trained, and how a batch becomes a loss, is the business of a :class:`Trainee`. The loop
owns the order of the images, the random streams, the optimiser's steps and the checkpoint, so
that a training that was interrupted and went on is bit-identical on a CPU to one that was not.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixguard.errors import PixguardError, UsageError
from pixguard.models.checkpoint import Checkpoint, Trained
from pixguard.models.prefetching import batches_on
from pixguard.models.seeding import seeded
from pixguard.progress import SILENT, Display, Progress, StopSignal
from pixguard.records import EpochRecord, digest

LOOK_EVERY = 32
"""Batches between two looks at the loss on an accelerator, which waits for it at every look."""


class DivergedError(PixguardError):
    """A training that went wrong, and will again: what is kept of it leads there."""

    def __init__(self, what: str) -> None:
        super().__init__(f"training diverged: {what}", "use a smaller `learning_rate=...`")


@dataclass(frozen=True, slots=True)
class Fit:
    """What a training came to.

    Attributes:
        epochs: the finished epochs, those before a resume included.
        seconds: their total duration, validation included.
        finished: False when a stop was requested; the checkpoint of the last whole epoch is
            kept, and the module in memory holds part of an epoch and must not be used.
        train_size: the number of training images.
    """

    epochs: tuple[EpochRecord, ...]
    seconds: float
    finished: bool
    train_size: int


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a training takes place, who watches, and who may stop it.

    Attributes:
        device: where the module is trained.
        checkpoint: the file that keeps the state after every epoch, None for none. Its name must
            tell trainings apart.
        display: where progress is shown.
        stop: asked between batches.
    """

    device: torch.device
    checkpoint: Path | None = None
    display: Display = SILENT
    stop: StopSignal = SILENT


@dataclass(frozen=True, slots=True)
class Made:
    """What came out of a training.

    Attributes:
        module: with its weights, on any device; not to be used where the fit is not finished.
        fit: its epochs and seconds.
        parameters: arguments of its builder, by which it is built again; empty for its defaults.
    """

    module: nn.Module
    fit: Fit
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Trainee(Trained, Protocol):
    """What :func:`fit` trains.

    ``scheduler`` is saved and restored by the loop but stepped by the trainee itself, in
    :meth:`begin_epoch` or :meth:`validate`; the optimiser is stepped by the loop.
    """

    @property
    def train_size(self) -> int:
        """The number of training images."""

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Prepare for an epoch (1 to ``epochs``); the module is in training mode."""

    def read(self, indices: NDArray[np.int64]) -> tuple[Tensor, ...]:
        """Return what a batch is made of, in the host's memory; the first dimension is n.

        Called in order but perhaps ahead and in another thread: it must change nothing.

        Args:
            indices: positions (n,) among the training images, in [0, ``train_size``).
        """

    def train_batch(
        self, batch: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Return the mean loss (scalar, with graph) of a batch, and how many it got right.

        Args:
            batch: what :meth:`read` returned, on the module's device.
            generator: the batch's own random stream, on the module's device.

        The second value (scalar) is None where right and wrong do not exist (denoisers). Must not
        step, and should not wait for the device.
        """

    def validate(self, epoch: int) -> tuple[float | None, float | None]:
        """Return validation loss and accuracy in [0, 1]; may leave the module in any mode."""

    def should_stop(self, record: EpochRecord) -> bool:
        """Say whether training is over after this epoch."""


def fit(
    trainee: Trainee,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    checkpoint: Path | None,
    display: Display,
    stop: StopSignal,
    title: str,
    fingerprint: str | None = None,
    patience: int | None = None,
) -> Fit:
    """Train, going on from ``checkpoint`` if that file exists, and saving to it every epoch.

    The order of images depends on (seed, epoch) alone and a batch's random stream on (seed,
    epoch, batch number) alone. A trailing batch of one image, which batch normalisation cannot
    take, is merged into the batch before it. The module is left in evaluation mode.

    Args:
        trainee: what is trained.
        epochs: the most epochs; the trainee may stop sooner.
        batch_size: images a batch.
        seed: not negative.
        checkpoint: where the state is kept after every epoch; None to keep none.
        display: where progress is shown.
        stop: looked at between batches; an unfinished epoch is dropped.
        title: the title of the progress bar.
        fingerprint: what identifies this training in its checkpoint; by default the numbers
            of epochs and images, the batch size and the seed.
        patience: stop after that many epochs in a row without a better validation loss; None to
            go on. The weights are those of the last epoch, not of the best.

    Raises:
        UsageError: no images, or a number of epochs or a batch size below 1.
        DivergedError: the loss is not finite.
        PixguardError: the checkpoint cannot be read or written or is that of another training.
    """
    if trainee.train_size < 1 or epochs < 1 or batch_size < 1:
        raise UsageError(
            f"cannot train on {trainee.train_size} images for {epochs} epochs with "
            f"{batch_size} images a batch",
            "give at least one of each",
        )
    numbers = {"epochs": epochs, "images": trainee.train_size, "batch": batch_size, "seed": seed}
    kept = Checkpoint(checkpoint, digest(numbers) if fingerprint is None else fingerprint)
    records, finished = kept.restore(trainee)
    if records:
        display.say(f"found {len(records)} of {epochs} epochs in {checkpoint}")
    batches = len(_batches(np.arange(trainee.train_size), batch_size))
    with display.track(title, epochs * batches, "batches") as progress:
        while not finished and len(records) < epochs:
            epoch = len(records) + 1
            bar = _EpochBar(progress, epoch, epochs, batches)
            record = _run_epoch(trainee, epoch, epochs, batch_size, seed, stop, bar)
            if record is None:
                break
            records.append(record)
            over = trainee.should_stop(record) or stalled(records, patience)
            finished = over or epoch == epochs
            kept.save(trainee, records, finished)
            if over and epoch < epochs:
                display.say(f"stopped early, after epoch {epoch} of {epochs}: {_why(record)}")
    trainee.module.eval()
    seconds = sum(record.seconds for record in records)
    return Fit(tuple(records), seconds, finished, trainee.train_size)


def _why(last: EpochRecord) -> str:
    """Say what ended a training early."""
    if last.train_accuracy is None or last.val_accuracy is None:
        return "the validation loss no longer falls"
    return (
        f"training accuracy {last.train_accuracy:.1%} and validation accuracy "
        f"{last.val_accuracy:.1%} are high enough"
    )


def stalled(records: Sequence[EpochRecord], patience: int | None) -> bool:
    """Say whether the last ``patience`` epochs brought no better validation loss."""
    if patience is None:
        return False
    best, since = math.inf, 0
    for record in records:
        since += 1
        if record.val_loss is not None and record.val_loss < best:
            best, since = record.val_loss, 0
    return since >= patience


@dataclass(frozen=True, slots=True)
class _EpochBar:
    progress: Progress
    epoch: int
    epochs: int
    batches: int

    def update(self, batch: int, loss: float, accuracy: float | None) -> None:
        note = f"epoch {self.epoch}/{self.epochs}, loss {loss:.4f}"
        if accuracy is not None:
            note += f", accuracy {accuracy:.1%}"
        self.progress.update((self.epoch - 1) * self.batches + batch, note)


@dataclass(slots=True)
class _Totals:
    """Sums over an epoch's batches, kept on the device until they are asked for."""

    loss_sum: Tensor | float = 0.0
    correct_sum: Tensor | None = None
    seen: int = 0

    def add(self, loss: Tensor, correct: Tensor | None, count: int) -> None:
        self.loss_sum = self.loss_sum + loss.detach().double() * count
        if correct is not None:
            self.correct_sum = correct if self.correct_sum is None else self.correct_sum + correct
        self.seen += count

    def means(self, where: str) -> tuple[float, float | None]:
        """Return loss and accuracy so far.

        Raises:
            DivergedError: a loss was not finite.
        """
        loss = float(self.loss_sum) / self.seen
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} at {where}")
        correct = self.correct_sum
        return loss, None if correct is None else int(correct) / self.seen


def _run_epoch(
    trainee: Trainee,
    epoch: int,
    epochs: int,
    batch_size: int,
    seed: int,
    stop: StopSignal,
    bar: _EpochBar,
) -> EpochRecord | None:
    """Train and validate one epoch; None when a stop was requested on the way."""
    started = time.perf_counter()
    device = next(trainee.module.parameters()).device
    look_every = 1 if device.type == "cpu" else LOOK_EVERY
    totals = _Totals()
    with seeded(_stream(seed, epoch), device):
        trainee.module.train()
        trainee.begin_epoch(epoch, epochs)
        order = np.random.default_rng((seed, epoch)).permutation(trainee.train_size)
        cut = _batches(order, batch_size)
        # Batches count from 1: numpy takes (seed, epoch, 0) for the same entropy as (seed, epoch).
        for number, batch in enumerate(batches_on(device, trainee.read, cut), start=1):
            if stop.requested:
                return None
            generator = torch.Generator(device).manual_seed(_stream(seed, epoch, number))
            totals.add(*_step(trainee, batch, generator), len(cut[number - 1]))
            if number % look_every == 0 or number == len(cut):
                loss, accuracy = totals.means(f"epoch {epoch}, batch {number}")
                bar.update(number, loss, accuracy)
        val_loss, val_accuracy = trainee.validate(epoch)
    return EpochRecord(
        epoch=epoch,
        train_loss=loss,
        val_loss=val_loss,
        train_accuracy=accuracy,
        val_accuracy=val_accuracy,
        seconds=time.perf_counter() - started,
    )


def _step(
    trainee: Trainee, batch: tuple[Tensor, ...], generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    trainee.optimizer.zero_grad(set_to_none=True)
    loss, correct = trainee.train_batch(batch, generator)
    torch.autograd.backward(loss)
    trainee.optimizer.step()
    return loss, correct


def _batches(order: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Cut into batches; a last batch of one joins the one before, so that no image is lost."""
    cuts = list(range(batch_size, len(order), batch_size))
    if cuts and batch_size > 1 and len(order) - cuts[-1] == 1:
        cuts.pop()
    return np.split(order, cuts)


def _stream(*key: int) -> int:
    """Derive a seed for torch from integers that are not negative."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
