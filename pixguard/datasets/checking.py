"""Looks at every image of a dataset, to its last pixel."""

from dataclasses import dataclass, replace

from pixguard.config import DatasetSettings
from pixguard.datasets.decode import BadFilesError
from pixguard.datasets.opening import open_dataset
from pixguard.progress import Display


@dataclass(frozen=True)
class Checked:
    """The number of sound images, None where too few are left to tell; the files that are not."""

    sound: int | None
    bad: tuple[tuple[str, str], ...]


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
    with display.track(f"decode {dataset.info.name}", len(dataset), "images") as progress:
        for index in range(len(dataset)):
            try:
                dataset.images([index])
            except BadFilesError as error:
                bad.extend(error.bad)
            else:
                if dataset.problem and (found := dataset.problem(index)):
                    bad.append(found)
            progress.update(index + 1, f"{len(bad)} bad" if bad else "")
    return Checked(len(dataset) - len(bad), (*dataset.skipped, *bad))
