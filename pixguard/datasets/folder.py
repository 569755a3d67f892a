"""Labelled image files in a folder or its zip: a user's own, and every other layout of files."""

import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DatasetSettings
from pixguard.config.data import split_scheme
from pixguard.datasets.base import ImageDataset, Images
from pixguard.datasets.cache import CachedReader, RaggedReader
from pixguard.datasets.catalogue import CatalogueEntry, paper_entry
from pixguard.datasets.class_folders import from_folders
from pixguard.datasets.decode import (
    NAMED_BAD_FILES,
    BadFilesError,
    Header,
    decode,
    inspect,
    is_coloured,
)
from pixguard.datasets.files import FileTree, UnreadableFileError
from pixguard.datasets.joined import open_roots, resolved
from pixguard.datasets.jpeg import JPEG_START
from pixguard.datasets.jpeg import problem as jpeg_problem
from pixguard.datasets.label_tables import from_table
from pixguard.datasets.layout import Layout, Sample, match_classes
from pixguard.datasets.parting import draw_split, group_numbers, kept_together
from pixguard.errors import DataError, UsageError, listed
from pixguard.progress import Display
from pixguard.records import NATIVE_SIZE, DatasetInfo, digest

_LOOKED_AT = 1000
"""Files of three channels, at least, that are looked at for gray ones among those in colour."""
_MIN_SIZE, _MAX_SIZE = 8, 4096


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tree of labelled images comes from, and what it is to be.

    ``channels`` is None where the images decide. ``groups_by_default``: a split keeps groups
    together unless the settings say otherwise.
    """

    source: str
    tree: FileTree
    layout: Layout
    entry: CatalogueEntry | None
    channels: int | None = None
    groups_by_default: bool = False
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
    tree = open_roots(data_dir.parent if is_csv else data_dir)
    layout = read_layout(tree, data_dir.name if is_csv else None, settings.group_column)
    origin = Origin("folder", tree, layout, paper_entry(settings.name))
    return open_images(settings, origin, display)


def read_layout(tree: FileTree, csv_path: str | None = None, group: str = "") -> Layout:
    """Find the images of a tree; ``group`` is the column of a table that tells their groups.

    Raises:
        DataError: neither layout is there, or it contradicts itself.
        UsageError: no table is there that could have the column, or it has none.
    """
    prefix = _wrapping_folder(tree)
    if csv_path is None and f"{prefix}labels.csv" in tree.sizes:
        csv_path = f"{prefix}labels.csv"
    if csv_path:
        return from_table(tree, csv_path, group)
    if group:
        raise UsageError(
            f"{tree.location} has no table of labels, which could tell a {group}",
            "a file labels.csv there, with the columns path, label and " + group,
        )
    return from_folders(tree, prefix)


def _wrapping_folder(tree: FileTree) -> str:
    """Return the path (with its slash) below which a tree begins: zips often wrap all in one."""
    prefix = ""
    while True:
        rest = [path[len(prefix) :].split("/") for path in tree.sizes]
        heads = {parts[0] for parts in rest}
        holds_folders = any(len(parts) > 2 for parts in rest)
        holds_labels = any(parts[1:] == ["labels.csv"] for parts in rest)
        if len(heads) != 1 or not (holds_folders or holds_labels):
            return prefix
        prefix += f"{heads.pop()}/"


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
    channels = origin.channels or _channels(settings, origin.tree, found, display)
    groups = group_numbers(layout, found.samples)
    together = kept_together(settings, layout, by_default=origin.groups_by_default)
    turned = sum(header.is_turned for header in found.headers)
    if turned:
        display.say(f"{turned} of {len(found.headers)} images are turned as their EXIF says")
    label_count = sum(c.ordinal >= 0 for c in classes)
    labels = _labels(found.samples, ordinals, label_count, multi_label=task == "multi-label")
    manifest = digest(
        [
            *(
                [layout.short(sample.path), crc, sample.labels]
                for sample, crc in zip(found.samples, found.checksums, strict=True)
            ),
            *_read_otherwise(layout, origin, found, channels),
        ]
    )
    return ImageDataset(
        info=DatasetInfo(
            name=entry.name if entry else settings.name,
            source=origin.source,
            size=settings.size,
            version=f"{origin.source}-{manifest[:12]}",
            split_scheme=split_scheme(settings.split, together),
            split_seed=settings.split_seed,
            manifest_sha256=manifest,
            task=task,
            channels=channels,
            classes=classes,
            licence=origin.licence,
            citation=origin.citation,
            location=resolved(location),
        ),
        labels=labels,
        splits=draw_split(
            settings, found.samples, labels, groups, (layout.grouped_by, together), display
        ),
        groups=groups,
        grouped_by=layout.grouped_by,
        read=_reader(origin.tree, found.samples, settings.size, channels),
        attack_codes=entry.attack_codes if entry else None,
        original_sizes=np.array([(h.height, h.width) for h in found.headers], dtype=np.int32),
        skipped=tuple(found.bad),
        file=lambda index: found.samples[index].path,
        problem=lambda index: _problem(origin.tree, found.samples[index].path),
    )


def _channels(
    settings: DatasetSettings, tree: FileTree, found: _Inspected, display: Display
) -> int:
    """Return 3 for images in colour, 1 for gray ones, whatever their files' form.

    Raises:
        DataError: some are gray and some are in colour, and the settings do not say what to do.
    """
    if settings.channels != "auto":
        return 3 if settings.channels == "rgb" else 1
    three = [s.path for s, h in zip(found.samples, found.headers, strict=True) if h.is_rgb]
    coloured = next((path for path in three if _is_coloured(tree, path)), None)
    if coloured is None:
        if three:
            display.say(f"{len(three)} files have three equal channels: the images are gray")
        return 1
    gray = [s.path for s, h in zip(found.samples, found.headers, strict=True) if not h.is_rgb]
    # To decode all of a large set would take minutes; a mixture shows among a thousand.
    step = max(1, len(three) // _LOOKED_AT)
    gray = gray or [path for path in three[::step] if not _is_coloured(tree, path)]
    if gray:
        raise DataError(
            f"{tree.location} has images in colour (such as {coloured}) and at least {len(gray)} "
            f"gray ones (such as {gray[0]}): attacks would change the colours of gray images",
            "`channels=gray` to turn all to gray, or `channels=rgb` to take all as colour",
        )
    return 3


def _is_coloured(tree: FileTree, path: str) -> bool:
    """Tell whether an image is in colour, as one that cannot be read may be."""
    try:
        return is_coloured(tree.read(path))
    except UnreadableFileError:  # whoever reads it is told; it is no reason to call it gray
        return True


def _read_otherwise(
    layout: Layout, origin: Origin, found: _Inspected, channels: int
) -> Iterator[object]:
    """Yield what of the images is not read as it was when manifests knew of their files alone.

    A registered dataset is then another one, instead of a silent mixture: gray images in files of
    three channels, classes in the order of their numbers, images turned upright.
    """
    if origin.channels is None and channels != (3 if any(h.is_rgb for h in found.headers) else 1):
        yield {"channels": channels}
    if origin.source == "folder" and list(layout.class_names) != sorted(layout.class_names):
        yield {"classes": layout.class_names}
    if any(header.is_turned for header in found.headers):
        yield "turned as EXIF says"


def _inspect(tree: FileTree, layout: Layout, skip_bad: bool, display: Display) -> _Inspected:
    found = _Inspected([], [], [], [])
    with (
        warnings.catch_warnings(),
        display.track(
            f"look at {tree.location.resolve().name}", len(layout.samples), "files"
        ) as progress,
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
    for path, reason in found.bad[:NAMED_BAD_FILES]:
        display.say(f"skipped {path}: {reason}")
    if len(found.bad) > NAMED_BAD_FILES:
        display.say(f"skipped {len(found.bad) - NAMED_BAD_FILES:,} more")
    return found


def _check_none_empty(location: Path, layout: Layout, found: _Inspected) -> None:
    present = {name for sample in found.samples for name in sample.labels}
    empty = [name for name in layout.class_names if name not in present]
    if not empty:
        return
    message = f"{location} has classes without a usable image: {listed(empty)}"
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


def _problem(tree: FileTree, path: str) -> tuple[str, str] | None:
    data = tree.read(path)
    wrong = jpeg_problem(data) if data.startswith(JPEG_START) else None
    return (path, f"is damaged: {wrong}") if wrong else None


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
