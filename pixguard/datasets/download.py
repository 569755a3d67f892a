"""Downloads of MedMNIST's files: only when asked for, resumable, and checked before use."""

import hashlib
import os
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from pixguard.datasets.cache import data_folder, ensure_space
from pixguard.datasets.catalogue import find, medmnist_file, medmnist_info
from pixguard.datasets.medmnist import check_size
from pixguard.errors import DataError
from pixguard.progress import Display
from pixguard.words import shell_word

_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 60


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
            (what came is removed).
    """
    if target.exists():
        if file_md5(target) != md5:
            raise DataError(
                f"{target} is there already, and its MD5 is not {md5}",
                f"move or remove it, and fetch again: rm {shell_word(target)}",
            )
        display.say(f"{target} is there already")
        return
    ensure_space(target.parent, 0)
    part = target.with_name(target.name + ".part")
    try:
        _receive(url, part, display)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"downloading {url} failed: {error}",
            "run the same command again: it goes on where it stopped",
        ) from error
    found = file_md5(part)
    if found != md5:
        part.unlink()
        raise DataError(
            f"the MD5 of {url} is {found}, expected {md5}: the download was discarded",
            "run the same command again; if it persists, the file has changed upstream",
        )
    os.replace(part, target)


def _receive(url: str, part: Path, display: Display) -> None:
    have = part.stat().st_size if part.exists() else 0
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
        _append(response, part, have, display)


def _append(response: Any, part: Path, have: int, display: Display) -> None:
    length = response.headers.get("Content-Length")
    total = have + int(length) if length else 0
    ensure_space(part.parent, total - have)
    display.say(f"{part.stem}: {total:,} bytes, {have:,} of them here already")
    with (
        part.open("ab" if have else "wb") as file,
        display.track(f"fetch {part.stem}", total, "bytes") as progress,
    ):
        while chunk := response.read(_CHUNK_BYTES):
            file.write(chunk)
            have += len(chunk)
            progress.update(have)
    if have < total:
        raise ConnectionError(f"the connection ended after {have:,} of {total:,} bytes")


def file_md5(path: Path) -> str:
    """Return the MD5 of a file, as MedMNIST publishes it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
