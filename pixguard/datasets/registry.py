"""Which sources of images there are; light to import.

A new source is a file with a function ``(DatasetSettings, Display) -> ImageDataset`` and a line
here.
"""

from dataclasses import dataclass

from pixguard.config import DatasetSettings
from pixguard.registry import Entry, Registry, load_target


@dataclass(frozen=True, slots=True)
class SourceEntry(Entry):
    """A source by name; its target opens a dataset.

    Attributes:
        recogniser: ``"module:function"`` that tells from settings whether a ``data_dir`` holds
            what the source reads, for the source ``auto``; empty: it is never taken by itself.
        native_sizes: whether its images have sizes of their own.
    """

    recogniser: str = ""
    native_sizes: bool = False

    def recognises(self, settings: DatasetSettings) -> bool:
        """Tell whether the ``data_dir`` of settings holds what the source reads."""
        if not self.recogniser:
            return False
        return bool(load_target(self.recogniser)(settings))


AUTO = "auto"
"""The first source of the registry that recognises what is there."""

SOURCES = Registry(
    "source",
    [
        SourceEntry(
            "medmnist",
            "pixguard.datasets.medmnist:open_source",
            "MedMNIST's npz files, downloaded or given.",
            recogniser="pixguard.datasets.medmnist:recognises",
        ),
        SourceEntry(
            "npz",
            "pixguard.datasets.own_npz:open_npz",
            "An npz file of your own, in MedMNIST's form.",
            recogniser="pixguard.datasets.own_npz:recognises",
        ),
        SourceEntry(
            "originals",
            "pixguard.datasets.originals:open_originals",
            "The paper's datasets as their owners ship them.",
            recogniser="pixguard.datasets.originals:recognises",
            native_sizes=True,
        ),
        SourceEntry(
            "folder",
            "pixguard.datasets.folder:open_folder",
            "A folder a class, or a table of files and labels.",
            recogniser="pixguard.datasets.folder:recognises",
            native_sizes=True,
        ),
        SourceEntry(
            "phantom",
            "pixguard.datasets.phantom.source:open_phantom",
            "Synthetic images, drawn from a seed.",
        ),
    ],
)
"""In the order in which ``auto`` asks them."""
