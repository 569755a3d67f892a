"""Datasets and their images."""

from collections.abc import Mapping
from dataclasses import dataclass

from pixguard.records.labels import (
    NATIVE,
    NATIVE_SIZE,
    NO_FINDING_ORDINAL,
    LabelSet,
    Split,
    Task,
    decode_label_set,
)


@dataclass(frozen=True, slots=True)
class ClassInfo:
    """One class of a dataset. ``disease_type`` is the paper's (Tables 7 to 10), or None."""

    ordinal: int
    name: str
    disease_type: str | None = None

    @property
    def code(self) -> str:
        """The code of the label set that holds this class alone."""
        return "" if self.ordinal == NO_FINDING_ORDINAL else str(self.ordinal)


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What identifies a dataset and how to open it again.

    ``size`` is the side in pixels that images are loaded at, or :data:`NATIVE_SIZE`; ``version``
    names the content (an upstream version or a fingerprint); ``location`` is the file or folder
    that it was read from, and None for datasets that are generated or found by name.
    """

    name: str
    source: str
    size: int
    version: str
    split_scheme: str
    split_seed: int
    manifest_sha256: str
    task: Task
    channels: int
    classes: tuple[ClassInfo, ...]
    licence: str = ""
    citation: str = ""
    location: str | None = None

    @property
    def is_synthetic(self) -> bool:
        """Whether the images are procedural phantoms."""
        return self.source == "phantom"

    @property
    def is_native(self) -> bool:
        """Whether every image keeps its own size."""
        return self.size == NATIVE_SIZE

    @property
    def size_name(self) -> int | str:
        """The side in pixels, or ``native``: as ``--size`` takes it."""
        return NATIVE if self.is_native else self.size

    @property
    def label_count(self) -> int:
        """Number of labels that a classifier of this dataset gives (the pseudo-class excluded)."""
        return sum(c.ordinal != NO_FINDING_ORDINAL for c in self.classes)

    def describe_code(self, code: str) -> str:
        """Return class names for a code, joined by `` + `` where there are several."""
        by_code = {c.code: c.name for c in self.classes}
        if code in by_code:
            return by_code[code]
        names = {c.ordinal: c.name for c in self.classes}
        return " + ".join(names[o] for o in decode_label_set(code)) or "none"


@dataclass(frozen=True, slots=True)
class DatasetContent:
    """What a dataset holds (paper, Tables 6 to 10), whichever of its images are registered.

    Attributes:
        modality: how the images were taken; None where that is not known.
        heights: least and greatest height of the image files in pixels.
        widths: the same of their widths.
        counts: images by split and label set.
    """

    modality: str | None
    heights: tuple[int, int]
    widths: tuple[int, int]
    counts: Mapping[tuple[Split, LabelSet], int]


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image of a dataset. ``sha256`` is of the uint8 pixels as loaded, with their shape."""

    index: int
    split: Split
    sha256: str
    height: int
    width: int
    label_set: LabelSet
