"""A tree of files, in a folder or in a zip that is read without being unpacked."""

import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pixguard.errors import DataError

_JUNK = {"Thumbs.db", "desktop.ini", "__MACOSX", "lost+found"}
_MAX_FILE_BYTES = 256 << 20
_MAX_FILES = 500_000
_MAX_LINKS = 10_000
"""To folders: each may lead to as many again."""
_MAX_DIRECTORY_BYTES = 256 * _MAX_FILES
_ENTRY_MARK = b"PK\x01\x02"
MAX_EXPANSION = 200
"""Deflate reaches 1000 on zeros; images and CSV files stay far below this."""
# NotImplementedError stands for an unknown compression, RuntimeError for encryption.
BROKEN_ZIP = (
    OSError,
    EOFError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
)
"""What zipfile raises on a damaged or hostile archive."""


class UnreadableFileError(Exception):
    """One file of a tree cannot be read; the text says why, without the path."""


class FileTree(Protocol):
    """Files by their POSIX path below the root, in one order wherever they lie."""

    @property
    def location(self) -> Path:
        """The folder or the zip."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Size in bytes by path, sorted by path; hidden files and system litter left out."""

    def read(self, path: str) -> bytes:
        """Return a file's content.

        Raises:
            UnreadableFileError: it is missing, damaged or too large.
        """


def open_tree(location: Path) -> FileTree:
    """Open a folder or a zip.

    Raises:
        DataError: there is neither, or the zip is damaged or not to be trusted.
    """
    if location.is_dir():
        return DirectoryTree(location)
    if location.is_file():
        return ZipTree(location)
    raise DataError(f"{location} does not exist", "check `data_dir=...`")


def _is_junk(path: str) -> bool:
    return any(part.startswith(".") or part in _JUNK for part in path.split("/"))


def _leads_back(folder: Path) -> bool:
    """Tell whether a folder is a link to one of those above it."""
    if not folder.is_symlink():
        return False
    target = folder.resolve()
    return any(above.resolve().is_relative_to(target) for above in folder.absolute().parents)


class DirectoryTree:
    """The files below a folder. Links to folders are followed, but not to those that hold them."""

    def __init__(self, location: Path) -> None:
        self.location = location
        sizes: dict[str, int] = {}
        seen = links = 0
        for folder, inner, names in os.walk(location, onerror=_unlisted, followlinks=True):
            inner[:] = [name for name in inner if not _is_junk(name)]
            links += sum(Path(folder, name).is_symlink() for name in inner)
            seen += 1 + len(names)
            if seen > _MAX_FILES or links > _MAX_LINKS:
                most = f"{_MAX_FILES:,} files" if seen > _MAX_FILES else f"{_MAX_LINKS:,} links"
                raise DataError(
                    f"{location} holds more than {most}, which is more than a dataset has",
                    "point `data_dir=...` at the folder of the images alone",
                )
            inner[:] = [name for name in inner if not _leads_back(Path(folder, name))]
            above = Path(folder).relative_to(location)
            for name in names:
                if not _is_junk(name):
                    sizes[(above / name).as_posix()] = _size_bytes(os.path.join(folder, name))
        self.sizes: Mapping[str, int] = dict(sorted(sizes.items()))

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        place = self.location / path
        try:
            if not stat.S_ISREG(place.stat().st_mode):
                raise UnreadableFileError("is not a regular file")
            # A pipe that has taken its place since must not hold us up, nor a file that grows.
            with open(os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                content = file.read(_MAX_FILE_BYTES + 1)
        except OSError as error:
            raise UnreadableFileError(error.strerror or "cannot be read") from error
        except ValueError as error:  # a NUL in the path
            raise UnreadableFileError("its path is none") from error
        if len(content) > _MAX_FILE_BYTES:
            raise UnreadableFileError(f"larger than {_MAX_FILE_BYTES >> 20} MiB")
        return content


def _unlisted(error: OSError) -> None:
    if isinstance(error, FileNotFoundError):  # it went while we walked
        return
    raise DataError(
        f"{error.filename} cannot be listed: {error.strerror}",
        "mend its permissions, or move it elsewhere",
    ) from error


def _size_bytes(file: str) -> int:
    """Return a file's size, 0 where there is none: whoever reads it is told why."""
    try:
        return os.stat(file).st_size
    except OSError:
        return 0


class _Opening(io.BufferedReader):
    """A file that zipfile opens: a directory that would take minutes and gigabytes is refused."""

    is_open = False

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.is_open and (size or 0) > _MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"its directory takes {size:,} bytes")
        content = super().read(size)
        if not self.is_open and content.count(_ENTRY_MARK) > _MAX_FILES:
            raise zipfile.BadZipFile(f"it holds more than {_MAX_FILES:,} files")
        return content


class _Zip(zipfile.ZipFile):
    """A zip that closes its file."""

    def __init__(self, location: Path) -> None:
        self._opened = _Opening(io.FileIO(location))
        try:
            super().__init__(self._opened)
        except BaseException:
            self._opened.close()
            raise
        self._opened.is_open = True

    def close(self) -> None:
        """Close the archive and its file."""
        super().close()
        self._opened.close()


def open_zip(location: Path) -> zipfile.ZipFile:
    """Open a zip to read.

    Raises:
        one of BROKEN_ZIP: it is damaged, or holds too much to be looked at.
    """
    return _Zip(location)


class ZipTree:
    """The files in a zip. Nothing is written to disk."""

    def __init__(self, location: Path) -> None:
        self.location = location
        self._pid = os.getpid()
        try:
            self._archive = open_zip(location)
        except BROKEN_ZIP as error:
            raise DataError(
                f"{location} is not a readable zip: {error}",
                "check `data_dir=...`; or make the zip again",
            ) from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._archive.infolist():
            if not info.orig_filename.endswith("/"):
                self._add(info)
        self.sizes: Mapping[str, int] = {
            path: self._members[path].file_size for path in sorted(self._members)
        }

    def _add(self, info: zipfile.ZipInfo) -> None:
        name = info.orig_filename
        if climbs_out(name):
            raise DataError(
                f"{self.location} holds a path that climbs out of it: {name!r}",
                "make the zip again from a trusted copy",
            )
        if info.flag_bits & 1:
            raise DataError(f"{self.location} is encrypted", "unpack it and name the folder")
        path = plain_path(name)
        if not path:
            raise DataError(f"{self.location} holds a file without a name", "make the zip again")
        if path in self._members:
            raise DataError(
                f"{self.location} holds two files named {path!r}", "make the zip again without one"
            )
        if not _is_junk(path):
            self._members[path] = info

    def read(self, path: str) -> bytes:
        """Return a file's content, its CRC-32 checked by the archive."""
        info = self._members.get(plain_path(path))
        if info is None:
            raise UnreadableFileError("no such file")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UnreadableFileError("is a link, which is not followed in a zip")
        if info.file_size > _MAX_FILE_BYTES or (
            info.file_size > 1 << 20 and info.file_size > MAX_EXPANSION * info.compress_size
        ):
            raise UnreadableFileError(
                f"expands from {info.compress_size:,} to {info.file_size:,} bytes"
            )
        if os.getpid() != self._pid:  # a forked worker: the file's position would be shared
            self._archive = open_zip(self.location)
            self._pid = os.getpid()
        try:
            return self._archive.read(info)
        except BROKEN_ZIP as error:
            raise UnreadableFileError(str(error)) from error


def climbs_out(path: str) -> bool:
    """Tell whether a path is absolute, or leads out of the folder that it is relative to."""
    return path.startswith("/") or "\\" in path or ":" in path[:2] or ".." in path.split("/")


def plain_path(path: str) -> str:
    """Return the shortest form of a path: ``im/0.png`` for ``im/./0.png`` and ``im//0.png``."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))
