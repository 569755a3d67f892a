"""Writing files so that a reader sees the old content or the new, never half of either."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree

from pixguard.errors import PixguardError


def write_atomically(path: Path, content: bytes | memoryview, *, private: bool = False) -> None:
    """Write a file through a temporary neighbour: synced to disk, then renamed over ``path``.

    Missing folders are made. When writing fails, whatever stood at ``path`` still stands. A
    ``private`` file is its user's alone to read and write.

    Raises:
        PixguardError: the file cannot be written (disk full, no permission, ...).
    """
    # The process id keeps two processes that write the same file out of each other's way.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            if private:
                os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):  # a folder that takes no file lets none be removed either
            temporary.unlink(missing_ok=True)
        raise PixguardError(
            f"cannot write {path}: {error.strerror or error}",
            f"make space on {path.parent.resolve()} or mend its permissions; or name another place",
        ) from error


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target``, which is removed at the end if it is still there.

    What killed processes left of such folders is removed as well.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    beginning = f".{target.name}.new-"
    for left in target.parent.glob(f"{beginning}*"):
        owner = left.name.removeprefix(beginning)
        if owner.isdecimal() and not Path("/proc", owner).exists():
            rmtree(left, ignore_errors=True)
    folder = target.with_name(f"{beginning}{os.getpid()}")
    rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


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
