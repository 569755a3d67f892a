"""Errors that a user can act on: each says what is wrong, and the next command to type.

The exit codes are the CLI's contract: 0 ok, 1 failure, 2 usage, 3 some attempts failed,
4 database schema mismatch, 5 database busy, 130 interrupted.
"""

from collections.abc import Iterable
from typing import ClassVar

EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130


class PixguardError(Exception):
    """A failure with a message for the user and, where there is one, the next command to type."""

    kind: ClassVar[str] = "failure"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PixguardError):
    """The command was asked for something that does not exist or does not fit together."""

    kind = "usage"
    exit_code = 2


class DataError(PixguardError):
    """A dataset is missing, malformed or has changed since it was registered."""

    kind = "data"


class SchemaMismatchError(PixguardError):
    """The database was made by an older or newer pixguard."""

    kind = "schema"
    exit_code = 4


class DatabaseBusyError(PixguardError):
    """Another process is writing to the database."""

    kind = "busy"
    exit_code = 5


class InterruptedRunError(PixguardError):
    """The user asked to stop; what was finished is committed."""

    kind = "interrupted"
    exit_code = EXIT_INTERRUPTED


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return names for a message, with commas: the first ones, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - most:,} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def reason(error: Exception) -> str:
    """Return what an error of a library says in one line: TorchScript says it at the end."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return lines[-1] if "TorchScript" in lines[0] else lines[0]
