"""A tree of files, in a folder or in a zip that is read without being unpacked."""

import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from pixguard.errors import DataError

_JUNK = {"Thumbs.db", "desktop.ini", "__MACOSX"}
_MAX_FILE_BYTES = 256 << 20
_MAX_EXPANSION = 200  # deflate reaches 1000 on zeros; images and CSV files stay far below this


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
        for folder, inner, names in os.walk(location, followlinks=True):
            inner[:] = [name for name in inner if not _leads_back(Path(folder, name))]
            for name in names:
                file = Path(folder, name)
                path = file.relative_to(location).as_posix()
                if not _is_junk(path):
                    sizes[path] = file.stat().st_size if file.exists() else 0
        self.sizes: Mapping[str, int] = dict(sorted(sizes.items()))

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        if self.sizes.get(path, 0) > _MAX_FILE_BYTES:
            raise UnreadableFileError(f"larger than {_MAX_FILE_BYTES >> 20} MiB")
        try:
            return (self.location / path).read_bytes()
        except OSError as error:
            raise UnreadableFileError(error.strerror or "cannot be read") from error


class ZipTree:
    """The files in a zip. Nothing is written to disk."""

    def __init__(self, location: Path) -> None:
        self.location = location
        self._pid = os.getpid()
        try:
            self._archive = zipfile.ZipFile(location)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{location} is not a readable zip: {error}", "check `data_dir=...`"
            ) from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._archive.infolist():
            if not info.is_dir():
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
        if name in self._members:
            raise DataError(
                f"{self.location} holds two files named {name!r}", "make the zip again without one"
            )
        if not _is_junk(name):
            self._members[name] = info

    def read(self, path: str) -> bytes:
        """Return a file's content, its CRC-32 checked by the archive."""
        info = self._members.get(path)
        if info is None:
            raise UnreadableFileError("no such file")
        if info.file_size > _MAX_FILE_BYTES or (
            info.file_size > 1 << 20 and info.file_size > _MAX_EXPANSION * info.compress_size
        ):
            raise UnreadableFileError(
                f"expands from {info.compress_size:,} to {info.file_size:,} bytes"
            )
        if os.getpid() != self._pid:  # a forked worker: the file's position would be shared
            self._archive = zipfile.ZipFile(self.location)
            self._pid = os.getpid()
        # zipfile raises NotImplementedError for a compression that it does not know.
        try:
            return self._archive.read(info)
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise UnreadableFileError(str(error)) from error


def climbs_out(path: str) -> bool:
    """Tell whether a path is absolute, or leads out of the folder that it is relative to."""
    parts = PurePosixPath(path).parts
    return path.startswith("/") or "\\" in path or ":" in path[:2] or ".." in parts
