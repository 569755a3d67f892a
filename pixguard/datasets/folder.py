"""Labelled image files in a folder or its zip: a user's own, and every other layout of files."""

import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DatasetSettings
from pixguard.datasets.base import SPLITS, ImageDataset, Images
from pixguard.datasets.cache import CachedReader, RaggedReader
from pixguard.datasets.catalogue import CatalogueEntry, paper_entry
from pixguard.datasets.decode import BadFilesError, Header, decode, inspect
from pixguard.datasets.files import FileTree, UnreadableFileError, open_tree
from pixguard.datasets.layout import Layout, Sample, match_classes, read_layout
from pixguard.datasets.splits import paper_splits
from pixguard.errors import DataError, UsageError
from pixguard.progress import Display
from pixguard.records import NATIVE_SIZE, DatasetInfo, digest

_MIN_SIZE, _MAX_SIZE = 8, 4096


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tree of labelled images comes from, and what it is to be.

    ``channels`` is None where the images decide: one in colour makes all of them colour.
    """

    source: str
    tree: FileTree
    layout: Layout
    entry: CatalogueEntry | None
    channels: int | None = None
    licence: str = ""
    citation: str = ""


@dataclass(frozen=True, slots=True)
class _Inspected:
    """The samples that can be used, with header and CRC-32 of each file, and those that cannot."""

    samples: list[Sample]
    headers: list[Header]
    checksums: list[int]
    bad: list[tuple[str, str]]


def open_folder(settings: DatasetSettings, display: Display) -> ImageDataset:
    """Open a user's own images: a folder, a zip, or a CSV of paths and labels.

    Raises:
        UsageError: ``data_dir`` or ``size`` does not make sense.
        DataError: the layout is not one that is known, or files are bad (unless ``skip_bad``).
    """
    data_dir = required_data_dir(settings)
    is_csv = data_dir.suffix.lower() == ".csv" and data_dir.is_file()
    tree = open_tree(data_dir.parent if is_csv else data_dir)
    layout = read_layout(tree, data_dir.name if is_csv else None)
    origin = Origin("folder", tree, layout, paper_entry(settings.name))
    return open_images(settings, origin, display)


def recognises(settings: DatasetSettings) -> bool:
    """Tell whether ``data_dir`` may hold images: whatever is there is read as a folder last."""
    return settings.data_dir is not None


def required_data_dir(settings: DatasetSettings) -> Path:
    """Return where the images lie, once that and their size make sense.

    Raises:
        UsageError: they do not.
    """
    if settings.data_dir is None:
        raise UsageError(f"the source {settings.source} needs to know where", "`data_dir=DIR`")
    if settings.size != NATIVE_SIZE and not _MIN_SIZE <= settings.size <= _MAX_SIZE:
        raise UsageError(
            f"images cannot be {settings.size} pixels wide",
            f"`size={min(max(settings.size, _MIN_SIZE), _MAX_SIZE)}`",
        )
    return settings.data_dir


def open_images(settings: DatasetSettings, origin: Origin, display: Display) -> ImageDataset:
    """Open the images of a layout; every file is looked at, few decoded.

    Images are indexed in the order of the layout. The fingerprint covers each file's path, content
    (CRC-32) and labels, so that a folder and its zip are the same dataset.

    Raises:
        DataError: labels do not fit the dataset, or files are bad (unless ``skip_bad``).
    """
    layout, entry = origin.layout, origin.entry
    location = settings.data_dir or origin.tree.location
    task, classes, ordinals = match_classes(location, layout, entry)
    found = _inspect(origin.tree, layout, settings.skip_bad, display)
    _check_none_empty(location, layout, found)
    channels = origin.channels or (3 if any(h.is_colour for h in found.headers) else 1)
    label_count = sum(c.ordinal >= 0 for c in classes)
    labels = _labels(found.samples, ordinals, label_count, multi_label=task == "multi-label")
    manifest = digest(
        [
            [layout.short(sample.path), crc, sample.labels]
            for sample, crc in zip(found.samples, found.checksums, strict=True)
        ]
    )
    return ImageDataset(
        info=DatasetInfo(
            name=entry.name if entry else settings.name,
            source=origin.source,
            size=settings.size,
            version=f"{origin.source}-{manifest[:12]}",
            split_scheme=settings.split,
            split_seed=settings.split_seed,
            manifest_sha256=manifest,
            task=task,
            channels=channels,
            classes=classes,
            licence=origin.licence,
            citation=origin.citation,
            location=str(location.resolve()),
        ),
        labels=labels,
        splits=_splits(settings, found.samples, labels),
        read=_reader(origin.tree, found.samples, settings.size, channels),
        attack_codes=entry.attack_codes if entry else None,
        original_sizes=np.array([(h.height, h.width) for h in found.headers], dtype=np.int32),
        skipped=tuple(found.bad),
    )


def _inspect(tree: FileTree, layout: Layout, skip_bad: bool, display: Display) -> _Inspected:
    found = _Inspected([], [], [], [])
    with (
        warnings.catch_warnings(),
        display.track(f"look at {tree.location.name}", len(layout.samples), "files") as progress,
    ):
        # What Pillow warns of, size and damaged metadata, is judged here by the pixels alone.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for done, sample in enumerate(layout.samples, start=1):
            try:
                data = tree.read(sample.path)
                found.headers.append(inspect(data, layout.other_modes))
            except UnreadableFileError as error:
                found.bad.append((sample.path, str(error)))
            else:
                found.samples.append(sample)
                found.checksums.append(zlib.crc32(data))
            progress.update(done, f"{len(found.bad)} bad" if found.bad else "")
    if found.bad and not skip_bad:
        raise BadFilesError(tree.location, found.bad)
    for path, reason in found.bad:
        display.say(f"skipped {path}: {reason}")
    return found


def _check_none_empty(location: Path, layout: Layout, found: _Inspected) -> None:
    present = {name for sample in found.samples for name in sample.labels}
    empty = [name for name in layout.class_names if name not in present]
    if not empty:
        return
    message = f"{location} has classes without a usable image: {', '.join(empty)}"
    if found.bad:
        raise BadFilesError(location, found.bad, f"mend them: {message}")
    raise DataError(message, "add images to them, or remove them")


def _labels(
    samples: list[Sample], ordinals: dict[str, int], label_count: int, multi_label: bool
) -> NDArray[np.int64] | NDArray[np.uint8]:
    if not multi_label:
        return np.array([ordinals[sample.labels[0]] for sample in samples], dtype=np.int64)
    labels = np.zeros((len(samples), label_count), dtype=np.uint8)
    for row, sample in zip(labels, samples, strict=True):
        row[[ordinals[name] for name in sample.labels if ordinals[name] >= 0]] = 1
    return labels


def _splits(
    settings: DatasetSettings,
    samples: list[Sample],
    labels: NDArray[np.int64] | NDArray[np.uint8],
) -> NDArray[np.uint8]:
    if settings.split == "paper":
        return paper_splits(labels, settings.split_seed)
    named = [sample.split for sample in samples if sample.split]
    if len(named) < len(samples) or set(named) != set(SPLITS):
        raise DataError(
            f"{settings.data_dir} has no split of its own: expected the folders train, val and "
            "test, or a column split in the CSV, with images in each",
            "`split=paper`",
        )
    return np.array([SPLITS.index(split) for split in named], dtype=np.uint8)


def _reader(
    tree: FileTree, samples: list[Sample], size: int, channels: int
) -> Callable[[NDArray[np.int64]], Images]:
    def make(index: int) -> Images:
        path = samples[index].path
        try:
            return decode(tree.read(path), size, channels)
        except UnreadableFileError as error:  # it changed, or hid its damage, since it was opened
            raise BadFilesError(tree.location, [(path, str(error))]) from error

    if size == NATIVE_SIZE:
        return RaggedReader(len(samples), make)
    return CachedReader(len(samples), (size, size, channels), make)
