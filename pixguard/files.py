"""Writing files so that a reader sees the old content or the new, never half of either."""

import ctypes
import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from typing import BinaryIO

from pixguard.errors import PixguardError

_TEMPORARY = ".pixguard-new-"
"""How files and folders that are being written are called; the process and random digits follow."""
_NAMES = re.compile(
    rf"{re.escape(_TEMPORARY)}(?P<process>\d+)-[0-9a-f]+"
    r"|(([0-9a-f]{16}|plan-\d+)\.[a-z0-9.]+|.+\.(backup|schema-\w+)-\d{8}-\d{6})"
    r"\.(?P<older>\d+)\.tmp(-journal)?"
)
"""What files and folders that are being written are called, and were once."""
LEFT_AFTER_S = 3600
"""Since when a file of a dead process lies there: it may live on another machine of a shared disk,
where nothing takes an hour without writing."""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a file's content.

    Raises:
        PixguardError: it cannot be read.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise PixguardError(f"{path} is no file", "check the file's name and place")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PixguardError(
            f"{path} cannot be read: {error.strerror or error}",
            "check the file's name and place",
        ) from error


def write_atomically(path: Path, content: bytes | memoryview, *, private: bool = False) -> None:
    """Write a file through a temporary neighbour: synced to disk, then renamed over ``path``.

    Missing folders are made. When writing fails, whatever stood at ``path`` still stands. A pipe or
    a device is written to. A ``private`` file is its user's alone to read and write.

    Raises:
        PixguardError: the file cannot be written (disk full, no permission, ...).
    """
    if not path.name or path.is_dir():
        raise PixguardError(f"cannot write {path}: it is a folder", "name a file in it")
    try:
        if path.is_fifo() or path.is_char_device():
            path.write_bytes(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            if private:
                os.fchmod(file.fileno(), 0o600)
            file.write(content)
    except OSError as error:
        raise PixguardError(
            f"cannot write {path}: {error.strerror or error}",
            f"make space on {path.parent.resolve()} or mend its permissions; or name another place",
        ) from error


def publish(finished: Path, target: Path) -> None:
    """Give a finished file its final name, over what stands there, once it is on the disk.

    Raises:
        OSError: it cannot be done.
    """
    with finished.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(finished, target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # the name is on the disk too
    finally:
        os.close(folder)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file beside ``path``, whose place it takes at the end, synced; not if that fails.

    Raises:
        OSError: it cannot be written.
    """
    temporary = _temporary_beside(path)
    # Exclusively: no link that somebody put there is followed.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "wb") as file:
            _hold(descriptor)
            yield file
            file.flush()
            os.fsync(descriptor)
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # a folder that takes no file lets none be removed either
            temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(target: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``target``, which is removed at the end if it is still there.

    ``private``: nobody else may look into it. What killed processes left there goes, too.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = _temporary_beside(target)
    folder.mkdir(mode=0o700 if private else 0o777)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _hold(descriptor)
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _hold(descriptor: int) -> None:
    """Lock what is being written until it is closed: that a process lives says only this kernel."""
    with suppress(OSError):  # a file system without locks: the name says which process
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def is_left_behind(path: Path) -> bool:
    """Say whether a file or folder is what a process was writing that is no more.

    It is not where that cannot be told, as of another user's files.
    """
    named = _NAMES.fullmatch(path.name)
    if named is None or is_held(path):
        return False
    living = Path("/proc", named["process"] or named["older"]).exists()
    status = path.lstat()
    # A number is given to another process in time. A folder's time is not that of its files.
    is_folder = stat.S_ISDIR(status.st_mode)
    is_young = time.time() - status.st_mtime < LEFT_AFTER_S or is_folder
    if named["older"]:  # those were files, and no lock says who writes them
        return not (is_young or is_folder)
    return not (living and is_young)


def is_held(path: Path) -> bool:
    """Say whether a process has a file or folder locked, or that cannot be told."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks
    finally:
        os.close(descriptor)
    return False


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; a link itself, not what it points to.

    Raises:
        OSError: it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        rmtree(path)
    else:
        path.unlink()


def _temporary_beside(path: Path) -> Path:
    """Return the path of a new file or folder beside another, of whatever length its name is."""
    _remove_left(path.parent.absolute())
    return path.with_name(f"{_TEMPORARY}{os.getpid()}-{token_hex(8)}")


@cache
def _remove_left(folder: Path) -> None:
    """Remove what killed processes left in a folder; once, for a folder may have many files."""
    for name in os.listdir(folder):
        owner = re.fullmatch(rf"{re.escape(_TEMPORARY)}(\d+)-[0-9a-f]+", name)
        if owner is None or Path("/proc", owner[1]).exists():
            continue
        left = folder / name
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime < LEFT_AFTER_S:
                continue
            if not is_held(left):
                remove(left)


def replace_folder(new: Path, target: Path) -> None:
    """Put a folder in the place of another one, which is removed.

    Both must be on one file system. The exchange is atomic where Linux can exchange names; where
    it cannot, there is a moment in which ``target`` is called ``NAME.old``.

    Raises:
        OSError: it cannot be done; ``target`` is as it was.
    """
    if not target.exists():
        new.rename(target)
        return
    if _exchange(new, target):
        rmtree(new)
        return
    old = target.with_name(f"{target.name}.old")
    target.rename(old)
    new.rename(target)
    rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    at_cwd, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE (linux/fcntl.h, linux/fs.h)
    try:
        call = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError):
        return False
    return bool(call(at_cwd, os.fsencode(one), at_cwd, os.fsencode(other), exchange) == 0)
