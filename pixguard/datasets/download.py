"""Downloads of MedMNIST's files: only when asked for, resumable, and checked before use."""

import fcntl
import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO

from pixguard.datasets.cache import data_folder, ensure_space
from pixguard.datasets.catalogue import find, medmnist_file, medmnist_info
from pixguard.datasets.medmnist import check_size
from pixguard.errors import DataError
from pixguard.progress import Display

_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60
_MAX_BYTES = 32 << 30
"""The largest of MedMNIST's files has 12.6 GB."""


def fetch(name: str, size: int, display: Display) -> Path:
    """Download a dataset of MedMNIST into the data folder and return the path of its file.

    Raises:
        UsageError: no dataset has that name, or that size.
        DataError: the download failed or its checksum is wrong.
    """
    entry = find(name)
    check_size(entry, size)
    facts = medmnist_info()[entry.flag]
    target = data_folder() / "medmnist" / medmnist_file(entry.flag, size)
    display.say(f"{target.name}: licence {entry.licence}, MD5 {facts.md5[size]}")
    download(facts.url[size], target, facts.md5[size], display)
    return target


def download(url: str, target: Path, md5: str, display: Display) -> None:
    """Download a file; a partial one (``.part`` beside the target) is gone on with.

    Raises:
        DataError: the server or the network failed (what came is kept), or the checksum is wrong
            (what came is removed); or another process is downloading the same file.
    """
    if _is_there(target, md5, display):
        return
    ensure_space(target.parent, 0)
    part = target.with_name(target.name + ".part")
    try:
        with _alone(part) as file:
            if _is_there(target, md5, display):  # another process was just done
                part.unlink()
                return
            _receive(url, file, part, display)
            file.flush()
            found = file_md5(part)
            if found == md5:
                os.replace(part, target)
            else:
                part.unlink()
    except (OSError, HTTPException) as error:
        with suppress(OSError):
            if not part.stat().st_size:
                part.unlink()
        raise DataError(
            f"downloading {url} failed: {error}",
            "run the same command again: it goes on where it stopped",
        ) from error
    if found != md5:
        raise DataError(
            f"the MD5 of {url} is {found}, expected {md5}: the download was discarded",
            "run the same command again; if it persists, the file has changed upstream",
        )


def _is_there(target: Path, md5: str, display: Display) -> bool:
    if not target.exists():
        return False
    if file_md5(target) != md5:
        raise DataError(
            f"{target} is there already, and its MD5 is not {md5}",
            f"move or remove it, and fetch again: rm {target}",
        )
    display.say(f"{target} is there already")
    return True


@contextmanager
def _alone(part: Path) -> Iterator[BinaryIO]:
    """Yield a partial file, made if it is not there, that no other process writes.

    Raises:
        DataError: another process does.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(part, flags, 0o666), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat())
        except BlockingIOError:
            ours = False
        if not ours:
            raise DataError(
                f"another process is downloading {part.stem}",
                "wait until it is done, and run the same command again",
            )
        yield file


def _receive(url: str, file: BinaryIO, part: Path, display: Display) -> None:
    have = file.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing lies beyond what is here; the checksum decides
            return
        raise
    with response:
        if response.status != 206:
            have = 0
        total = have + _length(response)
        ensure_space(part.parent, total - have)
        display.say(f"{part.stem}: {total:,} bytes, {have:,} of them here already")
        file.truncate(have)
        file.seek(have)
        with display.track(f"fetch {part.stem}", total, "bytes") as progress:
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                progress.update(have)
                if have > _MAX_BYTES:
                    raise ConnectionError(f"more than {_MAX_BYTES:,} bytes came")
    if have < total:
        raise ConnectionError(f"the connection ended after {have:,} of {total:,} bytes")


def _length(response: Any) -> int:
    """Return how many bytes a server says are to come, 0 where it does not say.

    Raises:
        ConnectionError: what it says is no number, or that of no file of MedMNIST's.
    """
    said = response.headers.get("Content-Length", "0").strip()
    if not (said.isascii() and said.isdecimal()) or int(said[:20]) > _MAX_BYTES:
        raise ConnectionError(f"the server says that {said[:40]!r} bytes are to come")
    return int(said)


def file_md5(path: Path) -> str:
    """Return the MD5 of a file, as MedMNIST publishes it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
