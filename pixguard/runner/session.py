"""Where a command works: the database, the folder beside it, the device, who watches."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pixguard.errors import InterruptedRunError
from pixguard.progress import Display, StopSignal
from pixguard.provenance import environment
from pixguard.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Session:
    """One command at work. ``files`` holds weights and checkpoints; ``command`` is as typed."""

    database: str
    files: Path
    device: torch.device
    display: Display
    stop: StopSignal
    command: str

    @property
    def weights(self) -> Path:
        """The folder of weights."""
        return self.files / "weights"

    def checkpoint(self, key: str) -> Path:
        """Return where a training's checkpoint lies."""
        return self.files / "checkpoints" / f"{key[:16]}.pt"

    def writer(self, config: Mapping[str, Any], seed: int) -> Writer:
        """Return the database's one writer, for a run with this configuration."""
        return Writer(
            self.database,
            command=self.command,
            config=config,
            seed=seed,
            environment=environment(),
        )

    def honour_stop(self, kept: str) -> None:
        """Raise if a stop was requested; ``kept`` says what is safe.

        Raises:
            InterruptedRunError: with the way to go on.
        """
        if self.stop.requested:
            raise InterruptedRunError(f"stopped; {kept}", resume_command(self.command))


def resume_command(command: str) -> str:
    """Return a command line with ``--resume`` added where it is missing."""
    return command if "--resume" in command.split() else f"{command} --resume"
