"""An npz file of a user's own in MedMNIST's form, under a name that is none of MedMNIST's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixguard.config import DatasetSettings
from pixguard.config.data import SIDES
from pixguard.datasets.base import SPLITS, ImageDataset
from pixguard.datasets.layout import check_class_count
from pixguard.datasets.medmnist import is_medmnist
from pixguard.datasets.npz import Contents, Member, Parts, channels_of, read_npz
from pixguard.datasets.splits import paper_splits
from pixguard.errors import DataError, UsageError
from pixguard.progress import Display
from pixguard.records import NO_FINDING_ORDINAL, ClassInfo, DatasetInfo, Task, digest

_CHUNK = 4096
"""Images that are looked at together for colour."""


def recognises(settings: DatasetSettings) -> bool:
    """Tell whether ``data_dir`` is an npz file, and the name none of MedMNIST's."""
    return not is_medmnist(settings.name) and _locate(settings) is not None


def open_npz(settings: DatasetSettings, display: Display) -> ImageDataset:
    """Open an npz; image indices run through its train, val and test arrays in turn.

    Its classes are named by their numbers. Labels (n,) or (n, 1) are class numbers from 0, labels
    (n, L) are 0 or 1 for each of L labels that an image may have several of.

    Raises:
        UsageError: the name is one of MedMNIST's, or ``data_dir`` is not said.
        DataError: the file is damaged, or not in that form.
    """
    if is_medmnist(settings.name):
        raise UsageError(
            f"{settings.name} is a name of MedMNIST's",
            "another `dataset=...` name for your own file; or `source=medmnist`",
        )
    path = _locate(settings)
    if path is None:
        raise UsageError("the source npz needs to know where", "`data_dir=FILE.npz`")
    hint = "write its arrays with numpy.savez: uint8 images, whole numbers as labels"
    found = read_npz(path, lambda m: _check_images(path, settings.size, m), hint, display)
    task, labels, classes = _labels(path, found.labels)
    channels = _channels(path, settings, found, display)
    manifest = found.manifest
    if channels != channels_of(found.images[0]):
        manifest = digest([manifest, {"channels": channels}])
    return ImageDataset(
        info=DatasetInfo(
            name=settings.name,
            source="npz",
            size=settings.size,
            version=f"npz-{manifest[:12]}",
            split_scheme=settings.split,
            split_seed=settings.split_seed,
            manifest_sha256=manifest,
            task=task,
            channels=channels,
            classes=classes,
            location=str(path.resolve()),
        ),
        labels=labels,
        splits=(
            found.official_split
            if settings.split == "official"
            else paper_splits(labels, settings.split_seed)
        ),
        read=Parts(found.images, (settings.size, settings.size, channels)),
    )


def _locate(settings: DatasetSettings) -> Path | None:
    data_dir = settings.data_dir
    if data_dir is None:
        return None
    path = data_dir / f"{settings.name}.npz" if data_dir.is_dir() else data_dir
    return path if path.suffix == ".npz" and path.is_file() else None


def _check_images(path: Path, size: int, members: Mapping[str, Member]) -> None:
    shapes = {members[f"{split}_images"].shape[1:] for split in SPLITS}
    shape = min(shapes)
    is_square = len(shape) in (2, 3) and shape[0] == shape[1] and shape[2:] in ((), (1,), (3,))
    if len(shapes) > 1 or not is_square or not SIDES[0] <= shape[0] <= SIDES[1]:
        raise DataError(
            f"{path} holds images of the shape {' and '.join(map(str, sorted(shapes)))}",
            "they must all be square, (n, side, side) gray or (n, side, side, 3) colour; files of "
            "other sizes go in a folder for each class",
        )
    if shape[0] != size:
        raise DataError(
            f"{path} holds images of {shape[0]} pixels, not of {size}", f"`size={shape[0]}`"
        )


def _labels(
    path: Path, labels: NDArray[np.integer[Any]]
) -> tuple[Task, NDArray[np.int64] | NDArray[np.uint8], tuple[ClassInfo, ...]]:
    """Return the task, the labels and the classes, which are numbered from 0 without a gap.

    Raises:
        DataError: they are not.
    """
    hint = "number the classes 0, 1, 2 ... in the arrays of labels, one column for each image"
    if labels.size == len(labels):
        present = np.unique(labels)
        if len(present) < 2 or not np.array_equal(present, np.arange(len(present))):
            shown = ", ".join(map(str, present[:12]))
            raise DataError(f"{path} has the labels {shown}: not 0, 1, 2 ... without a gap", hint)
        check_class_count(path, len(present))
        classes = tuple(ClassInfo(i, str(i)) for i in range(len(present)))
        return "multi-class", labels.reshape(-1).astype(np.int64), classes
    least, most = labels.min(initial=0), labels.max(initial=0)
    if labels.ndim != 2 or not labels.size or least < 0 or most > 1:
        raise DataError(f"{path} has labels of the shape {labels.shape} that are not 0 or 1", hint)
    check_class_count(path, labels.shape[1])
    carried = labels.sum(axis=1)
    if (carried == 1).all():
        raise DataError(
            f"{path} has one of {labels.shape[1]} labels for every image: that is a class, "
            "written as a row of 0 and 1",
            f"{hint} (labels.argmax(axis=1))",
        )
    unused = np.flatnonzero(labels.sum(axis=0) == 0)
    if len(unused):
        raise DataError(f"{path} has no image with the label {unused[0]}", "leave that column out")
    classes = tuple(ClassInfo(i, str(i)) for i in range(labels.shape[1]))
    if (carried == 0).any():
        classes += (ClassInfo(NO_FINDING_ORDINAL, "No finding"),)
    return "multi-label", labels.astype(np.uint8), classes


def _channels(path: Path, settings: DatasetSettings, found: Contents, display: Display) -> int:
    """Return 3 for images in colour, 1 for gray ones, though their channels be three equal ones.

    Raises:
        DataError: some are gray and some are in colour, and the settings do not say what to do.
    """
    if settings.channels != "auto":
        return 3 if settings.channels == "rgb" else 1
    if channels_of(found.images[0]) == 1:
        return 1
    gray = sum(
        int((chunk == chunk[..., :1]).all(axis=(1, 2, 3)).sum())
        for part in found.images
        for chunk in (part[start : start + _CHUNK] for start in range(0, len(part), _CHUNK))
    )
    if gray == len(found.labels):
        display.say("all images have three equal channels: they are gray")
        return 1
    if gray:
        raise DataError(
            f"{path} has {gray} gray images (three equal channels) among {len(found.labels)}: "
            "attacks would change their colours",
            "`channels=gray` to turn all to gray, or `channels=rgb` to take all as colour",
        )
    return 3
