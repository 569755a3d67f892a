"""Writing files so that a reader sees the old content or the new, never half of either."""

import os
from pathlib import Path

from pixguard.errors import PixguardError


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write a file through a temporary neighbour: synced to disk, then renamed over ``path``.

    Missing folders are made. When writing fails, whatever stood at ``path`` still stands.

    Raises:
        PixguardError: the file cannot be written (disk full, no permission, ...).
    """
    # The process id keeps two processes that write the same file out of each other's way.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PixguardError(
            f"cannot write {path}: {error.strerror or error}",
            f"mend space or permissions on {path.parent}, then the same command (--resume goes on)",
        ) from error
