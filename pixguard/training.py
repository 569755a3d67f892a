"""The training loop that classifiers and denoisers share: epochs, batches, checkpoints, stopping.

What is trained, and how a batch becomes a loss, is the business of a :class:`Trainee`. The loop
owns the order of the images, the random streams, the optimiser's steps and the checkpoint, so
that a training that was interrupted and went on is bit-identical on a CPU to one that was not.
"""

import io
import math
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixguard.errors import PixguardError, UsageError
from pixguard.files import write_atomically
from pixguard.progress import Display, Progress, StopSignal
from pixguard.records import EpochRecord, digest

CHECKPOINT_FORMAT = 1


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


class Stateful(Protocol):
    """Anything whose state a checkpoint can hold, such as a learning-rate scheduler."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state, of plain values and tensors only."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take a state that :meth:`state_dict` returned."""


class Trainee(Protocol):
    """What :func:`fit` trains.

    ``scheduler`` is saved and restored by the loop but stepped by the trainee itself, in
    :meth:`begin_epoch` or :meth:`validate`. ``train_size`` is the number of training images.
    """

    @property
    def module(self) -> nn.Module:
        """The module that is trained; it stands on one device."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimiser of the module's parameters; the loop steps it."""

    @property
    def scheduler(self) -> Stateful | None:
        """The learning-rate schedule, if any."""

    @property
    def train_size(self) -> int:
        """The number of training images."""

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Prepare for an epoch (1 to ``epochs``); the module is in training mode."""

    def train_batch(
        self, indices: NDArray[np.int64], generator: torch.Generator
    ) -> tuple[Tensor, int | None]:
        """Return the mean loss (scalar, with graph) of a batch, and how many it got right.

        Args:
            indices: positions (n,) among the training images, in [0, ``train_size``).
            generator: the batch's own random stream, on the module's device.

        The second value is None where right and wrong do not exist (denoisers). Must not step.
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

    Raises:
        UsageError: no images, or a number of epochs or a batch size below 1.
        PixguardError: the loss is not finite, or the checkpoint cannot be read or written or
            is that of another training.
    """
    if trainee.train_size < 1 or epochs < 1 or batch_size < 1:
        raise UsageError(
            f"cannot train on {trainee.train_size} images for {epochs} epochs with "
            f"{batch_size} images a batch",
            "give at least one of each",
        )
    numbers = {"epochs": epochs, "images": trainee.train_size, "batch": batch_size, "seed": seed}
    kept = _Checkpoint(checkpoint, digest(numbers) if fingerprint is None else fingerprint)
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
            finished = trainee.should_stop(record) or epoch == epochs
            kept.save(trainee, records, finished)
    trainee.module.eval()
    seconds = sum(record.seconds for record in records)
    return Fit(tuple(records), seconds, finished, trainee.train_size)


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
    loss_sum, correct_sum, seen = 0.0, 0, 0
    counted = True
    with _seeded(device, _stream(seed, epoch)):
        trainee.module.train()
        trainee.begin_epoch(epoch, epochs)
        order = np.random.default_rng((seed, epoch)).permutation(trainee.train_size)
        # Batches count from 1: numpy takes (seed, epoch, 0) for the same entropy as (seed, epoch).
        for batch, indices in enumerate(_batches(order, batch_size), start=1):
            if stop.requested:
                return None
            generator = torch.Generator(device).manual_seed(_stream(seed, epoch, batch))
            loss, correct = _step(trainee, indices, generator, f"epoch {epoch}, batch {batch}")
            seen += len(indices)
            loss_sum += loss * len(indices)
            counted = correct is not None
            correct_sum += correct or 0
            bar.update(batch, loss_sum / seen, correct_sum / seen if counted else None)
        val_loss, val_accuracy = trainee.validate(epoch)
    return EpochRecord(
        epoch=epoch,
        train_loss=loss_sum / seen,
        val_loss=val_loss,
        train_accuracy=correct_sum / seen if counted else None,
        val_accuracy=val_accuracy,
        seconds=time.perf_counter() - started,
    )


def _step(
    trainee: Trainee, indices: NDArray[np.int64], generator: torch.Generator, where: str
) -> tuple[float, int | None]:
    trainee.optimizer.zero_grad(set_to_none=True)
    loss, correct = trainee.train_batch(indices, generator)
    value = loss.item()
    if not math.isfinite(value):
        raise PixguardError(
            f"training diverged: the loss is {value} at {where}", "use a smaller --learning-rate"
        )
    torch.autograd.backward(loss)
    trainee.optimizer.step()
    return value, correct


def _batches(order: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Cut into batches; a last batch of one joins the one before, so that no image is lost."""
    cuts = list(range(batch_size, len(order), batch_size))
    if cuts and batch_size > 1 and len(order) - cuts[-1] == 1:
        cuts.pop()
    return np.split(order, cuts)


def _stream(*key: int) -> int:
    """Derive a seed for torch from integers that are not negative."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])


@contextmanager
def _seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's own generators, which dropout layers draw from, and put them back after."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """The state of a training in a file, or nowhere when ``path`` is None."""

    path: Path | None
    fingerprint: str

    def save(self, trainee: Trainee, records: list[EpochRecord], finished: bool) -> None:
        if self.path is None:
            return
        scheduler = trainee.scheduler
        buffer = io.BytesIO()
        state = {
            "format": CHECKPOINT_FORMAT,
            "fingerprint": self.fingerprint,
            "finished": finished,
            "epochs": [asdict(record) for record in records],
            "module": trainee.module.state_dict(),
            "optimizer": trainee.optimizer.state_dict(),
            "scheduler": None if scheduler is None else scheduler.state_dict(),
        }
        torch.save(state, buffer)
        write_atomically(self.path, buffer.getbuffer())

    def restore(self, trainee: Trainee) -> tuple[list[EpochRecord], bool]:
        """Give the trainee its saved state; return the finished epochs, and whether all are."""
        if self.path is None or not self.path.exists():
            return [], False
        state = self._read(self.path, next(trainee.module.parameters()).device)
        try:
            if state["format"] != CHECKPOINT_FORMAT or state["fingerprint"] != self.fingerprint:
                raise ValueError("its settings differ")
            trainee.module.load_state_dict(state["module"])
            trainee.optimizer.load_state_dict(state["optimizer"])
            if trainee.scheduler is not None:
                trainee.scheduler.load_state_dict(state["scheduler"])
            return [EpochRecord(**record) for record in state["epochs"]], bool(state["finished"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise PixguardError(
                f"{self.path} is the checkpoint of another training ({error})",
                f"train with the settings it was made with, or start over: rm {self.path}",
            ) from error

    @staticmethod
    def _read(path: Path, device: torch.device) -> Mapping[str, Any]:
        # A damaged pickle may raise anything; torch itself does not look at the checksums.
        try:
            with zipfile.ZipFile(path) as archive:
                if (damaged := archive.testzip()) is not None:
                    raise ValueError(f"checksum mismatch in {damaged}")
            state = torch.load(path, map_location=device, weights_only=True)
            if not isinstance(state, dict):
                raise ValueError("it holds no training state")
            return state
        except Exception as error:
            raise PixguardError(
                f"{path} cannot be read as a checkpoint: {error}", f"start over: rm {path}"
            ) from error
