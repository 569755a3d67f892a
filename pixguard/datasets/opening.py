"""From settings to a dataset: which source has it, and what to type when none has."""

import re
from pathlib import Path

from pixguard.config import DatasetSettings
from pixguard.datasets import catalogue, medmnist
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.cache import data_folder
from pixguard.datasets.folder import open_folder
from pixguard.datasets.originals import open_originals, recognise
from pixguard.datasets.owners import find_original
from pixguard.datasets.phantom import open_phantom
from pixguard.errors import DataError, UsageError
from pixguard.progress import Display
from pixguard.records import NATIVE_SIZE

NATIVE_SOURCES = ("originals", "folder")
"""The sources whose images have sizes of their own."""


def open_dataset(settings: DatasetSettings, display: Display) -> ImageDataset:
    """Open a dataset from the source that the settings name, or the one that has it.

    ``auto`` with a ``data_dir`` is MedMNIST's file of that name and size there, else the original
    if it is laid out as its owner ships it, else the folder; without one it is MedMNIST's file in
    the data folder. Phantoms are never a silent substitute.

    Raises:
        UsageError: no such dataset, or the source has no such size.
        DataError: the images are not there or not sound; the hint is the command that helps.
    """
    if settings.data_dir is not None and settings.source != "phantom":
        if not settings.data_dir.exists():
            raise DataError(f"{settings.data_dir} does not exist", "check --data-dir")
    if settings.source == "phantom":
        _refuse_native(settings, "phantoms are made")
        return open_phantom(settings)
    if settings.source == "folder":
        return open_folder(settings, display)
    if settings.source == "originals":
        return open_originals(settings, display)
    if settings.source == "auto" and settings.data_dir is not None:
        if not _holds_medmnist(settings.data_dir, settings.name):
            is_original = recognise(settings.data_dir, settings.name)
            return (open_originals if is_original else open_folder)(settings, display)
    return _open_medmnist(settings, display)


def _refuse_native(settings: DatasetSettings, cause: str) -> None:
    if settings.size == NATIVE_SIZE:
        raise UsageError(
            f"{settings.name} has no native sizes: {cause} to one size",
            "--size 28, 64, 128 or 224; or --source originals (or folder) --data-dir DIR, whose "
            "images have sizes of their own",
        )


def _holds_medmnist(data_dir: Path, name: str) -> bool:
    """Tell whether a MedMNIST file of that name, at whatever size, is meant by ``data_dir``."""
    if data_dir.is_file():
        return data_dir.suffix == ".npz"
    entry = catalogue.paper_entry(name)
    flag = re.escape(entry.flag if entry else name)
    return any(re.fullmatch(rf"{flag}(_\d+)?\.npz", file.name) for file in data_dir.iterdir())


def _open_medmnist(settings: DatasetSettings, display: Display) -> ImageDataset:
    entry = catalogue.find(settings.name)
    _refuse_native(settings, "MedMNIST's images were brought")
    medmnist.check_size(entry, settings.size)
    path = medmnist.locate(entry, settings.size, settings.data_dir)
    if path is None:
        raise _not_found(entry, settings)
    return medmnist.open_medmnist(path, entry, settings, display)


def _not_found(entry: catalogue.CatalogueEntry, settings: DatasetSettings) -> DataError:
    wanted = medmnist.file_name(entry.flag, settings.size)
    folder = settings.data_dir or data_folder() / "medmnist"
    here = [
        size
        for size in medmnist.SIZES
        if medmnist.locate(entry, size, settings.data_dir) is not None
    ]
    ways = [f"--size {size} (its file is there)" for size in here]
    ways.append(f"pixguard data fetch {entry.name} --size {settings.size}")
    if entry.name in catalogue.PAPER_DATASETS:
        ways.append("--source phantom for synthetic images")
    if original := find_original(entry.name):
        ways.append(f"--source originals --data-dir DIR for {original.title} itself")
    ways.append("--source folder --data-dir DIR for your own")
    return DataError(
        f"{entry.name} at {settings.size} pixels is not on this machine: no {wanted} in {folder}",
        "; or ".join(ways),
    )
