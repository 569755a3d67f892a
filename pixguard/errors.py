"""Errors that a user can act on: each says what is wrong, and the next command to type.

The exit codes are the CLI's contract: 0 ok, 1 failure, 2 usage, 3 some attempts failed,
4 database schema mismatch, 5 database busy, 130 interrupted.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


_NO_MEMORY = ("can't allocate memory", "out of memory", "std::bad_alloc")
"""What a RuntimeError says where there was not enough memory: on a CPU torch has no other name."""


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error is that memory, a device's or the machine's, does not do."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _NO_MEMORY)


@contextmanager
def enough_memory(work: str, hint: str = "") -> Iterator[None]:
    """Turn what is raised where memory does not do into what to do about it.

    Args:
        work: what memory does not do for.
        hint: what takes less of it; "" where the command has nothing that does.

    Raises:
        PixguardError: memory did not do.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise no_memory(error, f" for {work}", hint) from error


def no_memory(error: BaseException, work: str = "", hint: str = "") -> PixguardError:
    """Return the user's error for memory that does not do."""
    wanted = re.search(r"allocate ([0-9.]+ ?[KMGT]?i?(?:B|bytes))", str(error))
    size = f" (it asked for {wanted[1]} more)" if wanted else ""
    return PixguardError(
        f"there is not enough memory{work}{size}; what was finished is kept",
        hint or "free -h  (shows what takes it); then run the same command again",
    )


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
