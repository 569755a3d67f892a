"""Where a command works: the database, the folder beside it, the device, who watches."""

import re
import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pixguard.errors import InterruptedRunError, UsageError
from pixguard.models.device import pick_devices
from pixguard.progress import SILENT, Display, StopSignal
from pixguard.provenance import environment
from pixguard.store.location import CHECKPOINTS, FASTEST, IN_FLIGHT, WEIGHTS, files_folder, locate
from pixguard.store.presence import Presence
from pixguard.store.writer import Writer
from pixguard.words import command_line


@dataclass(frozen=True, slots=True)
class Session:
    """One command at work. ``files`` holds weights and checkpoints; ``command`` is as typed.

    ``presence`` tells others what it does; None: nobody asks. ``devices`` are all that the work may
    be shared among: more than ``device``, or none.
    """

    database: str
    files: Path
    device: torch.device
    display: Display
    stop: StopSignal
    command: str
    presence: Presence | None = None
    devices: tuple[torch.device, ...] = ()

    @classmethod
    def of(
        cls,
        database: str,
        device: str = "auto",
        display: Display = SILENT,
        stop: StopSignal = SILENT,
        command: str = "",
        shares: bool = False,
    ) -> "Session":
        """Return a session on a database, its files beside it; ``shares``: among several devices.

        Raises:
            UsageError: there is no such device, or there are several for work that is not shared.
        """
        files, presence = files_folder(database), Presence(database, command)
        shown, devices = presence.watching(display), pick_devices(device)
        if len(devices) > 1 and not shares:
            raise UsageError(
                f"{device!r} are several devices, and only an attack is shared among them",
                f"`device={devices[0]}`",
            )
        return cls(database, files, devices[0], shown, stop, command, presence, devices)

    def at_work(self) -> AbstractContextManager[None]:
        """Be seen by ``pixguard status``; whoever writes to the database is."""
        return nullcontext() if self.presence is None else self.presence.at_work()

    def tell(self, **facts: Any) -> None:
        """Say more of what is done than progress does, to ``pixguard status``."""
        if self.presence is not None:
            self.presence.tell(**facts)

    @property
    def place(self) -> str:
        """The database as people are told of it: without a password."""
        return locate(self.database).name

    @property
    def weights(self) -> Path:
        """The folder of weights."""
        return self.files / WEIGHTS

    def checkpoint(self, key: str) -> Path:
        """Return where a training's checkpoint lies."""
        return self.files / CHECKPOINTS / f"{key[:16]}.pt"

    def in_flight(self, plan_id: int) -> Path:
        """Return where the attempts that a plan has in flight lie."""
        return self.files / IN_FLIGHT / f"plan-{plan_id}.pt"

    @property
    def fastest(self) -> Path:
        """The file of which evaluators were measured to be the fastest."""
        return self.files / FASTEST

    def writer(self, config: Mapping[str, Any], seed: int) -> Writer:
        """Return the database's one writer, for a run with this configuration."""
        return Writer(
            self.database,
            command=self.command,
            config=config,
            seed=seed,
            environment=environment(),
            say=self.display.say,
            presence=self.presence,
        )

    def honour_stop(self, kept: str, again: str | None = None) -> None:
        """Raise if a stop was requested; ``kept`` says what is safe, ``again`` how to go on.

        Raises:
            InterruptedRunError: with the command that goes on, by default the same one.
        """
        if self.stop.requested:
            raise InterruptedRunError(f"stopped; {kept}", again or self.command)

    def again(self, seed: int) -> str:
        """Return the command line that goes on with this work: ``--resume``, and the seed in use.

        A fresh seed was fresh once: asked for again, it would begin something else.
        """
        if not self.command:
            return ""  # called from Python
        # As text, where that will do: shlex does not read every name that a shell does.
        if re.search(" (--resume|-r)( |$)", self.command):
            return self.command
        if " --fresh-seed" not in self.command:
            return f"{self.command} --resume"
        words = shlex.split(self.command)
        words.remove("--fresh-seed")
        if "--seed" in words:
            at = words.index("--seed")
            del words[at : at + 2]
        return command_line([*words, "--seed", seed, "--resume"])
