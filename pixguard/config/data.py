"""Which images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from pixguard.config.settings import Settings, required, setting
from pixguard.errors import UsageError
from pixguard.records import NATIVE, NATIVE_SIZE, SplitScheme

AttackAt = Literal["input", "native"]
Channels = Literal["auto", "gray", "rgb"]

SIDES = (8, 2048)
"""The least and the greatest side that images are loaded at, in pixels."""


DATASET_HELP = "derma, pathology, oct, chest, a MedMNIST flag, or your own name."


@dataclass(frozen=True, slots=True)
class DatasetSettings(Settings):
    """Which images.

    ``size`` is the side in pixels, or :data:`pixguard.records.NATIVE_SIZE` for each image's own;
    ``phantom_images`` is the number of phantoms. ``group`` is what no two parts of the split may
    share, :data:`BY_IMAGE` for nothing; None: what the source knows of the owners' sets.
    ``partial``: images that an owner's table lists may be missing, for whoever only looks.
    """

    name: str
    source: str = "auto"
    size: int = 28
    data_dir: Path | None = None
    split: SplitScheme = "paper"
    split_seed: int = 0
    group: str | None = None
    phantom_images: int = 2000
    skip_bad: bool = False
    channels: Channels = "auto"
    partial: bool = False

    @property
    def group_column(self) -> str:
        """The column of a table that tells groups; empty for none."""
        return "" if self.group in (None, BY_IMAGE) else str(self.group)


BY_IMAGE = "none"
"""The group of whoever splits image by image."""
_BY = " by "


def split_scheme(split: SplitScheme, group: str) -> str:
    """Return what a split is called in the database: ``paper``, ``paper by patient``."""
    return f"{split}{_BY}{group}" if group else split


def parts_of_scheme(scheme: str) -> tuple[SplitScheme, str]:
    """Return the split and the group that :func:`split_scheme` had."""
    split, by, group = scheme.partition(_BY)
    return cast(SplitScheme, split), group if by else BY_IMAGE


def parse_size(value: Any) -> int:
    """Return the side in pixels that a text names, or that of native sizes.

    Raises:
        UsageError: it is neither a side in :data:`SIDES` nor ``native``.
    """
    text, (least, most) = str(value), SIDES
    if text == NATIVE:
        return NATIVE_SIZE
    if not text.isdecimal() or not least <= int(text) <= most:
        raise UsageError(
            f"the size {text!r} is neither a side from {least} to {most} nor {NATIVE!r}",
            "28, 64, 128 and 224 are MedMNIST's",
        )
    return int(text)


@dataclass(frozen=True, slots=True)
class DatasetRequest(Settings):
    """What a user says of a dataset; None where it is left to what is registered."""

    panel: ClassVar[str] = "Data"

    name: str = required(DATASET_HELP, flag="--dataset", short="-d", names="dataset")
    source: str | None = setting(
        None,
        "Where the images come from (default: as registered for the dataset, else auto).",
        registry="pixguard.datasets.registry:SOURCES",
    )
    size: int | None = setting(
        None,
        "Side of the images, or native: each as large as its file. Default: as registered, "
        "else 28.",
        parser=parse_size,
        metavar="<pixels>|native",
    )
    data_dir: Path | None = setting(
        None,
        "Folder, zip or npz file that holds the images; several folders or zips as in PATH, A:B.",
        in_file=True,
    )


@dataclass(frozen=True, slots=True)
class TrainingRequest(DatasetRequest):
    """What a user says of a dataset to train on, which may not be registered yet."""

    split: SplitScheme | None = setting(
        None,
        "70/10/20, stratified, from seed 0 (paper); or the source's own. Default: as registered, "
        "else paper.",
    )
    group: str | None = setting(
        None,
        "What no two parts of the split share: a column of your table of labels, such as patient; "
        "none: split image by image. Default: as registered, else lesion or patient where the "
        "owner tells it.",
        in_file=True,
    )
    phantom_images: int | None = setting(
        None,
        "How many phantoms to make. Default: as registered, else 2000.",
        low=50,
        high=1_000_000,
        unit="images",
        flag="--images",
    )
    skip_bad: bool = setting(False, "Leave unreadable images out instead of stopping.")
    channels: Channels | None = setting(
        None,
        "Read images of your own as gray or as RGB. Default: gray where no pixel is coloured, RGB "
        "where all files are in colour; a mixture is refused.",
    )

    def settings(self) -> DatasetSettings:
        """Return the settings with the defaults where nothing is said."""
        said = {"source": self.source, "size": self.size, "data_dir": self.data_dir, **self.chosen}
        known = {name: value for name, value in said.items() if value is not None}
        return DatasetSettings(self.name, **known)

    @property
    def chosen(self) -> dict[str, Any]:
        """What is said beyond where the images are, as :class:`DatasetSettings` name it."""
        said: dict[str, Any] = {"split": self.split, "phantom_images": self.phantom_images}
        said |= {"skip_bad": self.skip_bad or None, "channels": self.channels, "group": self.group}
        return {name: value for name, value in said.items() if value is not None}
