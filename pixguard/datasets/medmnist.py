"""MedMNIST's ``.npz`` files: read from disk, never unpickled, memory-mapped when large."""

import math
import os
import re
import zipfile
import zlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pixguard.config import DatasetSettings
from pixguard.datasets.base import SPLITS, ImageDataset, Images
from pixguard.datasets.cache import data_folder, ensure_space
from pixguard.datasets.catalogue import PAPER_DATASETS, CatalogueEntry, find, paper_entry
from pixguard.datasets.owners import find_original
from pixguard.datasets.splits import paper_splits
from pixguard.errors import DataError, UsageError
from pixguard.progress import Display
from pixguard.records import DatasetInfo, digest

SIZES = (28, 64, 128, 224)

_IN_MEMORY_BYTES = 256 << 20
_CHUNK_BYTES = 8 << 20
# What a damaged archive raises; NotImplementedError stands for an unknown compression.
_UNREADABLE = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def check_size(entry: CatalogueEntry, size: int) -> None:
    """Raise UsageError where MedMNIST has no files of that size."""
    if size not in SIZES:
        raise UsageError(
            f"MedMNIST has {entry.name} at {', '.join(map(str, SIZES))} pixels, not at {size}",
            f"`size={min(SIZES, key=lambda s: abs(s - size))}`",
        )


def file_name(flag: str, size: int) -> str:
    """Return MedMNIST's name of a file: ``octmnist.npz`` at 28 pixels, ``octmnist_64.npz``."""
    return f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz"


def locate(entry: CatalogueEntry, size: int, data_dir: Path | None) -> Path | None:
    """Return the file of a dataset and size: in ``data_dir``, or fetched; None if not there."""
    if data_dir is not None and data_dir.is_file():
        return data_dir if data_dir.suffix == ".npz" else None
    folder = data_folder() / "medmnist" if data_dir is None else data_dir
    path = folder / file_name(entry.flag, size)
    return path if path.is_file() else None


@dataclass(frozen=True)
class _Member:
    """One array of an npz: its place in the archive, and what its header declares."""

    info: zipfile.ZipInfo
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class _Parts:
    """Reads images by index from the arrays (n, H, W[, C]) of the three splits, end to end."""

    arrays: tuple[NDArray[np.uint8], ...]
    shape: tuple[int, int, int]

    def __call__(self, indices: NDArray[np.int64]) -> Images:
        edges = np.cumsum([0, *(len(array) for array in self.arrays)])
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < edges[-1]:
            raise IndexError(f"image indices must be in [0, {edges[-1]})")
        images = np.empty((len(indices), *self.shape), dtype=np.uint8)
        for array, start, stop in zip(self.arrays, edges[:-1], edges[1:], strict=True):
            here = (indices >= start) & (indices < stop)
            images[here] = array[indices[here] - start].reshape(-1, *self.shape)
        return images


def open_source(settings: DatasetSettings, display: Display) -> ImageDataset:
    """Open MedMNIST's file of a dataset's name and size, where it lies.

    Raises:
        UsageError: MedMNIST has no such dataset, or none of that size.
        DataError: its file is not there, or not sound.
    """
    entry = find(settings.name)
    check_size(entry, settings.size)
    path = locate(entry, settings.size, settings.data_dir)
    if path is None:
        raise _not_found(entry, settings)
    return open_medmnist(path, entry, settings, display)


def recognises(settings: DatasetSettings) -> bool:
    """Tell whether a MedMNIST file of that name, at whatever size, is meant by ``data_dir``."""
    data_dir = settings.data_dir
    if data_dir is None:
        return False
    if data_dir.is_file():
        return data_dir.suffix == ".npz"
    entry = paper_entry(settings.name)
    flag = re.escape(entry.flag if entry else settings.name)
    return any(re.fullmatch(rf"{flag}(_\d+)?\.npz", file.name) for file in data_dir.iterdir())


def open_medmnist(
    path: Path, entry: CatalogueEntry, settings: DatasetSettings, display: Display
) -> ImageDataset:
    """Open a MedMNIST file; image indices run through its train, val and test arrays in turn.

    Members are identified by the CRC-32 that the archive keeps of each, so that twelve gigabytes
    need not be read to tell whether they have changed.

    Raises:
        DataError: the file is damaged, pickled, or not what the dataset's files are.
    """
    hint = f"remove it and fetch it again: pixguard data fetch {entry.name} --size {settings.size}"
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                f"{split}_{what}": _member(archive, f"{split}_{what}.npy")
                for split in SPLITS
                for what in ("images", "labels")
            }
            _check_images(path, entry, settings.size, members)
            manifest = digest([[n, m.info.CRC, list(m.shape)] for n, m in members.items()])
            labels = np.concatenate([_load(archive, members[f"{s}_labels"]) for s in SPLITS])
            images = tuple(_images(archive, members, split, manifest, display) for split in SPLITS)
    except _UNREADABLE as error:
        raise DataError(f"{path} is not a readable MedMNIST file: {error}", hint) from error
    all_labels = _labels(path, entry, labels, hint)
    if len(all_labels) != sum(len(part) for part in images):
        raise DataError(f"{path} has not as many labels as images", hint)
    official = np.repeat(np.arange(3, dtype=np.uint8), [len(part) for part in images])
    release = ".".join(version("medmnist").split(".")[:2])
    return ImageDataset(
        info=DatasetInfo(
            name=entry.name,
            source="medmnist",
            size=settings.size,
            version=f"medmnist-{release}-{manifest[:12]}",
            split_scheme=settings.split,
            split_seed=settings.split_seed,
            manifest_sha256=manifest,
            task=entry.task,
            channels=entry.channels,
            classes=entry.classes,
            licence=entry.licence,
            citation=entry.citation,
            location=str(path.resolve()),
        ),
        labels=all_labels,
        splits=(
            official
            if settings.split == "official"
            else paper_splits(all_labels, settings.split_seed)
        ),
        read=_Parts(images, (settings.size, settings.size, entry.channels)),
        attack_codes=entry.attack_codes,
    )


def _member(archive: zipfile.ZipFile, name: str) -> _Member:
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
    if dtype != np.uint8 or fortran_order:
        raise ValueError(f"{name} holds {dtype}, not uint8 in C order")
    if info.file_size != header_bytes + math.prod(shape):
        raise ValueError(f"the length of {name} is not what its header declares")
    return _Member(info, shape)


def _check_images(
    path: Path, entry: CatalogueEntry, size: int, members: dict[str, _Member]
) -> None:
    expected = {1: (size, size), 3: (size, size, 3)}[entry.channels]
    for split in SPLITS:
        shape = members[f"{split}_images"].shape
        if shape[1:] == expected:
            continue
        side = shape[1] if len(shape) > 1 else 0
        raise DataError(
            f"{path} holds images of shape {shape[1:]}; {entry.name} at {size} pixels has "
            f"{expected}",
            f"`size={side}`" if side in SIZES and side != size else "check `dataset=...`",
        )


def _load(archive: zipfile.ZipFile, member: _Member) -> NDArray[np.uint8]:
    with archive.open(member.info) as file:
        array: NDArray[np.uint8] = npy.read_array(file, allow_pickle=False)
        file.read()  # to the end, where the archive checks the member's CRC-32
    return array


def _images(
    archive: zipfile.ZipFile,
    members: dict[str, _Member],
    split: str,
    manifest: str,
    display: Display,
) -> NDArray[np.uint8]:
    """Return a split's images: in memory where all are small, else mapped from the data folder."""
    member = members[f"{split}_images"]
    if sum(m.size_bytes for m in members.values()) <= _IN_MEMORY_BYTES:
        return _load(archive, member)
    unpacked = data_folder() / "unpacked" / manifest[:16] / f"{split}_images.npy"
    if not unpacked.is_file():
        ensure_space(unpacked.parent, member.info.file_size)
        _unpack(archive, member.info, unpacked, display)
    mapped: NDArray[np.uint8] = np.load(unpacked, mmap_mode="r", allow_pickle=False)
    return mapped


def _unpack(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, display: Display
) -> None:
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    done = 0
    try:
        with (
            archive.open(info) as source,
            part.open("wb") as file,
            display.track(f"unpack {info.filename}", info.file_size, "bytes") as progress,
        ):
            while chunk := source.read(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                progress.update(done)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _labels(
    path: Path, entry: CatalogueEntry, labels: NDArray[np.uint8], hint: str
) -> NDArray[np.int64] | NDArray[np.uint8]:
    count = entry.class_count
    if entry.task == "multi-label":
        if labels.ndim != 2 or labels.shape[1] != count or labels.max(initial=0) > 1:
            raise DataError(f"{path} does not hold {count} labels of 0 or 1 an image", hint)
        return labels
    if labels.size != len(labels) or labels.max(initial=0) >= count:
        raise DataError(f"{path} holds labels beyond the {count} classes of {entry.name}", hint)
    return labels.reshape(-1).astype(np.int64)


def _not_found(entry: CatalogueEntry, settings: DatasetSettings) -> DataError:
    wanted = file_name(entry.flag, settings.size)
    folder = settings.data_dir or data_folder() / "medmnist"
    here = [size for size in SIZES if locate(entry, size, settings.data_dir) is not None]
    ways = [f"`size={size}` (its file is there)" for size in here]
    ways.append(f"pixguard data fetch {entry.name} --size {settings.size}")
    if entry.name in PAPER_DATASETS:
        ways.append("`source=phantom` for synthetic images")
    if original := find_original(entry.name):
        ways.append(f"`source=originals` and `data_dir=DIR` for {original.title} itself")
    ways.append("`source=folder` and `data_dir=DIR` for your own")
    return DataError(
        f"{entry.name} at {settings.size} pixels is not on this machine: no {wanted} in {folder}",
        "; or ".join(ways),
    )
