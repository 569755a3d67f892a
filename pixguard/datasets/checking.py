"""Looks at every image of a dataset, to its last pixel."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pixguard.config import DatasetSettings
from pixguard.datasets.base import SPLITS, ImageDataset, image_sha256
from pixguard.datasets.decode import BadFilesError
from pixguard.datasets.opening import open_dataset
from pixguard.progress import Display
from pixguard.records import Split


@dataclass(frozen=True, slots=True)
class Twins:
    """Images with the same pixels: their files, and the parts and label sets that they stand in."""

    files: tuple[str, ...]
    splits: frozenset[Split]
    labels: frozenset[tuple[str, ...]]

    @property
    def leak(self) -> bool:
        """Whether one of them is attacked or validated, and another one trained on."""
        return "train" in self.splits and len(self.splits) > 1

    @property
    def contradict(self) -> bool:
        """Whether they are called different things."""
        return len(self.labels) > 1


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found.

    Attributes:
        sound: number of sound images; None where too few are left to tell.
        bad: (path, what is wrong with it) of the files that are not.
        twins: sound images with the same pixels, at the size that they are loaded at.
    """

    sound: int | None
    bad: tuple[tuple[str, str], ...]
    twins: tuple[Twins, ...] = ()


def check_dataset(settings: DatasetSettings, display: Display) -> Checked:
    """Open a dataset and decode each of its images, which opening alone does not.

    Raises:
        DataError: as :func:`pixguard.datasets.open_dataset`, but for bad files.
    """
    try:
        dataset = open_dataset(replace(settings, skip_bad=True), display)
    except BadFilesError as error:  # a class has no other files
        return Checked(None, error.bad)
    bad: list[tuple[str, str]] = []
    alike: dict[str, list[int]] = defaultdict(list)
    with display.track(f"decode {dataset.info.name}", len(dataset), "images") as progress:
        for index in range(len(dataset)):
            try:
                (image,) = dataset.images([index])
            except BadFilesError as error:
                bad.extend(error.bad)
            else:
                if dataset.problem and (found := dataset.problem(index)):
                    bad.append(found)
                else:
                    alike[image_sha256(image)].append(index)
            progress.update(index + 1, f"{len(bad)} bad" if bad else "")
    twins = [_twins(dataset, same) for same in alike.values() if len(same) > 1]
    return Checked(len(dataset) - len(bad), (*dataset.skipped, *bad), tuple(twins))


def _twins(dataset: ImageDataset, indices: Sequence[int]) -> Twins:
    names = {c.ordinal: c.name for c in dataset.info.classes}
    return Twins(
        files=tuple(map(dataset.file, indices)),
        splits=frozenset(SPLITS[int(dataset.splits[index])] for index in indices),
        labels=frozenset(tuple(names[o] for o in dataset.label_set(index)) for index in indices),
    )
