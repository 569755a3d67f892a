"""How much a command says beside its result: ``--quiet``, ``--verbose``, ``--log-file``."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TextIO

import typer

from pixguard.config.settings import Settings, setting
from pixguard.errors import UsageError
from pixguard.words import command_line, printable


@dataclass(frozen=True, slots=True)
class Speech(Settings):
    """What a command says on stderr, and where it is kept."""

    panel: ClassVar[str] = "Messages"

    quiet: bool = setting(False, "Say nothing but results and errors.", short="-q")
    verbose: bool = setting(
        False, "Say also when each message came, what libraries log, and tracebacks.", short="-v"
    )
    log_file: Path | None = setting(
        None, "Append messages, progress and errors to this file, with the time of each."
    )

    def __post_init__(self) -> None:
        if self.quiet and self.verbose:
            raise UsageError("--quiet says less and --verbose more", "one of the two")

    @property
    def flags(self) -> list[str]:
        """The flags that make another command say as much."""
        chosen = [f"--{name}" for name in ("quiet", "verbose") if getattr(self, name)]
        return chosen if self.log_file is None else [*chosen, "--log-file", str(self.log_file)]

    def begin_log(self, message: str) -> None:
        """Append a first message to the file, if there is one.

        Raises:
            OSError: the file cannot be written.
        """
        if self.log_file is not None:
            message = printable(message)
            moment = time.strftime("%Y-%m-%d %H:%M:%S")
            with self.log_file.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(f"{moment}  {line}\n" for line in message.splitlines())

    def log(self, message: str) -> None:
        """Append a message, where that can be done: work of days does not end over its log."""
        with suppress(OSError):
            self.begin_log(message)


class Unbreakable:
    """A text stream that falls silent once it cannot be written: its pipe or terminal is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or nothing."""
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()  # what waits in a buffer would fail later, at the exit
            return len(text)
        self._stream = open(os.devnull, "w", encoding="utf-8")
        return len(text)

    def flush(self) -> None:
        """Do nothing: every text is flushed."""


_SPEECH: ContextVar[Speech | None] = ContextVar("speech", default=None)


def speech() -> Speech:
    """Return how much the command that runs is to say."""
    return _SPEECH.get() or Speech()


@contextmanager
def one_command() -> Iterator[None]:
    """Forget at the end what a command was to say, also after an error."""
    before = _SPEECH.get()
    try:
        yield
    finally:
        _SPEECH.set(before)


@contextmanager
def speaking(chosen: Speech) -> Iterator[None]:
    """Let a command say as much as was asked for; what libraries log goes to stderr if verbose.

    It stays so after an error, which has still to be told.
    """
    before = _SPEECH.get()
    _SPEECH.set(chosen)
    chosen.begin_log(f"$ {command_line(['pixguard', *sys.argv[1:]])}")
    if chosen.verbose:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(name)s: %(message)s")
    yield
    _SPEECH.set(before)


def say(message: str) -> None:
    """Say on stderr what was done, where a command has no display for it."""
    speech().log(message)
    if not speech().quiet:
        typer.echo(printable(message), err=True)
