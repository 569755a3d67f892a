"""Reads npz files in MedMNIST's form from disk: never unpickled, memory-mapped when large."""

import math
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pixguard.datasets.base import SPLITS, Images
from pixguard.datasets.cache import data_folder, ensure_space
from pixguard.datasets.files import BROKEN_ZIP, MAX_EXPANSION, open_zip
from pixguard.errors import DataError
from pixguard.files import replacing
from pixguard.progress import Display
from pixguard.records import digest

_IN_MEMORY_BYTES = 256 << 20
_MAX_LABEL_BYTES = 256 << 20
_CHUNK_BYTES = 8 << 20
# What a damaged header raises besides ValueError: Python's parser reads it.
_UNREADABLE = (*BROKEN_ZIP, SyntaxError, TokenError, TypeError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Member:
    """One array of an npz: its place in the archive, and what its header declares."""

    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size_bytes(self) -> int:
        """Its size once read."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Parts:
    """Reads images by index from the arrays (n, H, W[, C]) of the three splits, end to end."""

    arrays: tuple[NDArray[np.uint8], ...]
    shape: tuple[int, int, int]
    """Of an image. Gray ones of colour are luma (ITU-R BT.601), colour ones of gray repeat it."""

    def __call__(self, indices: NDArray[np.int64]) -> Images:
        """Return uint8 images (n, H, W, C) for indices (n,).

        Raises:
            IndexError: an index is not in [0, N).
        """
        edges = np.cumsum([0, *(len(array) for array in self.arrays)])
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < edges[-1]:
            raise IndexError(f"image indices must be in [0, {edges[-1]})")
        images = np.empty((len(indices), *self.shape), dtype=np.uint8)
        for array, start, stop in zip(self.arrays, edges[:-1], edges[1:], strict=True):
            here = (indices >= start) & (indices < stop)
            found = array[indices[here] - start].reshape(-1, *self.shape[:2], channels_of(array))
            images[here] = luma(found) if self.shape[2] < found.shape[3] else found
        return images


def channels_of(array: NDArray[np.uint8]) -> int:
    """Return the channels of images (n, H, W) or (n, H, W, C)."""
    return 1 if array.ndim == 3 else array.shape[3]


def luma(images: Images) -> Images:
    """Return the gray images (n, H, W, 1) of colour ones (n, H, W, 3), as Pillow makes them."""
    weighted = images.astype(np.uint32) @ np.array([19595, 38470, 7471], dtype=np.uint32)
    gray: Images = ((weighted + 0x8000) >> 16).astype(np.uint8)[..., None]
    return gray


@dataclass(frozen=True)
class Contents:
    """What an npz in MedMNIST's form holds.

    ``images`` are the uint8 arrays of train, val and test, (n, H, W) or (n, H, W, C); ``labels``
    are theirs, end to end, integers (N, ...); ``manifest`` is the SHA-256 of what identifies them.
    """

    images: tuple[NDArray[np.uint8], ...]
    labels: NDArray[np.integer[Any]]
    manifest: str

    @property
    def counts(self) -> tuple[int, ...]:
        """Images of each split."""
        return tuple(len(part) for part in self.images)

    @property
    def official_split(self) -> NDArray[np.uint8]:
        """uint8 (N,): positions in :data:`pixguard.datasets.base.SPLITS`."""
        return np.repeat(np.arange(3, dtype=np.uint8), self.counts)


def read_npz(
    path: Path, check: Callable[[Mapping[str, Member]], None], hint: str, display: Display
) -> Contents:
    """Read a file whose arrays are ``train_images``, ``train_labels``, and so on for val and test.

    Members are identified by the CRC-32 that the archive keeps of each, so that twelve gigabytes
    need not be read to tell whether they have changed.

    Args:
        path: of the file.
        check: is given the members by name, before any image is read, and raises what it will.
        hint: what to do about a file that is damaged.
        display: shows the unpacking of a large one.

    Raises:
        DataError: the file is damaged, pickled, or of another form.
    """
    try:
        with open_zip(path) as archive:
            twice = [name for name, n in Counter(archive.namelist()).items() if n > 1]
            if twice:
                raise ValueError(f"it holds {twice[0]!r} more than once")
            members = {
                f"{split}_{what}": _member(archive, f"{split}_{what}.npy")
                for split in SPLITS
                for what in ("images", "labels")
            }
            _check_labels(members)
            check(members)
            manifest = digest([[n, m.info.CRC, list(m.shape)] for n, m in members.items()])
            labels = np.concatenate([_load(archive, members[f"{s}_labels"]) for s in SPLITS])
            images = tuple(_images(archive, members, split, manifest, display) for split in SPLITS)
    except _UNREADABLE as error:
        raise DataError(f"{path} is not a readable MedMNIST file: {error}", hint) from error
    return Contents(images, labels, manifest)


def _member(archive: zipfile.ZipFile, name: str) -> Member:
    """Read a member's header, and see that its length is what the header declares."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"it holds no {name}") from None
    with archive.open(info) as file:
        major, _ = npy.read_magic(file)
        read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
        shape, fortran_order, dtype = read(file)
        header_bytes = file.tell()
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects, which are never loaded")
    are_labels = name.endswith("_labels.npy")
    if dtype.kind not in "iu" if are_labels else dtype != np.uint8:
        wanted = "whole numbers" if are_labels else "uint8"
        raise ValueError(f"{name} holds {dtype}, not {wanted}")
    if fortran_order and len(shape) > 1:
        raise ValueError(f"{name} is not in C order")
    if any(side < 0 for side in shape):
        raise ValueError(f"{name} has the shape {shape}")
    member = Member(info, shape, dtype)
    if info.file_size != header_bytes + member.size_bytes:
        raise ValueError(f"the length of {name} is not what its header declares")
    return member


def _check_labels(members: Mapping[str, Member]) -> None:
    """See that each split has a label for each image, and that labels are no load.

    Raises:
        ValueError: else every later label would be that of another image.
    """
    for split in SPLITS:
        images, labels = members[f"{split}_images"].shape, members[f"{split}_labels"].shape
        if not images or not labels or images[0] != labels[0]:
            shown = (shape[0] if shape else "no array of" for shape in (labels, images))
            raise ValueError("the split {} has {} labels for {} images".format(split, *shown))
    size_bytes = sum(members[f"{split}_labels"].size_bytes for split in SPLITS)
    if size_bytes > _MAX_LABEL_BYTES:
        raise ValueError(f"its labels take {size_bytes:,} bytes")


def _load(archive: zipfile.ZipFile, member: Member) -> NDArray[Any]:
    with archive.open(member.info) as file:
        array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        file.read()  # to the end, where the archive checks the member's CRC-32
    return array


def _images(
    archive: zipfile.ZipFile,
    members: dict[str, Member],
    split: str,
    manifest: str,
    display: Display,
) -> NDArray[np.uint8]:
    """Return a split's images: in memory where all are small, else mapped from the data folder."""
    member = members[f"{split}_images"]
    if sum(m.size_bytes for m in members.values()) <= _IN_MEMORY_BYTES:
        return _load(archive, member)
    if member.info.file_size > MAX_EXPANSION * member.info.compress_size:
        raise ValueError(
            f"{split}_images.npy expands from {member.info.compress_size:,} to "
            f"{member.info.file_size:,} bytes: no images do"
        )
    unpacked = data_folder() / "unpacked" / manifest[:16] / f"{split}_images.npy"
    if not unpacked.is_file():
        ensure_space(unpacked.parent, member.info.file_size)
        _unpack(archive, member.info, unpacked, display)
    mapped: NDArray[np.uint8] = np.load(unpacked, mmap_mode="r", allow_pickle=False)
    return mapped


def _unpack(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, display: Display
) -> None:
    done = 0
    with (
        archive.open(info) as source,
        replacing(target) as file,
        display.track(f"unpack {info.filename}", info.file_size, "bytes") as progress,
    ):
        while chunk := source.read(_CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            progress.update(done)
