"""Where images come from: name -> images, labels, splits."""

from pixguard.datasets.base import ImageDataset
from pixguard.datasets.download import fetch
from pixguard.datasets.opening import open_dataset

__all__ = ["ImageDataset", "fetch", "open_dataset"]
