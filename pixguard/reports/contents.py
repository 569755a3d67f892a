"""What the database knows of whole datasets, whichever of their images were used."""

from collections.abc import Sequence
from dataclasses import dataclass

from pixguard.reports.noise_plans import SYNTHETIC_SOURCE
from pixguard.reports.querying import RowValues


@dataclass(frozen=True, slots=True)
class Content:
    """A registered dataset of which it was recorded what it holds.

    ``original_size`` is the width x height of its files in pixels, ranges in parentheses.
    """

    dataset_id: int
    dataset: str
    source: str
    size: int
    version: str
    task: str
    channels: int
    images: int
    classes: int
    modality: str
    original_size: str

    @property
    def is_synthetic(self) -> bool:
        """Whether the images are procedural phantoms."""
        return self.source == SYNTHETIC_SOURCE

    @property
    def data(self) -> str:
        """Source and size: ``medmnist 224``."""
        return f"{self.source} {self.size}"

    def describe(self) -> str:
        """Return the line of a caption."""
        phantom = "; phantom data: synthetic, not the paper's" if self.is_synthetic else ""
        return (
            f"{self.dataset}: source {self.source}, {self.size} x {self.size} pixels, version "
            f"{self.version}, {self.images} images{phantom}"
        )


def content_of(row: RowValues) -> Content:
    """Return a dataset from its row of the query ``datasets``, which must have its images."""
    modality = row["modality"] or "unknown"
    if row["source"] == SYNTHETIC_SOURCE:
        modality = f"{modality} (synthetic)"
    return Content(
        dataset_id=int(row["dataset_id"]),
        dataset=row["dataset"],
        source=row["source"],
        size=int(row["size"]),
        version=row["version"],
        task=row["task"],
        channels=int(row["channels"]),
        images=int(row["images"]),
        classes=int(row["classes"] or 0),
        modality=modality,
        original_size=f"{_side(row, 'width')} x {_side(row, 'height')}",
    )


def _side(row: RowValues, side: str) -> str:
    least, greatest = row[f"least_{side}"], row[f"greatest_{side}"]
    return f"{least}" if least == greatest else f"({least}-{greatest})"


def choose_content(
    contents: Sequence[Content], dataset: str, size: int | None, *, real: bool = False
) -> Content | None:
    """Return the newest of a name, real images before phantoms; None where there is none.

    ``real``: phantoms will not do.
    """
    fitting = [
        c
        for c in contents
        if c.dataset == dataset and size in (None, c.size) and not (real and c.is_synthetic)
    ]
    return max(fitting, key=lambda c: (not c.is_synthetic, c.dataset_id), default=None)
