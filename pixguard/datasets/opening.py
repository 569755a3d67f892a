"""From settings to a dataset: the source that they name, or the one that has it."""

from pixguard.config import DatasetSettings
from pixguard.datasets.base import ImageDataset
from pixguard.datasets.joined import first_missing, resolved
from pixguard.datasets.registry import AUTO, SOURCES, SourceEntry
from pixguard.errors import DataError, UsageError
from pixguard.progress import Display
from pixguard.records import NATIVE_SIZE


def open_dataset(settings: DatasetSettings, display: Display) -> ImageDataset:
    """Open a dataset from the source that the settings name, or the one that has it.

    ``auto`` with a ``data_dir`` is the first source that recognises what is there; without one it
    is MedMNIST's file in the data folder. Phantoms are never a silent substitute.

    Raises:
        UsageError: no such dataset or source, or the source has no such size.
        DataError: the images are not there or not sound; the hint is the command that helps.
    """
    source = _source(settings)
    if settings.size == NATIVE_SIZE and not source.native_sizes:
        owners = ", ".join(entry.name for entry in SOURCES if entry.native_sizes)
        raise UsageError(
            f"{settings.name} has no native sizes: the source {source.name} has images of one size",
            f"a side in pixels, such as `size=64`; or one of the sources {owners} and "
            "`data_dir=DIR`, whose images have sizes of their own",
        )
    dataset: ImageDataset = source.load()(settings, display)
    if settings.group_column and dataset.groups is None:
        raise UsageError(
            f"of {settings.name} from the source {dataset.info.source} it is not known which "
            f"images are of one {settings.group_column}",
            "leave `group=...` away, or open the images as their owner ships them: `data_dir=DIR`",
        )
    wanted = {"gray": 1, "rgb": 3}.get(settings.channels, dataset.info.channels)
    if dataset.info.channels != wanted:
        raise UsageError(
            f"{dataset.info.name} of the source {dataset.info.source} has "
            f"{dataset.info.channels} channels, whatever is asked for",
            "leave `channels=...` away: it is for images of your own",
        )
    held_out = dataset.class_counts("test")
    untested = [
        f"{name} ({n} in all)" for name, n in dataset.class_counts().items() if not held_out[name]
    ]
    if untested:
        display.say(
            "no test image of: " + ", ".join(untested) + ": the split leaves nothing there "
            "to attack, and no rate says anything about it"
        )
    return dataset


def _source(settings: DatasetSettings) -> SourceEntry:
    named = None if settings.source == AUTO else SOURCES[settings.source]
    if settings.data_dir is None:
        return named or SOURCES["medmnist"]
    try:
        resolved(settings.data_dir).encode()
    except UnicodeEncodeError:  # no database could hold where the images lie
        raise DataError(
            f"the path of {str(settings.data_dir)!a} is not text in UTF-8", "rename that folder"
        ) from None
    # What is drawn has no files, wherever a database says that its dataset lies.
    missing = first_missing(settings.data_dir)
    if missing is not None and (named is None or named.recogniser):
        raise DataError(f"{missing} does not exist", "check `data_dir=...`")
    return named or next(entry for entry in SOURCES if entry.recognises(settings))
