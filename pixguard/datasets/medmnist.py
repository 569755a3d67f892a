"""MedMNIST's ``.npz`` files: which of them a dataset is, and whether it is that."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DatasetSettings
from pixguard.datasets.base import SPLITS, ImageDataset
from pixguard.datasets.cache import data_folder
from pixguard.datasets.catalogue import (
    PAPER_DATASETS,
    CatalogueEntry,
    every_entry,
    find,
    medmnist_facts,
    medmnist_file,
    medmnist_info,
    paper_entry,
)
from pixguard.datasets.npz import Member, Parts, read_npz
from pixguard.datasets.owners import find_original
from pixguard.datasets.splits import paper_splits
from pixguard.errors import DataError, UsageError
from pixguard.progress import Display
from pixguard.records import DatasetInfo

SIZES = (28, 64, 128, 224)


def check_size(entry: CatalogueEntry, size: int) -> None:
    """Raise UsageError where MedMNIST has no files of that size."""
    if size not in SIZES:
        raise UsageError(
            f"MedMNIST has {entry.name} at {', '.join(map(str, SIZES))} pixels, not at {size}",
            f"`size={min(SIZES, key=lambda s: abs(s - size))}`",
        )


def locate(entry: CatalogueEntry, size: int, data_dir: Path | None) -> Path | None:
    """Return the file of a dataset and size: in ``data_dir``, or fetched; None if not there."""
    if data_dir is not None and data_dir.is_file():
        return data_dir if data_dir.suffix == ".npz" else None
    folder = data_folder() / "medmnist" if data_dir is None else data_dir
    path = folder / medmnist_file(entry.flag, size)
    return path if path.is_file() else None


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


def is_medmnist(name: str) -> bool:
    """Tell whether a name is one of MedMNIST's, whatever its case: then no other data have it."""
    folded = name.casefold()
    return any(folded in (entry.name, entry.flag) for entry in every_entry())


def recognises(settings: DatasetSettings) -> bool:
    """Tell whether a MedMNIST file of that name, at whatever size, is meant by ``data_dir``."""
    data_dir = settings.data_dir
    if data_dir is None or not is_medmnist(settings.name):
        return False
    if data_dir.is_file():
        return data_dir.suffix == ".npz"
    entry = paper_entry(settings.name)
    flag = re.escape(entry.flag if entry else settings.name)
    files = data_dir.iterdir() if data_dir.is_dir() else ()
    return any(re.fullmatch(rf"{flag}(_\d+)?\.npz", file.name) for file in files)


def open_medmnist(
    path: Path, entry: CatalogueEntry, settings: DatasetSettings, display: Display
) -> ImageDataset:
    """Open a MedMNIST file; image indices run through its train, val and test arrays in turn.

    Raises:
        DataError: the file is damaged, pickled, or not what the dataset's files are.
    """
    _check_name(path, entry)
    hint = f"remove it and fetch it again: pixguard data fetch {entry.name} --size {settings.size}"
    found = read_npz(path, lambda m: _check_images(path, entry, settings.size, m), hint, display)
    _check_counts(path, entry, found.counts, display)
    all_labels = _labels(path, entry, found.labels, hint)
    return ImageDataset(
        info=DatasetInfo(
            name=entry.name,
            source="medmnist",
            size=settings.size,
            version=f"medmnist-{medmnist_facts()[0]}-{found.manifest[:12]}",
            split_scheme=settings.split,
            split_seed=settings.split_seed,
            manifest_sha256=found.manifest,
            task=entry.task,
            channels=entry.channels,
            classes=entry.classes,
            licence=entry.licence,
            citation=entry.citation,
            location=str(path.resolve()),
        ),
        labels=all_labels,
        splits=(
            found.official_split
            if settings.split == "official"
            else paper_splits(all_labels, settings.split_seed)
        ),
        read=Parts(found.images, (settings.size, settings.size, entry.channels)),
        attack_codes=entry.attack_codes,
    )


def _check_name(path: Path, entry: CatalogueEntry) -> None:
    """Refuse a file that bears the name of another of MedMNIST's datasets.

    Raises:
        DataError: it does.
    """
    named = path.stem.rpartition("_")[0] or path.stem
    if named != entry.flag and named in medmnist_info():
        raise _another(path, entry, f"has the name of MedMNIST's {named}", find(named))


def _check_counts(
    path: Path, entry: CatalogueEntry, counts: tuple[int, ...], display: Display
) -> None:
    """Refuse a file that has exactly the images of another dataset; say where it has not its own.

    Raises:
        DataError: it is another dataset.
    """
    published = {flag: facts.samples for flag, facts in medmnist_info().items()}
    if counts == published[entry.flag]:
        return
    shown = " / ".join(f"{count:,}" for count in counts)
    for flag, theirs in published.items():
        if counts == theirs:
            raise _another(path, entry, f"has the {shown} images of MedMNIST's {flag}", find(flag))
    whole = " / ".join(f"{count:,}" for count in published[entry.flag])
    display.say(
        f"{path.name} holds {shown} images (train / val / test), not the {whole} that MedMNIST "
        f"publishes as {entry.flag}"
    )


def _another(path: Path, entry: CatalogueEntry, what: str, other: CatalogueEntry) -> DataError:
    return DataError(
        f"{path} {what}; it was opened as {entry.name}",
        f"`dataset={other.name}`; or another file",
    )


def _check_images(
    path: Path, entry: CatalogueEntry, size: int, members: Mapping[str, Member]
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


def _labels(
    path: Path, entry: CatalogueEntry, labels: NDArray[np.integer[Any]], hint: str
) -> NDArray[np.int64] | NDArray[np.uint8]:
    count = entry.class_count
    least, most = labels.min(initial=0), labels.max(initial=0)
    if entry.task == "multi-label":
        if labels.ndim != 2 or labels.shape[1] != count or least < 0 or most > 1:
            raise DataError(f"{path} does not hold {count} labels of 0 or 1 an image", hint)
        return labels.astype(np.uint8)
    if labels.size != len(labels) or least < 0 or most >= count:
        raise DataError(f"{path} holds labels beyond the {count} classes of {entry.name}", hint)
    present = set(np.unique(labels).tolist())
    absent = [c.name for c in entry.classes if c.ordinal not in present]
    if absent:
        raise DataError(
            f"{path} holds no image of {', '.join(absent)}: it is not {entry.name}",
            "check `dataset=...`; a name that is none of MedMNIST's takes an npz of your own",
        )
    return labels.reshape(-1).astype(np.int64)


def _not_found(entry: CatalogueEntry, settings: DatasetSettings) -> DataError:
    wanted = medmnist_file(entry.flag, settings.size)
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
