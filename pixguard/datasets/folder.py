"""A user's own images: a folder per class or a CSV, in a folder or its zip."""

import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DatasetSettings
from pixguard.datasets.base import SPLITS, ImageDataset, Images
from pixguard.datasets.cache import CachedReader
from pixguard.datasets.catalogue import CatalogueEntry, paper_entry
from pixguard.datasets.decode import bad_images_error, decode, inspect
from pixguard.datasets.files import FileTree, UnreadableFileError, open_tree
from pixguard.datasets.layout import Layout, Sample, match_classes, read_layout
from pixguard.datasets.splits import paper_splits
from pixguard.errors import DataError, UsageError
from pixguard.progress import Display
from pixguard.records import DatasetInfo, digest

_MIN_SIZE, _MAX_SIZE = 8, 4096


def open_folder(settings: DatasetSettings, display: Display) -> ImageDataset:
    """Open a folder, a zip, or a CSV of paths and labels; every file is looked at, few decoded.

    Images are indexed in the order of their paths. The fingerprint covers each file's path,
    content (CRC-32) and labels, so that a folder and its zip are the same dataset.

    Raises:
        UsageError: ``data_dir`` or ``size`` does not make sense.
        DataError: the layout is not one that is known, or files are bad (unless ``skip_bad``).
    """
    if settings.data_dir is None:
        raise UsageError("the folder source needs to know where", "--data-dir DIR")
    if not _MIN_SIZE <= settings.size <= _MAX_SIZE:
        raise UsageError(
            f"images cannot be {settings.size} pixels wide",
            f"--size {min(max(settings.size, _MIN_SIZE), _MAX_SIZE)}",
        )
    is_csv = settings.data_dir.suffix.lower() == ".csv" and settings.data_dir.is_file()
    tree = open_tree(settings.data_dir.parent if is_csv else settings.data_dir)
    layout = read_layout(tree, settings.data_dir.name if is_csv else None)
    entry = paper_entry(settings.name)
    task, classes, ordinals = match_classes(settings.data_dir, layout, entry)
    sound, colours, checksums = _inspect(tree, layout, settings.skip_bad, display)
    channels = 3 if any(colours) else 1
    _check_none_empty(settings.data_dir, layout, sound)
    label_count = sum(c.ordinal >= 0 for c in classes)
    labels = _labels(sound, ordinals, label_count, multi_label=task == "multi-label")
    manifest = digest(
        [
            [sample.path.removeprefix(layout.root), crc, sample.labels]
            for sample, crc in zip(sound, checksums, strict=True)
        ]
    )
    return ImageDataset(
        info=DatasetInfo(
            name=entry.name if entry else settings.name,
            source="folder",
            size=settings.size,
            version=f"folder-{manifest[:12]}",
            split_scheme=settings.split,
            split_seed=settings.split_seed,
            manifest_sha256=manifest,
            task=task,
            channels=channels,
            classes=classes,
            location=str(settings.data_dir.resolve()),
        ),
        labels=labels,
        splits=_splits(settings, sound, labels),
        read=_reader(tree, sound, settings.size, channels),
        attack_codes=_attack_codes(entry),
    )


def _attack_codes(entry: CatalogueEntry | None) -> tuple[str, ...] | None:
    return entry.attack_codes if entry else None


def _inspect(
    tree: FileTree, layout: Layout, skip_bad: bool, display: Display
) -> tuple[list[Sample], list[bool], list[int]]:
    """Return the sound samples, whether each is in colour, and the CRC-32 of each file."""
    sound: list[Sample] = []
    colours: list[bool] = []
    checksums: list[int] = []
    bad: list[tuple[str, str]] = []
    with (
        warnings.catch_warnings(),
        display.track(f"look at {tree.location.name}", len(layout.samples), "files") as progress,
    ):
        # What Pillow warns of, size and damaged metadata, is judged here by the pixels alone.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for done, sample in enumerate(layout.samples, start=1):
            try:
                data = tree.read(sample.path)
                colours.append(inspect(data))
            except UnreadableFileError as error:
                bad.append((sample.path, str(error)))
            else:
                sound.append(sample)
                checksums.append(zlib.crc32(data))
            progress.update(done, f"{len(bad)} bad" if bad else "")
    if bad and not skip_bad:
        raise bad_images_error(tree.location, bad)
    for path, reason in bad:
        display.say(f"skipped {path}: {reason}")
    return sound, colours, checksums


def _check_none_empty(location: Path, layout: Layout, sound: list[Sample]) -> None:
    present = {name for sample in sound for name in sample.labels}
    empty = [name for name in layout.class_names if name not in present]
    if empty:
        raise DataError(
            f"{location} has classes without a usable image: {', '.join(empty)}",
            "add images to them, or remove them",
        )


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
            "--split paper",
        )
    return np.array([SPLITS.index(split) for split in named], dtype=np.uint8)


def _reader(tree: FileTree, samples: list[Sample], size: int, channels: int) -> CachedReader:
    def make(index: int) -> Images:
        path = samples[index].path
        try:
            return decode(tree.read(path), size, channels)
        except UnreadableFileError as error:  # it changed, or hid its damage, since it was opened
            raise bad_images_error(tree.location, [(path, str(error))]) from error

    return CachedReader(len(samples), (size, size, channels), make)
