"""One writer at a time: an advisory lock file beside the database that says who holds it.

The kernel's ``flock`` is the lock, so that it ends with the process however that ends; the file
stays, and its text only says who. Readers need no lock.
"""

import errno
import fcntl
import json
import os
import shlex
import socket
from pathlib import Path
from types import TracebackType

from pixguard.errors import DatabaseBusyError, PixguardError
from pixguard.store.errors import from_os


def lock_path(database: Path) -> Path:
    """Return the lock file of a database: ``<db>.lock`` beside it."""
    return database.with_name(f"{database.name}.lock")


class WriterLock:
    """The right to write to one SQLite file, held between enter and exit.

    Raises:
        DatabaseBusyError: another process holds it; the message says which.
        PixguardError: the lock file cannot be written.
    """

    def __init__(self, database: Path, command: str) -> None:
        self._database = database
        self._path = lock_path(database)
        self._command = command
        self._descriptor = -1

    def __enter__(self) -> "WriterLock":
        try:
            # Not through a link: the text that says who holds it would replace another file's.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._descriptor = os.open(self._path, flags, 0o666)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            owner = {"host": socket.gethostname(), "pid": os.getpid(), "command": self._command}
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(owner).encode() + b"\n", 0)
        except BlockingIOError as error:
            self._close()
            raise DatabaseBusyError(
                f"{self._database} is being written to by {holder(self._path)}",
                "wait for it to finish, or write to another file with `database=...`",
            ) from error
        except OSError as error:
            self._close()
            if error.errno == errno.ELOOP:
                raise PixguardError(
                    f"{self._path} is a link: the lock of a database must be a file of its own",
                    f"rm {shlex.quote(str(self._path))}",
                ) from error
            raise from_os(error, self._path) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # forked workers may still hold a copy
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def holder(path: Path) -> str:
    """Return who wrote a lock file last, in words."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return f"process {owner['pid']} on {owner['host']} ({owner['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def is_locked(database: Path) -> bool:
    """Return whether a writer holds the database now."""
    try:
        descriptor = os.open(lock_path(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
