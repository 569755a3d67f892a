"""The state of a training in a file: whole or not at all, and checked before it is used."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from pixguard.errors import PixguardError, is_out_of_memory
from pixguard.files import write_atomically
from pixguard.records import EpochRecord
from pixguard.words import shell_word

CHECKPOINT_FORMAT = 1


class Stateful(Protocol):
    """Anything whose state a checkpoint can hold, such as a learning-rate scheduler."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state, of plain values and tensors only."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take a state that :meth:`state_dict` returned."""


class Trained(Protocol):
    """What a checkpoint holds the state of."""

    @property
    def module(self) -> nn.Module:
        """The module that is trained; it stands on one device."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimiser of the module's parameters."""

    @property
    def scheduler(self) -> Stateful | None:
        """The learning-rate schedule, if any."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a training in a file, or nowhere when ``path`` is None."""

    path: Path | None
    fingerprint: str

    def save(self, trainee: Trained, records: list[EpochRecord], finished: bool) -> None:
        """Write the state after the last of the finished epochs.

        Raises:
            PixguardError: the file cannot be written; the one that was there is kept.
        """
        if self.path is None:
            return
        scheduler = trainee.scheduler
        state = {
            "format": CHECKPOINT_FORMAT,
            "fingerprint": self.fingerprint,
            "finished": finished,
            "epochs": [asdict(record) for record in records],
            "module": trainee.module.state_dict(),
            "optimizer": trainee.optimizer.state_dict(),
            "scheduler": None if scheduler is None else scheduler.state_dict(),
        }
        write_state(self.path, state)

    def restore(self, trainee: Trained) -> tuple[list[EpochRecord], bool]:
        """Give the trainee its saved state; return the finished epochs, and whether all are.

        Raises:
            PixguardError: the file is damaged, or is that of another training.
        """
        if self.path is None or not self.path.exists():
            return [], False
        state = read_state(self.path, next(trainee.module.parameters()).device)
        try:
            if state["format"] != CHECKPOINT_FORMAT or state["fingerprint"] != self.fingerprint:
                raise ValueError("its settings differ")
            trainee.module.load_state_dict(state["module"])
            trainee.optimizer.load_state_dict(state["optimizer"])
            if trainee.scheduler is not None:
                trainee.scheduler.load_state_dict(state["scheduler"])
            return [EpochRecord(**record) for record in state["epochs"]], bool(state["finished"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise PixguardError(
                f"{self.path} is the checkpoint of another training ({error})",
                "train with the settings it was made with, or start over: "
                f"rm {shell_word(self.path)}",
            ) from error


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write plain values and tensors, whole or not at all.

    Raises:
        PixguardError: the file cannot be written; the one that was there is kept.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_atomically(path, buffer.getbuffer())


def read_state(path: Path, device: torch.device) -> dict[str, Any]:
    """Return what :func:`write_state` wrote, its tensors on a device.

    Raises:
        PixguardError: the file cannot be read, or is not as it was written.
    """
    # A damaged pickle may raise anything; torch itself does not look at the checksums.
    try:
        with zipfile.ZipFile(path) as archive:
            if (damaged := archive.testzip()) is not None:
                raise ValueError(f"checksum mismatch in {damaged}")
        state = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(state, dict):
            raise ValueError("it holds no state")
        return state
    except Exception as error:
        if is_out_of_memory(error):
            raise  # it is nothing that removing the file would mend
        raise PixguardError(
            f"{path} cannot be read as a checkpoint: {error}", f"start over: rm {shell_word(path)}"
        ) from error
