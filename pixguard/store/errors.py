"""Turns what the database driver raises into errors that a user can act on, at one place.

:func:`translate_errors` hooks into an engine, so that whoever runs SQL through it, here or in a
report, sees :class:`pixguard.errors.PixguardError` and never a driver's exception.
"""

import errno
import sqlite3
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from pixguard.errors import DatabaseBusyError, PixguardError, SchemaMismatchError
from pixguard.store.location import ANOTHER, Location
from pixguard.store.postgresql import from_driver
from pixguard.words import shell_word

_PRIMARY_CODE = 0xFF
_NOTHING_LOST = "everything committed so far is safe"


def translate_errors(engine: Engine, location: Location) -> None:
    """Make every driver error on this engine a :class:`PixguardError` that names the database."""

    @event.listens_for(engine, "handle_error", retval=True)
    def _translate(context: ExceptionContext) -> BaseException | None:
        error = context.original_exception
        if context.is_pre_ping:
            return None  # of a connection that is about to be made anew
        if isinstance(error, sqlite3.Error):
            return from_sqlite(error, str(location.path))
        if isinstance(error, Exception) and isinstance(context.sqlalchemy_exception, DBAPIError):
            return from_driver(error, location)
        return None


def damaged(database: str, found: str) -> PixguardError:
    """Return the error for a file that is not as SQLite wrote it."""
    named = shell_word(database)
    return PixguardError(
        f"{database} is damaged ({found})",
        f"pixguard db check --db {named}; go back to a backup, or save what can be read with "
        f"`sqlite3 {named} .recover`",
    )


def from_sqlite(error: sqlite3.Error, database: str) -> PixguardError:
    """Return the user's error for an SQLite error; the reason is in its result code."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
    folder = Path(database).parent
    named, place = shell_word(database), shell_word(folder)
    match code:
        case sqlite3.SQLITE_FULL:
            return disk_full(database)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return DatabaseBusyError(
                f"{database} is locked: another program kept it busy for 30 seconds",
                "close the program that holds it open (an SQL browser?), then run it again",
            )
        case sqlite3.SQLITE_READONLY:
            return PixguardError(
                f"{database} cannot be written: the file or its folder is read-only",
                f"chmod u+w {named} {place}, or `database=...` with a file in another folder",
            )
        case sqlite3.SQLITE_CANTOPEN:
            return PixguardError(
                f"{database} cannot be opened: no permission for the file or its folder {folder}",
                f"ls -l {place}, or `database=...` with a file in another folder",
            )
        case sqlite3.SQLITE_NOTADB:
            return PixguardError(
                f"{database} is not an SQLite database",
                ANOTHER,
            )
        case sqlite3.SQLITE_CORRUPT:
            return damaged(database, str(error))
        case sqlite3.SQLITE_IOERR:
            return PixguardError(
                f"reading or writing {database} failed ({error}); {_NOTHING_LOST}",
                f"df -h {place}; look at the disk, then run the same command again",
            )
        case sqlite3.SQLITE_ERROR if "no such" in str(error):
            return SchemaMismatchError(
                f"{database} lacks something that this pixguard reads ({error})",
                f"pixguard db check --db {named}",
            )
        case _:
            return PixguardError(f"{database}: {error}")


def from_os(error: OSError, path: Path) -> PixguardError:
    """Return the user's error for a file beside the database that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(str(path))
    return PixguardError(
        f"{path} cannot be opened: {error.strerror}",
        f"ls -ld {shell_word(path.parent)}, or `database=...` with a file in another folder",
    )


def disk_full(database: str) -> PixguardError:
    """Return the error for a disk without space."""
    return PixguardError(
        f"no space left on the disk of {database}; {_NOTHING_LOST}",
        f"df -h {shell_word(Path(database).parent)}; free some space, then run the same command "
        "again (an attack with `resume=True`)",
    )
